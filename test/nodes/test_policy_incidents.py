# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What went wrong is kept: a HOLD writes a file from which every chunk comes out again."""

from pathlib import Path
from typing import Any

import pytest
from live_policy import CONTRACT, FAILURE, SUCCESS, FakePolicy, Live
from policies import wandering_policy, written

from uncloning_ros.cli import main
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes import policy_services
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.runtime.incident import read_incident


@pytest.fixture
def real(graph: Any, robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """An active node with a policy from a file, and a robot that is soon missed."""
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 0)
    contract_path = written(CONTRACT, tmp_path / 'contract.yaml')
    live = Live(graph, robot, tmp_path / 'incidents', seed=7, contract_path=str(contract_path),
                model_path=str(wandering_policy(tmp_path / 'wandering.onnx')))
    live.reach('waiting', 'not_started')
    assert live.call('start').success
    live.until(lambda: live.status['counters']['chunks'] >= 3)
    return live


def files(live: Live, reason: str = '') -> list[Path]:
    return sorted(live.incident_dir.glob(f'*{reason}.npz'))


def test_a_hold_writes_an_incident_that_replays_bit_for_bit(
        real: Live, capsys: pytest.CaptureFixture[str]) -> None:
    real.robot.frozen.add('hand_pose')
    real.reach('hold', 'unchanged_input')
    real.until(lambda: files(real, '_hold_unchanged_input'))
    [path] = files(real)
    incident = read_incident(path)
    assert incident.seed == 7
    assert incident.answered.any()
    assert [event.reason for event in incident.events][-1] == 'unchanged_input'
    assert main.main(['replay', str(path)]) == 0
    said = capsys.readouterr().out
    assert 'hold    hand_pose has repeated the same values' in said
    assert f'{incident.answered.sum()} chunks are equal, bit for bit' in said


def test_dump_writes_an_incident_in_motion_and_names_it(real: Live) -> None:
    answer = real.call('dump')
    assert answer.success
    [path] = files(real, '_dump')
    assert answer.message == f'wrote {path}'
    assert main.main(['replay', str(path)]) == 0
    real.let_rounds_pass()
    assert real.status['state'] == 'active'
    assert real.call('dump').success
    assert len(files(real, '_dump')) == 2


def test_a_fault_right_after_a_hold_writes_an_incident_of_its_own(
        activate: Any, load: Any) -> None:
    policy = FakePolicy()
    load(policy)
    live = activate(autostart=True)
    live.reach('active', 'policy')
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    policy._bad = True
    live.robot.frozen.clear()
    live.reach('fault', 'policy_failed')
    live.until(lambda: files(live, '_fault_policy_failed'))
    assert len(files(live, '_hold_unchanged_input')) == 1


def test_what_happened_just_before_the_end_is_written_as_well(
        activate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, '_VIEW_S', 3600.0)
    live = activate(autostart=True)
    live.reach('active', 'policy')
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    assert files(live) == []
    live.node.trigger_deactivate()
    assert len(files(live, '_hold_unchanged_input')) == 1


def held_again(live: Live) -> None:
    """Have the arm hold once more, long enough for an incident, and go on."""
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    live.let_rounds_pass(15)  # the files are looked after 5 times a second
    live.robot.frozen.clear()
    live.reach('active', 'policy')


def test_an_incident_that_cannot_be_written_is_told_once_and_the_next_one_is_written(
        activate: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, 'No space left on device')

    live = activate(autostart=True)
    live.reach('active', 'policy')
    with monkeypatch.context() as patch:
        patch.setattr('uncloning_ros.runtime.incident_files.write_incident', full)
        held_again(live)
        held_again(live)
        assert capfd.readouterr().err.count('cannot write the incident') == 1
        answer = live.call('dump')
        assert not answer.success and 'No space left on device' in answer.message
    held_again(live)
    assert len(files(live, '_hold_unchanged_input')) == 1


def test_the_last_incident_of_a_node_is_said_to_be_the_last(
        activate: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr('uncloning_ros.runtime.incident_files.HOLD_EVERY_S', 0.0)
    live = activate(autostart=True)
    live.reach('active', 'policy')
    live.node._incidents.left = 2
    said = []
    for _ in range(3):
        held_again(live)
        said.append(capfd.readouterr().err.count('this was the last of 100 incidents'))
    assert said == [0, 1, 0]
    assert len(files(live, '_hold_unchanged_input')) == 2
    assert live.call('dump').success


def test_an_incident_folder_that_is_none_is_refused_at_configure(
        graph: Any, load: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'incidents').write_text('no folder')
    node = graph.add(PolicyNode, model_path='some.onnx',
                     incident_dir=str(tmp_path / 'incidents' / 'robot'))
    assert node.trigger_configure() is FAILURE
    assert f'{tmp_path}/incidents is not a folder' in capfd.readouterr().err
    (tmp_path / 'incidents').unlink()
    assert node.trigger_configure() is SUCCESS
    assert list(tmp_path.iterdir()) == []  # it is made when it is needed
