# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Append whole records to a file, so that it stays readable after a crash or on a full disk."""

import contextlib
import fcntl
import os
from pathlib import Path

from uncloning_ros.errors import BagError
from uncloning_ros.files import disk_errors

# Size (bytes) of pending records above which they go to the operating system without a flush:
# camera images fill it in a moment.
_MOST_PENDING_BYTES = 4 * 1024 * 1024


class AppendFile:
    """Collect the records of `write()` and append them on `flush()`, each whole or not at all.

    Each `write()` hands over whole records. If the disk refuses some of them, the file is cut
    back to the last whole one and the error is raised, now and at every later call: nothing is
    written behind a hole. The open file is locked, which tells a live recording from one that a
    crash left; the lock ends with the process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open('xb', buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._pending = bytearray()
        self._ends: list[int] = []  # of the records in `_pending`
        self._size = 0  # bytes that the operating system has
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Append whole records; return their length, as files do."""
        self._raise_again()
        self._pending += data
        self._ends.append(len(self._pending))
        if len(self._pending) > _MOST_PENDING_BYTES:
            self._append()
        return len(data)

    def tell(self) -> int:
        """Return the number of bytes appended so far, pending ones included."""
        return self._size + len(self._pending)

    def flush(self) -> None:
        """Have the disk keep everything that was appended."""
        self._raise_again()
        self._append()
        try:
            os.fsync(self._file.fileno())
        except OSError as err:
            self._error = err
            raise

    def close(self) -> None:
        """Append the pending records, unless the disk refused before, and close the file."""
        try:
            if self._error is None:
                self._append()
        finally:
            self._file.close()

    def _append(self) -> None:
        done = 0
        try:
            with memoryview(self._pending) as view:
                while done < len(view):
                    done += self._file.write(view[done:])
        except OSError as err:
            self._error = err
            # Half a record would hide from a reader that the others are whole.
            whole = max((end for end in self._ends if end <= done), default=0)
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size + whole)
            raise
        self._size += done
        self._pending.clear()
        self._ends.clear()

    def _raise_again(self) -> None:
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror)


def is_being_written(path: Path) -> bool:
    """Tell whether a process is writing this file now; raise `BagError` if it cannot be opened."""
    with disk_errors(f'cannot read {path}', BagError):
        try:
            with path.open('rb') as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
