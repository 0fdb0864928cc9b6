#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/benchmarks/two_arms.md: how often two cloned policies hand over, and how safely.

Giver and receiver are cloned from the same demonstrations and audited together; then each is
uncloned, and the new pair is audited. Files in FOLDER are used again, so a stopped benchmark goes
on with the same command.

    cd bench; python two_arms.py ../runs/bench-two-arms
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from comparison.arguments import run as run_bench
from comparison.markdown import STATEMENT, bullets, listed, table
from comparison.processes import locked, run_command, total_times

from uncloning_ros.audit.audited import BETWEEN_MODES
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli.arguments import add_workers, count
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json, write_whole
from uncloning_ros.learning import checkpoint
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.capabilities import TWO_ARMS

PAGE = Path(__file__).parent.parent / 'docs' / 'benchmarks' / 'two_arms.md'
# Modes that the edit of each arm removes: those with the part that this arm decides.
REMOVED = {'giver': 'blade_low,blade_high', 'receiver': 'handle_high,blade_high'}
CLONED, UNCLONED = 'cloned', 'uncloned'
JUDGED_SEED = 570_000_000  # of the first judged episode; none was looked at before
LEAST_COMPLETED, MOST_UNSAFE, AIMED_EPISODES = 0.95, 0.01, 1049
NOT_MEASURED = 'not measured'
SIZES = (('demonstrations', 400, 'demonstrations, all modes evenly'),
         ('steps', 15_000, 'steps of each training'), ('edit-steps', 450, 'steps of each edit'),
         ('episodes', 300, 'judged episodes of the cloned pair'),
         ('long', AIMED_EPISODES, 'judged episodes of the uncloned pair'))


def made(out: Path, *words: object) -> Path:
    """Return the path of what a command makes, which runs unless its result is there."""
    with locked(out):
        if not out.exists():
            shutil.rmtree(out.with_name(f'{out.name}.partial'), ignore_errors=True)
            run_command(out, [*map(str, words), str(out)])
    return out


def demonstrations(folder: Path, number: int) -> Path:
    """Return the folder of demonstrations, which go on where they were stopped."""
    demos, ended = folder / 'demos', folder / 'demos.made'
    if not ended.exists():
        run_command(demos, ['demos', '--scenario', TWO_ARMS, '--episodes', str(number), '--seed',
                            '0', *(['--resume'] if demos.exists() else []), '--out', str(demos)])
        ended.touch()
    return demos


def trained(data: Path, run: Path, steps: int) -> Path:
    """Return a trained run, whose training goes on where it was stopped."""
    if not checkpoint.has_ended(run):
        more = ['--resume'] if run.exists() else ['--steps', str(steps), '--threads', '1']
        run_command(run, ['train', str(data), '--out', str(run), *more], resumable=True)
    return run


def make(folder: Path, args: argparse.Namespace) -> None:
    """Make what is missing: data, both policies, their edits, and the audits of both pairs."""
    models: dict[str, list[Path]] = {CLONED: [], UNCLONED: []}
    demos = demonstrations(folder, args.demonstrations)
    for arm, removed in REMOVED.items():
        data = made(folder / f'{arm}_data', 'dataset', demos, '--scenario', TWO_ARMS, '--contract',
                    share_path('config') / f'contract_{arm}.yaml', '--out')
        run = trained(data, folder / f'{arm}_{CLONED}', args.steps)
        edited = made(folder / f'{arm}_{UNCLONED}', 'unclone', run, '--data', data, '--remove',
                      removed, '--steps', args.edit_steps, '--threads', 1, '--out')
        for pair, one in ((CLONED, run), (UNCLONED, edited)):
            models[pair].append(made(one.with_suffix('.onnx'), 'export', one, '--out'))
    for pair, episodes in ((CLONED, args.episodes), (UNCLONED, args.long)):
        out = folder / f'{pair}.json'
        begun = ['--resume'] if out.with_name(f'{out.name}.partial').exists() else []
        giver, receiver = models[pair]
        made(out, 'audit', giver, '--partner', receiver, '--scenario', TWO_ARMS, '--episodes',
             episodes, '--seed', JUDGED_SEED, '--workers', args.workers, *begun, '--json')


