# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write one bag or episode: close it, open it again, count its messages, rename its directory.

The rename is the commit. After a crash everything up to the last `flush()` is on the disk, as
whole MCAP chunks with their checksums; `recording/recovery.py` makes an episode of it.

Format: rosbag2's metadata.yaml version 9 and MCAP profile `ros2`, as written by ROS 2 Jazzy
(https://github.com/ros2/rosbag2, rosbag2_storage and rosbag2_storage_mcap; the MCAP format is
described at https://mcap.dev/spec).
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from mcap.writer import CompressionType, Writer

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.append_file import AppendFile
from uncloning_ros.demos.bags.episode import (
    EVENT_TOPIC,
    EVENT_TYPE,
    OWN_RECORD,
    BagTopic,
    EpisodeMetadata,
    bag_topics,
    custom_data,
)
from uncloning_ros.demos.bags.info import ROOT_KEY
from uncloning_ros.demos.bags.layout import METADATA_FILE, PARTIAL, sync_directory
from uncloning_ros.demos.bags.message_types import message_class, message_definition, typestore
from uncloning_ros.demos.bags.reader import verify_episode
from uncloning_ros.errors import BagError, OutputExistsError
from uncloning_ros.files import disk_errors
from uncloning_ros.geometry import Array

_FOREVER = {'sec': 9223372036, 'nsec': 854775807}
# QoS that the nodes of this package offer: `ros2 bag play` publishes with it.
QOS = [{
    'history': 'keep_last',
    'depth': 10,
    'reliability': 'reliable',
    'durability': 'volatile',
    'deadline': _FOREVER,
    'lifespan': _FOREVER,
    'liveliness': 'automatic',
    'liveliness_lease_duration': _FOREVER,
    'avoid_ros_namespace_conventions': False,
}]
# Size (bytes) past which the library closes a chunk, which a reader has to hold in memory; none
# passes it by more than one message.
_CHUNK_BYTES = 192 * 1024
# The C version is ten times as fast where PyYAML was built with it.
_Dumper: Any = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)


class _NoAliases(_Dumper):
    """Dump YAML without anchors: rosbag2 and people read it."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value in full."""
        return True


@dataclass(frozen=True)
class RecordedTopic:
    """One topic as a bag describes it.

    `definition` is the ros2msg text of the type, `type_hash` its RIHS01 hash ('' if unknown),
    `qos` the profiles that its publishers offered, one mapping each, as rosbag2 writes it.
    """

    name: str
    type: str
    definition: bytes
    type_hash: str
    qos: Sequence[Mapping[str, Any]] = tuple(QOS)


