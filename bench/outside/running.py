# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the missing cases of a schedule, and write results and page after each of them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison.plan import Case
from comparison.processes import BENCH, Pool
from comparison.results import add, load, save, supersede

from outside.page import page
from outside.plan import Schedule
from outside.records import is_done
from outside.tasks import TASKS
from outside.workshop import Workshop
from uncloning_ros.audit.wording import percent
from uncloning_ros.errors import UncloningError, counted
from uncloning_ros.files import write_whole


class Comparison:
    """The results so far, and the workers that add to them.

    `data` has the files of tasks by name. Cases of a task that needs a file and has none are
    left out.
    """

    def __init__(self, work: Path, schedule: Schedule, data: Mapping[str, Path]) -> None:
        self.work, self.schedule, self.data = work.absolute(), schedule, data
        self.docs = self.work if schedule.is_short else BENCH.parent / 'docs'
        self.results = load(self.docs / schedule.results, schedule)
        self._shops = {name: Workshop(self.work, schedule, known.open(data.get(name)))
                       for name, known in TASKS.items() if name in data or not known.needs_data}

    def missing(self, cases: list[Case]) -> list[Case]:
        """Return the cases that can be made and are not complete."""
        return [case for case in cases if case.scenario in self._shops and not is_done(
            self.results, case, self.schedule, self._shops[case.scenario].task.digest)]

    def make(self, missing: list[Case], most_workers: int) -> int:
        """Make cases in their order; return 0, or 1 if one failed."""
        waiting, left = list(missing), len(missing)

        def take() -> tuple[Case, list[str]] | None:
            return (case := waiting.pop(0), self._command(case)) if waiting else None

        def done(case: Case, record: dict[str, Any]) -> bool:
            nonlocal left
            left -= 1
            add(self.results, record)
            self.write()
            print(f'done    {case.key}: {_summary(record)}; {counted(left, "case")} left',
                  flush=True)
            return bool(record['status'] == 'failed')

        return 1 if Pool(self.work / 'records', most_workers, take, done).run() else 0

    def start_again(self, cases: list[Case], why: str) -> None:
        """Set aside records and files of cases, of the mixed policy without its edits."""
        for case in cases:
            if case.scenario not in self._shops:
                raise UncloningError(f'{case.key} needs the data of its task; add --data '
                                     f'{case.scenario}=FILE')
            supersede(self.results, case, why)
            folder = self._shops[case.scenario].folder(case)
            if folder.exists():
                numbers = (n for n in range(1, 10_000)
                           if not folder.with_name(f'{case.method}.old{n}').exists())
                folder.rename(folder.with_name(f'{case.method}.old{next(numbers)}'))

    def write(self) -> None:
        """Write results and page."""
        save(self.docs / self.schedule.results, self.results)
        write_whole(self.docs / 'benchmarks' / 'outside.md', page(self.results).encode())

    def _command(self, case: Case) -> list[str]:
        file = self.data.get(case.scenario)
        return [sys.executable, '-m', 'outside.workshop', case.key, '--work', str(self.work),
                '--schedule', self.schedule.name,
                *(['--data', str(file.absolute())] if file else [])]


def _summary(record: Mapping[str, Any]) -> str:
    if record['status'] == 'failed':
        return f'FAILED: {record["sentence"]}'
    completed = (f'{percent(part["completed"].count("1") / len(part["completed"]))} from a '
                 f'{start} start' for start, part in record['rolls'].items())
    return f'completed {", ".join(completed)}'
