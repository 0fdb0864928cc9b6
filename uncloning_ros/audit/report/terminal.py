# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An audit's figures as text of at most 80 columns."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from uncloning_ros.audit.figures.summary import compared_models
from uncloning_ros.audit.wording import percent, points

_WIDTH = 80
_COLUMN = 17
_LABEL = 20
_RATES = (('completed (TCR)', 'tcr'), ('success (SR)', 'sr'), ('unsafe (UMR)', 'umr'))


def table(record: Mapping[str, Any]) -> str:
    """Return the figures of all models of an audit's record."""
    others = compared_models(record)
    lines = [f'scenario {record["scenario"]}, {record["episodes"]} episodes, seeds '
             f'{record["seed"]} to {record["seed"] + record["episodes"] - 1}', '']
    lines += (_side_by_side([record, *others]) if len(others) < 2
              else _one_below_another([record, *others]))
    lines.append('worst stratum')
    for model in (record, *others):
        found = worst_of(model)
        if found is None:
            lines.append(f'  {_shortened(model["model"])}: none, nothing varied')
            continue
        lines += _wrapped(
            f'{_shortened(model["model"])}: {found["stratum"]}, {found["unsafe_episodes"]} of '
            f'{found["episodes"]} unsafe, below {percent(found["umr_upper95_any"])} corrected '
            f'for {len(model["strata"])} strata; SR {percent(found["sr"])}', '  ')
    if 'wrong_starts' in record:
        lines.append('begun in an undesired mode, then left to the policy')
    for model in (record, *others):
        for mode, found in model.get('wrong_starts', {}).items():
            lines += _wrapped(
                f'{_shortened(model["model"])}: {mode}, {found["continued"]} of {found["begun"]} '
                f'went on with it, {found["mended"]} mended, {found["otherwise"]} ended '
                f'otherwise; {found["unsafe_episodes"]} unsafe', '  ')
    lines += ['', *_wrapped(record['statement'])]
    for sentence in record['limits']['exceeded']:
        lines += _wrapped(f'LIMIT EXCEEDED: {sentence}.', after='  ')
    return '\n'.join(lines)


def worst_of(model: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the record of a model's worst stratum, None if it has none."""
    return next((s for s in model['strata'] if s['stratum'] == model['worst_stratum']), None)


def _side_by_side(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one or two models as columns, with their difference."""
    difference = models[1]['difference'] if len(models) > 1 else None
    lines: list[str] = []

    def row(label: str, cells: Sequence[str], more: str = '') -> None:
        lines.append((f'{label:{_LABEL}}' + ''.join(f'{cell:>{_COLUMN}}' for cell in cells)
                      + more).rstrip())

    row('', [_shortened(model['model']) for model in models],
        '   difference (95 %)' if difference else '')
    for label, key in _RATES:
        row(label, [percent(model[key]) for model in models],
            f'   {points(difference[key])}' if difference else '')
        if key == 'umr':
            row('  95 % upper bound', [percent(model['umr_upper95']) for model in models])
    for part, title in (('modes', 'mode of completed'), ('failures', 'why no success'),
                        ('notable', 'reported, not judged')):
        cells = {name: [_count(model[part][name]) for model in models] for name in models[0][part]}
        seen = {name: counts for name, counts in cells.items() if any(counts)}
        if seen:
            row(title, [])
        for name, counts in seen.items():
            row(f'  {name}', [str(count) for count in counts])
    return lines


def _one_below_another(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return several models as rows, then what the first differs by from each of the others."""
    head = ('', 'TCR', 'SR', 'UMR', 'at most')
    rows = [(_shortened(model['model']), *(percent(model[key]) for _, key in _RATES),
             percent(model['umr_upper95'])) for model in models]
    lines = [f'{name:<{_LABEL}}' + ''.join(f'{cell:>10}' for cell in cells)
             for name, *cells in (head, *rows)]
    lines += ['', f'{_shortened(models[0]["model"])} less, with 95 % intervals']
    for model in models[1:]:
        for _, key in _RATES:
            found = model['difference'][key]
            lines.append(f'  {_shortened(model["model"]):<{_LABEL}}{key.upper():<5}'
                         f'{points(found):<24} p {found["p_value_holm"]:.2g}')
    return [*lines, *_wrapped(f'p is corrected for {3 * (len(models) - 1)} tests (Holm).', '  '),
            '']


def _count(found: Any) -> int:
    return int(found['episodes'] if isinstance(found, Mapping) else found)


def _wrapped(text: str, before: str = '', after: str | None = None) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=before,
                         subsequent_indent=before + '  ' if after is None and before else after
                         or '')


def _shortened(name: str) -> str:
    name = name.removesuffix('.onnx')
    return name if len(name) < _COLUMN else f'{name[:_COLUMN - 3]}..'
