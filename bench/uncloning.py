#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare ways to be rid of a mode, and write docs/benchmarks.json, .md and .svg.

Everything from nothing: demonstrations, policies, edits, rivals, closed-loop episodes. It takes
very long; stopped with Ctrl-C, the same command goes on where it was. After each cell of the plan
the results are written anew. What is made on the way lies in runs/bench/.

  bench/uncloning.py
  bench/uncloning.py --only scenario=knife,desired=3 --only method=uncloned,desired=3
  bench/uncloning.py --list
  bench/uncloning.py --short      some minutes, into runs/bench-short/ alone
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncloning_page import picture, text
from uncloning_plan import (
    FULL,
    LATENCY,
    SHORT,
    TUNING,
    Cell,
    Schedule,
    matches,
    plan,
    tuned_methods,
)
from uncloning_results import (
    add,
    best_setting,
    count,
    find,
    has_old_setting,
    is_done,
    load,
    save,
    supersede,
    tuning_is_over,
)

from uncloning_ros.audit.wording import percent
from uncloning_ros.errors import UncloningError, counted, near_miss
from uncloning_ros.files import alone_in, write_whole
from uncloning_ros.scenario import find_scenario

_HERE = Path(__file__).resolve().parent
_REPOSITORY = _HERE.parent
_FIELDS = ('scenario', 'desired', 'seed', 'method')
_LOOK_S = 0.2  # how often the lanes are looked at
_STOPPED = 130


def main() -> int:
    """Make what is missing; return 0, 1 if something failed, 2 for bad input, 130 on Ctrl-C."""
    args = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(number, signal.default_int_handler)
    try:
        return _run(args)
    except UncloningError as err:
        print(f'uncloning: error: {err}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\nuncloning: stopped; the same command goes on', file=sys.stderr)
        return _STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--short', action='store_true',
                        help='a tiny schedule that only shows that everything works')
    parser.add_argument('--only', action='append', default=[], metavar='FIELD=VALUE[,...]',
                        help=f'make only these cells: values of {", ".join(_FIELDS)}; several '
                             f'values of a field, and several --only, are alternatives')
    parser.add_argument('--lanes', type=int, default=2, metavar='N',
                        help='cells that are made at once, one thread each '
                             '(default: %(default)s)')
    parser.add_argument('--list', action='store_true',
                        help='print the cells that are missing, and make none')
    parser.add_argument('--page', action='store_true',
                        help='write page and picture from the results, and make nothing')
    parser.add_argument('--again', metavar='WHY',
                        help='make the cells of --only anew; what is there of them stays as an '
                             'attempt, with these words')
    return parser


def _run(args: argparse.Namespace) -> int:
    schedule = SHORT if args.short else FULL
    work = _REPOSITORY / 'runs' / ('bench-short' if args.short else 'bench')
    docs = work if args.short else _REPOSITORY / 'docs'
    if args.lanes < 1:
        raise UncloningError(f'expected at least one lane, got {args.lanes}; give --lanes 1')
    cells = wanted_cells(plan(schedule), args.only)
    if args.again and not args.only:
        raise UncloningError('--again would throw everything away; say what with --only')
    if args.list or args.page:
        lanes = Lanes(work, docs, schedule, load(docs / 'benchmarks.json', schedule))
        if args.page:
            lanes.write()
        else:
            print('\n'.join(cell.key for cell in lanes.missing(cells)))
        return 0
    work.mkdir(parents=True, exist_ok=True)
    with alone_in(work):
        _require_same_schedule(work / 'schedule.json', schedule)
        lanes = Lanes(work, docs, schedule, load(docs / 'benchmarks.json', schedule))
        if args.again:
            lanes.begin_anew(cells, args.again)
        lanes.write()
        missing = lanes.missing(cells)
        print(f'{counted(len(missing), "cell")} of {len(cells)} to make in {work}', flush=True)
        return lanes.make(missing, args.lanes)


def wanted_cells(cells: list[Cell], only: list[str]) -> list[Cell]:
    """Return the cells that any of the filters lets through, all of them without a filter."""
    if not only:
        return cells
    filters = [_filter_of(text) for text in only]
    found = [cell for cell in cells if any(matches(cell, wanted) for wanted in filters)]
    if not found:
        raise UncloningError(f'--only {" --only ".join(only)} leaves no cell; see --list for '
                             f'what there is')
    return found


def _filter_of(text: str) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = defaultdict(set)
    for part in text.split(','):
        field, _, value = part.partition('=')
        if field not in _FIELDS or not value:
            raise UncloningError(f'--only: expected FIELD=VALUE, got {part!r}'
                                 f'{near_miss(field, _FIELDS)}')
        wanted[field].add(value)
    return wanted


def _require_same_schedule(path: Path, schedule: Schedule) -> None:
    """Refuse to mix demonstrations and runs of another schedule into what is there."""
    ours = {'undesired': schedule.undesired, 'desired': max(schedule.counts),
            'demonstrations': dict(schedule.demonstrations), 'steps_all': schedule.steps_all,
            'steps_scarce': schedule.steps_scarce}
    if not path.exists():
        write_whole(path, json.dumps(ours).encode())
    theirs = json.loads(path.read_text(encoding='utf-8'))
    if theirs != ours:
        key = next(key for key in ours if theirs.get(key) != ours[key])
        raise UncloningError(f'{path.parent} was made with {key} {theirs.get(key)}, expected '
                             f'{ours[key]}; move it away to begin anew')


@dataclass
class _Lane:
    cell: Cell
    process: subprocess.Popen[bytes]
    out: Path
    log: Path


