# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of LeRobot: floats go in and out bit for bit, pictures nearly, modes and labels along."""

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from uncloning_ros.cli.main import main
from uncloning_ros.contract import Contract, contract_from_dict, load_contract
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.labels import Label, add_label, read_labels
from uncloning_ros.demos.bags.layout import episode_name, list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.alignment import Aligned, align
from uncloning_ros.schema import plain

pa = pytest.importorskip('pyarrow', reason='the extra lerobot is not installed')
av = pytest.importorskip('av', reason='the extra lerobot is not installed')
pq = pytest.importorskip('pyarrow.parquet')

JOINTS = ('shoulder', 'elbow', 'gripper')
FRAMES = (25, 31)
AT = '2026-01-31T12:00:00+00:00'


def contract_of(size: tuple[int, int] = (32, 24), camera: str = 'front',
                rate_hz: float = 20) -> Contract:
    """Return a contract of three numbers and a camera, without any pose."""
    names = list(JOINTS)
    return contract_from_dict({
        'schema': 'uncloning/contract@1',
        'interface': {
            'observations': [
                {'key': 'joints', 'kind': 'vector', 'unit': 'deg', 'names': names},
                {'key': camera, 'kind': 'image', 'unit': 'level', 'width': 16, 'height': 12,
                 'encoding': 'rgb8', 'camera_size': list(size)}],
            'actions': [{'key': 'target', 'kind': 'vector', 'unit': 'deg', 'names': names}],
            'modes': {'left': {'desired': True}, 'right': {'desired': False}}},
        'policy': {'rate_hz': rate_hz, 'history': 2, 'horizon': 8, 'execute': 4},
        'deployment': {
            'command_rate_hz': rate_hz,
            'observations': {
                'joints': {'topic': 'joint_states', 'type': 'sensor_msgs/msg/JointState',
                           'max_age_s': 0.2},
                camera: {'topic': 'front/compressed', 'max_age_s': 0.2,
                         'type': 'sensor_msgs/msg/CompressedImage'}},
            'actions': {'target': {'topic': 'commands', 'type': 'std_msgs/msg/Float64MultiArray'}},
            'limits': {'joint_speed_rad_s': 2.0, 'vectors': {'target': {
                'min': [-500.0] * 3, 'max': [500.0] * 3, 'step_per_s': 9000.0,
                'jump': 900.0}}},
            'episode_end': {'max_episode_s': 60.0}}})


