# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Load one episode for a dataset: read it, find its mode, align it to frames."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.labels import SOURCES, Label, newest_label
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.demos.bags.reader import episode_digest
from uncloning_ros.demos.dataset.alignment import Aligned
from uncloning_ros.demos.dataset.corrections import align_taught, seconds_of
from uncloning_ros.demos.dataset.recipe import Recipe
from uncloning_ros.demos.dataset.spans import frames_in_span
from uncloning_ros.demos.dataset.store import EpisodeRecord, SplitName
from uncloning_ros.demos.episodes.find import EpisodeRef
from uncloning_ros.demos.labelling.rule import rule_label
from uncloning_ros.errors import ContractError, DatasetError, UncloningError


@dataclass(frozen=True)
class Loaded:
    """One aligned episode, as a worker returns it.

    It has no mode and no source without a label. `span` and `correction_s` are those of
    `EpisodeRecord`.
    """

    ref: EpisodeRef
    mode: str | None
    label_source: str | None
    span: tuple[int, int] | None
    planned_mode: str | None
    digest: str
    seed: int | None
    frames: Aligned
    correction_s: tuple[float, float] | None

    def record(self, split: SplitName, period_ns: int) -> EpisodeRecord:
        """Return the record of the episode in a dataset whose ticks have this period."""
        return EpisodeRecord(self.ref.name, self.mode, self.label_source, self.digest, split,
                             len(self.frames.ticks_ns), self.seed, self.span, self.correction_s,
                             self.frames.pauses(period_ns))


def load_episode(recipe: Recipe, contract: Contract, ref: EpisodeRef) -> Loaded | LeftOut:
    """Read, label and align one episode by the contract of the dataset, or leave it out.

    Raise `ContractError` if bags carry several policy parts and the recipe chooses none.
    """
    episode = ref.read_or_leave_out(replace(recipe.reading, contract=contract))
    if isinstance(episode, LeftOut):
        return episode
    if recipe.reading.contract is None and episode.contract.policy != contract.policy:
        raise ContractError(f'{ref.path}: expected the policy part {contract.policy} as in the '
                            f'first episode, got {episode.contract.policy}; choose with '
                            f'--contract')
    try:
        mode, source, label = _mode(ref, episode, recipe, contract)
        frames, taught = align_taught(episode, contract)
        span = None if label is None else frames_in_span(label, episode, frames.ticks_ns)
        return Loaded(ref, mode, source, span, episode.metadata.planned_mode, _digest(ref.path),
                      episode.metadata.seed, frames, seconds_of(taught, episode))
    except UncloningError as err:
        return LeftOut(ref.name, f'{err}{_hint(episode, recipe, contract)}')


def _hint(episode: Episode, recipe: Recipe, contract: Contract) -> str:
    """Return the remedy for a very long episode, to stand behind the reason why it is left out."""
    begin_ns, end_ns = episode.bounds_ns
    length_s = (end_ns - begin_ns) * 1e-9
    most_s = contract.deployment.episode_end.max_episode_s
    if recipe.reading.cutting is not None or length_s <= most_s:
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


def _mode(ref: EpisodeRef, episode: Episode, recipe: Recipe,
          contract: Contract) -> tuple[str | None, str | None, Label | None]:
    """Return the mode, its source and the label, each None if there is none.

    Raise `DatasetError` without a mode, unless the recipe keeps such an episode.
    """
    planned = episode.metadata.planned_mode
    if recipe.labels == 'planned':
        return _without_label('it has no planned mode', recipe) if planned is None else (
            planned, 'planned', None)
    known = ref.labels(contract.interface)
    reason = f'it has no {"" if recipe.labels == "auto" else f"{recipe.labels} "}label'
    for source in SOURCES if recipe.labels == 'auto' else (recipe.labels,):
        label = newest_label(known, source)
        if label is not None and label.mode is not None:
            return label.mode, source, label
        if source == 'rule' and recipe.scenario is not None:
            found = rule_label(contract, recipe.scenario, episode)
            if found.mode is not None:
                return found.mode, source, None
            reason = f'the rule abstains: {found.reason}'
    return _without_label(reason, recipe)


def _without_label(reason: str, recipe: Recipe) -> tuple[None, None, None]:
    if not recipe.keep_unlabelled:
        raise DatasetError(reason)
    return None, None, None
