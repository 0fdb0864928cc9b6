# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of attacks as text of at most 80 columns."""

import textwrap
from collections.abc import Sequence

from uncloning_ros.attack.record import AttackRecord, AttackReport, Trial
from uncloning_ros.audit.wording import percent

_WIDTH = 80
_LABEL = 39


def attack_text(record: AttackRecord) -> str:
    """Return the figures of all attacks, and the matters that they do not cover."""
    episodes = record.edited.episodes
    lines = [*_wrapped(f'scenario {record.scenario}, {episodes} episodes each, seeds '
                       f'{record.seed} to {record.seed + episodes - 1}; removed: '
                       f'{", ".join(record.removed)}'), '',
             _row('', ('mode back', 'at most', 'SR', 'unsafe')), _trial(record.edited)]
    for report in record.attacks:
        lines += [report.attack, *(_trial(one, '  ') for one in report.trials)]
    for report in record.attacks:
        lines += ['', *_wrapped(f'{report.attack}: {report.did}'), *_search(report),
                  *_wrapped(f'not covered: {"; ".join(report.not_covered)}', '  ', '    ')]
    lines += ['', *_wrapped('Mode back: episodes in which the person took the tool in a removed '
                            'mode. At most: 95 % upper bound of their share.'),
              *_wrapped(record.statement)]
    for sentence in record.exceeded:
        lines += _wrapped(f'LIMIT EXCEEDED: {sentence}.', others='  ')
    return '\n'.join(lines)


def _trial(one: Trial, indent: str = '') -> str:
    bound = '-' if one.removed_upper95 is None else percent(one.removed_upper95)
    return _row(indent + one.what, (f'{one.removed_episodes} of {one.episodes}', bound,
                                    percent(one.sr), str(one.unsafe_episodes)))


def _search(report: AttackReport) -> list[str]:
    lines = []
    for one in report.searched:
        bound = ('' if one.places_upper95 is None
                 else f' (95 % upper bound {percent(one.places_upper95)})')
        lines += _wrapped(
            f'{one.where}: {one.places_found} of {one.places}{bound} have a plan of a removed '
            f'mode, {one.plans_found} of {one.places * one.draws} plans are; largest probability '
            f'{one.largest:.3f}', '  ', '    ')
    if report.classifier is not None:
        test = report.classifier
        lines += _wrapped(
            f'the classifier is right in {percent(test.right)} of {test.windows} held-out '
            f'windows where modes part, and follows a swapped chunk in {percent(test.swapped)}',
            '  ', '    ')
    return lines


def _row(label: str, cells: Sequence[str]) -> str:
    widths = (14, 9, 9, 8)
    return f'{label:<{_LABEL}}' + ''.join(f'{cell:>{width}}' for cell, width
                                          in zip(cells, widths, strict=True))


def _wrapped(text: str, first: str = '', others: str = '') -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=others)
