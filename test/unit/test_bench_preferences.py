# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated raters: few answers tell the reward, although a fifth of them is wrong."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import preferences
import pytest

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'benchmarks' / 'preferences.md'


@pytest.fixture(scope='module')
def features() -> tuple[np.ndarray, list[int]]:
    return preferences.scaled_of(json.loads(preferences.FEATURES.read_text('utf-8')))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_chosen_comparisons_tell_the_order_of_episodes_that_were_not_asked_for(
        features: tuple[np.ndarray, list[int]]) -> None:
    raters = [preferences.Rater(seed, *features) for seed in range(100, 104)]
    for rater in raters:
        for _ in range(80):
            rater.compare(active=True)
    assert np.mean([rater.tau() for rater in raters]) >= 0.8
    for rater in raters:
        for _ in range(40):
            rater.judge()
    assert np.mean([rater.right()[2] for rater in raters]) >= 0.93


def test_a_rater_is_wrong_in_a_fifth_of_the_answers(
        features: tuple[np.ndarray, list[int]]) -> None:
    rater = preferences.Rater(0, *features)
    for _ in range(400):
        rater.compare(active=False)
    true = np.array(rater.pairs) @ rater.weights
    clear = np.abs(true) >= rater.alike
    said = np.array(rater.said)[clear]
    wrong = np.mean(said != np.where(true[clear] > 0, preferences.LEFT, preferences.RIGHT))
    assert wrong == pytest.approx(preferences.INCONSISTENT, abs=0.05)


def test_episodes_that_are_left_out_are_neither_right_nor_wrong(
        features: tuple[np.ndarray, list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    rater = preferences.Rater(0, *features)
    wanted = rater.held @ rater.weights < rater.limit
    chances = np.where(wanted, 0.9, 0.1)
    chances[:10] = np.where(wanted[:10], 0.7, 0.3)  # as wanted, but not surely
    chances[10:13] = 1.0 - chances[10:13]
    belief = SimpleNamespace(below=lambda _: chances)
    monkeypatch.setattr(rater, 'belief', lambda: belief)
    assert rater.right() == pytest.approx((10 / 40, 27 / 30, 37 / 40))


def test_kendall_counts_pairs_in_the_same_order() -> None:
    order = np.arange(4.0)
    assert preferences.kendall(order, order) == 1.0
    assert preferences.kendall(order, -order) == -1.0
    assert preferences.kendall(order, np.array([0.0, 1.0, 3.0, 2.0])) == pytest.approx(4 / 6)


def test_the_number_of_comparisons_lies_between_two_looks() -> None:
    taus = {10: np.array([0.5, 0.7]), 20: np.array([0.9, 0.9])}
    assert preferences.reached(taus, 0.75) == pytest.approx(15.0)
    assert preferences.reached(taus, 0.95) is None
    assert preferences.reached(taus, 0.3) == 10


def test_the_share_that_is_saved_is_that_of_the_raters_who_are_asked() -> None:
    active = {10: np.array([0.0, 0.8]), 20: np.array([0.8, 0.8])}
    found = preferences.Series(active, {10: np.zeros(2), 40: np.full(2, 0.8)}, {})
    assert preferences.fewer(found, 0.8) == pytest.approx(0.5)
    assert preferences.fewer(found, 0.8, np.array([1])) == pytest.approx(0.75)
    assert np.isnan(preferences.fewer(found, 0.9))


def test_the_page_is_the_one_that_the_bench_writes() -> None:
    tried = ((preferences.LOOKS, 2), (preferences.RANDOM_LOOKS, 2), (preferences.SINGLES, (2, 3)))
    found = preferences.Series(*({count: np.full(shape, 0.9) for count in counts}
                                 for counts, shape in tried))
    page = preferences.written(found, 20, 400)
    assert '| 80 | 0.8 | 0.90 | 0.90 | 0.90 |' in page
    text, stored = ([line for line in one.splitlines() if not line.startswith('| ')]
                    for one in (page, PAGE.read_text('utf-8')))
    assert text == stored
