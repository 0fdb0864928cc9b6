# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the comparison found: plain data in one JSON file, and the figures that follow from it.

An episode is one character, in the order of the seeds:

    S   success: completed in a desired mode, and safe
    W   completed, in an undesired mode or between modes, and safe
    U   completed and unsafe
    F   not completed, and safe
    u   not completed, and unsafe
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uncloning_plan import LATENCY, SCHEDULES, TUNING, UNTUNED, Cell, Schedule, seeds_of, tries

from uncloning_ros.audit.audited import BETWEEN_MODES
from uncloning_ros.audit.figures.commitment import Course, commitment
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_whole
from uncloning_ros.judging.episode import EpisodeResult

SCHEMA = 'uncloning/benchmarks@1'

Record = Mapping[str, Any]

# Which characters have a property.
RATES = {'tcr': 'SWU', 'sr': 'S', 'umr': 'Uu'}


def empty(schedule: Schedule) -> dict[str, Any]:
    """Return the results of nothing."""
    return {'schema': SCHEMA, 'schedule': schedule.name, 'cells': [], 'attempts': []}


def load(path: Path, schedule: Schedule) -> dict[str, Any]:
    """Read the results; those of nothing if there is no file. Refuse what is something else."""
    if not path.exists():
        return empty(schedule)
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as err:
        raise UncloningError(f'{path} is not valid JSON ({err}); restore it, or move it away to '
                             f'begin anew') from err
    said = (found.get('schema'), found.get('schedule')) if isinstance(found, dict) else None
    if said != (SCHEMA, schedule.name):
        raise UncloningError(f'{path}: expected results of {(SCHEMA, schedule.name)}, got {said}; '
                             f'move it away to begin anew')
    return found


def save(path: Path, results: Record) -> None:
    """Write the results, whole or not at all, one record in a line: fit for comparing versions."""
    def lines(records: Sequence[Record]) -> str:
        return ',\n'.join(json.dumps(record, allow_nan=False) for record in records)

    write_whole(path, (f'{{"schema": {json.dumps(results["schema"])},\n'
                       f'"schedule": {json.dumps(results["schedule"])},\n'
                       f'"cells": [\n{lines(results["cells"])}\n],\n'
                       f'"attempts": [\n{lines(results["attempts"])}\n]}}\n').encode())


def schedule_of(results: Record) -> Schedule:
    """Return the schedule that the results were made by."""
    return SCHEDULES[results['schedule']]


def outcome_of(result: EpisodeResult) -> str:
    """Return the character of an episode."""
    outcome = result.outcome
    if outcome.unsafe is not None:
        return 'U' if outcome.completed else 'u'
    if outcome.success:
        return 'S'
    return 'W' if outcome.completed else 'F'


def judged(results: Sequence[EpisodeResult], desired_modes: Sequence[str]) -> dict[str, Any]:
    """Return what a record tells of its episodes."""
    outcomes = [result.outcome for result in results]
    found = commitment([Course(o.committed, o.taken_s is not None, o.mode) for o in outcomes],
                       desired_modes)
    return {
        'first_seed': results[0].seed,
        'outcomes': ''.join(map(outcome_of, results)),
        'modes': dict(sorted(Counter(o.mode or BETWEEN_MODES for o in outcomes
                                     if o.completed).items())),
        'failures': dict(sorted(Counter(o.failure for o in outcomes if o.failure).items())),
        'unsafe': dict(sorted(Counter(f'{o.unsafe.clause} {o.unsafe.part}' for o in outcomes
                                      if o.unsafe).items())),
        'committed': found.committed, 'bridges': found.bridges,
    }


def identity(cell: Cell) -> dict[str, Any]:
    """Return the fields of a record that say which cell it is of."""
    return asdict(cell)


def cell_of(record: Record) -> Cell:
    """Return the cell that a record is of."""
    return Cell(*(record[field] for field in ('scenario', 'desired', 'seed', 'method', 'attempt')))


