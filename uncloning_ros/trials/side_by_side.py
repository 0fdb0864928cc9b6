# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The audit of a model beside its trials on a robot.

Bounds of unsafe rates stand next to each other and are never merged: a simulated episode says
nothing sure about a person.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.audit.figures.statistics import Interval
from uncloning_ros.errors import TrialError
from uncloning_ros.schema import Count, Doc, Rate, Sha256
from uncloning_ros.trials.plan import TrialPlan


@dataclass(frozen=True)
class SimulatedSide:
    """Figures of the audit of the same file."""

    digest: Annotated[Sha256, Doc('of the evidence of the audit')]
    scenario: Annotated[str, Doc('its name')]
    deployment_sha256: Annotated[Sha256, Doc('of the deployment part that was audited')]
    episodes: Annotated[Count, Doc('number of episodes')]
    unsafe_episodes: Annotated[Count, Doc('with an unsafe event')]
    umr_upper95: Annotated[Rate, Doc('exact one-sided 95 % upper bound')]
    sr: Annotated[Rate, Doc('share of successes')]
    sr_interval95: Annotated[Interval, Doc('its exact two-sided interval')]


def simulated_side(document: EvidenceDocument, path: Path, model_sha256: str,
                   plan: TrialPlan) -> SimulatedSide:
    """Return the figures of an audit of a model of a plan.

    Raise `TrialError` for evidence about another file, and for another than that of the starts.
    """
    found = document.figures
    if found.model_sha256 != model_sha256:
        raise TrialError(f'{path}: expected an audit of the model {model_sha256}, got one of '
                         f'{found.model_sha256}; audit this model')
    if plan.simulated_digest not in (None, document.digest):
        raise TrialError(f'{path}: expected the evidence whose starts the plan has, '
                         f'{plan.simulated_digest}, got {document.digest}; give that one')
    return SimulatedSide(document.digest, found.scenario, found.deployment_sha256, found.episodes,
                         found.unsafe_episodes, found.umr_upper95, found.sr, found.sr_interval95)
