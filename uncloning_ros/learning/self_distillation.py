# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Own chunks of kept modes: the policy learns its own plans where it is torn between its modes.

At observations of removed demonstrations chunks are drawn from the policy as it is. Where some
are of a kept and some of a removed mode one is taken, with the mode classifier's probability q of
a kept mode:

    p(chunk | observation, kept) = policy(chunk | observation) * q / sum over the draws of q

(resampling of the draws; after ReGuide, arXiv 2606.28939, which rejects whole episodes). The
cloning loss on these moves the decision and nothing else: the policy plans such a chunk anyway,
and the kept modes keep their shares among each other. Where no draw is of a kept mode the policy
has committed itself, and there is nothing to learn from. Where all are, there is nothing to
remove, and to clone them would only teach the policy its own guesses. The edit looks at the
policy again and again, for kept plans appear where there were none.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.options import EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import Windows, joined

_LOOKS = 10  # over the whole edit
_DRAWS = 4  # chunks of an observation: with fewer a rare mode is overlooked more often
# Observations of a look that are new, and at most as many that had a kept plan before.
_OBSERVATIONS = 512
_RECENT = 4  # looks whose chunks are cloned: older ones are those of a policy that has moved on


@dataclass(frozen=True)
class Look:
    """Numbers of observations in one look at the policy, after `step` steps.

    Of `observations`, `open` had a chunk of a kept mode among their draws; of these, `torn` had
    one of a removed mode as well.
    """

    step: int
    observations: int
    open: int
    torn: int


class SelfDistillation:
    """The cloning loss on chunks of kept modes that a policy plans at windows of `removed` modes.

    The loss is multiplied with the torn share of open observations in the newest look. An edit
    has up to ten looks, the first one before the policy has moved; the loss is on chunks of the
    last four, half as many as a batch of the other losses has windows.
    """

    def __init__(self, classifier: ModeClassifier, removed: Mapping[str, Windows],
                 options: EditOptions) -> None:
        self._classifier, self._removed = classifier, joined(list(removed.values()))
        self._every = math.ceil(options.steps / _LOOKS)
        self._batch_size = max(1, options.batch_size // 2)
        self._generator = torch.Generator().manual_seed(options.seed + 2)
        self._open = torch.zeros(0, dtype=torch.long)
        self._looks: list[Look] = []
        self._recent: list[Windows] = []
        self._chunks: Windows  # of all recent looks; the first step looks

    @property
    def open_share(self) -> float:
        """The share of observations that were open in the newest look."""
        return self._looks[-1].open / self._looks[-1].observations

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor | None:
        """Return the loss of step 1, 2, ...; None while the policy is torn nowhere.

        The looks are at `average`, the policy that will be exported.
        """
        if (step - 1) % self._every == 0:
            self._looks.append(self._look(average, step - 1))
            self._chunks = joined(self._recent)
        newest = self._looks[-1]
        if not newest.torn:
            return None
        picks = self._random(len(self._chunks), self._batch_size)
        loss = policy.losses(self._chunks, picks, self._generator).mean()
        return newest.torn / newest.open * loss

    def report(self) -> dict[str, Any]:
        """Return the numbers of each look."""
        return {'looks': [asdict(look) for look in self._looks]}

    def _look(self, policy: Policy, step: int) -> Look:
        """Draw chunks; where the policy is torn take one, by its probability of a kept mode."""
        picks = self._random(len(self._removed), _OBSERVATIONS)
        if len(self._open):
            picks = torch.cat([picks, self._open[self._random(len(self._open), _OBSERVATIONS)]])
        conditions = self._removed.conditions[picks]
        chunks, said = policy.own(conditions, _DRAWS, self._generator)
        kept = self._classifier.kept_probability(
            conditions.repeat_interleave(_DRAWS, 0), chunks.flatten(0, 1)).view(-1, _DRAWS)
        is_open = kept.amax(1) > 0.5
        is_torn = is_open & (kept.amin(1) <= 0.5)
        self._open = torch.unique(torch.cat([self._open, picks[is_open]]))
        chosen = torch.multinomial(kept[is_torn], 1, generator=self._generator)[:, 0]
        rows = torch.nonzero(is_torn)[:, 0]
        own = Windows(conditions[rows], chunks[rows, chosen],
                      None if said is None else said[rows, chosen])
        self._recent = [*self._recent, own][-_RECENT:]
        return Look(step, len(picks), int(is_open.sum()), int(is_torn.sum()))

    def _random(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)
