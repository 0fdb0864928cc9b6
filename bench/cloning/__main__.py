# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the classes of policies, and fill the tables of docs/cloning.md.

Each case is made from nothing: demonstrations, policy, evaluation, closed-loop episodes. Ctrl-C
stops the comparison and the same command continues it: intermediate files lie in runs/cloning/,
and results and page are written after each case. Run it in bench/:

  python -m cloning
  python -m cloning --only scenario=knife,kept=all
  python -m cloning --list
  python -m cloning --short      about 15 minutes, in runs/cloning-short/ alone
"""

import argparse
import sys
from typing import Any

from comparison.arguments import add_cases, run, wanted_cases
from comparison.plan import LATENCY, Case
from comparison.processes import BENCH, Pool
from comparison.results import Record, add, find, load, save

from cloning.page import drawing, with_tables
from cloning.picture import PICTURE
from cloning.plan import FULL, SHORT, Schedule, episodes_of, is_edit, plan
from uncloning_ros.audit.wording import percent
from uncloning_ros.errors import counted
from uncloning_ros.files import alone_in, write_whole
from uncloning_ros.scenario import find_scenario

_REPOSITORY = BENCH.parent


def main() -> int:
    """Make the missing cases; return 0, 1 if one failed, 2 for bad input, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog='python -m cloning', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--short', action='store_true',
                        help='a tiny schedule that only checks that everything runs')
    add_cases(parser)
    args = parser.parse_args()
    return run('cloning', lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    schedule = SHORT if args.short else FULL
    work = _REPOSITORY / 'runs' / schedule.name
    results_file = (work if schedule.is_short else _REPOSITORY / 'docs') / schedule.results
    cases = wanted_cases(plan(schedule), args.only)
    results = load(results_file, schedule)
    missing = [case for case in cases if not is_done(results, case, schedule)]
    if args.list:
        print('\n'.join(case.key for case in missing))
        return 0
    work.mkdir(parents=True, exist_ok=True)

    def write() -> None:
        save(results_file, results)
        page = (_REPOSITORY / 'docs' / 'cloning.md').read_text(encoding='utf-8')
        write_whole(results_file.with_name('cloning.md'), with_tables(page, results).encode())
        write_whole(results_file.with_name(PICTURE), drawing(results).encode())

    with alone_in(work):
        write()
        if args.page:
            return 0
        print(f'{counted(len(missing), "case")} of {len(cases)} to make in {work}', flush=True)
        waiting, left = list(missing), len(missing)

        def take() -> tuple[Case, list[str]] | None:
            return (case := waiting.pop(0), [
                sys.executable, '-m', 'cloning.workshop', case.key, '--work', str(work),
                '--schedule', schedule.name]) if waiting else None

        def done(case: Case, record: dict[str, Any]) -> bool:
            nonlocal left
            left -= 1
            add(results, record)
            write()
            print(f'done    {case.key}: {_summary(record)}; {counted(left, "case")} left',
                  flush=True)
            return bool(record['status'] == 'failed')

        return 1 if Pool(work / 'records', args.workers, take, done).run() else 0


def is_done(results: Record, case: Case, schedule: Schedule) -> bool:
    """Tell whether a case failed or has all its episodes, in this version of the scenario."""
    record = find(results, case)
    if record is None or record['scenario_sha256'] != find_scenario(case.scenario).sha256:
        return False
    if record['status'] == 'failed' or case.method == LATENCY:
        return True
    others = not is_edit(case) and record['steps'] != schedule.steps
    wanted = episodes_of(case, schedule)
    return not others and record.get('audit', {}).get('episodes', wanted) == wanted


def _summary(record: Record) -> str:
    if record['status'] == 'failed':
        return f'FAILED: {record["sentence"]}'
    if 'audit' not in record:
        return 'measured'
    return ', '.join(f'{rate.upper()} {percent(record["audit"][rate])}'
                     for rate in ('tcr', 'sr', 'umr'))


if __name__ == '__main__':
    raise SystemExit(main())
