# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge ROS time at every cycle: whether it runs, and how coarse its steps are."""

from collections import deque

# Remembered steps (number), odd for the median.
_STEPS = 9
# Longest believed step in usual ones: one message of /clock may be lost.
_LONGEST = 2


class RosTime:
    """Judge whether ROS time runs; learn its step, for ages are known to one step only.

    A simulator publishes /clock now and then, and between two messages ROS time stands still. The
    step is the longest of the last ones, but at most twice the usual one, so that neither a leap
    nor a pause of the clock counts. Both are 0 where ROS time advances in every cycle, as the
    system's does.
    """

    def __init__(self, limit_ns: int) -> None:
        """Take the allowed standstill (ns), to which one pause between two steps is added."""
        self._limit_ns = limit_ns
        self.reset()

    def reset(self) -> None:
        """Forget the time and its steps."""
        self._now_ns: int | None = None
        self._advanced_ns = 0
        self._stands = False
        self._steps_ns: deque[int] = deque(maxlen=_STEPS)
        self._pauses_ns: deque[int] = deque(maxlen=_STEPS)
        self.step_ns = self.usual_step_ns = self._pause_ns = 0

    def judge(self, now_ns: int, steady_ns: int) -> tuple[str, str] | None:
        """Return reason and sentence of a complaint about ROS time, None without one.

        `steady_ns` is on a clock that never stops nor jumps.
        """
        before_ns, self._now_ns = self._now_ns, now_ns
        if before_ns == now_ns:
            self._stands = True
            return self._judge_pause(steady_ns - self._advanced_ns)
        if before_ns is not None and now_ns > before_ns > 0:  # 0 is the time before the first
            self._learn(now_ns - before_ns, steady_ns - self._advanced_ns)
        self._advanced_ns, self._stands = steady_ns, False
        if before_ns is None or now_ns > before_ns:
            return None
        return ('clock_backwards', f'ROS time went back by {(before_ns - now_ns) * 1e-9:.3f} s, '
                                   f'allowed 0 s; check the clock, or the bag that plays')

    def _judge_pause(self, stopped_ns: int) -> tuple[str, str] | None:
        allowed_ns = self._limit_ns + self._pause_ns
        if stopped_ns <= allowed_ns:
            return None
        return ('clock_stopped', f'ROS time has stood still for {stopped_ns * 1e-9:.3f} s, '
                                 f'allowed {allowed_ns * 1e-9:.3g} s')

    def _learn(self, step_ns: int, pause_ns: int) -> None:
        for kept, length_ns in ((self._steps_ns, step_ns), (self._pauses_ns, pause_ns)):
            kept.append(length_ns if self._stands else 0)
        if self._stands or self.step_ns:
            self.step_ns, self.usual_step_ns = _believed(self._steps_ns)
            self._pause_ns, _ = _believed(self._pauses_ns)


def _believed(lengths_ns: deque[int]) -> tuple[int, int]:
    """Return the longest of the lengths, at most twice their median, and that median."""
    ordered = sorted(lengths_ns)
    usual_ns = ordered[len(ordered) // 2]
    return min(ordered[-1], _LONGEST * usual_ns), usual_ns
