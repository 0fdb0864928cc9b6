# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bounds against published tables, against their definition, and against simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.audit.figures.statistics import (
    binomial_cdf,
    holm,
    interval,
    lower_bound,
    mcnemar_p,
    paired_difference,
    upper_bound,
)


# Claim, then the least number of episodes that shows it with 0, 1, 2, 3 and 5 events.
@pytest.mark.parametrize(('claim', 'needed'), [
    (0.05, (59, 93, 124, 153, 208)),
    (0.02, (149, 236, 313, 386, 523)),
    (0.01, (299, 473, 628, 773, 1049)),
    (0.005, (598, 947, 1258, 1549, 2100)),
    (0.001, (2995, 4742, 6294, 7752, 10511)),
])
def test_as_many_episodes_are_needed_as_the_published_table_says(claim, needed):
    for events, episodes in zip((0, 1, 2, 3, 5), needed, strict=True):
        assert upper_bound(events, episodes) < claim
        assert upper_bound(events, episodes - 1) >= claim


@pytest.mark.parametrize(('alpha', 'needed'), [(0.01, (459, 662, 838)), (0.025, (368, 555, 720))])
def test_higher_confidence_needs_the_published_number_of_episodes(alpha, needed):
    for events, episodes in enumerate(needed):
        assert upper_bound(events, episodes, alpha) < 0.01
        assert upper_bound(events, episodes - 1, alpha) >= 0.01


@pytest.mark.parametrize(('episodes', 'bound'), [
    (20, 0.139), (40, 0.072), (100, 0.0295), (1000, 0.0030), (10000, 0.0003)])
def test_bound_of_no_event_is_near_three_over_n(episodes, bound):
    assert upper_bound(0, episodes) == pytest.approx(bound, rel=0.02)
    assert upper_bound(0, episodes) == pytest.approx(1 - 0.05 ** (1 / episodes), rel=1e-12)


def test_bounds_at_the_ends_are_the_ends():
    assert upper_bound(7, 7) == 1.0
    assert lower_bound(0, 7) == 0.0
    assert lower_bound(7, 7) == pytest.approx(0.05 ** (1 / 7))
    assert interval(0, 10) == (0.0, pytest.approx(1 - 0.025 ** 0.1))


def test_bound_of_a_large_count_matches_a_published_interval():
    # 81 of 263, two-sided 95 %: Newcombe, Statistics in Medicine 17, 857-872 (1998), table I.
    low, high = interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2527, 0.3676)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_at_the_bound_so_few_events_have_probability_alpha(counts):
    events, n = counts
    p = upper_bound(events, n)
    total = sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(events + 1))
    assert total == pytest.approx(0.05, rel=1e-6)
    assert p > events / n


