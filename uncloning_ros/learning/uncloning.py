# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove modes from a policy's weights: a few hundred steps down the sum of two losses.

The cloning loss on demonstrations of kept modes holds the skill (`kept_loss`). The loss of a
method takes the removed modes away; a frozen classifier, which reads the mode from condition and
clean chunk, tells it the direction. Network, graph and normaliser stay as they are, and so do the
weights of the encoders: an edit looks at a picture once at most, of many frames at some.

    self-distillation   clone the policy's own plans of kept modes where it is torn
    redirect            have the classifier see a kept mode, as published (Wang et al. 2026,
                        Behavior Uncloning, arXiv 2606.29201)
    fine-tune           nothing: the reference that an edit has to beat

A policy that draws its mode is edited without steps (`lock`).
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

import uncloning_ros
from uncloning_ros.contract import require_same_interface
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError, counted
from uncloning_ros.files import whole_folder, write_json
from uncloning_ros.learning import checkpoint, edit_report
from uncloning_ros.learning.checkpoint import Run, dataset_record
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.kept_loss import KeptLoss
from uncloning_ros.learning.mode_classifier import ModeClassifier, train_classifier
from uncloning_ros.learning.opinions import Opinions, opinions
from uncloning_ros.learning.optimiser import Optimiser
from uncloning_ros.learning.options import REDIRECT, SELF_DISTILLATION, EditOptions
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.redirect import Redirection
from uncloning_ros.learning.seeing import features_of
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.step_log import StepLog
from uncloning_ros.learning.windows import (
    Looked,
    Windows,
    joined,
    windows_by_mode,
    windows_outside_spans,
)
from uncloning_ros.progress import progress_bar

_LOG_EVERY = 10
# Frames whose pictures an edit looks at: neighbours hardly differ, and a look costs as much as two
# windows of a step.
_LOOKS = 36_000

COLUMNS = ('retain', 'removal', 'open', 'learning_rate', 'elapsed_s')


class Removal(Protocol):
    """The loss of a method, which takes the removed modes away."""

    @property
    def open_share(self) -> float:
        """The share of the newest samples that the loss could act on."""

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor | None:
        """Return the loss of `policy` at step 1, 2, ...; None where there is none."""

    def report(self) -> dict[str, Any]:
        """Return a report as plain data."""


class Retained(Protocol):
    """The loss that holds the skill, on random batches of `demonstrated` windows and others."""

    demonstrated: Windows
    report: dict[str, object]

    def loss(self, policy: Policy) -> Tensor:
        """Return the loss on the next batch."""


# The methods that have a loss of their own, each in its file.
REMOVALS: Mapping[str, Callable[[ModeClassifier, Mapping[str, Windows], EditOptions], Removal]] = (
    MappingProxyType({SELF_DISTILLATION: SelfDistillation, REDIRECT: Redirection}))


@dataclass(frozen=True)
class Prepared:
    """A run and the dataset of its edit, with the labels that the edit believes.

    `looked` is what `look` returns; `labels` are None where they are taken as they are.
    """

    run: Run
    dataset: Dataset
    kept: tuple[str, ...]
    looked: Looked | None
    labels: Opinions | None

    @property
    def has_spans(self) -> bool:
        """Tell whether windows lie outside of the spans of labels."""
        return bool(len(self.dataset.frames_without_mode('train', labelled=True)))

    def edit(self, folder: Path, options: EditOptions) -> dict[str, Any]:
        """Write the edited run to the new `folder` and return its report."""
        return edit(self.run, self.dataset, folder, options, self.kept, self.looked, self.labels)


def prepared(run: Run, dataset: Dataset, options: EditOptions) -> Prepared:
    """Check a dataset, and judge its labels unless the options trust them.

    Episodes without a label may get modes, and labels that do not hold for whole episodes spans
    (`opinions`). Raise if a mode is unknown, is not in the dataset, or none would be kept, if an
    earlier edit removed one that would be, or that episodes without a label may show, if all
    labels of a mode look wrong, and if the dataset has another interface or timing than the run.
    """
    kept = kept_modes(run, dataset, options.remove)
    if any(mode not in run.config.contract.interface.modes
           for mode in removed_modes(run.config.edit)):
        raise CheckpointError(f'an earlier edit of this run removed the episodes that people do '
                              f'not accept, of whichever mode; demonstrations of '
                              f'{", ".join(kept)} may teach them again; edit it with '
                              f'--preferences, or remove modes before that')
    return believed(run, dataset, options, kept)


