# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turn rolls into records, and records into those of a place with its kept modes.

`rolls` of a record has for each start ('random', 'fixed') the first seed and three texts with one
character for each episode: its mode (a for the first of the task, b, ..., `.` for none), and
whether it was completed and unsafe (1 or 0). The other fields, and `outcomes` and `began` of a
record at a place, are those of `comparison.results`.
"""

import string
from collections.abc import Sequence
from typing import Any

from comparison.plan import Case
from comparison.results import Record, find

from outside.plan import SCHEDULES, Place, Schedule, plan
from outside.rolling import Roll
from outside.tasks import TASKS


def schedule_of(results: Record) -> Schedule:
    """Return the schedule of the results."""
    return SCHEDULES[results['schedule']]


def rolled(roll: Roll) -> dict[str, Any]:
    """Return the part of a record about one roll."""
    letters = {mode: string.ascii_letters[i] for i, mode in enumerate(TASKS[roll.task].modes)}
    return {'first_seed': roll.seed,
            'modes': ''.join(letters[one.mode] if one.mode else '.' for one in roll.episodes),
            'completed': ''.join(str(int(one.completed)) for one in roll.episodes),
            'unsafe': ''.join(str(int(one.unsafe)) for one in roll.episodes)}


def is_done(results: Record, case: Case, schedule: Schedule, digest: str) -> bool:
    """Tell whether a case failed, or has all its episodes, with these demonstrations."""
    record = find(results, case)
    if record is None or record['scenario_sha256'] != digest:
        return False
    return record['status'] == 'failed' or {
        start: len(part['modes']) for start, part in record['rolls'].items()
    } == dict(schedule.episodes[case.scenario])


def at_place(record: Record, place: Place, start: str) -> Record:
    """Return a record with the outcomes of one start, judged by the modes that a place keeps."""
    roll, modes = record['rolls'][start], TASKS[place.task].modes
    began = ['.' if letter == '.' else
             'k' if modes[string.ascii_letters.index(letter)] in place.kept else 'r'
             for letter in roll['modes']]
    outcomes = [('Uu' if unsafe == '1' else 'SF' if mode == 'k' else 'WF')[completed == '0']
                for mode, completed, unsafe
                in zip(began, roll['completed'], roll['unsafe'], strict=True)]
    return {**record, 'first_seed': roll['first_seed'], 'began': ''.join(began),
            'outcomes': ''.join(outcomes)}


def of_place(results: Record, place: Place, method: str, start: str) -> list[Record]:
    """Return the completed records of all training seeds, judged at a place."""
    found = (find(results, _case(place, seed, method)) for seed in schedule_of(results).seeds)
    return [at_place(record, place, start) for record in found
            if record is not None and record['status'] == 'done']


def absent(results: Record, place: Place, *methods: str) -> str:
    """Return why methods have no record: 'failed' if one of them failed, else 'not run'."""
    found = [find(results, _case(place, seed, method))
             for seed in schedule_of(results).seeds for method in methods]
    return ('failed' if any(record is not None and record['status'] == 'failed'
                            for record in found) else 'not run')


def open_cases(results: Record) -> Sequence[Case]:
    """Return the planned cases without a completed record."""
    return [case for case in plan(schedule_of(results))
            if (record := find(results, case)) is None or record['status'] != 'done']


def _case(place: Place, seed: int, method: str) -> Case:
    return Case(place.task, place.data if method == 'mixed' else place.name, seed, method)
