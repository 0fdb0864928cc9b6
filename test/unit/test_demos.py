# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`uncloning demos` makes as many episodes as asked, the same for any number of workers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from inputs import CONTRACT

from uncloning_ros.cli.main import main
from uncloning_ros.contract import with_modes
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.labels import newest_label, read_labels
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import episode_digest, read_episode, unfinished_session
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.files import alone_in
from uncloning_ros.scenario import contract_of, find_scenario
from uncloning_ros.share import share_path

INTERFACE = CONTRACT.interface


def arguments(out: Path, episodes: int = 3, workers: int = 2) -> list[str]:
    return ['demos', '--scenario', 'knife', '--episodes', str(episodes), '--seed', '41',
            '--out', str(out), '--workers', str(workers)]


@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('demos') / 'demos'
    assert main(arguments(out)) == 0
    return out


def test_episodes_are_as_many_as_asked_and_labelled_by_the_rule(demos: Path) -> None:
    episodes = list_episodes(demos)
    assert [path.name for path in episodes] == [f'episode_{i:06d}' for i in range(3)]
    modes = set()
    for path in episodes:
        metadata = read_episode(path).metadata
        label = newest_label(read_labels(path, INTERFACE), 'rule')
        assert label is not None
        assert label.mode == metadata.planned_mode
        assert metadata.seed is not None
        modes.add(metadata.planned_mode)
    assert modes == {'handle_first', 'blade_first'}


def test_without_a_contract_the_modes_are_those_of_the_scenario(tmp_path: Path) -> None:
    out = tmp_path / 'demos'
    assert main(['demos', '--scenario', 'mug', '--episodes', '1', '--out', str(out)]) == 0
    mug = find_scenario('mug')
    episode = read_episode(list_episodes(out)[0])
    assert episode.contract == with_modes(CONTRACT, mug.desired)
    label = newest_label(read_labels(episode.path, episode.contract.interface), 'rule')
    assert label is not None
    assert label.mode == episode.metadata.planned_mode


def test_a_scenario_with_cameras_is_recorded_by_the_contract_of_cameras() -> None:
    scenario = find_scenario('mug_camera')
    contract = contract_of(None, scenario)
    assert {one.key for one in contract.interface.cameras} == set(scenario.cameras)
    assert dict(contract.interface.modes) == dict(scenario.desired)


def test_a_contract_without_the_modes_of_the_scenario_is_refused(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = share_path('config') / 'contract.yaml'
    assert main(['demos', '--scenario', 'mug', '--episodes', '1', '--contract', str(contract),
                 '--out', str(tmp_path / 'demos')]) == 2
    assert "unknown mode 'handle_left'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bags_with_one_worker(
        demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'demos'
    process = subprocess.Popen(
        [sys.executable, '-m', 'uncloning_ros.cli.main', *arguments(out, 3, 1)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(out.glob('episode_000000')):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 'go on with the same command and --resume' in said
    assert not list(out.glob('*.partial'))
    begun = len(list_episodes(out))
    assert 1 <= begun <= 3
    capsys.readouterr()
    assert main([*arguments(out, 3, 1), '--resume']) == 0
    assert re.search(rf'{3 - begun} new episodes? in .*; {begun} were there already',
                     capsys.readouterr().out)
    assert ([episode_digest(path) for path in list_episodes(out)]
            == [episode_digest(path) for path in list_episodes(demos)])


def test_resuming_nothing_is_refused(tmp_path: Path,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(tmp_path / 'typo'), '--resume']) == 2
    assert 'nothing to resume; check the path' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_resuming_tells_what_was_there(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(demos), '--resume']) == 0
    assert capsys.readouterr().out == (
        f'0 new episodes in {demos}: nothing was missing; 3 were there already\n')


def test_resuming_with_another_seed_is_refused(demos: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(demos, 4), '--resume', '--seed', '7']) == 2
    assert "'knife-41', expected 'knife-7'" in capsys.readouterr().err


def test_resuming_leaves_the_unfinished_take_of_a_recorder_alone(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'demos'
    metadata = EpisodeMetadata('tuesday', 0, 'anna', None, '0.1.0')
    with EpisodeWriter(out / 'episode_000000', CONTRACT, metadata) as writer:
        writer.write_event({'event': 'start'}, 1)
    take = out / 'episode_000000.partial'
    assert unfinished_session(take) == 'tuesday'
    files = {path: path.read_bytes() for path in take.iterdir()}
    assert main([*arguments(out), '--resume']) == 2
    assert "'tuesday', expected 'knife-41'" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in take.iterdir()} == files


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    with alone_in(tmp_path):
        assert main([*arguments(tmp_path), '--resume']) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_a_worker_that_cannot_begin_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / 'pybullet.py').write_text("raise ModuleNotFoundError('none', name='pybullet')")
    done = subprocess.run(
        [sys.executable, '-m', 'uncloning_ros.cli.main', *arguments(tmp_path / 'demos', 1, 1)],
        capture_output=True, text=True, timeout=60,
        env=os.environ | {'PYTHONPATH': str(tmp_path)})
    assert done.returncode == 2, done.stderr
    assert 'demos needs pybullet, which is not installed' in done.stderr
    assert 'Traceback' not in done.stderr


