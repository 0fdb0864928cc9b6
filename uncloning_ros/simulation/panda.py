# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinematics of the Franka Panda, and the controllers that track target poses or joints.

Pure numpy. Joint values in rad, poses in the frame panda_link0, the tool centre point between
the finger tips. Dimensions and limits from Franka Emika's published control parameters.
"""

import math
from collections.abc import Sequence

import numpy as np

from uncloning_ros.geometry import Array, rotation_of, single_rotation

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
# The hand is mounted 45 degrees off the flange.
_HAND_COSINE, _HAND_SINE = math.cos(math.pi / 4), math.sin(math.pi / 4)
_BASE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 0.0, 0.0))

_DAMPED = 0.03 ** 2 * np.eye(6)
_POSTURE_GAIN = 1.0  # rate (1/s) of the null space towards READY_RAD
_TRACK_GAIN = 20.0  # rate (1/s) at which an error of tool pose or joints is closed
_LIMIT_MARGIN_RAD = 0.02
_LOWEST_RAD, _HIGHEST_RAD = JOINT_MIN_RAD + _LIMIT_MARGIN_RAD, JOINT_MAX_RAD - _LIMIT_MARGIN_RAD
_SOLVE_STEPS, _SOLVE_STEP_S = 600, 0.03


def forward(joints: Array) -> tuple[Array, Array, Array]:
    """Return position (3,), rotation (3, 3) and Jacobian (6, 7) of the tool centre point."""
    # In plain floats: numpy takes several times as long for a few numbers. The frame of a link
    # is x, y, z axes and origin, each in the base frame.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz), (px, py, pz) = _BASE
    axes, origins = [], []
    for q, (a, d, ca, sa) in zip(joints.tolist(), _DH, strict=True):
        c, s = math.cos(q), math.sin(q)
        # Along x by a, about x by alpha: the new z, and the joint's place along it.
        ux, uy, uz = ca * yx + sa * zx, ca * yy + sa * zy, ca * yz + sa * zz
        zx, zy, zz = ca * zx - sa * yx, ca * zy - sa * yy, ca * zz - sa * yz
        px, py, pz = px + a * xx + d * zx, py + a * xy + d * zy, pz + a * xz + d * zz
        # About the new z by the joint.
        yx, yy, yz = c * ux - s * xx, c * uy - s * xy, c * uz - s * xz
        xx, xy, xz = c * xx + s * ux, c * xy + s * uy, c * xz + s * uz
        axes.append((zx, zy, zz))
        origins.append((px, py, pz))
    px, py, pz = (px + _FLANGE_TO_TCP_M * zx, py + _FLANGE_TO_TCP_M * zy,
                  pz + _FLANGE_TO_TCP_M * zz)
    columns = []
    for (ax, ay, az), (ox, oy, oz) in zip(axes, origins, strict=True):
        x, y, z = px - ox, py - oy, pz - oz
        columns.append((ay * z - az * y, az * x - ax * z, ax * y - ay * x, ax, ay, az))
    c, s = _HAND_COSINE, _HAND_SINE
    return (np.array((px, py, pz)),
            np.array(((c * xx - s * yx, s * xx + c * yx, zx),
                      (c * xy - s * yy, s * xy + c * yy, zy),
                      (c * xz - s * yz, s * xz + c * yz, zz))),
            np.array(columns).T)


class CartesianController:
    """Turn a stream of target poses into joint targets, as a Cartesian position controller does.

    Damped least squares on the reference joints, with joint and speed limits and a null space
    that keeps the elbow up. The reference does not depend on contact: the arm is stiff. No joint
    is faster than `speed_share` of its limit.
    """

    def __init__(self, joints: Array, speed_share: float = 1.0) -> None:
        self.joints = joints.copy()
        self._speed_rad_s = speed_share * JOINT_SPEED_RAD_S
        self._target_position, self._target_rotation, _ = forward(joints)

    def command(self, pose: Array) -> None:
        """Take a new target pose (9,)."""
        self._target_position = pose[:3].copy()
        self._target_rotation = single_rotation(pose[3:].tolist())

    def step(self, dt_s: float) -> Array:
        """Advance the reference by `dt_s` and return its joint values (7,)."""
        position, rotation, jacobian = forward(self.joints)
        error = np.empty(6)
        error[:3] = self._target_position - position
        error[3:] = _rotation_vector(self._target_rotation @ rotation.T)
        twist = _TRACK_GAIN * error
        posture = _POSTURE_GAIN * (READY_RAD - self.joints)
        gram = jacobian @ jacobian.T + _DAMPED
        speed = posture + jacobian.T @ np.linalg.solve(gram, twist - jacobian @ posture)
        self.joints = _moved(self.joints, speed, self._speed_rad_s, dt_s)
        return self.joints


class JointController:
    """Move joint targets towards a stream of commanded joints, as a position controller does.

    The joints are in the arm's own order. Commands beyond a joint's limits, or faster than its
    speed, are followed up to these limits.
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


def in_arm_order(names: Sequence[str], values: Array) -> Array:
    """Return joint values (7,) in the arm's own order, of values (7,) in the order of `names`."""
    joints = np.empty(len(JOINT_NAMES))
    joints[joint_order(names)] = values
    return joints


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
    speed = speed / max(1.0, float((np.abs(speed) / most).max()))
    return np.minimum(np.maximum(joints + dt_s * speed, _LOWEST_RAD), _HIGHEST_RAD)


def _rotation_vector(rotation: Array) -> Array:
    """Return axis times angle (3,) of a rotation matrix; right also near half a turn."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    x, y, z = zy - yz, xz - zx, yx - xy
    sine = 0.5 * math.sqrt(x * x + y * y + z * z)
    angle = math.atan2(sine, (xx + yy + zz - 1.0) / 2.0)
    if sine > 1e-6:
        return np.array((x, y, z)) * (angle / (2.0 * sine))
    if angle < 1.0:
        return np.array((x, y, z)) * 0.5
    # Half a turn: the axis is the column of (R + I) / 2 with the largest diagonal entry.
    half = (rotation + np.eye(3)) / 2.0
    k = int(np.argmax(np.diag(half)))
    return np.asarray(angle * half[:, k] / np.linalg.norm(half[:, k]))
