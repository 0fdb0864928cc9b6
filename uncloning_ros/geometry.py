# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses, 6D rotations, segments, capsules and rays: pure numpy, vectorised over leading axes.

A pose is 9 floats: position x, y, z in m, then the first two columns of the rotation matrix
(the continuous 6D rotation of Zhou et al., CVPR 2019, arXiv 1812.07035). Quaternions are
x, y, z, w as in ROS messages.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]

_EPS = 1e-9
_RAY_M = 5.0  # length of a ray (m): beyond every arm and every person it hands to
_LEAST_COLUMN = 1e-6  # shortest column of a rotation that has a direction, before it is scaled
_NO_ROTATION = 'expected two independent columns of a rotation, got zero or parallel'


def rotation_from_quaternion(quaternion: ArrayLike) -> Array:
    """Return rotation matrices (..., 3, 3) of quaternions (..., 4) in x, y, z, w order.

    Raise `ValueError` if a quaternion is not of unit length to 1 %: such a message is corrupt.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if not np.all(np.abs(norm - 1.0) < 0.01):
        raise ValueError(f'expected a quaternion of unit length, got length {norm.ravel()[0]:.3g}')
    x, y, z, w = np.moveaxis(q / norm, -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_from_rotation(rotation: ArrayLike) -> Array:
    """Return quaternions (..., 4) in x, y, z, w order, w >= 0, of matrices (..., 3, 3).

    Takes the largest of the four components first, which is stable for every rotation
    (Shepperd 1978).
    """
    m = np.asarray(rotation, dtype=np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = np.stack([1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz, 1 + xx + yy + zz],
                       axis=-1)
    a = m[..., 2, 1] - m[..., 1, 2]
    b = m[..., 0, 2] - m[..., 2, 0]
    c = m[..., 1, 0] - m[..., 0, 1]
    d = m[..., 0, 1] + m[..., 1, 0]
    e = m[..., 0, 2] + m[..., 2, 0]
    f = m[..., 1, 2] + m[..., 2, 1]
    candidates = np.stack([
        np.stack([squares[..., 0], d, e, a], axis=-1),
        np.stack([d, squares[..., 1], f, b], axis=-1),
        np.stack([e, f, squares[..., 2], c], axis=-1),
        np.stack([a, b, c, squares[..., 3]], axis=-1),
    ], axis=-2)
    best = np.argmax(squares, axis=-1)
    q = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., 3:] < 0, -q, q)


def rotation_from_6d(columns: ArrayLike) -> Array:
    """Return the rotation matrices (..., 3, 3) nearest in Gram-Schmidt's sense to (..., 6).

    Raise `ValueError` if the two columns are zero or parallel.
    """
    six = np.asarray(columns, dtype=np.float64)
    first, second = six[..., :3], six[..., 3:]
    length = np.linalg.norm(first, axis=-1, keepdims=True)
    x = first / np.maximum(length, _EPS)
    y = second - np.sum(x * second, axis=-1, keepdims=True) * x
    width = np.linalg.norm(y, axis=-1, keepdims=True)
    if not (np.all(length > _LEAST_COLUMN) and np.all(width > _LEAST_COLUMN)):
        raise ValueError(_NO_ROTATION)
    y = y / width
    return np.stack([x, y, cross(x, y)], axis=-1)


def cross(one: Array, two: Array) -> Array:
    """Return the cross products (..., 3); written out, several times faster than np.cross."""
    a, b, c = one[..., 0], one[..., 1], one[..., 2]
    x, y, z = two[..., 0], two[..., 1], two[..., 2]
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=-1)


def pose_from_parts(position: ArrayLike, rotation: ArrayLike) -> Array:
    """Return poses (..., 9) of positions (..., 3) and rotation matrices (..., 3, 3)."""
    p = np.asarray(position, dtype=np.float64)
    r = np.asarray(rotation, dtype=np.float64)
    return np.concatenate([p, r[..., 0], r[..., 1]], axis=-1)


def single_pose(position: Sequence[float], quaternion: Sequence[float]) -> Array:
    """Return one pose (9,) of a position and a quaternion x, y, z, w; same as the array way.

    In plain floats, because messages come one by one and numpy takes ten times as long for so
    few numbers. Raise `ValueError` as `rotation_from_quaternion` does.
    """
    x, y, z, w = quaternion
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not abs(norm - 1.0) < 0.01:
        raise ValueError(f'expected a quaternion of unit length, got length {norm:.3g}')
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    return np.array((*position,
                     1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w),
                     2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)))


def single_rotation(columns: Sequence[float]) -> Array:
    """Return the rotation matrix (3, 3) of one 6D rotation (6,), in plain floats.

    The very same as `rotation_from_6d`, for one command at a time; raise `ValueError` as it does.
    """
    return np.array(tuple(zip(*_orthonormal(columns), strict=True)))


def single_quaternion(pose: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the quaternion x, y, z, w, w >= 0, of one pose (9,), in plain floats.

    Same as `quaternion_from_rotation(rotation_of(pose))`, for one message at a time. Raise
    `ValueError` if the 6D rotation is zero or parallel.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = _orthonormal(pose[3:])
    # The largest of the four components first, as in `quaternion_from_rotation`.
    squares = (1 + ax - by - cz, 1 - ax + by - cz, 1 - ax - by + cz, 1 + ax + by + cz)
    best = squares.index(max(squares))
    x, y, z, w = (
        (squares[0], ay + bx, az + cx, bz - cy),
        (ay + bx, squares[1], bz + cy, cx - az),
        (az + cx, bz + cy, squares[2], ay - bx),
        (bz - cy, cx - az, ay - bx, squares[3]),
    )[best]
    norm = math.copysign(math.sqrt(x * x + y * y + z * z + w * w), w)
    return x / norm, y / norm, z / norm, w / norm


def _orthonormal(columns: Sequence[float]) -> tuple[Vector, Vector, Vector]:
    """Return the columns of the rotation of one 6D rotation (6,), by Gram-Schmidt."""
    ax, ay, az, bx, by, bz = columns
    length = math.sqrt(ax * ax + ay * ay + az * az)
    if not length > _LEAST_COLUMN:
        raise ValueError(_NO_ROTATION)
    ax, ay, az = ax / length, ay / length, az / length
    along = ax * bx + ay * by + az * bz
    bx, by, bz = bx - along * ax, by - along * ay, bz - along * az
    width = math.sqrt(bx * bx + by * by + bz * bz)
    if not width > _LEAST_COLUMN:
        raise ValueError(_NO_ROTATION)
    bx, by, bz = bx / width, by / width, bz / width
    return ((ax, ay, az), (bx, by, bz),
            (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))


def position_of(pose: ArrayLike) -> Array:
    """Return the positions (..., 3) of poses (..., 9), in m."""
    return np.asarray(pose, dtype=np.float64)[..., :3]


def rotation_of(pose: ArrayLike) -> Array:
    """Return the rotation matrices (..., 3, 3) of poses (..., 9)."""
    return rotation_from_6d(np.asarray(pose, dtype=np.float64)[..., 3:])


def x_axis_of(pose: ArrayLike) -> Array:
    """Return the unit x axes (..., 3) of poses (..., 9): the blade axis of a knife."""
    x = np.asarray(pose, dtype=np.float64)[..., 3:6]
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), _EPS)


def transform_point(pose: ArrayLike, point: ArrayLike) -> Array:
    """Return where points (..., 3), given in the frames of poses (..., 9), lie in the base."""
    return position_of(pose) + np.einsum('...ij,...j->...i', rotation_of(pose),
                                         np.asarray(point, dtype=np.float64))


def rotation_about_z(angle_rad: ArrayLike) -> Array:
    """Return rotation matrices (..., 3, 3) about the vertical."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([np.stack([c, -s, zero], -1), np.stack([s, c, zero], -1),
                     np.stack([zero, zero, one], -1)], axis=-2)


