# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find episodes before they are read: whole bags, or the pieces that bags are cut into."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uncloning_ros.contract import Contract, Interface
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.info import find_bags, read_info
from uncloning_ros.demos.bags.labels import Label, labels_path, read_labels
from uncloning_ros.demos.bags.pieces import Cut, LeftOut, Piece
from uncloning_ros.demos.bags.reader import (
    contract_for,
    episode_digest,
    read_episode,
    verify_episode,
)
from uncloning_ros.demos.episodes.cut_bag import cut_bag
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import BagError, DatasetError, ForeignBagError, UncloningError
from uncloning_ros.processes import in_order


@dataclass(frozen=True)
class EpisodeRef:
    """Where one episode lies: a bag or a piece of it, with its name.

    `alone`: its bag holds no other episode.
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

    def read(self, reading: Reading, without_pictures: bool = False) -> Episode:
        """Read and decode the episode; raise as `read_episode` does."""
        return read_episode(self.path, reading.contract, reading.topics, self.piece,
                            without_pictures)

    def read_or_leave_out(self, reading: Reading) -> Episode | LeftOut:
        """Read the episode, or tell why it is left out.

        It broke off, its bag is damaged or of another robot, a signal is silent, or a clock was
        set back.
        """
        try:
            episode = self.broken_off() or self.read(reading)
        except UncloningError as err:
            return LeftOut(self.name, str(err))
        if isinstance(episode, Episode) and episode.clock_fault:
            return LeftOut(self.name, episode.clock_fault)
        return episode

    def broken_off(self) -> LeftOut | None:
        """Return the reason for a bag that broke off: without metadata.yaml, and not whole.

        Raise `ForeignBagError` for one of another format.
        """
        if self.piece is not None or read_info(self.path).counts is not None:
            return None
        try:
            verify_episode(self.path)
        except ForeignBagError:
            raise
        except BagError as err:
            return LeftOut(self.name, f'it was never finished: {err}')
        return None

    def interface(self, reading: Reading) -> Interface:
        """Return the interface that the bag was recorded with, without reading its messages."""
        return contract_for(read_info(self.path), reading.contract).interface

    def labels(self, interface: Interface) -> tuple[Label, ...]:
        """Return the labels of the episode, the newest last; raise as `read_labels` does.

        Of a piece: the labels on the event topic, those of its bag if that holds no other episode,
        and its own ones.
        """
        own = read_labels(self.labelled_path, interface, self.span_ns)
        if self.piece is None:
            return own
        of_bag = read_labels(self.path, interface) if self.alone else ()
        return (*self.piece.labels, *of_bag, *own)


@dataclass(frozen=True)
class Listing:
    """The episodes at some paths, the unfinished bags, and bags that hold no episode.

    `cuts` tell by the name of a bag how it was cut; they are empty unless bags are cut.
    """

    episodes: tuple[EpisodeRef, ...]
    unfinished: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    cuts: Mapping[str, Cut]


def find_episodes(sources: Sequence[Path], reading: Reading, workers: int = 1,
                  on_cut: Callable[[int, int], None] = lambda done, bags: None) -> Listing:
    """Find the episodes at `sources`, bags or folders of bags.

    A bag that cannot be cut as asked, as it says no start, is damaged or is of another robot, is
    left out with the reason, and so are recordings of other formats. `on_cut(done, bags)` is
    called after each bag that was cut. Raise `BagError` for a path that is not there, and
    `DatasetError` if no episode is found.
    """
    found = find_bags(sources)
    episodes = [EpisodeRef(path, name)
                for path, name in zip(found.bags, _names_of(found.bags), strict=True)]
    left_out = [*found.left_out]
    cuts: dict[str, Cut] = {}
    if reading.cutting is not None:
        bags, episodes = episodes, []
        results = in_order(partial(_cut, reading), bags, workers, 'cutting', DatasetError)
        for done, (bag, cut) in enumerate(zip(bags, results, strict=True), start=1):
            if isinstance(cut, LeftOut):
                left_out.append(cut)
            else:
                cuts[bag.name] = cut
                episodes += [EpisodeRef(bag.path, piece.name(bag.name), piece,
                                        len(cut.pieces) == 1) for piece in cut.pieces]
            on_cut(done, len(bags))
    if not episodes:
        raise DatasetError(no_episode(sources, found.unfinished, left_out))
    return Listing(tuple(episodes), tuple(path.name for path in found.unfinished),
                   tuple(left_out), cuts)


def _cut(reading: Reading, bag: EpisodeRef) -> Cut | LeftOut:
    assert reading.cutting is not None
    try:
        if (broken := bag.broken_off()) is not None:
            return broken
        cut = cut_bag(bag.path, reading.contract, reading.topics, reading.cutting)
    except UncloningError as err:
        return LeftOut(bag.name, str(err))
    if cut.pieces:
        return cut
    reasons = '; '.join(dict.fromkeys(rest.reason for rest in cut.remainders))
    return LeftOut(bag.name, f'it holds no episode: {reasons}')


def first_contract(sources: Sequence[Path], given: Contract | None = None) -> Contract:
    """Return the contract of the first bag at `sources` that has one: its own, or the given one.

    Raise `DatasetError` if no bag is found, and else the error of the first bag.
    """
    found = find_bags(sources)
    errors: list[UncloningError] = []
    for path in found.bags:
        try:
            return contract_for(read_info(path), given)
        except UncloningError as err:
            errors.append(err)
    raise errors[0] if errors else DatasetError(
        no_episode(sources, found.unfinished, found.left_out))


def no_episode(sources: Sequence[Path], unfinished: Sequence[Path] = (),
               left_out: Sequence[LeftOut] = ()) -> str:
    """Return the sentence that no episode was found, with the remedy."""
    where = ', '.join(map(str, sources))
    if left_out:
        return (f'no episode of {where} can be used, the first because {left_out[0].name}: '
                f'{left_out[0].reason}')
    if unfinished:
        return (f'{where} holds no finished episode, {len(unfinished)} unfinished; uncloning '
                f'recover finishes what can be saved')
    return f'{where} holds no episode; record some, or make some with uncloning demos'


def stray_labels(episodes: Sequence[EpisodeRef]) -> list[str]:
    """Return a warning for each bag beside which labels lie that count for no episode."""
    several = dict.fromkeys(one.path for one in episodes if not one.alone)
    return [*(f'{labels_path(path).name} labels all of {path.name}, which holds several episodes; '
              f'it counts for none of them, label them one by one'
              for path in several if labels_path(path).exists()),
            *_labels_of_other_pieces(episodes)]


def _labels_of_other_pieces(episodes: Sequence[EpisodeRef]) -> list[str]:
    """Return a warning for each bag that was cut into other pieces when it was labelled."""
    bags = {one.path for one in episodes}
    known = {labels_path(one.labelled_path) for one in episodes}
    others: dict[Path, list[str]] = {}
    for folder in dict.fromkeys(bag.parent for bag in bags):
        for file in sorted(folder.glob(f'*#{labels_path(Path("*")).name}')):
            bag = file.with_name(file.name.rpartition('#')[0])
            if bag in bags and file not in known:
                others.setdefault(bag, []).append(file.name)
    return [f'{bag.name} has labels of pieces that it is not cut into now ({names[0]}'
            f'{f" and {len(names) - 1} more" if len(names) > 1 else ""}); they count for nothing, '
            f'cut it with --cut as it was cut for them' for bag, names in others.items()]


def digests_of(episodes: Sequence[EpisodeRef]) -> list[str]:
    """Return the sha256 of each episode: that of its bag, and of its span if it is a piece."""
    bags = {path: episode_digest(path) for path in dict.fromkeys(one.path for one in episodes)}
    return [bags[one.path] if one.piece is None else hashlib.sha256(
        f'{bags[one.path]} {one.piece.begin_ns} {one.piece.end_ns}'.encode()).hexdigest()
        for one in episodes]


def _names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each bag: its own, with its folder's where two are alike, or its path."""
    own = [path.name for path in paths]
    with_folder = [f'{path.resolve().parent.name}/{path.name}' for path in paths]
    for names in (own, with_folder):
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
