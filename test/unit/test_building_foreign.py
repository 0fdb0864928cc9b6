# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets from bags of other recorders: cut, renamed, broken off, with joint commands."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
from inputs import JOINT_CONTRACT, NOON

from uncloning_ros.cli.dataset import summary
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.building import BuildReport, build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.demos.episodes.find import find_episodes
from uncloning_ros.demos.episodes.reading import Cutting, Reading
from uncloning_ros.errors import BagError, DatasetError

MS = episodes.MS
CONTRACT = episodes.CONTRACT
INTERFACE = CONTRACT.interface
GRIPPER = INTERFACE.observation_slices['gripper_width']
WIDTH = INTERFACE.action_slices['target_width']


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """A folder of this package's own bags, two of each mode."""
    for i, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST] * 2):
        episodes.write(tmp_path / 'some', episodes.handover(kind, i), i)
    return tmp_path / 'some'


def build(*sources: Path, out: Path | None = None, workers: int = 1,
          **reading: Any) -> BuildReport:
    return build_dataset(sources, out or sources[0].parent / 'data',
                         Recipe(episodes.KNIFE, Reading(**reading)), Split(), workers)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A day of plain ros2 bag record: four handovers in one SQLite bag, with a pedal."""
    parts = [foreign_bags.at_distance(episodes.handover(kind, seed), 5.0 * seed)
             for seed, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST] * 2)]
    messages = foreign_bags.messages_of(foreign_bags.joined(*parts))
    messages += [foreign_bags.flag(episodes.BEGIN_NS + round((5 * i + at_s) * 1e9), on)
                 for i in range(4) for at_s, on in ((-0.2, True), (3.1, False))]
    return foreign_bags.write(tmp_path / 'days' / 'monday', sorted(messages),
                              'sqlite3, message zstd')


@pytest.mark.parametrize('cutting', [Cutting('event', '/pedal'), Cutting('gripper'),
                                     Cutting('idle', idle_s=2.0)])
def test_the_pieces_of_a_bag_are_episodes_like_any_other(recorded: Path,
                                                         cutting: Cutting) -> None:
    report = build(recorded, contract=CONTRACT, cutting=cutting)
    assert [(one.name, one.mode) for one in report.dataset.episodes] == [
        ('monday#1', 'handle_first'), ('monday#2', 'blade_first'),
        ('monday#3', 'handle_first'), ('monday#4', 'blade_first')]
    assert len({one.digest for one in report.dataset.episodes}) == 1
    assert {one.split for one in report.dataset.episodes} == {'train', 'validation'}
    assert 'cut monday into 4' in summary(report)
    assert 'cut off ' in summary(report)
    told = json.loads((recorded.parent / 'data' / 'dataset.json').read_text())['cut']
    assert told['by'] == cutting.by
    assert len(told['bags']['monday']['episodes_ns']) == 4
    assert load_dataset(recorded.parent / 'data').sha256 == report.dataset.sha256


def split_joints(messages: list[foreign_bags.Message]) -> list[foreign_bags.Message]:
    """Return messages with those of an arm driver on the gripper's topic, an empty one first."""
    arm = [f'panda_joint{number}' for number in range(1, 8)]
    found = []
    for one in messages:
        if one.topic == '/gripper/joint_states':
            for names in ([], arm) if not found else (arm,):
                message = foreign_bags.build(
                    one.type, header=foreign_bags.header(one.receive_ns), name=names,
                    position=np.zeros(len(names)), velocity=np.zeros(0), effort=np.zeros(0))
                found.append(one._replace(data=foreign_bags.serialised(message, one.type)))
        found.append(one)
    return found


def test_what_other_drivers_publish_on_a_topic_of_joints_changes_no_dataset(
        tmp_path: Path) -> None:
    alone, beside = tmp_path / 'alone', tmp_path / 'beside'
    for seed, kind in enumerate([episodes.HANDLE_FIRST, episodes.BLADE_FIRST] * 2):
        messages = foreign_bags.messages_of(episodes.handover(kind, seed))
        for folder, written in ((alone, messages), (beside, split_joints(messages))):
            foreign_bags.write(folder / str(seed), written, 'mcap')
    one, two = (build(folder, out=tmp_path / f'{folder.name}.data', contract=CONTRACT).dataset
                for folder in (alone, beside))
    assert np.array_equal(one.observations, two.observations)
    assert np.array_equal(one.actions, two.actions)


