# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the edit has to show, each with what was found: met, MISSED, or open, not all run yet.

That a rate is not worse, or better, is judged by the bound of the difference's 95 % interval that
speaks against the edit; UMR beside it is MISSED where it is shown to be higher. The variety of
modes is judged by the values found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uncloning_figures import (
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
    tallied,
)
from uncloning_plan import ALL, LATENCY, PAIR, SEEN, Cell, seeds_of
from uncloning_results import Record, cell_of, find, schedule_of

from uncloning_ros.audit.wording import percent, points
from uncloning_ros.errors import counted
from uncloning_ros.scenario import find_scenario

MET, MISSED, OPEN, NOT_ASKED = 'met', 'MISSED', 'open', 'not asked'

_WORSE_SR, _SCARCE_GAIN, _GOOD_SR = -0.03, 0.10, 0.90
_MOST_UMR, _LESS_TCR = 0.01, -0.02
_MOST_STEPS, _MOST_TIME = 500, 0.15
_MOST_DISTANCE = 0.1
_MOST_RATIO_OFF = 0.05  # of latencies from 1


@dataclass(frozen=True)
class Aim:
    """One aim for one thing, what was found, and whether that is enough."""

    aim: str
    of: str
    found: str
    state: str


def aims(results: Record) -> list[Aim]:
    """Return all aims."""
    return [*_against_retrained(results), *_scarce(results), *_against_finetuned(results),
            *_unsafe(results), *_completed(results), *_cost(results), *_graph(results),
            *_variety(results)]


def _aim(aim: str, of: str, found: str, met: bool, cause: str = '') -> Aim:
    """Return an aim; a missed one names the cause, where there is one to name."""
    return Aim(aim, of, found if met or not cause else f'{found}; {cause}',
               MET if met else MISSED)


def _of_pairs(pairs: Pairs, aim: str, of: str, found: str, met: bool, cause: str = '') -> Aim:
    """Return an aim that is open until all planned pairs are there."""
    if pairs.episodes < pairs.planned:
        return Aim(aim, of, f'{found}, of {pairs.planned} planned', OPEN)
    return _aim(aim, of, found, met, cause)


def _scenarios(results: Record) -> tuple[str, ...]:
    schedule = schedule_of(results)
    return (*schedule.headline, *schedule.others)


def _told(pairs: Pairs) -> str:
    return (f'{points(pairs.difference)} on {pairs.episodes} pairs of '
            f'{counted(len(pairs.by_seed), "training seed")}'
            f'{each_seed(pairs.by_seed.values(), "+.1f")}')


def _told_once(results: Record, scenario: str, desired: str, other: str) -> str:
    pairs = judged_once(results, scenario, desired, EDIT, other, 'sr')
    if pairs is None:
        return ''
    seeds = f'seed{"s" * (len(pairs.by_seed) > 1)} {" and ".join(map(str, pairs.by_seed))}'
    return f', on training {seeds} alone, judged once, {points(pairs.difference)}'


def _told_unsafe(pairs: Pairs) -> str:
    only = pairs.difference['only_first'], pairs.difference['only_second']
    differing = (f', {only[0]:g} against {only[1]:g} unsafe, p = '
                 f'{pairs.difference["p_value"]:.2g}' if any(only) else '')
    return f'UMR {points(pairs.difference)}{differing}'


def _against_retrained(results: Record) -> Iterator[Aim]:
    aim = (f'SR less that of the filtered retrain: lower 95 % bound above '
           f'{100 * _WORSE_SR:g} points, and UMR not shown to be higher')
    for scenario in _scenarios(results):
        of = f'`{scenario}`'
        success, unsafe = (against(results, scenario, ALL, EDIT, 'retrained', rate)
                           for rate in ('sr', 'umr'))
        if success is None or unsafe is None:
            yield Aim(aim, of, absent(results, scenario, ALL, EDIT, 'retrained'), OPEN)
            continue
        edited = of_seeds(results, scenario, ALL, EDIT)
        within, higher = success.low > _WORSE_SR, unsafe.low > 0.0
        cause = (('' if within else 'SR may be that much lower, ')
                 + ('UMR is higher by its interval, ' if higher else '')
                 + tallied(edited, 'failures'))
        yield _of_pairs(success, aim, of, f'SR {_told(success)}, {_told_unsafe(unsafe)}',
                        within and not higher, cause)


def _scarce(results: Record) -> Iterator[Aim]:
    aim = (f'SR less that of the filtered retrain, wherever that is below {100 * _GOOD_SR:g} %: '
           f'lower 95 % bound at least {100 * _SCARCE_GAIN:g} points')
    schedule = schedule_of(results)
    for scenario in schedule.headline:
        for number in map(str, schedule.counts):
            of = f'`{scenario}`, {number} desired'
            retrained = of_seeds(results, scenario, number, 'retrained')
            pairs = against(results, scenario, number, EDIT, 'retrained', 'sr')
            if pairs is None:
                yield Aim(aim, of, absent(results, scenario, number, EDIT, 'retrained'), OPEN)
                continue
            bar = pooled(retrained).rate('sr')
            found = (f'{_told(pairs)}{_told_once(results, scenario, number, "retrained")}, the '
                     f'retrain {percent(bar)}')
            if bar >= _GOOD_SR and pairs.episodes == pairs.planned:
                yield Aim(aim, of, found, NOT_ASKED)
                continue
            yield _of_pairs(pairs, aim, of, found, pairs.low >= _SCARCE_GAIN,
                            tallied(of_seeds(results, scenario, number, EDIT), 'failures'))


