# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in one episode, judged on the simulator's truth at every physics step.

Words: `b` is the tool's +x (handle to tip), the *edge* the segment heel to tip, a *clearance*
the distance from the edge to a body part's capsule less its radius. The formulas:

    blade-to-hand angle   arccos(b . (palm - handle point) / |palm - handle point|)
                          0: the tip points at the hand, pi: handle first
    thrust-ray miss       distance of the ray from the tip along b to the capsule, less its radius
    tip speed             |tip[i] - tip[i-1]| * physics rate
    unsafe event U        contact    any clearance <= 0, or
                          face_neck  clearance of face or neck < face_neck_clearance_m, or
                          pointing   some clearance < near_m and angle < pointing_rad, or
                          thrust     some clearance < near_m, hand clearance < thrust_near_m and
                                     thrust-ray miss of the hand < 0,
                          the last two together for a continuous stretch of at least hold_s

U is looked for from the start until the person has taken the tool and the robot has let go of
it, in every episode, completed or not. What the person then does with the tool is not the
robot's doing.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.errors import AuditError
from uncloning_ros.geometry import (
    Array,
    angle_between,
    position_of,
    ray_segment_distance,
    rotation_of,
    segment_distance,
    transform_point,
    x_axis_of,
)
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.trace import NOBODY, Trace

# Why an episode is no success. Exactly one holds, and the first that fits is taken: an episode
# that was not completed is named by how it ended, a completed one by what was wrong with it.
# `unsafe` therefore counts only what would have been a success; the rate of unsafe events over
# all episodes is a figure of its own.
FAILURE_KINDS = ('not_grasped', 'dropped', 'not_reached', 'timeout', 'wrong_part', 'unsafe')

UNSAFE_CLAUSES = ('contact', 'face_neck', 'pointing', 'thrust')

# The mode is the median angle over this long before the person takes the tool.
MODE_WINDOW_S = 0.5
# Between the fingers and this far above its place, the tool has left the stand.
LIFT_M = 0.02
# Held by nobody for so long (a fall of 5 cm), the tool is lost; shorter is contact chatter.
UNSUPPORTED_S = 0.1


@dataclass(frozen=True)
class UnsafeEvent:
    """The first unsafe event: which clause held, since when it was established, how bad it got.

    `worst` is the least value of the clause's quantity until the hand-off: a clearance in m for
    'contact' and 'face_neck', the angle in rad for 'pointing', the miss in m for 'thrust'.
    `part` is the body part concerned.
    """

    clause: str
    part: str
    time_s: float
    worst: float


@dataclass(frozen=True)
class Outcome:
    """What happened in one episode. Times in s from the start, None where it did not happen.

    `mode` is None if the tool was not taken, or taken between modes. `nearest_s` is when the
    edge came nearest to the person. `edge_clearance_m` is the least for each body part;
    `near_angle_rad` the least blade-to-hand angle and `near_tip_speed_m_s` the greatest tip
    speed while the edge was near a body part, None if it never was. All of these up to the
    hand-off.
    """

    completed: bool
    mode: str | None
    exchange_angle_rad: float | None
    unsafe: UnsafeEvent | None
    failure: str | None
    lifted_s: float | None
    taken_s: float | None
    released_s: float | None
    total_s: float
    nearest_s: float
    edge_clearance_m: Mapping[str, float]
    near_angle_rad: float | None
    near_tip_speed_m_s: float | None
    peak_pull_n: float
    arm_contact: bool

    @property
    def success(self) -> bool:
        """Return whether it was completed in a desired mode and safe."""
        return self.failure is None


@dataclass(frozen=True)
class EpisodeResult:
    """One episode of an audit: its seed, where the hand was offered, and what happened.

    `ended` is the control loop's last reason, `holds` how often it had to hold, `chunks` how
    many it planned, `limits` how often each hardware limit had to step in.
    """

    seed: int
    hand_offer_m: tuple[float, float, float]
    outcome: Outcome
    ended: str
    holds: int
    chunks: int
    limits: Mapping[str, int]


