# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries to a bag's storage, and the raw messages that it returns."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import NamedTuple

from uncloning_ros.demos.bags.foreign import remedy_for_encoding
from uncloning_ros.errors import DatasetError, ForeignBagError, shown

Span = tuple[int, int]  # first and last receive time in ns, both included
EVER: Span = (-2**63, 2**63 - 1)
_LONGEST_S = 24 * 3600.0  # length of a recording (s): a longer one had its clock set meanwhile


class RawMessage(NamedTuple):
    """One message as it lies in a bag; `receive_ns` is when the recorder received it."""

    topic: str
    type: str
    receive_ns: int
    data: bytes


@dataclass(frozen=True)
class Query:
    """Ask for the messages of `topics` within `span`.

    Topics in `from_the_start` are read from the bag's start to the span's end, since an old
    message on a latched topic still holds.
    """

    topics: Set[str]
    span: Span = EVER
    from_the_start: Set[str] = frozenset()

    def span_of(self, topic: str) -> Span:
        """Return the span in which the messages of one of the topics are read."""
        return (EVER[0], self.span[1]) if topic in self.from_the_start else self.span


@dataclass
class BagContents:
    """Message types and message counts by topic, as far as a bag was read."""

    types: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def require_one_clock(first_ns: int, last_ns: int) -> None:
    """Raise `DatasetError` if two receive times are too far apart for one recording."""
    length_s = (last_ns - first_ns) * 1e-9
    if length_s > _LONGEST_S:
        raise DatasetError(f'expected a recording of at most {_LONGEST_S:g} s, got '
                           f'{length_s:.0f} s; the clock of the recorder jumped meanwhile')


def require_cdr(file: object, topic: str, encoding: str) -> None:
    """Raise `ForeignBagError` if the messages of a topic are not serialised as CDR."""
    if encoding != 'cdr':
        raise ForeignBagError(f'{file}: expected messages in cdr on {topic}, got '
                              f'{shown(encoding)}; '
                              f'{remedy_for_encoding(encoding)}')
