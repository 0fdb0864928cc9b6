# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A session of demonstrations as one self-contained HTML page."""

import datetime
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from uncloning_ros import page
from uncloning_ros.demos.inspection import pictures
from uncloning_ros.demos.inspection.facts import EpisodeFacts, Scene, signals_of
from uncloning_ros.demos.inspection.session import Session, disagreements
from uncloning_ros.demos.labelling.clusters import distances, medoid
from uncloning_ros.errors import counted


def session_page(session: Session, warnings: Sequence[str]) -> str:
    """Return the page; `warnings` are those of `session.warnings_of`."""
    colors = pictures.mode_colors(session.contract.interface.modes)
    scenes = {mode: [one.scene for one in session.of_mode(mode) if one.scene is not None]
              for mode in (*session.contract.interface.modes, None)}
    colored = {colors[mode]: found for mode, found in scenes.items() if found}
    used = {mode or 'without a label': colors[mode] for mode, found in scenes.items() if found}
    sections = [_head(session, warnings), _modes(session, colors)]
    if colored:
        key = pictures.legend(used)
        sections += [
            page.section(
                'How the object came to the hand', key,
                page.words(pictures.APPROACHES_SAY),
                pictures.approaches_picture(colored, 'Ways of the objects to the hand')),
            page.section(
                'A typical episode of each mode',
                page.words('The most central one: nearest to all others of its mode. Its steps '
                           'grow darker.'),
                *(_typical(session, mode, colors[mode])
                  for mode in (*session.contract.interface.modes, None))),
            page.section(
                'Where it took place', key,
                page.words('In the base frame, x to the right: lines are the ways of the objects '
                           'to the hand, dots where the hand was then.'),
                pictures.session_picture(colored, 'Ways of the objects, and the hands'),
                _sides(scenes)),
        ]
    sections += [page.section('How long', _lengths(session, colors)),
                 page.section('How it arrived', _streams(session)),
                 page.section('Opinions that differ', _disagreements(session)),
                 page.section('Every episode', _episodes(session)),
                 page.section('What was inspected', _provenance(session))]
    return page.html(f'Session {session.name}', sections)


def _head(session: Session, warnings: Sequence[str]) -> str:
    operators = sorted({one.operator for one in session.episodes if one.operator})
    names = sorted({one.session for one in session.episodes})
    told = (''.join(f'<p class="limit bad">{escape(sentence)}</p>' for sentence in warnings)
            or '<p class="limit good">Nothing to complain about.</p>')
    return (f'<header><p class="kicker">Session of demonstrations</p>'
            f'<h1>{escape(session.name)}</h1>'
            f'<p class="sub">{counted(len(session.episodes), "episode")} of '
            f'{escape(", ".join(names))}, by '
            f'{escape(", ".join(operators) or "nobody named")}, {escape(span_of(session))}</p>'
            f'{told}</header>')


