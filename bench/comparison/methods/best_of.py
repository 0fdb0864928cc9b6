# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Best of N: plan N chunks from N noises and execute the one that the verifier prefers.

This is rejection sampling with a verifier, as UF-OPS does for black-box policies (arXiv
2603.10282). The verifier is the mode classifier of the edit: the chunk with the largest
p(kept | condition, chunk) is taken, the first one of a tie. The first noise is the control loop's
own, so its chunk stays unless another one is better.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from comparison.methods.verifier import load_judges
from uncloning_ros.policy_io import Float32, Infer, Observation, Plan
from uncloning_ros.runtime.inference import OnnxPolicy


@dataclass(frozen=True)
class BestOf:
    """The best of `count` chunks by the verifier in a file; `run` is the policy's folder."""

    run: Path
    verifier: Path
    count: int = 16

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return a planner that draws `count` chunks in one batch of the exported policy."""
        network, verifier = load_judges(self.run, self.verifier, policy)
        normaliser = network.normaliser

        def infer(observation: Observation, noise: Float32) -> Plan:
            observations = np.repeat(observation.vector[None], self.count, 0)
            chunks = policy.batch(observations, noises(noise, self.count))
            with torch.inference_mode():
                seen = torch.from_numpy(observations)
                clean = normaliser.normalise(seen, torch.from_numpy(chunks))
                scores = verifier.log_kept(normaliser.condition(seen), clean)
            return Plan(chunks[int(scores.argmax())])
        return infer


def noises(first: Float32, count: int) -> Float32:
    """Return `count` noises: the given one, then others that follow from it."""
    rng = np.random.default_rng(first.ravel().view(np.uint32))
    others = rng.standard_normal((count - 1, *first.shape), dtype=np.float32)
    return np.concatenate([first[None], others])
