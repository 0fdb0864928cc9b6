# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flow matching that predicts the clean chunk: how chunks are mixed with noise, and the sampler.

A noise level s in [0, 1] mixes a clean chunk a with noise e along a straight line,
x_s = (1 - s) a + s e (Lipman et al. 2023, arXiv 2210.02747): the clean chunk at s = 0, pure
noise at s = 1. The network sees x_s, s and the condition and predicts a.
"""

from collections.abc import Callable

import torch
from torch import Tensor

SAMPLER_STEPS = 10

# The natural weight of the error of the clean chunk grows without bound as the noise vanishes,
# where the network has nothing left to decide; beyond this it is held.
_MAX_WEIGHT = 10.0


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
    them anew at the next lower level: Euler's method on the flow.
    """
    x = noise
    for step in range(SAMPLER_STEPS, 0, -1):
        # Plain numbers, so that the unrolled sampler exports as constants.
        left = (step - 1) / step
        level = torch.tensor([step / SAMPLER_STEPS], dtype=noise.dtype)
        x = (1.0 - left) * predict(x, level) + left * x
    return x
