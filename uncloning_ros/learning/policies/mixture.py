# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mixture density: Gaussians over chunks, cloned with their negative log-likelihood.

    -log p(a | c) = -log sum over k of w_k(c) N(a; mean_k(c), scale_k(c))

(Bishop 1994, Mixture Density Networks). Each Gaussian has a scale of its own for every number of
the chunk. The last number of the noise picks the Gaussian, the others are the offset from its
mean; so the last number of a chunk has no offset.
"""

import math

import torch
from torch import Tensor, nn

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.learning.policies.base import Policy
from uncloning_ros.learning.policies.choice import chosen
from uncloning_ros.learning.policies.k_means import centres
from uncloning_ros.learning.policies.network import Network
from uncloning_ros.learning.windows import Windows

_COMPONENTS = 8
# Scale of a Gaussian (spreads of the demonstrations): a narrower one would learn single
# demonstrations by heart, a wider one is of no use to a number of unit size.
_LEAST_SCALE, _MOST_SCALE = 0.03, 1.03


class MixturePolicy(Policy):
    """A policy that predicts weights, means and scales of Gaussians over chunks."""

    chooses = True
    likelihood = 'density'

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> None:
        super().__init__(interface, timing)
        self.network = Network(self.condition_dim, _COMPONENTS * (1 + 2 * self.chunk_dim), width,
                               depth)

    def fit(self, windows: Windows, generator: torch.Generator) -> None:
        """Begin with the Gaussians apart: with alike ones none would become a mode's own."""
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        means = last.bias.data[_COMPONENTS:_COMPONENTS * (1 + self.chunk_dim)]
        means.copy_(centres(windows.clean, _COMPONENTS, generator).flatten())

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return the negative log-likelihood (B,) of each picked window, for each number."""
        return self.surprise(windows.picked(picks)) / self.chunk_dim

    def surprise(self, windows: Windows) -> Tensor:
        """Return the exact negative log-likelihood (N,) of windows, in nats for each chunk."""
        logits, means, scales = self._gaussians(windows.conditions)
        return -_log_parts(logits, means, scales, windows.clean).logsumexp(1)

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the means (B, D) of the Gaussians that the demonstrated chunks belong to most."""
        found = []
        for rows in picks.split(self.ROWS):
            logits, means, scales = self._gaussians(windows.conditions[rows])
            likeliest = _log_parts(logits, means, scales, windows.clean[rows]).argmax(1)
            found.append(means[torch.arange(len(rows)), likeliest])
        return self.normaliser.clamp(torch.cat(found)), torch.ones(len(picks))

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return chunks (B, D) of the Gaussians that the noise picks, held to the range."""
        logits, means, scales = self._gaussians(conditions)
        pick = chosen(logits, noise[:, -1:])[:, None]
        offset = torch.cat([noise[:, :-1], 0.0 * noise[:, -1:]], 1)
        mean, scale = (pick @ means).flatten(1), (pick @ scales).flatten(1)
        return self.normaliser.clamp(mean + scale * offset)

    def _gaussians(self, conditions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits (B, K) of the weights, and means and scales (B, K, D)."""
        out = self.network(conditions)
        shape = (-1, _COMPONENTS, self.chunk_dim)
        ends = _COMPONENTS, _COMPONENTS * (1 + self.chunk_dim)
        share = out[:, ends[1]:].reshape(shape).sigmoid()
        return (out[:, :ends[0]], out[:, ends[0]:ends[1]].reshape(shape),
                _LEAST_SCALE + (_MOST_SCALE - _LEAST_SCALE) * share)


def _log_parts(logits: Tensor, means: Tensor, scales: Tensor, clean: Tensor) -> Tensor:
    """Return the log (B, K) of the part of each Gaussian in the density at chunks (B, D)."""
    squares = ((clean[:, None] - means) / scales).square() + math.log(2.0 * math.pi)
    return logits.log_softmax(1) - (0.5 * squares + scales.log()).sum(2)
