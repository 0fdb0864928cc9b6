# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page with the result of answers: the reward, its uncertainty, raters, contradictions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from uncloning_ros import page
from uncloning_ros.errors import counted
from uncloning_ros.preferences.features import WORDS
from uncloning_ros.preferences.judged import Judged

_DRAWS, _SEED = 4000, 0  # from the belief, for the intervals; the same answers give the same
_SHOWN = 10  # items of a list that are shown


def result_sections(known: Judged, gone: Sequence[str]) -> list[str]:
    """Return the sections; `gone` are sentences on answers that do not count."""
    if not known.answers:
        return [_doubts(known, gone), page.notice('These handovers have no answers yet.')]
    return [_doubts(known, gone), _weights(known), _handovers(known), _raters(known)]


def _weights(known: Judged) -> str:
    belief = known.belief
    drawn = belief.drawn(_DRAWS, np.random.default_rng(_SEED))[:, :belief.dim]
    low, middle, high = np.quantile(drawn / np.linalg.norm(drawn, axis=1)[:, None],
                                    [0.05, 0.5, 0.95], axis=0)
    body = []
    for i in np.argsort(-np.abs(middle)):
        words, unit, factor = WORDS[known.features[i]]
        sure = 'open' if low[i] < 0.0 < high[i] else 'more is better' if low[i] > 0.0 else (
            'less is better')
        body.append(page.row(words, sure, f'{middle[i]:+.2f}',
                             f'{low[i]:+.2f} to {high[i]:+.2f}',
                             f'{factor * known.values[:, i].std():.3g} {unit}'))
    head = ['feature', 'people say', 'weight', '90 % interval', 'standard deviation']
    return page.section('The reward', page.table(head, body), page.words(
        'The reward of a handover is the sum of its features times their weights. Before that a '
        'feature is divided by its standard deviation over these handovers, the last column. The '
        'squares of the weights add up to 1. A weight is open while its sign is not sure.'))


def _handovers(known: Judged) -> str:
    rewards, below = known.rewards, known.belief.below(known.scaled)
    said = any(len(one.shown) == 1 for one in known.answers)
    order = np.argsort(-rewards)
    picked = dict.fromkeys([*order[:_SHOWN // 2].tolist(), *order[-(_SHOWN // 2):].tolist()])
    head = ['handover', 'reward', *(['probability that it is not accepted'] if said else [])]
    return page.section('Best and worst handovers', page.table(head, [
        page.row(known.names[i], f'{rewards[i]:+.2f}', *([f'{below[i]:.0%}'] if said else []))
        for i in picked]), '' if said else page.words(
        'Which of them people accept is not known without answers on the page Good or bad.'))


def _raters(known: Judged) -> str:
    said = Counter((one.rater, one.said) for one in known.answers)
    return page.section('Raters', page.table(
        ['rater', 'pairs', 'cannot tell', 'good', 'bad', 'inattentive'],
        [page.row(rater, str(sum(said[rater, word] for word in ('left', 'right', 'equal'))),
                  *(str(said[rater, word]) for word in ('cannot tell', 'good', 'bad')),
                  f'{known.belief.lapses[i]:.0%}') for i, rater in enumerate(known.raters)]),
        page.words('Inattentive: the share of answers that do not depend on the handovers, as '
                   'the model sees it. Cannot tell says nothing about the reward.'))


def _doubts(known: Judged, gone: Sequence[str]) -> str:
    """Return the contradictions, and the answers that do not count; '' without any."""
    lists = {
        'Opposite answers': known.contradictions(),
        'Answers that the others contradict': [f'{one.rater}: {one.sentence}'
                                               for one in known.surprises()],
        'Answers on handovers that are gone': list(gone)}
    parts = [page.heading(f'{title}: {len(found)}') + page.bullets(found[:_SHOWN])
             for title, found in lists.items() if found]
    if not parts:
        return ''
    more = page.words(f'Each list shows at most {_SHOWN}. All answers but those on handovers that '
                      f'are gone count; {counted(len(known.answers), "answer")} now.')
    return page.section('Contradictions', *parts, more)