class BagWriter:
    """Write one bag: `<final_dir>.partial/` until `commit()` renames it.

    `custom` are the texts that metadata.yaml and the MCAP itself carry. One thread at a time may
    call it, except `add_topic()`, which any thread may. Leaving the `with` block, by an exception
    or without `commit()`, closes the file and leaves the `.partial` directory for
    `uncloning recover`; `discard()` removes it. Nothing that exists is overwritten
    (`OutputExistsError`); errors of the disk become `BagError`.
    """

    def __init__(self, final_dir: Path, custom: Mapping[str, str],
                 partial_dir: Path | None = None) -> None:
        self.final_dir = final_dir
        self.partial_dir = partial_dir or final_dir.with_name(final_dir.name + PARTIAL)
        if self.final_dir.exists():
            raise _exists(self.final_dir)
        self._custom = dict(custom)
        self._recorded: dict[str, RecordedTopic] = {}
        self._counts: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._first_ns: int | None = None
        self._last_ns = 0
        self._open = True
        self._bag_path = self.partial_dir / f'{final_dir.name}_0.mcap'
        with disk_errors(f'cannot make {self.partial_dir}', BagError):
            try:
                self.partial_dir.mkdir(parents=True)
            except FileExistsError as err:
                raise _exists(self.partial_dir) from err
        if self.final_dir.exists():  # another writer renamed its directory a moment ago
            self.partial_dir.rmdir()
            raise _exists(self.final_dir)
        with disk_errors(f'cannot write {self.partial_dir}', BagError, 'nothing was recorded'):
            try:
                self._begin()
            except OSError:
                # No number is lost to a start that failed.
                shutil.rmtree(self.partial_dir, ignore_errors=True)
                raise

    def _begin(self) -> None:
        self._file = AppendFile(self._bag_path)
        # Uncompressed: lz4 and zstd save half of a quarter MiB, and every plain reader copes.
        self._mcap = Writer(self._file, chunk_size=_CHUNK_BYTES,
                            compression=CompressionType.NONE, enable_crcs=True,
                            enable_data_crcs=True)
        try:
            self._mcap.start(profile='ros2', library='uncloning_ros')
            self._mcap.add_metadata(OWN_RECORD, self._custom)
            self._file.flush()
            sync_directory(self.partial_dir)
            sync_directory(self.partial_dir.parent)
        except OSError:
            self._file.close()
            raise

    @property
    def counts(self) -> Mapping[str, int]:
        """Return the number of messages of each topic that were written so far."""
        return dict(self._counts)

    def add_topic(self, topic: RecordedTopic) -> None:
        """Describe a topic; the last description before its first message is written counts."""
        self._counts.setdefault(topic.name, 0)
        self._recorded[topic.name] = topic

    def write(self, topic: str, cdr: bytes, receive_ns: int, source_ns: int) -> None:
        """Write one serialised message of an absolute topic.

        `receive_ns` is when it arrived (MCAP's log time), `source_ns` when it was published.
        """
        if not self._open:
            raise BagError(f'{self.partial_dir} is closed; start another episode to write more')
        with self._disk_errors():
            channel = self._channels.get(topic) or self._register(topic)
            self._mcap.add_message(channel, receive_ns, cdr, source_ns, self._counts[topic])
        self._counts[topic] += 1
        if self._first_ns is None or receive_ns < self._first_ns:
            self._first_ns = receive_ns
        if receive_ns > self._last_ns:
            self._last_ns = receive_ns

    def flush(self) -> None:
        """Have the disk keep everything written so far."""
        with self._disk_errors():
            self._mcap.flush()

    def commit(self, final_dir: Path | None = None) -> Path:
        """Close, open again, verify the counts, rename; return the final directory.

        It is the writer's own unless another is given now. Raise `BagError` and leave the
        `.partial` directory if any step fails.
        """
        if not self._open:
            raise BagError(f'{self.partial_dir} is closed; an episode is committed once')
        final_dir = final_dir or self.final_dir
        with self._disk_errors():
            for name in self._recorded:
                if name not in self._channels:
                    self._register(name)
            info = self._rosbag2_metadata()
            # rosbag2 keeps a copy in the MCAP so that the file can be read without its directory.
            self._mcap.add_metadata('rosbag2', {'serialized_metadata': _dumped(info)})
            self._close(sync=True)
            path = self.partial_dir / METADATA_FILE
            with path.open('x', encoding='utf-8') as file:
                file.write(_dumped({ROOT_KEY: info}))
                file.flush()
                os.fsync(file.fileno())
        found = verify_episode(self.partial_dir)
        if found != self._counts:
            raise BagError(f'{self.partial_dir}: expected messages {self._counts}, got {found} '
                           f'when read back; check the disk')
        with self._disk_errors():
            sync_directory(self.partial_dir)
            if final_dir.exists():
                raise OutputExistsError(f'{final_dir} appeared while it was written; the '
                                        f'episode is in {self.partial_dir}')
            self.partial_dir.rename(final_dir)
            for folder in {final_dir.parent, self.partial_dir.parent}:
                sync_directory(folder)
        return final_dir

    def discard(self) -> None:
        """Remove the directory and everything in it."""
        self.close()
        with self._disk_errors():
            shutil.rmtree(self.partial_dir)

    def close(self) -> None:
        """Close the file without committing it; the `.partial` directory stays."""
        # The disk may be full; the caller sees the first error, of an earlier call.
        if self._open:
            with contextlib.suppress(OSError):
                self._close(sync=False)
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _register(self, name: str) -> int:
        """Write the description of a topic, with the QoS that its publishers offer by now."""
        if name not in self._recorded:
            raise BagError(f'expected one of the topics {", ".join(self._recorded)}, got '
                           f'{name!r}; topics come from the contract, others are added first')
        topic = self._recorded[name]
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._mcap.register_schema(topic.type, 'ros2msg',
                                                                   topic.definition)
        self._channels[name] = self._mcap.register_channel(
            name, 'cdr', self._schemas[topic.type],
            {'offered_qos_profiles': _dumped([dict(one) for one in topic.qos]),
             'topic_type_hash': topic.type_hash})
        return self._channels[name]

    def _close(self, sync: bool) -> None:
        self._open = False
        self._mcap.finish()
        if sync:
            self._file.flush()
        self._file.close()

    def _disk_errors(self) -> contextlib.AbstractContextManager[None]:
        return disk_errors(f'cannot write {self.partial_dir}', BagError,
                           'the messages written so far stay there')

    def _rosbag2_metadata(self) -> dict[str, Any]:
        start_ns = self._first_ns or 0
        span = {
            'starting_time': {'nanoseconds_since_epoch': start_ns},
            'duration': {'nanoseconds': max(0, self._last_ns - start_ns)},
            'message_count': sum(self._counts.values()),
        }
        return {
            'version': 9,
            'storage_identifier': 'mcap',
            **span,
            'topics_with_message_count': [
                {'topic_metadata': {'name': topic.name, 'type': topic.type,
                                    'serialization_format': 'cdr',
                                    'offered_qos_profiles': [dict(one) for one in topic.qos],
                                    'type_description_hash': topic.type_hash},
                 'message_count': self._counts[topic.name]}
                for topic in self._recorded.values()],
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self._bag_path.name],
            'files': [{'path': self._bag_path.name, **span}],
            'custom_data': self._custom,
            'ros_distro': 'jazzy',
        }


