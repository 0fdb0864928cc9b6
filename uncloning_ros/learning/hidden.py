# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hidden information: demonstrators who knew where the hand would go, before it was observed.

A clone of them rolls dice. They gave it away by their commands: with these beside the observations
the later place of the hand is predicted better than from the observations alone. It is
assumed that the arm does not cause that place, so a free choice, of the mode for example, tells
nothing of it. The place is the farthest that the hand reaches later in the episode, whenever that
is: a command tells much of the time of things, and none of that is hidden information.

Both predictions are fitted to one half of the episodes and made for the other one. Their squared
distance is fitted again, as a function of the newest observations: that is the head. It is used
only where the last commands of chunks save that much of the squared error, in episodes that both
predictions have not seen. The distance tells the same as the error that is saved, with less noise,
but is never below 0.
"""

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uncloning_ros.contract import HAND_KEY
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.geometry import Array
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import tensors_of_frames
from uncloning_ros.runtime.doubt import HIDDEN_FROM

_WIDTH, _BATCH, _STEPS = 64, 256, 600
_RATE, _DECAY = 4e-3, 1e-2
_EPISODES = 32  # least number: a quarter of them confirms, and less than 8 are chance
_FRAMES = 12_000  # most windows of a fit
_AHEAD = 500  # most places of an episode that are looked at
_TOP = 0.25  # share of the episodes, those with the largest prediction, that have to confirm it
# Error (cm) that the commands save. It was up to 7 without hidden information, for it is never
# quite sure when the hand comes and goes.
_LEAST_CM = 10.0
_SURE = 4.0  # standard errors by which what they confirm is above 0
_HIDDEN = 0.25  # share of what was confirmed, below which a prediction is an error of the fit
_STEP = 1e-6  # share from there on which all counts: on the slope two runtimes differ by rounding
_MOST_SHARE = 100.0
_STRANGEST = 0.5 * HIDDEN_FROM


class _Fit(nn.Module):
    """A small network that was fitted to values (N, V) at inputs (N, I), by squared errors."""

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: Tensor, values: Tensor) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._layers = nn.Sequential(
                nn.Linear(inputs.shape[1], _WIDTH), nn.SiLU(), nn.Linear(_WIDTH, _WIDTH),
                nn.SiLU(), nn.Linear(_WIDTH, values.shape[1]))
        self.register_buffer('mean', values.mean(0))
        self.register_buffer('scale', values.std().clamp(min=1e-6))
        generator = torch.Generator().manual_seed(0)
        adamw = torch.optim.AdamW(self.parameters(), _RATE, weight_decay=_DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, _RATE, total_steps=_STEPS)
        wanted = (values - self.mean) / self.scale
        for _ in range(_STEPS):
            picks = torch.randint(len(inputs), (_BATCH,), generator=generator)
            loss = (self._layers(inputs[picks]) - wanted[picks]).square().mean()
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            schedule.step()
        self.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the values (B, V) at inputs (B, I)."""
        found: Tensor = self._layers(inputs) * self.scale + self.mean
        return found


class DoubtOfBoth(nn.Module):
    """Turn conditions (B, C) into doubts (B, 1): from `HIDDEN_FROM` on about hidden information.

    `saved` predicts the error (cm^2) that the commands save, from a condition without its first
    `older` values.
    """

    def __init__(self, strange: nn.Module, saved: nn.Module, older: int, most_cm2: float) -> None:
        super().__init__()
        self.strange, self._saved, self._older, self._most_cm2 = strange, saved, older, most_cm2

    def forward(self, conditions: Tensor) -> Tensor:
        """Return strangeness below `HIDDEN_FROM`, or hidden information above it."""
        share = self._saved(conditions[:, self._older:]) / self._most_cm2
        # A step, as steep as a slope can be: there is little between known and hidden.
        found = ((share - _HIDDEN) / _STEP).clamp(0.0, 1.0)
        hidden = HIDDEN_FROM * found * (1.0 + share.clamp(0.0, _MOST_SHARE))
        return torch.maximum(self.strange(conditions).clamp(0.0, _STRANGEST), hidden)


