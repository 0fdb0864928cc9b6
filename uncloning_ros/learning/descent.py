# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How an edit moves the weights: optimiser, learning rate, average. What its loss is comes in."""

import copy
import math

import torch
from torch import Tensor, nn

from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning.cloning import average_into, learning_rate_at
from uncloning_ros.learning.network import Policy

_WEIGHT_DECAY = 1e-4
_GRADIENT_LIMIT = 1.0
_AVERAGE_DECAY = 0.98  # an average over some 50 of the edit's few hundred steps


class Descent:
    """Some `steps` down a loss, from the weights of `original`, which stays as it is.

    `policy` is what moves, `average` the average of where it was; `rate` is the learning rate
    of the newest step: `learning_rate` at first, then falling as half a cosine to zero.
    """

    def __init__(self, original: Policy, steps: int, learning_rate: float) -> None:
        self.policy = copy.deepcopy(original).requires_grad_(True)
        self.average = copy.deepcopy(original)
        self.rate = learning_rate
        self._steps, self._peak, self._step = steps, learning_rate, 0
        self._parameters = list(self.policy.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, learning_rate,
                                            weight_decay=_WEIGHT_DECAY, fused=True)

    def follow(self, loss: Tensor) -> None:
        """Take one step; raise `CheckpointError` for a loss that is not finite."""
        self._step += 1
        self.rate = learning_rate_at(self._step, self._steps, self._peak, warm_up=0.0)
        self._optimizer.param_groups[0]['lr'] = self.rate
        total = float(loss.detach())
        if not math.isfinite(total):
            raise CheckpointError(f'the loss is {total} at step {self._step}; edit with a lower '
                                  f'--lr than {self._peak:g}, or with a lower --gamma')
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, _GRADIENT_LIMIT)
        self._optimizer.step()
        average_into(self.average, self.policy, _AVERAGE_DECAY)
