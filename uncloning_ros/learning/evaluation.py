# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare a policy's plans with held-out demonstrations, without a robot.

Errors are squared, in spreads of the demonstrated chunks, of which each number has its own: 1 is
the error of a policy that always plans the mean chunk. Of several plans for one observation, the
error of the first says how a plan errs, that of their mean how well the observation tells the
action, that of the nearest whether the demonstrated way is among them.

Likelihoods are in nats for each chunk. A class that has one tells it exactly. For every class
there is a bound: its plans, each blurred with a Gaussian of one width, are a density, of which
random plans give an upper bound of the negative log-likelihood. The width is the one that suits
demonstrations of the training best. Of regression, whose plans are all alike, the blurred plan is
a Gaussian with the variance of the residuals.

An edited policy is compared with demonstrations of the kept modes alone.

How often each mode is planned is compared with the demonstrations at one tick of each episode that
the run was not trained on: a policy knows the starts of its training, and what followed them. It
is the first tick at which a classifier can tell the demonstrated modes apart, else the last one
that all of these episodes have. That may be seconds after the start, when the observation already
tells a part of the choice.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.contract import require_same_interface
from uncloning_ros.demos.dataset.retargeting import held
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.edit_record import edits, removed_modes
from uncloning_ros.learning.mode_classifier import (
    Demonstrated,
    ModeClassifier,
    labels_of,
    train_classifier,
)
from uncloning_ros.learning.mode_distribution import compared
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.policies.k_means import centres
from uncloning_ros.learning.seeing import features_of
from uncloning_ros.learning.windows import (
    Windows,
    joined,
    windows_of_frames,
    with_features,
)

SCHEMA = 'uncloning/evaluation@3'  # 2: a floor of the calibration that was too low
PHASES = ('reach', 'carry', 'release', 'other')

DRAWS = 16  # plans of an observation
_WINDOWS = 1000  # held-out windows at most, evenly spread
_KNOWN = 20_000  # training windows of a mode at most, evenly spread, that teach the classifier
_BINS, _IN_A_BIN = 10, 10  # bins of the start state at most, and episodes in one on average
_READABLE = 0.95  # least share of demonstrations whose mode is read right at the tick looked at
_SEED = 0
_WIDTHS = torch.logspace(math.log10(0.01), math.log10(3.0), 60)


def evaluate(run: Run, dataset: Dataset, threads: int) -> dict[str, Any]:
    """Return the record of an evaluation as plain data; `threads` are those of torch.

    Raise `CheckpointError` for a dataset of another timing or with held-out episodes that the run
    was trained on, `DatasetError` without held-out episodes of what the policy may do,
    `ContractError` for another interface.
    """
    torch.set_num_threads(threads)
    contract = run.config.contract
    require_same_interface(contract.interface, dataset.contract.interface, 'the dataset')
    if contract.policy != dataset.contract.policy:
        raise CheckpointError(f'the run was trained for {contract.policy}, the dataset was built '
                              f'for {dataset.contract.policy}; build the dataset with the same '
                              f'contract')
    unseen = _unseen(run, dataset)
    policy, generator = run.policy, torch.Generator().manual_seed(_SEED)
    removed = removed_modes(run.config.edit)
    kept = [mode for mode in contract.interface.mode_names if mode not in removed]
    # Episodes without a label may show any mode.
    known, held_out = (dataset.window_frames(split, kept if removed else None)
                       for split in ('train', 'validation'))
    if not len(held_out):
        raise DatasetError(f'expected a held-out episode of {" or ".join(kept)}, since an edit '
                           f'removed {", ".join(removed)}, got none; give a dataset with one')
    frames = _spread(held_out, _WINDOWS)
    windows = _seen(policy, dataset, frames)
    plans = policy.draw(windows.conditions, DRAWS, generator)
    phase = _phases(dataset)[frames]
    horizon = contract.policy.horizon
    errors = {name: (chunk - windows.clean).square().view(len(windows), horizon, -1).mean(2)
              for name, chunk in _ways(plans, windows.clean).items()}
    return {
        'schema': SCHEMA, 'policy': run.config.network.kind, 'weights_sha256': run.sha256,
        'data_sha256': dataset.sha256, 'removed': list(removed), 'windows': len(windows),
        'episodes': len(np.unique(dataset.episode_of(frames))), 'draws': DRAWS,
        'error': {name: float(error.mean()) for name, error in errors.items()},
        'error_by_step': {name: error.mean(0).tolist() for name, error in errors.items()},
        'error_by_phase': {
            name: {'windows': int((phase == i).sum())} | {
                way: float(error[phase == i].mean()) for way, error in errors.items()}
            for i, name in enumerate(PHASES) if (phase == i).any()},
        'likelihood': _likelihood(policy, _seen(policy, dataset, _spread(known, len(windows))),
                                  windows, plans, generator),
        'modes': _modes(policy, dataset, kept, unseen, generator)}


