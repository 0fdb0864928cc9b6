# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make and judge one case in a process of its own; complete files in the folder are used again.

  python -m outside.workshop push_t/keep_left/0/uncloned --work DIR --data FILE --out record.json
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from comparison.arguments import add_case, case_of, take_signals
from comparison.plan import Case
from comparison.processes import locked, run_command
from comparison.workshop import finished, learned, write_record

from outside.demonstrations import make
from outside.plan import FULL, METHODS, SCHEDULES, Schedule, first_seed, place_of, plan
from outside.records import rolled
from outside.rolling import Roll, roll
from outside.task import Task
from outside.tasks import TASKS
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json, write_json
from uncloning_ros.learning import checkpoint
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain, read


def main() -> int:
    """Make one case and write its record; return 0, or 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog='python -m outside.workshop', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_case(parser, 'task/place/seed/method', SCHEDULES, FULL.name)
    parser.add_argument('--data', type=Path, help="file of the task's demonstrations")
    args = parser.parse_args()
    take_signals()
    schedule = SCHEDULES[args.schedule]
    case = case_of(parser, args.case, plan(schedule))
    shop = Workshop(args.work.absolute(), schedule, TASKS[case.scenario].open(args.data))
    return write_record(args.out, lambda: shop.record(case), lambda sentence: (
        finished(case, {}, shop.task.digest) | {'status': 'failed', 'sentence': sentence}))


class Workshop:
    """Makes demonstrations, policies and records of one task, each once, in `work`."""

    def __init__(self, work: Path, schedule: Schedule, task: Task) -> None:
        self.schedule, self.task = schedule, task
        # The demonstrations of each file have a folder of their own.
        self.root = work / f'{task.name}-{task.digest[:8]}'

    def record(self, case: Case) -> dict[str, Any]:
        """Make and judge a case; return its record."""
        run = self._run(case)
        model = run.with_name('model.onnx')
        with locked(model):
            if not model.exists():
                run_command(model, ['export', str(run), '--out', str(model)])
        rolls = {start: rolled(self._rolled(case, model, start, episodes))
                 for start, episodes in self.schedule.episodes[case.scenario].items()}
        return finished(case, {}, self.task.digest) | learned(run) | {
            'model_sha256': load_policy(model).sha256, 'rolls': rolls}

    def folder(self, case: Case) -> Path:
        """Return the folder of a case."""
        return self.root / case.kept / f's{case.seed}' / case.method

    def _data(self, case: Case) -> Path:
        place = place_of(case)
        out = self.root / f'demos_{place.data}'
        with locked(out):
            if not out.exists():
                make(self.task, out, dict([place.few] if place.few else []))
        return out / 'data'

    def _run(self, case: Case) -> Path:
        run, method = self.folder(case) / 'run', METHODS[case.method]
        if checkpoint.has_ended(run):
            return run
        place, data = place_of(case), self._data(case)
        mixed = (None if method.kind == 'train' else
                 self._run(replace(case, kept=place.data, method='mixed')))
        options = ['--seed', str(case.seed), '--threads', '1', *(
            option.format(kept=','.join(place.kept)) for option in method.options)]
        with locked(run):
            if checkpoint.has_ended(run):
                return run
            if mixed is None:
                more = (['--resume'] if run.exists() else
                        ['--steps', str(self.schedule.steps[case.scenario]), *options])
                run_command(run, ['train', str(data), '--out', str(run), *more], resumable=True)
            else:
                shutil.rmtree(run.with_name('run.partial'), ignore_errors=True)
                run_command(run, ['unclone', str(mixed), '--data', str(data), '--remove',
                                  ','.join(place.removed), '--out', str(run), *options,
                                  *self.schedule.edit_options])
        return run

    def _rolled(self, case: Case, model: Path, start: str, episodes: int) -> Roll:
        path, seed = self.folder(case) / f'{start}.json', first_seed(case)
        if path.exists():
            found = read(Roll, read_json(path, UncloningError), str(path), UncloningError)
            if (len(found.episodes), found.seed, found.model_sha256) == (
                    episodes, seed, load_policy(model).sha256):
                return found
        made = roll(self.task, model, episodes, seed, start == 'fixed')
        write_json(path, plain(made))
        return made


if __name__ == '__main__':
    raise SystemExit(main())