def lacks(dataset: Dataset, frames: Frames) -> str:
    """Return in words why hidden information is not looked for in frames (N,), '' where it is."""
    if not any(one.key == HAND_KEY and one.kind == 'pose'
               for one in dataset.contract.interface.vectors):
        return f'no pose {HAND_KEY} is observed'
    count = len(np.unique(dataset.episode_of(frames)))
    return '' if count >= _EPISODES else f'it takes {_EPISODES} training episodes, got {count}'


def with_hidden(strange: nn.Module, normaliser: Normaliser, dataset: Dataset, frames: Frames,
                conditions: Tensor) -> tuple[nn.Module, float | None]:
    """Return the head for both kinds of doubt, and the error in cm that the commands save.

    Without hidden information, or where it `lacks` something, return `strange` and None.
    `conditions` (N, C) are those of `frames` (N,).
    """
    if lacks(dataset, frames):
        return strange, None
    timing = dataset.contract.policy
    places = dataset.contract.interface.observation_slices[HAND_KEY]
    picks = slice(None, None, 1 + len(frames) // _FRAMES)
    frames, episodes = frames[picks], dataset.episode_of(frames[picks])
    hand_cm = 100.0 * dataset.observations[:, places][:, :3].astype(np.float64)
    goals = torch.from_numpy(_later_places(hand_cm, dataset.bounds)[frames]).float()
    older = normaliser.condition_dim // timing.history * (timing.history - 1)
    newest = conditions[picks, older:]
    clean = normaliser.normalise(*tensors_of_frames(dataset, frames))
    told = torch.cat([newest, clean[:, -dataset.contract.interface.action_dim:]], 1)
    # One half of the episodes is judged by the other one.
    of = np.unique(episodes, return_inverse=True)[1]
    second = torch.from_numpy((np.random.default_rng(0).permutation(of.max() + 1) % 2 == 1)[of])
    saved, between, predicted = (torch.zeros(len(frames), 1) for _ in range(3))
    for half in (second, ~second):
        unseen = _Fit(newest[~half], goals[~half])(newest[half])
        seen = _Fit(told[~half], goals[~half])(told[half])
        saved[half] = ((unseen - goals[half]).square() - (seen - goals[half]).square()).sum(
            1, keepdim=True)
        between[half] = (unseen - seen).square().sum(1, keepdim=True)
    for half in (second, ~second):
        predicted[half] = _Fit(newest[~half], between[~half])(newest[half])
    most_cm2 = _confirmed(predicted[:, 0].numpy(), saved[:, 0].numpy(), episodes)
    if most_cm2 is None:
        return strange, None
    return (DoubtOfBoth(strange, _Fit(newest, between), older, most_cm2), math.sqrt(most_cm2))


def _confirmed(predicted: Array, saved: Array, episodes: NDArray[np.int64]) -> float | None:
    """Return the mean error (cm^2) saved where most is predicted; None if it may be chance."""
    peaks = np.array([np.flatnonzero(episodes == one)[predicted[episodes == one].argmax()]
                      for one in np.unique(episodes)])
    top = saved[peaks[np.argsort(-predicted[peaks])][:math.ceil(_TOP * len(peaks))]]
    mean, error = float(top.mean()), float(top.std(ddof=1)) / math.sqrt(len(top))
    return mean if mean > max(_LEAST_CM ** 2, _SURE * error) else None


def _later_places(hand: Array, bounds: Frames) -> Array:
    """Return for each frame the place (3,) farthest from the hand's, from there to the end."""
    found = np.empty_like(hand)
    for first, end in itertools.pairwise(bounds):
        part = hand[first:end]
        ahead = np.append(np.arange(0, len(part) - 1, 1 + len(part) // _AHEAD), len(part) - 1)
        away = np.square(part[:, None] - part[None, ahead]).sum(2)
        away[np.arange(len(part))[:, None] > ahead] = -1.0
        found[first:end] = part[ahead[away.argmax(1)]]
    return found
