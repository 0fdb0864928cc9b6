# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets: windows of frames, and files that are read back or refused."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from uncloning_ros.contract import PolicyTiming
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import Dataset, EpisodeRecord, load_dataset
from uncloning_ros.errors import (
    ContractError,
    DatasetError,
    UncloningError,
)
from uncloning_ros.schema import canonical_sha256

MS = episodes.MS
CONTRACT = episodes.CONTRACT
INTERFACE = CONTRACT.interface
GRIPPER = INTERFACE.observation_slices['gripper_width']
WIDTH = INTERFACE.action_slices['target_width']


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('built')
    for i, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST]):
        episodes.write(folder / 'demos', episodes.handover(kind, i), i)
    build_dataset([folder / 'demos'], folder / 'data', Recipe(episodes.KNIFE), Split())
    return folder / 'data'


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    """A dataset that a test may change."""
    return Path(shutil.copytree(built, tmp_path / 'data'))


def made_up(lengths: list[int], history: int, horizon: int) -> Dataset:
    """Return a dataset whose values are [episode, frame in it]."""
    contract = replace(CONTRACT, policy=PolicyTiming(20.0, history, horizon, 1))
    records = tuple(EpisodeRecord(f'e{i}', INTERFACE.mode_names[i % 2], 'rule', '', 'train', n,
                                  None) for i, n in enumerate(lengths))
    values = np.array([(i, f) for i, n in enumerate(lengths) for f in range(n)], np.float32)
    return Dataset(contract, 'knife', records, values, values, (), '')


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 5),
       st.integers(1, 8))
def test_windows_stay_in_their_episode_and_are_padded_with_its_ends(
        lengths: list[int], history: int, horizon: int) -> None:
    dataset = made_up(lengths, history, horizon)
    frames = dataset.window_frames('train')
    assert frames.tolist() == list(range(sum(lengths)))
    histories, chunks = dataset.gather(frames)
    assert histories.shape == (sum(lengths), history, 2)
    assert chunks.shape == (sum(lengths), horizon, 2)
    for (episode, frame), past, ahead in zip(dataset.observations, histories, chunks,
                                             strict=True):
        assert (past[:, 0] == episode).all()
        assert (ahead[:, 0] == episode).all()
        assert past[:, 1].tolist() == [max(0, frame - history + 1 + k) for k in range(history)]
        last = lengths[int(episode)] - 1
        assert ahead[:, 1].tolist() == [min(last, frame + k) for k in range(horizon)]


