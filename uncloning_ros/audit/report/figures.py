# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report's figures: outcomes, how the tool came, where it went wrong, what was measured."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from uncloning_ros import page
from uncloning_ros.audit.report.plots import Bound, bounds, histogram
from uncloning_ros.audit.wording import NOTABLE, OUTCOMES, clauses, counts, percent, plain
from uncloning_ros.judging.episode import FAILURE_KINDS
from uncloning_ros.scenario import Scenario

Model = Mapping[str, Any]

# Histograms of the clearance end here; what is farther counts in the last bar.
FAR_CM = 30.0

# Figure, its name, what it is multiplied by, unit. Those of body parts stand before them.
_MEASURED = (
    ('near_angle_rad', 'least blade-to-hand angle while near', 180 / math.pi, '°'),
    ('near_thrust_miss_m', 'least miss of the hand by a thrust while near', 100, 'cm'),
    ('near_tip_speed_m_s', 'greatest tip speed while near and in the fingers', 1, 'm/s'),
    ('near_fast_share', 'time near the person above 0.25 m/s', 100, '%'),
    ('separation_margin_m', 'clearance less protective separation, least', 100, 'cm'),
    ('rms_jerk_m_s3', 'RMS jerk from lift to hand-off', 1, 'm/s³'),
    ('presented_s', 'the tip was still for the first time after', 1, 's'),
    ('taken_s', 'person took the tool after', 1, 's'),
    ('transfer_s', 'robot let go after another', 1, 's'),
    ('release_latency_s', 'let go so long after the person\'s pull', 1, 's'),
    ('peak_pull_n', 'greatest pull of the person', 1, 'N'),
)


def outcomes(record: Model, models: Sequence[Model], scenario: Scenario) -> str:
    """Return one bar for each model, cut by outcome, and the counts."""
    bars = []
    for model in models:
        found = counts(model)
        cuts = ''.join(
            f'<span style="flex-grow:{found[kind]};background:{color}" '
            f'title="{words}: {found[kind]}">{found[kind]}</span>'
            for kind, (color, words) in OUTCOMES.items() if found[kind])
        bars.append(f'<h3>{escape(model["model"])}</h3><div class="cuts">{cuts}</div>')
    used = [kind for kind in OUTCOMES if any(counts(model)[kind] for model in models)]
    legend = ''.join(f'<li><i style="background:{OUTCOMES[kind][0]}"></i>{OUTCOMES[kind][1]}'
                     f'</li>' for kind in used)
    return (''.join(bars) + f'<ul class="legend">{legend}</ul>'
            + _outcome_table(record, models, scenario))


def exchange_angles(model: Model, scenario: Scenario) -> str:
    """Return the histogram of the blade-to-hand angle at the exchange."""
    angles = [math.degrees(e['exchange_angle_rad']) for e in model['per_seed']
              if e['exchange_angle_rad'] is not None]
    # Modes that another number tells apart share a range.
    names: dict[tuple[float, float], list[str]] = {}
    for name, rule in scenario.modes.items():
        low, high = rule.blade_to_hand_rad
        names.setdefault((math.degrees(low), math.degrees(high)), []).append(plain(name))
    bands = [(low, high, ', '.join(found)) for (low, high), found in names.items()]
    return histogram(model['model'], angles, (0.0, 180.0), 5.0, 30.0, '°', bands,
                     'no tool was taken')


def clearances(model: Model) -> str:
    """Return the histogram of the least clearance of the hand."""
    centimetres = [100 * e['edge_clearance_m']['hand'] for e in model['per_seed']]
    return histogram(model['model'], centimetres, (-5.0, FAR_CM), 1.0, 5.0, ' cm',
                     [(-5.0, 0.0, 'touches')], '')


