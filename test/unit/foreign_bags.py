# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags as other recorders write them: storages, compressions, splits, transforms, marks."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import episodes
import numpy as np
import yaml
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import encode
from uncloning_ros.geometry import Array, single_quaternion

STORE = get_typestore(Stores.ROS2_JAZZY)
TF = 'tf2_msgs/msg/TFMessage'
STRING = 'std_msgs/msg/String'
BOOL = 'std_msgs/msg/Bool'


class Message(NamedTuple):
    """One message that is to be in a bag."""

    receive_ns: int
    topic: str
    type: str
    data: bytes


def build(type_name: str, **fields: Any) -> Any:
    """Return a message of a type."""
    return STORE.types[type_name](**fields)


def serialised(message: Any, type_name: str) -> bytes:
    """Return the bytes of a message."""
    return bytes(STORE.serialize_cdr(message, type_name))


def messages_of(samples: Mapping[str, Sequence[Any]],
                contract: Contract = episodes.CONTRACT) -> list[Message]:
    """Return samples as messages on the contract's topics, in the order of their arrival."""
    interface, deployment = contract.interface, contract.deployment
    topics = {**deployment.observations, **deployment.actions}
    found = []
    for signal in (*interface.observations, *interface.actions):
        topic = topics[signal.key]
        for sample in samples.get(signal.key, ()):
            message = encode(signal, topic.type, sample.values, sample.stamp_ns,
                             STORE.types.__getitem__)
            found.append(Message(sample.receive_ns, '/' + topic.topic.lstrip('/'), topic.type,
                                 serialised(message, topic.type)))
    return sorted(found, key=lambda one: one.receive_ns)


def text(receive_ns: int, words: str, topic: str = '/pedal') -> Message:
    """Return a std_msgs/String."""
    return Message(receive_ns, topic, STRING, serialised(build(STRING, data=words), STRING))


def flag(receive_ns: int, value: bool, topic: str = '/pedal') -> Message:
    """Return a std_msgs/Bool."""
    return Message(receive_ns, topic, BOOL, serialised(build(BOOL, data=value), BOOL))


