# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw handovers as inline SVG, seen from above and from the side."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros import page
from uncloning_ros.demos.inspection.facts import Scene
from uncloning_ros.demos.labelling.clusters import LEVER_M, STRETCH_M
from uncloning_ros.geometry import Array

Place = Callable[[Array], tuple[float, float]]

# Colours of modes: desired ones are cold, undesired ones warm; they differ in lightness as well.
_DESIRED = ('#1f6f61', '#2b5f8a', '#6a4c93', '#58a4b0')
_UNDESIRED = ('#e07a1f', '#a4161a', '#c9b458', '#8d5524')
UNLABELLED = '#9aa5b0'
_BLACK = '#1d2329'
CLUSTERS = ('#2b5f8a', '#e07a1f', '#1f6f61', '#a4161a', '#6a4c93', '#c9b458')

_WIDTH, _GAP, _TALLEST = 820.0, 24.0, 400.0  # picture, gap between views, tallest view (px)
_MARGIN, _TOP = 30.0, 22.0  # room for the words at the edges (px)
_WORD = 36.0  # width of a number (px)
_ROOM_M = 0.03  # room (m) around the drawing
_REACH_M = 1.5  # distance (m) from its middle that is drawn: a lost tracker must not shrink it
_SHOWN = 60  # episodes of one colour in a picture: more hide one another


# The views of a picture, each a projection (2, 3) of points in m. From the hand the palm looks to
# the left, as in the base frame.
_FROM_THE_HAND = {'from above, m': np.array([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
                  'from the side, m': np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])}
_FROM_THE_BASE = {'from above, m': np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
                  'from its right, m': np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])}


@dataclass(frozen=True)
class Line:
    """A line through points (N, 3), in m."""

    points: Array
    color: str
    width: float = 1.0
    opacity: float = 0.5


@dataclass(frozen=True)
class Dot:
    """A dot at (3,), in m; `title` shows when it is pointed at."""

    at: Array
    color: str
    title: str = ''
    radius: float = 3.0


# The breadth of a hand, and its height.
_HAND = [Line(np.array([[0.0, -0.04, 0.0], [0.0, 0.04, 0.0]]), _BLACK, 5.0, 1.0),
         Line(np.array([[0.0, 0.0, -0.04], [0.0, 0.0, 0.04]]), _BLACK, 5.0, 1.0)]


def mode_colors(modes: Mapping[str, bool]) -> dict[str | None, str]:
    """Return a colour for every mode, and one for episodes without a label."""
    colors: dict[str | None, str] = {None: UNLABELLED}
    for wanted, palette in ((True, _DESIRED), (False, _UNDESIRED)):
        names = [name for name, desired in modes.items() if desired == wanted]
        colors |= {name: palette[i % len(palette)] for i, name in enumerate(names)}
    return colors


def _thinned(scenes: Sequence[Scene]) -> list[Scene]:
    """Return at most `_SHOWN` scenes, evenly taken."""
    if len(scenes) <= _SHOWN:
        return list(scenes)
    return [scenes[i] for i in np.linspace(0, len(scenes) - 1, _SHOWN).astype(int)]


def approaches_section(title: str, colored: Mapping[str, Sequence[Scene]],
                       legend: Mapping[str, str]) -> str:
    """Return a section of a page with the ways of objects to the hand, in the hand's frame.

    The scenes come by colour; `legend` are the colours by their words.
    """
    lines, dots = [*_HAND], []
    for color, scenes in colored.items():
        for scene in _thinned(scenes):
            lines += [Line(scene.approach[:, 0], color, 0.8, 0.25),
                      Line(scene.approach[-1, :2], color, 1.6, 0.6)]
            dots.append(Dot(scene.approach[-1, 1], color, '', 2.0))
    return page.section(
        title, page.legend(legend),
        page.words(f'The last {100 * STRETCH_M:.0f} cm of the way, in the frame of the hand; the '
                   f'palm, black, faces the robot on the left. Thick: {100 * LEVER_M:.0f} cm of '
                   f"the object's +x axis when it has come, with a dot at its end; of a knife "
                   f'that is the tip of the blade.'),
        _picture(lines, dots, _FROM_THE_HAND, 'Ways of the objects to the hand'))


