# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""To which mode a handover commits itself, and whether it keeps to it.

A handover commits itself twice: when it grasps the tool where some modes grasp it and others do
not, and when it shows the hand that has come near the tool as one mode does, for long enough to
be believed. A trajectory that changes its mode after that, or is taken between modes, is a
*bridge*: what a smooth policy can do between two modes that it should choose from, and with a
knife a blade that sweeps past the hand.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.audit.measures import approach_angle, reach_distance, steps_of, stretches
from uncloning_ros.audit.statistics import interval
from uncloning_ros.geometry import Array, rotation_of
from uncloning_ros.scenario import ModeRule, Scenario
from uncloning_ros.simulation.trace import Trace

# The grasp of a mode is one this near to where its demonstrations grasp.
GRASP_M = 0.03
# The tool is being shown once the palm is this near to it ...
SHOWN_M = 0.25
# ... and a mode is believed after so long, about a person's reaction time.
BELIEVED_S = 0.25


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


def committed_modes(trace: Trace, scenario: Scenario, angle_rad: Array, lifted: int | None,
                    taken: int | None) -> tuple[tuple[str, ...], ...]:
    """Return what an episode committed itself to, in order, as `Course` has it.

    What narrows an earlier commitment takes its place; what contradicts it is a new one.
    """
    if lifted is None:
        return ()
    end = trace.steps if taken is None else max(taken, lifted + 1)
    commitments = [grasp] if (grasp := grasped_modes(trace, scenario, lifted)) else []
    shown = reach_distance(trace, scenario) < SHOWN_M
    shown[:lifted] = False
    shown[end:] = False
    highest_m = float(trace.object_pose[lifted:end, 2].max())
    enough = steps_of(BELIEVED_S, trace.physics_hz)
    believed = sorted(
        (begin, mode) for mode, rule in scenario.modes.items()
        for begin, stop in stretches(shown & _fits(rule, trace, angle_rad, highest_m))
        if stop - begin >= enough)
    for _, mode in believed:
        if commitments and mode in commitments[-1]:
            commitments[-1] = (mode,)
        else:
            commitments.append((mode,))
    return tuple(commitments)


def grasped_modes(trace: Trace, scenario: Scenario, lifted: int) -> tuple[str, ...]:
    """Return the modes that grasp the tool where the robot lifted it; none if all of them do."""
    rotation = rotation_of(trace.object_pose[lifted])
    grasp_x = float((rotation.T @ (trace.tool_pose[lifted, :3]
                                   - trace.object_pose[lifted, :3]))[0])
    near = tuple(mode for mode, rule in scenario.modes.items()
                 if rule.grasp_x_m[0] - GRASP_M <= grasp_x <= rule.grasp_x_m[1] + GRASP_M)
    return near if len(near) < len(scenario.modes) else ()


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


def _fits(rule: ModeRule, trace: Trace, angle_rad: Array, highest_m: float) -> NDArray[np.bool_]:
    """Return at which steps (T,) the tool is shown as in a mode, up to `highest_m` in all.

    The route of a mode is a matter of the whole way, so its height is that of the whole.
    """
    fits = _within(angle_rad, rule.blade_to_hand_rad)
    if rule.approach_rad is not None:
        fits &= _within(approach_angle(trace, rule.handle_first), rule.approach_rad)
    if rule.highest_m is not None:
        fits &= rule.highest_m[0] <= highest_m <= rule.highest_m[1]
    return fits


def _within(values: Array, span: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((span[0] <= values) & (values <= span[1]))


def _rate(events: int, n: int) -> tuple[float | None, tuple[float, float] | None]:
    return (events / n, interval(events, n)) if n else (None, None)
