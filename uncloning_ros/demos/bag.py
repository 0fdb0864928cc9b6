# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes on disk: one rosbag2 directory with MCAP storage for one demonstration.

The fast generator and the recorder node write through the same `EpisodeWriter`, so their bags
agree on topics, types, QoS and metadata. An episode is written as `<name>.partial/`, closed,
opened again, counted and renamed; the rename is the commit.

Format: rosbag2's metadata.yaml version 9 and MCAP profile `ros2`, as written by ROS 2 Jazzy
(https://github.com/ros2/rosbag2, rosbag2_storage and rosbag2_storage_mcap; the MCAP format is
described at https://mcap.dev/spec).
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Footer, Message, MessageIndex, Metadata, Schema
from mcap.stream_reader import StreamReader, get_chunk_data_stream
from mcap.writer import CompressionType, Writer
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore
from zstandard import ZstdError

from uncloning_ros.contract import (
    Contract,
    Signal,
    contract_from_dict,
    contract_to_dict,
    require_same_interface,
)
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import BagError, ContractError, OutputExistsError
from uncloning_ros.geometry import Array

SCHEMA = 'uncloning/episode@1'
EVENT_TOPIC = '/recorder/episode_event'
EVENT_TYPE = 'std_msgs/msg/String'

_PREFIX = 'episode_'
_PARTIAL = '.partial'
_METADATA_FILE = 'metadata.yaml'
_STORAGE_SUFFIXES = ('.mcap', '.db3')
_OWN_RECORD = 'uncloning'
_ROOT_KEY = 'rosbag2_bagfile_information'
# A chunk is what a reader has to hold in memory, and what a power cut can cost. The library
# closes a chunk once it has grown past this; with messages far below 64 KiB none passes 256 KiB.
_CHUNK_BYTES = 192 * 1024
_FOREVER = {'sec': 9223372036, 'nsec': 854775807}
# What the nodes of this package offer: `ros2 bag play` publishes with it.
_QOS = [{
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
# The C versions are ten times as fast where PyYAML was built with them.
_Dumper: Any = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)
_Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)

# What the MCAP reader raises on bytes that are not what they should be; lz4 a RuntimeError.
_DAMAGE = (McapError, ZstdError, struct.error, ValueError, KeyError, OverflowError, MemoryError,
           RuntimeError)


class _NoAliases(_Dumper):
    """Dump YAML without anchors: rosbag2 and people read it."""

    def ignore_aliases(self, data: object) -> bool:
        return True


@dataclass(frozen=True)
class EpisodeMetadata:
    """Who demonstrated what, when the teller knew: written into every bag.

    `planned_mode` is the mode that was asked for, None if nobody said; it is no label. `seed` is
    the simulator's seed of this episode, None on a robot.
    """

    session: str
    episode: int
    operator: str
    planned_mode: str | None
    software_version: str
    seed: int | None = None


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag, absolute, with the signals that its messages carry."""

    name: str
    type: str
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Episode:
    """One demonstration, decoded: for each observation and action key its samples.

    Samples are in the order of their receive times. `events` are (receive_ns, event) pairs.
    """

    path: Path
    metadata: EpisodeMetadata
    contract: Contract
    samples: Mapping[str, tuple[Sample, ...]]
    events: tuple[tuple[int, Mapping[str, Any]], ...]

    @property
    def name(self) -> str:
        """Return the name of the bag's directory."""
        return self.path.name


def bag_topics(contract: Contract) -> dict[str, BagTopic]:
    """Return the contract's topics by absolute name, in the contract's order.

    Several signals may share a topic, as joints and gripper share a joint state. Raise
    `ContractError` if they disagree on its type, or if an observation and an action share a key.
    """
    topics: dict[str, BagTopic] = {}
    keys = set()
    interface, deployment = contract.interface, contract.deployment
    pairs = [(s, deployment.observations[s.key]) for s in interface.observations]
    pairs += [(s, deployment.actions[s.key]) for s in interface.actions]
    for signal, source in pairs:
        if signal.key in keys:
            raise ContractError(f'{signal.key!r} is an observation and an action; give them '
                                f'different keys, bags tell them apart by key')
        keys.add(signal.key)
        name = '/' + source.topic.lstrip('/')
        known = topics.get(name, BagTopic(name, source.type, ()))
        if known.type != source.type:
            raise ContractError(f'{signal.key}: topic {name} is {known.type} for '
                                f'{known.signals[0].key}, but {source.type} here; a topic has '
                                f'one type')
        topics[name] = BagTopic(name, source.type, (*known.signals, signal))
    return topics


@lru_cache(maxsize=1)
def _typestore() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


@lru_cache(maxsize=64)
def _definition(type_name: str) -> tuple[bytes, str]:
    """Return the ros2msg text and the RIHS01 hash of a message type."""
    text, _ = _typestore().generate_msgdef(type_name, ros_version=2)
    return text.encode(), _typestore().hash_rihs01(type_name)


def _message_class(type_name: str) -> Any:
    return _typestore().types[type_name]


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
        self.partial_dir = final_dir.with_name(final_dir.name + _PARTIAL)
        for path in (self.final_dir, self.partial_dir):
            if path.exists():
                raise OutputExistsError(f'{path} exists already; choose another name or '
                                        f'move it away, nothing is overwritten')
        self._custom = _custom_data(contract, metadata)
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
            self._mcap.add_metadata(_OWN_RECORD, self._custom)
        types = {name: topic.type for name, topic in self._topics.items()}
        types[EVENT_TOPIC] = EVENT_TYPE
        self._types = types
        schemas: dict[str, int] = {}
        self._channels = {}
        qos = yaml.dump(_QOS, Dumper=_NoAliases, sort_keys=False)
        for name, type_name in types.items():
            text, type_hash = _definition(type_name)
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
        message = encode(signal, topic.type, values, stamp_ns, _message_class)
        cdr = bytes(_typestore().serialize_cdr(message, topic.type))
        self.write(topic.name, cdr, receive_ns, stamp_ns)

    def write_event(self, event: Mapping[str, Any], receive_ns: int) -> None:
        """Write one event as JSON on the recorder's event topic."""
        message = _message_class(EVENT_TYPE)(data=json.dumps(event, allow_nan=False))
        cdr = bytes(_typestore().serialize_cdr(message, EVENT_TYPE))
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
            self._mcap.add_metadata('rosbag2', {'serialized_metadata': _dump(info)})
            self._close(sync=True)
            path = self.partial_dir / _METADATA_FILE
            with path.open('x', encoding='utf-8') as file:
                file.write(_dump({_ROOT_KEY: info}))
                file.flush()
                os.fsync(file.fileno())
        found = verify_episode(self.partial_dir)
        if found != self._counts:
            raise BagError(f'{self.partial_dir}: wrote {self._counts}, read back {found}; '
                           f'check the disk')
        with self._disk_errors():
            _sync_directory(self.partial_dir)
            if self.final_dir.exists():
                raise OutputExistsError(f'{self.final_dir} appeared while it was written; the '
                                        f'episode is in {self.partial_dir}')
            self.partial_dir.rename(self.final_dir)
            _sync_directory(self.final_dir.parent)
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
                                    'offered_qos_profiles': _QOS,
                                    'type_description_hash': _definition(type_name)[1]},
                 'message_count': self._counts[name]}
                for name, type_name in self._types.items()],
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self._bag_path.name],
            'files': [{'path': self._bag_path.name, **span}],
            'custom_data': self._custom,
            'ros_distro': 'jazzy',
        }


