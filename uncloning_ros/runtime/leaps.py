# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tell a leap: two measurements further apart than what is measured can have moved meanwhile."""

from uncloning_ros.contract import KINDS, ObservedTopic, Signal
from uncloning_ros.conversions import Sample

# Rounding in a way of exactly the allowed length must not count as a leap.
_SLACK = 1e-9


def leap(signal: Signal, topic: ObservedTopic, before: Sample, sample: Sample,
         least_ns: int) -> str | None:
    """Return the sentence on two samples between which a signal leaps, None if they do not.

    `before` is the newest one that was believed. From one stamp to the other a signal may move
    and turn as fast as its topic's `max_speed_m_s` and `max_speed_rad_s`, where those are given.
    Samples closer in time than `least_ns` are taken to be so far apart: the noise of a fast
    sensor is no motion.
    """
    apart_s = max(abs(sample.stamp_ns - before.stamp_ns), least_ns) * 1e-9
    kind = KINDS[signal.kind]
    for unit in kind.speeds:
        speed = getattr(topic, f'max_speed_{unit}_s')
        if speed is None:
            continue
        moved, most = kind.distances[unit](before.values, sample.values), speed * apart_s
        if moved > most + _SLACK:
            return (f'{signal.key} leapt by {moved:.3g} {unit} within {apart_s:.3f} s, allowed '
                    f'{most:.3g} {unit}; check its publisher, or max_speed_{unit}_s in the '
                    f'contract')
    return None
