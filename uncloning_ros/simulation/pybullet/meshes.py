# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes of round bodies: a limb, a head and a trunk are tubes of changing thickness."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array, Vector


@dataclass(frozen=True)
class Mesh:
    """A surface: places (V, 3) in m, triangles (T, 3) of their indices, normals (V, 3)."""

    vertices: Array
    triangles: NDArray[np.int64]
    normals: Array


def tube(centres: Sequence[Vector], radii: Sequence[float | tuple[float, float]],
         side: Vector, sides: int) -> Mesh:
    """Return a closed tube along `centres` with `sides` corners around each of them.

    A radius in m is that of a circle, or two are those of an ellipse: along `side`, and across
    it.
    """
    line = np.array(centres, dtype=np.float64)
    wide = np.array([r if isinstance(r, tuple) else (r, r) for r in radii])
    tangents = np.gradient(line, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    across = np.cross(tangents, side)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    along = np.cross(across, tangents)
    angles = np.arange(sides) * 2 * np.pi / sides
    ring = (np.cos(angles)[None, :, None] * (wide[:, :1] * along)[:, None]
            + np.sin(angles)[None, :, None] * (wide[:, 1:] * across)[:, None])
    places = np.concatenate([(line[:, None] + ring).reshape(-1, 3), line[[0, -1]]])
    rings, first, last = len(line), len(places) - 2, len(places) - 1
    i = np.arange(sides)
    j = (i + 1) % sides
    bands = [np.concatenate([np.stack([b + i, b + j, b + sides + j], 1),
                             np.stack([b + i, b + sides + j, b + sides + i], 1)])
             for b in range(0, (rings - 1) * sides, sides)]
    top = (rings - 1) * sides
    caps = [np.stack([np.full(sides, first), j, i], 1),
            np.stack([np.full(sides, last), top + i, top + j], 1)]
    return _smooth(places, np.concatenate([*bands, *caps]))


def ellipsoid(centre: Vector, radii: Vector, sides: int, rings: int = 7) -> Mesh:
    """Return an ellipsoid with its axes along x, y and z."""
    angles = np.linspace(-0.47, 0.47, rings) * np.pi
    made = tube([(0.0, 0.0, float(np.sin(a))) for a in angles],
                [float(np.cos(a)) for a in angles], (1.0, 0.0, 0.0), sides)
    return _smooth(np.array(centre) + made.vertices * radii, made.triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]),
                np.concatenate([mesh.triangles + start for mesh, start
                                in zip(meshes, starts, strict=False)]),
                np.concatenate([mesh.normals for mesh in meshes]))


def mirrored(mesh: Mesh) -> Mesh:
    """Return a mesh with left and right exchanged: y with -y."""
    flip = np.array([1.0, -1.0, 1.0])
    return Mesh(mesh.vertices * flip, mesh.triangles[:, ::-1], mesh.normals * flip)


def _smooth(vertices: Array, triangles: NDArray[np.int64]) -> Mesh:
    """Return a mesh whose normals are those of the faces around each vertex."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, triangles[:, k], faces)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(vertices, triangles, normals / np.maximum(lengths, 1e-12))
