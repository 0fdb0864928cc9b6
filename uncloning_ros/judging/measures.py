# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Formulas of the quantities that are measured on an episode's trace, without judgement.

Words: `b` is the tool's +x (handle to tip), the *edge* the segment heel to tip, a *clearance*
the distance from the edge to a body part's capsule less its radius.

    blade-to-hand angle   arccos(b . (palm - handle point) / |palm - handle point|)
                          0: the tip points at the hand, pi: handle first
    thrust-ray miss       distance of the ray from the tip along b to the capsule, less its radius
    tip speed             |tip[i] - tip[i-1]| * physics rate: turning the tool counts, which the
                          speed of the tool centre point does not show
    separation margin     clearance less the protective distance of ISO/TS 15066:2016, 5.5.4

Arrays have T rows, one for each physics step.
"""

import math

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import (
    Array,
    angle_between,
    cross,
    position_of,
    ray_segment_distance,
    rotation_of,
    segment_distance,
    transform_point,
    turn_about_z,
    x_axis_of,
)
from uncloning_ros.judging.trace import NO_PART, Trace
from uncloning_ros.scenario import Scenario

# Handle point and tip (m) in the hand's frame, x, y, z each.
Offer = tuple[float, float, float, float, float, float]

LIFT_M = 0.02  # height (m) above its place at which a held tool has left the stand
# Time (s) out of fingers and hand after which the tool is lost: a fall of 5 cm. Shorter times
# are contact chatter.
UNSUPPORTED_S = 0.1

# Terms of the protective separation distance: the usual speed of a person, and reaction, stop
# and uncertainties as in docs/safety.md. A robot has its own; they stand with every figure.
PERSON_M_S = 1.6
REACTION_S, STOP_S = 0.10, 0.15
INTRUSION_M, PERSON_UNCERTAINTY_M, ROBOT_UNCERTAINTY_M = 0.10, 0.05, 0.01

# The tool is presented once its tip has stayed below this speed (m/s) for this time (s).
STILL_M_S, STILL_S = 0.02, 0.2

_JERK_STEP_S = 0.05  # step (s) of differences: finer ones show contact noise, not the motion


def lifted_step(trace: Trace) -> int | None:
    """Return the first step at which the tool, between the fingers, has left its stand."""
    return first(trace.finger_contact
                 & (trace.object_pose[:, 2] > trace.object_rest_z_m + LIFT_M))


def taken_step(trace: Trace) -> int | None:
    """Return the first step at which the person's hand holds the tool."""
    return first(trace.held_part != NO_PART)


def released_step(trace: Trace, dwell_s: float) -> int | None:
    """Return the step at which the robot let go of the tool that the person holds.

    The fingers stay off for at least `dwell_s`, so that one step without contact while the
    person pulls does not count, and the person holds the tool to the end of the trace.
    """
    lost = np.flatnonzero(trace.held_part == NO_PART)
    held_from = int(lost[-1]) + 1 if len(lost) else 0
    off = ~trace.finger_contact
    off[:held_from] = False
    return next((begin for begin, _ in stretches(off, steps_of(dwell_s, trace.physics_hz))), None)


def presented_step(trace: Trace, scenario: Scenario, lifted: int) -> int | None:
    """Return the first step after the lift from which the tip was still for `STILL_S`."""
    still = tip_speed(trace, scenario) < STILL_M_S
    still[:lifted] = False
    return next((begin for begin, _ in stretches(still, steps_of(STILL_S, trace.physics_hz))),
                None)


def blade_to_hand_angle(trace: Trace, scenario: Scenario) -> Array:
    """Return the blade-to-hand angle (T,) in rad: 0 points at the hand, pi is handle first."""
    handle = point_of(trace, scenario.tool.handle_point_m)
    return angle_between(x_axis_of(trace.object_pose), position_of(trace.hand_pose) - handle)


def approach_angle(trace: Trace, handle_first: bool) -> Array:
    """Return the angle (T,) in rad about the vertical from into the palm to the offered end."""
    offered = (-1.0 if handle_first else 1.0) * x_axis_of(trace.object_pose)
    return turn_about_z(-x_axis_of(trace.hand_pose), offered)


def edge_clearance(trace: Trace, scenario: Scenario) -> dict[str, Array]:
    """Return for each body part the distance (T,) in m from the hazard to its capsule's skin."""
    hazard = scenario.tool.hazard
    heel, tip = point_of(trace, hazard.heel_m), point_of(trace, hazard.tip_m)
    return {part: segment_distance(heel, tip, ends[:, 0], ends[:, 1])
            - trace.capsule_radius_m[part] - hazard.radius_m
            for part, ends in trace.capsule_ends.items()}


def thrust_miss(trace: Trace, scenario: Scenario, part: str) -> Array:
    """Return the distance (T,) in m by which a thrust along the blade misses; below 0 it hits."""
    ends = trace.capsule_ends[part]
    return (ray_segment_distance(point_of(trace, scenario.tool.hazard.tip_m),
                                 x_axis_of(trace.object_pose), ends[:, 0], ends[:, 1])
            - trace.capsule_radius_m[part])


