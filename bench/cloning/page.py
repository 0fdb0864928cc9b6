# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/cloning.md between their markers: every figure is from the results."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.markdown import STATEMENT, bullets, table
from comparison.plan import ALL, ITSELF, LATENCY, Case
from comparison.results import Record, find, flags
from comparison.statistics import paired

from cloning.picture import PICTURE, picture
from cloning.plan import (
    DEMO_SEED,
    JUDGED_SEED,
    POINTS,
    SCHEDULES,
    STARTS,
    USUAL,
    Schedule,
    demonstrations_of,
    plan,
    unedited,
)
from uncloning_ros.audit.wording import percent
from uncloning_ros.learning.options import FLOW, PLAN, POLICY_KINDS

_BEGIN, _END = '<!-- begin of the tables -->', '<!-- end of the tables -->'

_HELD_OUT = ('class', 'one plan', 'mean of plans', 'nearest plan', 'likelihood of its own',
             'blurred plans, at most', 'demonstrated mode', 'bins within the floor',
             'calibration error (floor)')
_CLOSED = ('class', 'episodes', 'TCR', 'SR', 'UMR (at most)', 'modes of completed',
           'why not completed', 'steps', 'training, s', 'a plan, ms', 'file, MiB')
_SAID = ('class', 'completed as said', 'done mode said before the grasp, s',
         'never before the grasp', 'said grasp from the done one, cm')

# Aims of the family.
_TRAINING_S, _PLAN_RATIO, _TCR_APART, _BINS_WITHIN, _BINS = 900, 1.15, 0.01, 9, 10
_STATES = {True: 'met', False: 'missed'}


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
            f'{demonstrations_of(ALL, schedule)} demonstrations from seed {DEMO_SEED}, '
            f'{schedule.steps} training steps unless a row says otherwise, training seed '
            f'{", ".join(map(str, schedule.seeds))}, {schedule.episodes} judged episodes from '
            f'seed {JUDGED_SEED} unless a row says otherwise.',
            'Errors are squared, 1 is that of a policy that always plans the mean of the '
            'demonstrations. Likelihoods are negative logarithms in nats for each chunk; that of '
            'tokens is not a density. The floor is the noise floor of `uncloning evaluate`, '
            'which counts modes at the first tick at which a classifier reads 95 % of them. That '
            'may be seconds after the start, when the observation already tells a part of the '
            'choice.',
            'TCR: completed. SR: completed, safe and in a desired mode; a policy of all modes '
            'can reach the share of the desired ones. UMR: unsafe, with its 95 % upper bound.',
            'Times are processor times on one thread; those of an edit are without its training.',
            '`_uncloned`: the default edit of the class above, with the modes removed that are '
            'not desired. It is compared with demonstrations of kept modes.'])]
    for scenario in schedule.scenarios:
        for seed in schedule.seeds:
            parts += _scenario(results, scenario, seed)
    parts += _starts(results, schedule)
    parts += _aims(results, schedule)
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
    timing = {key: {str(value): f'{key}_{value}' if value != USUAL[key] else ALL
                    for value in sorted({USUAL[key], *(
                        point.timing[key] for point in POINTS.values() if key in point.timing)})}
              for key in USUAL}
    strayed = {kind: record['astray'] for kind, record in found[ALL].items()
               if record.get('astray')}
    seconds = sorted({one['second'] for some in strayed.values() for one in some})
    return picture([
        ('TCR (%) by demonstrations', list(counts), completed(counts)),
        *((f'TCR (%) by {key}', list(places), completed(places))
          for key, places in timing.items()),
        ('distance by second, in spreads', [str(one) for one in seconds] or [''],
         {kind: [{one['second']: one['distance'] for one in some}.get(second)
                 for second in seconds] for kind, some in strayed.items()})],
        'Completed episodes by demonstrations and by timing; distance to demonstrated states')


def _scenario(results: Record, scenario: str, seed: int) -> list[str]:
    """Return the tables of all classes on a scenario; nothing if none was made."""
    found = _of(results, scenario, ALL, seed)
    if not found:
        return []
    said = [[f'`{kind}`', *_said(told)] for kind, record in found.items()
            if (told := record['audit'].get('said')) is not None]
    return [f'### `{scenario}`, against held-out demonstrations',
            table(_HELD_OUT, [[f'`{kind}`', *_held_out(record['evaluation'])]
                              for kind, record in found.items()]),
            f'### `{scenario}`, in closed loop',
            table(_CLOSED, [[f'`{kind}`', *_closed(record)] for kind, record in found.items()]),
            *([f'### `{scenario}`, said and done', table(_SAID, said)] if said else [])]


