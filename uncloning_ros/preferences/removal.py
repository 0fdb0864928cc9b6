# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Divide the episodes of a dataset into those that people accept and those they do not.

The features come from the frames of the dataset, so its bags are not needed; answers are matched
by the digest of the recording. An answer on another recording, as of a handover of the policy,
teaches the reward too if the bag lies beside the answers. An episode is kept, or removed, where
the probability of that is at least `SURE`; the others, and those without an exchange, take no part
in an edit.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.answers import Answer, about, read_answers, standing
from uncloning_ros.demos.bags.episode import Episode, EpisodeMetadata
from uncloning_ros.demos.bags.info import is_bag
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.reader import episode_digest
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import BagError, DatasetError, UncloningError, counted
from uncloning_ros.files import disk_errors, file_sha256
from uncloning_ros.policy_io import Float32
from uncloning_ros.preferences.features import features_of, other_tool
from uncloning_ros.preferences.judged import judged
from uncloning_ros.preferences.scene import Handover
from uncloning_ros.scenario import Scenario

ACCEPTED, REFUSED = 'accepted', 'not accepted'  # the modes of the divided dataset
SURE = 0.8  # least probability of a side that an episode is counted on


@dataclass(frozen=True)
class Verdict:
    """One episode: the mode of its label, its reward, the probability that it is not accepted."""

    name: str
    mode: str | None
    reward: float
    refused: float

    @property
    def side(self) -> str | None:
        """Return `REFUSED` or `ACCEPTED`, None where neither is sure."""
        if self.refused >= SURE:
            return REFUSED
        return ACCEPTED if self.refused <= 1.0 - SURE else None


