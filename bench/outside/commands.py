# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare methods that remove a mode on tasks of others, and on one 2-D task with 24 modes.

docs/outside.md describes the tasks push_t, push_wall and routes, and the files of their data.
Make bags, contract, labels and data set of a task; roll an exported policy; run the comparison:

  python -m bench.outside make push_t --data pusht.npz --out push_t
  python -m bench.outside roll push_t policy.onnx --episodes 200 --fixed --json roll.json
  python -m bench.outside run runs/outside --data push_t=pusht.npz --data push_wall=paths.json

Ctrl-C stops a comparison and the same command continues it: its files lie in its folder, and
results and page in docs/ are written after each case.
"""

import argparse
from collections import Counter
from pathlib import Path

from comparison.arguments import add_cases, run, wanted_cases

from outside.demonstrations import make
from outside.plan import FULL, SHORT, plan
from outside.rolling import roll
from outside.running import Comparison
from outside.tasks import TASKS
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli.arguments import count, seed
from uncloning_ros.errors import UncloningError, counted, near_miss
from uncloning_ros.files import alone_in, require_new, write_json
from uncloning_ros.schema import plain


def main() -> int:
    """Run a command; return 0, 1 if a case failed, 2 for bad input, 130 on Ctrl-C."""
    args = _parser().parse_args()
    return run('outside', lambda: {'make': _make, 'roll': _roll, 'run': _run}[args.command](args))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m bench.outside', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)

    one = commands.add_parser('make', help='make bags, contract, labels and data set of a task')
    one.add_argument('task', choices=TASKS)
    one.add_argument('--data', type=Path, metavar='FILE', help='file of the demonstrations')
    one.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to make')
    one.add_argument('--few', type=_few, action='append', default=[], metavar='MODE=N',
                     help='make only the first N demonstrations of a mode')

    one = commands.add_parser('roll', help='roll an exported policy in closed loop')
    one.add_argument('task', choices=TASKS)
    one.add_argument('model', type=Path, metavar='FILE', help='exported policy')
    one.add_argument('--data', type=Path, metavar='FILE',
                     help='file of the demonstrations, whose starts push_wall needs')
    one.add_argument('--episodes', type=count(), default=100, metavar='N',
                     help='number of episodes (default: %(default)s)')
    one.add_argument('--fixed', action='store_true', help='begin all of them at one start state')
    one.add_argument('--seed', type=seed, metavar='N',
                     help='seed of starts and noise (default: one for each task)')
    one.add_argument('--json', type=Path, metavar='OUT', help='file for the episodes')

    one = commands.add_parser('run', help='compare methods: docs/benchmarks/outside.md')
    one.add_argument('dir', type=Path, metavar='DIR', help='folder for all files')
    one.add_argument('--data', type=_file_of_task, action='append', default=[],
                     metavar='TASK=FILE', help='file of the demonstrations of a task; without '
                                               'it the cases of the task are left out')
    add_cases(one)
    one.add_argument('--short', action='store_true',
                     help='a tiny schedule that only checks that everything runs, with results '
                          'and page in DIR')
    one.add_argument('--again', metavar='WHY',
                     help='make the cases of --only again; their records become superseded '
                          'attempts with this reason')
    return parser


def _few(text: str) -> tuple[str, int]:
    mode, _, number = text.partition('=')
    return mode, count()(number)


def _file_of_task(text: str) -> tuple[str, Path]:
    task, _, file = text.partition('=')
    if task not in TASKS or not file:
        raise argparse.ArgumentTypeError(f'expected TASK=FILE, got {text!r}'
                                         f'{near_miss(task, TASKS)}')
    return task, Path(file)


def _make(args: argparse.Namespace) -> int:
    counts = make(TASKS[args.task].open(args.data), args.out, dict(args.few))
    for mode, number in counts.items():
        print(f'{mode:<12} {number:>4}')
    print(f'wrote {args.out}')
    return 0


def _roll(args: argparse.Namespace) -> int:
    known = TASKS[args.task]
    if args.data is not None and not known.rolls_need_data:
        raise UncloningError(f'the starts of {args.task} do not depend on --data {args.data}; '
                             f'leave it out')
    if args.json is not None:
        require_new(args.json)
    found = roll(known.open(args.data), args.model, args.episodes,
                 known.seed if args.seed is None else args.seed, args.fixed)
    if args.json is not None:
        write_json(args.json, plain(found))
    episodes = found.episodes
    for mode, number in Counter(one.mode or 'none' for one in episodes).most_common():
        done = sum(one.completed for one in episodes if (one.mode or 'none') == mode)
        print(f'{mode:<12} {number:>5}, completed {done:>5}')
    print(f'completed {percent(sum(one.completed for one in episodes) / len(episodes))}, unsafe '
          f'{sum(one.unsafe for one in episodes)} of {len(episodes)}')
    return 0


def _run(args: argparse.Namespace) -> int:
    schedule = SHORT if args.short else FULL
    cases = wanted_cases(plan(schedule), args.only)
    if args.again and not args.only:
        raise UncloningError('--again needs --only: it makes the named cases again')
    comparison = Comparison(args.dir, schedule, dict(args.data))
    if args.list:
        print('\n'.join(case.key for case in comparison.missing(cases)))
        return 0
    args.dir.mkdir(parents=True, exist_ok=True)
    with alone_in(args.dir):
        if args.again:
            comparison.start_again(cases, args.again)
        comparison.write()
        if args.page:
            return 0
        missing = comparison.missing(cases)
        print(f'{counted(len(missing), "case")} of {len(cases)} to make in {args.dir}',
              flush=True)
        return comparison.make(missing, args.workers)
