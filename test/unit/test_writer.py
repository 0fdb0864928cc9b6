# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes on disk: what is written comes back, everywhere, or is left out whole."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import numpy as np
import pytest
import yaml
from bag_files import edit_metadata, mcap_of
from disks import SmallDisk
from mcap.reader import make_reader
from mcap.records import Message
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import ObservedTopic, contract_from_dict
from uncloning_ros.demos.bags import writer as bag_writer
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, bag_topics
from uncloning_ros.demos.bags.mcap import Salvage, salvaged
from uncloning_ros.demos.bags.reader import episode_digest, read_episode, verify_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.errors import BagError, ContractError, OutputExistsError
from uncloning_ros.schema import plain

STORE = get_typestore(Stores.ROS2_JAZZY)


# --- what is written comes back ---

def test_every_sample_comes_back_with_its_times(handover: Path) -> None:
    read = read_episode(handover, episodes.CONTRACT)
    written = episodes.handover()
    assert set(read.samples) == set(written)
    for key, samples in written.items():
        assert [s.receive_ns for s in read.samples[key]] == [s.receive_ns for s in samples]
        assert [s.stamp_ns for s in read.samples[key]] == [s.stamp_ns for s in samples]
        np.testing.assert_allclose([s.values for s in read.samples[key]],
                                   [s.values for s in samples], atol=1e-12)


def test_metadata_and_contract_travel_in_the_bag(handover: Path) -> None:
    read = read_episode(handover)
    assert read.metadata == replace(episodes.METADATA, episode=0, seed=100)
    assert read.contract == episodes.CONTRACT


def test_a_mode_and_a_seed_that_nobody_told_come_back_as_none(tmp_path: Path) -> None:
    metadata = replace(episodes.METADATA, planned_mode=None, seed=None)
    samples = {key: found[:1] for key, found in episodes.handover().items()}
    with EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, metadata) as writer:
        for key, (sample,) in samples.items():
            writer.write_values(key, sample.values, sample.stamp_ns, sample.receive_ns)
        writer.commit()
    assert read_episode(tmp_path / 'take').metadata == metadata


def test_events_come_back_in_time_order(writer: EpisodeWriter) -> None:
    for key, found in episodes.handover().items():
        writer.write_values(key, found[0].values, 5, 5)
    writer.write_event({'event': 'stop', 'name': 'Zoë'}, 20)
    writer.write_event({'event': 'start'}, 10)
    assert read_episode(writer.commit()).events == (
        (10, {'event': 'start'}), (20, {'event': 'stop', 'name': 'Zoë'}))


def test_samples_are_in_order_of_arrival_whatever_the_order_of_writing(
        writer: EpisodeWriter) -> None:
    for key, found in episodes.handover().items():
        for receive_ns in (30, 10, 20):
            writer.write_values(key, found[0].values, receive_ns, receive_ns)
    read = read_episode(writer.commit())
    assert [s.receive_ns for s in read.samples['hand_pose']] == [10, 20, 30]


def test_serialised_messages_are_stored_as_they_are(writer: EpisodeWriter) -> None:
    raw = bytes(STORE.serialize_cdr(
        STORE.types['std_msgs/msg/String'](data='{"event": "x"}'), 'std_msgs/msg/String'))
    writer.write(EVENT_TOPIC, raw, receive_ns=123_456, source_ns=100_000)
    path = writer.commit()
    with mcap_of(path).open('rb') as stream:
        ((_, channel, message),) = make_reader(stream).iter_messages()
    assert (channel.topic, message.data) == (EVENT_TOPIC, raw)
    assert (message.log_time, message.publish_time) == (123_456, 100_000)


def test_joints_and_gripper_may_share_one_joint_state(tmp_path: Path) -> None:
    data = plain(episodes.CONTRACT)
    data['interface']['observations'].append(
        {'key': 'arm', 'kind': 'joint_positions', 'unit': 'rad', 'names': ['elbow', 'wrist']})
    data['deployment']['observations']['arm'] = dict(
        data['deployment']['observations']['gripper_width'])
    contract = contract_from_dict(data)
    state = STORE.types['sensor_msgs/msg/JointState']
    time = STORE.types['builtin_interfaces/msg/Time'](sec=0, nanosec=5)
    header = STORE.types['std_msgs/msg/Header'](stamp=time, frame_id='')
    names = ['wrist', 'panda_finger_joint1', 'panda_finger_joint2', 'elbow']
    message = state(header=header, name=names, position=np.array([0.2, 0.03, 0.03, 0.1]),
                    velocity=np.zeros(0), effort=np.zeros(0))
    with EpisodeWriter(tmp_path / 'take', contract, episodes.METADATA) as writer:
        for key, found in episodes.handover().items():
            if key != 'gripper_width':
                writer.write_values(key, found[0].values, 5, 5)
        with pytest.raises(BagError, match='joint_states of gripper_width, arm'):
            writer.write_values('arm', np.zeros(2), 5, 5)
        writer.write('/gripper/joint_states', bytes(
            STORE.serialize_cdr(message, 'sensor_msgs/msg/JointState')), 5, 5)
        read = read_episode(writer.commit())
    np.testing.assert_allclose(read.samples['arm'][0].values, [0.1, 0.2])
    np.testing.assert_allclose(read.samples['gripper_width'][0].values, [0.06])


