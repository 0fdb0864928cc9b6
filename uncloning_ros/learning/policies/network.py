# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The residual network that all classes of policies are built of."""

from torch import Tensor, nn


class Block(nn.Module):
    """Add a two-layer correction, computed from the normalised state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the corrected hidden state (B, width)."""
        return hidden + self.down(nn.functional.silu(self.up(self.norm(hidden))))


class Network(nn.Sequential):
    """A residual MLP from inputs (B, inputs) to outputs (B, outputs)."""

    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__(nn.Linear(inputs, width), *(Block(width) for _ in range(depth)),
                         nn.LayerNorm(width), nn.Linear(width, outputs))
