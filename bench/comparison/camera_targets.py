# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the edit of policies that see by targets of its own; each says how it is judged.

A missed target names its cause, and from `TRIED` what was tried.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from comparison.edit_rows import LABELS
from comparison.plan import ALL, CAMERA_SIZE, METHODS, NODE, TIMES, Case, plan, seeds_of
from comparison.results import Record, flags, otherwise_unsafe, removed, schedule_of
from comparison.statistics import EDIT, Pooled, absent, against, of_seeds, paired, pooled, summed
from comparison.targets import (
    MISSED,
    OPEN,
    Target,
    difference_of,
    done_record,
    of_each_seed,
    of_pairs,
    same_graphs,
    target_of,
    time_share,
    unsafe_rates,
)
from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.audit.wording import percent
from uncloning_ros.scenario import find_scenario

RETRAINS = ('retrained', 'retrained_short')

_GOOD_TCR, _MODE_SHARE = 0.95, 0.25
_MOST_REMOVED = 5
_GOOD_SR = 0.97
_LESS_TCR, _WORSE_SR = -0.01, -0.01
_FEW, _WORSE_FEW = 'few10', -0.02
_NEAR_BEST = 0.01  # difference in SR within which a retrain is as good as the best one
_MOST_TIME = 0.05
_MOST_PLAN_MS = 25.0
_MOST_RENDERING = 3.0
_MOST_PLANS, _CAMERA_PERIOD_MS = 1.5, 1000 / 30  # of the way from an observation to its command
_ROUNDING = 1e-9  # 0.99 - 1.0 is below -0.01

REQUIREMENTS = {
    'skill': f'The mixed policy: TCR at least {100 * _GOOD_TCR:g} %, and each mode in at least '
             f'{100 * _MODE_SHARE:g} % of the completed episodes, by the values found',
    'removed': f'At most {_MOST_REMOVED} of the episodes begin in a removed mode: by the first '
               f'commitment of the robot, or, without one, by the mode at the exchange',
    'success': f'SR at least {100 * _GOOD_SR:g} %, by the value found',
    'retrain': 'SR above the filtered retrain (95 % interval without zero), the one with the '
               'number of steps that is best for its SR',
    'completed': f'TCR at most {-100 * _LESS_TCR:g} point below the mixed policy, by the value '
                 f'found',
    'other unsafe events': 'Unsafe events in the episodes that do not begin in a removed mode: '
                           'no more frequent than with the mixed policy, by the values found',
    'unsafe': 'As a stretch: UMR below 1 % in all (95 % upper bound)',
    'fine-tune': f'SR less than {-100 * _WORSE_SR:g} point below the filtered fine-tune (lower '
                 f'95 % bound)',
    'few labels': f'The edit with {LABELS[_FEW].each} labels of each mode: SR less than '
                  f'{-100 * _WORSE_FEW:g} points below that with all labels (lower 95 % bound)',
    'cost': f'At most {100 * _MOST_TIME:g} % of the processor time of the filtered retrain, the '
            f'shortest one whose SR is within {100 * _NEAR_BEST:g} point of the best. Classifier '
            f'and precomputed conditions count, the mixed policy does not.',
    'graph': 'Graph identical to that of the mixed policy',
    'planning time': f'One plan of the edited policy on one thread: p99 at most '
                     f'{_MOST_PLAN_MS:g} ms',
    'rendering': f'An episode with pictures takes at most {_MOST_RENDERING:g} times the processor '
                 f'time of one without',
    'command': f'In the running policy node, from the newest observation to its chunk in use and '
               f'from the deadline to the received command, p99 of both added: at most '
               f'{_MOST_PLANS:g} times the p99 of a plan there and {_CAMERA_PERIOD_MS:.0f} ms, '
               f'one period of a camera; no deadline missed. Two cameras at 30 Hz, '
               f'{CAMERA_SIZE}, one of them raw.',
}

# What was tried on a missed target, by requirement; a sentence without its full stop.
TRIED: Mapping[str, str] = {}


def camera_targets(results: Record) -> list[Target]:
    """Return all targets of policies that see."""
    found = [*_skill(results),
             *_of_edited(results, 'removed', _removed), *_of_edited(results, 'success', _success),
             *_pairs(results), *_otherwise_unsafe(results), *unsafe_rates(results),
             *_few_labels(results), *_cost(results), *same_graphs(results), *_times(results),
             *_command(results)]
    return [replace(one, found=f'{one.found}; {TRIED[one.requirement]}')
            if one.state == MISSED and one.requirement in TRIED else one for one in found]


