# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sweep as text and as a page: the trade-off between suppression and success, drawn."""

from uncloning_ros import page as html
from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.audit.wording import STATEMENT, percent
from uncloning_ros.sweep.record import Strength, Sweep

_WIDTH, _HEIGHT, _LEFT, _EDGE = 720, 420, 60, 30
HEAD = ('strength', 'method', 'left at starts', 'on the way', 'retained loss', 'success',
        'removed mode', 'unsafe')


def rows(sweep: Sweep) -> list[list[str]]:
    """Return a row of cells for each strength; a star marks the recommended one."""
    return [_row(one, ' *' * (place == sweep.recommended))
            for place, one in enumerate(sweep.strengths)]


def _row(one: Strength, mark: str) -> list[str]:
    cells = [f'{one.gamma:g}{mark}', one.method, percent(one.left.starts), percent(one.left.way),
             '-' if one.retained_loss is None else f'{one.retained_loss:.4f}']
    if one.audit is None:
        return [*cells, '-', '-', '-']
    return cells + [f'{part.count("1")} of {len(part)}'
                    for part in (one.audit.success, one.audit.removed, one.audit.unsafe)]


def text(sweep: Sweep) -> str:
    """Return the table and the recommendation."""
    table = [list(HEAD), *rows(sweep)]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in table]
    lines.append(f'* recommended: {sweep.reason}')
    return '\n'.join(lines)


def page(sweep: Sweep) -> str:
    """Return the whole page."""
    one = sweep.strengths[sweep.recommended]
    judged = (f'{sweep.episodes} episodes of {sweep.scenario} each, on the same seeds'
              if sweep.scenario else 'no scenario, so no episode was simulated')
    title = f'Removal of {", ".join(sweep.remove)}'
    return html.html(title, [
        html.header('sweep', title, judged),
        html.notice(f'Recommended: strength {one.gamma:g} ({one.method}), {sweep.reason}.'),
        html.section('Suppression and success', _picture(sweep) if sweep.scenario else
                     '<p>Give a scenario to have the trade-off drawn.</p>'),
        html.section('Strengths', html.table(HEAD, [html.row(*row) for row in rows(sweep)])),
        html.section('How to read it', html.bullets([
            'Strength is the weight of the loss that removes, beside the loss that holds the '
            'skill; 0 is the fine-tune on kept modes.',
            'Left: share of plans that are surely of a removed mode, by a classifier, at the '
            'starts of demonstrations and on the way of kept ones.',
            'Suppression is the share of episodes that were not in a removed mode. Lines are 95 % '
            'intervals of each rate alone; strengths are compared on the same seeds.',
            'A short audit chooses and does not approve. Audit recommended.onnx: it names these '
            'episodes, so the audit takes others. Another strength has to be exported with '
            '--development-seeds of these episodes.'])),
        html.notice(STATEMENT)])


def _picture(sweep: Sweep) -> str:
    """Return one point with two intervals for each strength."""
    points = []
    for place, one in enumerate(sweep.strengths):
        if one.audit is None:
            continue
        count = len(one.audit.success)
        shown, done = count - one.audit.removed.count('1'), one.audit.success.count('1')
        points.append((place, one, shown / count, interval(shown, count), done / count,
                       interval(done, count)))
    low = min(min(across[0], up[0]) for _, _, _, across, _, up in points) - 0.02

    def x(rate: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _EDGE) * (rate - low) / (1.0 - low)

    def y(rate: float) -> float:
        return _EDGE + (_HEIGHT - 2 * _EDGE) * (1.0 - rate) / (1.0 - low)

    parts = [html.text(_WIDTH / 2, _HEIGHT - 2, 'suppression', 'middle', 'dim'),
             html.text(4, 16, 'success', 'start', 'dim')]
    for mark in (low + 0.02, 1.0):
        parts += [html.text(x(mark), _HEIGHT - 14, percent(mark), 'middle', 'dim'),
                  html.text(_LEFT - 6, y(mark) + 4, percent(mark), 'end', 'dim')]
    for place, one, away, across, share, up in points:
        colour = '#b3471d' if place == sweep.recommended else '#2b5f8a'
        parts += [f'<path d="M{x(across[0]):.1f} {y(share):.1f}H{x(across[1]):.1f}M{x(away):.1f} '
                  f'{y(up[0]):.1f}V{y(up[1]):.1f}" stroke="{colour}" opacity=".5"/>',
                  f'<circle cx="{x(away):.1f}" cy="{y(share):.1f}" r="5" fill="{colour}">'
                  + html.tip(f'strength {one.gamma:g}: suppression {percent(away)}, success '
                             f'{percent(share)}') + '</circle>',
                  html.text(x(away) - 8, y(share) - 8, f'{one.gamma:g}', 'end')]
    return html.svg(_WIDTH, _HEIGHT, parts, 'suppression against success, a point for each '
                                            'strength')
