# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulator and demonstrator nodes: at rest until asked, on the contract's topics."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.node import Node

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.contract.messages import JOINT_TRAJECTORY
from uncloning_ros.conversions import decode, encode
from uncloning_ros.errors import ContractError, ScenarioError, UncloningError
from uncloning_ros.nodes.demonstrator import DemonstratorNode
from uncloning_ros.nodes.simulator import Simulator
from uncloning_ros.nodes.topics import (
    LATCHED_QOS,
    SENSOR_QOS,
    Commands,
    Observations,
    message_class,
    ros_now_ns,
)
from uncloning_ros.runtime.watchdog import Watchdog
from uncloning_ros.scenario import contract_of, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.panda import READY_RAD
from uncloning_ros.simulation.sensors import SENSOR_EVERY

JOINT_CONTRACT = share_path('config') / 'contract_joint.yaml'


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


class Listener(Node):
    """Keep every message of some observations, and the time that /clock says."""

    def __init__(self, contract: Contract, *keys: str, **node_options: Any) -> None:
        super().__init__('listener', **node_options)
        self.inputs = Observations(self, contract)
        self.raw: dict[str, list[Any]] = {key: [] for key in keys}
        self.clock: list[int] = []
        self.outcomes: list[str] = []
        for key in keys:
            topic = contract.deployment.observations[key]
            self.create_subscription(message_class(topic.type), topic.topic,
                                     self.raw[key].append, SENSOR_QOS)
        self.create_subscription(
            message_class('rosgraph_msgs/msg/Clock'), '/clock', lambda message: self.clock.append(
                message.clock.sec * 10**9 + message.clock.nanosec), SENSOR_QOS)
        self.create_subscription(
            message_class('std_msgs/msg/String'), '/simulator/outcome',
            lambda message: self.outcomes.append(json.loads(message.data)['phase']), LATCHED_QOS)


@pytest.fixture
def listen(graph: Any, tools: Any) -> Callable[..., Listener]:
    """Add a listener to some keys, of the shipped contract unless told else."""
    def make(*keys: str, contract: Contract = tools.contract, **parameters: Any) -> Listener:
        return graph.add(lambda **options: Listener(contract, *keys, **options), **parameters)
    return make


def complaints_of(contract: Contract, node: Any, inputs: Observations,
                  watchdog: Watchdog | None = None) -> list[Any]:
    return (watchdog or Watchdog(contract)).judge(
        inputs.newest(), inputs.now_ns(), ros_now_ns(node), time.monotonic_ns(), inputs.guards())


def test_every_observation_of_the_contract_arrives_fresh(graph: Any, operator: Operator) -> None:
    graph.add(Simulator)
    operator.until_complete()
    assert complaints_of(operator.contract, operator.robot, operator.inputs) == []


def test_nothing_moves_before_the_first_command_but_trackers_go_on_as_live_ones(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator)
    listener = listen('tool_pose', 'object_pose', 'hand_pose')
    # For longer than a tracker may repeat itself.
    operator.until(lambda: len(listener.raw['object_pose']) > 40)
    assert operator.outcome['phase'] == 'waiting'
    seen = {signal.key: [decode(signal, message, 0) for message in listener.raw[signal.key]]
            for signal in operator.contract.interface.observations if signal.key in listener.raw}
    assert all(np.array_equal(s.values, seen['tool_pose'][0].values) for s in seen['tool_pose'])
    for key in ('object_pose', 'hand_pose'):
        values = np.array([sample.values for sample in seen[key]])
        assert len(np.unique(values, axis=0)) == len(values)
        assert np.all(np.ptp(values[:, :3], axis=0) < 0.08)  # noise around one place
    for samples in seen.values():
        assert np.all(np.diff([sample.stamp_ns for sample in samples]) > 0)


def test_a_camera_has_one_rate_at_rest_and_in_motion(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator, scenario='knife_camera')
    contract = contract_of(None, find_scenario('knife_camera'))
    pictures = listen('scene_camera', contract=contract).raw['scene_camera']
    for phase in ('waiting', 'running'):
        operator.until(lambda phase=phase: operator.outcome.get('phase') == phase or (
            phase == 'running' and operator.command(0.45)))
        pictures.clear()
        operator.until(lambda: len(pictures) > 20)
        begin, end = (one.header.stamp.sec + one.header.stamp.nanosec * 1e-9
                      for one in (pictures[0], pictures[-1]))
        # The scenario says 20 Hz; a machine that is slow loses some.
        assert (len(pictures) - 1) / (end - begin) < 24, phase


def test_stamps_go_on_rising_when_the_first_command_sets_all_in_motion(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator)
    listener = listen('object_pose', 'wrist_force')
    operator.until(lambda: len(listener.raw['object_pose']) > 5)
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    before = len(listener.raw['object_pose'])
    operator.until(lambda: len(listener.raw['object_pose']) > before + 10)
    for messages in listener.raw.values():
        stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]
        assert np.all(np.diff(stamps) > 0)


