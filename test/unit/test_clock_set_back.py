# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A clock that was set back during a recording: the episode is left out, never sorted by time."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import pytest
from foreign_bags import Message
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.cli import main
from uncloning_ros.contract import Contract, ObservedTopic
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.clock import ReceiveOrder, stamps_fault
from uncloning_ros.demos.bags.episode import EpisodeMetadata, bag_topics
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.layout import episode_name
from uncloning_ros.demos.bags.messages import BagContents, Query
from uncloning_ros.demos.bags.reader import raw_messages, read_episode
from uncloning_ros.demos.bags.verdict import Finding, Health
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import BuildReport, build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.episodes.reading import Cutting, Reading
from uncloning_ros.demos.recording.episode_thread import by_arrival
from uncloning_ros.demos.recording.health import EpisodeJudge
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.schema import plain

CONTRACT = episodes.CONTRACT
S = 10**9
STEP_NS = 300_000_000
SET_BACK_NS = episodes.BEGIN_NS + 3 * S // 2


def build(*sources: Path, **reading: Any) -> BuildReport:
    return build_dataset(sources, sources[0].parent / 'data',
                         Recipe(episodes.KNIFE, Reading(**reading)), Split())


def set_back(samples: episodes.Samples, at_ns: int = SET_BACK_NS, step_ns: int = STEP_NS,
             extra: Sequence[Message] = ()) -> list[Message]:
    """Return messages in their order, of a computer whose clock was set back at a time."""
    before = {key: [one for one in found if one.receive_ns < at_ns]
              for key, found in samples.items()}
    after = {key: [replace(one, receive_ns=one.receive_ns - step_ns,
                           stamp_ns=one.stamp_ns - step_ns)
                   for one in found if one.receive_ns >= at_ns] for key, found in samples.items()}
    early = [one for one in extra if one.receive_ns < at_ns]
    late = [one._replace(receive_ns=one.receive_ns - step_ns) for one in extra
            if one.receive_ns >= at_ns]
    return [*sorted([*foreign_bags.messages_of(before), *early]),
            *sorted([*foreign_bags.messages_of(after), *late])]


def stamped_back(samples: episodes.Samples, keys: Sequence[str]) -> episodes.Samples:
    """Return samples of publishers whose clock was set back during the episode."""
    return {key: [replace(one, stamp_ns=one.stamp_ns - STEP_NS)
                  if key in keys and one.receive_ns >= SET_BACK_NS else one for one in found]
            for key, found in samples.items()}


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """Return a folder with two good episodes."""
    for i in range(2):
        episodes.write(tmp_path / 'some', episodes.handover(seed=i), i)
    return tmp_path / 'some'


# --- the step ---

@pytest.mark.parametrize('how', foreign_bags.WRITERS)
def test_a_clock_that_was_set_back_leaves_out_the_episode_alone(how: str, some: Path) -> None:
    messages = set_back(episodes.handover(seed=3))
    foreign_bags.write(some / 'monday', messages, how)
    report = build(some, contract=CONTRACT)
    assert len(report.dataset.episodes) == 2
    (one,) = report.dataset.left_out
    assert one.name == 'monday'
    # Messages of a topic come 25 ms apart.
    assert 'got a step back of 0.275 s on /' in one.reason
    assert '1.48 s after the first message' in one.reason or '1.47 s' in one.reason


def test_stamps_that_were_set_back_leave_out_the_episode(some: Path) -> None:
    path = episodes.write(some, stamped_back(episodes.handover(seed=3), ['hand_pose']), 2)
    late = replace(CONTRACT.deployment.observations['hand_pose'], max_age_s=1.0)
    contract = with_hand(late)
    assert 'hand_pose: expected stamps that rise, got a step back of 0.275 s, 1.' in read_episode(
        path, contract).clock_fault
    (one,) = build(some, contract=contract).dataset.left_out
    assert one.name == 'episode_000002'
    assert 'step back of 0.275 s' in one.reason


def with_hand(topic: ObservedTopic) -> Contract:
    deployment = CONTRACT.deployment
    return replace(CONTRACT, deployment=replace(deployment, observations={
        **deployment.observations, 'hand_pose': topic}))


def test_stamps_that_mean_nothing_may_go_back(tmp_path: Path) -> None:
    samples = stamped_back(episodes.handover(), ['hand_pose'])
    path = foreign_bags.write(tmp_path / 'bag', foreign_bags.messages_of(samples))
    assert read_episode(path, CONTRACT).clock_fault
    unstamped = with_hand(replace(CONTRACT.deployment.observations['hand_pose'], stamped=False))
    assert not read_episode(path, unstamped).clock_fault


