# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of an episode's moments, and a film of the whole episode.

The image library is imported by the functions that need it: reading films does not.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.pictures import Pixels
from uncloning_ros.simulation.world import Camera, World

PICTURE_SIZE, FILM_SIZE = (400, 300), (280, 210)
_STILL, _MOVING = Camera(*PICTURE_SIZE), Camera(*FILM_SIZE)
_PICTURE_APART_S = 0.15  # time (s) between two pictures that differ enough
_FRAME_S = 0.2  # time (s) between two frames of a film, at its own speed
_PICTURES = 5  # with the film they fill two rows
_JPEG_QUALITY = 80


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
        ('receiver takes it', outcome.taken_s),
        ('robot let go', let_go_s),
        ('lifted', outcome.lifted_s),
        ('nearest to the receiver', outcome.nearest_s),
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
    """Film an episode whose result is known; `look` is called at each step of its world."""

    def __init__(self, result: EpisodeResult) -> None:
        self._due = moments(result)
        self._pictures: list[Picture] = []
        self._frames: list[Pixels] = []
        # The way to the lift is long and the same for all.
        self._next_frame_s = max(0.0, (result.outcome.lifted_s or 0.0) - _FRAME_S)

    def look(self, world: World) -> None:
        """Take the pictures and the frame that are due now."""
        now_s = world.time_ns * 1e-9
        while self._due and now_s >= self._due[0][1] - 1e-6:
            what, time_s = self._due.pop(0)
            self._pictures.append(Picture(what, time_s, jpeg(world.picture(_STILL))))
        if now_s >= self._next_frame_s - 1e-6:
            self._next_frame_s += _FRAME_S
            self._frames.append(world.picture(_MOVING))

    def film(self) -> Film:
        """Return the pictures taken, and their film."""
        return Film(tuple(self._pictures), gif(self._frames, _FRAME_S))


def jpeg(picture: Pixels) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, 'JPEG', quality=_JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def gif(pictures: Sequence[Pixels], frame_s: float) -> bytes:
    """Return pictures as the bytes of an endless GIF with `frame_s` between two frames."""
    from PIL import Image

    buffer = io.BytesIO()
    # One palette for all frames: it halves the file and keeps colours from flickering.
    first = Image.fromarray(pictures[len(pictures) // 2]).quantize(64)
    frames = [Image.fromarray(picture).quantize(palette=first, dither=Image.Dither.NONE)
              for picture in pictures]
    frames[0].save(buffer, 'GIF', save_all=True, append_images=frames[1:],
                   duration=round(frame_s * 1000), loop=0, optimize=True)
    return buffer.getvalue()
