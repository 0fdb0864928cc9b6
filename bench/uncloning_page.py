# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and .svg from the results alone: every figure is computed, none is written.

What was not run is shown as missing, and what was tried in vain stands with the rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from uncloning_aims import MET, aims
from uncloning_figures import (
    CURVE,
    EDIT,
    Pairs,
    absent,
    against,
    each_seed,
    headline_methods,
    of_seeds,
    pooled,
    rate_interval,
    tallied,
)
from uncloning_plan import (
    ALL,
    JUDGED_SEED,
    LATENCY,
    METHODS,
    PAIR,
    SCARCE_RIVALS,
    SEEDS_APART,
    TUNING,
    Cell,
    plan,
    tries,
)
from uncloning_results import (
    Record,
    best_setting,
    cell_of,
    count,
    find,
    is_done,
    judged_again,
    schedule_of,
    tuning_is_over,
)

from uncloning_ros import page
from uncloning_ros.audit.wording import NOT_COVERED, STATEMENT, percent, points

_COLORS = {'retrained': '#8b5a2b', 'finetuned': '#7a8894', 'retargeted': '#6b9e5b',
           'uncloned': '#2b5f8a'}
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _TALL = 760, 330, 52, 40, 330, 210


def text(results: Record) -> str:
    """Return the page."""
    short = schedule_of(results).name == 'short'
    again = 'make bench-uncloning' + (' BENCH_ARGS=--short' if short else '')
    parts = [
        '# Ways to be rid of a mode, compared',
        *(['**A short run, which shows that the program works and nothing else.**'] * short),
        f'{STATEMENT} Made by `{again}`, which can be stopped and goes on; this page follows from '
        f'[benchmarks.json](benchmarks.json) alone.',
        *_method(results), *_headline(results), *_aims(results), *_curve(results),
        *_latency(results), *_attempts(results), *_not_covered(results)]
    return '\n\n'.join(parts) + '\n'


def _method(results: Record) -> list[str]:
    schedule = schedule_of(results)
    table = _table(['name', 'what it is'],
                   [[f'`{name}`', method.words] for name, method in METHODS.items()])
    sizes = ', '.join(f'{schedule.demonstrations[name]} of `{name}`'
                      for name in (*schedule.headline, *schedule.others))
    return [
        '## What is compared', table,
        f'All have the same network, demonstrations, environment seeds and policy-noise seeds. '
        f'*All*: {sizes}, of all modes evenly; {schedule.steps_all} training steps. *Scarce*: '
        f'{_listed(schedule.counts)} desired demonstrations among {schedule.undesired} undesired '
        f'ones; {schedule.steps_scarce} training steps. Episodes have the seeds from '
        f'{JUDGED_SEED} on, {SEEDS_APART} further with each training seed. What is tuned has '
        f'{schedule.tries} settings, each tried on {schedule.episodes_try} development episodes '
        f'of `{schedule.headline[0]}`, of what changes the weights among {schedule.tuned_among} '
        f'desired demonstrations, for with all of them nearly every setting succeeds every time; '
        f'the best by SR, of equals by UMR, is used everywhere. The edit is used as it comes; '
        f'what it was built by, on more development episodes than a rival had, is in '
        f'[uncloning.md](uncloning.md). Where demonstrations are scarce `{EDIT}` and `retargeted` '
        f'learn from retargeted copies of them, the others from the demonstrations alone. TCR, SR '
        f'and UMR are explained in [audit.md](audit.md); *at most* is the 95 % upper bound of '
        f'UMR. Purity is SR / TCR. '
        f'A difference is on paired seeds, in points, with its 95 % interval. Where there are '
        f'several training seeds their episodes are counted together, as if they were '
        f'independent, and what each seed shows stands beside it, its spread or its values in '
        f'parentheses. So an interval is of these policies, each with the same demonstrations, '
        f'and not of others that might be trained. Time is processor time of learning alone, on '
        f'one thread: wall time on an idle machine; what is behind a steering is the time of its '
        f'classifier.']


def _headline(results: Record) -> list[str]:
    parts = ['## All demonstrations']
    schedule = schedule_of(results)
    for scenario in (*schedule.headline, *schedule.others):
        rows = [_headline_row(results, scenario, method)
                for method in headline_methods(schedule, scenario)]
        parts += [f'### `{scenario}`', _table(
            ['method', 'training seeds', 'episodes', 'TCR', 'SR', 'SR by seed', 'UMR', 'at most',
             'purity', 'time, s', 'steps', 'SR less retrained'], rows)]
        if told := list(_told(results, scenario, ALL, headline_methods(schedule, scenario))):
            parts.append(_table(_TOLD_HEAD, told))
        parts += _pair(results, scenario)
    return parts