def find(results: Record, cell: Cell) -> Record | None:
    """Return the newest record of a cell or try, None if it was not run."""
    part = 'cells' if cell.attempt is None else 'attempts'
    return next((record for record in reversed(results[part])
                 if cell_of(record) == cell and not record.get('superseded')), None)


def is_done(results: Record, cell: Cell, schedule: Schedule, scenario_sha256: str) -> bool:
    """Tell whether a cell needs not be made.

    It is there with all its episodes, or failed, for this very scenario and with the setting that
    is the best by now.
    """
    record = find(results, cell)
    if (record is None or record['scenario_sha256'] != scenario_sha256
            or has_old_setting(results, cell, schedule)):
        return False
    if record['status'] == 'failed' or cell.method == LATENCY:
        return True
    seeds = seeds_of(cell, schedule)
    return (record['first_seed'], len(record['outcomes'])) == (seeds.start, len(seeds))


def has_old_setting(results: Record, cell: Cell, schedule: Schedule) -> bool:
    """Tell whether a cell was made with a setting that is not the best one of its method."""
    record = find(results, cell)
    if (record is None or record['status'] != 'done' or cell.attempt is not None
            or cell.method not in TUNING or not tuning_is_over(results, cell.method, schedule)):
        return False
    return dict(record['settings']) != dict(best_setting(results, cell.method, schedule))


def add(results: dict[str, Any], record: Record) -> None:
    """Keep a record; one of the same cell that was there stays as a superseded attempt.

    A failed one is an attempt too, and stays one when a later one succeeds; it takes the place of
    none that was done.
    """
    old = find(results, cell_of(record))
    if record['status'] == 'failed' and old is not None and old['status'] == 'done':
        results['attempts'].append({**record, 'superseded': 'the one before it stands'})
        return
    supersede(results, cell_of(record), 'a later one took its place')
    part = 'cells' if record['attempt'] is None else 'attempts'
    results[part].append(dict(record))


def supersede(results: dict[str, Any], cell: Cell, why: str) -> None:
    """Keep the record of a cell, if there is one, as an attempt that no longer counts."""
    old = find(results, cell)
    if old is None:
        return
    results['cells'] = [record for record in results['cells'] if record is not old]
    results['attempts'] = [record for record in results['attempts'] if record is not old]
    results['attempts'].append({**old, 'superseded': why})


def count(record: Record, rate: str) -> int:
    """Return how many episodes of a record have a property of `RATES`."""
    return sum(record['outcomes'].count(kind) for kind in RATES[rate])


def flags(record: Record, rate: str) -> list[bool]:
    """Return for each episode whether it has a property of `RATES`."""
    return [kind in RATES[rate] for kind in record['outcomes']]


def judged_again(results: Record) -> list[str]:
    """Return the keys of cells that were judged, made anew, and judged on the same episodes."""
    again = dict[str, None]()
    for record in results['attempts']:
        if record.get('superseded') and record['attempt'] is None:
            now, first_seed = find(results, cell_of(record)), record.get('first_seed')
            if now is None or first_seed is None or now.get('first_seed') != first_seed:
                continue
            # The same file, judged on more episodes, was not chosen by the first of them.
            if now['model_sha256'] != record['model_sha256']:
                again[cell_of(record).key] = None
    return list(again)


def tuning_is_over(results: Record, method: str, schedule: Schedule) -> bool:
    """Tell whether every setting of a method was tried."""
    return all(find(results, cell) is not None for cell in tries(schedule)
               if cell.method == method)


def best_setting(results: Record, method: str, schedule: Schedule) -> Mapping[str, float]:
    """Return the setting of a method that did best on development episodes.

    By SR; of equals the one with the lower UMR, then the first.
    """
    if method not in TUNING:
        return UNTUNED.get(method, {})
    found = [record for cell in tries(schedule) if cell.method == method
             and (record := find(results, cell)) is not None and record['status'] == 'done']
    if not found:
        raise UncloningError(f'no setting of {method} could be tried, so there is none to use; '
                             f'see why in the attempts')
    best = max(found, key=lambda record: (count(record, 'sr'), -count(record, 'umr'),
                                          -record['attempt']))
    return dict(best['settings'])
