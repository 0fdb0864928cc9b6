# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of features as LeRobot keeps them, of one episode and of all."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.pictures import Pixels


@dataclass(frozen=True)
class Summary:
    """Least, most, sum and sum of squares of each number of a feature, over rows and frames."""

    low: NDArray[Any]
    high: NDArray[Any]
    total: NDArray[Any]
    squares: NDArray[Any]
    rows: int
    frames: int

    @classmethod
    def of(cls, rows: NDArray[Any], frames: int, shape: tuple[int, ...] = (-1,)) -> Self:
        """Return the summary of numbers (rows, dim) of some frames, by numbers of a shape."""
        rows = rows.astype(np.float64)
        found = rows.min(axis=0), rows.max(axis=0), rows.sum(axis=0), np.square(rows).sum(axis=0)
        low, high, total, squares = (part.reshape(shape) for part in found)
        return cls(low, high, total, squares, len(rows), frames)

    @classmethod
    def of_pictures(cls, pictures: Pixels) -> Self:
        """Return the summary of pictures (T, height, width, 3), by channel, from 0 to 1."""
        return cls.of(pictures.reshape(-1, 3) / 255, len(pictures), (3, 1, 1))

    def plus(self, other: Self) -> Self:
        """Return the summary of the frames of both."""
        return type(self)(np.minimum(self.low, other.low), np.maximum(self.high, other.high),
                          self.total + other.total, self.squares + other.squares,
                          self.rows + other.rows, self.frames + other.frames)

    @property
    def plain(self) -> dict[str, Any]:
        """Return the statistics as LeRobot writes them."""
        mean = self.total / self.rows
        std = np.sqrt(np.maximum(self.squares / self.rows - mean ** 2, 0.0))
        return {'min': self.low.tolist(), 'max': self.high.tolist(), 'mean': mean.tolist(),
                'std': std.tolist(), 'count': [self.frames]}
