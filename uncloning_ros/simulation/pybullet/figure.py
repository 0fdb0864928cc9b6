# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The looks of a person, drawn around the capsules that judging measures to.

Hand, forearm, trunk, neck and head are where the capsules are. The upper arm, the other arm, the
legs and the fingers are looks alone: judging measures to none of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.geometry import Array, single_quaternion
from uncloning_ros.simulation.pybullet.meshes import Mesh, ellipsoid, joined, mirrored, tube

X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_UPPER_ARM_PIECES, _PIECE_M = 4, 0.15  # they overlap as far as the arm is not stretched
_AWAY_M = (0.0, 0.0, -50.0)  # place of the hand that is not shown: open or closed
# A corner of a finger at each joint, for the right hand, its palm up: open, and around a tool.
_FINGERS_M = {
    'open': ((0.005, 1.0, -0.022), (0.036, 1.15, -0.024), (0.064, 1.25, -0.016),
             (0.082, 1.3, -0.002)),
    'closed': ((0.005, 1.0, -0.022), (0.036, 1.0, -0.018), (0.044, 0.9, 0.008),
               (0.026, 0.8, 0.024))}
_THUMB_M = {
    'open': ((-0.045, -0.035, -0.018), (-0.020, -0.058, -0.008), (0.012, -0.070, 0.008),
             (0.030, -0.068, 0.022)),
    'closed': ((-0.045, -0.035, -0.015), (-0.025, -0.046, 0.008), (0.002, -0.030, 0.026),
               (0.020, -0.008, 0.030))}


@dataclass(frozen=True)
class Part:
    """A part of the figure: its surface and the name of its colour."""

    mesh: Mesh
    colour: str


@dataclass(frozen=True)
class Figure:
    """A person's looks: parts by name, in frames of their own, placed by `places`."""

    parts: Mapping[str, Part]
    shoulder_m: Array | None

    def places(self, palm: Array, capsules: Mapping[str, Array],
               closed: bool) -> Iterator[tuple[str, Sequence[float], Sequence[float]]]:
        """Give name, place and quaternion of each part that moves.

        `palm` (9,) is the hand's pose, `capsules` has the ends (2, 3) of the judged body parts.
        """
        pose = palm.tolist()
        shown, turn = 'closed' if closed else 'open', single_quaternion(pose)
        for grip in ('open', 'closed'):
            yield grip, pose[:3] if grip == shown else _AWAY_M, turn
        if 'forearm' not in capsules or self.shoulder_m is None:
            return
        wrist, elbow = capsules['forearm']
        yield 'forearm', wrist.tolist(), _turn_z_to(elbow - wrist)
        gap = self.shoulder_m - elbow
        step = (1 - _PIECE_M / max(float(np.linalg.norm(gap)), _PIECE_M)) / (_UPPER_ARM_PIECES - 1)
        turn = _turn_z_to(gap)
        for i in range(_UPPER_ARM_PIECES):
            yield f'upper_arm_{i}', (elbow + i * step * gap).tolist(), turn


def figure(capsules: Mapping[str, Array], radius_m: Mapping[str, float],
           shoulder_m: Array | None, sides: int) -> Figure:
    """Return the looks of a receiver, `sides` corners around each limb.

    Body parts that are none of a person's are drawn as their capsules.
    """
    right = shoulder_m is None or shoulder_m[1] >= 0
    parts = {grip: Part(_hand(grip, right, sides), 'hand') for grip in ('open', 'closed')}
    if 'forearm' in capsules and shoulder_m is not None:
        length = float(np.linalg.norm(capsules['forearm'][1] - capsules['forearm'][0]))
        parts['forearm'] = Part(_limb(0.02, length + 0.02, 0.030, 0.043, sides), 'shirt')
        for i in range(_UPPER_ARM_PIECES):
            parts[f'upper_arm_{i}'] = Part(
                _limb(-0.01, _PIECE_M + 0.02, 0.043 + 0.004 * i, 0.046 + 0.004 * i, sides),
                'shirt')
    if 'torso' in capsules and shoulder_m is not None:
        parts['trunk'] = Part(_trunk(capsules['torso'], shoulder_m, sides), 'shirt')
        parts['legs'] = Part(_legs(capsules['torso'], shoulder_m, sides), 'trousers')
    if 'face' in capsules and 'neck' in capsules:
        (x, y, _), face_z = capsules['face'][0], float(capsules['face'][:, 2].mean())
        neck = [tuple(end.tolist()) for end in capsules['neck']]
        lower, upper = neck[0], neck[1]
        parts['head'] = Part(joined([
            tube((lower, upper, (upper[0] - 0.02, upper[1], upper[2] + 0.06)),
                 (radius_m['neck'], 0.052, 0.050), X, sides),
            ellipsoid((x, y, face_z), (0.095, 0.078, 0.130), sides + 2),
            tube(((x - 0.082, y, face_z + 0.025), (x - 0.102, y, face_z - 0.008),
                  (x - 0.112, y, face_z - 0.025)), (0.008, 0.013, 0.014), Y, 6)]), 'skin')
        parts['hair'] = Part(joined([
            ellipsoid((x + 0.022, y, face_z + 0.035), (0.100, 0.088, 0.118), sides + 2),
            *(ellipsoid((x - 0.083, y + side, face_z + 0.03), (0.010, 0.012, 0.009), 6, 5)
              for side in (-0.032, 0.032))]), 'hair')
    for name, ends in capsules.items():
        if name not in ('hand', 'forearm', 'torso', 'neck', 'face'):
            parts[name] = Part(_capsule(ends, radius_m[name], sides), 'skin')
    return Figure(parts, shoulder_m)


