# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What holds the skill while an edit moves the weights: the cloning loss on kept modes.

Where kept modes have few demonstrations, the places of tool and hand in them are few. So part of
each batch comes from the same demonstrations at places that others had (`demos.retargeting`): so
much as they are fewer than those of the mode that has most. Where they are not fewer, it is the
plain loss.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.demos.dataset import Dataset
from uncloning_ros.demos.retargeting import retarget
from uncloning_ros.learning.cloning import cloning_loss, dataset_windows, joined, to_windows
from uncloning_ros.learning.network import Policy

# A grasp is as good as the nearest place it was shown at; these cost some seconds.
_EPISODES = 600


class Retain:
    """The loss on batches of `batch_size` windows of kept modes, drawn with `generator`.

    `most` is the largest share of a batch that retargeted demonstrations may have, below 1.
    """

    def __init__(self, policy: Policy, dataset: Dataset, kept: Sequence[str], most: float,
                 batch_size: int, seed: int, generator: torch.Generator) -> None:
        self.own = to_windows(policy, *dataset_windows(dataset, 'train', kept))
        self._generator = generator
        share, reason = min(most, _shortage(dataset, kept)), ''
        bent, windows = None, [self.own]
        if share > 0.0:
            bent, reason = retarget(dataset, kept, _EPISODES, np.random.default_rng(seed))
            windows.append(to_windows(policy, *dataset_windows(bent, 'train', kept)))
        if len(windows[-1]) == 0:
            share = 0.0
        self._bent = round(share * batch_size)
        self._batch_size = batch_size
        self._windows = joined(windows)
        self._told = {'share': self._bent / batch_size,
                      'episodes': len(bent.episodes) if bent else 0, 'reason': reason}

    def loss(self, policy: Policy) -> Tensor:
        """Return the loss on the next batch."""
        count = len(self.own)
        picks = self._random(count, self._batch_size - self._bent)
        if self._bent:
            others = self._random(len(self._windows) - count, self._bent)
            picks = torch.cat([picks, count + others])
        return cloning_loss(policy, self._windows, picks, self._generator)

    def report(self) -> dict[str, Any]:
        """Return how much was retargeted, and why nothing if something stood against it."""
        return dict(self._told)

    def _random(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)


def _shortage(dataset: Dataset, kept: Sequence[str]) -> float:
    """Return by what share kept modes together have fewer episodes than the mode with most."""
    counts = Counter(one.mode for one in dataset.episodes if one.split == 'train')
    return max(0.0, 1.0 - sum(counts[mode] for mode in kept) / max(counts.values()))
