# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of features as LeRobot keeps them, of one episode and of all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.pictures import Pixels


class Summary:
    """Least, most, mean and deviation of each number of a feature; adds up without the frames."""

    def __init__(self, low: NDArray[Any], high: NDArray[Any], total: NDArray[Any],
                 squares: NDArray[Any], count: int, frames: int) -> None:
        self._low, self._high, self._total, self._squares = low, high, total, squares
        self._count, self._frames = count, frames

    @classmethod
    def of(cls, rows: NDArray[Any]) -> 'Summary':
        """Return the summary of numbers (T, dim)."""
        rows = rows.astype(np.float64)
        return cls(rows.min(axis=0), rows.max(axis=0), rows.sum(axis=0),
                   np.square(rows).sum(axis=0), len(rows), len(rows))

    @classmethod
    def of_pictures(cls, pictures: Pixels) -> 'Summary':
        """Return the summary of pictures (T, height, width, 3), by channel, from 0 to 1."""
        rows = cls.of(pictures.reshape(-1, pictures.shape[-1]))
        shape = (pictures.shape[-1], 1, 1)
        return cls(rows._low.reshape(shape) / 255, rows._high.reshape(shape) / 255,
                   rows._total.reshape(shape) / 255, rows._squares.reshape(shape) / 255 ** 2,
                   rows._count, len(pictures))

    def plus(self, other: 'Summary') -> 'Summary':
        """Return the summary of the frames of both."""
        return Summary(np.minimum(self._low, other._low), np.maximum(self._high, other._high),
                       self._total + other._total, self._squares + other._squares,
                       self._count + other._count, self._frames + other._frames)

    @property
    def plain(self) -> Mapping[str, Any]:
        """Return the statistics as LeRobot writes them."""
        mean = self._total / self._count
        std = np.sqrt(np.maximum(self._squares / self._count - mean ** 2, 0.0))
        return {'min': self._low.tolist(), 'max': self._high.tolist(), 'mean': mean.tolist(),
                'std': std.tolist(), 'count': [self._frames]}
