# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy learns from pictures what its vectors do not tell; an edit leaves its eyes alone."""

import dataclasses
import json
import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from camera_toys import FRONT, WRIST, camera_config, camera_contract, train_camera
from learning_toys import FRAMES, toy_contract
from numpy.typing import NDArray
from safetensors.torch import load_file

from uncloning_ros.cli import optimisation
from uncloning_ros.cli.main import main
from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.demos.dataset import retargeting
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.errors import CheckpointError, ContractError, UncloningError
from uncloning_ros.learning import checkpoint, cloning, seeing, uncloning
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.encoder import FEATURES, Encoder
from uncloning_ros.learning.options import (
    CAMERA_TRAINING,
    EDIT,
    METHODS,
    SELF_DISTILLATION,
    TRAINING,
    PictureOptions,
)
from uncloning_ros.learning.seeing import features_of, pictures_of, varied
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Looked, dataset_windows
from uncloning_ros.schema import plain

Offsets = NDArray[np.float32]


def planned(folder: Path, dataset: Dataset, pictures_from: int = 0) -> tuple[Offsets, Offsets]:
    """Return where (m) from the tool the planned and the shown targets are, (N, 3).

    The policy sees the pictures of frames `pictures_from` further on.
    """
    policy, frames = load_run(folder).policy, dataset.window_frames('validation')
    observations, chunks = map(torch.from_numpy, dataset.gather(frames))
    noise = torch.randn(len(frames), *policy.normaliser.chunk_shape,
                        generator=torch.Generator().manual_seed(0))
    pictures = pictures_of(policy.cameras, dataset, np.roll(frames, pictures_from))
    with torch.no_grad():
        found = policy(observations, noise, *pictures)
    here = observations[:, -1, :3]
    return (found[:, 0, :3] - here).numpy(), (chunks[:, 0, :3] - here).numpy()