def _hand(grip: str, right: bool, sides: int) -> Mesh:
    """Return a hand in the palm's frame: fingers along +x, the palm up."""
    palm = tube(((-0.092, 0.0, -0.006), (-0.06, 0.0, -0.016), (-0.02, 0.0, -0.022),
                 (0.014, 0.0, -0.022)),
                ((0.027, 0.024), (0.036, 0.019), (0.044, 0.016), (0.041, 0.012)), Y, sides)
    fingers = [tube([(x, y * share, z) for x, share, z in _FINGERS_M[grip]],
                    (0.011, 0.0105, 0.0095, 0.006), Y, max(4, sides - 2))
               for y in (-0.031, -0.0105, 0.0105, 0.031)]
    thumb = tube(_THUMB_M[grip], (0.015, 0.013, 0.012, 0.008), Z, max(4, sides - 2))
    made = joined([palm, *fingers, thumb])
    return made if right else mirrored(made)


def _limb(begin_m: float, end_m: float, thin_m: float, thick_m: float, sides: int) -> Mesh:
    """Return a limb along +z with round ends."""
    return tube([(0.0, 0.0, z) for z in (begin_m - thin_m / 2, begin_m, end_m,
                                         end_m + thick_m / 2)],
                (0.6 * thin_m, thin_m, thick_m, 0.6 * thick_m), X, sides)


def _capsule(ends: Array, radius_m: float, sides: int) -> Mesh:
    """Return a standing capsule where it is."""
    low, high = ends
    along = (high - low) / max(float(np.linalg.norm(high - low)), 1e-9)
    places = (low - 0.9 * radius_m * along, low, high, high + 0.9 * radius_m * along)
    side = X if abs(along[0]) < 0.9 else Y
    return tube([tuple(place.tolist()) for place in places],
                (0.4 * radius_m, radius_m, radius_m, 0.4 * radius_m), side, sides)


def _trunk(torso: Array, shoulder_m: Array, sides: int) -> Mesh:
    """Return trunk, shoulders and the arm that hangs down."""
    (x, y, _), z = torso[0].tolist(), float(shoulder_m[2])
    trunk = tube([(x, y, z + up) for up in (-0.62, -0.45, -0.25, -0.10, -0.01, 0.04, 0.075)],
                 ((0.155, 0.11), (0.150, 0.108), (0.165, 0.115), (0.190, 0.118), (0.195, 0.098),
                  (0.135, 0.080), (0.062, 0.060)), Y, sides + 2)
    near, other = shoulder_m.tolist(), (x + 0.01, -float(shoulder_m[1]), z - 0.01)
    out = np.sign(other[1])
    return joined([
        trunk, ellipsoid(tuple(near), (0.064, 0.064, 0.064), sides, 5),
        tube((tuple(near), (x, 0.7 * near[1], z - 0.02)), (0.062, 0.075), Z, sides),
        ellipsoid(other, (0.066, 0.062, 0.066), sides, 5),
        tube((other, (x + 0.02, other[1] + 0.045 * out, z - 0.28),
              (x - 0.05, other[1] + 0.035 * out, z - 0.54)), (0.056, 0.045, 0.034), X, sides)])


def _legs(torso: Array, shoulder_m: Array, sides: int) -> Mesh:
    """Return the legs, straight down from the trunk."""
    (x, y, _), z = torso[0].tolist(), float(shoulder_m[2])
    return joined([tube(((x, y + side, z - 0.58), (x, y + side, z - 0.95), (x, y + side, z - 1.4)),
                        (0.085, 0.065, 0.05), Y, sides) for side in (-0.08, 0.08)])


def _turn_z_to(direction: Array) -> tuple[float, float, float, float]:
    """Return a quaternion (x, y, z, w) that turns +z to `direction`: limbs lie along z."""
    length = float(np.linalg.norm(direction))
    x, y, z = (direction / length).tolist() if length > 0 else (0.0, 0.0, 1.0)
    if z < -0.9999:
        return 1.0, 0.0, 0.0, 0.0
    w = math.sqrt((1.0 + z) / 2.0)
    return -y / (2 * w), x / (2 * w), 0.0, w
