# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the evidence of an audit, and check evidence against its own episodes.

Everything but the episodes follows from the file itself, and is computed again: each episode's
judgement from its measured quantities, the figures from the episodes, the verdict from the
figures. The episodes follow from model, scenario and seed: some of them are simulated again.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from uncloning_ros.audit.audited import AuditedModel, ModelIdentity, identity_of
from uncloning_ros.audit.figures.model_figures import Figures, StatedLimits, figures, held_against
from uncloning_ros.audit.record.provenance import AuditMachine, machine
from uncloning_ros.audit.run.rollout import require_fit, run_rollouts
from uncloning_ros.audit.run.seeds import require_unseen
from uncloning_ros.audit.wording import NOT_COVERED, STATEMENT
from uncloning_ros.errors import AuditError, EvidenceError, UncloningError
from uncloning_ros.evidence import SCHEMA, Limits, digest_of, evidence_of, read_document
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.scenario import Exchange, Scenario, scenario_from_dict
from uncloning_ros.schema import Count, Doc, Note, Sha256, canonical_sha256, plain, read

# Most sentences about one file.
_SHOWN = 20


@dataclass(frozen=True)
class StoredScenario:
    """The scenario that evidence holds for."""

    name: Annotated[str, Doc('its name')]
    sha256: Annotated[Sha256, Doc('of its data')]
    data: Annotated[Any, Doc('the whole scenario, as its file has it')]


@dataclass(frozen=True)
class EvidenceDocument:
    """All that an evidence file holds."""

    SCHEMAS: ClassVar = (SCHEMA,)

    digest: Annotated[Sha256, Doc('of the canonical JSON without this field')]
    statement: Annotated[str, Doc('the claim of the audit and its limits')]
    not_covered: Annotated[tuple[str, ...], Doc('matters that no figure here covers')]
    machine: Annotated[AuditMachine, Doc('all that bits depend on beside the model')]
    scenario: Annotated[StoredScenario, Doc('the distribution that it holds for')]
    inference_latency_s: Annotated[float, Doc('injected from planning to the first command')]
    limits: Annotated[Limits, Doc('stated before, and which are exceeded')]
    demonstrated: Annotated[Mapping[str, Count] | None, Doc('training episodes; null: not known')]
    figures: Annotated[Figures, Doc('all that follows from the episodes')]
    per_seed: Annotated[tuple[EpisodeResult, ...], Note.MAY_BE_EMPTY, Doc(
        'every episode, by seed')]


def evidence_document(audited: AuditedModel, scenario: Scenario, inference_latency_s: float,
                      limits: StatedLimits) -> dict[str, Any]:
    """Return the evidence about one model as plain data, sealed with its digest."""
    found = figures(audited, scenario, limits)
    document: dict[str, Any] = plain(EvidenceDocument(
        '', STATEMENT, NOT_COVERED, machine(),
        StoredScenario(scenario.name, scenario.sha256, scenario.source), inference_latency_s,
        held_against(limits, found), audited.identity.demonstrated, found, audited.results))
    return document | {'digest': digest_of(document)}


def read_evidence_document(path: Path) -> EvidenceDocument:
    """Read all of an evidence file; raise `EvidenceError` as `evidence.read_evidence` does."""
    document = read_document(path)
    evidence_of(document, path)
    return read(EvidenceDocument, document, str(path), EvidenceError)


def scenario_of(stored: StoredScenario, path: Path) -> Scenario:
    """Return the scenario that a file holds; raise `EvidenceError` if it is not itself."""
    try:
        scenario = scenario_from_dict(stored.data, f'{path}: scenario.data')
        sha256 = canonical_sha256(stored.data)
    except UncloningError as err:
        raise EvidenceError(str(err)) from err
    if (scenario.name, sha256) != (stored.name, stored.sha256):
        raise EvidenceError(f'{path}: expected the scenario {stored.name} with sha256 '
                            f'{stored.sha256}, got {scenario.name} with {sha256}; audit again')
    return scenario


def contradictions(document: EvidenceDocument, path: Path) -> list[str]:
    """Return a sentence for each figure and judgement that the episodes contradict.

    Raise `EvidenceError` for a document whose scenario or seeds are not those that it names, and
    for episodes of which one has other measured quantities than the first.
    """
    scenario = scenario_of(document.scenario, path)
    said, results = document.figures, document.per_seed
    if [r.seed for r in results] != list(range(said.seed, said.seed + said.episodes)):
        raise EvidenceError(f'{path}: expected the episodes of seeds {said.seed} to '
                            f'{said.last_seed} in order, got {len(results)} others; audit again')
    identity = ModelIdentity(**{one.name: getattr(said, one.name)
                                for one in fields(ModelIdentity)})
    identity = replace(identity, demonstrated=document.demonstrated)
    limits = StatedLimits(document.limits.max_umr, document.limits.min_sr)
    try:
        actual = figures(AuditedModel(identity, results), scenario, limits)
    except AuditError as err:
        raise EvidenceError(f'{path}: {err}') from err
    sentences = [sentence for result in results
                 for sentence in _misjudged(result, scenario, said.modes_desired)]
    sentences += differences(plain(said), plain(actual), 'figures')
    sentences += differences(plain(document.limits), plain(held_against(limits, actual)), 'limits')
    return sentences[:_SHOWN]


