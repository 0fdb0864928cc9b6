#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make and judge one cell of the comparison, in a process of its own; bench/uncloning.py calls it.

All that is made lies in the work folder and is used again where it is whole. What several cells
need is made by the one that comes first, while others wait.

  bench/uncloning_cells.py knife/all/0/uncloned --work runs/bench --out record.json
"""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rivals.best_of import BestOf
from rivals.contrastive import Options as ContrastiveOptions
from rivals.contrastive import edit as contrastive_edit
from rivals.fixed_noise import FixedNoise
from rivals.guidance import Guidance
from rivals.verifier import train_verifier
from uncloning_plan import (
    ALL,
    DEMO_SEED,
    DESIRED_SEED,
    DEVELOPMENT_SEEDS,
    FULL,
    LATENCY,
    METHODS,
    PAIR,
    SHORT,
    TUNING,
    UNDESIRED_SEED,
    UNTUNED,
    Cell,
    Schedule,
    plan,
    seeds_of,
    tuned_methods,
)
from uncloning_results import identity, judged

import uncloning_ros
from uncloning_ros.audit.record.finished_episodes import FinishedEpisodes
from uncloning_ros.audit.record.provenance import code_sha256
from uncloning_ros.audit.run.rollout import INFERENCE_LATENCY_S, Steering, run_rollouts
from uncloning_ros.audit.run.seeds import require_unseen
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_whole
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.cloning import dataset_record
from uncloning_ros.learning.diff import compare
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, find_scenario

_STOPPED = 130
_BENCH = Path(__file__).resolve().parent
# Of contrastive learning, as the edit has them.
_BATCH_SIZE, _LEARNING_RATE = 256, 3e-4


def main() -> int:
    """Make one cell and write its record."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cell', help='scenario/desired/seed/method, of a try with .number')
    parser.add_argument('--work', type=Path, required=True, help='folder for all that is made')
    parser.add_argument('--out', type=Path, required=True, help='file for the record')
    parser.add_argument('--short', action='store_true', help='the short schedule')
    parser.add_argument('--settings', type=json.loads, default={},
                        help='best settings of tuned methods, as JSON')
    args = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores the first
        signal.signal(number, signal.default_int_handler)
    schedule = SHORT if args.short else FULL
    known = {cell.key: cell for cell in plan(schedule)}
    if args.cell not in known:
        print(f'uncloning_cells: error: {args.cell} is no cell of the {schedule.name} schedule, '
              f'expected one like {next(iter(known))}', file=sys.stderr)
        return 2
    cell = known[args.cell]
    shop = Workshop(args.work, schedule, find_scenario(cell.scenario), args.settings)
    try:
        record = shop.record(cell)
    except KeyboardInterrupt:
        return _STOPPED
    except UncloningError as err:
        record = shop.failed(cell, str(err))
    except Exception as err:  # noqa: BLE001 - a rival that fails is a result, and is told
        traceback.print_exc()
        first_line = next(iter(str(err).strip().splitlines()), '')
        record = shop.failed(cell, f'{type(err).__name__}: {first_line}')
    write_whole(args.out, json.dumps(record, allow_nan=False).encode())
    return 0