def test_a_bag_whose_joints_have_other_names_is_refused_with_both(tmp_path: Path) -> None:
    messages = [one._replace(data=one.data.replace(b'panda_finger', b'robot_finger'))
                for one in foreign_bags.messages_of(episodes.handover(episodes.HANDLE_FIRST, 0))]
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap')
    with pytest.raises(BagError) as caught:
        read_episode(path, CONTRACT)
    assert 'gripper_width: expected the joints panda_finger_joint1' in str(caught.value)
    assert 'got robot_finger_joint1, robot_finger_joint2' in str(caught.value)


def test_a_long_bag_that_is_not_cut_is_left_out_with_the_remedy(recorded: Path) -> None:
    short = replace(CONTRACT, deployment=replace(CONTRACT.deployment, episode_end=replace(
        CONTRACT.deployment.episode_end, max_episode_s=10.0)))
    with pytest.raises(DatasetError, match=r'18 s.* 10 s at most.* --cut'):
        build(recorded, contract=short)
    with pytest.raises(DatasetError, match=r'is older .* max_age_s in the contract$'):
        build(recorded, contract=CONTRACT)


def test_a_piece_has_the_frames_of_the_same_episode_in_a_bag_of_its_own(
        recorded: Path, tmp_path: Path) -> None:
    cut = build(recorded, contract=CONTRACT, cutting=Cutting('event', '/pedal')).dataset
    alone = align(episodes.episode(foreign_bags.at_distance(
        episodes.handover(episodes.BLADE_FIRST, 1), 5.0)), CONTRACT)
    rows = slice(cut.bounds[1], cut.bounds[2])
    np.testing.assert_allclose(cut.observations[rows], alone[0], atol=1e-6)
    np.testing.assert_allclose(cut.actions[rows], alone[1], atol=1e-6)


def test_the_pieces_do_not_depend_on_the_number_of_workers(recorded: Path,
                                                           tmp_path: Path) -> None:
    for workers in (1, 2):
        build(recorded, out=tmp_path / str(workers), workers=workers, contract=CONTRACT,
              cutting=Cutting('gripper'))
    for name in ('dataset.json', 'dataset.safetensors'):
        assert (tmp_path / '1' / name).read_bytes() == (tmp_path / '2' / name).read_bytes()


def test_a_piece_may_have_a_label_of_its_own(recorded: Path) -> None:
    refs = find_episodes([recorded], Reading(CONTRACT, cutting=Cutting('gripper'))).episodes
    add_label(refs[1].labelled_path, Label('handle_first', 'operator', 1.0, NOON),
              CONTRACT.interface, refs[1].span_ns)
    dataset = build(recorded, contract=CONTRACT, cutting=Cutting('gripper')).dataset
    assert (dataset.episodes[1].mode, dataset.episodes[1].label_source) == (
        'handle_first', 'operator')


def own_bag(folder: Path, *said: str | dict[str, Any], index: int = 0) -> Path:
    """Return a bag of the recorder's own: a start, labels while it was open, and a stop."""
    samples = episodes.handover(seed=index)
    metadata = replace(episodes.METADATA, episode=index, planned_mode=None)
    with EpisodeWriter(folder / f'episode_{index:06d}', CONTRACT, metadata) as writer:
        arrivals = sorted(((one.receive_ns, key, one) for key, found in samples.items()
                           for one in found), key=lambda item: item[0])
        writer.write_event({'event': 'start', 'episode': index, 'mode': None}, arrivals[0][0])
        for receive_ns, key, one in arrivals:
            writer.write_values(key, one.values, one.stamp_ns, receive_ns)
        for one_said in said:
            more = {'mode': one_said} if isinstance(one_said, str) else one_said
            writer.write_event({'event': 'label', 'episode': index, **more}, arrivals[-1][0])
        writer.write_event({'event': 'stop', 'episode': index, 'mode': None}, arrivals[-1][0])
        return writer.commit()


def labelled(report: BuildReport) -> list[tuple[str, str | None, str | None]]:
    return [(one.name, one.mode, one.label_source) for one in report.dataset.episodes]


