# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate series of observed trials, and count how often their statistics are wrong.

Every function takes the number of series and a seed, and returns the rows of one table.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.audit.figures.statistics import interval, mcnemar_p
from uncloning_ros.trials.combined import combine
from uncloning_ros.trials.sequential import e_values, needed_e_value, wealth

Array = NDArray[np.float64]
Outcomes = NDArray[np.bool_]
Rng = np.random.Generator

ALPHA = 0.05
PAIRS = 100  # of a plan, in the series without a difference
SIMULATED = 1000  # episodes without a real trial of the same start
STAND_IN = Path(__file__).with_name('stand_in.json')  # written by stand_in.py


@dataclass(frozen=True)
class Null:
    """Two equal models, looked at after every pair."""

    words: str
    bet: float       # share of series in which a difference is found, by the test
    peeked: float    # the same by the exact McNemar test, looked at in the same way


@dataclass(frozen=True)
class Saving:
    """Pairs that a comparison needs at a true difference, at the same power."""

    rates: tuple[float, float]
    power: float
    fixed: int       # pairs of a fixed plan, exact McNemar test
    normal: float    # pairs of a fixed plan by the normal approximation
    most: int        # pairs of a plan that may stop early
    mean: float      # pairs that it runs on average
    found: float     # share of its series that find the difference
    for_ten: float   # mean of a plan that was made for 10 points, as the difference is not known


@dataclass(frozen=True)
class Held:
    """Share of series in which an interval holds the truth at every look."""

    words: str
    sequence: float
    peeked: float    # the same of the interval of Clopper and Pearson, looked at in the same way


@dataclass(frozen=True)
class Together:
    """Real trials and simulated episodes in one interval."""

    words: str
    pairs: int
    correlation: float
    covered: float
    shorter: float         # by this share than the interval of the real trials alone
    alone_covered: float   # of the interval of the real trials alone
    simulator_off: float   # simulated less real success rate


# Success where the simulator succeeds and where it fails, by the simulator's own rate.
SIMULATORS = {
    'agrees well': (0.7, 0.95, 0.1), 'agrees': (0.7, 0.9, 0.2), 'agrees at high rates':
    (0.9, 0.95, 0.2), 'agrees little': (0.7, 0.85, 0.5), 'says nothing': (0.7, 0.8, 0.8),
    'is too good': (0.95, 0.7, 0.1), 'is always wrong': (0.4, 0.05, 0.95)}


def equal_models(series: int, seed: int) -> list[Null]:
    """Compare two equal models, in independent, paired and drifting trials."""
    rng = np.random.default_rng(seed)
    shape = (series, PAIRS)
    hard = rng.random(shape) < 0.3
    drift = np.linspace(0.9, 0.3, PAIRS)
    cases = [(f'both {_percent(rate)}', rng.random(shape) < rate, rng.random(shape) < rate)
             for rate in (0.5, 0.8, 0.95)]
    cases += [('both 70 %, starts easy or hard for both',
               ~hard & (rng.random(shape) < 0.95) | hard & (rng.random(shape) < 0.12),
               ~hard & (rng.random(shape) < 0.95) | hard & (rng.random(shape) < 0.12)),
              ('both drift from 90 to 30 %', rng.random(shape) < drift,
               rng.random(shape) < drift)]
    p_values = np.array([[mcnemar_p(a, b) for b in range(PAIRS + 1)] for a in range(PAIRS + 1)])
    rows = []
    for words, one, two in cases:
        a, b = _only(one, two)
        bet = (e_values(a, b) >= needed_e_value(PAIRS, ALPHA)).any(axis=1)
        rows.append(Null(words, float(bet.mean()),
                         float((p_values[a, b] <= ALPHA).any(axis=1).mean())))
    return rows


