# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of an evaluation: its figures as tables and plots, self-contained."""

from collections.abc import Mapping, Sequence
from typing import Any

from uncloning_ros import page

_WIDTH, _HEIGHT = 720, 260
_LEFT, _BOTTOM, _TOP = 60, 34, 10
_WAYS = {'plan': '#a4161a', 'mean': '#2b5f8a', 'nearest': '#2f7f6f'}
_MEANING = {'plan': 'one plan', 'mean': 'mean of the plans', 'nearest': 'nearest of the plans'}


def page_of(name: str, found: Mapping[str, Any]) -> str:
    """Return the page of the record that `evaluation.evaluate` returns."""
    return page.html(f'Evaluation of {name}', [
        page.header('evaluation without a robot', name,
                    f'{found["policy"]} policy, {found["windows"]} windows of '
                    f'{found["episodes"]} held-out episodes, {found["draws"]} plans each'
                    + (f'; without removed modes: {", ".join(found["removed"])}'
                       if found['removed'] else '')),
        page.notice('Good figures here do not show that a handover succeeds; an audit does.'),
        _errors(found), _likelihood(found['likelihood']), _modes(found['modes']),
        page.section('Files', page.table(('', ''), [
            page.row('weights', page.code(found['weights_sha256'])),
            page.row('dataset', page.code(found['data_sha256']))], 'provenance'))])


def _errors(found: Mapping[str, Any]) -> str:
    steps = found['error_by_step']
    curves = [(_MEANING[way], color, list(enumerate(steps[way], 1)), ())
              for way, color in _WAYS.items()]
    head = ('', 'windows', *_MEANING.values())
    rows = [page.row('all', f'{found["windows"]}', *_shown(found['error']))]
    rows += [page.row(name, f'{part["windows"]}', *_shown(part))
             for name, part in found['error_by_phase'].items()]
    return page.section(
        'Squared error', page.words(
            'Distance of plans from the demonstrated actions. 1 is the error of a policy that '
            'always plans the mean of all demonstrations. A policy with several modes has plans '
            'that are far from this demonstration and right; the nearest of the plans tells '
            'whether the demonstrated way is among them.'),
        page.table(head, rows, 'figures'),
        page.heading('By step of the chunk'), plot(curves, 'step of the chunk', 'squared error'))


def _shown(error: Mapping[str, float]) -> list[str]:
    return [f'{error[way]:.4f}' for way in _WAYS]


def _likelihood(found: Mapping[str, Any]) -> str:
    rows = [page.row(f'blurred plans, width {found["width"]:.3g}',
                     f'at most {found["bound"]:.1f}')]
    if found['of']:
        rows.insert(0, page.row(f'{found["of"]}, exact', f'{found["exact"]:.2f}'))
    return page.section(
        'Negative log-likelihood', page.words(
            'In nats for each chunk; less is better. Blurred plans give an upper bound for every '
            'class of policy; of regression they are a Gaussian with the variance of its '
            'residuals. The probability of tokens is not a density, and is compared with that of '
            'other policies with the same vocabulary only.'),
        page.table(('', 'nats'), rows, 'figures'))


