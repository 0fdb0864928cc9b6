# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The distance of a policy in shadow mode from the demonstrator who moves the arm."""

from collections.abc import Mapping

from uncloning_ros.contract import KINDS, Interface
from uncloning_ros.contract.kinds import nearest_turn
from uncloning_ros.geometry import Array


def distances(interface: Interface, ours: Array, theirs: Mapping[str, Array]) -> dict[str, float]:
    """Return the distances of a flat action (action_dim,) from another one's values by key.

    `KEY_m` and `KEY_rad` for a pose, `KEY_rad` (the largest) for joints, `KEY_m` for a width,
    `KEY_UNIT` (the largest) for a vector; for the keys of the other one.
    """
    found: dict[str, float] = {}
    for signal in interface.actions:
        if signal.key in theirs:
            one = ours[interface.action_slices[signal.key]]
            two = nearest_turn(signal, theirs[signal.key], one)
            found |= {f'{signal.key}_{unit or signal.unit}': distance(one, two)
                      for unit, distance in KINDS[signal.kind].distances.items()}
    return found


class ShadowReport:
    """The distances of an episode: their number, mean, largest and newest."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._worst: dict[str, float] = {}
        self._newest: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, found: Mapping[str, float]) -> None:
        """Add the distances of one cycle."""
        for key, value in found.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._worst[key] = max(self._worst.get(key, 0.0), value)
            self._counts[key] = self._counts.get(key, 0) + 1
            self._newest[key] = value

    def summary(self) -> dict[str, dict[str, float]]:
        """Return count, mean, largest and newest distance by key."""
        return {key: {'count': count, 'mean': round(self._sums[key] / count, 4),
                      'largest': round(self._worst[key], 4), 'newest': round(self._newest[key], 4)}
                for key, count in self._counts.items()}