def _unseen(run: Run, dataset: Dataset) -> list[int]:
    """Return the episodes that the run was not trained on; raise if one is held out and not so."""
    trained = {one['digest'] for one in run.config.data.get('episodes', ())
               if one['split'] == 'train'}
    # Of the dataset of an edit only the seeds are known.
    edited = {seed for edit in edits(run.config.edit) if edit['data'].get('sha256') !=
              dataset.sha256 for seed in edit['data']['seeds']}
    held_out = [one for one in dataset.episodes if one.split == 'validation']
    if not held_out:
        raise DatasetError('the dataset has no held-out episode; make it with a --validation '
                           'above 0')
    seen = [one.name for one in held_out if one.digest in trained or one.seed in edited]
    if seen:
        raise CheckpointError(f'the run was trained, or edited, on {len(seen)} of the '
                              f'{len(held_out)} held-out episodes of the dataset, {seen[0]} for '
                              f'one; give the dataset of the training, or one of other episodes')
    return [i for i, one in enumerate(dataset.episodes) if one.digest not in trained
            and one.seed not in edited]


def _spread(frames: Frames, most: int) -> Frames:
    """Return at most `most` of the frames, evenly spread."""
    return frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(int)]


def _seen(policy: Policy, dataset: Dataset, frames: Frames) -> Windows:
    """Return the windows of frames, with the features of their pictures."""
    windows = windows_of_frames(policy.normaliser, dataset, frames)
    features = features_of(policy, dataset, frames)
    return windows if features is None else with_features(windows, features)


