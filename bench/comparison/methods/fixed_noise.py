# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed noise: plan every chunk of every episode from the one noise that won a search.

The golden ticket (Patil et al. 2026, arXiv 2603.15757): draw M noises from the policy's own
distribution, run the same development episodes with each, and keep the one with the best mean
score. Weights and planning time stay the same. The search is the tuning of the comparison.
"""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.policy_io import Float32, Infer
from uncloning_ros.runtime.inference import OnnxPolicy


@dataclass(frozen=True)
class FixedNoise:
    """The noise that follows from `seed`, instead of the noise of the control loop."""

    seed: int

    def noise(self, shape: tuple[int, ...]) -> Float32:
        """Return the noise of a chunk of this shape, standard normal."""
        return np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return a planner that uses the same noise for every chunk."""
        noise = self.noise(policy.chunk_shape)
        return lambda observation, _: policy(observation, noise)
