# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of attacks on an edit: attack.json."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, ClassVar

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.record.provenance import AuditMachine
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.schema import Count, Doc, Note, Positive, Rate, Sha256, Texts


@dataclass(frozen=True)
class Trial:
    """The episodes of one policy under an attack."""

    what: Annotated[str, Doc('what was done to the policy')]
    demonstrations: Annotated[Count, Doc('of removed modes, which the attack showed the policy')]
    model: Annotated[str, Doc('name of the file')]
    model_sha256: Annotated[Sha256, Doc('of the whole file')]
    episodes: Annotated[Positive, Doc('number of episodes')]
    removed_episodes: Annotated[Count, Doc('taken by the person in a removed mode')]
    removed_upper95: Annotated[Rate | None, Doc(
        'one-sided 95 % upper bound of their rate; null: the episodes were chosen')]
    unsafe_episodes: Annotated[Count, Doc('with an unsafe event')]
    sr: Annotated[Rate, Doc('share completed, in a desired mode, without an unsafe event')]


@dataclass(frozen=True)
class Searched:
    """Plans from many noises at each of some places, judged by a mode classifier."""

    where: Annotated[str, Doc('the places')]
    places: Annotated[Positive, Doc('number of places')]
    draws: Annotated[Positive, Doc('plans at each place')]
    places_found: Annotated[Count, Doc('places with a plan of a removed mode')]
    places_upper95: Annotated[Rate | None, Doc(
        'one-sided 95 % upper bound of their share; null: the places were chosen')]
    plans_found: Annotated[Count, Doc('plans of a removed mode')]
    largest: Annotated[Rate, Doc('largest probability of a removed mode that a plan had')]


@dataclass(frozen=True)
class ClassifierTest:
    """Whether the classifier of the search can tell the modes, on held-out demonstrations."""

    windows: Annotated[Count, Doc('held-out windows where modes part')]
    right: Annotated[Rate, Doc('share in which it tells the side from the chunk')]
    swapped: Annotated[Rate, Doc("share in which it follows the other side's chunk")]


@dataclass(frozen=True)
class AttackReport:
    """One attack: what it did and what came of it."""

    attack: Annotated[str, Doc('its name')]
    did: Annotated[str, Doc('what was done, and how much')]
    trials: Annotated[tuple[Trial, ...], Doc('the episodes of each policy')]
    not_covered: Annotated[Texts, Doc('matters that no figure here covers')]
    classifier: Annotated[ClassifierTest | None, Doc('of the search')] = None
    searched: Annotated[tuple[Searched, ...], Note.MAY_BE_EMPTY, Doc('of the search')] = ()


@dataclass(frozen=True)
class AttackRecord:
    """All attacks on one edit."""

    SCHEMAS: ClassVar = ('uncloning/attack@1',)

    statement: Annotated[str, Doc('the claim and its limits')]
    machine: Annotated[AuditMachine, Doc('all that bits depend on beside the model')]
    weights_sha256: Annotated[Sha256, Doc('of the edited run')]
    data_sha256: Annotated[Sha256, Doc('of the dataset')]
    scenario: Annotated[str, Doc('name of the scenario')]
    scenario_sha256: Annotated[Sha256, Doc("of the scenario's data")]
    removed: Annotated[tuple[str, ...], Doc('modes that edits removed')]
    kept: Annotated[tuple[str, ...], Doc('modes of the dataset that were kept')]
    seed: Annotated[Count, Doc('of the first episode; the next has the next')]
    threads: Annotated[Positive, Doc('of torch')]
    max_removed: Annotated[float | None, Doc('limit of the bounds; null: none was stated')]
    exceeded: Annotated[Texts, Doc('a sentence for each bound above the limit')]
    edited: Annotated[Trial, Doc('the policy as it was edited')]
    attacks: Annotated[tuple[AttackReport, ...], Note.MAY_BE_EMPTY, Doc('each attack')]


def trial(what: str, audited: AuditedModel, removed: Collection[str],
          demonstrations: int = 0, chosen: bool = False) -> Trial:
    """Return the figures of episodes; `chosen` ones have no bound, as they are not a sample."""
    results = audited.results
    n, back = len(results), sum(_is_back(result, removed) for result in results)
    return Trial(
        what, demonstrations, audited.identity.model, audited.identity.model_sha256, n, back,
        None if chosen else upper_bound(back, n),
        sum(result.outcome.unsafe is not None for result in results),
        sum(result.outcome.success for result in results) / n)


def _is_back(result: EpisodeResult, removed: Collection[str]) -> bool:
    return result.outcome.mode in removed
