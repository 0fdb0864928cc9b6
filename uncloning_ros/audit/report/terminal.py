# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an audit, and an evidence file, as text of at most 80 columns."""

import textwrap
from collections.abc import Sequence

from uncloning_ros.audit.evidence import EvidenceDocument
from uncloning_ros.audit.figures.model_figures import Figures
from uncloning_ros.audit.record.audit_record import AuditRecord, ComparedModel
from uncloning_ros.audit.wording import limits_text, percent, points

_WIDTH = 80
_COLUMN = 17
_LABEL = 20
_RATES = (('completed (TCR)', 'tcr'), ('success (SR)', 'sr'), ('unsafe (UMR)', 'umr'))


def audit_text(record: AuditRecord) -> str:
    """Return the figures of all models of an audit."""
    first = record.model
    lines = [f'scenario {first.scenario}, {first.episodes} episodes, seeds {first.seed} to '
             f'{first.last_seed}', '']
    lines += (_side_by_side(first, record.against) if len(record.others) < 2
              else _one_below_another(first, record.others))
    lines.append('worst stratum')
    for model in record.models:
        found = model.worst
        lines += _wrapped(f'{_shortened(model.model)}: ' + (
            'none, nothing varied' if found is None or found.sr is None else
            f'{found.stratum}, {found.unsafe_episodes} of {found.episodes} unsafe, below '
            f'{percent(found.umr_upper95_any)} corrected for {len(model.strata)} strata; SR '
            f'{percent(found.sr)}'), '  ', '    ')
    if any(model.said_and_done for model in record.models):
        lines.append('said and done')
    for model in record.models:
        if said := model.said_and_done:
            lines += _wrapped(f'{_shortened(model.model)}: {said.words}', '  ', '    ')
    if any(model.doubts for model in record.models):
        lines.append('doubt')
    for model in record.models:
        if model.doubts:
            lines += _wrapped(f'{_shortened(model.model)}: {model.doubts.words}', '  ', '    ')
    if first.wrong_starts:
        lines.append('begun in an undesired mode, then left to the policy')
    for model in record.models:
        for mode, begun in model.wrong_starts.items():
            lines += _wrapped(
                f'{_shortened(model.model)}: {mode}, {begun.continued} of {begun.begun} '
                f'continued, {begun.mended} mended, {begun.otherwise} ended otherwise; '
                f'{begun.unsafe_episodes} unsafe', '  ', '    ')
    lines += ['', *_wrapped(record.statement)]
    for sentence in record.limits.exceeded:
        lines += _wrapped(f'LIMIT EXCEEDED: {sentence}.', others='  ')
    return '\n'.join(lines)


def evidence_text(document: EvidenceDocument) -> str:
    """Return the contents of an evidence file in words; its figures are not checked here."""
    found, limits = document.figures, document.limits
    rows = [
        ('model', f'{found.model} {found.model_sha256}'),
        *([] if found.partner_sha256 is None else [('partner', found.partner_sha256)]),
        ('deployment', found.deployment_sha256),
        ('scenario', f'{document.scenario.name} {document.scenario.sha256}'),
        ('episodes', f'{found.episodes}, seeds {found.seed} to {found.last_seed}'),
        ('unsafe', f'{found.unsafe_episodes}; with 95 % confidence the rate is below '
                   f'{percent(found.umr_upper95)}'),
        ('success', percent(found.sr)),
        *([] if found.doubt is None or found.doubts is None else [
            ('doubt', f'threshold {found.doubt.threshold:.4g} for {found.doubt.after_s:g} s; '
                      f'{found.doubts.words}')]),
        ('limits', limits_text(limits)),
        ('verdict', {None: 'none', True: 'every stated limit holds'}.get(
            limits.within_limits, f'exceeded: {"; ".join(limits.exceeded)}')),
        ('worst stratum', 'none' if found.worst is None else found.worst.claim),
        ('made with', ', '.join(f'{key} {value}'
                                for key, value in vars(document.machine).items())),
        ('not covered', '; '.join(document.not_covered)),
        ('', document.statement)]
    return '\n'.join(line for label, text in rows
                     for line in _wrapped(text, f'{label:<15}', ' ' * 15))


def _side_by_side(first: Figures, other: ComparedModel | None) -> list[str]:
    """Return one or two models as columns, with their difference."""
    models = [first] if other is None else [first, other]
    lines: list[str] = []

    def row(label: str, cells: Sequence[str], more: str = '') -> None:
        lines.append((f'{label:{_LABEL}}' + ''.join(f'{cell:>{_COLUMN}}' for cell in cells)
                      + more).rstrip())

    row('', [_shortened(model.model) for model in models],
        '   difference (95 %)' if other else '')
    for label, key in _RATES:
        row(label, [percent(getattr(model, key)) for model in models],
            f'   {points(vars(other.difference[key]))}' if other else '')
    row('  95 % upper bound', [percent(model.umr_upper95) for model in models])
    for title, counts in (('mode of completed', [dict(m.modes) for m in models]),
                          ('why not a success', [dict(m.failures) for m in models]),
                          ('reported, not judged', [{kind: found.episodes for kind, found
                                                     in m.notable.items()} for m in models])):
        seen = [name for name in counts[0] if any(one[name] for one in counts)]
        if seen:
            row(title, [])
        for name in seen:
            row(f'  {name}', [str(one[name]) for one in counts])
    return lines


def _one_below_another(first: Figures, others: Sequence[ComparedModel]) -> list[str]:
    """Return several models as rows, then the first one's differences from the others."""
    head = ('', 'TCR', 'SR', 'UMR', 'at most')
    rows = [(_shortened(model.model), *(percent(getattr(model, key)) for _, key in _RATES),
             percent(model.umr_upper95)) for model in (first, *others)]
    lines = [f'{name:<{_LABEL}}' + ''.join(f'{cell:>10}' for cell in cells)
             for name, *cells in (head, *rows)]
    lines += ['', f'{_shortened(first.model)} less, with 95 % intervals']
    for other in others:
        for _, key in _RATES:
            found = other.difference[key]
            lines.append(f'  {_shortened(other.model):<{_LABEL}}{key.upper():<5}'
                         f'{points(vars(found)):<24} p {found.p_value_holm:.2g}')
    return [*lines, *_wrapped(f'p is corrected for {3 * len(others)} tests (Holm).', '  '), '']


def _wrapped(text: str, first: str = '', others: str = '') -> list[str]:
    """Return lines, the first one and the others with their indentation."""
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=others)


def _shortened(name: str) -> str:
    name = name.removesuffix('.onnx')
    return name if len(name) < _COLUMN else f'{name[:_COLUMN - 3]}..'
