# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one MCAP file."""

import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema
from mcap.stream_reader import get_chunk_data_stream

from uncloning_ros.demos.bags.mcap_file import RECORD, damage_told, parse, records, summary_of
from uncloning_ros.demos.bags.messages import EVER, Query, RawMessage, Tally, require_cdr
from uncloning_ros.errors import BagError

_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time; then the data


def mcap_batches(file: Path, query: Query, tally: Tally) -> Iterator[list[RawMessage]]:
    """Yield the messages of a file that are asked for, chunk by chunk, in the order of the file.

    Raise `BagError` if it is truncated or damaged, or if they are not CDR.
    """
    walk = _Walk(file, query)
    with damage_told(file):
        yield from walk.batches()
    for channel in walk.channels.values():
        tally.types.setdefault(channel.topic, walk.type_of(channel))
        tally.counts[channel.topic] += walk.counts[channel.id]


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

    def batches(self) -> Iterator[list[RawMessage]]:
        # A chunk that is left out may hold channels that later ones refer to.
        skipping = self._query.span != EVER and self._knows_its_channels()
        for opcode, content in records(self._file):
            if opcode == Opcode.CHUNK:
                chunk = parse(opcode, content)
                if not (skipping and self._is_beside(chunk)):
                    stream, length = get_chunk_data_stream(chunk, validate_crc=True)
                    yield self._messages_of(stream.read(length))
            elif opcode == Opcode.MESSAGE:
                yield self._messages_of(RECORD.pack(opcode, len(content)) + content)
            else:
                self._remember(parse(opcode, content))

    def _is_beside(self, chunk: Chunk) -> bool:
        """Tell whether a chunk lies outside of the span that is asked for."""
        first_ns, last_ns = self._query.span
        return chunk.message_start_time > last_ns or (
            chunk.message_end_time < first_ns and not self._query.from_the_start)

    def _messages_of(self, data: bytes) -> list[RawMessage]:
        """Return what is asked for of the records in `data`."""
        found, at, end = [], 0, len(data)
        counts, asked_by = self.counts, self._asked
        while at < end:
            opcode, length = RECORD.unpack_from(data, at)
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
                self._remember(parse(opcode, data[begin:at]))
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
        known = summary_of(self._file)
        for record in known:
            self._remember(record)
        return any(isinstance(record, Channel) for record in known)
