# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the curves of docs/cloning.md as SVG: completed episodes, and distance by time."""

from collections.abc import Mapping, Sequence

from uncloning_ros import page
from uncloning_ros.learning.options import POLICY_KINDS

PICTURE = 'cloning.svg'

_COLORS = dict(zip(POLICY_KINDS, ('#8b5a2b', '#6b9e5b', '#7a8894', '#2b5f8a', '#a4161a'),
                   strict=True))
_WIDTH, _PANEL, _TALL, _LEFT, _TOP = 800, 210, 170, 44, 34
_IN_A_ROW, _ROW = 3, _TALL + 66
_PLACES = 10  # of which all have their words

# The name of a panel, its words of each place, and the values of each class there.
Panel = tuple[str, Sequence[str], Mapping[str, Sequence[float | None]]]


def picture(panels: Sequence[Panel], label: str, colors: Mapping[str, str] = _COLORS) -> str:
    """Return an SVG file with three panels in a row, each with a vertical axis from 0.

    Each class or other kind of curve has its colour.
    """
    parts = ['<style>text{font:12px system-ui,sans-serif;fill:#1d2329}.dim{fill:#5a6672}</style>',
             '<rect width="100%" height="100%" fill="#ffffff"/>']
    for i, panel in enumerate(panels):
        parts += _panel(panel, _LEFT + i % _IN_A_ROW * (_PANEL + 50),
                        _TOP + _TALL + i // _IN_A_ROW * _ROW, colors)
    drawn = [kind for kind in colors if any(kind in values for _, _, values in panels)]
    end = _TOP + _TALL + (len(panels) - 1) // _IN_A_ROW * _ROW
    for i, kind in enumerate(drawn):
        x = _LEFT + 130 * i
        parts.append(f'<rect x="{x}" y="{end + 42}" width="12" height="12" '
                     f'fill="{colors[kind]}"/>'
                     + page.text(x + 18, end + 52, kind, 'start'))
    return page.svg(_WIDTH, end + 66, parts, label).replace(
        '<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + '\n'


def _panel(panel: Panel, left: float, floor: float, colors: Mapping[str, str]) -> list[str]:
    title, places, values = panel
    top = max((one for some in values.values() for one in some if one), default=1.0)
    parts = [page.text(left, floor - _TALL - 14, title, 'start')]
    for share in (0.0, 0.5, 1.0):
        y = floor - share * _TALL
        parts.append(f'<line x1="{left}" x2="{left + _PANEL}" y1="{y}" y2="{y}" '
                     f'stroke="#e4e8ec"/>' + page.text(left - 6, y + 4, f'{top * share:.2g}',
                                                       'end', 'dim'))
    step = _PANEL / len(places)
    parts += [page.text(left + (i + 0.5) * step, floor + 18, place, 'middle', 'dim')
              for i, place in enumerate(places) if i % -(-len(places) // _PLACES) == 0]
    for kind, some in values.items():
        corners = [(left + (i + 0.5) * step, floor - _TALL * one / top, one)
                   for i, one in enumerate(some) if one is not None]
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in corners)}" '
                     f'fill="none" stroke="{colors[kind]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colors[kind]}">'
                  f'{page.tip(f"{kind}: {one:.3g}")}</circle>' for x, y, one in corners]
    return parts
