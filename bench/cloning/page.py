# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/cloning.md between their markers: every figure is from the results."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.markdown import STATEMENT, bullets, table
from comparison.plan import ALL, Case
from comparison.results import Record, find

from cloning.picture import PICTURE, picture
from cloning.plan import (
    ASTRAY_EPISODES,
    DEMO_SEED,
    JUDGED_SEED,
    POINTS,
    SCHEDULES,
    STARTS,
    Schedule,
    plan,
    unedited,
)
from uncloning_ros.audit.wording import percent
from uncloning_ros.learning.options import POLICY_KINDS

_BEGIN, _END = '<!-- begin of the tables -->', '<!-- end of the tables -->'

_HELD_OUT = ('class', 'one plan', 'mean of plans', 'nearest plan', 'likelihood of its own',
             'blurred plans, at most', 'demonstrated mode', 'bins within the floor',
             'calibration error (floor)')
_SECONDS = range(0, 12, 2)
_CLOSED = ('class', 'episodes', 'TCR', 'SR', 'UMR (at most)', 'modes of completed',
           'why not completed', 'steps', 'training, s', 'a plan, ms', 'file, MiB')


def with_tables(page: str, results: Record) -> str:
    """Return the page with the tables of the results between its markers."""
    block = f'{_BEGIN}\n{tables(results)}\n{_END}'
    return re.sub(f'{_BEGIN}.*?{_END}', lambda _: block, page, flags=re.DOTALL)


def tables(results: Record) -> str:
    """Return the tables of all cases that were made, and the list of the others."""
    schedule = SCHEDULES[results['schedule']]
    parts = [
        f'{STATEMENT} These tables are written by `make bench-cloning`, which continues a '
        f'stopped comparison, from [{schedule.results}]({schedule.results}).',
        bullets([
            f'{schedule.most_demonstrations} demonstrations from seed {DEMO_SEED}, '
            f'{schedule.steps} training steps unless a row says otherwise, training seed '
            f'{", ".join(map(str, schedule.seeds))}, {schedule.episodes} judged episodes from '
            f'seed {JUDGED_SEED} unless a row says otherwise.',
            'Errors are squared, 1 is that of a policy that always plans the mean of the '
            'demonstrations. Likelihoods are negative logarithms in nats for each chunk; that of '
            'tokens is not a density. The floor is the noise floor of uncloning evaluate.',
            'TCR: completed. SR: completed, safe and in a desired mode; a policy of all modes '
            'can reach the share of the desired ones. UMR: unsafe, with its 95 % upper bound.',
            'Times are processor times on one thread; those of an edit are without its training.',
            '`_uncloned`: the default edit of the class above, with the modes removed that are '
            'not desired. It is compared with demonstrations of kept modes.'])]
    for scenario in schedule.scenarios:
        for seed in schedule.seeds:
            parts += _scenario(results, scenario, seed)
    parts += _starts(results, schedule)
    parts += _curves(results, schedule)
    absent = [case.key for case in plan(schedule) if find(results, case) is None]
    failed = [[f'`{case.key}`', record['sentence']] for case in plan(schedule)
              if (record := find(results, case)) is not None and record['status'] == 'failed']
    if failed:
        parts += ['### Failures', table(('case', 'sentence'), failed)]
    if absent:
        parts += [f'### Not run ({len(absent)} of {len(plan(schedule))} cases)',
                  bullets(f'`{key}`' for key in absent)]
    return '\n\n'.join(parts)


def drawing(results: Record) -> str:
    """Return the picture of the curves: SVG."""
    schedule = SCHEDULES[results['schedule']]
    scenario, seed = schedule.scenarios[0], schedule.seeds[0]
    found = {name: _of(results, scenario, name, seed) for name in POINTS}

    def completed(places: Mapping[str, str]) -> dict[str, list[float | None]]:
        return {kind: [100 * found[name][kind]['audit']['tcr'] if kind in found[name] else None
                       for name in places.values()]
                for kind in POLICY_KINDS if any(kind in found[name] for name in places.values())}

    counts = {str(point.demonstrations): name for name, point in sorted(
        POINTS.items(), key=lambda one: one[1].demonstrations)
        if name == ALL or name.startswith('demonstrations_')}
    timing = {''.join(f'{key[0]}{value}' for key, value in point.timing.items()): name
              for name, point in POINTS.items() if point.timing}
    strayed = {kind: record['astray'] for kind, record in found[ALL].items()
               if record.get('astray')}
    seconds = sorted({one['second'] for some in strayed.values() for one in some})
    return picture([
        ('TCR (%) by demonstrations', list(counts), completed(counts)),
        ('TCR (%) by history, horizon, execute', list(timing),
         completed(timing)),
        ('distance to demonstrated states by second', [str(one) for one in seconds] or [''],
         {kind: [{one['second']: one['distance'] for one in some}.get(second)
                 for second in seconds] for kind, some in strayed.items()})],
        'Completed episodes by demonstrations and by timing; distance to demonstrated states')


