# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Divide the episodes of a dataset into those that people accept and those they do not.

The features come from the frames of the dataset, so the bags are not needed; answers are matched
by the digest of the recording. An episode is kept, or removed, where the probability of that is at
least `SURE`; the others, and those without an exchange, take no part in an edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.answers import about, read_answers, standing
from uncloning_ros.demos.bags.episode import Episode, EpisodeMetadata
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import DatasetError, UncloningError
from uncloning_ros.files import file_sha256
from uncloning_ros.preferences.features import features_of, other_tool
from uncloning_ros.preferences.judged import judged
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

    `warnings` are about answers that do not count and episodes without a verdict.
    """

    verdicts: tuple[Verdict, ...]
    answers: int
    answers_sha256: str
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
        return {'answers': self.answers, 'answers_sha256': self.answers_sha256, 'sure': SURE,
                'episodes': [{'name': one.name, 'mode': one.mode, 'reward': one.reward,
                              'refused': one.refused, 'side': one.side} for one in self.verdicts]}


def divided(dataset: Dataset, scenario: Scenario, file: Path) -> Division:
    """Return how answers divide a dataset.

    Raise `BagError` for a file that is damaged, `DatasetError` without answers good and bad, which
    tell the limit, and where no episode is surely on one of the sides.
    """
    if not file.is_file():
        raise DatasetError(f'expected the answers of people in {file}, got no file; check the '
                           f'path, or give some with uncloning compare')
    features, without = features_in(dataset, scenario)
    digests = {one.name: one.digest for one in dataset.episodes if one.name in features}
    answers = standing(read_answers(file))
    usable, gone = about(answers, digests)
    counts = [sum(one.said == said for one in usable) for said in ('good', 'bad')]
    if not all(counts):
        raise DatasetError(f'{file}: expected answers good and bad on episodes of the dataset, '
                           f'which tell the limit of the reward, got {counts[0]} good and '
                           f'{counts[1]} bad; {len(answers) - len(usable)} of its answers are on '
                           f'other recordings; give some with uncloning compare')
    known = judged(features, usable)
    refused = known.belief.below(known.scaled)
    modes = {one.name: one.mode for one in dataset.episodes}
    found = Division(
        tuple(sorted((Verdict(name, modes[name], float(reward), float(chance)) for
                      name, reward, chance in zip(known.names, known.rewards, refused,
                                                  strict=True)), key=lambda one: -one.refused)),
        len(usable), file_sha256(file),
        (*other_tool(dataset.contract.interface.mode_names, scenario), *gone, *without))
    for side in (ACCEPTED, REFUSED):
        if not _trained(dataset, found.of(side)):
            raise DatasetError(f'{file}: expected episodes for training that are {side} with a '
                               f'probability of {SURE:.0%}, got none of {len(found.verdicts)}; '
                               f'give more answers with uncloning compare')
    return found


def features_in(dataset: Dataset, scenario: Scenario) -> tuple[dict[str, Mapping[str, float]],
                                                              list[str]]:
    """Return the features of the episodes with an exchange, and sentences about the others."""
    found, without = {}, []
    for i, one in enumerate(dataset.episodes):
        try:
            found[one.name] = features_of(dataset.contract, scenario, _episode(dataset, i))
        except UncloningError as err:
            without.append(f'{one.name} takes no part: {err}')
    return found, without


def _trained(dataset: Dataset, verdicts: Sequence[Verdict]) -> bool:
    names = {one.name for one in verdicts}
    return any(one.name in names and one.split == 'train' for one in dataset.episodes)


def _episode(dataset: Dataset, index: int) -> Episode:
    """Return an episode of a dataset as if each frame had been a message."""
    contract, record = dataset.contract, dataset.episodes[index]
    rows = dataset.observations[dataset.bounds[index]:dataset.bounds[index + 1]]
    times_ns = [round((i + 1) * 1e9 / contract.policy.rate_hz) for i in range(len(rows))]
    return Episode(
        Path(record.name), EpisodeMetadata('', 0, '', None, '', record.seed), contract,
        {key: tuple(Sample(row[place].astype(float), at_ns, at_ns)
                    for row, at_ns in zip(rows, times_ns, strict=True))
         for key, place in contract.interface.observation_slices.items()}, ())
