# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the commands: `python -m bench.outside`, or in bench/ `python -m outside`."""

import sys
from pathlib import Path

if __name__ == '__main__':
    # The packages of bench/ import each other by their own names.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from outside.commands import main

    raise SystemExit(main())