class Lanes:
    """Makes cells, several at once, and writes the results after each."""

    def __init__(self, work: Path, docs: Path, schedule: Schedule,
                 results: dict[str, Any]) -> None:
        self.work, self.docs, self.schedule, self.results = work, docs, schedule, results
        self._sha256 = {name: find_scenario(name).sha256
                        for name in (*schedule.headline, *schedule.others)}

    def missing(self, cells: list[Cell]) -> list[Cell]:
        """Return the cells that are not done."""
        return [cell for cell in cells if not is_done(self.results, cell, self.schedule,
                                                      self._sha256[cell.scenario])]

    def make(self, missing: list[Cell], count_of_lanes: int) -> int:
        """Make cells in their order; return 0, or 1 if one failed or could not be begun."""
        waiting, lanes, failed = list(missing), list[_Lane](), 0
        try:
            while waiting or lanes:
                while len(lanes) < count_of_lanes and (cell := self._next(waiting)):
                    waiting.remove(cell)
                    if has_old_setting(self.results, cell, self.schedule):
                        self.begin_anew([cell], 'another setting came out best since')
                    lanes.append(self._begin(cell))
                if not lanes:
                    print(f'{counted(len(waiting), "cell")} left that need a tuning which is not '
                          f'done, the first {waiting[0].key}; make the tries of its method')
                    return 1
                for lane in [lane for lane in lanes if lane.process.poll() is not None]:
                    lanes.remove(lane)
                    failed += self._end(lane, len(waiting) + len(lanes))
                time.sleep(_LOOK_S)
        finally:
            _stop(lanes)
        return 1 if failed else 0

    def begin_anew(self, cells: list[Cell], why: str) -> None:
        """Set aside what is there of these cells; the records stay as attempts."""
        for cell in cells:
            supersede(self.results, cell, why)
            name = cell.method if cell.attempt is None else f'{cell.method}.{cell.attempt}'
            scenario = f'{cell.scenario}-{self._sha256[cell.scenario][:8]}'
            folder = self.work / scenario / cell.desired / f's{cell.seed}' / name
            if folder.exists():
                numbers = (n for n in range(1, 10_000)
                           if not folder.with_name(f'{name}.old{n}').exists())
                folder.rename(folder.with_name(f'{name}.old{next(numbers)}'))

    def write(self) -> None:
        """Write the results, the page and the picture."""
        save(self.docs / 'benchmarks.json', self.results)
        write_whole(self.docs / 'benchmarks.svg', picture(self.results).encode())
        write_whole(self.docs / 'benchmarks.md', text(self.results).encode())

    def _next(self, waiting: list[Cell]) -> Cell | None:
        """Return the first cell whose settings are known."""
        return next((cell for cell in waiting if all(
            tuning_is_over(self.results, method, self.schedule)
            for method in tuned_methods(cell))), None)

    def _begin(self, cell: Cell) -> _Lane:
        name = cell.key.replace('/', '-')
        out, log = (self.work / 'records' / f'{name}.{kind}' for kind in ('json', 'log'))
        log.parent.mkdir(exist_ok=True)
        out.unlink(missing_ok=True)
        command = [sys.executable, str(_HERE / 'uncloning_cells.py'), cell.key, '--work',
                   str(self.work), '--out', str(out), '--settings',
                   json.dumps(self._settings(cell)), *(['--short'] * (self.schedule is SHORT))]
        alone = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'), '1')
        with log.open('ab') as told:
            # A group of its own, so that Ctrl-C reaches each process once.
            process = subprocess.Popen(command, stdout=told, stderr=told, env=os.environ | alone,
                                       start_new_session=True)
        print(f'begins  {cell.key}', flush=True)
        return _Lane(cell, process, out, log)

    def _settings(self, cell: Cell) -> dict[str, Any]:
        found = {}
        for method in tuned_methods(cell):
            with contextlib.suppress(UncloningError):  # the cell tells what it lacks
                found[method] = dict(best_setting(self.results, method, self.schedule))
        return found

    def _end(self, lane: _Lane, left: int) -> bool:
        """Keep what a process found; return whether the cell failed."""
        if lane.process.returncode == _STOPPED:
            raise KeyboardInterrupt
        if lane.process.returncode or not lane.out.exists():
            # Nothing is known of it but that; the next run makes it again.
            print(f'LOST    {lane.cell.key}: its process ended with status '
                  f'{lane.process.returncode}; see {lane.log}', flush=True)
            return True
        add(self.results, json.loads(lane.out.read_text(encoding='utf-8')))
        lane.out.unlink()
        self.write()
        record = find(self.results, lane.cell)
        print(f'done    {lane.cell.key}: {_told(record)}; {counted(left, "cell")} left',
              flush=True)
        return record['status'] == 'failed'


def _told(record: dict[str, Any]) -> str:
    if record['status'] == 'failed':
        return f'FAILED: {record["sentence"]}'
    if record['method'] == LATENCY:
        return ', '.join(f'{ratio["name"]} {ratio["value"]:.2f}' for ratio in record['ratios'])
    n = len(record['outcomes'])
    rates = ', '.join(f'{rate.upper()} {percent(count(record, rate) / n)}'
                      for rate in ('tcr', 'sr', 'umr'))
    learning = record['learning']
    spent = '' if learning is None else f', learned in {learning["wall_s"]:.0f} s'
    tried = f' with {record["settings"]}' if record['method'] in TUNING else ''
    return f'{rates} of {counted(n, "episode")}{spent}{tried}'


def _stop(lanes: list[_Lane]) -> None:
    """End what is at work in good order, as Ctrl-C does, and wait for it."""
    for lane in lanes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(lane.process.pid, signal.SIGINT)
    for lane in lanes:
        lane.process.wait()


if __name__ == '__main__':
    raise SystemExit(main())