def savings(series: int, seed: int) -> list[Saving]:
    """Compare models that differ by 10, 20 and 40 points, stopped at the first decision."""
    rng = np.random.default_rng(seed)
    rows = []
    for power in (0.8, 0.9):
        for_ten: dict[bool, int] = {}
        for high in (False, True):
            for points in (0.1, 0.2, 0.4):
                rates = ((0.9 - points, 0.9) if high else (0.5 - points / 2, 0.5 + points / 2))
                fixed = _fixed(rates, power)
                longest = max(4 * fixed, for_ten.get(high, 0))
                a, b = _only(*(rng.random((series, longest)) < rate for rate in rates))
                e = e_values(a, b)
                most = _smallest(partial(_finds, e, power), fixed // 2, 4 * fixed)
                for_ten.setdefault(high, most)
                stops, ten = _stops(e[:, :most]), _stops(e[:, :for_ten[high]])
                rows.append(Saving(
                    (round(rates[0], 2), round(rates[1], 2)), power, fixed,
                    _normal(rates, power), most, float(np.minimum(stops, most).mean()),
                    float(np.mean(stops <= most)),
                    float(np.minimum(ten, for_ten[high]).mean())))
    return rows


def sequences(series: int, seed: int, trials: int = 100) -> list[Held]:
    """Look at the intervals of one rate and of a difference after every trial."""
    rng = np.random.default_rng(seed)
    exact = np.array([[interval(k, n) if k <= n else (0.0, 1.0) for k in range(trials + 1)]
                      for n in range(1, trials + 1)])
    n, rows = np.arange(1, trials + 1), []
    for rate in (0.02, 0.2, 0.5, 0.8, 0.95, 0.99):
        k = np.cumsum(rng.random((series, trials)) < rate, axis=1)
        low, high = np.moveaxis(exact[n - 1, k], -1, 0)
        held = _held(np.stack([n - k, k], axis=-1), (0.0, 1.0), rate)
        rows.append(Held(f'rate {_percent(rate)}', held,
                         float(((low <= rate) & (rate <= high)).all(axis=1).mean())))
    for rates in ((0.5, 0.5), (0.45, 0.55), (0.8, 0.9), (0.5, 0.9)):
        a, b = _only(*(rng.random((series, trials)) < rate for rate in rates))
        held = _held(np.stack([a, n - a - b, b], axis=-1), (0.0, 0.5, 1.0),
                     (1 + rates[1] - rates[0]) / 2)
        words = f'difference of {_percent(rates[0])} and {_percent(rates[1])}'
        rows.append(Held(words, held, math.nan))
    return rows


def simulators(series: int, seed: int) -> list[Together]:
    """Combine trials of starts drawn at random with simulators of many kinds."""
    rng = np.random.default_rng(seed)
    rows = []
    for words, (rate, at_hit, at_miss) in SIMULATORS.items():
        for pairs in (10, 20, 40, 80):
            hits = rng.random((series, pairs)) < rate
            real = rng.random((series, pairs)) < np.where(hits, at_hit, at_miss)
            truth = rate * at_hit + (1 - rate) * at_miss
            covariance = rate * (at_hit - truth)
            scale = math.sqrt(rate * (1 - rate) * truth * (1 - truth))
            rows.append(_together(words, real, hits, rng.binomial(SIMULATED, rate, series), truth,
                                  covariance / scale, rate - truth))
    return rows


def convenient(series: int, seed: int, pairs: int = 40) -> list[Together]:
    """Combine trials of starts that were chosen since they are easy.

    A start is easy or hard for both; the simulator is kinder. Pairs come from the easiest share of
    the starts, simulated episodes and the true rate from all.
    """
    rng = np.random.default_rng(seed)

    def real_rate(hardness: Array) -> Array:
        return 1 / (1 + np.exp((hardness - 0.7) / 0.08))

    def simulated_rate(hardness: Array) -> Array:
        return 1 / (1 + np.exp((hardness - 0.8) / 0.08))

    all_starts = (np.arange(10_000) + 0.5) / 10_000
    truth, rate = real_rate(all_starts).mean(), simulated_rate(all_starts).mean()
    both = (real_rate(all_starts) * simulated_rate(all_starts)).mean()
    correlation = (both - truth * rate) / math.sqrt(truth * (1 - truth) * rate * (1 - rate))
    rows = []
    for share in (1.0, 0.95, 0.9, 0.8, 0.5):
        hardness = rng.random((series, pairs)) * share
        real = rng.random((series, pairs)) < real_rate(hardness)
        hits = rng.random((series, pairs)) < simulated_rate(hardness)
        rows.append(_together(f'the easiest {_percent(share)}' if share < 1 else 'all', real, hits,
                              rng.binomial(SIMULATED, rate, series), float(truth),
                              float(correlation), float(rate - truth)))
    return rows


def stand_in(series: int, seed: int, path: Path, pairs: int = 40) -> list[Together]:
    """Combine trials whose reality is a second physics setting of the simulator.

    Pairs are drawn from the starts that ran in both, at random or from the half of them whose tool
    lies most as in the training.
    """
    rng = np.random.default_rng(seed)
    runs = json.loads(path.read_text(encoding='utf-8'))
    real, hits = (np.array([run[name] for run in runs]) for name in ('real', 'simulated'))
    usual = np.argsort([abs(run['tool_yaw_rad'] - math.radians(115)) for run in runs])
    rows = []
    for words, pool in (('at random', usual), ('tool as in the training', usual[:len(runs) // 2])):
        drawn = rng.choice(pool, (series, pairs))
        rows.append(_together(words, real[drawn], hits[drawn],
                              rng.binomial(SIMULATED, hits.mean(), series), float(real.mean()),
                              float(np.corrcoef(real, hits)[0, 1]),
                              float(hits.mean() - real.mean())))
    return rows


def _together(words: str, real: Outcomes, hits: Outcomes, successes: Sequence[int], truth: float,
              correlation: float, off: float) -> Together:
    covered, alone_covered, width, alone_width = 0, 0, 0.0, 0.0
    for one, other, more in zip(real.tolist(), hits.tolist(), successes, strict=True):
        found = combine(one, other, int(more), SIMULATED, ALPHA)
        low, high = found.real_alone
        covered += found.low <= truth <= found.high
        alone_covered += low <= truth <= high
        width += found.high - found.low
        alone_width += high - low
    series, pairs = real.shape
    return Together(words, pairs, correlation, covered / series, 1 - width / alone_width,
                    alone_covered / series, off)


def _percent(rate: float) -> str:
    return f'{100 * rate:g} %'


def _only(one: Outcomes, two: Outcomes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of pairs so far in which the first alone, and the second alone, has it."""
    return np.cumsum(one & ~two, axis=1), np.cumsum(two & ~one, axis=1)


def _finds(e: Array, power: float, pairs: int) -> bool:
    """Tell whether a plan of this many pairs finds the difference with the power."""
    return bool(np.isfinite(_stops(e[:, :pairs])).mean() >= power)


def _stops(e: Array) -> Array:
    """Return the pair of each series at which it is decided, infinite if it is not."""
    decided = e >= needed_e_value(e.shape[1], ALPHA)
    return np.where(decided.any(axis=1), decided.argmax(axis=1) + 1.0, np.inf)


def _held(counts: NDArray[np.int64], values: tuple[float, ...], mean: float) -> float:
    """Return the share of series whose interval holds the mean at every look."""
    found, place = np.unique(counts.reshape(-1, len(values)), axis=0, return_inverse=True)
    lost = wealth(found, np.array(values), np.full(len(found), mean)) >= 1 / ALPHA
    return float(1 - lost[place].reshape(counts.shape[:2]).any(axis=1).mean())


def _fixed(rates: tuple[float, float], power: float) -> int:
    """Return the pairs at which the exact McNemar test of a fixed plan has the power."""
    return _smallest(lambda n: _mcnemar_power(rates, n) >= power, 4, 2000)


def _mcnemar_power(rates: tuple[float, float], pairs: int) -> float:
    first, second = rates[0] * (1 - rates[1]), rates[1] * (1 - rates[0])
    differ, k = first + second, np.arange(pairs + 1)
    chance = _binomial(pairs, differ)
    power = 0.0
    for d in k[chance > 1e-9].tolist():
        cut = _critical(d)
        by_second = _binomial(d, second / differ)
        power += chance[d] * float(by_second[:cut].sum() + by_second[d - cut + 1:].sum())
    return power


@lru_cache(maxsize=4096)
def _critical(differ: int) -> int:
    """Return the number of counts of the rarer side at which equal rates are rejected."""
    return next(k for k in range(differ + 2)
                if 2 * k > differ or mcnemar_p(k, differ - k) > ALPHA)


@lru_cache(maxsize=4096)
def _binomial(n: int, rate: float) -> Array:
    k = np.arange(n + 1)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    return np.asarray(np.exp(log_factorial[n] - log_factorial[k] - log_factorial[n - k]
                             + k * math.log(rate) + (n - k) * math.log1p(-rate)))


def _normal(rates: tuple[float, float], power: float) -> float:
    z = NormalDist().inv_cdf(1 - ALPHA / 2) + NormalDist().inv_cdf(power)
    p, q = rates
    return z * z * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2


def _smallest(enough: Callable[[int], bool], low: int, high: int) -> int:
    """Return about the smallest number that is enough, by halving."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
