# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Best of N: plan N chunks from as many noises and execute the one that the verifier likes best.

Rejection sampling with a verifier, as for instance UF-OPS does for policies that it cannot look
into (arXiv 2603.10282). The verifier is the mode classifier that the edit uses: the chunk with the
largest p(kept | condition, chunk) is taken, the first of equals. The first noise is the control
loop's own, so a chunk that cannot be bettered stays.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from comparison.methods.verifier import load_judges
from uncloning_ros.policy_io import Array, Infer, Observation, Plan
from uncloning_ros.runtime.inference import OnnxPolicy


@dataclass(frozen=True)
class BestOf:
    """The best of `count` chunks by the verifier in a file; `run` is the policy's folder."""

    run: Path
    verifier: Path
    count: int = 16

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return what plans `count` chunks in one batch of the exported policy."""
        network, verifier = load_judges(self.run, self.verifier, policy)
        normaliser = network.normaliser

        def infer(observation: Observation, noise: Array) -> Plan:
            observations = np.repeat(observation.vector[None], self.count, 0)
            chunks = policy.batch(observations, noises(noise, self.count))
            with torch.inference_mode():
                seen = torch.from_numpy(observations)
                clean = normaliser.normalise(seen, torch.from_numpy(chunks))
                scores = verifier.log_kept(normaliser.condition(seen), clean)
            return Plan(chunks[int(scores.argmax())])
        return infer


def noises(first: Array, count: int) -> Array:
    """Return `count` noises, the first of them given, the others a function of it alone."""
    rng = np.random.default_rng(first.ravel().view(np.uint32))
    others = rng.standard_normal((count - 1, *first.shape), dtype=np.float32)
    return np.concatenate([first[None], others])
