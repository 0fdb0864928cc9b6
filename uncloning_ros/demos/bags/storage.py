# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Raw messages of any rosbag2 bag: MCAP or SQLite, split over files, compressed or not."""

from collections.abc import Iterator

import zstandard

from uncloning_ros.demos.bags.info import BagInfo
from uncloning_ros.demos.bags.mcap_storage import mcap_batches
from uncloning_ros.demos.bags.messages import EVER, Query, RawMessage, Tally
from uncloning_ros.demos.bags.sqlite import sqlite_batches
from uncloning_ros.errors import BagError

# rosbag2 may compress every message for itself. CDR never begins with these bytes.
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


def raw_messages(info: BagInfo, query: Query, tally: Tally) -> Iterator[RawMessage]:
    """Yield the messages of a bag that are asked for, file after file, not sorted by time.

    `tally` tells what was met; without a span that is the whole bag. Raise `BagError` for a file
    that is missing, truncated or damaged, for messages that are not CDR, and, once all of a bag
    was read, if its metadata.yaml counts otherwise.
    """
    read = mcap_batches if info.storage == 'mcap' else sqlite_batches
    decompressor = zstandard.ZstdDecompressor()
    for file in info.files:
        for batch in read(file, query, tally):
            for message in batch:
                if message.data.startswith(_ZSTD_MAGIC):
                    yield _decompressed(info, message, decompressor)
                else:
                    yield message
    if query.span == EVER:
        _require_counts(info, tally)


def _decompressed(info: BagInfo, message: RawMessage,
                  decompressor: zstandard.ZstdDecompressor) -> RawMessage:
    try:
        return message._replace(data=decompressor.decompress(message.data))
    except (zstandard.ZstdError, MemoryError) as err:
        raise BagError(f'{info.path}: a compressed message on {message.topic} at '
                       f'{message.receive_ns} ns is damaged: {err}') from err


def _require_counts(info: BagInfo, tally: Tally) -> None:
    if info.counts is None:
        return
    for name in sorted({*info.counts, *tally.counts}):
        if info.counts.get(name, 0) != tally.counts[name]:
            raise BagError(f'{info.path}: metadata.yaml counts {info.counts.get(name, 0)} '
                           f'messages on {name}, the file holds {tally.counts[name]}; the bag is '
                           f'damaged')
