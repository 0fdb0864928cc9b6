# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read MCAP files (https://mcap.dev/spec): closed ones strictly, cut-off ones chunk by chunk.

A closed file is walked once with every checksum checked. The mcap library does so too, but parses
the index of every chunk for it, which takes as long as all the rest. Records are parsed by the
library where there are few of them.

A file that was never closed has no summary, which readers trust. `salvaged()` walks its records up
to the first one that is cut off.
"""

import contextlib
import io
import os
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import breakup_chunk, get_chunk_data_stream

from uncloning_ros.demos.bags.episode import OWN_RECORD
from uncloning_ros.demos.bags.foreign import foreign_kind
from uncloning_ros.demos.bags.info import COMPRESSED
from uncloning_ros.demos.bags.messages import EVER, BagContents, Query, RawMessage, require_cdr
from uncloning_ros.errors import BagError, ForeignBagError
from uncloning_ros.files import disk_errors

_MAGIC = b'\x89MCAP0\r\n'
_RECORD = struct.Struct('<BQ')  # before every record: opcode, length
_FOOTER = struct.Struct('<QQI')  # start of the summary, start of its offsets, its checksum
_MESSAGE = struct.Struct('<HIQQ')  # before the data: channel, sequence, log time, publish time
# Before the messages of a chunk: start, end, size, checksum, length of its compression's name.
_CHUNK_HEAD = struct.Struct('<QQQII')
# Raised on damaged bytes: by lz4 a RuntimeError.
_DAMAGE = (McapError, zstandard.ZstdError, struct.error, ValueError, KeyError, OverflowError,
           MemoryError, RuntimeError)
# Longest record (bytes) of a compressed file; in other files none is longer than the file.
_LONGEST_RECORD = 2**30
_PARSERS: dict[int, Any] = {Opcode.SCHEMA: Schema, Opcode.CHANNEL: Channel,
                            Opcode.CHUNK: Chunk, Opcode.METADATA: Metadata}


def mcap_batches(file: Path, query: Query, contents: BagContents) -> Iterator[list[RawMessage]]:
    """Yield the messages that answer a query, chunk by chunk, in the order of the file.

    Raise `BagError` if the file is truncated or damaged, or if its messages are not CDR.
    """
    walk = _Walk(file, query)
    with _damage_errors(file):
        yield from walk.batches()
    if walk.channels and all(one.message_encoding != 'cdr' for one in walk.channels.values()):
        other = next(iter(walk.channels.values()))  # without ROS messages topics tell nothing
        require_cdr(file, other.topic, other.message_encoding)
    for channel in walk.channels.values():
        contents.types.setdefault(channel.topic, walk.type_of(channel))
        contents.counts[channel.topic] += walk.counts[channel.id]


def own_record(file: Path) -> dict[str, str]:
    """Return the metadata record of this package, {} if another program made the file."""
    with _damage_errors(file):
        for opcode, content in _records(file):
            if opcode == Opcode.METADATA:
                metadata = _parsed(opcode, content)
                if metadata.name == OWN_RECORD:
                    return dict(metadata.metadata)
            if opcode in (Opcode.CHUNK, Opcode.MESSAGE):
                break
    return {}


@dataclass
class Salvage:
    """The state of a file that was perhaps never closed; complete once its records were walked.

    `closed` tells that the file has its end mark, `cut_bytes` and `cut_messages` count bytes and
    messages behind the last whole record, `damaged_chunks` those whose checksum does not fit.
    """

    closed: bool = False
    cut_bytes: int = 0
    cut_messages: int = 0
    damaged_chunks: int = 0


def salvaged(file: Path, state: Salvage) -> Iterator[Schema | Channel | Message]:
    """Yield every schema, channel and message of the undamaged chunks, in the file's order."""
    with file.open('rb') as stream:
        size = os.fstat(stream.fileno()).st_size
        at = stream.seek(min(len(_MAGIC), size))
        while at < size and not state.closed:
            try:
                opcode, _, content = _next_record(stream, size)
            except ValueError:
                stream.seek(at)
                state.cut_bytes = size - at
                state.cut_messages = _whole_messages(stream.read())
                return
            if opcode == Opcode.CHUNK:
                yield from _undamaged(content, state)
            state.closed = opcode == Opcode.FOOTER
            at = stream.tell()


