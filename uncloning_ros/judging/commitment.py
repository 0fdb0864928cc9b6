# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the modes that one handover commits itself to, in order.

A handover commits itself twice: when it grasps the tool where some modes grasp it and others do
not, and when it shows the hand that has come near the tool as one mode does, for long enough to
be believed.
"""

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array, rotation_of
from uncloning_ros.judging.measures import approach_angle, reach_distance, steps_of, stretches
from uncloning_ros.judging.trace import Trace
from uncloning_ros.scenario import ModeRule, Scenario

GRASP_M = 0.03  # distance (m) from the places at which a mode's demonstrations grasp
SHOWN_M = 0.25  # distance (m) from palm to tool at which the tool is shown
BELIEVED_S = 0.25  # time (s) after which a shown mode is believed: a person's reaction time


def committed_modes(trace: Trace, scenario: Scenario, angle_rad: Array, lifted: int | None,
                    taken: int | None) -> tuple[tuple[str, ...], ...]:
    """Return an episode's commitments in order, each as the modes that it left open.

    A commitment that narrows the one before it takes its place; one that contradicts it is new.
    """
    if lifted is None:
        return ()
    end = trace.steps if taken is None else max(taken, lifted + 1)
    commitments = [grasp] if (grasp := grasped_modes(trace, scenario, lifted)) else []
    shown = reach_distance(trace, scenario) < SHOWN_M
    shown[:lifted] = False
    shown[end:] = False
    highest_m = float(trace.object_pose[lifted:end, 2].max())
    believed = sorted(
        (begin, mode) for mode, rule in scenario.modes.items()
        for begin, _ in stretches(shown & _fits(rule, trace, angle_rad, highest_m),
                                  steps_of(BELIEVED_S, trace.physics_hz)))
    for _, mode in believed:
        if commitments and mode in commitments[-1]:
            commitments[-1] = (mode,)
        else:
            commitments.append((mode,))
    return tuple(commitments)


def grasped_modes(trace: Trace, scenario: Scenario, lifted: int) -> tuple[str, ...]:
    """Return the modes that grasp the tool where the robot lifted it; empty if all modes do."""
    rotation = rotation_of(trace.object_pose[lifted])
    grasp_x = float((rotation.T @ (trace.tool_pose[lifted, :3]
                                   - trace.object_pose[lifted, :3]))[0])
    near = tuple(mode for mode, rule in scenario.modes.items()
                 if rule.grasp_x_m[0] - GRASP_M <= grasp_x <= rule.grasp_x_m[1] + GRASP_M)
    return near if len(near) < len(scenario.modes) else ()


def _fits(rule: ModeRule, trace: Trace, angle_rad: Array, highest_m: float) -> NDArray[np.bool_]:
    """Tell at which steps (T,) the tool is shown as in a mode; `highest_m` is its whole height.

    A mode's route concerns the whole way, so its height is that of the whole way.
    """
    fits = _within(angle_rad, rule.blade_to_hand_rad)
    if rule.approach_rad is not None:
        fits &= _within(approach_angle(trace, rule.handle_first), rule.approach_rad)
    if rule.highest_m is not None:
        fits &= rule.highest_m[0] <= highest_m <= rule.highest_m[1]
    return fits


def _within(values: Array, span: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((span[0] <= values) & (values <= span[1]))