class Workshop:
    """Makes what the cells of one scenario need, each thing once, below the folder `work`."""

    def __init__(self, work: Path, schedule: Schedule, scenario: Scenario,
                 settings: Mapping[str, Mapping[str, float]]) -> None:
        self.schedule, self.scenario, self.settings = schedule, scenario, settings
        # Nothing of an earlier version of the scenario is taken for one of this.
        self.root = work / f'{scenario.name}-{scenario.sha256[:8]}'

    def record(self, cell: Cell) -> dict[str, Any]:
        """Make a cell, judge it, and return its record."""
        lacking = [name for name in tuned_methods(cell) if name not in self.settings]
        if lacking:
            raise UncloningError(f'no setting of {lacking[0]} could be tried, so there is none to '
                                 f'use; see why in the attempts')
        if cell.method == LATENCY:
            return self._finished(cell) | {'ratios': self._latency(cell)}
        made = METHODS[cell.method]
        learned = (self._steering(cell) if made.kind == 'steering' else self._weights(cell))
        model = self._exported(self._of(cell, 'mixed') if made.kind == 'steering' else cell)
        found: dict[str, Any] = {'model_sha256': load_policy(model).sha256, **learned}
        if made.kind in ('edit', 'contrastive'):
            mixed = self._exported(self._of(cell, 'mixed'))
            found['same_graph'] = compare(mixed, model).difference is None
        steering = self._steer(cell) if made.kind == 'steering' else None
        return self._finished(cell) | found | self._judge(cell, model, steering)

    def failed(self, cell: Cell, sentence: str) -> dict[str, Any]:
        """Return the record of a cell that could not be made."""
        return self._finished(cell) | {'status': 'failed', 'sentence': sentence}

    # what there is to say of every cell

    def _finished(self, cell: Cell) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        return identity(cell) | {
            'status': 'done', 'finished': now, 'settings': dict(self._setting(cell)),
            'scenario_sha256': self.scenario.sha256,
            'software_version': uncloning_ros.__version__, 'code_sha256': code_sha256()}

    def _setting(self, cell: Cell) -> Mapping[str, float]:
        if cell.attempt is not None:
            return TUNING[cell.method][cell.attempt]
        return UNTUNED.get(cell.method, self.settings.get(cell.method, {}))

    def _modes(self, desired: bool) -> tuple[str, ...]:
        return tuple(mode for mode, wanted in self.scenario.desired.items() if wanted == desired)

    def _kept(self, cell: Cell) -> tuple[str, ...]:
        return PAIR[cell.scenario] if METHODS[cell.method].pair else self._modes(True)

    def _removed(self, cell: Cell) -> tuple[str, ...]:
        return tuple(mode for mode in self.scenario.modes if mode not in self._kept(cell))

    @staticmethod
    def _of(cell: Cell, method: str) -> Cell:
        """Return the cell of another method on the same demonstrations and seed."""
        return replace(cell, method=method, attempt=None)

    def _folder(self, cell: Cell) -> Path:
        name = cell.method if cell.attempt is None else f'{cell.method}.{cell.attempt}'
        folder = self.root / cell.desired / f's{cell.seed}' / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # demonstrations

    def _demos(self, name: str, episodes: int, seed: int, modes: Sequence[str] = ()) -> Path:
        out = self.root / f'demos_{name}'

        def make() -> None:
            self._run(out, ['demos', '--scenario', self.scenario.name, '--episodes',
                            str(episodes), '--seed', str(seed), '--out', str(out), '--resume',
                            *(['--only-modes', ','.join(modes)] if modes else [])])
            _times(out, 'made').write_text('', encoding='utf-8')

        with _alone(out):
            if not _times(out, 'made').exists():
                make()
        return out

    def _data(self, desired: str) -> Path:
        """Return the dataset of all demonstrations, or of the undesired and some desired ones."""
        out = self.root / f'data_{desired}'
        if out.exists():
            return out
        schedule, scenario = self.schedule, self.scenario
        if desired == ALL:
            sources = [self._demos('all', schedule.demonstrations[scenario.name], DEMO_SEED)]
            options = []
        else:
            many = self._demos('desired', max(schedule.counts), DESIRED_SEED, self._modes(True))
            sources = [self._demos('undesired', schedule.undesired, UNDESIRED_SEED,
                                   self._modes(False)),
                       _first_episodes(many, int(desired), self.root / f'first_{desired}')]
            options = ['--validation', '0']
        with _alone(out):
            if not out.exists():
                self._run(out, ['dataset', *map(str, sources), '--scenario', scenario.name,
                                *options, '--out', str(out)])
        return out

    # learning

    def _weights(self, cell: Cell) -> dict[str, Any]:
        """Make the run of a cell; return what it took."""
        run = self._run_of(cell)
        config = checkpoint.read_config(run)
        found: dict[str, Any] = {'learning': _sum_of_times(run)}
        if config.edit is None:
            return found | {'steps': config.training.steps, 'options': asdict(config.training)}
        report = run / 'report.json'
        told = json.loads(report.read_text(encoding='utf-8')) if report.is_file() else {}
        said = {key: value for key, value in config.edit.items()
                if key not in ('data', 'previous', 'parent_sha256')}
        return found | {'steps': told.get('steps', said['steps']),
                        'stopped': told.get('stopped'), 'options': said}

    def _run_of(self, cell: Cell) -> Path:
        run = self._folder(cell) / 'run'
        kind = METHODS[cell.method].kind
        make = {'train': self._train, 'edit': self._edit, 'contrastive': self._contrastive}[kind]
        if not checkpoint.has_ended(run):
            needed = [self._data(cell.desired)]
            if kind != 'train':
                needed.append(self._run_of(self._of(cell, 'mixed')))
            with _alone(run):
                if not checkpoint.has_ended(run):
                    make(cell, run, *needed)
        return run

    def _options(self, cell: Cell) -> list[str]:
        words = {'kept': ','.join(self._kept(cell)), 'scenario': cell.scenario,
                 **self._setting(cell)}
        return [option.format(**words) for option in METHODS[cell.method].options]

    def _train(self, cell: Cell, run: Path, data: Path) -> None:
        schedule = self.schedule
        steps = schedule.steps_all if cell.desired == ALL else schedule.steps_scarce
        options = (['--resume'] if run.exists() else
                   ['--steps', str(steps), '--seed', str(cell.seed), '--threads', '1',
                    *self._options(cell)])
        self._run(run, ['train', str(data), '--out', str(run), *options], resumable=True)

    def _edit(self, cell: Cell, run: Path, data: Path, mixed: Path) -> None:
        checkpoint.remove_folder(run.with_name('run.partial'))  # of a process that was killed
        self._run(run, ['unclone', str(mixed), '--data', str(data), '--remove',
                        ','.join(self._removed(cell)), '--seed', str(cell.seed), '--threads', '1',
                        *self._options(cell), *self.schedule.edit_options, '--out', str(run)])

    def _contrastive(self, cell: Cell, run: Path, data: Path, mixed: Path) -> None:
        partial = run.with_name('run.partial')
        checkpoint.remove_folder(partial)
        partial.mkdir()
        original, dataset = checkpoint.load_run(mixed), load_dataset(data)
        chunk = original.policy.normaliser.action_low.numel()
        setting = self._setting(cell)
        options = ContrastiveOptions(
            setting['alpha'], setting['bias'], float(chunk), self.schedule.contrastive_steps,
            _BATCH_SIZE, _LEARNING_RATE, cell.seed, threads=1)
        removed = self._removed(cell)
        with _measured(_times(run, 'run')):
            policy = contrastive_edit(original, dataset, removed, options)
        record = dataset_record(dataset)
        edit = {'parent_sha256': original.sha256, **asdict(options), 'remove': list(removed),
                'data': {key: record[key] for key in ('sha256', 'scenario', 'seeds')}}
        checkpoint.write_config(partial, replace(
            original.config, edit=edit, software_version=uncloning_ros.__version__))
        # The rival gives the average alone, which is what counts; a file holds no tensor twice.
        average = {name: tensor.clone() for name, tensor in policy.named_parameters()}
        checkpoint.save_weights(partial, policy, average, original.observations)
        partial.rename(run)

    def _exported(self, cell: Cell) -> Path:
        run = self._run_of(cell)
        model = run.with_name('model.onnx')
        with _alone(model):
            if not model.exists():
                self._run(model, ['export', str(run), '--out', str(model),
                                  '--development-seeds', DEVELOPMENT_SEEDS])
        return model

    # steering

    def _verifier(self, cell: Cell) -> Path:
        mixed = self._run_of(self._of(cell, 'mixed'))
        path = mixed.with_name('verifier.safetensors')
        with _alone(path):
            if not path.exists():
                dataset = load_dataset(self._data(cell.desired))
                with _measured(_times(path, 'run')):
                    train_verifier(checkpoint.load_run(mixed), dataset, self._removed(cell), path,
                                   cell.seed)
        return path

    def _steering(self, cell: Cell) -> dict[str, Any]:
        """Return what it took to prepare a steering, the search for its setting apart."""
        if cell.method == 'fixed_noise':
            return {'learning': None, 'steps': 0}
        return {'learning': _sum_of_times(self._verifier(cell)), 'steps': 0}

    def _steer(self, cell: Cell) -> Steering:
        setting = self._setting(cell)
        if cell.method == 'fixed_noise':
            return FixedNoise(int(setting['noise_seed']))
        run, verifier = self._run_of(self._of(cell, 'mixed')), self._verifier(cell)
        if cell.method == 'best_of':
            return BestOf(run, verifier, int(setting['count']))
        return Guidance(run, verifier, setting['scale'], int(setting['inner_steps']))

    # judging

    def _judge(self, cell: Cell, model: Path, steering: Steering | None) -> dict[str, Any]:
        seeds = seeds_of(cell, self.schedule)
        policy = load_policy(model)
        if cell.attempt is None:
            require_unseen(model, policy, seeds)
        setting = {'scenario_sha256': self.scenario.sha256,
                   'inference_latency_s': INFERENCE_LATENCY_S,
                   'steering': None if steering is None else str(self._setting(cell))}
        path = self._folder(cell) / 'episodes.jsonl'
        with FinishedEpisodes(path, setting, resume=True) as partial:
            missing = [seed for seed in seeds if (policy.sha256, seed) not in partial.done]
            if missing:
                run_rollouts(model, self.scenario, missing, workers=1, steering=steering,
                             on_done=lambda result: partial.add(policy.sha256, result))
            results = [partial.done[policy.sha256, seed] for seed in seeds]
        return judged(results, policy.contract.interface.desired_modes)

    def _latency(self, cell: Cell) -> list[dict[str, Any]]:
        """Return the ratios to the mixed policy, measured in a process that has one thread."""
        mixed, edited = (self._exported(self._of(cell, method))
                         for method in ('mixed', 'uncloned'))
        verifier = self._verifier(cell)
        out = self._folder(cell) / 'ratios.json'
        repeats, rounds = self.schedule.latency
        self._spawn(out, [sys.executable, str(_BENCH / 'uncloning_latency.py'), str(mixed),
                          str(edited), str(self._run_of(self._of(cell, 'mixed'))), str(verifier),
                          '--settings', json.dumps(dict(self.settings)), '--repeats',
                          str(repeats), '--rounds', str(rounds), '--out', str(out)])
        return json.loads(out.read_text(encoding='utf-8'))

    # processes

    def _run(self, made: Path, words: Sequence[str], resumable: bool = False) -> None:
        self._spawn(made, [sys.executable, '-m', 'uncloning_ros.cli.main', *words], resumable)

    @staticmethod
    def _spawn(made: Path, command: Sequence[str], resumable: bool = False) -> None:
        """Run a command, note what it took, raise the sentence that it failed with."""
        log = made.with_name(f'{made.name}.log')
        log.parent.mkdir(parents=True, exist_ok=True)
        began_s = time.monotonic()
        with log.open('ab') as told:
            told.write(f'$ {" ".join(command)}\n'.encode())
            told.flush()
            status, cpu_s, interrupted = _wait(
                subprocess.Popen(command, stdout=told, stderr=told))
        if status == 0 or resumable:
            _note(_times(made, 'run'), time.monotonic() - began_s, cpu_s)
        if interrupted or status == _STOPPED:
            raise KeyboardInterrupt
        if status:
            lines = log.read_text(encoding='utf-8', errors='replace').split('\n')
            said = next((line for line in reversed(lines) if line.strip()), f'status {status}')
            raise UncloningError(said.removeprefix('uncloning: error: '))