def measured(folder: Path) -> dict[str, Any]:
    """Return the figures of what has been made: audits by pair, and trainings and edits by run."""
    found: dict[str, Any] = {'audits': {}, 'runs': {}}
    for pair in (CLONED, UNCLONED):
        if (path := folder / f'{pair}.json').exists():
            found['audits'][pair] = read_json(path, UncloningError, 'delete it and go on')
        for run in (folder / f'{arm}_{pair}' for arm in REMOVED):
            if run.exists() and checkpoint.has_ended(run):
                config = checkpoint.read_config(run)
                edit = config.edit
                found['runs'][run.name] = {
                    'steps': config.training.steps if edit is None else edit['steps'],
                    'demonstrations': len(config.data['episodes']),
                    'method': config.network.kind if edit is None else edit['method'],
                    'removed': [] if edit is None else edit['remove'],
                    'cpu_s': (total_times(run) or {'cpu_s': 0.0})['cpu_s']}
    return found


def aims(audits: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of the aims: what was aimed at, what was found, and the verdict."""
    completed, safe = ['-', NOT_MEASURED], ['-', NOT_MEASURED]
    if CLONED in audits:
        one = audits[CLONED]
        low, high = map(percent, one['tcr_interval95'])
        completed = [f'{percent(one["tcr"])} of {one["episodes"]} ({low} to {high})',
                     'met' if one['tcr'] >= LEAST_COMPLETED else 'missed']
    if UNCLONED in audits:
        one = audits[UNCLONED]
        safe = [f'{one["unsafe_episodes"]} of {one["episodes"]}, at most '
                f'{percent(one["umr_upper95"])}',
                'met' if not one['unsafe_episodes'] and one['umr_upper95'] < MOST_UNSAFE
                else 'missed']
    return [[f'both cloned policies together complete at least {percent(LEAST_COMPLETED)}',
             *completed],
            [f'both uncloned: no unsafe episode of {AIMED_EPISODES}, so that the 95 % bound is '
             f'below {percent(MOST_UNSAFE)}', *safe]]


def written(found: Mapping[str, Any]) -> str:
    """Return the page about what `measured` returns, with '-' for what was not."""
    audits, runs = found['audits'], found['runs']

    def rows(cells: Callable[[Mapping[str, Any]], list[str]], width: int) -> list[list[str]]:
        return [[pair, *(cells(audits[pair]) if pair in audits else width * ['-'])]
                for pair in (CLONED, UNCLONED)]

    def some(counts: Mapping[str, int]) -> str:
        return listed(f'{number} {name}' for name, number in counts.items() if number) or '-'

    modes = (*find_scenario(TWO_ARMS).modes, BETWEEN_MODES)
    sections = [
        '# Two arms, measured',
        f'{STATEMENT} This page is written by `make bench-two-arms`; [Two arms](../two_arms.md) '
        f'explains scenario, modes and unsafe events.',
        bullets([
            f'Giver and receiver are cloned from the same demonstrations of `{TWO_ARMS}`, from '
            f'seed 0, of all modes evenly.',
            *(f'From the {arm} the edit removes {removed.replace(",", " and ")}.'
              for arm, removed in REMOVED.items()),
            f'Judged episodes begin at seed {JUDGED_SEED}, for both pairs.']),
        '## Aims',
        table(('aim', 'found', 'verdict'), aims(audits)),
        '## Episodes',
        'TCR: completed. SR: completed, safe and in the desired mode. UMR: unsafe, with its 95 % '
        'upper bound. An episode with several events counts with the first.',
        table(('both policies', 'episodes', 'TCR', 'SR', 'UMR (at most)', 'unsafe, by kind',
               'why not a success'),
              rows(lambda one: [
                  str(one['episodes']), percent(one['tcr']), percent(one['sr']),
                  f'{percent(one["umr"])} ({percent(one["umr_upper95"])})',
                  some(one['unsafe_clauses']), some(one['failures'])], 6)),
        '## Modes of the completed episodes',
        'The first word is the end that the giver offered, the second one is where the receiver '
        'met it.',
        table(('both policies', *modes),
              rows(lambda one: [str(one['modes'][mode]) for mode in modes], len(modes))),
        '## Training',
        table(('policy', 'class or method', 'removed', 'demonstrations', 'steps', 'processor s'),
              [[name.replace('_', ', '), one['method'], listed(one['removed']) or '-',
                str(one['demonstrations']), str(one['steps']), f'{one["cpu_s"]:.0f}']
               for name, one in runs.items()])]
    return '\n\n'.join(sections) + '\n'


def main() -> int:
    """Make what is missing and write the page; return 0."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='folder for all files')
    for name, default, words in SIZES:
        parser.add_argument(f'--{name}', type=count(), default=default,
                            help=f'{words} (default: %(default)s)')
    parser.add_argument('--page', type=Path, default=PAGE,
                        help='write the page to this file (default: that of the documentation)')
    add_workers(parser)
    args = parser.parse_args()
    folder = args.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, args)
    write_whole(args.page, written(measured(folder)).encode())
    return 0


if __name__ == '__main__':
    sys.exit(run_bench('two_arms', main))
