# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose method and strength of an edit by measures that need no simulator.

A fine-tune on kept modes is tried first: it costs the least skill. The policy then plans at the
starts of demonstrations and on the way of kept ones, and a classifier judges the plans. If hardly
any is of a removed mode, the fine-tune is the edit. Otherwise a removal is tried, from the
original policy again. Where this was torn between modes it learns its own chunks, which choose
between plans that it has; elsewhere, and where labels have spans, it is redirected, which opens
plans that it lacks. The strength of a removal sets itself: it rises as long as removed modes are
left and the skill holds, or falls until the skill holds. Skill is the loss on unseen windows that
are retained. The edit is the one that holds the skill and leaves the fewest plans of removed
modes, if these are at most half of what the fine-tune leaves.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.files import whole_folder, write_json
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.mode_classifier import (
    labels_of,
    parting,
    train_classifier,
)
from uncloning_ros.learning.opinions import SURE
from uncloning_ros.learning.options import (
    FINE_TUNE,
    METHODS,
    REDIRECT,
    SELF_DISTILLATION,
    EditOptions,
)
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.uncloning import Prepared
from uncloning_ros.learning.windows import Windows, joined, windows_by_mode, windows_of_frames

# Greatest share of plans of removed modes with which a fine-tune is enough: of 400
# demonstrations of knife it left 0.2 %, and own chunks nothing.
ENOUGH = 0.001
# Greatest retained loss of a removal, over that of the fine-tune.
MOST_LOST = 1.05
# Least share of places with a removed plan where the policy has a kept one too: own chunks.
_TORN = 0.5
# Greatest share of what the fine-tune leaves that a removal may leave: less is hardly noise.
_FEWER = 0.5
# Strengths after the default one, as factors of its weight.
_HARDER, _WEAKER = (4.0, 16.0), (0.25, 0.0625)
_MOST = 5000  # windows among which the places are looked for
_DRAWS = 8


@dataclass(frozen=True)
class Left:
    """What is left of removed modes in the plans of a policy.

    Shares of plans that are surely of a removed mode: at the `starts` of all demonstrations, and
    at places on the `way` of kept ones where removed ones part from it. Of the places with such a
    plan, `torn` have one of a kept mode too.
    """

    starts: float
    way: float
    torn: float

    @property
    def most(self) -> float:
        """Return the greater share."""
        return max(self.starts, self.way)


