# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Doubt: how unlike the training observations a condition is, as a head of an exported policy.

The training conditions are described by a mixture of Gaussians. The doubt is the squared
Mahalanobis distance from the nearest of them, and how far each observed value lies beyond its
range in all of them. Each Gaussian covers one phase of the task, within which observations hang
together tightly: while the tool is held its pose follows from that of the arm, so a few cm count
that are nothing over the whole task. A distance is a mean over many directions, in which a hand
alone that is in a strange place hardly counts; its range finds it. The head takes what the policy
takes, features of pictures included, so it fits every class of policy. It is fitted in seconds,
without a step of training. A run does not have it, so an edited run is given a new one. Hidden
information is the other kind of doubt (`learning.hidden`); a file has it where the demonstrations
do.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from uncloning_ros.contract import HAND_KEY, DoubtStop, require_same_interface
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning.checkpoint import Run
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.hidden import DoubtOfBoth, lacks, with_hidden
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.seeing import features_of
from uncloning_ros.learning.windows import tensors_of_frames
from uncloning_ros.runtime.doubt import Box, DoubtRecord, Hidden, Lasting

_DIRECTIONS = 64  # most directions of the conditions along which Gaussians are fitted
_GAUSSIANS = 32  # most; each has at least as many windows as ten for each direction
_FLOOR = 1e-4  # least variance along a direction, where a condition has a variance of 1
_ROUNDS = 15  # of k-means
_FRAMES = 36_000  # most windows that the head is fitted to: neighbours hardly differ
_SHARPNESS = 20.0  # of the softmax that picks the nearest Gaussian
_RARE = 0.001  # share of the values that a box leaves out at each end
_BEYOND = 8.0  # doubt of a value that lies, all the time, beyond its range by half of that
_NARROW = 0.05  # least half of a range, where a condition has a variance of 1


class DoubtHead(nn.Module):
    """Turn conditions (B, C) into doubts (B, 1), with operators that any policy's graph has."""

    mean: Tensor
    directions: Tensor
    whitening: Tensor
    offset: Tensor
    outside: Tensor
    share: Tensor
    share_outside: Tensor
    all_gaussians: Tensor
    low: Tensor
    high: Tensor
    beyond: Tensor

    def __init__(self, mean: Tensor, directions: Tensor, centres: Tensor, whitening: Tensor,
                 outside: Tensor, low: Tensor, high: Tensor, beyond: Tensor) -> None:
        """Take the mean (C,) of conditions, and orthogonal directions (C, R) of their spread.

        `centres` (K, R) and whitening matrices (K, R, R) are those of the Gaussians along these;
        `outside` (C, C) whitens a condition's part outside of all directions. `low` and `high`
        (C,) are the range of each value, `beyond` (C, 1) the doubt for each unit beyond it.
        """
        super().__init__()
        count, size = centres.shape
        self._shape = (-1, count, size)
        self.register_buffer('mean', mean)
        self.register_buffer('directions', directions)
        self.register_buffer('whitening', whitening.permute(1, 0, 2).reshape(size, -1))
        self.register_buffer('offset', torch.einsum('kr,krs->ks', centres, whitening).flatten())
        self.register_buffer('outside', outside)
        self.register_buffer('share', torch.full((size, 1), 1.0 / len(mean)))
        self.register_buffer('share_outside', torch.full((len(mean), 1), 1.0 / len(mean)))
        self.register_buffer('all_gaussians', torch.ones(count, 1))
        self.register_buffer('low', low)
        self.register_buffer('high', high)
        self.register_buffer('beyond', beyond)

    def forward(self, conditions: Tensor) -> Tensor:
        """Return doubts (B, 1): about 1 or less within the demonstrations."""
        centred = conditions - self.mean
        white = centred @ self.directions @ self.whitening - self.offset
        distances = ((white * white).reshape(self._shape) @ self.share).flatten(1)
        # No operator of the graph finds a minimum: a softmax picks the least distance.
        nearest = (-_SHARPNESS * distances).softmax(1)
        outside = centred @ self.outside
        beyond = (torch.maximum(conditions, self.high) - self.high
                  + self.low - torch.minimum(conditions, self.low))
        return ((nearest * distances) @ self.all_gaussians
                + (outside * outside) @ self.share_outside + beyond @ self.beyond)