def _ways(plans: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Return the first, the mean and the nearest (N, D) of plans (N, draws, D)."""
    nearest = (plans - clean[:, None]).square().sum(2).argmin(1)
    return {'plan': plans[:, 0], 'mean': plans.mean(1),
            'nearest': plans[torch.arange(len(plans)), nearest]}


def _phases(dataset: Dataset) -> Frames:
    """Return the place in `PHASES` of every frame, by the commanded width of a gripper."""
    found = np.full(len(dataset.actions), PHASES.index('other'))
    widths = [dataset.contract.interface.action_slices[one.key]
              for one in dataset.contract.interface.actions if one.kind == 'gripper_width']
    for first, end in zip(dataset.bounds[:-1], dataset.bounds[1:], strict=True):
        part = held(dataset.actions[first:end, widths[0].start]) if len(widths) == 1 else None
        if part is not None:
            found[first:first + part[0]] = 0
            found[first + part[0]:first + part[1]] = 1
            found[first + part[1]:end] = 2
    return found


def _likelihood(policy: Policy, known: Windows, windows: Windows, plans: Tensor,
                generator: torch.Generator) -> dict[str, Any]:
    fitted = _blurred(policy.draw(known.conditions, DRAWS, generator), known.clean)
    best = int(fitted.argmin())
    with torch.no_grad():
        exact = policy.surprise(windows)
    return {'of': policy.likelihood or None,
            'exact': None if exact is None else float(exact.mean()),
            'bound': float(_blurred(plans, windows.clean)[best]), 'width': float(_WIDTHS[best])}


def _blurred(plans: Tensor, clean: Tensor) -> Tensor:
    """Return the negative log-likelihood of chunks under blurred plans, for each width."""
    squares = (plans - clean[:, None]).square().sum(2)
    dim = clean.shape[1]
    return torch.stack([
        (math.log(plans.shape[1]) + dim * math.log(math.sqrt(2.0 * math.pi) * float(width))
         - (-squares / (2.0 * width ** 2)).logsumexp(1)).mean() for width in _WIDTHS])


def _modes(policy: Policy, dataset: Dataset, kept_modes: Sequence[str], unseen: Sequence[int],
           generator: torch.Generator) -> dict[str, Any] | None:
    """Return the figures about kept modes; None unless two are both trained on and held out."""
    interface = dataset.contract.interface
    modes = [mode for mode in kept_modes
             if all(len(dataset.window_frames(split, [mode])) for split in
                    ('train', 'validation'))]
    if len(modes) < 2:
        return None
    modes.sort(key=lambda mode: mode not in interface.desired_modes)
    data, held_out = ({mode: _seen(policy, dataset, _spread(
        dataset.window_frames(split, [mode]), most)) for mode in modes}
        for split, most in (('train', _KNOWN), ('validation', _WINDOWS // len(modes))))
    kept = sum(mode in interface.desired_modes for mode in modes)
    classifier, report = train_classifier(Demonstrated(), data, held_out, kept, _SEED,
                                          balanced=True)
    conditions, labels = joined(list(held_out.values())).conditions, labels_of(held_out)
    planned = _planned(policy, classifier, conditions, generator)
    own = planned.gather(1, labels[:, None])[:, 0]
    return {'names': modes, 'classifier_accuracy': report['accuracy'],
            'accuracy': float(own.mean()),
            'distribution': _distribution(policy, dataset, classifier, modes, unseen, generator)}


@torch.no_grad()
def _planned(policy: Policy, classifier: ModeClassifier, conditions: Tensor,
             generator: torch.Generator) -> Tensor:
    """Return the shares (N, modes) of plans of each mode at conditions (N, C)."""
    plans = policy.draw(conditions, DRAWS, generator).flatten(0, 1)
    found = classifier(conditions.repeat_interleave(DRAWS, 0), plans).argmax(1)
    count = classifier(conditions[:1], plans[:1]).shape[1]
    return torch.nn.functional.one_hot(found, count).float().view(-1, DRAWS, count).mean(1)


def _distribution(policy: Policy, dataset: Dataset, classifier: ModeClassifier,
                  modes: Sequence[str], unseen: Sequence[int],
                  generator: torch.Generator) -> dict[str, Any]:
    """Return how often each mode is planned and demonstrated at one tick of unseen episodes."""
    episodes = [i for i in unseen if dataset.episodes[i].mode in modes]
    labels = torch.tensor([modes.index(dataset.episodes[i].mode or '') for i in episodes])
    ticks = min(dataset.episodes[i].frames for i in episodes)
    for tick in range(ticks):
        windows = _seen(policy, dataset, dataset.bounds[:-1][episodes] + tick)
        with torch.no_grad():
            right = classifier(windows.conditions, windows.clean).argmax(1) == labels
        accuracy = float(right.float().mean())
        if accuracy >= _READABLE:
            break
    starts = windows_of_frames(policy.normaliser, dataset, dataset.bounds[:-1][episodes])
    count = max(1, min(_BINS, len(episodes) // _IN_A_BIN))
    found = centres(starts.conditions, count, torch.Generator().manual_seed(_SEED))
    bins = torch.cdist(starts.conditions, found).argmin(1)
    planned = _planned(policy, classifier, windows.conditions, generator)
    return {'tick': tick, 'seconds': tick * dataset.contract.policy.period_ns * 1e-9,
            'accuracy': accuracy, 'readable': accuracy >= _READABLE,
            'episodes': len(episodes)} | compared(
        planned.numpy(), labels.numpy(), bins.numpy(), DRAWS)
