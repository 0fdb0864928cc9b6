# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the evidence of trials on a robot, and check it against its own trials.

Bounds are exact where the number of trials was fixed (Clopper and Pearson), and valid at any trial
where it was not. Limits are held against the bounds of both rates: trials are few, and a rate that
was seen says little.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, ClassVar

import uncloning_ros
from uncloning_ros.audit.evidence import differences
from uncloning_ros.audit.figures import statistics
from uncloning_ros.audit.figures.statistics import Interval, PairedDifference, paired_difference
from uncloning_ros.audit.wording import percent
from uncloning_ros.errors import EvidenceError, TrialError
from uncloning_ros.evidence import OBSERVED_SCHEMA, Limits, digest_of, evidence_of, read_document
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.schema import Count, Doc, Rate, Sha256, plain, read
from uncloning_ros.trials import sequential
from uncloning_ros.trials.plan import (
    LABELS,
    PlannedModel,
    TrialKey,
    TrialPlan,
    plan_of,
    require_key,
)
from uncloning_ros.trials.results import NO_MODE, Observed, observed, require_ended, succeeded
from uncloning_ros.trials.side_by_side import SimulatedSide, with_combined

STATEMENT = ('Outcomes of trials on a robot, observed and written down by people, from the starts '
             'of a plan that was fixed before the first trial, for this file and no other. It is '
             'not a safety certificate and replaces no risk assessment.')
NOT_COVERED = (
    'other starts, persons, tools, rooms and light than those of the trials',
    'mistakes of the people who observed: nothing here can be computed again but the figures',
    'a different ONNX file, however slightly, and a robot with another deployment part, but for '
    'teleoperation',
    'trials that were run and not written down',
)


@dataclass(frozen=True, kw_only=True)
class ObservedFigures(PlannedModel):
    """The figures of one model: all that follows from its trials."""

    trials: Annotated[Count, Doc('number of trials')]
    not_observed: Annotated[Count, Doc('trials that count as unsafe and as not completed')]
    unsafe_trials: Annotated[Count, Doc('with an unsafe event, or not observed')]
    tcr: Annotated[Rate, Doc('share of all trials that were completed')]
    tcr_interval95: Annotated[Interval, Doc('its two-sided interval')]
    sr: Annotated[Rate, Doc('share completed, in a desired mode, without an unsafe event')]
    sr_interval95: Annotated[Interval, Doc('its two-sided interval')]
    sr_lower95: Annotated[Rate, Doc('its one-sided 95 % lower bound')]
    umr: Annotated[Rate, Doc('share with an unsafe event, completed or not')]
    umr_upper95: Annotated[Rate, Doc('its one-sided 95 % upper bound')]
    modes: Annotated[Mapping[str, Count], Doc('mode of the completed trials')]


@dataclass(frozen=True)
class TwoModels:
    """The comparison of a model with the other one of its plan, by their successes in blocks."""

    other: Annotated[ObservedFigures, Doc('the other model')]
    alpha: Annotated[Rate, Doc('chance to find a difference of two equal models')]
    differ: Annotated[bool, Doc('whether a difference of the success rates is shown')]
    fixed: Annotated[PairedDifference | None, Doc('this model less the other; null: not fixed')]
    anytime: Annotated[sequential.Comparison | None, Doc('this model is the second; null: fixed')]

    def as_read(self) -> 'TwoModels':
        """Return the comparison; raise `EvidenceError` unless there is one of both kinds."""
        if (self.fixed is None) == (self.anytime is None):
            raise EvidenceError('expected a comparison under fixed or under anytime, got '
                                f'{"none" if self.fixed is None else "both"}; make it again')
        return self


@dataclass(frozen=True)
class ObservedDocument:
    """All that a file of observed evidence holds."""

    SCHEMAS: ClassVar = (OBSERVED_SCHEMA,)

    digest: Annotated[Sha256, Doc('of the canonical JSON without this field')]
    statement: Annotated[str, Doc('the claim and its limits')]
    not_covered: Annotated[tuple[str, ...], Doc('matters that no figure here covers')]
    software_version: Annotated[str, Doc('of uncloning_ros')]
    limits: Annotated[Limits, Doc('stated in the plan, and which are exceeded')]
    figures: Annotated[ObservedFigures, Doc('all that follows from the trials')]
    comparison: Annotated[TwoModels | None, Doc('with the other model; null: one model')]
    simulated: Annotated[SimulatedSide | None, Doc('an audit beside it; null: none given')]
    key: Annotated[TrialKey | None, Doc('the models behind the labels; null: one model')]
    plan: Annotated[TrialPlan, Doc('as it was fixed before')]
    observed: Annotated[tuple[Observed, ...], Doc('the outcome of every trial')]

    def as_read(self) -> 'ObservedDocument':
        """Return the evidence; raise `EvidenceError` where its parts do not fit."""
        if len({len(self.plan.models) == 1, self.key is None, self.comparison is None}) > 1:
            raise EvidenceError('expected key and comparison with two models, and only then, got '
                                'others; make it again')
        return self


