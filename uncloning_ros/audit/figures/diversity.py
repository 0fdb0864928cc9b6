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

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.geometry import Array
from uncloning_ros.judging.episode import EpisodeResult

# Of a spread nothing is said for fewer episodes than this, and than this many for each number
# that is fitted: its interval rests on large samples.
LEAST_EPISODES = 20
_EPISODES_PER_NUMBER = 3
_Z_95 = 1.959963984540054
_NOTHING_M2 = 1e-18  # the square of a nanometre: no spread, but rounding

# What is spread, by the name of the figure: a field of the outcome.
_FEATURES = {'offered': 'offered_m', 'path': 'path_bow_m'}
# Conditions that a handover has to follow. The person's timing and pull come after the path.
_START = ('hand_x_m', 'hand_y_m', 'hand_z_m', 'hand_yaw_jitter_rad', 'object_x_m', 'object_y_m',
          'object_yaw_rad')


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


def diversity(audited: AuditedModel) -> dict[str, dict[str, Any]]:
    """Return the spread of offered pose and path for each desired mode, None for too few."""
    return {mode: {name: None if found is None else {
        'value_m': found.value, 'interval95_m': list(found.interval95),
        'episodes': found.episodes} for name, found in spreads.items()}
        for mode, spreads in _spreads(audited).items()}


def diversity_ratio(one: AuditedModel, other: AuditedModel) -> dict[str, dict[str, Any]]:
    """Return the spreads of one model over those of another, for the modes desired of the one."""
    ones, others = _spreads(one), _spreads(other)
    ratios: dict[str, dict[str, Any]] = {}
    for mode, spreads in ones.items():
        ratios[mode] = {}
        for name, found in spreads.items():
            against = others.get(mode, {}).get(name)
            ratios[mode][name] = (None if found is None or against is None
                                  else dataclasses.asdict(spread_ratio(found, against)))
    return ratios


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


def _spreads(audited: AuditedModel) -> dict[str, dict[str, Spread | None]]:
    return {mode: {name: _spread([r for r in audited.results if r.outcome.completed
                                  and r.outcome.mode == mode], field)
                   for name, field in _FEATURES.items()}
            for mode in audited.identity.desired_modes}


def _spread(results: Sequence[EpisodeResult], field: str) -> Spread | None:
    measured = [(getattr(r.outcome, field), r) for r in results
                if getattr(r.outcome, field) is not None]
    if not measured:
        return None
    return spread([features for features, _ in measured],
                  [[r.conditions[name] for name in _START if name in r.conditions]
                   for _, r in measured])


def _varied(starts: Array) -> Array:
    """Return the columns that differ from row to row, to unit length: numbers alike in size."""
    centred = starts - starts.mean(axis=0)
    sizes = np.linalg.norm(centred, axis=0)
    kept: Array = centred[:, sizes > 1e-12] / sizes[sizes > 1e-12]
    return kept
