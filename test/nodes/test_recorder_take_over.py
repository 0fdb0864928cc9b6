# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder keeps a take-over by itself: the seconds before, the person's part, the end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import CONTRACT, deployed
from policies import written
from rclpy.clock import Clock, ClockType
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from uncloning_ros.contract import Teleoperation
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.corrections import align_taught
from uncloning_ros.demos.recording import take_overs
from uncloning_ros.nodes import recorder
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.nodes.topics import LATCHED_QOS, Commands

MANNED = deployed(CONTRACT, teleoperation=Teleoperation('teleoperation', 'switch', 0.2))
BEFORE_S = 1.0


class Taken:
    """A recorder of a manned contract, and a policy whose status is said here."""

    def __init__(self, graph: Any, robot: Any, tools: Any, folder: Path) -> None:
        self.graph, self.robot, self.out = graph, robot, folder / 'demos'
        path = written(MANNED, folder / 'manned.yaml')
        self.events = robot.listen('/recorder/episode_event')
        self.node = graph.add(Recorder, out=str(self.out), contract_path=str(path),
                              before_s=BEFORE_S, planned_mode='blade_first')
        status = robot.create_publisher(String, '/policy/status', LATCHED_QOS)
        self.x, commands = 0.5, Commands(robot.create_publisher, MANNED)
        robot.create_timer(0.05, lambda: commands.publish(
            np.append(tools.pose(self.x), 0.08), robot.get_clock().now().nanoseconds),
            clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.say('active', 'policy')
        self.status = robot.create_timer(0.05, lambda: status.publish(self._said),
                                         clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.let_rounds_pass(100)

    def say(self, state: str, reason: str) -> None:
        self._said = String(data=json.dumps({'state': state, 'reason': reason}))

    def cdr(self, topic: str) -> bytes:
        key = 'hand_pose' if topic == '/hand_pose' else 'tool_pose'
        return serialize_message(self.robot.message(key))

    def let_rounds_pass(self, count: int) -> None:
        goal = self.robot.rounds + count
        self.graph.until(lambda: self.robot.rounds >= goal, lambda: self.robot.rounds)

    def until_event(self, kind: str) -> None:
        self.graph.until(lambda: self.events and json.loads(self.events[-1])['event'] == kind,
                         lambda: self.events)

    def given_back(self) -> Episode:
        """Let the switch go, give the arm back, and return the only episode."""
        self.say('hold', 'let_go')
        self.until_event('let_go')
        self.say('active', 'policy')
        self.until_event('stop')
        [path] = list_episodes(self.out)
        return read_episode(path, MANNED)


@pytest.fixture
def taken(graph: Any, robot: Any, tools: Any, tmp_path: Path) -> Taken:
    return Taken(graph, robot, tools, tmp_path)


def test_a_take_over_is_an_episode_that_begins_before_it(taken: Taken) -> None:
    taken.say('hold', 'take_over')
    taken.until_event('take_over')
    taken.say('taken_over', 'person')
    taken.until_event('person')
    taken.x = 0.6
    taken.let_rounds_pass(100)
    episode = taken.given_back()
    assert episode.metadata.planned_mode is None
    times = {event['event']: time_ns for time_ns, event in episode.events}
    assert [*times] == ['start', 'take_over', 'person', 'let_go', 'give_back', 'stop']
    before_s = (times['take_over'] - episode.bounds_ns[0]) * 1e-9
    assert 0.5 * BEFORE_S < before_s <= 1.5 * BEFORE_S
    numbers = [int(sample.values[0]) for sample in episode.samples['wrist_force']]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    frames, [(begin_ns, end_ns)] = align_taught(episode, MANNED)
    assert (begin_ns, end_ns) == (times['person'], times['let_go'])
    assert frames.actions[-1, 0] == pytest.approx(0.6)
    assert not taken.graph.call(taken.robot, '/recorder/stop_episode').success


def test_without_a_command_it_is_kept_and_said(taken: Taken, capfd: Any) -> None:
    taken.say('hold', 'take_over')
    taken.until_event('take_over')
    taken.let_rounds_pass(20)
    taken.say('hold', 'recovering')
    taken.until_event('stop')
    assert len(list_episodes(taken.out)) == 1
    assert 'commanded nothing' in capfd.readouterr().err


def test_in_an_open_episode_it_is_marked_and_the_operator_ends_it(taken: Taken) -> None:
    assert taken.graph.call(taken.robot, '/recorder/start_episode').success
    taken.say('taken_over', 'person')
    taken.until_event('person')
    taken.let_rounds_pass(30)
    taken.say('done', 'released')
    taken.until_event('give_back')
    taken.let_rounds_pass(10)
    assert taken.graph.call(taken.robot, '/recorder/stop_episode').success
    episode = read_episode(list_episodes(taken.out)[0], MANNED)
    assert episode.metadata.planned_mode == 'blade_first'
    assert [event['event'] for _, event in episode.events] == [
        'start', 'take_over', 'person', 'let_go', 'give_back', 'stop']


def test_an_episode_that_the_operator_discards_is_not_stopped_again(taken: Taken) -> None:
    taken.say('taken_over', 'person')
    taken.until_event('person')
    assert taken.graph.call(taken.robot, '/recorder/discard_episode').success
    taken.say('active', 'policy')
    taken.let_rounds_pass(20)
    assert list_episodes(taken.out) == []
    assert json.loads(taken.events[-1])['event'] == 'discard'


def test_a_policy_that_dies_in_a_take_over_ends_the_recording(
        taken: Taken, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setattr(take_overs, 'SILENT_S', 1.0)
    taken.say('taken_over', 'person')
    taken.until_event('person')
    taken.let_rounds_pass(50)
    taken.status.cancel()
    taken.until_event('stop')
    [path] = list_episodes(taken.out)
    episode = read_episode(path, MANNED)
    health = recorded_health(episode.events)
    assert health is not None and 'unheard' in [one.kind for one in health.findings]
    assert len(align_taught(episode, MANNED)[0].ticks_ns) > 10
    assert '/policy/status: nothing for 1 s' in capfd.readouterr().err
    taken.status.reset()  # it lives, and the person still has the arm
    taken.until_event('person')
    assert taken.graph.call(taken.robot, '/recorder/discard_episode').success
    taken.status.cancel()
    assert taken.graph.call(taken.robot, '/recorder/start_episode').success
    taken.let_rounds_pass(100)  # longer than SILENT_S
    assert json.loads(taken.events[-1])['event'] == 'start'


def test_commands_of_two_nodes_that_are_handed_over_late_arrived_then(taken: Taken) -> None:
    """Several publishers have several threads of the middleware; no clock was set back."""
    kept: list[tuple[str, int]] = []
    taken.node._recording.put = lambda topic, cdr, receive_ns, source_ns: kept.append(
        (topic, receive_ns))
    for topic, receive_ns in (('/target_pose', 10**18), ('/target_pose', 10**18 - 39 * 10**6),
                              ('/hand_pose', 10**18), ('/hand_pose', 10**18 - 39 * 10**6),
                              ('/target_pose', 10**18 - 10**9)):
        taken.node._receive(topic, taken.cdr(topic), {'received_timestamp': receive_ns,
                                                      'source_timestamp': 0})
    assert [at_ns - 10**18 for _, at_ns in kept] == [0, 0, 0, -39 * 10**6, -10**9]


def test_a_take_over_that_cannot_be_recorded_is_once_the_topic_is_back(
        taken: Taken, capfd: Any) -> None:
    warned: list[str] = []
    taken.robot.create_subscription(
        DiagnosticArray, '/diagnostics',
        lambda array: warned.extend(status.message for status in array.status), 10)
    taken.robot.silent.add('hand_pose')
    taken.let_rounds_pass(200)
    taken.say('hold', 'take_over')
    waits = 'the take-over is not being recorded: nothing arrives on /hand_pose'
    taken.graph.until(lambda: any(waits in text for text in warned), lambda: warned)
    assert warned[-1].count('/hand_pose') == 1
    assert waits in capfd.readouterr().err
    taken.say('taken_over', 'person')
    taken.let_rounds_pass(50)
    assert not taken.events
    taken.robot.silent.clear()
    taken.until_event('person')
    taken.graph.until(lambda: waits not in warned[-1], lambda: warned[-1])
    taken.let_rounds_pass(50)
    episode = taken.given_back()
    assert [event['event'] for _, event in episode.events] == [
        'start', 'take_over', 'person', 'let_go', 'give_back', 'stop']
    assert len(align_taught(episode, MANNED)[0].ticks_ns) > 10


@pytest.mark.parametrize('policy', ['dead', 'alone'])
def test_a_take_over_that_ended_is_recorded_no_more(
        taken: Taken, monkeypatch: Any, capfd: Any, policy: str) -> None:
    monkeypatch.setattr(take_overs, 'SILENT_S', 1.0)
    taken.robot.silent.add('hand_pose')
    taken.let_rounds_pass(200)
    taken.say('taken_over', 'person')
    taken.let_rounds_pass(10)
    if policy == 'dead':
        taken.status.cancel()
    else:
        taken.say('active', 'policy')
    taken.let_rounds_pass(100)  # longer than SILENT_S
    taken.robot.silent.clear()
    taken.let_rounds_pass(100)
    assert not taken.events
    assert capfd.readouterr().err.count('ended and was not recorded, or not to its end: nothing '
                                        'arrives on /hand_pose') == 1


def test_a_recording_that_the_disk_ended_is_followed_by_another(
        taken: Taken, monkeypatch: Any) -> None:
    monkeypatch.setattr(recorder, '_REST_S', 0.0)
    taken.say('taken_over', 'person')
    taken.until_event('person')
    taken.let_rounds_pass(50)
    with monkeypatch.context() as full:
        full.setattr(taken.node._recording, 'free_bytes', lambda: 0)
        taken.until_event('stop')
        taken.let_rounds_pass(20)
    taken.until_event('person')
    taken.let_rounds_pass(50)
    taken.say('active', 'policy')
    taken.until_event('stop')
    episodes = [read_episode(path, MANNED) for path in list_episodes(taken.out)]
    assert len(episodes) == 2
    assert all(len(align_taught(episode, MANNED)[0].ticks_ns) > 10 for episode in episodes)


def test_a_broken_disk_gets_no_episode_at_each_look(
        taken: Taken, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setattr(recorder, '_REST_S', 1000.0)

    def broken(*_: Any) -> None:
        raise OSError('broken')

    monkeypatch.setattr(EpisodeWriter, 'write', broken)
    taken.say('taken_over', 'person')
    taken.until_event('fail')
    taken.let_rounds_pass(50)
    taken.say('active', 'policy')
    ended = 'not to its end: episode_000000 ended: '
    said: list[str] = []
    taken.graph.until(lambda: said.append(capfd.readouterr().err) or ended in ''.join(said),
                      lambda: ''.join(said))
    kinds = [json.loads(event)['event'] for event in taken.events]
    assert kinds.count('start') == 1 and kinds[-1] == 'fail'


def test_a_defect_costs_neither_the_recorder_nor_the_take_over(
        taken: Taken, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setattr(recorder, '_REST_S', 0.5)

    def defect(*_: Any) -> None:
        raise RuntimeError('no such thing')

    with monkeypatch.context() as wrong:
        wrong.setattr(taken.node._recording, 'start', defect)
        taken.say('taken_over', 'person')
        taken.let_rounds_pass(20)
    assert 'RuntimeError: no such thing' in capfd.readouterr().err
    taken.until_event('person')
