# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make evidence of an audit, and check that a file of evidence holds together.

Everything but the episodes themselves follows from what the file holds, and is computed again:
each episode's judgement from what was measured in it, the figures from the episodes, the verdict
from the figures. The episodes follow from model, scenario and seed: some are simulated again.
"""

import random
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uncloning_ros.audit.audited import AuditedModel, ModelIdentity
from uncloning_ros.audit.figures.summary import StatedLimits, exceeded, figures
from uncloning_ros.audit.record.episodes import episode_record, episode_result
from uncloning_ros.audit.record.fields import EVIDENCE
from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.record.spec import require
from uncloning_ros.audit.report.terminal import worst_of
from uncloning_ros.audit.run.rollout import require_fit, run_rollouts
from uncloning_ros.audit.run.seeds import require_unseen
from uncloning_ros.audit.wording import NOT_COVERED, STATEMENT, percent
from uncloning_ros.errors import EvidenceError, UncloningError
from uncloning_ros.evidence import SCHEMA, Evidence, digest_of, evidence_of
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.scenario import Exchange, Scenario, scenario_from_dict
from uncloning_ros.schema import canonical_sha256

_SHOWN = 20  # differences told of one file; more say nothing new


def evidence_document(audited: AuditedModel, scenario: Scenario, inference_latency_s: float,
                      limits: StatedLimits) -> dict[str, Any]:
    """Return the evidence about one model as plain data, sealed with its digest."""
    found = figures(audited, scenario, limits)
    document: dict[str, Any] = {
        'schema': SCHEMA, 'digest': '', 'statement': STATEMENT, 'not_covered': list(NOT_COVERED),
        'machine': machine(),
        'scenario': {'name': scenario.name, 'sha256': scenario.sha256,
                     'data': dict(scenario.source)},
        'inference_latency_s': inference_latency_s,
        'limits': {'max_umr': limits.max_umr, 'min_sr': limits.min_sr,
                   'exceeded': exceeded(found, limits)},
        'demonstrated': (None if audited.identity.demonstrated is None
                         else dict(audited.identity.demonstrated)),
        'figures': found,
        'per_seed': [episode_record(result) for result in audited.results]}
    return document | {'digest': digest_of(document)}


def scenario_of(document: Mapping[str, Any], path: Path) -> Scenario:
    """Return the scenario that a document holds; raise `EvidenceError` if it is not itself."""
    stored = document['scenario']
    try:
        scenario = scenario_from_dict(stored['data'], f'{path}: scenario.data')
        sha256 = canonical_sha256(stored['data'])
    except UncloningError as err:
        raise EvidenceError(str(err)) from err
    if (scenario.name, sha256) != (stored['name'], stored['sha256']):
        raise EvidenceError(f'{path}: the scenario it holds is {scenario.name} with sha256 '
                            f'{sha256}, not {stored["name"]} with {stored["sha256"]} as it says; '
                            f'audit again')
    return scenario


def contradictions(document: Mapping[str, Any], path: Path) -> list[str]:
    """Return a sentence for everything in a document that does not follow from its episodes.

    Raise `EvidenceError` for a document that is none at all.
    """
    require(document, EVIDENCE, str(path))
    evidence_of(document, path)
    scenario = scenario_of(document, path)
    said = document['figures']
    results = [episode_result(record, f'{path}: per_seed[{i}]')
               for i, record in enumerate(document['per_seed'])]
    if [r.seed for r in results] != list(range(said['seed'], said['seed'] + said['episodes'])):
        raise EvidenceError(f'{path}: expected the episodes of seeds {said["seed"]} to '
                            f'{said["seed"] + said["episodes"] - 1} in order, got '
                            f'{len(results)} others; audit again')
    identity = ModelIdentity(
        said['model'], said['model_sha256'], said['interface_sha256'], said['policy_sha256'],
        said['deployment_sha256'], tuple(said['modes_desired']),
        removed_modes=tuple(said['modes_removed']), demonstrated=document['demonstrated'])
    limits = StatedLimits(document['limits']['max_umr'], document['limits']['min_sr'])
    actual = figures(AuditedModel(identity, tuple(results)), scenario, limits)
    sentences = [sentence for result in results
                 for sentence in _misjudged(result, scenario, identity.desired_modes)]
    sentences += differences(said, actual, 'figures')
    sentences += differences(document['limits']['exceeded'], exceeded(actual, limits),
                             'limits.exceeded')
    return sentences[:_SHOWN]


def foreign(document: Mapping[str, Any], policy: OnnxPolicy, model: Path) -> list[str]:
    """Return a sentence for each digest by which a document is not about this policy."""
    contract, said = policy.contract, document['figures']
    pairs = (('model_sha256', policy.sha256), ('interface_sha256', contract.interface.sha256),
             ('policy_sha256', contract.policy.sha256),
             ('deployment_sha256', contract.deployment.sha256))
    found = [f'{key} is {said[key]}, that of {model} is {actual}'
             for key, actual in pairs if said[key] != actual]
    if list(said['modes_desired']) != list(contract.interface.desired_modes):
        found.append(f'desired modes are {said["modes_desired"]}, those of {model} are '
                     f'{list(contract.interface.desired_modes)}')
    return found


def repeated(document: Mapping[str, Any], path: Path, model: Path, policy: OnnxPolicy,
             episodes: int, workers: int,
             on_done: Callable[[EpisodeResult], object] = lambda _: None) -> list[str]:
    """Simulate some of the episodes again; return a sentence for each that came out otherwise.

    Which ones follows from the document's digest; `on_done` sees each as it comes. Bits may
    differ on another machine, and then the sentences say so.
    """
    scenario = scenario_of(document, path)
    require_fit(policy, model, scenario)
    said = document['figures']
    seeds = range(said['seed'], said['seed'] + said['episodes'])
    require_unseen(model, policy, seeds)
    drawn = random.Random(document['digest']).sample(
        list(seeds), min(episodes, len(seeds)))
    results = run_rollouts(model, scenario, sorted(drawn), workers,
                           document['inference_latency_s'], on_done)
    sentences = []
    for result in results:
        record = document['per_seed'][result.seed - said['seed']]
        found = differences(record, episode_record(result), f'episode {result.seed}')
        sentences += found[:1]
    other = differences(document['machine'], machine(), 'machine')
    return sentences + other if sentences else []


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
    """Return a sentence for each judgement that does not follow from what was measured."""
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
        expected['failure'] = 'a way in which it was not completed'
    found = [f'episode {result.seed}: {name} is {getattr(outcome, name)!r}, but what was measured '
             f'makes it {value!r}' for name, value in expected.items()
             if getattr(outcome, name) != value]
    if outcome.unsafe is None:
        found += [f'episode {result.seed}: counts as safe, but the edge came to within '
                  f'{clearance:.4f} m of the {part}'
                  for part, clearance in outcome.edge_clearance_m.items()
                  if clearance <= _allowed_m(part, scenario)]
    return found


def _allowed_m(part: str, scenario: Scenario) -> float:
    """Return the clearance of a body part at which an episode is unsafe whatever else holds."""
    zone = scenario.unsafe.face_neck_clearance_m
    return zone if part in ('face', 'neck') and zone is not None else 0.0


def told(document: Mapping[str, Any], evidence: Evidence) -> str:
    """Return what a document says, in lines of at most 80 columns; its figures unchecked."""
    require(document, EVIDENCE, str(evidence.path))
    found = document['figures']
    stated = [f'UMR at most {percent(evidence.max_umr)}' if evidence.max_umr is not None else '',
              f'SR at least {percent(evidence.min_sr)}' if evidence.min_sr is not None else '']
    picked = worst_of(found)
    rows = [
        ('model', f'{found["model"]} {evidence.model_sha256}'),
        ('deployment', evidence.deployment_sha256),
        ('scenario', f'{evidence.scenario} {evidence.scenario_sha256}'),
        ('episodes', f'{evidence.episodes}, seeds {found["seed"]} to '
                     f'{found["seed"] + evidence.episodes - 1}'),
        ('unsafe', f'{evidence.unsafe_episodes}; with 95 % confidence the rate is below '
                   f'{percent(evidence.umr_upper95)}'),
        ('success', percent(evidence.sr)),
        ('limits', ' and '.join(filter(None, stated)) or 'none were stated'),
        ('verdict', {None: 'none', True: 'every stated limit holds'}.get(
            evidence.within_limits, f'exceeded: {"; ".join(evidence.exceeded)}')),
        ('worst stratum', 'none' if picked is None else picked['claim']),
        ('made with', ', '.join(f'{key} {value}' for key, value in document['machine'].items())),
        ('not covered', '; '.join(document['not_covered'])),
        ('', document['statement'])]
    return '\n'.join(line for label, text in rows for line in textwrap.wrap(
        text, 80, initial_indent=f'{label:<15}', subsequent_indent=' ' * 15))
