# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognise the mode of a recorded episode by a geometric rule, or abstain."""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY, Contract, Interface
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.labels import Label
from uncloning_ros.demos.episodes.tracks import Times, Track
from uncloning_ros.geometry import (
    Array,
    angle_between,
    segment_distance,
    transform_point,
    turn_about_z,
    x_axis_of,
)
from uncloning_ros.scenario import Exchange, Scenario

_WINDOW_NS = 500_000_000  # time (ns) before the exchange whose median angle counts
_LEAST_SAMPLES = 5  # tool poses in that window: a median of fewer proves nothing
# Opening (m) beyond the held width that is letting go, as fingers that hold are still: half the
# thickness of a thin handle, ten times the jitter of a gripper's encoder.
_LET_GO_M = 0.008
# Distance (m) from a tool to the tool centre point that holds it: half the length of a finger, and
# the tracking noise of two poses.
_HELD_M = 0.05
# Distance (m) from a tool to the palm that takes it: the thickness of a hand, and noise.
_TAKEN_M = 0.10


@dataclass(frozen=True)
class RuleLabel:
    """The answer of the geometric rule; `mode` is None where it abstains, `reason` tells why.

    `angle_rad` is the blade-to-hand angle at the exchange, None where there was no exchange.
    `confidence` is the share of the samples that alone would give this mode.
    """

    reason: str
    mode: str | None = None
    angle_rad: float | None = None
    confidence: float = 0.0


def rule_label(contract: Contract, scenario: Scenario, episode: Episode) -> RuleLabel:
    """Recognise the mode of an episode, or abstain.

    The mode is the scenario's for the median blade-to-hand angle over the last 0.5 s before
    the exchange; the angle lies between the tool's +x and the line from its handle point to the
    palm.
    Times are the stamps of the measurements, so the tracking's latency does not count.
    """
    if isinstance(exchange_ns := exchange_of(contract, scenario, episode), str):
        return RuleLabel(exchange_ns)
    objects, hands = (Track.of(episode.samples[key]) for key in (OBJECT_KEY, HAND_KEY))
    window = ((objects.stamps_ns > exchange_ns - _WINDOW_NS)
              & (objects.stamps_ns <= exchange_ns))
    if np.count_nonzero(window) < _LEAST_SAMPLES:
        return RuleLabel(f'expected at least {_LEAST_SAMPLES} tool poses in the last 0.5 s before '
                         f'the exchange, got {np.count_nonzero(window)}')
    poses = objects.values[window]
    palms = hands.at(objects.stamps_ns[window])
    handle = transform_point(poses, np.asarray(scenario.tool.handle_point_m))
    angles = angle_between(x_axis_of(poses), palms[..., :3] - handle)
    angle_rad = float(np.median(angles))
    offered = (-1.0 if angle_rad > np.pi / 2 else 1.0) * x_axis_of(poses)
    approaches = turn_about_z(-x_axis_of(palms), offered)
    heights = objects.values[objects.stamps_ns <= exchange_ns][:, 2]
    exchange = Exchange(angle_rad, float(np.median(approaches)), float(heights.max()))
    mode = scenario.mode_of(exchange)
    degrees = np.degrees(angle_rad)
    if mode is None:
        return RuleLabel(f'the blade-to-hand angle of {degrees:.0f} degrees at the exchange '
                         f'belongs to no mode', angle_rad=angle_rad)
    if mode not in contract.interface.modes:
        return RuleLabel(f'the contract has no mode {mode!r}', angle_rad=angle_rad)
    confidence = float(np.mean([
        scenario.mode_of(Exchange(float(angle), float(approach), exchange.highest_m)) == mode
        for angle, approach in zip(angles, approaches, strict=True)]))
    return RuleLabel(f'blade-to-hand angle {degrees:.0f} degrees at the exchange', mode, angle_rad,
                     confidence)


def exchange_of(contract: Contract, scenario: Scenario, episode: Episode) -> int | str:
    """Return the time (ns) at which the robot let go of the tool in the hand, or why it did not.

    It is the last time that the gripper lets go of the tool while the hand is at it; the tool has
    to stay with the hand.
    """
    width_key, tool_key = contract.interface.width_key, contract.interface.arm_pose_key
    lacking = rule_lacks(contract.interface)
    if width_key is None or tool_key is None or lacking:
        return f'the contract has no {" and no ".join(lacking)}'
    width, tool, objects, hands = (Track.of(episode.samples[key])
                                   for key in (width_key, tool_key, OBJECT_KEY, HAND_KEY))
    ends = _tool_ends(scenario)

    def gap(pose: Array, point: Array) -> Array:
        """Return the distances of points (..., 3) from the tool's length at poses (..., 9)."""
        return segment_distance(transform_point(pose, ends[0]), transform_point(pose, ends[1]),
                                point, point)

    exchange_ns, reason = None, 'the gripper never let go'
    for release_ns in _releases(width.stamps_ns, width.values[:, 0],
                                contract.deployment.episode_end.open_width_m):
        pose = objects.at(release_ns)
        held_m = float(gap(pose, tool.at(release_ns)[:3]))
        hand_m = float(gap(pose, hands.at(release_ns)[:3]))
        if held_m > _HELD_M:
            reason = f'the gripper opened {held_m:.2f} m away from the tool'
        elif hand_m > _TAKEN_M:
            reason = (f'the gripper let go with the hand {hand_m:.2f} m from the tool, farther '
                      f'than {_TAKEN_M} m')
        else:
            exchange_ns = release_ns
    if exchange_ns is None:
        return reason
    if float(gap(objects.values[-1], hands.values[-1][:3])) > _TAKEN_M:
        return 'the tool did not stay with the hand'
    return exchange_ns


def rule_lacks(interface: Interface) -> list[str]:
    """Return the observations that every scenario's rule needs and a contract lacks."""
    return [name for name, key in (('gripper width', interface.width_key),
                                   (TOOL_KEY, interface.arm_pose_key),
                                   (OBJECT_KEY, OBJECT_KEY), (HAND_KEY, HAND_KEY))
            if key not in interface.observation_slices]


def _releases(width_ns: Times, width_m: Array, open_m: float) -> list[int]:
    """Return the times (ns) at which a closed gripper began to open.

    Closed is below `open_m`; the fingers hold at the smallest width of that stretch.
    """
    closed = np.concatenate(([False], width_m < open_m, [False]))
    steps = np.diff(closed.astype(np.int8))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    releases = []
    for start, end in zip(starts, ends, strict=True):
        if end == len(width_m):
            continue  # still closed when the recording ended
        stretch = width_m[start:end]
        held = np.flatnonzero(stretch < stretch.min() + _LET_GO_M)
        releases.append(int(width_ns[start + held[-1]]))
    return releases


def _tool_ends(scenario: Scenario) -> tuple[Array, Array]:
    """Return the two ends of the tool's length, on its own x axis."""
    low = min(part.center_m[0] - part.size_m[0] / 2 for part in scenario.tool.parts.values())
    high = max(part.center_m[0] + part.size_m[0] / 2 for part in scenario.tool.parts.values())
    return np.array([low, 0.0, 0.0]), np.array([high, 0.0, 0.0])


def label_of_rule(found: RuleLabel, scenario: Scenario, at: str) -> Label:
    """Return the rule's answer as a label; where it abstains, one that withdraws."""
    return Label(found.mode, 'rule', found.confidence, at,
                 f'{scenario.name}@{scenario.sha256[:12]}')