# --- it is a rosbag2 bag for everybody ---

def test_rosbags_and_mcap_read_the_same_messages(handover: Path) -> None:
    with AnyReader([handover]) as reader:
        by_rosbags = [(c.topic, time, bytes(raw), reader.deserialize(raw, c.msgtype))
                      for c, time, raw in reader.messages()]
    with mcap_of(handover).open('rb') as stream:
        decoded = make_reader(stream, validate_crcs=True,
                              decoder_factories=[DecoderFactory()]).iter_decoded_messages()
        by_mcap = [(channel.topic, message.log_time, message.data, content)
                   for _, channel, message, content in decoded]
    assert len(by_rosbags) == len(by_mcap) == 5 * 120 + 2 * 60
    key = lambda item: item[:3]  # noqa: E731 (messages of one instant come in any order)
    for one, two in zip(sorted(by_rosbags, key=key), sorted(by_mcap, key=key), strict=True):
        assert one[:3] == two[:3]
        if hasattr(one[3], 'pose'):
            assert one[3].header.frame_id == two[3].header.frame_id
            assert one[3].pose.orientation.w == two[3].pose.orientation.w
            assert one[3].pose.position.x == two[3].pose.position.x


def test_rosbag2_metadata_is_what_jazzy_writes(handover: Path) -> None:
    info = yaml.safe_load((handover / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert (info['version'], info['storage_identifier'], info['ros_distro']) == (
        9, 'mcap', 'jazzy')
    assert info['relative_file_paths'] == [mcap_of(handover).name]
    with Reader(handover) as reader:
        assert reader.message_count == info['message_count'] == 720
        assert reader.duration == info['duration']['nanoseconds'] + 1
        topics = {c.topic: (c.msgtype, c.msgcount, c.digest) for c in reader.connections}
        qos = {c.ext.offered_qos_profiles[0] for c in reader.connections}
    expected = {'/' + t.topic: t.type for part in (episodes.CONTRACT.deployment.observations,
                                                   episodes.CONTRACT.deployment.actions)
                for t in part.values()} | {EVENT_TOPIC: 'std_msgs/msg/String'}
    assert {name: type_name for name, (type_name, _, _) in topics.items()} == expected
    assert topics['/target_pose'][1:] == (
        60, STORE.hash_rihs01('geometry_msgs/msg/PoseStamped'))
    assert len(qos) == 1
    assert (qos.pop().reliability.name, info['custom_data']['session']) == (
        'RELIABLE', 'afternoon')


def test_the_mcap_file_alone_tells_everything(handover: Path) -> None:
    with mcap_of(handover).open('rb') as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == 'ros2'
        records = {record.name: record.metadata for record in reader.iter_metadata()}
        summary = reader.get_summary()
    assert summary is not None
    info = yaml.safe_load((handover / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert yaml.safe_load(records['rosbag2']['serialized_metadata']) == info
    assert records['uncloning'] == info['custom_data']
    contract = contract_from_dict(json.loads(records['uncloning']['contract']))
    assert contract.sha256 == records['uncloning']['contract_sha256']
    assert contract.interface.sha256 == records['uncloning']['interface_sha256']
    for channel in summary.channels.values():
        assert set(channel.metadata) == {'offered_qos_profiles', 'topic_type_hash'}
        assert summary.schemas[channel.schema_id].encoding == 'ros2msg'


def test_no_chunk_holds_more_than_a_quarter_mebibyte(tmp_path: Path) -> None:
    path = episodes.write(tmp_path, episodes.handover(duration_s=15.0))
    with mcap_of(path).open('rb') as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    sizes = [chunk.uncompressed_size for chunk in summary.chunk_indexes]
    assert len(sizes) > 1
    assert max(sizes) <= 256 * 1024


def test_a_bag_of_plain_ros2_bag_record_reads_with_a_contract(copied: Path) -> None:
    edit_metadata(copied, lambda info: info.update(custom_data=None))
    read = read_episode(copied, episodes.CONTRACT)
    assert read.metadata.planned_mode is None
    assert len(read.samples['tool_pose']) == 120
    with pytest.raises(BagError, match='carries no contract.*give one with --contract'):
        read_episode(copied)


# --- the rename is the commit ---

def test_nothing_has_the_final_name_before_commit(writer: EpisodeWriter) -> None:
    writer.write_event({'event': 'start'}, 1)
    assert not writer.final_dir.exists()
    assert writer.partial_dir.is_dir()
    writer.commit()
    assert writer.final_dir.is_dir()
    assert not writer.partial_dir.exists()


def test_an_exception_leaves_the_partial_directory_and_no_final_one(tmp_path: Path) -> None:
    def stopped_take() -> None:
        with EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA) as writer:
            writer.write_event({'event': 'start'}, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_take()
    assert [path.name for path in tmp_path.iterdir()] == ['take.partial']
    with (tmp_path / 'take.partial' / 'take_0.mcap').open('rb') as stream:
        assert len(list(make_reader(stream, validate_crcs=True).iter_messages())) == 1


def test_discard_leaves_nothing(writer: EpisodeWriter, tmp_path: Path) -> None:
    writer.write_event({'event': 'start'}, 1)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_flushed_messages_survive_a_kill(writer: EpisodeWriter, tmp_path: Path) -> None:
    writer.write_event({'event': 'start'}, 1)
    writer.flush()
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(mcap_of(writer.partial_dir).read_bytes())
    with cut.open('rb') as stream:
        records = StreamReader(stream).records
        messages = (record for record in records if isinstance(record, Message))
        assert next(messages).log_time == 1


@pytest.mark.parametrize('taken', ['take', 'take.partial'])
def test_an_existing_episode_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).mkdir()
    with pytest.raises(OutputExistsError, match=f'{taken} exists already'):
        EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA)


def test_an_episode_that_appears_meanwhile_is_not_overwritten(writer: EpisodeWriter) -> None:
    writer.final_dir.mkdir()
    with pytest.raises(OutputExistsError, match='appeared while it was written'):
        writer.commit()
    assert list(writer.final_dir.iterdir()) == []
    assert verify_episode(writer.partial_dir)[EVENT_TOPIC] == 0


def test_a_full_disk_gives_a_sentence_and_no_final_directory(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SmallDisk(monkeypatch).room = 20_000

    def take() -> None:
        with EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA) as writer:
            writer.write_event({'event': 'start'}, 1)
            writer.flush()
            writer.write_event({'event': 'x' * 30_000}, 2)
            writer.flush()

    with pytest.raises(BagError, match='cannot write .*No space left on device'):
        take()
    assert [path.name for path in tmp_path.iterdir()] == ['take.partial']
    # What was on the disk before is whole, and nothing was written behind the hole.
    state = Salvage()
    [message] = [one for one in salvaged(mcap_of(tmp_path / 'take.partial'), state)
                 if isinstance(one, Message)]
    assert (message.log_time, state.cut_bytes, state.closed) == (1, 0, False)


def test_a_take_that_cannot_begin_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SmallDisk(monkeypatch).room = 100
    with pytest.raises(BagError, match='cannot write .*No space left on device'):
        EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, episodes.METADATA)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_to_sync_prevents_the_commit(
        writer: EpisodeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, 'fsync', refuse)
    with pytest.raises(BagError, match='Input/output error'):
        writer.commit()
    assert not writer.final_dir.exists()


def test_messages_that_the_disk_lost_prevent_the_commit(
        writer: EpisodeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    writer.write_event({'event': 'start'}, 1)
    monkeypatch.setattr(bag_writer, 'verify_episode', lambda _: {EVENT_TOPIC: 0})
    with pytest.raises(BagError, match='read back'):
        writer.commit()
    assert not writer.final_dir.exists()


def test_a_closed_writer_takes_nothing_more(writer: EpisodeWriter) -> None:
    writer.commit()
    with pytest.raises(BagError, match='is closed'):
        writer.write_event({}, 1)
    with pytest.raises(BagError, match='committed once'):
        writer.commit()


def test_a_topic_that_the_contract_does_not_have_is_refused(writer: EpisodeWriter) -> None:
    with pytest.raises(BagError, match=r"got '/tool'; topics come from the contract"):
        writer.write('/tool', b'', 0, 0)


def test_an_unknown_planned_mode_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    metadata = replace(episodes.METADATA, planned_mode='handel_first')
    with pytest.raises(ContractError, match="did you mean 'handle_first'"):
        EpisodeWriter(tmp_path / 'take', episodes.CONTRACT, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_topic_of_two_types_is_refused() -> None:
    deployment = episodes.CONTRACT.deployment
    clash = ObservedTopic('target_pose', 'sensor_msgs/msg/JointState', 0.1)
    contract = replace(episodes.CONTRACT, deployment=replace(
        deployment, observations={**deployment.observations, 'gripper_width': clash}))
    with pytest.raises(ContractError, match='a topic has one type'):
        bag_topics(contract)


def test_a_name_that_another_recorder_took_a_moment_ago_is_refused(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / 'episode_000000'
    real = Path.mkdir

    def mkdir(path: Path, *options: Any, **more: Any) -> None:
        real(path, *options, **more)
        if path.name.endswith('.partial'):
            real(final)  # renamed between the look and the making

    monkeypatch.setattr(Path, 'mkdir', mkdir)
    with pytest.raises(OutputExistsError, match='episode_000000 exists already'):
        EpisodeWriter(final, episodes.CONTRACT, episodes.METADATA)
    assert [path.name for path in tmp_path.iterdir()] == ['episode_000000']


def test_equal_recordings_have_equal_digests_and_others_do_not(tmp_path: Path) -> None:
    one, same, other = (episodes.write(tmp_path / name, episodes.handover(seed=seed))
                        for name, seed in (('a', 1), ('b', 1), ('c', 2)))
    assert episode_digest(one) == episode_digest(same)
    assert episode_digest(one) != episode_digest(other)