_TOLD_HEAD = ('method', 'mode of what was completed', 'why no success', 'first unsafe event')


def _told(results: Record, scenario: str, desired: str,
          methods: Sequence[str]) -> Iterator[list[str]]:
    for method in methods:
        if records := of_seeds(results, scenario, desired, method):
            yield [f'`{method}`',
                   *(tallied(records, what) for what in ('modes', 'failures', 'unsafe'))]


def _pair(results: Record, scenario: str) -> list[str]:
    """Return what became of a target with two modes, one of which may be unsafe by its nature."""
    rows = []
    for method in (name for name, made in METHODS.items() if made.pair):
        for record in of_seeds(results, scenario, ALL, method):
            found = pooled([record])
            rows.append([f'`{method}`', str(found.episodes), percent(found.rate('tcr')),
                         tallied([record], 'modes'),
                         f'{record["bridges"]} of {record["committed"]}',
                         percent(found.rate('umr')), tallied([record], 'unsafe')])
    if not rows:
        return []
    kept = ' and '.join(f'`{mode}`' for mode in PAIR[scenario])
    return [f'With {kept} kept; the aims are about the shares of the two and about bridges, '
            f'episodes that left the mode they had begun, or ended between two. A kept mode '
            f'that the scenario does not want is as unsafe here as it was demonstrated.',
            _table(['method', 'episodes', 'TCR', 'mode of what was completed', 'bridges', 'UMR',
                    'first unsafe event'], rows)]


def _headline_row(results: Record, scenario: str, method: str) -> list[str]:
    records = of_seeds(results, scenario, ALL, method)
    if not records:
        return [f'`{method}`', absent(results, scenario, ALL, method), *[''] * 10]
    all_of_it = pooled(records)
    each = [count(record, 'sr') / len(record['outcomes']) for record in records]
    spread = (f'{percent(min(each))} to {percent(max(each))}' if len(each) > 1 else '')
    learning = [record['learning']['cpu_s'] for record in records if record['learning']]
    steps = sorted({record['steps'] for record in records})
    difference = against(results, scenario, ALL, method, 'retrained', 'sr')
    return [
        f'`{method}`', _listed(record['seed'] for record in records), str(all_of_it.episodes),
        percent(all_of_it.rate('tcr')), percent(all_of_it.rate('sr')), spread,
        percent(all_of_it.rate('umr')), percent(all_of_it.umr_at_most),
        '' if all_of_it.purity is None else percent(all_of_it.purity),
        f'{sum(learning) / len(learning):.0f}' if learning else '',
        ' to '.join(map(str, sorted({steps[0], steps[-1]}))),
        '' if method == 'retrained' else 'no pairs' if difference is None else
        f'{points(difference.difference)}, {difference.episodes} pairs']


def _difference(pairs: Pairs | None) -> str:
    if pairs is None:
        return 'no pairs'
    return points(pairs.difference) + each_seed(pairs.by_seed.values(), '+.1f')


def _aims(results: Record) -> list[str]:
    found = aims(results)
    tally = ', '.join(f'{sum(aim.state == state for aim in found)} {state}'
                      for state in dict.fromkeys((MET, *(aim.state for aim in found))))
    return ['## Aims', f'{tally}. Each is judged for itself: of so many some are met or missed by '
            f'chance.', *_judged_again(results), _table(
        ['aim', 'of', 'found', ''],
        [[aim.aim, aim.of, aim.found,
          f'**{aim.state}**' if aim.state == 'MISSED' else aim.state] for aim in found])]


def _judged_again(results: Record) -> list[str]:
    """Return a caution, if what some cells were chosen by also judged them."""
    again = judged_again(results)
    if not again:
        return []
    return [f'Judged, then made anew, and judged on the same episodes once more, so not untouched '
            f'by what was seen there: {_listed(f"`{key}`" for key in again)} (see Attempts). '
            f'Where other training seeds were judged once, what these alone show stands beside '
            f'it.']


def _curve(results: Record) -> list[str]:
    schedule = schedule_of(results)
    parts = ['## Desired demonstrations scarce',
             '![Success rate against the number of desired demonstrations](benchmarks.svg)']
    for scenario in schedule.headline:
        for rate in ('sr', 'umr'):
            parts += [f'### `{scenario}`: {rate.upper()}',
                      _scarce(results, scenario, rate, CURVE,
                              [(EDIT, other) for other in CURVE[:-1]]),
                      _scarce(results, scenario, rate, SCARCE_RIVALS,
                              [(method, 'finetuned') for method in SCARCE_RIVALS])]
        told = [[number, *row] for number in map(str, schedule.counts)
                for row in _told(results, scenario, number, CURVE)]
        if told:
            parts += [f'### `{scenario}`: what happened',
                      _table(['desired', *_TOLD_HEAD], told)]
    return parts


