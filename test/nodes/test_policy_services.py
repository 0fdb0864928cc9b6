# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node's services answer in every state; its parameters are what they were."""

import threading
from pathlib import Path
from typing import Any

import pytest
from live_policy import SUCCESS, FakePolicy, Live
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from uncloning_ros.errors import ContractError
from uncloning_ros.nodes import policy_run
from uncloning_ros.nodes.parameters import POLICY
from uncloning_ros.nodes.policy import PolicyNode, main
from uncloning_ros.runtime.control_loop import ControlLoop

# service -> success in the states unconfigured, inactive and finalized
ANSWERS = {'start': False, 'reset': False, 'stop': True, 'dump': False, 'take_over': False,
           'give_back': False}


def test_every_service_answers_with_a_sentence_in_every_lifecycle_state(
        activate: Any, graph: Any, robot: Any, load: Any) -> None:
    node = graph.add(PolicyNode, model_path='some.onnx')

    def require_answers() -> None:
        for name, success in ANSWERS.items():
            answer = graph.call(robot, f'/policy/{name}')
            assert answer.success is success
            assert answer.message.startswith('not active')
        answer = graph.call(robot, '/policy/set_shadow', SetBool, data=False)
        assert answer.success and "robot's topics" in answer.message

    require_answers()
    assert node.trigger_configure() is SUCCESS
    require_answers()
    assert node.trigger_activate() is SUCCESS
    refused = graph.call(robot, '/policy/set_shadow', SetBool, data=True)
    assert not refused.success and 'deactivate first' in refused.message
    for name in ('start', 'stop', 'reset'):
        answer = graph.call(robot, f'/policy/{name}')
        assert answer.success and answer.message
    assert node.trigger_shutdown() is SUCCESS
    require_answers()


def test_starting_twice_is_no_mistake_and_the_answer_is_what_is(live: Live) -> None:
    live.reach('waiting', 'not_started')
    assert live.call('start').message == 'motion begins once every input is fresh'
    live.reach('active', 'policy')
    again = live.call('start')
    assert (again.success, again.message) == (True, 'motion was started already and goes on')
    live.let_rounds_pass()
    assert live.status['state'] == 'active'
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    again = live.call('start')
    assert again.success
    assert 'started already' in again.message and '~/status' in again.message


