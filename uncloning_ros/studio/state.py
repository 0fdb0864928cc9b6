# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The episodes that the studio shows: labels as the disk has them now, facts as they are read.

Labels may change at any time, by another person or another command. Facts take a second for some
episodes, so they come later, one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.labels import Label, labels_path, standing_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.episodes.find import EpisodeRef, Listing, stray_labels
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.inspection.facts import EpisodeFacts
from uncloning_ros.demos.inspection.session import Session, disagreements, doubtful, warnings_of
from uncloning_ros.errors import UncloningError

# Which episodes a list has -> its words. A mode is a list too.
ALL, UNLABELLED, SUSPICIOUS = 'all', 'unlabelled', 'suspicious'
LISTS = {ALL: 'all', UNLABELLED: 'without a label', SUSPICIOUS: 'to look at'}


@dataclass(frozen=True)
class Row:
    """One episode in a list: its label, and why a person should look at it."""

    index: int
    name: str
    label: Label | None
    facts: EpisodeFacts | None
    reasons: tuple[str, ...]

    @property
    def mode(self) -> str | None:
        """Return the mode that counts."""
        return None if self.label is None else self.label.mode

    def is_in(self, of: str) -> bool:
        """Tell whether it is in a list: one of `LISTS`, or that of a mode."""
        return of == ALL or self.mode == of or (of == UNLABELLED and self.mode is None) or (
            of == SUSPICIOUS and bool(self.reasons))


class State:
    """The episodes of a listing; `doubted` tells by name why an edit doubted a label.

    `reading` has the contract of the session.
    """

    def __init__(self, name: str, listing: Listing, reading: Reading,
                 doubted: Mapping[str, str]) -> None:
        assert reading.contract is not None
        self.name, self.listing, self.reading = name, listing, reading
        self.contract: Contract = reading.contract
        self._doubted = doubted
        self._facts: dict[str, EpisodeFacts | LeftOut] = {}
        self._known: dict[str, tuple[object, tuple[Label, ...] | UncloningError]] = {}

    @property
    def episodes(self) -> Sequence[EpisodeRef]:
        """Return the episodes in the order of the folder."""
        return self.listing.episodes

    @property
    def read(self) -> int:
        """Return of how many episodes the facts are known."""
        return len(self._facts)

    def add(self, facts: EpisodeFacts | LeftOut) -> None:
        """Add the facts of one episode."""
        self._facts[facts.name] = facts

    def labels(self, ref: EpisodeRef) -> tuple[Label, ...]:
        """Return the labels of an episode; raise as `EpisodeRef.labels` does.

        A sidecar that did not change is not read again.
        """
        state = tuple(_state_of(path) for path in (ref.labelled_path, ref.path))
        known = self._known.get(ref.name)
        if known is None or known[0] != state:
            found: tuple[Label, ...] | UncloningError
            try:
                found = ref.labels(self.contract.interface)
            except UncloningError as err:
                found = err
            known = self._known[ref.name] = state, found
        if isinstance(known[1], UncloningError):
            raise known[1]
        return known[1]

    def rows(self) -> list[Row]:
        """Return all episodes, in their order."""
        session = self.session()
        told: dict[str, list[str]] = {}
        for name, opinion, _ in disagreements(session):
            told.setdefault(name, []).append(f'{opinion} differs from the label')
        facts = {one.name: one for one in session.episodes}
        return [self._row(i, ref, facts.get(ref.name), told.get(ref.name, []))
                for i, ref in enumerate(self.episodes)]

    def session(self) -> Session:
        """Return the episodes whose facts are known, with the labels of now, and other bags."""
        episodes, unreadable = [], [*self.listing.left_out]
        for ref in self.episodes:
            facts = self._facts.get(ref.name)
            if isinstance(facts, LeftOut):
                unreadable.append(facts)
            elif facts is not None:
                try:
                    episodes.append(replace(facts, labels=self.labels(ref)))
                except UncloningError as err:
                    unreadable.append(LeftOut(ref.name, str(err)))
        return Session(self.name, self.contract, tuple(episodes), tuple(unreadable),
                       self.listing.unfinished)

    def warnings(self) -> list[str]:
        """Return the warnings of an inspection of the episodes whose facts are known."""
        return [*warnings_of(self.session()), *stray_labels(self.episodes)]

    def _row(self, index: int, ref: EpisodeRef, facts: EpisodeFacts | None,
             reasons: list[str]) -> Row:
        label, unreadable = None, self._facts.get(ref.name)
        try:
            label = standing_label(self.labels(ref))
        except UncloningError as err:
            reasons = [*reasons, str(err)]
        if isinstance(unreadable, LeftOut):
            reasons = [*reasons, unreadable.reason]
        if facts is not None:
            reasons = [*reasons, *doubtful(facts)]
        if ref.name in self._doubted:
            reasons = [*reasons, self._doubted[ref.name]]
        return Row(index, ref.name, label, facts, tuple(dict.fromkeys(reasons)))


def _state_of(episode: Path) -> tuple[int, int, int] | None:
    try:
        found = labels_path(episode).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
