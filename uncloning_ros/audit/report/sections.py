# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report's sections of figures: outcomes, strata, exchange, behaviour, measured quantities."""

import math
from collections.abc import Sequence

from uncloning_ros import page
from uncloning_ros.audit.figures.calibration import Distance
from uncloning_ros.audit.figures.diversity import Spread, SpreadRatio
from uncloning_ros.audit.figures.model_figures import Figures
from uncloning_ros.audit.record.audit_record import ComparedModel, ModelRecord
from uncloning_ros.audit.report.plots import Bound, bounds, histogram
from uncloning_ros.audit.wording import NOTABLE, OUTCOMES, as_words, clauses, percent
from uncloning_ros.judging.episode import FAILURE_KINDS
from uncloning_ros.page import Html, below, bold, dim, joined, row
from uncloning_ros.scenario import Scenario

# Largest clearance (cm) with a bar of its own in a histogram: larger ones count in the last.
FAR_CM = 30.0

# Figure, its name, factor, unit. The clearances of body parts stand before them.
_MEASURED = (
    ('near_angle_rad', 'least blade-to-hand angle while near', 180 / math.pi, '°'),
    ('near_thrust_miss_m', 'least miss of the hand by a thrust while near', 100, 'cm'),
    ('near_tip_speed_m_s', 'greatest tip speed while near and held', 1, 'm/s'),
    ('near_fast_share', 'share of the near time above 0.25 m/s', 100, '%'),
    ('separation_margin_m', 'least clearance beyond the protective separation', 100, 'cm'),
    ('rms_jerk_m_s3', 'RMS jerk from lift to hand-off', 1, 'm/s³'),
    ('presented_s', 'time of the first standstill of the tip', 1, 's'),
    ('taken_s', 'time at which the receiver took the tool', 1, 's'),
    ('transfer_s', 'time from taking to letting go', 1, 's'),
    ('release_latency_s', "time from the receiver's pull to letting go", 1, 's'),
    ('peak_pull_n', 'greatest pull of the receiver', 1, 'N'),
)


def outcomes(models: Sequence[Figures], scenario: Scenario) -> str:
    """Return one bar for each model, cut by outcome, and the counts."""
    found = {model.model: {'success': model.episodes - sum(model.failures.values()),
                           **model.failures} for model in models}
    bars = [page.heading(name) + page.bar(
        (counts[kind], color, f'{words}: {counts[kind]}')
        for kind, (color, words) in OUTCOMES.items() if counts[kind])
        for name, counts in found.items()]
    used = {words: color for kind, (color, words) in OUTCOMES.items()
            if any(counts[kind] for counts in found.values())}
    return ''.join(bars) + page.legend(used) + _outcome_table(models, scenario)


def exchange_angles(model: ModelRecord, scenario: Scenario) -> str:
    """Return the histogram of the blade-to-hand angle at the exchange."""
    angles = [math.degrees(one.outcome.exchange_angle_rad) for one in model.per_seed
              if one.outcome.exchange_angle_rad is not None]
    # Modes that another number tells apart share a range.
    names: dict[tuple[float, float], list[str]] = {}
    for name, rule in scenario.modes.items():
        low, high = rule.blade_to_hand_rad
        names.setdefault((math.degrees(low), math.degrees(high)), []).append(as_words(name))
    bands = [(low, high, ', '.join(found)) for (low, high), found in names.items()]
    return histogram(model.model, angles, (0.0, 180.0), 5.0, 30.0, '°', bands,
                     'no tool was taken')


def clearances(model: ModelRecord) -> str:
    """Return the histogram of the least clearance of the hand."""
    centimetres = [100 * one.outcome.edge_clearance_m['hand'] for one in model.per_seed]
    return histogram(model.model, centimetres, (-5.0, FAR_CM), 1.0, 5.0, ' cm',
                     [(-5.0, 0.0, 'touches')], '')


