# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a policy in the shadow is from the demonstrator who has the arm."""

from collections.abc import Mapping

import numpy as np

from uncloning_ros.contract import Interface
from uncloning_ros.geometry import Array, rotation_angle_between, rotation_of


def distances(interface: Interface, ours: Array, theirs: Mapping[str, Array]) -> dict[str, float]:
    """Return how far a flat action (action_dim,) is from another one's values (dim,) by key.

    `KEY_m` and `KEY_rad` for a pose, `KEY_rad` (the largest) for joints, `KEY_m` for a width; of
    the keys that the other one has.
    """
    found: dict[str, float] = {}
    for signal in interface.actions:
        if signal.key not in theirs:
            continue
        mine, other = ours[interface.action_slices[signal.key]], theirs[signal.key]
        if signal.kind == 'pose':
            found[f'{signal.key}_m'] = float(np.linalg.norm(mine[:3] - other[:3]))
            found[f'{signal.key}_rad'] = float(rotation_angle_between(rotation_of(mine),
                                                                      rotation_of(other)))
        else:
            unit = 'rad' if signal.kind == 'joint_positions' else 'm'
            found[f'{signal.key}_{unit}'] = float(np.max(np.abs(mine - other)))
    return found


class ShadowReport:
    """The distances of an episode: how many, their mean, the largest and the newest."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._worst: dict[str, float] = {}
        self._newest: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, found: Mapping[str, float]) -> None:
        """Take the distances of one cycle."""
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