@pytest.mark.parametrize(('events', 'episodes'), [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts_are_refused(events, episodes):
    with pytest.raises(ValueError, match='expected 0 <= events'):
        upper_bound(events, episodes)


def table(both, only_first, only_second, neither):
    pairs = ([(True, True)] * both + [(True, False)] * only_first
             + [(False, True)] * only_second + [(False, False)] * neither)
    return [a for a, _ in pairs], [b for _, b in pairs]


def test_paired_interval_matches_its_formula_worked_by_hand():
    # 20 pairs both, 12 and 2 discordant, 16 neither, so rates 0.64 and 0.44. Wilson: 0.64 in
    # [0.50141, 0.75861], 0.44 in [0.31162, 0.57694]. phi = (320 - 24 - 25) / sqrt(32*18*22*28).
    result = paired_difference(*table(20, 12, 2, 16))
    phi = 271 / math.sqrt(32 * 22 * 18 * 28)
    d1, d2 = 0.64 - 0.50141, 0.57694 - 0.44
    u1, u2 = 0.75861 - 0.64, 0.44 - 0.31162
    assert result.difference == pytest.approx(0.2)
    assert result.low == pytest.approx(
        0.2 - math.sqrt(d1 * d1 - 2 * phi * d1 * d2 + d2 * d2), abs=2e-5)
    assert result.high == pytest.approx(
        0.2 + math.sqrt(u1 * u1 - 2 * phi * u1 * u2 + u2 * u2), abs=2e-5)
    assert (result.only_first, result.only_second) == (12, 2)


def test_paired_interval_covers_at_least_about_as_often_as_stated():
    rng, n, hits = np.random.default_rng(0), 150, 0
    probabilities = np.array([0.86, 0.05, 0.02, 0.07])  # both, first, second, neither
    for _ in range(1500):
        result = paired_difference(*table(*rng.multinomial(n, probabilities)))
        hits += result.low <= 0.03 <= result.high
    assert hits / 1500 > 0.935


def test_policies_that_never_differ_have_an_interval_round_zero():
    result = paired_difference(*table(280, 0, 0, 20))
    assert result.difference == 0.0
    assert -0.02 < result.low < 0.0 < result.high < 0.02
    assert result.p_value == 1.0
    perfect = paired_difference([True] * 300, [True] * 300)
    assert -0.02 < perfect.low < 0.0 < perfect.high < 0.02


def test_swapping_the_policies_swaps_the_sign():
    one, two = table(70, 11, 3, 16)
    ahead, behind = paired_difference(one, two), paired_difference(two, one)
    assert ahead.difference == pytest.approx(-behind.difference)
    assert (ahead.low, ahead.high) == pytest.approx((-behind.high, -behind.low))
    assert ahead.p_value == behind.p_value


@pytest.mark.parametrize(('only_first', 'only_second', 'p'), [
    (0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (1, 9, 2 * 11 / 1024), (0, 1, 1.0)])
def test_mcnemar_is_the_exact_sign_test(only_first, only_second, p):
    assert mcnemar_p(only_first, only_second) == pytest.approx(p)


def test_pairs_of_different_length_are_refused():
    with pytest.raises(ValueError, match='expected pairs'):
        paired_difference([True], [True, False])


# From R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), 'holm'), and with ties and an order.
@pytest.mark.parametrize(('p_values', 'corrected'), [
    ([], []), ([0.03], [0.03]), ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
    ([0.04, 0.01, 0.01], [0.04, 0.03, 0.03]), ([0.9, 0.6], [1.0, 1.0])])
def test_p_values_are_corrected_as_published(p_values, corrected):
    assert holm(p_values) == pytest.approx(corrected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_correction_keeps_the_order_and_is_between_nothing_and_bonferroni(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= min(1.0, len(p_values) * p) + 1e-12
               for p, c in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_of_true_null_hypotheses_hardly_one_family_is_called_different():
    # Five pairs of models that do not differ, correlated through a shared first one.
    rng, wrong, n = np.random.default_rng(1), 0, 120
    for _ in range(300):
        first = rng.uniform(size=n) < 0.3
        others = [rng.uniform(size=n) < 0.3 for _ in range(5)]
        wrong += min(holm([mcnemar_p(int((first & ~o).sum()), int((o & ~first).sum()))
                           for o in others])) < 0.05
    assert wrong / 300 < 0.05


def test_several_bounds_at_once_hold_at_once():
    # At 0.05 / m each, all m bounds hold in at least 95 % of families; at 0.05 each they do not.
    rng, n, rates = np.random.default_rng(2), 80, np.array([0.02, 0.05, 0.1, 0.1, 0.2, 0.3])
    joint = alone = 0
    for _ in range(400):
        events = rng.binomial(n, rates)
        joint += all(upper_bound(int(k), n, 0.05 / len(rates)) >= p
                     for k, p in zip(events, rates, strict=True))
        alone += all(upper_bound(int(k), n) >= p for k, p in zip(events, rates, strict=True))
    assert joint / 400 >= 0.95 > alone / 400


def test_a_narrower_confidence_gives_a_narrower_interval():
    wide, narrow = interval(3, 50, 0.05), interval(3, 50, 0.2)
    assert wide[0] < narrow[0] < 0.06 < narrow[1] < wide[1]
    pairs = table(20, 12, 2, 16)
    assert paired_difference(*pairs, 0.2).low > paired_difference(*pairs, 0.05).low


@pytest.mark.parametrize(('events', 'episodes'), [(0, 30), (3, 80), (81, 263), (30, 30), (7, 8)])
def test_bounds_agree_with_another_implementation(events, episodes):
    beta = pytest.importorskip('scipy.stats').beta
    for alpha in (0.05, 0.01):
        upper = 1.0 if events == episodes else beta.ppf(1 - alpha, events + 1, episodes - events)
        lower = 0.0 if events == 0 else beta.ppf(alpha, events, episodes - events + 1)
        assert upper_bound(events, episodes, alpha) == pytest.approx(upper, rel=1e-9)
        assert lower_bound(events, episodes, alpha) == pytest.approx(lower, rel=1e-9, abs=1e-15)


def test_binomial_probabilities_agree_with_another_implementation():
    binom = pytest.importorskip('scipy.stats').binom
    for events, n, p in ((0, 1, 0.5), (5, 1049, 0.003), (400, 1000, 0.4), (3, 3, 0.9),
                         (-1, 10, 0.5), (2, 10000, 1e-4)):
        assert binomial_cdf(events, n, p) == pytest.approx(binom.cdf(events, n, p), rel=1e-9)
    assert binomial_cdf(3, 10, 0.0) == 1.0
    assert binomial_cdf(3, 10, 1.0) == 0.0


def test_sign_test_agrees_with_another_implementation():
    binomtest = pytest.importorskip('scipy.stats').binomtest
    for a, b in ((1, 9), (0, 12), (7, 5), (4, 4), (30, 12)):
        assert mcnemar_p(a, b) == pytest.approx(binomtest(a, a + b).pvalue)