@pytest.mark.parametrize('by', ['event', 'gripper', 'idle'])
def test_the_labels_of_a_bag_are_those_of_its_only_piece(by: str, tmp_path: Path) -> None:
    path = own_bag(tmp_path / 'demos')
    add_label(path, Label('blade_first', 'operator', 1.0, NOON, 'anna'), INTERFACE)
    report = build(path.parent, cutting=Cutting(by, idle_s=2.0))
    assert labelled(report) == [('episode_000000#1', 'blade_first', 'operator')]
    assert not any('labels.json' in text for text in report.warnings)
    (ref,) = find_episodes([path], Reading(cutting=Cutting(by, idle_s=2.0))).episodes
    add_label(ref.labelled_path, Label('handle_first', 'operator', 1.0, NOON, 'zoe'), INTERFACE,
              ref.span_ns)
    again = build(path, out=tmp_path / 'again', cutting=Cutting(by, idle_s=2.0))
    assert labelled(again) == [('episode_000000#1', 'handle_first', 'operator')]


def test_what_a_person_said_on_the_event_topic_is_a_label(tmp_path: Path) -> None:
    path = own_bag(tmp_path / 'demos', 'handle_first', 'blade_first')
    report = build(path.parent, cutting=Cutting('event'))
    assert labelled(report) == [('episode_000000#1', 'blade_first', 'operator')]
    (ref,) = find_episodes([path], Reading(cutting=Cutting('event'))).episodes
    assert [(one.mode, one.by) for one in ref.labels(INTERFACE)] == [
        ('handle_first', 'an event in the bag'), ('blade_first', 'an event in the bag')]
    # What is said afterwards, beside the bag, is newer.
    add_label(path, Label('handle_first', 'operator', 1.0, NOON, 'anna'), INTERFACE)
    again = build(path, out=tmp_path / 'again', cutting=Cutting('event'))
    assert labelled(again) == [('episode_000000#1', 'handle_first', 'operator')]


def test_an_event_may_label_a_part_of_its_episode(tmp_path: Path) -> None:
    path = own_bag(tmp_path / 'demos', {'mode': 'blade_first', 'from_s': 1.0, 'to_s': 2.0})
    (one,) = build(path.parent, cutting=Cutting('event')).dataset.episodes
    assert one.span == (19, 40)  # of 20 frames a second, the first at 0.05 s
    path = own_bag(tmp_path / 'more', {'mode': 'blade_first', 'to_s': 9.0})
    with pytest.raises(DatasetError, match='to 9 s, goes past the end of the episode at'):
        build(path.parent, out=tmp_path / 'again', cutting=Cutting('event'))


def test_a_label_of_a_whole_bag_counts_for_none_of_several_pieces_and_that_is_told(
        recorded: Path) -> None:
    add_label(recorded, Label('blade_first', 'operator', 1.0, NOON), INTERFACE)
    report = build(recorded, contract=CONTRACT, cutting=Cutting('gripper'))
    assert [source for _, _, source in labelled(report)] == ['rule'] * 4
    assert report.warnings[-1].startswith('monday.labels.json labels all of monday')


def test_labels_that_name_no_span_are_not_taken_for_those_of_a_piece(recorded: Path) -> None:
    sidecar = recorded.with_name('monday#2.labels.json')
    sidecar.write_text(json.dumps({'schema': 'uncloning/labels@2', 'labels': [
        {'mode': 'handle_first', 'source': 'operator', 'confidence': 1.0, 'at': NOON}]}))
    report = build(recorded, contract=CONTRACT, cutting=Cutting('gripper'))
    assert [name for name, _, _ in labelled(report)] == ['monday#1', 'monday#3', 'monday#4']
    (one,) = report.dataset.left_out
    assert re.search('monday#2.labels.json: .* the piece from .* a whole bag', one.reason)


def test_a_copy_of_a_bag_is_no_second_recording(recorded: Path) -> None:
    shutil.copytree(recorded, recorded.with_name('tuesday'))
    report = build(recorded.parent, contract=CONTRACT, cutting=Cutting('gripper'))
    assert len(report.dataset.episodes) == 4
    assert [one.reason for one in report.dataset.left_out] == [
        f'it is the same recording as monday#{i}' for i in (1, 2, 3, 4)]


