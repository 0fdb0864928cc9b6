# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report's plots as inline SVG: numbers in, a picture out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uncloning_ros import page
from uncloning_ros.audit.wording import percent

_WIDTH = 720


@dataclass(frozen=True)
class Bound:
    """One row of a plot of rates: the observed rate and its bound.

    `wider` is the bound corrected for several looks, None without one; a `strong` row stands out.
    """

    label: str
    rate: float
    bound: float
    wider: float | None = None
    strong: bool = False


def histogram(title: str, values: Sequence[float], span: tuple[float, float], step: float,
              tick: float, unit: str, bands: Sequence[tuple[float, float, str]],
              empty: str) -> str:
    """Return a histogram with shaded bands; values outside the span count at its ends."""
    low, high = span
    bins = round((high - low) / step)
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int((value - low) // step)))] += 1
    height, bottom, top = 170, 30, 26
    most = max([*counts, 1])
    inner = height - top - bottom

    def at(value: float) -> float:
        return _WIDTH * (value - low) / (high - low)

    parts = []
    for first, last, name in bands:
        parts.append(f'<rect x="{at(first):.1f}" y="0" width="{at(last) - at(first):.1f}" '
                     f'height="{top + inner}" class="band"/>')
        parts.append(page.text((at(first) + at(last)) / 2, 18, name, 'middle', 'dim'))
    for i, count in enumerate(counts):
        if count:
            tall = inner * count / most
            x = at(low + i * step)
            span_words = f'{low + i * step:g} to {low + (i + 1) * step:g}{unit}: {count}'
            parts.append(f'<rect x="{x + 0.5:.1f}" y="{top + inner - tall:.1f}" '
                         f'width="{_WIDTH / bins - 1:.1f}" height="{tall:.1f}" class="bar">'
                         f'{page.tip(span_words)}</rect>')
    parts.append(_axis(0, _WIDTH, top + inner))
    for i in range(round((high - low) / tick) + 1):
        value = low + i * tick
        anchor = 'start' if i == 0 else 'end' if value >= high else 'middle'
        parts.append(page.text(at(value), height - 8, f'{value:g}{unit}', anchor, 'dim'))
    told = f'{len(values)} episodes, tallest bar {most}' if values else empty
    return page.heading(f'{title}:', told) + page.svg(_WIDTH, height, parts, title)


def bounds(rows: Sequence[Bound], limit: float | None, label: str) -> str:
    """Return rates with their upper bounds, one below the other, on one scale from 0."""
    left, right, row, top = 250, 90, 30, 8
    most = _round_up(max([*(b.wider or b.bound for b in rows), limit or 0.0, 1e-3]))
    inner = _WIDTH - left - right
    height = top + row * len(rows) + 28
    floor = top + row * len(rows)

    def at(rate: float) -> float:
        return left + inner * min(rate, most) / most

    parts = []
    for i in range(5):
        x = at(most * i / 4)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{floor}" class="grid"/>')
        parts.append(page.text(x, height - 8, f'{100 * most * i / 4:.3g} %', 'middle', 'dim'))
    for i, bound in enumerate(rows):
        y = top + row * i + row / 2
        if bound.wider is not None:
            parts.append(f'<line x1="{at(0.0):.1f}" x2="{at(bound.wider):.1f}" y1="{y}" '
                         f'y2="{y}" class="axis" stroke-width="1.5"/>')
        parts.append(
            f'<rect x="{at(0.0):.1f}" y="{y - 6}" height="12" class="bar" '
            f'width="{max(1.0, at(bound.bound) - at(0.0)):.1f}" '
            f'fill-opacity="{0.85 if bound.strong else 0.45}">' + page.tip(
                f'{bound.label}: {percent(bound.rate)} seen, at most {percent(bound.bound)}')
            + '</rect>')
        parts.append(f'<circle cx="{at(bound.rate):.1f}" cy="{y}" r="4" fill="#1d2329"/>')
        parts.append(page.text(left - 10, y + 5, bound.label, 'end',
                               '' if bound.strong else 'dim'))
        parts.append(page.text(at(bound.wider or bound.bound) + 8, y + 5,
                               percent(bound.wider or bound.bound), 'start',
                               '' if bound.strong else 'dim'))
    if limit is not None:
        parts.append(f'<line x1="{at(limit):.1f}" x2="{at(limit):.1f}" y1="{top - 4}" '
                     f'y2="{floor}" stroke="#a4161a" stroke-width="1.5" '
                     f'stroke-dasharray="5 4">{page.tip(f"the limit, {percent(limit)}")}</line>')
    parts.append(_axis(left, left + inner, floor))
    return page.svg(_WIDTH, height, parts, label)


def _axis(left: float, right: float, y: float) -> str:
    return f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" class="axis"/>'


def _round_up(rate: float) -> float:
    """Return the next of 1, 2, 4, 6, 8 times a power of ten, at most 1."""
    unit: float = 10.0 ** math.floor(math.log10(rate))
    return min(1.0, next(unit * k for k in (1, 2, 4, 6, 8, 10) if unit * k >= rate * 0.999999))
