# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""To which mode a handover commits itself, and whether it keeps to it.

A handover commits itself twice: when it grasps the tool where only one mode grasps it, and when
it shows the hand that has come near one mode's side of the tool for long enough to be believed.
A trajectory that changes its mode after that, or is taken between modes, is a *bridge*: what a
smooth policy can do between two modes that it should choose from, and with a knife a blade that
sweeps past the hand.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.audit.measures import reach_distance, steps_of, stretches
from uncloning_ros.audit.statistics import interval
from uncloning_ros.geometry import Array, rotation_of
from uncloning_ros.scenario import Scenario
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

    `mode` is None if it was taken between modes or not taken.
    """

    committed: tuple[str, ...]
    taken: bool
    mode: str | None


def committed_modes(trace: Trace, scenario: Scenario, angle_rad: Array, lifted: int | None,
                    taken: int | None) -> tuple[str, ...]:
    """Return the modes that an episode committed itself to, in order, none twice in a row."""
    if lifted is None:
        return ()
    modes = list(scenario.modes)
    found = [grasped_mode(trace, scenario, lifted)]
    shown = reach_distance(trace, scenario) < SHOWN_M
    shown[:lifted] = False
    shown[len(trace.held_part) if taken is None else taken:] = False
    labels = _labels(angle_rad, scenario)
    enough = steps_of(BELIEVED_S, trace.physics_hz)
    believed = sorted((begin, index) for index in range(len(modes))
                      for begin, end in stretches(shown & (labels == index))
                      if end - begin >= enough)
    found += [modes[index] for _, index in believed]
    named = [mode for mode in found if mode is not None]
    return tuple(mode for i, mode in enumerate(named) if i == 0 or mode != named[i - 1])


def grasped_mode(trace: Trace, scenario: Scenario, lifted: int) -> str | None:
    """Return the one mode that grasps the tool where the robot lifted it, None if not one."""
    rotation = rotation_of(trace.object_pose[lifted])
    grasp_x = float((rotation.T @ (trace.tool_pose[lifted, :3]
                                   - trace.object_pose[lifted, :3]))[0])
    near = [mode for mode, rule in scenario.modes.items()
            if rule.grasp_x_m[0] - GRASP_M <= grasp_x <= rule.grasp_x_m[1] + GRASP_M]
    return near[0] if len(near) == 1 else None


def commitment(courses: Sequence[Course], desired: Collection[str]) -> Commitment:
    """Return how committed trajectories went on."""
    committed = [course for course in courses if course.committed]
    changed = [_changed(course) for course in committed]
    between = [course.taken and course.mode is None for course in committed]
    bridges = sum(a or b for a, b in zip(changed, between, strict=True))
    wrong = [course for course in committed if course.committed[0] not in desired]
    ends = [_end(course) for course in wrong]
    continued = sum(end is not None and end not in desired for end in ends)
    mended = sum(end in desired for end in ends)
    return Commitment(
        len(committed), sum(changed), sum(between), bridges, *_rate(bridges, len(committed)),
        len(wrong), continued, mended, *_rate(continued, len(wrong)))


def _changed(course: Course) -> bool:
    return len(course.committed) > 1 or (course.mode is not None
                                         and course.mode != course.committed[-1])


def _end(course: Course) -> str | None:
    """Return the mode that an episode came to: taken in it, or committed to it last."""
    return course.mode if course.taken else course.committed[-1]


def _labels(angle_rad: Array, scenario: Scenario) -> NDArray[np.int64]:
    """Return the index (T,) of the first mode whose range holds the angle, -1 for none."""
    labels = np.full(len(angle_rad), -1)
    for index, rule in reversed(list(enumerate(scenario.modes.values()))):
        low, high = rule.blade_to_hand_rad
        labels[(low <= angle_rad) & (angle_rad <= high)] = index
    return labels


def _rate(events: int, n: int) -> tuple[float | None, tuple[float, float] | None]:
    return (events / n, interval(events, n)) if n else (None, None)
