# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up handovers as samples and as bags; no physics, every number is known."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import inputs
import numpy as np

from uncloning_ros.contract import Contract, PolicyTiming
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode, EpisodeMetadata
from uncloning_ros.demos.bags.layout import episode_name
from uncloning_ros.demos.bags.verdict import Health
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.geometry import Array, pose_from_parts, rotation_about_z
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain


def _contract() -> Contract:
    """Return the shipped contract with timing and ages that stay, whatever is tuned there."""
    shipped = inputs.CONTRACT
    ages_s = {'tool_pose': 0.1, 'gripper_width': 0.1, 'object_pose': 0.3, 'hand_pose': 0.3,
              'wrist_force': 0.1}
    topics = {key: replace(topic, max_age_s=ages_s[key], max_unchanged_s=None)
              for key, topic in shipped.deployment.observations.items()}
    return replace(shipped, policy=PolicyTiming(rate_hz=20.0, history=2, horizon=16, execute=8),
                   deployment=replace(shipped.deployment, observations=topics))


CONTRACT = _contract()
KNIFE = find_scenario('knife')
MS = 1_000_000
BEGIN_NS = 10_000 * MS  # a stamp of 0 means that there is none
METADATA = EpisodeMetadata('afternoon', 3, 'Ada', 'handle_first', '0.1.0', 7)

# Degrees of the blade-to-hand angle, and how far the palm then is from the handle point in m:
# behind the handle's end, and in front of the blade's tip.
HANDLE_FIRST = (175.0, 0.08)
BLADE_FIRST = (5.0, 0.24)
CROSSWISE = (90.0, 0.08)

Samples = dict[str, list[Sample]]


def handover(presented: tuple[float, float] = HANDLE_FIRST, seed: int = 0,
             duration_s: float = 3.0, close_s: float = 0.8, open_s: float = 2.2) -> Samples:
    """Return 40 Hz observations and 20 Hz commands of one handover.

    The tool is at the hand 0.6 s before the gripper opens and stays there; tracked poses arrive
    50 ms late. The values differ a little with the seed.
    """
    rng = np.random.default_rng(seed)
    yaw, lift = rng.uniform(-0.3, 0.3), rng.uniform(0.1, 0.2)
    blade = rotation_about_z(yaw) @ (1.0, 0.0, 0.0)
    degrees, reach_m = presented
    to_hand = rotation_about_z(yaw + math.radians(degrees)) @ (1.0, 0.0, 0.0)
    handle = np.array(KNIFE.tool.handle_point_m)[0] * blade
    samples: Samples = {key: [] for key in CONTRACT.deployment.observations}
    samples |= {key: [] for key in CONTRACT.deployment.actions}
    rest, there = np.array([0.4, 0.0, 0.08]), np.array([0.6, 0.1, 0.2 + lift])
    rotation = rotation_about_z(yaw)

    def put(key: str, values: Iterable[float], stamp_ns: int, late_ns: int = 0) -> None:
        samples[key].append(Sample(np.asarray(values, dtype=np.float64), stamp_ns,
                                   stamp_ns + late_ns))

    for step in range(round(duration_s * 40)):
        now_s, now_ns = step / 40, BEGIN_NS + step * 25 * MS
        carried = np.clip((now_s - close_s) / (open_s - 0.6 - close_s), 0.0, 1.0)
        tool = pose_from_parts(rest + carried * (there - rest), rotation)
        hand = pose_from_parts(there + handle + reach_m * to_hand, rotation_about_z(yaw))
        held = close_s <= now_s <= open_s
        put('tool_pose', tool if now_s <= open_s else tool - 0.05 * np.eye(9)[0], now_ns)
        put('gripper_width', [0.02 if held else 0.08], now_ns)
        put('object_pose', tool, now_ns, 50 * MS)
        put('hand_pose', hand, now_ns, 50 * MS)
        put('wrist_force', rng.normal(size=3), now_ns)
        if step % 2 == 0:
            put('target_pose', tool, now_ns)
            put('target_width', [0.0 if held else 0.08], now_ns)
    return samples


def episode(samples: Mapping[str, list[Sample]], contract: Contract = CONTRACT) -> Episode:
    """Return samples as an episode that was read."""
    ordered = {key: tuple(found) for key, found in samples.items()}
    return Episode(Path('demos/made_up'), METADATA, contract, ordered, ())


def write(folder: Path, samples: Mapping[str, list[Sample]], index: int = 0,
          contract: Contract = CONTRACT, planned_mode: str | None = 'handle_first',
          verdict: Health | None = None) -> Path:
    """Write samples as a bag, with a recorder's verdict if one is given; return its directory."""
    metadata = replace(METADATA, episode=index, planned_mode=planned_mode, seed=100 + index)
    with EpisodeWriter(folder / episode_name(index), contract, metadata) as writer:
        arrivals = [(sample.receive_ns, key, sample)
                    for key, found in samples.items() for sample in found]
        for receive_ns, key, sample in sorted(arrivals, key=lambda item: item[0]):
            writer.write_values(key, sample.values, sample.stamp_ns, receive_ns)
        if verdict is not None:
            writer.write_event({'event': 'stop', 'health': plain(verdict)},
                               max(receive_ns for receive_ns, _, _ in arrivals))
        return writer.commit()


def pose(x: float = 0.4, y: float = 0.0, z: float = 0.3, yaw: float = 0.0) -> Array:
    """Return one pose."""
    return pose_from_parts((x, y, z), rotation_about_z(yaw))
