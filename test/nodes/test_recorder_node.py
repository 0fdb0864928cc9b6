# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder node: every message, a whole bag or nothing, an answer to every call."""

import re
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from uncloning_ros.contract.messages import POSE
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.answers import answers_path, read_answers
from uncloning_ros.demos.bags.labels import read_labels
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.recording.recovery import recover
from uncloning_ros.errors import BagError, ContractError
from uncloning_ros.nodes.recorder import Recorder, service_words
from uncloning_ros.nodes.topics import Commands, message_class


class Session:
    """A recorder beside the robot, which commands as well."""

    def __init__(self, graph: Any, robot: Any, tools: Any, out: Path, **parameters: Any) -> None:
        self.graph, self.robot, self.tools = graph, robot, tools
        self.events = robot.listen('/recorder/episode_event')
        self.node = graph.add(Recorder, out=str(out), **parameters)
        self.out = out
        commands = Commands(robot.create_publisher, tools.contract)
        action = np.concatenate([tools.pose(0.5), [0.08]])
        robot.create_timer(0.05, lambda: commands.publish(
            action, robot.get_clock().now().nanoseconds))

    def call(self, what: str) -> Any:
        return self.graph.call(self.robot, f'/recorder/{what}')

    def start(self) -> None:
        """Start an episode once everything arrives."""
        for _ in range(50):
            response = self.call('start_episode')
            if response.success:
                return
            self.let_rounds_pass(5)
        pytest.fail(response.message)

    def let_rounds_pass(self, count: int = 20) -> None:
        goal = self.robot.rounds + count
        self.graph.until(lambda: self.robot.rounds >= goal, lambda: self.robot.rounds)


@pytest.fixture
def session(graph: Any, robot: Any, tools: Any, tmp_path: Path) -> Session:
    return Session(graph, robot, tools, tmp_path / 'demos', operator='ada', rater='Ben',
                   planned_mode='handle_first', session='tuesday')


def test_an_episode_becomes_a_bag_that_says_who_did_what(session: Session) -> None:
    session.start()
    session.let_rounds_pass()
    response = session.call('stop_episode')
    assert response.success and 'kept' in response.message
    [path] = list_episodes(session.out)
    episode = read_episode(path, session.tools.contract)
    assert episode.name == 'episode_000000'
    assert (episode.metadata.session, episode.metadata.operator,
            episode.metadata.planned_mode) == ('tuesday', 'ada', 'handle_first')
    assert [event['event'] for _, event in episode.events] == ['start', 'stop']
    assert episode.samples['tool_pose'][0].values == pytest.approx(session.tools.pose(0.4))
    assert episode.samples['target_pose'][0].values == pytest.approx(session.tools.pose(0.5))


def test_no_message_between_start_and_stop_is_lost(session: Session) -> None:
    session.start()
    session.let_rounds_pass(60)
    assert session.call('stop_episode').success
    [path] = list_episodes(session.out)
    numbers = [int(sample.values[0]) for sample in read_episode(path).samples['wrist_force']]
    assert len(numbers) >= 60
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_stamps_are_those_of_the_middleware_in_order(session: Session) -> None:
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    [path] = list_episodes(session.out)
    for samples in read_episode(path).samples.values():
        times = [sample.receive_ns for sample in samples]
        assert times == sorted(times)
        assert all(sample.receive_ns >= sample.stamp_ns for sample in samples)


