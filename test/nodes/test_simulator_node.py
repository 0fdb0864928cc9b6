# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulator and demonstrator nodes: at rest until asked, on the contract's topics."""

import json
import time
from typing import Any

import numpy as np
import pytest

from uncloning_ros.conversions import Sample, decode
from uncloning_ros.errors import ContractError, ScenarioError, UncloningError
from uncloning_ros.nodes.common import Commands, Observations, message_class
from uncloning_ros.nodes.demonstrator import DemonstratorNode
from uncloning_ros.nodes.simulator import Simulator
from uncloning_ros.runtime.watchdog import judge_inputs


class Operator:
    """A silent robot node that only listens and, when told to, commands."""

    def __init__(self, graph: Any, robot: Any, contract: Any) -> None:
        self.graph, self.robot, self.contract = graph, robot, contract
        robot.silent.update(robot.values)
        self.outcomes = robot.listen('/simulator/outcome')
        self.inputs = Observations(robot, contract)
        self.commands = Commands(robot.create_publisher, contract)

    @property
    def outcome(self) -> dict[str, Any]:
        return json.loads(self.outcomes[-1]) if self.outcomes else {}

    def until(self, condition: Any) -> None:
        self.graph.until(condition, lambda: (self.outcomes, self.inputs.newest().keys()))

    def until_complete(self) -> None:
        self.until(lambda: len(self.inputs.newest()) == len(self.contract.interface.observations))

    def command(self, x: float, frame: str | None = None) -> None:
        pose = np.concatenate([[x, 0.0, 0.4], [1.0, 0, 0, 0, -1.0, 0], [0.08]])
        self.commands.publish(pose, self.robot.get_clock().now().nanoseconds)


@pytest.fixture
def operator(graph: Any, robot: Any, tools: Any) -> Operator:
    return Operator(graph, robot, tools.contract)


def test_every_observation_of_the_contract_arrives_fresh(graph: Any, operator: Operator) -> None:
    graph.add(Simulator)
    operator.until_complete()
    now_ns, ros_ns = time.monotonic_ns(), operator.robot.get_clock().now().nanoseconds
    assert judge_inputs(operator.contract, operator.inputs.newest(), now_ns, ros_ns) == []


def test_nothing_moves_before_the_first_command(graph: Any, operator: Operator) -> None:
    graph.add(Simulator)
    operator.until_complete()
    seen: list[Sample] = []
    signal = operator.contract.interface.observations[2]
    topic = operator.contract.deployment.observations[signal.key]
    operator.robot.create_subscription(
        message_class(topic.type), topic.topic,
        lambda message: seen.append(decode(signal, message, 0)), 50)
    operator.until(lambda: len(seen) > 20)
    assert operator.outcome['phase'] == 'waiting'
    assert all(np.array_equal(sample.values, seen[0].values) for sample in seen)
    assert len({sample.stamp_ns for sample in seen}) == len(seen)


def test_the_arm_follows_a_commanded_pose(graph: Any, operator: Operator) -> None:
    graph.add(Simulator)
    operator.until_complete()
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    operator.until(lambda: abs(operator.inputs.newest()['tool_pose'].values[0] - 0.45) < 0.005)


def test_a_command_in_a_foreign_frame_moves_nothing(graph: Any, operator: Operator) -> None:
    graph.add(Simulator)
    operator.until_complete()
    publisher = operator.commands.publishers['target_pose']
    message = message_class('geometry_msgs/msg/PoseStamped')()
    message.header.frame_id = 'world'
    start = operator.robot.rounds
    operator.until(lambda: publisher.publish(message) or operator.robot.rounds > start + 20)
    assert operator.outcome['phase'] == 'waiting'


def test_reset_goes_on_to_the_next_seed_at_rest(graph: Any, operator: Operator) -> None:
    graph.add(Simulator, seed=4)
    operator.until_complete()
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    assert graph.call(operator.robot, '/simulator/reset').success
    operator.until(lambda: operator.outcome == {'phase': 'waiting', 'scenario': 'knife',
                                                'seed': 5})


@pytest.mark.parametrize(('parameters', 'error'), [
    ({'scenario': 'knive'}, ScenarioError), ({'real_time_factor': 0.0}, ContractError),
    ({'seed': -1}, ContractError), ({'contract_path': '/nowhere.yaml'}, UncloningError)])
def test_bad_parameters_are_refused_with_a_sentence(
        graph: Any, parameters: dict[str, Any], error: type[UncloningError]) -> None:
    with pytest.raises(error):
        graph.add(Simulator, **parameters)


def test_the_teacher_is_silent_without_fresh_inputs(graph: Any, robot: Any) -> None:
    robot.silent.add('hand_pose')
    graph.add(DemonstratorNode, mode='handle_first')
    graph.until(lambda: robot.rounds > 50, lambda: robot.rounds)
    assert robot.commands['target_pose'] == []


def test_the_teacher_says_what_it_demonstrates(graph: Any, robot: Any) -> None:
    heard = robot.listen('/demonstrator/status')
    graph.add(DemonstratorNode, mode='blade_first', seed=9)
    graph.until(lambda: heard and json.loads(heard[-1])['phase'] == 'demonstrating',
                lambda: heard)
    assert json.loads(heard[-1]) == {'phase': 'demonstrating', 'mode': 'blade_first', 'seed': 9}
    graph.until(lambda: robot.commands['target_pose'], lambda: robot.commands)


def test_the_teacher_can_wait_for_a_start_and_takes_the_given_seed(
        graph: Any, robot: Any) -> None:
    heard = robot.listen('/demonstrator/status')
    graph.add(DemonstratorNode, seed=9, autostart=False)
    graph.until(lambda: robot.rounds > 30, lambda: robot.rounds)
    assert robot.commands['target_pose'] == []
    assert graph.call(robot, '/demonstrator/start').success
    graph.until(lambda: robot.commands['target_pose'], lambda: robot.commands)
    graph.until(lambda: json.loads(heard[-1])['phase'] == 'demonstrating', lambda: heard)
    assert json.loads(heard[-1])['seed'] == 9
    assert not graph.call(robot, '/demonstrator/start').success


def test_an_unknown_mode_is_refused_with_the_near_miss(graph: Any) -> None:
    with pytest.raises(ScenarioError, match='did you mean'):
        graph.add(DemonstratorNode, mode='handel_first')