def with_doubt(run: Run, dataset: Dataset, stop: DoubtStop) -> tuple[Run, DoubtRecord]:
    """Return the run with a head for doubt and a deployment that asks for it, and its record.

    The head is fitted to the training windows, but for those of modes that edits removed. Raise
    `CheckpointError` for a dataset of another timing, `ContractError` for another interface,
    `DatasetError` without training windows.
    """
    ours, theirs = run.config.contract, dataset.contract
    require_same_interface(ours.interface, theirs.interface, 'the dataset')
    if ours.policy != theirs.policy:
        raise CheckpointError(f'the run was trained for {ours.policy}, the dataset was built for '
                              f'{theirs.policy}; build the dataset with the same contract')
    frames = _frames(run, dataset, 'train')
    if not len(frames):
        raise DatasetError('the dataset has no training episode of a mode that the policy keeps; '
                           'give the dataset of the training')
    frames = frames[::1 + len(frames) // _FRAMES]
    policy = copy.deepcopy(run.policy)
    conditions = conditions_of(policy, dataset, frames)
    head = fitted(conditions, policy.normaliser.condition_dim, ours.policy.history)
    policy.doubt, saved_cm = with_hidden(head, policy.normaliser, dataset, frames, conditions)
    hidden = None if saved_cm is None else Hidden(HAND_KEY, round(saved_cm, 1))
    contract = replace(ours, deployment=replace(ours.deployment, doubt=stop))
    return (replace(run, policy=policy, config=replace(run.config, contract=contract)),
            DoubtRecord(_boxes(dataset, frames), hidden=hidden))


def lacks_for_hidden(run: Run, dataset: Dataset) -> str:
    """Return in words why hidden information is not looked for, '' where it is."""
    return lacks(dataset, _frames(run, dataset, 'train'))


@torch.no_grad()
def conditions_of(policy: Policy, dataset: Dataset, frames: Frames) -> Tensor:
    """Return the conditions (N, C) of frames (N,), features of pictures included."""
    observations, _ = tensors_of_frames(dataset, frames)
    conditions, features = policy.normaliser.condition(observations), features_of(
        policy, dataset, frames)
    return conditions if features is None else torch.cat([conditions, features], 1)


@torch.no_grad()
def fitted(conditions: Tensor, observed: int, history: int) -> DoubtHead:
    """Return the head that finds conditions (N, C) likely.

    The first `observed` values are observations, of `history` moments; each of them may lie
    beyond its range. The others are features of pictures, whose ranges mean nothing.
    """
    mean = conditions.mean(0)
    centred = conditions - mean
    _, axes = torch.linalg.eigh(centred.double().T @ centred.double())
    used = axes.flip(1)[:, :_DIRECTIONS].float()
    reduced = centred @ used
    centres, nearest = _k_means(reduced, max(1, min(_GAUSSIANS,
                                                    len(reduced) // (10 * used.shape[1]))))
    middles, whitening = [], []
    for one in range(len(centres)):
        members = reduced[nearest == one].double()
        if not len(members):
            continue
        middle = members.mean(0)
        spread = (members - middle).T @ (members - middle) / len(members)
        variances, own_axes = torch.linalg.eigh(spread)
        middles.append(middle.float())
        whitening.append((own_axes / (variances.clamp(min=0.0) + _FLOOR).sqrt()).float())
    outside = torch.eye(len(mean)) - used @ used.T
    rest = (centred @ outside).square().sum(1).mean() / max(1, len(mean) - used.shape[1])
    low, high = (torch.tensor(np.quantile(conditions.numpy(), at, axis=0), dtype=torch.float32)
                 for at in (_RARE, 1.0 - _RARE))
    half = ((high - low) / 2).clamp(min=_NARROW)[:, None]
    each = torch.where(torch.arange(len(mean))[:, None] < observed, _BEYOND / history / half, 0.0)
    return DoubtHead(mean, used, torch.stack(middles), torch.stack(whitening),
                     outside / (rest + _FLOOR).sqrt(), low, high, each)


def recorded_scores(run: Run, dataset: Dataset, after_s: float) -> list[float]:
    """Return the greatest doubt that lasted in each held-out episode of a mode that is kept.

    Its observations are judged at the ticks at which a policy would plan. Hidden information takes
    no part: nothing tells the episodes in which it was right to ask.
    """
    timing, scores = run.config.contract.policy, []
    frames = _frames(run, dataset, 'validation')
    episodes = dataset.episode_of(frames)
    head = run.policy.doubt
    if isinstance(head, DoubtOfBoth):
        head = head.strange
    assert head is not None, 'a run with a head'
    for episode in np.unique(episodes):
        planned = frames[episodes == episode][::timing.execute]
        lasting = Lasting(round(after_s * 1e9), timing.period_ns * timing.execute // 2)
        doubts = head(conditions_of(run.policy, dataset, planned))[:, 0].tolist()
        heard = [lasting.hear(doubt, i * timing.execute * timing.period_ns)
                 for i, doubt in enumerate(doubts)]
        scores.append(max((one for one in heard if one is not None), default=0.0))
    return scores


def _frames(run: Run, dataset: Dataset, split: str) -> Frames:
    """Return the frames of a split that the policy was trained on and may still follow."""
    removed = removed_modes(run.config.edit)
    only = run.config.training.only_modes
    modes = [mode for mode in only or dataset.contract.interface.mode_names
             if mode not in removed]
    parts = [dataset.window_frames(split, modes)]
    if not only:
        parts.append(dataset.frames_without_mode(split))
    return np.sort(np.concatenate(parts))


def _boxes(dataset: Dataset, frames: Frames) -> dict[str, Box]:
    """Return the range of each value of each signal in some frames."""
    interface, seen = dataset.contract.interface, dataset.observations[frames]
    low, high = np.quantile(seen, [_RARE, 1.0 - _RARE], axis=0).round(5)
    return {signal.key: Box(tuple(low[part].tolist()), tuple(high[part].tolist()))
            for signal in interface.vectors
            for part in [interface.observation_slices[signal.key]]}


def _k_means(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return centres (count, R), and the index of the nearest to each point (N, R)."""
    generator = torch.Generator().manual_seed(0)
    centres = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(_ROUNDS):
        nearest = torch.cat([torch.cdist(some, centres).argmin(1) for some in points.split(4096)])
        members = torch.bincount(nearest, minlength=count)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = torch.where(members > 0, sums / members.clamp(min=1), centres)
    return centres, nearest