def _undamaged(content: bytes, state: Salvage) -> Iterator[Schema | Channel | Message]:
    try:
        records = breakup_chunk(_parsed(Opcode.CHUNK, content), validate_crc=True)
    except _DAMAGE:
        state.damaged_chunks += 1
        return
    for record in records:
        if isinstance(record, (Schema, Channel, Message)):
            yield record


def _whole_messages(data: bytes) -> int:
    """Count the whole messages in a chunk that was cut off; no checksum vouches for them."""
    at = _RECORD.size
    if len(data) < at + _CHUNK_HEAD.size or data[0] != Opcode.CHUNK:
        return 0
    at += _CHUNK_HEAD.size + _CHUNK_HEAD.unpack_from(data, at)[4] + 8
    count = 0
    while at + _RECORD.size <= len(data):
        opcode, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size + length
        count += opcode == Opcode.MESSAGE and at <= len(data)
    return count


class _Walk:
    """One walk through a closed file; remembers the schemas and channels that it meets."""

    def __init__(self, file: Path, query: Query) -> None:
        self._file, self._query = file, query
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, Channel] = {}
        self.counts: Counter[int] = Counter()  # by channel
        # Topic, type and span of the messages to yield, by channel; None: not in the query.
        self._asked: dict[int, tuple[str, str, int, int] | None] = {}

    def type_of(self, channel: Channel) -> str:
        return self.schemas.get(channel.schema_id, '')

    def batches(self) -> Iterator[list[RawMessage]]:
        # A chunk that is left out may hold channels that later ones refer to.
        skipping = self._query.span != EVER and self._knows_its_channels()
        for opcode, content in _records(self._file):
            if opcode == Opcode.CHUNK:
                chunk = _parsed(opcode, content)
                if not (skipping and self._is_beside(chunk)):
                    stream, length = get_chunk_data_stream(chunk, validate_crc=True)
                    yield self._messages_of(stream.read(length))
            elif opcode == Opcode.MESSAGE:
                yield self._messages_of(_RECORD.pack(opcode, len(content)) + content)
            else:
                self._remember(_parsed(opcode, content))

    def _is_beside(self, chunk: Chunk) -> bool:
        """Tell whether a chunk lies outside of the query's span."""
        first_ns, last_ns = self._query.span
        return chunk.message_start_time > last_ns or (
            chunk.message_end_time < first_ns and not self._query.from_the_start)

    def _messages_of(self, data: bytes) -> list[RawMessage]:
        """Return the messages among the records in `data` that answer the query."""
        found, at, end = [], 0, len(data)
        counts, asked_by = self.counts, self._asked
        while at < end:
            opcode, length = _RECORD.unpack_from(data, at)
            begin = at + 9
            at = begin + length
            if at > end:
                raise ValueError(f'a record of {length} bytes in a chunk of {end}')
            if opcode == Opcode.MESSAGE:
                channel_id, _, receive_ns, _ = _MESSAGE.unpack_from(data, begin)
                if receive_ns > EVER[1]:
                    raise ValueError(f'a message was logged at {receive_ns} ns')
                counts[channel_id] += 1
                asked = (asked_by[channel_id] if channel_id in asked_by
                         else self._meet(channel_id))
                if asked is not None and asked[2] <= receive_ns <= asked[3]:
                    found.append(RawMessage(asked[0], asked[1], receive_ns, data[begin + 22:at]))
            else:
                self._remember(_parsed(opcode, data[begin:at]))
        return found

    def _remember(self, record: Any) -> None:
        if isinstance(record, Schema):
            self.schemas[record.id] = record.name
        elif isinstance(record, Channel):
            self.channels[record.id] = record

    def _meet(self, channel_id: int) -> tuple[str, str, int, int] | None:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise BagError(f'{self._file} is damaged: a message comes before its channel')
        asked = None
        if channel.topic in self._query.topics:
            require_cdr(self._file, channel.topic, channel.message_encoding)
            asked = (channel.topic, self.type_of(channel), *self._query.span_of(channel.topic))
        self._asked[channel_id] = asked
        return asked

    def _knows_its_channels(self) -> bool:
        """Learn the channels from the summary at the file's end; tell whether it has them."""
        if self._file.suffix == COMPRESSED:
            return False
        with _opened(self._file) as (stream, _):
            summary = make_reader(stream).get_summary()
        if summary is None:
            return False
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._remember(record)
        return bool(summary.channels)


