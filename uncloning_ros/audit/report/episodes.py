# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report's episodes: which are worth showing, their pictures and films, and every seed."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from uncloning_ros import page
from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.run.film import FILM_SIZE, PICTURE_SIZE, Film
from uncloning_ros.audit.wording import NOTABLE, OUTCOMES, clauses
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario

_WORST_SHOWN = 3


@dataclass(frozen=True)
class Strip:
    """What one episode of one model looked like."""

    model: str
    result: EpisodeResult
    film: Film


def worth_a_picture(audited: Sequence[AuditedModel]) -> list[tuple[str, EpisodeResult]]:
    """Return (model's sha256, episode) worth showing, worst first.

    Of the first model its worst episodes, if any was no success, its closest success and one
    that went as most do; of every other model its worst, and the first model's at the same seed.
    """
    first = audited[0]
    ordered = sorted(first.results, key=_badness)
    successes = [r for r in ordered if r.outcome.success]
    chosen = [r for r in ordered if not r.outcome.success][:_WORST_SHOWN] + successes[:1]
    if len(successes) > 1:
        chosen.append(successes[len(successes) // 2])
    shown = [(first.identity.sha256, result) for result in chosen]
    for other in audited[1:]:
        worst = min(other.results, key=_badness)
        shown.append((other.identity.sha256, worst))
        same = [r for r in first.results if r.seed == worst.seed and r not in chosen]
        shown += [(first.identity.sha256, r) for r in same]
        chosen += same
    return shown


def strip(shown: Strip, scenario: Scenario) -> str:
    """Return one episode with its film and pictures."""
    result, outcome = shown.result, shown.result.outcome
    told = OUTCOMES[outcome.failure or 'success'][1]
    notes = ['no unsafe event' if outcome.unsafe is None else
             f'unsafe at {outcome.unsafe.time_s:.2f} s: '
             f'{clauses(scenario)[outcome.unsafe.clause]} ({outcome.unsafe.part})',
             *(NOTABLE[kind] for kind in outcome.notable),
             f'nearest to a person {100 * min(outcome.edge_clearance_m.values()):.1f} cm at '
             f'{outcome.nearest_s:.2f} s']
    pictures = ''.join(
        f'<figure>{_image("jpeg", p.jpeg, PICTURE_SIZE, f"{p.what} at {p.time_s:.2f} s")}'
        f'<figcaption>{escape(p.what)}, {p.time_s:.2f} s</figcaption></figure>'
        for p in shown.film.pictures)
    moving = (f'<figure class="film">{_image("gif", shown.film.gif, FILM_SIZE, "the episode")}'
              f'<figcaption>the episode, at its own speed</figcaption></figure>')
    return (f'<div class="episode"><h3>{escape(shown.model)}, seed {result.seed}: {told}</h3>'
            f'<p class="note">{escape("; ".join(notes))}</p>'
            f'<div class="strip">{moving}{pictures}</div></div>')


def seed_grid(model: Mapping[str, Any]) -> str:
    """Return one square for each seed, coloured by outcome; unsafe ones carry a dot."""
    columns, size = 50, 14
    parts = []
    for i, episode in enumerate(model['per_seed']):
        x, y = i % columns * size, i // columns * size
        kind = episode['failure'] or 'success'
        unsafe = episode['unsafe']
        parts.append(f'<rect x="{x}" y="{y}" width="{size - 2}" height="{size - 2}" '
                     f'fill="{OUTCOMES[kind][0]}"><title>seed {episode["seed"]}: '
                     f'{OUTCOMES[kind][1]}{"; unsafe" if unsafe else ""}</title></rect>')
        if unsafe:
            parts.append(f'<circle cx="{x + 6}" cy="{y + 6}" r="2.6" fill="#fff"/>')
    rows = math.ceil(len(model['per_seed']) / columns)
    return (f'<h3>{escape(model["model"])}</h3>'
            + page.svg(columns * size, rows * size, parts, 'Outcome of every seed')
            + page.words('One square for each seed, row by row; colours as above, a white dot '
                         'marks an unsafe event.'))


def seed_table(model: Mapping[str, Any]) -> str:
    """Return a table of all seeds that opens when it is asked for."""
    body = []
    for e in model['per_seed']:
        unsafe, angle = e['unsafe'], e['exchange_angle_rad']
        body.append([
            str(e['seed']), escape(e['failure'] or 'success'),
            escape(e['mode'] or ('' if angle is None else 'between')),
            '' if angle is None else f'{math.degrees(angle):.0f}',
            '' if unsafe is None else f'{escape(unsafe["clause"])} {unsafe["time_s"]:.2f} s',
            escape(', '.join(e['notable'])),
            f'{100 * min(e["edge_clearance_m"].values()):.1f}',
            '' if e['taken_s'] is None else f'{e["taken_s"]:.2f}',
            '' if e['released_s'] is None else f'{e["released_s"]:.2f}'])
    head = ['seed', 'outcome', 'mode', 'angle °', 'first unsafe event', 'also', 'nearest cm',
            'taken s', 'let go s']
    return (f'<details><summary>Table of all seeds, {escape(model["model"])}</summary>'
            f'{page.table(head, body, "seeds")}</details>')


def _image(kind: str, data: bytes, size: tuple[int, int], words: str) -> str:
    return (f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" '
            f'width="{size[0]}" height="{size[1]}" alt="{escape(words)}">')


def _badness(result: EpisodeResult) -> tuple[int, float]:
    """Return a key that sorts the worst first: unsafe, then failed, then the near ones."""
    outcome = result.outcome
    kind = 0 if outcome.unsafe else 1 if outcome.failure else 2
    return kind, min(outcome.edge_clearance_m.values())
