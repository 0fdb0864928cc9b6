# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a world without a display, by PyBullet's software renderer."""

from collections.abc import Mapping

import numpy as np

from uncloning_ros.geometry import Array
from uncloning_ros.simulation.pybullet.client import BulletClient, pybullet
from uncloning_ros.simulation.world import Camera, Pixels

_EYE_M, _LOOK_AT_M, _FIELD_DEG = (0.85, -1.50, 0.95), (0.66, 0.0, 0.30), 46.0
_SKIN, _SHIRT = (0.87, 0.68, 0.55, 1.0), (0.25, 0.42, 0.62, 1.0)
_CLOTHED = ('torso',)


class Renderer:
    """Take pictures of one client's world; the physics ignores the shapes added for them."""

    def __init__(self, client: BulletClient) -> None:
        self._client = client
        self._shapes: dict[str, int] = {}

    def picture(self, camera: Camera, capsules: Mapping[str, Array],
                radius_m: Mapping[str, float]) -> Pixels:
        """Return a picture, with the receiver's body parts as capsules: ends (2, 3), radius."""
        for part, ends in capsules.items():
            if part not in self._shapes:
                self._shapes[part] = self._add_capsule(part, ends, radius_m[part])
            self._client.resetBasePositionAndOrientation(
                self._shapes[part], ends.mean(axis=0).tolist(), _turn_z_to(ends[1] - ends[0]))
        width, height = camera.width, camera.height
        view = pybullet.computeViewMatrix(_EYE_M, _LOOK_AT_M, (0, 0, 1))
        lens = pybullet.computeProjectionMatrixFOV(_FIELD_DEG, width / height, 0.1, 5.0)
        pixels = self._client.getCameraImage(
            width, height, view, lens, lightDirection=(0.6, -1.0, 1.6), shadow=1,
            renderer=pybullet.ER_TINY_RENDERER)[2]
        return np.asarray(pixels, dtype=np.uint8).reshape(height, width, 4)[:, :, :3].copy()

    def _add_capsule(self, part: str, ends: Array, radius_m: float) -> int:
        """Add a shape of a body part's size; a receiver's sizes stay the same."""
        shape = self._client.createVisualShape(
            pybullet.GEOM_CAPSULE, radius=radius_m,
            length=float(np.linalg.norm(ends[1] - ends[0])),
            rgbaColor=_SHIRT if part in _CLOTHED else _SKIN)
        return int(self._client.createMultiBody(0, -1, shape))


def _turn_z_to(direction: Array) -> tuple[float, float, float, float]:
    """Return the quaternion (x, y, z, w) that turns +z to `direction`: capsules lie along z."""
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    if z < -0.9999:
        return 1.0, 0.0, 0.0, 0.0
    w = np.sqrt((1.0 + z) / 2.0)
    return -y / (2 * w), x / (2 * w), 0.0, float(w)
