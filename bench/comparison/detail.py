# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the pages of docs/benchmarks/: outcomes, targets, scarce demonstrations, attempts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from comparison.markdown import bullets, listed, table
from comparison.plan import ALL, MEASURED, METHODS, OTHER_EDITS, PAIR, TUNING, Case, plan, trials
from comparison.results import (
    Record,
    best_setting,
    case_of,
    count,
    find,
    judged_again,
    schedule_of,
    tuning_is_over,
)
from comparison.statistics import (
    CURVE,
    EDIT,
    absent,
    against,
    each_seed,
    headline_methods,
    of_seeds,
    pooled,
    rate_interval,
    summed,
)
from comparison.targets import MISSED, REQUIREMENTS, Target, targets
from uncloning_ros.audit.wording import percent, points

_BACK = 'Generated from [benchmarks.json](../benchmarks.json); [summary](../benchmarks.md).'
_EVENTS = ('mode of completed episodes', 'failures', 'first unsafe event')


def outcomes_page(results: Record) -> str:
    """Return the page about modes, failures and unsafe events with all demonstrations."""
    schedule = schedule_of(results)
    parts = ['# All demonstrations: outcomes', _BACK]
    for scenario in schedule.scenarios:
        parts += [f'## `{scenario}`', outcomes_table(results, scenario)]
        parts += _pair(results, scenario)
    return _joined(parts)


def outcomes_table(results: Record, scenario: str) -> str:
    """Return the outcomes of the methods with all demonstrations of a scenario."""
    return table(('method', 'SR by training seed', 'purity', 'steps', *_EVENTS),
                 [_outcomes_row(results, scenario, method)
                  for method in headline_methods(schedule_of(results), scenario)])


def _outcomes_row(results: Record, scenario: str, method: str) -> list[str]:
    records = of_seeds(results, scenario, ALL, method)
    if not records:
        return [f'`{method}`', absent(results, scenario, ALL, method), *[''] * 5]
    purity, steps = pooled(records).purity, sorted({record['steps'] for record in records})
    return [f'`{method}`',
            listed(percent(count(record, 'sr') / len(record['outcomes'])) for record in records),
            '' if purity is None else percent(purity),
            ' to '.join(map(str, sorted({steps[0], steps[-1]}))), *_events(records)]


def _events(records: Sequence[Record]) -> list[str]:
    return [summed(records, part) for part in ('modes', 'failures', 'unsafe')]


def _pair(results: Record, scenario: str) -> list[str]:
    """Return the table of edits with two kept modes, of which one may be unsafe by itself."""
    rows = []
    for method in (name for name, made in METHODS.items() if made.pair):
        for record in of_seeds(results, scenario, ALL, method):
            found = pooled([record])
            modes, _, unsafe = _events([record])
            rows.append([f'`{method}`', str(found.episodes), percent(found.rate('tcr')), modes,
                         f'{record["bridges"]} of {record["committed"]}',
                         percent(found.rate('umr')), unsafe])
    if not rows:
        return []
    kept = ' and '.join(f'`{mode}`' for mode in PAIR[scenario])
    return [f'### `{scenario}`, {kept} kept',
            'The targets concern the shares of the two modes and the bridges: episodes that leave '
            'the mode they began, or end between two modes. A kept mode that the scenario does '
            'not desire is as unsafe here as in its demonstrations.',
            table(['method', 'episodes', 'TCR', 'mode of completed episodes', 'bridges', 'UMR',
                   'first unsafe event'], rows)]


def targets_page(results: Record) -> str:
    """Return the page with all targets of the edit and their findings."""
    found = targets(results)
    parts = ['# Targets of the edit', _BACK,
             'Each target is judged by itself. Among this many targets, chance alone meets or '
             'misses some.', *_judged_again(results)]
    for requirement, words in REQUIREMENTS.items():
        rows = [target_row(one) for one in found if one.requirement == requirement]
        if rows:
            parts += [f'## {requirement[0].upper()}{requirement[1:]}', f'{words}.'.replace(
                '..', '.'), table(['place', 'found', 'state'], rows)]
    return _joined(parts)