def test_a_contract_that_the_teacher_cannot_act_by_leaves_no_folder(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = yaml.safe_load((share_path('config') / 'contract.yaml').read_text())
    data['interface']['observations'] = [
        one for one in data['interface']['observations'] if one['key'] != 'wrist_force']
    del data['deployment']['observations']['wrist_force']
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump(data))
    assert main([*arguments(tmp_path / 'o'), '--contract', str(tmp_path / 'mine.yaml')]) == 2
    assert 'wrist_force' in capsys.readouterr().err
    assert not (tmp_path / 'o').exists()


def test_signals_that_share_a_topic_are_refused_before_the_first_episode(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = yaml.safe_load((share_path('config') / 'contract.yaml').read_text())
    topics = data['deployment']['observations']
    topics['hand_pose']['topic'] = topics['object_pose']['topic']
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump(data))
    assert main([*arguments(tmp_path / 'o'), '--contract', str(tmp_path / 'mine.yaml')]) == 2
    assert '/object_pose of object_pose, hand_pose' in capsys.readouterr().err
    assert not (tmp_path / 'o').exists()


def test_an_existing_folder_is_not_touched(demos: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in demos.iterdir())
    assert main(arguments(demos)) == 2
    assert 'exists already' in capsys.readouterr().err
    assert sorted(path.name for path in demos.iterdir()) == before


@pytest.mark.parametrize(('option', 'value', 'said'), [
    ('--scenario', 'knive', "did you mean 'knife'"),
    ('--only-modes', 'handle_frist', "did you mean 'handle_first'"),
    ('--contract', 'no_such.yaml', 'cannot read no_such.yaml'),
])
def test_bad_input_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                   option: str, value: str, said: str) -> None:
    assert main([*arguments(tmp_path / 'demos'), option, value]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / 'demos').exists()


def test_a_full_disk_gets_a_sentence_and_leaves_no_half_episode(tmp_path: Path) -> None:
    if shutil.which('prlimit') is None:
        pytest.skip('prlimit is not installed')
    out = tmp_path / 'demos'
    # A limit on the size of a file stands in for a full disk: both fail in write().
    done = subprocess.run(
        ['prlimit', '--fsize=100000', sys.executable, '-m', 'uncloning_ros.cli.main',
         *arguments(out, 1, 1)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2, done.stderr
    assert 'Traceback' not in done.stderr
    assert 'uncloning: error:' in done.stderr
    assert list_episodes(out) == []


POLICY = share_path('models') / 'knife_uncloned.onnx'


def corrections(out: Path, *options: str) -> int:
    return main(['demos', '--scenario', 'knife', '--episodes', '1', '--seed', '41', '--out',
                 str(out), '--take-over-from', str(POLICY), *options])


def test_the_teacher_takes_over_from_a_policy_and_the_dataset_finds_the_correction(
        tmp_path: Path) -> None:
    assert corrections(tmp_path / 'corrections') == 0
    data = build_dataset([tmp_path / 'corrections'], tmp_path / 'data', Recipe(None), Split())
    [one] = data.dataset.episodes
    begin_s, end_s = one.correction_s or (0.0, 0.0)
    assert 1.0 <= begin_s <= 6.0 < end_s
    assert one.mode == 'handle_first'  # a desired one, though none was asked for
    episode = read_episode(tmp_path / 'corrections' / 'episode_000000')
    # THEN before the take-over the control loop commanded, at its rate, and after it the teacher
    taken_ns = episode.bounds_ns[0] + round(begin_s * 1e9)
    before = [sample for sample in episode.samples['target_pose'] if sample.receive_ns < taken_ns]
    after = [sample for sample in episode.samples['target_pose'] if sample.receive_ns > taken_ns]
    assert len(before) > 50 * begin_s and len(after) < 25 * (end_s - begin_s)


@pytest.mark.parametrize(('options', 'culprit'), [
    (['--begin-as', 'sideways'], 'sideways'),
    (['--contract', 'mine.yaml'], '--contract does not go with --take-over-from'),
    (['--scenario', 'knife_two_arms'], 'knife_two_arms'),
    (['--only-modes', 'sideways'], 'sideways'),
])
def test_take_overs_that_cannot_be_are_refused(options: list[str], culprit: str, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    assert corrections(tmp_path / 'out', *options) == 2
    assert culprit in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_wrong_begin_needs_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(tmp_path / 'out'), '--begin-as', 'blade_first']) == 2
    assert '--begin-as goes with --take-over-from' in capsys.readouterr().err
