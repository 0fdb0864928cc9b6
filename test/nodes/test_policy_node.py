# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node: silent until asked, one hold command at the end, a reason for everything."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn

from uncloning_ros.errors import ModelError
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
