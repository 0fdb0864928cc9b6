# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cloning loss on batches of which each of several sources has its share."""

from collections.abc import Sequence

import torch
from torch import Tensor

from uncloning_ros.learning.options import EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows, joined


class SharedBatches:
    """The loss on random batches of windows, in which each part has a share however long it is.

    The shares need not add up to 1. `report` tells that no episode is retargeted.
    """

    def __init__(self, parts: Sequence[tuple[Windows, float]], options: EditOptions) -> None:
        self.demonstrated = joined([windows for windows, _ in parts])
        self.report: dict[str, object] = {'share': 0.0, 'episodes': 0, 'reason': ''}
        sizes = torch.tensor([len(windows) for windows, _ in parts])
        shares = torch.tensor([share for _, share in parts])
        self._weights = (shares / sizes.clamp(min=1)).repeat_interleave(sizes)
        self._batch_size = options.batch_size
        self._generator = torch.Generator().manual_seed(options.seed + 1)

    def loss(self, policy: Policy) -> Tensor:
        """Return the loss on the next batch."""
        picks = torch.multinomial(self._weights, self._batch_size, replacement=True,
                                  generator=self._generator)
        return policy.losses(self.demonstrated, picks, self._generator).mean()