@dataclass(frozen=True)
class Division:
    """The verdicts on the episodes of a dataset, those most surely refused first.

    `answers` is the number of those that count, `beside` are bags outside of the dataset that they
    are on. `warnings` are about answers that do not count and episodes without a verdict.
    """

    verdicts: tuple[Verdict, ...]
    answers: int
    answers_sha256: tuple[str, ...]
    beside: tuple[str, ...]
    warnings: tuple[str, ...]

    def of(self, side: str | None) -> list[Verdict]:
        """Return the verdicts on one side; None: on neither."""
        return [one for one in self.verdicts if one.side == side]

    def applied(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the two sides as its modes."""
        sides = {one.name: one.side for one in self.verdicts}
        interface = replace(dataset.contract.interface, modes={ACCEPTED: True, REFUSED: False})
        return replace(
            dataset, contract=replace(dataset.contract, interface=interface),
            episodes=tuple(replace(one, mode=(side := sides.get(one.name)), span=None,
                                   label_source=None if side is None else 'preferences')
                           for one in dataset.episodes))

    def report(self) -> dict[str, Any]:
        """Return the division as plain data."""
        return {'answers': self.answers, 'answers_sha256': list(self.answers_sha256),
                'beside': list(self.beside), 'warnings': list(self.warnings), 'sure': SURE,
                'episodes': [{'name': one.name, 'mode': one.mode, 'reward': one.reward,
                              'refused': one.refused, 'side': one.side} for one in self.verdicts]}


def divided(dataset: Dataset, scenario: Scenario, files: Sequence[Path]) -> Division:
    """Return how the answers in some files divide a dataset.

    Raise `BagError` for a file that is damaged, `DatasetError` without answers good and bad, which
    tell the limit, and where no episode is surely on one of the sides.
    """
    for file in files:
        if not file.is_file():
            raise DatasetError(f'expected the answers of people in {file}, got no file; check the '
                               f'path, or give some with uncloning compare')
    features, without = features_in(dataset, scenario)
    stand = _standing(files)
    answers = list(dict.fromkeys(one for found in stand.values() for one in found))
    digests = {one.name: one.digest for one in dataset.episodes}
    beside = {digest: _first(digest, bags, dataset.contract, scenario)
              for digest, bags in _places(stand, set(digests.values())).items()}
    others = {name: one for name, one in beside.items() if isinstance(one, Handover)}
    features |= {name: one.features for name, one in others.items()}
    found, copies = about(answers, digests | {name: name for name in beside})
    usable = [one for one in found if all(name in features for name in one.names)]
    where = ', '.join(map(str, files))
    counts = [sum(one.said == said for one in usable) for said in ('good', 'bad')]
    if not all(counts):
        raise DatasetError(f'{where}: expected answers good and bad on episodes of the dataset or '
                           f'on bags beside the answers, which tell the limit of the reward, got '
                           f'{counts[0]} good and {counts[1]} bad, and '
                           f'{counted(len(answers) - len(usable), "answer")} on other recordings; '
                           f'give some with uncloning compare')
    known = judged(features, usable)
    refused = known.belief.below(known.scaled)
    modes = {one.name: one.mode for one in dataset.episodes}
    division = Division(
        tuple(sorted((Verdict(name, modes[name], float(reward), float(chance)) for
                      name, reward, chance in zip(known.names, known.rewards, refused,
                                                  strict=True) if name in modes),
                     key=lambda one: -one.refused)),
        len(usable), tuple(map(file_sha256, files)), tuple(one.name for one in others.values()),
        (*other_tool(dataset.contract.interface.mode_names, scenario), *copies, *without,
         *(f'{one.name} teaches nothing: {one.reason}' for one in beside.values()
           if isinstance(one, LeftOut))))
    for side in (ACCEPTED, REFUSED):
        if not _trained(dataset, division.of(side)):
            raise DatasetError(f'{where}: expected episodes for training that are {side} with a '
                               f'probability of {SURE:.0%}, got none of {len(division.verdicts)}; '
                               f'give more answers with uncloning compare')
    return division


def features_in(dataset: Dataset, scenario: Scenario) -> tuple[dict[str, Mapping[str, float]],
                                                              list[str]]:
    """Return the features of the episodes with an exchange, and sentences about the others."""
    found, without = {}, []
    for i, one in enumerate(dataset.episodes):
        try:
            rows = dataset.observations[dataset.bounds[i]:dataset.bounds[i + 1]]
            found[one.name] = features_of(dataset.contract, scenario,
                                          _episode(dataset.contract, one.name, rows))
        except UncloningError as err:
            without.append(f'{one.name} takes no part: {err}')
    return found, without


def _standing(files: Sequence[Path]) -> dict[Path, list[Answer]]:
    """Return by file the answers that were taken back in none, as of an older copy of another."""
    given = {file: read_answers(file) for file in files}
    stand = {file: standing(answers) for file, answers in given.items()}
    back = {one for file, answers in given.items() for one in {*answers} - {*stand[file]}}
    return {file: [one for one in answers if one not in back] for file, answers in stand.items()}


def _places(stand: Mapping[Path, Sequence[Answer]], known: Set[str]) -> dict[str, list[Path]]:
    """Return by digest where the recordings lay beside their answers, without the known ones."""
    found: dict[str, list[Path]] = {}
    for file, answers in stand.items():
        for one in (one for answer in answers for one in answer.shown):
            if one.digest not in known:
                found.setdefault(one.digest, []).append(file.parent / one.name)
    return found


def _first(digest: str, bags: Sequence[Path], contract: Contract,
           scenario: Scenario) -> Handover | LeftOut:
    """Return the first of some bags that has the digest, or why the first of all does not."""
    reasons = []
    for bag in dict.fromkeys(bags):
        try:
            with disk_errors(f'cannot read {bag}', BagError):
                there = is_bag(bag)
            if there and episode_digest(bag) == digest:
                return _handover(bag, contract, scenario)
            reasons.append('it is another recording now' if there else 'it is not there')
        except UncloningError as err:
            reasons.append(str(err))
    return LeftOut(str(bags[0]), reasons[0])


def _handover(bag: Path, contract: Contract, scenario: Scenario) -> Handover | LeftOut:
    """Return a bag with the features of its frames, which those of the dataset have as well."""
    episode = EpisodeRef(bag, str(bag)).read_or_leave_out(Reading(contract))
    if isinstance(episode, LeftOut):
        return episode
    try:
        framed = _episode(contract, str(bag), align(episode, contract).observations)
        return Handover(str(bag), features_of(contract, scenario, framed), '')
    except UncloningError as err:
        return LeftOut(str(bag), str(err))


def _trained(dataset: Dataset, verdicts: Sequence[Verdict]) -> bool:
    names = {one.name for one in verdicts}
    return any(one.name in names and one.split == 'train' for one in dataset.episodes)


def _episode(contract: Contract, name: str, rows: Float32) -> Episode:
    """Return frames as if each had been a message."""
    times_ns = [round((i + 1) * 1e9 / contract.policy.rate_hz) for i in range(len(rows))]
    return Episode(
        Path(name), EpisodeMetadata('', 0, '', None, '', None), contract,
        {key: tuple(Sample(row[place].astype(float), at_ns, at_ns)
                    for row, at_ns in zip(rows, times_ns, strict=True))
         for key, place in contract.interface.observation_slices.items()}, ())