def picture(i: int, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    """Return a smooth picture, another one at each frame."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return np.stack([80 + 100 * x, 60 + 120 * y, 60 + 3.0 * i + 40 * x * y],
                    axis=2).astype(np.uint8)


def record(folder: Path, contract: Contract) -> Path:
    """Write two episodes with stamps of their own, the second without a label."""
    rng = np.random.default_rng(3)
    for index, frames in enumerate(FRAMES):
        path = folder / episode_name(index)
        metadata = EpisodeMetadata('toys', index, 'me', ('left', 'right')[index], '0')
        with EpisodeWriter(path, contract, metadata) as writer:
            for i in range(frames):
                at = 10**18 + i * 50_000_000
                writer.write_values('joints', rng.normal(0, 40, 3), at - 7_000_000, at - 5_000_000)
                writer.write_values('front', picture(i), at - 9_000_000, at - 5_000_000)
                writer.write_values('target', rng.normal(0, 40, 3), at, at)
            writer.commit()
        if index == 0:
            add_label(path, Label('right', 'operator', 1.0, AT, 'me'), contract.interface)
    return folder


def aligned(folder: Path, contract: Contract | None = None) -> list[Aligned]:
    return [align(episode, contract or episode.contract)
            for episode in map(read_episode, list_episodes(folder))]


def run(*words: object) -> int:
    return main([*map(str, words)])


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert run(*words) == 2
    err = capsys.readouterr().err
    assert err.startswith('uncloning: error: ') or 'ing: ' in err
    assert 'Traceback' not in err
    return err


@pytest.fixture
def demos(tmp_path: Path) -> Path:
    return record(tmp_path / 'demos', contract_of())


@pytest.fixture
def exported(demos: Path, tmp_path: Path) -> Path:
    assert run('export-lerobot', demos, '--out', tmp_path / 'set', '--labels', 'planned',
               '--workers', 1) == 0
    return tmp_path / 'set'


def test_a_set_goes_out_and_in_and_out_again_with_the_same_floats(demos, tmp_path,
                                                                  capsys) -> None:
    exported = tmp_path / 'set'
    assert run('export-lerobot', demos, '--out', exported, '--labels', 'planned',
               '--workers', 1) == 0
    told = ' '.join(capsys.readouterr().out.split())
    assert '1 left' in told and '1 right' in told and 'lost:' in told
    contract = exported / 'meta/contract.yaml'
    again = tmp_path / 'again'
    assert run('import-lerobot', exported, '--contract', contract, '--out', again) == 0
    for one, two in zip(aligned(demos), aligned(again), strict=True):
        assert one.observations.tobytes() == two.observations.tobytes()
        assert one.actions.tobytes() == two.actions.tobytes()
        psnr = 10 * np.log10(255**2 / np.square(
            one.pictures['front'].astype(float) - two.pictures['front']).mean())
        assert psnr > float(re.search(r'PSNR is ([\d.]+) dB', told)[1]) - 0.1 > 30
    assert run('export-lerobot', again, '--out', tmp_path / 'set2', '--workers', 1) == 0
    name = 'data/chunk-000/file-000.parquet'
    assert pq.read_table(exported / name) == pq.read_table(tmp_path / 'set2' / name)
    labels = [read_labels(path, load_contract(contract).interface)[-1]
              for path in list_episodes(again)]
    assert [label.mode for label in labels] == ['left', 'right']
    assert {label.source for label in labels} == {'operator'}


def test_episodes_without_a_label_are_left_out_and_named(demos, tmp_path, capsys) -> None:
    assert run('export-lerobot', demos, '--out', tmp_path / 'set', '--workers', 1,
               '--task', 'right=Give it on the right') == 0
    told = capsys.readouterr().out
    assert '1  Give it on the right' in told
    assert 'left out 1' in told and 'episode_000001' in told
    rows = pq.read_table(tmp_path / 'set/meta/episodes/chunk-000/file-000.parquet').to_pylist()
    assert [row['tasks'] for row in rows] == [['Give it on the right']]
    kept = json.loads((tmp_path / 'set/meta/uncloning.json').read_text())
    assert [(one['mode'], one['label_source']) for one in kept['episodes']] == [
        ('right', 'operator')]
    assert contract_from_dict(kept['contract']).sha256 == contract_of().sha256


def test_a_set_has_the_files_and_columns_of_the_format(exported) -> None:
    info = json.loads((exported / 'meta/info.json').read_text())
    assert (info['codebase_version'], info['fps'], info['total_episodes'],
            info['total_frames']) == ('v3.0', 20, 2, sum(FRAMES) - 2 + 2)
    assert info['features']['observation.state'] == {
        'dtype': 'float32', 'shape': [3], 'names': [f'joints.{name}' for name in JOINTS]}
    assert info['features']['observation.images.front']['shape'] == [12, 16, 3]
    frames = pq.read_table(exported / 'data/chunk-000/file-000.parquet')
    assert set(frames.column_names) == {name for name, one in info['features'].items()
                                        if one['dtype'] != 'video'}
    assert frames['index'].to_pylist() == list(range(sum(FRAMES)))
    rows = pq.read_table(exported / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    assert [(row['dataset_from_index'], row['dataset_to_index']) for row in rows] == [
        (0, FRAMES[0]), (FRAMES[0], sum(FRAMES))]
    assert (exported / 'videos/observation.images.front/chunk-000/file-001.mp4').is_file()
    tasks = pq.read_table(exported / 'meta/tasks.parquet')
    assert tasks['__index_level_0__'].to_pylist() == ['left', 'right']
    assert json.loads(tasks.schema.metadata[b'pandas'])['index_columns'] == ['__index_level_0__']


def test_statistics_are_those_of_all_frames(exported, demos) -> None:
    states = np.concatenate([one.observations for one in aligned(demos)]).astype(float)
    said = json.loads((exported / 'meta/stats.json').read_text())['observation.state']
    for name, expected in (('min', states.min(0)), ('max', states.max(0)),
                           ('mean', states.mean(0)), ('std', states.std(0))):
        np.testing.assert_allclose(said[name], expected, rtol=1e-9)
    assert said['count'] == [len(states)]
    pictures = json.loads((exported / 'meta/stats.json').read_text())['observation.images.front']
    seen = np.concatenate([one.pictures['front'] for one in aligned(demos)]) / 255
    np.testing.assert_allclose(np.ravel(pictures['mean']), seen.mean((0, 1, 2)), rtol=1e-9)
    assert np.shape(pictures['max']) == (3, 1, 1)


def foreign(folder: Path, change: Callable[[dict[str, Any]], object] = lambda info: None) -> Path:
    """Write a set as LeRobot does: names with .pos, both episodes in one video, texts as tasks."""
    rng = np.random.default_rng(5)
    names = [f'{name}.pos' for name in JOINTS]
    size = (32, 24)
    info: dict[str, Any] = {
        'codebase_version': 'v3.0', 'fps': 20, 'robot_type': 'toy',
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
        'features': {
            'action': {'dtype': 'float32', 'shape': [3], 'names': names},
            'observation.state': {'dtype': 'float32', 'shape': [4], 'names': ['base.pos', *names]},
            'observation.images.front': {'dtype': 'video', 'shape': [24, 32, 3],
                                         'names': ['height', 'width', 'channels']},
            'side': {'dtype': 'string', 'shape': [1], 'names': None},
            'observation.extra': {'dtype': 'float32', 'shape': [2], 'names': None}}}
    change(info)
    for name in ('meta/episodes/chunk-000', 'data/chunk-000',
                 'videos/observation.images.front/chunk-000'):
        (folder / name).mkdir(parents=True)
    (folder / 'meta/info.json').write_text(json.dumps(info))
    count = sum(FRAMES)
    state, action = (rng.normal(0, 40, (count, dim)).astype(np.float32) for dim in (4, 3))
    which = np.repeat((0, 1), FRAMES)
    pq.write_table(pa.table({
        'observation.state': pa.FixedSizeListArray.from_arrays(pa.array(state.ravel()), 4),
        'action': [row.tolist() for row in action],  # a list of any length, as older sets have it
        'side': np.array(['l', 'r'])[which],
        'frame_index': np.concatenate([np.arange(n) for n in FRAMES]),
        'episode_index': which}), folder / 'data/chunk-000/file-000.parquet')
    rows = [{'episode_index': i, 'length': n, 'tasks': [f'Give it {("left", "right")[i]}'],
             'data/chunk_index': 0, 'data/file_index': 0,
             'videos/observation.images.front/chunk_index': 0,
             'videos/observation.images.front/file_index': 0,
             'videos/observation.images.front/from_timestamp': (0.0, FRAMES[0] / 20)[i]}
            for i, n in enumerate(FRAMES)]
    pq.write_table(pa.Table.from_pylist(rows), folder / 'meta/episodes/chunk-000/file-000.parquet')
    with av.open(str(folder / 'videos/observation.images.front/chunk-000/file-000.mp4'),
                 'w') as container:
        stream = container.add_stream('libx264', rate=20, options={'crf': '5'})
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        stream.time_base = Fraction(1, 20)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i), 'rgb24')
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    np.savez(folder / 'truth.npz', state=state, action=action)
    return folder


@pytest.fixture
def contract_file(tmp_path: Path) -> Path:
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(contract_of())))
    return path


def test_a_set_from_elsewhere_comes_in_with_its_numbers_pictures_and_modes(
        tmp_path, contract_file, capsys) -> None:
    source = foreign(tmp_path / 'theirs')
    out = tmp_path / 'demos'
    assert run('import-lerobot', source, '--contract', contract_file, '--out', out,
               '--mode', 'left=Give it left') == 0
    told = ' '.join(capsys.readouterr().out.split())
    assert '1 episode: Give it right' in told
    assert 'no signal for: side, observation.extra' in told
    truth = np.load(source / 'truth.npz')
    found = aligned(out)
    assert [len(one.ticks_ns) for one in found] == list(FRAMES)
    assert np.concatenate([one.observations for one in found]).tobytes() == np.ascontiguousarray(
        truth['state'][:, 1:]).tobytes()
    assert np.concatenate([one.actions for one in found]).tobytes() == truth['action'].tobytes()
    # The pictures of the second episode begin amid the file.
    seen = np.concatenate([one.pictures['front'] for one in found])[:, 0, 0, 2].astype(int)
    assert np.abs(seen - [picture(i)[0, 0, 2] for i in range(sum(FRAMES))]).max() <= 3
    first = read_episode(out / episode_name(0))
    assert first.metadata.session == 'lerobot-theirs'
    assert first.metadata.planned_mode == 'left'
    event = first.events[0][1]
    assert event['imported']['tasks'] == ['Give it left']
    assert event['imported']['features']['joints'] == 'observation.state'
    assert read_labels(out / episode_name(1), first.contract.interface) == ()


def test_the_mode_may_stand_in_a_column_and_a_signal_in_another_feature(
        tmp_path, contract_file) -> None:
    out = tmp_path / 'demos'
    source = foreign(tmp_path / 'theirs')
    assert run('import-lerobot', source, '--contract', contract_file, '--out', out,
               '--mode-column', 'side', '--mode', 'left=l', '--mode', 'right=r',
               '--column', 'joints=observation.state[0:3]') == 0
    interface = contract_of().interface
    assert [read_labels(path, interface)[-1].mode for path in list_episodes(out)] == [
        'left', 'right']
    assert np.concatenate([one.observations for one in aligned(out)]).tobytes() == (
        np.ascontiguousarray(np.load(source / 'truth.npz')['state'][:, :3]).tobytes())


@pytest.mark.parametrize(('words', 'told'), [
    (['--mode', 'up=Give it left'], "unknown mode 'up'"),
    (['--mode-column', 'sides'], "did you mean 'side'"),
    (['--column', 'joints=observation.state[0:2]'], 'expected 3 numbers'),
    (['--column', 'joints=nothing'], "unknown feature 'nothing'"),
    (['--column', 'joints=a[b'], 'expected FEATURE or FEATURE[FROM:TO]'),
    (['--column', 'joints=observation.images.front'], 'expected 3 numbers'),
    (['--column', 'front=action'], 'expected pictures'),
    (['--column', 'elbow=action'], "--column names 'elbow'"),
    (['--mode', 'left=x', '--mode', 'right=x'], 'expected each of --mode once'),
    (['--mode-column', 'observation.images.front'], 'got the pictures'),
    (['--mode-column', 'observation.state'], 'expected one mode of episode 0')])
def test_wrong_options_are_refused_and_nothing_is_left(tmp_path, contract_file, capsys, words,
                                                       told) -> None:
    source = foreign(tmp_path / 'theirs')
    assert told in refused(capsys, 'import-lerobot', source, '--contract', contract_file,
                           '--out', tmp_path / 'demos', *words)
    assert not list(tmp_path.glob('demos*'))


def rename(info: dict[str, Any]) -> None:
    info['features']['observation.state']['names'] = ['a', 'b', 'c', 'd']


@pytest.mark.parametrize(('change', 'told'), [
    (lambda info: info.update(codebase_version='v2.1'), "expected codebase_version 'v3.0'"),
    (lambda info: info.update(fps='x'), 'fps: expected'),
    (lambda info: info.update(data_path='../../{chunk_index}.parquet'), 'outside of the set'),
    *((lambda info, name=name: info.update(data_path=name), 'meta/episodes is damaged')
      for name in ('{other}', '{}', '{chunk_index.other}')),
    (lambda info: info.update(total_episodes=3), 'expected 3 different episodes'),
    (rename, 'expected a feature for joints (3 numbers named shoulder, elbow, gripper)'),
    (lambda info: info['features'].pop('observation.images.front'), 'a feature for front'),
    (lambda info: info.update(fps=10), 'expected 31 pictures')])
def test_other_and_damaged_sets_get_a_sentence(tmp_path, contract_file, capsys, change,
                                               told) -> None:
    source = foreign(tmp_path / 'theirs', change)
    assert told in refused(capsys, 'import-lerobot', source, '--contract', contract_file,
                           '--out', tmp_path / 'demos')
    assert not list(tmp_path.glob('demos*'))


@pytest.mark.parametrize('name', [
    'meta/info.json', 'meta/episodes/chunk-000/file-000.parquet',
    'data/chunk-000/file-000.parquet', 'videos/observation.images.front/chunk-000/file-000.mp4'])
@pytest.mark.parametrize('data', [None, b'', b'garbage' * 20],
                         ids=['missing', 'empty', 'garbage'])
def test_missing_and_damaged_files_get_a_sentence(tmp_path, contract_file, capsys, name,
                                                  data) -> None:
    path = foreign(tmp_path / 'theirs') / name
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    told = refused(capsys, 'import-lerobot', tmp_path / 'theirs', '--contract', contract_file,
                   '--out', tmp_path / 'demos')
    assert 'theirs' in told
    assert not list(tmp_path.glob('demos*'))


@pytest.mark.parametrize('change', [
    lambda rows: rows[3].__setitem__(0, float('nan')), lambda rows: rows[3].__setitem__(0, None),
    lambda rows: [row.append(1.0) for row in rows]], ids=['nan', 'null', 'a fourth number'])
def test_numbers_that_are_none_or_too_many_are_refused(tmp_path, contract_file, capsys,
                                                       change) -> None:
    path = foreign(tmp_path / 'theirs') / 'data/chunk-000/file-000.parquet'
    frames = pq.read_table(path)
    rows = frames['action'].to_pylist()
    change(rows)
    place = frames.schema.get_field_index('action')
    pq.write_table(frames.set_column(place, 'action', pa.array(rows)), path)
    assert 'action: expected 3 finite numbers in each frame' in refused(
        capsys, 'import-lerobot', tmp_path / 'theirs', '--contract', contract_file, '--out',
        tmp_path / 'demos')


def test_an_episode_that_is_there_twice_is_refused(tmp_path, contract_file, capsys) -> None:
    path = foreign(tmp_path / 'theirs') / 'meta/episodes/chunk-000/file-000.parquet'
    rows = pq.read_table(path)
    pq.write_table(pa.concat_tables([rows, rows.slice(1)]), path)
    assert 'got 3: [0, 1, 1]' in refused(
        capsys, 'import-lerobot', tmp_path / 'theirs', '--contract', contract_file, '--out',
        tmp_path / 'demos')


def test_why_no_episode_can_be_exported_is_told(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(globals(), 'picture', lambda i: np.zeros((24, 32, 3), np.uint8))
    demos = record(tmp_path / 'demos', contract_of())
    assert 'the first because episode_000000: ' in refused(
        capsys, 'export-lerobot', demos, '--out', tmp_path / 'set', '--workers', 1)


def test_pictures_of_another_size_are_refused(tmp_path, capsys) -> None:
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(contract_of(size=(64, 48)))))
    assert 'got 32 x 24; correct camera_size' in refused(
        capsys, 'import-lerobot', foreign(tmp_path / 'theirs'), '--contract', path, '--out',
        tmp_path / 'demos')


def test_a_rate_that_the_format_cannot_hold_is_refused(demos, tmp_path, capsys) -> None:
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(contract_of(rate_hz=12.5))))
    assert 'got rate_hz 12.5' in refused(capsys, 'export-lerobot', demos, '--contract', path,
                                         '--out', tmp_path / 'set')


def test_an_export_without_a_labelled_episode_leaves_nothing(tmp_path, capsys) -> None:
    folder = record(tmp_path / 'demos', contract_of())
    (folder / 'episode_000000.labels.json').unlink()
    assert 'because episode_000000: it has no label' in refused(
        capsys, 'export-lerobot', folder, '--out', tmp_path / 'set', '--workers', 1)
    assert not list(tmp_path.glob('set*'))
