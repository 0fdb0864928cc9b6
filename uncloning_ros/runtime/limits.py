# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hardware limits of the commands: what cannot be used is rejected, what is too much is clamped.

These are no steering: a policy that is fit for use runs with every count at zero.
"""

import math

import numpy as np

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    quaternion_from_rotation,
    rotation_angle_between,
    rotation_from_quaternion,
    rotation_of,
)

# The columns of a rotation have length 1; a network's are near that. Far above it the output
# is garbage, and squares of it could overflow.
_MOST_COLUMN = 1e3
# Rounding in a step of exactly the allowed length must not count as a violation.
_SLACK = 1e-9

REJECTED = 'rejected'
WORKSPACE = 'workspace'
SPEED = 'speed'
ROTATION_SPEED = 'rotation_speed'
JOINT_SPEED = 'joint_speed'


class Limiter:
    """Bring one command into the limits of the deployment, and count what that took.

    `counts` says how many commands were rejected (not finite, or no rotation) and how many were
    clamped, by limit. Speeds are judged between successive commands, one policy period apart.
    """

    def __init__(self, contract: Contract) -> None:
        self._actions = contract.interface.actions
        self._slices = contract.interface.action_slices
        limits = contract.deployment.limits
        self._low = np.array(limits.workspace_min_m)
        self._high = np.array(limits.workspace_max_m)
        period_s = 1.0 / contract.policy.rate_hz
        self._step_m = limits.speed_m_s * period_s
        self._step_rad = limits.rotation_speed_rad_s * period_s
        self._joint_step_rad = limits.joint_speed_rad_s * period_s
        self.counts: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Set every count to zero."""
        self.counts = dict.fromkeys((REJECTED, WORKSPACE, SPEED, ROTATION_SPEED, JOINT_SPEED), 0)

    def inside(self, position: Array) -> bool:
        """Tell whether a position (3,) lies in the workspace."""
        return bool(np.all(position >= self._low) and np.all(position <= self._high))

    def apply(self, command: Array, previous: Array) -> Array | None:
        """Return the command (action_dim,) within the limits, None if it has to be rejected.

        `previous` is the command before it, or the measured state for the first one; finite.
        Poses come back with orthonormal rotation columns, widths not below 0.
        """
        if not np.all(np.isfinite(command)):
            self.counts[REJECTED] += 1
            return None
        limited = np.array(command, dtype=np.float64)
        for signal in self._actions:
            part = self._slices[signal.key]
            value = self._limit(signal, limited[part], previous[part])
            if value is None:
                self.counts[REJECTED] += 1
                return None
            limited[part] = value
        return limited

    def _limit(self, signal: Signal, value: Array, previous: Array) -> Array | None:
        if signal.kind == 'pose':
            return self._limit_pose(value, previous)
        if signal.kind == 'joint_positions':
            clamped: Array = np.clip(value, previous - self._joint_step_rad,
                                     previous + self._joint_step_rad)
            self._count(JOINT_SPEED, float(np.max(np.abs(clamped - value))))
            return clamped
        # A width just below 0 is how a network says 'closed'; that is no violation.
        return np.maximum(value, 0.0)

    def _limit_pose(self, value: Array, previous: Array) -> Array | None:
        if np.max(np.abs(value[3:])) > _MOST_COLUMN:
            return None
        try:
            rotation = rotation_of(value)
        except ValueError:
            return None
        # The box first: it is convex, so a shortened step from inside ends inside.
        position = np.clip(value[:3], self._low, self._high)
        self._count(WORKSPACE, float(np.max(np.abs(position - value[:3]))))
        step = position - previous[:3]
        length = float(np.linalg.norm(step))
        if self._count(SPEED, length - self._step_m):
            position = previous[:3] + step * (self._step_m / length)
        before = rotation_of(previous)
        angle = float(rotation_angle_between(before, rotation))
        if self._count(ROTATION_SPEED, angle - self._step_rad):
            rotation = _turn(before, rotation, self._step_rad / angle)
        return pose_from_parts(position, rotation)

    def _count(self, limit: str, excess: float) -> bool:
        """Count a violation if `excess` is above rounding, and tell whether it is."""
        violated = excess > _SLACK
        self.counts[limit] += violated
        return violated


def _turn(start: Array, end: Array, fraction: float) -> Array:
    """Return the rotation `fraction` of the way from `start` to `end`, by the short way.

    Spherical interpolation of quaternions (Shoemake, SIGGRAPH 1985).
    """
    a, b = quaternion_from_rotation(start), quaternion_from_rotation(end)
    cosine = float(np.dot(a, b))
    if cosine < 0:
        b, cosine = -b, -cosine
    theta = math.acos(min(cosine, 1.0))
    q = (math.sin((1 - fraction) * theta) * a + math.sin(fraction * theta) * b) / math.sin(theta)
    return rotation_from_quaternion(q)
