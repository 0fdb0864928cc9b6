# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose one of several by a number of the noise, so that the same noise makes the same choice."""

import math

import torch
from torch import Tensor

# Least distance of a share from 0 and 1: rounding must not choose what has no probability.
_LEAST = 1e-6


def chosen(logits: Tensor, noise: Tensor) -> Tensor:
    """Return rows (B, K) of one 1 and zeros, chosen by standard normal `noise` (B, 1).

    Each place is chosen as often as the softmax of `logits` (B, K) says; one with a probability
    below 1e-7 never is. All of it is exported.
    """
    count = int(logits.shape[1])  # a plain number, so that it exports as constants
    share = (0.5 + 0.5 * torch.erf(noise / math.sqrt(2.0))).clamp(_LEAST, 1.0 - _LEAST)
    cumulative = logits.softmax(1) @ torch.ones(count, count - 1).triu()
    passed = (cumulative < share).float()
    # Each place that is passed moves the 1 by one place.
    moves = torch.eye(count)[1:] - torch.eye(count)[:-1]
    return passed @ moves + torch.eye(count)[0]
