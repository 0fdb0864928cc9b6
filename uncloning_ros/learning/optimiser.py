# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optimiser of training and edit: AdamW, a schedule of the learning rate, averaged weights."""

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning.policies import Policy

_WEIGHT_DECAY = 1e-4
_GRADIENT_LIMIT = 1.0
_WARM_UP = 0.05  # share of the steps of a training in which its learning rate rises
# Decay of the average of weights: it spans about 1000 steps of a training, 50 of an edit.
_TRAINING_DECAY, _EDIT_DECAY = 0.999, 0.98


class Optimiser:
    """Move the weights of `policy` down a loss in `steps` steps, and keep their `average`.

    The learning rate falls as half a cosine to zero. New weights, `from_scratch`, get a linear
    rise before, and an average that spans few steps at first, so that it forgets the first
    weights. `step` counts the steps taken, `rate` is the learning rate of the newest one.
    """

    def __init__(self, policy: Policy, steps: int, learning_rate: float, *,
                 from_scratch: bool) -> None:
        self.policy = policy
        self.average = copy.deepcopy(policy).requires_grad_(False)
        self._modules = nn.ModuleDict({'policy': policy, 'average': self.average})
        self.step = 0
        self.rate = learning_rate
        self._steps, self._peak, self._from_scratch = steps, learning_rate, from_scratch
        self._parameters = list(policy.parameters())
        self._adamw = torch.optim.AdamW(self._parameters, learning_rate,
                                        weight_decay=_WEIGHT_DECAY, fused=True)

    def update(self, loss: Tensor) -> float:
        """Take one step and return the norm of the gradient.

        Raise `CheckpointError` for a loss that is not finite.
        """
        self.step += 1
        self.require_finite(float(loss.detach()), f'at step {self.step}')
        self.rate = learning_rate_at(self.step, self._steps, self._peak,
                                     _WARM_UP if self._from_scratch else 0.0)
        self._adamw.param_groups[0]['lr'] = self.rate
        self._adamw.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters, _GRADIENT_LIMIT)
        self._adamw.step()
        decay = (min(_TRAINING_DECAY, (1 + self.step) / (10 + self.step)) if self._from_scratch
                 else _EDIT_DECAY)
        torch._foreach_lerp_([p.data for p in self.average.parameters()],
                             [p.data for p in self._parameters], 1.0 - decay)
        return float(norm)

    def require_finite(self, loss: float | None, when: str) -> None:
        """Raise `CheckpointError` unless the loss is a finite number."""
        if loss is None or not math.isfinite(loss):
            raise CheckpointError(f'the loss is {loss} {when}; start again with a lower --lr than '
                                  f'{self._peak:g}')

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors that change from step to step, by the names `restore` knows."""
        found: dict[str, Tensor] = self._modules.state_dict()
        for index, moments in self._adamw.state_dict()['state'].items():
            found |= {f'optimizer.{index}.{name}': value for name, value in moments.items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Go back to `step`; raise `KeyError`, `ValueError` or `RuntimeError` on a misfit."""
        weights = dict(tensors)
        moments: dict[int, dict[str, Tensor]] = {}
        for key in [key for key in tensors if key.startswith('optimizer.')]:
            _, index, name = key.split('.')
            moments.setdefault(int(index), {})[name] = weights.pop(key)
        self._modules.load_state_dict(weights)
        groups = self._adamw.state_dict()['param_groups']
        self._adamw.load_state_dict({'state': moments, 'param_groups': groups})
        self.step = step


def learning_rate_at(step: int, steps: int, peak: float, warm_up: float) -> float:
    """Return the learning rate of step 1..steps: a linear rise, then half a cosine to zero."""
    rise = max(1, round(warm_up * steps))
    if step <= rise:
        return peak * step / rise
    return peak * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