def test_a_bag_without_an_episode_is_left_out_and_named(recorded: Path, some: Path) -> None:
    report = build(recorded, *sorted(some.iterdir()), out=some.parent / 'data',
                   contract=CONTRACT, cutting=Cutting('event', '/pedal'))
    assert len(report.dataset.episodes) == 4
    assert [one.name for one in report.dataset.left_out] == [path.name
                                                             for path in sorted(some.iterdir())]
    assert 'expected a start' in report.dataset.left_out[0].reason


def test_bags_from_several_folders_keep_names_apart(some: Path) -> None:
    other = some.with_name('other')
    episodes.write(other, episodes.handover(seed=7), 0)
    report = build(some, other)
    assert [one.name for one in report.dataset.episodes] == [
        'some/episode_000000', 'some/episode_000001', 'some/episode_000002',
        'some/episode_000003', 'other/episode_000000']


def test_a_recording_that_broke_off_is_left_out_and_named(some: Path) -> None:
    path = foreign_bags.write(some / 'cut', foreign_bags.messages_of(episodes.handover(seed=5)))
    (path / 'metadata.yaml').unlink()
    file = next(path.iterdir())
    file.write_bytes(file.read_bytes()[:-50])
    report = build(some)
    assert [one.name for one in report.dataset.left_out] == ['cut']
    assert 'it was never finished: ' in report.dataset.left_out[0].reason
    assert len(report.dataset.episodes) == 4


@pytest.mark.parametrize('cutting', [None, Cutting('event'), Cutting('gripper')])
def test_a_take_without_commands_is_left_out_and_named(
        some: Path, cutting: Cutting | None) -> None:
    for path in some.iterdir():
        shutil.rmtree(path)
    for index in range(3):
        own_bag(some, 'handle_first', index=index)
    samples = episodes.handover(seed=7)
    samples['target_pose'], samples['target_width'] = [], []
    episodes.write(some, samples, 1_000)
    report = build(some, cutting=cutting)
    assert len(report.dataset.episodes) == 3
    (one,) = report.dataset.left_out
    assert one.name == 'episode_001000'
    assert '/target_pose (target_pose)' in one.reason
    assert 'teleoperation' in one.reason


def test_topics_of_another_robot_may_be_named(tmp_path: Path) -> None:
    messages = [one._replace(topic='/tracker/hand') if one.topic == '/hand_pose' else one
                for one in foreign_bags.messages_of(episodes.handover())]
    path = foreign_bags.write(tmp_path / 'bags' / 'take', messages)
    dataset = build(path, contract=CONTRACT, topics={'hand_pose': '/tracker/hand'}).dataset
    assert dataset.contract.deployment.observations['hand_pose'].topic == '/tracker/hand'
    assert dataset.contract.interface == CONTRACT.interface




@pytest.mark.parametrize('type_name', ['std_msgs/msg/Float64MultiArray',
                                       'trajectory_msgs/msg/JointTrajectory'])
def test_joint_commands_become_actions_whatever_carries_them(type_name: str,
                                                             tmp_path: Path) -> None:
    deployment = JOINT_CONTRACT.deployment
    contract = replace(JOINT_CONTRACT, deployment=replace(
        deployment, observations={key: replace(topic, max_unchanged_s=None)
                                  for key, topic in deployment.observations.items()},
        actions={**deployment.actions, 'target_joints': replace(
            deployment.actions['target_joints'], type=type_name)}))
    samples = episodes.handover()
    del samples['target_pose']
    times = [s.receive_ns for s in samples['tool_pose']]
    samples['joint_positions'] = [Sample(np.full(7, 0.001 * i), at_ns, at_ns)
                                  for i, at_ns in enumerate(times)]
    samples['target_joints'] = [Sample(np.full(7, 0.5 + 0.001 * i), at_ns, at_ns)
                                for i, at_ns in enumerate(times)]
    path = foreign_bags.write(tmp_path / 'bags' / 'take',
                              foreign_bags.messages_of(samples, contract))
    dataset = build(path, contract=contract).dataset
    seen = dataset.observations[:, contract.interface.observation_slices['joint_positions']]
    done = dataset.actions[:, contract.interface.action_slices['target_joints']]
    np.testing.assert_allclose(done - seen, 0.5, atol=1e-6)
