# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the edit on Push-T and Push-Wall by its targets; `routes` has none."""

from collections.abc import Callable, Iterator, Sequence

from comparison.results import Record, flags, removed
from comparison.statistics import EDIT, Pairs, paired, pooled
from comparison.targets import OPEN, Target, difference_of, of_pairs, target_of

from outside.plan import PLACES, Place
from outside.records import absent, of_place, schedule_of
from uncloning_ros.audit.wording import percent

_MOST_REMOVED = 0.017  # the published edit reaches 98.3 %
_LESS_COMPLETED, _LESS_KEPT, _WORSE_SR = -0.02, -0.03, -0.005
_MOST_TIME_S = 120.0
_MOST_STEPS = 1 / 3

REQUIREMENTS = {
    'removed mode': f'Push-T from the fixed start: the removed mode in at most '
                    f'{100 * _MOST_REMOVED:g} % of the episodes, by the value found',
    'completed from the fixed start': f'Push-T: completed episodes less than '
                                      f'{-100 * _LESS_COMPLETED:g} points below the filtered '
                                      f'retrain (lower 95 % bound)',
    'kept mode': f'Push-T from random starts: the kept mode less than {-100 * _LESS_KEPT:g} '
                 f'points below the filtered retrain (lower 95 % bound)',
    'completed': f'Push-T from random starts: completed episodes less than '
                 f'{-100 * _LESS_COMPLETED:g} points below the mixed policy (lower 95 % bound)',
    'time': f'Push-T: the edit takes at most {_MOST_TIME_S:g} s of processor time, on one thread; '
            f'classifier included',
    'steps': 'Push-T: at most a third of the steps of the filtered retrain',
    'fine-tune': f'Push-Wall: SR less than {-100 * _WORSE_SR:g} points below the filtered '
                 f'fine-tune (lower 95 % bound), and neither SR shown to be lower nor UMR shown '
                 f'to be higher',
    'nothing removed left': 'Push-Wall: no episode in the removed mode',
}


def targets(results: Record) -> list[Target]:
    """Return all targets."""
    push_t, push_wall = ([place for place in PLACES if place.task == task]
                         for task in ('push_t', 'push_wall'))
    return [target for place in push_t for target in _push_t(results, place)] + [
        target for place in push_wall for target in _push_wall(results, place)]


def shows(letter: str) -> Callable[[Record], list[bool]]:
    """Return a function that tells of each episode whether it shows kept (k) or removed (r)."""
    return lambda record: [began == letter for began in record['began']]


def rate(name: str) -> Callable[[Record], list[bool]]:
    """Return a function that tells of each episode whether a rate counts it."""
    return lambda record: flags(record, name)


def against(results: Record, place: Place, start: str, method: str, other: str,
            counts: Callable[[Record], Sequence[bool]]) -> Pairs | None:
    """Return a method minus another at a place, over the training seeds that both have."""
    schedule = schedule_of(results)
    planned = len(schedule.seeds) * schedule.episodes[place.task][start]
    ones, others = (of_place(results, place, name, start) for name in (method, other))
    return paired(ones, others, counts, planned)


def _push_t(results: Record, place: Place) -> Iterator[Target]:
    yield from _removed(results, place, 'fixed', 'removed mode', _MOST_REMOVED)
    for requirement, start, other, counts, margin in (
            ('completed from the fixed start', 'fixed', 'retrained', rate('tcr'),
             _LESS_COMPLETED),
            ('kept mode', 'random', 'retrained', shows('k'), _LESS_KEPT),
            ('completed', 'random', 'mixed', rate('tcr'), _LESS_COMPLETED)):
        pairs = against(results, place, start, EDIT, other, counts)
        yield (Target(requirement, place.words, absent(results, place, EDIT, other), OPEN)
               if pairs is None else
               of_pairs(pairs, requirement, place.words, difference_of(pairs),
                        pairs.low > margin))
    yield from _cost(results, place)


def _push_wall(results: Record, place: Place) -> Iterator[Target]:
    success, unsafe = (against(results, place, 'random', EDIT, 'finetuned', rate(name))
                       for name in ('sr', 'umr'))
    if success is None or unsafe is None:
        yield Target('fine-tune', place.words, absent(results, place, EDIT, 'finetuned'), OPEN)
    else:
        yield of_pairs(success, 'fine-tune', place.words,
                       f'SR {difference_of(success)}; UMR {difference_of(unsafe)}',
                       success.low > _WORSE_SR and success.high >= 0.0 and unsafe.low <= 0.0)
    yield from _removed(results, place, 'random', 'nothing removed left', 0.0)


def _removed(results: Record, place: Place, start: str, requirement: str,
             most: float) -> Iterator[Target]:
    """Yield the target of the removed mode at each training seed."""
    schedule = schedule_of(results)
    found = {record['seed']: record for record in of_place(results, place, EDIT, start)}
    for seed in schedule.seeds:
        where, record = f'{place.words}, training seed {seed}', found.get(seed)
        planned = schedule.episodes[place.task][start]
        if record is None:
            yield Target(requirement, where, absent(results, place, EDIT), OPEN)
        elif len(record['began']) < planned:
            yield Target(requirement, where, f'{len(record["began"])} of {planned} episodes run',
                         OPEN)
        else:
            yield target_of(requirement, where, f'{removed(record)} of {planned}, completed '
                            f'{percent(pooled([record]).rate("tcr"))}',
                            removed(record) <= most * planned)


def _cost(results: Record, place: Place) -> Iterator[Target]:
    ours, theirs = (of_place(results, place, method, 'random') for method in (EDIT, 'retrained'))
    if len(ours) < len(schedule_of(results).seeds) or not theirs:
        for requirement in ('time', 'steps'):
            yield Target(requirement, place.words, absent(results, place, EDIT, 'retrained'),
                         OPEN)
        return
    taken = max(record['learning']['cpu_s'] for record in ours)
    yield target_of('time', place.words, f'{taken:.0f} s, the longest of {len(ours)}',
                    taken <= _MOST_TIME_S)
    steps, most = max(record['steps'] for record in ours), theirs[0]['steps']
    yield target_of('steps', place.words, f'{steps} of {most}', steps <= _MOST_STEPS * most)
