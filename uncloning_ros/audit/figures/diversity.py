# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How varied the handovers of one mode are, and whether an edit took variety away.

An edit that removes one mode may also make the others stiff: the same path and the same pose,
whoever stands there. Two things are measured in each completed handover:

    offered pose   where the tool's handle point and tip are in the hand's frame as it is taken
    path           how far the tool's way from lift to hand bows sideways and up from the
                   straight line, at most

Both follow the start: a hand further left is served along another path. What the start
explains, by linear least squares, is taken out, and the spread is the root mean square of what
is left, in m. Two policies are compared by the ratio of their spreads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.geometry import Array

# Of a spread nothing is said for fewer episodes than this, and than this many for each number
# that is fitted: its interval rests on large samples.
LEAST_EPISODES = 20
_EPISODES_PER_NUMBER = 3
_Z_95 = 1.959963984540054
_NOTHING_M2 = 1e-18  # the square of a nanometre: no spread, but rounding


@dataclass(frozen=True)
class Spread:
    """Root mean square `value` in m over `episodes`; `log_error` is the standard error of its log.

    With the fewest episodes an interval of 95 % holds the truth in about 92 % of cases only;
    tests measure it.
    """

    value: float
    log_error: float
    episodes: int

    @property
    def interval95(self) -> tuple[float, float]:
        """Return the 95 % interval."""
        factor = math.exp(_Z_95 * self.log_error)
        return self.value / factor, self.value * factor


@dataclass(frozen=True)
class SpreadRatio:
    """One spread over another, with its 95 % interval; below 1: the first is less varied."""

    ratio: float
    low: float
    high: float


def spread(features_m: Sequence[Sequence[float]],
           starts: Sequence[Sequence[float]]) -> Spread | None:
    """Return the spread of features (n, d) that starts (n, c) do not explain; None for too few."""
    y = np.asarray(features_m, dtype=np.float64)
    varied = _varied(np.asarray(starts, dtype=np.float64))
    n, fitted = len(y), 1 + varied.shape[1]
    if n < max(LEAST_EPISODES, _EPISODES_PER_NUMBER * fitted):
        return None
    x = np.hstack([np.ones((n, 1)), varied])
    basis = np.linalg.qr(x)[0]
    left_over = y - basis @ (basis.T @ y)
    squares: Array = (left_over ** 2).sum(axis=1)
    total = float(squares.sum())
    if total <= n * _NOTHING_M2:
        return None
    # The jackknife of the log: without episode i, the sum of squares falls by e_i^2 / (1 - h_i).
    leverage: Array = (basis ** 2).sum(axis=1)
    without = np.log(np.maximum(total - squares / np.maximum(1 - leverage, 1e-9),
                                n * _NOTHING_M2)) / 2
    error = math.sqrt((n - 1) * float(without.var()))
    # Student's quantile is wider than the normal one, to first order by this.
    wider = 1 + (_Z_95 ** 2 + 1) / (4 * (n - fitted))
    return Spread(math.sqrt(total / (n - fitted)), error * wider, n)


def spread_ratio(one: Spread, other: Spread) -> SpreadRatio:
    """Return one spread over another; the two count as independent, which is no less careful."""
    ratio = one.value / other.value
    factor = math.exp(_Z_95 * math.hypot(one.log_error, other.log_error))
    return SpreadRatio(ratio, ratio / factor, ratio * factor)


def _varied(starts: Array) -> Array:
    """Return the columns that differ from row to row, to unit length: numbers alike in size."""
    centred = starts - starts.mean(axis=0)
    sizes = np.linalg.norm(centred, axis=0)
    kept: Array = centred[:, sizes > 1e-12] / sizes[sizes > 1e-12]
    return kept
