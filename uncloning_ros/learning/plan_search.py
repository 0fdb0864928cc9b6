# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Search the plans of a policy for plans of removed modes: many noises at each observation.

A mode classifier judges them. It learns from demonstrated chunks: the predictions of an edited
policy at observations of a removed mode are plans of a kept one, and would bear the wrong name.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.mode_classifier import (
    Demonstrated,
    labels_of,
    parting,
    train_classifier,
)
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.uncloning import look
from uncloning_ros.learning.windows import joined, windows_by_mode
from uncloning_ros.policy_io import Float32, Observation

# Probabilities that plans are of a removed mode.
Chances = NDArray[np.float32]

_ROWS = 4096  # plans that are drawn at once
_SEED = 0  # of classifier and noises


class PlanSearch:
    """The plans of `policy`, judged by a classifier of the kept and removed modes of a dataset.

    `classifier_report` is the report of `train_classifier`. Both sides have held-out episodes;
    `threads` are those of torch.
    """

    def __init__(self, policy: Policy, dataset: Dataset, kept: Sequence[str],
                 removed: Sequence[str], threads: int) -> None:
        torch.set_num_threads(threads)
        self._policy = policy
        looked = look(policy, dataset)
        windows, held_out = (
            windows_by_mode(policy.normaliser, dataset, split, (*kept, *removed), looked)
            for split in ('train', 'validation'))
        self._classifier, self.classifier_report = train_classifier(
            Demonstrated(), windows, held_out, len(kept), _SEED, balanced=True)
        unseen = joined(list(held_out.values()))
        places, _ = parting(unseen, labels_of(held_out) >= len(kept))
        self._conditions = unseen.conditions[places]

    @property
    def places(self) -> int:
        """The number of held-out windows where modes part."""
        return len(self._conditions)

    def where_modes_part(self, draws: int) -> Iterator[Chances]:
        """Yield the chances (B, draws) of removed modes at some places after others.

        They are those of plans from `draws` random noises at each place.
        """
        generator = torch.Generator().manual_seed(_SEED)
        for some in self._conditions.split(max(1, _ROWS // draws)):
            yield self._chances(some, self._policy.draw(some, draws, generator))

    def at(self, observation: Observation, noises: Float32) -> Chances:
        """Return the chances (M,) of removed modes at one observation.

        They are those of the plans from `noises` (M, horizon, action_dim).
        """
        policy = self._policy
        condition = policy.normaliser.condition(torch.from_numpy(observation.vector[None]))
        if policy.cameras:
            pictures = [torch.from_numpy(observation.pictures[key][None])
                        for key in policy.cameras]
            condition = torch.cat([condition, policy.features(pictures)], 1)
        noise = torch.from_numpy(noises).flatten(1)
        with torch.no_grad():
            plans = policy.plan(condition.expand(len(noise), -1), noise)
        return self._chances(condition, plans[None])[0]

    def _chances(self, conditions: Tensor, plans: Tensor) -> Chances:
        """Return the chances (B, M) of plans (B, M, D) at conditions (B, C)."""
        count = plans.shape[1]
        kept = self._classifier.kept_probability(conditions.repeat_interleave(count, 0),
                                                 plans.flatten(0, 1))
        return (1.0 - kept).view(-1, count).numpy()