def test_stamps_go_on_rising_when_the_physics_is_slow_once(
        graph: Any, operator: Operator, listen: Callable[..., Listener],
        monkeypatch: pytest.MonkeyPatch) -> None:
    world = graph.add(Simulator)._world
    messages, slow, advance = listen('tool_pose').raw['tool_pose'], [], world.advance

    def advance_slowly_once() -> None:
        advance()
        # On the step of a measurement, which is published with this tick.
        if len(messages) > 20 and not slow and world._step % SENSOR_EVERY == 0:
            slow.append(True)
            time.sleep(0.06)  # longer than from one measurement to the next

    monkeypatch.setattr(world, 'advance', advance_slowly_once)
    operator.until_complete()
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    operator.until(lambda: slow)
    after = len(messages) + 20
    operator.until(lambda: len(messages) > after)
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]
    assert np.all(np.diff(stamps) > 0)


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


def test_the_clock_rises_at_rest_in_motion_and_over_resets_and_all_is_fresh_by_it(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator, publish_clock=True)
    listener = listen(use_sim_time=True)
    watchdog, judged = Watchdog(operator.contract), []

    def complete() -> bool:
        return len(listener.inputs.newest()) == len(operator.contract.interface.observations)

    def good(seconds: float) -> None:
        end_ns = listener.clock[-1] + round(seconds * 1e9)

        def passed() -> bool:
            judged.extend(complaints_of(operator.contract, listener, listener.inputs, watchdog))
            return listener.clock[-1] > end_ns
        operator.until(passed)

    operator.until(lambda: listener.clock and complete())
    good(0.7)  # a tracker that repeated itself would have been found out
    assert operator.outcome['phase'] == 'waiting'
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    good(0.5)
    assert graph.call(operator.robot, '/simulator/reset').success
    good(0.5)
    assert {complaint.sentence for complaint in judged} == set()
    assert np.all(np.diff(listener.clock) >= 0)
    assert listener.clock[0] >= 1000 * 10**9  # never zero, which means 'no time yet'


def test_simulated_time_runs_no_faster_than_its_factor(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator, publish_clock=True, real_time_factor=0.1)
    listener = listen()
    operator.until(lambda: listener.clock)
    begin_s, begin_ns = time.monotonic(), listener.clock[-1]
    operator.until(lambda: listener.clock[-1] >= begin_ns + 10**8)
    # One second of the wall clock; half of it is left for messages that came late.
    assert time.monotonic() - begin_s > 0.5


def run_with(operator: Operator, graph: Any, *faults: str, **parameters: Any) -> Any:
    """Start a simulator with faults and command it until it runs."""
    simulator = graph.add(Simulator, faults=list(faults), **parameters)
    operator.until_complete()
    operator.until(lambda: operator.command(0.45) or operator.outcome['phase'] == 'running')
    return simulator


