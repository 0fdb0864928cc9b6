# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pieces of a bag: the episodes that it is cut into, and the remainders that belong to none.

All times are receive times of the bag in ns.
"""

from dataclasses import dataclass

from uncloning_ros.demos.bags.labels import Label

# Pause (ns) of the teacher's commands: an episode begins after the last one and holds none.
PAUSE_NS = 300_000_000


@dataclass(frozen=True)
class Piece:
    """One episode of a bag: its number, from 1, and its first and last receive time in ns.

    `labels` are those that a person gave it on the event topic.
    """

    number: int
    begin_ns: int
    end_ns: int
    planned_mode: str | None = None
    labels: tuple[Label, ...] = ()

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the first and the last receive time."""
        return self.begin_ns, self.end_ns

    def name(self, bag_name: str) -> str:
        """Return the name of the episode."""
        return f'{bag_name}#{self.number}'


@dataclass(frozen=True)
class Remainder:
    """A stretch of a bag that belongs to no episode, and the reason."""

    begin_ns: int
    end_ns: int
    reason: str


@dataclass(frozen=True)
class Cut:
    """The episodes of one bag and its remainders; together they cover all of it."""

    pieces: tuple[Piece, ...]
    remainders: tuple[Remainder, ...]


@dataclass(frozen=True)
class LeftOut:
    """One episode, or bag, that is not used, and the reason."""

    name: str
    reason: str
