# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints that follow a target pose, for a teacher that commands an arm in joints."""

import math
from collections.abc import Mapping

import numpy as np

from uncloning_ros.contract import Interface, Signal
from uncloning_ros.errors import ScenarioError
from uncloning_ros.geometry import Array
from uncloning_ros.simulation.panda import JOINT_NAMES, CartesianController, joint_order

_STEP_S = 0.05  # at most, when target joints follow the target pose: one full Newton step
# Of the joints' speed: who teaches in joints does not drive the arm at its limits.
_SPEED_SHARE = 0.75


class JointFollower:
    """Begin at the measured joints and follow target poses; raise `ScenarioError` if unmeasured.

    In an interface without joint commands there is nothing to follow, and nothing is required.
    """

    def __init__(self, interface: Interface) -> None:
        self._measured = _joints_of(interface)
        self._arm: CartesianController | None = None

    def follow(self, dt_s: float, pose: Array, values: Mapping[str, Array]) -> Array:
        """Return the target joints (7,), in the arm's order, `dt_s` later on the way to `pose`."""
        if self._arm is None:
            assert self._measured is not None
            joints = np.empty(len(JOINT_NAMES))
            joints[joint_order(self._measured.names)] = values[self._measured.key]
            self._arm = CartesianController(joints, _SPEED_SHARE)
        self._arm.command(pose)
        steps = math.ceil(dt_s / _STEP_S)
        for _ in range(steps):
            self._arm.step(dt_s / steps)
        return self._arm.joints


def _joints_of(interface: Interface) -> Signal | None:
    """Return the observation that a teacher of joints starts from, None if it moves in poses."""
    if all(signal.kind != 'joint_positions' for signal in interface.actions):
        return None
    for signal in interface.observations:
        if signal.kind == 'joint_positions' and set(signal.names) == set(JOINT_NAMES):
            return signal
    raise ScenarioError('the teacher commands joints, so it has to observe the '
                        f'joint_positions of {JOINT_NAMES[0]} to {JOINT_NAMES[-1]}; add them '
                        f'to the observations of the contract')