def _scarce(results: Record, scenario: str, rate: str, methods: Sequence[str],
            differences: Sequence[tuple[str, str]]) -> str:
    """Return a table of a rate of methods, and of differences of one method less another."""
    rows = []
    for number in map(str, schedule_of(results).counts):
        seeds = {record['seed'] for method in methods
                 for record in of_seeds(results, scenario, number, method)}
        rows.append([
            number, _listed(sorted(seeds)),
            *(_rate_cell(results, scenario, number, method, rate) for method in methods),
            *(_difference(against(results, scenario, number, one, other, rate))
              for one, other in differences)])
    return _table(['desired', 'training seeds', *(f'`{method}`' for method in methods),
                   *(f'`{one}` less `{other}`' for one, other in differences)], rows)


def _rate_cell(results: Record, scenario: str, number: str, method: str, rate: str) -> str:
    records = of_seeds(results, scenario, number, method)
    if not records:
        schedule = schedule_of(results)
        planned = Cell(scenario, number, schedule.seeds[0], method) in plan(schedule)
        return absent(results, scenario, number, method) if planned else 'as `finetuned`'
    low, high = rate_interval(records, rate)
    each = (count(record, rate) / len(record['outcomes']) for record in records)
    return (f'{percent(pooled(records).rate(rate))} [{100 * low:.1f}, {100 * high:.1f}]'
            f'{each_seed(each, ".1f")}')


def _latency(results: Record) -> list[str]:
    schedule = schedule_of(results)
    cell = Cell(schedule.headline[0], ALL, schedule.seeds[0], LATENCY)
    record = find(results, cell)
    parts = ['## Latency']
    if record is None or record['status'] != 'done':
        return [*parts, f'Of planning a chunk: '
                f'{absent(results, cell.scenario, ALL, LATENCY)}.']
    rows = [[ratio['name'], f'{ratio["value"]:.2f}', f'{ratio["low"]:.2f} to {ratio["high"]:.2f}']
            for ratio in record['ratios']]
    return [*parts, 'Of planning a chunk, as a ratio to the mixed policy of `'
            f'{cell.scenario}`, on one thread, measured in turns; the smallest and the largest '
            f'of the repeats. *itself* is the mixed policy against itself.',
            _table(['', 'ratio', 'repeats'], rows)]


def _attempts(results: Record) -> list[str]:
    schedule = schedule_of(results)
    rows = []
    for cell in tries(schedule):
        record = find(results, cell)
        rows.append([f'`{cell.key}`', '' if record is None else _setting(record),
                     'not run' if record is None else _verdict(record)])
    failed = [record for record in results['cells'] if record['status'] == 'failed']
    old = [record for record in results['attempts'] if record.get('superseded')]
    rows += [[f'`{cell_of(record).key}`', _setting(record), _verdict(record)]
             for record in (*failed, *old)]
    return ['## Attempts', 'Every setting of a rival that was tried on development episodes, what '
            'failed, and what was made anew.', *_in_use(results),
            _table(['', 'setting', 'found'], rows)]


def _in_use(results: Record) -> list[str]:
    """Return which settings did best, and where one that was not tried might do better."""
    schedule = schedule_of(results)
    chosen = []
    for method, settings in TUNING.items():
        tried = [found for cell in tries(schedule) if cell.method == method
                 and (found := find(results, cell)) is not None]
        if (tuning_is_over(results, method, schedule)
                and any(record['status'] == 'done' for record in tried)):
            chosen.append(f'`{method}` ' + ', '.join(
                _beside_the_tried(name, value,
                                  {one[name] for one in settings[:schedule.tries]})
                for name, value in best_setting(results, method, schedule).items()))
    return [f'Best on development episodes, and in use: {"; ".join(chosen)}.'] if chosen else []


def _beside_the_tried(name: str, value: float, tried: set[float]) -> str:
    said = f'{name} {value:g}'
    if len(tried) == 1 or name.endswith('_seed'):  # a seed is a name, not a size
        return said
    borders = {min(tried): 'least', max(tried): 'largest'}
    return f'{said} (the {borders[value]} of {len(tried)})' if value in borders else said


def _setting(record: Record) -> str:
    return ', '.join(f'{name} {value:g}' for name, value in record['settings'].items())


def _verdict(record: Record) -> str:
    if record['status'] == 'failed':
        said = f'failed: {record["sentence"]}'
    elif record['method'] == LATENCY:
        said = 'measured'
    else:
        n = len(record['outcomes'])
        said = (f'SR {percent(count(record, "sr") / n)}, UMR {percent(count(record, "umr") / n)}, '
                f'{n} episodes')
    return f'{said}; {record["superseded"]}' if record.get('superseded') else said


