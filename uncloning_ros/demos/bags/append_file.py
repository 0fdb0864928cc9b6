# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A file that grows by whole records: what a crash or a full disk leaves can be read."""

import contextlib
import fcntl
import os
from pathlib import Path

from uncloning_ros.errors import BagError

# Camera images fill this in a moment: they go to the operating system without waiting for a flush.
_MOST_PENDING_BYTES = 4 * 1024 * 1024


class AppendFile:
    """Collect what `write()` is given and append it on `flush()`, one record or none at a time.

    Each `write()` hands over whole records. If the disk refuses some of them, the file is cut
    back to the last whole one and the error is raised, now and at every later call: nothing is
    ever written behind a hole. While it is open the file is locked, which tells a live recording
    from one that a crash left; the lock ends with the process, whatever ends it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open('xb', buffering=0)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._pending = bytearray()
        self._ends: list[int] = []  # of the records in `_pending`
        self._size = 0  # bytes that the operating system has
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Take whole records; return their length, as files do."""
        self._raise_again()
        self._pending += data
        self._ends.append(len(self._pending))
        if len(self._pending) > _MOST_PENDING_BYTES:
            self._append()
        return len(data)

    def tell(self) -> int:
        """Return how many bytes were taken."""
        return self._size + len(self._pending)

    def flush(self) -> None:
        """Have the disk keep everything that was taken."""
        self._raise_again()
        self._append()
        try:
            os.fsync(self._file.fileno())
        except OSError as err:
            self._error = err
            raise

    def close(self) -> None:
        """Close the file; what is pending still is appended, unless the disk refused before."""
        try:
            if self._error is None:
                self._append()
        finally:
            self._file.close()

    @property
    def closed(self) -> bool:
        """Tell whether the file is closed."""
        return self._file.closed

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
    """Tell whether somebody is writing this file now; raise `BagError` if it cannot be opened."""
    try:
        with path.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as err:
        raise BagError(f'cannot read {path}: {err.strerror or err}') from err
    return False


def require_abandoned(path: Path) -> None:
    """Raise `BagError` if somebody is writing this file now, or if it cannot be opened."""
    if is_being_written(path):
        raise BagError(f'{path.parent} is being recorded now; stop the recorder first')
