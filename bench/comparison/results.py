# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read, write and update the results of the comparison: plain data in one JSON file.

`cells` has one record for each case, `attempts` the trials, failures and superseded records. One
character stands for each episode, in the order of the seeds:

    S   success: completed in a kept mode, and safe
    W   completed in a removed mode or between modes, and safe
    U   completed and unsafe
    F   not completed, and safe
    u   not completed, and unsafe

`began` has one character for each episode too, about the modes that the robot committed itself to
first: k for kept ones, r for removed ones, `.` for none of them. Records of earlier versions lack
it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from comparison.plan import (
    MEASURED,
    SCHEDULES,
    TUNING,
    UNTUNED,
    Case,
    Schedule,
    seeds_of,
    trials,
)
from uncloning_ros.audit.audited import BETWEEN_MODES
from uncloning_ros.audit.figures.commitment import commitment, is_wrong_start
from uncloning_ros.audit.figures.intent import said_and_done
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_whole
from uncloning_ros.judging.episode import EpisodeResult

SCHEMA = 'uncloning/benchmarks@1'

Record = Mapping[str, Any]

# Fields of a case and their keys in a record.
_KEYS = {'scenario': 'scenario', 'kept': 'desired', 'seed': 'seed', 'method': 'method',
         'trial': 'attempt'}

# Characters of the episodes that each rate counts.
RATES = {'tcr': 'SWU', 'sr': 'S', 'umr': 'Uu'}


class Named(Protocol):
    """A schedule, of this comparison or of another one."""

    @property
    def name(self) -> str:
        """Return the name that its results carry."""
        ...


def empty(schedule: Named) -> dict[str, Any]:
    """Return results without records."""
    return {'schema': SCHEMA, 'schedule': schedule.name, 'cells': [], 'attempts': []}


def load(path: Path, schedule: Named) -> dict[str, Any]:
    """Read the results, or return empty ones without a file; raise `UncloningError` for others."""
    if not path.exists():
        return empty(schedule)
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as err:
        raise UncloningError(f'{path} is not valid JSON ({err}); restore it, or move it away to '
                             f'start again') from err
    got = (found.get('schema'), found.get('schedule')) if isinstance(found, dict) else None
    if got != (SCHEMA, schedule.name):
        raise UncloningError(f'{path}: expected results of {(SCHEMA, schedule.name)}, got {got}; '
                             f'move it away to start again')
    return found


def save(path: Path, results: Record) -> None:
    """Write the results, whole or not at all, one record in each line so that diffs are short."""
    def lines(records: Sequence[Record]) -> str:
        return ',\n'.join(json.dumps(record, allow_nan=False) for record in records)

    write_whole(path, (f'{{"schema": {json.dumps(results["schema"])},\n'
                       f'"schedule": {json.dumps(results["schedule"])},\n'
                       f'"cells": [\n{lines(results["cells"])}\n],\n'
                       f'"attempts": [\n{lines(results["attempts"])}\n]}}\n').encode())


def schedule_of(results: Record) -> Schedule:
    """Return the schedule of the results."""
    return SCHEDULES[results['schedule']]


def outcome_of(result: EpisodeResult) -> str:
    """Return the character of an episode."""
    outcome = result.outcome
    if outcome.unsafe is not None:
        return 'U' if outcome.completed else 'u'
    if outcome.success:
        return 'S'
    return 'W' if outcome.completed else 'F'


def began_of(result: EpisodeResult, kept_modes: Sequence[str]) -> str:
    """Return the character of an episode's first commitment, else of the mode it ended in."""
    outcome = result.outcome
    if outcome.committed:
        return 'r' if is_wrong_start(outcome, kept_modes) else 'k'
    if outcome.mode is None:
        return '.'
    return 'k' if outcome.mode in kept_modes else 'r'


def judged(results: Sequence[EpisodeResult], kept_modes: Sequence[str]) -> dict[str, Any]:
    """Return the part of a record that its episodes determine."""
    outcomes = [result.outcome for result in results]
    found, said = commitment(outcomes, kept_modes), said_and_done(results, ())
    return {
        'first_seed': results[0].seed,
        'outcomes': ''.join(map(outcome_of, results)),
        'began': ''.join(began_of(result, kept_modes) for result in results),
        'modes': dict(sorted(Counter(o.mode or BETWEEN_MODES for o in outcomes
                                     if o.completed).items())),
        'failures': dict(sorted(Counter(o.failure for o in outcomes if o.failure).items())),
        'unsafe': dict(sorted(Counter(f'{o.unsafe.clause} {o.unsafe.part}' for o in outcomes
                                      if o.unsafe).items())),
        'committed': found.committed, 'bridges': found.bridges,
    } | ({} if said is None else {'said': {
        'completed': said.completed, 'agreed': said.agreed, 'unread': said.unread,
        'least_read_s': None if said.read_s is None else said.read_s.least,
        **{name: None if found is None else found.median for name, found in (
            ('median_read_s', said.read_s), ('median_apart_m', said.grasp_apart_m))}}})


