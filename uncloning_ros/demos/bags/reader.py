# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, decode and verify the bags of episodes: this package's own and any other rosbag2 bag."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import zstandard

from uncloning_ros.contract import Contract, require_same_interface, with_continuous
from uncloning_ros.demos.bags.clock import ReceiveOrder, stamps_fault
from uncloning_ros.demos.bags.decoding import Decoder, deserialise, with_topics
from uncloning_ros.demos.bags.episode import (
    EVENT_TOPIC,
    EVENT_TYPE,
    Episode,
    EpisodeMetadata,
    partner_contract,
    read_custom_data,
)
from uncloning_ros.demos.bags.info import BagInfo, read_info, storage_files
from uncloning_ros.demos.bags.mcap import mcap_batches, own_record
from uncloning_ros.demos.bags.messages import EVER, BagContents, Query, RawMessage
from uncloning_ros.demos.bags.pieces import Piece
from uncloning_ros.demos.bags.sqlite import sqlite_batches
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.errors import BagError, DatasetError, UncloningError, shown
from uncloning_ros.files import disk_errors

# Begin of a message that rosbag2 compressed for itself; CDR never begins with these bytes.
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


def read_episode(path: Path, contract: Contract | None = None,
                 topics: Mapping[str, str] | None = None, piece: Piece | None = None,
                 without_pictures: bool = False) -> Episode:
    """Read and decode one episode: all of a bag, or one piece of it.

    With `contract` given, an episode of another interface is refused. A bag of plain
    `ros2 bag record` carries no contract: then `contract` tells topics and types, and the planned
    mode is unknown. `topics` renames topics by key. Raise `BagError` for a truncated or damaged
    bag and for a missing topic; `ContractError` for another interface, a missing joint, a foreign
    frame, a missing stamp and values that are not finite; `DatasetError` if a signal is silent.
    With `without_pictures` none of these is raised about a camera: the episode has the pictures
    that can be used, and the sentence is its `picture_fault`.
    """
    info = read_info(path)
    metadata, own, is_own = _origin(info, contract)
    used = with_topics(own, topics or {})
    decoder = Decoder(path, used)
    events: list[tuple[int, Mapping[str, Any]]] = []
    contents = BagContents()
    own_events = frozenset({EVENT_TOPIC} if is_own else ())
    query = Query(decoder.topics | own_events)
    if piece is not None:
        query = Query(query.topics, piece.span_ns, decoder.static_topics)
    order = ReceiveOrder()
    decoded, take, see = decoder.topics, decoder.take, order.see
    for raw in raw_messages(info, query, contents):
        see(raw.topic, raw.receive_ns)
        if raw.topic in decoded:
            take(raw)
        if raw.topic in own_events and raw.type == EVENT_TYPE:
            events.append((raw.receive_ns, _event(path, raw)))
    samples = decoder.finish()
    picture_fault = ''
    try:
        decoder.require_accepted()
        if piece is None:
            decoder.require_topics(contents)
            decoder.require_samples()
        for key, found in samples.items():
            if not found:
                raise DatasetError(f'no {key} arrived in this piece')
    except UncloningError as err:
        faulty = {*decoder.refused, *(key for key, found in samples.items() if not found)}
        if not without_pictures or faulty - {one.key for one in used.interface.cameras}:
            raise
        picture_fault = str(err)
    if piece is not None:
        path = path.with_name(piece.name(path.name))
        metadata = replace(metadata, planned_mode=piece.planned_mode or metadata.planned_mode)
    events.sort(key=lambda event: event[0])
    clock_fault = (order.fault() or _clock_finding(events)
                   or stamps_fault(samples, used.deployment.observations))
    return Episode(path, metadata, used, samples, tuple(events),
                   None if piece is None else piece.span_ns, clock_fault, picture_fault)


def _clock_finding(events: Sequence[tuple[int, Mapping[str, Any]]]) -> str:
    """Return a sentence if the recorder's verdict has a finding about the clock, else ''."""
    health = recorded_health(events)
    of_clock = () if health is None else [one for one in health.findings if one.kind == 'clock']
    return f"the recorder's verdict names the clock: {of_clock[0]}; record it again" if (
        of_clock) else ''


def verify_episode(path: Path) -> dict[str, int]:
    """Check every checksum and the message counts of a bag; return the counts by topic.

    Raise `BagError` if the bag is truncated or damaged, or if its metadata counts otherwise.
    """
    info, contents = read_info(path), BagContents()
    for _ in raw_messages(info, Query(frozenset()), contents):
        pass
    return {**dict.fromkeys(info.counts or (), 0), **{
        name: count for name, count in contents.counts.items() if count}}


