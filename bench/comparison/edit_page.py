# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/edit.md: the edit with incidents, few and wrong labels, after attacks.

Every figure is computed from the results. A missing case is shown as missing.
"""

from collections import Counter

from comparison.detail import failures_and_superseded, target_row
from comparison.edit_rows import ALL, LABELS
from comparison.edit_targets import REQUIREMENTS, edit_targets
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.page import incomplete, methods_table, warning
from comparison.plan import OWN_EPISODES, plan
from comparison.results import Record, removed, schedule_of
from comparison.statistics import absent, against, bridge_rate, of_seeds, pooled, summed
from uncloning_ros.audit.wording import NOT_COVERED, percent, points

RATES_HEAD = ('labels', 'method', 'training seeds', 'episodes', 'TCR', 'SR', 'UMR', 'at most',
              'begun in a removed mode', 'time, s', 'SR minus `mixed`')


def edit_pages(results: Record) -> dict[str, str]:
    """Return the text of every generated file of the comparison, by its path in docs/."""
    return {'benchmarks/edit.md': _page(results)}


def _page(results: Record) -> str:
    schedule = schedule_of(results)
    parts = ['# The edit with incidents, few and wrong labels, and after attacks',
             *warning(results),
             f'{STATEMENT} `make bench-edit` makes the comparison and continues a stopped one. '
             f'This page is generated from [{schedule.results}](../{schedule.results}). '
             f'[incidents.md](../incidents.md) and [uncloning.md](../uncloning.md) describe the '
             f'edits. Which label is right is measured in [labels.md](labels.md).',
             *_targets(results), *_methods(results)]
    for scenario in schedule.scenarios:
        parts += [f'## `{scenario}`', *_tables(results, scenario)]
    return '\n\n'.join([*parts, *failures_and_superseded(results), *_not_covered(results)]) + '\n'


def _targets(results: Record) -> list[str]:
    found, rows = edit_targets(results), []
    for requirement, words in REQUIREMENTS.items():
        group = [target_row(one) for one in found if one.requirement == requirement]
        rows += [[requirement, words, *group[0]], *(['', '', *row] for row in group[1:])
                 ] if group else []
    counts = listed(f'{n} {state}' for state, n in Counter(one.state for one in found).items())
    return ['## Targets', f'{counts[:1].upper()}{counts[1:]}.',
            table(['target', 'requirement', 'place', 'found', 'state'], rows)]


def _methods(results: Record) -> list[str]:
    schedule = schedule_of(results)
    sizes = listed(f'{schedule.demonstrations[name]} of `{name}`' for name in schedule.scenarios)
    return [
        '## Methods', methods_table(results),
        bullets([
            f'Demonstrations: {sizes}, about the same number of each mode; {schedule.steps_all} '
            f'training steps, {schedule.steps_scarce} of a retrain from few labels. All methods '
            f'start from the same mixed policy of a training seed. None is tuned here.',
            'Labels: `all` are right. `few5` leaves 5 of each mode, of training episodes; '
            '`given5` adds those that the edit gives to the others. With `wrong20`, 20 % of the '
            'labels are drawn from the other modes. Each training seed draws its own labels.',
            f'Incidents: the first {OWN_EPISODES} episodes of the mixed policy in the removed '
            f'mode, as bags. Successes: its first {OWN_EPISODES} successful episodes.',
            f'Judged episodes: seeds from {schedule.first_judged}, {schedule.seeds_apart} further '
            f'for each training seed, the same for all methods.',
            '[audit.md](../audit.md) explains TCR, SR and UMR. *At most* is the 95 % upper bound '
            'of UMR. A difference is on paired seeds, in percentage points, with its 95 % '
            'interval, combined over the training seeds. All intervals hold for these policies '
            'and not for other trainings.',
            'Time is processor time of learning on one thread, without that of the mixed '
            'policy.'])]


def _tables(results: Record, scenario: str) -> list[str]:
    cases = dict.fromkeys((case.kept, case.method) for case in plan(schedule_of(results))
                          if case.scenario == scenario)
    order = [ALL, *LABELS]
    found = sorted(cases, key=lambda case: order.index(case[0]))
    return [table(RATES_HEAD, [rates_row(results, scenario, *case) for case in found]),
            '### Outcomes',
            table(['labels', 'method', 'SR by training seed', 'bridges', 'mode of completed '
                   'episodes', 'failures', 'first unsafe event'],
                  [_outcomes(results, scenario, *case) for case in found])]


def rates_row(results: Record, scenario: str, kept: str, method: str) -> list[str]:
    """Return the cells of a method with some labels, as `RATES_HEAD` names them."""
    head, records = [f'`{kept}`', f'`{method}`'], of_seeds(results, scenario, kept, method)
    if not records:
        return [*head, absent(results, scenario, kept, method), *[''] * 8]
    found = pooled(records)
    times = [record['learning']['cpu_s'] for record in records if record['learning']]
    pairs = None if kept != ALL or method == 'mixed' else against(
        results, scenario, kept, method, 'mixed', 'sr')
    return [*head, ', '.join(str(record['seed']) for record in records), str(found.episodes),
            *(percent(found.rate(rate)) for rate in ('tcr', 'sr', 'umr')),
            percent(found.umr_at_most), str(sum(map(removed, records))),
            f'{sum(times) / len(times):.0f}' if times else '',
            '' if pairs is None else f'{points(pairs.difference)}, {pairs.episodes} pairs']


def _outcomes(results: Record, scenario: str, kept: str, method: str) -> list[str]:
    head, records = [f'`{kept}`', f'`{method}`'], of_seeds(results, scenario, kept, method)
    if not records:
        return [*head, absent(results, scenario, kept, method), *[''] * 4]
    bridges = ', '.join('-' if (found := bridge_rate(record)) is None else percent(found[0])
                        for record in records)
    return [*head, ', '.join(percent(pooled([record]).rate('sr')) for record in records), bridges,
            *(summed(records, part) for part in ('modes', 'failures', 'unsafe'))]


def _not_covered(results: Record) -> list[str]:
    missing, versions = incomplete(results)
    return ['## Not covered', bullets([
        missing, versions, 'few labels of a camera policy: [cameras.md](cameras.md) has them',
        'several training seeds of the curves, and 1049 episodes of them: 300 of one seed were '
        'planned, to stay within the time of one pass',
        'weights in int8 and more steps on `knife_route`, for the same reason',
        *NOT_COVERED])]