def foreign(document: EvidenceDocument, policy: OnnxPolicy, model: Path,
            partner: OnnxPolicy | None = None) -> list[str]:
    """Return a sentence for each digest by which a document is not about this policy.

    `partner` is the policy of the arm that receives.
    """
    said = document.figures
    actual = identity_of(policy, '', None if partner is None else partner.sha256)
    keys = ('model_sha256', 'interface_sha256', 'policy_sha256', 'deployment_sha256',
            'modes_desired', 'partner_sha256')
    return [f'{key} is {getattr(said, key)}, in {model} it is {getattr(actual, key)}'
            for key in keys if getattr(said, key) != getattr(actual, key)]


def repeated(document: EvidenceDocument, path: Path, model: Path, policy: OnnxPolicy,
             episodes: int, workers: int, partner: Path | None = None,
             on_done: Callable[[EpisodeResult], object] = lambda _: None) -> list[str]:
    """Simulate some of the episodes again; return a sentence for each that differs.

    The digest of the document draws them; `on_done` gets each finished one. Bits may differ on
    another machine, and then the sentences name the differences of the machines.
    """
    scenario = scenario_of(document.scenario, path)
    require_fit(policy, model, scenario)
    said = {result.seed: result for result in document.per_seed}
    seeds = range(document.figures.seed, document.figures.last_seed + 1)
    require_unseen(model, policy, seeds)
    drawn = random.Random(document.digest).sample(list(seeds), min(episodes, len(seeds)))
    results = run_rollouts(model, scenario, sorted(drawn), workers, document.inference_latency_s,
                           on_done, partner=partner)
    sentences = []
    for result in results:
        sentences += differences(plain(said[result.seed]), plain(result),
                                 f'episode {result.seed}')[:1]
    if not sentences:
        return []
    return sentences + differences(plain(document.machine), plain(machine()), 'machine')


def differences(said: Any, actual: Any, where: str) -> list[str]:
    """Return a sentence for every place in which two pieces of plain data differ."""
    if isinstance(said, Mapping) and isinstance(actual, Mapping):
        return [sentence for key in dict.fromkeys((*said, *actual)) for sentence in differences(
            said.get(key, 'nothing'), actual.get(key, 'nothing'), f'{where}.{key}')]
    if isinstance(said, list) and isinstance(actual, list) and len(said) == len(actual):
        return [sentence for i, pair in enumerate(zip(said, actual, strict=True))
                for sentence in differences(*pair, f'{where}[{i}]')]
    return [] if said == actual else [f'{where} is {said!r}, but comes out as {actual!r}']


def _misjudged(result: EpisodeResult, scenario: Scenario, desired: Sequence[str]) -> list[str]:
    """Return a sentence for each judgement that the measured quantities contradict."""
    outcome = result.outcome
    angle, approach, highest = (outcome.exchange_angle_rad, outcome.exchange_approach_rad,
                                outcome.exchange_highest_m)
    mode = (None if angle is None or approach is None or highest is None
            else scenario.mode_of(Exchange(angle, approach, highest)))
    expected: dict[str, Any] = {
        'completed': outcome.released_s is not None,
        'mode': mode,
    }
    if outcome.completed:
        expected['failure'] = ('wrong_part' if mode not in desired
                               else 'unsafe' if outcome.unsafe else None)
    elif outcome.failure in (None, 'wrong_part', 'unsafe'):
        expected['failure'] = 'a reason why it was not completed'
    found = [f'episode {result.seed}: {name} is {getattr(outcome, name)!r}, but the measured '
             f'quantities make it {value!r}' for name, value in expected.items()
             if getattr(outcome, name) != value]
    if outcome.unsafe is None:
        if scenario.unsafe.arms_touch and outcome.arm_contact:
            found.append(f'episode {result.seed}: counts as safe, but the arms touched')
        found += [f'episode {result.seed}: counts as safe, but the edge came to within '
                  f'{clearance:.4f} m of the {part}'
                  for part, clearance in outcome.edge_clearance_m.items()
                  if clearance <= _allowed_m(part, scenario)]
    return found


def _allowed_m(part: str, scenario: Scenario) -> float:
    """Return the clearance of a body part below which every episode is unsafe."""
    zone = scenario.unsafe.face_neck_clearance_m
    return zone if part in ('face', 'neck') and zone is not None else 0.0
