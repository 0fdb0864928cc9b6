# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What several tests share: bags, and what is learned from toys; made once, changed by none."""

import sys
from collections.abc import Iterator
from pathlib import Path

import episodes
import pytest
from bag_files import copy

from uncloning_ros.demos.bags.writer import EpisodeWriter

# The comparison of methods, for processes that the tests start as well.
sys.path.append(str(Path(__file__).resolve().parents[2] / 'bench'))

# The toys need torch, which only some of the tests do; they are imported where they are used.


@pytest.fixture(scope='session')
def handover(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one good bag; tests that change it copy it."""
    return episodes.write(tmp_path_factory.mktemp('good'), episodes.handover())


@pytest.fixture
def copied(handover: Path, tmp_path: Path) -> Path:
    """Return a copy of the good bag, to be changed."""
    return copy(handover, tmp_path / handover.name)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[EpisodeWriter]:
    """Return what writes one episode."""
    with EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA) as writer:
        yield writer


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the toy dataset."""
    from learning_toys import toy_dataset

    folder = tmp_path_factory.mktemp('toy') / 'data'
    toy_dataset(folder)
    return folder


@pytest.fixture(scope='session')
def dataset(data_dir: Path) -> object:
    """Return the toy dataset."""
    from uncloning_ros.demos.dataset.store import load_dataset

    return load_dataset(data_dir)


@pytest.fixture(scope='session')
def mixed_dir(dataset: object, data_dir: Path) -> Path:
    """Return the folder of a run that was cloned from both modes of the toy dataset."""
    from learning_toys import train_toy

    train_toy(dataset, data_dir.parent / 'mixed', 1500)
    return data_dir.parent / 'mixed'


@pytest.fixture(scope='session')
def seen(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Return the toy dataset with pictures."""
    from camera_toys import camera_dataset

    return camera_dataset(tmp_path_factory.mktemp('seen') / 'data')


@pytest.fixture(scope='session')
def seen_dir(seen: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that was cloned from both modes of the dataset with pictures."""
    from camera_toys import train_camera

    folder = tmp_path_factory.mktemp('seen_run') / 'mixed'
    train_camera(seen, folder, 300)
    return folder


@pytest.fixture(scope='session')
def seen_onnx(seen_dir: Path) -> Path:
    """Return the exported policy of that run."""
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.export import export

    path = seen_dir.parent / 'seen.onnx'
    export(load_run(seen_dir), path)
    return path


@pytest.fixture(scope='session')
def mixed_onnx(mixed_dir: Path) -> Path:
    """Return the exported policy of that run."""
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.export import export

    path = mixed_dir.parent / 'mixed.onnx'
    export(load_run(mixed_dir), path, development_seeds=(7, 8))
    return path
