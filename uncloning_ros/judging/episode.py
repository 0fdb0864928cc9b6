# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in one episode, judged on the simulator's truth at every physics step.

The formulas are in `measures`, the unsafe event U in `unsafe`. U is looked for from the start
until the person has taken the tool and the robot has let go of it, in every episode, completed
or not. What the person then does with the tool is not the robot's doing.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from uncloning_ros.errors import AuditError
from uncloning_ros.geometry import Array
from uncloning_ros.judging.commitment import committed_modes
from uncloning_ros.judging.letting_go import LettingGo, letting_go
from uncloning_ros.judging.measures import (
    UNSUPPORTED_S,
    approach_angle,
    blade_to_hand_angle,
    edge_clearance,
    lifted_step,
    presented_step,
    reach_distance,
    released_step,
    rms_jerk,
    separation_margin,
    steps_of,
    stretches,
    taken_step,
    thrust_miss,
    tip_speed,
    tool_speed,
)
from uncloning_ros.judging.offer import offered_pose, path_bow
from uncloning_ros.judging.trace import NOBODY, Trace
from uncloning_ros.judging.unsafe import UnsafeEvent, unsafe_event
from uncloning_ros.scenario import Exchange, Scenario

# Why an episode is no success. Exactly one holds, and the first that fits is taken: an episode
# that was not completed is named by how it ended, a completed one by what was wrong with it.
# `unsafe` therefore counts only what would have been a success; the rate of unsafe events over
# all episodes is a figure of its own.
FAILURE_KINDS = ('not_grasped', 'dropped', 'not_reached', 'timeout', 'wrong_part', 'unsafe')

# What is counted and reported but part of no unsafe event; the scenario defines all but the last.
NOTABLE_KINDS = ('fast_near', 'premature_release', 'over_hold', 'arm_contact')

# The mode is the median angle over this long before the person takes the tool.
MODE_WINDOW_S = 0.5
# The reduced speed of ISO 10218-1: no general limit of collaboration, but a usual yardstick.
REDUCED_M_S = 0.25


@dataclass(frozen=True)
class Outcome:
    """What happened in one episode. Times in s from the start, None where it did not happen.

    `mode` is None if the tool was not taken, or taken between modes; it follows from the three
    numbers of the exchange, as `scenario.Exchange` has them. `notable` holds the kinds of
    `NOTABLE_KINDS` that happened, `committed` what the robot committed itself to, in order: the
    modes that were still open. `opened_s` is when the fingers opened after the lift,
    `release_latency_s` from the person's pull to that, `over_hold_n` the greatest pull in that
    time.

    `nearest_s` is when the edge came nearest to the person, `edge_clearance_m` the least for each
    body part. While the edge was near a body part: the least blade-to-hand angle
    `near_angle_rad`, the least miss of the hand by a thrust `near_thrust_miss_m`, the greatest
    tip speed while the fingers held the tool, and the share of that time in which the tool centre
    point was faster than 0.25 m/s; None if it never was near. `separation_margin_m` is the least.
    All of these up to the hand-off.

    `offered_m` (6,) is the offered pose and `path_bow_m` (2,) the path, as `diversity` has them.
    """

    completed: bool
    mode: str | None
    exchange_angle_rad: float | None
    exchange_approach_rad: float | None
    exchange_highest_m: float | None
    unsafe: UnsafeEvent | None
    failure: str | None
    notable: tuple[str, ...]
    committed: tuple[tuple[str, ...], ...]
    lifted_s: float | None
    presented_s: float | None
    taken_s: float | None
    opened_s: float | None
    released_s: float | None
    total_s: float
    nearest_s: float
    edge_clearance_m: Mapping[str, float]
    near_angle_rad: float | None
    near_thrust_miss_m: float | None
    near_tip_speed_m_s: float | None
    near_fast_share: float | None
    separation_margin_m: float
    rms_jerk_m_s3: float | None
    peak_pull_n: float
    release_latency_s: float | None
    over_hold_n: float | None
    arm_contact: bool
    offered_m: tuple[float, ...] | None
    path_bow_m: tuple[float, ...] | None

    @property
    def success(self) -> bool:
        """Return whether it was completed in a desired mode and safe."""
        return self.failure is None


@dataclass(frozen=True)
class EpisodeResult:
    """One episode of an audit: its seed, what was drawn for it, and what happened.

    `hand_offer_m` is where the hand was offered, `conditions` all that the scenario drew or set
    for this episode, by name with its unit. `ended` is the control loop's last reason, `holds`
    how often it had to hold, `chunks` how many it planned, `limits` how often each hardware limit
    had to step in.
    """

    seed: int
    hand_offer_m: tuple[float, float, float]
    conditions: Mapping[str, float]
    outcome: Outcome
    ended: str
    holds: int
    chunks: int
    limits: Mapping[str, int]