def strata(model: Model, limit: float | None) -> str:
    """Return the unsafe rate by stratum as a plot, a table, and what each sample carries."""
    if not model['strata']:
        return page.words(f'{model["model"]}: nothing that would make strata varied.')
    rows = [Bound('all episodes', model['umr'], model['umr_upper95'], strong=True)]
    rows += [Bound(s['stratum'], s['umr'], s['umr_upper95'], s['umr_upper95_any'],
                   s['stratum'] == model['worst_stratum'])
             for s in model['strata'] if s['umr'] is not None]
    body = []
    for stratum in model['strata']:
        worst = stratum['stratum'] == model['worst_stratum']
        row = [escape(stratum['stratum']) + (' (worst)' if worst else ''),
               str(stratum['episodes']),
               '' if stratum['sr'] is None else percent(stratum['sr']),
               str(stratum['unsafe_episodes']), percent(stratum['umr_upper95']),
               percent(stratum['umr_upper95_any'])]
        body.append([f'<b>{cell}</b>' for cell in row] if worst else row)
    said = ''.join(f'<li>{escape(s["claim"])}</li>' for s in model['strata'])
    return (f'<h3>{escape(model["model"])}</h3>'
            + bounds(rows, limit, f'Unsafe rate by stratum, {model["model"]}')
            + page.table(['', 'episodes', 'SR', 'unsafe', 'bound alone', 'bound, corrected'],
                         body)
            + f'<details><summary>What each of these samples carries, in words</summary>'
              f'<ul class="method">{said}</ul></details>')


def behaviour(models: Sequence[Model]) -> str:
    """Return calibration of the modes, commitment and variety."""
    head = ['', *(escape(m['model']) for m in models)]
    body: list[list[str]] = [['<b>modes against what was expected</b>', *[''] * len(models)]]
    body.append(['expected of', *(_reference(m['calibration']) for m in models)])
    body.append(['total variation', *(_distance(m['calibration']) for m in models)])
    ideals = [m.get('ideal') for m in models]
    if any(ideals):
        body.append([f'{escape(models[0]["model"])} against {_reference(ideal)}: total variation'
                     if (ideal := next(filter(None, ideals))) else '',
                     _distance(ideal), *[''] * (len(models) - 1)])
    body.append(['<b>committed to a mode</b>', *(str(m['commitment']['committed'])
                                                 for m in models)])
    body.append(['of these bridged between modes',
                 *(_with(m['commitment'], 'bridges', 'bridge') for m in models)])
    body.append(['committed to an undesired mode first',
                 *(str(m['commitment']['wrong_starts']) for m in models)])
    body.append(['of these went on with it', *(_with(m['commitment'], 'continued', 'continued')
                                               for m in models)])
    modes = list(dict.fromkeys(mode for m in models for mode in m['diversity']))
    for name, words in (('offered', 'offered pose'), ('path', 'path')):
        for mode in modes:
            body.append([f'spread of the {words}, {plain(escape(mode))}',
                         *(_spread(m, mode, name) for m in models)])
    return page.table(head, body)


def begun_wrong(models: Sequence[Model]) -> str:
    """Return how episodes that were begun in an undesired mode went on, '' if none were run."""
    body = []
    for model in models:
        for mode, found in model.get('wrong_starts', {}).items():
            body.append([f'{escape(model["model"])}, {escape(plain(mode))}', str(found['begun']),
                         _with(found, 'continued', 'continued'), str(found['mended']),
                         str(found['otherwise']), _with(found, 'unsafe_episodes', 'unsafe')])
    if not body:
        return ''
    return (page.table(['begun in', 'episodes', 'went on with it', 'mended', 'ended otherwise',
                        'unsafe'], body)
            + page.words('The scripted teacher grasped and lifted the tool as that mode does, '
                         'then the policy took over. These episodes count in no other figure: '
                         'they tell what happens after a start that the policy itself would '
                         'hardly make.'))


