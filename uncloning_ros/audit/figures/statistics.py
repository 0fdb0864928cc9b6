# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compute intervals of rates and of paired differences, exact also near 0 and 1.

Several claims made together are corrected so that the chance of any false one stays `alpha`:

bounds    Bonferroni: each of m bounds at alpha / m, so all hold at once. It makes no assumption,
          neither of independence, which models on the same seeds and overlapping strata have
          not, nor of which of them is picked afterwards: the worst may be.
p values  Holm (Scandinavian Journal of Statistics 6, 65-70, 1979): as general as Bonferroni and
          never weaker, but it gives no bounds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np

from uncloning_ros.geometry import Array
from uncloning_ros.schema import Count, Doc, Rate

Interval = tuple[Rate, Rate]


@dataclass(frozen=True)
class PairedDifference:
    """A difference of two rates over pairs of episodes with the same seed."""

    difference: Annotated[float, Doc('first less second')]
    low: Annotated[float, Doc('95 % interval')]
    high: Annotated[float, Doc('95 % interval')]
    only_first: Annotated[Count, Doc('pairs in which the first alone has it')]
    only_second: Annotated[Count, Doc('pairs in which the second alone has it')]
    p_value: Annotated[Rate, Doc('exact McNemar test')]


def upper_bound(events: int, episodes: int, alpha: float = 0.05) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a rate at confidence 1 - `alpha`.

    The rate p at which `events` or fewer in `episodes` have probability `alpha` (Clopper and
    Pearson, Biometrika 26, 1934). Exact: it covers at least as often as stated.
    """
    _require_counts(events, episodes)
    if events == episodes:
        return 1.0
    low, high = events / episodes, 1.0
    cumulated = _binomial(events, episodes)
    # The probability falls as p rises; 60 halvings leave less than 1e-18 between the ends.
    for _ in range(60):
        middle = (low + high) / 2
        if cumulated(middle) > alpha:
            low = middle
        else:
            high = middle
    return high


def lower_bound(events: int, episodes: int, alpha: float = 0.05) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a rate at confidence 1 - `alpha`."""
    _require_counts(events, episodes)
    return 1.0 - upper_bound(episodes - events, episodes, alpha)


def interval(events: int, episodes: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided Clopper-Pearson interval of a rate at confidence 1 - `alpha`."""
    return lower_bound(events, episodes, alpha / 2), upper_bound(events, episodes, alpha / 2)


def binomial_cdf(events: int, episodes: int, rate: float) -> float:
    """Return the probability of at most `events` in `episodes` at a true `rate`."""
    if rate <= 0.0 or events >= episodes:
        return 1.0
    if rate >= 1.0 or events < 0:
        return 0.0
    return _binomial(events, episodes)(rate)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for several tests at once, in the order given.

    Holm's step-down: the i-th smallest of m times m - i + 1, never smaller than one before it.
    """
    m = len(p_values)
    corrected = [0.0] * m
    least = 0.0
    for rank, i in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        least = max(least, min(1.0, (m - rank) * p_values[i]))
        corrected[i] = least
    return corrected


def paired_difference(first: Sequence[bool], second: Sequence[bool],
                      alpha: float = 0.05) -> PairedDifference:
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
    low_1, high_1 = _wilson(rate_1, n, alpha)
    low_2, high_2 = _wilson(rate_2, n, alpha)
    phi = _correlation(both, only_first, only_second, neither)
    difference = rate_1 - rate_2
    return PairedDifference(
        difference,
        difference - _combined(rate_1 - low_1, high_2 - rate_2, phi),
        difference + _combined(high_1 - rate_1, rate_2 - low_2, phi),
        only_first, only_second, mcnemar_p(only_first, only_second))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the two-sided p value of the exact McNemar test, a sign test on differing pairs."""
    discordant = only_first + only_second
    if not discordant:
        return 1.0
    return min(1.0, 2 * binomial_cdf(min(only_first, only_second), discordant, 0.5))


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


def _wilson(rate: float, n: int, alpha: float) -> tuple[float, float]:
    """Return Wilson's score interval."""
    z = NormalDist().inv_cdf(1 - alpha / 2)
    z2 = z * z
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return centre - half, centre + half


def _binomial(events: int, episodes: int) -> Callable[[float], float]:
    """Return the probability of at most `events` as a function of a rate between 0 and 1.

    Summed from logarithms, so that nothing overflows.
    """
    k = np.arange(events + 1)
    rest, log_choose = episodes - k, _log_choose(episodes, events)

    def cumulated(rate: float) -> float:
        logs: Array = log_choose + k * math.log(rate) + rest * math.log1p(-rate)
        return float(min(1.0, np.exp(logs).sum()))
    return cumulated


def _log_choose(n: int, most: int) -> Array:
    """Return log(n choose k) for k = 0 .. most."""
    k = np.arange(1, most + 1)
    return np.concatenate(([0.0], np.cumsum(np.log(n - k + 1) - np.log(k))))


def _require_counts(events: int, episodes: int) -> None:
    if not 0 <= events <= episodes or episodes == 0:
        raise ValueError(f'expected 0 <= events <= episodes and an episode, got {events} of '
                         f'{episodes}')