def _scenario(results: Record, scenario: str, seed: int) -> list[str]:
    """Return the tables of all classes on a scenario; nothing if none was made."""
    found = _of(results, scenario, ALL, seed)
    if not found:
        return []
    return [f'### `{scenario}`, against held-out demonstrations',
            table(_HELD_OUT, [[f'`{kind}`', *_held_out(record['evaluation'])]
                              for kind, record in found.items()]),
            f'### `{scenario}`, in closed loop',
            table(_CLOSED, [[f'`{kind}`', *_closed(record)] for kind, record in found.items()])]


def _of(results: Record, scenario: str, point: str, seed: int) -> dict[str, Record]:
    """Return the records of a point that were made, by class, each before its edit."""
    made = {case.method: record for case in plan(SCHEDULES[results['schedule']])
            if (case.scenario, case.kept, case.seed) == (scenario, point, seed)
            and (record := _made(results, case)) is not None}
    return {kind: made[kind] for kind in sorted(made, key=lambda kind: POLICY_KINDS.index(
        unedited(Case(scenario, point, seed, kind)).method))}


def _made(results: Record, case: Case) -> Record | None:
    record = find(results, case)
    return record if record is not None and record['status'] == 'done' else None


def _held_out(found: Mapping[str, Any]) -> list[str]:
    error, likelihood, modes = found['error'], found['likelihood'], found['modes']
    own = '' if likelihood['of'] is None else f'{likelihood["exact"]:.2f} ({likelihood["of"]})'
    return [*(f'{error[way]:.4f}' for way in ('plan', 'mean', 'nearest')), own,
            f'{likelihood["bound"]:.0f}', *_shares(modes)]


def _shares(modes: Mapping[str, Any] | None) -> list[str]:
    if modes is None:  # fewer than two are kept
        return [''] * 3
    parted = modes['distribution']
    calibration = parted['calibration']
    return [percent(modes['accuracy']), f'{parted["within_floor"]} of {len(parted["bins"])}',
            f'{calibration["error"]:.3f} ({calibration["floor"]:.3f})']


def _starts(results: Record, schedule: Schedule) -> list[str]:
    """Return the table of shares of modes that follow the start, where any was made."""
    rows = []
    for scenario in schedule.scenarios:
        for kind, record in _of(results, scenario, STARTS, schedule.seeds[0]).items():
            modes = record['evaluation']['modes']
            bins = modes['distribution']['bins']
            rows.append([f'`{scenario}`', f'`{kind}`', *_shares(modes)[1:], ', '.join(
                f'{one["total_variation"]:.2f} ({one["floor"]:.2f})' for one in bins)])
    if not rows:
        return []
    return [f'### Shares that follow the start: {POINTS[STARTS].words}',
            table(('scenario', 'class', 'bins within the floor', 'calibration error (floor)',
                   'total variation of each bin (floor)'), rows)]


def _closed(record: Record) -> list[str]:
    audit, learning = record['audit'], record['learning']
    return [str(audit['episodes']), percent(audit['tcr']), percent(audit['sr']),
            f'{percent(audit["umr"])} ({percent(audit["umr_upper95"])})',
            _counted(audit['modes']), _counted(audit['failures']),
            str(record['steps']), '' if learning is None else f'{learning["cpu_s"]:.0f}',
            f'{record["plan_ms"]:.1f}',
            f'{record["bytes"] / 2**20:.1f}']


def _counted(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {name}' for name, count in counts.items() if count)


def _curves(results: Record, schedule: Schedule) -> Sequence[str]:
    """Return the table of completed episodes at each point of the curves, where any was made."""
    scenario, seed = schedule.scenarios[0], schedule.seeds[0]
    rows, lost = [], []
    for name, point in POINTS.items():
        found = _of(results, scenario, name, seed)
        if name != STARTS and found:
            rows.append([point.words, *(percent(found[kind]['audit']['tcr']) if kind in found
                                        else '' for kind in POLICY_KINDS)])
        lost += [[f'`{kind}`', point.words, *_astray(record['astray'])]
                 for kind, record in found.items() if record.get('astray')]
    parts = []
    if len(rows) > 1:
        parts += [f'### `{scenario}`: completed episodes (TCR) by demonstrations, history and '
                  f'chunk', table(('', *(f'`{kind}`' for kind in POLICY_KINDS)), rows)]
    if lost:
        parts += [f'### `{scenario}`: distance to the nearest demonstrated state, in spreads',
                  f'Mean over {ASTRAY_EPISODES} of the judged episodes. The distance of held-out '
                  f'demonstrations is that of a policy whose errors do not add up.',
                  table(('class', 'point', 'held-out demonstrations',
                         *(f'from {second} s' for second in _SECONDS)), lost)]
    if parts:
        parts.append(f'![Completed episodes, and distance to demonstrated states]'
                     f'({PICTURE})')
    return parts


def _astray(found: Sequence[Mapping[str, Any]]) -> list[str]:
    by_second = {one['second']: f'{one["distance"]:.3f}' for one in found}
    return [f'{found[0]["demonstrated"]:.3f}', *(by_second.get(second, '')
                                                 for second in _SECONDS)]
