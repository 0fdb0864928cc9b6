# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One episode to labelled frames: what a process does for a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.labels import SOURCES, newest_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.reader import episode_digest, read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.store import Float32
from uncloning_ros.demos.episodes.cut_bag import Cutting
from uncloning_ros.demos.episodes.takes import Take, lost
from uncloning_ros.demos.labelling.rule import rule_label
from uncloning_ros.errors import ContractError, DatasetError
from uncloning_ros.scenario import Scenario

# Where an episode's mode comes from; `auto` takes the first of the others that has one, except
# `planned`: what was asked for is not what was shown.
LABELS = ('auto', *SOURCES, 'planned')


@dataclass(frozen=True)
class Recipe:
    """How episodes become frames: what to read, how to label and how to cut.

    `topics` renames topics by key; `any_policy` tells that the contract was given and so
    replaces whatever policy part the bags carry.
    """

    scenario: Scenario
    contract: Contract
    any_policy: bool
    labels: str
    topics: Mapping[str, str]
    cutting: Cutting | None


@dataclass(frozen=True)
class Loaded:
    """One aligned and labelled episode, as a worker returns it."""

    take: Take
    mode: str
    label_source: str
    planned_mode: str | None
    digest: str
    seed: int | None
    observations: Float32
    actions: Float32


def load_take(recipe: Recipe, take: Take) -> Loaded | LeftOut:
    """Read, label and align one episode."""
    if (gone := lost(take)) is not None:
        return gone
    hint = ''
    try:
        episode = read_episode(take.path, recipe.contract, recipe.topics, take.piece)
        hint = _hint(episode, recipe)
        own, given = episode.contract.policy, recipe.contract.policy
        if not recipe.any_policy and own != given:
            raise ContractError(f'{take.path}: expected the policy part {given} as in the first '
                                f'episode, got {own}; choose with --contract')
        mode, source = _mode(take, episode, recipe)
        if mode is None:
            return LeftOut(take.name, source + hint)
        observations, actions, _ = align(episode, recipe.contract)
    except DatasetError as err:
        return LeftOut(take.name, f'{err}{hint}')
    return Loaded(take, mode, source, episode.metadata.planned_mode, _digest(take.path),
                  episode.metadata.seed, observations, actions)


def _hint(episode: Episode, recipe: Recipe) -> str:
    """Return what to say beside the reason why a very long episode is left out."""
    times_ns = [sample.receive_ns for found in episode.samples.values()
                for sample in (found[0], found[-1])]
    length_s = (max(times_ns) - min(times_ns)) * 1e-9
    most_s = recipe.contract.deployment.episode_end.max_episode_s
    if recipe.cutting is not None or length_s <= most_s:
        return ''
    return (f'; it lasts {length_s:.0f} s, and an episode {most_s:g} s at most: if it holds '
            f'several, cut it with --cut')


def _digest(path: Path) -> str:
    stats = tuple(file.stat() for file in read_info(path).files)
    return _digest_of(path, tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


@lru_cache(maxsize=1)
def _digest_of(path: Path, _: tuple[tuple[int, int], ...]) -> str:
    """Return the digest of a bag; the pieces of one come one after the other."""
    return episode_digest(path)


def _mode(take: Take, episode: Episode, recipe: Recipe) -> tuple[str | None, str]:
    """Return the mode and its source, or None and why there is none."""
    labels, contract = recipe.labels, recipe.contract
    if labels == 'planned':
        return episode.metadata.planned_mode, (
            'planned' if episode.metadata.planned_mode else 'nobody planned a mode')
    known = take.labels(contract.interface)
    reason = f'it has no {labels} label'
    for source in SOURCES:
        if labels not in ('auto', source):
            continue
        label = newest_label(known, source)
        if label is not None:
            return label.mode, source
        if source == 'rule':
            found = rule_label(contract, recipe.scenario, episode)
            if found.mode is not None:
                return found.mode, source
            reason = f'the rule abstains: {found.reason}'
    return None, reason
