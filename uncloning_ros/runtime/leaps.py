# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tell a leap: two measurements further apart than what is measured can have moved meanwhile."""

from collections.abc import Iterator

import numpy as np

from uncloning_ros.contract import Signal, Topic
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import rotation_angle_between, rotation_of

# Rounding in a way of exactly the allowed length must not count as a leap.
_SLACK = 1e-9


def leap(signal: Signal, topic: Topic, before: Sample, sample: Sample,
         least_ns: int) -> str | None:
    """Return the sentence on two samples between which a signal leaps, None if they do not.

    `before` is the newest one that was believed. From one stamp to the other a signal may move
    and turn as fast as its topic's `max_speed_m_s` and `max_speed_rad_s`, where those are given.
    Samples closer in time than `least_ns` are taken to be so far apart: the noise of a fast
    sensor is no motion.
    """
    apart_s = max(abs(sample.stamp_ns - before.stamp_ns), least_ns) * 1e-9
    for moved, speed, unit in _motions(signal, topic, before, sample):
        most = speed * apart_s
        if moved > most + _SLACK:
            return (f'{signal.key} leapt by {moved:.3g} {unit} within {apart_s:.3f} s, allowed '
                    f'{most:.3g} {unit}; check its publisher, or max_speed_{unit}_s in the '
                    f'contract')
    return None


def _motions(signal: Signal, topic: Topic, before: Sample,
             sample: Sample) -> Iterator[tuple[float, float, str]]:
    """Yield how far a signal moved, the speed that it is held to, and the unit of its way."""
    pose = signal.kind == 'pose'
    if topic.max_speed_m_s is not None:
        yield (float(np.linalg.norm(sample.values[:3] - before.values[:3])),
               topic.max_speed_m_s, 'm')
    if topic.max_speed_rad_s is not None:
        turned = (rotation_angle_between(rotation_of(before.values), rotation_of(sample.values))
                  if pose else np.abs(sample.values - before.values).max())
        yield float(turned), topic.max_speed_rad_s, 'rad'
