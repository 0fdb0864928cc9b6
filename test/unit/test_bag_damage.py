# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged and foreign bags are refused with a sentence."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import numpy as np
import pytest
from bag_files import copy, edit_metadata, mcap_of
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.demos.bags.episode import EVENT_TOPIC, bag_topics
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.errors import BagError, ContractError, DatasetError, UncloningError
from uncloning_ros.schema import plain

STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest bag that reads: one message on each topic."""
    samples = {key: found[:1] for key, found in episodes.handover().items()}
    return episodes.write(tmp_path_factory.mktemp('small'), samples)


def without(part: str, key: str) -> Contract:
    """Return the contract less one observation or action."""
    data = plain(episodes.CONTRACT)
    data['interface'][part] = [one for one in data['interface'][part] if one['key'] != key]
    del data['deployment'][part][key]
    return contract_from_dict(data)


@pytest.mark.parametrize('keep', [0, 5, 100, 0.5, -1, -20])
def test_a_truncated_bag_is_refused(copied: Path, keep: float) -> None:
    file = mcap_of(copied)
    data = file.read_bytes()
    file.write_bytes(data[:int(keep * len(data)) if isinstance(keep, float) else keep])
    for read in (read_episode, verify_episode):
        with pytest.raises(BagError, match='truncated'):
            read(copied)


@pytest.mark.parametrize('compression', [CompressionType.ZSTD, CompressionType.LZ4])
def test_damage_in_a_compressed_chunk_gets_a_sentence(copied: Path,
                                                      compression: CompressionType) -> None:
    file = mcap_of(copied)
    with file.open('rb') as stream:
        records = list(StreamReader(stream).records)
    writer = Writer(str(file), compression=compression)
    writer.start('ros2')
    schemas = {record.id: writer.register_schema(record.name, record.encoding, record.data)
               for record in records if isinstance(record, Schema)}
    channels = {record.id: writer.register_channel(
        record.topic, record.message_encoding, schemas[record.schema_id], record.metadata)
        for record in records if isinstance(record, Channel)}
    for record in records:
        if isinstance(record, Message):
            writer.add_message(channels[record.channel_id], record.log_time, record.data,
                               record.publish_time, record.sequence)
    writer.finish()
    read_episode(copied)
    data = file.read_bytes()
    with file.open('rb') as stream:
        chunk = next(record for record in StreamReader(stream, emit_chunks=True).records
                     if isinstance(record, Chunk))
    middle = data.index(chunk.data) + len(chunk.data) // 2
    file.write_bytes(data[:middle] + bytes(100) + data[middle + 100:])
    for read in (read_episode, verify_episode):
        with pytest.raises(BagError, match='truncated or damaged'):
            read(copied)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_changes_nothing(small: Path, data: st.DataObject) -> None:
    good = mcap_of(small).read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= 1 << data.draw(st.integers(0, 7))
    folder = small.parent / 'flipped'
    if not folder.exists():
        copy(small, folder)
    mcap_of(folder).write_bytes(bytes(bad))
    try:
        read = read_episode(folder)
    except UncloningError:
        return
    expected = read_episode(small)
    for key, samples in expected.samples.items():
        for one, two in zip(samples, read.samples[key], strict=True):
            assert (one.receive_ns, one.stamp_ns) == (two.receive_ns, two.stamp_ns)
            assert one.values.tolist() == two.values.tolist()


def test_a_flipped_bit_in_a_measurement_is_refused(copied: Path) -> None:
    x = struct.pack('<d', episodes.handover()['tool_pose'][0].values[0])
    file = mcap_of(copied)
    data = bytearray(file.read_bytes())
    data[data.index(x) + 4] ^= 1
    file.write_bytes(bytes(data))
    for read in (read_episode, verify_episode):
        with pytest.raises(BagError, match='truncated or damaged .CRCValidationError'):
            read(copied)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_metadata_gives_a_sentence(small: Path, data: st.DataObject) -> None:
    good = (small / 'metadata.yaml').read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    folder = small.parent / 'smudged'
    if not folder.exists():
        copy(small, folder)
    (folder / 'metadata.yaml').write_bytes(
        good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 40)):])
    try:
        read_episode(folder)
    except UncloningError:
        return


@pytest.mark.parametrize(('change', 'sentence'), [
    (lambda i: i.update(version=10), 'expected rosbag2 version 9 or older, got 10'),
    (lambda i: i.pop('relative_file_paths'), 'is not the metadata of a rosbag2 bag'),
    (lambda i: i.update(relative_file_paths=[]), 'is not the metadata of a rosbag2 bag'),
    (lambda i: i.update(relative_file_paths=['gone.mcap']),
     'expected gone.mcap by metadata.yaml, got .*_0.mcap; .*rename'),
    (lambda i: i['custom_data'].update(schema='uncloning/episode@9'),
     "expected schema 'uncloning/episode@1', got 'uncloning/episode@9'"),
    (lambda i: i['custom_data'].pop('contract'), 'custom_data of metadata.yaml is damaged'),
    (lambda i: i['custom_data'].update(episode=3), 'expected texts only'),
    (lambda i: i['custom_data'].update(episode='three'), 'is damaged'),
    (lambda i: i['custom_data'].update(contract_sha256='0' * 64), 'was changed by hand'),
    (lambda i: i['topics_with_message_count'][0].update(message_count=5),
     r'expected 5 messages on /current_pose by metadata.yaml, got 120'),
])
def test_foreign_metadata_is_refused(
        copied: Path, change: Callable[[dict[str, Any]], None], sentence: str) -> None:
    edit_metadata(copied, change)
    with pytest.raises(BagError, match=sentence):
        read_episode(copied)


def test_a_directory_that_is_no_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r'is not a finished rosbag2 directory'):
        read_episode(tmp_path)
    (tmp_path / 'metadata.yaml').write_text('a: [')
    with pytest.raises(BagError, match='is not valid YAML'):
        read_episode(tmp_path)
    for text, why in (('- 1', 'a field has another type'), ('', 'it is empty; move it away'),
                      ('a: 1', "it has no 'rosbag2_bagfile_information'")):
        (tmp_path / 'metadata.yaml').write_text(text)
        with pytest.raises(BagError, match=f'is not the metadata of a rosbag2 bag: {why}'):
            read_episode(tmp_path)


def test_a_bag_never_points_out_of_its_directory(copied: Path, handover: Path) -> None:
    mcap_of(copied).unlink()
    edit_metadata(copied, lambda info: info.update(
        relative_file_paths=[str(mcap_of(handover))]))
    with pytest.raises(BagError, match='expected .*mcap by metadata.yaml, got no storage file'):
        read_episode(copied)


def test_a_bag_of_another_interface_is_refused_with_the_first_difference(handover: Path) -> None:
    with pytest.raises(ContractError, match='made for another interface: expected observations '
                                            'tool_pose, gripper_width, object_pose, hand_pose; '):
        read_episode(handover, without('observations', 'wrist_force'))


def test_a_topic_without_messages_is_refused(tmp_path: Path) -> None:
    samples = episodes.handover()
    samples['hand_pose'] = []
    path = episodes.write(tmp_path, samples)
    with pytest.raises(DatasetError, match=r'recorded on /hand_pose \(hand_pose\); '
                                           r'check its publisher'):
        read_episode(path)


def test_a_topic_of_another_type_is_refused(copied: Path) -> None:
    edit_metadata(copied, lambda info: info.update(custom_data=None))
    deployment = episodes.CONTRACT.deployment
    swapped = {**deployment.observations,
               'wrist_force': replace(deployment.observations['wrist_force'],
                                      topic='hand_pose')}
    contract = replace(without('observations', 'hand_pose'), deployment=replace(
        deployment, observations=swapped))
    with pytest.raises(BagError, match='WrenchStamped on /hand_pose, got .*PoseStamped'):
        read_episode(copied, contract)


def write_raw(folder: Path, topic: str, type_name: str, cdr: bytes | None,
              message: Any = None) -> Path:
    """Write a bag whose messages on one topic are these bytes or this message."""
    with EpisodeWriter(folder / 'take', episodes.CONTRACT, episodes.METADATA) as writer:
        for key, found in episodes.handover().items():
            target = bag_topics(episodes.CONTRACT)[topic]
            if key not in [signal.key for signal in target.signals]:
                writer.write_values(key, found[0].values, 5, 5)
        raw = bytes(STORE.serialize_cdr(message, type_name)) if cdr is None else cdr
        writer.write(topic, raw, 5, 5)
        return writer.commit()


def joint_state(names: list[str], position: list[float]) -> Any:
    time = STORE.types['builtin_interfaces/msg/Time'](sec=0, nanosec=5)
    header = STORE.types['std_msgs/msg/Header'](stamp=time, frame_id='')
    return STORE.types['sensor_msgs/msg/JointState'](
        header=header, name=names, position=np.array(position), velocity=np.zeros(0),
        effort=np.zeros(0))


@pytest.mark.parametrize(('names', 'position', 'sentence'), [
    (['panda_finger_joint1', 'finger2'], [0.1, 0.1], r'missing panda_finger_joint2'),
    (['panda_finger_joint1'], [0.1], r'expected 2 joints, got 1'),
    (['panda_finger_joint1', 'panda_finger_joint2'], [0.1, float('nan')], 'expected finite'),
    (['panda_finger_joint1', 'panda_finger_joint2'], [0.1], ' 2 .* 1'),
])
def test_a_bad_joint_state_is_refused_with_its_bag(
        tmp_path: Path, names: list[str], position: list[float], sentence: str) -> None:
    path = write_raw(tmp_path, '/gripper/joint_states', 'sensor_msgs/msg/JointState', None,
                     joint_state(names, position))
    with pytest.raises(ContractError, match=f'take: at 0.00 s: gripper_width: .*{sentence}'):
        read_episode(path)


@pytest.mark.parametrize('cdr', [b'', b'\x00\x01\x00\x00', b'\x00\x01\x00\x00' + b'\xff' * 40])
def test_bytes_that_are_no_message_are_refused(tmp_path: Path, cdr: bytes) -> None:
    path = write_raw(tmp_path, '/gripper/joint_states', 'sensor_msgs/msg/JointState', cdr)
    with pytest.raises(BagError, match=r'a message on /gripper/joint_states at 5 ns is no'):
        read_episode(path)


def test_an_event_that_is_no_json_is_refused(writer: EpisodeWriter) -> None:
    text = STORE.types['std_msgs/msg/String'](data='start!')
    for key, found in episodes.handover().items():
        writer.write_values(key, found[0].values, 5, 5)
    writer.write(EVENT_TOPIC, bytes(STORE.serialize_cdr(text, 'std_msgs/msg/String')), 1, 1)
    with pytest.raises(BagError, match="an event is not JSON: 'start!'"):
        read_episode(writer.commit())
