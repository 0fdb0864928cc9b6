# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plan in use as a path in time: the command at any moment between its actions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.geometry import Array
from uncloning_ros.policy_io import Plan

# Least area of the square that a mean rotation's columns span, 1 for a rotation: half way between
# two rotations far apart the columns vanish or fall on one line, and the mean is meaningless.
_LEAST_AREA = 0.25


@dataclass(frozen=True, eq=False)
class _Path:
    """Actions (n, action_dim); action k is due at `start_ns + k * period_ns`."""

    actions: Array
    start_ns: int


@dataclass(frozen=True, eq=False)
class _Course:
    """The commands since `taken_ns`: `path`, at first mixed with the course before it.

    The share of the path grows evenly and is whole after `ramp_ns`.
    """

    path: _Path
    before: '_Course | None'
    taken_ns: int
    ramp_ns: int


class ActionQueue:
    """Return the action for any time; never an expired one.

    Action k of a chunk that answers the observation of `start_ns` is due at
    `start_ns + k * period_ns`; between two actions the command moves evenly from one to the next:

        time     start   +1     +2   ...   +execute      ...         +2 * execute
        action   a[0]    a[1]   a[2] ...   plan again    goes on     none: the answer is late

    After the last action of a chunk that one is kept.
    A new plan takes over gradually, so that the arm does not jump: from the plan before within one
    period, from an arm at rest within `execute` of them. Not thread-safe: one
    thread owns the queue.
    """

    def __init__(self, period_ns: int, command_period_ns: int, execute: int,
                 rotations: Sequence[slice] = ()) -> None:
        """Take the periods of policy and commands, and the slices of the poses' rotations (6,)."""
        self._period_ns = period_ns
        self._command_period_ns = command_period_ns
        self._execute = execute
        self._rotations = tuple(rotations)
        self._course: _Course | None = None
        self.plan: Plan | None = None  # the newest one

    @property
    def replan_ns(self) -> int | None:
        """Return the time at which the policy has to plan again, None without a plan."""
        return (None if self._course is None
                else self._course.path.start_ns + self._execute * self._period_ns)

    def clear(self) -> None:
        """Forget the plan."""
        self._course = self.plan = None

    def put(self, plan: Plan, start_ns: int, now_ns: int, resting: Array) -> None:
        """Let `plan`, made from the observation of `start_ns`, take over now.

        Without a plan before, it takes over from the command `resting` (action_dim,).
        """
        before, periods = self._course, 1
        if before is None:
            before = _Course(_Path(resting[None].copy(), now_ns), None, now_ns, 0)
            periods = self._execute
        elif self._share(before, now_ns) >= 1:
            before = _Course(before.path, None, before.taken_ns, 0)  # the one before is over
        self.plan = plan
        self._course = _Course(_Path(np.array(plan.chunk, dtype=np.float64), start_ns), before,
                               now_ns, periods * self._period_ns)

    def at(self, now_ns: int) -> Array | None:
        """Return the action (action_dim,) for `now_ns`, None if no plan reaches there."""
        return None if self._course is None else self._follow(self._course, now_ns)

    def _follow(self, course: _Course, now_ns: int) -> Array | None:
        new = self._on_path(course.path, now_ns)
        if new is None or course.before is None:
            return new
        share = self._share(course, now_ns)
        old = self._follow(course.before, now_ns) if share < 1 else None
        return new if old is None else self._mixed(old, new, share)

    def _share(self, course: _Course, now_ns: int) -> float:
        """Return the share of a course's own path, above 1 once it is followed alone.

        The first command has a share already: with one command for each action it has to be
        whole at once.
        """
        if course.before is None:
            return 1.0
        return (now_ns - course.taken_ns + self._command_period_ns) / course.ramp_ns

    def _on_path(self, path: _Path, now_ns: int) -> Array | None:
        """Return a path's action (action_dim,), between two of them a mean, the last one kept."""
        place = (now_ns - path.start_ns) / self._period_ns
        if not 0 <= place <= 2 * self._execute:
            return None
        last = len(path.actions) - 1
        before = min(int(place), last)
        share = place - before
        if before == last or share == 0:
            action: Array = path.actions[before].copy()
            return action
        return self._mixed(path.actions[before], path.actions[before + 1], share)

    def _mixed(self, old: Array, new: Array, share: float) -> Array:
        """Return the mean of two actions; for rotations without a mean, the new one."""
        mixed: Array = (1 - share) * old + share * new
        for part in self._rotations:
            ax, ay, az, bx, by, bz = mixed[part].tolist()
            x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            if x * x + y * y + z * z < _LEAST_AREA ** 2:
                mixed[part] = new[part]
        return mixed
