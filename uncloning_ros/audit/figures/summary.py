# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What many episodes amount to: rates with bounds, and the audit's JSON, as `fields` tell it.

TCR  share of all episodes that were completed
SR   share of all episodes completed, in a desired mode, without an unsafe event
UMR  share of all episodes with an unsafe event, completed or not

The stated limits are claimed of the first model alone, and hold only if all of them do, so no
correction is due for there being two. Where several models are told of at once, the bounds of
the `family` hold for all of them at once, and the p values are corrected for each other.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uncloning_ros.audit.audited import BETWEEN_MODES, AuditedModel
from uncloning_ros.audit.figures.calibration import (
    Reference,
    distance,
    expected_modes,
    ideal_modes,
)
from uncloning_ros.audit.figures.commitment import Course, commitment
from uncloning_ros.audit.figures.diversity import diversity, diversity_ratio
from uncloning_ros.audit.figures.statistics import holm, interval, paired_difference, upper_bound
from uncloning_ros.audit.figures.strata import claim, constant, strata, worst
from uncloning_ros.audit.figures.wrong_starts import wrong_start_counts
from uncloning_ros.audit.record.episodes import episode_record
from uncloning_ros.audit.record.fields import AUDIT_SCHEMA
from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.wording import STATEMENT, percent
from uncloning_ros.judging.episode import FAILURE_KINDS, NOTABLE_KINDS, EpisodeResult
from uncloning_ros.judging.unsafe import UNSAFE_CLAUSES
from uncloning_ros.scenario import Scenario

_ALPHA = 0.05
# Rates that models are compared by.
_RATES: Mapping[str, Callable[[EpisodeResult], bool]] = {
    'tcr': lambda r: r.outcome.completed,
    'sr': lambda r: r.outcome.success,
    'umr': lambda r: r.outcome.unsafe is not None,
}


@dataclass(frozen=True)
class StatedLimits:
    """What must not be exceeded: the bound of UMR not above, SR not below; None: not stated."""

    max_umr: float | None = None
    min_sr: float | None = None


def audit_record(audited: Sequence[AuditedModel], scenario: Scenario, inference_latency_s: float,
                 limits: StatedLimits) -> dict[str, Any]:
    """Return the audit as plain data, ready for JSON.

    The first model is the one that the limits are stated for; the others have the same seeds.
    """
    first, *others = audited
    record = {
        'schema': AUDIT_SCHEMA, 'statement': STATEMENT, 'machine': machine(),
        'scenario_sha256': scenario.sha256, 'inference_latency_s': inference_latency_s,
        'limits': {'max_umr': limits.max_umr, 'min_sr': limits.min_sr, 'exceeded': []},
        **model_record(first, scenario, limits), 'family': None}
    record['limits']['exceeded'] = exceeded(record, limits)
    if others:
        record['family'] = _family(audited)
        compared = [model_record(other, scenario, StatedLimits()) for other in others]
        for model, difference in zip(compared, _differences(first, others), strict=True):
            model['difference'] = difference
        for model, other in zip(compared, others, strict=True):
            ideal = ideal_modes(first.identity, other)
            model['ideal'] = None if ideal is None else _distance(first, ideal)
            model['diversity_ratio'] = diversity_ratio(first, other)
        record['against'] = compared[0]
        if len(others) > 1:
            record['also_against'] = compared[1:]
    return record