def span_of(session: Session) -> str:
    """Return from when to when the episodes were recorded, in UTC."""
    begins = [datetime.datetime.fromtimestamp(one.begin_ns // 10**9, datetime.UTC)
              for one in session.episodes]
    if not begins:
        return 'never'
    first, last = f'{min(begins):%Y-%m-%d %H:%M}', f'{max(begins):%Y-%m-%d %H:%M}'
    end = last[11:] if first[:10] == last[:10] else last
    return f'{first} to {end} UTC' if first != last else f'{first} UTC'


def _modes(session: Session, colors: Mapping[str | None, str]) -> str:
    total = len(session.episodes)
    body, cuts = [], ''
    for mode in (*session.contract.interface.modes, None):
        found = session.of_mode(mode)
        sources = Counter(one.label.source for one in found if one.label is not None)
        lengths = [one.length_s for one in found]
        desired = mode is not None and session.contract.interface.modes[mode]
        words = escape(mode or 'without a label') + (' <b>desired</b>' if desired else '')
        body.append([words, str(len(found)), f'{len(found) / total:.0%}' if total else '',
                     f'{statistics.median(lengths):.1f} s' if lengths else '',
                     escape(', '.join(f'{source} {n}' for source, n in sources.items()))])
        if found:
            cuts += (f'<span style="flex-grow:{len(found)};background:{colors[mode]}" '
                     f'title="{escape(mode or "without a label")}">{len(found)}</span>')
    return page.section('Modes', f'<div class="cuts">{cuts}</div>',
                        page.table(['mode', 'episodes', 'share', 'median length', 'labelled by'],
                                   body))


def _typical(session: Session, mode: str | None, color: str) -> str:
    """Return the picture of the most central episode of a mode; '' if it has none."""
    found = [(one.name, one.scene) for one in session.of_mode(mode) if one.scene is not None]
    if not found:
        return ''
    apart = distances(np.stack([scene.approach for _, scene in found]))
    name, scene = found[medoid(apart, np.arange(len(found)))]
    words = mode or 'without a label'
    return (f'<h3>{escape(words)}: <span class="dim">{escape(name)}</span></h3>'
            + pictures.approach_picture(scene, color, f'Typical episode of {words}'))


def _sides(scenes: Mapping[str | None, Sequence[Scene]]) -> str:
    body = []
    for mode, found in scenes.items():
        if found:
            sides = Counter(scene.side for scene in found)
            hands = np.stack([scene.hand for scene in found])
            spread = [f'{low:.2f} to {high:.2f}' for low, high in
                      zip(hands.min(axis=0), hands.max(axis=0), strict=True)]
            body.append([escape(mode or 'without a label'), str(sides['left']),
                         str(sides['right']), *spread])
    return page.table(['hand was offered', 'left', 'right', 'x, m', 'y, m', 'z, m'], body)


def _lengths(session: Session, colors: Mapping[str | None, str]) -> str:
    """Return one row of ticks for each mode, along the seconds."""
    rows = [(mode, session.of_mode(mode)) for mode in (*session.contract.interface.modes, None)]
    rows = [(mode, found) for mode, found in rows if found]
    longest_s = max((one.length_s for one in session.episodes), default=1.0) or 1.0
    width, left, tall = 820.0, 130.0, 26.0
    parts = []
    for i, (mode, found) in enumerate(rows):
        middle = 14 + i * tall
        parts.append(page.text(0, middle + 4, mode or 'without a label', 'start'))
        for one in found:
            x = left + (width - left - 10) * one.length_s / longest_s
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 9:.1f}" '
                         f'y2="{middle + 9:.1f}" stroke="{colors[mode]}" stroke-opacity="0.6">'
                         f'<title>{escape(one.name)}: {one.length_s:.2f} s</title></line>')
    bottom = 14 + len(rows) * tall
    step_s = next(step for step in (0.5, 1, 2, 5, 10, 20, 60, 300, 1800, 86400 * 10**6)
                  if longest_s / step <= 12)
    for i in range(int(longest_s / step_s) + 1):
        x = left + (width - left - 10) * i * step_s / longest_s
        parts.append(page.text(x, bottom + 4, f'{i * step_s:g} s', 'middle', 'dim'))
    return page.svg(width, bottom + 10, parts, 'Lengths of the episodes')


def _streams(session: Session) -> str:
    body = []
    for signal, topic in signals_of(session.contract):
        found = [(one.streams[signal.key], one.name) for one in session.episodes]
        if not found:
            continue
        rates_hz = [stream.rate_hz for stream, _ in found]
        worst, name = max(found, key=lambda one: one[0].longest_gap_s)
        over = sum(stream.longest_gap_s > stream.allowed_s for stream, _ in found)
        body.append([f'{escape(signal.key)}<br><span class="dim">{escape(topic)}</span>',
                     f'{min(rates_hz):.1f} / <b>{statistics.median(rates_hz):.1f}</b>',
                     f'{worst.longest_gap_s:.3f}<br><span class="dim">{escape(name)}</span>',
                     f'{worst.allowed_s:g}', str(over)])
    return page.table(['stream', 'least / <b>median</b> Hz', 'longest gap, s', 'allowed, s',
                       'episodes above'], body)


def _disagreements(session: Session) -> str:
    found = disagreements(session)
    if not found:
        return page.words('Whatever was planned, and whoever labelled: all agree.')
    return page.table(['episode', 'said', 'counts', 'by'], [
        [escape(name), escape(said), escape(str(label.mode)),
         escape(f'{label.source} {label.by}')] for name, said, label in found])


def _episodes(session: Session) -> str:
    body = [[escape(one.name), escape(one.mode or ''), _by(one), escape(one.planned_mode or ''),
             f'{one.length_s:.1f}', escape('; '.join(filter(None, [one.left_out, *one.findings])))]
            for one in session.episodes]
    body += [[escape(one.name), '', '', '', '', escape(f'cannot be read: {one.reason}')]
             for one in session.unreadable]
    body += [[escape(name), '', '', '', '', 'never finished'] for name in session.unfinished]
    return ('<details><summary>Table of all episodes</summary>'
            + page.table(['episode', 'mode', 'labelled by', 'planned', 'length s', 'remarks'],
                         body, 'seeds') + '</details>')


def _by(one: EpisodeFacts) -> str:
    if one.label is None:
        return ''
    return escape(f'{one.label.source} {one.label.by}, {100 * one.label.confidence:.0f} % sure')


def _provenance(session: Session) -> str:
    contract = session.contract
    versions = sorted({label.software_version or 'unknown' for one in session.episodes
                       for label in one.labels})
    rows = [['interface', contract.interface.sha256], ['contract', contract.sha256],
            ['labels were written by uncloning_ros', escape(', '.join(versions) or 'nobody')]]
    return page.table(['what', 'sha256 or version'],
                      [[name, f'<code>{value}</code>'] for name, value in rows], 'provenance')
