# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed noise: one noise for every chunk of every episode, the one that did best in a search.

The golden ticket (Patil et al. 2026, arXiv 2603.15757): draw M noises from the policy's own
distribution, give each the same development episodes, keep the one with the best mean score. The
weights stay, and planning costs what it did. The search is the tuning of the comparison.
"""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.policy_io import Array, Infer
from uncloning_ros.runtime.inference import OnnxPolicy


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