def targets_table(found: Sequence[Target], requirements: Mapping[str, str]) -> str:
    """Return one table of all targets, by requirement."""
    rows: list[list[str]] = []
    for requirement, words in requirements.items():
        group = [target_row(one) for one in found if one.requirement == requirement]
        rows += [[*(('', '') if i else (requirement, words)), *row]
                 for i, row in enumerate(group)]
    return table(['target', 'requirement', 'place', 'found', 'state'], rows)


def counted_states(found: Sequence[Target]) -> str:
    """Return the number of targets in each state, in words."""
    return listed(f'{n} {state}' for state, n in Counter(one.state for one in found).items())


def target_row(target: Target) -> list[str]:
    """Return place, finding and state of a target."""
    state = f'**{target.state}**' if target.state == MISSED else target.state
    return [target.place, target.found, state]


def _judged_again(results: Record) -> list[str]:
    """Return a caution about cases that were changed after a look at their judged episodes."""
    again = judged_again(results)
    if not again:
        return []
    return [f'{len(again)} cases were judged, changed, and judged again on the same episodes. The '
            f'first look may have influenced the change. Where other training seeds were judged '
            f'only once, their result stands beside it. The cases are: '
            f'{listed(f"`{key}`" for key in again)}. [Attempts](attempts.md) has their earlier '
            f'results.']


def scarce_page(results: Record) -> str:
    """Return the page about scarce kept demonstrations."""
    schedule = schedule_of(results)
    parts = ['# Kept demonstrations scarce', _BACK,
             '![Success rate against the number of kept demonstrations](../benchmarks.svg)',
             f'Rates have 95 % intervals; values of each training seed stand in parentheses. The '
             f'kept demonstrations are mixed with {schedule.removed} demonstrations of removed '
             f'modes.']
    for scenario in schedule.headline:
        for rate in ('sr', 'umr'):
            parts += [f'## `{scenario}`: {rate.upper()}',
                      _scarce(results, scenario, rate, CURVE,
                              [(EDIT, other) for other in CURVE[:-1]]),
                      _scarce(results, scenario, rate, OTHER_EDITS,
                              [(method, 'finetuned') for method in OTHER_EDITS])]
        rows = [[number, f'`{method}`', *_events(records)]
                for number in map(str, schedule.counts) for method in CURVE
                if (records := of_seeds(results, scenario, number, method))]
        if rows:
            parts += [f'## `{scenario}`: outcomes', table(['kept', 'method', *_EVENTS], rows)]
    return _joined(parts)


def curve_table(results: Record) -> str:
    """Return success rates by the number of kept demonstrations, as Markdown."""
    schedule = schedule_of(results)
    counts = list(map(str, schedule.counts))
    rows = [[f'`{scenario}`', f'`{method}`', *(
        percent(pooled(records).rate('sr')) if records else '' for records in found)]
        for scenario in schedule.headline for method in (*CURVE, *OTHER_EDITS)
        if any(found := [of_seeds(results, scenario, number, method) for number in counts])]
    return table(['scenario', 'method', *counts], rows)


def _scarce(results: Record, scenario: str, rate: str, methods: Sequence[str],
            differences: Sequence[tuple[str, str]]) -> str:
    """Return a table of a rate of methods, and of differences between two methods."""
    rows = []
    for number in map(str, schedule_of(results).counts):
        seeds = {record['seed'] for method in methods
                 for record in of_seeds(results, scenario, number, method)}
        pairs = [against(results, scenario, number, one, other, rate)
                 for one, other in differences]
        rows.append([
            number, listed(sorted(seeds)),
            *(_rate(results, scenario, number, method, rate) for method in methods),
            *('no pairs' if one is None else
              points(one.difference) + each_seed(one.by_seed.values(), '+.1f') for one in pairs)])
    return table(['kept', 'training seeds', *(f'`{method}`' for method in methods),
                  *(f'`{one}` minus `{other}`' for one, other in differences)], rows)


