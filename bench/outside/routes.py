# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Routes: a point mass goes to a goal through three walls with 2, 3 and 4 gaps: 24 modes.

Each combination of gaps is a mode, named after the gaps from right to left: `gaps_1_3_2`. A
demonstrator follows a smooth way through the middles of the gaps, with noise in its hand. A
critically damped spring pulls the mass to the commanded position; a gust moves it at each tick.
Walls do not stop the mass: an episode that touches one is unsafe.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outside.task import RATE_HZ, Demonstration, Port, Result, contract_of
from uncloning_ros.errors import UncloningError
from uncloning_ros.geometry import Array


@dataclass(frozen=True)
class Field:
    """The field, and the noise in it; lengths in m, x along the way from start to goal."""

    walls_x: tuple[float, ...] = (1.0, 2.0, 3.0)
    gaps: tuple[int, ...] = (2, 3, 4)  # of each wall, evenly over `width`
    half_gap: float = 0.16
    half_wall: float = 0.05
    width: float = 2.0
    goal_x: float = 4.0
    jitter: float = 0.3        # largest y of start and goal
    goal_radius: float = 0.08
    stiffness: float = 100.0   # of the spring (1/s^2)
    steps: int = 10            # of physics in one tick
    gust_sd: float = 0.004
    hand_sd: float = 0.01      # noise of the demonstrator's commands
    ahead: float = 0.2         # distance of the demonstrator's commands on its way
    demonstrations: int = 20   # of each mode

    def middle(self, wall: int, gap: int | Array) -> Array:
        """Return y of the middle of a gap, counted from 0."""
        return np.asarray(self.width * ((2 * np.asarray(gap) + 1) / (2 * self.gaps[wall]) - 0.5))

    def gap_at(self, wall: int, y: Array) -> Array:
        """Return the gap of a wall that is nearest to y."""
        share = np.floor((y / self.width + 0.5) * self.gaps[wall])
        return np.clip(share, 0, self.gaps[wall] - 1).astype(int)

    def touched(self, points: Array) -> Array:
        """Tell of points (..., 2) whether they lie in a wall."""
        x, y = points[..., 0], points[..., 1]
        inside = np.zeros(x.shape, bool)
        for wall, wall_x in enumerate(self.walls_x):
            off = np.abs(y - self.middle(wall, self.gap_at(wall, y)))
            inside |= (np.abs(x - wall_x) <= self.half_wall) & (off >= self.half_gap)
        return inside


FIELD = Field()
_XY, _GOAL_XY = ('x', 'y'), ('goal_x', 'goal_y')
_STATE = 'sensor_msgs/msg/JointState'
_TICKS = 150
_MOST_TICKS = 200
_BOW = 0.15  # distance (m) before and after a wall on which the way is straight
_STRIDE = 0.01  # distance (m) of two points on the way


def mode_name(gaps: Sequence[int]) -> str:
    """Return the name of the mode that goes through these gaps, counted from 0."""
    return '_'.join(['gaps', *(str(gap + 1) for gap in gaps)])


class Routes:
    """The task; it makes its demonstrations itself."""

    name = 'routes'
    modes = tuple(map(mode_name, itertools.product(*map(range, FIELD.gaps))))
    contract = contract_of((Port('point_xy', '/point', _STATE, _XY),
                            Port('goal_xy', '/goal', _STATE, _GOAL_XY)),
                           Port('target_xy', '/target', 'std_msgs/msg/Float64MultiArray', _XY),
                           dict.fromkeys(modes, True), 4, _TICKS,
                           {'min': [-0.5, -1.2], 'max': [4.5, 1.2], 'step_per_s': 3.0,
                            'jump': 1.0})
    ticks = _TICKS
    digest = hashlib.sha256(repr(FIELD).encode()).hexdigest()

    def __init__(self, data: Path | None) -> None:
        if data is not None:
            raise UncloningError(f'routes makes its own demonstrations; leave out --data {data}')

    def demonstrations(self) -> Iterator[Demonstration]:
        """Yield a number of demonstrations of each mode; none touches a wall."""
        rng = np.random.default_rng(0)
        gaps = [*itertools.product(*map(range, FIELD.gaps))] * FIELD.demonstrations
        made = dict[int, dict[str, Array]]()
        while missing := [number for number in range(len(gaps)) if number not in made]:
            found = _demonstrated([gaps[number] for number in missing], rng)
            made |= {number: one for number, one in zip(missing, found, strict=True) if one}
        for number, one in enumerate(gaps):
            yield Demonstration(f'{mode_name(one)}_{number // len(self.modes):02d}',
                                mode_name(one), made[number])

    def world(self, episodes: int, seed: int, fixed: bool,
              rng: np.random.Generator) -> 'Points':
        """Return episodes whose starts and goals are drawn by `rng`, or lie on the axis."""
        ends = np.zeros((episodes, 2)) if fixed else _ends(episodes, rng)
        return Points(ends[:, 0], ends[:, 1])


def _ends(episodes: int, rng: np.random.Generator) -> Array:
    """Return y of starts and goals (N, 2)."""
    return rng.uniform(-FIELD.jitter, FIELD.jitter, (episodes, 2))


