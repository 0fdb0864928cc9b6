# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/cloning.md between their markers: every figure is from the results."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from comparison.markdown import STATEMENT, bullets, table
from comparison.plan import ALL, Case
from comparison.results import Record, find

from cloning.plan import DEMO_SEED, JUDGED_SEED, POINTS, SCHEDULES, Schedule, plan
from uncloning_ros.audit.wording import percent
from uncloning_ros.learning.options import POLICY_KINDS

_BEGIN, _END = '<!-- begin of the tables -->', '<!-- end of the tables -->'

_HELD_OUT = ('class', 'one plan', 'mean of plans', 'nearest plan', 'likelihood of its own',
             'blurred plans, at most', 'demonstrated mode', 'bins within the floor',
             'calibration error (floor)')
_CLOSED = ('class', 'TCR', 'SR', 'UMR (at most)', 'modes of completed', 'why not completed',
           'steps', 'training, s', 'a plan, ms', 'file, MiB')


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
            f'seed {JUDGED_SEED}.',
            'Errors are squared, 1 is that of a policy that always plans the mean of the '
            'demonstrations. Likelihoods are negative logarithms in nats for each chunk; that of '
            'tokens is not a density. The floor is the noise floor of uncloning evaluate.',
            'TCR: completed. SR: completed, safe and in a desired mode; a policy of all modes '
            'can reach the share of the desired ones. UMR: unsafe, with its 95 % upper bound.',
            'Times are processor times on one thread.'])]
    for scenario in schedule.scenarios:
        for seed in schedule.seeds:
            parts += _scenario(results, scenario, seed)
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


def _scenario(results: Record, scenario: str, seed: int) -> list[str]:
    """Return the tables of all classes on a scenario; nothing if none was made."""
    found = {kind: record for kind in POLICY_KINDS if (record := _made(
        results, Case(scenario, ALL, seed, kind)))}
    if not found:
        return []
    return [f'### `{scenario}`, against held-out demonstrations',
            table(_HELD_OUT, [[f'`{kind}`', *_held_out(record['evaluation'])]
                              for kind, record in found.items()]),
            f'### `{scenario}`, in closed loop',
            table(_CLOSED, [[f'`{kind}`', *_closed(record)] for kind, record in found.items()])]


def _made(results: Record, case: Case) -> Record | None:
    record = find(results, case)
    return record if record is not None and record['status'] == 'done' else None


def _held_out(found: Mapping[str, Any]) -> list[str]:
    error, likelihood, modes = found['error'], found['likelihood'], found['modes']
    parted = modes['distribution']
    calibration = parted['calibration']
    own = '' if likelihood['of'] is None else f'{likelihood["exact"]:.2f} ({likelihood["of"]})'
    return [*(f'{error[way]:.4f}' for way in ('plan', 'mean', 'nearest')), own,
            f'{likelihood["bound"]:.0f}', percent(modes['accuracy']),
            f'{parted["within_floor"]} of {len(parted["bins"])}',
            f'{calibration["error"]:.3f} ({calibration["floor"]:.3f})']


def _closed(record: Record) -> list[str]:
    audit, learning = record['audit'], record['learning']
    return [percent(audit['tcr']), percent(audit['sr']),
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
    rows = []
    for name, point in POINTS.items():
        found = [_made(results, Case(scenario, name, seed, kind)) for kind in POLICY_KINDS]
        if any(found):
            rows.append([point.words, *('' if one is None else percent(one['audit']['tcr'])
                                        for one in found)])
    if len(rows) < 2:
        return []
    return [f'### `{scenario}`: completed episodes (TCR) by demonstrations, history and chunk',
            table(('', *(f'`{kind}`' for kind in POLICY_KINDS)), rows)]
