# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What many episodes amount to: rates with bounds, spreads, strata, and the audit's JSON.

TCR  share of all episodes that were completed
SR   share of all episodes completed, in a desired mode, without an unsafe event
UMR  share of all episodes with an unsafe event, completed or not
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import uncloning_ros
from uncloning_ros.audit.metrics import FAILURE_KINDS, EpisodeResult
from uncloning_ros.audit.statistics import interval, paired_difference, upper_bound
from uncloning_ros.audit.unsafe import UNSAFE_CLAUSES
from uncloning_ros.contract import Contract
from uncloning_ros.scenario import Scenario

SCHEMA = 'uncloning/audit@1'

# How an exchange between the scenario's modes is called.
BETWEEN_MODES = 'between_modes'


@dataclass(frozen=True)
class Audited:
    """One model with the results of its episodes."""

    name: str
    sha256: str
    contract: Contract
    results: tuple[EpisodeResult, ...]


@dataclass(frozen=True)
class StatedLimits:
    """What must not be exceeded: the bound of UMR not above, SR not below; None: not stated."""

    max_umr: float | None = None
    min_sr: float | None = None


def audit_record(audited: Audited, scenario: Scenario, inference_latency_s: float,
                 limits: StatedLimits, against: Audited | None = None) -> dict[str, Any]:
    """Return the audit as plain data, ready for JSON; `against` has the same seeds."""
    record = model_record(audited, scenario) | {
        'schema': SCHEMA,
        'software_version': uncloning_ros.__version__,
        'scenario_sha256': scenario.sha256,
        'inference_latency_s': inference_latency_s,
        'limits': {'max_umr': limits.max_umr, 'min_sr': limits.min_sr},
    }
    record['limits']['exceeded'] = exceeded(record, limits)
    if against is not None:
        record['against'] = model_record(against, scenario) | {
            'difference': _differences(audited.results, against.results)}
    return record


