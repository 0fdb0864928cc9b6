# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that keeps the arm where it is."""

from collections.abc import Mapping, Sequence

import numpy as np

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.watchdog import Complaint


class Stillness:
    """Make this command from the newest samples, or from `hold` where a vector is not measured."""

    def __init__(self, contract: Contract) -> None:
        self._actions, self._parts = contract.interface.actions, contract.interface.action_slices
        self._given = {key: np.array(one.hold)
                       for key, one in contract.deployment.limits.vectors.items()
                       if one.hold is not None}
        self.measured_by = {signal.key: contract.interface.measured_by(signal)
                            for signal in self._actions if signal.key not in self._given}
        self._limiter = Limiter(contract)  # nothing is counted in it

    def measured(self, samples: Mapping[str, Sample]) -> Array:
        """Return the measured state in the layout of an action."""
        return np.concatenate([self._of(signal, samples) for signal in self._actions])

    def latched(self, last: Array, samples: Mapping[str, Sample],
                complaints: Sequence[Complaint]) -> Array:
        """Return the command that keeps the arm where it is measured, the gripper as commanded.

        At an obstacle the command `last` (action_dim,) stays: a wild value must not be
        commanded.
        """
        command, obstacles = last.copy(), self.obstacles(samples, complaints)
        for signal in self._actions:
            if signal.kind != 'gripper_width' and signal.key not in obstacles:
                command[self._parts[signal.key]] = self._of(signal, samples)
        return command

    def obstacles(self, samples: Mapping[str, Sample],
                  complaints: Sequence[Complaint]) -> dict[str, str]:
        """Return the measurements unusable or outside the limits, by key of the action."""
        unusable = {complaint.key for complaint in complaints}
        return {signal.key: key for signal in self._actions
                if (key := self.measured_by.get(signal.key)) is not None
                and signal.kind != 'gripper_width' and (
                    key in unusable or not self._limiter.inside(signal, samples[key].values))}

    def _of(self, signal: Signal, samples: Mapping[str, Sample]) -> Array:
        key = self.measured_by.get(signal.key)
        return self._given[signal.key] if key is None else samples[key].values