def _not_covered(results: Record) -> list[str]:
    schedule = schedule_of(results)
    planned = plan(schedule)
    done = sum(record['status'] == 'done' and is_done(results, cell, schedule,
                                                      record['scenario_sha256'])
               for cell in planned if (record := find(results, cell)) is not None)
    digests = {record['code_sha256'] for record in results['cells']}
    told = [f'{len(planned) - done} of {len(planned)} planned cells, which were not run, not with '
            'all episodes, or failed',
            *_trained_once(results),
            'demonstrations drawn anew: each scenario has one set of them',
            f'one version of this software: the cells were made with {len(digests)}, by the '
            f'digest of its code' if len(digests) > 1 else
            'other versions of this software', *NOT_COVERED]
    return ['## Not covered', '\n'.join(f'- {one}' for one in told)]


def _trained_once(results: Record) -> list[str]:
    schedule = schedule_of(results)
    often = [f'`{scenario}` with {"all demonstrations" if desired == ALL else desired}'
             for scenario in (*schedule.headline, *schedule.others)
             for desired in (ALL, *map(str, schedule.counts))
             if len(of_seeds(results, scenario, desired, EDIT)) > 1]
    but = f', but for {_listed(often)}' if often else ''
    return [f'one training seed alone{but}: nothing tells how much another would change']


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    lines += ['| ' + ' | '.join(cell.replace('|', '\\|').replace('\n', ' ') for cell in row)
              + ' |' for row in rows]
    return '\n'.join(lines)


def _listed(items: Iterable[object]) -> str:
    return ', '.join(map(str, items))


def picture(results: Record) -> str:
    """Return the scarce curves, one panel for each scenario, as a file of its own."""
    schedule = schedule_of(results)
    parts = ['<rect width="100%" height="100%" fill="#ffffff"/>']
    for i, scenario in enumerate(schedule.headline):
        parts += _panel(results, scenario, _LEFT + i * (_PANEL + 40))
    x = float(_LEFT)
    for method in CURVE:
        parts.append(f'<rect x="{x}" y="{_HEIGHT - 24}" width="12" height="12" '
                     f'fill="{_COLORS[method]}"/>')
        parts.append(page.text(x + 18, _HEIGHT - 13, method.replace('_', ' '), 'start'))
        x += 46 + 7.2 * len(method)
    style = ('<style>text{font:13px system-ui,sans-serif;fill:#1d2329}.dim{fill:#5a6672}'
             '</style>')
    label = 'Success rate against the number of desired demonstrations'
    return page.svg(_WIDTH, _HEIGHT, [style, *parts], label).replace(
        '<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + '\n'


def _panel(results: Record, scenario: str, left: float) -> list[str]:
    counts = schedule_of(results).counts
    floor = _TOP + _TALL
    parts = [page.text(left, _TOP - 16, f'{scenario}: SR, with 95 % intervals', 'start')]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = floor - share * _TALL
        parts.append(f'<line x1="{left}" x2="{left + _PANEL - 20}" y1="{y}" y2="{y}" '
                     f'stroke="#e4e8ec"/>')
        parts.append(page.text(left - 6, y + 4, f'{100 * share:g} %', 'end', 'dim'))
    step = (_PANEL - 20) / len(counts)
    for i, number in enumerate(counts):
        parts.append(page.text(left + (i + 0.5) * step, floor + 20, str(number), 'middle', 'dim'))
    for k, method in enumerate(CURVE):
        # Side by side, so that no interval hides another.
        x_of = [left + (i + 0.5) * step + 5 * (k - (len(CURVE) - 1) / 2)
                for i in range(len(counts))]
        parts += _line(results, scenario, method, x_of, floor)
    return parts


def _line(results: Record, scenario: str, method: str, x_of: Sequence[float],
          floor: float) -> list[str]:
    color, parts, way = _COLORS[method], [], []
    for x, number in zip(x_of, schedule_of(results).counts, strict=True):
        records = of_seeds(results, scenario, str(number), method)
        if not records:
            continue
        low, high = (floor - _TALL * bound for bound in rate_interval(records, 'sr'))
        rate = pooled(records).rate('sr')
        y = floor - _TALL * rate
        way.append(f'{x:.1f},{y:.1f}')
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                     f'stroke="{color}" stroke-opacity="0.5" stroke-width="2"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"><title>'
                     f'{escape(method)}, {number} desired: {percent(rate)}</title></circle>')
    return [f'<polyline points="{" ".join(way)}" fill="none" stroke="{color}"/>', *parts]