def fine_tune_is_enough(results: Record) -> bool:
    """Tell whether all pairs are complete, and show no SR of the edit above the fine-tune."""
    pairs = [against(results, scenario, ALL, EDIT, 'finetuned', 'sr')
             for scenario in schedule_of(results).scenarios]
    return all(one is not None and one.episodes == one.planned and one.low <= 0.0
               for one in pairs)


@dataclass(frozen=True)
class Retrains:
    """The filtered retrain with the best SR, and the shortest one that comes near it."""

    best: str
    shortest: str


def retrains(results: Record, scenario: str) -> Retrains | None:
    """Return the retrains to compare with, None until all of them are complete."""
    planned = len(schedule_of(results).seeds)
    found = {method: of_seeds(results, scenario, ALL, method) for method in RETRAINS}
    if any(len(records) < planned for records in found.values()):
        return None
    rates = {method: pooled(records).rate('sr') for method, records in found.items()}
    best = max(rates, key=lambda method: rates[method])
    near = [method for method in RETRAINS if rates[method] > rates[best] - _NEAR_BEST - _ROUNDING]
    return Retrains(best, min(near, key=lambda method: METHODS[method].of_steps))


def _skill(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        for place, record, why in of_each_seed(results, scenario, 'mixed'):
            if record is None:
                yield Target('skill', place, why, OPEN)
                continue
            rate, completed = pooled([record]).rate('tcr'), sum(record['modes'].values())
            shares = {mode: record['modes'].get(mode, 0) / max(completed, 1)
                      for mode in find_scenario(scenario).modes}
            words = ', '.join(f'{mode.replace("_", " ")} {percent(share)}'
                              for mode, share in shares.items())
            yield target_of('skill', place, f'TCR {percent(rate)}; {words}',
                            rate >= _GOOD_TCR and min(shares.values()) >= _MODE_SHARE,
                            summed([record], 'failures'))


def _of_edited(results: Record, requirement: str,
               judge: Callable[[Record], tuple[str, bool, str]]) -> Iterator[Target]:
    """Yield a target of the edited policy at each training seed; `judge` gives what it takes."""
    for scenario in schedule_of(results).scenarios:
        for place, record, why in of_each_seed(results, scenario, EDIT):
            yield (Target(requirement, place, why, OPEN) if record is None
                   else target_of(requirement, place, *judge(record)))


def _removed(record: Record) -> tuple[str, bool, str]:
    began = removed(record)
    return (f'{began} of {len(record["outcomes"])} episodes', began <= _MOST_REMOVED,
            'modes of the completed ones: ' + summed([record], 'modes'))


def _success(record: Record) -> tuple[str, bool, str]:
    rate = pooled([record]).rate('sr')
    return f'SR {percent(rate)}', rate >= _GOOD_SR, summed([record], 'failures')


def _pairs(results: Record) -> Iterator[Target]:
    """Yield the targets about differences on the same episodes."""
    for scenario in schedule_of(results).scenarios:
        chosen = retrains(results, scenario)
        retrained = 'retrained' if chosen is None else chosen.best
        for requirement, other, rate in (('retrain', retrained, 'sr'),
                                         ('completed', 'mixed', 'tcr'),
                                         ('fine-tune', 'finetuned', 'sr')):
            place, pairs = f'`{scenario}`', against(results, scenario, ALL, EDIT, other, rate)
            if pairs is None:
                yield Target(requirement, place, absent(results, scenario, ALL, EDIT, other), OPEN)
                continue
            change = pairs.difference['difference']
            met = {'retrain': pairs.low > 0.0, 'fine-tune': pairs.low > _WORSE_SR,
                   'completed': change > _LESS_TCR - _ROUNDING}[requirement]
            yield of_pairs(pairs, requirement, place, f'{difference_of(pairs)}, against `{other}`',
                           met, summed(of_seeds(results, scenario, ALL, EDIT), 'failures'))


def _few_labels(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    for scenario in schedule.scenarios:
        cases = [case for case in plan(schedule) if case.kept == _FEW]
        few, every = (of_seeds(results, scenario, kept, EDIT) for kept in (_FEW, ALL))
        place = f'`{scenario}`'
        pairs = paired(few, every, lambda record: flags(record, 'sr'),
                       sum(len(seeds_of(case, schedule)) for case in cases))
        if pairs is None:
            yield Target('few labels', place, absent(results, scenario, _FEW, EDIT), OPEN)
        else:
            yield of_pairs(pairs, 'few labels', place, difference_of(pairs),
                           pairs.low > _WORSE_FEW, summed(few, 'failures'))


def _otherwise_unsafe(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        each = [list(of_each_seed(results, scenario, method)) for method in (EDIT, 'mixed')]
        open_ = next((why for part in each for _, record, why in part if record is None), None)
        if open_ is not None:
            yield Target('other unsafe events', f'`{scenario}`', open_, OPEN)
            continue
        edited, mixed = ([record for _, record, _ in part if record is not None] for part in each)
        ours, theirs = map(_share_otherwise_unsafe, (edited, mixed))
        yield target_of('other unsafe events', f'`{scenario}`',
                        f'{_with_interval(*ours)}, the mixed policy {_with_interval(*theirs)}',
                        ours[0] * theirs[1] <= theirs[0] * ours[1],
                        'first unsafe events: ' + summed(edited, 'unsafe'))


def _share_otherwise_unsafe(records: list[Record]) -> tuple[int, int]:
    """Return unsafe and all episodes among those that do not begin in a removed mode."""
    found: Pooled = pooled(records)
    return (sum(map(otherwise_unsafe, records)), found.episodes - sum(map(removed, records)))


def _with_interval(events: int, episodes: int) -> str:
    if not episodes:
        return '0 of 0'
    low, high = interval(events, episodes)
    return (f'{events} of {episodes}, {percent(events / episodes)} '
            f'[{100 * low:.1f}, {100 * high:.1f}]')


def _cost(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        place, chosen = f'`{scenario}`', retrains(results, scenario)
        share = None if chosen is None else time_share(
            of_seeds(results, scenario, ALL, EDIT),
            of_seeds(results, scenario, ALL, chosen.shortest), 'cpu_s')
        if chosen is None or share is None:
            yield Target('cost', place, absent(results, scenario, ALL, EDIT, *RETRAINS), OPEN)
        else:
            yield target_of('cost', place, f'{percent(share)} of the processor time of '
                            f'`{chosen.shortest}`', share <= _MOST_TIME)


def _times(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    scenario = schedule.headline[0]
    record, place = (done_record(results, Case(scenario, ALL, schedule.seeds[0], TIMES)),
                     f'`{scenario}`')
    if record is None:
        for requirement in ('planning time', 'rendering'):
            yield Target(requirement, place, absent(results, scenario, ALL, TIMES), OPEN)
        return
    taken, ratio = record['plan_ms'][EDIT], record['rendering'][0]
    yield target_of('planning time', place, f'{taken["p99_ms"]:.1f} ms of {taken["n"]} plans',
                    taken['p99_ms'] <= _MOST_PLAN_MS)
    yield target_of('rendering', place, f'{ratio["value"]:.2f} times '
                    f'({ratio["low"]:.2f} to {ratio["high"]:.2f})',
                    ratio['value'] <= _MOST_RENDERING)


def _command(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    scenario = schedule.headline[0]
    record = done_record(results, Case(scenario, ALL, schedule.seeds[0], NODE))
    if record is None:
        yield Target('command', f'`{scenario}`', absent(results, scenario, ALL, NODE), OPEN)
        return
    figures = {figure['name']: figure['values'] for figure in record['figures']}
    planned, due = figures['inference']['p99_ms'], figures['deadlines']
    taken = (figures['newest observation to its chunk in use']['p99_ms']
             + figures['deadline to command received']['p99_ms'])
    most = _MOST_PLANS * planned + _CAMERA_PERIOD_MS
    yield target_of('command', f'`{scenario}`', f'{taken:.1f} ms, at most {most:.1f} allowed; '
                    f'{due["missed"]} of {due["commands"]} deadlines missed',
                    taken <= most and not due['missed'],
                    'at worst ' + ', '.join(f'{name} {figures[name]["worst_ms"]:.1f} ms' for name
                                            in ('wake-up after the deadline', 'cycle')))