@given(st.data())
def test_windows_end_at_a_pause_as_at_the_end_of_an_episode(drawn: st.DataObject) -> None:
    lengths = drawn.draw(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=4),
                                  min_size=1, max_size=4))
    history, horizon = drawn.draw(st.integers(1, 4)), drawn.draw(st.integers(1, 8))
    paused = made_up([sum(parts) for parts in lengths], history, horizon)
    records = tuple(replace(one, pauses=tuple(np.cumsum(parts)[:-1].tolist()))
                    for one, parts in zip(paused.episodes, lengths, strict=True))
    paused = replace(paused, episodes=records)
    parted = replace(made_up([part for parts in lengths for part in parts], history, horizon),
                     observations=paused.observations, actions=paused.actions)
    frames = paused.window_frames('train')
    assert frames.tolist() == parted.window_frames('train').tolist()
    for one, two in zip(paused.gather(frames), parted.gather(frames), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize('pauses', [(0,), (3,), (2, 1), (1, 1)])
def test_pauses_that_are_not_within_an_episode_are_refused(pauses: tuple[int, ...]) -> None:
    with pytest.raises(DatasetError, match='within 3 frames'):
        replace(made_up([3], 1, 1).episodes[0], pauses=pauses)


def test_windows_of_a_mode_come_from_its_episodes_alone() -> None:
    dataset = made_up([3, 4, 2], 2, 4)
    assert dataset.window_frames('train', ['blade_first']).tolist() == [3, 4, 5, 6]
    assert dataset.window_frames('train', ['handle_first']).tolist() == [0, 1, 2, 7, 8]
    assert dataset.window_frames('validation').tolist() == []
    assert dataset.episode_of(np.array([0, 2, 3, 8])).tolist() == [0, 0, 1, 2]


@given(st.data())
def test_every_window_is_of_one_mode_or_of_none(drawn: st.DataObject) -> None:
    lengths = drawn.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    dataset = made_up(lengths, 1, 1)
    records, inside = [], []
    for one in dataset.episodes:
        mode = drawn.draw(st.sampled_from([*INTERFACE.mode_names, None]))
        first = drawn.draw(st.integers(0, one.frames - 1))
        span = drawn.draw(st.none() | st.integers(first + 1, one.frames).map(
            lambda end, first=first: (first, end)))
        span = None if mode is None else span
        split = drawn.draw(st.sampled_from(['train', 'validation']))
        records.append(replace(one, mode=mode, label_source=mode and 'rule', span=span,
                               split=split))
        inside += [(mode, mode is not None, split) if span is None or span[0] <= k < span[1]
                   else (None, True, split) for k in range(one.frames)]
    dataset = replace(dataset, episodes=tuple(records))

    def those(mode: str | None, split: str, labelled: tuple[bool, ...]) -> list[int]:
        return [i for i, one in enumerate(inside)
                if one[0] == mode and one[1] in labelled and one[2] == split]

    for split in ('train', 'validation'):
        for mode in INTERFACE.mode_names:
            assert dataset.window_frames(split, [mode]).tolist() == those(mode, split, (True,))
        assert dataset.frames_without_mode(split).tolist() == those(None, split, (True, False))
        assert dataset.frames_without_mode(split, True).tolist() == those(None, split, (True,))
        assert dataset.frames_without_mode(split, False).tolist() == those(None, split, (False,))
        assert dataset.window_frames(split).tolist() == [
            i for i, one in enumerate(inside) if one[2] == split]


def test_windows_that_do_not_exist_are_refused() -> None:
    dataset = made_up([3], 2, 4)
    with pytest.raises(DatasetError, match=r'expected frames in \[0, 3\), got \[0, 3\]'):
        dataset.gather(np.array([0, 3]))
    with pytest.raises(DatasetError, match="got 'test'"):
        dataset.window_frames('test')
    with pytest.raises(DatasetError, match="got 'test'"):
        dataset.frames_without_mode('test')
    with pytest.raises(ContractError, match="did you mean 'blade_first'"):
        dataset.window_frames('train', ['blade_frist'])


# --- reading ---

def change_json(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = folder / 'dataset.json'
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def test_a_dataset_is_plain_files_that_others_can_read(data: Path) -> None:
    folder, dataset = data, load_dataset(data)
    arrays = load_file(folder / 'dataset.safetensors')
    np.testing.assert_array_equal(arrays['observations'], dataset.observations)
    data = json.loads((folder / 'dataset.json').read_text())
    assert canonical_sha256(data['contract']) == CONTRACT.sha256
    assert data['schema'] == 'uncloning/dataset@1'
    assert load_dataset(folder).sha256 == dataset.sha256


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda d: d.update(schema='uncloning/dataset@2'), "expected 'uncloning/dataset@1'"),
    (lambda d: d.update(colour='red'), "unknown key 'colour'"),
    (lambda d: d['episodes'][0].update(split='test'), "expected 'train' or 'validation'"),
    (lambda d: d['episodes'][0].update(mode='sideways'), "unknown mode 'sideways'"),
    (lambda d: d['episodes'][0].update(frames=3), 'expected observations float32'),
    (lambda d: d.update(episodes=[]), 'episodes: expected a .*list'),
    (lambda d: d.update(arrays_sha256='0' * 64), 'is damaged'),
    (lambda d: d['episodes'][0].pop('digest'), "missing key 'digest'"),
    (lambda d: d.pop('contract'), "missing key 'contract'"),
    (lambda d: d['episodes'][0].update(mode=None), 'or neither, got None by rule'),
    (lambda d: d['episodes'][0].update(label_source=None), 'or neither, got handle_first by None'),
    (lambda d: d['episodes'][0].update(span=[3, 3]), r'within 59 frames, got \(3, 3\)'),
    (lambda d: d['episodes'][0].update(span=[0, 99]), r'within 59 frames, got \(0, 99\)'),
    (lambda d: d['episodes'][0].update(span=[-1, 9]), 'span: expected a list of 2'),
    (lambda d: d['episodes'][0].update(span=None), 'span: expected a list of 2'),
    (lambda d: d['episodes'][0].update(mode=None, label_source=None, span=[0, 9]),
     r'expected a span of a mode .* got \(0, 9\) of None'),
])
def test_a_changed_description_is_refused(
        data: Path, change: Callable[[dict[str, Any]], Any], sentence: str) -> None:
    change_json(data, change)
    with pytest.raises(UncloningError, match=sentence):
        load_dataset(data)


def test_a_dataset_of_an_older_version_is_read(data: Path) -> None:
    before = load_dataset(data)
    change_json(data, lambda d: d.update(
        seeds=[1], statistics={'observation_mean': [0.0]}))
    assert load_dataset(data).episodes == before.episodes
    change_json(data, lambda d: [d.pop(key, None) for key in ('topics', 'cut')])
    assert load_dataset(data).contract == before.contract


def test_damaged_arrays_are_refused(data: Path) -> None:
    file = data / 'dataset.safetensors'
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(DatasetError, match='is damaged: its sha256'):
        load_dataset(data)


def test_values_that_are_not_finite_are_refused(data: Path) -> None:
    file = data / 'dataset.safetensors'
    arrays = load_file(file)
    arrays['actions'][3, 1] = np.nan
    save_file(arrays, file)
    change_json(data, lambda d: d.update(
        arrays_sha256=hashlib.sha256(file.read_bytes()).hexdigest()))
    with pytest.raises(DatasetError, match=r'expected finite numbers, got actions .* in frame 3'):
        load_dataset(data)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='cannot read .*dataset.json.*uncloning dataset'):
        load_dataset(tmp_path)