def part_of_turn(rotation: ArrayLike, share: ArrayLike) -> Array:
    """Return rotation matrices (..., 3, 3): shares (...) of the turn that one (3, 3) makes."""
    *axis, cosine = quaternion_from_rotation(rotation)
    sine = math.hypot(*axis)
    half = np.asarray(share, dtype=np.float64)[..., None] * math.atan2(sine, cosine)
    # A turn by nothing has no axis, and any will do.
    unit = np.asarray(axis) / sine if sine > _EPS else np.array([0.0, 0.0, 1.0])
    return rotation_from_quaternion(np.concatenate([np.sin(half) * unit, np.cos(half)], axis=-1))


def rotation_angle_between(one: ArrayLike, two: ArrayLike) -> Array:
    """Return the angles in rad (...) between rotation matrices (..., 3, 3)."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    trace = np.einsum('...ij,...ij->...', a, b)
    return np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))


def angle_between(one: ArrayLike, two: ArrayLike) -> Array:
    """Return the angles in rad (...) between vectors (..., 3)."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(two, dtype=np.float64)
    cosine = np.sum(a * b, axis=-1) / np.maximum(
        np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), _EPS)
    return np.arccos(np.clip(cosine, -1.0, 1.0))


def segment_distance(a0: ArrayLike, a1: ArrayLike, b0: ArrayLike, b1: ArrayLike) -> Array:
    """Return the smallest distances (...) between segments a0-a1 and b0-b1, each (..., 3).

    Solves for the two closest parameters and clamps them in turn (Ericson, Real-Time Collision
    Detection, 5.1.9); right for degenerate and parallel segments as well.
    """
    a0, a1, b0, b1 = (np.asarray(v, dtype=np.float64) for v in (a0, a1, b0, b1))
    d1, d2, r = a1 - a0, b1 - b0, a0 - b0
    a, e = np.sum(d1 * d1, -1), np.sum(d2 * d2, -1)
    b, c, f = np.sum(d1 * d2, -1), np.sum(d1 * r, -1), np.sum(d2 * r, -1)
    denominator = a * e - b * b
    safe = denominator > _EPS * np.maximum(a * e, _EPS)
    s = np.where(safe, np.clip((b * f - c * e) / np.where(safe, denominator, 1.0), 0.0, 1.0), 0.0)
    t = np.where(e > _EPS, (b * s + f) / np.where(e > _EPS, e, 1.0), 0.0)
    t = np.clip(t, 0.0, 1.0)
    s = np.where(a > _EPS, np.clip((b * t - c) / np.where(a > _EPS, a, 1.0), 0.0, 1.0), 0.0)
    return np.linalg.norm(a0 + s[..., None] * d1 - b0 - t[..., None] * d2, axis=-1)


def ray_segment_distance(origin: ArrayLike, direction: ArrayLike, b0: ArrayLike,
                         b1: ArrayLike) -> Array:
    """Return the smallest distances (...) in m between rays and segments; directions are unit."""
    origin = np.asarray(origin, dtype=np.float64)
    far = origin + _RAY_M * np.asarray(direction, dtype=np.float64)
    return segment_distance(origin, far, b0, b1)


def turn_about_z(start: ArrayLike, end: ArrayLike) -> Array:
    """Return the signed angles in rad (...) about the vertical from vectors (..., 3) to others.

    In (-pi, pi], positive counterclockwise seen from above; heights do not count.
    """
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    return np.arctan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0],
                      a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1])
