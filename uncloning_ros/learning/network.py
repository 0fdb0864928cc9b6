# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy network: units to features, a residual MLP that denoises, features to units.

Everything that stands between the contract's units and the weights is part of the module, as
buffers that no training and no edit touches, so that the exported graph has it too.
"""

import math

import torch
from torch import Tensor, nn

from uncloning_ros.contract import KINDS, Interface, PolicyTiming, Signal
from uncloning_ros.learning.generative import sample

# Beyond so many standard deviations a condition says nothing more (a knock on the force sensor).
_CONDITION_LIMIT = 5.0

_LEVEL_FEATURES = 64

# About a million parameters: 13 ms for an update of 256 windows on two cores, and an exported
# file of 4 MiB.
WIDTH, DEPTH = 256, 6


class Normaliser(nn.Module):
    """Turn observations into the condition, and chunks into numbers of about unit size and back.

    The condition is each observation of the history and, beside it, where every other pose
    lies from the anchor, the arm's own pose. Positions of pose actions count from the anchor's
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
        self.condition_std.copy_(torch.maximum(features.std(0), self._condition_floor))
        relative = chunks - self._offset(observations)
        self.action_mean.copy_(relative.double().mean(0))
        self.action_std.copy_(torch.maximum(relative.double().std(0), self._action_floor))
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


class _Block(nn.Module):
    """Add a two-layer correction, computed from the normalised state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the corrected hidden state (B, width)."""
        return hidden + self.down(nn.functional.silu(self.up(self.norm(hidden))))


class Denoiser(nn.Module):
    """A residual MLP from noisy chunk, noise level and condition to the clean chunk."""

    frequencies: Tensor

    def __init__(self, condition_dim: int, chunk_dim: int, width: int, depth: int) -> None:
        super().__init__()
        # From half a turn over the whole range of levels to ten turns.
        turns = torch.logspace(math.log10(0.5), 1.0, _LEVEL_FEATURES // 2)
        self.register_buffer('frequencies', 2 * math.pi * turns, persistent=False)
        self.from_chunk = nn.Linear(chunk_dim, width)
        self.from_condition = nn.Linear(condition_dim, width)
        self.from_level = nn.Linear(_LEVEL_FEATURES, width)
        self.context = nn.Linear(width, width)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.to_chunk = nn.Linear(width, chunk_dim)

    def forward(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Return clean chunks (B, D) seen in noisy ones (B, D) at levels (B,) or (1,)."""
        phase = level[:, None] * self.frequencies
        level_features = torch.cat([phase.sin(), phase.cos()], dim=1)
        context = nn.functional.silu(self.from_condition(condition)
                                     + self.from_level(level_features))
        hidden = self.from_chunk(noisy) + self.context(context)
        for block in self.blocks:
            hidden = block(hidden)
        return self.to_chunk(self.norm(hidden))


class Policy(nn.Module):
    """The whole policy: observation history and noise in, action chunk out, in units."""

    def __init__(self, interface: Interface, timing: PolicyTiming, width: int,
                 depth: int) -> None:
        super().__init__()
        self.normaliser = Normaliser(interface, timing)
        self.denoiser = Denoiser(self.normaliser.condition_dim,
                                 math.prod(self.normaliser.chunk_shape), width, depth)

    def clean(self, noisy: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        """Return the predicted clean chunks (B, D), held to the demonstrations' range.

        This is what the sampler works with; training compares the unheld prediction.
        """
        return self.normaliser.clamp(self.denoiser(noisy, level, condition))

    def forward(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Return action chunks (B, horizon, action_dim), float32, in the contract's units.

        `observation` is (B, history, obs_dim), oldest first; `noise` is standard normal,
        (B, horizon, action_dim). The same noise gives the same chunk.
        """
        condition = self.normaliser.condition(observation)
        clean = sample(lambda x, level: self.clean(x, level, condition), noise.flatten(1))
        return self.normaliser.restore(observation, clean)


def _floor(signal: Signal) -> Tensor:
    """Return the smallest spreads (dim,) to divide by: noise is not to be blown up by them."""
    floors = KINDS[signal.kind].floors
    return torch.tensor(floors).expand(signal.dim) if len(floors) == 1 else torch.tensor(floors)


def _pose_starts(interface: Interface) -> list[int]:
    """Return where the observed poses begin, the arm's first."""
    poses = [signal.key for signal in interface.observations if signal.kind == 'pose']
    poses.sort(key=lambda key: key != interface.arm_pose_key)
    return [interface.observation_slices[key].start for key in poses]


def _lift(interface: Interface) -> tuple[Tensor, Tensor]:
    """Return the matrix (obs, features) that appends relative positions, and the floors."""
    dim = interface.observation_dim
    anchor, *others = _pose_starts(interface) or [0]
    lift = torch.cat([torch.eye(dim), torch.zeros(dim, 3 * len(others))], dim=1)
    for i, start in enumerate(others):
        for axis in range(3):
            lift[start + axis, dim + 3 * i + axis] = 1.0
            lift[anchor + axis, dim + 3 * i + axis] = -1.0
    floors = [_floor(signal) for signal in interface.observations]
    return lift, torch.cat([*floors, torch.full((3 * len(others),), KINDS['pose'].floors[0])])


def _anchor(interface: Interface) -> Tensor:
    """Return the matrix (obs, act) that puts the anchor's position where pose actions have it."""
    matrix = torch.zeros(interface.observation_dim, interface.action_dim)
    starts = _pose_starts(interface)
    for signal in interface.actions:
        if signal.kind == 'pose' and starts:
            where = interface.action_slices[signal.key].start
            for axis in range(3):
                matrix[starts[0] + axis, where + axis] = 1.0
    return matrix