def test_commands_are_not_judged_by_stamps_that_nobody_reads(tmp_path: Path) -> None:
    samples = stamped_back(episodes.handover(), ['target_pose'])
    path = foreign_bags.write(tmp_path / 'bag', foreign_bags.messages_of(samples))
    assert not read_episode(path, CONTRACT).clock_fault


def test_transforms_are_judged_in_the_order_of_the_file(tmp_path: Path) -> None:
    deployment = CONTRACT.deployment
    contract = with_hand(replace(deployment.observations['hand_pose'], topic='tf',
                                 type=foreign_bags.TF, child_frame='hand'))
    samples = episodes.handover()
    frame = next(s.frame for s in CONTRACT.interface.observations if s.key == 'hand_pose')
    hands = samples.pop('hand_pose')
    pose = pose_from_parts([0.5, 0.0, 0.3], rotation_about_z(0.1))
    messages = foreign_bags.messages_of({**samples, 'hand_pose': []}) + [
        foreign_bags.tf(one.receive_ns, foreign_bags.transform(frame, 'hand', pose, one.stamp_ns))
        for one in hands]
    path = foreign_bags.write(tmp_path / 'bag', sorted(messages))
    assert not read_episode(path, contract).clock_fault
    messages.sort()
    late = [one._replace(receive_ns=one.receive_ns - STEP_NS) for one in messages[300:]]
    path = foreign_bags.write(tmp_path / 'odd', [*messages[:300], *late])
    assert 'step back' in read_episode(path, contract).clock_fault


def test_one_topic_after_the_other_is_no_step_back(tmp_path: Path) -> None:
    messages = sorted(foreign_bags.messages_of(episodes.handover()), key=lambda m: m.topic)
    assert not read_episode(foreign_bags.write(tmp_path / 'bag', messages), CONTRACT).clock_fault


def test_the_largest_step_is_told() -> None:
    order = ReceiveOrder()
    assert order.fault() == ''
    for topic, at_ns in (('/a', 10 * S), ('/b', 7 * S), ('/a', 9 * S), ('/b', 8 * S),
                         ('/b', 8 * S), ('/a', 12 * S), ('/a', 7 * S)):
        order.see(topic, at_ns)
    assert 'a step back of 5.000 s on /a, 2.00 s after' in order.fault()
    values = episodes.pose()
    rising = [Sample(values, at * S, at * S) for at in (1, 2, 2, 3)]
    assert stamps_fault({'a': rising}, ['a']) == ''
    assert stamps_fault({'a': []}, ['a']) == ''
    odd = [Sample(values, stamp * S, at * S) for at, stamp in ((1, 1), (2, 5), (3, 2))]
    assert 'a step back of 3.000 s, 2.00 s after' in stamps_fault({'a': rising, 'b': odd},
                                                                  ['a', 'b'])


# --- stamps of another clock ---

WALL_NS = 1_795_951_639 * S


@pytest.mark.parametrize(('stamps_ns', 'arrivals_ns', 'clock'), [
    (0, WALL_NS, 'simulated time'), (WALL_NS, 0, 'wall time'), (0, 0, None),
    (WALL_NS, WALL_NS, None)])
def test_stamps_of_another_clock_are_recognised_as_such(
        stamps_ns: int, arrivals_ns: int, clock: str | None, some: Path) -> None:
    samples = {key: [replace(one, stamp_ns=one.stamp_ns + (
        stamps_ns if key in CONTRACT.deployment.observations else arrivals_ns),
        receive_ns=one.receive_ns + arrivals_ns) for one in found]
        for key, found in episodes.handover(seed=3).items()}
    episodes.write(some, samples, 2)
    left_out = build(some).dataset.left_out
    assert len(left_out) == (0 if clock is None else 1)
    for one in left_out:
        assert f'got stamps in {clock}; set use_sim_time alike' in one.reason
    judge = EpisodeJudge(CONTRACT, {})
    info = read_info(some / episode_name(2))
    for raw in raw_messages(info, Query(frozenset(bag_topics(CONTRACT))), BagContents()):
        judge.see(raw.topic, raw.data, raw.receive_ns)
    begin_ns = episodes.BEGIN_NS + arrivals_ns
    texts = [str(one) for one in judge.verdict(begin_ns, begin_ns + 3 * S, {}, {}).findings
             if one.kind == 'clock']
    assert len(texts) == (0 if clock is None else 5)
    assert all(f'stamps are in {clock}' in text for text in texts)


# --- takes of the recorder ---

