# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The chunk in use as a path in time: what to command at any moment between its actions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.geometry import Array

# A rotation's columns have length 1. Half way between two that point apart they vanish: below
# this length a mean of two rotations says nothing.
_LEAST_COLUMN = 0.5


@dataclass(frozen=True, eq=False)
class _Plan:
    """Actions (n, action_dim); action k is due at `start_ns + k * period_ns`."""

    actions: Array
    start_ns: int

    def at(self, now_ns: int, period_ns: int, most: int) -> Array | None:
        """Return the action (action_dim,) at `now_ns`, linear between two, the last one kept.

        None before the start, and later than `most` periods after it.
        """
        place = (now_ns - self.start_ns) / period_ns
        if not 0 <= place <= most:
            return None
        last = len(self.actions) - 1
        before = min(int(place), last)
        share = place - before
        if before == last or share == 0:
            action: Array = self.actions[before].copy()
            return action
        mixed: Array = (1 - share) * self.actions[before] + share * self.actions[before + 1]
        return mixed


class ActionQueue:
    """Tell the action for any time; never an expired one.

    Action k of a chunk that answers the observation of `start_ns` is due at
    `start_ns + k * period_ns`; between two actions the command moves evenly from one to the next:

        time     start   +1     +2   ...   +execute      ...         +2 * execute
        action   a[0]    a[1]   a[2] ...   plan anew     goes on     none: the answer is late

    Where a chunk has no more actions, its last one is kept.
    A new chunk takes over gradually, so that the arm does not jump: from another chunk within one
    period, from where the arm rests within `execute` of them. Not thread-safe: one thread owns
    the queue.
    """

    def __init__(self, period_ns: int, command_period_ns: int, execute: int,
                 rotations: Sequence[slice] = ()) -> None:
        """Take the times of policy and commands, and where the rotations (6,) of poses lie."""
        self._period_ns = period_ns
        self._command_period_ns = command_period_ns
        self._execute = execute
        self._rotations = tuple(rotations)
        self._plan: _Plan | None = None
        self._old: _Plan | None = None
        self._taken_ns = 0
        self._ramp_ns = 0

    @property
    def replan_ns(self) -> int | None:
        """Return when the policy is to plan anew, None if there is no plan at all."""
        return (None if self._plan is None
                else self._plan.start_ns + self._execute * self._period_ns)

    @property
    def planned(self) -> Array | None:
        """Return the actions (n, action_dim) of the chunk in use, None if there is none."""
        return None if self._plan is None else self._plan.actions.copy()

    def clear(self) -> None:
        """Forget the plan."""
        self._plan = self._old = None

    def put(self, chunk: Array, start_ns: int, now_ns: int, resting: Array) -> None:
        """Let `chunk` (horizon, action_dim) of the observation of `start_ns` take over now.

        Without a plan it takes over from `resting` (action_dim,), where the arm is kept.
        """
        if self._plan is None:
            self._old = _Plan(resting[None], now_ns)
            self._ramp_ns = self._execute * self._period_ns
        else:
            self._old = self._plan
            self._ramp_ns = self._period_ns
        self._taken_ns = now_ns
        self._plan = _Plan(np.array(chunk, dtype=np.float64), start_ns)

    def at(self, now_ns: int) -> Array | None:
        """Return the action (action_dim,) for `now_ns`, None if no plan reaches there."""
        if self._plan is None:
            return None
        new = self._plan.at(now_ns, self._period_ns, 2 * self._execute)
        # The first command of a new plan has its share already: with one command for each
        # action there is nothing to spread it over.
        share = (now_ns - self._taken_ns + self._command_period_ns) / self._ramp_ns
        old = None
        if self._old is not None and share < 1:
            old = self._old.at(now_ns, self._period_ns, 2 * self._execute)
        if new is None or old is None:
            return new
        mixed: Array = (1 - share) * old + share * new
        for part in self._rotations:
            columns = mixed[part].reshape(2, 3)
            if np.min(np.linalg.norm(columns, axis=1)) < _LEAST_COLUMN:
                mixed[part] = new[part]
        return mixed
