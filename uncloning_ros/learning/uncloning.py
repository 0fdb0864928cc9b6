# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove modes from a policy's weights: mode classifier, gate, redirect, retain.

The method is mode redirection (Wang et al. 2026, Behavior Uncloning, arXiv 2606.29201): a
classifier that reads the mode from condition and predicted clean chunk is trained on the
original policy's predictions and frozen; then the weights move so that on demonstrations of
removed modes the classifier sees a kept mode, while the cloning loss on the kept ones holds the
rest in place. Network, graph and normaliser stay as they are.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import uncloning_ros
from uncloning_ros.contract import require_same_interface
from uncloning_ros.demos.dataset import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.cloning import (
    Windows,
    cloning_loss,
    dataset_record,
    dataset_windows,
    joined,
    progress_bar,
    to_windows,
    validation_loss,
)
from uncloning_ros.learning.descent import Descent
from uncloning_ros.learning.mode_classifier import (
    ModeClassifier,
    by_level,
    labels_of,
    train_classifier,
)
from uncloning_ros.learning.network import Policy
from uncloning_ros.learning.redirect import redirect
from uncloning_ros.learning.step_log import StepLog

REPORT_SCHEMA = 'uncloning/edit@1'

_LOG_EVERY = 10
# Where there is hardly any noise the chunk itself is seen; a classifier that cannot tell the
# modes apart even there gives no direction.
_TELLING_ACCURACY = 0.9

COLUMNS = ('retain', 'redirect', 'gate', 'learning_rate', 'elapsed_s')


@dataclass(frozen=True)
class EditOptions:
    """How to edit; `gamma` weighs redirect against retain, 0 leaves a filtered fine-tune.

    A sample of a removed mode is redirected while the classifier gives its own mode a
    probability below `tau`.
    """

    remove: tuple[str, ...]
    gamma: float
    tau: float
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int


