# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The actions of the chunk in use, each due at its own time."""

import numpy as np

from uncloning_ros.geometry import Array


class ActionQueue:
    """Hand out the action that is due now; never an expired one, never one of a cleared plan.

    Action k of a chunk that answers an observation at `start_ns` is due at
    `start_ns + k * period_ns`, give or take half a period of jitter:

        tick          start    +1     +2    ...   +(execute-1)   +execute
        action        chunk[0] [1]    [2]   ...   [execute-1]    none: plan anew

    A tick that was skipped skips its action, so that the plan stays in step with the clock.
    Every `clear()` begins a new epoch; a chunk that was asked for in an older epoch is foreign
    and refused. Not thread-safe: one thread owns the queue.
    """

    def __init__(self, period_ns: int, execute: int) -> None:
        self._period_ns = period_ns
        self._execute = execute
        self._chunk: Array | None = None
        self._start_ns = 0
        self.epoch = 0

    def clear(self) -> None:
        """Forget the plan, and refuse chunks that were asked for before."""
        self._chunk = None
        self.epoch += 1

    def put(self, chunk: Array, start_ns: int, epoch: int) -> bool:
        """Replace the plan by `chunk` (horizon, action_dim); return False for a foreign one."""
        if epoch != self.epoch:
            return False
        self._chunk = np.array(chunk[:self._execute], dtype=np.float64)
        self._start_ns = start_ns
        return True

    def due(self, now_ns: int) -> Array | None:
        """Return the action (action_dim,) due at `now_ns`, None if a new plan is needed."""
        if self._chunk is None:
            return None
        index = (now_ns - self._start_ns + self._period_ns // 2) // self._period_ns
        if not 0 <= index < len(self._chunk):
            return None
        action: Array = self._chunk[index].copy()
        return action
