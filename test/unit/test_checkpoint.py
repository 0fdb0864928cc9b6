# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run is read back as it was, or refused with a sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from learning_toys import toy_config
from safetensors.torch import load_file, save_file

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.tensor_files import load_tensors, save_tensors


@pytest.fixture
def copy(mixed_dir: Path, tmp_path: Path) -> Path:
    """Return a run that a test may damage."""
    return Path(shutil.copytree(mixed_dir, tmp_path / 'run'))


def test_config_is_read_back_as_it_was(dataset: Dataset, tmp_path: Path) -> None:
    config = toy_config(dataset, 7, only_modes=('left',))
    checkpoint.write_config(tmp_path, config)
    found = checkpoint.read_config(tmp_path)
    assert found == config
    assert found.contract.sha256 == config.contract.sha256


def test_run_says_what_it_was_made_of(mixed_dir: Path, dataset: Dataset) -> None:
    data = checkpoint.read_config(mixed_dir).data
    assert data['sha256'] == dataset.sha256
    assert data['seeds'] == list(dataset.seeds)
    assert [episode['digest'] for episode in data['episodes']] == [
        episode.digest for episode in dataset.episodes]


def test_policy_has_the_averaged_weights_and_cannot_be_trained_by_accident(
        mixed_dir: Path) -> None:
    run = checkpoint.load_run(mixed_dir)
    stored = load_file(mixed_dir / 'weights.safetensors')
    for name, tensor in run.policy.named_parameters():
        assert torch.equal(tensor, stored[f'average.{name}'])
        assert not torch.equal(tensor, stored[f'newest.{name}']), name
        assert not tensor.requires_grad
    assert torch.equal(run.policy.normaliser.action_std, stored['newest.normaliser.action_std'])
    assert run.observations.shape == (64, 2, 18)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='is not a training run; .*uncloning train'):
        checkpoint.load_run(tmp_path)


def test_a_run_that_has_not_ended_is_refused(copy: Path) -> None:
    (copy / 'weights.safetensors').unlink()
    with pytest.raises(CheckpointError, match='has not ended.*--resume'):
        checkpoint.load_run(copy)


@pytest.mark.parametrize(('change', 'sentence'), [
    ({'schema': 'uncloning/run@9'}, "expected 'uncloning/run@1', got 'uncloning/run@9'"),
    ({'netwrok': {}}, "unknown key 'netwrok'"),
    ({'network': {'width': 0, 'depth': 2}}, 'network.width: expected'),
    ({'network': {'width': 48, 'dept': 2}}, "missing key 'depth'"),
    ({'network': {'width': 32, 'depth': 2}}, 'does not belong to'),
    ({'training': []}, 'training: expected a mapping'),
])
def test_a_config_that_does_not_fit_is_refused(copy: Path, change: dict[str, object],
                                               sentence: str) -> None:
    path = copy / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=sentence):
        checkpoint.load_run(copy)


def test_a_config_that_is_not_json_is_refused(copy: Path) -> None:
    (copy / 'config.json').write_text('{"schema"')
    with pytest.raises(CheckpointError, match='config.json is not JSON'):
        checkpoint.load_run(copy)


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.999])
def test_truncated_weights_are_refused(copy: Path, share: float) -> None:
    path = copy / 'weights.safetensors'
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(CheckpointError, match='is damaged'):
        checkpoint.load_run(copy)


@pytest.mark.parametrize('name', ['newest.normaliser.lift', 'average.denoiser.context.weight',
                                  'recorded_observations'])
def test_weights_that_lack_something_are_refused(copy: Path, name: str) -> None:
    path = copy / 'weights.safetensors'
    tensors = load_file(path)
    for key in [key for key in tensors if key.partition('.')[2] == name.partition('.')[2]]:
        del tensors[key]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=f'expected {name.partition(".")[2] or name}'):
        checkpoint.load_run(copy)


def test_a_saved_state_that_does_not_fit_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    from uncloning_ros.learning import cloning

    config = toy_config(dataset, 5)
    save_tensors(checkpoint.resume_file(tmp_path),
                 {'generator': torch.zeros(3, dtype=torch.uint8)}, {'step': 1, 'elapsed_s': 0.0})
    with pytest.raises(CheckpointError, match=r'saved state of this run does not fit'):
        cloning.train(dataset, tmp_path, config)


def test_nothing_half_written_remains_when_the_disk_is_full(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open('wb') as file:
            file.write(data[:10])
        raise OSError(28, 'No space left on device', str(self))

    path = checkpoint.resume_file(tmp_path)
    save_tensors(path, {'x': torch.zeros(9)}, {'step': 1})
    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space left'):
        save_tensors(path, {'x': torch.ones(9)}, {'step': 2})
    assert [path.name for path in tmp_path.iterdir()] == ['resume.safetensors']
    tensors, record = load_tensors(path)
    assert record == {'step': 1}
    assert not tensors['x'].any()
