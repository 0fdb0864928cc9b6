# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import pytest

from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.trials.combined import combine

MANY = 10_000  # simulated episodes: their rate is known well


def combined(both, real_only, simulated_only, neither, simulated_rate):
    """Return the interval of pairs by their outcomes, with many simulated episodes."""
    cells = [(True, True)] * both + [(True, False)] * real_only
    cells += [(False, True)] * simulated_only + [(False, False)] * neither
    real, simulated = zip(*cells, strict=True)
    return combine(real, simulated, round(simulated_rate * MANY), MANY)


def coverage(pairs: int, simulated_rate: float, at_hit: float, at_miss: float) -> float:
    """Return the exact probability that the interval of `pairs` covers the real rate."""
    rate = simulated_rate * at_hit + (1 - simulated_rate) * at_miss
    chances = (simulated_rate * at_hit, (1 - simulated_rate) * at_miss,
               simulated_rate * (1 - at_hit), (1 - simulated_rate) * (1 - at_miss))
    covered = 0.0
    for cells in itertools.product(range(pairs + 1), repeat=3):
        if (rest := pairs - sum(cells)) >= 0:
            counts = (*cells, rest)
            found = combined(*counts, simulated_rate)
            if found.low <= rate <= found.high:
                ways = math.factorial(pairs) / math.prod(map(math.factorial, counts))
                covered += ways * math.prod(p ** n for p, n in zip(chances, counts, strict=True))
    return covered


@pytest.mark.parametrize(('simulated_rate', 'at_hit', 'at_miss'), [
    (0.7, 0.95, 0.1), (0.9, 0.95, 0.2), (0.5, 1.0, 0.0), (0.95, 0.98, 0.95), (0.7, 0.8, 0.8),
    (0.3, 0.5, 0.05), (0.5, 0.1, 0.9), (0.99, 0.5, 0.5)])
def test_the_interval_covers_the_real_rate_as_often_as_stated(simulated_rate, at_hit, at_miss):
    assert coverage(10, simulated_rate, at_hit, at_miss) >= 0.95


def test_a_simulator_that_agrees_makes_the_interval_smaller_and_so_does_one_always_wrong():
    agrees = combined(27, 1, 1, 11, 0.7)
    alone = agrees.real_alone
    assert alone == interval(28, 40)
    assert agrees.high - agrees.low < 0.75 * (alone[1] - alone[0])
    assert agrees.agreed == 38
    wrong = combined(1, 27, 11, 1, 0.3)
    assert (wrong.low, wrong.high) == (pytest.approx(agrees.low), pytest.approx(agrees.high))


def test_a_simulator_that_says_nothing_leaves_the_interval_nearly_as_it_is():
    found = combined(14, 14, 6, 6, 0.5)
    low, high = found.real_alone
    assert found.high - found.low == pytest.approx(high - low, abs=0.01)


def test_a_simulator_that_always_succeeds_adds_nothing():
    found = combine([True] * 7 + [False] * 3, [True] * 10, 990, 990)
    low, high = found.real_alone
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)


def test_few_simulated_episodes_widen_the_interval():
    pairs = [True] * 14 + [False] * 6, [True] * 14 + [False] * 6
    few, many = combine(*pairs, 21, 30), combine(*pairs, 2100, 3000)
    assert few.high - few.low > many.high - many.low
    assert few.simulated == pytest.approx(0.7)


def test_failures_mirror_successes():
    found, mirrored = combined(8, 2, 1, 9, 0.6), combined(9, 1, 2, 8, 0.4)
    assert (1 - mirrored.high, 1 - mirrored.low) == (pytest.approx(found.low),
                                                     pytest.approx(found.high))


def test_the_bounds_of_a_side_without_a_real_trial_are_zero_and_one():
    found = combine([True] * 3, [True] * 3, 500, 997)
    errors = 0.503 * (1 - interval(3, 3)[0]), 0.503 - interval(503, 1000)[0]
    assert found.low == pytest.approx(0.503 - math.hypot(*errors))
    assert found.high == 1.0


def test_uneven_pairs_and_impossible_counts_get_a_sentence():
    with pytest.raises(ValueError, match='got 2 real and 1'):
        combine([True, False], [True], 1, 2)
    with pytest.raises(ValueError, match='got 3 of 2'):
        combine([True], [True], 3, 2)
