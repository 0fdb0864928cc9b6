# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Push-T: a disc pushes a T onto its goal; demonstrations of people (Chi et al. 2023).

The world is that of the published task, in pixels of a field 512 wide, in pymunk. The modes are
the sides on which the disc goes round the T's centre of gravity in its first 5 s.
"""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outside.task import RATE_HZ, Demonstration, Port, Result, contract_of, given
from uncloning_ros.errors import UncloningError, shown
from uncloning_ros.files import disk_errors, file_sha256
from uncloning_ros.geometry import Array

_POSE = 'geometry_msgs/msg/PoseStamped'
_FIELD = 512.0  # pixels that are 1 m in the messages
# Start near the one on the page of arXiv 2606.29201: people go round the T on either side there.
FIXED = (328.0, 191.0, 185.0, 327.0, math.pi / 4)
_GOAL, _GOAL_ANGLE = (256.0, 256.0), math.pi / 4

_TICKS = 250
_BEGIN = 50  # states that show the mode: 5 s
_CENTRE = 45.0  # distance (pixels) of the T's centre of gravity from its origin
_CLEAR_DEG = 30.0  # by which the disc winds further to one side than to the other

_COMPLETED = 0.8  # coverage of the goal
_ENOUGH = 0.95    # coverage at which an episode ends, as published
_STEPS, _STEP_S = 10, 0.01  # of physics in one tick
_STIFFNESS, _DAMPING = 100.0, 20.0  # of the disc's pull to its target (1/s^2, 1/s)
_WALLS = (((5, 506), (5, 5)), ((5, 5), (506, 5)), ((506, 5), (506, 506)), ((5, 506), (506, 506)))
_BAR = ((-60, 30), (60, 30), (60, 0), (-60, 0))
_STEM = ((-15, 30), (-15, 120), (15, 120), (15, 30))
_RADIUS, _WALL = 15, 2
_SEEDS = 2**32  # that the published environment draws from
_REACH = (15.0, 497.0)  # of a target (pixels)


class PushT:
    """The task with the demonstrations in a file, which its rollouts do not need."""

    name = 'push_t'
    modes = ('left', 'right')
    contract = contract_of((Port('tool_pose', '/tool_pose', _POSE),
                            Port('object_pose', '/object_pose', _POSE)),
                           Port('target_pose', '/target_pose', _POSE),
                           {'left': True, 'right': False}, 8, _TICKS,
                           # The disc stays on the table and does not turn.
                           {'workspace_min_m': [0, 0, -0.01], 'workspace_max_m': [1, 1, 0.01],
                            'speed_m_s': 3.0, 'rotation_speed_rad_s': 0.1, 'jump_m': 0.4,
                            'jump_rad': 0.1})
    ticks = _TICKS

    def __init__(self, data: Path | None) -> None:
        self._data = data

    @property
    def digest(self) -> str:
        """Return the sha256 of the file."""
        return file_sha256(given(self._data, self.name))

    def demonstrations(self) -> Iterator[Demonstration]:
        """Yield the demonstrations in the order of the file."""
        states, targets, ends = load(given(self._data, self.name))
        for number, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            s, a = states[begin:end], targets[begin:end]
            yield Demonstration(f'demo_{number:03d}', mode_of(s), {
                'tool_pose': planar_poses(s[:, :2] / _FIELD, np.zeros(len(s))),
                'object_pose': planar_poses(s[:, 2:4] / _FIELD, s[:, 4]),
                'target_pose': planar_poses(a / _FIELD, np.zeros(len(a)))}, decided_s(s))

    def world(self, episodes: int, seed: int, fixed: bool,
              rng: np.random.Generator) -> '_Tables':
        """Return episodes; the start state of number k follows from `seed` + k alone."""
        if seed + episodes > _SEEDS:
            raise UncloningError(f'push_t: expected seeds below {_SEEDS}, got {seed} and '
                                 f'{episodes} episodes; give a smaller --seed')
        return _Tables([FIXED if fixed else start(seed + k) for k in range(episodes)])


def load(path: Path) -> tuple[Array, Array, list[int]]:
    """Return states (N, 5), targets (N, 2) and the end of each demonstration.

    Raise `UncloningError` for a file of another kind.
    """
    shapes, found = {'s': (5,), 'a': (2,), 'e': ()}, dict[str, Any]()
    with (disk_errors(f'cannot read {path}', UncloningError, 'check --data'),
          contextlib.suppress(ValueError, TypeError, EOFError, zipfile.BadZipFile),
          np.load(path, allow_pickle=False) as file):
        found = {key: file[key] for key in shapes if key in file.files}
    if len(found) < len(shapes):
        raise UncloningError(f'{path}: expected an .npz file with {", ".join(shapes)}, got '
                             f'{", ".join(found) or "none of them"}; see docs/outside.md')
    for key, shape in shapes.items():
        if (found[key].shape[1:] != shape or found[key].ndim != len(shape) + 1
                or found[key].dtype.kind not in 'fiu' or not np.isfinite(found[key]).all()):
            raise UncloningError(f'{path}: expected {key} as finite numbers '
                                 f'{("N", *shape)}, got {found[key].dtype} '
                                 f'{found[key].shape}; see docs/outside.md')
    states, targets, ends = found['s'].astype(float), found['a'].astype(float), found['e'].tolist()
    if (len(states) != len(targets) or not ends or ends[-1] != len(states)
            or not all(a < b for a, b in zip([0, *ends], ends, strict=False))):
        raise UncloningError(f'{path}: expected rising ends up to the {len(states)} states and '
                             f'as many targets, got {len(targets)} targets and ends '
                             f'{shown(ends)}; see docs/outside.md')
    return states, targets, ends


def planar_poses(xy: Array, yaw: Array) -> Array:
    """Return poses (N, 9) in the plane at points (N, 2) and angles (N,)."""
    cos, sin, zero = np.cos(yaw), np.sin(yaw), np.zeros(len(xy))
    return np.stack([*xy.T, zero, cos, sin, zero, -sin, cos, zero], axis=1)


def mode_of(states: Array) -> str | None:
    """Return the mode of states (T, 5) of one episode, None if it is unclear."""
    lead_deg = _lead_deg(states)[-1]
    return None if abs(lead_deg) <= _CLEAR_DEG else 'left' if lead_deg > 0 else 'right'


def decided_s(states: Array) -> float | None:
    """Return when the side of the mode was clear first, None if it is unclear."""
    mode, lead_deg = mode_of(states), _lead_deg(states)
    clear = (lead_deg if mode == 'left' else -lead_deg) > _CLEAR_DEG
    return None if mode is None else int(np.argmax(clear)) / RATE_HZ


def _lead_deg(states: Array) -> Array:
    """Return how much further the disc has wound to the left than to the right, tick by tick."""
    disc, block, angle = states[:_BEGIN, :2], states[:_BEGIN, 2:4], states[:_BEGIN, 4]
    away = disc - (block + _CENTRE * np.stack([-np.sin(angle), np.cos(angle)], axis=1))
    turned = np.unwrap(np.arctan2(away[:, 1], away[:, 0]))
    turned_deg = np.degrees(turned - turned[0])
    return np.abs(np.maximum.accumulate(turned_deg)) - np.abs(np.minimum.accumulate(turned_deg))


def start(seed: int) -> tuple[float, ...]:
    """Return a start state as the published environment draws it from its seed."""
    rng = np.random.RandomState(seed)
    disc = rng.randint(50, 450), rng.randint(50, 450)
    block = rng.randint(100, 400), rng.randint(100, 400)
    return (*map(float, (*disc, *block)), rng.randn() * 2 * math.pi - math.pi)


class _Tables:
    """Episodes of Push-T; one that has covered its goal stands still."""

    def __init__(self, starts: list[tuple[float, ...]]) -> None:
        self._tables = [_Table(*libraries(), one) for one in starts]
        self._best = np.zeros(len(starts))
        self._track: list[Array] = []

    def look(self) -> Array:
        states = np.array([table.state() for table in self._tables])
        if len(self._track) < _BEGIN:
            self._track.append(states)
        return np.concatenate([
            planar_poses(states[:, :2] / _FIELD, np.zeros(len(states))),
            planar_poses(states[:, 2:4] / _FIELD, states[:, 4])], axis=1)

    def step(self, actions: Array, rng: np.random.Generator) -> None:
        targets = np.clip(actions[:, :2] * _FIELD, *_REACH)
        for k, table in enumerate(self._tables):
            if self._best[k] < _ENOUGH:
                table.step(*targets[k].tolist())
                self._best[k] = max(self._best[k], table.coverage())

    def results(self) -> list[Result]:
        states = np.stack(self._track, axis=1)
        return [Result(mode_of(each), bool(best >= _COMPLETED), unsafe=False)
                for each, best in zip(states, self._best, strict=True)]


class _Table:
    """One episode in pymunk, with the geometry of shapely for the coverage."""

    def __init__(self, pymunk: Any, geometry: Any, state: tuple[float, ...]) -> None:
        self._geometry, self._space = geometry, pymunk.Space()
        self._space.gravity, self._space.damping = (0, 0), 0
        ground = self._space.static_body
        self._space.add(*(pymunk.Segment(ground, *ends, _WALL) for ends in _WALLS))
        self._disc = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        self._disc.position = state[:2]
        self._space.add(self._disc, pymunk.Circle(self._disc, _RADIUS))
        # Mass and moment are those of the published task, which counts the bar twice.
        self._block = pymunk.Body(1, 2 * pymunk.moment_for_poly(1, _BAR))
        self._shapes = [pymunk.Poly(self._block, corners) for corners in (_BAR, _STEM)]
        bar, stem = (shape.center_of_gravity for shape in self._shapes)
        self._block.center_of_gravity = (bar + stem) / 2
        self._space.add(self._block, *self._shapes)
        # In this order: an angle set later turns the block about its centre of gravity.
        self._block.angle, self._block.position = state[4], state[2:4]
        self._space.step(_STEP_S)
        goal = pymunk.Body(1, 1)
        goal.position, goal.angle = _GOAL, _GOAL_ANGLE
        self._goal = self._area(goal)

    def state(self) -> tuple[float, ...]:
        return (*self._disc.position, *self._block.position, self._block.angle % (2 * math.pi))

    def step(self, x: float, y: float) -> None:
        """Pull the disc to a target (pixels) for one tick."""
        for _ in range(_STEPS):
            (px, py), (vx, vy) = self._disc.position, self._disc.velocity
            self._disc.velocity = (vx + (_STIFFNESS * (x - px) - _DAMPING * vx) * _STEP_S,
                                   vy + (_STIFFNESS * (y - py) - _DAMPING * vy) * _STEP_S)
            self._space.step(_STEP_S)

    def coverage(self) -> float:
        """Return the share of the goal that the T covers."""
        return float(self._goal.intersection(self._area(self._block)).area / self._goal.area)

    def _area(self, body: Any) -> Any:
        return self._geometry.MultiPolygon([self._geometry.Polygon(
            [tuple(body.local_to_world(corner)) for corner in shape.get_vertices()])
            for shape in self._shapes])


def libraries() -> tuple[Any, Any]:
    """Return pymunk and shapely.geometry; raise `UncloningError` where one is missing."""
    try:
        import pymunk
        from shapely import geometry  # type: ignore[import-untyped]
    except ImportError as err:
        raise UncloningError(f'push_t needs {err.name}, which is not installed; install it with: '
                             f'pip install -r requirements/outside.txt') from err
    return pymunk, geometry
