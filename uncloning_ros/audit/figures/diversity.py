# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the variety of the handovers in one mode, and compare it between models.

An edit that removes one mode may also make the others stiff: the same path and the same pose for
every person. Two features are measured in each completed handover:

    offered pose   the tool's handle point and tip in the hand's frame as it is taken
    path           the greatest departure of the tool's way from lift to hand, sideways and up,
                   from the straight line

Both depend on the start: a hand further left is served along another path. Linear least squares
take out the part that the start explains; the spread is the root mean square of the rest, in m.
Two policies are compared by the ratio of their spreads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.geometry import Array
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import Count, Doc, Note

# Fewest episodes of a spread, in all and for each fitted number: its interval is for large
# samples.
LEAST_EPISODES = 20
_EPISODES_PER_NUMBER = 3
_Z_95 = 1.959963984540054
_MOST_LOG_ERROR = 100.0  # error of the log of a spread, beyond which no interval is given
_NOTHING_M2 = 1e-18  # square (m²) of a nanometre: below it a spread is rounding

# Conditions that a handover has to follow. The person's timing and pull come after the path.
_START = ('hand_x_m', 'hand_y_m', 'hand_z_m', 'hand_yaw_jitter_rad', 'object_x_m', 'object_y_m',
          'object_yaw_rad')


@dataclass(frozen=True)
class Spread:
    """Spread of one feature over the episodes; `log_error` is the standard error of its log.

    With the fewest episodes the interval holds the truth in about 92 % of cases only; tests
    measure it.
    """

    value_m: Annotated[float, Doc('root mean square of the part that the start does not explain')]
    interval95_m: Annotated[tuple[float, float], Doc('95 % interval of it')]
    episodes: Annotated[Count, Doc('completed episodes of this mode')]
    log_error: Annotated[float, Note.DERIVED] = math.nan


@dataclass(frozen=True)
class SpreadRatio:
    """One spread over another, with its 95 % interval; below 1: the first is less varied."""

    ratio: Annotated[float, Doc('spread of the first over that of the second')]
    low: Annotated[float, Doc('95 % interval')]
    high: Annotated[float, Doc('95 % interval')]


@dataclass(frozen=True)
class Diversity:
    """Variety of the handovers in one mode."""

    offered: Annotated[Spread | None, Doc('of the offered pose; null: too few episodes')]
    path: Annotated[Spread | None, Doc('of the path; null: too few episodes')]


@dataclass(frozen=True)
class DiversityRatio:
    """Variety of one model over that of another in one mode."""

    offered: Annotated[SpreadRatio | None, Doc('of the offered pose')]
    path: Annotated[SpreadRatio | None, Doc('of the path')]


def diversity(audited: AuditedModel) -> dict[str, Diversity]:
    """Return the spread of offered pose and path for each desired mode."""
    completed = {mode: [r for r in audited.results
                        if r.outcome.completed and r.outcome.mode == mode]
                 for mode in audited.identity.modes_desired}
    return {mode: Diversity(_spread(results, 'offered_m'), _spread(results, 'path_bow_m'))
            for mode, results in completed.items()}


def diversity_ratio(one: Mapping[str, Diversity],
                    other: Mapping[str, Diversity]) -> dict[str, DiversityRatio]:
    """Return the spreads of one model over those of another, for the modes of the one."""
    nothing = Diversity(None, None)
    return {mode: DiversityRatio(spread_ratio(found.offered, other.get(mode, nothing).offered),
                                 spread_ratio(found.path, other.get(mode, nothing).path))
            for mode, found in one.items()}


def spread(features_m: Sequence[Sequence[float]],
           starts: Sequence[Sequence[float]]) -> Spread | None:
    """Return the spread of features (n, d) that starts (n, c) do not explain; None for too few."""
    n = len(features_m)
    if n < LEAST_EPISODES:
        return None
    y = np.asarray(features_m, dtype=np.float64)
    varied = _varied(np.asarray(starts, dtype=np.float64))
    fitted = 1 + varied.shape[1]
    if n < _EPISODES_PER_NUMBER * fitted:
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
    value, log_error = math.sqrt(total / (n - fitted)), error * wider
    if not log_error < _MOST_LOG_ERROR:
        return None  # values far outside of any workspace have no interval
    factor = math.exp(_Z_95 * log_error)
    return Spread(value, (value / factor, value * factor), n, log_error)


def spread_ratio(one: Spread | None, other: Spread | None) -> SpreadRatio | None:
    """Return one spread over another, None without one of them.

    The two count as independent, which makes the interval no shorter.
    """
    if one is None or other is None:
        return None
    ratio = one.value_m / other.value_m
    factor = math.exp(_Z_95 * math.hypot(one.log_error, other.log_error))
    return SpreadRatio(ratio, ratio / factor, ratio * factor)


def _spread(results: Sequence[EpisodeResult], field: str) -> Spread | None:
    """Return the spread of a field of the outcome that not every episode has."""
    measured = [r for r in results if getattr(r.outcome, field) is not None]
    return spread([getattr(r.outcome, field) for r in measured],
                  [[r.conditions[name] for name in _START if name in r.conditions]
                   for r in measured])


def _varied(starts: Array) -> Array:
    """Return the columns that differ from row to row, to unit length: numbers alike in size."""
    centred = starts - starts.mean(axis=0)
    sizes = np.linalg.norm(centred, axis=0)
    kept: Array = centred[:, sizes > 1e-12] / sizes[sizes > 1e-12]
    return kept
