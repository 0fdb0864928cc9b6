# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw success rates against the number of kept demonstrations as SVG."""

from collections.abc import Sequence
from html import escape

from comparison.results import Record, schedule_of
from comparison.statistics import CURVE, of_seeds, pooled, rate_interval
from uncloning_ros import page
from uncloning_ros.audit.wording import percent

_COLORS = {'retrained': '#8b5a2b', 'finetuned': '#7a8894', 'retargeted': '#6b9e5b',
           'uncloned': '#2b5f8a'}
_WIDTH, _HEIGHT, _LEFT, _TOP, _PANEL, _TALL = 760, 330, 52, 40, 330, 210


def picture(results: Record) -> str:
    """Return an SVG file with one panel for each headline scenario."""
    parts = ['<rect width="100%" height="100%" fill="#ffffff"/>']
    for i, scenario in enumerate(schedule_of(results).headline):
        parts += _panel(results, scenario, _LEFT + i * (_PANEL + 40))
    x = float(_LEFT)
    for method in CURVE:
        parts.append(f'<rect x="{x}" y="{_HEIGHT - 24}" width="12" height="12" '
                     f'fill="{_COLORS[method]}"/>')
        parts.append(page.text(x + 18, _HEIGHT - 13, method.replace('_', ' '), 'start'))
        x += 46 + 7.2 * len(method)
    style = ('<style>text{font:13px system-ui,sans-serif;fill:#1d2329}.dim{fill:#5a6672}'
             '</style>')
    label = 'Success rate against the number of kept demonstrations'
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
    color, parts, corners = _COLORS[method], [], []
    for x, number in zip(x_of, schedule_of(results).counts, strict=True):
        records = of_seeds(results, scenario, str(number), method)
        if not records:
            continue
        low, high = (floor - _TALL * bound for bound in rate_interval(records, 'sr'))
        rate = pooled(records).rate('sr')
        y = floor - _TALL * rate
        corners.append(f'{x:.1f},{y:.1f}')
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" '
                     f'stroke="{color}" stroke-opacity="0.5" stroke-width="2"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"><title>'
                     f'{escape(method)}, {number} kept: {percent(rate)}</title></circle>')
    return [f'<polyline points="{" ".join(corners)}" fill="none" stroke="{color}"/>', *parts]