def test_a_silenced_observation_falls_silent_alone(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    listener = listen('hand_pose', 'object_pose')
    run_with(operator, graph, 'hand_pose:silence')
    heard = len(listener.raw['hand_pose']), len(listener.raw['object_pose'])
    operator.until(lambda: len(listener.raw['object_pose']) > heard[1] + 20)
    assert len(listener.raw['hand_pose']) <= heard[0] + 2  # those that were on their way
    assert operator.inputs.newest().keys() >= {'hand_pose', 'object_pose'}


def test_a_frozen_tracker_is_found_out_by_its_values_alone(graph: Any, operator: Operator) -> None:
    run_with(operator, graph, 'hand_pose:freeze')
    watchdog, reasons = Watchdog(operator.contract), set()

    def found() -> bool:
        reasons.update((c.key, c.reason) for c in complaints_of(
            operator.contract, operator.robot, operator.inputs, watchdog))
        return bool(reasons)

    operator.until(found)
    assert reasons == {('hand_pose', 'unchanged_input')}


def test_a_corrupted_message_is_refused_and_the_next_good_one_is_taken(
        graph: Any, operator: Operator) -> None:
    run_with(operator, graph, 'object_pose:frame=map@0+1', 'wrist_force:nan=force.y@0+1')
    operator.until(lambda: operator.inputs.guards().refused.keys() == {'object_pose',
                                                                       'wrist_force'})
    assert "'map'" in operator.inputs.guards().refused['object_pose']
    operator.until(lambda: not operator.inputs.guards().refused)
    operator.until_complete()


def test_a_stale_observation_repeats_one_stamp(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    listener = listen('tool_pose')
    run_with(operator, graph, 'tool_pose:stale')
    seen = len(listener.raw['tool_pose'])
    operator.until(lambda: len(listener.raw['tool_pose']) > seen + 20)
    stamps = {(m.header.stamp.sec, m.header.stamp.nanosec)
              for m in listener.raw['tool_pose'][-10:]}
    assert len(stamps) == 1


def test_the_clock_can_jump_back_and_stamps_follow_it(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    listener = listen('wrist_force')
    run_with(operator, graph, 'clock:back=5@0.2', publish_clock=True)

    def largest_jump_back_ns(times: list[int]) -> int:
        return -min(np.diff(times), default=0)

    operator.until(lambda: largest_jump_back_ns(listener.clock) > 0)
    assert largest_jump_back_ns(listener.clock) == pytest.approx(5e9, abs=0.5e9)
    operator.until(lambda: largest_jump_back_ns(
        [m.header.stamp.sec * 10**9 for m in listener.raw['wrist_force']]) > 3e9)


def test_the_clock_can_stand_still_while_the_arm_goes_on(
        graph: Any, operator: Operator, listen: Callable[..., Listener]) -> None:
    listener = listen()
    run_with(operator, graph, 'clock:pause@0.1', publish_clock=True)
    operator.until(lambda: len(listener.clock) > 40 and len(set(listener.clock[-40:])) == 1)
    operator.until(lambda: abs(operator.inputs.newest()['tool_pose'].values[0] - 0.45) < 0.005)
    assert len(set(listener.clock[-40:])) == 1


@pytest.mark.parametrize('type_name', ['std_msgs/msg/Float64MultiArray', JOINT_TRAJECTORY])
def test_the_arm_follows_commanded_joints(graph: Any, listen: Callable[..., Listener],
                                          tmp_path: Path, type_name: str) -> None:
    path = tmp_path / 'contract.yaml'
    path.write_text(JOINT_CONTRACT.read_text().replace(
        'commands, type: std_msgs/msg/Float64MultiArray}', f'commands, type: {type_name}}}', 1))
    contract = load_contract(path)
    signal, topic = contract.interface.actions[0], contract.deployment.actions['target_joints']
    assert topic.type == type_name
    graph.add(Simulator, contract_path=str(path))
    listener = listen(contract=contract)
    publisher = listener.create_publisher(message_class(topic.type), topic.topic, 1)
    target = READY_RAD + (0.2, -0.1, 0.1, -0.2, 0.1, 0.1, 0.2)
    message = encode(signal, type_name, target, 0, message_class)
    if type_name == JOINT_TRAJECTORY:  # joints are matched by name
        message.joint_names = message.joint_names[::-1]
        for point in message.points:
            point.positions = point.positions[::-1]

    def reached() -> bool:
        publisher.publish(message)
        measured = listener.inputs.newest().get('joint_positions')
        return measured is not None and np.abs(measured.values - target).max() < 0.01

    graph.until(reached, lambda: (listener.outcomes, listener.inputs.newest()))


def test_the_teacher_moves_the_simulated_arm_by_its_joints(
        graph: Any, listen: Callable[..., Listener]) -> None:
    graph.add(Simulator, contract_path=str(JOINT_CONTRACT))
    graph.add(DemonstratorNode, contract_path=str(JOINT_CONTRACT), mode='handle_first')
    listener = listen('tool_pose', contract=load_contract(JOINT_CONTRACT))

    def moved() -> bool:
        poses = [(m.pose.position.x, m.pose.position.y, m.pose.position.z)
                 for m in listener.raw['tool_pose']]
        return len(poses) > 1 and np.linalg.norm(np.subtract(poses[-1], poses[0])) > 0.05

    graph.until(moved, lambda: (listener.outcomes, listener.inputs.newest()))
    assert listener.outcomes[-1] == 'running'


@pytest.mark.parametrize(('parameters', 'error'), [
    ({'scenario': 'knive'}, ScenarioError), ({'real_time_factor': 0.0}, ContractError),
    ({'seed': -1}, ContractError), ({'contract_path': '/nowhere.yaml'}, UncloningError),
    ({'faults': ['hand_poes:freeze']}, ScenarioError),
    ({'faults': ['clock:pause']}, ScenarioError)])
def test_bad_parameters_are_refused_with_a_sentence(
        graph: Any, parameters: dict[str, Any], error: type[UncloningError]) -> None:
    with pytest.raises(error):
        graph.add(Simulator, **parameters)


@pytest.mark.parametrize(('old', 'new', 'sentence'), [
    ('object_pose, type: geometry_msgs/msg/PoseStamped,',
     '/tf, type: tf2_msgs/msg/TFMessage, child_frame: knife,', 'publishes no transforms'),
    ('topic: gripper/joint_states', 'topic: joint_states', 'one observation on a topic')])
def test_topics_that_cannot_be_simulated_are_refused_with_a_sentence(
        graph: Any, tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text, path = JOINT_CONTRACT.read_text(), tmp_path / 'contract.yaml'
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ContractError, match=sentence):
        graph.add(Simulator, contract_path=str(path))


@pytest.mark.parametrize('name', ['knife', 'knife_camera', 'knife_two_arms'])
def test_a_scenario_is_played_by_the_contract_that_its_demonstrations_are_made_with(
        graph: Any, name: str) -> None:
    node = graph.add(Simulator, scenario=name)
    deployment = contract_of(None, find_scenario(name)).deployment
    assert {one.bag_name for one in deployment.observations.values()} <= {
        one.topic_name for one in node.publishers}
    assert {one.bag_name for one in deployment.actions.values()} <= {
        one.topic_name for one in node.subscriptions}


def test_the_teacher_does_not_wait_for_poses_that_a_scenario_with_cameras_does_not_have(
        graph: Any) -> None:
    with pytest.raises(ContractError, match='no object_pose and no hand_pose.*uncloning demos'):
        graph.add(DemonstratorNode, scenario='knife_camera')


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
