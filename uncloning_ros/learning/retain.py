# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What holds the skill while an edit moves the weights: the cloning loss on kept modes.

Where kept modes have few demonstrations, the places of tool and hand in them are few. So part of
each batch comes from the same demonstrations at places that others had (`demos.retargeting`):
three tenths, more with fewer than 9. With more than 30, or where no mode has more, none does.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.demos.dataset.retargeting import retarget
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.cloning import (
    cloning_loss,
    dataset_windows,
    joined,
    progress_bar,
    to_windows,
)
from uncloning_ros.learning.network import Policy

# Their share of a batch times the number of own demonstrations, and the least share. Chosen on
# development episodes of knife, the least one of knife_route too; with three quarters also at 10
# demonstrations the edit dropped more tools.
_SHARE_TIMES_OWN, _LEAST = 2.5, 0.3
FEW = 30  # own demonstrations that are retargeted; with 50 nothing was gained any more
# A grasp is as good as the nearest place it was shown at; these cost some seconds.
_EPISODES = 600


class Retain:
    """The loss on batches of `batch_size` windows of kept modes, drawn with `generator`.

    `most` is the largest share of a batch that retargeted demonstrations may have, below 1.
    """

    def __init__(self, policy: Policy, dataset: Dataset, kept: Sequence[str], most: float,
                 batch_size: int, seed: int, generator: torch.Generator) -> None:
        self.own = to_windows(policy, *dataset_windows(dataset, 'train', kept))
        self._bent, self._generator = self.own, generator
        share, made, reason = min(most, _wanted(dataset, kept)), 0, ''
        if share > 0.0:
            with progress_bar('retargeting', _EPISODES, 'episode') as bar:
                bent, reason = retarget(dataset, kept, _EPISODES, np.random.default_rng(seed),
                                        bar.update)
            made = len(bent.episodes)
            if made:
                self._bent = to_windows(policy, *dataset_windows(bent, 'train', kept))
        # Rounded down: some of a batch is always as it was demonstrated.
        self._of_bent = int(share * batch_size) if made else 0
        self._of_own = batch_size - self._of_bent
        self._told = {'share': self._of_bent / batch_size, 'episodes': made, 'reason': reason}

    def loss(self, policy: Policy) -> Tensor:
        """Return the loss on the next batch."""
        picks = self._random(len(self.own), self._of_own)
        if not self._of_bent:
            return cloning_loss(policy, self.own, picks, self._generator)
        others = self._random(len(self._bent), self._of_bent)
        batch = joined([self.own.picked(picks), self._bent.picked(others)])
        return cloning_loss(policy, batch, torch.arange(len(batch)), self._generator)

    def report(self) -> dict[str, Any]:
        """Return how much was retargeted, and why less than was wanted if something hindered."""
        return dict(self._told)

    def _random(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)


def _wanted(dataset: Dataset, kept: Sequence[str]) -> float:
    """Return what share retargeted demonstrations would have of a batch, were there no most."""
    counts = Counter(one.mode for one in dataset.episodes if one.split == 'train')
    own = sum(counts[mode] for mode in kept)
    few = own < max(counts.values()) and own <= FEW
    return max(_LEAST, _SHARE_TIMES_OWN / own) if few else 0.0
