# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one MCAP file (https://mcap.dev/spec), every checksum that it has checked.

The mcap library walks through the file and checks it; the messages within a chunk are taken
apart here, which is several times as fast as its records.
"""

import contextlib
import io
import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Footer, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk, get_chunk_data_stream

from uncloning_ros.demos.bag import OWN_RECORD
from uncloning_ros.demos.bag_info import COMPRESSED
from uncloning_ros.demos.raw import EVER, Query, RawMessage, Tally, require_cdr
from uncloning_ros.errors import BagError

# What the MCAP reader raises on bytes that are not what they should be; lz4 a RuntimeError.
_DAMAGE = (McapError, zstandard.ZstdError, struct.error, ValueError, KeyError, OverflowError,
           MemoryError, RuntimeError)
_RECORD = struct.Struct('<BQ')  # opcode and length, before every record
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time; then the data
_LARGEST_RECORD = 2**30  # of a compressed file; in others none is longer than the file


def mcap_records(file: Path) -> Iterator[Any]:
    """Yield the records of a file, chunks as a whole; every checksum that it has is checked.

    Raise `BagError` if it is truncated or damaged.
    """
    footer = False
    with _damage_told(file), _opened(file) as (stream, longest):
        for record in StreamReader(stream, emit_chunks=True, validate_crcs=True,
                                   record_size_limit=longest).records:
            footer = footer or isinstance(record, Footer)
            yield record
    if not footer:
        raise BagError(f'{file} is truncated, it has no footer')


def mcap_messages(file: Path, query: Query, tally: Tally) -> Iterator[RawMessage]:
    """Yield the messages of a file that are asked for, in the order of the file.

    Raise `BagError` if it is truncated or damaged, or if they are not CDR.
    """
    with _damage_told(file):
        walk = _Walk(file, query)
        yield from walk.messages()
        for channel in walk.channels.values():
            tally.types.setdefault(channel.topic, walk.type_of(channel))
            tally.counts[channel.topic] += walk.counts[channel.id]


def own_record(file: Path) -> dict[str, str]:
    """Return what this package wrote at the beginning of a file, {} if another program made it."""
    for record in mcap_records(file):
        if isinstance(record, Metadata) and record.name == OWN_RECORD:
            return dict(record.metadata)
        if isinstance(record, (Chunk, Message)):
            break
    return {}


class _Walk:
    """One walk through a file: it remembers the schemas and channels that it meets."""

    def __init__(self, file: Path, query: Query) -> None:
        self._file, self._query = file, query
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, Channel] = {}
        self.counts: Counter[int] = Counter()  # by channel
        # Topic, type and span of what is asked for, by channel; None: not asked for.
        self._asked: dict[int, tuple[str, str, int, int] | None] = {}

    def type_of(self, channel: Channel) -> str:
        return self.schemas.get(channel.schema_id, '')

    def messages(self) -> Iterator[RawMessage]:
        first_ns, last_ns = self._query.span
        # A chunk that is left out may hold channels that later ones refer to.
        skipping = self._query.span != EVER and self._knows_its_channels()
        for record in mcap_records(self._file):
            if isinstance(record, Chunk):
                if skipping and (record.message_start_time > last_ns
                                 or (record.message_end_time < first_ns
                                     and not self._query.from_the_start)):
                    continue
                yield from self._messages_of(record)
            elif isinstance(record, Message):
                asked = self._meet(record.channel_id)
                self.counts[record.channel_id] += 1
                if asked is not None and asked[2] <= record.log_time <= asked[3]:
                    yield RawMessage(asked[0], asked[1], record.log_time, record.data)
            else:
                self._remember(record)

    def _messages_of(self, chunk: Chunk) -> Iterator[RawMessage]:
        stream, end = get_chunk_data_stream(chunk, validate_crc=True)
        data, at, counts, asked_by = stream.read(end), 0, self.counts, self._asked
        while at < end:
            opcode, length = _RECORD.unpack_from(data, at)
            begin = at + 9
            at = begin + length
            if at > end:
                raise ValueError(f'a record of {length} bytes in a chunk of {end}')
            if opcode == Opcode.MESSAGE:
                channel_id, _, receive_ns, _ = _MESSAGE.unpack_from(data, begin)
                counts[channel_id] += 1
                asked = (asked_by[channel_id] if channel_id in asked_by
                         else self._meet(channel_id))
                if asked is not None and asked[2] <= receive_ns <= asked[3]:
                    yield RawMessage(asked[0], asked[1], receive_ns, data[begin + 22:at])
            else:
                for record in breakup_chunk(_chunk_of(data[begin - 9:at])):
                    self._remember(record)

    def _remember(self, record: Any) -> None:
        if isinstance(record, Schema):
            self.schemas[record.id] = record.name
        elif isinstance(record, Channel):
            self.channels[record.id] = record

    def _meet(self, channel_id: int) -> tuple[str, str, int, int] | None:
        if channel_id not in self._asked:
            channel = self.channels.get(channel_id)
            if channel is None:
                raise ValueError('a message comes before its channel')
            asked = None
            if channel.topic in self._query.topics:
                require_cdr(self._file, channel.topic, channel.message_encoding)
                asked = (channel.topic, self.type_of(channel),
                         *self._query.span_of(channel.topic))
            self._asked[channel_id] = asked
        return self._asked[channel_id]

    def _knows_its_channels(self) -> bool:
        """Learn the channels from the summary at the file's end; tell whether there is one."""
        if self._file.suffix == COMPRESSED:
            return False
        with _opened(self._file) as (stream, _):
            summary = make_reader(stream, validate_crcs=True).get_summary()
        if summary is None or not summary.channels:
            return False
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._remember(record)
        return True


def _chunk_of(data: bytes) -> Chunk:
    """Return a chunk that holds nothing but these bytes, for the mcap library to take apart."""
    return Chunk('', data, 0, 0, 0, len(data))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, through its compression if it has one; give the length of a record at most."""
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(file.open('rb'))
        if file.suffix != COMPRESSED:
            yield stream, max(1, os.fstat(stream.fileno()).st_size)
            return
        raw = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        yield stack.enter_context(io.BufferedReader(raw, 2**20)), _LARGEST_RECORD


@contextlib.contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    except _DAMAGE as err:
        raise BagError(f'{file} is truncated or damaged ({type(err).__name__}: {err}); '
                       f'leave it out or recover it with the mcap tool') from err