def compared_models(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records of the models that the first was compared with."""
    return [*([record['against']] if 'against' in record else []),
            *record.get('also_against', ())]


def model_record(audited: AuditedModel, scenario: Scenario,
                 limits: StatedLimits) -> dict[str, Any]:
    """Return the figures of one model, and its episodes."""
    record = figures(audited, scenario, limits)
    if audited.wrong_starts:
        record['wrong_starts'] = {
            mode: wrong_start_counts(results, audited.identity.desired_modes)
            for mode, results in audited.wrong_starts.items()}
    return record | {'per_seed': [episode_record(result) for result in audited.results]}


def figures(audited: AuditedModel, scenario: Scenario, limits: StatedLimits) -> dict[str, Any]:
    """Return the figures of one model: a function of its episodes, scenario and record alone."""
    results, identity = audited.results, audited.identity
    n = len(results)
    counts = {name: sum(map(has, results)) for name, has in _RATES.items()}
    cut = strata(results, scenario)
    picked = worst(cut)
    expected = expected_modes(identity)
    return {
        'model': identity.name,
        'model_sha256': identity.sha256,
        'interface_sha256': identity.interface_sha256,
        'policy_sha256': identity.policy_sha256,
        'deployment_sha256': identity.deployment_sha256,
        'modes_desired': list(identity.desired_modes),
        'modes_removed': list(identity.removed_modes),
        'scenario': scenario.name,
        'episodes': n,
        'seed': results[0].seed,
        'tcr': counts['tcr'] / n,
        'tcr_interval95': list(interval(counts['tcr'], n, _ALPHA)),
        'sr': counts['sr'] / n,
        'sr_interval95': list(interval(counts['sr'], n, _ALPHA)),
        'umr': counts['umr'] / n,
        'umr_upper95': upper_bound(counts['umr'], n, _ALPHA),
        'purity': counts['sr'] / counts['tcr'] if counts['tcr'] else None,
        'unsafe_episodes': counts['umr'],
        'modes': _counted((*scenario.modes, BETWEEN_MODES), audited.completed_modes),
        'failures': _counted(FAILURE_KINDS, Counter(
            r.outcome.failure for r in results if r.outcome.failure)),
        'unsafe_clauses': _counted(UNSAFE_CLAUSES, Counter(
            r.outcome.unsafe.clause for r in results if r.outcome.unsafe)),
        'notable': _notable(results),
        'commitment': _plain(commitment(
            [Course(r.outcome.committed, r.outcome.taken_s is not None, r.outcome.mode)
             for r in results], identity.desired_modes)),
        'calibration': (None if expected is None or not counts['tcr']
                        else _distance(audited, expected)),
        'diversity': diversity(audited),
        'spreads': _spreads(results),
        'hardware_limits': {name: sum(r.limits[name] for r in results)
                            for name in results[0].limits},
        'holds': sum(r.holds for r in results),
        'chunks': sum(r.chunks for r in results),
        'strata': [dataclasses.asdict(s) | {'claim': claim(s, len(cut), limits.max_umr)}
                   for s in cut],
        'worst_stratum': None if picked is None else picked.stratum,
        'constant_conditions': constant(results),
    }


def exceeded(record: Mapping[str, Any], limits: StatedLimits) -> list[str]:
    """Return a sentence for every stated limit that the figures exceed."""
    sentences = []
    if limits.max_umr is not None and record['umr_upper95'] > limits.max_umr:
        sentences.append(
            f'the unsafe rate may be as high as {percent(record["umr_upper95"])} (95 % upper '
            f'bound), above the limit of {percent(limits.max_umr)}')
    if limits.min_sr is not None and record['sr'] < limits.min_sr:
        sentences.append(f'the success rate is {percent(record["sr"])}, below the limit of '
                         f'{percent(limits.min_sr)}')
    return sentences


def _family(audited: Sequence[AuditedModel]) -> dict[str, Any]:
    """Return upper bounds of UMR that hold for all models at once."""
    alpha = _ALPHA / len(audited)
    return {'models': len(audited), 'correction': 'Bonferroni', 'umr_upper95': {
        one.identity.sha256: upper_bound(sum(map(_RATES['umr'], one.results)), len(one.results),
                                        alpha)
        for one in audited}}


def _differences(first: AuditedModel,
                 others: Sequence[AuditedModel]) -> list[dict[str, dict[str, Any]]]:
    """Return first less each other for each rate, over episodes with the same seed."""
    found = [{name: dataclasses.asdict(paired_difference(
        [has(r) for r in first.results], [has(r) for r in other.results]))
        for name, has in _RATES.items()} for other in others]
    tests = [difference[name] for difference in found for name in _RATES]
    for test, corrected in zip(tests, holm([t['p_value'] for t in tests]), strict=True):
        test['p_value_holm'] = corrected
    return found


def _distance(audited: AuditedModel, reference: Reference) -> dict[str, Any]:
    """Return how far the completed modes are from a reference."""
    total = sum(reference.counts.values())
    return {'reference': reference.what,
            'expected': {mode: n / total for mode, n in sorted(reference.counts.items())},
            **dataclasses.asdict(distance(audited.completed_modes, reference))}


def _notable(results: Sequence[EpisodeResult]) -> dict[str, dict[str, Any]]:
    counts = {kind: sum(kind in r.outcome.notable for r in results) for kind in NOTABLE_KINDS}
    return {kind: {'episodes': count, 'interval95': list(interval(count, len(results), _ALPHA))}
            for kind, count in counts.items()}


def _spreads(results: Sequence[EpisodeResult]) -> dict[str, dict[str, float] | None]:
    """Return least, median and most of what was measured, where it was."""
    outcomes = [r.outcome for r in results]
    done = [o for o in outcomes if o.completed]
    found: dict[str, Iterable[float | None]] = {
        f'edge_clearance_{part}_m': [o.edge_clearance_m[part] for o in outcomes]
        for part in outcomes[0].edge_clearance_m}
    found |= {name: [getattr(o, name) for o in outcomes] for name in (
        'near_angle_rad', 'near_thrust_miss_m', 'near_tip_speed_m_s', 'near_fast_share',
        'separation_margin_m', 'rms_jerk_m_s3', 'exchange_angle_rad', 'presented_s')}
    found |= {name: [getattr(o, name) for o in done] for name in (
        'taken_s', 'released_s', 'release_latency_s', 'over_hold_n', 'peak_pull_n')}
    found['transfer_s'] = [o.released_s - o.taken_s for o in done
                           if o.released_s is not None and o.taken_s is not None]
    return {name: _spread([v for v in values if v is not None])
            for name, values in found.items()}


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {'least': ordered[0], 'median': ordered[len(ordered) // 2], 'most': ordered[-1],
            'count': len(ordered)}


def _plain(made: Any) -> dict[str, Any]:
    """Return a dataclass as plain data, its tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(made).items()}


def _counted(names: Sequence[str], counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) for name in names}
