# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyBullet without its chatter: it prints at import and at every connection."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

_C = ctypes.CDLL(None)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Discard the prints of C code.

    Buffers are flushed before and after: C keeps its prints to a pipe until the process ends,
    unless PYTHONUNBUFFERED is set.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    _C.fflush(None)
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        _C.fflush(None)
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, nowhere):
            os.close(descriptor)


with _silence():
    import pybullet
    import pybullet_data
    from pybullet_utils.bullet_client import BulletClient

DATA_PATH: str = pybullet_data.getDataPath()


def connect() -> BulletClient:
    """Return a client with a physics world of its own, without a window."""
    with _silence():
        return BulletClient(pybullet.DIRECT)


__all__ = ['DATA_PATH', 'BulletClient', 'connect', 'pybullet']
