# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/outside.md: every figure is computed from the results."""

from collections import Counter

from comparison.detail import target_row
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.plan import SEEDS_APART
from comparison.results import Record, case_of, removed
from comparison.statistics import EDIT, pooled

from outside.plan import COMPARED, JUDGED_SEED, METHODS, PLACES, Place, plan
from outside.records import absent, of_place, open_cases, schedule_of
from outside.targets import REQUIREMENTS, against, rate, shows, targets
from uncloning_ros.audit.wording import percent, points


def page(results: Record) -> str:
    """Return the text of the page."""
    schedule = schedule_of(results)
    short = ['**A short run: it checks that the program works. Its figures mean nothing.**']
    parts = [
        '# Tasks of others, compared', *(short if schedule.is_short else []),
        f'{STATEMENT} `python -m bench.outside run DIR` makes the comparison and continues a '
        f'stopped one; [outside.md](../outside.md) describes the tasks. This page is generated '
        f'from [{schedule.results}](../{schedule.results}).',
        *_targets(results), *_methods(results)]
    for place in PLACES:
        parts += [f'## {place.words}', f'Removed: {listed(place.removed)}.']
        for start in schedule.episodes[place.task]:
            parts += [f'### {start.capitalize()} start', _outcomes(results, place, start)]
    return '\n\n'.join([*parts, *_failures(results), *_not_covered(results)]) + '\n'


def _targets(results: Record) -> list[str]:
    found, rows = targets(results), []
    for requirement, words in REQUIREMENTS.items():
        group = [target_row(one) for one in found if one.requirement == requirement]
        rows += [[requirement, words, *group[0]], *(['', '', *row] for row in group[1:])]
    counts = listed(f'{n} {state}' for state, n in Counter(one.state for one in found).items())
    return ['## Targets', f'Targets of the edit `{EDIT}`: {counts}.',
            table(['target', 'requirement', 'place', 'found', 'state'], rows)]


def _methods(results: Record) -> list[str]:
    schedule = schedule_of(results)
    steps = listed(f'{n} of `{task}`' for task, n in schedule.steps.items())
    return [
        '## Methods',
        table(['name', 'method'], [[f'`{name}`', METHODS[name].words]
                                   for name in ('mixed', *COMPARED)]),
        bullets([
            'All methods share the network, the demonstrations, the start states and the noise. '
            'None is tuned here.',
            f'Training steps: {steps}; training seeds {listed(schedule.seeds)}.',
            f'Judged episodes: one seed for each roll, {JUDGED_SEED}, {SEEDS_APART} further for '
            f'each training seed.',
            'A success is completed, safe and in a kept mode. An episode may show a mode without '
            'being completed, and on Push-T none clearly.',
            'A difference is on the same start states and noise, in percentage points, with its '
            '95 % interval. Over several training seeds it is the mean of theirs, weighted by '
            'their pairs, and its interval is combined from theirs. A rate counts the episodes '
            'of all training seeds together. All intervals hold for these policies and not for '
            'other trainings.',
            'Time is processor time of learning on one thread; for an edit it includes the '
            'classifier.'])]


def _outcomes(results: Record, place: Place, start: str) -> str:
    return table(['method', 'training seeds', 'episodes', 'completed', 'kept mode',
                  'removed mode', 'success', 'unsafe', 'steps', 'time, s',
                  'completed minus `mixed`', 'kept mode minus `retrained`'],
                 [_row(results, place, start, method) for method in ('mixed', *place.compared)])


def _row(results: Record, place: Place, start: str, method: str) -> list[str]:
    records = of_place(results, place, method, start)
    if not records:
        return [f'`{method}`', absent(results, place, method), *[''] * 10]
    found, kept = pooled(records), shows('k')
    taken = [record['learning']['cpu_s'] for record in records]
    pairs = [against(results, place, start, method, other, counts) if method != other else None
             for other, counts in (('mixed', rate('tcr')), ('retrained', kept))]
    return [f'`{method}`', listed(record['seed'] for record in records), str(found.episodes),
            percent(found.rate('tcr')), percent(sum(sum(kept(one)) for one in records)
                                                / found.episodes),
            percent(sum(map(removed, records)) / found.episodes), percent(found.rate('sr')),
            percent(found.rate('umr')),
            listed(sorted({record['steps'] for record in records})),
            f'{sum(taken) / len(taken):.0f}',
            *('' if one is None else points(one.difference) for one in pairs)]


def _failures(results: Record) -> list[str]:
    failed = [[f'`{case_of(record).key}`', record['sentence']] for record in results['cells']
              if record['status'] == 'failed']
    earlier = [[f'`{case_of(record).key}`', record['superseded']]
               for record in results['attempts']]
    return [*(['## Failures', table(['case', 'sentence'], failed)] if failed else []),
            *(['## Superseded', table(['case', 'why it was made again'], earlier)]
              if earlier else [])]


def _not_covered(results: Record) -> list[str]:
    planned = len(plan(schedule_of(results)))
    return ['## Not covered', bullets([
        f'{len(open_cases(results))} of {planned} planned cases: not run, or failed',
        'other demonstrations: there is one set of them for each task',
        'contact on Push-Wall and `routes`: a point takes the place of what is pushed',
        'a person, and anything that a real robot senses'])]