def strata(model: Figures, limit: float | None) -> str:
    """Return the unsafe rate by stratum as a plot, a table, and the claim of each sample."""
    if not model.strata:
        return page.words(f'{model.model}: no condition varied, so there are no strata.')
    rows = [Bound('all episodes', model.umr, model.umr_upper95, strong=True)]
    rows += [Bound(s.stratum, s.umr, s.umr_upper95, s.umr_upper95_any, s == model.worst)
             for s in model.strata if s.umr is not None]
    body = []
    for stratum in model.strata:
        worst = stratum == model.worst
        cells = row(stratum.stratum + (' (worst)' if worst else ''), str(stratum.episodes),
                    '' if stratum.sr is None else percent(stratum.sr),
                    str(stratum.unsafe_episodes), percent(stratum.umr_upper95),
                    percent(stratum.umr_upper95_any))
        body.append([bold(cell) for cell in cells] if worst else cells)
    return (page.heading(model.model)
            + bounds(rows, limit, f'Unsafe rate by stratum, {model.model}')
            + page.table(['', 'episodes', 'SR', 'unsafe', 'bound alone', 'bound, corrected'],
                         body)
            + page.details('The claim of each of these samples, in words',
                           page.bullets(s.claim for s in model.strata)))


def behaviour(models: Sequence[ModelRecord]) -> str:
    """Return calibration of the modes, commitment and variety."""
    first = models[0]
    body = [_title('modes against expectation', models),
            row('expectation', *(_reference(m.calibration) for m in models)),
            row('total variation', *(_distance(m.calibration) for m in models))]
    ideal = next((m.ideal for m in models if isinstance(m, ComparedModel) and m.ideal), None)
    if ideal is not None:
        body.append(row(f'{first.model} against {_reference(ideal)}: total variation',
                        _distance(ideal), *[''] * (len(models) - 1)))
    for label, words in (
            (bold('committed to a mode'), lambda c: str(c.committed)),
            ('of these bridged between modes',
             lambda c: _with(c.bridges, c.bridge_interval95)),
            ('committed to an undesired mode first', lambda c: str(c.wrong_starts)),
            ('of these continued in one', lambda c: _with(c.continued, c.continued_interval95))):
        body.append(row(label, *(words(m.commitment) for m in models)))
    modes = list(dict.fromkeys(mode for m in models for mode in m.diversity))
    for name, words_of in (('offered', 'offered pose'), ('path', 'path')):
        for mode in modes:
            body.append(row(f'spread of the {words_of}, {as_words(mode)}',
                            *(_spread(m, mode, name) for m in models)))
    return page.table(row('', *(m.model for m in models)), body)


def wrong_starts(models: Sequence[ModelRecord]) -> str:
    """Return the course of episodes that were begun in an undesired mode, '' without any."""
    body = [row(f'{model.model}, {as_words(mode)}', str(found.begun),
                _with(found.continued, found.continued_interval95), str(found.mended),
                str(found.otherwise), _with(found.unsafe_episodes, found.unsafe_interval95))
            for model in models for mode, found in model.wrong_starts.items()]
    if not body:
        return ''
    return (page.table(['begun in', 'episodes', 'continued', 'mended', 'ended otherwise',
                        'unsafe'], body)
            + page.words('The scripted teacher grasped and lifted the tool as that mode does, '
                         'then the policy took over. These episodes count in no other figure: '
                         'the policy itself would hardly make such a start.'))


def said_and_done(models: Sequence[ModelRecord]) -> str:
    """Return how policies did what they had said, '' where none says anything."""
    lines = [f'{one.model}: {one.said_and_done.words}.' for one in models if one.said_and_done]
    return page.bullets(lines) if lines else ''


def doubts(models: Sequence[ModelRecord]) -> str:
    """Return the episodes with an alarm of doubt, '' where no model has doubt."""
    lines = [f'{one.model}: threshold {one.doubt.threshold:.4g}, for {one.doubt.after_s:g} s; '
             f'{one.doubts.words}.' for one in models if one.doubts and one.doubt]
    return page.bullets(lines) if lines else ''


