# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distances of mode distributions by hand, and how often their intervals hold the truth."""

import itertools

import numpy as np
import pytest

from uncloning_ros.audit.figures.calibration import Reference, distance, restricted
from uncloning_ros.audit.figures.statistics import interval


def exact(**counts):
    return Reference('the demonstrations', counts, exact=True)


def test_distance_is_half_of_what_the_shares_differ_by():
    found = distance({'a': 50, 'b': 30, 'c': 20}, exact(a=20, b=30, c=50))
    assert found.tv == pytest.approx(0.3)
    assert found.low < 0.3 < found.high
    assert found.episodes == 100


def test_of_two_modes_the_interval_is_that_of_one_share():
    found = distance({'a': 70, 'b': 30}, exact(a=1, b=1))
    low, high = interval(70, 100)
    assert (found.low, found.high) == pytest.approx((low - 0.5, high - 0.5))
    within = distance({'a': 52, 'b': 48}, exact(a=1, b=1))
    assert within.low == 0.0
    low, high = interval(52, 100)
    assert within.high == pytest.approx(max(high - 0.5, 0.5 - low))


def test_modes_that_only_one_side_knows_count():
    assert distance({'a': 5, 'between_modes': 5}, exact(a=3)).tv == 0.5
    assert distance({'a': 5}, exact(a=1, b=1)).tv == 0.5
    assert distance({'b': 5}, exact(a=1)).tv == 1.0


def test_one_mode_alone_is_no_distance_from_itself():
    found = distance({'a': 300}, exact(a=7))
    assert (found.tv, found.low, found.expected_by_chance) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(('n', 'shares'), [
    (1, (0.5, 0.5)), (40, (0.5, 0.5)), (300, (0.547, 0.453)), (25, (0.1, 0.2, 0.7)),
    (60, (0.25, 0.25, 0.25, 0.25))])
def test_expected_by_chance_is_the_mean_of_simulated_distances(n, shares):
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, shares, size=20000)
    simulated = 0.5 * np.abs(counts / n - shares).sum(axis=1).mean()
    names = 'abcd'[:len(shares)]
    reference = exact(**{k: round(1000 * p) for k, p in zip(names, shares, strict=True)})
    found = distance(dict(zip(names, counts[0].tolist(), strict=True)), reference)
    assert found.expected_by_chance == pytest.approx(simulated, rel=0.02)


@pytest.mark.parametrize('is_exact', [True, False])
@pytest.mark.parametrize(('seen', 'expected'), [
    ((0.5, 0.5), (0.5, 0.5)), ((0.9, 0.1), (0.5, 0.5)), ((0.3, 0.3, 0.4), (0.2, 0.3, 0.5)),
    ((0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4))])
def test_interval_holds_the_true_distance_at_least_as_often_as_stated(seen, expected, is_exact):
    rng, hits = np.random.default_rng(4), 0
    names = 'abcd'[:len(seen)]
    truth = 0.5 * np.abs(np.subtract(seen, expected)).sum()
    for _ in range(200):
        counts = dict(zip(names, rng.multinomial(70, seen).tolist(), strict=True))
        other = ([round(100 * p) for p in expected] if is_exact
                 else rng.multinomial(90, expected).tolist())
        found = distance(counts, Reference('', dict(zip(names, other, strict=True)), is_exact))
        assert found.low <= found.tv <= found.high
        hits += found.low - 1e-12 <= truth <= found.high + 1e-12
    assert hits / 200 >= 0.95


def test_distance_is_the_largest_difference_of_any_set_of_modes():
    p, q = (0.4, 0.1, 0.3, 0.2), (0.1, 0.3, 0.4, 0.2)
    sets = itertools.chain.from_iterable(
        itertools.combinations(range(4), size) for size in range(5))
    largest = max(abs(sum(p[i] for i in s) - sum(q[i] for i in s)) for s in sets)
    found = distance({k: round(100 * v) for k, v in zip('abcd', p, strict=True)},
                     exact(**{k: round(100 * v) for k, v in zip('abcd', q, strict=True)}))
    assert found.tv == pytest.approx(largest)


def test_the_ideal_of_an_edit_is_its_original_without_what_was_removed():
    original = Reference('original', {'low': 30, 'high': 10, 'blade': 60}, exact=False)
    ideal = restricted(original, ('low', 'high'), 'without blade')
    assert ideal is not None
    assert distance({'low': 75, 'high': 25}, ideal).tv == 0.0
    assert distance({'low': 25, 'high': 75}, ideal).tv == pytest.approx(0.5)
    assert distance({'low': 75, 'high': 25}, ideal).low == 0.0
    assert restricted(original, ('other',), '') is None


def test_of_a_single_kept_mode_nothing_is_uncertain():
    ideal = restricted(Reference('', {'low': 3, 'blade': 60}, exact=False), ('low',), '')
    assert ideal is not None
    assert distance({'low': 300}, ideal).high == pytest.approx(1 - interval(300, 300)[0])


@pytest.mark.parametrize(('seen', 'expected'), [
    ({}, {'a': 1}), ({'a': 1}, {}), ({'a': 0}, {'a': 1})])
def test_nothing_cannot_be_compared(seen, expected):
    with pytest.raises(ValueError, match='expected episodes'):
        distance(seen, Reference('', expected, exact=True))


def test_of_two_modes_a_share_that_is_too_small_counts_as_one_that_is_too_large():
    low, high = interval(30, 100)
    found = distance({'a': 30, 'b': 70}, exact(a=1, b=1))
    assert (found.low, found.high) == pytest.approx((0.5 - high, 0.5 - low))


def test_of_three_modes_the_intervals_of_three_sets_hold_at_once():
    # The set {a} differs most; {b} and {a, b}, the complement of {c}, are looked at as well.
    low, high = interval(80, 100, 0.05 / 3)
    found = distance({'a': 80, 'b': 10, 'c': 10}, exact(a=20, b=40, c=40))
    assert (found.low, found.high) == pytest.approx((low - 0.2, high - 0.2))
    sample = distance({'a': 80, 'b': 10, 'c': 10},
                      Reference('', {'a': 20, 'b': 40, 'c': 40}, exact=False))
    p_low, _ = interval(80, 100, 0.05 / 6)
    _, q_high = interval(20, 100, 0.05 / 6)
    assert sample.low == pytest.approx(p_low - q_high)
