# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinematics of the Franka Panda, and the controllers that track target poses or joints.

Pure numpy. Joint values in rad, poses in the frame panda_link0, the tool centre point between
the finger tips. Dimensions and limits from Franka Emika's published control parameters.
"""

import math
from collections.abc import Sequence

import numpy as np

from uncloning_ros.geometry import Array, cross, rotation_of

JOINT_NAMES = tuple(f'panda_joint{i}' for i in range(1, 8))
JOINT_MIN_RAD = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
JOINT_MAX_RAD = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
JOINT_SPEED_RAD_S = np.array([2.1750, 2.1750, 2.1750, 2.1750, 2.6100, 2.6100, 2.6100])
# The usual ready posture: elbow up, gripper straight down, every joint far from its limits.
READY_RAD = np.array([0.0, -0.5, 0.0, -2.2, 0.0, 1.7, 0.785])
FINGER_TRAVEL_M = 0.04

# Modified Denavit-Hartenberg rows (a, d, cos alpha, sin alpha) of the seven joints.
_DH = ((0.0, 0.333, 1.0, 0.0), (0.0, 0.0, 0.0, -1.0), (0.0, 0.316, 0.0, 1.0),
       (0.0825, 0.0, 0.0, 1.0), (-0.0825, 0.384, 0.0, -1.0), (0.0, 0.0, 0.0, 1.0),
       (0.088, 0.0, 0.0, 1.0))
_FLANGE_TO_TCP_M = 0.107 + 0.105
_HAND_TURN = np.pi / 4  # the hand is mounted 45 degrees off the flange

_DAMPING = 0.03
_POSTURE_GAIN = 1.0  # 1/s, pull of the null space towards READY_RAD
_TRACK_GAIN = 20.0  # 1/s, how fast an error of the tool pose, or of the joints, is closed
_LIMIT_MARGIN_RAD = 0.02
_SOLVE_STEPS, _SOLVE_STEP_S = 600, 0.03


def forward(joints: Array) -> tuple[Array, Array, Array]:
    """Return position (3,), rotation (3, 3) and Jacobian (6, 7) of the tool centre point."""
    transform = np.eye(4)
    origins, axes = np.empty((7, 3)), np.empty((7, 3))
    link = np.zeros((4, 4))
    link[3, 3] = 1.0
    for i, (a, d, ca, sa) in enumerate(_DH):
        c, s = np.cos(joints[i]), np.sin(joints[i])
        link[0, 0], link[0, 1], link[0, 3] = c, -s, a
        link[1, 0], link[1, 1], link[1, 2], link[1, 3] = s * ca, c * ca, -sa, -sa * d
        link[2, 0], link[2, 1], link[2, 2], link[2, 3] = s * sa, c * sa, ca, ca * d
        transform = transform @ link
        origins[i], axes[i] = transform[:3, 3], transform[:3, 2]
    position = transform[:3, 3] + _FLANGE_TO_TCP_M * transform[:3, 2]
    jacobian = np.empty((6, 7))
    jacobian[:3] = cross(axes, position - origins).T
    jacobian[3:] = axes.T
    c, s = np.cos(_HAND_TURN), np.sin(_HAND_TURN)
    hand = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    return position, transform[:3, :3] @ hand, jacobian


class CartesianController:
    """Turn a stream of target poses into joint targets, as a Cartesian position controller does.

    Damped least squares on the reference joints, with joint and speed limits and a null space
    that keeps the elbow up. The reference does not depend on contact: the arm is stiff. No joint
    is faster than `speed_share` of what it can do.
    """

    def __init__(self, joints: Array, speed_share: float = 1.0) -> None:
        self.joints = joints.copy()
        self._speed_rad_s = speed_share * JOINT_SPEED_RAD_S
        self._target_position, self._target_rotation, _ = forward(joints)

    def command(self, pose: Array) -> None:
        """Take a new target pose (9,)."""
        self._target_position = pose[:3].copy()
        self._target_rotation = rotation_of(pose)

    def step(self, dt_s: float) -> Array:
        """Advance the reference by `dt_s` and return its joint values (7,)."""
        position, rotation, jacobian = forward(self.joints)
        error = np.empty(6)
        error[:3] = self._target_position - position
        error[3:] = _rotation_vector(self._target_rotation @ rotation.T)
        twist = _TRACK_GAIN * error
        posture = _POSTURE_GAIN * (READY_RAD - self.joints)
        gram = jacobian @ jacobian.T + _DAMPING ** 2 * np.eye(6)
        speed = posture + jacobian.T @ np.linalg.solve(gram, twist - jacobian @ posture)
        self.joints = _moved(self.joints, speed, self._speed_rad_s, dt_s)
        return self.joints


class JointController:
    """Move joint targets towards a stream of commanded joints, as a position controller does.

    The joints in the arm's own order. What is commanded beyond a joint's limits or faster than
    its speed is followed as far and as fast as the arm can.
    """

    def __init__(self, joints: Array) -> None:
        self.joints = joints.copy()
        self._target = joints.copy()

    def command(self, joints: Array) -> None:
        """Take new target joints (7,)."""
        self._target = joints.copy()

    def step(self, dt_s: float) -> Array:
        """Advance the reference by `dt_s` and return its joint values (7,)."""
        speed = _TRACK_GAIN * (self._target - self.joints)
        self.joints = _moved(self.joints, speed, JOINT_SPEED_RAD_S, dt_s)
        return self.joints


def joint_order(names: Sequence[str]) -> list[int]:
    """Return the indices in `JOINT_NAMES` of joints by name; raise `ValueError` for another."""
    return [JOINT_NAMES.index(name) for name in names]


def solve(pose: Array, start: Array = READY_RAD) -> Array:
    """Return joint values (7,) that reach `pose`, starting the search at `start`.

    Raise `ValueError` if the pose is not reached to 0.1 mm and 1 mrad.
    """
    controller = CartesianController(start)
    controller.command(pose)
    off_m = off_rad = math.inf
    for _ in range(_SOLVE_STEPS):
        position, rotation, _ = forward(controller.step(_SOLVE_STEP_S))
        off_m = float(np.linalg.norm(position - pose[:3]))
        off_rad = float(np.linalg.norm(_rotation_vector(rotation_of(pose) @ rotation.T)))
        if off_m < 1e-4 and off_rad < 1e-3:
            return controller.joints
    raise ValueError(f'the arm cannot reach {np.round(pose[:3], 3).tolist()}: '
                     f'{off_m * 1000:.1f} mm and {off_rad:.3f} rad are left')


def _moved(joints: Array, speed: Array, most: Array, dt_s: float) -> Array:
    """Return joints (7,) after `dt_s` at `speed`, `most` (7,) in rad/s, and within limits."""
    # One common factor keeps the direction of the motion when a joint is at its speed limit.
    speed = speed / max(1.0, float(np.max(np.abs(speed) / most)))
    return np.clip(joints + dt_s * speed, JOINT_MIN_RAD + _LIMIT_MARGIN_RAD,
                   JOINT_MAX_RAD - _LIMIT_MARGIN_RAD)


def _rotation_vector(rotation: Array) -> Array:
    """Return axis times angle (3,) of a rotation matrix; right also near half a turn."""
    vector = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0],
                       rotation[1, 0] - rotation[0, 1]])
    sine = 0.5 * float(np.linalg.norm(vector))
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0))
    if sine > 1e-6:
        return vector * (angle / (2.0 * sine))
    if angle < 1.0:
        return vector * 0.5
    # Half a turn: the axis is the column of (R + I) / 2 with the largest diagonal entry.
    half = (rotation + np.eye(3)) / 2.0
    k = int(np.argmax(np.diag(half)))
    return angle * half[:, k] / np.linalg.norm(half[:, k])
