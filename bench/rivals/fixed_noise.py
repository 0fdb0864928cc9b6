# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed noise: one noise for every chunk of every episode, the one that did best in a search.

The golden ticket (Patil et al. 2026, arXiv 2603.15757): draw M noises from the policy's own
distribution, give each the same development episodes, keep the one with the best mean score. The
weights stay, and planning costs what it did.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from uncloning_ros.runtime.control_loop import Infer
from uncloning_ros.runtime.inference import Array, OnnxPolicy


@dataclass(frozen=True)
class FixedNoise:
    """The noise that follows from `seed`, whatever noise the control loop draws."""

    seed: int

    def noise(self, shape: tuple[int, ...]) -> Array:
        """Return the noise of a chunk of this shape, standard normal."""
        return np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return what plans every chunk from the same noise."""
        noise = self.noise(policy.chunk_shape)
        return lambda observation, _: policy(observation, noise)


def search(score: Callable[[FixedNoise, Sequence[int]], float], development_seeds: Sequence[int],
           episodes: int, seed: int) -> tuple[FixedNoise, dict[int, float]]:
    """Return the best of as many noises as the budget of `episodes` allows, and all scores.

    `score(candidate, development_seeds)` runs one episode for each seed and returns how good
    they were. The candidates, and the scores' keys, are `FixedNoise` of `seed` and the numbers
    after it; of equals the first is taken. Raise `ValueError` if not even one can be tried.
    """
    count = episodes // max(1, len(development_seeds))
    if not development_seeds or count < 1:
        raise ValueError(f'{episodes} episodes do not try one noise on {len(development_seeds)} '
                         f'development seeds; give at least one seed, and as many episodes')
    scores = {candidate: score(FixedNoise(candidate), development_seeds)
              for candidate in range(seed, seed + count)}
    return FixedNoise(max(scores, key=scores.__getitem__)), scores
