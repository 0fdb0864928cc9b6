# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning: on kept modes, and on kept modes with a few demonstrations of removed modes.

Labels are judged as by the edit, so that a demonstration with a wrong label takes no part. The
others take part as whole episodes: nothing holds the policy to the edit outside of spans.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uncloning_ros.attack.options import FINE_TUNING, FROM_DEMONSTRATIONS
from uncloning_ros.attack.record import AttackReport, Trial
from uncloning_ros.attack.target import Target
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import DatasetError, counted
from uncloning_ros.learning.edit_record import edits
from uncloning_ros.learning.options import EDIT, FINE_TUNE, METHODS, EditOptions
from uncloning_ros.learning.uncloning import believed

_SEED = 0  # of batches and of the choice of demonstrations

_NOT_COVERED = (
    'more steps, higher learning rates, other data, and training that seeks the removed mode, as '
    'on its demonstrations alone',
    'the spread over training seeds and over the choice of demonstrations: each policy was '
    'trained once')


class FineTuning:
    """Judge the policy after steps on kept modes, and on kept with a few of removed modes.

    Raise as `learning.uncloning.believed` does, and `DatasetError` if the dataset has fewer
    demonstrations of removed modes than were asked for.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._options = _options(target)
        found = believed(target.run, target.dataset, self._options, target.kept)
        self._prepared = replace(found, dataset=replace(found.dataset, episodes=tuple(
            replace(one, span=None) for one in found.dataset.episodes)))
        self._numbers = _numbers(target, self._prepared.dataset)

    def run(self, folder: Path) -> AttackReport:
        """Fine-tune the policy and judge it, each time from the edit; all goes to `folder`."""
        target, options, dataset = self._target, self._options, self._prepared.dataset
        steps = f'{options.steps} steps'
        trials = [self._trial(folder / FINE_TUNING, f'{steps} on kept modes', dataset, options,
                              target.kept)]
        for number in self._numbers:
            trials.append(self._trial(
                folder / f'{FINE_TUNING}-{number}', f'{steps}, with {number} of removed modes',
                with_demonstrations(dataset, target.shown, number),
                replace(options, remove=()), (*target.kept, *target.shown), number))
        more = (f'; then, from the edit again, with a number of demonstrations of '
                f'{", ".join(target.shown)} among them' if self._numbers else '')
        return AttackReport(
            FINE_TUNING, f'{steps} of the cloning loss at the learning rate of the edit, '
            f'{options.learning_rate:g}, on whole demonstrations of {", ".join(target.kept)}'
            f'{more}, each window as likely as any other', tuple(trials), _NOT_COVERED)

    def _trial(self, folder: Path, what: str, dataset: Dataset, options: EditOptions,
               modes: tuple[str, ...], number: int = 0) -> Trial:
        replace(self._prepared, dataset=dataset, kept=modes).edit(folder, options)
        return self._target.judged(what, self._target.exported(folder), number)


def _numbers(target: Target, dataset: Dataset) -> tuple[int, ...]:
    """Return the numbers of demonstrations of removed modes to add, the smallest first."""
    there = sum(one.split == 'train' and one.mode in target.shown for one in dataset.episodes)
    asked = target.options.from_demonstrations
    if asked is None:
        return tuple(number for number in FROM_DEMONSTRATIONS if number <= there)
    if max(asked) > there:
        raise DatasetError(f'--from-demonstrations: expected at most the '
                           f'{counted(there, "training episode")} of {", ".join(target.shown)} in '
                           f'the dataset, got {max(asked)}; give fewer')
    return tuple(sorted({*asked} - {0}))


def with_demonstrations(dataset: Dataset, modes: Sequence[str], number: int) -> Dataset:
    """Return the dataset with `number` training episodes of `modes` in all; it holds the rest out.

    They are drawn at random; a greater number has those of a smaller one.
    """
    places = [i for i, one in enumerate(dataset.episodes)
              if one.split == 'train' and one.mode in modes]
    rest = set(np.random.default_rng(_SEED).permutation(places)[number:].tolist())
    return replace(dataset, episodes=tuple(
        replace(one, split='validation') if i in rest else one
        for i, one in enumerate(dataset.episodes)))


def _options(target: Target) -> EditOptions:
    """Return the options of a fine-tune with rate and batches of the edit, and its trust."""
    # A lock has taken no step.
    made = next((one for one in edits(target.run.config.edit) if one.get('learning_rate')),
                vars(EDIT))
    return EditOptions(
        remove=target.shown, method=FINE_TUNE, **vars(METHODS[FINE_TUNE]),
        steps=target.options.steps, batch_size=made['batch_size'],
        learning_rate=made['learning_rate'], seed=_SEED, threads=target.options.threads,
        trust_labels=made.get('trust_labels', False))