def test_a_start_into_the_midst_of_a_stop_is_refused_and_says_so(
        live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.moving()
    start = ControlLoop.start

    def stopped_before(loop: ControlLoop) -> bool:
        loop.stop()
        return start(loop)

    monkeypatch.setattr(ControlLoop, 'start', stopped_before)
    answer = live.call('start')
    assert not answer.success
    assert 'being stopped' in answer.message and '~/start' in answer.message
    live.reach('waiting', 'stopped')


def test_stop_takes_a_start_back_that_still_waits_for_its_inputs(live: Live) -> None:
    live.reach('waiting', 'not_started')
    live.robot.frozen.add('hand_pose')
    live.reach('waiting', 'unchanged_input')
    assert live.call('start').success
    assert live.call('stop').success
    live.robot.frozen.clear()
    live.reach('waiting', 'not_started')
    live.let_rounds_pass()
    assert live.poses == []


def test_reset_in_motion_publishes_one_hold_command_and_forgets(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    answer = live.call('reset')
    assert answer.success and 'waiting for ~/start' in answer.message
    live.reach('waiting', 'not_started')
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1
    assert live.poses[-1][0] == pytest.approx(0.45)
    assert live.status['counters']['chunks'] == 0
    live.moving()


def test_reset_leads_out_of_fault(activate: Any, load: Any) -> None:
    policy = FakePolicy(bad=True)
    load(policy)
    live = activate(autostart=True)
    live.reach('fault', 'policy_failed')
    policy._bad = False
    assert live.call('reset').success
    live.moving()


def test_a_service_that_the_control_thread_does_not_answer_says_so_and_moves_nothing_later(
        live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    live.reach('waiting', 'not_started')
    hung, go_on = threading.Event(), threading.Event()
    tell = policy_run.PolicyRun._tell

    def hanging(*args: Any) -> None:
        hung.set()
        go_on.wait()
        tell(*args)

    monkeypatch.setattr(policy_run.PolicyRun, '_tell', hanging)
    monkeypatch.setattr(policy_run.ControlThread.call, '__defaults__', (0.05,))
    live.until(hung.is_set)
    for name in ('start', 'reset', 'stop', 'dump'):
        answer = live.call(name)
        assert not answer.success
        assert 'the control thread does not answer' in answer.message
    go_on.set()
    live.let_rounds_pass()
    assert live.status['state'] == 'waiting'
    assert live.poses == []


def test_dump_into_a_folder_that_cannot_be_written_says_so_and_motion_goes_on(
        activate: Any, tmp_path: Path) -> None:
    live = activate()
    live.moving()
    (tmp_path / 'incidents').write_text('no folder')
    answer = live.call('dump')
    assert not answer.success
    assert str(tmp_path / 'incidents') in answer.message
    live.let_rounds_pass()
    assert live.status['state'] == 'active'


def test_every_parameter_is_described_and_read_only(graph: Any, robot: Any, load: Any) -> None:
    graph.add(PolicyNode, model_path='some.onnx')
    names = [parameter.name for parameter in POLICY]
    described = graph.call(robot, '/policy/describe_parameters', DescribeParameters,
                           names=names).descriptors
    assert [(d.name, d.description) for d in described] == [
        (parameter.name, parameter.meaning) for parameter in POLICY]
    changes = [Parameter(parameter.name, value=parameter.default).to_parameter_msg()
               for parameter in POLICY]
    results = graph.call(robot, '/policy/set_parameters', SetParameters,
                         parameters=changes).results
    assert [result.successful for result in results] == [False] * len(POLICY)
    assert all('read-only' in result.reason for result in results)
    for value in (True, False):
        change = Parameter('use_sim_time', value=value).to_parameter_msg()
        [result] = graph.call(robot, '/policy/set_parameters', SetParameters,
                              parameters=[change]).results
        assert not result.successful and 'read-only' in result.reason


@pytest.mark.parametrize(('parameters', 'sentence'), [
    ({'seed': -1}, 'seed: .*at least 0, got -1'),
    ({'realtime_priority': 100}, 'realtime_priority: .*at most 99, got 100'),
    ({'realtime_priority': -1}, 'realtime_priority: .*at least 0 .*got -1'),
    ({'shaddow': True}, r"policy has no parameter 'shaddow' \(did you mean 'shadow'\?\)")])
def test_a_parameter_that_cannot_be_meant_is_refused(
        graph: Any, parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        graph.add(PolicyNode, **parameters)


@pytest.mark.parametrize('words', [
    ['shadow:=true', '--ros-args', '-p', 'seed:=1'], ['--ros-args', '-p', 'seed:=1', '--', '-v'],
    ['policy.onnx']])
def test_words_that_ros_would_not_heed_are_refused(
        words: list[str], monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """With shadow:=true on the command line the arm must not move, wherever it stands."""
    def begin(**_: Any) -> None:
        raise RuntimeError('a node would begin')

    monkeypatch.setattr('rclpy.init', begin)
    assert main(words) == 2
    stray = next(word for word in words if word in ('shadow:=true', '-v', 'policy.onnx'))
    said = capsys.readouterr().err
    assert said.startswith('uncloning_ros: error: ') and said.count('\n') == 1
    assert repr(stray) in said and '--ros-args -p name:=value' in said


def test_a_refused_real_time_priority_is_a_warning_and_not_an_end(
        activate: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, 'Operation not permitted')

    monkeypatch.setattr('os.sched_setscheduler', refuse)
    live = activate(realtime_priority=30)
    live.moving()
    assert 'real-time priority 30 was refused (Operation not permitted)' in capfd.readouterr().err