@pytest.mark.parametrize(('kind', 'kept'), [('clock', 2), ('rate', 3)])
def test_a_take_whose_recorder_complained_of_the_clock_is_left_out(
        kind: str, kept: int, some: Path) -> None:
    health = Health('findings', (Finding(kind, '', 'time ran 0.50 s backwards'),), {})
    samples = episodes.handover(seed=3)
    metadata = EpisodeMetadata('afternoon', 2, 'Ada', 'handle_first', '0.1.0')
    with EpisodeWriter(some / episode_name(2), CONTRACT, metadata) as writer:
        arrivals = sorted((one.receive_ns, key, one) for key, found in samples.items()
                          for one in found)
        for receive_ns, key, sample in arrivals:
            writer.write_values(key, sample.values, sample.stamp_ns, receive_ns)
        writer.write_event({'event': 'stop', 'episode': 2, 'health': plain(health)},
                           arrivals[-1][0])
        writer.commit()
    report = build(some)
    assert len(report.dataset.episodes) == kept
    assert len(report.dataset.left_out) == 3 - kept
    for one in report.dataset.left_out:
        assert one.name == 'episode_000002'
        assert 'time ran 0.50 s backwards; record it again' in one.reason


@given(st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 20))))
def test_the_recorder_sorts_topics_but_hides_no_step_back(arrived: list[tuple[str, int]]) -> None:
    batch = [(topic, b'%d' % i, receive_ns, 0) for i, (topic, receive_ns) in enumerate(arrived)]
    found = by_arrival(batch)
    for name in 'abc':
        assert [one for one in found if one[0] == name] == [one for one in batch if one[0] == name]
    rising = all(one[2] <= two[2] for name in 'abc'
                 for one, two in pairwise([one for one in batch if one[0] == name]))
    if rising:
        assert found == sorted(batch, key=lambda one: one[2])


def test_two_publishers_whose_messages_cross_by_milliseconds_are_no_clock() -> None:
    order = ReceiveOrder()
    for receive_ns in (0, 10_000_000, 9_000_000, 20_000_000, 15_000_000):
        order.see('/joint_states', receive_ns)
    assert order.fault() == ''
    order.see('/joint_states', 9_999_999)
    assert 'step back of 0.005 s on /joint_states' in order.fault()


# --- cutting ---

def day() -> episodes.Samples:
    """Return three handovers, five seconds apart."""
    return foreign_bags.joined(*(foreign_bags.at_distance(episodes.handover(seed=seed), 5.0 * seed)
                                 for seed in range(3)))


@pytest.mark.parametrize('how', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('cutting', [Cutting('gripper'), Cutting('idle', idle_s=2.0)])
def test_the_piece_in_which_the_clock_was_set_back_is_left_out_alone(
        cutting: Cutting, how: str, tmp_path: Path) -> None:
    path = foreign_bags.write(tmp_path / 'day', set_back(day(), episodes.BEGIN_NS + 6 * S), how)
    report = build(path, contract=CONTRACT, cutting=cutting)
    assert [one.name for one in report.dataset.episodes] == ['day#1', 'day#3']
    (one,) = report.dataset.left_out
    assert one.name == 'day#2'
    assert 'a step back of 0.275 s' in one.reason


def test_events_on_a_clock_that_was_set_back_cut_nothing(tmp_path: Path) -> None:
    # By time the label, which was said last, would belong to the first episode.
    begin_ns = episodes.BEGIN_NS
    events = [foreign_bags.text(begin_ns + at_ms * 1_000_000, json.dumps(
        {'event': word, 'mode': 'blade_first' if word == 'label' else None}))
        for at_ms, word in ((0, 'start'), (3200, 'stop'), (5000, 'start'), (8200, 'stop'),
                            (8300, 'label'))]
    path = foreign_bags.write(tmp_path / 'day', set_back(
        day(), begin_ns + 8_250_000_000, 4 * S, events))
    good = episodes.write(tmp_path / 'good', episodes.handover())
    assert main.main(['inspect', str(path), '--contract', str(contract_file(tmp_path)), '--cut',
                      'event', '--event-topic', '/pedal']) == 2
    report = build(path, good, contract=CONTRACT)
    assert [one.name for one in report.dataset.left_out] == ['day']


def contract_file(folder: Path) -> Path:
    path = folder / 'contract.yaml'
    path.write_text(json.dumps(plain(CONTRACT)))
    return path


# --- the other commands ---

def test_labels_and_pages_leave_it_out_too(some: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages = set_back(episodes.handover(seed=3))
    foreign_bags.write(some / 'monday', messages)
    options = [str(some), '--contract', str(contract_file(some.parent)), '--workers', '1']
    for command in (['label', *options, '--rule', '--scenario', 'knife'],
                    ['label', *options, '--cluster']):
        assert main.main(command) == 0
        assert 'left out 1: monday: expected receive times that rise' in ' '.join(
            capsys.readouterr().out.split())
    assert main.main(['inspect', *options]) == 0
    told = ' '.join(capsys.readouterr().out.split())
    assert '1 episode (monday) that a dataset leaves out' in told
    assert 'a step back of 0.275 s' in told