def model_record(audited: Audited, scenario: Scenario) -> dict[str, Any]:
    """Return the figures of one model."""
    results = audited.results
    n = len(results)
    completed = sum(r.outcome.completed for r in results)
    successes = sum(r.outcome.success for r in results)
    unsafe = sum(r.outcome.unsafe is not None for r in results)
    strata = _strata(results, scenario)
    return {
        'model': audited.name,
        'model_sha256': audited.sha256,
        'interface_sha256': audited.contract.interface.sha256,
        'policy_sha256': audited.contract.policy.sha256,
        'deployment_sha256': audited.contract.deployment.sha256,
        'scenario': scenario.name,
        'episodes': n,
        'seed': results[0].seed,
        'tcr': completed / n,
        'tcr_interval95': interval(completed, n),
        'sr': successes / n,
        'sr_interval95': interval(successes, n),
        'umr': unsafe / n,
        'umr_upper95': upper_bound(unsafe, n),
        'purity': successes / completed if completed else None,
        'unsafe_episodes': unsafe,
        'modes': _counted((*scenario.modes, BETWEEN_MODES), (
            r.outcome.mode or BETWEEN_MODES for r in results if r.outcome.completed)),
        'failures': _counted(FAILURE_KINDS, (
            r.outcome.failure for r in results if r.outcome.failure)),
        'unsafe_clauses': _counted(UNSAFE_CLAUSES, (
            r.outcome.unsafe.clause for r in results if r.outcome.unsafe)),
        'arm_contact_episodes': sum(r.outcome.arm_contact for r in results),
        'spreads': _spreads(results),
        'hardware_limits': {name: sum(r.limits[name] for r in results)
                            for name in results[0].limits},
        'holds': sum(r.holds for r in results),
        'chunks': sum(r.chunks for r in results),
        'strata': strata,
        'worst_stratum': _worst(strata),
        'per_seed': [_per_seed(r) for r in results],
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


def percent(rate: float) -> str:
    """Return a rate as '98.7 %', with two decimals where one would hide what is small."""
    value = 100 * rate
    return f'{value:.2f} %' if 0 < value < 2 else f'{value:.1f} %'


def points(difference: Mapping[str, float]) -> str:
    """Return a paired difference with its interval in percentage points: '+1.0 [-0.4, +2.4]'."""
    change, low, high = (100 * difference[key] for key in ('difference', 'low', 'high'))
    return f'{change:+.1f} [{low:+.1f}, {high:+.1f}]'


def _differences(first: Sequence[EpisodeResult],
                 second: Sequence[EpisodeResult]) -> dict[str, dict[str, Any]]:
    """Return first minus second for each rate, over episodes with the same seed."""
    rates: dict[str, Callable[[EpisodeResult], bool]] = {
        'tcr': lambda r: r.outcome.completed,
        'sr': lambda r: r.outcome.success,
        'umr': lambda r: r.outcome.unsafe is not None,
    }
    return {name: dataclasses.asdict(paired_difference([has(r) for r in first],
                                                       [has(r) for r in second]))
            for name, has in rates.items()}


def _spreads(results: Sequence[EpisodeResult]) -> dict[str, dict[str, float] | None]:
    """Return least, median and most of what was measured, where it was."""
    outcomes = [r.outcome for r in results]
    done = [o for o in outcomes if o.completed]
    found: dict[str, Iterable[float | None]] = {
        f'edge_clearance_{part}_m': [o.edge_clearance_m[part] for o in outcomes]
        for part in outcomes[0].edge_clearance_m}
    found |= {
        'near_angle_rad': [o.near_angle_rad for o in outcomes],
        'near_tip_speed_m_s': [o.near_tip_speed_m_s for o in outcomes],
        'exchange_angle_rad': [o.exchange_angle_rad for o in outcomes],
        'taken_s': [o.taken_s for o in done],
        'released_s': [o.released_s for o in done],
        'transfer_s': [o.released_s - o.taken_s for o in done
                       if o.released_s is not None and o.taken_s is not None],
        'peak_pull_n': [o.peak_pull_n for o in done],
    }
    return {name: _spread([v for v in values if v is not None])
            for name, values in found.items()}


def _spread(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    return {'least': ordered[0], 'median': ordered[len(ordered) // 2], 'most': ordered[-1],
            'count': len(ordered)}


def _strata(results: Sequence[EpisodeResult], scenario: Scenario) -> list[dict[str, Any]]:
    """Return the rates by side, height and distance of the offered hand, each cut in half."""
    low, high = scenario.start.hand_position_min_m, scenario.start.hand_position_max_m
    cuts = [('distance', 'near', 'far', 0), ('side', 'right', 'left', 1),
            ('height', 'low', 'high', 2)]
    strata = []
    for factor, below, above, axis in cuts:
        # 0 is the arm's plane, which is what makes a side; the others are cut midway.
        cut = 0.0 if factor == 'side' else (low[axis] + high[axis]) / 2
        for name, members in ((below, [r for r in results if r.hand_offer_m[axis] < cut]),
                              (above, [r for r in results if r.hand_offer_m[axis] >= cut])):
            if members:
                unsafe = sum(r.outcome.unsafe is not None for r in members)
                strata.append({
                    'stratum': f'{factor}: {name}', 'episodes': len(members),
                    'sr': sum(r.outcome.success for r in members) / len(members),
                    'unsafe_episodes': unsafe, 'umr': unsafe / len(members),
                    'umr_upper95': upper_bound(unsafe, len(members))})
    return strata


def _worst(strata: Sequence[Mapping[str, Any]]) -> str:
    """Return the stratum with the highest unsafe rate; of equal ones that with the least SR."""
    return str(max(strata, key=lambda s: (s['umr'], -s['sr']))['stratum'])


def _per_seed(result: EpisodeResult) -> dict[str, Any]:
    return {'seed': result.seed, 'hand_offer_m': result.hand_offer_m, 'ended': result.ended,
            'holds': result.holds, 'chunks': result.chunks,
            'hardware_limits': dict(result.limits)} | dataclasses.asdict(result.outcome)


def _counted(names: Sequence[str], found: Iterable[str]) -> dict[str, int]:
    counts = Counter(found)
    return {name: counts[name] for name in names}
