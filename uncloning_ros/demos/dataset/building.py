# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags to a dataset: cut where asked, read, labelled, aligned and split, over several processes.

A process holds one episode at a time. The result does not depend on how many there are.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from uncloning_ros import __version__
from uncloning_ros.contract import Contract, contract_to_dict
from uncloning_ros.demos.bags.decoding import with_topics
from uncloning_ros.demos.bags.info import find_bags, read_info
from uncloning_ros.demos.bags.pieces import Cut, LeftOut, Piece
from uncloning_ros.demos.bags.reader import contract_for
from uncloning_ros.demos.dataset.loading import LABELS, Loaded, Recipe, load_take
from uncloning_ros.demos.dataset.store import (
    SCHEMA,
    Dataset,
    EpisodeRecord,
    Float32,
    Statistics,
    load_dataset,
    write_dataset,
)
from uncloning_ros.demos.episodes.cut_bag import Cutting
from uncloning_ros.demos.episodes.takes import (
    Reading,
    cut_take,
    no_episode,
    overlooked,
    pieces_of,
    whole,
)
from uncloning_ros.demos.inspection.session import FEW_EPISODES
from uncloning_ros.errors import BagError, DatasetError, counted
from uncloning_ros.files import require_new
from uncloning_ros.processes import in_order
from uncloning_ros.scenario import Scenario

_In = TypeVar('_In')
_Out = TypeVar('_Out')


@dataclass(frozen=True)
class CutBag:
    """What one bag was cut into: its name, its episodes, and what belongs to none of them."""

    name: str
    cut: Cut


@dataclass(frozen=True)
class BuildReport:
    """A new dataset, and what whoever made it ought to look at.

    `disagreeing` names the episodes whose label is another mode than the planned one; `cuts`
    are empty unless bags were cut.
    """

    dataset: Dataset
    disagreeing: tuple[str, ...]
    warnings: tuple[str, ...]
    cuts: tuple[CutBag, ...] = ()


def build_dataset(sources: Sequence[Path], out_dir: Path, scenario: Scenario,
                  contract: Contract | None = None, labels: str = 'auto',
                  validation: float = 0.1, seed: int = 0, workers: int = 1,
                  on_done: Callable[[int, int], None] | None = None,
                  topics: Mapping[str, str] | None = None,
                  cutting: Cutting | None = None) -> BuildReport:
    """Make a dataset of every usable episode in `sources` and write it to `out_dir`.

    `sources` are bags and folders of bags. `contract` replaces the policy and deployment parts
    that the bags carry and is needed for bags of plain `ros2 bag record`; `topics` renames its
    topics by key. With `cutting` every bag holds several episodes. `on_done(done, total)` is
    called after each step. The result does not depend on `workers`. An episode without a label,
    too short, or with a gap is left out and named; a damaged bag, one of another interface, a
    missing topic or joint and NaN are refused with `BagError` or `ContractError`; `DatasetError`
    if nothing remains. An interrupt leaves nothing behind.
    """
    if labels not in LABELS:
        raise DatasetError(f'expected labels of {", ".join(LABELS)}, got {labels!r}')
    if not 0.0 <= validation < 1.0:
        raise DatasetError(f'expected a validation share in [0, 1), got {validation}')
    require_new(out_dir)
    paths, unfinished = find_bags(sources)
    left_out = [LeftOut(path.name, 'it was never finished') for path in unfinished]
    if not paths:
        raise DatasetError(no_episode(sources, unfinished))
    used = with_topics(contract or _carried_contract(paths), topics or {})
    recipe = Recipe(scenario, used, contract is not None, labels, topics or {}, cutting)
    takes = whole(paths)
    steps = _Steps(on_done)
    cuts: list[CutBag] = []
    if cutting is not None:
        steps.expect(2 * len(takes))  # at least one episode of each bag
        reading = Reading(used, recipe.topics, cutting)
        found = [*steps.each(partial(cut_take, reading, False), takes, workers)]
        left_out += [one for one in found if isinstance(one, LeftOut)]
        pairs = [(take, one) for take, one in zip(takes, found, strict=True)
                 if isinstance(one, Cut)]
        cuts = [CutBag(take.name, cut) for take, cut in pairs]
        takes = [piece for take, cut in pairs for piece in pieces_of(take, cut)]
    steps.expect(steps.done + len(takes))
    loaded: dict[tuple[str, Piece | None], Loaded] = {}
    for result in steps.each(partial(load_take, recipe), takes, workers):
        if isinstance(result, LeftOut):
            left_out.append(result)
            continue
        twin = loaded.setdefault((result.digest, result.take.piece), result)
        if twin is not result:
            # In both splits it would make the validation look better than it is.
            left_out.append(LeftOut(result.take.name,
                                    f'it is the same recording as {twin.take.name}'))
    if not loaded:
        raise DatasetError(no_episode(sources, unfinished, left_out))
    report = _write(out_dir, recipe, [*loaded.values()], left_out, cuts, validation, seed)
    return replace(report, warnings=(*report.warnings, *overlooked(takes)))