def read_episode(path: Path, contract: Contract | None = None) -> Episode:
    """Read and decode one episode.

    With `contract` given, an episode of another interface is refused. A bag of plain
    `ros2 bag record` carries no contract: then `contract` tells topics and types, and nobody
    knows the planned mode. Raise `BagError` for a foreign, truncated or damaged bag and for a
    missing topic; `ContractError` for another interface, a missing joint, a foreign frame and
    values that are not finite.
    """
    info = _read_info(path)
    metadata, own = _read_custom(path, info)
    if own is None and contract is None:
        raise BagError(f'{path} carries no contract, it was not recorded by this package; '
                       f'give one with --contract')
    if own is not None and contract is not None:
        require_same_interface(contract.interface, own.interface, str(path))
    # Topics are those of the robot that recorded; the interface is the same.
    used = own or contract
    assert used is not None
    topics = bag_topics(used)
    samples: dict[str, list[Sample]] = {s.key: [] for t in topics.values() for s in t.signals}
    events = []
    counts: Counter[str] = Counter()
    for channel, type_name, message in _messages(path, info):
        counts[channel.topic] += 1
        topic = topics.get(channel.topic)
        if channel.topic == EVENT_TOPIC and type_name == EVENT_TYPE:
            events.append((message.log_time, _event(path, message)))
        if topic is None:
            continue
        if type_name != topic.type:
            raise BagError(f'{path}: topic {topic.name} is a {type_name}, expected a '
                           f'{topic.type}; check deployment in the contract')
        decoded = _deserialise(path, topic.name, topic.type, message)
        for signal in topic.signals:
            try:
                samples[signal.key].append(decode(signal, decoded, message.log_time))
            except ContractError as err:
                raise ContractError(f'{path}: at {message.log_time} ns: {err}') from err
    _require_counts(path, info, counts)
    for topic in topics.values():
        if not counts[topic.name]:
            keys = ', '.join(signal.key for signal in topic.signals)
            raise BagError(f'{path} has no message on {topic.name} ({keys}); record every topic '
                           f'of the contract')
    ordered = {key: tuple(sorted(found, key=lambda sample: sample.receive_ns))
               for key, found in samples.items()}
    return Episode(path, metadata, used, ordered, tuple(sorted(events, key=lambda e: e[0])))


