# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The redirect loss: on demonstrations of removed modes, have the classifier see a kept one.

Its gate is that of the published method (Wang et al. 2026, Behavior Uncloning, arXiv 2606.29201):
open where the classifier gives the sample's own mode less than `tau`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uncloning_ros.learning.cloning import Windows
from uncloning_ros.learning.generative import mix
from uncloning_ros.learning.mode_classifier import ModeClassifier, by_level
from uncloning_ros.learning.network import Policy


@dataclass(frozen=True)
class Redirected:
    """The redirect loss of one batch, and where its gate was open."""

    loss: Tensor
    gate: Tensor
    level: Tensor


def redirect(policy: Policy, classifier: ModeClassifier, undesired: Windows, sources: Tensor,
             picks: Tensor, kept: int, tau: float, generator: torch.Generator) -> Redirected:
    """Return -log of the kept modes' probability, averaged where the gate is open.

    The classifier's first `kept` classes are the kept modes; `sources` (N,) are the classes
    of the undesired windows themselves.
    """
    clean = undesired.clean[picks]
    condition = undesired.conditions[picks]
    level = 1.0 - torch.rand(len(picks), generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    predicted = policy.clean(mix(clean, noise, level), level, condition)
    log_modes = nn.functional.log_softmax(classifier(condition, predicted), dim=1)
    source = log_modes.detach().gather(1, sources[picks, None])[:, 0].exp()
    gate = source < tau
    losses = -torch.logsumexp(log_modes[:, :kept], dim=1)
    return Redirected((losses * gate).sum() / gate.sum().clamp(min=1), gate, level)


class Redirection:
    """The redirect loss on random windows of removed modes, and how often its gate was open."""

    def __init__(self, classifier: ModeClassifier, undesired: Windows, sources: Tensor, kept: int,
                 tau: float, batch_size: int, generator: torch.Generator) -> None:
        self._classifier, self._undesired, self._sources = classifier, undesired, sources
        self._kept, self._tau, self._batch_size = kept, tau, batch_size
        self._generator = generator
        self._gates: list[Tensor] = []
        self._levels: list[Tensor] = []

    @property
    def open(self) -> float:
        """Return the share of the newest batch where the gate was open."""
        return float(self._gates[-1].float().mean())

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor:
        """Return the loss of one step."""
        picks = torch.randint(len(self._undesired), (self._batch_size,),
                              generator=self._generator)
        found = redirect(policy, self._classifier, self._undesired, self._sources, picks,
                         self._kept, self._tau, self._generator)
        self._gates.append(found.gate)
        self._levels.append(found.level)
        return found.loss

    def report(self) -> dict[str, Any]:
        """Return how often the gate was open, in all and by noise level."""
        gates = torch.cat(self._gates).float()
        return {'open': float(gates.mean()),
                'open_by_level': by_level(gates, torch.cat(self._levels))}