def approach_picture(scene: Scene, color: str, label: str) -> str:
    """Return one approach, step by step, the last steps darkest."""
    steps = len(scene.approach)
    lines = [Line(points[:2], color, 2.0, 0.15 + 0.85 * ((i + 1) / steps) ** 2)
             for i, points in enumerate(scene.approach)]
    dots = [Dot(points[1], color, '', 2.0) for points in scene.approach]
    return _picture([*_HAND, *lines], dots, _FROM_THE_HAND, label)


def session_picture(colored: Mapping[str, Sequence[Scene]], label: str) -> str:
    """Return the ways of the objects, and where the hand was offered, in the base frame."""
    lines = [Line(scene.object_path, color, 0.8, 0.3)
             for color, scenes in colored.items() for scene in _thinned(scenes)]
    dots = [Dot(scene.hand, color) for color, scenes in colored.items() for scene in scenes]
    base = Dot(np.zeros(3), _BLACK, 'base of the arm', 5.0)
    return _picture(lines, [base, *dots], _FROM_THE_BASE, label)


def _picture(lines: Sequence[Line], dots: Sequence[Dot], views: Mapping[str, Array],
             label: str) -> str:
    """Return views side by side, all to the same scale, with a grid of 0.1 m."""
    points = np.concatenate([*(line.points for line in lines), *(dot.at[None] for dot in dots)])
    boxes = [_box(points @ view.T) for view in views.values()]
    width = (_WIDTH - _GAP * (len(views) - 1)) / len(views)
    scale = min(min((width - 1.4 * _MARGIN) / (high[0] - low[0]), _TALLEST / (high[1] - low[1]))
                for low, high in boxes)
    tall = max(high[1] - low[1] for low, high in boxes) * scale
    parts: list[str] = []
    for i, ((title, view), (low, high)) in enumerate(zip(views.items(), boxes, strict=True)):
        left = i * (width + _GAP) + _MARGIN

        def place(point: Array, left: float = left, low: Array = low,
                  high: Array = high) -> tuple[float, float]:
            x, y = (np.clip(point, low, high) - low) * scale
            return left + x, _TOP + tall - y

        parts += _grid(title, low, high, place)
        parts += [_line(line, [place(point) for point in line.points @ view.T]) for line in lines]
        parts += [_dot(dot, place(view @ dot.at)) for dot in dots]
    return page.svg(_WIDTH, round(_TOP + tall + _MARGIN), parts, label)


def _box(points: Array) -> tuple[Array, Array]:
    """Return the lower left and the upper right corner of points (N, 2), with some room."""
    middle = np.median(points, axis=0)
    return (np.maximum(points.min(axis=0), middle - _REACH_M) - _ROOM_M,
            np.minimum(points.max(axis=0), middle + _REACH_M) + _ROOM_M)


def _grid(title: str, low: Array, high: Array, place: Place) -> list[str]:
    parts = []
    (left, bottom), (right, top) = place(low), place(high)
    # Words at every line of the grid where there is room for them, else at every second one.
    every = 1 if (right - left) > _WORD * 10 * (high[0] - low[0]) else 2
    for axis in (0, 1):
        for tenth in range(math.ceil(low[axis] * 10), math.floor(high[axis] * 10) + 1):
            at = np.array(low)
            at[axis] = tenth / 10
            x, y = place(at)
            x1, y1, x2, y2 = (x, bottom, x, top) if axis == 0 else (left, y, right, y)
            kind = 'grid' if tenth else 'axis'
            parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                         f'class="{kind}"/>')
            if tenth % every == 0:
                words = f'{tenth / 10:g}'
                parts.append(page.text(x, bottom + 14, words, 'middle', 'dim') if axis == 0
                             else page.text(left - 4, y + 4, words, 'end', 'dim'))
    return [*parts, page.text(left, top - 8, title, 'start', 'dim')]


def _line(line: Line, places: Sequence[tuple[float, float]]) -> str:
    points = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
    return (f'<polyline points="{points}" fill="none" stroke="{line.color}" '
            f'stroke-width="{line.width:g}" stroke-opacity="{line.opacity:.2f}"/>')


def _dot(dot: Dot, place: tuple[float, float]) -> str:
    title = page.tip(dot.title) if dot.title else ''
    return (f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{dot.radius:g}" '
            f'fill="{dot.color}" fill-opacity="0.75">{title}</circle>')