class Points:
    """Episodes of point masses, from y of their starts to y of their goals, (N,) each."""

    def __init__(self, starts_y: Array, goals_y: Array) -> None:
        self.points = np.stack([np.zeros_like(starts_y), starts_y], axis=1)
        self.goals = np.stack([np.full_like(goals_y, FIELD.goal_x), goals_y], axis=1)
        self._speeds = np.zeros_like(self.points)
        self._completed = np.zeros(len(starts_y), bool)
        self._unsafe = np.zeros(len(starts_y), bool)
        self._passed = np.full((len(starts_y), len(FIELD.walls_x)), -1)  # gap of each wall

    def look(self) -> Array:
        """Return places and goals (N, 4)."""
        return np.concatenate([self.points, self.goals], axis=1)

    def step(self, actions: Array, rng: np.random.Generator) -> None:
        """Pull the masses to their targets (N, 2) for one tick; those at their goal rest."""
        step_s, moving = 1 / (RATE_HZ * FIELD.steps), ~self._completed[:, None]
        gust = rng.normal(0, FIELD.gust_sd, self.points.shape) / FIELD.steps
        for _ in range(FIELD.steps):
            pull = FIELD.stiffness * (actions - self.points)
            self._speeds += step_s * (pull - 2 * FIELD.stiffness ** 0.5 * self._speeds)
            self._move(np.where(moving, step_s * self._speeds + gust, 0.0))
        near = np.linalg.norm(self.points - self.goals, axis=1) < FIELD.goal_radius
        self._completed |= near & (self._passed >= 0).all(axis=1)

    def _move(self, by: Array) -> None:
        before, self.points = self.points, self.points + by
        self._unsafe |= FIELD.touched(self.points)
        for wall, wall_x in enumerate(FIELD.walls_x):
            first = ((before[:, 0] < wall_x) & (self.points[:, 0] >= wall_x)
                     & (self._passed[:, wall] < 0))
            self._passed[first, wall] = FIELD.gap_at(wall, self.points[first, 1])

    def results(self) -> list[Result]:
        """Judge the episodes; one shows a mode once it has passed all walls."""
        return [Result(None if min(gaps) < 0 else mode_name(gaps), bool(completed), bool(unsafe))
                for gaps, completed, unsafe
                in zip(self._passed.tolist(), self._completed, self._unsafe, strict=True)]


def _demonstrated(gaps: Sequence[Sequence[int]],
                  rng: np.random.Generator) -> list[dict[str, Array] | None]:
    """Return the signals of demonstrations through gaps of each wall, None for a failed one."""
    ends = _ends(len(gaps), rng)
    world, seen, targets = Points(*ends.T), list[Array](), list[Array]()
    ways = [_way(start_y, one, goal_y)
            for (start_y, goal_y), one in zip(ends.tolist(), gaps, strict=True)]
    longest = max(map(len, ways))
    way = np.stack([np.concatenate([one, np.repeat(one[-1:], longest - len(one), axis=0)])
                    for one in ways])
    every, ahead = np.arange(len(gaps)), round(FIELD.ahead / _STRIDE)
    reached, ended = np.zeros(len(gaps), int), np.full(len(gaps), _MOST_TICKS)
    for tick in range(_MOST_TICKS):
        near = np.minimum(reached[:, None] + np.arange(ahead), longest - 1)
        off = np.linalg.norm(way[every[:, None], near] - world.points[:, None], axis=2)
        reached = near[every, off.argmin(axis=1)]
        target = way[every, np.minimum(reached + ahead, longest - 1)]
        seen.append(world.look())
        targets.append(target + rng.normal(0, FIELD.hand_sd, target.shape))
        world.step(targets[-1], rng)
        done = [result.completed for result in world.results()]
        ended = np.where(done, np.minimum(ended, tick + 1), ended)
    wanted = [Result(mode_name(one), completed=True, unsafe=False) for one in gaps]
    return [{'point_xy': places[:end, :2], 'goal_xy': places[:end, 2:],
             'target_xy': commands[:end]} if result == right else None
            for places, commands, end, result, right
            in zip(np.stack(seen, axis=1), np.stack(targets, axis=1), ended, world.results(),
                   wanted, strict=True)]


def _way(start_y: float, gaps: Sequence[int], goal_y: float) -> Array:
    """Return points (T, 2) at equal distances from start to goal, straight through the gaps."""
    knots = [(0.0, start_y)]
    for wall, (wall_x, gap) in enumerate(zip(FIELD.walls_x, gaps, strict=True)):
        y = float(FIELD.middle(wall, gap))
        knots += [(wall_x - _BOW, y), (wall_x + _BOW, y)]
    x, y = np.array([*knots, (FIELD.goal_x, goal_y)]).T
    fine_x = np.linspace(0.0, FIELD.goal_x, 1000)
    leg = np.clip(np.searchsorted(x, fine_x) - 1, 0, len(x) - 2)
    share = (fine_x - x[leg]) / (x[leg + 1] - x[leg])
    fine_y = y[leg] + (y[leg + 1] - y[leg]) * (3 - 2 * share) * share ** 2  # without a kink
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(fine_x), np.diff(fine_y)))])
    stops = np.arange(0, length[-1], _STRIDE)
    return np.stack([np.interp(stops, length, fine_x), np.interp(stops, length, fine_y)], axis=1)
