# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a world, without a display: PyBullet's software renderer."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uncloning_ros.simulation.pybullet.client import pybullet
from uncloning_ros.simulation.pybullet.world import World
from uncloning_ros.simulation.receivers.person import CAPSULE_RADIUS_M

Picture = NDArray[np.uint8]

_EYE_M, _LOOK_AT_M, _FIELD_DEG = (0.85, -1.50, 0.95), (0.66, 0.0, 0.30), 46.0
_JPEG_QUALITY = 80
_SKIN, _SHIRT = (0.87, 0.68, 0.55, 1.0), (0.25, 0.42, 0.62, 1.0)
_COLORS = {'hand': _SKIN, 'forearm': _SKIN, 'torso': _SHIRT, 'neck': _SKIN, 'face': _SKIN}


class Camera:
    """Render one world; adds shapes for the person and colours, which the physics ignores."""

    def __init__(self, world: World, width: int = 480, height: int = 360) -> None:
        self._world = world
        self._size = (width, height)
        self._view = pybullet.computeViewMatrix(_EYE_M, _LOOK_AT_M, (0, 0, 1))
        self._lens = pybullet.computeProjectionMatrixFOV(_FIELD_DEG, width / height, 0.1, 5.0)
        self._body: dict[str, int] = {}
        client = world.client
        for part, ends in world.capsules().items():
            shape = client.createVisualShape(
                pybullet.GEOM_CAPSULE, radius=CAPSULE_RADIUS_M[part],
                length=float(np.linalg.norm(ends[1] - ends[0])), rgbaColor=_COLORS[part])
            self._body[part] = client.createMultiBody(0, -1, shape)

    def picture(self) -> Picture:
        """Return what the camera sees now, uint8 (height, width, 3)."""
        client = self._world.client
        for part, ends in self._world.capsules().items():
            client.resetBasePositionAndOrientation(
                self._body[part], ends.mean(axis=0).tolist(), _turn_z_to(ends[1] - ends[0]))
        width, height = self._size
        pixels = client.getCameraImage(
            width, height, self._view, self._lens, lightDirection=(0.6, -1.0, 1.6), shadow=1,
            renderer=pybullet.ER_TINY_RENDERER)[2]
        return np.asarray(pixels, dtype=np.uint8).reshape(height, width, 4)[:, :, :3].copy()

    def close(self) -> None:
        """Take the shapes of the person out of the world again."""
        for body in self._body.values():
            self._world.client.removeBody(body)


def jpeg(picture: Picture) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'JPEG', quality=_JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def gif(pictures: Sequence[Picture], frame_s: float) -> bytes:
    """Return pictures as the bytes of an endless GIF with `frame_s` between two frames."""
    buffer = io.BytesIO()
    # One palette for all frames: it halves the file and keeps colours from flickering.
    first = Image.fromarray(pictures[len(pictures) // 2]).quantize(64)
    frames = [Image.fromarray(picture).quantize(palette=first, dither=Image.Dither.NONE)
              for picture in pictures]
    frames[0].save(buffer, 'GIF', save_all=True, append_images=frames[1:],
                   duration=round(frame_s * 1000), loop=0, optimize=True)
    return buffer.getvalue()


def _turn_z_to(direction: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Return the quaternion (x, y, z, w) that turns +z to `direction`: capsules lie along z."""
    x, y, z = (direction / np.linalg.norm(direction)).tolist()
    if z < -0.9999:
        return 1.0, 0.0, 0.0, 0.0
    w = np.sqrt((1.0 + z) / 2.0)
    return -y / (2 * w), x / (2 * w), 0.0, float(w)
