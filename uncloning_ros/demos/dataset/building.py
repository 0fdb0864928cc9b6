# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Build a dataset from bags: cut, read, label, align and split them, over several processes.

A process holds one episode at a time. The result does not depend on how many there are.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from uncloning_ros import __version__
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.decoding import with_topics
from uncloning_ros.demos.bags.pieces import Cut, LeftOut, Piece
from uncloning_ros.demos.dataset.loading import Loaded, load_episode
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import (
    Dataset,
    DatasetWriter,
    Description,
    EpisodeRecord,
    load_dataset,
)
from uncloning_ros.demos.episodes.find import (
    find_episodes,
    first_contract,
    no_episode,
    stray_labels,
)
from uncloning_ros.demos.labelling.rule import rule_lacks
from uncloning_ros.errors import ContractError, DatasetError, counted
from uncloning_ros.files import require_new
from uncloning_ros.pictures import decoder
from uncloning_ros.processes import in_order
from uncloning_ros.scenario import Scenario, find_scenario

USUAL_SCENARIO = 'knife'
FEW_EPISODES = 20  # of a mode: a policy learns little of a mode with fewer


@dataclass(frozen=True)
class BuildReport:
    """A new dataset and its warnings.

    `cuts` tell by the name of a bag how it was cut; they are empty unless bags were cut.
    """

    dataset: Dataset
    warnings: tuple[str, ...]
    cuts: Mapping[str, Cut]


def build_dataset(sources: Sequence[Path], out: Path, recipe: Recipe, split: Split,
                  workers: int = 1,
                  on_done: Callable[[int, int], None] = lambda done, total: None) -> BuildReport:
    """Make a dataset of every usable episode in `sources` and write it to the folder `out`.

    `sources` are bags and folders of bags. `on_done(done, total)` is called after each bag that
    was cut and each episode. The result does not depend on `workers`. An episode that is
    too short, has a gap, or has no label (unless the recipe keeps these) is left out and named,
    and so is a damaged bag, one of another interface, or one with a message that cannot be
    decoded. Raise `BagError` for a path that is not there, `ContractError` for a key of the recipe
    that the contract lacks or if bags carry several policy parts and the recipe chooses none,
    `DatasetError` if no episode remains. An interrupt leaves nothing behind.
    """
    require_new(out)
    contract = with_topics(recipe.reading.contract or first_contract(sources),
                           recipe.reading.topics)
    recipe = replace(recipe, scenario=_scenario(recipe, contract))
    listing = find_episodes(sources, replace(recipe.reading, contract=contract), workers,
                            on_cut=lambda done, bags: on_done(done, 2 * bags))
    left_out = [*(LeftOut(name, 'it was never finished') for name in listing.unfinished),
                *listing.left_out]
    bags = len(listing.cuts) + len(listing.left_out)
    results = in_order(partial(load_episode, recipe, contract), listing.episodes, workers,
                       'the dataset', DatasetError)
    with DatasetWriter(out) as writer:
        usable = []
        for done, result in enumerate(_without_twins(results), start=bags + 1):
            on_done(done, bags + len(listing.episodes))
            if isinstance(result, LeftOut):
                left_out.append(result)
                continue
            writer.add(result.frames.pictures)
            usable.append(replace(result, frames=result.frames._replace(pictures={})))
        if not usable:
            raise DatasetError(no_episode(sources, left_out=left_out))
        cutting, cameras = recipe.reading.cutting, contract.interface.cameras
        description = Description(
            software_version=__version__,
            scenario=None if recipe.scenario is None else recipe.scenario.name,
            scenario_sha256=None if recipe.scenario is None else recipe.scenario.sha256,
            contract=contract,
            topics=recipe.reading.topics,
            cut=None if cutting is None else {
                **vars(cutting),
                'bags': {name: {'episodes_ns': [piece.span_ns for piece in cut.pieces],
                                'cut_off': [vars(rest) for rest in cut.remainders]}
                         for name, cut in listing.cuts.items()}},
            labels=recipe.labels,
            split_seed=split.seed,
            validation=split.validation,
            episodes=_records(usable, contract, split),
            left_out=tuple(left_out),
            decoder=decoder([one.view for one in cameras]) if cameras else None)
        writer.finish(np.concatenate([one.frames.observations for one in usable]),
                      np.concatenate([one.frames.actions for one in usable]), description)
    warnings = _warnings(usable, contract) + stray_labels(listing.episodes)
    return BuildReport(load_dataset(out), tuple(warnings), listing.cuts)


def _scenario(recipe: Recipe, contract: Contract) -> Scenario | None:
    """Return the recipe's scenario, else the usual one where its rule has what it needs."""
    lacking = rule_lacks(contract.interface)
    if recipe.scenario is None:
        return None if lacking else find_scenario(USUAL_SCENARIO)
    if len(lacking) == 4:
        raise ContractError(f'expected a contract of a handover for scenario '
                            f'{recipe.scenario.name!r}, got one without {", ".join(lacking)}; '
                            f'leave the scenario out')
    return recipe.scenario


def _without_twins(results: Iterable[Loaded | LeftOut]) -> Iterator[Loaded | LeftOut]:
    """Yield the results, and leave out an episode that is the same recording as an earlier one.

    In both splits it would make the validation look better than it is.
    """
    known: dict[tuple[str, Piece | None], str] = {}
    for result in results:
        if isinstance(result, Loaded):
            recording = result.digest, result.ref.piece
            if recording in known:
                yield LeftOut(result.ref.name, f'it is the same recording as {known[recording]}')
                continue
            known[recording] = result.ref.name
        yield result


def _records(usable: Sequence[Loaded], contract: Contract,
             split: Split) -> tuple[EpisodeRecord, ...]:
    held_out = _held_out([one.mode for one in usable], contract.interface.mode_names, split)
    return tuple(one.record('validation' if i in held_out else 'train', contract.policy.period_ns)
                 for i, one in enumerate(usable))


def _held_out(modes: Sequence[str | None], names: Sequence[str], split: Split) -> set[int]:
    """Return the episodes of the validation split: of every mode, and of none, the same share.

    A mode with at least two episodes keeps one in either split, unless the share is 0.
    """
    found: set[int] = set()
    rng = np.random.default_rng(split.seed)
    for name in (*names, None):
        members = [i for i, mode in enumerate(modes) if mode == name]
        order = rng.permutation(len(members))
        count = min(max(1, round(split.validation * len(members))), len(members) - 1)
        found.update(members[i] for i in order[:count if split.validation > 0 else 0])
    return found


def _warnings(usable: Sequence[Loaded], contract: Contract) -> list[str]:
    warnings = []
    for mode in contract.interface.mode_names:
        count = sum(one.mode == mode for one in usable)
        if count < FEW_EPISODES:
            warnings.append(f'{counted(count, "episode")} of mode {mode}; {FEW_EPISODES} or more '
                            f'are better')
    disagreeing = [one.ref.name for one in usable
                   if None not in (one.mode, one.planned_mode) and one.mode != one.planned_mode]
    if disagreeing:
        warnings.append(f'{counted(len(disagreeing), "episode")} labelled with another mode than '
                        f'planned: {", ".join(disagreeing)}')
    return warnings
