# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy learns from pictures what its vectors do not tell, and is edited and exported so."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from camera_toys import camera_dataset, train_camera
from safetensors.torch import load_file

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.seeing import pictures_of


@pytest.fixture(scope='module')
def seen(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return the toy dataset with pictures."""
    return camera_dataset(tmp_path_factory.mktemp('seen') / 'data')


@pytest.fixture(scope='module')
def run_dir(seen: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was cloned from both modes."""
    folder = tmp_path_factory.mktemp('seen_run') / 'mixed'
    train_camera(seen, folder, 700)
    return folder


def planned(folder: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    policy, frames = load_run(folder).policy, dataset.window_frames('validation')
    observations, chunks = map(torch.from_numpy, dataset.gather(frames))
    noise = torch.randn(len(frames), *policy.normaliser.chunk_shape,
                        generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = policy(observations, noise, *pictures_of(policy.cameras, dataset, frames))
    return found[:, 0, :3].numpy(), chunks[:, 0, :3].numpy()


def test_a_policy_learns_from_pictures(seen: Dataset, run_dir: Path) -> None:
    found, shown = planned(run_dir, seen)
    print(np.abs(found-shown).mean(0), shown.std(0))