def test_an_episode_cannot_start_before_every_observation_arrives(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    robot.silent.add('hand_pose')
    session = Session(graph, robot, tools, tmp_path)
    session.let_rounds_pass(50)
    response = session.call('start_episode')
    assert not response.success
    assert '/hand_pose (never)' in response.message and '/object_pose' not in response.message
    assert list(tmp_path.iterdir()) == []


def test_an_episode_cannot_start_when_an_observation_fell_silent(session: Session) -> None:
    session.start()
    assert session.call('discard_episode').success
    session.robot.silent.add('hand_pose')
    response = session.call('start_episode')
    while response.success:
        assert session.call('discard_episode').success
        session.let_rounds_pass(10)
        response = session.call('start_episode')
    assert re.search(r'/hand_pose \(stale \d+\.\d s\)', response.message)
    assert '/object_pose' not in response.message


def test_an_episode_cannot_start_on_messages_that_no_dataset_accepts(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    robot.silent.add('hand_pose')

    def foreign() -> None:
        message = encode(next(s for s in tools.contract.interface.observations
                              if s.key == 'hand_pose'), POSE, tools.pose(0.7),
                         robot.get_clock().now().nanoseconds, message_class)
        message.header.frame_id = 'world'
        robot.send('hand_pose', message)

    timer = robot.create_timer(0.02, foreign)
    session = Session(graph, robot, tools, tmp_path)
    session.let_rounds_pass(50)
    response = session.call('start_episode')
    assert not response.success
    assert "hand_pose: expected frame 'panda_link0', got 'world'" in response.message
    assert list(tmp_path.iterdir()) == []
    robot.destroy_timer(timer)
    robot.silent.clear()
    session.start()


def test_a_gripper_beside_an_arm_on_its_topic_may_fall_silent_by_itself(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    beside = partial(robot.send, 'gripper_width', JointState(
        name=['panda_joint1', 'panda_joint2'], position=[0.0, 0.0]))
    robot.create_timer(0.01, beside)
    session = Session(graph, robot, tools, tmp_path)
    session.start()
    session.let_rounds_pass(10)
    robot.silent.add('gripper_width')
    session.let_rounds_pass(30)
    response = session.call('stop_episode')
    assert response.success and '/gripper/joint_states: nothing for' in response.message
    session.let_rounds_pass(50)
    response = session.call('start_episode')
    assert not response.success and '/gripper/joint_states (stale' in response.message


def test_a_topic_of_other_joints_alone_opens_no_gate(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    robot.silent.add('gripper_width')
    robot.create_timer(0.01, partial(robot.send, 'gripper_width', JointState(
        name=['left', 'right'], position=[0.0, 0.0])))
    session = Session(graph, robot, tools, tmp_path)
    session.let_rounds_pass(50)
    response = session.call('start_episode')
    assert not response.success
    assert 'gripper_width: expected the joints panda_finger_joint1' in response.message
    assert 'got left, right' in response.message


def test_an_episode_that_cannot_be_kept_is_told_as_failed(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise BagError('cannot write: No space left on device')
    session.start()
    monkeypatch.setattr(EpisodeWriter, 'commit', full)
    response = session.call('stop_episode')
    assert not response.success and 'No space left' in response.message
    session.graph.until(lambda: 'fail' in session.events[-1], lambda: session.events)
    assert list_episodes(session.out) == []


def test_a_defect_fails_one_call_and_not_the_recorder(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: Any) -> None:
        raise ZeroDivisionError('odd')
    session.start()
    with monkeypatch.context() as patch:
        patch.setattr(EpisodeWriter, 'commit', odd)
        response = session.call('stop_episode')
    assert not response.success and 'ZeroDivisionError: odd' in response.message
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    [outcome] = recover(session.out)
    assert outcome.kind == 'finished'
    assert len(list_episodes(session.out)) == 2


def test_whatever_ends_the_writing_no_bag_with_a_hole_passes_for_whole(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: Any) -> None:
        raise struct.error('argument out of range')
    session.start()
    monkeypatch.setattr(EpisodeWriter, 'write', odd)
    session.graph.until(lambda: any('fail' in text for text in session.events),
                        lambda: session.events)
    monkeypatch.undo()
    assert not session.call('stop_episode').success
    assert list_episodes(session.out) == []


def test_discard_keeps_no_episode_and_puts_the_take_aside(session: Session) -> None:
    session.start()
    session.let_rounds_pass()
    assert session.call('discard_episode').success
    assert list_episodes(session.out) == []
    assert [path.name for path in session.out.iterdir()] == ['discarded']
    assert not session.call('stop_episode').success


def test_undo_puts_the_last_kept_take_aside(session: Session) -> None:
    assert not session.call('undo_last').success
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    response = session.call('undo_last')
    assert response.success and 'discarded/episode_000000' in response.message
    assert list_episodes(session.out) == []


def test_a_label_and_a_plan_are_a_service_each_for_every_mode(session: Session) -> None:
    assert session.call('plan_blade_first').success
    session.start()
    session.let_rounds_pass()
    assert session.call('label_handle_first').success
    assert session.call('stop_episode').success
    [path] = list_episodes(session.out)
    assert read_episode(path).metadata.planned_mode == 'blade_first'
    interface = session.tools.contract.interface
    assert [label.mode for label in read_labels(path, interface)] == ['handle_first']
    assert session.call('label_blade_first').success
    assert [label.mode for label in read_labels(path, interface)] == ['handle_first',
                                                                      'blade_first']


def test_good_and_bad_are_services_that_write_the_answer_of_the_receiver(
        session: Session) -> None:
    assert not session.call('judge_good').success  # nothing was handed over yet
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    assert session.call('judge_bad').success
    [found] = read_answers(answers_path(session.out))
    assert (found.names, found.said, found.rater) == (('episode_000000',), 'bad', 'Ben')


def test_modes_of_any_name_have_services_of_their_own() -> None:
    assert service_words(['handle_first', 'blade first!', '刃', '2nd', 'blade_first', '柄']) == {
        'handle_first': 'handle_first', 'blade first!': 'blade_first_2', '刃': 'mode',
        '2nd': '2nd', 'blade_first': 'blade_first', '柄': 'mode_6'}


@given(st.lists(st.text(min_size=1, max_size=5), max_size=6, unique=True))
def test_no_two_modes_share_a_service(modes: list[str]) -> None:
    words = service_words(modes)
    assert list(words) == modes
    assert len(set(words.values())) == len(modes)
    assert all(re.fullmatch('[0-9A-Za-z_]+', word) for word in words.values())


def test_a_sensor_that_dies_is_named_in_the_answer_and_in_the_bag(session: Session) -> None:
    session.start()
    session.let_rounds_pass(10)
    session.robot.silent.add('hand_pose')
    session.let_rounds_pass(30)
    response = session.call('stop_episode')
    assert response.success and '/hand_pose: nothing for' in response.message
    [path] = list_episodes(session.out)
    health = recorded_health(read_episode(path).events)
    assert health is not None
    assert ('gap', '/hand_pose') in [(one.kind, one.topic) for one in health.findings]


def test_messages_that_the_middleware_lost_are_counted(session: Session) -> None:
    session.start()
    session.let_rounds_pass()
    message = session.robot.message('wrist_force')
    for _ in range(1500):  # more than the middleware keeps while nobody takes them
        session.robot.send('wrist_force', message)
    session.let_rounds_pass()
    response = session.call('stop_episode')
    [path] = list_episodes(session.out)
    health = recorded_health(read_episode(path).events)
    assert health is not None
    lost = health.topics['/ft_sensor/wrench']['lost']
    assert lost >= 500
    assert f'/ft_sensor/wrench: {lost:.0f} messages never arrived' in response.message
    assert 1520 <= verify_episode(path)['/ft_sensor/wrench'] + lost <= 1600


def test_a_second_start_is_refused_and_harms_nothing(session: Session) -> None:
    session.start()
    response = session.call('start_episode')
    assert not response.success and 'episode_000000 is open' in response.message
    session.let_rounds_pass()
    assert session.call('stop_episode').success


def test_episodes_are_numbered_on_and_nothing_is_overwritten(session: Session) -> None:
    for _ in range(2):
        session.start()
        session.let_rounds_pass()
        assert session.call('stop_episode').success
    assert [path.name for path in list_episodes(session.out)] == ['episode_000000',
                                                                  'episode_000001']


def test_closing_the_node_finishes_the_open_episode(session: Session) -> None:
    session.start()
    session.let_rounds_pass()
    session.graph.executor.remove_node(session.node)
    session.node.close()
    session.graph._nodes.remove(session.node)
    [path] = list_episodes(session.out)
    assert read_episode(path).samples['hand_pose']


def test_a_disk_that_fails_is_told_and_the_next_episode_can_start(
        session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise BagError('cannot write: No space left on device')
    session.start()
    monkeypatch.setattr(EpisodeWriter, 'write', full)
    session.graph.until(lambda: any('fail' in text for text in session.events),
                        lambda: session.events)
    monkeypatch.undo()
    assert list_episodes(session.out) == []
    assert [path.name for path in session.out.iterdir()] == ['episode_000000.partial']
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    assert [path.name for path in list_episodes(session.out)] == ['episode_000001']


def test_a_best_effort_publisher_is_recorded_too(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    robot.silent.add('hand_pose')
    topic = tools.contract.deployment.observations['hand_pose']
    lossy = robot.create_publisher(
        message_class(topic.type), topic.topic,
        QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    robot.destroy_publisher(robot._out['hand_pose'])
    robot.create_timer(0.02, lambda: lossy.publish(robot.message('hand_pose')))
    session = Session(graph, robot, tools, tmp_path)
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    [path] = list_episodes(session.out)
    assert read_episode(path).samples['hand_pose']


def test_autostart_waits_for_every_observation(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    session = Session(graph, robot, tools, tmp_path, autostart=True)
    graph.until(lambda: any('start' in text for text in session.events),
                lambda: session.events)
    session.let_rounds_pass()
    assert session.call('stop_episode').success


@pytest.mark.slow
def test_autostart_tries_again_until_the_gate_opens_and_says_what_keeps_it_shut(
        graph: Any, robot: Any, tools: Any, tmp_path: Path,
        capfd: pytest.CaptureFixture[str]) -> None:
    robot.silent.add('hand_pose')
    session = Session(graph, robot, tools, tmp_path, autostart=True)
    said: list[str] = []

    def told(words: str) -> bool:
        said.append(capfd.readouterr().err)
        return any(words in text for text in said)

    graph.until(lambda: told('autostart waits: nothing arrives on /hand_pose (never)'),
                lambda: said)
    session.node._recording.free_bytes = lambda: 0
    robot.silent.clear()
    graph.until(lambda: told('autostart waits: ') and 'below min_free_mib' in said[-1],
                lambda: said)
    assert not session.events
    session.node._recording.free_bytes = lambda: 2**40
    graph.until(lambda: session.events, lambda: said)
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    session.let_rounds_pass(30)
    assert len(list_episodes(tmp_path)) == 1 and session.node._recording.open_name is None


def test_what_another_recorder_records_now_is_no_leftover(
        session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    session.start()
    capfd.readouterr()
    other = session.graph.add(partial(Recorder, namespace='/other'), out=str(session.out))
    said = capfd.readouterr().err
    assert 'another recorder is at work' in said and 'episode_000000.partial' in said
    assert 'never finished' not in said
    session.graph.remove(other)
    session.let_rounds_pass()
    assert session.call('stop_episode').success


def test_a_start_and_its_end_are_in_the_log(
        session: Session, capfd: pytest.CaptureFixture[str]) -> None:
    session.start()
    session.let_rounds_pass()
    assert session.call('stop_episode').success
    said = capfd.readouterr().err
    assert f'recording {session.out}/episode_000000' in said
    assert f'kept {session.out}/episode_000000' in said


def test_a_queue_without_room_is_refused(graph: Any, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match='queue_mib: .*at least 1, got 0'):
        graph.add(Recorder, out=str(tmp_path), queue_mib=0)


def test_an_unknown_planned_mode_is_refused_with_the_near_miss(
        graph: Any, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match='did you mean'):
        graph.add(Recorder, out=str(tmp_path), planned_mode='handle_frist')
