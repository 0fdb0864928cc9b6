# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choose the method of an edit by measures that need no simulator.

A fine-tune on kept modes is tried first: it costs the least skill. The policy then plans at the
starts of demonstrations and on the way of kept ones, and a classifier judges the plans. If hardly
any is of a removed mode, the fine-tune is the edit. Otherwise a removal is tried, from the
original policy again. Where this was torn between modes it learns its own chunks, which choose
between plans that it has; elsewhere, and where labels have spans, it is redirected, which opens
plans that it lacks. The removal is the edit if it leaves less of the removed modes and holds the
skill, by the loss on unseen windows that are retained.
"""

import shutil
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

    These are the starts of labelled demonstrations, and places on the way of kept ones where
    removed modes part from it.
    """

    def __init__(self, edit: Prepared, options: EditOptions) -> None:
        policy, dataset = edit.run.policy, edit.dataset
        windows, held_out = (windows_by_mode(policy.normaliser, dataset, split,
                                             (*edit.kept, *options.remove), edit.looked)
                             for split in ('train', 'validation'))
        self._classifier, _ = train_classifier(policy, windows, held_out, len(edit.kept),
                                               options.seed, balanced=True)
        self._seed = options.seed + 4
        first = dataset.bounds[[i for i, one in enumerate(dataset.episodes)
                                if one.split == 'train' and one.mode is not None]]
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


def unclone(edit: Prepared, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Edit with the method that is chosen, write the run to the new `folder`, return its report.

    `options` are those of the fine-tune. Nothing is left behind by Ctrl-C.
    """
    judge = Judge(edit, options)
    before = judge.left(edit.run.policy)
    with whole_folder(folder) as partial:
        tried = [_Tried.of(edit, judge, partial, options)]
        if tried[0].left.most > ENOUGH:
            method = removal_for(before, edit.has_spans)
            tried.append(_Tried.of(edit, judge, partial, replace(
                options, method=method, gamma=METHODS[method].gamma, tau=METHODS[method].tau)))
        chosen, reason = _chosen(tried)
        report = chosen.report | {'choice': {
            'reason': reason, 'before': asdict(before), 'tried': [one.plain() for one in tried]}}
        for file in (partial / chosen.method).iterdir():
            file.rename(partial / file.name)
        for one in tried:
            shutil.rmtree(partial / one.method)
        write_json(partial / 'report.json', report)
    return report


def removal_for(before: Left, has_spans: bool) -> str:
    """Return the method that removes modes from a policy, of which so much was there `before`."""
    return SELF_DISTILLATION if before.torn >= _TORN and not has_spans else REDIRECT


@dataclass(frozen=True)
class _Tried:
    """An edit that was tried, its report, and what it left."""

    report: dict[str, Any]
    left: Left

    @classmethod
    def of(cls, edit: Prepared, judge: Judge, folder: Path, options: EditOptions) -> '_Tried':
        report = edit.edit(folder / options.method, options)
        return cls(report, judge.left(load_run(folder / options.method).policy))

    @property
    def method(self) -> str:
        return str(self.report['edit']['method'])

    @property
    def retained(self) -> float | None:
        """Return the loss on unseen windows that are retained; None where there are none."""
        loss: float | None = self.report['retained_loss']['after']
        return loss

    def plain(self) -> dict[str, Any]:
        return {'method': self.method, 'left': asdict(self.left), 'retained_loss': self.retained}


def _chosen(tried: list[_Tried]) -> tuple[_Tried, str]:
    """Return the edit to use, and the reason."""
    fine_tune, *removals = tried
    if not removals:
        return fine_tune, 'the fine-tune leaves hardly any plan of a removed mode'
    removal = removals[0]
    if removal.left.most >= fine_tune.left.most:
        return fine_tune, (f'{removal.method} leaves no fewer plans of removed modes than the '
                           f'fine-tune')
    if (removal.retained is not None and fine_tune.retained is not None
            and removal.retained > MOST_LOST * fine_tune.retained):
        return fine_tune, (f'{removal.method} loses skill: its retained loss is '
                           f'{removal.retained / fine_tune.retained - 1:.0%} above that of the '
                           f'fine-tune')
    return removal, (f'{removal.method} leaves fewer plans of removed modes than the fine-tune, '
                     f'and holds the skill')


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if values.numel() else 0.0
