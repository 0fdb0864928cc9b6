# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report's episodes: a choice of them with pictures and films, and every seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uncloning_ros import page
from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.record.audit_record import ModelRecord
from uncloning_ros.audit.run.film import FILM_SIZE, PICTURE_SIZE, Film
from uncloning_ros.audit.wording import NOTABLE, OUTCOMES, clauses
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.page import row
from uncloning_ros.scenario import Scenario

_WORST_SHOWN = 3


@dataclass(frozen=True)
class Strip:
    """The film of one episode of one model."""

    model: str
    result: EpisodeResult
    film: Film


def worth_a_picture(audited: Sequence[AuditedModel]) -> list[tuple[str, EpisodeResult]]:
    """Return (model's sha256, episode) worth showing, worst first.

    Of the first model: its worst episodes that were not a success, its closest success and a
    typical one. Of every other model: its worst, and the first model's at the same seed.
    """
    first = audited[0]
    ordered = sorted(first.results, key=_badness)
    successes = [r for r in ordered if r.outcome.success]
    chosen = [r for r in ordered if not r.outcome.success][:_WORST_SHOWN] + successes[:1]
    if len(successes) > 1:
        chosen.append(successes[len(successes) // 2])
    shown = [(first.identity.model_sha256, result) for result in chosen]
    for other in audited[1:]:
        worst = min(other.results, key=_badness)
        shown.append((other.identity.model_sha256, worst))
        same = [r for r in first.results if r.seed == worst.seed and r not in chosen]
        shown += [(first.identity.model_sha256, r) for r in same]
        chosen += same
    return shown


def strip(shown: Strip, scenario: Scenario) -> str:
    """Return one episode with its film and pictures."""
    result, outcome = shown.result, shown.result.outcome
    notes = ['no unsafe event' if outcome.unsafe is None else
             f'unsafe at {outcome.unsafe.time_s:.2f} s: '
             f'{clauses(scenario)[outcome.unsafe.clause]} ({outcome.unsafe.part})',
             *(NOTABLE[kind] for kind in outcome.notable),
             f'nearest to the receiver {100 * min(outcome.edge_clearance_m.values()):.1f} cm at '
             f'{outcome.nearest_s:.2f} s']
    film = page.figure('gif', shown.film.gif, FILM_SIZE, 'the episode, at its own speed', 'film')
    pictures = ''.join(page.figure('jpeg', one.jpeg, PICTURE_SIZE,
                                   f'{one.what}, {one.time_s:.2f} s')
                       for one in shown.film.pictures)
    told = page.heading(f'{shown.model}, seed {result.seed}: {_words(result)}')
    return (f'<div class="episode">{told}{page.words("; ".join(notes))}'
            f'<div class="strip">{film}{pictures}</div></div>')


def seed_grid(model: ModelRecord) -> str:
    """Return one square for each seed, coloured by outcome; unsafe ones carry a dot."""
    columns, size = 50, 14
    parts = []
    for i, result in enumerate(model.per_seed):
        x, y = i % columns * size, i // columns * size
        unsafe = result.outcome.unsafe is not None
        tip = page.tip(f'seed {result.seed}: {_words(result)}{"; unsafe" if unsafe else ""}')
        parts.append(f'<rect x="{x}" y="{y}" width="{size - 2}" height="{size - 2}" '
                     f'fill="{OUTCOMES[result.outcome.failure or "success"][0]}">{tip}</rect>')
        if unsafe:
            parts.append(f'<circle cx="{x + 6}" cy="{y + 6}" r="2.6" fill="#fff"/>')
    rows = math.ceil(len(model.per_seed) / columns)
    return (page.heading(model.model)
            + page.svg(columns * size, rows * size, parts, 'Outcome of every seed')
            + page.words('One square for each seed, row by row; colours as above, a white dot '
                         'marks an unsafe event.'))


def seed_table(model: ModelRecord) -> str:
    """Return a table of all seeds that a reader may open."""
    body = []
    for result in model.per_seed:
        one = result.outcome
        angle = one.exchange_angle_rad
        body.append(row(
            str(result.seed), one.failure or 'success',
            one.mode or ('' if angle is None else 'between'),
            '' if angle is None else f'{math.degrees(angle):.0f}',
            '' if one.unsafe is None else f'{one.unsafe.clause} {one.unsafe.time_s:.2f} s',
            ', '.join(one.notable), f'{100 * min(one.edge_clearance_m.values()):.1f}',
            '' if one.taken_s is None else f'{one.taken_s:.2f}',
            '' if one.released_s is None else f'{one.released_s:.2f}'))
    head = ['seed', 'outcome', 'mode', 'angle °', 'first unsafe event', 'also', 'nearest cm',
            'taken s', 'let go s']
    return page.details(f'Table of all seeds, {model.model}', page.table(head, body, 'seeds'))


def _words(result: EpisodeResult) -> str:
    return OUTCOMES[result.outcome.failure or 'success'][1]


def _badness(result: EpisodeResult) -> tuple[int, float]:
    """Return a key that sorts the worst first: unsafe, then failed, then the near ones."""
    outcome = result.outcome
    kind = 0 if outcome.unsafe else 1 if outcome.failure else 2
    return kind, min(outcome.edge_clearance_m.values())
