# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write one episode: closed, opened again, counted, renamed; the rename is the commit."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from mcap.writer import CompressionType, Writer

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bag import (
    EVENT_TOPIC,
    EVENT_TYPE,
    METADATA_FILE,
    OWN_RECORD,
    PARTIAL,
    QOS,
    ROOT_KEY,
    BagTopic,
    EpisodeMetadata,
    NoAliases,
    bag_topics,
    custom_data,
    dump_yaml,
    message_class,
    message_definition,
    sync_directory,
    typestore,
)
from uncloning_ros.demos.bag_reader import verify_episode
from uncloning_ros.errors import BagError, OutputExistsError
from uncloning_ros.geometry import Array

# A chunk is what a reader has to hold in memory, and what a power cut can cost. The library
# closes a chunk once it has grown past this; with messages far below 64 KiB none passes 256 KiB.
_CHUNK_BYTES = 192 * 1024


class EpisodeWriter:
    """Write one episode: `<final_dir>.partial/` until `commit()` renames it.

    One thread at a time may call it. Leaving the `with` block, by an exception or without
    `commit()`, closes the file and leaves the `.partial` directory for a person to look at;
    `discard()` removes it. Nothing that exists is overwritten (`OutputExistsError`); what the
    disk refuses becomes `BagError`.
    """

    def __init__(self, final_dir: Path, contract: Contract, metadata: EpisodeMetadata) -> None:
        if metadata.planned_mode is not None:
            contract.interface.require_modes([metadata.planned_mode])
        self.final_dir = final_dir
        self.partial_dir = final_dir.with_name(final_dir.name + PARTIAL)
        for path in (self.final_dir, self.partial_dir):
            if path.exists():
                raise OutputExistsError(f'{path} exists already; choose another name or '
                                        f'move it away, nothing is overwritten')
        self._custom = custom_data(contract, metadata)
        self._topics = bag_topics(contract)
        self._signals = {signal.key: (signal, topic) for topic in self._topics.values()
                         for signal in topic.signals}
        self._counts = dict.fromkeys((*self._topics, EVENT_TOPIC), 0)
        self._first_ns: int | None = None
        self._last_ns = 0
        self._open = True
        self._bag_path = self.partial_dir / f'{final_dir.name}_0.mcap'
        with self._disk_errors():
            self.partial_dir.mkdir(parents=True)
            self._file = self._bag_path.open('xb')
            # Uncompressed: lz4 and zstd save half of a quarter MiB, and every plain reader copes.
            self._mcap = Writer(self._file, chunk_size=_CHUNK_BYTES,
                                compression=CompressionType.NONE, enable_crcs=True,
                                enable_data_crcs=True)
            self._mcap.start(profile='ros2', library='uncloning_ros')
            self._mcap.add_metadata(OWN_RECORD, self._custom)
        types = {name: topic.type for name, topic in self._topics.items()}
        types[EVENT_TOPIC] = EVENT_TYPE
        self._types = types
        schemas: dict[str, int] = {}
        self._channels = {}
        qos = yaml.dump(QOS, Dumper=NoAliases, sort_keys=False)
        for name, type_name in types.items():
            text, type_hash = message_definition(type_name)
            if type_name not in schemas:
                schemas[type_name] = self._mcap.register_schema(type_name, 'ros2msg', text)
            self._channels[name] = self._mcap.register_channel(
                name, 'cdr', schemas[type_name],
                {'offered_qos_profiles': qos, 'topic_type_hash': type_hash})

    @property
    def topics(self) -> Mapping[str, BagTopic]:
        """Return the contract's topics by absolute name."""
        return self._topics

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how many messages of each topic were written so far."""
        return dict(self._counts)

    def write(self, topic: str, cdr: bytes, receive_ns: int, source_ns: int) -> None:
        """Write one serialised message of an absolute topic.

        `receive_ns` is when it arrived (MCAP's log time), `source_ns` when it was published.
        """
        if not self._open:
            raise BagError(f'{self.partial_dir} is closed; start another episode to write more')
        if topic not in self._channels:
            raise BagError(f'expected one of the topics {", ".join(self._channels)}, '
                           f'got {topic!r}; topics come from the contract')
        with self._disk_errors():
            self._mcap.add_message(self._channels[topic], receive_ns, cdr, source_ns,
                                   self._counts[topic])
        self._counts[topic] += 1
        if self._first_ns is None or receive_ns < self._first_ns:
            self._first_ns = receive_ns
        if receive_ns > self._last_ns:
            self._last_ns = receive_ns

    def write_values(self, key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        """Encode the values (dim,) of one observation or action and write the message."""
        signal, topic = self._signals[key]
        if len(topic.signals) > 1:
            keys = ', '.join(s.key for s in topic.signals)
            raise BagError(f'{key}: topic {topic.name} carries {keys} in one message; write '
                           f'whole messages with write()')
        message = encode(signal, topic.type, values, stamp_ns, message_class)
        cdr = bytes(typestore().serialize_cdr(message, topic.type))
        self.write(topic.name, cdr, receive_ns, stamp_ns)

    def write_event(self, event: Mapping[str, Any], receive_ns: int) -> None:
        """Write one event as JSON on the recorder's event topic."""
        message = message_class(EVENT_TYPE)(data=json.dumps(event, allow_nan=False))
        cdr = bytes(typestore().serialize_cdr(message, EVENT_TYPE))
        self.write(EVENT_TOPIC, cdr, receive_ns, receive_ns)

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        with self._disk_errors():
            self._mcap.flush()

    def commit(self) -> Path:
        """Close, open again, verify the counts, rename; return the final directory.

        Raise `BagError` and leave the `.partial` directory if any of it fails.
        """
        if not self._open:
            raise BagError(f'{self.partial_dir} is closed; an episode is committed once')
        info = self._rosbag2_metadata()
        with self._disk_errors():
            # rosbag2 keeps a copy in the MCAP so that the file can be read without its directory.
            self._mcap.add_metadata('rosbag2', {'serialized_metadata': dump_yaml(info)})
            self._close(sync=True)
            path = self.partial_dir / METADATA_FILE
            with path.open('x', encoding='utf-8') as file:
                file.write(dump_yaml({ROOT_KEY: info}))
                file.flush()
                os.fsync(file.fileno())
        found = verify_episode(self.partial_dir)
        if found != self._counts:
            raise BagError(f'{self.partial_dir}: wrote {self._counts}, read back {found}; '
                           f'check the disk')
        with self._disk_errors():
            sync_directory(self.partial_dir)
            if self.final_dir.exists():
                raise OutputExistsError(f'{self.final_dir} appeared while it was written; the '
                                        f'episode is in {self.partial_dir}')
            self.partial_dir.rename(self.final_dir)
            sync_directory(self.final_dir.parent)
        return self.final_dir

    def discard(self) -> None:
        """Remove what was written."""
        self._close_quietly()
        with self._disk_errors():
            shutil.rmtree(self.partial_dir)

    def __enter__(self) -> 'EpisodeWriter':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._close_quietly()

    def _close(self, sync: bool) -> None:
        self._open = False
        self._mcap.finish()
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())
        self._file.close()

    def _close_quietly(self) -> None:
        # The disk may be full: whatever is there stays there, and the first error is the one
        # that the caller sees.
        if self._open:
            with contextlib.suppress(OSError):
                self._close(sync=False)
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self._file.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            raise BagError(f'cannot write {self.partial_dir}: {err.strerror or err}; what was '
                           f'written so far stays there') from err

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
                {'topic_metadata': {'name': name, 'type': type_name,
                                    'serialization_format': 'cdr',
                                    'offered_qos_profiles': QOS,
                                    'type_description_hash': message_definition(type_name)[1]},
                 'message_count': self._counts[name]}
                for name, type_name in self._types.items()],
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self._bag_path.name],
            'files': [{'path': self._bag_path.name, **span}],
            'custom_data': self._custom,
            'ros_distro': 'jazzy',
        }