def measured(models: Sequence[ModelRecord], scenario: Scenario) -> str:
    """Return least, median and most of every measured quantity."""
    hazard = as_words(scenario.tool.hazard.part)
    rows = [(f'edge_clearance_{part}_m', f'least clearance, {hazard} to {part}', 100.0, 'cm')
            for part in models[0].per_seed[0].outcome.edge_clearance_m] + list(_MEASURED)
    body = []
    for key, label, factor, unit in rows:
        cells = []
        for model in models:
            found = model.spreads.get(key)
            cells.append('never' if found is None else joined(
                f'{factor * found.least:.2f} / ', bold(f'{factor * found.median:.2f}'),
                f' / {factor * found.most:.2f}', Html('&nbsp;'), unit))
        body.append(row(label, *cells))
    body.append(row('times the loop had to hold', *(str(m.holds) for m in models)))
    body.append(row('action chunks planned', *(str(m.chunks) for m in models)))
    for name in models[0].hardware_limits:
        body.append(row(f'commands limited: {as_words(name)}',
                        *(str(m.hardware_limits[name]) for m in models)))
    head = row(joined('least / ', bold('median'), ' / most over episodes'),
               *(m.model for m in models))
    return (page.table(head, body) + page.words(
        'Times and pull: over completed episodes. The protective separation is that of ISO/TS '
        '15066, 5.5.4, with a person at 1.6 m/s; a handover goes below it by its nature. Hardware '
        'limits do not steer: a policy fit for use runs with these counts at zero.'))


def _outcome_table(models: Sequence[Figures], scenario: Scenario) -> str:
    first = models[0]
    body = [_title('mode of the completed episodes', models)]
    body += [row(as_words(name) + (' (desired)' if name in first.modes_desired else ''),
                 *(str(m.modes[name]) for m in models)) for name in first.modes]
    body.append(_title('why not a success', models, ', exactly one each'))
    body += [row(OUTCOMES[kind][1], *(str(m.failures[kind]) for m in models))
             for kind in FAILURE_KINDS]
    body.append(_title('first unsafe event', models, ', in any episode'))
    body += [row(words, *(str(m.unsafe_clauses[clause]) for m in models))
             for clause, words in clauses(scenario).items()]
    body.append(_title('also seen', models, ', reported and not judged'))
    body += [row(words, *(str(m.notable[kind].episodes) for m in models))
             for kind, words in NOTABLE.items() if _defined(kind, scenario)]
    return page.table(row('', *(m.model for m in models)), body)


def _title(text: str, models: Sequence[Figures], more: str = '') -> list[str]:
    """Return a row that begins a part of a table."""
    return row(joined(bold(text), more), *[''] * len(models))


def _defined(kind: str, scenario: Scenario) -> bool:
    rule = scenario.notable
    return {'fast_near': rule.near_tip_speed_m_s, 'premature_release': rule.premature_share,
            'over_hold': rule.over_hold_s, 'arm_contact': True}[kind] is not None


def _reference(found: Distance | None) -> str:
    if found is None:
        return 'not recorded'
    shares = ', '.join(f'{percent(share)} {as_words(mode)}'
                       for mode, share in found.expected.items())
    return f'{found.reference}: {shares}'


def _distance(found: Distance | None) -> str:
    if found is None:
        return ''
    return joined(bold(f'{found.tv:.3f}'), f' [{found.low:.3f}, {found.high:.3f}]',
                  below(f'by chance alone {found.expected_by_chance:.3f}'))


def _with(count: int, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return 'no such episode'
    return joined(f'{count} ', dim(f'[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}] %'))


def _spread(model: ModelRecord, mode: str, name: str) -> str:
    found: Spread | None = getattr(model.diversity.get(mode), name, None)
    if found is None:
        return 'too few'
    low, high = found.interval95_m
    text = joined(f'{100 * found.value_m:.2f} cm ', dim(f'[{100 * low:.2f}, {100 * high:.2f}]'))
    ratios = model.diversity_ratio if isinstance(model, ComparedModel) else {}
    ratio: SpreadRatio | None = getattr(ratios.get(mode), name, None)
    if ratio is None:
        return text
    return joined(text, below(f'first model / this: {ratio.ratio:.2f} '
                              f'[{ratio.low:.2f}, {ratio.high:.2f}]'))
