# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose which of a stream of commanded gripper widths become goals, one at a time."""


# Time (s) after which a goal without an end is one of a driver that was started again meanwhile:
# slow grippers need 4 s for their whole way.
PATIENCE_S = 6.0


class WidthGoals:
    """The goal that a gripper has, and the width that was commanded last.

    A width within `step_m` of the last goal is none of its own: fingers that are held by a tool
    would else be asked to close again at every command.
    """

    def __init__(self, step_m: float) -> None:
        self._step_m = step_m
        self._newest_m: float | None = None
        self._busy = False
        self._now_s = self._since_s = 0.0
        self.goal_m: float | None = None

    def command(self, width_m: float, now_s: float) -> float | None:
        """Take a commanded width; return the goal to send now, None to send none."""
        self._newest_m, self._now_s = width_m, now_s
        if self._busy and now_s - self._since_s > PATIENCE_S:
            self.lost()
        return self._next()

    def lost(self) -> None:
        """Forget the goal of a driver that is gone: it never ends, and its fingers may move."""
        self._busy, self.goal_m = False, None

    def ended(self) -> float | None:
        """Take the end of the last goal; return the goal to send now, None to send none."""
        self._busy = False
        return self._next()

    def _next(self) -> float | None:
        if self._busy or self._newest_m is None or (
                self.goal_m is not None and abs(self._newest_m - self.goal_m) <= self._step_m):
            return None
        self._busy, self.goal_m, self._since_s = True, self._newest_m, self._now_s
        return self.goal_m
