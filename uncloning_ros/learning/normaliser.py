# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Normalisation between the contract's units and the numbers that a network sees.

It is part of every policy and of the exported graph: buffers that are fitted to the
demonstrations once, and that no training and no edit changes.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uncloning_ros.contract import KINDS, Interface, PolicyTiming, Signal

# Limit of a condition (standard deviations): a knock on the force sensor goes no further.
_CONDITION_LIMIT = 5.0
# Floor of the values of a vector, as a share of the largest spread among them: they have one unit.
_LEAST_SHARE = 0.01


class Normaliser(nn.Module):
    """Turn observations into the condition, and chunks into numbers of about unit size and back.

    The condition is each observation of the history, and the position of every other pose
    relative to the anchor, the arm's own pose. Positions of pose actions count from the anchor's
    newest position. Both are one matrix product.
    """

    lift: Tensor
    anchor: Tensor
    condition_mean: Tensor
    condition_std: Tensor
    action_mean: Tensor
    action_std: Tensor
    action_low: Tensor
    action_high: Tensor

    def __init__(self, interface: Interface, timing: PolicyTiming) -> None:
        super().__init__()
        lift, self._condition_floor = _lift(interface)
        chunk = (timing.horizon, interface.action_dim)
        self._action_floor = torch.cat([_floor(signal) for signal in interface.actions])
        self._observed_vectors = _vectors(interface.vectors, interface.observation_slices)
        self._commanded_vectors = _vectors(interface.actions, interface.action_slices)
        self.condition_dim = timing.history * lift.shape[1]
        self.chunk_shape = chunk
        self.register_buffer('lift', lift)
        self.register_buffer('anchor', _anchor(interface))
        self.register_buffer('condition_mean', torch.zeros(lift.shape[1]))
        self.register_buffer('condition_std', torch.ones(lift.shape[1]))
        self.register_buffer('action_mean', torch.zeros(chunk))
        self.register_buffer('action_std', torch.ones(chunk))
        self.register_buffer('action_low', torch.full((math.prod(chunk),), -1.0))
        self.register_buffer('action_high', torch.full((math.prod(chunk),), 1.0))

    def fit(self, observations: Tensor, chunks: Tensor) -> None:
        """Take the statistics of training windows (N, history, obs) and (N, horizon, act)."""
        features = (observations @ self.lift).flatten(0, 1).double()
        self.condition_mean.copy_(features.mean(0))
        self.condition_std.copy_(_spreads(features, self._condition_floor,
                                          self._observed_vectors))
        relative = chunks - self._offset(observations)
        self.action_mean.copy_(relative.double().mean(0))
        self.action_std.copy_(_spreads(relative.double(), self._action_floor,
                                       self._commanded_vectors))
        clean = ((relative - self.action_mean) / self.action_std).flatten(1)
        self.action_low.copy_(clean.amin(0))
        self.action_high.copy_(clean.amax(0))

    def condition(self, observations: Tensor) -> Tensor:
        """Return conditions (B, condition_dim) of observations (B, history, obs_dim)."""
        features = (observations @ self.lift - self.condition_mean) / self.condition_std
        return features.clamp(-_CONDITION_LIMIT, _CONDITION_LIMIT).flatten(1)

    def normalise(self, observations: Tensor, chunks: Tensor) -> Tensor:
        """Return flat normalised chunks (B, horizon * action_dim) of chunks in units."""
        relative = chunks - self._offset(observations)
        return ((relative - self.action_mean) / self.action_std).flatten(1)

    def restore(self, observations: Tensor, clean: Tensor) -> Tensor:
        """Return chunks (B, horizon, action_dim) in units of flat normalised chunks."""
        relative = clean.view(-1, *self.chunk_shape) * self.action_std + self.action_mean
        return relative + self._offset(observations)

    def clamp(self, clean: Tensor) -> Tensor:
        """Return flat normalised chunks held to the range of the demonstrations."""
        return torch.minimum(torch.maximum(clean, self.action_low), self.action_high)

    def _offset(self, observations: Tensor) -> Tensor:
        return observations[:, -1:] @ self.anchor


def _floor(signal: Signal) -> Tensor:
    """Return the smallest spreads (dim,) to divide by: noise is not to be blown up by them.

    Those of a vector follow from its demonstrations; here they are 0.
    """
    floors = KINDS[signal.kind].floors or (0.0,)
    return torch.tensor(floors).expand(signal.dim) if len(floors) == 1 else torch.tensor(floors)


def _vectors(signals: Sequence[Signal], slices: Mapping[str, slice]) -> list[slice]:
    """Return the places of the signals whose kind has no floors."""
    return [slices[signal.key] for signal in signals if not KINDS[signal.kind].floors]


def _spreads(values: Tensor, floors: Tensor, vectors: Sequence[slice]) -> Tensor:
    """Return the standard deviations of values (N, ..., dim), none below its floor.

    A vector that never changed divides by 1: any number is as good.
    """
    found = values.std(0)
    least = floors.to(found.dtype).expand_as(found).clone()
    for part in vectors:
        widest = found[..., part].max()
        least[..., part] = _LEAST_SHARE * widest if widest > 0 else 1.0
    return torch.maximum(found, least)


def _pose_starts(interface: Interface) -> list[int]:
    """Return the first places of the observed poses, the arm's pose before the others."""
    poses = [signal.key for signal in interface.observations if signal.kind == 'pose']
    poses.sort(key=lambda key: key != interface.arm_pose_key)
    return [interface.observation_slices[key].start for key in poses]


def _lift(interface: Interface) -> tuple[Tensor, Tensor]:
    """Return the matrix (obs, features) that appends relative positions, and the floors."""
    dim = interface.observation_dim
    anchor, *others = _pose_starts(interface) or [0]
    lift = torch.cat([torch.eye(dim), torch.zeros(dim, 3 * len(others))], dim=1)
    for i, start in enumerate(others):
        place = slice(dim + 3 * i, dim + 3 * i + 3)
        lift[start:start + 3, place] += torch.eye(3)
        lift[anchor:anchor + 3, place] -= torch.eye(3)
    floors = [_floor(signal) for signal in interface.vectors]
    return lift, torch.cat([*floors, torch.full((3 * len(others),), KINDS['pose'].floors[0])])


def _anchor(interface: Interface) -> Tensor:
    """Return the matrix (obs, act) that copies the anchor's position to those of pose actions."""
    matrix = torch.zeros(interface.observation_dim, interface.action_dim)
    starts = _pose_starts(interface)
    for signal in interface.actions:
        if signal.kind == 'pose' and starts:
            place = interface.action_slices[signal.key].start
            matrix[starts[0]:starts[0] + 3, place:place + 3] = torch.eye(3)
    return matrix
