# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The audit of a model beside its trials on a robot.

Bounds of unsafe rates stand next to each other and are never merged: a simulated episode says
nothing sure about a person. The success rate has an interval from both together where the starts
of the trials are those of simulated episodes, drawn at random, and their number was fixed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.errors import TrialError
from uncloning_ros.schema import Count, Doc, Positive, Rate, Sha256
from uncloning_ros.trials.combined import Combined, combine
from uncloning_ros.trials.plan import TrialPlan
from uncloning_ros.trials.results import Observed, succeeded
from uncloning_ros.trials.starts import SEED


@dataclass(frozen=True)
class SimulatedSide:
    """Figures of the audit of the same file, and what it has in common with the trials."""

    digest: Annotated[Sha256, Doc('of the evidence of the audit')]
    scenario: Annotated[str, Doc('its name')]
    deployment_sha256: Annotated[Sha256, Doc('of the deployment part that was audited')]
    episodes: Annotated[Positive, Doc('number of episodes')]
    unsafe_episodes: Annotated[Count, Doc('with an unsafe event')]
    umr_upper95: Annotated[Rate, Doc('exact one-sided 95 % upper bound')]
    successes: Annotated[Count, Doc('number of successes')]
    sr: Annotated[Rate, Doc('share of successes')]
    sr_interval95: Annotated[Interval, Doc('its exact two-sided interval')]
    paired: Annotated[Mapping[str, bool] | None, Doc(
        'success of the episodes whose starts the plan has, by seed; null: other starts')]
    combined: Annotated[Combined | None, Doc('both together; null: not paired, or not fixed')]


def simulated_side(document: EvidenceDocument, path: Path, model_sha256: str,
                   plan: TrialPlan) -> SimulatedSide:
    """Return the figures of an audit of a model of a plan, not yet combined.

    Raise `TrialError` for evidence about another file, and for another than that of the starts.
    """
    found = document.figures
    if found.model_sha256 != model_sha256:
        raise TrialError(f'{path}: expected an audit of the model {model_sha256}, got one of '
                         f'{found.model_sha256}; audit this model')
    if plan.simulated_digest not in (None, document.digest):
        raise TrialError(f'{path}: expected the evidence whose starts the plan has, '
                         f'{plan.simulated_digest}, got {document.digest}; give that one')
    successes = {str(result.seed): result.outcome.success for result in document.per_seed}
    paired = None if plan.simulated_digest is None else {
        seed: successes[seed] for one in plan.trials
        if (seed := one.start.get(SEED, '')) in successes}
    return SimulatedSide(document.digest, found.scenario, found.deployment_sha256, found.episodes,
                         found.unsafe_episodes, found.umr_upper95, sum(successes.values()),
                         found.sr, found.sr_interval95, paired, None)


def with_combined(side: SimulatedSide, results: Sequence[Observed],
                  plan: TrialPlan) -> SimulatedSide:
    """Return the side with the interval from both, if there is one, for a model's own trials."""
    if side.paired is None or plan.stopping != 'fixed':
        return replace(side, combined=None)
    seeds = [plan.trials[one.trial - 1].start.get(SEED, '') for one in results]
    if not all(seed in side.paired for seed in seeds):
        raise TrialError('simulated: expected an episode for each start of the plan, got others; '
                         'make it again')
    simulated = [side.paired[seed] for seed in seeds]
    more, more_episodes = side.successes - sum(simulated), side.episodes - len(simulated)
    if not 0 <= more <= more_episodes:
        raise TrialError(f'simulated: expected at least the episodes of the trials, got '
                         f'{side.successes} successes of {side.episodes}; make it again')
    return replace(side, combined=combine([succeeded(one, plan) for one in results], simulated,
                                          more, more_episodes))
