# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures by PyBullet's software renderer, without a display."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array, Vector
from uncloning_ros.pictures import Pixels
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.pybullet.client import BulletClient, pybullet
from uncloning_ros.simulation.pybullet.stage import (
    TABLE_BACK_M,
    TABLE_HALF_WIDTH_M,
    Colours,
    Moment,
    Stage,
)
from uncloning_ros.simulation.receivers.receiver import Receiver
from uncloning_ros.simulation.world import Camera

_NEAR_M, _FAR_M = 0.03, 5.0
_AMBIENT, _DIFFUSE, _SPECULAR = 0.6, 0.35, 0.05
_FROM: Vector = (0.6, -1.0, 1.6)
_NOTHING = 0.9999  # depth in the buffer from which on a pixel shows no body


@dataclass(frozen=True)
class View:
    """Where a camera is and looks: eye and target (3,) in m, up (3,), in the base frame."""

    eye: Array
    target: Array
    up: Array


@dataclass(frozen=True)
class Light:
    """The light of a scene: its strength, 1 is ordinary, and where it comes from."""

    strength: float = 1.0
    direction: Vector = _FROM


def shoot(client: BulletClient, view: View, field_rad: float, size: tuple[int, int],
          light: Light, shadow: bool) -> tuple[Pixels, NDArray[np.float32]]:
    """Return picture (height, width, 3) and depth buffer (height, width) of a client's bodies."""
    width, height = size
    lens = pybullet.computeProjectionMatrixFOV(float(np.degrees(field_rad)), width / height,
                                               _NEAR_M, _FAR_M)
    seen = client.getCameraImage(
        width, height, pybullet.computeViewMatrix(
            view.eye.tolist(), view.target.tolist(), view.up.tolist()), lens,
        lightDirection=light.direction, shadow=int(shadow),
        lightAmbientCoeff=_AMBIENT * light.strength, lightDiffuseCoeff=_DIFFUSE * light.strength,
        lightSpecularCoeff=_SPECULAR, renderer=pybullet.ER_TINY_RENDERER)
    pixels = np.asarray(seen[2], dtype=np.uint8).reshape(height, width, 4)
    return pixels[:, :, :3].copy(), np.asarray(seen[3]).reshape(height, width)


_FILM_VIEW = View(np.array([0.82, -1.6, 0.98]), np.array([0.70, 0.0, 0.33]),
                  np.array([0.0, 0.0, 1.0]))
_FILM_FIELD_RAD = np.radians(47.0)


# Lightness (-1 to 1) of each pattern by two waves, one across the other.
PATTERNS: Mapping[str, Callable[[Array, Array], Array]] = {
    'stripes': lambda one, other: np.sign(one),
    'checks': lambda one, other: np.sign(one * other),
    'spots': lambda one, other: (one + other) / 2}


@dataclass(frozen=True)
class Pattern:
    """A pattern on the table, by the share `contrast` lighter and darker than it.

    Both of its waves are `wave_m` long; they are turned together about the vertical.
    """

    kind: str
    contrast: float
    wave_m: float
    turn_rad: float
    phase_rad: float
    other_phase_rad: float

    def factors(self, x: Array, y: Array) -> Array:
        """Return the factors (height, width) of the table's colour at places (m) on it."""
        cos, sin, turns = np.cos(self.turn_rad), np.sin(self.turn_rad), 2 * np.pi / self.wave_m
        one = np.sin(turns * (cos * x + sin * y) + self.phase_rad)
        other = np.sin(turns * (cos * y - sin * x) + self.other_phase_rad)
        return 1 + self.contrast * PATTERNS[self.kind](one, other)


class Backdrop:
    """The table and the wall, painted behind the bodies of a picture of one size and field."""

    def __init__(self, field_rad: float, size: tuple[int, int], table_edge_m: float,
                 colours: Colours, light: Light, pattern: Pattern) -> None:
        width, height = size
        half = np.tan(field_rad / 2)
        across = (2 * (np.arange(width) + 0.5) / width - 1) * half * width / height
        upward = (1 - 2 * (np.arange(height) + 0.5) / height) * half
        # Rays as (right, up, forward), forward 1, so that lengths along them are depths.
        rays = np.ones((height, width, 3), dtype=np.float32)
        rays[..., 0], rays[..., 1] = across[None, :], upward[:, None]
        self._rays = rays
        self._still: tuple[View, NDArray[np.float32], Pixels] | None = None
        self._edge_m, self._pattern, self._colour = table_edge_m, pattern, colours.table
        lit = np.array(light.direction) / np.linalg.norm(light.direction)
        self._strength = light.strength * (_AMBIENT + _DIFFUSE * lit[2])
        self._wall = _shade(colours.wall, light.strength * (_AMBIENT + 0.5 * _DIFFUSE))

    def paint(self, pixels: Pixels, depth: NDArray[np.float32], view: View) -> None:
        """Paint into a picture whatever no body hides; the table hides bodies below it."""
        if self._still is None or self._still[0] is not view:
            self._still = view, *self._table(view)
        _, table, colour = self._still
        pixels[depth > _NOTHING] = self._wall
        # The buffer's values grow with the depth.
        np.copyto(pixels, colour, where=(table < depth)[..., None])

    def _table(self, view: View) -> tuple[NDArray[np.float32], Pixels]:
        """Return the depths (height, width) of the table, as in the buffer, 2 beside it.

        The second value is its colour, or those of all pixels if it has a pattern.
        """
        forward = view.target - view.eye
        forward = forward / np.linalg.norm(forward)
        right = np.cross(forward, view.up)
        right = right / np.linalg.norm(right)
        frame = np.stack([right, np.cross(right, forward), forward]).astype(np.float32)
        x, y, z = np.moveaxis(self._rays @ frame, -1, 0)
        far = np.float32(-view.eye[2]) / np.where(z < -1e-4, z, np.float32(-1e-4))
        x, y = np.float32(view.eye[0]) + far * x, np.float32(view.eye[1]) + far * y
        shown = ((z < -1e-4) & (far < _FAR_M) & (x > TABLE_BACK_M) & (x < self._edge_m)
                 & (np.abs(y) < TABLE_HALF_WIDTH_M))
        buffer = _FAR_M / (_FAR_M - _NEAR_M) * (1 - np.float32(_NEAR_M) / far)
        strength = self._strength
        if self._pattern.contrast > 0:
            strength = strength * self._pattern.factors(x, y)[..., None]
        return (np.where(shown, buffer, np.float32(2.0)).astype(np.float32),
                _shade(self._colour, strength))


class Filmer:
    """Take the pictures of films, of a scene with the arm's own meshes and shadows."""

    def __init__(self, scenario: Scenario) -> None:
        self._stage = Stage(scenario, fine=True)

    def close(self) -> None:
        """Free the renderer."""
        self._stage.close()

    def begin(self, receiver: Receiver, palm: Array) -> None:
        """Set the scene of an episode up."""
        self._stage.begin(receiver, palm, Colours())

    def picture(self, camera: Camera, moment: Moment) -> Pixels:
        """Return a picture (height, width, 3) of a moment."""
        self._stage.place(moment)
        pixels, depth = shoot(self._stage.client, _FILM_VIEW, _FILM_FIELD_RAD,
                              (camera.width, camera.height), Light(), shadow=True)
        pixels[depth > _NOTHING] = _shade(Colours().wall, 1.0)
        return pixels


def _shade(colour: Vector, strength: float | Array) -> NDArray[np.uint8]:
    return np.clip(np.array(colour) * strength * 255.0, 0, 255).astype(np.uint8)
