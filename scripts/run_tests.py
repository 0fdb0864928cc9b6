#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the unit tests and the live tests at the same time, in two queues for two cores.

Unit tests keep one core busy; tests of nodes and of separate processes mostly wait for each other,
and are over sooner: the last third of the unit tests comes after them. The output of the first
queue appears at the end. Every argument goes to all. `make test` and `make test-fast` call this.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / 'test'
PYTEST = [sys.executable, '-m', 'pytest']
NOTHING_CHOSEN = 5  # of pytest: the arguments leave no test of this part


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if all chosen tests passed."""
    live = [str(TESTS / name) for name in ('nodes', 'system', 'launch')
            if (TESTS / name).is_dir()]
    unit = sorted(map(str, (TESTS / 'unit').glob('test_*.py')))
    many = 2 * len(unit) // 3
    with tempfile.TemporaryFile('w+') as output:
        first = subprocess.Popen([*PYTEST, *unit[:many], *arguments], stdout=output,
                                 stderr=subprocess.STDOUT)
        try:
            statuses = [subprocess.call([*PYTEST, *files, *arguments])
                        for files in (live, unit[many:])]
            statuses.append(first.wait())
        finally:
            first.terminate()
            first.wait()
            output.seek(0)
            print(output.read(), end='')
    failed = [status for status in statuses if status not in (0, NOTHING_CHOSEN)]
    return failed[0] if failed else min(statuses)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