def tip_speed(trace: Trace, scenario: Scenario) -> Array:
    """Return the speed (T,) of the tip in m/s, 0 at the first step."""
    return _speed(point_of(trace, scenario.tool.hazard.tip_m), trace.physics_hz)


def tool_speed(trace: Trace) -> Array:
    """Return the speed (T,) of the tool centre point in m/s, 0 at the first step."""
    return _speed(position_of(trace.tool_pose), trace.physics_hz)


def separation_margin(nearest_m: Array, hazard_m_s: Array) -> Array:
    """Return the clearance (T,) in m less the protective separation distance.

    ISO/TS 15066:2016, 5.5.4, with the hazard's own speed for the robot's:
    S_p = v_h (T_r + T_s) + v_r T_r + v_r T_s / 2 + C + Z_d + Z_r. A handover goes below 0 by its
    nature; the figure is the distance that a monitored standstill has to make up for.
    """
    separation = (PERSON_M_S * (REACTION_S + STOP_S) + hazard_m_s * (REACTION_S + STOP_S / 2)
                  + INTRUSION_M + PERSON_UNCERTAINTY_M + ROBOT_UNCERTAINTY_M)
    return nearest_m - separation


def rms_jerk(trace: Trace, begin: int, end: int) -> float | None:
    """Return the root mean square jerk in m/s^3 of the tool centre point between two steps.

    Third differences over steps of 0.05 s; None for fewer than four of these.
    """
    every = max(1, round(_JERK_STEP_S * trace.physics_hz))
    positions = position_of(trace.tool_pose)[begin:end:every]
    if len(positions) < 4:
        return None
    jerk = np.diff(positions, n=3, axis=0) * (trace.physics_hz / every) ** 3
    return float(np.sqrt((jerk ** 2).sum(axis=1).mean()))


def reach_distance(trace: Trace, scenario: Scenario) -> Array:
    """Return the distance (T,) in m from the palm to the nearest of the tool's parts, boxes."""
    palm = np.einsum('tij,ti->tj', rotation_of(trace.object_pose),
                     position_of(trace.hand_pose) - position_of(trace.object_pose))
    return np.min([np.linalg.norm(np.maximum(
        np.abs(palm - part.center_m) - np.asarray(part.size_m) / 2, 0.0), axis=-1)
        for part in scenario.tool.parts.values()], axis=0)


def offered_pose(trace: Trace, scenario: Scenario, taken: int) -> Offer:
    """Return handle point and tip (6,) in the hand's frame, in m, at the step `taken`."""
    turn = rotation_of(trace.hand_pose[taken]).T
    place = rotation_of(trace.object_pose[taken])
    origin = position_of(trace.object_pose[taken]) - position_of(trace.hand_pose[taken])
    points = (scenario.tool.handle_point_m, scenario.tool.hazard.tip_m)
    (x, y, z), (u, v, w) = ((turn @ (origin + place @ np.asarray(point))).tolist()
                            for point in points)
    return x, y, z, u, v, w


def path_bow(trace: Trace, lifted: int, taken: int) -> tuple[float, float]:
    """Return the bow in m of the tool's way to the left and up from a straight line.

    It is the greatest departure with its sign, from step `lifted` to step `taken`; left is seen
    along the line.
    """
    way = position_of(trace.object_pose)[lifted:taken + 1]
    along = way[-1] - way[0]
    level = np.array([along[0], along[1], 0.0])
    length = float(np.linalg.norm(level))
    if length < 1e-6:
        return 0.0, 0.0
    left = cross(np.array([0.0, 0.0, 1.0]), level / length)
    progress = np.clip((way - way[0]) @ along / float(along @ along), 0.0, 1.0)
    apart = way - way[0] - progress[:, None] * along
    sideways, up = apart @ left, apart[:, 2]
    return (float(sideways[np.argmax(np.abs(sideways))]), float(up[np.argmax(np.abs(up))]))


def point_of(trace: Trace, point_m: tuple[float, float, float]) -> Array:
    """Return the places (T, 3) of a point of the tool in the base frame."""
    return transform_point(trace.object_pose, point_m)


def steps_of(duration_s: float, physics_hz: float) -> int:
    """Return the number of physics steps in a duration, rounded up."""
    # 0.1 s * 240 Hz is 24.000000000000004 in floats: round before rounding up.
    return math.ceil(round(duration_s * physics_hz, 6))


def first(flags: NDArray[np.bool_]) -> int | None:
    """Return the first step at which a flag holds, None if it never does."""
    return int(np.argmax(flags)) if flags.any() else None


def stretches(flags: NDArray[np.bool_], least_steps: int = 1) -> list[tuple[int, int]]:
    """Return (first, one past last) of every run of True of at least `least_steps`."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return [(begin, end) for begin, end in zip(
        np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True)
        if end - begin >= least_steps]


def _speed(positions: Array, physics_hz: float) -> Array:
    speed = np.zeros(len(positions))
    speed[1:] = np.linalg.norm(np.diff(positions, axis=0), axis=-1) * physics_hz
    return speed