def believed(run: Run, dataset: Dataset, options: EditOptions, kept: tuple[str, ...]) -> Prepared:
    """Have a classifier judge the labels as `prepared` does; raise as it does for them."""
    torch.set_num_threads(options.threads)
    looked, found = look(run.policy, dataset), None
    if not options.trust_labels:
        modes = (*kept, *options.remove)
        _require_known(run, dataset, modes)
        found = opinions(run.policy.normaliser, dataset, modes, len(kept), options.seed, looked)
        dataset = found.applied(dataset)
        _require_left(dataset, modes, found)
    return Prepared(run, dataset, kept, looked, found)


def unclone(run: Run, dataset: Dataset, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Edit the run's policy, write the edited run to the new `folder`, return its report.

    Raise as `prepared` does. Nothing is left behind by Ctrl-C.
    """
    return prepared(run, dataset, options).edit(folder, options)


def edit(run: Run, dataset: Dataset, folder: Path, options: EditOptions, kept: Sequence[str],
         looked: Looked | None, labels: Opinions | None = None) -> dict[str, Any]:
    """Edit as `unclone` does, with the cloning loss on `kept` modes of the dataset.

    They may be modes that an earlier edit removed, and which are taught again. `looked` and
    `labels` are as in `Prepared`.
    """
    torch.set_num_threads(options.threads)
    windows, held_out = (windows_by_mode(run.policy.normaliser, dataset, split,
                                         (*kept, *options.remove), looked)
                         for split in ('train', 'validation'))
    kept_loss = KeptLoss(run.policy, dataset, kept, options.retarget, options.batch_size,
                         options.seed, looked)
    with whole_folder(folder) as partial:
        removal, classifier_report = None, None
        if options.method in REMOVALS:
            classifier, classifier_report = train_classifier(
                run.policy, windows, held_out, len(kept), options.seed,
                balanced=options.method == SELF_DISTILLATION)
            removal = REMOVALS[options.method](
                classifier, {mode: windows[mode] for mode in options.remove}, options)
        optimiser = optimiser_of(run, options)
        steps = take_steps(optimiser, kept_loss, removal, partial, options)
        kept_held_out = joined([*(held_out[mode] for mode in kept), windows_outside_spans(
            run.policy.normaliser, dataset, 'validation', looked)])
        record = record_of(run, options, data_of(dataset))
        report = {
            'schema': edit_report.SCHEMA, 'edit': record, 'kept': list(kept),
            'labels': None if labels is None else labels.report(),
            'outside_spans': kept_loss.outside_spans, **steps,
            'classifier': classifier_report,
            'retained_loss': {'before': run.policy.validation_loss(kept_held_out),
                              'after': optimiser.average.validation_loss(kept_held_out),
                              'windows': len(kept_held_out)}}
        write_edited(run, optimiser.policy, optimiser.average, report, partial)
    return report


def look(policy: Policy, dataset: Dataset) -> Looked | None:
    """Return the features of pictures, of every frame or evenly of many; None without cameras."""
    frames = np.arange(0, len(dataset.observations), 1 + len(dataset.observations) // _LOOKS)
    features = features_of(policy, dataset, frames)
    return None if features is None else Looked(frames, features)


def kept_modes(run: Run, dataset: Dataset, remove: Sequence[str]) -> tuple[str, ...]:
    """Return the modes that are kept; raise unless this dataset can edit this run."""
    ours = run.config.contract
    require_same_contract(run, dataset)
    ours.interface.require_modes(remove)
    present = [mode for mode in ours.interface.mode_names
               if len(dataset.window_frames('train', [mode]))]
    for mode in remove:
        if mode not in present:
            raise DatasetError(f'cannot remove {mode}: the dataset has no training episode of '
                               f'it, only of {", ".join(present) or "no mode"}; '
                               f'{_remedy(dataset, mode)}')
    kept = tuple(mode for mode in present if mode not in remove)
    back = [mode for mode in removed_modes(run.config.edit) if mode in kept]
    if back:
        raise CheckpointError(f'an earlier edit of this run removed {", ".join(back)}; the '
                              f'dataset has episodes of it, which would teach it again; '
                              f'remove with it: --remove {",".join((*remove, *back))}')
    if not kept:
        raise DatasetError(f'cannot remove {", ".join(remove)}: the dataset has episodes of no '
                           f'other mode, so nothing would be kept; '
                           f'{_remedy(dataset, "a kept mode")}')
    return kept


def require_same_contract(run: Run, dataset: Dataset) -> None:
    """Raise unless interface and policy part of a dataset are those of a run."""
    ours, theirs = run.config.contract, dataset.contract
    require_same_interface(ours.interface, theirs.interface, 'the dataset')
    if ours.policy != theirs.policy:
        raise CheckpointError(f'the run was trained for {ours.policy}, the dataset was built for '
                              f'{theirs.policy}; build the dataset with the same contract')


def _remedy(dataset: Dataset, mode: str) -> str:
    """Return the remedy for a dataset that lacks a mode."""
    count = _unlabelled(dataset)
    label = f', or label some of the {counted(count, "episode")} without a label' if count else ''
    return f'add demonstrations of {mode} to the dataset{label}'


def _unlabelled(dataset: Dataset) -> int:
    return sum(one.mode is None for one in dataset.episodes)


def _require_known(run: Run, dataset: Dataset, modes: Sequence[str]) -> None:
    """Raise if episodes without a label may show a mode that an earlier edit removed.

    They would get one of `modes`, which may be a kept one.
    """
    unknown = ', '.join(mode for mode in removed_modes(run.config.edit) if mode not in modes)
    if unknown and (count := _unlabelled(dataset)):
        raise CheckpointError(
            f'an earlier edit of this run removed {unknown}, of which the dataset has no labelled '
            f'training episode; its {counted(count, "episode")} without a label may show it, and '
            f'would teach it again as another mode; label those that show it, or leave all of '
            f'them out with --trust-labels')


def _require_left(dataset: Dataset, modes: Sequence[str], found: Opinions) -> None:
    """Raise if a mode has no training episode any more, because its labels are doubted."""
    for mode in modes:
        if not len(dataset.window_frames('train', [mode])):
            one = next(one for index, one in found.doubted.items() if one.label == mode
                       and dataset.episodes[index].split == 'train')
            raise DatasetError(
                f'the labels of all training episodes of {mode} look wrong: {one.episode}, for '
                f'one, looks like {one.seen}; look at them, label them again if they are wrong, '
                f'or edit with --trust-labels')


def data_of(dataset: Dataset) -> dict[str, Any]:
    """Return the part of a dataset's record that the record of an edit has."""
    source = dataset_record(dataset)
    return {key: source[key] for key in ('sha256', 'scenario', 'seeds', 'outside_spans', 'decoder')
            if key in source}


def record_of(run: Run, options: EditOptions, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of the edit, which the edited run and its exported file carry."""
    record = {'parent_sha256': run.sha256, **asdict(options), 'remove': list(options.remove),
              'data': dict(data)}
    return record if run.config.edit is None else record | {'previous': dict(run.config.edit)}


def optimiser_of(run: Run, options: EditOptions) -> Optimiser:
    """Return the optimiser of an edit of a copy of the run's policy, but for its encoders."""
    policy = copy.deepcopy(run.policy).requires_grad_(True)
    policy.eyes.requires_grad_(False)
    return Optimiser(policy, options.steps, options.learning_rate, from_scratch=False)


def write_edited(run: Run, newest: Policy, average: Policy, report: Mapping[str, Any],
                 folder: Path) -> None:
    """Write the edited run and its report, which has the record of the edit."""
    write_json(folder / 'report.json', report)
    checkpoint.write_config(folder, replace(run.config, edit=report['edit'],
                                            software_version=uncloning_ros.__version__))
    checkpoint.save_weights(folder, newest, average, run.observations, run.pictures)


def take_steps(optimiser: Optimiser, kept_loss: Retained, removal: Removal | None, folder: Path,
               options: EditOptions) -> dict[str, Any]:
    """Take all steps, logging to `folder`; return this part of the report."""
    policy = optimiser.policy
    curve = []
    began_s = time.monotonic()
    with (StepLog(folder, COLUMNS) as log,
          progress_bar('uncloning' if removal else 'fine-tuning', options.steps, 'step') as bar):
        for step in range(1, options.steps + 1):
            kept = kept_loss.loss(policy)
            removed = None if removal is None else removal.loss(policy, optimiser.average, step)
            optimiser.update(kept if removed is None else kept + options.gamma * removed)
            if step % _LOG_EVERY == 0 or step == options.steps:
                values = {'retain': float(kept.detach()), 'learning_rate': optimiser.rate,
                          'elapsed_s': time.monotonic() - began_s}
                if removal is not None:
                    values['open'] = removal.open_share
                if removed is not None:
                    values['removal'] = float(removed.detach())
                log.write(step, values)
                curve.append({'step': step, **values})
            bar.update()
    # No step has computed a loss of the weights that the last one made.
    optimiser.require_finite(optimiser.average.validation_loss(kept_loss.demonstrated),
                             f'after step {options.steps}')
    return {'steps': options.steps, 'stopped': f'reached the {options.steps} planned steps',
            'elapsed_s': time.monotonic() - began_s, 'retargeted': kept_loss.report,
            'removal': None if removal is None else removal.report(), 'curve': curve}
