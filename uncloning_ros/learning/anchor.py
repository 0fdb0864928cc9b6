# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hold a policy to what it was, at windows that tell nothing of a mode.

Windows outside of the spans of labels are retained whichever mode their episode has. To clone them
again would teach a policy these few demonstrations by heart while an edit takes many steps. The
distance from the predictions of the policy before the edit is zero at first, so it costs nothing
where nothing has to change.
"""

import torch
from torch import Tensor

from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows

# Least hidden share of a chunk that an error is divided by, squared: with less of it hidden
# nothing is left to decide.
_LEAST_HIDDEN = 0.3


class Anchor:
    """The distance from the policy `original` on random batches of `windows`."""

    def __init__(self, original: Policy, windows: Windows, batch_size: int, seed: int) -> None:
        self._original, self._windows, self._batch_size = original, windows, batch_size
        self._generator = torch.Generator().manual_seed(seed + 3)

    def loss(self, policy: Policy) -> Tensor:
        """Return the mean squared distance on the next batch, of predictions of the same noise."""
        picks = torch.randint(len(self._windows), (self._batch_size,), generator=self._generator)
        if policy.chooses:
            # Its predictions say nothing of its choices; its own chunks hold both.
            conditions = self._windows.conditions[picks]
            own = self._original.draw(conditions, 1, self._generator)[:, 0]
            return policy.losses(Windows(conditions, own), torch.arange(len(picks)),
                                 self._generator).mean()
        noise = self._generator.get_state()
        with torch.no_grad():
            wanted, hidden = self._original.predicted(self._windows, picks, self._generator)
        self._generator.set_state(noise)
        predicted, _ = policy.predicted(self._windows, picks, self._generator)
        distances = (predicted - wanted).square().mean(1)
        return (distances / hidden.clamp(min=_LEAST_HIDDEN).square()).mean()
