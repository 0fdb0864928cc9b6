# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episodes there are: whole bags, or the pieces that bags are cut into."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from uncloning_ros.contract import Contract, Interface
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.info import find_bags, read_info
from uncloning_ros.demos.bags.labels import Label, iso_time, labels_path, read_labels
from uncloning_ros.demos.bags.pieces import Cut, LeftOut, Piece
from uncloning_ros.demos.bags.reader import (
    contract_for,
    episode_digest,
    read_episode,
    verify_episode,
)
from uncloning_ros.demos.episodes.cut_bag import Cutting, cut_bag
from uncloning_ros.errors import BagError, DatasetError, UncloningError
from uncloning_ros.processes import in_order


@dataclass(frozen=True)
class Reading:
    """How bags are read: a contract where they carry none, other topics by key, how to cut."""

    contract: Contract | None = None
    topics: Mapping[str, str] = field(default_factory=dict)
    cutting: Cutting | None = None


@dataclass(frozen=True)
class Take:
    """One episode to be: a bag or a piece of it, with the name by which people know it.

    `alone` tells that its bag holds no other episode.
    """

    path: Path
    name: str
    piece: Piece | None = None
    alone: bool = True

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

    def interface(self, reading: Reading) -> Interface:
        """Return the interface that it was recorded with, without reading its messages."""
        return contract_for(read_info(self.path), reading.contract).interface

    def labels(self, interface: Interface) -> tuple[Label, ...]:
        """Return what was said of it, the newest last; raise as `read_labels` does.

        Of a piece: what a person said while it was recorded, the labels of its bag if that holds
        no other episode, and its own ones.
        """
        own = read_labels(self.labelled_path, interface, self.span_ns)
        if self.piece is None:
            return own
        said = [Label(mode, 'operator', 1.0, iso_time(at_ns), 'an event in the bag')
                for at_ns, mode in self.piece.said]
        return (*said, *(read_labels(self.path, interface) if self.alone else ()), *own)


@dataclass(frozen=True)
class Found:
    """What is at some places: the episodes, the unfinished bags, and bags that hold none."""

    takes: tuple[Take, ...]
    unfinished: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def find_takes(sources: Sequence[Path], reading: Reading, workers: int = 1,
               lenient: bool = False) -> Found:
    """Return the episodes at `sources`, bags or folders of bags.

    A bag that cannot be cut as asked, as it says no start or its recording broke off, is left
    out with the reason; if `lenient` a damaged one is, too. Raise `DatasetError` if there is no
    episode, and else as `cut_bag` does.
    """
    paths, unfinished = find_bags(sources)
    takes = whole(paths)
    left_out: list[LeftOut] = []
    if reading.cutting is not None:
        cuts = [*in_order(partial(cut_take, reading, lenient), takes, workers, 'cutting',
                          DatasetError)]
        left_out = [one for one in cuts if isinstance(one, LeftOut)]
        takes = [piece for take, cut in zip(takes, cuts, strict=True) if isinstance(cut, Cut)
                 for piece in pieces_of(take, cut)]
    if not takes:
        raise DatasetError(no_episode(sources, unfinished, left_out))
    return Found(tuple(takes), tuple(path.name for path in unfinished), tuple(left_out))


def cut_take(reading: Reading, lenient: bool, take: Take) -> Cut | LeftOut:
    """Find the episodes of one bag; see `find_takes`."""
    assert reading.cutting is not None
    try:
        if (gone := lost(take)) is not None:
            return gone
        cut = cut_bag(take.path, reading.contract, reading.topics, reading.cutting)
    except UncloningError as err:
        if not (lenient or isinstance(err, DatasetError)):
            raise
        return LeftOut(take.name, str(err))
    if cut.pieces:
        return cut
    reasons = '; '.join(dict.fromkeys(rest.reason for rest in cut.remainders))
    return LeftOut(take.name, f'it holds no episode: {reasons}')


def whole(paths: Sequence[Path]) -> list[Take]:
    """Return whole bags as episodes."""
    return [Take(path, name) for path, name in zip(paths, names_of(paths), strict=True)]


def pieces_of(take: Take, cut: Cut) -> list[Take]:
    """Return the pieces of a bag as episodes."""
    return [Take(take.path, piece.name(take.name), piece, len(cut.pieces) == 1)
            for piece in cut.pieces]


def lost(take: Take) -> LeftOut | None:
    """Tell of a bag whose recording broke off: without metadata.yaml, and not whole."""
    if take.piece is not None or read_info(take.path).counts is not None:
        return None
    try:
        verify_episode(take.path)
    except BagError as err:
        return LeftOut(take.name, f'it was never finished: {err}')
    return None


def no_episode(sources: Sequence[Path], unfinished: Sequence[Path],
               left_out: Sequence[LeftOut] = ()) -> str:
    """Return the sentence that there is no episode, and what to do about it."""
    where = ', '.join(map(str, sources))
    if left_out:
        return (f'no episode of {where} can be used, the first because {left_out[0].name}: '
                f'{left_out[0].reason}')
    if unfinished:
        return (f'{where} holds no finished episode, {len(unfinished)} unfinished; uncloning '
                f'recover finishes what can be saved')
    return f'{where} holds no episode; record some, or make some with uncloning demos'


def overlooked(takes: Sequence[Take]) -> list[str]:
    """Return a sentence for each bag beside which labels lie that count for no episode."""
    several = dict.fromkeys(take.path for take in takes if take.piece is not None
                            and not take.alone)
    return [*(f'{labels_path(path).name} labels all of {path.name}, which holds several episodes; '
              f'it counts for none of them, label them one by one'
              for path in several if labels_path(path).exists()),
            *_of_other_pieces(takes)]


def _of_other_pieces(takes: Sequence[Take]) -> list[str]:
    """Return a sentence for each bag that was cut into other pieces when it was labelled."""
    bags = {take.path for take in takes}
    known = {labels_path(take.labelled_path) for take in takes}
    others: dict[Path, list[str]] = {}
    for folder in dict.fromkeys(bag.parent for bag in bags):
        for file in sorted(folder.glob(f'*#{labels_path(Path("*")).name}')):
            bag = file.with_name(file.name.rpartition('#')[0])
            if bag in bags and file not in known:
                others.setdefault(bag, []).append(file.name)
    return [f'{bag.name} has labels of pieces that it is not cut into now ({names[0]}'
            f'{f" and {len(names) - 1} more" if len(names) > 1 else ""}); they count for nothing, '
            f'cut it with --cut as it was cut for them' for bag, names in others.items()]


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