def encoder_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the encoders, averaged and newest."""
    weights = load_file(folder / 'weights.safetensors')
    return {name: tensor for name, tensor in weights.items() if '.eyes.' in name}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_policy_learns_from_pictures_what_the_vector_does_not_tell(
        seen: Dataset, seen_dir: Path) -> None:
    found, shown = planned(seen_dir, seen)
    assert np.abs(found - shown)[:, 1:].mean(0).max() < 0.012
    assert 0.3 < (found[:, 0] > 0).mean() < 0.7  # both modes
    # Blobs are anywhere within 0.1 m: with pictures of other episodes the place is a guess.
    found, shown = planned(seen_dir, seen, pictures_from=FRAMES)
    assert np.abs(found - shown)[:, 1:].mean(0).min() > 0.03


def test_ctrl_c_and_resume_with_pictures_give_the_weights_of_a_straight_run(
        seen: Dataset, tmp_path: Path) -> None:
    config = train_camera(seen, tmp_path / 'straight', 16)
    broken = tmp_path / 'broken'
    broken.mkdir()
    checkpoint.write_config(broken, config)
    for stop in (5, 14):
        assert not cloning.train(seen, broken, config, lambda step, stop=stop: step == stop
                                 and signal.raise_signal(signal.SIGINT)).ended
    assert cloning.train(seen, broken, config).ended
    assert same(*(load_file(folder / 'weights.safetensors')
                  for folder in (tmp_path / 'straight', broken)))


def test_other_pictures_and_another_seed_give_other_weights(seen: Dataset,
                                                            tmp_path: Path) -> None:
    changed = dict(seen.pictures)
    changed[WRIST] = changed[WRIST][::-1].copy()
    train_camera(seen, tmp_path / 'a', 3)
    train_camera(dataclasses.replace(seen, pictures=changed), tmp_path / 'b', 3)
    train_camera(seen, tmp_path / 'c', 3, seed=1)
    one, two, three = (encoder_weights(tmp_path / name) for name in 'abc')
    assert not same(one, two) and not same(one, three)


def test_validation_pictures_are_not_trained_on(seen: Dataset, tmp_path: Path) -> None:
    changed = {key: pixels.copy() for key, pixels in seen.pictures.items()}
    changed[FRONT][seen.window_frames('validation')] = 99
    for name, data in (('a', seen), ('b', dataclasses.replace(seen, pictures=changed))):
        train_camera(data, tmp_path / name, 3)
    assert same(*(load_file(tmp_path / name / 'weights.safetensors') for name in 'ab'))


@pytest.mark.parametrize('method', METHODS)
def test_an_edit_removes_a_mode_and_leaves_every_bit_of_the_encoders(
        seen: Dataset, seen_dir: Path, tmp_path: Path, method: str) -> None:
    options = dataclasses.replace(EDIT, remove=('right',), method=method, steps=200,
                                  **vars(METHODS[method]))
    report = unclone(load_run(seen_dir), seen, tmp_path / 'edited', options)
    before, after = (encoder_weights(folder) for folder in (seen_dir, tmp_path / 'edited'))
    averaged = {name: tensor for name, tensor in before.items() if name.startswith('average.')}
    assert len(averaged) > 20
    for name, tensor in averaged.items():
        assert torch.equal(tensor, after[name])
        assert torch.equal(tensor, after[name.replace('average.', 'newest.')])
    assert report['retained_loss']['after'] < 2 * report['retained_loss']['before']
    if method == SELF_DISTILLATION:
        found, shown = planned(tmp_path / 'edited', seen)
        assert (found[:, 0] > 0).mean() > 0.95
        assert np.abs(found - shown)[:, 1:].mean(0).max() < 0.02
        assert report['classifier']['accuracy'] > 0.7


def test_an_edit_looks_at_each_picture_once(seen: Dataset, seen_dir: Path, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    forward = Encoder.forward

    def counted(self: Encoder, pictures: torch.Tensor) -> torch.Tensor:
        looks.append(len(pictures))
        return forward(self, pictures)

    monkeypatch.setattr(seeing, '_AT_ONCE', 100)
    monkeypatch.setattr(Encoder, 'forward', counted)
    unclone(load_run(seen_dir), seen, tmp_path / 'edited', dataclasses.replace(
        EDIT, remove=('right',), steps=5))
    assert sum(looks) == 2 * len(seen.observations)
    assert max(looks) <= 100


def test_an_edit_of_many_frames_looks_at_some_evenly(
        seen: Dataset, seen_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def features(policy: Any, dataset: Dataset, frames: Frames) -> torch.Tensor | None:
        asked.append(frames.tolist())
        return features_of(policy, dataset, frames)

    monkeypatch.setattr(uncloning, '_LOOKS', len(seen.observations) // 2)
    monkeypatch.setattr(uncloning, 'features_of', features)
    report = unclone(load_run(seen_dir), seen, tmp_path / 'edited', dataclasses.replace(
        EDIT, remove=('right',), steps=5))
    assert asked == [list(range(0, len(seen.observations), 3))]
    kept = seen.window_frames('validation', ['left'])
    assert report['retained_loss']['windows'] == np.sum(kept % 3 == 0)


def test_windows_have_the_features_of_their_own_frames(seen: Dataset, seen_dir: Path) -> None:
    policy = load_run(seen_dir).policy
    frames = np.arange(0, len(seen.observations), 4)
    looked = Looked(frames, torch.from_numpy(frames)[:, None].float())
    windows = dataset_windows(policy.normaliser, seen, 'train', None, looked)
    own = seen.window_frames('train')
    own = own[own % 4 == 0]
    np.testing.assert_array_equal(windows.conditions[:, -1], own)
    bare = dataset_windows(policy.normaliser, seen, 'train', None)
    places = np.flatnonzero(seen.window_frames('train') % 4 == 0)
    assert torch.equal(windows.clean, bare.clean[places])


def test_features_are_those_of_each_frame_and_none_without_cameras(
        seen: Dataset, seen_dir: Path, dataset: Dataset, mixed_dir: Path) -> None:
    policy = load_run(seen_dir).policy
    frames = np.arange(700)[::-7]
    found = features_of(policy, seen, frames)
    assert found is not None and found.shape == (len(frames), 2 * FEATURES)
    with torch.no_grad():
        one = policy.features(pictures_of(policy.cameras, seen, frames[3:4]))
    torch.testing.assert_close(found[3:4], one, atol=1e-5, rtol=1e-5)
    assert features_of(load_run(mixed_dir).policy, dataset, frames) is None


def test_demonstrations_with_pictures_are_not_retargeted_and_the_report_says_why(
        seen: Dataset, seen_dir: Path, tmp_path: Path) -> None:
    assert retargeting.obstacle(seen.contract.interface) == (
        f'{FRONT} and {WRIST} would see other pictures at other places')
    few = [one for i, one in enumerate(seen.episodes) if one.mode == 'right' or i < 20]
    frames = np.concatenate([np.arange(seen.bounds[i], seen.bounds[i + 1])
                             for i, one in enumerate(seen.episodes) if one in few])
    scarce = dataclasses.replace(
        seen, episodes=tuple(few), observations=seen.observations[frames],
        actions=seen.actions[frames],
        pictures={key: pixels[frames] for key, pixels in seen.pictures.items()})
    report = unclone(load_run(seen_dir), scarce, tmp_path / 'edited', dataclasses.replace(
        EDIT, remove=('right',), steps=2))
    assert report['retargeted']['share'] == 0
    assert 'other pictures' in report['retargeted']['reason']


class TestVariation:
    """Pictures of a training are moved and lit at random."""

    def test_a_picture_is_moved_and_its_edge_repeated(self) -> None:
        picture = torch.arange(48, dtype=torch.uint8).view(1, 6, 8, 1).repeat(400, 1, 1, 1)
        found = varied(picture, PictureOptions(draws=1, shift_px=2, light=0.0),
                       torch.Generator().manual_seed(0))
        moved = set((found - picture)[:, 2:4, 3:5].flatten().tolist())
        assert moved == {8.0 * y + x for y in range(-2, 3) for x in range(-2, 3)}
        assert found.min() == 0 and found.max() == 47

    def test_light_changes_within_its_share_and_the_range(self) -> None:
        picture = torch.full((200, 2, 2, 3), 200, dtype=torch.uint8)
        found = varied(picture, PictureOptions(draws=1, shift_px=0, light=0.2),
                       torch.Generator().manual_seed(0))
        assert 140 < found.min() < 160 and 240 < found.max() <= 255
        assert bool((found == found[:, :1, :1, :1]).all())  # a picture as a whole

    def test_no_variation_is_none(self) -> None:
        picture = torch.randint(0, 256, (5, 4, 4, 3), dtype=torch.uint8)
        found = varied(picture, PictureOptions(draws=1, shift_px=0, light=0.0), torch.Generator())
        assert torch.equal(found, picture.float())


def test_options_of_pictures_are_those_of_runs_with_cameras_alone() -> None:
    assert 'pictures' not in plain(TRAINING)
    assert set(plain(CAMERA_TRAINING)['pictures']) == {'draws', 'shift_px', 'light'}


def test_a_run_of_the_command_has_the_options_of_its_contract(
        seen: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(seen.pictures[FRONT].filename).parent  # type: ignore[attr-defined]
    out = tmp_path / 'run'
    assert main(['train', str(data), '--out', str(out), '--steps', '2', '--threads', '1']) == 0
    assert 'validation loss' in capsys.readouterr().out
    config = checkpoint.read_config(out)
    assert config.training == dataclasses.replace(CAMERA_TRAINING, steps=2)
    assert main(['unclone', str(out), '--data', str(data), '--remove', 'right', '--steps', '2',
                 '--threads', '1', '--out', str(tmp_path / 'edited')]) == 0


def test_encoders_alone_take_a_thread_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimisation, 'available_cores', lambda: 7)
    assert optimisation.default_threads(camera_contract()) == 7
    assert optimisation.default_threads(toy_contract()) == 1


@pytest.mark.parametrize(('contract', 'words', 'threads'), [
    (camera_contract(), [], 7), (toy_contract(), [], 1), (toy_contract(), ['--threads', '3'], 3)])
def test_an_attack_and_an_evaluation_take_the_threads_of_the_contract(
        contract: Contract, words: list[str], threads: int, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def begin(*setting: Any) -> None:
        found.append(getattr(setting[-1], 'threads', setting[-1]))
        raise UncloningError('that is enough')

    run = SimpleNamespace(config=SimpleNamespace(contract=contract))
    monkeypatch.setattr(optimisation, 'available_cores', lambda: 7)
    monkeypatch.setattr(checkpoint, 'load_run', lambda _: run)
    monkeypatch.setattr('uncloning_ros.demos.dataset.store.load_dataset', lambda _: None)
    monkeypatch.setattr('uncloning_ros.attack.attack.attack', begin)
    monkeypatch.setattr('uncloning_ros.learning.evaluation.evaluate', begin)
    for command in (['attack', 'run', '--scenario', 'knife', '--out', str(tmp_path / 'out')],
                    ['evaluate', 'run']):
        assert main([*command, '--data', 'data', *words]) == 2
    assert found == [threads, threads]


@pytest.mark.parametrize('size', [{'width': 15}, {'height': 15}])
def test_pictures_that_are_too_small_are_refused(seen: Dataset, size: dict[str, Any]) -> None:
    data = plain(camera_contract())
    data['interface']['observations'][1] |= size
    small = dataclasses.replace(seen, contract=contract_from_dict(data))
    with pytest.raises(ContractError, match=f'{FRONT}: .* at least 16 px a side, got '
                                            f'{"15" if "width" in size else "32 x 15"}'):
        cloning.new_config(small, CAMERA_TRAINING)


@pytest.mark.parametrize('shape', [(16, 16, 1), (17, 22, 3), (96, 99, 3), (36, 101, 1)])
def test_pictures_of_any_larger_size_are_encoded(shape: tuple[int, int, int]) -> None:
    features = Encoder(shape)(torch.randint(0, 256, (3, *shape), dtype=torch.uint8))
    assert features.shape == (3, FEATURES)
    assert bool(torch.isfinite(features).all())


@pytest.mark.parametrize('key', ['observation', 'noise', 'action_chunk', 'intent', 'doubt'])
def test_a_camera_cannot_have_the_key_of_another_input(key: str) -> None:
    data = plain(camera_contract())
    data['interface']['observations'][1]['key'] = key
    with pytest.raises(ContractError, match=f'expected another key .*got {key!r}'):
        contract_from_dict(data)


@pytest.mark.parametrize('side', ['width', 'height'])
def test_a_picture_that_would_fill_the_memory_is_refused(side: str) -> None:
    data = plain(camera_contract())
    data['interface']['observations'][1][side] = 1025
    with pytest.raises(ContractError, match=rf'\.{side}: expected .*\[1, 1024\], got 1025'):
        contract_from_dict(data)


@pytest.mark.parametrize('key', ['../../front', 'arm/front', '.front', 'fro\0nt', 'front-camera',
                                 '1cam', 'cam.1', 'front camera', 'caméra', 'front\n'])
def test_the_key_of_a_camera_can_be_a_part_of_the_name_of_a_topic(key: str) -> None:
    data = plain(camera_contract())
    data['interface']['observations'][1]['key'] = key
    topics = data['deployment']['observations']
    topics[key] = topics.pop(FRONT)
    with pytest.raises(ContractError,
                       match=f'expected a key of letters.* got {re.escape(repr(key))}'):
        contract_from_dict(data)


def test_a_run_without_its_recorded_pictures_is_refused(seen_dir: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_file(seen_dir / 'weights.safetensors')
    assert tensors.pop(f'recorded_pictures.{WRIST}').shape == (64, 32, 32, 1)
    save_file(tensors, tmp_path / 'weights.safetensors')
    (tmp_path / 'config.json').write_text((seen_dir / 'config.json').read_text())
    with pytest.raises(CheckpointError, match=f'expected recorded_pictures.{WRIST}, got nothing'):
        load_run(tmp_path)


def test_config_remembers_how_pictures_were_varied(seen: Dataset, seen_dir: Path) -> None:
    training = json.loads((seen_dir / 'config.json').read_text())['training']
    assert training['pictures'] == {'draws': 4, 'shift_px': 1, 'light': 0.1}
    assert camera_config(seen, 300).training == load_run(seen_dir).config.training
