# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Categorical: tokens of a vocabulary of chunks, cloned with the cross entropy.

The vocabulary holds the centres that k-means finds in the demonstrated chunks. One network says
how likely each token is; another one adds the offset from the token to the chunk (Shafiullah et
al. 2022, Behavior Transformers, arXiv 2206.11251). The last number of the noise picks the token.
"""

import torch
from torch import Tensor, nn

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.learning.policies.base import Policy
from uncloning_ros.learning.policies.choice import chosen
from uncloning_ros.learning.policies.k_means import centres
from uncloning_ros.learning.policies.network import Network
from uncloning_ros.learning.policies.regression import squared_error
from uncloning_ros.learning.windows import Windows

_TOKENS = 64


class CategoricalPolicy(Policy):
    """A policy that chooses a token and refines it."""

    vocabulary: Tensor
    chooses = True
    likelihood = 'tokens'

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> None:
        super().__init__(interface, timing)
        self.register_buffer('vocabulary', torch.zeros(_TOKENS, self.chunk_dim))
        half = (depth + 1) // 2
        self.choice = Network(self.condition_dim, _TOKENS, width, half)
        self.offset = Network(self.condition_dim + self.chunk_dim, self.chunk_dim, width, half)

    def fit(self, windows: Windows, generator: torch.Generator) -> None:
        """Find the vocabulary."""
        self.vocabulary.copy_(centres(windows.clean, _TOKENS, generator))

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return cross entropy and squared error of the offset (B,) of each picked window."""
        some = windows.picked(picks)
        refined = self._refined(some.conditions, self.vocabulary[self._tokens(some.clean)])
        return self.surprise(some) + squared_error(refined, some.clean)

    def surprise(self, windows: Windows) -> Tensor:
        """Return the cross entropy (N,) of the tokens of windows, in nats."""
        return nn.functional.cross_entropy(self.choice(windows.conditions),
                                           self._tokens(windows.clean), reduction='none')

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the refined tokens (B, D) that are nearest to the demonstrated chunks."""
        tokens = self.vocabulary[self._tokens(windows.clean[picks])]
        refined = self._refined(windows.conditions[picks], tokens)
        return self.normaliser.clamp(refined), torch.ones(len(picks))

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return the refined tokens (B, D) that the noise picks, held to the range."""
        tokens = chosen(self.choice(conditions), noise[:, -1:]) @ self.vocabulary
        return self.normaliser.clamp(self._refined(conditions, tokens))

    def _tokens(self, clean: Tensor) -> Tensor:
        """Return the numbers (B,) of the tokens nearest to chunks (B, D)."""
        return torch.cdist(clean, self.vocabulary).argmin(1)

    def _refined(self, conditions: Tensor, tokens: Tensor) -> Tensor:
        """Return tokens (B, D) with their offsets."""
        offset: Tensor = self.offset(torch.cat([conditions, tokens], 1))
        return tokens + offset
