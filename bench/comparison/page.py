# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks.md; collect it with the pages and the picture that it links to.

Every figure is computed from the results. A missing case is shown as missing.
"""

from comparison.detail import (
    attempts_page,
    curve_table,
    outcomes_page,
    scarce_page,
    targets_page,
)
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.picture import picture
from comparison.plan import (
    ALL,
    JUDGED_SEED,
    LATENCY,
    METHODS,
    SEEDS_APART,
    Case,
    Schedule,
    plan,
)
from comparison.results import Record, find, is_done, schedule_of
from comparison.statistics import (
    EDIT,
    absent,
    against,
    headline_methods,
    of_seeds,
    pooled,
)
from comparison.targets import MET, MISSED, REQUIREMENTS, targets
from uncloning_ros.audit.wording import NOT_COVERED, percent, points
from uncloning_ros.learning.options import FEW_DEMONSTRATIONS


def pages(results: Record) -> dict[str, str]:
    """Return the text of every generated file of the comparison, by its path in docs/."""
    return {'benchmarks.md': summary_page(results), 'benchmarks.svg': picture(results),
            'benchmarks/outcomes.md': outcomes_page(results),
            'benchmarks/targets.md': targets_page(results),
            'benchmarks/scarce.md': scarce_page(results),
            'benchmarks/attempts.md': attempts_page(results)}


def warning(results: Record) -> list[str]:
    """Return the warning of a short run."""
    return (['**A short run: it checks that the program works. Its figures mean nothing.**']
            if schedule_of(results).is_short else [])


def summary_page(results: Record) -> str:
    """Return the page with verdict, headline tables and curve."""
    command = 'make bench-comparison' + (' BENCH_ARGS=--short'
                                         if schedule_of(results).is_short else '')
    parts = [
        '# Methods that remove a mode, compared',
        *warning(results),
        f'{STATEMENT} `{command}` makes the comparison and continues a stopped one. This page is '
        f'generated from [benchmarks.json](benchmarks.json).',
        bullets(['[Targets](benchmarks/targets.md): the targets of the edit, each with its '
                 'finding',
                 '[Outcomes](benchmarks/outcomes.md): modes, failures and unsafe events with all '
                 'demonstrations',
                 '[Scarce](benchmarks/scarce.md): rates and differences with few kept '
                 'demonstrations',
                 '[Attempts](benchmarks/attempts.md): trials, failures and superseded results',
                 '[Cameras](benchmarks/cameras.md): policies that see, with targets of their '
                 'own']),
        *_verdict(results), *_methods(results), *_headline(results), *_curve(results),
        *_latency(results), *_not_covered(results)]
    return '\n\n'.join(parts) + '\n'


def _verdict(results: Record) -> list[str]:
    found = targets(results)
    states = list(dict.fromkeys((MET, MISSED, *(one.state for one in found))))
    rows = [[requirement, words, *(str(sum(one.requirement == requirement and one.state == state
                                           for one in found)) for state in states)]
            for requirement, words in REQUIREMENTS.items()]
    rows.append(['**all**', '', *(f'**{sum(one.state == state for one in found)}**'
                                  for state in states)])
    missed = [f'{one.requirement}: {one.place}' for one in found if one.state == MISSED]
    return ['## Verdict', f'Targets of the edit `{EDIT}`, counted over scenarios, numbers of kept '
            f'demonstrations and training seeds:', table(['target', 'requirement', *states], rows),
            *(['Missed:', bullets(missed)] if missed else [])]


def _methods(results: Record) -> list[str]:
    schedule = schedule_of(results)
    return [
        '## Methods', methods_table(results),
        bullets([
            'All methods share the network, the demonstrations, the environment seeds and the '
            'policy-noise seeds.',
            f'All demonstrations: {sizes(schedule)}, the same number of each mode; '
            f'{schedule.steps_all} training steps.',
            f'Scarce demonstrations: {listed(schedule.counts)} of the kept modes among '
            f'{schedule.removed} of removed modes; {schedule.steps_scarce} training steps. '
            f'`{EDIT}` and `retargeted` also learn from retargeted copies of them, the other '
            f'methods do not.',
            f'Judged episodes: seeds from {JUDGED_SEED}, {SEEDS_APART} further for each training '
            f'seed.',
            f'A tuned method has {schedule.trials} settings, each tried on '
            f'{schedule.episodes_trial} development episodes of `{schedule.headline[0]}`. Methods '
            f'that change the weights are tuned with {schedule.tuned_among} kept demonstrations, '
            f'since with all of them nearly every setting always succeeds. The setting with the '
            f'best SR, then the best UMR, is used in all cases.',
            'The edit runs by own chunks with their default options; now the default is chosen '
            'by measures. Its development used more development '
            'episodes than another method had; [uncloning.md](uncloning.md) describes it.',
            '[audit.md](audit.md) explains TCR, SR and UMR. *At most* is the 95 % upper bound of '
            'UMR.',
            'A difference is on paired seeds, in percentage points, with its 95 % interval. Over '
            'several training seeds it is the mean of theirs, weighted by their pairs, and its '
            'interval is combined from theirs; where few pairs differ it is wider than it has to '
            'be.',
            'A rate counts the episodes of several training seeds together, as if they were '
            'independent. All intervals hold for these policies, each trained on the same '
            'demonstrations, and not for other trainings.',
            'Time is processor time of learning on one thread. For a steering method it is the '
            'time of its classifier.'])]


def sizes(schedule: Schedule) -> str:
    """Return the number of demonstrations of each scenario, in words."""
    return listed(f'{schedule.demonstrations[name]} of `{name}`' for name in schedule.scenarios)


def methods_table(results: Record) -> str:
    """Return the table of the planned methods."""
    planned = {case.method for case in plan(schedule_of(results))}
    return table(['name', 'method'], [[f'`{name}`', method.words]
                                      for name, method in METHODS.items() if name in planned])


def _headline(results: Record) -> list[str]:
    schedule = schedule_of(results)
    parts = ['## All demonstrations']
    for scenario in schedule.scenarios:
        parts += [f'### `{scenario}`', headline_table(results, scenario)]
    return parts


def headline_table(results: Record, scenario: str) -> str:
    """Return the rates of the methods with all demonstrations of a scenario."""
    return table(['method', 'training seeds', 'episodes', 'TCR', 'SR', 'UMR', 'at most', 'time, s',
                  'SR minus `retrained`'],
                 [_headline_row(results, scenario, method)
                  for method in headline_methods(schedule_of(results), scenario)])


def _headline_row(results: Record, scenario: str, method: str) -> list[str]:
    records = of_seeds(results, scenario, ALL, method)
    if not records:
        return [f'`{method}`', absent(results, scenario, ALL, method), *[''] * 7]
    all_of_it = pooled(records)
    learning = [record['learning']['cpu_s'] for record in records if record['learning']]
    difference = against(results, scenario, ALL, method, 'retrained', 'sr')
    return [
        f'`{method}`', listed(record['seed'] for record in records), str(all_of_it.episodes),
        *(percent(all_of_it.rate(rate)) for rate in ('tcr', 'sr', 'umr')),
        percent(all_of_it.umr_at_most),
        f'{sum(learning) / len(learning):.0f}' if learning else '',
        '' if method == 'retrained' else 'no pairs' if difference is None else
        f'{points(difference.difference)}, {difference.episodes} pairs']


def _curve(results: Record) -> list[str]:
    """Return the picture and a table of success rates with scarce demonstrations."""
    return ['## Kept demonstrations scarce',
            '![Success rate against the number of kept demonstrations](benchmarks.svg)',
            f'SR by the number of kept demonstrations; [scarce.md](benchmarks/scarce.md) has '
            f'intervals, training seeds and UMR. Above {FEW_DEMONSTRATIONS} demonstrations '
            f'nothing is retargeted, and `retargeted` equals `finetuned`.',
            curve_table(results)]


def _latency(results: Record) -> list[str]:
    schedule = schedule_of(results)
    case = Case(schedule.headline[0], ALL, schedule.seeds[0], LATENCY)
    record = find(results, case)
    if record is None or record['status'] != 'done':
        return ['## Planning time', absent(results, case.scenario, ALL, LATENCY)]
    rows = [[ratio['name'], f'{ratio["value"]:.2f}', f'{ratio["low"]:.2f} to {ratio["high"]:.2f}']
            for ratio in record['ratios']]
    return ['## Planning time',
            f'Time to plan a chunk relative to the mixed policy of `{case.scenario}`, on one '
            f'thread, measured in turns, with the smallest and the largest repeat. *itself* is '
            f'the mixed policy relative to itself.', table(['', 'ratio', 'repeats'], rows)]


def _not_covered(results: Record) -> list[str]:
    schedule = schedule_of(results)
    often = [f'`{scenario}` with {listed(places)}' for scenario in schedule.scenarios
             if (places := [kept for kept in (ALL, *map(str, schedule.counts))
                            if len(of_seeds(results, scenario, kept, EDIT)) > 1])]
    missing, versions = incomplete(results)
    return ['## Not covered', bullets([
        missing,
        'the spread over training seeds' + (
            f', except for {" and ".join(often)} kept demonstrations' if often else ''),
        'other demonstrations: each scenario has one set of them', versions, *NOT_COVERED])]


def incomplete(results: Record) -> tuple[str, str]:
    """Return in words which cases and which versions of the software are not covered."""
    schedule = schedule_of(results)
    planned = plan(schedule)
    done = sum(record['status'] == 'done' and is_done(results, case, schedule,
                                                      record['scenario_sha256'])
               for case in planned if (record := find(results, case)) is not None)
    versions = len({record['code_sha256'] for record in results['cells']})
    return (f'{len(planned) - done} of {len(planned)} planned cases: not run, not with all '
            f'episodes, or failed',
            f'a single version of this software: {versions} versions made the cases'
            if versions > 1 else 'other versions of this software')