class Judge:
    """Judges the plans of policies at observations that an episode of a kept mode passes.

    These are the starts of labelled demonstrations, or of the spans of their labels, and places on
    the way of kept ones where removed modes part from it.
    """

    def __init__(self, edit: Prepared, options: EditOptions) -> None:
        policy, dataset = edit.run.policy, edit.dataset
        windows, held_out = (windows_by_mode(policy.normaliser, dataset, split,
                                             (*edit.kept, *options.remove), edit.looked)
                             for split in ('train', 'validation'))
        self._classifier, _ = train_classifier(policy, windows, held_out, len(edit.kept),
                                               options.seed, balanced=True)
        self._seed = options.seed + 4
        first = np.array([dataset.bounds[i] + one.of_mode.start
                          for i, one in enumerate(dataset.episodes)
                          if one.split == 'train' and one.mode is not None])
        if edit.looked is not None:  # the first frame of each that was looked at
            seen = edit.looked.frames
            first = seen[np.searchsorted(seen, first).clip(max=len(seen) - 1)]
        starts = windows_of_frames(policy.normaliser, dataset, first, edit.looked).conditions
        every = joined(list(windows.values()))
        some = slice(None, None, 1 + len(every) // _MOST)
        removed = (labels_of(windows) >= self._classifier.kept)[some]
        found = Windows(every.conditions[some], every.clean[some])
        places = parting(found, removed)[0]
        self._starts = len(starts)
        self._kept = joined([windows[mode] for mode in edit.kept])
        self._conditions = torch.cat([starts, found.conditions[places[~removed[places]]]])

    def left(self, policy: Policy) -> Left:
        """Return the share of removed modes that is left in the plans of a policy."""
        generator = torch.Generator().manual_seed(self._seed)
        plans = policy.draw(self._conditions, _DRAWS, generator)
        kept = self._classifier.kept_probability(
            self._conditions.repeat_interleave(_DRAWS, 0), plans.flatten(0, 1)).view(-1, _DRAWS)
        removed = kept <= 1.0 - SURE
        places, torn = removed.any(1), removed.any(1) & (kept >= SURE).any(1)
        return Left(_mean(removed[:self._starts]), _mean(removed[self._starts:]),
                    float(torn.sum() / places.sum().clamp(min=1)))

    def loss_of_training(self, policy: Policy) -> float:
        """Return the loss on kept windows that were trained on, for want of unseen ones."""
        loss = policy.validation_loss(self._kept)
        assert loss is not None, 'an edit has windows of kept modes'
        return loss


def unclone(edit: Prepared, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Edit with the method that is chosen, write the run to the new `folder`, return its report.

    `options` are those of the fine-tune. Nothing is left behind by Ctrl-C.
    """
    judge = Judge(edit, options)
    before = judge.left(edit.run.policy)
    with whole_folder(folder) as partial:
        tried = [_Tried.of(edit, judge, partial / FINE_TUNE, options)]
        if tried[0].left.most > ENOUGH:
            method = removal_for(before, edit.has_spans)
            asked = replace(options, method=method, tau=METHODS[method].tau)

            def at(strength: float) -> _Tried:
                return _Tried.of(edit, judge, partial / f'{method}_{strength:g}', replace(
                    asked, gamma=strength * METHODS[method].gamma))

            tried += _removals(at, tried[0])
        chosen, reason = _chosen(tried)
        report = {**chosen.report, 'choice': {
            'reason': reason, 'before': asdict(before), 'tried': [one.plain() for one in tried]}}
        for file in chosen.folder.iterdir():
            file.rename(partial / file.name)
        for one in tried:
            shutil.rmtree(one.folder)
        write_json(partial / 'report.json', report)
    return report


def removal_for(before: Left, has_spans: bool) -> str:
    """Return the method that removes modes from a policy, of which so much was there `before`."""
    return SELF_DISTILLATION if before.torn >= _TORN and not has_spans else REDIRECT


@dataclass(frozen=True)
class _Tried:
    """An edit that was tried, in its folder, its report, what it left, and its retained loss."""

    folder: Path
    report: Mapping[str, Any]
    left: Left
    retained: float

    @classmethod
    def of(cls, edit: Prepared, judge: Judge, folder: Path, options: EditOptions) -> '_Tried':
        report = edit.edit(folder, options)
        policy = load_run(folder).policy
        loss = report['retained_loss']['after']
        return cls(folder, report, judge.left(policy),
                   judge.loss_of_training(policy) if loss is None else loss)

    @property
    def method(self) -> str:
        return str(self.report['edit']['method'])

    def holds(self, fine_tune: '_Tried') -> bool:
        """Tell whether it holds the skill."""
        return self.retained <= MOST_LOST * fine_tune.retained

    def removes(self, fine_tune: '_Tried') -> bool:
        """Tell whether it leaves so much less than the fine-tune that it is worth it."""
        return self.left.most <= _FEWER * fine_tune.left.most

    def plain(self) -> dict[str, Any]:
        return {'method': self.method, 'gamma': self.report['edit']['gamma'],
                'left': asdict(self.left), 'retained_loss': self.retained}


def _removals(at: Callable[[float], _Tried], fine_tune: _Tried) -> list[_Tried]:
    """Return the removals that were tried, each `at` a strength, 1 for the default one.

    A weaker one is of no use where the default one removes too little already.
    """
    tried = [at(1.0)]
    if tried[0].holds(fine_tune):
        for strength in _HARDER:
            if not tried[-1].holds(fine_tune) or tried[-1].left.most <= ENOUGH:
                break
            tried.append(at(strength))
    elif tried[0].removes(fine_tune):
        for strength in _WEAKER:
            tried.append(at(strength))
            if tried[-1].holds(fine_tune):
                break
    return tried


def _chosen(tried: Sequence[_Tried]) -> tuple[_Tried, str]:
    """Return the edit to use, and the reason."""
    fine_tune, *removals = tried
    if not removals:
        return fine_tune, 'the fine-tune leaves hardly any plan of a removed mode'
    name = removals[0].method
    holding = [one for one in removals if one.holds(fine_tune)]
    if not holding:
        least = min(one.retained for one in removals)
        return fine_tune, (f'{name} loses skill at each strength that was tried: its retained '
                           f'loss is at least {least / fine_tune.retained - 1:.0%} above that of '
                           f'the fine-tune')
    best = min(holding, key=lambda one: (one.left.most, one.report['edit']['gamma']))
    if not best.removes(fine_tune):
        return fine_tune, (f'{name} leaves more than half of the plans of removed modes that the '
                           f'fine-tune leaves')
    return best, (f'{name} leaves at most half of the plans of removed modes that the fine-tune '
                  f'leaves, and holds the skill')


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if values.numel() else 0.0
