# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors of the simulator: they deliver its truth with noise, latency and dropout."""

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, single_rotation
from uncloning_ros.scenario import PHYSICS_HZ, Tracking

SENSOR_EVERY = PHYSICS_HZ // 40  # physics steps from one measurement to the next
# Poses of the outside tracker; the arm measures its own state without delay.
TRACKED_KEYS = (OBJECT_KEY, HAND_KEY)
# A teacher is a person, who sees tool and hand: with a contract that does not observe them too.
TEACHER_SIGNALS = tuple(Signal(key, 'pose', 'm') for key in TRACKED_KEYS)


class Sensors:
    """Measure signals, add noise and delay; `poll` returns the samples, oldest first."""

    def __init__(self, tracking: Tracking, signals: Mapping[str, Signal],
                 rng: np.random.Generator) -> None:
        self._tracking = tracking
        self._signals = signals
        self._rng = rng
        self._under_way: deque[tuple[str, Sample]] = deque()

    def measure(self, now_ns: int, truth: Mapping[str, Array]) -> None:
        """Take one measurement of every signal: flat values (dim,) by key."""
        for key in self._signals:
            # Draw always, so that a dropped sample does not shift the noise of later ones.
            lost = key in TRACKED_KEYS and self._rng.uniform() < self._tracking.dropout
            values = self._noisy(key, truth[key], self._rng)
            if not lost:
                self._under_way.append(
                    (key, Sample(values, now_ns, now_ns + self._latency_ns(key))))

    def glance(self, now_ns: int, truth: Mapping[str, Array],
               rng: np.random.Generator) -> list[tuple[str, Sample]]:
        """Return the samples that arrive now of a truth at rest; noise comes from `rng` alone.

        No sample is lost, and later measurements are unchanged.
        """
        return [(key, Sample(self._noisy(key, truth[key], rng),
                             now_ns - self._latency_ns(key), now_ns)) for key in self._signals]

    def deliver(self, samples: Iterable[tuple[str, Sample]]) -> None:
        """Take samples of other sensors, each until it arrives."""
        self._under_way.extend(samples)

    def poll(self, now_ns: int) -> list[tuple[str, Sample]]:
        """Return the samples that arrived up to `now_ns` and were not polled before."""
        arrived = [item for item in self._under_way if item[1].receive_ns <= now_ns]
        self._under_way = deque(i for i in self._under_way if i[1].receive_ns > now_ns)
        return sorted(arrived, key=lambda item: item[1].receive_ns)

    def _noisy(self, key: str, values: Array, rng: np.random.Generator) -> Array:
        if key in TRACKED_KEYS:
            return _disturbed(values, self._tracking, rng)
        if self._signals[key].kind == 'force':
            return values + rng.normal(0.0, self._tracking.force_noise_n, size=3)
        return values

    def _latency_ns(self, key: str) -> int:
        return round(self._tracking.latency_s * 1e9) if key in TRACKED_KEYS else 0


def _disturbed(pose: Array, tracking: Tracking, rng: np.random.Generator) -> Array:
    position = pose[:3] + rng.normal(0.0, tracking.position_noise_m, size=3)
    x, y, z = rng.normal(0.0, tracking.rotation_noise_rad, size=3).tolist()
    # First order in the small angles; single_rotation makes it a rotation again.
    turn = np.array(((1.0, -z, y), (z, 1.0, -x), (-y, x, 1.0)))
    turned = turn @ single_rotation(pose[3:].tolist())
    rotation = single_rotation(turned[:, :2].T.ravel().tolist())
    return np.concatenate((position, rotation[:, 0], rotation[:, 1]))
