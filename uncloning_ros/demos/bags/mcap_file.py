# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walk through an MCAP file (https://mcap.dev/spec), every checksum that it has checked.

The mcap library does so too, but parses the index of every chunk for it, which takes as long as
all the rest. Records are parsed by the library where there are few of them.
"""

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, Metadata, Schema

from uncloning_ros.demos.bags.episode import OWN_RECORD
from uncloning_ros.demos.bags.info import COMPRESSED
from uncloning_ros.errors import BagError

RECORD = struct.Struct('<BQ')  # opcode and length, before every record

_MAGIC = b'\x89MCAP0\r\n'
# What is raised on bytes that are not what they should be; by lz4 a RuntimeError.
_DAMAGE = (McapError, zstandard.ZstdError, struct.error, ValueError, KeyError, OverflowError,
           MemoryError, RuntimeError)
_FOOTER = struct.Struct('<QQI')  # where the summary begins, its offsets, and its checksum
_LONGEST_RECORD = 2**30  # of a compressed file; in others none is longer than the file
_PARSERS: dict[int, Any] = {Opcode.SCHEMA: Schema, Opcode.CHANNEL: Channel,
                            Opcode.CHUNK: Chunk, Opcode.METADATA: Metadata}


def records(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of the records of a file, a chunk being one.

    Raise `BagError` if it is truncated or damaged.
    """
    with damage_told(file), _opened(file) as (stream, longest):
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ValueError('it does not begin as an MCAP file')
        checksum = zlib.crc32(_MAGIC)
        opcode = 0
        while opcode != Opcode.FOOTER:
            head = stream.read(RECORD.size)
            if len(head) != RECORD.size:
                raise ValueError('it has no footer')
            opcode, length = RECORD.unpack(head)
            content = stream.read(length) if length <= longest else b''
            if len(content) != length:
                raise ValueError(f'a record of {length} bytes is not all there')
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


def parse(opcode: int, content: bytes) -> Any:
    """Return a schema, channel, chunk or metadata record, None for others."""
    parser = _PARSERS.get(opcode)
    return None if parser is None else parser.read(ReadDataStream(io.BytesIO(content)))


def own_record(file: Path) -> dict[str, str]:
    """Return what this package wrote at the beginning of a file, {} if another program made it."""
    with damage_told(file):
        for opcode, content in records(file):
            if opcode == Opcode.METADATA:
                metadata = parse(opcode, content)
                if metadata.name == OWN_RECORD:
                    return dict(metadata.metadata)
            if opcode in (Opcode.CHUNK, Opcode.MESSAGE):
                break
    return {}


def summary_of(file: Path) -> list[Any]:
    """Return the schemas and channels that a file's summary names, none if it has no summary."""
    if file.suffix == COMPRESSED:
        return []
    with damage_told(file), _opened(file) as (stream, _):
        summary = make_reader(stream).get_summary()
    if summary is None:
        return []
    return [*summary.schemas.values(), *summary.channels.values()]


@contextlib.contextmanager
def damage_told(file: Path) -> Iterator[None]:
    """Turn what damage raises into a `BagError` that names the file."""
    try:
        yield
    except OSError as err:
        raise BagError(f'cannot read {file}: {err.strerror or err}') from err
    except _DAMAGE as err:
        raise BagError(f'{file} is truncated or damaged ({type(err).__name__}: {err}); '
                       f'leave it out or recover it with the mcap tool') from err


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file, through its compression if it has one; give the length of a record at most."""
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(file.open('rb'))
        if file.suffix != COMPRESSED:
            yield stream, os.fstat(stream.fileno()).st_size
            return
        plain = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        yield stack.enter_context(io.BufferedReader(plain, 2**20)), _LONGEST_RECORD


def _require(checksum: int, expected: int, section: str) -> None:
    # 0 says that whoever wrote the file computed none.
    if expected not in (0, checksum):
        raise ValueError(f'the checksum of its {section} section is {checksum}, expected '
                         f'{expected}')