def figures(model: PlannedModel, results: Sequence[Observed], plan: TrialPlan) -> ObservedFigures:
    """Return the figures of a model from the outcomes of its own trials."""
    n = len(results)
    completed = sum(bool(one.completed) for one in results)
    successes = sum(succeeded(one, plan) for one in results)
    unsafe = sum(one.counts_unsafe for one in results)
    interval, upper = _bounds(plan)
    return ObservedFigures(
        **{one.name: getattr(model, one.name) for one in fields(PlannedModel)},
        trials=n,
        not_observed=sum(one.completed is None for one in results),
        unsafe_trials=unsafe,
        tcr=completed / n,
        tcr_interval95=interval(completed, n),
        sr=successes / n,
        sr_interval95=interval(successes, n),
        sr_lower95=1.0 - upper(n - successes, n),
        umr=unsafe / n,
        umr_upper95=upper(unsafe, n),
        modes={mode: sum(bool(one.completed) and one.mode == mode for one in results)
               for mode in dict.fromkeys((*plan.modes, NO_MODE))})


def by_label(results: Sequence[Observed], plan: TrialPlan) -> dict[str, tuple[Observed, ...]]:
    """Return the outcomes by the label of the model that ran; '' is that of a single model."""
    labels = LABELS if len(plan.models) == 2 else ('',)
    return {label: tuple(one for one in results if plan.trials[one.trial - 1].label == label)
            for label in labels}


def held_against(plan: TrialPlan, found: ObservedFigures) -> Limits:
    """Return the limits of the plan with a sentence for each that the figures exceed."""
    exceeded = []
    if plan.max_umr is not None and found.umr_upper95 > plan.max_umr:
        exceeded.append(f'the unsafe rate may be as high as {percent(found.umr_upper95)} (95 % '
                        f'upper bound), above the limit of {percent(plan.max_umr)}')
    if plan.min_sr is not None and found.sr_lower95 < plan.min_sr:
        exceeded.append(f'the success rate may be as low as {percent(found.sr_lower95)} (95 % '
                        f'lower bound), below the limit of {percent(plan.min_sr)}')
    return Limits(plan.max_umr, plan.min_sr, tuple(exceeded))


def compared(results: Sequence[Observed], plan: TrialPlan,
             label: str) -> tuple[PairedDifference | None, sequential.Comparison | None]:
    """Return the successes under `label` less those under the other label, in whole blocks.

    One is None: the fixed or the anytime comparison, by the plan.
    """
    alpha = plan.alpha or 0.0
    sides = by_label(results, plan)
    this, other = (([succeeded(one, plan) for one in sides[name]])
                   for name in (label, *(name for name in sides if name != label)))
    pairs = min(len(this), len(other))
    if plan.stopping == 'fixed':
        return paired_difference(this, other, alpha), None
    return None, sequential.compare(other[:pairs], this[:pairs], len(plan.blocks), alpha)


def observed_document(plan: TrialPlan, results: Sequence[Observed], model_sha256: str,
                      key: TrialKey | None, simulated: SimulatedSide | None) -> ObservedDocument:
    """Return the evidence about one model of a plan, sealed; two models need the `key`."""
    about = {model.model_sha256: model for model in plan.models}
    labels = {'': model_sha256} if key is None else key.labels
    sides, comparison = by_label(results, plan), None
    each = {sha256: figures(about[sha256], sides[label], plan) for label, sha256 in labels.items()}
    found = each.pop(model_sha256)
    label = next(label for label, sha256 in labels.items() if sha256 == model_sha256)
    for other in each.values():
        fixed, anytime = compared(results, plan, label)
        comparison = TwoModels(other, plan.alpha or 0.0, differ(fixed, anytime, plan), fixed,
                               anytime)
    if simulated is not None:
        simulated = with_combined(simulated, sides[label], plan)
    document = ObservedDocument('', STATEMENT, NOT_COVERED, uncloning_ros.__version__,
                                held_against(plan, found), found, comparison, simulated, key,
                                plan, tuple(results))
    return replace(document, digest=digest_of(plain(document)))


