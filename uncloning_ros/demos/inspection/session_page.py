# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show a session of demonstrations as one self-contained HTML page."""

import datetime
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from uncloning_ros import page
from uncloning_ros.demos.inspection import pictures
from uncloning_ros.demos.inspection.facts import EpisodeFacts, Scene
from uncloning_ros.demos.inspection.session import Session, disagreements, stream_figures
from uncloning_ros.demos.labelling.clusters import distances, medoid
from uncloning_ros.errors import counted

_OPEN = 3  # episodes of a mode whose strips show at once


def session_page(session: Session, warnings: Sequence[str]) -> str:
    """Return the page; `warnings` are those of `session.warnings_of`."""
    colors = pictures.mode_colors(session.contract.interface.modes)
    scenes = {mode: found for mode in session.modes
              if (found := [one.scene for one in session.of_mode(mode) if one.scene is not None])}
    colored = {colors[mode]: found for mode, found in scenes.items()}
    legend = {_name(mode): colors[mode] for mode in scenes}
    sections = [_head(session, warnings), page.section('Modes', *_modes(session, colors))]
    if scenes:
        sections += [
            pictures.approaches_section('How the object came to the hand', colored, legend),
            page.section(
                'A typical episode of each mode',
                page.words('The most central one: nearest to all others of its mode. Its steps '
                           'grow darker.'),
                *(_typical(session, mode, colors[mode]) for mode in scenes)),
            page.section(
                'Where it took place', page.legend(legend),
                page.words('In the base frame, x to the right: lines are the ways of the objects '
                           'to the hand, dots where the hand was then.'),
                pictures.session_picture(colored, 'Ways of the objects, and the hands'),
                _sides(scenes)),
        ]
    if session.contract.interface.cameras:
        sections.append(_seen(session))
    sections += [page.section('How long', _lengths(session, colors)),
                 page.section('How it arrived', _streams(session)),
                 page.section('Opinions that differ', _disagreements(session)),
                 page.section('Every episode', _episodes(session)),
                 page.section('Versions and hashes', _provenance(session))]
    return page.html(f'Session {session.name}', sections)


def _name(mode: str | None) -> str:
    return mode or 'without a label'


def _head(session: Session, warnings: Sequence[str]) -> str:
    operators = sorted({one.operator for one in session.episodes if one.operator})
    names = sorted({one.session for one in session.episodes})
    return page.header(
        'Session of demonstrations', session.name,
        f'{counted(len(session.episodes), "episode")} of {", ".join(names)}, by '
        f'{", ".join(operators) or "an unknown operator"}, {span_of(session)}',
        *([page.notice(sentence, 'bad') for sentence in warnings]
          or [page.notice('No warnings.', 'good')]))