def _of(results: Record, scenario: str, point: str, seed: int) -> dict[str, Record]:
    """Return the records of a point that were made, by class, each before its edit."""
    made = {case.method: record for case in plan(SCHEDULES[results['schedule']])
            if (case.scenario, case.kept, case.seed) == (scenario, point, seed)
            and case.method != LATENCY
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
            # Fewer bins, or fewer episodes in them, tell no policy without fault from others.
            within = modes['distribution']['within_floor'] >= _BINS_WITHIN
            rows.append([f'`{scenario}`', f'`{kind}`', *_shares(modes)[1:], ', '.join(
                f'{one["total_variation"]:.2f} ({one["floor"]:.2f})' for one in bins),
                _STATES[within] if len(bins) == _BINS else 'too few episodes'])
    if not rows:
        return []
    return [f'### Shares that follow the start: {POINTS[STARTS].words}',
            table(('scenario', 'class', 'bins within the floor', 'calibration error (floor)',
                   'total variation of each bin (floor)',
                   f'at least {_BINS_WITHIN} of {_BINS} bins'), rows)]


def _aims(results: Record, schedule: Schedule) -> list[str]:
    """Return the table of the aims that can be judged."""
    rows, seed = [], schedule.seeds[0]
    for scenario in schedule.scenarios:
        found = _of(results, scenario, ALL, seed)
        times = {kind: record['learning']['cpu_s'] for kind, record in found.items()
                 if record['learning'] is not None and kind in POLICY_KINDS}
        if times:
            slowest = max(times, key=lambda kind: times[kind])
            rows.append([f'training takes at most {_TRAINING_S / 60:g} minutes of processor time',
                         f'`{scenario}`', f'{times[slowest] / 60:.1f} (`{slowest}`), of '
                         f'{", ".join(f"`{kind}`" for kind in times)}',
                         _STATES[times[slowest] <= _TRAINING_S]])
        both = [found[kind] for kind in (PLAN, FLOW) if kind in found]
        if len(both) == 2 and all('outcomes' in record['audit'] for record in both):
            plans, flows = ([{**record, **record['audit']}] for record in both)
            pairs = paired(plans, flows, lambda record: flags(record, 'tcr'), schedule.headline)
            if pairs is not None:
                rows.append([f'`plan` completes at most {100 * _TCR_APART:g} point less than '
                             f'`flow`', f'`{scenario}`',
                             f'{100 * pairs.difference["difference"]:+.1f} '
                             f'[{100 * pairs.low:+.1f}, {100 * pairs.high:+.1f}], '
                             f'{pairs.episodes} pairs', _STATES[pairs.low >= -_TCR_APART]])
    case = Case(schedule.scenarios[0], ALL, seed, LATENCY)
    ratios = {one['name']: one for one in (_made(results, case) or {}).get('ratios', ())}
    for kind, one in ratios.items():
        if kind in POLICY_KINDS:
            most = _PLAN_RATIO if kind == PLAN else 1.0
            rows.append([f'`{kind}` plans in at most {most:.2f} of the time of `flow`',
                         f'`{case.scenario}`', f'{one["value"]:.2f} ({one["low"]:.2f} to '
                         f'{one["high"]:.2f}); `flow` against itself '
                         f'{ratios[ITSELF]["low"]:.2f} to {ratios[ITSELF]["high"]:.2f}',
                         _STATES[one['value'] <= most]])
    return ['### Aims', table(('aim', 'scenario', 'found', ''), rows)] if rows else []


def _closed(record: Record) -> list[str]:
    audit, learning = record['audit'], record['learning']
    return [str(audit['episodes']), percent(audit['tcr']), percent(audit['sr']),
            f'{percent(audit["umr"])} ({percent(audit["umr_upper95"])})',
            _counted(audit['modes']), _counted(audit['failures']),
            str(record['steps']), '' if learning is None else f'{learning["cpu_s"]:.0f}',
            f'{record["plan_ms"]:.1f}',
            f'{record["bytes"] / 2**20:.1f}']


def _said(told: Mapping[str, Any]) -> list[str]:
    read, apart = told['median_read_s'], told['median_apart_m']
    return [f'{told["agreed"]} of {told["completed"]}',
            '' if read is None else f'{read:.2f} (least {told["least_read_s"]:.2f})',
            str(told['unread']), '' if apart is None else f'{100 * apart:.1f}']


def _counted(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {name}' for name, count in counts.items() if count)


def _curves(results: Record, schedule: Schedule) -> Sequence[str]:
    """Return the table of completed episodes at each point of the curves, where any was made."""
    scenario, seed = schedule.scenarios[0], schedule.seeds[0]
    rows, lost = [], dict[tuple[str, str], Mapping[int, str]]()
    for name, point in POINTS.items():
        found = _of(results, scenario, name, seed)
        if name != STARTS and found:
            rows.append([point.words, *(percent(found[kind]['audit']['tcr']) if kind in found
                                        else '' for kind in POLICY_KINDS)])
        lost |= {(f'`{kind}`', point.words): _astray(record['astray'])
                 for kind, record in found.items() if record.get('astray')}
    parts = []
    if len(rows) > 1:
        parts += [f'### `{scenario}`: completed episodes (TCR) by demonstrations, history and '
                  f'chunk', table(('', *(f'`{kind}`' for kind in POLICY_KINDS)), rows)]
    if lost:
        seconds = sorted({second for some in lost.values() for second in some})
        parts += [f'### `{scenario}`: distance to the nearest demonstrated state, in spreads',
                  f'Mean over the first {schedule.episodes} judged episodes in each second since '
                  f'the start, in brackets that of held-out demonstrations in the same second: '
                  f'a policy whose errors do not add up has about that. Seconds that less than '
                  f'half of the episodes reach are left out.',
                  table(('class', 'point', *(f'{one} to {one + 1} s' for one in seconds)),
                        [[*names, *(some.get(one, '') for one in seconds)]
                         for names, some in lost.items()])]
    if parts:
        parts.append(f'![Completed episodes, and distance to demonstrated states]'
                     f'({PICTURE})')
    return parts


def _astray(found: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """Return the distances in words by second; most of the episodes still run in each."""
    most = max(one['episodes'] for one in found)
    return {one['second']: f'{one["distance"]:.3f}' + (
        '' if one['demonstrated'] is None else f' ({one["demonstrated"]:.3f})')
        for one in found if 2 * one['episodes'] >= most}
