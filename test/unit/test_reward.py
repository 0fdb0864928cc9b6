# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The reward that answers tell: its formulas, its uncertainty, and the next question."""

import math

import numpy as np
import pytest

from uncloning_ros.geometry import Array
from uncloning_ros.preferences import reward
from uncloning_ros.preferences.asking import information, next_pair, next_single, random_pairs
from uncloning_ros.preferences.reward import (
    BAD,
    EQUAL,
    GOOD,
    LEFT,
    RIGHT,
    Answers,
    infer,
    pair_chances,
    single_chances,
)

TRUE = np.array([0.8, -0.6, 0.0])


def answers(pair: Array | None = None, said: Array | None = None, single: Array | None = None,
            accepted: Array | None = None, pair_rater: Array | None = None) -> Answers:
    none = np.zeros(0, dtype=np.int64)
    pair, said = (np.zeros((0, 3)), none) if pair is None or said is None else (pair, said)
    single, accepted = ((np.zeros((0, 3)), none) if single is None or accepted is None
                        else (single, accepted))
    raters = np.zeros_like(said) if pair_rater is None else pair_rater
    return Answers(pair, said, raters, single, accepted, np.zeros_like(accepted),
                   int(raters.max(initial=0)) + 1)


def compared(count: int, wrong: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return differences of features, and sides that fit `TRUE` but for a share."""
    pair = rng.standard_normal((count, 3))
    right = np.where(pair @ TRUE > 0.0, LEFT, RIGHT)
    return pair, np.where(rng.random(count) < wrong, LEFT + RIGHT - right, right)


def test_the_chances_of_a_pair_are_those_of_davidson() -> None:
    # v.d = 2, nu = e^0.5, no lapses: e^1, e^-1 and nu in proportion.
    chances = pair_chances(np.array([[2.0, 0.0, 0.5, -40.0]]), np.array([[1.0]]), 1, 0)[0, 0]
    parts = np.array([math.e, 1.0 / math.e, math.exp(0.5)])
    assert chances == pytest.approx(parts / parts.sum())
    lapsing = pair_chances(np.array([[2.0, 0.0, 0.5, 0.0]]), np.array([[1.0]]), 1, 0)[0, 0]
    assert lapsing == pytest.approx(0.5 * chances + 0.5 / 3)
    good = single_chances(np.array([[2.0, 0.5, 0.0, -40.0]]), np.array([[1.0]]), 1, 0)[0, 0]
    assert good == pytest.approx([1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(1.5))])


def test_slopes_and_information_are_those_of_the_likelihood() -> None:
    rng = np.random.default_rng(3)
    data = Answers(rng.standard_normal((7, 2)), rng.integers(3, size=7), rng.integers(2, size=7),
                   rng.standard_normal((5, 2)), rng.integers(2, size=5), rng.integers(2, size=5),
                   2)
    at = np.array([0.7, -1.1, 0.4, -0.2, -1.5, -0.5])
    chosen, slopes, expected = reward._likelihood(at, data)
    for i, step in enumerate(1e-6 * np.eye(6)):
        numeric = (reward._likelihood(at + step, data)[0]
                   - reward._likelihood(at - step, data)[0]) / 2e-6
        assert slopes[:, i] == pytest.approx(numeric, abs=1e-8)
    # Expected over all answers that could have been given.
    total = np.zeros((6, 6))
    for pairs, singles in ((said, said % 2) for said in range(3)):
        every = Answers(data.pair, np.full(7, pairs), data.pair_rater, data.single,
                        np.full(5, singles), data.single_rater, 2)
        chances, of, _ = reward._likelihood(at, every)
        share = np.concatenate([np.ones(7), np.full(5, float(pairs < 2))])
        total += np.einsum('m,mi,mj->ij', share / chances, of, of)
    assert expected == pytest.approx(total)
    assert chosen.min() > 0.0


def test_without_answers_the_belief_is_the_prior() -> None:
    belief = infer(answers())
    assert np.all(belief.mean[:4] == 0.0)
    assert np.diag(belief.covariance)[:3] == pytest.approx(np.full(3, 9.0))
    assert belief.below(np.zeros((2, 3))) == pytest.approx([0.5, 0.5])


def test_answers_tell_the_weights_and_more_answers_make_them_surer() -> None:
    rng = np.random.default_rng(0)
    pair, said = compared(300, 0.2, rng)
    few, many = (infer(answers(pair[:n], said[:n])) for n in (30, 300))
    assert many.weights @ TRUE > 0.97
    assert np.linalg.norm(many.weights) == pytest.approx(1.0)
    spread = [np.linalg.norm(np.std(v / np.linalg.norm(v, axis=1)[:, None], axis=0)) for v in (
        belief.drawn(2000, np.random.default_rng(1))[:, :3] for belief in (few, many))]
    assert spread[1] < 0.5 * spread[0]


def test_a_rater_who_often_answers_the_other_way_gets_a_higher_lapse_rate() -> None:
    rng = np.random.default_rng(0)
    careful, careless = compared(150, 0.0, rng), compared(150, 0.35, rng)
    belief = infer(answers(*(np.concatenate(both) for both in zip(careful, careless, strict=True)),
                           pair_rater=np.repeat([0, 1], 150)))
    assert belief.lapses[0] < 0.1 < 0.3 < belief.lapses[1]


def test_equal_answers_on_unlike_episodes_say_that_their_feature_does_not_matter() -> None:
    pair = np.repeat([[0.0, 0.0, 3.0], [3.0, 0.0, 0.0]], 20, axis=0)
    belief = infer(answers(pair, np.repeat([EQUAL, LEFT], 20)))
    assert abs(belief.weights[2]) < 0.1 < belief.weights[0]


def test_good_and_bad_find_the_threshold_and_its_probability() -> None:
    rng = np.random.default_rng(0)
    single = rng.standard_normal((200, 3))
    belief = infer(answers(single=single, accepted=np.where(single @ TRUE > 0.5, GOOD, BAD)))
    assert belief.threshold == pytest.approx(0.5, abs=0.15)
    at = np.outer([-1.0, 0.5, 2.0], TRUE)
    below = belief.below(at)
    assert below[0] > 0.99 and 0.05 < below[1] < 0.95 and below[2] < 0.01


def test_the_next_pair_is_one_whose_answer_is_not_known_yet() -> None:
    rng = np.random.default_rng(0)
    belief = infer(answers(np.tile([4.0, 0.0, 0.0], (40, 1)), np.zeros(40, dtype=np.int64)))
    features = np.array([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [-3.0, 3.0, 0.0]])
    assert {tuple(sorted(next_pair(belief, features, set(), 0, rng) or ()))
            for _ in range(10)} == {(1, 2)}
    sides = {next_pair(belief, features, set(), 0, rng) for _ in range(20)}
    assert sides == {(1, 2), (2, 1)}
    assert sorted(next_pair(belief, features, {(1, 2), (0, 2)}, 0, rng) or ()) == [0, 1]
    assert next_pair(belief, features, {(0, 1), (1, 2), (0, 2)}, 0, rng) is None
    assert next_pair(belief, features[:1], set(), 0, rng) is None


def test_the_next_single_episode_is_near_the_threshold() -> None:
    rng = np.random.default_rng(0)
    single = rng.standard_normal((80, 3))
    belief = infer(answers(single=single, accepted=np.where(single @ TRUE > 0.0, GOOD, BAD)))
    features = np.outer([-3.0, 0.0, 3.0], TRUE)
    assert next_single(belief, features, set(), 0, rng) == 1
    assert next_single(belief, features, {0, 1, 2}, 0, rng) is None


def test_random_pairs_are_distinct_and_of_both_sides() -> None:
    pairs = random_pairs(12, {(0, 1)}, 1000, np.random.default_rng(0))
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == len(pairs) == 65
    assert 10 < np.count_nonzero(pairs[:, 0] < pairs[:, 1]) < 55


def test_of_very_many_episodes_the_pairs_of_some_are_looked_at() -> None:
    pairs = random_pairs(10_000, set(), 500, np.random.default_rng(0))
    assert len(pairs) == 500 and pairs.max() < 10_000 and len(np.unique(pairs)) > 300


def test_information_is_nothing_where_all_draws_agree() -> None:
    agreed = np.tile([0.9, 0.1, 0.0], (5, 1, 1))
    split = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    assert information(agreed) == pytest.approx([0.0], abs=1e-12)
    assert information(split) == pytest.approx([math.log(2.0)])


def test_of_two_peaks_the_higher_one_counts() -> None:
    """A careless rater with a steep reward is not taken for a careful one with a flat reward."""
    pair, said = compared(160, 0.2, np.random.default_rng(2))
    near = np.where(np.arange(160)[:, None] % 5 == 0, 4.0, 0.25)  # most pairs are hard
    belief = infer(answers(near * pair, said))
    assert belief.lapses[0] > 0.1 and belief.weights @ TRUE > 0.97
