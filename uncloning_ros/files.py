# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How files get on disk: nothing is overwritten unasked, and no file is half there."""

import os
from pathlib import Path

from uncloning_ros.errors import OutputExistsError


def require_new(path: Path) -> Path:
    """Return `path` if nothing is there yet, not even a broken link; else raise."""
    if os.path.lexists(path):
        raise OutputExistsError(f'{path} exists already and is never overwritten; '
                                f'give another name or move it away')
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write one file whole or not at all, in place of one that may be there."""
    partial = path.with_name(path.name + '.partial')
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