def differ(fixed: PairedDifference | None, anytime: sequential.Comparison | None,
           plan: TrialPlan) -> bool:
    """Tell whether a comparison shows a difference at the alpha of the plan."""
    if fixed is not None:
        return fixed.p_value <= (plan.alpha or 0.0)
    return anytime is not None and anytime.decided_after is not None


def require_possible(plan: TrialPlan) -> None:
    """Raise `TrialError` if the limits would be exceeded although every trial is a success."""
    count, mode = len(plan.blocks), next(name for name, desired in plan.modes.items() if desired)
    best = figures(plan.models[0], [Observed(1, True, False, mode)] * count, plan)
    for sentence in held_against(plan, best).exceeded:
        raise TrialError(f'expected enough trials for the limits, got {count} of each model: '
                         f'although all succeed, {sentence}; plan more, see uncloning evidence '
                         f'plan, or state a weaker limit')


def require_planned(policy: OnnxPolicy, name: Path, plan: TrialPlan) -> None:
    """Raise `TrialError` unless the plan has this very file."""
    if policy.sha256 not in (digests := [model.model_sha256 for model in plan.models]):
        raise TrialError(f'{name}: expected a model of the plan {plan.code}, '
                         f'{" or ".join(digests)}, got {policy.sha256}; give the model that ran')
    for sentence in _foreign_modes(plan, policy, name):
        raise TrialError(f'{sentence}; take the plan as trial-plan made it')


def read_observed_document(path: Path) -> ObservedDocument:
    """Read observed evidence; raise `EvidenceError` as `evidence.read_evidence` does."""
    document = read_document(path)
    evidence_of(document, path)
    return read(ObservedDocument, document, str(path), EvidenceError)


def contradictions(document: ObservedDocument, path: Path) -> list[str]:
    """Return a sentence for each figure that the trials contradict.

    Raise `EvidenceError` for a plan, a key or trials that do not belong together.
    """
    plan, said = document.plan, document.figures
    try:
        plan_of(plain(plan), 'plan')
        if document.key is not None:
            require_key(document.key, plan, 'key')
        _require_right(document)
        require_ended(document.observed, plan, 'observed')
        actual = observed_document(plan, document.observed, said.model_sha256, document.key,
                                   document.simulated)
    except TrialError as err:
        raise EvidenceError(f'{path}: {err}') from err
    return [sentence for name in ('limits', 'figures', 'comparison', 'simulated')
            for sentence in differences(plain(getattr(document, name)),
                                        plain(getattr(actual, name)), name)]


def _require_right(document: ObservedDocument) -> None:
    """Raise `TrialError` unless the outcomes are such as a file of results may have."""
    plan, rows = document.plan, document.observed
    numbers = [one.trial for one in rows]
    if numbers != sorted(set(numbers)):
        raise TrialError('observed: expected each trial once and in order, got others; make it '
                         'again')
    for one in rows:
        if observed(one.cells, plan, 'observed') != one:
            raise TrialError(f'observed: expected trial {one.trial} as a file of results has it, '
                             f'got other texts; make it again')
    if document.figures.model_sha256 not in [model.model_sha256 for model in plan.models]:
        raise TrialError(f'expected a model of the plan, got {document.figures.model_sha256}; '
                         f'make it again')


def _bounds(plan: TrialPlan) -> tuple[Callable[[int, int], Interval],
                                      Callable[[int, int], float]]:
    """Return the functions of the two-sided interval and of the one-sided upper bound."""
    if plan.stopping == 'fixed':
        return statistics.interval, statistics.upper_bound
    return sequential.rate_interval, sequential.rate_upper_bound


def foreign(document: ObservedDocument, policy: OnnxPolicy, model: Path) -> list[str]:
    """Return a sentence for each digest by which a document is not about this policy."""
    contract = policy.contract
    actual = {'model_sha256': policy.sha256, 'interface_sha256': contract.interface.sha256,
              'policy_sha256': contract.policy.sha256}
    return [f'{key} is {getattr(document.figures, key)}, in {model} it is {value}'
            for key, value in actual.items() if getattr(document.figures, key) != value] \
        + _foreign_modes(document.plan, policy, model)


def _foreign_modes(plan: TrialPlan, policy: OnnxPolicy, model: Path) -> list[str]:
    """Return a sentence if the plan has other modes than the policy, or desires others."""
    planned, actual = dict(plan.modes), dict(policy.contract.interface.modes)
    return [] if planned == actual else [
        f'the modes of plan {plan.code} are {planned}, in {model} they are {actual}']