def header(stamp_ns: int, frame: str = '') -> Any:
    """Return a std_msgs/Header."""
    sec, nanosec = divmod(stamp_ns, 10**9)
    return build('std_msgs/msg/Header', frame_id=frame,
                 stamp=build('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec))


def transform(parent: str, child: str, pose: Array, stamp_ns: int) -> Any:
    """Return a geometry_msgs/TransformStamped of a pose (9,)."""
    x, y, z, w = single_quaternion(pose.tolist())
    px, py, pz = pose[:3].tolist()
    return build('geometry_msgs/msg/TransformStamped', header=header(stamp_ns, parent),
                 child_frame_id=child, transform=build(
                     'geometry_msgs/msg/Transform',
                     translation=build('geometry_msgs/msg/Vector3', x=px, y=py, z=pz),
                     rotation=build('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)))


def tf_message(*transforms: Any) -> Any:
    """Return a tf2_msgs/TFMessage."""
    return build(TF, transforms=list(transforms))


def tf(receive_ns: int, *transforms: Any, topic: str = '/tf') -> Message:
    """Return a message of transforms as it lies in a bag."""
    return Message(receive_ns, topic, TF, serialised(tf_message(*transforms), TF))


# --- storages ---

def _by_rosbags(path: Path, messages: Iterable[Message], plugin: StoragePlugin,
                mode: CompressionMode = CompressionMode.NONE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for one in messages:
            if one.topic not in connections:
                known = one.type in STORE.fielddefs
                about = {'typestore': STORE} if known else {
                    'msgdef': 'float64 oddity\n', 'rihs01': 'RIHS01_' + '0' * 64}
                connections[one.topic] = writer.add_connection(one.topic, one.type, **about)
            writer.write(connections[one.topic], one.receive_ns, one.data)
    return path


def _by_mcap(path: Path, messages: Iterable[Message], **options: Any) -> Path:
    """Write as rosbag2's own MCAP plugin does: compressed chunks, several of them."""
    path.mkdir(parents=True)
    found = list(messages)
    writer = McapWriter(str(path / f'{path.name}_0.mcap'), chunk_size=20_000, **options)
    writer.start('ros2')
    schemas: dict[str, int] = {}
    channels: dict[str, int] = {}
    for one in found:
        if one.topic not in channels:
            if one.type not in schemas:
                schemas[one.type] = writer.register_schema(one.type, 'ros2msg', b'')
            channels[one.topic] = writer.register_channel(one.topic, 'cdr', schemas[one.type])
        writer.add_message(channels[one.topic], one.receive_ns, one.data, one.receive_ns)
    writer.finish()
    write_metadata(path, 'mcap', [f'{path.name}_0.mcap'], found)
    return path


def _old_sqlite(path: Path, messages: Iterable[Message]) -> Path:
    """Write as ROS 2 Foxy did."""
    path.mkdir(parents=True)
    found = list(messages)
    with sqlite3.connect(path / f'{path.name}_0.db3') as database:
        database.execute('CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, '
                         'type TEXT NOT NULL, serialization_format TEXT NOT NULL)')
        database.execute('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT '
                         'NULL, timestamp INTEGER NOT NULL, data BLOB NOT NULL)')
        ids: dict[str, int] = {}
        for one in found:
            if one.topic not in ids:
                ids[one.topic] = len(ids) + 1
                database.execute('INSERT INTO topics VALUES(?, ?, ?, ?)',
                                 (ids[one.topic], one.topic, one.type, 'cdr'))
            database.execute('INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)',
                             (ids[one.topic], one.receive_ns, one.data))
    database.close()
    # Versions below 4 named the files with their directory.
    write_metadata(path, 'sqlite3', [f'{path.name}/{path.name}_0.db3'], found, version=3)
    return path


def write_metadata(path: Path, storage: str, files: Sequence[str], messages: Sequence[Message],
                   version: int = 5) -> None:
    """Write a metadata.yaml of what is read of it."""
    types = {one.topic: one.type for one in messages}
    counts = {topic: sum(one.topic == topic for one in messages) for topic in types}
    (path / 'metadata.yaml').write_text(yaml.safe_dump({'rosbag2_bagfile_information': {
        'version': version, 'storage_identifier': storage,
        'relative_file_paths': list(files), 'compression_format': '', 'compression_mode': '',
        'topics_with_message_count': [
            {'topic_metadata': {'name': topic, 'type': type_name, 'serialization_format': 'cdr'},
             'message_count': counts[topic]} for topic, type_name in types.items()]}}))


WRITERS: dict[str, Callable[[Path, Iterable[Message]], Path]] = {
    'mcap': lambda path, m: _by_rosbags(path, m, StoragePlugin.MCAP),
    'mcap, message zstd': lambda path, m: _by_rosbags(path, m, StoragePlugin.MCAP,
                                                      CompressionMode.MESSAGE),
    'mcap, file zstd': lambda path, m: _by_rosbags(path, m, StoragePlugin.MCAP,
                                                   CompressionMode.FILE),
    'mcap, chunk zstd': lambda path, m: _by_mcap(path, m, compression=CompressionType.ZSTD),
    'mcap, chunk lz4': lambda path, m: _by_mcap(path, m, compression=CompressionType.LZ4),
    'mcap, no chunks': lambda path, m: _by_mcap(path, m, use_chunking=False),
    'mcap, no checksums': lambda path, m: _by_mcap(path, m, enable_crcs=False,
                                                   enable_data_crcs=False),
    'mcap, no summary': lambda path, m: _by_mcap(
        path, m, use_statistics=False, use_summary_offsets=False, repeat_channels=False,
        repeat_schemas=False),
    'sqlite3': lambda path, m: _by_rosbags(path, m, StoragePlugin.SQLITE3),
    'sqlite3, message zstd': lambda path, m: _by_rosbags(path, m, StoragePlugin.SQLITE3,
                                                         CompressionMode.MESSAGE),
    'sqlite3, file zstd': lambda path, m: _by_rosbags(path, m, StoragePlugin.SQLITE3,
                                                      CompressionMode.FILE),
    'sqlite3 of Foxy': _old_sqlite,
}


def write(path: Path, messages: Iterable[Message], how: str = 'mcap') -> Path:
    """Write a bag as one of `WRITERS` does and return its directory."""
    return WRITERS[how](path, messages)


def split_in_two(path: Path, messages: Sequence[Message], how: str) -> Path:
    """Write a bag as two files, as rosbag2 does when one grows too large."""
    path.mkdir(parents=True)
    middle = len(messages) // 2
    files = []
    for i, part in enumerate((messages[:middle], messages[middle:])):
        one = write(path.with_name(f'{path.name}_part{i}'), part, how)
        file = next(file for file in one.iterdir() if file.name != 'metadata.yaml')
        suffixes = file.name[file.name.index('.'):]
        files.append(f'{path.name}_{i}{suffixes}')
        file.rename(path / files[-1])
        for rest in one.iterdir():
            rest.unlink()
        one.rmdir()
    write_metadata(path, how.partition(',')[0], files, messages)
    return path


def at_distance(samples: episodes.Samples, seconds: float) -> episodes.Samples:
    """Return samples that come so much later."""
    later_ns = round(seconds * 1e9)
    return {key: [type(s)(s.values, s.stamp_ns + later_ns, s.receive_ns + later_ns)
                  for s in found] for key, found in samples.items()}


def joined(*parts: episodes.Samples) -> episodes.Samples:
    """Return the samples of several recordings as one."""
    return {key: [sample for part in parts for sample in part[key]] for key in parts[0]}


def eye(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """Return a pose without a turn."""
    return np.array([x, y, z, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