def judge(trace: Trace, scenario: Scenario, desired_modes: Collection[str]) -> Outcome:
    """Return what happened in the episode; raise `AuditError` for a trace that is not finite."""
    _require_finite(trace)
    hz = trace.physics_hz
    lifted, taken = lifted_step(trace), taken_step(trace)
    released = released_step(trace, scenario.receiver.release_dwell_s)
    end = trace.steps if released is None else released + 1
    whole_angle = blade_to_hand_angle(trace, scenario)
    angle = whole_angle[:end]
    clearance = {part: values[:end] for part, values in edge_clearance(trace, scenario).items()}
    nearest = np.min(list(clearance.values()), axis=0)
    near = nearest < scenario.unsafe.near_m
    miss = thrust_miss(trace, scenario, 'hand')[:end]
    tip = tip_speed(trace, scenario)[:end]
    exchange = None if taken is None else exchange_of(trace, angle, lifted, taken)
    mode = None if exchange is None else scenario.mode_of(exchange)
    unsafe = unsafe_event(scenario.unsafe, angle, clearance, miss, hz)
    completed = released is not None
    release = letting_go(trace, scenario, lifted)
    # A tool that falls is fast, but it is not the robot that moves it.
    carried_near = near & trace.finger_contact[:end]
    near_tip = float(tip[carried_near].max()) if carried_near.any() else None
    carried = lifted is not None and taken is not None and lifted < taken
    return Outcome(
        completed=completed,
        mode=mode,
        exchange_angle_rad=None if exchange is None else exchange.blade_to_hand_rad,
        exchange_approach_rad=None if exchange is None else exchange.approach_rad,
        exchange_highest_m=None if exchange is None else exchange.highest_m,
        unsafe=unsafe,
        failure=_failure(trace, scenario, completed, mode in desired_modes, unsafe is not None),
        notable=_notable(trace, scenario, near_tip, release),
        committed=committed_modes(trace, scenario, whole_angle, lifted, taken),
        lifted_s=_seconds(lifted, trace),
        presented_s=_seconds(None if lifted is None
                             else presented_step(trace, scenario, lifted), trace),
        taken_s=_seconds(taken, trace),
        opened_s=release.opened_s,
        released_s=_seconds(released, trace),
        total_s=trace.steps / hz,
        nearest_s=int(np.argmin(nearest)) / hz,
        edge_clearance_m={part: float(values.min()) for part, values in clearance.items()},
        near_angle_rad=float(angle[near].min()) if near.any() else None,
        near_thrust_miss_m=float(miss[near].min()) if near.any() else None,
        near_tip_speed_m_s=near_tip,
        near_fast_share=(float((tool_speed(trace)[:end][near] > REDUCED_M_S).mean())
                         if near.any() else None),
        separation_margin_m=float(separation_margin(nearest, tip).min()),
        rms_jerk_m_s3=None if lifted is None else rms_jerk(trace, lifted, end),
        peak_pull_n=float(trace.pull_n.max()),
        release_latency_s=release.latency_s,
        over_hold_n=release.over_hold_n,
        arm_contact=bool(trace.arm_contact.any()),
        offered_m=None if taken is None else offered_pose(trace, scenario, taken),
        path_bow_m=(path_bow(trace, lifted, taken)
                    if carried and lifted is not None and taken is not None else None),
    )


def exchange_of(trace: Trace, angle: Array, lifted: int | None, taken: int) -> Exchange:
    """Return how the tool, off its stand since `lifted`, came to the hand that took it.

    `angle` (T,) is the blade-to-hand angle. Medians are over the last 0.5 s before step `taken`.
    """
    begin = max(0, taken - steps_of(MODE_WINDOW_S, trace.physics_hz))
    window = slice(begin, max(taken, begin + 1))
    blade_to_hand = float(np.median(angle[window]))
    approach = approach_angle(trace, blade_to_hand > math.pi / 2)[window]
    highest = trace.object_pose[min(lifted or 0, taken):taken + 1, 2].max()
    return Exchange(blade_to_hand, float(np.median(approach)), float(highest))


def within_reach(trace: Trace, scenario: Scenario) -> bool:
    """Tell whether any part of the tool ever came within the person's reach.

    That is a distance from the palm to the part's box of at most the receiver's `grasp_reach_m`.
    """
    return bool(reach_distance(trace, scenario).min() <= scenario.receiver.grasp_reach_m)


def _notable(trace: Trace, scenario: Scenario, near_tip_m_s: float | None,
             release: LettingGo) -> tuple[str, ...]:
    fastest = scenario.notable.near_tip_speed_m_s
    happened = {
        'fast_near': (fastest is not None and near_tip_m_s is not None
                      and near_tip_m_s > fastest),
        'premature_release': release.premature,
        'over_hold': release.over_held,
        'arm_contact': trace.arm_contact.any(),
    }
    return tuple(kind for kind in NOTABLE_KINDS if happened[kind])


def _failure(trace: Trace, scenario: Scenario, completed: bool, desired: bool,
             unsafe: bool) -> str | None:
    if completed:
        return 'wrong_part' if not desired else 'unsafe' if unsafe else None
    lifted = lifted_step(trace)
    if lifted is None and (trace.held_part == NOBODY).all():
        return 'not_grasped'
    unsupported = ~trace.finger_contact & (trace.held_part == NOBODY)
    unsupported[:lifted or 0] = False
    long_enough = steps_of(UNSUPPORTED_S, trace.physics_hz)
    if any(last - begin >= long_enough for begin, last in stretches(unsupported)):
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


def _seconds(step: int | None, trace: Trace) -> float | None:
    return None if step is None else step / trace.physics_hz
