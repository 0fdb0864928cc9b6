# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Classifier guidance: move the clean chunk to the kept modes in each step of the sampler.

Dhariwal and Nichol 2021, arXiv 2105.05233, applied to robot policies by DynaGuide (Du and Song
2025, arXiv 2506.13922). The mode classifier of the edit replaces DynaGuide's own model. For a flow
x = (1 - l) a + l e Bayes' rule moves the expected clean chunk by

    a <- a + scale * l^2 / (1 - l) * grad_a log p(kept | condition, a)

(the score of x through a = a(x), with the identity as its Jacobian; the factor is limited where l
is near 1). The result is clamped to the range of the demonstrations, as any prediction is.

Each level is repeated `inner_steps` times with noise added in between: stochastic sampling, which
DynaGuide takes from inference-time policy steering (Wang et al. 2024, arXiv 2411.16627). With one
inner step and a scale of 0 the sampler is the policy's own.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from comparison.methods.verifier import Verifier, load_judges
from uncloning_ros.learning.policies.flow import SAMPLER_STEPS, FlowPolicy
from uncloning_ros.policy_io import Float32, Infer, Observation, Plan
from uncloning_ros.runtime.inference import OnnxPolicy

_LEAST_CLEAN = 0.1  # lower limit of 1 - l, the share of the clean chunk in the noisy one


@dataclass(frozen=True)
class Guidance:
    """Guidance of the policy of the folder `run` by the verifier in a file.

    DynaGuide has a scale of 1.5 and 4 inner steps.
    """

    run: Path
    verifier: Path
    scale: float
    inner_steps: int

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return a planner with guidance, in torch."""
        network, verifier = load_judges(self.run, self.verifier, policy)
        assert isinstance(network, FlowPolicy), 'guidance moves the levels of a flow'

        def infer(observation: Observation, noise: Float32) -> Plan:
            chunk = guided(network, verifier, torch.from_numpy(observation.vector)[None],
                           torch.from_numpy(noise)[None], self.scale, self.inner_steps)
            return Plan(chunk[0].numpy())
        return infer


@torch.no_grad()
def guided(policy: FlowPolicy, verifier: Verifier, observation: Tensor, noise: Tensor,
           scale: float, inner_steps: int) -> Tensor:
    """Return guided action chunks (B, horizon, action_dim), in place of `Policy.forward`."""
    # The added noise follows from the first one, so that equal noises give equal chunks.
    stream = torch.Generator().manual_seed(int(noise.numpy().view(np.uint32).sum(dtype=np.uint32)))
    condition = policy.normaliser.condition(observation)
    x = noise.flatten(1)
    for step in range(SAMPLER_STEPS, 0, -1):
        level, lower = step / SAMPLER_STEPS, (step - 1) / SAMPLER_STEPS
        push = scale * level ** 2 / max(1.0 - level, _LEAST_CLEAN)
        for inner in range(inner_steps):
            if inner:
                kept = (1.0 - level) / (1.0 - lower)
                fresh = torch.randn(x.shape, generator=stream)
                x = kept * x + math.sqrt(level ** 2 - (kept * lower) ** 2) * fresh
            clean = policy.clean(x, torch.tensor([level]), condition)
            clean = policy.normaliser.clamp(clean + push * slope(verifier, condition, clean))
            x = (1.0 - lower / level) * clean + lower / level * x
    return policy.normaliser.restore(observation, x)


@torch.enable_grad()
def slope(verifier: Verifier, condition: Tensor, clean: Tensor) -> Tensor:
    """Return the gradient (B, D) of log p(kept | condition, clean) by the clean chunks."""
    clean = clean.detach().requires_grad_(True)
    return torch.autograd.grad(verifier.log_kept(condition, clean).sum(), clean)[0]
