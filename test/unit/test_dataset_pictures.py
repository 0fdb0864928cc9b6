# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures from bags to a dataset: the newest of each tick, mapped from the disk, checked."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import episodes
import foreign_bags
import numpy as np
import pytest
import seeing

from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import DatasetError
from uncloning_ros.learning.checkpoint import dataset_record
from uncloning_ros.learning.uncloning import data_of
from uncloning_ros.pictures import decoder, encode_picture


@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three handovers of each mode as bags with pictures."""
    folder = tmp_path_factory.mktemp('seeing')
    for index in range(6):
        presented = episodes.HANDLE_FIRST if index < 3 else episodes.BLADE_FIRST
        episodes.write(folder, seeing.handover(presented, index), index, seeing.CONTRACT, None)
    return folder


def build(demos: Path, out: Path, workers: int = 1) -> Dataset:
    return build_dataset([demos], out, Recipe(episodes.KNIFE), Split(), workers).dataset


def test_a_picture_survives_the_bag_bit_for_bit(demos: Path) -> None:
    episode = read_episode(demos / 'episode_000002')
    for signal in seeing.CAMERAS:
        for number, sample in enumerate(episode.samples[signal.key]):
            np.testing.assert_array_equal(sample.values, seeing.picture(signal, 14 + number))
            assert sample.receive_ns - sample.stamp_ns == 40 * episodes.MS


def test_a_frame_has_the_newest_picture_that_had_arrived(demos: Path) -> None:
    episode = read_episode(demos / 'episode_000001')
    found = align(episode, seeing.CONTRACT)
    for signal in seeing.CAMERAS:
        samples = episode.samples[signal.key]
        for tick_ns, pixels in zip(found.ticks_ns, found.pictures[signal.key], strict=True):
            newest = max((s for s in samples if s.receive_ns <= tick_ns),
                         key=lambda s: s.receive_ns)
            np.testing.assert_array_equal(pixels, newest.values)


def test_a_picture_that_stands_still_leaves_the_episode_out() -> None:
    samples = seeing.handover()
    still = samples['scene_camera'][30].values
    samples['scene_camera'][30:40] = [replace(one, values=still)
                                      for one in samples['scene_camera'][30:40]]
    with pytest.raises(DatasetError, match='same picture .*; check the camera; remove max_unch'):
        align(episodes.episode(samples, seeing.CONTRACT), seeing.CONTRACT)


def test_a_picture_with_one_other_value_is_another_one() -> None:
    samples = seeing.handover()
    for i, one in enumerate(samples['wrist_camera']):
        pixels = seeing.picture(seeing.CAMERAS[1], 0)
        pixels[0, 0, 0] += i % 2
        samples['wrist_camera'][i] = replace(one, values=pixels)
    align(episodes.episode(samples, seeing.CONTRACT), seeing.CONTRACT)


@pytest.mark.parametrize(('change', 'said'), [
    (lambda one, i: None if 20 <= i < 30 else one, 'older than 0.2 s'),
    (lambda one, i: replace(one, stamp_ns=one.stamp_ns - (i > 20) * 400 * episodes.MS),
     'is stamped 0.440 s before it arrived'),
    (lambda one, i: replace(one, receive_ns=one.receive_ns + 300 * episodes.MS),
     'is stamped 0.340 s before it arrived')])
def test_a_camera_that_falls_silent_or_lags_leaves_the_episode_out(
        change: Callable[[Sample, int], Sample | None], said: str) -> None:
    samples = seeing.handover()
    changed = [change(one, i) for i, one in enumerate(samples['scene_camera'])]
    samples['scene_camera'] = [one for one in changed if one is not None]
    with pytest.raises(DatasetError, match='scene_camera') as caught:
        align(episodes.episode(samples, seeing.CONTRACT), seeing.CONTRACT)
    assert said in str(caught.value)


def test_pictures_of_another_size_or_encoding_leave_the_bag_out_and_name_both(
        demos: Path, tmp_path: Path) -> None:
    both = tmp_path / 'demos'
    shutil.copytree(demos, both)
    messages = foreign_bags.messages_of(seeing.handover(seed=9), seeing.CONTRACT)
    scene = [i for i, one in enumerate(messages) if one.topic == '/scene_camera/image']
    for number, at in enumerate(scene):
        message = foreign_bags.STORE.deserialize_cdr(messages[at].data, messages[at].type)
        if number > 40:  # the camera was set to another size in mid-episode
            message.data = np.frombuffer(encode_picture(
                np.full((24, 32, 3), 90 + number, np.uint8)), np.uint8)
        messages[at] = messages[at]._replace(
            data=foreign_bags.serialised(message, messages[at].type))
    foreign_bags.write(both / 'other', messages, 'sqlite3')
    build = build_dataset([both], tmp_path / 'data',
                          Recipe(episodes.KNIFE, Reading(seeing.CONTRACT)), Split()).dataset
    [left] = build.left_out
    assert left.name == 'other'
    assert 'expected pictures of 16 x 12 px, got 32 x 24 px' in left.reason
    assert len(build.episodes) == 6


def test_reading_keeps_the_small_pictures_alone(tmp_path: Path) -> None:
    large = replace(seeing.CAMERAS[0], camera_size=(640, 480))
    interface = seeing.CONTRACT.interface
    contract = replace(seeing.CONTRACT, interface=replace(
        interface, observations=(*interface.observations[:-2], large, seeing.CAMERAS[1])))
    samples = seeing.handover()
    samples['scene_camera'] = [
        replace(one, values=np.full((480, 640, 3), 60 + i, np.uint8))
        for i, one in enumerate(samples['scene_camera'])]
    path = episodes.write(tmp_path, samples, 0, contract)
    del samples
    tracemalloc.start()
    episode = read_episode(path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert episode.samples['scene_camera'][0].values.shape == (12, 16, 3)
    assert all(one.values.base is None or one.values.base.nbytes < 1000
               for one in episode.samples['scene_camera'])
    assert kept < 4 * 2**20 and peak < 16 * 2**20  # 60 pictures of 0.9 MB were decoded


def test_a_dataset_maps_its_pictures_and_does_not_depend_on_workers(
        demos: Path, tmp_path: Path) -> None:
    dataset = build(demos, tmp_path / 'one')
    build(demos, tmp_path / 'three', workers=3)
    assert sorted(path.name for path in (tmp_path / 'one').iterdir()) == [
        'dataset.json', 'dataset.safetensors', 'scene_camera.pixels', 'wrist_camera.pixels']
    for path in (tmp_path / 'one').iterdir():
        assert path.read_bytes() == (tmp_path / 'three' / path.name).read_bytes()
    rows = slice(dataset.bounds[4], dataset.bounds[5])
    found = align(read_episode(demos / 'episode_000004'), seeing.CONTRACT)
    for signal in seeing.CAMERAS:
        pixels = dataset.pictures[signal.key]
        assert isinstance(pixels, np.memmap)
        assert pixels.shape == (dataset.bounds[-1], *signal.shape)
        np.testing.assert_array_equal(pixels[rows], found.pictures[signal.key])


def test_a_dataset_tells_how_its_pictures_were_decoded(demos: Path, tmp_path: Path) -> None:
    dataset = build(demos, tmp_path / 'data')
    assert dataset.decoder == decoder([one.view for one in seeing.CAMERAS])
    assert dataset_record(dataset)['decoder'] == list(dataset.decoder)
    assert data_of(dataset)['decoder'] == list(dataset.decoder)
    path = tmp_path / 'data' / 'dataset.json'
    older = json.loads(path.read_text())
    del older['decoder']
    path.write_text(json.dumps(older))
    assert load_dataset(tmp_path / 'data').decoder is None
    assert 'decoder' not in dataset_record(load_dataset(tmp_path / 'data'))


@pytest.mark.parametrize('damage', ['flip', 'cut', 'gone'])
def test_damaged_pictures_are_refused(demos: Path, tmp_path: Path, damage: str) -> None:
    build(demos, tmp_path / 'data')
    path = tmp_path / 'data' / 'scene_camera.pixels'
    data = bytearray(path.read_bytes())
    if damage == 'flip':
        data[1000] ^= 1
        path.write_bytes(data)
    elif damage == 'cut':
        path.write_bytes(data[:-1])
    else:
        path.unlink()
    with pytest.raises(DatasetError, match='scene_camera.pixels') as caught:
        load_dataset(tmp_path / 'data')
    assert ('No such file' if damage == 'gone' else 'is damaged') in str(caught.value)
    assert str(caught.value).endswith('make the dataset again')


def test_a_failed_build_leaves_nothing(demos: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'only'
    folder.mkdir()
    with pytest.raises(DatasetError):
        build_dataset([folder], tmp_path / 'data', Recipe(episodes.KNIFE), Split())
    assert [path.name for path in tmp_path.iterdir()] == ['only']