def _records(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of the records of a closed file, a chunk being one record.

    Raise `OSError` or one of `_DAMAGE` if the file is truncated or damaged.
    """
    with _opened(file) as (stream, longest):
        if stream.read(len(_MAGIC)) != _MAGIC:
            if (kind := foreign_kind(file)) is not None:
                raise ForeignBagError(f'{file}: expected an MCAP file, got {kind.of(file)}')
            raise ValueError('it does not begin as an MCAP file')
        checksum = zlib.crc32(_MAGIC)
        opcode = 0
        while opcode != Opcode.FOOTER:
            opcode, head, content = _next_record(stream, longest)
            if opcode == Opcode.DATA_END:
                _require(checksum, struct.unpack_from('<I', content)[0], 'data')
                checksum = 0  # that of the summary begins here
            elif opcode == Opcode.FOOTER:
                *_, expected = _FOOTER.unpack(content)
                _require(zlib.crc32(content[:16], zlib.crc32(head, checksum)), expected, 'summary')
                if stream.read(len(_MAGIC)) != _MAGIC:
                    raise ValueError('it does not end as an MCAP file')
            else:
                checksum = zlib.crc32(content, zlib.crc32(head, checksum))
            yield opcode, content


def _next_record(stream: BinaryIO, longest: int) -> tuple[int, bytes, bytes]:
    """Return opcode, head and content of the next record; raise ValueError if it is cut off."""
    head = stream.read(_RECORD.size)
    if len(head) != _RECORD.size:
        raise ValueError('it has no footer')
    opcode, length = _RECORD.unpack(head)
    content = stream.read(length) if length <= longest else b''
    if len(content) != length:
        raise ValueError(f'a record of {length} bytes is not all there')
    return opcode, head, content


def _parsed(opcode: int, content: bytes) -> Any:
    """Return a schema, channel, chunk or metadata record, None for others."""
    parser = _PARSERS.get(opcode)
    return None if parser is None else parser.read(ReadDataStream(io.BytesIO(content)))


@contextlib.contextmanager
def _damage_errors(file: Path) -> Iterator[None]:
    """Turn errors of reading and decoding into a `BagError` that names the file."""
    with disk_errors(f'cannot read {file}', BagError):
        try:
            yield
        except _DAMAGE as err:
            raise BagError(f'{file} is truncated or damaged ({type(err).__name__}: {err}); '
                           f'leave it out or recover it with the mcap tool') from err


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, through its compression if it has one; give its longest possible record."""
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(file.open('rb'))
        if file.suffix != COMPRESSED:
            yield stream, os.fstat(stream.fileno()).st_size
            return
        plain = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        yield stack.enter_context(io.BufferedReader(plain, 2**20)), _LONGEST_RECORD


def _require(checksum: int, expected: int, section: str) -> None:
    if expected not in (0, checksum):  # 0: the writer computed none
        raise ValueError(f'expected checksum {expected} of its {section} section, got {checksum}')