def raw_messages(info: BagInfo, query: Query, contents: BagContents) -> Iterator[RawMessage]:
    """Yield the messages of a bag that answer a query, file after file, not sorted by time.

    `contents` grows by every message that was met; without a span those are all of the bag's.
    Raise `BagError` for a file that is missing, truncated or damaged, for messages that are not
    CDR, and, once all of a bag was read, if its metadata.yaml counts otherwise.
    """
    _require_files(info)
    read = mcap_batches if info.storage == 'mcap' else sqlite_batches
    decompressor = zstandard.ZstdDecompressor()
    for file in info.files:
        for batch in read(file, query, contents):
            for message in batch:
                if message.data.startswith(_ZSTD_MAGIC):
                    yield _decompressed(info, message, decompressor)
                else:
                    yield message
    if query.span == EVER and info.counts is not None:
        for name in sorted({*info.counts, *contents.counts}):
            if info.counts.get(name, 0) != contents.counts[name]:
                # Only MCAP has checksums, and all of them were right.
                fault = '' if info.storage == 'mcap' else 'the bag is damaged, or '
                raise BagError(f'{info.path}: expected {info.counts.get(name, 0)} messages on '
                               f'{name} by metadata.yaml, got {contents.counts[name]}; {fault}'
                               f'metadata.yaml is of another file, as of the one before a filter: '
                               f'then move it away, or write it again with ros2 bag reindex')


def _require_files(info: BagInfo) -> None:
    """Raise `BagError` if metadata.yaml names a file that is not there; tell which are."""
    missing = [file.name for file in info.files if not file.exists()]
    if not missing or info.counts is None:
        return
    with disk_errors(f'cannot list {info.path}', BagError):
        there = storage_files(info.path)
    strangers = [file.name for file in there if file not in info.files]
    raise BagError(f'{info.path}: expected {", ".join(missing)} by metadata.yaml, got '
                   f'{", ".join(file.name for file in there) or "no storage file"}; ' + (
                       f'metadata.yaml is of another file: rename {strangers[0]} to {missing[0]}, '
                       f'or give that file as a bag of its own' if strangers
                       else 'copy the missing file there'))


def episode_digest(path: Path) -> str:
    """Return the sha256 of an episode's storage file (of all of them, if rosbag2 split it)."""
    digest = hashlib.sha256()
    for file in read_info(path).files:
        with disk_errors(f'cannot read {file}', BagError), file.open('rb') as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def unfinished_session(path: Path) -> str | None:
    """Return the session that an unfinished bag was begun in, None if it holds no message yet."""
    for file in path.glob('*.mcap'):
        with contextlib.suppress(BagError):
            record = own_record(file)
            if record:
                return record.get('session')
    return None


def contract_for(info: BagInfo, given: Contract | None) -> Contract:
    """Return the contract to read a bag with: its own if it carries one, else the given one.

    Of a bag with two arms it is that of the arm in whose frame the given contract is, and without
    one that of the giver.

    Raise `ContractError` if the two are of different interfaces, `BagError` if there is none.
    """
    return _origin(info, given)[1]


def _origin(info: BagInfo, given: Contract | None) -> tuple[EpisodeMetadata, Contract, bool]:
    """Return metadata and contract of a bag, and whether this package recorded it."""
    custom = info.custom
    if info.counts is None and info.storage == 'mcap':
        custom = own_record(info.files[0])  # a copy of custom_data
    if 'schema' in custom:
        metadata, own = read_custom_data(custom, info.path)
        if given is not None:
            partner = partner_contract(custom, info.path)
            if partner is not None and given.interface.base_frame == partner.interface.base_frame:
                own = partner
            own = replace(own, interface=with_continuous(own.interface, given.interface))
            require_same_interface(given.interface, own.interface, str(info.path))
        return metadata, own, True  # its topics are those of the robot that recorded
    if given is None:
        raise BagError(f'{info.path} carries no contract, since another program recorded it; give '
                       f'one with --contract')
    session = info.path.resolve().parent.name
    return EpisodeMetadata(session, 0, '', None, 'ros2 bag record'), given, False


def _event(path: Path, raw: RawMessage) -> Mapping[str, Any]:
    text = deserialise(path, raw).data
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise BagError(f'{path}: an event is not JSON: {shown(text)}') from err
    if not isinstance(event, dict):
        raise BagError(f'{path}: expected a mapping as an event, got {shown(text)}')
    return event


def _decompressed(info: BagInfo, message: RawMessage,
                  decompressor: zstandard.ZstdDecompressor) -> RawMessage:
    try:
        return message._replace(data=decompressor.decompress(message.data))
    except (zstandard.ZstdError, MemoryError) as err:
        raise BagError(f'{info.path}: a compressed message on {message.topic} at '
                       f'{message.receive_ns} ns is damaged: {err}') from err
