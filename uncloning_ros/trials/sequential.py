# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge trials while they run: intervals and a test that hold at any trial, peeked at or not.

All of it is one bet. A gambler who doubts that values x in [0, 1] have the mean m stakes a share
of the capital on every trial at odds that are fair if m is right. The wealth is then a martingale,
so it reaches 1 / alpha at any time with a chance of at most alpha (Ville 1939). Means at which it
has are left out; the rest is a confidence sequence. The share is not chosen but averaged over all
that are possible, half of the capital against too high and half against too low a mean
(Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 1-27, 2024; for a rate the
mixture is that of Robbins, Annals of Mathematical Statistics 41, 1397-1409, 1970).

Assumed: whatever happened before, the next trial has the same rate. Two models are compared on
pairs: one trial of each in random order, from the same start. There, assumed is less: that the
difference of the rates stays; the rates may drift, and outcomes of a pair may depend on each
other. If the rates are equal, a pair in which only one has it is a fair coin. So the chance that
the e value gets somewhere within the pairs of a plan is computed exactly, and the comparison is
decided at a smaller one than 1 / alpha; its interval holds for any number of pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.geometry import Array
from uncloning_ros.schema import Count, Doc, Rate

Counts = NDArray[np.int64]

# Shares that are averaged over: any set of them is valid, and this many are as tight as all.
_NODES, _WEIGHTS = (half / 2 for half in np.polynomial.legendre.leggauss(96))
_SHARES = _NODES + 0.5


# Pairs of a plan up to which its needed e value is computed; with more it is near 1 / alpha.
_MOST_EXACT = 1000


@dataclass(frozen=True)
class Comparison:
    """Two models compared on pairs of trials, valid after any pair."""

    pairs: Annotated[Count, Doc('number of pairs of trials')]
    difference: Annotated[float, Doc('rate of the second less rate of the first')]
    low: Annotated[float, Doc('interval at 1 - alpha')]
    high: Annotated[float, Doc('interval at 1 - alpha')]
    only_first: Annotated[Count, Doc('pairs in which the first alone has it')]
    only_second: Annotated[Count, Doc('pairs in which the second alone has it')]
    alpha: Annotated[Rate, Doc('chance of an error that is allowed')]
    e_value: Annotated[float, Doc('evidence against equal rates after the last pair')]
    needed_e_value: Annotated[float, Doc('e value that decides within the pairs of the plan')]
    decided_after: Annotated[Count | None, Doc('first pair with that e value; null: none')]


def rate_interval(successes: int, trials: int, alpha: float = 0.05) -> Interval:
    """Return the two-sided interval of a rate, valid at any trial at once at 1 - `alpha`."""
    low, high = interval(_of_rate(successes, trials), (0.0, 1.0), alpha)
    return float(low[0]), float(high[0])


def rate_upper_bound(events: int, trials: int, alpha: float = 0.05) -> float:
    """Return the one-sided upper bound of a rate, valid at any trial at once at 1 - `alpha`."""
    return float(_upper(_of_rate(events, trials), np.array([0.0, 1.0]), alpha, one_sided=True)[0])


def compare(first: Sequence[bool], second: Sequence[bool], most_pairs: int,
            alpha: float = 0.05) -> Comparison:
    """Return the comparison of two models over pairs of trials, in the order they were run.

    `most_pairs` is the number of pairs of the plan; stop at any of them.
    """
    if not 0 < len(first) == len(second) <= most_pairs:
        raise ValueError(f'expected 1 to {most_pairs} pairs, got {len(first)} and {len(second)} '
                         f'outcomes')
    one, two = np.array(first, bool), np.array(second, bool)
    only_first, only_second = np.cumsum(one & ~two), np.cumsum(two & ~one)
    e, needed = e_values(only_first, only_second), needed_e_value(most_pairs, alpha)
    decided = np.flatnonzero(e >= needed)
    pairs, a, b = len(e), int(only_first[-1]), int(only_second[-1])
    low, high = difference_interval(np.array([a]), np.array([b]), np.array([pairs]), alpha)
    return Comparison(pairs, (b - a) / pairs, float(low[0]), float(high[0]), a, b, alpha,
                      float(e[-1]), needed, int(decided[0]) + 1 if decided.size else None)


