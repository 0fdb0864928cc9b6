# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episodes there are: whole bags, or the pieces that bags are cut into."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bag import Episode
from uncloning_ros.demos.bag_cutting import Cutting, cut_bag
from uncloning_ros.demos.bag_info import find_bags
from uncloning_ros.demos.bag_reader import episode_digest, read_episode
from uncloning_ros.demos.cutting import Cut, Piece
from uncloning_ros.errors import DatasetError
from uncloning_ros.processes import in_order


@dataclass(frozen=True)
class Reading:
    """How bags are read: a contract where they carry none, other topics by key, how to cut."""

    contract: Contract | None = None
    topics: Mapping[str, str] = field(default_factory=dict)
    cutting: Cutting | None = None


@dataclass(frozen=True)
class Take:
    """One episode to be: a bag or a piece of it, with the name by which people know it."""

    path: Path
    name: str
    piece: Piece | None = None

    @property
    def labelled_path(self) -> Path:
        """Return the path beside which its labels lie: the path of the episode that it is."""
        name = self.path.name
        return self.path if self.piece is None else self.path.with_name(self.piece.name(name))

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Return the first and the last receive time of a piece, None for a whole bag."""
        return None if self.piece is None else self.piece.span_ns

    def read(self, reading: Reading) -> Episode:
        """Read and decode it; raise as `read_episode` does."""
        return read_episode(self.path, reading.contract, reading.topics, self.piece)


def find_takes(sources: Sequence[Path], reading: Reading,
               workers: int = 1) -> tuple[list[Take], list[str]]:
    """Return the episodes at `sources`, bags or folders of bags, and the names of unfinished bags.

    Raise `DatasetError` if there is no episode, and as `cut_bag` does.
    """
    paths, unfinished = find_bags(sources)
    takes = [Take(path, name) for path, name in zip(paths, names_of(paths), strict=True)]
    if reading.cutting is not None:
        cuts = in_order(partial(_cut, reading), paths, workers, 'cutting', DatasetError)
        takes = [Take(take.path, piece.name(take.name), piece)
                 for take, cut in zip(takes, cuts, strict=True) for piece in cut.pieces]
    if not takes:
        raise DatasetError(f'{", ".join(map(str, sources))} holds no episode; record some, or '
                           f'make some with uncloning demos')
    return takes, [path.name for path in unfinished]


def digests_of(takes: Sequence[Take]) -> list[str]:
    """Return the sha256 of each episode: that of its bag, and of its span if it is a piece."""
    bags = {path: episode_digest(path) for path in dict.fromkeys(take.path for take in takes)}
    return [bags[take.path] if take.piece is None else hashlib.sha256(
        f'{bags[take.path]} {take.piece.begin_ns} {take.piece.end_ns}'.encode()).hexdigest()
        for take in takes]


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each bag: its own, with its folder's where two are alike, or its path."""
    own = [path.name for path in paths]
    with_folder = [f'{path.resolve().parent.name}/{path.name}' for path in paths]
    for names in (own, with_folder):
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _cut(reading: Reading, path: Path) -> Cut:
    assert reading.cutting is not None
    return cut_bag(path, reading.contract, reading.topics, reading.cutting)
