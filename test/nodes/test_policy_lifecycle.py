# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node's lifecycle: what it refuses, what it survives, what it gives back."""

import dataclasses
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from live_policy import CONTRACT, ERROR, FAILURE, SUCCESS, FakePolicy, Live, deployed
from policies import wandering_policy
from rclpy.node import Node

from uncloning_ros.contract import TRANSFORMS, contract_from_dict
from uncloning_ros.errors import ModelError
from uncloning_ros.nodes import policy_services
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.nodes.policy_run import PolicyRun
from uncloning_ros.nodes.topics import COMMAND_QOS, Observations, message_class
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

SHIPPED = str(share_path('config') / 'contract.yaml')


def missing(folder: Path) -> dict[str, str]:
    return {'model_path': str(folder / 'nowhere.onnx')}


def random_bytes(folder: Path) -> dict[str, str]:
    path = folder / 'model.onnx'
    path.write_bytes(bytes(range(256)) * 64)
    return {'model_path': str(path)}


def flipped_byte(folder: Path) -> dict[str, str]:
    path = wandering_policy(folder / 'model.onnx')
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    return {'model_path': str(path)}


def wrong_digest(folder: Path) -> dict[str, str]:
    return {'model_path': str(wandering_policy(folder / 'model.onnx')),
            'expected_sha256': 'e' * 64}


@pytest.mark.parametrize(('given', 'sentence'), [
    (lambda _: {}, 'no model was given; set the parameter model_path to a .onnx file'),
    (missing, 'nowhere.onnx: No such file or directory'),
    (random_bytes, 'is not an intact exported policy'),
    (flipped_byte, 'is corrupted'),
    (wrong_digest, f'expected sha256 {"e" * 64}, got ')])
def test_a_model_that_cannot_be_trusted_is_refused_at_configure_with_a_sentence(
        graph: Any, tmp_path: Path, given: Callable[[Path], dict[str, str]], sentence: str,
        capfd: pytest.CaptureFixture[str]) -> None:
    node = graph.add(PolicyNode, **given(tmp_path))
    assert node.trigger_configure() is FAILURE
    said = capfd.readouterr().err
    assert sentence in said
    assert 'Traceback' not in said


def test_bringing_up_by_itself_raises_if_the_model_cannot_be_used(graph: Any, load: Any) -> None:
    load(ModelError('some.onnx is corrupted'))
    node = graph.add(PolicyNode, model_path='some.onnx', auto_activate=True)
    with pytest.raises(ModelError, match='could not be brought up'):
        node.bring_up()


def test_a_robot_of_another_interface_is_refused(
        graph: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    interface = dataclasses.replace(CONTRACT.interface, modes={'only': True})
    load(FakePolicy(dataclasses.replace(CONTRACT, interface=interface)))
    node = graph.add(PolicyNode, model_path='some.onnx', contract_path=SHIPPED)
    assert node.trigger_configure() is FAILURE
    assert 'some.onnx was made for another interface: expected modes' in capfd.readouterr().err


@pytest.mark.parametrize('lacking', [None, 'object_pose'])
def test_that_a_release_goes_unnoticed_is_told_at_configure(
        graph: Any, load: Any, capfd: pytest.CaptureFixture[str], lacking: str | None) -> None:
    data = plain(CONTRACT)
    data['interface']['observations'] = [
        one for one in data['interface']['observations'] if one['key'] != lacking]
    data['deployment']['observations'].pop(lacking, None)
    load(FakePolicy(contract_from_dict(data)))
    assert graph.add(PolicyNode, model_path='some.onnx').trigger_configure() is SUCCESS
    said = capfd.readouterr().err
    assert ('this contract lacks object_pose' in said) == (lacking is not None)
    assert ('so a release is not noticed: an episode ends after' in said) == (lacking is not None)


def topics(node: Any) -> Counter[str]:
    """Return what the node has in the graph."""
    return Counter([f'in {s.topic_name}' for s in node.subscriptions]
                   + [f'out {p.topic_name}' for p in node.publishers])


@pytest.mark.parametrize(('part', 'key'), [('observations', 'hand_pose'),
                                           ('actions', 'target_width')])
def test_a_topic_that_ros_does_not_take_is_refused_at_configure_and_leaves_nothing_behind(
        graph: Any, load: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], part: str,
        key: str) -> None:
    data = plain(CONTRACT)
    data['deployment'][part][key]['topic'] = 'not a name'
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    node = graph.add(PolicyNode, model_path='some.onnx', contract_path=str(path))
    before = topics(node)
    assert node.trigger_configure() is FAILURE
    assert topics(node) == before
    said = capfd.readouterr().err
    assert 'Invalid topic name: topic name must not contain' in said and 'not a name' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize(('part', 'key', 'package'), [
    ('observations', 'hand_pose', 'tf2_msgs'), ('actions', 'target_pose', 'geometry_msgs')])
