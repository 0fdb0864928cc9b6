# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import math

import numpy as np
import pytest

from uncloning_ros.audit.figures.statistics import interval as clopper_pearson
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.trials.sequential import (
    compare,
    difference_interval,
    e_values,
    needed_e_value,
    rate_interval,
    rate_upper_bound,
)


@pytest.mark.parametrize(('a', 'b'), [(0, 0), (0, 7), (3, 9), (10, 40), (200, 260)])
def test_the_e_value_of_a_comparison_has_its_closed_form(a, b):
    n = a + b
    expected = 2.0 ** n / ((n + 1) * math.comb(n, a))
    assert e_values(np.array([a]), np.array([b]))[0] == pytest.approx(expected, rel=1e-9)


def test_under_equal_rates_the_e_value_is_one_on_average():
    n = 30
    b = np.arange(n + 1)
    chance = np.array([math.comb(n, k) / 2 ** n for k in b])
    assert chance @ e_values(n - b, b) == pytest.approx(1.0)


@pytest.mark.parametrize(('a', 'b', 'same'), [(0, 7, 3), (0, 8, 3), (3, 15, 9), (3, 17, 9),
                                              (40, 80, 300)])
def test_equal_rates_are_outside_of_the_interval_exactly_when_it_is_decided(a, b, same):
    low, _high = difference_interval(np.array([a]), np.array([b]), np.array([a + b + same]))
    assert (low[0] > 0) == (e_values(np.array([a]), np.array([b]))[0] >= 20)


def test_a_comparison_is_decided_at_the_first_pair_that_is_enough_and_stays_so():
    undecided = compare([False] * 5, [True] * 5, 20)
    assert (undecided.decided_after, undecided.e_value) == (None, pytest.approx(32 / 6))
    outcomes = [False] * 8 + [True] * 9, [True] * 8 + [False] * 9
    later = compare(*outcomes, 20)
    assert later.decided_after == 7
    assert (later.only_second, later.only_first, later.pairs) == (8, 9, 17)
    assert later.e_value < 1 < later.needed_e_value < 20
    assert compare(*outcomes, 10_000).decided_after == 8
    assert compare(*outcomes, 20, alpha=0.005).decided_after is None


@pytest.mark.parametrize(('pairs', 'alpha'), [(6, 0.05), (12, 0.05), (12, 0.2)])
def test_equal_models_are_found_different_with_a_chance_of_alpha_at_most(pairs, alpha):
    needed = needed_e_value(pairs, alpha)
    second = np.array(list(itertools.product([0, 1], repeat=pairs)))
    heads = np.cumsum(second, axis=1)
    reached = e_values(np.arange(1, pairs + 1) - heads, heads)
    assert (reached >= needed).any(axis=1).mean() <= alpha
    # The next smaller value that can be reached is too small.
    smaller = reached[reached < needed].max()
    assert (reached >= smaller).any(axis=1).mean() > alpha


def test_a_longer_plan_needs_more_evidence_and_never_more_than_one_over_alpha():
    needed = [needed_e_value(pairs, 0.05) for pairs in (6, 20, 100, 400)]
    assert needed == sorted(needed)
    assert needed[-1] < 20


@pytest.mark.parametrize(('k', 'n'), [(0, 20), (5, 20), (45, 50), (500, 1000)])
def test_the_interval_that_may_be_peeked_at_is_wider_than_the_one_that_may_not(k, n):
    low, high = rate_interval(k, n)
    exact_low, exact_high = clopper_pearson(k, n)
    assert low <= exact_low
    assert exact_high < high < exact_high + 2 / math.sqrt(n)
    assert upper_bound(k, n) < rate_upper_bound(k, n) < high
    other_low, other_high = rate_interval(n - k, n)
    assert (1 - other_high, 1 - other_low) == (pytest.approx(low), pytest.approx(high))


def test_no_trial_and_uneven_pairs_get_a_sentence():
    with pytest.raises(ValueError, match='got 0 of 0'):
        rate_interval(0, 0)
    with pytest.raises(ValueError, match='got 3 of 2'):
        rate_upper_bound(3, 2)
    with pytest.raises(ValueError, match='got 2 and 1'):
        compare([True, False], [True], 5)
    with pytest.raises(ValueError, match='expected 1 to 1 pairs, got 2'):
        compare([True, False], [True, False], 1)
