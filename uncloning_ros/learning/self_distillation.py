# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Own chunks of kept modes: what a policy itself does where it is torn between its modes.

At observations of undesired demonstrations chunks are drawn from the policy as it is. Where some
are of a kept and some of a removed mode one is taken, with the mode classifier's probability q of
a kept mode:

    p(chunk | observation, kept) = policy(chunk | observation) * q / sum over the draws of q

(resampling of what was drawn; after ReGuide, arXiv 2606.28939, which rejects whole episodes).
The cloning loss on these moves the decision and nothing else: a chunk that the policy plans
anyway is no stranger to it, and the kept modes keep their shares among each other. Where no draw
is of a kept mode the policy has committed itself, and there is nothing to learn from; where all
are, there is nothing to remove, and to clone them would only teach the policy its own guesses. As
the edit goes on, the policy is looked at again, for a choice opens up where there was none.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from uncloning_ros.learning.cloning import Windows, cloning_loss, joined
from uncloning_ros.learning.generative import sample
from uncloning_ros.learning.mode_classifier import ModeClassifier
from uncloning_ros.learning.network import Policy

_LOOKS = 10  # over the whole edit
# Of an observation; the fewer, the more often a rare mode is overlooked.
_DRAWS = 4
# New observations of each look, and as many again of those that were open before.
_OBSERVATIONS = 512
_RECENT = 4  # chunks of older looks are those of a policy that has moved on


@dataclass(frozen=True)
class Look:
    """What one look at the policy found.

    Of `observations` that were looked at, `open` had a chunk of a kept mode among their draws;
    of these, `torn` had one of a removed mode as well.
    """

    observations: int
    open: int
    torn: int


class SelfDistillation:
    """The cloning loss on chunks of kept modes that the policy plans at `undesired` observations.

    The more rarely the policy is torn where it has the choice, the less the loss counts: it is
    multiplied with that share in the newest look. The classifier's first `kept` classes are the
    kept modes. In `steps` steps the policy is looked at up to ten times, the first time before it
    has moved; what is cloned are the chunks of the last four looks.
    """

    def __init__(self, classifier: ModeClassifier, undesired: Windows, kept: int, steps: int,
                 batch_size: int, generator: torch.Generator) -> None:
        self._classifier, self._undesired, self._kept = classifier, undesired, kept
        self._every, self._batch_size = math.ceil(steps / _LOOKS), batch_size
        self._generator = generator
        self._open = torch.zeros(0, dtype=torch.long)
        self._found: list[dict[str, Any]] = []
        self._recent: list[Windows] = []
        self._chunks: Windows  # of all recent looks; the first step looks

    @property
    def open(self) -> float:
        """Return the share of observations that were open in the newest look."""
        newest = self._found[-1]
        return float(newest['open'] / newest['observations'])

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor | None:
        """Return the loss of step 1, 2, ...; None while the policy is torn nowhere.

        What is looked at is `average`, the policy that will be exported.
        """
        if (step - 1) % self._every == 0:
            self._found.append({'step': step - 1, **asdict(self._look(average))})
            self._chunks = joined(self._recent)
        newest = self._found[-1]
        if not newest['torn']:
            return None
        picks = self._random(len(self._chunks), self._batch_size)
        share: float = newest['torn'] / newest['open']
        return share * cloning_loss(policy, self._chunks, picks, self._generator)

    def report(self) -> dict[str, Any]:
        """Return what each look found."""
        return {'looks': self._found}

    def _look(self, policy: Policy) -> Look:
        """Draw chunks; where the policy is torn take one, by its probability of a kept mode."""
        picks = self._random(len(self._undesired), _OBSERVATIONS)
        if len(self._open):
            picks = torch.cat([picks, self._open[self._random(len(self._open), _OBSERVATIONS)]])
        conditions = self._undesired.conditions[picks]
        chunks = draw(policy, conditions, _DRAWS, self._generator)
        kept = kept_probability(self._classifier, conditions, chunks, self._kept)
        is_open = kept.amax(1) > 0.5
        is_torn = is_open & (kept.amin(1) <= 0.5)
        self._open = torch.unique(torch.cat([self._open, picks[is_open]]))
        chosen = torch.multinomial(kept[is_torn], 1, generator=self._generator)[:, 0]
        own = Windows(conditions[is_torn], chunks[is_torn][torch.arange(len(chosen)), chosen])
        self._recent = [*self._recent, own][-_RECENT:]
        return Look(len(picks), int(is_open.sum()), int(is_torn.sum()))

    def _random(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator)


@torch.no_grad()
def draw(policy: Policy, conditions: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` flat normalised chunks (B, count, D) for each condition (B, C)."""
    repeated = conditions.repeat_interleave(count, 0)
    noise = torch.randn(len(repeated), policy.normaliser.action_low.numel(), generator=generator)
    clean = sample(lambda x, level: policy.clean(x, level, repeated), noise)
    return clean.view(len(conditions), count, -1)


@torch.no_grad()
def kept_probability(classifier: ModeClassifier, conditions: Tensor, chunks: Tensor,
                     kept: int) -> Tensor:
    """Return the probability (B, N) that chunks (B, N, D) are of one of the first `kept` modes."""
    count = chunks.shape[1]
    logits = classifier(conditions.repeat_interleave(count, 0), chunks.flatten(0, 1))
    return logits.softmax(1)[:, :kept].sum(1).view(-1, count)
