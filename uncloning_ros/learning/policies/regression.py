# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Regression: one chunk for each condition, cloned with the mean squared error.

Where demonstrations of two modes part, the chunk with the least error lies between them.
"""

import torch
from torch import Tensor

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.learning.policies.base import Policy
from uncloning_ros.learning.policies.network import Network
from uncloning_ros.learning.windows import Windows


class RegressionPolicy(Policy):
    """A policy that plans the mean of the demonstrated chunks, whatever the noise."""

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> None:
        super().__init__(interface, timing)
        self.network = Network(self.condition_dim, self.chunk_dim, width, depth)

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean squared error (B,) of each picked window."""
        return squared_error(self.network(windows.conditions[picks]), windows.clean[picks])

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the plans (B, D) of the picked windows; the demonstrated chunks are not seen."""
        return self.plan(windows.conditions[picks], windows.clean[picks]), torch.ones(len(picks))

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return the network's chunks (B, D), held to the demonstrations' range."""
        return self.normaliser.clamp(self.network(conditions))


def squared_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared error (B,) of chunks (B, D)."""
    return (found - wanted).square().mean(1)
