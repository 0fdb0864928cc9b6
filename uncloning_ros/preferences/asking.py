# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the next question: the one whose answer is expected to tell most about the reward.

That is the mutual information of answer and parameters, the entropy of the mean probabilities less
the mean entropy (Lindley, Ann. Math. Stat. 27, 1956; as BALD: Houlsby et al., arXiv 1112.5745).
"""

import numpy as np

from uncloning_ros.geometry import Array
from uncloning_ros.preferences.reward import Belief, pair_chances, single_chances

_DRAWS = 64  # parameters from the belief that a question is judged by
_CANDIDATES = 500  # pairs that are looked at: of 400 episodes there are 79,800
_MOST_EPISODES = 1000  # whose pairs are drawn from; there are half a million


def next_pair(belief: Belief, features: Array, asked: set[tuple[int, int]], rater: int,
              rng: np.random.Generator) -> tuple[int, int] | None:
    """Return the pair of episodes (left, right) to ask for, None if every pair was asked.

    `features` (E, D); `asked` are pairs (smaller, larger) that this rater has seen. The sides are
    random.
    """
    pairs = random_pairs(len(features), asked, _CANDIDATES, rng)
    if not len(pairs):
        return None
    told = information(pair_chances(belief.drawn(_DRAWS, rng),
                                    features[pairs[:, 0]] - features[pairs[:, 1]],
                                    belief.dim, rater))
    one, two = pairs[int(np.argmax(told))].tolist()
    return one, two


def next_single(belief: Belief, features: Array, asked: set[int], rater: int,
                rng: np.random.Generator) -> int | None:
    """Return the episode to ask for whether it was good, None if this rater said it of all."""
    left = np.array([i for i in range(len(features)) if i not in asked], dtype=np.int64)
    if not len(left):
        return None
    told = information(single_chances(belief.drawn(_DRAWS, rng), features[left], belief.dim,
                                      rater))
    return int(left[int(np.argmax(told))])


def random_pairs(episodes: int, asked: set[tuple[int, int]], count: int,
                 rng: np.random.Generator) -> np.ndarray:
    """Return up to `count` distinct pairs (P, 2), with random sides, that were not asked."""
    some = np.arange(episodes)
    if episodes > _MOST_EPISODES:
        some = np.sort(rng.permutation(episodes)[:_MOST_EPISODES])
    firsts, seconds = np.triu_indices(len(some), 1)
    keep = rng.permutation(len(firsts))[:count + len(asked)]
    pairs = [pair for pair in zip(some[firsts[keep]].tolist(), some[seconds[keep]].tolist(),
                                  strict=True) if pair not in asked][:count]
    turned = rng.random(len(pairs)) < 0.5
    return np.array([pair[::-1] if turn else pair
                     for pair, turn in zip(pairs, turned, strict=True)],
                    dtype=np.int64).reshape(-1, 2)


def information(chances: Array) -> Array:
    """Return the mutual information (M,) in nats of answers with probabilities (S, M, K)."""
    return _entropy(chances.mean(axis=0)) - _entropy(chances).mean(axis=0)


def _entropy(chances: Array) -> Array:
    return -np.sum(chances * np.log(np.maximum(chances, 1e-300)), axis=-1)
