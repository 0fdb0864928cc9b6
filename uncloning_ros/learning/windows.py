# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of a dataset as a network sees them: conditions and clean chunks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.demos.dataset.key_poses import intents
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.learning.normaliser import Normaliser


@dataclass(frozen=True)
class Windows:
    """Windows in the units of a normaliser: conditions (N, C), flat clean chunks (N, D).

    With cameras the conditions have features behind them, unless it is said that they lack them.
    `intents` (N, modes + 27) are those of `demos.dataset.key_poses`, None where no one knows them.
    """

    conditions: Tensor
    clean: Tensor
    intents: Tensor | None = None

    def __len__(self) -> int:
        return len(self.clean)

    def picked(self, picks: Tensor) -> 'Windows':
        """Return the windows of some indices (B,)."""
        return Windows(self.conditions[picks], self.clean[picks],
                       None if self.intents is None else self.intents[picks])


@dataclass(frozen=True)
class Looked:
    """The features (N, F) of the pictures of some frames (N,), which rise."""

    frames: Frames
    features: Tensor


def joined(parts: Sequence[Windows]) -> Windows:
    """Return the windows of all parts, one after another."""
    intents = [part.intents for part in parts if part.intents is not None]
    return Windows(torch.cat([part.conditions for part in parts]),
                   torch.cat([part.clean for part in parts]),
                   torch.cat(intents) if len(intents) == len(parts) else None)


def tensors_of_frames(dataset: Dataset, frames: Frames) -> tuple[Tensor, Tensor]:
    """Return observations (N, history, obs_dim) and chunks (N, horizon, act_dim), float32.

    They are in the contract's units.
    """
    observations, chunks = dataset.gather(frames)
    return (torch.as_tensor(observations, dtype=torch.float32),
            torch.as_tensor(chunks, dtype=torch.float32))


def to_windows(normaliser: Normaliser, observations: Tensor, chunks: Tensor) -> Windows:
    """Return the windows of what `tensors_of_frames` returns."""
    return Windows(normaliser.condition(observations),
                   normaliser.normalise(observations, chunks))


def dataset_windows(normaliser: Normaliser, dataset: Dataset, split: str,
                    modes: Sequence[str] | None, looked: Looked | None = None) -> Windows:
    """Return the windows of a split and of some modes of a dataset.

    With cameras they are those of the frames that were `looked` at; None without cameras.
    """
    return windows_of_frames(normaliser, dataset, dataset.window_frames(split, modes), looked)


def windows_outside_spans(normaliser: Normaliser, dataset: Dataset, split: str,
                          looked: Looked | None = None) -> Windows:
    """Return the windows outside of the spans of labels; see `dataset_windows`."""
    return windows_of_frames(normaliser, dataset,
                             dataset.frames_without_mode(split, labelled=True), looked)


def windows_of_frames(normaliser: Normaliser, dataset: Dataset, frames: Frames,
                      looked: Looked | None = None) -> Windows:
    """Return the windows of some frames of a dataset; see `dataset_windows`."""
    windows = with_intents(to_windows(normaliser, *tensors_of_frames(dataset, frames)), dataset,
                           frames)
    if looked is None:
        return windows
    there = np.flatnonzero(np.isin(frames, looked.frames))
    rows = np.searchsorted(looked.frames, frames[there])
    return with_features(windows.picked(torch.from_numpy(there)), looked.features[rows])


def with_features(windows: Windows, features: Tensor) -> Windows:
    """Return windows that lack their features with these (N, F)."""
    return replace(windows, conditions=torch.cat([windows.conditions, features], 1))


def with_intents(windows: Windows, dataset: Dataset, frames: Frames) -> Windows:
    """Return the windows of some frames with the intents that the dataset shows."""
    found = intents(dataset, frames)
    return windows if found is None else replace(windows, intents=torch.from_numpy(found))


def windows_by_mode(normaliser: Normaliser, dataset: Dataset, split: str, modes: Sequence[str],
                    looked: Looked | None = None) -> dict[str, Windows]:
    """Return the windows of each mode, in the order of `modes`; see `dataset_windows`."""
    return {mode: dataset_windows(normaliser, dataset, split, [mode], looked)
            for mode in modes}
