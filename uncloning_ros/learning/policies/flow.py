# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flow matching: a network that predicts the clean chunk from a noisy one.

A noise level s in [0, 1] mixes a clean chunk a with noise e along a straight line,
x_s = (1 - s) a + s e (Lipman et al. 2023, arXiv 2210.02747): the clean chunk at s = 0, pure
noise at s = 1. The network sees x_s, s and the condition and predicts a. No other module knows
about noise levels.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from uncloning_ros.contract import Interface, PolicyTiming
from uncloning_ros.learning.policies.base import Policy
from uncloning_ros.learning.policies.network import Block
from uncloning_ros.learning.windows import Windows

SAMPLER_STEPS = 10

# Limit of a squared error's weight: 1 / s^2 grows without bound as the noise vanishes, where the
# network has nothing left to decide.
_MAX_WEIGHT = 10.0

_LEVEL_FEATURES = 64


class FlowPolicy(Policy):
    """A policy whose residual MLP takes the noise from a chunk in ten steps.

    A subclass may give it more than the condition: `further` values behind it.
    """

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int, further: int = 0) -> None:
        super().__init__(interface, timing)
        self.denoiser = Denoiser(self.condition_dim + further, self.chunk_dim, width, depth)

    def losses(self, windows: Windows, picks: Tensor, generator: torch.Generator) -> Tensor:
        """Return the flow-matching loss (B,) of each picked window at a random noise level."""
        clean = windows.clean[picks]
        level = _levels(len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator)
        error = self.denoiser(mix(clean, noise, level), level, windows.conditions[picks]) - clean
        return error_weight(level) * error.square().mean(1)

    def predicted(self, windows: Windows, picks: Tensor,
                  generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return clean chunks (B, D) of the picked windows, and their random noise levels (B,)."""
        level = _levels(len(picks), generator)
        found = []
        for rows in torch.arange(len(picks)).split(self.ROWS):
            clean = windows.clean[picks[rows]]
            noisy = mix(clean, torch.randn(clean.shape, generator=generator), level[rows])
            found.append(self.clean(noisy, level[rows], windows.conditions[picks[rows]]))
        return torch.cat(found), level

    def plan(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Return the sampler's clean chunks (B, D)."""
        return sample(lambda x, level: self.clean(x, level, conditions), noise)

    def clean(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Return the predicted clean chunks (B, D), held to the demonstrations' range.

        This is what the sampler works with; training compares the unheld prediction.
        """
        return self.normaliser.clamp(self.denoiser(noisy, level, condition))


class Denoiser(nn.Module):
    """A residual MLP from noisy chunk, noise level and condition to the clean chunk."""

    frequencies: Tensor

    def __init__(self, condition_dim: int, chunk_dim: int, width: int, depth: int) -> None:
        super().__init__()
        # From half a turn over the whole range of levels to ten turns.
        turns = torch.logspace(math.log10(0.5), 1.0, _LEVEL_FEATURES // 2)
        self.register_buffer('frequencies', 2 * math.pi * turns, persistent=False)
        self.from_chunk = nn.Linear(chunk_dim, width)
        self.from_condition = nn.Linear(condition_dim, width)
        self.from_level = nn.Linear(_LEVEL_FEATURES, width)
        self.context = nn.Linear(width, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_chunk = nn.Linear(width, chunk_dim)

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Return clean chunks (B, D) seen in noisy ones (B, D) at levels (B,) or (1,)."""
        phase = level[:, None] * self.frequencies
        level_features = torch.cat([phase.sin(), phase.cos()], dim=1)
        context = nn.functional.silu(self.from_condition(condition)
                                     + self.from_level(level_features))
        hidden = self.from_chunk(noisy) + self.context(context)
        for block in self.blocks:
            hidden = block(hidden)
        return self.to_chunk(self.norm(hidden))


def mix(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Return x_s (B, D) of clean chunks (B, D), noise (B, D) and levels (B,) in [0, 1]."""
    return (1.0 - level[:, None]) * clean + level[:, None] * noise


def error_weight(level: Tensor) -> Tensor:
    """Return the weights (B,) of the squared error of the clean chunk at levels (B,).

    The error of the flow's velocity e - a is the error of the clean chunk over s, hence
    1 / s^2, held at its limit.
    """
    return (level ** -2).clamp(max=_MAX_WEIGHT)


def sample(predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor) -> Tensor:
    """Return clean chunks (B, D) from noise (B, D), always the same from the same noise.

    `predict(x, level)` returns the clean chunk that the network sees in x; level is a tensor
    (1,). Each step keeps the clean chunk and the noise that the prediction implies and mixes
    them again at the next lower level: Euler's method on the flow.
    """
    x = noise
    for step in range(SAMPLER_STEPS, 0, -1):
        # Plain numbers, so that the unrolled sampler exports as constants.
        left = (step - 1) / step
        level = torch.tensor([step / SAMPLER_STEPS], dtype=noise.dtype)
        x = (1.0 - left) * predict(x, level) + left * x
    return x


def _levels(count: int, generator: torch.Generator) -> Tensor:
    """Return random levels (B,) in (0, 1]: at level 0 there would be nothing to predict."""
    return 1.0 - torch.rand(count, generator=generator)
