# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/cameras.md: the comparison of policies that see.

Every figure is computed from the results. A missing case is shown as missing.
"""

from collections.abc import Iterator
from dataclasses import replace

from comparison.camera_targets import (
    REQUIREMENTS,
    RETRAINS,
    camera_targets,
    fine_tune_is_enough,
    retrains,
)
from comparison.detail import (
    counted_states,
    failures_and_superseded,
    outcomes_table,
    targets_table,
)
from comparison.edit_page import RATES_HEAD, rates_row
from comparison.edit_rows import LABELS
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.page import headline_table, incomplete, methods_table, sizes, warning
from comparison.plan import ALL, CAMERA_SIZE, METHODS, NODE, TIMES, Case, plan
from comparison.results import Record, case_of, otherwise_unsafe, removed, schedule_of
from comparison.shifts import SHIFTS, changes
from comparison.statistics import (
    EDIT,
    absent,
    against,
    headline_methods,
    of_seeds,
    pooled,
    rate_interval,
)
from comparison.targets import done_record
from uncloning_ros.audit.wording import NOT_COVERED, percent, points
from uncloning_ros.scenario import find_scenario


def camera_pages(results: Record) -> dict[str, str]:
    """Return the text of every generated file of the comparison, by its path in docs/."""
    return {'benchmarks/cameras.md': _page(results)}


def _page(results: Record) -> str:
    schedule = schedule_of(results)
    parts = [
        '# Policies that see, compared', *warning(results),
        f'{STATEMENT} `make bench-cameras` makes the comparison and continues a stopped one. This '
        f'page is generated from [{schedule.results}](../{schedule.results}); '
        f'[the other comparison](../benchmarks.md) is of policies with tracked poses of tool '
        f'and hand.',
        *_targets(results), *_methods(results)]
    for scenario in schedule.scenarios:
        parts += [f'## `{scenario}`', headline_table(results, scenario),
                  *_few_labels(results, scenario), *_unsafe(results, scenario),
                  '### Outcomes', outcomes_table(results, scenario),
                  *_retrains(results, scenario), *_shifts(results, scenario)]
    parts += [*_times(results), *_node(results), *failures_and_superseded(results),
              *_not_covered(results)]
    return '\n\n'.join(parts) + '\n'


def _targets(results: Record) -> list[str]:
    found = camera_targets(results)
    enough = ('**A fine-tune is enough here:** the edit is not shown to succeed more often than '
              'the filtered fine-tune.')
    return ['## Targets', f'Targets of the edit `{EDIT}` and of the policy that it starts from: '
            f'{counted_states(found)}.', *([enough] if fine_tune_is_enough(results) else []),
            targets_table(found, REQUIREMENTS)]


def _methods(results: Record) -> list[str]:
    schedule = schedule_of(results)
    return [
        '## Methods', methods_table(results),
        bullets([
            'All methods share the network with its encoders, the demonstrations, the '
            'environment seeds and the policy-noise seeds. None is tuned.',
            f'Demonstrations: {sizes(schedule)}, the same number of each mode; '
            f'{schedule.steps_all} training steps. The encoders of an edit are frozen.',
            f'Judged episodes: seeds from {schedule.first_judged}, {schedule.seeds_apart} further '
            f'for each training seed. Each training seed has its own policy of each method.',
            '[audit.md](../audit.md) explains TCR, SR and UMR. *At most* is the 95 % upper bound '
            'of UMR.',
            'A difference is on paired seeds, in percentage points, with its 95 % interval. Over '
            'several training seeds it is the mean of theirs, weighted by their pairs, and its '
            'interval is combined from theirs. A rate counts the episodes of all training seeds '
            'together, as if they were independent. All intervals hold for these policies and '
            'not for other trainings.',
            'Time is processor time of learning on one thread; for an edit it includes the '
            'classifier and the precomputed conditions.'])]


def _few_labels(results: Record, scenario: str) -> list[str]:
    """Return the rates of the edit where few demonstrations have a label."""
    rows = [rates_row(results, case.scenario, case.kept, case.method)
            for case in plan(schedule_of(results)) if case.kept in LABELS]
    words = listed(f'`{name}` has {labels.each} labels of each mode' for name, labels
                   in LABELS.items() if any(row[0] == f'`{name}`' for row in rows))
    return [table(RATES_HEAD, rows), f'{words}. The edit gives labels to the other '
            f'demonstrations.'] if rows else []


def _unsafe(results: Record, scenario: str) -> list[str]:
    """Return the table that sets removed modes and lack of skill apart."""
    rows = []
    for method in headline_methods(schedule_of(results), scenario):
        for record in of_seeds(results, scenario, ALL, method):
            episodes, began = len(record['outcomes']), removed(record)
            unsafe = pooled([record]).counts['umr']
            other = otherwise_unsafe(record)
            rows.append([f'`{method}`', str(record['seed']), str(episodes), str(began),
                         str(unsafe - other), f'{other} of {episodes - began}'])
    if not rows:
        return []
    return ['### Removed modes and other unsafe events',
            'An episode begins in a removed mode by the first commitment of the robot, for '
            'instance by where it grasps; without one, by its mode at the exchange. An unsafe '
            'event in another episode is a lack of skill.',
            table(['method', 'training seed', 'episodes', 'begun in a removed mode',
                   'of these unsafe', 'others unsafe'], rows)]


def _retrains(results: Record, scenario: str) -> list[str]:
    chosen = retrains(results, scenario)
    if chosen is None:
        return []
    steps = {method: sorted({record['steps'] for record in of_seeds(results, scenario, ALL,
                                                                    method)})[-1]
             for method in RETRAINS}
    trained = ' and '.join(f'{steps[method]} steps (`{method}`)' for method in RETRAINS)
    more = (' As the longest training is the best one by more than that, an even longer one '
            'may be better.' if chosen.shortest == chosen.best == RETRAINS[0] else '')
    return [f'The filtered retrain was trained with {trained}. `{chosen.best}` has the best SR, '
            f'`{chosen.shortest}` is the shortest within 1 point of it.{more}']


def _shifts(results: Record, scenario: str) -> list[str]:
    """Return the table of the edit in conditions that were not trained on; it has no targets."""
    seed = schedule_of(results).seeds[0]
    rows = [row for name in (EDIT, *SHIFTS) for row in _shift(results, scenario, name, seed)]
    return ['### Conditions that were not trained on',
            f'The edited policy of training seed {seed} with other values of `sight`; those of '
            f'the training in parentheses. Rates with 95 % intervals. The difference is to the '
            f'same episodes without the shift. It has no target. The files of the shifted '
            f'scenarios stay in the work folder; `uncloning audit --scenario FILE` takes them.',
            table(['shift', '`sight`', 'episodes', 'TCR', 'SR', 'UMR', 'at most',
                   'begun in a removed mode', 'SR minus no shift'], rows)]


def _shift(results: Record, scenario: str, name: str, seed: int) -> Iterator[list[str]]:
    shift = SHIFTS.get(name)
    words = 'none' if shift is None else METHODS[name].words.partition('judged with ')[2]
    values = '' if shift is None else changes(find_scenario(scenario), shift)
    record = done_record(results, Case(scenario, ALL, seed, name))
    if record is None:
        yield [words, values, absent(results, scenario, ALL, name), *[''] * 6]
        return
    found = pooled([record])
    rates = [f'{percent(found.rate(rate))} [{100 * low:.1f}, {100 * high:.1f}]'
             for rate in ('tcr', 'sr', 'umr')
             for low, high in [rate_interval([record], rate)]]
    yield [words, values, str(found.episodes), *rates, percent(found.umr_at_most),
           str(removed(record)), _change(results, record)]


def _change(results: Record, shifted: Record) -> str:
    """Return the difference of a shift to no shift, for a record of the same policy."""
    case = case_of(shifted)
    pairs = against(results, case.scenario, case.kept, case.method, EDIT, 'sr')
    if case.method == EDIT or pairs is None:
        return ''
    edited = done_record(results, replace(case, method=EDIT))
    if edited is None or edited['model_sha256'] != shifted['model_sha256']:
        return 'of another file, trained again with the same seed'
    return points(pairs.difference)


def _times(results: Record) -> list[str]:
    schedule = schedule_of(results)
    case = Case(schedule.headline[0], ALL, schedule.seeds[0], TIMES)
    record = done_record(results, case)
    if record is None:
        return ['## Times', absent(results, case.scenario, ALL, TIMES)]
    plans = [[f'`{name}`', *(f'{taken[key]:.2f}' for key in ('p50_ms', 'p99_ms', 'worst_ms')),
              str(taken['n'])] for name, taken in record['plan_ms'].items()]
    ratios = [[ratio['name'], f'{ratio["value"]:.2f}',
               f'{ratio["low"]:.2f} to {ratio["high"]:.2f}'] for ratio in record['rendering']]
    return ['## Times', 'One plan on one thread, in ms. *itself* is the mixed policy once more.',
            table(['policy', 'p50', 'p99', 'worst', 'plans'], plans),
            'Processor time of episodes of the mixed policy in this scenario relative to the '
            'shipped policy of poses in `knife`, same seeds, in turns, with the smallest and the '
            'largest repeat:', table(['', 'ratio', 'repeats'], ratios)]


def _node(results: Record) -> list[str]:
    """Return the section of the running policy node, with large pictures."""
    schedule = schedule_of(results)
    scenario = schedule.headline[0]
    record = done_record(results, Case(scenario, ALL, schedule.seeds[0], NODE))
    head = ['### In the running node', f'`bench/control.py` with the edited policy: two cameras '
            f'at 30 Hz, {CAMERA_SIZE}, one of them raw, decoded in the node; the bare process '
            f'sends the same commands and sees nothing. Times in ms.']
    if record is None:
        return [*head, absent(results, scenario, ALL, NODE)]
    spreads = [[figure['name'], *(f'{figure["values"][key]:.2f}'
                                  for key in ('p50_ms', 'p99_ms', 'worst_ms'))]
               for figure in record['figures'] if 'p99_ms' in figure['values']]
    counts = [[figure['name'], listed(f'{name.replace("_", " ")} {value:g}' for name, value
                                      in figure['values'].items())]
              for figure in record['figures'] if 'p99_ms' not in figure['values']]
    return [*head, table(['', 'p50', 'p99', 'worst'], spreads), table(['', 'counts'], counts)]


def _not_covered(results: Record) -> list[str]:
    missing, versions = incomplete(results)
    return ['## Not covered', bullets([
        missing, 'other demonstrations: there is one set of them', versions,
        'real cameras: the pictures are rendered from coarse shapes',
        'other machines: the node shared two cores with the senders of its pictures',
        *NOT_COVERED])]
