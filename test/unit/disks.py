# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full after so many bytes, for whatever writes MCAP files."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest


class SmallDisk:
    """MCAP files share `room` bytes; when it is used up, writing fails as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 2**40
        real = Path.open

        def opened(path: Path, mode: str = 'r', *args: Any, **more: Any) -> Any:
            if path.suffix == '.mcap' and 'x' in mode:
                return _File(str(path), mode.replace('b', ''), self)
            return real(path, mode, *args, **more)

        monkeypatch.setattr(Path, 'open', opened)


class _File(io.FileIO):
    def __init__(self, path: str, mode: str, disk: SmallDisk) -> None:
        super().__init__(path, mode)
        self._disk = disk

    def write(self, data: Any) -> int:
        if len(data) > 0 and self._disk.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(bytes(data[:self._disk.room])) or 0
        self._disk.room -= written
        return written