def verify_episode(path: Path) -> dict[str, int]:
    """Check every checksum and the message counts of a bag; return the counts by topic.

    Raise `BagError` if the bag is truncated or damaged, or if its metadata counts otherwise.
    """
    info = _read_info(path)
    found = Counter(dict.fromkeys(_expected_counts(info), 0))
    for file in _files(path, info):
        names: dict[int, str] = {}
        counts: dict[int, int] = {}
        for record in _records(file, whole_chunks=True):
            if isinstance(record, Channel):
                names[record.id] = record.topic
            elif isinstance(record, MessageIndex):
                counts[record.channel_id] = (counts.get(record.channel_id, 0)
                                             + len(record.records))
        for channel, count in counts.items():
            found[names.get(channel, '')] += count
    _require_counts(path, info, found)
    return dict(found)


def episode_digest(path: Path) -> str:
    """Return the sha256 of an episode's MCAP file (of all of them, if rosbag2 split it)."""
    digest = hashlib.sha256()
    for file in _files(path, _read_info(path)):
        try:
            digest.update(file.read_bytes())
        except OSError as err:
            raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    return digest.hexdigest()


def list_episodes(directory: Path) -> list[Path]:
    """Return the bag directories in `directory`, sorted by name, unfinished ones left out."""
    return [path for path in _bag_directories(directory) if not _is_unfinished(path)]


def list_unfinished(directory: Path) -> list[Path]:
    """Return the bag directories in `directory` that were never closed, sorted by name."""
    return [path for path in _bag_directories(directory) if _is_unfinished(path)]


def unfinished_session(path: Path) -> str | None:
    """Return the session that an unfinished bag was begun in, None if it holds no message yet."""
    for file in path.glob('*.mcap'):
        with contextlib.suppress(BagError):
            for record in _records(file, whole_chunks=True):
                if isinstance(record, Metadata) and record.name == _OWN_RECORD:
                    return str(record.metadata.get('session'))
    return None


def episode_name(index: int) -> str:
    """Return the directory name of an episode."""
    return f'{_PREFIX}{index:06d}'


