# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remove modes from a policy's weights: a few hundred steps down the sum of two losses.

The cloning loss on demonstrations of kept modes holds what the policy can do (`retain`). The loss
of a method takes the removed modes away; a classifier that reads the mode from condition and clean
chunk, trained on the original policy's predictions and frozen, says which way that is. Network,
graph and normaliser stay as they are.

    self-distillation   clone what the policy itself plans of kept modes where it is torn
    redirect            have the classifier see a kept mode, as published (Wang et al. 2026,
                        Behavior Uncloning, arXiv 2606.29201)
    fine-tune           nothing: the reference that an edit has to beat
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

import uncloning_ros
from uncloning_ros.contract import require_same_interface
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.cloning import (
    Windows,
    dataset_record,
    dataset_windows,
    joined,
    progress_bar,
    to_windows,
    validation_loss,
)
from uncloning_ros.learning.descent import Descent
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.mode_classifier import ModeClassifier, labels_of, train_classifier
from uncloning_ros.learning.network import Policy
from uncloning_ros.learning.redirect import Redirection
from uncloning_ros.learning.retain import Retain
from uncloning_ros.learning.self_distillation import SelfDistillation
from uncloning_ros.learning.step_log import StepLog

REPORT_SCHEMA = 'uncloning/edit@4'

SELF_DISTILLATION, REDIRECT, FINE_TUNE = 'self-distillation', 'redirect', 'fine-tune'
# The weight of each method's loss, unless another is given.
GAMMAS = MappingProxyType({SELF_DISTILLATION: 0.5, REDIRECT: 0.02, FINE_TUNE: 0.0})
# How much of what is retained may be retargeted, likewise; the references are as published.
RETARGETED = MappingProxyType({SELF_DISTILLATION: 0.75, REDIRECT: 0.0, FINE_TUNE: 0.0})
TAU = 0.5

_LOG_EVERY = 10
# A classifier that cannot tell the modes apart where they part gives no direction.
_TELLING_SHARE = 0.9

COLUMNS = ('retain', 'removal', 'open', 'learning_rate', 'elapsed_s')


@dataclass(frozen=True)
class EditOptions:
    """How to edit: `gamma` weighs the loss of the method, one of `GAMMAS`, against retain.

    `retarget` is the largest share of what is retained that may be retargeted, in [0, 1).
    `tau` is of the redirect alone, None for others: a sample of a removed mode is redirected
    while the classifier gives its own mode a probability below it. Raise `ValueError` for an
    unknown method, a `tau` that does not go with it, and a share that is none.
    """

    remove: tuple[str, ...]
    method: str
    gamma: float
    tau: float | None
    retarget: float
    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int

    def __post_init__(self) -> None:
        if self.method not in GAMMAS:
            raise ValueError(f'expected a method of {", ".join(GAMMAS)}, got {self.method!r}')
        if not 0.0 <= self.retarget < 1.0:
            raise ValueError(f'expected retarget in [0, 1), got {self.retarget}')
        if (self.tau is None) == (self.method == REDIRECT):
            raise ValueError(f'tau belongs to {REDIRECT} and to nothing else, got {self.tau} with '
                             f'{self.method}')


class Removal(Protocol):
    """What takes the removed modes away."""

    @property
    def open(self) -> float:
        """Return the share of the newest samples where a choice, or the gate, was open."""

    def loss(self, policy: Policy, average: Policy, step: int) -> Tensor | None:
        """Return the loss of `policy` at step 1, 2, ...; None where there is none."""

    def report(self) -> dict[str, Any]:
        """Return what it saw, as plain data."""


def unclone(run: Run, dataset: Dataset, folder: Path, options: EditOptions) -> dict[str, Any]:
    """Edit the run's policy, write the edited run to the new `folder`, return its report.

    Raise if a mode is unknown, is not in the dataset, or none would be kept, if an earlier edit
    removed one that would be, and if the dataset has another interface or timing than the run.
    Nothing is left behind by Ctrl-C.
    """
    torch.set_num_threads(options.threads)
    kept = kept_modes(run, dataset, options.remove)
    modes = (*kept, *options.remove)
    data = windows_by_mode(run.policy, dataset, 'train', modes)
    held_out = windows_by_mode(run.policy, dataset, 'validation', modes)

    # A stream of its own, so that no method changes what the retain loss sees.
    retain = Retain(run.policy, dataset, kept, options.retarget, options.batch_size,
                    options.seed, torch.Generator().manual_seed(options.seed + 1))
    partial = folder.with_name(folder.name + '.partial')
    partial.mkdir(parents=True)
    try:
        classifier, seen = None, None
        if options.method != FINE_TUNE:
            classifier, seen = train_classifier(
                run.policy, data, held_out, len(kept), options.seed,
                balanced=options.method == SELF_DISTILLATION)
        edited, average, report = _edit(run.policy, classifier, data, retain, partial, options)
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
    back = [mode for mode in removed_modes(run.config.edit) if mode in kept]
    if back:
        raise CheckpointError(f'an earlier edit of this run removed {", ".join(back)}, which the '
                              f'dataset has episodes of and which would be taught again; '
                              f'remove with it: --remove {",".join((*remove, *back))}')
    if not kept:
        raise DatasetError(f'cannot remove {", ".join(remove)}: the dataset has episodes of no '
                           f'other mode, so nothing would be kept; add demonstrations of a mode '
                           f'to keep')
    return kept