def _modes(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return page.section('Modes', page.words('No two modes are both trained on and held out.'))
    parted, names = found['distribution'], found['names']
    bins = parted['bins']
    first = [(i, one['planned'][0]) for i, one in enumerate(bins, 1)]
    shown = [(i, one['demonstrated'][0]) for i, one in enumerate(bins, 1)]
    tenths = [(one['planned'], one['demonstrated']) for one in parted['calibration']['tenths']]
    rows = [page.row(f'{i}', f'{one["episodes"]}',
                     ', '.join(f'{share:.0%}' for share in one['demonstrated']),
                     ', '.join(f'{share:.0%}' for share in one['planned']),
                     f'{one["total_variation"]:.3f}', f'{one["floor"]:.3f}')
            for i, one in enumerate(bins, 1)]
    calibration = parted['calibration']
    return page.section(
        'Modes', page.words(
            f'{found["accuracy"]:.1%} of plans have the demonstrated mode, as a classifier reads '
            f'it; it reads {found["classifier_accuracy"]:.1%} of held-out demonstrations right.'),
        page.heading('Shares of modes by start',
                     f'{", ".join(names)}, {when(parted)} of {parted["episodes"]} episodes that '
                     f'the run was not trained on; within the noise floor in '
                     f'{parted["within_floor"]} of {len(bins)} bins'),
        page.table(('bin of starts', 'episodes', 'demonstrated', 'planned', 'total variation',
                    'noise floor'), rows),
        plot([(f'{names[0]} planned', _WAYS['plan'], first, ()),
              (f'{names[0]} demonstrated', _WAYS['mean'], shown, [one['floor'] for one in bins])],
             'bin of starts', 'share', most=1.0),
        page.heading('Calibration', f'error {calibration["error"]:.3f}, noise floor '
                                    f'{calibration["floor"]:.3f}'),
        plot([('demonstrated', _WAYS['plan'], tenths, ()),
              ('without fault', '#8b96a1', [(0.0, 0.0), (1.0, 1.0)], ())],
             'planned share of a mode', 'demonstrated share', most=1.0))


def when(parted: Mapping[str, Any]) -> str:
    """Return in words at which tick modes were counted, and how well they can be read there."""
    read = f'the classifier reads {parted["accuracy"]:.1%} of the demonstrated modes right'
    return f'at tick {parted["tick"]}, {parted["seconds"]:.1f} s after the start ({read}' + (
        ')' if parted['readable'] else '; it reads 95 % at no tick, and this is the last one)')


def plot(curves: Sequence[tuple[str, str, Sequence[tuple[float, float]], Sequence[float]]],
         across: str, up: str, most: float | None = None) -> str:
    """Return curves in one plot with their legend: name, colour, points, and half their bars.

    The vertical axis begins at 0, and ends at `most` or at the highest point.
    """
    points = [point for _, _, some, _ in curves for point in some]
    low, high = (pick(x for x, _ in points) for pick in (min, max))
    top = most or max(max(y for _, y in points), 1e-9)
    inner_width, floor = _WIDTH - _LEFT - 20, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across_share = (x - low) / (high - low) if high > low else 0.5
        return (_LEFT + inner_width * across_share,
                floor - (floor - _TOP) * min(max(y / top, 0.0), 1.0))

    parts = []
    for i in range(5):
        y = at(low, top * i / 4)[1]
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}" '
                     f'class="grid"/>' + page.text(_LEFT - 8, y + 4, f'{top * i / 4:.3g}', 'end',
                                                   'dim'))
    for name, color, some, bars in curves:
        placed = [at(*point) for point in some]
        path = ' '.join(f'{x:.1f},{y:.1f}' for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" '
                     f'stroke-width="2"/>')
        for (x, y), (value, height) in zip(placed, some, strict=True):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}">'
                         f'{page.tip(f"{name}, {value:.3g}: {height:.3g}")}</circle>')
        for (x, height), half in zip(some, bars, strict=False):
            (place, above), (_, below) = at(x, height + half), at(x, height - half)
            parts.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{above:.1f}" '
                         f'y2="{below:.1f}" stroke="{color}"/>')
    parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{floor}" y2="{floor}" '
                 f'class="axis"/>')
    for x, anchor in ((low, 'start'), (high, 'end')):
        parts.append(page.text(at(x, 0.0)[0], _HEIGHT - 12, f'{x:g}', anchor, 'dim'))
    parts.append(page.text(_LEFT + inner_width / 2, _HEIGHT - 12, across, 'middle', 'dim'))
    return (page.legend({name: color for name, color, _, _ in curves})
            + page.svg(_WIDTH, _HEIGHT, parts, f'{up} by {across}'))
