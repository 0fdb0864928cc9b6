# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show what a camera saw of an episode: pictures at equal steps of time, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros import page
from uncloning_ros.conversions import Sample
from uncloning_ros.pictures import Pixels, preview

PICTURES = 7  # of a strip
GAP = 2  # width (px) of the line between two of them
_MOST = 128  # height (px) of a strip: higher pictures are thinned


@dataclass(frozen=True)
class Strip:
    """Pictures of one camera side by side as one JPEG of `size` (width, height) px.

    `times_s` are since the episode began.
    """

    camera: str
    times_s: tuple[float, ...]
    size: tuple[int, int]
    jpeg: bytes

    def figure(self) -> page.Html:
        """Return the strip as a part of a page."""
        times = ', '.join(f'{time_s:.1f}' for time_s in self.times_s)
        return page.figure('jpeg', self.jpeg, self.size, f'{self.camera}, at {times} s')


def strip_of(camera: str, samples: Sequence[Sample], begin_ns: int,
             pictures: int = PICTURES) -> Strip:
    """Return the strip of a camera, whose samples are in the order of their arrival."""
    arrivals_ns = np.array([sample.receive_ns for sample in samples], dtype=np.int64)
    # Whole nanoseconds since the first one: a float does not hold those since 1970.
    steps_ns = np.linspace(0, arrivals_ns[-1] - arrivals_ns[0], pictures).astype(np.int64)
    chosen = np.unique(np.searchsorted(arrivals_ns, arrivals_ns[0] + steps_ns, 'right') - 1)
    seen = [_thinned(samples[i].values) for i in chosen]
    line = np.full((seen[0].shape[0], GAP, seen[0].shape[2]), 255, np.uint8)
    side_by_side = np.concatenate([part for one in seen for part in (one, line)][:-1], axis=1)
    return Strip(camera, tuple(float(arrivals_ns[i] - begin_ns) * 1e-9 for i in chosen),
                 (side_by_side.shape[1], side_by_side.shape[0]), preview(side_by_side))


def _thinned(pixels: Pixels) -> Pixels:
    every = -(-pixels.shape[0] // _MOST)
    return pixels[::every, ::every]
