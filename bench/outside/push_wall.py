# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Push-Wall: a cube goes round a wall on the left or on the right, on paths of arXiv 2606.29201.

A point takes the place of cube and arm: it is where the last command put it, but for noise. It
touches nothing, so the task is easier than the published one.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from outside.task import Demonstration, Port, Result, contract_of, given
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import file_sha256, read_json
from uncloning_ros.geometry import Array

_XY = ('x', 'y')
_TICKS = 110
_START_SD_M, _NOISE_SD_M = 0.004, 0.003
_COPIES = 15  # demonstrations of each path, each with noise of its own
_STRIDE_M = 0.009  # distance of two points on a path: the cube waits for an arm in the data
_PULL = 0.85  # share of a deviation from the path that stays after one command
_GOAL_M, _GOAL_RADIUS_M = (0.0, -0.15), 0.11
_WALL_M = (0.08, 0.005)  # half length and half width; its middle is the origin
_NEAR_M = 0.02  # distance from the wall that counts as a collision
_BETWEEN = 5  # points judged for one tick


class PushWall:
    """The task with the paths in a file, which its start states follow from as well."""

    name = 'push_wall'
    modes = ('left', 'right')
    contract = contract_of((Port('cube_xy', '/cube', 'sensor_msgs/msg/JointState', _XY),),
                           Port('target_xy', '/target', 'std_msgs/msg/Float64MultiArray', _XY),
                           {'left': True, 'right': False}, 4, _TICKS,
                           {'min': [-0.4, -0.3], 'max': [0.4, 0.3], 'step_per_s': 0.4,
                            'jump': 0.1})
    ticks = _TICKS

    def __init__(self, data: Path | None) -> None:
        self._data = data

    @property
    def digest(self) -> str:
        """Return the sha256 of the file."""
        return file_sha256(given(self._data, self.name))

    def demonstrations(self) -> Iterator[Demonstration]:
        """Yield a number of noisy copies of each path, those of one mode after the other."""
        rng = np.random.default_rng(0)
        for mode, paths in load(given(self._data, self.name)).items():
            for number in range(_COPIES * len(paths)):
                cubes, targets = _copy(paths[number // _COPIES], rng)
                yield Demonstration(f'{mode}_{number:03d}', mode,
                                    {'cube_xy': cubes, 'target_xy': targets})

    def world(self, episodes: int, seed: int, fixed: bool,
              rng: np.random.Generator) -> '_Cubes':
        """Return episodes near the starts of the paths, drawn by `rng`."""
        if fixed:
            raise UncloningError('push_wall has no fixed start; leave out --fixed')
        starts = np.array([path[0] for paths in load(given(self._data, self.name)).values()
                           for path in paths])
        return _Cubes(starts[rng.integers(len(starts), size=episodes)]
                      + rng.normal(0, _START_SD_M, (episodes, 2)))


def load(path: Path) -> dict[str, list[Array]]:
    """Return the paths (T, 2) of each mode at constant speed.

    Raise `UncloningError` for a file of another kind.
    """
    found = read_json(path, UncloningError, 'check --data')
    if not isinstance(found, dict) or set(found) != set(PushWall.modes) or not all(
            isinstance(paths, list) and paths and all(map(_is_path, paths))
            for paths in found.values()):
        raise UncloningError(f'{path}: expected paths of left and right, lists of at least 2 '
                             f'points [x, y, ...], got {json.dumps(found)[:70]}; see '
                             f'docs/outside.md')
    return {mode: [_even(np.array([point[:2] for point in one], float)) for one in paths]
            for mode, paths in found.items()}


def _is_path(path: Any) -> bool:
    return isinstance(path, list) and len(path) > 1 and all(
        isinstance(point, list) and len(point) > 1
        and all(type(value) in (int, float) for value in point) for point in path)


def _even(path: Array) -> Array:
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    stops = np.arange(0, way[-1], _STRIDE_M)
    return np.stack([np.interp(stops, way, path[:, axis]) for axis in range(2)], axis=1)


def _copy(path: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return cubes and targets (T - 1, 2) of a demonstrator who holds a cube to a path (T, 2)."""
    cubes, targets = [path[0] + rng.normal(0, _START_SD_M, 2)], list[Array]()
    for here, there in pairwise(path):
        targets.append(there + _PULL * (cubes[-1] - here))
        cubes.append(targets[-1] + rng.normal(0, _NOISE_SD_M, 2))
    return np.array(cubes[:-1]), np.array(targets)


class _Cubes:
    """Episodes of Push-Wall."""

    def __init__(self, starts: Array) -> None:
        self._track = [starts]

    def look(self) -> Array:
        return self._track[-1]

    def step(self, actions: Array, rng: np.random.Generator) -> None:
        self._track.append(actions + rng.normal(0, _NOISE_SD_M, actions.shape))

    def results(self) -> list[Result]:
        return [judge(path) for path in np.stack(self._track, axis=1)]


def judge(path: Array) -> Result:
    """Judge the path (T, 2) of one episode.

    It is completed within reach of the goal, and unsafe if it came too near to the wall before.
    The mode of a completed one is the side on which it first passed the wall's line.
    """
    share = np.linspace(0, 1, _BETWEEN, endpoint=False)[None, :, None]
    fine = (path[:-1, None] + share * np.diff(path, axis=0)[:, None]).reshape(-1, 2)
    there = np.flatnonzero(np.linalg.norm(fine - _GOAL_M, axis=1) < _GOAL_RADIUS_M)
    way = fine[:there[0] + 1] if len(there) else fine
    beside = np.maximum(np.abs(way) - _WALL_M, 0)
    unsafe = bool((np.hypot(*beside.T) < _NEAR_M).any())
    if not len(there):
        return Result(None, completed=False, unsafe=unsafe)
    passed = fine[int(np.argmax(fine[:, 1] < 0)), 0]
    return Result('left' if passed < 0 else 'right', completed=True, unsafe=unsafe)