def identity(case: Case) -> dict[str, Any]:
    """Return the part of a record that identifies its case."""
    return {key: getattr(case, field) for field, key in _KEYS.items()}


def case_of(record: Record) -> Case:
    """Return the case of a record."""
    return Case(**{field: record[key] for field, key in _KEYS.items()})


def find(results: Record, case: Case) -> Record | None:
    """Return the newest record of a case, None if it was not run."""
    part = 'cells' if case.trial is None else 'attempts'
    return next((record for record in reversed(results[part])
                 if case_of(record) == case and not record.get('superseded')), None)


def is_done(results: Record, case: Case, schedule: Schedule, scenario_sha256: str) -> bool:
    """Tell whether a case is complete.

    It has all its episodes, or failed, in this version of the scenario and with the setting that
    is the best one now.
    """
    record = find(results, case)
    if (record is None or record['scenario_sha256'] != scenario_sha256
            or has_old_setting(results, case, schedule)):
        return False
    if record['status'] == 'failed' or case.method in MEASURED:
        return True
    seeds = seeds_of(case, schedule)
    return (record['first_seed'], len(record['outcomes'])) == (seeds.start, len(seeds))


def has_old_setting(results: Record, case: Case, schedule: Schedule) -> bool:
    """Tell whether a case was made with a setting other than the best one of its method."""
    record = find(results, case)
    if (record is None or record['status'] != 'done' or case.trial is not None
            or case.method not in TUNING or not tuning_is_over(results, case.method, schedule)):
        return False
    return dict(record['settings']) != dict(best_setting(results, case.method, schedule))


def add(results: dict[str, Any], record: Record) -> None:
    """Add a record; an earlier record of the same case becomes a superseded attempt.

    A failure never replaces a completed record: it becomes a superseded attempt itself.
    """
    old = find(results, case_of(record))
    if record['status'] == 'failed' and old is not None and old['status'] == 'done':
        results['attempts'].append({**record, 'superseded': 'the earlier record stands'})
        return
    supersede(results, case_of(record), 'a later record replaced it')
    part = 'cells' if record['attempt'] is None else 'attempts'
    results[part].append(dict(record))


def supersede(results: dict[str, Any], case: Case, why: str) -> None:
    """Turn the record of a case, if there is one, into a superseded attempt."""
    old = find(results, case)
    if old is None:
        return
    results['cells'] = [record for record in results['cells'] if record is not old]
    results['attempts'] = [record for record in results['attempts'] if record is not old]
    results['attempts'].append({**old, 'superseded': why})


def count(record: Record, rate: str) -> int:
    """Return the number of a record's episodes that a rate of `RATES` counts."""
    return sum(flags(record, rate))


def flags(record: Record, rate: str) -> list[bool]:
    """Return for each episode whether a rate of `RATES` counts it."""
    return [kind in RATES[rate] for kind in record['outcomes']]


def removed(record: Record) -> int:
    """Return the number of a record's episodes that began in a removed mode."""
    return int(record['began'].count('r'))


def otherwise_unsafe(record: Record) -> int:
    """Return the number of unsafe episodes that did not begin in a removed mode."""
    return sum(unsafe and began != 'r' for unsafe, began in zip(
        flags(record, 'umr'), record['began'], strict=True))


def judged_again(results: Record) -> list[str]:
    """Return the keys of cases that were judged, changed, and judged on the same episodes."""
    again = dict[str, None]()
    for record in results['attempts']:
        if record.get('superseded') and record['attempt'] is None:
            now, first_seed = find(results, case_of(record)), record.get('first_seed')
            if now is None or first_seed is None or now.get('first_seed') != first_seed:
                continue
            # More episodes of the same file are no second look: nothing was changed by the first.
            if now['model_sha256'] != record['model_sha256']:
                again[case_of(record).key] = None
    return list(again)


def tuning_is_over(results: Record, method: str, schedule: Schedule) -> bool:
    """Tell whether all trials of a method have records."""
    return all(find(results, case) is not None for case in trials(schedule)
               if case.method == method)


def best_setting(results: Record, method: str, schedule: Schedule) -> Mapping[str, float]:
    """Return the setting of a method with the highest SR on development episodes.

    Ties go to the lower UMR, then to the first setting. Raise `UncloningError` where all failed.
    """
    if method not in TUNING:
        return UNTUNED.get(method, {})
    found = [record for case in trials(schedule) if case.method == method
             and (record := find(results, case)) is not None and record['status'] == 'done']
    if not found:
        raise UncloningError(f'all trials of {method} failed, so it has no setting; the attempts '
                             f'tell why')
    best = max(found, key=lambda record: (count(record, 'sr'), -count(record, 'umr'),
                                          -record['attempt']))
    return dict(best['settings'])