def next_episode_index(directory: Path) -> int:
    """Return the first index above every episode in `directory`, unfinished ones counted too."""
    pattern = re.compile(rf'{_PREFIX}(\d+)({re.escape(_PARTIAL)})?')
    try:
        if not directory.is_dir():
            return 0
        found = [pattern.fullmatch(path.name) for path in directory.iterdir()]
    except OSError as err:
        raise BagError(f'cannot list {directory}: {err.strerror or err}') from err
    return max((int(match[1]) for match in found if match), default=-1) + 1


def _bag_directories(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise BagError(f'{directory} is not a directory; give the folder that holds the episodes')
    if (directory / _METADATA_FILE).is_file():
        raise BagError(f'{directory} is one episode; give the folder that holds the episodes')
    return sorted(path for path in directory.iterdir() if path.is_dir()
                  and any(file.suffix in _STORAGE_SUFFIXES or file.name == _METADATA_FILE
                          for file in path.iterdir()))


def _is_unfinished(path: Path) -> bool:
    return path.name.endswith(_PARTIAL) or not (path / _METADATA_FILE).is_file()


def _custom_data(contract: Contract, metadata: EpisodeMetadata) -> dict[str, str]:
    """Return the texts that metadata.yaml and the MCAP's own metadata record carry."""
    return {
        'schema': SCHEMA,
        'session': metadata.session,
        'episode': str(metadata.episode),
        'operator': metadata.operator,
        'planned_mode': metadata.planned_mode or '',
        'software_version': metadata.software_version,
        'seed': '' if metadata.seed is None else str(metadata.seed),
        'contract_sha256': contract.sha256,
        'interface_sha256': contract.interface.sha256,
        'contract': json.dumps(contract_to_dict(contract), separators=(',', ':')),
    }


def _read_custom(path: Path, info: Mapping[str, Any]) -> tuple[EpisodeMetadata, Contract | None]:
    """Return who recorded what, and the contract that the bag carries, None if it has none."""
    custom = info.get('custom_data') or {}
    if 'schema' not in custom:
        return EpisodeMetadata(path.resolve().parent.name, 0, '', None, 'ros2 bag record'), None
    if custom['schema'] != SCHEMA:
        raise BagError(f'{path}: expected schema {SCHEMA!r}, got {custom["schema"]!r}; this '
                       f'episode needs another version of the package')
    if not all(isinstance(value, str) for value in custom.values()):
        raise BagError(f'{path}: custom_data of metadata.yaml is damaged: expected texts only')
    try:
        contract = contract_from_dict(json.loads(custom['contract']), f'{path}: contract')
        metadata = EpisodeMetadata(custom['session'], int(custom['episode']), custom['operator'],
                                   custom['planned_mode'] or None, custom['software_version'],
                                   int(custom['seed']) if custom['seed'] else None)
        expected = custom['contract_sha256']
        if metadata.planned_mode is not None:
            contract.interface.require_modes([metadata.planned_mode])
    except (KeyError, ValueError, TypeError, RecursionError) as err:
        raise BagError(f'{path}: custom_data of metadata.yaml is damaged: {err!r}') from err
    if contract.sha256 != expected:
        raise BagError(f'{path}: expected a contract of sha256 {expected}, got '
                       f'{contract.sha256}; metadata.yaml was changed by hand')
    return metadata, contract


def _read_info(path: Path) -> dict[str, Any]:
    """Return the content of metadata.yaml, checked as far as this module uses it."""
    file = path / _METADATA_FILE
    if not file.is_file():
        raise BagError(f'{path} is not a finished rosbag2 directory, it has no {_METADATA_FILE}; '
                       f'give the directory of an episode')
    try:
        data = _Loader(file.read_bytes()).get_single_data()
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as err:
        raise BagError(f'{file} is not valid YAML: {" ".join(str(err).split())}') from err
    except OSError as err:
        raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    try:
        info = data[_ROOT_KEY]
        version, storage = info['version'], info['storage_identifier']
        compression = info.get('compression_format') or ''
        names = info['relative_file_paths']
        good = (isinstance(version, int) and isinstance(names, list) and len(names) > 0
                and all(isinstance(name, str) for name in names)
                and isinstance(info.get('custom_data') or {}, dict)
                and all(isinstance(topic['topic_metadata']['name'], str)
                        and isinstance(topic['message_count'], int)
                        for topic in info['topics_with_message_count']))
    except (KeyError, TypeError, AttributeError) as err:
        raise BagError(f'{file} is not the metadata of a rosbag2 bag: {err!r}') from err
    if not good:
        raise BagError(f'{file} is not the metadata of a rosbag2 bag: a field has another type')
    if version > 9:
        raise BagError(f'{file}: expected rosbag2 version 9 or older, got {version}; convert the '
                       f'bag with ros2 bag convert')
    if storage != 'mcap' or compression:
        raise BagError(f'{path}: expected storage mcap without rosbag2 compression, got '
                       f'{storage} {compression or "uncompressed"}; convert the bag with ros2 '
                       f'bag convert')
    return dict(info)


def _expected_counts(info: Mapping[str, Any]) -> dict[str, int]:
    return {topic['topic_metadata']['name']: topic['message_count']
            for topic in info['topics_with_message_count']}


def _require_counts(path: Path, info: Mapping[str, Any], found: Mapping[str, int]) -> None:
    expected = _expected_counts(info)
    for name in sorted({*expected, *found}):
        if expected.get(name, 0) != found.get(name, 0):
            raise BagError(f'{path}: metadata.yaml counts {expected.get(name, 0)} messages on '
                           f'{name}, the file holds {found.get(name, 0)}; the bag is damaged')


def _files(path: Path, info: Mapping[str, Any]) -> list[Path]:
    # Only the last part counts, as in rosbag2: a bag never points out of its directory.
    return [path / Path(name).name for name in info['relative_file_paths']]


def _records(file: Path, whole_chunks: bool) -> Iterator[Any]:
    """Yield the records of one MCAP file, every checksum checked."""
    footer = False
    try:
        with file.open('rb') as stream:
            reader = StreamReader(stream, emit_chunks=whole_chunks, validate_crcs=True)
            for record in reader.records:
                if isinstance(record, Footer):
                    footer = True
                if isinstance(record, Chunk):
                    get_chunk_data_stream(record, validate_crc=True)
                yield record
    except OSError as err:
        raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    except _DAMAGE as err:
        raise BagError(f'{file} is truncated or damaged ({type(err).__name__}: {err}); '
                       f'leave it out or recover it with the mcap tool') from err
    if not footer:
        raise BagError(f'{file} is truncated, it has no footer')


def _messages(path: Path, info: Mapping[str, Any]) -> Iterator[tuple[Channel, str, Message]]:
    """Yield every message of a bag in file order, with its channel and its type."""
    for file in _files(path, info):
        schemas: dict[int, str] = {}
        channels: dict[int, Channel] = {}
        for record in _records(file, whole_chunks=False):
            if isinstance(record, Message):
                channel = channels.get(record.channel_id)
                if channel is None or channel.schema_id not in schemas:
                    raise BagError(f'{file} is damaged: a message comes before its channel')
                yield channel, schemas[channel.schema_id], record
            elif isinstance(record, Schema):
                schemas[record.id] = record.name
            elif isinstance(record, Channel):
                channels[record.id] = record


def _deserialise(path: Path, topic_name: str, type_name: str, message: Message) -> Any:
    try:
        return _typestore().deserialize_cdr(message.data, type_name)
    except (SerdeError, struct.error, ValueError, IndexError, OverflowError, MemoryError) as err:
        raise BagError(f'{path}: a message on {topic_name} at {message.log_time} ns is no '
                       f'{type_name}: {err}') from err


def _event(path: Path, message: Message) -> Mapping[str, Any]:
    text = _deserialise(path, EVENT_TOPIC, EVENT_TYPE, message).data
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise BagError(f'{path}: an event is not JSON: {text!r}') from err
    if not isinstance(event, dict):
        raise BagError(f'{path}: expected a mapping as an event, got {text!r}')
    return event


def _dump(data: Mapping[str, Any]) -> str:
    return str(yaml.dump(data, Dumper=_NoAliases, sort_keys=False, allow_unicode=True,
                         width=10**6))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
