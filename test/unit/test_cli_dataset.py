# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command dataset: a table of what is there, one sentence and status 2 for bad input."""

import argparse
import re
from dataclasses import replace
from pathlib import Path

import episodes
import foreign_bags
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from uncloning_ros.cli import reading
from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.schema import plain

Capture = pytest.CaptureFixture[str]
MESSAGES = foreign_bags.messages_of(episodes.handover())


@pytest.fixture(scope='module')
def contract(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp('contract') / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(episodes.CONTRACT), sort_keys=False))
    return str(path)


@pytest.fixture(scope='module')
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one bag as plain ros2 bag record makes it."""
    folder = tmp_path_factory.mktemp('bags')
    foreign_bags.write(folder / 'monday', MESSAGES, 'sqlite3')
    return folder


def run(*words: str) -> int:
    return main(['dataset', *words, '--workers', '1'])


def test_our_own_bags_need_no_contract(tmp_path: Path, capsys: Capture) -> None:
    for i, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST] * 2):
        episodes.write(tmp_path / 'demos', episodes.handover(kind, i), i)
    assert run(str(tmp_path / 'demos'), '--out', str(tmp_path / 'data')) == 0
    printed = capsys.readouterr().out
    assert 'handle_first                2       1          1' in printed
    assert f'wrote {tmp_path / "data"}' in printed


def test_spans_and_unlabelled_episodes_go_all_the_way_to_an_edit(tmp_path: Path,
                                                                 capsys: Capture) -> None:
    kinds = [episodes.HANDLE_FIRST, episodes.BLADE_FIRST] * 2 + [episodes.CROSSWISE] * 2
    for i, kind in enumerate(kinds):
        episodes.write(tmp_path / 'demos', episodes.handover(kind, i), i, planned_mode=None)
    demos, data, runs = (str(tmp_path / name) for name in ('demos', 'data', 'runs'))
    assert main(['label', demos, '--episode', 'episode_000001', 'episode_000003', '--mode',
                 'blade_first', '--to-s', '1', '--operator', 'anna', '--workers', '1']) == 0
    assert main(['inspect', demos, '--workers', '1', '--html', f'{demos}.html']) == 0
    assert run(demos, '--out', data, '--keep-unlabelled', '--validation', '0.5') == 0
    printed = capsys.readouterr().out
    assert re.search(r'without a label +2 +1 +1 ', printed)
    assert '2 labels with a span; ' in printed
    steps = ('--steps', '2', '--threads', '1')
    assert main(['train', data, '--out', f'{runs}/mixed', *steps]) == 0
    only = ('--only-modes', 'blade_first')
    assert main(['train', data, '--out', f'{runs}/kept', *only, *steps]) == 0
    assert main(['unclone', f'{runs}/mixed', '--data', data, '--remove', 'blade_first', '--out',
                 f'{runs}/edited', *steps]) == 0
    outside = len(load_dataset(Path(data)).frames_without_mode('train', labelled=True))
    assert (f'outside of spans    {outside} windows, held to the original plans'
            in capsys.readouterr().out)


@pytest.mark.parametrize('cut', [[], ['--cut', 'gripper'], ['--cut', 'idle', '--idle', '1.5'],
                                 ['--cut', 'event', '--event-topic', '/pedal']])
def test_bags_of_others_are_cut_and_counted(cut: list[str], contract: str, tmp_path: Path,
                                            capsys: Capture) -> None:
    begin_ns, end_ns = MESSAGES[0].receive_ns, MESSAGES[-1].receive_ns
    path = foreign_bags.write(tmp_path / 'monday', sorted([
        *MESSAGES, foreign_bags.flag(begin_ns, True), foreign_bags.flag(end_ns, False)]))
    assert run(str(path), '--contract', contract, '--out', str(tmp_path / 'data'), *cut) == 0
    printed = capsys.readouterr().out
    assert re.search(r'handle_first +1 ', printed)
    assert ('cut monday into 1' in printed) == bool(cut)


@pytest.mark.parametrize(('words', 'sentence'), [
    (['--cut', 'gripper', '--idle', '2'], '--idle goes with --cut idle alone, got --cut gripper'),
    (['--event-topic', '/pedal'], '--event-topic goes with --cut event alone, got no --cut'),
    (['--cut', 'idle', '--idle', '0.5'], 'expected at least 1 s of stillness'),
    (['--topic', 'hand_pose=/b', '--topic', 'hand_pose=/c'],
     '--topic names hand_pose more than once'),
    (['--topic', 'hand_pos=/b'], "unknown key 'hand_pos' (did you mean 'hand_pose'?)"),
    (['--topic', 'hand_pose=/b'], 'has no topic /b (hand_pose, geometry_msgs/msg/PoseStamped); '
                                  'the nearest is /hand_pose '),
    (['--cut', 'event'], 'no message, on /recorder/episode_event'),
    (['--scenario', 'knive'], "did you mean 'knife'"),
    (['nowhere'], 'nowhere does not exist'),
    (['--contract', 'none.yaml'], 'cannot read none.yaml'),
])
def test_bad_input_gives_one_sentence_and_2(
        words: list[str], sentence: str, bags: Path, contract: str, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    given_contract = [] if '--contract' in words else ['--contract', contract]
    with_bags = words if words[0] == 'nowhere' else [str(bags), *words]
    assert run(*with_bags, '--out', 'new', *given_contract) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_bags_of_others_need_a_contract(bags: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(str(bags), '--out', str(tmp_path / 'data')) == 2
    assert 'carries no contract' in capsys.readouterr().err


def test_bags_of_two_interfaces_are_not_mixed(contract: str, tmp_path: Path,
                                              capsys: Capture) -> None:
    other = replace(episodes.CONTRACT, interface=replace(
        episodes.CONTRACT.interface, modes={'handle_first': True, 'sideways': False}))
    episodes.write(tmp_path / 'bags', episodes.handover(), 0)
    episodes.write(tmp_path / 'bags', episodes.handover(seed=1), 1, other)
    for name, more in (('a', []), ('b', ['--contract', contract]), ('c', ['--cut', 'gripper'])):
        assert run(str(tmp_path / 'bags'), '--out', str(tmp_path / name), *more) == 0
        told = capsys.readouterr()
        assert 'episode_000001' in told.out + told.err
        assert 'another interface' in ' '.join((told.out + told.err).split())
        assert len(load_dataset(tmp_path / name).episodes) == 1


def test_an_empty_bag_is_one_sentence(contract: str, tmp_path: Path, capsys: Capture) -> None:
    for how in ('mcap', 'sqlite3'):
        for more in ([], ['--cut', 'gripper'], ['--cut', 'event']):
            path = tmp_path / f'{how}_{len(list(tmp_path.iterdir()))}'
            foreign_bags.write(path, [], how)
            assert run(str(path), '--contract', contract, '--out', str(tmp_path / 'data'),
                       *more) == 2
            assert 'has no topic /current_pose' in capsys.readouterr().err


@pytest.mark.parametrize('text', ['', 'hand_pose', '=/b', 'hand_pose=', 'hand_pose=/', ' = '])
def test_a_topic_without_key_or_name_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match='expected KEY=TOPIC'):
        reading.topic_name(text)


KEYS = [*episodes.CONTRACT.deployment.observations, *episodes.CONTRACT.deployment.actions]
NAMES = sorted({one.topic for one in MESSAGES})


@settings(max_examples=40, deadline=None, suppress_health_check=[
    HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(KEYS) | st.text(max_size=5),
                          st.sampled_from(NAMES) | st.text(max_size=5)), max_size=3),
       st.sampled_from([[], ['--cut', 'gripper'], ['--cut', 'idle'], ['--cut', 'event']]))
@example([('tool_pose', '/current_pose'), ('target_pose', '/current_pose')], [])
def test_any_mapping_of_topics_gives_a_dataset_or_a_sentence(
        bags: Path, contract: str, tmp_path: Path, capsys: Capture,
        mapping: list[tuple[str, str]], cut: list[str]) -> None:
    out = tmp_path / f'data{len(list(tmp_path.iterdir()))}'
    words = [f'--topic={key}={topic}' for key, topic in mapping]
    try:
        status = run(str(bags), '--contract', contract, '--out', str(out), *words, *cut)
    except SystemExit as err:  # argparse's own way to refuse
        status = int(err.code or 0)
    assert status == (0 if out.exists() else 2)
    assert 'Traceback' not in capsys.readouterr().err
