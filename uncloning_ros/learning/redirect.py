# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The redirect loss: on demonstrations of removed modes, have the classifier see a kept one.

This is the published method (Wang et al. 2026, Behavior Uncloning, arXiv 2606.29201). Its gate is
open for a sample while the classifier gives the sample's own mode less than `tau`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from uncloning_ros.learning.mode_classifier import ModeClassifier, by_level, labels_of
from uncloning_ros.learning.options import EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows, joined


class Redirection:
    """The redirect loss on random windows of the `removed` modes.

    The modes are the classifier's last classes, in this order.
    """

    def __init__(self, classifier: ModeClassifier, removed: Mapping[str, Windows],
                 options: EditOptions) -> None:
        self._classifier, self._windows = classifier, joined(list(removed.values()))
        self._classes = classifier.kept + labels_of(removed)
        self._tau, self._batch_size = options.tau, options.batch_size
        self._generator = torch.Generator().manual_seed(options.seed + 2)
        self._gates: list[Tensor] = []
        self._levels: list[Tensor] = []

    @property
    def open_share(self) -> float:
        """The share of the newest batch for which the gate was open."""
        return float(self._gates[-1].float().mean())

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor:
        """Return -log of the kept modes' probability, averaged where the gate is open."""
        picks = torch.randint(len(self._windows), (self._batch_size,), generator=self._generator)
        predicted, level = policy.predicted(self._windows, picks, self._generator)
        log_modes = self._classifier(self._windows.conditions[picks], predicted).log_softmax(1)
        own = log_modes.detach().gather(1, self._classes[picks, None])[:, 0].exp()
        gate = own < self._tau
        self._gates.append(gate)
        self._levels.append(level)
        losses = -log_modes[:, :self._classifier.kept].logsumexp(1)
        return (losses * gate).sum() / gate.sum().clamp(min=1)

    def report(self) -> dict[str, Any]:
        """Return the share of samples for which the gate was open, in all and by level."""
        gates = torch.cat(self._gates).float()
        return {'open': float(gates.mean()),
                'open_by_level': by_level(gates, torch.cat(self._levels))}