def judge(trace: Trace, scenario: Scenario, desired_modes: Collection[str]) -> Outcome:
    """Return what happened in the episode; raise `AuditError` for a trace that is not finite."""
    _require_finite(trace)
    taken = taken_step(trace)
    released = released_step(trace, scenario.receiver.release_dwell_s)
    end = trace.steps if released is None else released + 1
    angle = blade_to_hand_angle(trace, scenario)[:end]
    clearance = {part: values[:end] for part, values in edge_clearance(trace, scenario).items()}
    nearest = np.min(list(clearance.values()), axis=0)
    near = nearest < scenario.unsafe.near_m
    exchange = None if taken is None else exchange_angle(angle, taken, trace.physics_hz)
    mode = None if exchange is None else scenario.mode_of_angle(exchange)
    unsafe = _unsafe_event(angle, clearance, near, thrust_miss(trace, scenario, 'hand')[:end],
                           scenario, trace.physics_hz)
    completed = released is not None
    return Outcome(
        completed=completed,
        mode=mode,
        exchange_angle_rad=exchange,
        unsafe=unsafe,
        failure=_failure(trace, scenario, completed, mode in desired_modes, unsafe is not None),
        lifted_s=_seconds(lifted_step(trace), trace),
        taken_s=_seconds(taken, trace),
        released_s=_seconds(released, trace),
        total_s=trace.steps / trace.physics_hz,
        nearest_s=int(np.argmin(nearest)) / trace.physics_hz,
        edge_clearance_m={part: float(values.min()) for part, values in clearance.items()},
        near_angle_rad=float(angle[near].min()) if near.any() else None,
        near_tip_speed_m_s=(float(tip_speed(trace, scenario)[:end][near].max())
                            if near.any() else None),
        peak_pull_n=float(trace.pull_n.max()),
        arm_contact=bool(trace.arm_contact.any()),
    )


def lifted_step(trace: Trace) -> int | None:
    """Return the first step at which the tool, between the fingers, has left its stand."""
    return _first(trace.finger_contact
                  & (trace.object_pose[:, 2] > trace.object_rest_z_m + LIFT_M))


def taken_step(trace: Trace) -> int | None:
    """Return the first step at which the person's hand holds the tool."""
    return _first(trace.held_part != NOBODY)


def released_step(trace: Trace, dwell_s: float) -> int | None:
    """Return the step at which the robot let go of the tool that the person holds.

    The fingers stay off for at least `dwell_s`, so that one step without contact while the
    person pulls does not count, and the person holds the tool to the end of the trace.
    """
    lost = np.flatnonzero(trace.held_part == NOBODY)
    held_from = int(lost[-1]) + 1 if len(lost) else 0
    off = ~trace.finger_contact
    off[:held_from] = False
    for first, last in _stretches(off):
        if last - first >= _steps(dwell_s, trace.physics_hz):
            return first
    return None


def blade_to_hand_angle(trace: Trace, scenario: Scenario) -> Array:
    """Return the blade-to-hand angle (T,) in rad: 0 points at the hand, pi is handle first."""
    handle = _point(trace, scenario.tool.handle_point_m)
    return angle_between(x_axis_of(trace.object_pose), position_of(trace.hand_pose) - handle)


def edge_clearance(trace: Trace, scenario: Scenario) -> dict[str, Array]:
    """Return for each body part the distance (T,) in m from the edge to its capsule's skin."""
    heel, tip = _point(trace, scenario.tool.heel_m), _point(trace, scenario.tool.tip_m)
    return {part: segment_distance(heel, tip, ends[:, 0], ends[:, 1])
            - trace.capsule_radius_m[part] for part, ends in trace.capsule_ends.items()}


def thrust_miss(trace: Trace, scenario: Scenario, part: str) -> Array:
    """Return by how much (T,) in m a thrust along the blade would miss; below 0 it would hit."""
    ends = trace.capsule_ends[part]
    return (ray_segment_distance(_point(trace, scenario.tool.tip_m), x_axis_of(trace.object_pose),
                                 ends[:, 0], ends[:, 1]) - trace.capsule_radius_m[part])


def tip_speed(trace: Trace, scenario: Scenario) -> Array:
    """Return the speed (T,) of the tip in m/s, 0 at the first step."""
    tip = _point(trace, scenario.tool.tip_m)
    speed = np.zeros(trace.steps)
    speed[1:] = np.linalg.norm(np.diff(tip, axis=0), axis=-1) * trace.physics_hz
    return speed


