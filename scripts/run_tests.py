#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the tests in two lanes, for two cores, and print what each run of pytest said as it ends.

One lane begins with the live tests, one folder after the other: nodes and separate processes that
mostly wait, of which two at a time would disturb each other. The other begins with the unit tests.
Both then take the next few files of unit tests until none is left. Every argument goes to all.
`make test` and `make test-fast` call this.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / 'test'
FILES_EACH = 10  # a run of pytest costs some seconds, and the lanes shall end together
NOTHING_CHOSEN = 5  # of pytest: the arguments leave no test of this part


def _place(path: str) -> tuple[bool, bool, str]:
    """Return the place of a test file in the order of all.

    Tests of whole pages take longest: begun first, they leave no lane waiting at the end. Then
    come those that share trained toys, which each run of pytest trains again.
    """
    shares = re.search(r'(mixed|seen)_(dir|onnx)', Path(path).read_text(encoding='utf-8'))
    return 'test_pages' not in path, shares is None, path


class Lanes:
    """Runs of pytest in two lanes."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.statuses: list[int] = []
        self._arguments, self._lock = arguments, threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        unit = sorted(map(str, (TESTS / 'unit').glob('test_*.py')), key=_place)
        self._chunks: Iterator[list[str]] = iter(
            [unit[first:first + FILES_EACH] for first in range(0, len(unit), FILES_EACH)])

    def work(self, first: Sequence[str]) -> None:
        """Run the tests of `first`, one after the other, then what is left of the unit tests."""
        for path in first:
            self._run([path])
        while True:
            with self._lock:
                chunk = next(self._chunks, None)
            if chunk is None:
                return
            self._run(chunk)

    def _run(self, paths: Sequence[str]) -> None:
        with self._lock:
            if self._stopped:
                return
            process = subprocess.Popen([sys.executable, '-m', 'pytest', *paths, *self._arguments],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self._running.add(process)
        output, _ = process.communicate()
        with self._lock:
            self._running.discard(process)
            self.statuses.append(process.returncode)
            print(output, end='', flush=True)

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if all chosen tests passed."""
    live = [str(TESTS / name) for name in ('nodes', 'system', 'launch')
            if (TESTS / name).is_dir()]
    lanes = Lanes(arguments)
    threads = [threading.Thread(target=lanes.work, args=[first]) for first in (live, [])]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        lanes.stop()
        return 130
    failed = [status for status in lanes.statuses if status not in (0, NOTHING_CHOSEN)]
    return failed[0] if failed else min(lanes.statuses)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
