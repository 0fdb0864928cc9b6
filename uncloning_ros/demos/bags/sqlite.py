# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read messages of one SQLite file of rosbag2, the default storage of ROS 2 before Iron.

These columns of its tables are read, which all versions have:

    topics    id, name, type, serialization_format
    messages  id, topic_id, timestamp, data
"""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import quote

import zstandard

from uncloning_ros.demos.bags.foreign import foreign_kind
from uncloning_ros.demos.bags.info import COMPRESSED
from uncloning_ros.demos.bags.messages import EVER, BagContents, Query, RawMessage, require_cdr
from uncloning_ros.errors import BagError, ForeignBagError, shown
from uncloning_ros.files import disk_errors

_LEAST, _MOST = -2**63, 2**63 - 1  # whole numbers of SQLite
_BATCH = 256  # messages at a time


def sqlite_batches(file: Path, query: Query, contents: BagContents) -> Iterator[list[RawMessage]]:
    """Yield the messages that answer a query, in batches, in the order of the file's rows.

    Raise `BagError` if the file is damaged, or if its messages are not CDR. SQLite checks its
    tables, but has no checksums: a flipped bit in a message goes unnoticed unless the message no
    longer decodes.
    """
    with _opened(file) as database:
        if query.span == EVER:
            (found,) = database.execute('PRAGMA quick_check(1)').fetchone()
            if found != 'ok':
                raise BagError(f'{file} is damaged: {" ".join(str(found).split())}')
        asked: dict[int, tuple[str, str]] = {}
        names: dict[int, str] = {}
        for topic_id, topic, type_name, encoding in database.execute(
                'SELECT id, name, type, serialization_format FROM topics'):
            if not isinstance(topic, str) or not isinstance(type_name, str):
                raise BagError(f'{file} is damaged: a topic is called {shown(topic)}, of type '
                               f'{shown(type_name)}')
            names[topic_id] = topic
            contents.types.setdefault(topic, type_name)
            if topic in query.topics:
                require_cdr(file, topic, encoding)
                asked[topic_id] = (topic, type_name)
        for topic_id, count in database.execute(
                'SELECT topic_id, count(*) FROM messages GROUP BY topic_id'):
            if topic_id not in names:
                raise BagError(f'{file} is damaged: {count} of its messages belong to no topic')
            contents.counts[names[topic_id]] += count
        early = [topic_id for topic_id, (topic, _) in asked.items()
                 if topic in query.from_the_start]
        first_ns = max(_LEAST, query.span[0])
        # The order of the index of timestamps would hide a step back; the plus avoids that index,
        # so that SQLite need not sort all of a bag.
        plus = '+' if query.span == EVER else ''
        rows = database.execute(
            f'SELECT topic_id, timestamp, data FROM messages '  # noqa: S608 (question marks)
            f'WHERE topic_id IN ({_marks(asked)}) AND {plus}timestamp BETWEEN ? AND ? '
            f'AND (timestamp >= ? OR topic_id IN ({_marks(early)})) ORDER BY messages.rowid',
            (*asked, _LEAST if early else first_ns, min(_MOST, query.span[1]), first_ns, *early))
        while batch := rows.fetchmany(_BATCH):
            for _, receive_ns, data in batch:
                if not isinstance(receive_ns, int) or not isinstance(data, bytes):
                    raise BagError(f'{file} is damaged: a message has the time '
                                   f'{shown(receive_ns)} and {type(data).__name__} as its data')
            yield [RawMessage(*asked[topic_id], receive_ns, data)
                   for topic_id, receive_ns, data in batch]


def _marks(values: Collection[int]) -> str:
    """Return the question marks of a statement for some values."""
    return ','.join('?' * len(values))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a file for reading alone, decompressed to a temporary one if need be."""
    with disk_errors(f'cannot read {file}', BagError), contextlib.ExitStack() as stack:
        try:
            plain = file
            if file.suffix == COMPRESSED:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='uncloning_'))
                plain = Path(folder) / file.stem
                with file.open('rb') as source, plain.open('wb') as target:
                    reader = zstandard.ZstdDecompressor().stream_reader(
                        source, read_across_frames=True)
                    shutil.copyfileobj(reader, target, 2**20)
            elif not file.is_file():
                raise BagError(f'cannot read {file}: No such file or directory')
            _require_closed(plain)
            _require_whole(plain)
            database = sqlite3.connect(f'file:{quote(str(plain))}?immutable=1', uri=True)
            stack.callback(database.close)
            yield database
        # An error of SQLite may name a damaged table by bytes that are not text.
        except (sqlite3.Error, UnicodeDecodeError, zstandard.ZstdError, OverflowError,
                MemoryError) as err:
            raise BagError(f'{file} is truncated or damaged, or not a bag '
                           f'({type(err).__name__}: {err}); leave it out') from err


def _require_whole(file: Path) -> None:
    """Refuse a file shorter than its header says: SQLite would read the missing bytes as zeros.

    The header is described at https://www.sqlite.org/fileformat.html, section 1.3.
    """
    with file.open('rb') as stream:
        header = stream.read(100)
    if not header.startswith(b'SQLite format 3\0'):
        if (kind := foreign_kind(file)) is not None:
            raise ForeignBagError(f'{file}: expected a SQLite file, got {kind.of(file)}')
        raise BagError(f'{file} is damaged, or not a SQLite file: it does not begin as one; leave '
                       f'it out')
    if len(header) == 100:
        page_bytes, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
        expected = pages * (65536 if page_bytes == 1 else page_bytes)
        if file.stat().st_size < expected:
            raise BagError(f'{file} is truncated: expected {expected} bytes, got '
                           f'{file.stat().st_size}')


def _require_closed(file: Path) -> None:
    """Refuse a file whose newest messages still lie in a journal beside it."""
    for suffix in ('-wal', '-journal'):
        journal = file.with_name(file.name + suffix)
        if journal.is_file() and journal.stat().st_size:
            raise BagError(f'{file} was not closed: messages lie in {journal.name} beside it; '
                           f'open it once with sqlite3, which puts them in place')
