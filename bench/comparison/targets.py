# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the edit by its targets: met, missed, or open until all planned cases are complete.

The bound of a difference's 95 % interval that speaks against the edit decides whether a rate is
better or not worse. The targets about the balance of modes are judged by the values found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from comparison.plan import ALL, LATENCY, PAIR, SEEN, Case, plan, seeds_of
from comparison.results import Record, case_of, find, schedule_of
from comparison.statistics import (
    EDIT,
    Pairs,
    absent,
    against,
    bridge_rate,
    distance_to_ideal,
    each_seed,
    judged_once,
    of_seeds,
    pooled,
    summed,
)
from uncloning_ros.audit.wording import percent, points
from uncloning_ros.errors import counted
from uncloning_ros.scenario import find_scenario

MET, MISSED, OPEN, NOT_ASKED = 'met', 'missed', 'open', 'not asked'

_WORSE_SR, _SCARCE_GAIN, _GOOD_SR = -0.03, 0.10, 0.90
_MOST_UMR, _LESS_TCR = 0.01, -0.02
_MOST_STEPS, _MOST_TIME = 500, 0.15
_MOST_DISTANCE = 0.1
_MOST_RATIO_OFF = 0.05  # of planning times, from 1
# Of policies that draw their mode first.
_LESS_OF_PLAN, _AGREED, _READ_S, _MOST_LOCK_S = -0.01, 0.99, 1.0, 10.0

REQUIREMENTS = {
    'retrain': f'SR less than {-100 * _WORSE_SR:g} points below the filtered retrain (lower 95 % '
               f'bound), and UMR not shown to be higher',
    'scarce': f'SR at least {100 * _SCARCE_GAIN:g} points above the filtered retrain (lower 95 % '
              f'bound), where the retrain is below {100 * _GOOD_SR:g} %',
    'fine-tune': 'SR or UMR better than the filtered fine-tune (95 % interval without zero), and '
                 'neither worse',
    'own chunks': 'SR or UMR better than the fine-tune with the same retargeted demonstrations '
                  '(95 % interval without zero), and neither worse',
    'unsafe': f'UMR below {100 * _MOST_UMR:g} % (95 % upper bound)',
    'completed': f'TCR less than {-100 * _LESS_TCR:g} points below the mixed policy (lower 95 % '
                 f'bound)',
    'cost': f'Fewer than {_MOST_STEPS} steps, and at most {100 * _MOST_TIME:g} % of the filtered '
            f"retrain's time, with all demonstrations. The classifier counts, the mixed policy "
            f'does not. Wall time depends on the load of the machine, processor time hardly does.',
    'graph': 'Graph identical to that of the mixed policy',
    'planning time': f'Planning time equal to that of the mixed policy, within the noise of the '
                     f'measurement and {100 * _MOST_RATIO_OFF:g} %',
    'balance': f'Total variation between the modes and the kept modes of the mixed policy at most '
               f'{_MOST_DISTANCE:g}, by the value found',
    'drawn': f'A policy that draws its mode first: TCR less than {-100 * _LESS_OF_PLAN:g} points '
             f'below the mixed policy (lower 95 % bound)',
    'said': f'It does the mode that its first plan said in at least {100 * _AGREED:g} % of the '
            f'completed episodes, and says the done mode from at least {_READ_S:g} s before the '
            f'grasp on, in each of them',
    'lock': f'Its mode fixed: no completed episode in a removed mode, SR less than '
            f'{-100 * _LESS_OF_PLAN:g} points below the filtered retrain (lower 95 % bound), the '
            f'edit in less than {_MOST_LOCK_S:g} s',
    'bridges': 'Bridge rate not higher than that of the filtered retrain, by the values found',
}


@dataclass(frozen=True)
class Target:
    """One of `REQUIREMENTS` at one place, with the finding and its state."""

    requirement: str
    place: str
    found: str
    state: str


def targets(results: Record) -> list[Target]:
    """Return all targets."""
    return [*_against_retrained(results), *_scarce(results), *_against_finetuned(results),
            *unsafe_rates(results), *_completed(results), *_cost(results), *same_graphs(results),
            *_planning_time(results), *_drawn(results), *_variety(results)]


def target_of(requirement: str, place: str, found: str, met: bool, cause: str = '') -> Target:
    """Return a target; a missed one names its cause, where one is known."""
    return Target(requirement, place, found if met or not cause else f'{found}; {cause}',
                  MET if met else MISSED)


def of_pairs(pairs: Pairs, requirement: str, place: str, found: str, met: bool,
             cause: str = '') -> Target:
    """Return a target that is open until all planned pairs are complete."""
    if pairs.episodes < pairs.planned:
        return Target(requirement, place, f'{found}, of {pairs.planned} planned', OPEN)
    return target_of(requirement, place, found, met, cause)


