# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two generative objectives that predict the clean chunk, and the one sampler that serves both.

A noise level s in [0, 1] mixes a clean chunk a with noise e: x_s = keep(s) a + noise(s) e, from
the clean chunk at s = 0 to pure noise at s = 1. The network sees x_s, s and the condition and
predicts a.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from uncloning_ros.errors import CheckpointError, near_miss

SAMPLER_STEPS = 10

# The natural weights of the error of the clean chunk grow without bound as the noise vanishes,
# where the network has nothing left to decide; beyond this they are held.
_MAX_WEIGHT = 10.0


class Objective(Protocol):
    """One family of noise levels. Levels are tensors (B,) in [0, 1]."""

    name: str

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return what x_s keeps of the clean chunk and how much noise it has, each (B,)."""

    def weight(self, level: Tensor) -> Tensor:
        """Return the weights (B,) of the squared error of the clean chunk."""


class FlowMatching:
    """Mix along straight lines (Lipman et al. 2023, arXiv 2210.02747).

    The error of the velocity e - a is the error of the clean chunk over s, hence the weight
    1 / s^2.
    """

    name = 'flow'

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 - s and s."""
        return 1.0 - level, level

    def weight(self, level: Tensor) -> Tensor:
        """Return 1 / s^2, held at its limit."""
        return (level ** -2).clamp(max=_MAX_WEIGHT)


class Diffusion:
    """Mix along a quarter circle: DDPM with the cosine schedule in continuous time.

    The weight is the signal-to-noise ratio, which makes it the error of the noise (Ho et al.
    2020), but at least 1: at pure noise that ratio is zero and the first step of the sampler
    would never be learned (Salimans and Ho 2022, arXiv 2202.00512, section 4).
    """

    name = 'diffusion'

    def scales(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cosine and the sine of s pi / 2."""
        angle = level * (math.pi / 2)
        return angle.cos(), angle.sin()

    def weight(self, level: Tensor) -> Tensor:
        """Return the signal-to-noise ratio, at least 1, held at its limit."""
        return (level * (math.pi / 2)).tan().pow(-2).clamp(min=1.0, max=_MAX_WEIGHT)


_OBJECTIVES: dict[str, Objective] = {o.name: o for o in (FlowMatching(), Diffusion())}
OBJECTIVE_NAMES = tuple(_OBJECTIVES)


def objective_named(name: str) -> Objective:
    """Return the objective; raise `CheckpointError` for a name that nobody knows."""
    if name not in _OBJECTIVES:
        raise CheckpointError(f'unknown objective {name!r}{near_miss(name, _OBJECTIVES)}')
    return _OBJECTIVES[name]


def mix(objective: Objective, clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Return x_s (B, D) of clean chunks (B, D), noise (B, D) and levels (B,)."""
    keep, scale = objective.scales(level)
    return keep[:, None] * clean + scale[:, None] * noise


def sampler_schedule(objective: Objective) -> tuple[tuple[float, float, float], ...]:
    """Return the sampler's steps: noise level, and the factors of clean chunk and noisy chunk.

    Each step keeps the clean chunk and the noise that the prediction implies and mixes them
    anew at the next lower level: DDIM without added noise (Song et al. 2021, arXiv 2010.02502),
    which for straight lines is Euler's method on the flow.
    """
    levels = torch.linspace(1.0, 0.0, SAMPLER_STEPS + 1, dtype=torch.float64)
    keeps, scales = objective.scales(levels)
    ratios = scales[1:] / scales[:-1]
    clean_factors = keeps[1:] - ratios * keeps[:-1]
    return tuple(zip(levels[:-1].tolist(), clean_factors.tolist(), ratios.tolist(), strict=True))


def sample(schedule: Sequence[tuple[float, float, float]],
           predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor) -> Tensor:
    """Return clean chunks (B, D) from noise (B, D), always the same from the same noise.

    `predict(x, level)` returns the clean chunk that the network sees in x; level is a tensor
    (1,). `schedule` is that of `sampler_schedule`.
    """
    x = noise
    for level, clean_factor, noisy_factor in schedule:
        clean = predict(x, torch.tensor([level], dtype=noise.dtype))
        x = clean_factor * clean + noisy_factor * x
    return x
