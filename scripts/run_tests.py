#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the unit tests and the live tests at the same time, each as one pytest process.

Unit tests keep one core busy; tests of nodes and of separate processes mostly wait for each other.
The output of the live tests appears at once, that of the unit tests at the end. Every argument
goes to both. `make test` and `make test-fast` call this.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / 'test'
PYTEST = [sys.executable, '-m', 'pytest']
NOTHING_CHOSEN = 5  # of pytest: the arguments leave no test of this half


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if all chosen tests of both halves passed."""
    live = [folder for folder in ('nodes', 'system', 'launch') if (TESTS / folder).is_dir()]
    with tempfile.TemporaryFile('w+') as output:
        unit = subprocess.Popen([*PYTEST, str(TESTS / 'unit'), *arguments], stdout=output,
                                stderr=subprocess.STDOUT)
        try:
            statuses = [subprocess.call([*PYTEST, *(str(TESTS / name) for name in live),
                                         *arguments])]
            statuses.append(unit.wait())
        finally:
            unit.terminate()
            unit.wait()
            output.seek(0)
            print(output.read(), end='')
    failed = [status for status in statuses if status not in (0, NOTHING_CHOSEN)]
    return failed[0] if failed else min(statuses)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