def _edit(original: Policy, classifier: ModeClassifier | None, data: Mapping[str, Windows],
          retain: Retain, folder: Path,
          options: EditOptions) -> tuple[Policy, Policy, dict[str, Any]]:
    """Return the edited policy, the average of its weights, and what happened."""
    removal = None if classifier is None else _removal(classifier, data, options)
    descent = Descent(original, options.steps, options.learning_rate)
    policy = descent.policy
    curve = []
    began_s = time.monotonic()
    with (StepLog(folder, COLUMNS) as log,
          progress_bar('uncloning' if removal else 'fine-tuning', options.steps) as bar):
        for step in range(1, options.steps + 1):
            kept = retain.loss(policy)
            removed = None if removal is None else removal.loss(policy, descent.average, step)
            descent.follow(kept if removed is None else kept + options.gamma * removed)
            if step % _LOG_EVERY == 0 or step == options.steps:
                values = {'retain': float(kept.detach()), 'learning_rate': descent.rate,
                          'elapsed_s': time.monotonic() - began_s}
                if removal is not None:
                    values['open'] = removal.open
                if removed is not None:
                    values['removal'] = float(removed.detach())
                log.write(step, values)
                curve.append({'step': step, **values})
            bar.update()
    # No step has looked at the weights that the last one made.
    last = validation_loss(descent.average, retain.own)
    if last is None or not math.isfinite(last):
        raise CheckpointError(f'the loss is {last} after step {options.steps}; edit with a lower '
                              f'--lr than {options.learning_rate:g}, or with a '
                              f'lower --gamma')
    return policy, descent.average, {
        'steps': options.steps, 'stopped': f'reached the {options.steps} planned steps',
        'elapsed_s': time.monotonic() - began_s,
        'retargeted': retain.report(),
        'removal': None if removal is None else removal.report(), 'curve': curve}


def _removal(classifier: ModeClassifier, data: Mapping[str, Windows],
             options: EditOptions) -> Removal:
    removed = {mode: data[mode] for mode in options.remove}
    kept = len(data) - len(removed)
    undesired = joined(list(removed.values()))
    generator = torch.Generator().manual_seed(options.seed + 2)
    if options.method == SELF_DISTILLATION:
        return SelfDistillation(classifier, undesired, kept, options.steps,
                                max(1, options.batch_size // 2), generator)
    assert options.tau is not None
    return Redirection(classifier, undesired, labels_of(removed) + kept, kept, options.tau,
                       options.batch_size, generator)


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Return what in an edit's report should make one doubt it, in sentences."""
    seen = report['classifier']
    found = []
    if reason := report['retargeted']['reason']:
        found.append(f'kept modes have few demonstrations, and not all of them that were wanted '
                     f'could be retargeted: {reason}')
    if seen is None:
        return found
    choice = seen['choice']
    if choice is not None and choice['right'] < _TELLING_SHARE:
        found.append(f'where modes part, the classifier tells them in {choice["right"]:.0%} of '
                     f'{choice["windows"]} held-out windows; check the labels of the episodes')
    elif choice is not None and choice['swapped'] < _TELLING_SHARE:
        found.append(f'where modes part, the classifier follows a swapped chunk in '
                     f'{choice["swapped"]:.0%} of {choice["windows"]} held-out windows: it goes '
                     f'by the observation; add demonstrations that begin alike in all modes')
    looks, gate = report['removal'].get('looks'), report['removal'].get('open')
    if looks and not any(look['open'] for look in looks):
        found.append('the policy plans no chunk of a kept mode where removed modes were '
                     'demonstrated, so there was nothing to distil; add demonstrations of a mode '
                     'to keep')
    elif looks and not looks[-1]['open']:
        found.append(f'after step {looks[-1]["step"]} the policy planned no chunk of a kept mode '
                     f'any more where removed modes were demonstrated; try a lower --lr')
    elif looks and not any(look['torn'] for look in looks):
        found.append('wherever the policy planned a chunk of a kept mode it planned no other, so '
                     'own chunks had nothing to remove, and the edit was a fine-tune')
    if gate == 0:
        found.append('the gate never opened, so nothing was redirected; try a higher --tau')
    return found
