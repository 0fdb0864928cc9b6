# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count whether handovers keep to the mode that they committed themselves to, and bridges.

A trajectory that changes its mode after a commitment (`judging/commitment.py`), or is taken
between modes, is a *bridge*: the way of a smooth policy between two modes that it should choose
from, and with a knife a blade that sweeps past the hand.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from uncloning_ros.audit.figures.statistics import interval


@dataclass(frozen=True)
class Commitment:
    """How committed trajectories went on, over many episodes.

    Of `committed` episodes `changed` went to another mode later, and `ended_between` were taken
    between modes; `bridges` had either, with the two-sided 95 % interval of that rate. Of
    `wrong_starts`, committed to an undesired mode first, `continued` were taken in an undesired
    mode or still shown in one at the end, `mended` reached a desired one, and the rest ended
    otherwise, dropped for instance. Intervals are None where there is nothing to count.
    """

    committed: int
    changed: int
    ended_between: int
    bridges: int
    bridge_rate: float | None
    bridge_interval95: tuple[float, float] | None
    wrong_starts: int
    continued: int
    mended: int
    continued_rate: float | None
    continued_interval95: tuple[float, float] | None


@dataclass(frozen=True)
class Course:
    """What one episode committed itself to, in order, and how it was taken.

    Each commitment names the modes that it left open; the next one is none of these. `mode` is
    None if the tool was taken between modes or not taken.
    """

    committed: tuple[tuple[str, ...], ...]
    taken: bool
    mode: str | None


def commitment(courses: Sequence[Course], desired: Collection[str]) -> Commitment:
    """Return how committed trajectories went on."""
    committed = [course for course in courses if course.committed]
    changed = [_changed(course) for course in committed]
    between = [course.taken and course.mode is None for course in committed]
    bridges = sum(a or b for a, b in zip(changed, between, strict=True))
    wrong = [course for course in committed if not set(course.committed[0]) & set(desired)]
    ends = [_end(course) for course in wrong]
    mended = sum(bool(end & set(desired)) for end in ends)
    continued = sum(bool(end) for end in ends) - mended
    return Commitment(
        len(committed), sum(changed), sum(between), bridges, *_rate(bridges, len(committed)),
        len(wrong), continued, mended, *_rate(continued, len(wrong)))


def _changed(course: Course) -> bool:
    return len(course.committed) > 1 or (course.mode is not None
                                         and course.mode not in course.committed[-1])


def _end(course: Course) -> set[str]:
    """Return the modes that an episode came to: taken in one, or committed to last."""
    if course.taken:
        return set() if course.mode is None else {course.mode}
    return set(course.committed[-1])


def _rate(events: int, n: int) -> tuple[float | None, tuple[float, float] | None]:
    return (events / n, interval(events, n)) if n else (None, None)
