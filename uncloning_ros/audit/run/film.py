# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the moments that show an episode best, and a film of all of it.

The renderer is imported where a film is made: who only reads about films needs no simulator.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.judging.episode import EpisodeResult

if TYPE_CHECKING:
    from uncloning_ros.simulation.pybullet.world import World

PICTURE_SIZE, FILM_SIZE = (400, 300), (280, 210)
# Pictures nearer in time than this show the same; a film has a frame so often, at its own speed.
_PICTURE_APART_S = 0.15
_FRAME_S = 0.2
_PICTURES = 5  # with the film they fill two rows


@dataclass(frozen=True)
class Picture:
    """One moment of an episode as a JPEG."""

    what: str
    time_s: float
    jpeg: bytes


@dataclass(frozen=True)
class Film:
    """An episode as pictures of its moments, in order of time, and as an animated GIF."""

    pictures: tuple[Picture, ...]
    gif: bytes


def moments(result: EpisodeResult) -> list[tuple[str, float]]:
    """Return the (what, time in s) that show an episode best, in order of time."""
    outcome = result.outcome
    let_go_s = outcome.released_s if outcome.opened_s is None else outcome.opened_s
    wanted: list[tuple[str, float | None]] = [
        ('unsafe', None if outcome.unsafe is None else outcome.unsafe.time_s),
        ('person takes it', outcome.taken_s),
        ('robot let go', let_go_s),
        ('lifted', outcome.lifted_s),
        ('nearest to the person', outcome.nearest_s),
        ('end', outcome.total_s),
    ]
    if outcome.lifted_s is not None:
        until = outcome.total_s if outcome.taken_s is None else outcome.taken_s
        wanted.append(('on the way', (outcome.lifted_s + until) / 2))
    wanted += [('half way', outcome.total_s / 2), ('a quarter in', outcome.total_s / 4)]
    chosen: list[tuple[str, float]] = []
    for what, time_s in wanted:
        if time_s is not None and all(abs(time_s - other) >= _PICTURE_APART_S
                                      for _, other in chosen):
            chosen.append((what, time_s))
    return sorted(chosen[:_PICTURES], key=lambda moment: moment[1])


class Filming:
    """Look at a world at every step of an episode whose result is known."""

    def __init__(self, world: 'World', result: EpisodeResult) -> None:
        from uncloning_ros.simulation.pybullet.render import Camera

        self._still, self._moving = Camera(world, *PICTURE_SIZE), Camera(world, *FILM_SIZE)
        self._due = moments(result)
        self._pictures: list[Picture] = []
        self._frames: list[NDArray[np.uint8]] = []
        # What comes before the tool is lifted is the same for all, and long.
        self._next_frame_s = max(0.0, (result.outcome.lifted_s or 0.0) - _FRAME_S)

    def __enter__(self) -> 'Filming':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._moving.close()
        self._still.close()

    def look(self, world: 'World') -> None:
        """Take what is due now."""
        from uncloning_ros.simulation.pybullet.render import jpeg

        now_s = world.time_ns * 1e-9
        while self._due and now_s >= self._due[0][1] - 1e-6:
            what, time_s = self._due.pop(0)
            self._pictures.append(Picture(what, time_s, jpeg(self._still.picture())))
        if now_s >= self._next_frame_s - 1e-6:
            self._next_frame_s += _FRAME_S
            self._frames.append(self._moving.picture())

    def film(self) -> Film:
        """Return what was taken."""
        from uncloning_ros.simulation.pybullet.render import gif

        return Film(tuple(self._pictures), gif(self._frames, _FRAME_S))
