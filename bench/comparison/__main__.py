# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare methods that remove a mode, and write the results and the pages made from them.

Each case is made from nothing: demonstrations, policy, edit, closed-loop episodes. All cases take
days. Ctrl-C stops the comparison and the same command continues it: intermediate files lie in
runs/bench/, and results and pages are written after each case. Run it in bench/:

  python -m comparison
  python -m comparison --only scenario=knife,kept=3 --only method=uncloned,kept=3
  python -m comparison --list
  python -m comparison --short      some minutes, in runs/bench-short/ alone
  python -m comparison --cameras    policies that see, in runs/bench-cameras/, with
                                    docs/benchmarks_cameras.json and a page of their own
  python -m comparison --edit       the edit with incidents, few and wrong labels, and after
                                    attacks, in runs/bench-edit/, with files of its own too

At the end write docs/results.md and the table of README.md: make results
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from comparison.arguments import add_cases, run, wanted_cases
from comparison.camera_page import camera_pages
from comparison.edit_page import edit_pages
from comparison.page import pages
from comparison.plan import (
    FULL,
    MEASURED,
    SCHEDULES,
    TUNING,
    Case,
    Schedule,
    plan,
    tuned_methods,
)
from comparison.processes import BENCH, Pool
from comparison.results import (
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
from comparison.results_page import read_all_shipped, results_page, with_results
from uncloning_ros.audit.wording import percent
from uncloning_ros.errors import UncloningError, counted
from uncloning_ros.files import alone_in, write_whole
from uncloning_ros.scenario import find_scenario

_REPOSITORY = BENCH.parent


def main() -> int:
    """Make the missing cases; return 0, 1 if one failed, 2 for bad input, 130 on Ctrl-C."""
    args = _parser().parse_args()
    return run('comparison', lambda: _run(args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m comparison', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--short', action='store_true',
                        help='a tiny schedule that only checks that everything runs')
    parser.add_argument('--cameras', action='store_true',
                        help='the comparison of policies that see')
    parser.add_argument('--edit', action='store_true',
                        help='the edit with incidents, few and wrong labels, and after attacks')
    add_cases(parser, 'pages, without --cameras and --edit also docs/results.md and the table of '
                      'README.md,')
    parser.add_argument('--again', metavar='WHY',
                        help='make the cases of --only again; their records become superseded '
                             'attempts with this reason')
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.cameras and args.edit:
        raise UncloningError('expected --cameras or --edit, got both; run one after the other')
    named = ['cameras'] * args.cameras + ['edit'] * args.edit + ['short'] * args.short
    schedule = SCHEDULES['-'.join(named) or FULL.name]
    work = _REPOSITORY / 'runs' / '-'.join(['bench', *named])
    docs = work if schedule.is_short else _REPOSITORY / 'docs'
    cases = wanted_cases(plan(schedule), args.only)
    if args.again and not args.only:
        raise UncloningError('--again needs --only: it makes the named cases again')
    if args.list or args.page:
        comparison = Comparison(work, docs, schedule)
        if args.page:
            comparison.write()
            if schedule is FULL:
                comparison.write_results_page()
        else:
            print('\n'.join(case.key for case in comparison.missing(cases)))
        return 0
    work.mkdir(parents=True, exist_ok=True)
    with alone_in(work):
        _require_same_schedule(work / 'schedule.json', schedule)
        comparison = Comparison(work, docs, schedule)
        if args.again:
            comparison.start_again(cases, args.again)
        comparison.write()
        missing = comparison.missing(cases)
        print(f'{counted(len(missing), "case")} of {len(cases)} to make in {work}', flush=True)
        return comparison.make(missing, args.workers)


def _require_same_schedule(path: Path, schedule: Schedule) -> None:
    """Raise `UncloningError` where the folder holds files of another schedule."""
    ours = {'undesired': schedule.removed, 'desired': max(schedule.counts, default=0),
            'demonstrations': dict(schedule.demonstrations), 'steps_all': schedule.steps_all,
            'steps_scarce': schedule.steps_scarce}
    if not path.exists():
        write_whole(path, json.dumps(ours).encode())
    theirs = json.loads(path.read_text(encoding='utf-8'))
    if theirs != ours:
        key = next(key for key in ours if theirs.get(key) != ours[key])
        raise UncloningError(f'{path.parent}: expected {key} {ours[key]}, got '
                             f'{theirs.get(key)}; move it away to start again')


class Comparison:
    """The results so far, and the workers that add to them."""

    def __init__(self, work: Path, docs: Path, schedule: Schedule) -> None:
        self.work, self.docs, self.schedule = work, docs, schedule
        self.results = load(docs / schedule.results, schedule)
        self._sha256 = {name: find_scenario(name).sha256 for name in schedule.scenarios}

    def missing(self, cases: list[Case]) -> list[Case]:
        """Return the cases that are not complete."""
        return [case for case in cases if not is_done(self.results, case, self.schedule,
                                                      self._sha256[case.scenario])]

    def make(self, missing: list[Case], most_workers: int) -> int:
        """Make cases in their order; return 0, or 1 if one failed or could not start."""
        waiting, left = list(missing), len(missing)

        def take() -> tuple[Case, list[str]] | None:
            case = self._next(waiting)
            if case is None:
                return None
            waiting.remove(case)
            if has_old_setting(self.results, case, self.schedule):
                self.start_again([case], 'a different setting is the best one since')
            return case, self._command(case)

        def done(case: Case, record: dict[str, Any]) -> bool:
            nonlocal left
            left -= 1
            return self._add(case, record, left)

        failed = Pool(self.work / 'records', most_workers, take, done).run()
        if waiting:
            print(f'{counted(len(waiting), "case")} left that need a tuned setting, the '
                  f'first {waiting[0].key}; make the trials of its method')
        return 1 if failed or waiting else 0

    def start_again(self, cases: list[Case], why: str) -> None:
        """Set aside records and files of cases; the records become superseded attempts."""
        for case in cases:
            supersede(self.results, case, why)
            scenario = f'{case.scenario}-{self._sha256[case.scenario][:8]}'
            folder = self.work / scenario / case.kept / f's{case.seed}' / case.name
            if folder.exists():
                numbers = (n for n in range(1, 10_000)
                           if not folder.with_name(f'{case.name}.old{n}').exists())
                folder.rename(folder.with_name(f'{case.name}.old{next(numbers)}'))

    def write(self) -> None:
        """Write the results and all pages of the comparison."""
        save(self.docs / self.schedule.results, self.results)
        make = (camera_pages if self.schedule.methods else
                edit_pages if self.schedule.rows else pages)
        for path, text in make(self.results).items():
            (self.docs / path).parent.mkdir(exist_ok=True)
            write_whole(self.docs / path, text.encode())

    def write_results_page(self) -> None:
        """Write docs/results.md and the table of README.md."""
        shipped = read_all_shipped(_REPOSITORY, self.results)
        readme = _REPOSITORY / 'README.md'
        text = with_results(readme.read_text(encoding='utf-8'), self.results, shipped)
        write_whole(self.docs / 'results.md', results_page(self.results, shipped).encode())
        write_whole(readme, text.encode())

    def _next(self, waiting: list[Case]) -> Case | None:
        """Return the first case whose tuning is complete."""
        return next((case for case in waiting if all(
            tuning_is_over(self.results, method, self.schedule)
            for method in tuned_methods(case))), None)

    def _command(self, case: Case) -> list[str]:
        return [sys.executable, '-m', 'comparison.workshop', case.key, '--work', str(self.work),
                '--settings', json.dumps(self._settings(case)), '--schedule', self.schedule.name]

    def _settings(self, case: Case) -> dict[str, Any]:
        found = {}
        for method in tuned_methods(case):
            with contextlib.suppress(UncloningError):  # the case names the setting that it lacks
                found[method] = dict(best_setting(self.results, method, self.schedule))
        return found

    def _add(self, case: Case, record: dict[str, Any], left: int) -> bool:
        """Add the record of a case that ended; return whether the case failed."""
        add(self.results, record)
        self.write()
        newest = find(self.results, case)
        print(f'done    {case.key}: {_summary(newest)}; {counted(left, "case")} left', flush=True)
        return newest['status'] == 'failed'


def _summary(record: dict[str, Any]) -> str:
    if record['status'] == 'failed':
        return f'FAILED: {record["sentence"]}'
    if record['method'] in MEASURED:
        return ', '.join(f'{ratio["name"]} {ratio["value"]:.2f}'
                         for ratio in (*record['ratios'], *record.get('rendering', ())))
    n = len(record['outcomes'])
    rates = ', '.join(f'{rate.upper()} {percent(count(record, rate) / n)}'
                      for rate in ('tcr', 'sr', 'umr'))
    learning = record['learning']
    spent = '' if learning is None else f', learned in {learning["wall_s"]:.0f} s'
    tried = f' with {record["settings"]}' if record['method'] in TUNING else ''
    return f'{rates} of {counted(n, "episode")}{spent}{tried}'


if __name__ == '__main__':
    raise SystemExit(main())
