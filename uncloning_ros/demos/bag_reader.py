# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, decode and verify the bags of episodes, every checksum checked."""

import contextlib
import hashlib
import json
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, Footer, Message, MessageIndex, Metadata, Schema
from mcap.stream_reader import StreamReader, get_chunk_data_stream
from rosbags.serde import SerdeError
from zstandard import ZstdError

from uncloning_ros.contract import Contract, contract_from_dict, require_same_interface
from uncloning_ros.conversions import Sample, decode
from uncloning_ros.demos.bag import (
    EVENT_TOPIC,
    EVENT_TYPE,
    METADATA_FILE,
    OWN_RECORD,
    ROOT_KEY,
    SCHEMA,
    Episode,
    EpisodeMetadata,
    bag_topics,
    typestore,
)
from uncloning_ros.errors import BagError, ContractError

# The C version is ten times as fast where PyYAML was built with it.
_Loader: Any = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
# What the MCAP reader raises on bytes that are not what they should be; lz4 a RuntimeError.
_DAMAGE = (McapError, ZstdError, struct.error, ValueError, KeyError, OverflowError, MemoryError,
           RuntimeError)


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


def unfinished_session(path: Path) -> str | None:
    """Return the session that an unfinished bag was begun in, None if it holds no message yet."""
    for file in path.glob('*.mcap'):
        with contextlib.suppress(BagError):
            for record in _records(file, whole_chunks=True):
                if isinstance(record, Metadata) and record.name == OWN_RECORD:
                    return str(record.metadata.get('session'))
    return None


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
    file = path / METADATA_FILE
    if not file.is_file():
        raise BagError(f'{path} is not a finished rosbag2 directory, it has no {METADATA_FILE}; '
                       f'give the directory of an episode')
    try:
        data = _Loader(file.read_bytes()).get_single_data()
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as err:
        raise BagError(f'{file} is not valid YAML: {" ".join(str(err).split())}') from err
    except OSError as err:
        raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    try:
        info = data[ROOT_KEY]
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
        return typestore().deserialize_cdr(message.data, type_name)
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
