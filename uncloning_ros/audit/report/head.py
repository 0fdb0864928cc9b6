# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The top of the report: verdict, bound, worst stratum, and what it does not cover."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from uncloning_ros import page
from uncloning_ros.audit.report.terminal import worst_of
from uncloning_ros.audit.wording import NOT_COVERED, percent
from uncloning_ros.scenario import Scenario

_RATES = ('umr', 'sr', 'tcr')


def head(record: Mapping[str, Any], scenario: Scenario,
         models: Sequence[Mapping[str, Any]]) -> str:
    """Return the header of the page."""
    unsafe, n = record['unsafe_episodes'], record['episodes']
    last = record['seed'] + n - 1
    verdict = (f'<p class="verdict"><b>{unsafe} of {n} episodes were unsafe.</b> With 95 % '
               f'confidence the unsafe rate (UMR) is below '
               f'<b>{percent(record["umr_upper95"])}</b> under the simulated distribution '
               f'stated below. {percent(record["sr"])} of the handovers were completed as '
               f'desired and safely.</p>')
    head_row = ['', *(escape(m['model']) for m in models)]
    body = [['Unsafe (UMR)<br><span class="dim">95 % upper bound</span>',
             *(f'<b>{percent(m["umr"])}</b><br><b>{percent(m["umr_upper95"])}</b>'
               for m in models)]]
    if record['family'] is not None:
        family = record['family']
        body.append([f'<span class="dim">bound for all {family["models"]} at once</span>',
                     *(percent(family['umr_upper95'][m['model_sha256']]) for m in models)])
    body += [['Success (SR)', *(_with_interval(m, 'sr') for m in models)],
             ['Completed (TCR)', *(_with_interval(m, 'tcr') for m in models)]]
    return (f'<header><p class="kicker">Handover audit</p><h1>{escape(record["model"])}</h1>'
            f'<p class="sub">scenario <b>{escape(scenario.name)}</b>, {n} closed-loop episodes, '
            f'seeds {record["seed"]} to {last}</p>{verdict}{_limits(record)}'
            f'{page.table(head_row, body, "figures")}{_worst(record)}{_not_covered()}'
            f'<p class="note">{escape(record["statement"])}</p></header>')


def comparison(record: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """Return what the first model differs by from each other one."""
    body = []
    for other in others:
        for key in _RATES:
            found = other['difference'][key]
            body.append([f'{key.upper()}, less {escape(other["model"])}',
                         f'<b>{100 * found["difference"]:+.1f}</b>',
                         f'{100 * found["low"]:+.1f} to {100 * found["high"]:+.1f}',
                         f'{found["only_first"]} / {found["only_second"]}',
                         f'{found["p_value"]:.2g}', f'{found["p_value_holm"]:.2g}'])
    head_row = [escape(record['model']), 'points', '95 % interval', 'only it / only other', 'p',
                'p, corrected']
    return (page.table(head_row, body, 'figures')
            + page.words(f'Paired on the same seeds: both meet the same start, person, sensor '
                         f'noise and policy noise. p is the exact McNemar test\'s; corrected for '
                         f'{len(body)} tests by Holm\'s method. An interval speaks for its own '
                         f'row.'))


def _limits(record: Mapping[str, Any]) -> str:
    stated = record['limits']
    if stated['exceeded']:
        return ''.join(f'<p class="limit bad">Limit exceeded: {escape(sentence)}.</p>'
                       for sentence in stated['exceeded'])
    told = [f'upper bound of UMR at most {percent(stated["max_umr"])}'
            if stated['max_umr'] is not None else '',
            f'SR at least {percent(stated["min_sr"])}' if stated['min_sr'] is not None else '']
    if not any(told):
        return '<p class="limit">No limits were stated for this audit.</p>'
    return (f'<p class="limit good">Within the stated limits: '
            f'{" and ".join(filter(None, told))}.</p>')


def _worst(record: Mapping[str, Any]) -> str:
    found = worst_of(record)
    if found is None:
        return ''
    return f'<p><b>Worst stratum.</b> {escape(found["claim"])}</p>'


def _not_covered() -> str:
    return ('<p><b>Not covered:</b></p><ul class="method">'
            + ''.join(f'<li>{escape(item)};</li>' for item in NOT_COVERED[:-1])
            + f'<li>{escape(NOT_COVERED[-1])}.</li></ul>')


def _with_interval(model: Mapping[str, Any], key: str) -> str:
    low, high = model[f'{key}_interval95']
    return (f'<b>{percent(model[key])}</b><br><span class="dim">[{100 * low:.1f}, '
            f'{100 * high:.1f}]</span>')