def _against_finetuned(results: Record) -> Iterator[Aim]:
    schedule = schedule_of(results)
    # The half of the curve with the fewest demonstrations, the middle one with them.
    scarce = tuple(map(str, schedule.counts[:(len(schedule.counts) + 1) // 2]))
    every = [(scenario, ALL) for scenario in schedule.headline if scenario in PAIR]
    few = [(scenario, number) for scenario in schedule.headline for number in scarce]
    yield from _better(results, every + few, 'finetuned', 'the filtered fine-tune',
                       'the edit adds anything to a fine-tune')
    # Only this one tells what own chunks add, and not what retargeting does.
    yield from _better(results, few, 'retargeted',
                       'the fine-tune with the same retargeted demonstrations',
                       'own chunks add anything')


def _better(results: Record, places: Sequence[tuple[str, str]], other: str, words: str,
            added: str) -> Iterator[Aim]:
    aim = f'SR or UMR better than {words}, the 95 % interval without zero, and neither worse'
    for scenario, desired in places:
        of = f'`{scenario}`, ' + (
            'all demonstrations' if desired == ALL else f'{desired} desired')
        seen = SEEN.get((other, scenario), 0) if desired == ALL else 0
        success, unsafe = (against(results, scenario, desired, EDIT, other, rate, seen)
                           for rate in ('sr', 'umr'))
        if success is None or unsafe is None:
            yield Aim(aim, of, absent(results, scenario, desired, EDIT, other), OPEN)
            continue
        better, worse = (success.low > 0.0 or unsafe.high < 0.0,
                         success.high < 0.0 or unsafe.low > 0.0)
        later = (f'; on pairs after the first {seen} of each seed alone, for those had been '
                 f'looked at when more were planned' if seen else '')
        once = '' if seen else _told_once(results, scenario, desired, other)
        yield _of_pairs(success, aim, of, f'SR {_told(success)}{once}; {_told_unsafe(unsafe)}'
                        f'{later}', better and not worse,
                        'it is worse in one of them' if worse else
                        f'nothing shows here that {added}')


def _unsafe(results: Record) -> Iterator[Aim]:
    aim = f'UMR: 95 % upper bound below {100 * _MOST_UMR:g} %'
    for scenario in _scenarios(results):
        for seed, record in _by_seed(results, scenario, EDIT):
            of = f'`{scenario}`, training seed {seed}'
            if record is None:
                yield Aim(aim, of, absent(results, scenario, ALL, EDIT), OPEN)
                continue
            found = pooled([record])
            wanted = len(seeds_of(cell_of(record), schedule_of(results)))
            if found.episodes < wanted:  # who looks before the end has no bound
                yield Aim(aim, of, f'{found.episodes} of {wanted} episodes run', OPEN)
                continue
            yield _aim(aim, of, f'{found.counts["umr"]} of {found.episodes} unsafe, at most '
                       f'{percent(found.umr_at_most)}', found.umr_at_most < _MOST_UMR,
                       tallied([record], 'unsafe'))


def _by_seed(results: Record, scenario: str,
             method: str) -> Iterator[tuple[int, Record | None]]:
    """Yield each planned training seed with its record, None if it was not judged."""
    schedule = schedule_of(results)
    seeds = schedule.seeds if scenario in schedule.headline else schedule.seeds[:1]
    done = {record['seed']: record for record in of_seeds(results, scenario, ALL, method)}
    for seed in seeds:
        yield seed, done.get(seed)


def _completed(results: Record) -> Iterator[Aim]:
    aim = f'TCR less that of the mixed policy: lower 95 % bound above {100 * _LESS_TCR:g} points'
    for scenario in _scenarios(results):
        pairs = against(results, scenario, ALL, EDIT, 'mixed', 'tcr')
        if pairs is None:
            yield Aim(aim, f'`{scenario}`', absent(results, scenario, ALL, EDIT, 'mixed'), OPEN)
        else:
            yield _of_pairs(pairs, aim, f'`{scenario}`', _told(pairs), pairs.low > _LESS_TCR,
                            tallied(of_seeds(results, scenario, ALL, EDIT), 'failures'))


def _cost(results: Record) -> Iterator[Aim]:
    aim = (f'fewer than {_MOST_STEPS} steps, and at most {100 * _MOST_TIME:g} % of the filtered '
           f'retrain\'s time, with all demonstrations, the mixed policy given, the classifier '
           f'counted: wall time as it was, and processor time, which does not follow what else '
           f'ran')
    for scenario in _scenarios(results):
        ours, theirs = (of_seeds(results, scenario, ALL, method)
                        for method in (EDIT, 'retrained'))
        wall, processor = (_share(ours, theirs, clock) for clock in ('wall_s', 'cpu_s'))
        if wall is None or processor is None:
            found = ('time not known' if ours and theirs else
                     absent(results, scenario, ALL, EDIT, 'retrained'))
            yield Aim(aim, f'`{scenario}`', found, OPEN)
            continue
        steps = max(record['steps'] for record in ours)
        yield _aim(aim, f'`{scenario}`', f'{steps} steps, {percent(wall)} of the wall time, '
                   f'{percent(processor)} of the processor time',
                   steps < _MOST_STEPS and max(wall, processor) <= _MOST_TIME)


def _share(ours: Sequence[Record], theirs: Sequence[Record], clock: str) -> float | None:
    """Return the mean time of learning as a share of theirs, None if one is not known."""
    means = []
    for records in (ours, theirs):
        taken = [record['learning'][clock] for record in records if record['learning']]
        if not records or len(taken) < len(records):
            return None
        means.append(sum(taken) / len(taken))
    return float(means[0] / means[1])


def _graph(results: Record) -> Iterator[Aim]:
    aim = 'graph identical to that of the mixed policy'
    for scenario in _scenarios(results):
        records = of_seeds(results, scenario, ALL, EDIT)
        same = sum(bool(record['same_graph']) for record in records)
        if records:
            yield _aim(aim, f'`{scenario}`', f'{same} of {len(records)} files',
                       same == len(records))
        else:
            yield Aim(aim, f'`{scenario}`', absent(results, scenario, ALL, EDIT), OPEN)
    schedule = schedule_of(results)
    aim = (f'latency 1.00 times that of the mixed policy, within the noise of measuring and '
           f'{100 * _MOST_RATIO_OFF:g} %')
    cell = Cell(schedule.headline[0], ALL, schedule.seeds[0], LATENCY)
    record = find(results, cell)
    if record is None or record['status'] != 'done':
        yield Aim(aim, f'`{cell.scenario}`', absent(results, cell.scenario, ALL, LATENCY), OPEN)
        return
    edited, itself = (next(ratio for ratio in record['ratios'] if ratio['name'].startswith(name))
                      for name in (EDIT, 'itself'))
    yield _aim(aim, f'`{cell.scenario}`',
               f'{edited["value"]:.2f} ({edited["low"]:.2f} to {edited["high"]:.2f}), itself '
               f'{itself["value"]:.2f} ({itself["low"]:.2f} to {itself["high"]:.2f})',
               itself["low"] <= edited["value"] <= itself["high"]
               and abs(edited["value"] - 1.0) <= _MOST_RATIO_OFF)


def _variety(results: Record) -> Iterator[Aim]:
    """Yield the aims of targets with two desired modes."""
    seed = schedule_of(results).seeds[0]
    for scenario in _scenarios(results):
        desired = tuple(mode for mode, wanted in find_scenario(scenario).desired.items() if wanted)
        if len(desired) > 1:
            yield from _variety_of(results, scenario, seed, desired, '')
        if scenario in PAIR:
            yield from _variety_of(results, scenario, seed, PAIR[scenario], '_pair')


def _variety_of(results: Record, scenario: str, seed: int, kept: Sequence[str],
                suffix: str) -> Iterator[Aim]:
    of = f'`{scenario}`, {" and ".join(kept)} kept'
    methods = (EDIT + suffix, 'retrained' + suffix, 'mixed')
    edited, retrained, mixed = (_done(results, Cell(scenario, ALL, seed, method))
                                for method in methods)
    aim = (f'total variation of the modes to the ideal, the mixed policy\'s kept modes, at most '
           f'{_MOST_DISTANCE:g}, by the value found')
    found = None if edited is None or mixed is None else distance_to_ideal(edited, mixed, kept)
    if found is None:
        yield Aim(aim, of, absent(results, scenario, ALL, EDIT + suffix, 'mixed'), OPEN)
    else:
        yield _aim(aim, of, f'{found.tv:.3f} [{found.low:.3f}, {found.high:.3f}], by chance '
                   f'{found.expected_by_chance:.3f}', found.tv <= _MOST_DISTANCE,
                   tallied([edited], 'modes'))
    aim = 'bridge rate no higher than that of the filtered retrain, by the values found'
    ours, theirs = (None if record is None else bridge_rate(record)
                    for record in (edited, retrained))
    if ours is None or theirs is None:
        yield Aim(aim, of, absent(results, scenario, ALL, *methods[:2]), OPEN)
        return
    yield _aim(aim, of, ', the retrain '.join(
        f'{percent(rate)} [{100 * low:.1f}, {100 * high:.1f}]'
        for rate, (low, high) in (ours, theirs)), ours[0] <= theirs[0])


def _done(results: Record, cell: Cell) -> Record | None:
    record = find(results, cell)
    return record if record is not None and record['status'] == 'done' else None
