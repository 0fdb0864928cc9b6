# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorder and dataset have one judge: a dataset takes every take whose verdict is good."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
from foreign_bags import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.verdict import Health
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.recording.gate import SILENT_S, StartGate
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.errors import DatasetError, UncloningError

S = 10**9
CONTRACT = episodes.CONTRACT
STORE = foreign_bags.STORE


def alive(seed: int = 0, duration_s: float = 3.0) -> episodes.Samples:
    """Return a handover in which every observation trembles."""
    rng = np.random.default_rng(seed)
    return {key: [replace(one, values=one.values + (
                rng.normal(size=one.values.shape) * 1e-7 if key in CONTRACT.deployment.observations
                else 0.0)) for one in found]
            for key, found in episodes.handover(seed=seed, duration_s=duration_s).items()}


def judged(messages: list[Message], contract: Contract = CONTRACT) -> Health:
    judge = EpisodeJudge(contract, {})
    for one in messages:
        judge.see(one.topic, one.data, one.receive_ns)
    return judge.verdict(messages[0].receive_ns, messages[-1].receive_ns, {}, {})


def foreign_frame(message: Any) -> None:
    message.header.frame_id = 'world'


def other_names(message: Any) -> None:
    message.name = ['left', 'right']


def one_name(message: Any) -> None:
    message.name, message.position = message.name[:1], message.position[:1]


def no_rotation(message: Any) -> None:
    q = message.pose.orientation
    q.x = q.y = q.z = q.w = 0.0


def not_a_number(message: Any) -> None:
    message.pose.position.x = math.nan


def millimetres(message: Any) -> None:
    message.pose.position.x = 4e5


def two_widths(message: Any) -> None:
    message.data = np.array([0.06, 0.06])


def no_stamp(message: Any) -> None:
    message.header.stamp.sec = message.header.stamp.nanosec = 0


FAULTS = [('/hand_pose', foreign_frame), ('/ft_sensor/wrench', foreign_frame),
          ('/gripper/joint_states', other_names), ('/gripper/joint_states', one_name),
          ('/hand_pose', no_rotation), ('/hand_pose', not_a_number), ('/hand_pose', millimetres),
          ('/gripper_controller/commands', two_widths), ('/hand_pose', no_stamp)]


def spoilt(topic: str, change: Callable[[Any], None], each: int) -> list[Message]:
    """Return the messages of a handover, of which one in `each` of a topic is changed."""
    found, met = [], 0
    for one in foreign_bags.messages_of(alive()):
        if one.topic == topic:
            met += 1
            if met % each == 0:
                message = STORE.deserialize_cdr(one.data, one.type)
                change(message)
                one = one._replace(data=foreign_bags.serialised(message, one.type))
        found.append(one)
    return found


def test_a_take_in_which_all_is_well_is_good_and_a_dataset_takes_it(tmp_path: Path) -> None:
    messages = foreign_bags.messages_of(alive())
    assert judged(messages).sentence() == 'good'
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap')
    assert len(align(read_episode(path, CONTRACT), CONTRACT)[2]) > 20


@pytest.mark.parametrize(('topic', 'change', 'each'), [
    (*fault, each) for fault in FAULTS for each in (1, 50)
    # Now and then a message about others harms nothing.
    if fault[1] is not other_names or each == 1])
def test_gate_verdict_and_dataset_refuse_with_the_same_sentence(
        topic: str, change: Callable[[Any], None], each: int, tmp_path: Path) -> None:
    messages = spoilt(topic, change, each)
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap')
    with pytest.raises(UncloningError) as refused:
        read_episode(path, CONTRACT)
    sentence = str(refused.value).removeprefix(f'{path}: ')
    if change is not other_names:
        sentence = sentence.partition(' s: ')[2]
    gate, said = StartGate(CONTRACT), set()
    for one in messages:
        assert set(gate.see(one.topic, one.data, one.receive_ns)) <= gate.names
        said.update(gate.refusals(one.receive_ns))
    assert sentence in said
    health = judged(messages)
    [finding] = [one for one in health.findings if one.kind in ('refused', 'empty')]
    assert finding.topic == topic and sentence in finding.text


def test_a_refusal_keeps_the_gate_shut_until_it_is_over() -> None:
    gate = StartGate(CONTRACT)
    bad = spoilt('/gripper_controller/commands', two_widths, 1)
    [first, *_] = [one for one in bad if one.topic == '/gripper_controller/commands']
    assert list(gate.see(first.topic, first.data, S)) == [first.topic]
    assert len(gate.refusals(S)) == 1
    assert gate.refusals(round((1.1 + SILENT_S) * S)) == []
    assert gate.refusals(0) == []  # a simulated clock jumped back


def test_damaged_bytes_are_refused_and_end_no_recording() -> None:
    gate = StartGate(CONTRACT)
    assert list(gate.see('/hand_pose', b'\x00\x01\x00\x00odd', S)) == ['/hand_pose']
    [sentence] = gate.refusals(S)
    assert 'a message on /hand_pose is not a geometry_msgs/msg/PoseStamped' in sentence
    assert list(gate.see('/camera', b'', S)) == []