def difference_of(pairs: Pairs) -> str:
    """Return a difference in words, with the number of pairs and each training seed."""
    return (f'{points(pairs.difference)} on {pairs.episodes} pairs of '
            f'{counted(len(pairs.by_seed), "training seed")}'
            f'{each_seed(pairs.by_seed.values(), "+.1f")}')


def _of_seeds_judged_once(results: Record, scenario: str, kept: str, other: str) -> str:
    pairs = judged_once(results, scenario, kept, EDIT, other, 'sr')
    if pairs is None:
        return ''
    seeds = f'seed{"s" * (len(pairs.by_seed) > 1)} {" and ".join(map(str, pairs.by_seed))}'
    return f', on training {seeds} alone, judged once, {points(pairs.difference)}'


def _unsafe_difference(pairs: Pairs) -> str:
    only = pairs.difference['only_first'], pairs.difference['only_second']
    differing = (f', {only[0]:g} against {only[1]:g} unsafe, p = '
                 f'{pairs.difference["p_value"]:.2g}' if any(only) else '')
    return f'UMR {points(pairs.difference)}{differing}'


def _against_retrained(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        place = f'`{scenario}`'
        success, unsafe = (against(results, scenario, ALL, EDIT, 'retrained', rate)
                           for rate in ('sr', 'umr'))
        if success is None or unsafe is None:
            yield Target('retrain', place, absent(results, scenario, ALL, EDIT, 'retrained'), OPEN)
            continue
        within, higher = success.low > _WORSE_SR, unsafe.low > 0.0
        cause = (('' if within else 'SR may be lower than allowed, ')
                 + ('UMR is shown to be higher, ' if higher else '')
                 + summed(of_seeds(results, scenario, ALL, EDIT), 'failures'))
        yield of_pairs(success, 'retrain', place,
                       f'SR {difference_of(success)}, {_unsafe_difference(unsafe)}',
                       within and not higher, cause)


def _scarce(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    for scenario in schedule.headline:
        for number in map(str, schedule.counts):
            place = f'`{scenario}`, {number} kept'
            retrained = of_seeds(results, scenario, number, 'retrained')
            pairs = against(results, scenario, number, EDIT, 'retrained', 'sr')
            if pairs is None:
                yield Target('scarce', place,
                             absent(results, scenario, number, EDIT, 'retrained'), OPEN)
                continue
            bar = pooled(retrained).rate('sr')
            once = _of_seeds_judged_once(results, scenario, number, 'retrained')
            found = f'{difference_of(pairs)}{once}; SR of the retrain {percent(bar)}'
            if bar >= _GOOD_SR and pairs.episodes == pairs.planned:
                yield Target('scarce', place, found, NOT_ASKED)
                continue
            yield of_pairs(pairs, 'scarce', place, found, pairs.low >= _SCARCE_GAIN,
                           summed(of_seeds(results, scenario, number, EDIT), 'failures'))


def _against_finetuned(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    # The half of the curve with the fewest demonstrations, and the middle.
    scarce = tuple(map(str, schedule.counts[:(len(schedule.counts) + 1) // 2]))
    every = [(scenario, ALL) for scenario in schedule.headline if scenario in PAIR]
    few = [(scenario, number) for scenario in schedule.headline for number in scarce]
    yield from _better(results, 'fine-tune', every + few, 'finetuned')
    # The same retargeted demonstrations on both sides, so that own chunks make the difference.
    yield from _better(results, 'own chunks', few, 'retargeted')


def _better(results: Record, requirement: str, places: Sequence[tuple[str, str]],
            other: str) -> Iterator[Target]:
    for scenario, kept in places:
        place = f'`{scenario}`, ' + ('all demonstrations' if kept == ALL else f'{kept} kept')
        seen = SEEN.get((other, scenario), 0) if kept == ALL else 0
        success, unsafe = (against(results, scenario, kept, EDIT, other, rate, seen)
                           for rate in ('sr', 'umr'))
        if success is None or unsafe is None:
            yield Target(requirement, place, absent(results, scenario, kept, EDIT, other), OPEN)
            continue
        better, worse = (success.low > 0.0 or unsafe.high < 0.0,
                         success.high < 0.0 or unsafe.low > 0.0)
        later = (f'; without the first {seen} pairs of each training seed, which were looked at '
                 f'before more were planned' if seen else '')
        once = '' if seen else _of_seeds_judged_once(results, scenario, kept, other)
        yield of_pairs(success, requirement, place, f'SR {difference_of(success)}{once}; '
                       f'{_unsafe_difference(unsafe)}{later}', better and not worse,
                       'one of them is worse' if worse else 'no difference is shown')


def of_each_seed(results: Record, scenario: str, method: str,
                 ) -> Iterator[tuple[str, Record | None, str]]:
    """Yield the place of each training seed with its record, or with why it is open.

    A bound holds for a number of episodes fixed in advance, so fewer leave a target open.
    """
    schedule = schedule_of(results)
    found = {record['seed']: record for record in of_seeds(results, scenario, ALL, method)}
    for seed in schedule.seeds if scenario in schedule.headline else schedule.seeds[:1]:
        place, record = f'`{scenario}`, training seed {seed}', found.get(seed)
        if record is None:
            yield place, None, absent(results, scenario, ALL, method)
            continue
        episodes, planned = len(record['outcomes']), len(seeds_of(case_of(record), schedule))
        complete = episodes >= planned
        yield place, record if complete else None, f'{episodes} of {planned} episodes run'


def unsafe_rates(results: Record) -> Iterator[Target]:
    """Yield the target of the unsafe rate at each training seed."""
    for scenario in schedule_of(results).scenarios:
        for place, record, why in of_each_seed(results, scenario, EDIT):
            if record is None:
                yield Target('unsafe', place, why, OPEN)
                continue
            found = pooled([record])
            yield target_of('unsafe', place, f'{found.counts["umr"]} of {found.episodes} unsafe, '
                            f'at most {percent(found.umr_at_most)}',
                            found.umr_at_most < _MOST_UMR, summed([record], 'unsafe'))


def _completed(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        place, pairs = f'`{scenario}`', against(results, scenario, ALL, EDIT, 'mixed', 'tcr')
        if pairs is None:
            yield Target('completed', place, absent(results, scenario, ALL, EDIT, 'mixed'), OPEN)
        else:
            yield of_pairs(pairs, 'completed', place, difference_of(pairs), pairs.low > _LESS_TCR,
                           summed(of_seeds(results, scenario, ALL, EDIT), 'failures'))


def _cost(results: Record) -> Iterator[Target]:
    for scenario in schedule_of(results).scenarios:
        ours, theirs = (of_seeds(results, scenario, ALL, method)
                        for method in (EDIT, 'retrained'))
        wall, processor = (time_share(ours, theirs, clock) for clock in ('wall_s', 'cpu_s'))
        if wall is None or processor is None:
            found = ('time not known' if ours and theirs else
                     absent(results, scenario, ALL, EDIT, 'retrained'))
            yield Target('cost', f'`{scenario}`', found, OPEN)
            continue
        steps = max(record['steps'] for record in ours)
        yield target_of('cost', f'`{scenario}`', f'{steps} steps, {percent(wall)} of the wall '
                        f'time, {percent(processor)} of the processor time',
                        steps < _MOST_STEPS and max(wall, processor) <= _MOST_TIME)


def time_share(ours: Sequence[Record], theirs: Sequence[Record], clock: str) -> float | None:
    """Return the mean time of learning as a share of theirs, None if a time is unknown."""
    means = []
    for records in (ours, theirs):
        taken = [record['learning'][clock] for record in records if record['learning']]
        if not records or len(taken) < len(records):
            return None
        means.append(sum(taken) / len(taken))
    return float(means[0] / means[1])


def same_graphs(results: Record) -> Iterator[Target]:
    """Yield the target of the edited files' graph."""
    for scenario in schedule_of(results).scenarios:
        records = of_seeds(results, scenario, ALL, EDIT)
        same = sum(bool(record['same_graph']) for record in records)
        if records:
            yield target_of('graph', f'`{scenario}`', f'{same} of {len(records)} files',
                            same == len(records))
        else:
            yield Target('graph', f'`{scenario}`', absent(results, scenario, ALL, EDIT), OPEN)


def _planning_time(results: Record) -> Iterator[Target]:
    schedule = schedule_of(results)
    scenario = schedule.headline[0]
    record = done_record(results, Case(scenario, ALL, schedule.seeds[0], LATENCY))
    if record is None:
        yield Target('planning time', f'`{scenario}`', absent(results, scenario, ALL, LATENCY),
                     OPEN)
        return
    edited, itself = (next(ratio for ratio in record['ratios'] if ratio['name'].startswith(name))
                      for name in (EDIT, 'itself'))
    found = ', '.join(f'{name} {ratio["value"]:.2f} ({ratio["low"]:.2f} to {ratio["high"]:.2f})'
                      for name, ratio in (('edited', edited), ('mixed to itself', itself)))
    yield target_of('planning time', f'`{scenario}`', found,
                    itself['low'] <= edited['value'] <= itself['high']
                    and abs(edited['value'] - 1.0) <= _MOST_RATIO_OFF)


def _drawn(results: Record) -> Iterator[Target]:
    """Yield the targets of policies that draw their mode first, and of these with it fixed."""
    planned = {case.scenario: None for case in plan(schedule_of(results))
               if case.method == 'planning'}
    for scenario in planned:
        place = f'`{scenario}`'
        pairs = against(results, scenario, ALL, 'planning', 'mixed', 'tcr')
        records = of_seeds(results, scenario, ALL, 'planning')
        if pairs is None:
            why = absent(results, scenario, ALL, 'planning', 'mixed')
            yield from (Target(requirement, place, why, OPEN) for requirement in ('drawn', 'said'))
        else:
            yield of_pairs(pairs, 'drawn', place, difference_of(pairs), pairs.low > _LESS_OF_PLAN,
                           summed(records, 'failures'))
            said = [record['said'] for record in records]
            agreed, completed, unread = (sum(one[key] for one in said)
                                         for key in ('agreed', 'completed', 'unread'))
            least_s = min((one['least_read_s'] for one in said
                           if one['least_read_s'] is not None), default=0.0)
            found = (f'{agreed} of {completed} as said; said {least_s:.2f} s before the grasp or '
                     f'earlier, but for {unread} that were not read')
            yield of_pairs(pairs, 'said', place, found, completed > 0 and unread == 0 and (
                agreed >= _AGREED * completed) and least_s >= _READ_S)
        if scenario in schedule_of(results).headline:
            yield _lock(results, scenario)


def _lock(results: Record, scenario: str) -> Target:
    place, pairs = f'`{scenario}`', against(results, scenario, ALL, 'conditional', 'retrained',
                                            'sr')
    if pairs is None:
        return Target('lock', place, absent(results, scenario, ALL, 'conditional', 'retrained'),
                      OPEN)
    records = of_seeds(results, scenario, ALL, 'conditional')
    removed = [mode for mode, wanted in find_scenario(scenario).desired.items() if not wanted]
    left = sum(record['modes'].get(mode, 0) for record in records for mode in removed)
    longest_s = max(record['learning']['wall_s'] for record in records)
    return of_pairs(pairs, 'lock', place,
                    f'{left} in a removed mode, SR {difference_of(pairs)}, {longest_s:.0f} s',
                    left == 0 and pairs.low > _LESS_OF_PLAN and longest_s < _MOST_LOCK_S,
                    summed(records, 'failures'))


def _variety(results: Record) -> Iterator[Target]:
    """Yield the targets of edits with two kept modes."""
    schedule = schedule_of(results)
    for scenario in schedule.scenarios:
        kept = tuple(mode for mode, wanted in find_scenario(scenario).desired.items() if wanted)
        if len(kept) > 1:
            yield from _variety_of(results, scenario, schedule.seeds[0], kept, '')
        if scenario in PAIR:
            yield from _variety_of(results, scenario, schedule.seeds[0], PAIR[scenario], '_pair')


def _variety_of(results: Record, scenario: str, seed: int, kept: Sequence[str],
                suffix: str) -> Iterator[Target]:
    place = f'`{scenario}`, {" and ".join(kept)} kept'
    methods = (EDIT + suffix, 'retrained' + suffix, 'mixed')
    edited, retrained, mixed = (done_record(results, Case(scenario, ALL, seed, method))
                                for method in methods)
    found = None if edited is None or mixed is None else distance_to_ideal(edited, mixed, kept)
    if found is None:
        yield Target('balance', place, absent(results, scenario, ALL, EDIT + suffix, 'mixed'),
                     OPEN)
    else:
        yield target_of('balance', place, f'{found.tv:.3f} [{found.low:.3f}, {found.high:.3f}], '
                        f'by chance {found.expected_by_chance:.3f}', found.tv <= _MOST_DISTANCE,
                        summed([edited], 'modes'))
    ours, theirs = (None if record is None else bridge_rate(record)
                    for record in (edited, retrained))
    if ours is None or theirs is None:
        yield Target('bridges', place, absent(results, scenario, ALL, *methods[:2]), OPEN)
        return
    yield target_of('bridges', place, ', the retrain '.join(
        f'{percent(rate)} [{100 * low:.1f}, {100 * high:.1f}]'
        for rate, (low, high) in (ours, theirs)), ours[0] <= theirs[0])


def done_record(results: Record, case: Case) -> Record | None:
    """Return the record of a completed case."""
    record = find(results, case)
    return record if record is not None and record['status'] == 'done' else None