class EpisodeWriter(BagWriter):
    """Write one episode; the contract's topics are known from the start. See `BagWriter`.

    `partner` is the contract of a second arm of the same episode. An observation of it on a topic
    of the first contract is the same message, and is written once.
    """

    def __init__(self, final_dir: Path, contract: Contract, metadata: EpisodeMetadata,
                 partner: Contract | None = None) -> None:
        if metadata.planned_mode is not None:
            contract.interface.require_modes([metadata.planned_mode])
        topics = bag_topics(contract)
        self._signals = {signal.key: (signal, topic) for topic in topics.values()
                         for signal in topic.signals}
        theirs = {} if partner is None else {
            name: topic for name, topic in bag_topics(partner).items() if name not in topics}
        self._of_partner = {signal.key: (signal, topic) for topic in theirs.values()
                            for signal in topic.signals}
        super().__init__(final_dir, custom_data(contract, metadata, partner))
        for name, topic in {**topics, **theirs}.items():
            self.add_topic(described(name, topic.type))
        self.add_topic(described(EVENT_TOPIC, EVENT_TYPE))

    def write_values(self, key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        """Encode the values (dim,) of one observation or action and write the message.

        Raise `BagError` for a topic of several signals: a message of one alone would be read as
        the others' values, or refused for lack of them.
        """
        self._write_signal(*self._signals[key], values, stamp_ns, receive_ns)

    def write_partner(self, key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        """Write the values (dim,) of one observation or action of the second arm."""
        if key in self._of_partner:
            self._write_signal(*self._of_partner[key], values, stamp_ns, receive_ns)

    def _write_signal(self, signal: Signal, topic: BagTopic, values: Array, stamp_ns: int,
                      receive_ns: int) -> None:
        topic.require_one_signal()
        message = encode(signal, topic.type, values, stamp_ns, message_class)
        cdr = bytes(typestore().serialize_cdr(message, topic.type))
        self.write(topic.name, cdr, receive_ns, stamp_ns)

    def write_event(self, event: Mapping[str, Any], receive_ns: int) -> None:
        """Write one event as JSON on the recorder's event topic."""
        self.write(EVENT_TOPIC, event_cdr(event), receive_ns, receive_ns)


def described(name: str, type_name: str) -> RecordedTopic:
    """Return the description of a topic whose type is part of ROS 2 Jazzy."""
    text, type_hash = message_definition(type_name)
    return RecordedTopic(name, type_name, text, type_hash)


def event_cdr(event: Mapping[str, Any]) -> bytes:
    """Return an event as the serialised message of the event topic."""
    message = message_class(EVENT_TYPE)(data=json.dumps(event, allow_nan=False))
    return bytes(typestore().serialize_cdr(message, EVENT_TYPE))


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f'{path} exists already; choose another name or move it away, '
                             f'nothing is overwritten')


def _dumped(data: object) -> str:
    """Return data as YAML that rosbag2 reads."""
    return str(yaml.dump(data, Dumper=_NoAliases, sort_keys=False, allow_unicode=True,
                         width=10**6))
