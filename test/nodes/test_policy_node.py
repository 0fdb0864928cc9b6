# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node: silent until asked, one hold command at the end, a reason for everything."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import TransitionCallbackReturn

from uncloning_ros.contract import contract_to_dict
from uncloning_ros.errors import ContractError, ModelError
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.policy import PolicyNode

SUCCESS, FAILURE, ERROR = (TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE,
                           TransitionCallbackReturn.ERROR)


class FakePolicy:
    """Stands for a model: the newest pose again and again, 1 cm further along x."""

    sha256 = 'f' * 64

    def __init__(self, contract: Any, bad: bool = False) -> None:
        self.contract = contract
        self.warm = False
        self._bad = bad

    def warm_up(self) -> None:
        self.warm = True

    def __call__(self, history: np.ndarray, noise: np.ndarray) -> np.ndarray:
        action = np.concatenate([history[-1][:9], [0.03]])
        action[0] += np.nan if self._bad else 0.01
        return np.tile(action, (len(noise), 1)).astype(np.float32)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tools: Any) -> Callable[[Any], None]:
    """Return a function that decides what loading a model gives: a policy, or an exception."""
    def decide(given: Any) -> None:
        def load_policy(path: Any, expected: Any) -> Any:
            if isinstance(given, Exception):
                raise given
            return given
        monkeypatch.setattr(policy_module, 'load_policy', load_policy)
    decide(FakePolicy(tools.contract))
    return decide


class Live:
    """A policy node on a graph with the robot; `state` is what its status says last."""

    def __init__(self, graph: Any, robot: Any, **parameters: Any) -> None:
        self.graph, self.robot = graph, robot
        self.heard = robot.listen('/policy/status')
        self.node = graph.add(PolicyNode, model_path='some.onnx', **parameters)
        assert self.node.trigger_configure() is SUCCESS
        assert self.node.trigger_activate() is SUCCESS

    @property
    def status(self) -> dict[str, Any]:
        return json.loads(self.heard[-1]) if self.heard else {'state': None, 'reason': None}

    def reach(self, state: str, reason: str) -> None:
        self.graph.until(
            lambda: (self.status['state'], self.status['reason']) == (state, reason),
            lambda: self.heard)

    def moving(self) -> None:
        """Start, and wait until commands arrive."""
        self.reach('waiting', 'not_started')
        assert self.graph.call(self.robot, '/policy/start').success
        self.reach('active', 'policy')
        self.graph.until(lambda: len(self.poses) > 2, lambda: self.poses)

    @property
    def poses(self) -> list[Any]:
        return [sample.values for sample in self.robot.commands['target_pose']]

    @property
    def widths(self) -> list[float]:
        return [float(sample.values[0]) for sample in self.robot.commands['target_width']]

    def let_rounds_pass(self, count: int = 20) -> None:
        goal = self.robot.rounds + count
        self.graph.until(lambda: self.robot.rounds >= goal, lambda: self.robot.rounds)


@pytest.fixture
def live(graph: Any, robot: Any, load: Any) -> Live:
    return Live(graph, robot)


def test_configuring_without_a_model_fails_and_says_why(
        graph: Any, capfd: pytest.CaptureFixture[str]) -> None:
    node = graph.add(PolicyNode)
    assert node.trigger_configure() is FAILURE
    assert 'model_path' in capfd.readouterr().err