def test_a_message_package_that_is_not_installed_is_named_at_configure(
        graph: Any, load: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str], part: str, key: str, package: str) -> None:
    topics_of = dict(getattr(CONTRACT.deployment, part))
    if package == 'tf2_msgs':
        topics_of[key] = dataclasses.replace(topics_of[key], topic='/tf', type=TRANSFORMS,
                                             child_frame='hand')
    load(FakePolicy(deployed(CONTRACT, **{part: topics_of})))
    node = graph.add(PolicyNode, model_path='some.onnx')
    monkeypatch.setitem(sys.modules, f'{package}.msg', None)
    before = topics(node)
    assert node.trigger_configure() is FAILURE
    assert topics(node) == before
    said = capfd.readouterr().err
    assert f'the package {package} is not installed; install it, as in: apt install' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize(('transition', 'owner', 'broken'), [
    ('configure', FakePolicy, 'warm_up'), ('activate', PolicyRun, 'require_one_publisher'),
    ('activate', PolicyRun, 'begin'), ('deactivate', PolicyRun, 'end'),
    ('cleanup', Observations, 'destroy')])
def test_an_unforeseen_exception_in_a_transition_is_logged_and_the_node_can_begin_anew(
        graph: Any, load: Any, transition: str, owner: Any, broken: str,
        monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    node = graph.add(PolicyNode, model_path='some.onnx')
    for name in ('configure', 'activate', 'deactivate', 'cleanup'):
        if name == transition:
            break
        assert getattr(node, f'trigger_{name}')() is SUCCESS

    def raising(*_: Any, **__: Any) -> None:
        raise RuntimeError('no such luck')

    with monkeypatch.context() as patch:
        patch.setattr(owner, broken, raising)
        assert getattr(node, f'trigger_{transition}')() is ERROR
    said = capfd.readouterr().err
    assert 'Traceback' in said and 'RuntimeError: no such luck' in said
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS


def test_five_rounds_through_the_lifecycle_leave_nothing_behind(
        live: Live, load: Any) -> None:
    seen = []
    for _ in range(5):
        live.moving()
        assert live.node.trigger_deactivate() is SUCCESS
        inactive = topics(live.node)
        assert live.node.trigger_cleanup() is SUCCESS
        seen.append((inactive, topics(live.node)))
        assert live.node.trigger_configure() is SUCCESS
        assert live.node.trigger_activate() is SUCCESS
    assert all(pair == seen[0] for pair in seen)
    unconfigured = seen[0][1]
    for topic in CONTRACT.deployment.observations.values():
        assert unconfigured[f'in /{topic.topic}'] == 0
    for topic in CONTRACT.deployment.actions.values():
        assert unconfigured[f'out /{topic.topic}'] == 0

    def names() -> list[str]:
        return sorted(thread.name for thread in threading.enumerate()
                      if thread.name in ('control', 'inference'))
    live.until(lambda: names() == ['control', 'inference'])
    assert live.node.trigger_deactivate() is SUCCESS
    live.until(lambda: names() == [])


@pytest.mark.parametrize('wrong', [
    Transition(id=Transition.TRANSITION_CONFIGURE), Transition(id=Transition.TRANSITION_CLEANUP),
    Transition(id=99), Transition(label='nonsense')], ids=lambda wrong: wrong.label or wrong.id)
def test_a_transition_that_the_state_does_not_allow_is_refused_and_motion_goes_on(
        live: Live, wrong: Transition) -> None:
    live.moving()
    assert not live.call('change_state', kind=ChangeState, transition=wrong).success
    before = len(live.poses)
    live.until(lambda: len(live.poses) > before + 2)
    assert live.status['state'] == 'active'


def test_a_node_that_is_not_active_any_more_does_not_say_that_motion_begins_on_start(
        live: Live) -> None:
    live.reach('waiting', 'not_started')
    assert live.node.trigger_deactivate() is SUCCESS
    live.reach('waiting', 'not_active')
    assert live.status['sentence'].startswith('not active')


class Teleoperation(Node):
    """Another node that publishes where the policy does."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('teleoperation', namespace='/left', **node_options)
        topic = CONTRACT.deployment.actions['target_pose']
        self.create_publisher(message_class(topic.type), f'/{topic.topic}', COMMAND_QOS)


SECOND = '/left/teleoperation publishes on /target_pose as well'


def test_activation_is_refused_while_another_node_may_command_the_arm(
        graph: Any, robot: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    second = graph.add(Teleoperation)
    node = graph.add(PolicyNode, model_path='some.onnx')
    assert node.trigger_configure() is SUCCESS
    before = topics(node)
    assert node.trigger_activate() is FAILURE
    said = capfd.readouterr().err
    assert SECOND in said and 'Traceback' not in said
    assert topics(node) == before
    graph.remove(second)
    graph.until(lambda: node.count_publishers('/target_pose') == 0, lambda: 'the second publisher')
    assert node.trigger_activate() is SUCCESS


def test_a_second_publisher_that_appears_in_motion_ends_in_fault_with_one_hold_command(
        live: Live, graph: Any, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    graph.add(Teleoperation)
    live.reach('fault', 'second_publisher')
    assert SECOND in live.status['sentence']
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1
    assert live.poses[-1][0] == pytest.approx(0.45)


def test_start_is_refused_while_another_node_may_command_the_arm(
        live: Live, graph: Any) -> None:
    graph.add(Teleoperation)
    live.until(lambda: live.node.count_publishers('/target_pose') == 2)
    refused = live.call('start')
    assert not refused.success
    assert SECOND in refused.message
    live.let_rounds_pass()
    assert live.status['state'] == 'waiting'  # nothing moves, so nothing is wrong
    assert live.poses == []


def test_a_second_publisher_that_appears_while_a_start_waits_for_its_inputs_is_a_fault(
        live: Live, graph: Any) -> None:
    live.reach('waiting', 'not_started')
    live.robot.frozen.add('hand_pose')
    live.reach('waiting', 'unchanged_input')
    assert live.call('start').success
    graph.add(Teleoperation)
    live.reach('fault', 'second_publisher')
    live.robot.frozen.clear()
    live.let_rounds_pass()
    assert live.poses == []


def test_activation_is_refused_after_a_message_in_a_foreign_frame(
        graph: Any, robot: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    robot.silent.add('hand_pose')
    node = graph.add(PolicyNode, model_path='some.onnx')
    assert node.trigger_configure() is SUCCESS
    foreign = robot.message('hand_pose')
    foreign.header.frame_id = 'camera'
    graph.until(lambda: robot.count_subscribers('/hand_pose') == 1, lambda: 'no subscriber')
    robot.send('hand_pose', foreign)
    capfd.readouterr()
    graph.until(lambda: node._observations.guards().refused, lambda: 'no refusal')
    assert node.trigger_activate() is FAILURE
    said = capfd.readouterr().err
    assert "cannot be activated: a message was refused: hand_pose: expected frame" in said
    assert "'panda_link0', got 'camera'" in said
    robot.silent.clear()
    graph.until(lambda: not node._observations.guards().refused, lambda: 'a refusal')
    assert node.trigger_activate() is SUCCESS


def active_before_discovery(graph: Any, monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> Any:
    """Return an active node that has not discovered the other publishers yet."""
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 10**18)
    node = graph.add(PolicyNode, model_path='some.onnx', **parameters)
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    return node


@pytest.mark.parametrize('autostart', [True, False])
def test_motion_asked_for_waits_until_discovery_is_over_and_the_status_tells(
        graph: Any, robot: Any, load: Any, monkeypatch: pytest.MonkeyPatch,
        autostart: bool) -> None:
    told = robot.listen('/policy/status')
    node = active_before_discovery(graph, monkeypatch, autostart=autostart)
    if not autostart:
        answer = graph.call(robot, '/policy/start')
        assert answer.success
        assert 'another node' in answer.message
    rounds = robot.rounds
    graph.until(lambda: robot.rounds > rounds + 30, lambda: robot.rounds)
    assert robot.commands['target_pose'] == []
    graph.add(Teleoperation)
    graph.until(lambda: node.count_publishers('/target_pose') == 2, lambda: 'the second publisher')
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 0)
    graph.until(lambda: told and json.loads(told[-1])['state'] == 'fault', lambda: told[-1:])
    status = json.loads(told[-1])
    assert status['reason'] == 'second_publisher'
    assert SECOND in status['sentence']
    assert node._run._loop.counters['chunks'] == 0
    assert robot.commands['target_pose'] == []


def test_motion_asked_for_begins_once_discovery_is_over(
        graph: Any, robot: Any, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    active_before_discovery(graph, monkeypatch)
    assert graph.call(robot, '/policy/start').success
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 0)
    graph.until(lambda: robot.commands['target_pose'], lambda: 'no command')


REMAPPED = ['--ros-args', '-r', 'target_pose:=arm/pose', '-r', 'arm/pose:=elsewhere']


def test_a_second_publisher_is_seen_where_commands_really_go_however_topics_are_remapped(
        graph: Any, robot: Any, load: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Our commands go to /arm/pose; a second remapping of that name is not ours."""
    topic = CONTRACT.deployment.actions['target_pose']
    robot.create_publisher(message_class(topic.type), '/arm/pose', COMMAND_QOS)
    node = graph.add(partial(PolicyNode, cli_args=REMAPPED), model_path='some.onnx')
    assert node.trigger_configure() is SUCCESS
    graph.until(lambda: robot.count_publishers('/arm/pose') == 1, lambda: 'the second publisher')
    assert node.trigger_activate() is FAILURE
    assert '/robot publishes on /arm/pose as well' in capfd.readouterr().err


@pytest.mark.parametrize('words', [
    ['-r', 'current_pose:=target_pose'], ['-r', 'target_pose:=/current_pose']])
def test_a_node_that_would_take_its_commands_for_measurements_is_refused_at_configure(
        graph: Any, load: Any, capfd: pytest.CaptureFixture[str], words: list[str]) -> None:
    node = graph.add(partial(PolicyNode, cli_args=['--ros-args', *words]),
                     model_path='some.onnx')
    before = topics(node)
    assert node.trigger_configure() is FAILURE
    assert topics(node) == before
    assert ('tool_pose is measured and target_pose commanded on /'
            in capfd.readouterr().err)
