# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss that holds the skill while an edit moves the weights: cloning on kept modes.

Windows outside of the span of a label belong to no mode. There the policy is held to what it was,
whichever mode their episode has (`anchor`).

A few kept demonstrations show tool and hand at few places. Then part of each batch is retargeted:
copies of these demonstrations at the places of other demonstrations (`demos.dataset.retargeting`).
Their share is three tenths, more with fewer than 9 demonstrations, and none with more than 30 or
where no mode has more.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.demos.dataset.retargeting import retarget
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.anchor import Anchor
from uncloning_ros.learning.options import FEW_DEMONSTRATIONS
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Looked, dataset_windows, joined, windows_outside_spans
from uncloning_ros.progress import progress_bar

# Share of a batch times number of kept demonstrations, and least share. Chosen on development
# episodes of knife, the least one of knife_route too; with three quarters also at 10
# demonstrations the edit dropped more tools.
_SHARE_TIMES_KEPT, _LEAST_SHARE = 2.5, 0.3
# Number of retargeted episodes: a grasp is as good as the nearest place it was shown at.
_EPISODES = 600


class KeptLoss:
    """The cloning loss on random batches of kept modes, and the anchor outside of spans.

    `most` is the largest share of a batch that may be retargeted, below 1. All randomness
    follows from `seed` and from nothing else, so all methods of an edit see the same batches.
    `looked` is as `dataset_windows` takes it. `report` has the retargeted share, and the reason
    if it is smaller than wanted; `outside_spans` is the number of windows outside of spans.
    """

    def __init__(self, policy: Policy, dataset: Dataset, kept: Sequence[str], most: float,
                 batch_size: int, seed: int, looked: Looked | None = None) -> None:
        normaliser = policy.normaliser
        outside = windows_outside_spans(normaliser, dataset, 'train', looked)
        self.outside_spans = len(outside)
        self._anchor = Anchor(policy, outside, batch_size, seed) if len(outside) else None
        self.demonstrated = dataset_windows(normaliser, dataset, 'train', kept, looked)
        self._retargeted = self.demonstrated
        self._generator = torch.Generator().manual_seed(seed + 1)
        share, episodes, reason = min(most, _wanted_share(dataset, kept)), 0, ''
        if share > 0.0:
            with progress_bar('retargeting', _EPISODES) as bar:
                copies, reason = retarget(dataset, kept, _EPISODES, np.random.default_rng(seed),
                                          bar.update)
            episodes = len(copies.episodes)
            if episodes:
                self._retargeted = dataset_windows(normaliser, copies, 'train', None)
        # Rounded down: a part of every batch is as it was demonstrated.
        self._retargeted_count = int(share * batch_size) if episodes else 0
        self._demonstrated_count = batch_size - self._retargeted_count
        self.report = {'share': self._retargeted_count / batch_size, 'episodes': episodes,
                       'reason': reason}

    def loss(self, policy: Policy) -> Tensor:
        """Return the loss on the next batch."""
        picks = self._random(len(self.demonstrated), self._demonstrated_count)
        batch = self.demonstrated
        if self._retargeted_count:
            others = self._random(len(self._retargeted), self._retargeted_count)
            batch = joined([batch.picked(picks), self._retargeted.picked(others)])
            picks = torch.arange(len(batch))
        loss = policy.losses(batch, picks, self._generator).mean()
        return loss if self._anchor is None else loss + self._anchor.loss(policy)

    def _random(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)


def _wanted_share(dataset: Dataset, kept: Sequence[str]) -> float:
    """Return the share of a batch that should be retargeted."""
    counts = Counter(episode.mode for episode in dataset.episodes
                     if episode.split == 'train' and episode.mode is not None)
    own = sum(counts[mode] for mode in kept)
    few = own < max(counts.values()) and own <= FEW_DEMONSTRATIONS
    return max(_LEAST_SHARE, _SHARE_TIMES_KEPT / own) if few else 0.0