def shared(contract: Contract) -> Contract:
    """Return a contract in which the arm's joints and the gripper share a topic."""
    interface, deployment = contract.interface, contract.deployment
    arm = replace(next(s for s in interface.observations if s.key == 'gripper_width'),
                  key='arm', kind='joint_positions', unit='rad', names=('joint1', 'joint2'))
    source = deployment.observations['gripper_width']
    return replace(contract, interface=replace(interface,
                                               observations=(*interface.observations, arm)),
                   deployment=replace(deployment, observations={
                       **deployment.observations, 'arm': source}))


def joints(receive_ns: int, **positions: float) -> Message:
    message = foreign_bags.build(
        'sensor_msgs/msg/JointState', header=foreign_bags.header(receive_ns),
        name=list(positions), position=np.array([*positions.values()]), velocity=np.zeros(0),
        effort=np.zeros(0))
    return Message(receive_ns, '/gripper/joint_states', 'sensor_msgs/msg/JointState',
                   foreign_bags.serialised(message, 'sensor_msgs/msg/JointState'))


def test_a_joint_that_leaps_by_a_turn_is_found_as_a_dataset_finds_it() -> None:
    contract = shared(CONTRACT)
    messages = foreign_bags.messages_of(alive())
    begin_ns, end_ns = messages[0].receive_ns, messages[-1].receive_ns
    messages += [joints(t, joint1=3.0 if t < begin_ns + S else -3.1, joint2=1e-9 * (t % S))
                 for t in range(begin_ns, end_ns, S // 50)]
    health = judged(sorted(messages), contract)
    [finding] = health.findings
    assert (finding.kind, finding.topic) == ('leap', '/gripper/joint_states arm')
    assert 'joint1 leapt from 3.000 to -3.100 rad' in finding.text


@pytest.mark.parametrize('falls_silent', [False, True])
def test_signals_that_share_a_topic_fall_silent_each_by_itself(falls_silent: bool) -> None:
    contract = shared(CONTRACT)
    messages = foreign_bags.messages_of(alive())
    begin_ns, end_ns = messages[0].receive_ns, messages[-1].receive_ns
    until_ns = begin_ns + S if falls_silent else end_ns
    messages += [joints(t, joint1=1e-9 * (t % S), joint2=0.0)
                 for t in range(begin_ns, until_ns, S // 50)]
    health = judged(sorted(messages), contract)
    expected = [('gap', '/gripper/joint_states arm')] if falls_silent else []
    assert [(one.kind, one.topic) for one in health.findings] == expected
    assert health.topics['/gripper/joint_states']['messages'] == sum(
        one.topic == '/gripper/joint_states' for one in messages)


KEYS = sorted({**CONTRACT.deployment.observations, **CONTRACT.deployment.actions})


@st.composite
def takes(draw: Any) -> episodes.Samples:
    """Return a take with late samples, pauses, repeated values, cut short at either end."""
    samples = alive(draw(st.integers(0, 3)), draw(st.sampled_from([0.3, 0.6, 1.0, 2.0])))
    for key in draw(st.sets(st.sampled_from(KEYS), max_size=3)):
        found = samples[key]
        what = draw(st.sampled_from(['late', 'early', 'pause', 'thin', 'frozen', 'cut']))
        ms = draw(st.integers(1, 400)) * episodes.MS
        begin = draw(st.integers(0, len(found) - 1))
        if what == 'late':
            found = [replace(one, receive_ns=one.receive_ns + ms) for one in found]
        elif what == 'early':
            found = [replace(one, receive_ns=one.receive_ns - ms) for one in found]
        elif what == 'pause':
            at_ns = found[begin].receive_ns
            found = [one for one in found if not at_ns < one.receive_ns < at_ns + 2 * ms]
        elif what == 'thin':
            found = found[::draw(st.integers(2, 12))]
        elif what == 'frozen':
            found = [replace(one, values=found[begin].values) if i > begin else one
                     for i, one in enumerate(found)]
        else:
            found = draw(st.sampled_from([found[begin:], found[:begin + 1]]))
        samples[key] = found
    return samples


WATCHED = replace(CONTRACT, deployment=replace(CONTRACT.deployment, observations={
    key: replace(topic, max_unchanged_s=0.2 if key.endswith('d_pose') else None)
    for key, topic in CONTRACT.deployment.observations.items()}))


@settings(max_examples=300, deadline=None)
@given(takes())
def test_a_dataset_takes_every_take_whose_verdict_is_good(samples: episodes.Samples) -> None:
    health = judged(foreign_bags.messages_of(samples), WATCHED)
    by_arrival: dict[str, tuple[Sample, ...]] = {
        key: tuple(sorted(found, key=lambda one: one.receive_ns))
        for key, found in samples.items()}
    try:
        align(Episode(Path('take'), episodes.METADATA, WATCHED, by_arrival, ()), WATCHED)
    except DatasetError:
        assert health.verdict == 'findings'


def test_rare_messages_that_come_late_are_too_old_just_before_the_next() -> None:
    samples = alive()
    samples['hand_pose'] = [replace(one, receive_ns=one.receive_ns + 150 * episodes.MS)
                            for one in samples['hand_pose'][::8]]
    health = judged(foreign_bags.messages_of(samples))
    assert [(one.kind, one.topic) for one in health.findings] == [('late', '/hand_pose')]
    assert '0.40 s before the next message came (max_age_s 0.3)' in health.sentence()
    with pytest.raises(DatasetError, match='hand_pose'):
        align(Episode(Path('take'), episodes.METADATA, CONTRACT,
                      {key: tuple(found) for key, found in samples.items()}, ()), CONTRACT)