def measured(models: Sequence[Model], scenario: Scenario) -> str:
    """Return least, median and most of everything that was measured."""
    hazard = plain(scenario.tool.hazard.part)
    parts = list(models[0]['per_seed'][0]['edge_clearance_m'])
    rows = [(f'edge_clearance_{part}_m', f'least clearance, {hazard} to {part}', 100.0, 'cm')
            for part in parts] + list(_MEASURED)
    head = ['least / <b>median</b> / most over episodes', *(escape(m['model']) for m in models)]
    body = []
    for key, label, factor, unit in rows:
        cells = []
        for model in models:
            spread = model['spreads'].get(key)
            cells.append('never' if spread is None else
                         f'{factor * spread["least"]:.2f} / <b>{factor * spread["median"]:.2f}'
                         f'</b> / {factor * spread["most"]:.2f}&nbsp;{unit}')
        body.append([label, *cells])
    for key, label in (('holds', 'times the loop had to hold'),
                       ('chunks', 'action chunks planned')):
        body.append([label, *(str(m[key]) for m in models)])
    for name in models[0]['hardware_limits']:
        body.append([f'commands limited: {escape(plain(name))}',
                     *(str(m['hardware_limits'][name]) for m in models)])
    return (page.table(head, body) + page.words(
        'Times and pull: over completed episodes. The protective separation is that of ISO/TS '
        '15066, 5.5.4, with a person at 1.6 m/s; a handover goes below it by its nature. Hardware '
        'limits are no steering: a policy fit for use runs with these counts at zero.'))


def _outcome_table(record: Model, models: Sequence[Model], scenario: Scenario) -> str:
    head = ['', *(escape(m['model']) for m in models)]
    body: list[list[str]] = [['<b>mode of what was completed</b>', *[''] * len(models)]]
    wanted = record['modes_desired']
    body += [[escape(plain(name)) + ('' if name not in wanted else ' (desired)'),
              *(str(m['modes'][name]) for m in models)] for name in record['modes']]
    body += [['<b>why no success</b>, exactly one each', *[''] * len(models)]]
    body += [[OUTCOMES[kind][1], *(str(m['failures'][kind]) for m in models)]
             for kind in FAILURE_KINDS]
    body += [['<b>first unsafe event</b>, in whatever episode', *[''] * len(models)]]
    body += [[words, *(str(m['unsafe_clauses'][clause]) for m in models)]
             for clause, words in clauses(scenario).items()]
    body += [['<b>also seen</b>, reported and not judged', *[''] * len(models)]]
    body += [[words, *(str(m['notable'][kind]['episodes']) for m in models)]
             for kind, words in NOTABLE.items() if _defined(kind, scenario)]
    return page.table(head, body)


def _defined(kind: str, scenario: Scenario) -> bool:
    rule = scenario.notable
    return {'fast_near': rule.near_tip_speed_m_s, 'premature_release': rule.premature_share,
            'over_hold': rule.over_hold_s, 'arm_contact': True}[kind] is not None


def _reference(found: Model | None) -> str:
    if found is None:
        return 'not recorded'
    shares = ', '.join(f'{percent(share)} {plain(mode)}'
                       for mode, share in found['expected'].items())
    return f'{escape(found["reference"])}: {escape(shares)}'


def _distance(found: Model | None) -> str:
    if found is None:
        return ''
    return (f'<b>{found["tv"]:.3f}</b> [{found["low"]:.3f}, {found["high"]:.3f}]<br><span '
            f'class="dim">by chance alone {found["expected_by_chance"]:.3f}</span>')


def _with(found: Model, count: str, rate: str) -> str:
    interval = found[f'{rate}_interval95']
    if interval is None:
        return 'none to tell by'
    return (f'{found[count]} <span class="dim">[{100 * interval[0]:.1f}, '
            f'{100 * interval[1]:.1f}] %</span>')


def _spread(model: Model, mode: str, name: str) -> str:
    found = model['diversity'].get(mode, {}).get(name)
    if found is None:
        return 'too few'
    low, high = found['interval95_m']
    text = (f'{100 * found["value_m"]:.2f} cm <span class="dim">[{100 * low:.2f}, '
            f'{100 * high:.2f}]</span>')
    ratio = model.get('diversity_ratio', {}).get(mode, {}).get(name)
    if ratio is not None:
        text += (f'<br><span class="dim">first model / this: {ratio["ratio"]:.2f} '
                 f'[{ratio["low"]:.2f}, {ratio["high"]:.2f}]</span>')
    return text