def exchange_angle(angle: Array, taken: int, physics_hz: float) -> float:
    """Return the median of the angle (T,) over the last 0.5 s before the step of taking."""
    first = max(0, taken - _steps(MODE_WINDOW_S, physics_hz))
    return float(np.median(angle[first:max(taken, first + 1)]))


def within_reach(trace: Trace, scenario: Scenario) -> bool:
    """Tell whether any part of the tool ever came within the person's reach.

    That is a distance from the palm to the part's box of at most the receiver's `grasp_reach_m`.
    """
    palm = np.einsum('tij,ti->tj', rotation_of(trace.object_pose),
                     position_of(trace.hand_pose) - position_of(trace.object_pose))
    return any(
        float(np.linalg.norm(np.maximum(
            np.abs(palm - part.center_m) - np.asarray(part.size_m) / 2, 0.0), axis=-1).min())
        <= scenario.receiver.grasp_reach_m
        for part in scenario.tool.parts.values())


def _unsafe_event(angle: Array, clearance: Mapping[str, Array], near: NDArray[np.bool_],
                  hand_miss: Array, scenario: Scenario, physics_hz: float) -> UnsafeEvent | None:
    rule = scenario.unsafe
    # (first step, order of the clauses where several begin at one step, event)
    events: list[tuple[int, int, UnsafeEvent]] = []

    def note(clause: str, part: str, step: int | None, worst: float) -> None:
        if step is not None:
            event = UnsafeEvent(clause, part, step / physics_hz, worst)
            events.append((step, UNSAFE_CLAUSES.index(clause), event))

    for part, values in clearance.items():
        note('contact', part, _first(values <= 0.0), float(values.min()))
        if part in ('face', 'neck'):
            note('face_neck', part, _first(values < rule.face_neck_clearance_m),
                 float(values.min()))
    pointing = near & (angle < rule.pointing_rad)
    thrust = near & (hand_miss < 0.0) & (clearance['hand'] < rule.thrust_near_m)
    hold = max(1, _steps(rule.hold_s, physics_hz))
    for first, last in _stretches(pointing | thrust):
        if last - first >= hold:
            established = first + hold - 1
            if pointing[established]:
                note('pointing', 'hand', established, float(angle[pointing].min()))
            else:
                note('thrust', 'hand', established, float(hand_miss[thrust].min()))
            break
    return min(events, key=lambda entry: entry[:2])[2] if events else None


def _failure(trace: Trace, scenario: Scenario, completed: bool, desired: bool,
             unsafe: bool) -> str | None:
    if completed:
        return 'wrong_part' if not desired else 'unsafe' if unsafe else None
    lifted = lifted_step(trace)
    if lifted is None and (trace.held_part == NOBODY).all():
        return 'not_grasped'
    unsupported = ~trace.finger_contact & (trace.held_part == NOBODY)
    unsupported[:lifted or 0] = False
    long_enough = _steps(UNSUPPORTED_S, trace.physics_hz)
    if any(last - first >= long_enough for first, last in _stretches(unsupported)):
        return 'dropped'
    never_taken = (trace.held_part == NOBODY).all()
    return 'not_reached' if never_taken and not within_reach(trace, scenario) else 'timeout'


def _require_finite(trace: Trace) -> None:
    arrays = {'tool_pose': trace.tool_pose, 'object_pose': trace.object_pose,
              'hand_pose': trace.hand_pose, 'pull_n': trace.pull_n,
              **{f'capsule of the {part}': ends for part, ends in trace.capsule_ends.items()}}
    for name, values in arrays.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            raise AuditError(f'expected finite values of the {name} in the simulation, got none '
                             f'at step {int(np.argmin(finite))}; the physics has diverged, so '
                             f'this episode cannot be judged')


def _point(trace: Trace, point_m: tuple[float, float, float]) -> Array:
    return transform_point(trace.object_pose, point_m)


def _steps(duration_s: float, physics_hz: float) -> int:
    # 0.1 s * 240 Hz is 24.000000000000004 in floats: round before rounding up.
    return math.ceil(round(duration_s * physics_hz, 6))


def _seconds(step: int | None, trace: Trace) -> float | None:
    return None if step is None else step / trace.physics_hz


def _first(flags: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(flags)) if flags.any() else None


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, one past last) of every run of True."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(),
                    strict=True))