def _rate(results: Record, scenario: str, number: str, method: str, rate: str) -> str:
    records = of_seeds(results, scenario, number, method)
    if not records:
        planned = Case(scenario, number, schedule_of(results).seeds[0], method) in plan(
            schedule_of(results))
        return absent(results, scenario, number, method) if planned else 'as `finetuned`'
    low, high = rate_interval(records, rate)
    each = (count(record, rate) / len(record['outcomes']) for record in records)
    return (f'{percent(pooled(records).rate(rate))} [{100 * low:.1f}, {100 * high:.1f}]'
            f'{each_seed(each, ".1f")}')


def attempts_page(results: Record) -> str:
    """Return the page with trials, failures and superseded records."""
    rows = []
    for case in trials(schedule_of(results)):
        record = find(results, case)
        rows.append(_attempt(record) if record else [f'`{case.key}`', '', 'not run'])
    head = ('case', 'setting', 'found')
    parts = ['# Attempts', _BACK, '## Trials',
             'Every setting of a tuned method, tried on development episodes.', table(head, rows)]
    if chosen := list(_settings_in_use(results)):
        parts += ['The best settings on development episodes, used in all cases of their method:',
                  bullets(chosen)]
    return _joined([*parts, *failures_and_superseded(results)])


def failures_and_superseded(results: Record) -> list[str]:
    """Return the sections about failed cases and earlier results."""
    head, parts = ('case', 'setting', 'found'), list[str]()
    failed = [record for record in results['cells'] if record['status'] == 'failed']
    if failed:
        parts += ['## Failures', table(head, map(_attempt, failed))]
    reasons: dict[str, list[Record]] = {}
    for record in results['attempts']:
        if record.get('superseded'):
            reasons.setdefault(record['superseded'], []).append(record)
    if reasons:
        parts += ['## Superseded', 'Earlier results of cases and trials. The quoted line gives '
                  'the recorded reason for making them again.']
    for reason, records in reasons.items():
        parts += [f'> {reason}', table(head, map(_attempt, records))]
    return parts


def _attempt(record: Record) -> list[str]:
    if record['status'] == 'failed':
        found = f'failed: {record["sentence"]}'
    elif record['method'] in MEASURED:
        found = 'measured'
    else:
        n = len(record['outcomes'])
        found = (f'SR {percent(count(record, "sr") / n)}, UMR {percent(count(record, "umr") / n)},'
                 f' {n} episodes')
    setting = listed(f'{name} {value:g}' for name, value in record['settings'].items())
    return [f'`{case_of(record).key}`', setting, found]


def _settings_in_use(results: Record) -> Iterator[str]:
    """Yield the best setting of each tuned method; mark a value at the border of its trials."""
    schedule = schedule_of(results)
    for method, settings in TUNING.items():
        done = [record for case in trials(schedule) if case.method == method
                and (record := find(results, case)) is not None and record['status'] == 'done']
        if done and tuning_is_over(results, method, schedule):
            yield f'`{method}`: ' + listed(
                _marked(name, value, {one[name] for one in settings[:schedule.trials]})
                for name, value in best_setting(results, method, schedule).items())


def _marked(name: str, value: float, tried: set[float]) -> str:
    words = f'{name} {value:g}'
    if len(tried) == 1 or name.endswith('_seed'):  # the size of a seed means nothing
        return words
    borders = {min(tried): 'smallest', max(tried): 'largest'}
    return f'{words} ({borders[value]} of {len(tried)})' if value in borders else words


def _joined(parts: Sequence[str]) -> str:
    return '\n\n'.join(parts) + '\n'
