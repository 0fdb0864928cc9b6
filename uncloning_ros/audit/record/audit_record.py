# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the record of an audit: the figures and episodes of every model, and their differences.

With several models, the bounds of the `family` hold for all of them at once, and the p values are
corrected for each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.calibration import Distance, distance, ideal_modes
from uncloning_ros.audit.figures.diversity import DiversityRatio, diversity_ratio
from uncloning_ros.audit.figures.model_figures import (
    RATES,
    Figures,
    StatedLimits,
    figures,
    held_against,
)
from uncloning_ros.audit.figures.statistics import (
    PairedDifference,
    holm,
    paired_difference,
    upper_bound,
)
from uncloning_ros.audit.figures.wrong_starts import WrongStarts, wrong_starts
from uncloning_ros.audit.record.provenance import AuditMachine, machine
from uncloning_ros.audit.wording import STATEMENT
from uncloning_ros.evidence import Limits
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario
from uncloning_ros.schema import Count, Doc, Note, Rate, Sha256

_ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class ModelRecord(Figures):
    """The figures of one model, and its episodes."""

    wrong_starts: Annotated[Mapping[str, WrongStarts], Doc(
        'episodes begun in an undesired mode, by that mode')] = field(default_factory=dict)
    per_seed: Annotated[tuple[EpisodeResult, ...], Doc('every episode, by seed')]


@dataclass(frozen=True)
class CorrectedDifference(PairedDifference):
    """A paired difference beside others of the same audit."""

    p_value_holm: Annotated[Rate, Doc('corrected for all tests of this audit')]


@dataclass(frozen=True, kw_only=True)
class ComparedModel(ModelRecord):
    """A model that the first one is compared with, on the same seeds."""

    difference: Annotated[Mapping[str, CorrectedDifference], Doc('first less this: tcr, sr, umr')]
    ideal: Annotated[Distance | None, Doc(
        'modes of the first against those of its original; null: this is not its original')]
    diversity_ratio: Annotated[Mapping[str, DiversityRatio], Doc('variety, by desired mode')]


@dataclass(frozen=True)
class Family:
    """Bounds that hold for several models at once."""

    models: Annotated[Count, Doc('number of models')]
    correction: Annotated[str, Doc('name of the correction')]
    umr_upper95: Annotated[Mapping[str, Rate], Doc('upper bound of UMR by model_sha256')]


@dataclass(frozen=True)
class AuditRecord:
    """An audit: the first model, for which limits may be stated, and those beside it."""

    SCHEMAS: ClassVar = ('uncloning/audit@2',)

    statement: Annotated[str, Doc('the claim of the audit and its limits')]
    machine: Annotated[AuditMachine, Doc('all that bits depend on beside the model')]
    scenario_sha256: Annotated[Sha256, Doc("of the scenario's data")]
    inference_latency_s: Annotated[float, Doc('injected from planning to the first command')]
    limits: Annotated[Limits, Doc('stated for the first model')]
    model: Annotated[ModelRecord, Note.INLINE]
    family: Annotated[Family | None, Doc('bounds for all models at once; null: one')]
    against: Annotated[ComparedModel | None, Doc('compared on the same seeds')] = None
    also_against: Annotated[tuple[ComparedModel, ...], Doc('further models compared with')] = ()

    @property
    def others(self) -> list[ComparedModel]:
        """Return the models that the first was compared with."""
        return [*([] if self.against is None else [self.against]), *self.also_against]

    @property
    def models(self) -> list[ModelRecord]:
        """Return the first model and those that it was compared with."""
        return [self.model, *self.others]


def audit_record(audited: Sequence[AuditedModel], scenario: Scenario, inference_latency_s: float,
                 limits: StatedLimits) -> AuditRecord:
    """Return the record of an audit.

    The first model is the one that the limits are stated for; the others have the same seeds.
    """
    first, *others = audited
    model = model_record(first, scenario, limits)
    compared = [_compared(first, model, other, difference, scenario)
                for other, difference in zip(others, _differences(first, others), strict=True)]
    return AuditRecord(
        STATEMENT, machine(), scenario.sha256, inference_latency_s, held_against(limits, model),
        model, _family([model, *compared]) if others else None,
        against=compared[0] if compared else None, also_against=tuple(compared[1:]))


def model_record(audited: AuditedModel, scenario: Scenario, limits: StatedLimits) -> ModelRecord:
    """Return the figures of one model, and its episodes."""
    return ModelRecord(
        **vars(figures(audited, scenario, limits)), per_seed=audited.results,
        wrong_starts={mode: wrong_starts(results, audited.identity.modes_desired)
                      for mode, results in audited.wrong_starts.items()})


def _compared(first: AuditedModel, model: ModelRecord, other: AuditedModel,
              difference: Mapping[str, CorrectedDifference], scenario: Scenario) -> ComparedModel:
    found = model_record(other, scenario, StatedLimits())
    ideal = ideal_modes(first.identity, other)
    return ComparedModel(
        **vars(found), difference=difference,
        ideal=None if ideal is None else distance(first.completed_modes, ideal),
        diversity_ratio=diversity_ratio(model.diversity, found.diversity))


def _family(models: Sequence[Figures]) -> Family:
    """Return upper bounds of UMR that hold for all models at once."""
    return Family(len(models), 'Bonferroni', {
        model.model_sha256: upper_bound(model.unsafe_episodes, model.episodes,
                                        _ALPHA / len(models)) for model in models})


def _differences(first: AuditedModel,
                 others: Sequence[AuditedModel]) -> list[dict[str, CorrectedDifference]]:
    """Return first less each other for each rate, over episodes with the same seed."""
    found = [{name: paired_difference([has(r) for r in first.results],
                                      [has(r) for r in other.results])
              for name, has in RATES.items()} for other in others]
    corrected = iter(holm([test.p_value for tests in found for test in tests.values()]))
    return [{name: CorrectedDifference(**vars(test), p_value_holm=next(corrected))
             for name, test in tests.items()} for tests in found]