def e_values(only_first: Counts, only_second: Counts) -> Array:
    """Return the evidence against equal rates: under them 1 on average, whenever one stops.

    Where both models do the same nothing is won or lost.
    """
    differ = only_first + only_second
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(differ.max() + 2), 1)))
    log_e = (differ * np.log(2) + log_factorial[only_first] + log_factorial[only_second]
             - log_factorial[differ + 1])
    return _exp(log_e)


@lru_cache(maxsize=256)
def needed_e_value(most_pairs: int, alpha: float) -> float:
    """Return the e value that equal models reach within the pairs with chance `alpha` at most."""
    if most_pairs > _MOST_EXACT:
        return 1 / alpha
    heads = [np.arange(tosses + 1) for tosses in range(most_pairs + 1)]
    reached = [e_values(tosses - k, k) for tosses, k in enumerate(heads)]

    def chance(needed: float) -> float:
        before, total = np.ones(1), 0.0
        for e in reached[1:]:
            here = np.convolve(before, (0.5, 0.5))
            total += float(here[e >= needed].sum())
            before = np.where(e >= needed, 0.0, here)
        return total

    low, high = 1.0, 1 / alpha
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) > alpha else (low, middle)
    return high


def difference_interval(only_first: Array, only_second: Array, pairs: Array,
                        alpha: float = 0.05) -> tuple[Array, Array]:
    """Return the interval of the difference of two rates, valid after any pair.

    0 is outside exactly where the e value is 1 / `alpha` or more.
    """
    counts = np.stack([only_first, pairs - only_first - only_second, only_second], axis=-1)
    low, high = interval(counts, (0.0, 0.5, 1.0), alpha)
    return 2 * low - 1, 2 * high - 1


def interval(counts: Array, values: Sequence[float], alpha: float) -> tuple[Array, Array]:
    """Return the interval of a mean of `values` in [0, 1], for each row of their `counts`."""
    x = np.array(values)
    return 1 - _upper(counts, 1 - x, alpha), _upper(counts, x, alpha)


def _upper(counts: Array, values: Array, alpha: float, *, one_sided: bool = False) -> Array:
    """Return the mean above which the wealth is 1 / `alpha` or more: it rises with the mean."""
    low = counts @ values / counts.sum(axis=-1)
    high = np.ones_like(low)
    against = _wealth_above if one_sided else wealth
    for _ in range(40):
        middle = (low + high) / 2
        lost = against(counts, values, middle) >= 1 / alpha
        low, high = np.where(lost, low, middle), np.where(lost, middle, high)
    return high


def wealth(counts: Array, values: Array, mean: Array) -> Array:
    """Return the wealth after bets against a `mean` of `values`, for each row of their `counts`.

    A mean is outside of `interval` exactly where this is 1 / alpha or more.
    """
    return (_wealth_above(counts, values, mean) + _wealth_above(counts, 1 - values, 1 - mean)) / 2


def _wealth_above(counts: Array, values: Array, mean: Array) -> Array:
    """Return the wealth after bets that the mean is below `mean`.

    A share u of the capital is kept, the rest is staked on low values.
    """
    odds = (1 - values) / np.maximum(1 - mean[..., None], 1e-12)
    logs = np.log(_SHARES[:, None] + (1 - _SHARES[:, None]) * odds[..., None, :])
    return _exp((logs * counts[..., None, :]).sum(axis=-1)) @ _WEIGHTS


def _exp(logs: Array) -> Array:
    return np.asarray(np.exp(np.minimum(logs, 700.0)))  # exp(710) overflows


def _of_rate(events: int, trials: int) -> Array:
    if not 0 <= events <= trials or trials == 0:
        raise ValueError(f'expected 0 <= events <= trials and a trial, got {events} of {trials}')
    return np.array([[trials - events, events]])
