# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/edit.md: the edit with incidents, few and wrong labels, after attacks.

Every figure is computed from the results. A missing case is shown as missing.
"""

from collections.abc import Sequence

from comparison.detail import counted_states, failures_and_superseded, targets_table
from comparison.edit_rows import ALL, LABELS
from comparison.edit_targets import REQUIREMENTS, edit_targets
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.page import incomplete, methods_table, sizes, warning
from comparison.plan import METHODS, OWN_EPISODES, PAIR, plan
from comparison.results import Record, flags, removed, schedule_of
from comparison.statistics import absent, bridge_rate, of_seeds, paired, pooled, summed
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
    found = edit_targets(results)
    states = counted_states(found)
    return ['## Targets', f'{states[:1].upper()}{states[1:]}.', targets_table(found, REQUIREMENTS)]


def _methods(results: Record) -> list[str]:
    schedule = schedule_of(results)
    return [
        '## Methods', methods_table(results),
        bullets([
            f'Demonstrations: {sizes(schedule)}, about the same number of each mode; '
            f'{schedule.steps_all} training steps, {schedule.steps_scarce} of a retrain from few '
            f'labels. The edits and fine-tunes of a training seed start from its mixed policy, '
            f'`rounded` and `tuned_on` from its `chosen`. None is tuned here.',
            'The column *edit by* has the method that the default options took.',
            'Labels: `all` are right. `few5` leaves 5 of each mode, of training episodes; '
            '`given5` adds those that the edit gives to the others. With `wrong20`, 20 % of the '
            'labels are drawn from the other modes. Each training seed draws its own labels.',
            f'Incidents: the first {OWN_EPISODES} episodes of the mixed policy in the removed '
            f'mode, as bags. The edit holds out a fifth of them to measure what it left. '
            f'Successes: its first {OWN_EPISODES} successful episodes.',
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
    one = [case for case in found if not METHODS[case[1]].pair]
    two = [case for case in found if METHODS[case[1]].pair]
    parts = [table(RATES_HEAD, [rates_row(results, scenario, *case) for case in one]),
             '### Outcomes',
             table(['labels', 'method', 'SR by training seed', 'edit by', 'labels given, doubted',
                    'mode of completed episodes', 'failures', 'first unsafe event'],
                   [_outcomes(results, scenario, *case) for case in one])]
    if two:
        parts += [f'### {" and ".join(PAIR[scenario])} kept',
                  'A bridge: the robot leaves its first mode for another one.',
                  table(['method', 'training seeds', 'episodes', 'edit by', 'bridges',
                         'mode of completed episodes'],
                        [_pair(results, scenario, method) for _, method in two])]
    return parts


def rates_row(results: Record, scenario: str, kept: str, method: str) -> list[str]:
    """Return the cells of a method with some labels, as `RATES_HEAD` names them."""
    head, records = [f'`{kept}`', f'`{method}`'], of_seeds(results, scenario, kept, method)
    if not records:
        return [*head, absent(results, scenario, kept, method), *[''] * 8]
    found = pooled(records)
    times = [record['learning']['cpu_s'] for record in records if record['learning']]
    # Labels make no difference to the mixed policy.
    pairs = None if method == 'mixed' else paired(
        records, of_seeds(results, scenario, ALL, 'mixed'), lambda record: flags(record, 'sr'), 0)
    return [*head, _seeds(records), str(found.episodes),
            *(percent(found.rate(rate)) for rate in ('tcr', 'sr', 'umr')),
            percent(found.umr_at_most), str(sum(map(removed, records))),
            f'{sum(times) / len(times):.0f}' if times else '',
            '' if pairs is None else f'{points(pairs.difference)}, {pairs.episodes} pairs']


def _outcomes(results: Record, scenario: str, kept: str, method: str) -> list[str]:
    head, records = [f'`{kept}`', f'`{method}`'], of_seeds(results, scenario, kept, method)
    if not records:
        return [*head, absent(results, scenario, kept, method), *[''] * 5]
    labels = listed(f'{sum(found["given"].values())}, {found["doubted"]}'
                    for record in records if (found := record.get('labels')))
    return [*head, listed(percent(pooled([record]).rate('sr')) for record in records),
            _edited_by(records), labels,
            *(summed(records, part) for part in ('modes', 'failures', 'unsafe'))]


def _pair(results: Record, scenario: str, method: str) -> list[str]:
    records = of_seeds(results, scenario, ALL, method)
    if not records:
        return [f'`{method}`', absent(results, scenario, ALL, method), *[''] * 4]
    bridges = listed('-' if (found := bridge_rate(record)) is None else
                     f'{percent(found[0])} [{100 * found[1][0]:.1f}, {100 * found[1][1]:.1f}]'
                     for record in records)
    return [f'`{method}`', _seeds(records), str(pooled(records).episodes), _edited_by(records),
            bridges, summed(records, 'modes')]


def _seeds(records: Sequence[Record]) -> str:
    return listed(record['seed'] for record in records)


def _edited_by(records: Sequence[Record]) -> str:
    """Return the methods that the edits took, of each training seed."""
    return listed(found for record in records
                  if (found := record.get('options', {}).get('method')))


def _not_covered(results: Record) -> list[str]:
    missing, versions = incomplete(results)
    return ['## Not covered', bullets([
        missing, versions, 'few labels of a camera policy: [cameras.md](cameras.md) has them',
        'several training seeds of the curves, and 1049 episodes of them: 300 of one seed were '
        'planned, to stay within the time of one pass',
        'several training seeds of the rivals, and of edits with two kept modes, for the same '
        'reason',
        'weights in int8 and more steps on `knife_route`, `scissors` and edits from incidents, '
        'for the same reason',
        *NOT_COVERED])]