def test_a_model_that_cannot_be_trusted_leaves_the_node_unconfigured(
        graph: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    load(ModelError('some.onnx is corrupted'))
    node = graph.add(PolicyNode, model_path='some.onnx')
    assert node.trigger_configure() is FAILURE
    assert 'some.onnx is corrupted' in capfd.readouterr().err


def test_bringing_up_by_itself_raises_if_the_model_cannot_be_used(graph: Any, load: Any) -> None:
    load(ModelError('some.onnx is corrupted'))
    node = graph.add(PolicyNode, model_path='some.onnx', auto_activate=True)
    with pytest.raises(ModelError, match='could not be brought up'):
        node.bring_up()


def test_a_robot_of_another_interface_is_refused(
        graph: Any, load: Any, tools: Any, capfd: pytest.CaptureFixture[str]) -> None:
    interface = dataclasses.replace(tools.contract.interface, modes={'only': True})
    load(FakePolicy(dataclasses.replace(tools.contract, interface=interface)))
    from uncloning_ros.share import share_path
    node = graph.add(PolicyNode, model_path='some.onnx',
                     contract_path=str(share_path('config') / 'contract.yaml'))
    assert node.trigger_configure() is FAILURE
    assert 'another interface' in capfd.readouterr().err


def test_a_negative_seed_is_refused_with_a_sentence(graph: Any) -> None:
    with pytest.raises(ContractError, match='seed of at least 0, got -1'):
        graph.add(PolicyNode, seed=-1)


def test_a_topic_that_ros_does_not_take_is_refused_with_a_sentence(
        graph: Any, load: Any, tools: Any, tmp_path: Path,
        capfd: pytest.CaptureFixture[str]) -> None:
    data = contract_to_dict(tools.contract)
    data['deployment']['observations']['hand_pose']['topic'] = 'hand pose'
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    node = graph.add(PolicyNode, model_path='some.onnx', contract_path=str(path))
    assert node.trigger_configure() is FAILURE
    said = capfd.readouterr().err
    assert 'Invalid topic name: topic name must not contain' in said and 'hand pose' in said
    assert 'Traceback' not in said


def test_an_unforeseen_exception_in_a_transition_is_logged_with_its_traceback(
        graph: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    load(RuntimeError('no such luck'))
    node = graph.add(PolicyNode, model_path='some.onnx')
    assert node.trigger_configure() is ERROR
    assert 'RuntimeError: no such luck' in capfd.readouterr().err


def test_active_without_start_is_silent(live: Live) -> None:
    live.reach('waiting', 'not_started')
    live.let_rounds_pass()
    assert live.poses == []


def test_start_is_refused_before_activation(graph: Any, robot: Any, load: Any) -> None:
    graph.add(PolicyNode, model_path='some.onnx')
    response = graph.call(robot, '/policy/start')
    assert not response.success
    assert 'activate' in response.message


def test_after_start_every_action_topic_is_commanded(live: Live, tools: Any) -> None:
    live.moving()
    assert live.poses[-1] == pytest.approx(tools.pose(0.41), abs=1e-6)
    assert live.widths[-1] == pytest.approx(0.03)
    assert live.status['model_sha256'] == 'f' * 64


def test_autostart_needs_no_call(graph: Any, robot: Any, load: Any) -> None:
    Live(graph, robot, autostart=True).reach('active', 'policy')


def test_stop_publishes_exactly_one_hold_command_then_nothing(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.let_rounds_pass()
    assert live.graph.call(live.robot, '/policy/stop').success
    live.graph.until(lambda: live.poses[-1][0] == pytest.approx(0.45), lambda: live.poses[-3:])
    live.let_rounds_pass()
    held = [p for p in live.poses if p[0] == pytest.approx(0.45)]
    assert len(held) == 1
    assert len(live.widths) == len(live.poses)
    assert live.widths[-1] == pytest.approx(0.03)


def test_deactivation_publishes_exactly_one_hold_command_then_nothing(
        live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.let_rounds_pass()
    assert live.node.trigger_deactivate() is SUCCESS
    live.graph.until(lambda: live.poses[-1][0] == pytest.approx(0.45), lambda: live.poses[-3:])
    live.let_rounds_pass()
    assert len([p for p in live.poses if p[0] == pytest.approx(0.45)]) == 1


def test_a_silent_tracker_holds_the_measured_pose_and_says_so(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.let_rounds_pass()
    live.robot.silent.add('hand_pose')
    live.reach('hold', 'stale_input')
    assert 'hand_pose' in live.status['sentence']
    live.graph.until(lambda: live.poses[-1][0] == pytest.approx(0.45), lambda: live.poses[-3:])
    live.robot.values['tool_pose'] = tools.pose(0.3)
    live.let_rounds_pass()
    assert live.poses[-1][0] == pytest.approx(0.45)


def test_motion_goes_on_when_the_tracker_is_back(live: Live) -> None:
    live.moving()
    live.robot.silent.add('hand_pose')
    live.reach('hold', 'stale_input')
    live.robot.silent.clear()
    live.reach('active', 'policy')
    assert live.status['counters']['holds'] == 1


def test_a_message_that_breaks_the_contract_holds_at_once(live: Live) -> None:
    live.moving()
    live.robot.silent.add('hand_pose')
    foreign = live.robot.message('hand_pose')
    foreign.header.frame_id = 'camera'
    live.robot.send('hand_pose', foreign)
    live.reach('hold', 'missing_input')


def test_a_policy_that_answers_nan_commands_nothing_and_needs_a_person(
        graph: Any, robot: Any, load: Any, tools: Any) -> None:
    load(FakePolicy(tools.contract, bad=True))
    live = Live(graph, robot, autostart=True)
    live.reach('fault', 'policy_failed')
    live.let_rounds_pass()
    assert live.poses == []
    response = graph.call(robot, '/policy/start')
    assert not response.success and 'deactivate' in response.message
    assert live.node.trigger_deactivate() is SUCCESS
    load(FakePolicy(tools.contract))
    assert live.node.trigger_cleanup() is SUCCESS
    assert live.node.trigger_configure() is SUCCESS
    assert live.node.trigger_activate() is SUCCESS
    live.reach('active', 'policy')


@pytest.mark.parametrize('wrong', [
    Transition(id=Transition.TRANSITION_CONFIGURE), Transition(id=Transition.TRANSITION_CLEANUP),
    Transition(id=99), Transition(label='nonsense')], ids=lambda wrong: wrong.label or wrong.id)
def test_a_transition_that_the_state_does_not_allow_is_refused_and_motion_goes_on(
        live: Live, wrong: Transition) -> None:
    live.moving()
    client = live.robot.create_client(ChangeState, '/policy/change_state')
    live.graph.until(client.service_is_ready, lambda: 'no service')
    future = client.call_async(ChangeState.Request(transition=wrong))
    live.graph.until(future.done, lambda: 'no answer')
    assert not future.result().success
    before = len(live.poses)
    live.graph.until(lambda: len(live.poses) > before + 2, lambda: live.heard)


def test_a_message_without_a_time_stamp_is_refused_and_says_so(
        live: Live, capfd: pytest.CaptureFixture[str]) -> None:
    live.moving()
    live.robot.silent.add('hand_pose')
    unstamped = live.robot.message('hand_pose')
    unstamped.header.stamp.sec = unstamped.header.stamp.nanosec = 0
    live.robot.send('hand_pose', unstamped)
    live.reach('hold', 'missing_input')
    assert 'hand_pose: expected a time stamp, got none' in capfd.readouterr().err


def test_a_wild_tool_pose_is_never_commanded(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(9000.0)
    live.let_rounds_pass()
    live.robot.silent.add('hand_pose')
    live.reach('hold', 'stale_input')
    assert live.graph.call(live.robot, '/policy/stop').success
    live.reach('waiting', 'stopped')
    live.let_rounds_pass()
    assert max(abs(pose[0]) for pose in live.poses) < 1.0


def test_a_control_thread_that_hung_ends_when_it_comes_back(
        graph: Any, robot: Any, load: Any, tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hung, go_on = threading.Event(), threading.Event()

    class Hanging(FakePolicy):
        def __call__(self, history: np.ndarray, noise: np.ndarray) -> np.ndarray:
            hung.set()
            go_on.wait()
            return super().__call__(history, noise)

    monkeypatch.setattr(policy_module, '_JOIN_TIMEOUT_S', 0.01)
    load(Hanging(tools.contract))
    live = Live(graph, robot, autostart=True)
    graph.until(hung.is_set, lambda: live.heard)
    [first] = [thread for thread in threading.enumerate() if thread.name == 'control']
    assert live.node.trigger_deactivate() is SUCCESS
    assert live.node.trigger_activate() is SUCCESS
    go_on.set()
    graph.until(lambda: not first.is_alive(), lambda: 'two control threads')
    live.reach('active', 'policy')