def _write(out_dir: Path, recipe: Recipe, usable: Sequence[Loaded], left_out: Sequence[LeftOut],
           cuts: Sequence[CutBag], validation: float, seed: int) -> BuildReport:
    """Split the episodes, write the dataset, and read it back."""
    used, scenario = recipe.contract, recipe.scenario
    splits = _split([one.mode for one in usable], used.interface.mode_names, validation, seed)
    records = tuple(
        EpisodeRecord(one.take.name, one.mode, one.label_source, one.digest, split,
                      len(one.observations), one.seed)
        for one, split in zip(usable, splits, strict=True))
    observations = np.concatenate([one.observations for one in usable])
    actions = np.concatenate([one.actions for one in usable])
    in_train = np.repeat([record.split == 'train' for record in records],
                         [record.frames for record in records])
    statistics = _statistics(observations[in_train], actions[in_train])
    disagreeing = tuple(one.take.name for one in usable
                        if one.planned_mode is not None and one.planned_mode != one.mode)
    write_dataset(out_dir, observations, actions, {
        'schema': SCHEMA,
        'software_version': __version__,
        'scenario': scenario.name,
        'scenario_sha256': scenario.sha256,
        'contract': contract_to_dict(used),
        'topics': dict(recipe.topics),
        'cut': None if recipe.cutting is None else {
            **vars(recipe.cutting),
            'bags': {one.name: {'episodes_ns': [[piece.begin_ns, piece.end_ns]
                                                for piece in one.cut.pieces],
                                'cut_off': [vars(rest) for rest in one.cut.remainders]}
                     for one in cuts}},
        'labels': recipe.labels,
        'split_seed': seed,
        'validation': validation,
        'seeds': sorted({one.seed for one in usable if one.seed is not None}),
        'episodes': [vars(record) for record in records],
        'left_out': [vars(one) for one in left_out],
        'statistics': {name: list(value) for name, value in vars(statistics).items()},
    })
    return BuildReport(load_dataset(out_dir), disagreeing,
                       _warnings(records, used, disagreeing), tuple(cuts))


class _Steps:
    """Share tasks over processes and tell how many are done."""

    def __init__(self, on_done: Callable[[int, int], None] | None) -> None:
        self._on_done = on_done
        self.done = self._total = 0

    def expect(self, total: int) -> None:
        self._total = total

    def each(self, task: Callable[[_In], _Out], items: Sequence[_In],
             workers: int) -> Iterator[_Out]:
        """Yield the results in the order of the items, from as many processes as asked for."""
        for result in in_order(task, items, workers, 'the dataset', DatasetError):
            self.done += 1
            if self._on_done is not None:
                self._on_done(self.done, self._total)
            yield result


def _carried_contract(paths: Sequence[Path]) -> Contract:
    """Return the first contract that a bag carries; raise `BagError` if none does."""
    for path in paths:
        # What is wrong with a bag is told when it is read.
        with contextlib.suppress(BagError):
            return contract_for(read_info(path), None)
    return contract_for(read_info(paths[0]), None)


def _split(modes: Sequence[str], names: Sequence[str], validation: float,
           seed: int) -> list[str]:
    """Return the split of each episode: of every mode the same share, whole episodes.

    A mode with at least two episodes keeps one in either split, unless `validation` is 0.
    """
    splits = ['train'] * len(modes)
    rng = np.random.default_rng(seed)
    for name in names:
        members = [i for i, mode in enumerate(modes) if mode == name]
        order = rng.permutation(len(members))
        held = min(max(1, round(validation * len(members))), len(members) - 1)
        for i in order[:held if validation > 0 else 0]:
            splits[members[i]] = 'validation'
    return splits


def _statistics(observations: Float32, actions: Float32) -> Statistics:
    def spread(values: Float32) -> tuple[tuple[float, ...], tuple[float, ...]]:
        wide = values.astype(np.float64)
        return tuple(wide.mean(axis=0).tolist()), tuple(wide.std(axis=0).tolist())

    return Statistics(*spread(observations), *spread(actions))


def _warnings(records: Sequence[EpisodeRecord], contract: Contract,
              disagreeing: Sequence[str]) -> tuple[str, ...]:
    warnings = []
    for mode in contract.interface.mode_names:
        count = sum(record.mode == mode for record in records)
        if count < FEW_EPISODES:
            warnings.append(f'{counted(count, "episode")} of mode {mode}; {FEW_EPISODES} or more '
                            f'are better')
    if disagreeing:
        warnings.append(f'{counted(len(disagreeing), "episode")} labelled with another mode than '
                        f'planned: {", ".join(disagreeing)}')
    return tuple(warnings)
