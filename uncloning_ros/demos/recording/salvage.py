# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be read of an MCAP file that was never closed: its whole, undamaged chunks.

A reader trusts the summary at the end of a file, which a crash never wrote. Here the records are
walked one after another up to the first that is cut off (https://mcap.dev/spec: one byte of
opcode, eight of length, the body).
"""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import breakup_chunk

# What the library raises on bytes that are not what they should be.
_DAMAGE = (McapError, struct.error, ValueError, KeyError, OverflowError, MemoryError,
           RuntimeError)
_MAGIC_BYTES = 8
_RECORD = struct.Struct('<BQ')
# Before the messages of a chunk: start, end, size, checksum, the length of its compression's name.
_CHUNK_HEAD = struct.Struct('<QQQII')


@dataclass
class Remains:
    """What was found in a file, complete once its records were walked to the end.

    `closed` tells that the file has its end mark, `torn_bytes` and `torn_messages` what lies
    behind the last whole record, `damaged_chunks` how many had another checksum than they say.
    """

    closed: bool = False
    torn_bytes: int = 0
    torn_messages: int = 0
    damaged_chunks: int = 0


def salvaged(file: Path, remains: Remains) -> Iterator[Schema | Channel | Message]:
    """Yield every schema, channel and message of the undamaged chunks, in the file's order."""
    with file.open('rb') as stream:
        size = os.fstat(stream.fileno()).st_size
        at = min(_MAGIC_BYTES, size)
        stream.seek(at)
        while at < size:
            head = stream.read(_RECORD.size)
            length = _RECORD.unpack(head)[1] if len(head) == _RECORD.size else size
            if at + _RECORD.size + length > size:
                break
            opcode = head[0]
            if opcode == Opcode.CHUNK:
                yield from _chunk(stream.read(length), remains)
            else:
                remains.closed = remains.closed or opcode == Opcode.FOOTER
                stream.seek(length, os.SEEK_CUR)
            at += _RECORD.size + length
            if remains.closed:
                return
        remains.torn_bytes = size - at
        remains.torn_messages = _torn_messages(stream, at, size)


def _chunk(body: bytes, remains: Remains) -> Iterator[Schema | Channel | Message]:
    try:
        chunk = Chunk.read(ReadDataStream(io.BytesIO(body)))
        records = breakup_chunk(chunk, validate_crc=True)
    except _DAMAGE:
        remains.damaged_chunks += 1
        return
    for record in records:
        if isinstance(record, (Schema, Channel, Message)):
            yield record


def _torn_messages(stream: BinaryIO, at: int, size: int) -> int:
    """Count the whole messages in a chunk that was cut off: nothing vouches for them."""
    stream.seek(at)
    data = stream.read(size - at)
    begin = _RECORD.size
    if not data or data[0] != Opcode.CHUNK or len(data) < begin + _CHUNK_HEAD.size:
        return 0
    begin += _CHUNK_HEAD.size + _CHUNK_HEAD.unpack_from(data, begin)[4] + 8
    count = 0
    while begin + _RECORD.size <= len(data):
        opcode, length = _RECORD.unpack_from(data, begin)
        begin += _RECORD.size + length
        count += opcode == Opcode.MESSAGE and begin <= len(data)
    return count