def span_of(session: Session) -> str:
    """Return the first and the last time of recording, in UTC."""
    begins = [datetime.datetime.fromtimestamp(one.begin_ns // 10**9, datetime.UTC)
              for one in session.episodes]
    if not begins:
        return 'never'
    first, last = f'{min(begins):%Y-%m-%d %H:%M}', f'{max(begins):%Y-%m-%d %H:%M}'
    end = last[11:] if first[:10] == last[:10] else last
    return f'{first} to {end} UTC' if first != last else f'{first} UTC'


def _modes(session: Session, colors: Mapping[str | None, str]) -> tuple[str, str]:
    """Return a bar of the episodes cut by mode, and the table of modes."""
    found = {mode: session.of_mode(mode) for mode in session.modes}
    desired = session.contract.interface.modes
    body = []
    for mode, episodes in found.items():
        sources = Counter(one.label.source for one in episodes if one.label is not None)
        lengths = [one.length_s for one in episodes]
        body.append(page.row(
            page.joined(_name(mode), page.bold(' desired') if mode and desired[mode] else ''),
            str(len(episodes)),
            f'{len(episodes) / len(session.episodes):.0%}' if session.episodes else '',
            f'{statistics.median(lengths):.1f} s' if lengths else '',
            ', '.join(f'{source} {n}' for source, n in sources.items())))
    return (page.bar((len(episodes), colors[mode], _name(mode))
                     for mode, episodes in found.items() if episodes),
            page.table(['mode', 'episodes', 'share', 'median length', 'labelled by'], body))


def _typical(session: Session, mode: str | None, color: str) -> str:
    """Return the picture of the most central episode of a mode."""
    found = [(one.name, one.scene) for one in session.of_mode(mode) if one.scene is not None]
    apart = distances(np.stack([scene.approach for _, scene in found]))
    name, scene = found[medoid(apart, np.arange(len(found)))]
    return (page.heading(f'{_name(mode)}:', name)
            + pictures.approach_picture(scene, color, f'Typical episode of {_name(mode)}'))


def _seen(session: Session) -> str:
    """Return the strips of every episode, mode after mode."""
    parts = [page.words('The part and the size that a policy sees; times are since the episode '
                        'began.')]
    for mode in session.modes:
        found = [_strips(one, _name(mode)) for one in session.of_mode(mode)]
        parts += found[:_OPEN]
        if len(found) > _OPEN:
            more = counted(len(found) - _OPEN, 'more episode')
            parts.append(page.details(f'{more}, {_name(mode)}', *found[_OPEN:]))
    return page.section('What the cameras saw', *parts)


def _strips(one: EpisodeFacts, mode: str) -> str:
    remarks = _remarks(one) if one.findings or one.left_out else ''
    aside = ', '.join(filter(None, (mode, f'{one.length_s:.1f} s', remarks)))
    return (page.heading(f'{one.name}:', aside)
            + ''.join(strip.figure() for strip in one.strips))


def _sides(scenes: Mapping[str | None, Sequence[Scene]]) -> str:
    body = []
    for mode, found in scenes.items():
        sides = Counter(scene.side for scene in found)
        hands = np.stack([scene.hand for scene in found])
        spans = [f'{low:.2f} to {high:.2f}' for low, high in
                 zip(hands.min(axis=0), hands.max(axis=0), strict=True)]
        body.append(page.row(_name(mode), str(sides['left']), str(sides['right']), *spans))
    return page.table(['hand was offered', 'left', 'right', 'x, m', 'y, m', 'z, m'], body)


def _lengths(session: Session, colors: Mapping[str | None, str]) -> str:
    """Return one row of ticks for each mode, along the seconds."""
    rows = [(mode, found) for mode in session.modes if (found := session.of_mode(mode))]
    longest_s = max((one.length_s for one in session.episodes), default=1.0) or 1.0
    width, left, tall = 820.0, 130.0, 26.0
    parts = []
    for i, (mode, found) in enumerate(rows):
        middle = 14 + i * tall
        parts.append(page.text(0, middle + 4, _name(mode), 'start'))
        for one in found:
            x = left + (width - left - 10) * one.length_s / longest_s
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 9:.1f}" '
                         f'y2="{middle + 9:.1f}" stroke="{colors[mode]}" stroke-opacity="0.6">'
                         f'{page.tip(f"{one.name}: {one.length_s:.2f} s")}</line>')
    bottom = 14 + len(rows) * tall
    step_s = next(step for step in (0.5, 1, 2, 5, 10, 20, 60, 300, 1800, 86400 * 10**6)
                  if longest_s / step <= 12)
    for i in range(int(longest_s / step_s) + 1):
        x = left + (width - left - 10) * i * step_s / longest_s
        parts.append(page.text(x, bottom + 4, f'{i * step_s:g} s', 'middle', 'dim'))
    return page.svg(width, bottom + 10, parts, 'Lengths of the episodes')


def _streams(session: Session) -> str:
    return page.table(
        ['stream', 'least / <b>median</b> Hz', 'longest gap, s', 'allowed, s', 'episodes above'],
        [page.row(page.joined(one.key, page.below(one.topic)),
                  page.joined(f'{one.least_hz:.1f} / ', page.bold(f'{one.median_hz:.1f}')),
                  page.joined(f'{one.worst.longest_gap_s:.3f}', page.below(
                      f'{one.worst_name}, at {one.worst.gap_at_s:.1f} s')),
                  f'{one.worst.allowed_s:g}', str(one.over))
         for one in stream_figures(session)])


def _disagreements(session: Session) -> str:
    found = disagreements(session)
    if not found:
        return page.words('All labels of an episode agree with each other and with the plan.')
    return page.table(['episode', 'opinion', 'label', 'by'], [
        page.row(name, opinion, str(label.mode), f'{label.source} {label.by}')
        for name, opinion, label in found])


def _episodes(session: Session) -> str:
    body = [page.row(one.name, one.mode or '', _by(one), one.planned_mode or '',
                     f'{one.length_s:.1f}', _remarks(one))
            for one in session.episodes]
    body += [page.row(one.name, '', '', '', '', f'cannot be read: {one.reason}')
             for one in session.unreadable]
    body += [page.row(name, '', '', '', '', 'never finished') for name in session.unfinished]
    return ('<details><summary>Table of all episodes</summary>'
            + page.table(['episode', 'mode', 'labelled by', 'planned', 'length s', 'remarks'],
                         body, 'seeds') + '</details>')


def _remarks(one: EpisodeFacts) -> str:
    findings = ('no verdict',) if one.findings is None else one.findings
    correction = '' if one.correction_s is None else (
        'a correction: a person commanded from {:.1f} to {:.1f} s'.format(*one.correction_s))
    return '; '.join(filter(None, [correction, one.left_out, *findings]))


def _by(one: EpisodeFacts) -> str:
    if one.label is None:
        return ''
    return ', '.join(filter(None, (f'{one.label.source} {one.label.by}',
                                   f'{100 * one.label.confidence:.0f} % sure', one.label.span)))


def _provenance(session: Session) -> str:
    contract = session.contract
    versions = sorted({label.software_version or 'unknown' for one in session.episodes
                       for label in one.labels})
    return page.table(['of', 'sha256 or version'], [
        page.row('interface', page.code(contract.interface.sha256)),
        page.row('contract', page.code(contract.sha256)),
        page.row('labels were written by uncloning_ros', page.code(', '.join(versions) or '-')),
    ], 'provenance')
