# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph knows which node publishes or listens, with which type: each sentence names it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Pose, PoseStamped
from live_policy import CONTRACT, FakePolicy, deployed
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointTypeEnum
from std_msgs.msg import String

from uncloning_ros.contract import Enable, FaultSignal
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.demonstrator import DemonstratorNode
from uncloning_ros.nodes.endpoints import (
    Mismatch,
    endpoint_name,
    listener_mismatch,
    publisher_mismatch,
    second_publisher,
)
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.nodes.topics import COMMAND_QOS, OBSERVATION_QOS

POSE = 'geometry_msgs/msg/PoseStamped'
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def near(graph: Any) -> Any:
    return graph.add(partial(Node, 'near'))


@pytest.fixture
def far() -> Iterator[Any]:
    """A node of another process: one process may give a topic one type alone."""
    context = Context()
    rclpy.init(context=context)
    node = Node('far', namespace='/arm', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def known(graph: Any, found: Any, count: int) -> None:
    """Wait until discovery knows the nodes of `count` endpoints of /place."""
    graph.until(lambda: [endpoint_name(info)[0] for info in found('/place')] == ['/'] * count,
                lambda: found('/place'))


def publishers(graph: Any, near: Any, count: int, qos: Any = OBSERVATION_QOS) -> Mismatch | None:
    """Return the mismatch of /place once it has `count` publishers."""
    known(graph, near.get_publishers_info_by_topic, count)
    return publisher_mismatch(near, 'place', POSE, qos)


def listeners(graph: Any, near: Any, count: int) -> Mismatch | None:
    known(graph, near.get_subscriptions_info_by_topic, count)
    return listener_mismatch(near, 'place', POSE, COMMAND_QOS)


def test_a_topic_without_a_publisher_is_told(graph: Any, near: Any) -> None:
    found = publishers(graph, near, 0)
    assert found is not None and found.endpoints == 0
    assert str(found).startswith(f'expected a publisher of {POSE} on /place, got none; ')
    assert found.short == f'expected a publisher of {POSE}, got none'


def test_a_publisher_of_another_type_is_named_with_its_type(
        graph: Any, near: Any, far: Any) -> None:
    far.create_publisher(Pose, '/place', 10)
    found = publishers(graph, near, 1)
    assert found is not None and found.endpoints == 1
    assert 'on /place, got geometry_msgs/msg/Pose from /arm/far; ' in str(found)
    near.create_publisher(PoseStamped, '/place', 10)
    assert publishers(graph, near, 2) is None


def test_a_publisher_whose_qos_does_not_match_is_named(graph: Any, near: Any, far: Any) -> None:
    far.create_publisher(PoseStamped, '/place', BEST_EFFORT)
    found = publishers(graph, near, 1, COMMAND_QOS)
    assert found is not None
    assert 'from /arm/far (offered as best effort, asked for as reliable); ' in str(found)
    assert publishers(graph, near, 1) is None
    assert publishers(graph, near, 1, None) is None


def test_commands_need_a_subscription_of_their_type_and_qos(
        graph: Any, near: Any, far: Any) -> None:
    assert 'got none' in str(listeners(graph, near, 0))
    for kind, qos, named in ((String, 10, 'got std_msgs/msg/String from /arm/far; '),
                             (PoseStamped, LATCHED, '/arm/far (offered as volatile, ')):
        heard = far.create_subscription(kind, '/place', print, qos)
        assert named in str(listeners(graph, near, 1))
        far.destroy_subscription(heard)
    far.create_subscription(PoseStamped, '/place', print, 10)
    assert listeners(graph, near, 1) is None


@pytest.mark.parametrize('name', ['_ros2cli_123', 'rosbag2_recorder', 'notes'])
def test_a_node_that_only_looks_at_commands_moves_nothing(
        graph: Any, near: Any, name: str) -> None:
    looker = graph.add(partial(Node, name))
    if name == 'notes':  # our recorder under another name
        looker.create_publisher(String, '~/episode_event', 10)
        graph.until(lambda: near.count_publishers('/notes/episode_event'), lambda: 'no events')
    looker.create_subscription(PoseStamped, '/place', print, 10)
    assert 'got none' in str(listeners(graph, near, 1))


def endpoint(name: str, kind: TopicEndpointTypeEnum = TopicEndpointTypeEnum.PUBLISHER) -> Any:
    """Return an endpoint as the graph knows it; '' for one without a ROS node."""
    return SimpleNamespace(node_name=name or '_NODE_NAME_UNKNOWN_', topic_type=POSE,
                           node_namespace='/' if name else '_NODE_NAMESPACE_UNKNOWN_',
                           endpoint_type=kind, endpoint_gid=[1, 15, 255])


def test_an_endpoint_without_a_node_is_told_by_its_gid_and_not_by_a_placeholder() -> None:
    assert endpoint_name(endpoint('arm')) == '/arm'
    assert endpoint_name(endpoint('')) == 'a DDS writer without a ROS node (gid 010fff)'
    reader = endpoint('', TopicEndpointTypeEnum.SUBSCRIPTION)
    assert endpoint_name(reader).startswith('a DDS reader ')


@pytest.mark.parametrize(('names', 'told'), [
    (['', 'near'], 'a DDS writer without a ROS node (gid 010fff) publishes on'),
    (['near', 'arm'], '/arm publishes on'), (['arm', ''], '/arm publishes on'),
    (['near', 'near'], '/near publishes on')])
def test_a_second_publisher_is_told_apart_from_our_own(names: list[str], told: str) -> None:
    node = SimpleNamespace(
        get_publishers_info_by_topic=lambda topic: list(map(endpoint, names)),
        get_fully_qualified_name=lambda: '/near', resolve_topic_name=lambda topic: f'/{topic}')
    assert (second_publisher(node, ['place']) or '').startswith(f'{told} /place as well; ')


def test_a_policy_whose_commands_nothing_hears_says_so_in_status_diagnostics_and_answer(
        activate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    live = activate()
    heard: list[DiagnosticStatus] = []
    live.robot.create_subscription(DiagnosticArray, '/diagnostics', lambda array: heard.extend(
        status for status in array.status if status.name == '/policy: topics'), 10)
    live.until(lambda: heard and heard[-1].level == DiagnosticStatus.OK)
    assert live.status['warnings'] == []
    for subscription in list(live.robot.subscriptions):
        if subscription.topic_name == '/target_pose':
            live.robot.destroy_subscription(subscription)
    wanted = f'expected a subscription of {POSE} on /target_pose, got none'
    live.until(lambda: heard[-1].level == DiagnosticStatus.WARN and wanted in heard[-1].message)
    live.reach('waiting', 'not_started')
    answer = live.call('start')
    assert answer.success and wanted in answer.message
    live.reach('active', 'policy')
    [warning] = live.status['warnings']
    assert warning.startswith(wanted)
    live.robot.create_subscription(PoseStamped, 'target_pose', print, 10)
    live.until(lambda: live.status['warnings'] == [])
    live.until(lambda: heard[-1].level == DiagnosticStatus.OK)


def with_another_hand(robot: Any, far: Any) -> str:
    """Have another process publish the hand as a bare pose; return the words that name it."""
    robot.silent.add('hand_pose')
    robot.destroy_publisher(robot._out.pop('hand_pose'))
    far.create_publisher(Pose, '/hand_pose', 10)
    return f'expected a publisher of {POSE}%s, got geometry_msgs/msg/Pose from /arm/far'


def test_a_policy_names_the_publisher_of_another_type(
        robot: Any, far: Any, activate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    wanted = with_another_hand(robot, far) % ' on /hand_pose'
    live = activate()
    live.until(lambda: wanted in live.status['sentence'])
    assert (live.status['state'], live.status['reason']) == ('waiting', 'missing_input')
    assert wanted in live.call('start').message
    live.until(lambda: any(wanted in text for text in live.status['warnings']))


@pytest.mark.parametrize('topic', ['enable', 'driver/fault'])
def test_a_switch_of_another_type_is_named(
        far: Any, activate: Any, load: Any, monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    far.create_publisher(String, f'/{topic}', 10)
    load(FakePolicy(deployed(CONTRACT, enable=Enable('enable', 1.0)) if topic == 'enable' else
                    deployed(CONTRACT, fault=FaultSignal('driver/fault', True))))
    live = activate()
    live.until(lambda: f'expected a publisher of std_msgs/msg/Bool on /{topic}, got '
               f'std_msgs/msg/String from /arm/far' in live.status['sentence'])


def test_in_shadow_the_commands_of_a_demonstrator_of_another_type_are_named(
        far: Any, activate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    far.create_publisher(Pose, '/target_pose', 10)
    live = activate(shadow=True)
    live.until(lambda: live.status.get('warnings') and 'on /target_pose, got '
               'geometry_msgs/msg/Pose from /arm/far' in live.status['warnings'][0])


@pytest.mark.slow
def test_a_simulator_names_commands_of_another_type(
        graph: Any, far: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('pybullet')
    from uncloning_ros.nodes.simulator import Simulator
    far.create_publisher(Pose, '/target_pose', 10)
    graph.add(Simulator)
    said: list[str] = []

    def told() -> bool:
        said.append(capfd.readouterr().err)
        return 'on /target_pose, got geometry_msgs/msg/Pose from /arm/far' in said[-1]

    graph.until(told, lambda: said)


def test_a_demonstrator_names_the_publisher_of_another_type(
        graph: Any, robot: Any, far: Any, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = with_another_hand(robot, far) % ' on /hand_pose'
    graph.add(DemonstratorNode)
    said: list[str] = []

    def told() -> bool:
        said.append(capfd.readouterr().err)
        return wanted in said[-1]

    graph.until(told, lambda: said)


def test_a_recorder_names_publishers_of_another_type_of_observations_and_of_commands(
        graph: Any, robot: Any, far: Any, tmp_path: Path) -> None:
    wanted = with_another_hand(robot, far) % ''
    far.create_publisher(Pose, '/target_pose', 10)
    node = graph.add(Recorder, out=str(tmp_path / 'demos'))
    graph.until(lambda: len(node._topics.mismatches()) >= 2, node._topics.mismatches)
    warned: list[str] = []
    robot.create_subscription(DiagnosticArray, '/diagnostics', lambda array: warned.extend(
        status.message for status in array.status), 10)
    graph.until(lambda: warned and f'nothing arrives on /hand_pose (never: {wanted})'
                in warned[-1] and 'on /target_pose, got geometry_msgs/msg/Pose from /arm/far'
                in warned[-1], lambda: warned[-1:])
    # A command that is not published yet is not worth a warning.
    assert 'gripper_controller' not in warned[-1]
    answer = graph.call(robot, '/recorder/start_episode')
    assert not answer.success
    assert f'/hand_pose (never: {wanted})' in answer.message


def test_statuses_are_json_with_a_list_of_warnings(live: Any) -> None:
    live.reach('waiting', 'not_started')
    assert all(isinstance(json.loads(text)['warnings'], list) for text in live.heard)
