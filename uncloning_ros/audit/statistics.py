# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Intervals for rates and for paired differences; exact where a rate is near 0 or 1."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.geometry import Array

# Standard normal quantile of 0.975: two-sided 95 %.
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class PairedDifference:
    """First minus second, on pairs of episodes with the same seed.

    `low` and `high` are the two-sided 95 % interval of `difference`; `only_first` and
    `only_second` count the pairs in which one of the two had the property; `p_value` is the
    exact McNemar test's.
    """

    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float


def upper_bound(events: int, episodes: int, alpha: float = 0.05) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a rate at confidence 1 - `alpha`.

    The rate p at which `events` or fewer in `episodes` have probability `alpha` (Clopper and
    Pearson, Biometrika 26, 1934). Exact: it covers at least as often as stated.
    """
    _require_counts(events, episodes)
    if events == episodes:
        return 1.0
    low, high = events / episodes, 1.0
    # The probability falls as p rises; 60 halvings leave less than 1e-18 between the ends.
    for _ in range(60):
        middle = (low + high) / 2
        if _binomial_cdf(events, episodes, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


def lower_bound(events: int, episodes: int, alpha: float = 0.05) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a rate at confidence 1 - `alpha`."""
    _require_counts(events, episodes)
    return 1.0 - upper_bound(episodes - events, episodes, alpha)


def interval(events: int, episodes: int) -> tuple[float, float]:
    """Return the two-sided 95 % Clopper-Pearson interval of a rate."""
    return lower_bound(events, episodes, 0.025), upper_bound(events, episodes, 0.025)


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> PairedDifference:
    """Return the difference of two rates over pairs, with interval and exact McNemar test.

    The interval is Newcombe's method 10 (Statistics in Medicine 17, 2635-2650, 1998): Wilson
    intervals of both rates, combined with their correlation over the pairs. It stays sensible
    where the two never differ, which the usual normal interval does not.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f'expected pairs, got {len(first)} and {len(second)} outcomes')
    pairs = list(zip(first, second, strict=True))
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    only_first, only_second = pairs.count((True, False)), pairs.count((False, True))
    n = len(pairs)
    rate_1, rate_2 = (both + only_first) / n, (both + only_second) / n
    low_1, high_1 = _wilson(rate_1, n)
    low_2, high_2 = _wilson(rate_2, n)
    phi = _correlation(both, only_first, only_second, neither)
    difference = rate_1 - rate_2
    return PairedDifference(
        difference,
        difference - _combined(rate_1 - low_1, high_2 - rate_2, phi),
        difference + _combined(high_1 - rate_1, rate_2 - low_2, phi),
        only_first, only_second, mcnemar_p(only_first, only_second))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the two-sided p value of the exact McNemar test: a sign test on what differs."""
    discordant = only_first + only_second
    if not discordant:
        return 1.0
    return min(1.0, 2 * _binomial_cdf(min(only_first, only_second), discordant, 0.5))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return Newcombe's phi, with his continuity correction where it is positive."""
    first, second = both + only_first, both + only_second
    margins = first * second * (only_second + neither) * (only_first + neither)
    if not margins:
        return 0.0
    cross = float(both * neither - only_first * only_second)
    if cross > 0:
        cross = max(cross - (first + only_second + neither) / 2, 0.0)
    return cross / math.sqrt(margins)


def _combined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _wilson(rate: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval."""
    z2 = _Z_95 ** 2
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return centre - half, centre + half


def _binomial_cdf(events: int, n: int, p: float) -> float:
    """Return P(X <= events) of X ~ Binomial(n, p), from logarithms, so that nothing overflows."""
    if p <= 0.0 or events >= n:
        return 1.0
    if p >= 1.0:
        return 0.0
    k = np.arange(events + 1)
    logs: Array = _log_choose(n, events) + k * math.log(p) + (n - k) * math.log1p(-p)
    return float(min(1.0, np.exp(logs).sum()))


def _log_choose(n: int, most: int) -> Array:
    """Return log(n choose k) for k = 0 .. most."""
    k = np.arange(1, most + 1)
    return np.concatenate(([0.0], np.cumsum(np.log(n - k + 1) - np.log(k))))


def _require_counts(events: int, episodes: int) -> None:
    if not 0 <= events <= episodes or episodes == 0:
        raise ValueError(f'expected 0 <= events <= episodes and an episode, got {events} of '
                         f'{episodes}')