def unclone(run: Run, dataset: Dataset, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Edit the run's policy, write the edited run to the new `folder`, return its report.

    Raise if a mode is unknown, is not in the dataset, or none would be kept, and if the
    dataset has another interface or timing than the run. Nothing is left behind by Ctrl-C.
    """
    torch.set_num_threads(options.threads)
    kept = kept_modes(run, dataset, options.remove)
    modes = (*kept, *options.remove)
    data = windows_by_mode(run.policy, dataset, 'train', modes)
    held_out = windows_by_mode(run.policy, dataset, 'validation', modes)

    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True)
    try:
        classifier, seen = None, None
        if options.gamma > 0:
            classifier, seen = train_classifier(run.policy, data, held_out, options.seed)
        edited, average, report = _edit(run.policy, classifier, data, kept, partial, options)
        retained = joined([held_out[mode] for mode in kept])
        report |= {
            'classifier': seen,
            'retained_loss': {'before': validation_loss(run.policy, retained),
                              'after': validation_loss(average, retained),
                              'windows': len(retained)},
        }
        record = dataset_record(dataset)
        edit = {'parent_sha256': run.sha256, **asdict(options), 'remove': list(options.remove),
                'data': {key: record[key] for key in ('sha256', 'scenario', 'seeds')}}
        if run.config.edit is not None:
            edit['previous'] = dict(run.config.edit)
        config = replace(run.config, edit=edit, software_version=uncloning_ros.__version__)
        report = {'schema': REPORT_SCHEMA, 'edit': edit, 'kept': list(kept), **report}
        checkpoint.write_json(partial / 'report.json', report)
        checkpoint.write_config(partial, config)
        checkpoint.save_weights(partial, edited, dict(average.named_parameters()),
                                run.observations)
        partial.rename(folder)
    except BaseException:
        checkpoint.remove_folder(partial)
        raise
    return report


def windows_by_mode(policy: Policy, dataset: Dataset, split: str,
                    modes: Sequence[str]) -> dict[str, Windows]:
    """Return the windows of each mode of a dataset, in the order of `modes`."""
    return {mode: to_windows(policy, *dataset_windows(dataset, split, [mode])) for mode in modes}


def kept_modes(run: Run, dataset: Dataset, remove: Sequence[str]) -> tuple[str, ...]:
    """Return the modes that are kept; raise unless this dataset can edit this run."""
    ours, theirs = run.config.contract, dataset.contract
    require_same_interface(ours.interface, theirs.interface, 'the dataset')
    if ours.policy != theirs.policy:
        raise CheckpointError(f'the run was trained for {ours.policy}, the dataset was built for '
                              f'{theirs.policy}; build the dataset with the same contract')
    ours.interface.require_modes(remove)
    present = [mode for mode in ours.interface.mode_names
               if len(dataset.window_frames('train', [mode]))]
    for mode in remove:
        if mode not in present:
            raise DatasetError(f'cannot remove {mode}: the dataset has no training episode of '
                               f'it, only of {", ".join(present) or "no mode"}; add '
                               f'demonstrations of {mode} to the dataset')
    kept = tuple(mode for mode in present if mode not in remove)
    if not kept:
        raise DatasetError(f'cannot remove {", ".join(remove)}: the dataset has episodes of no '
                           f'other mode, so nothing would be kept; add demonstrations of a mode '
                           f'to keep')
    return kept


def _edit(original: Policy, classifier: ModeClassifier | None, data: Mapping[str, Windows],
          kept: Sequence[str], folder: Path,
          options: EditOptions) -> tuple[Policy, Policy, dict[str, Any]]:
    """Return the edited policy, the average of its weights, and what happened."""
    removed = {mode: windows for mode, windows in data.items() if mode not in kept}
    desired = joined([data[mode] for mode in kept])
    undesired, sources = joined(list(removed.values())), labels_of(removed) + len(kept)
    descent = Descent(original, options.steps, options.learning_rate)
    policy = descent.policy
    # Two streams, so that gamma changes nothing of what the retain loss sees.
    retain_stream = torch.Generator().manual_seed(options.seed + 1)
    redirect_stream = torch.Generator().manual_seed(options.seed + 2)
    opened, levels, curve = [], [], []
    began_s = time.monotonic()
    with (StepLog(folder, COLUMNS) as log,
          progress_bar('uncloning' if classifier else 'fine-tuning', options.steps) as bar):
        for step in range(1, options.steps + 1):
            picks = torch.randint(len(desired), (options.batch_size,), generator=retain_stream)
            retain = cloning_loss(policy, desired, picks, retain_stream)
            loss, redirected = retain, None
            if classifier is not None:
                picks = torch.randint(len(undesired), (options.batch_size,),
                                      generator=redirect_stream)
                redirected = redirect(policy, classifier, undesired, sources, picks,
                                      len(kept), options.tau, redirect_stream)
                loss = retain + options.gamma * redirected.loss
                opened.append(redirected.gate)
                levels.append(redirected.level)
            descent.follow(loss)
            if step % _LOG_EVERY == 0 or step == options.steps:
                values = {'retain': float(retain.detach()), 'learning_rate': descent.rate,
                          'elapsed_s': time.monotonic() - began_s}
                if redirected is not None:
                    values |= {'redirect': float(redirected.loss.detach()),
                               'gate': float(redirected.gate.float().mean())}
                log.write(step, values)
                curve.append({'step': step, **values})
            bar.update()
    gate = None
    if opened:
        everything = torch.cat(opened).float()
        gate = {'open': float(everything.mean()),
                'open_by_level': by_level(everything, torch.cat(levels))}
    return policy, descent.average, {
        'steps': options.steps, 'stopped': f'reached the {options.steps} planned steps',
        'elapsed_s': time.monotonic() - began_s, 'gate': gate, 'curve': curve}


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Return what in an edit's report should make one doubt it, in sentences."""
    found = []
    seen = report['classifier']
    if seen is not None and seen['accuracy'] is not None:
        clearest = seen['accuracy_by_level'][0]
        if clearest is not None and clearest < _TELLING_ACCURACY:
            found.append(f'the classifier tells the modes apart in {clearest:.0%} of held-out '
                         f'windows with least noise; check the labels of the episodes')
    if report['gate'] is not None and report['gate']['open'] == 0:
        found.append('the gate never opened, so nothing was redirected; try a higher --tau')
    return found
