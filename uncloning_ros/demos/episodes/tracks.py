# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hold the samples of one key as arrays, in the order of their stamps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Track:
    """Stamps (N,) in ns, rising, and the values (N, dim) that were measured then; N >= 1."""

    stamps_ns: Times
    values: Array

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> 'Track':
        """Return the track of at least one sample."""
        stamps_ns = np.array([sample.stamp_ns for sample in samples], dtype=np.int64)
        order = np.argsort(stamps_ns, kind='stable')
        return cls(stamps_ns[order], np.stack([sample.values for sample in samples])[order])

    def at(self, times_ns: Times | int) -> Array:
        """Return the newest values (..., dim) at or before the times; the first one before it."""
        index = np.searchsorted(self.stamps_ns, times_ns, side='right') - 1
        return self.values[np.maximum(index, 0)]
