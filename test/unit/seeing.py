# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up handovers with two small cameras, one in colour and one in grey, beside the rest."""

from dataclasses import replace

import episodes
import numpy as np

from uncloning_ros.contract import Contract, ObservedTopic, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.pictures import Pixels

CAMERAS = (
    Signal('scene_camera', 'image', 'level', width=16, height=12, encoding='rgb8',
           camera_size=(16, 12)),
    Signal('wrist_camera', 'image', 'level', width=12, height=12, encoding='mono8',
           camera_size=(12, 12)))
_TYPES = ('sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image')


def with_cameras(contract: Contract) -> Contract:
    """Return a contract with both cameras beside what it observes."""
    topics = {one.key: ObservedTopic(f'{one.key}/image', kind, 0.2, max_unchanged_s=0.3)
              for one, kind in zip(CAMERAS, _TYPES, strict=True)}
    interface, deployment = contract.interface, contract.deployment
    return replace(
        contract,
        interface=replace(interface, observations=(*interface.observations, *CAMERAS)),
        deployment=replace(deployment, observations={**deployment.observations, **topics}))


CONTRACT = with_cameras(episodes.CONTRACT)


def picture(signal: Signal, number: int) -> Pixels:
    """Return a picture that shows its number: a bright square walks over a dark ground."""
    height, width, _ = signal.shape
    pixels = np.full(signal.shape, 40 + number % 50, np.uint8)
    left = number % (width - 4)
    pixels[height // 3:height // 3 + 4, left:left + 4] = 200
    return pixels


def handover(presented: tuple[float, float] = episodes.HANDLE_FIRST, seed: int = 0,
             **spans: float) -> episodes.Samples:
    """Return a handover with pictures at 20 Hz that arrive 40 ms late."""
    samples = episodes.handover(presented, seed, **spans)
    times_ns = [sample.stamp_ns for sample in samples['tool_pose'][::2]]
    for signal in CAMERAS:
        samples[signal.key] = [
            Sample(picture(signal, seed * 7 + i), stamp_ns, stamp_ns + 40 * episodes.MS)
            for i, stamp_ns in enumerate(times_ns)]
    return samples