def _first_episodes(demos: Path, count: int, folder: Path) -> Path:
    """Return a folder of links to the first episodes, and to their labels."""
    with _alone(folder):
        if not folder.exists():
            partial = folder.with_name(f'{folder.name}.partial')
            checkpoint.remove_folder(partial)
            partial.mkdir(parents=True)
            episodes = sorted(path for path in demos.iterdir() if path.is_dir())[:count]
            for episode in episodes:
                for path in (episode, episode.with_name(f'{episode.name}.labels.json')):
                    (partial / path.name).symlink_to(path.resolve())
            partial.rename(folder)
    return folder


@contextlib.contextmanager
def _alone(made: Path) -> Iterator[None]:
    """Wait until nobody else makes this."""
    lock = made.with_name(f'.{made.name}.lock')
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open('wb') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, float, bool]:
    """Return a process's status, its time of processor in s, and whether Ctrl-C was pressed.

    The process was told of Ctrl-C as well; what it can save, it saves.
    """
    interrupted = False
    while True:
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            interrupted = True
            continue
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_utime + usage.ru_stime, interrupted


def _times(made: Path, what: str) -> Path:
    return made.with_name(f'{made.name}.{"times" if what == "run" else what}')


def _note(path: Path, wall_s: float, cpu_s: float) -> None:
    with path.open('a', encoding='utf-8') as file:
        file.write(json.dumps({'wall_s': wall_s, 'cpu_s': cpu_s}) + '\n')


@contextlib.contextmanager
def _measured(path: Path) -> Iterator[None]:
    """Note what this process spends meanwhile."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    yield
    _note(path, time.monotonic() - began_s, time.process_time() - cpu_s)


def _sum_of_times(made: Path) -> dict[str, float] | None:
    """Return what it took to make this, all attempts of a run that was stopped together."""
    path = _times(made, 'run')
    if not path.exists():
        return None
    lines = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]
    return {key: round(sum(line[key] for line in lines), 2) for key in ('wall_s', 'cpu_s')}


if __name__ == '__main__':
    raise SystemExit(main())
