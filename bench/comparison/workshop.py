# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make and judge one case of the comparison in a process of its own.

`python -m comparison` starts it. Files in the work folder that are complete are used again.
The first case that needs a file makes it while the others wait.

  python -m comparison.workshop knife/all/0/uncloned --work WORK --out record.json
"""

import argparse
import copy
import datetime
import json
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

import uncloning_ros
from comparison.arguments import add_case, case_of, take_signals
from comparison.edit_rows import LABELS
from comparison.methods import contrastive, unpaired
from comparison.methods.best_of import BestOf
from comparison.methods.fixed_noise import FixedNoise
from comparison.methods.guidance import Guidance
from comparison.methods.verifier import train_verifier
from comparison.own_episodes import fine_tune, record
from comparison.plan import (
    ALL,
    CAMERA_SIZE,
    DEMO_SEED,
    DEVELOPMENT_SEEDS,
    FULL,
    KEPT_SEED,
    LATENCY,
    METHODS,
    NODE,
    OWN_EPISODES,
    OWN_SEED,
    PAIR,
    REMOVED_SEED,
    SCHEDULES,
    TIMES,
    TUNING,
    UNTUNED,
    Case,
    Schedule,
    plan,
    seeds_of,
    tuned_methods,
)
from comparison.processes import (
    BENCH,
    STOPPED,
    locked,
    run_command,
    run_process,
    timed,
    total_times,
)
from comparison.relabelled import write_relabelled
from comparison.results import identity, judged
from comparison.shifts import SHIFTS, shifted
from uncloning_ros.attack.options import FINE_TUNING, ROUNDING
from uncloning_ros.audit.record.finished_episodes import finished_episodes
from uncloning_ros.audit.record.provenance import code_sha256
from uncloning_ros.audit.run.rollout import Steering, run_rollouts
from uncloning_ros.audit.run.seeds import require_unseen
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_whole
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import dataset_record
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.options import EDIT, LOCK
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, find_scenario, load_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S


def main() -> int:
    """Make one case and write its record; return 0, 2 for bad input, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog='python -m comparison.workshop', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_case(parser, 'scenario/kept/seed/method, of a trial with .number', SCHEDULES, FULL.name)
    parser.add_argument('--settings', type=json.loads, default={},
                        help='best settings of the tuned methods, as JSON')
    args = parser.parse_args()
    take_signals()
    schedule = SCHEDULES[args.schedule]
    case = case_of(parser, args.case, plan(schedule))
    shop = Workshop(args.work, schedule, find_scenario(case.scenario), args.settings)
    return write_record(args.out, lambda: shop.record(case),
                        lambda sentence: shop.failed(case, sentence))


def write_record(out: Path, make: Callable[[], Mapping[str, Any]],
                 failed: Callable[[str], Mapping[str, Any]]) -> int:
    """Write the record that `make` returns, or that of its failure; return 0, 130 on Ctrl-C."""
    try:
        record = make()
    except KeyboardInterrupt:
        return STOPPED
    except UncloningError as err:
        record = failed(str(err))
    except Exception as err:  # noqa: BLE001 - a method that fails is a result
        traceback.print_exc()
        first_line = next(iter(str(err).strip().splitlines()), '')
        record = failed(f'{type(err).__name__}: {first_line}')
    write_whole(out, json.dumps(record, allow_nan=False).encode())
    return 0


def finished(case: Case, settings: Mapping[str, float], scenario_sha256: str) -> dict[str, Any]:
    """Return the fields of every record."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    return identity(case) | {
        'status': 'done', 'finished': now, 'settings': dict(settings),
        'scenario_sha256': scenario_sha256, 'software_version': uncloning_ros.__version__,
        'code_sha256': code_sha256()}


def learned(run: Path) -> dict[str, Any]:
    """Return steps, time and options of a run that has ended."""
    config = checkpoint.read_config(run)
    found: dict[str, Any] = {'learning': total_times(run)}
    if config.edit is None:
        return found | {'steps': config.training.steps, 'options': asdict(config.training)}
    report = run / 'report.json'
    ended = json.loads(report.read_text(encoding='utf-8')) if report.is_file() else {}
    options = {key: value for key, value in config.edit.items()
               if key not in ('data', 'previous', 'parent_sha256')}
    told: dict[str, Any] = {}
    if 'labels' in ended:
        told['labels'] = {**ended['labels'], 'doubted': len(ended['labels']['doubted'])}
    if ended.get('choice'):
        told['reason'] = ended['choice']['reason']
    return found | {'steps': ended.get('steps', options['steps']),
                    'stopped': ended.get('stopped'), 'options': options, **told}


class Workshop:
    """Makes demonstrations, policies and records for one scenario, each once, in `work`."""

    def __init__(self, work: Path, schedule: Schedule, scenario: Scenario,
                 settings: Mapping[str, Mapping[str, float]]) -> None:
        self.schedule, self.scenario, self.settings = schedule, scenario, settings
        # Each version of a scenario has a folder of its own.
        self.root = work / f'{scenario.name}-{scenario.sha256[:8]}'

    def record(self, case: Case) -> dict[str, Any]:
        """Make and judge a case; return its record."""
        lacking = [name for name in tuned_methods(case) if name not in self.settings]
        if lacking:
            raise UncloningError(f'all trials of {lacking[0]} failed, so it has no setting; the '
                                 f'attempts tell why')
        if case.method == LATENCY:
            return self._finished(case) | self._latency(case)
        if case.method == TIMES:
            return self._finished(case) | self._latency(case, steered=False) | {
                'rendering': self._rendering(case)}
        if case.method == NODE:
            return self._finished(case) | self._node(case)
        made = METHODS[case.method]
        if made.kind == 'shift':
            return self._finished(case) | self._shifted(case)
        made_by = (self._steering(case) if made.kind == 'steering' else
                   {'learning': None, 'steps': 0} if made.kind == 'attack' else
                   learned(self._run_of(case)))
        model = self._exported(self._of(case, 'mixed') if made.kind == 'steering' else case)
        found: dict[str, Any] = {'model_sha256': load_policy(model).sha256, **made_by}
        if made.kind in ('edit', 'loss', 'incidents'):
            mixed = self._exported(self._of(case, made.of))
            found['same_graph'] = compare(mixed, model).difference is None
        steering = self._steer(case) if made.kind == 'steering' else None
        return self._finished(case) | found | self._judge(case, model, steering)

    def failed(self, case: Case, sentence: str) -> dict[str, Any]:
        """Return the record of a case that failed."""
        return self._finished(case) | {'status': 'failed', 'sentence': sentence}

    def _finished(self, case: Case) -> dict[str, Any]:
        return finished(case, self._setting(case), self.scenario.sha256)

    def _setting(self, case: Case) -> Mapping[str, float]:
        if case.trial is not None:
            return TUNING[case.method][case.trial]
        return UNTUNED.get(case.method, self.settings.get(case.method, {}))

    def _modes(self, kept: bool) -> tuple[str, ...]:
        return tuple(mode for mode, wanted in self.scenario.desired.items() if wanted == kept)

    def _kept(self, case: Case) -> tuple[str, ...]:
        return PAIR[case.scenario] if METHODS[case.method].pair else self._modes(True)

    def _removed(self, case: Case) -> tuple[str, ...]:
        return tuple(mode for mode in self.scenario.modes if mode not in self._kept(case))

    @staticmethod
    def _of(case: Case, method: str) -> Case:
        """Return the case of another method on the same demonstrations and seed.

        Labels make no difference to the mixed policy.
        """
        kept = ALL if method == 'mixed' and case.kept in LABELS else case.kept
        return replace(case, kept=kept, method=method, trial=None)

    def _folder(self, case: Case) -> Path:
        folder = self.root / case.kept / f's{case.seed}' / case.name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # demonstrations

    def _demos(self, name: str, episodes: int, seed: int, modes: Sequence[str] = ()) -> Path:
        out = self.root / f'demos_{name}'

        def make() -> None:
            run_command(out, ['demos', '--scenario', self.scenario.name, '--episodes',
                            str(episodes), '--seed', str(seed), '--out', str(out),
                            *(['--contract', str(share_path('config') / self.schedule.contract)]
                              if self.schedule.contract else []),
                            *(['--resume'] if out.exists() else []),
                            *(['--only-modes', ','.join(modes)] if modes else [])])
            _made(out).write_text('', encoding='utf-8')

        with locked(out):
            if not _made(out).exists():
                make()
        return out

    def _data_of(self, case: Case) -> Path:
        """Return the dataset of a case; each training seed draws other labels."""
        if case.kept not in LABELS:
            return self._data(case.kept)
        out = self.root / case.kept / f's{case.seed}' / 'data'
        mixed, source = self._run_of(self._of(case, 'mixed')), self._data(ALL)
        with locked(out):
            if not out.exists():
                _remove(out.with_name(f'{out.name}.partial'))  # left by a killed process
                write_relabelled(source, out, LABELS[case.kept], mixed, case.seed)
        return out

    def _data(self, kept: str) -> Path:
        """Return the dataset of all demonstrations, or of removed ones and `kept` kept ones."""
        out = self.root / f'data_{kept}'
        if out.exists():
            return out
        schedule, scenario = self.schedule, self.scenario
        if kept == ALL:
            sources = [self._demos('all', schedule.demonstrations[scenario.name], DEMO_SEED)]
            options = []
        else:
            many = self._demos('desired', max(schedule.counts), KEPT_SEED, self._modes(True))
            sources = [self._demos('undesired', schedule.removed, REMOVED_SEED,
                                   self._modes(False)),
                       linked(sorted(path for path in many.iterdir() if path.is_dir())[:int(kept)],
                              self.root / f'first_{kept}')]
            options = ['--validation', '0']
        with locked(out):
            if not out.exists():
                run_command(out, ['dataset', *map(str, sources), '--scenario', scenario.name,
                                *options, '--out', str(out)])
        return out

    # learning

    def _run_of(self, case: Case) -> Path:
        run = self._folder(case) / 'run'
        kind = METHODS[case.method].kind
        make = {'train': self._train, 'edit': self._edit, 'loss': self._by_loss,
                'incidents': self._by_incidents, 'attack': self._attack}[kind]
        if not checkpoint.has_ended(run):
            needed = [self._data_of(case)]
            if kind != 'train':
                needed.append(self._run_of(self._of(case, METHODS[case.method].of)))
            with locked(run):
                if not checkpoint.has_ended(run):
                    make(case, run, *needed)
        return run

    def _options(self, case: Case) -> list[str]:
        words = {'kept': ','.join(self._kept(case)), 'scenario': case.scenario,
                 **self._setting(case)}
        return [option.format(**words) for option in METHODS[case.method].options]

    @staticmethod
    def _few(case: Case) -> bool:
        """Tell whether a case trains on few demonstrations."""
        if case.kept in LABELS:
            return LABELS[case.kept].each is not None and not LABELS[case.kept].given
        return case.kept != ALL

    def _train(self, case: Case, run: Path, data: Path) -> None:
        schedule = self.schedule
        steps = round(METHODS[case.method].of_steps * (
            schedule.steps_scarce if self._few(case) else schedule.steps_all))
        options = (['--resume'] if run.exists() else
                   ['--steps', str(steps), '--seed', str(case.seed), '--threads', '1',
                    *self._options(case)])
        run_command(run, ['train', str(data), '--out', str(run), *options], resumable=True)

    def _edit(self, case: Case, run: Path, data: Path, mixed: Path) -> None:
        _remove(run.with_name('run.partial'))  # left by a killed process
        options = self._options(case)
        if LOCK not in options:  # which takes no step
            options += ['--seed', str(case.seed), '--threads', '1', *self.schedule.edit_options]
        run_command(run, ['unclone', str(mixed), '--data', str(data), '--remove',
                          ','.join(self._removed(case)), *options, '--out', str(run)])

    def _by_loss(self, case: Case, run: Path, data: Path, mixed: Path) -> None:
        partial = run.with_name('run.partial')
        _remove(partial)
        partial.mkdir()
        original, dataset = checkpoint.load_run(mixed), load_dataset(data)
        removed, setting = self._removed(case), self._setting(case)
        steps = {'steps': self.schedule.contrastive_steps, 'batch_size': EDIT.batch_size,
                 'learning_rate': EDIT.learning_rate, 'seed': case.seed, 'threads': 1}
        method: Any = contrastive if case.method == 'contrastive' else unpaired
        own = ({'bc': float(original.policy.normaliser.action_low.numel())}
               if method is contrastive else {'loss': case.method})
        options = method.Options(**own, **setting, **steps)
        with timed(run):
            policy = method.edit(original, dataset, removed, options)
        record = dataset_record(dataset)
        edit = {'parent_sha256': original.sha256, **asdict(options), 'remove': list(removed),
                'data': {key: record[key] for key in ('sha256', 'scenario', 'seeds')}}
        checkpoint.write_config(partial, replace(
            original.config, edit=edit, software_version=uncloning_ros.__version__))
        # The method returns averaged weights alone; a file cannot hold one tensor twice.
        checkpoint.save_weights(partial, policy, copy.deepcopy(policy), original.observations,
                                original.pictures)
        partial.rename(run)

    def _by_incidents(self, case: Case, run: Path, data: Path, mixed: Path) -> None:
        """Edit or fine-tune the mixed policy by its own episodes; `data` takes no part."""
        del data
        bad, good = self._own_episodes(case)
        for left in ('run.partial', 'run_data'):  # by a stopped process
            _remove(run.with_name(left))
        if case.method == 'incidents_finetuned':
            with timed(run):
                fine_tune(mixed, good, self.scenario, run)
            return
        run_command(run, ['unclone', str(mixed), '--incidents', str(bad), '--remove',
                          ','.join(self._removed(case)), '--scenario', case.scenario, '--seed',
                          str(case.seed), '--threads', '1', *self.schedule.edit_options,
                          '--out', str(run)])

    def _own_episodes(self, case: Case) -> tuple[Path, Path]:
        """Return folders of recorded episodes of the removed mode, and of successful ones."""
        (mode,) = self._removed(case)
        model = self._exported(self._of(case, 'mixed'))
        folder = self.root / case.kept / f's{case.seed}'
        first = OWN_SEED + self.schedule.seeds_apart * case.seed
        found = folder / 'recorded_removed', folder / 'recorded_successes'
        for out, wanted, apart in zip(found, (mode, None), (0, self.schedule.seeds_apart // 2),
                                      strict=True):
            with locked(out):
                if not out.exists():
                    partial = out.with_name(f'{out.name}.partial')
                    _remove(partial)
                    record(model, self.scenario, wanted, OWN_EPISODES, first + apart, partial)
                    partial.rename(out)
        return found

    def _attack(self, case: Case, run: Path, data: Path, edited: Path) -> None:
        """Attack an edited run; the command's own short judging is not used."""
        name = {'rounded': ROUNDING, 'tuned_on': FINE_TUNING}[case.method]
        out = run.with_name('attack')
        for left in (out, run.with_name('attack.partial')):
            _remove(left)
        run_command(run, ['attack', str(edited), '--data', str(data), '--scenario', case.scenario,
                          '--attacks', name, '--from-demonstrations', '0', '--episodes', '1',
                          '--threads', '1', '--workers', '1', '--out', str(out)])
        (out / name).rename(run)

    def _exported(self, case: Case) -> Path:
        run = self._run_of(case)
        model = run.with_name('model.onnx')
        with locked(model):
            if not model.exists():
                run_command(model, ['export', str(run), '--out', str(model),
                                  '--development-seeds', DEVELOPMENT_SEEDS])
        return model

    # steering

    def _verifier(self, case: Case) -> Path:
        mixed = self._run_of(self._of(case, 'mixed'))
        path = mixed.with_name('verifier.safetensors')
        with locked(path):
            if not path.exists():
                dataset = load_dataset(self._data(case.kept))
                with timed(path):
                    train_verifier(checkpoint.load_run(mixed), dataset, self._removed(case), path,
                                   case.seed)
        return path

    def _steering(self, case: Case) -> dict[str, Any]:
        """Return the time to prepare a steering method, without the search for its setting."""
        if case.method == 'fixed_noise':
            return {'learning': None, 'steps': 0}
        return {'learning': total_times(self._verifier(case)), 'steps': 0}

    def _steer(self, case: Case) -> Steering:
        setting = self._setting(case)
        if case.method == 'fixed_noise':
            return FixedNoise(int(setting['noise_seed']))
        run, verifier = self._run_of(self._of(case, 'mixed')), self._verifier(case)
        if case.method == 'best_of':
            return BestOf(run, verifier, int(setting['count']))
        return Guidance(run, verifier, setting['scale'], int(setting['inner_steps']))

    # judging

    def _judge(self, case: Case, model: Path, steering: Steering | None = None,
               scenario: Scenario | None = None) -> dict[str, Any]:
        scenario = scenario or self.scenario
        seeds = seeds_of(case, self.schedule)
        policy = load_policy(model)
        if case.trial is None:
            require_unseen(model, policy, seeds)
        setting = {'scenario_sha256': scenario.sha256,
                   'inference_latency_s': INFERENCE_LATENCY_S,
                   'steering': None if steering is None else str(self._setting(case))}
        path = self._folder(case) / 'episodes.jsonl'
        with finished_episodes(path, setting, resume=path.exists()) as finished:
            missing = [seed for seed in seeds if (policy.sha256, seed) not in finished.done]
            if missing:
                run_rollouts(model, scenario, missing, workers=1, steering=steering,
                             on_done=lambda result: finished.add(policy.sha256, result))
            results = [finished.done[policy.sha256, seed] for seed in seeds]
        return judged(results, policy.contract.interface.desired_modes)

    def _shifted(self, case: Case) -> dict[str, Any]:
        """Judge the edited policy in a shifted scenario, whose file stays in the work folder."""
        model = self._exported(self._of(case, 'uncloned'))
        path = self._folder(case) / f'{case.scenario}_{case.method}.yaml'
        write_whole(path, yaml.safe_dump(shifted(self.scenario, SHIFTS[case.method]),
                                         sort_keys=False).encode())
        scenario = load_scenario(path)
        return {'model_sha256': load_policy(model).sha256, 'learning': None, 'steps': 0,
                'shifted_sha256': scenario.sha256, **self._judge(case, model, scenario=scenario)}

    # times, each measured in a process with one thread

    def _latency(self, case: Case, steered: bool = True) -> dict[str, Any]:
        """Return planning times, also relative to the mixed policy."""
        mixed, edited = (self._exported(self._of(case, method))
                         for method in ('mixed', 'uncloned'))
        steering = ([] if not steered else
                    ['--steered', str(self._run_of(self._of(case, 'mixed'))),
                     str(self._verifier(case)), '--settings', json.dumps(dict(self.settings))])
        return self._measured(case, 'latency', [str(mixed), str(edited), *steering],
                              *self.schedule.latency)

    def _rendering(self, case: Case) -> list[dict[str, Any]]:
        """Return the time of episodes relative to those of a policy without cameras."""
        model = self._exported(self._of(case, 'mixed'))
        return self._measured(case, 'rendering', [str(model), case.scenario],
                              *self.schedule.rendering)['ratios']

    def _node(self, case: Case) -> dict[str, Any]:
        """Return times and counts of the running policy node with the edited policy."""
        model = self._exported(self._of(case, 'uncloned'))
        out = self._folder(case) / 'control.json'
        out.unlink(missing_ok=True)  # left by a killed process
        run_process(out, [sys.executable, str(BENCH / 'control.py'), '--model', str(model),
                          '--camera-size', CAMERA_SIZE, *(
                              ['--short'] if self.schedule.is_short else ['--minutes', '5']),
                          '--json', str(out)])
        found = json.loads(out.read_text(encoding='utf-8'))
        return {'ratios': found['ratios'], 'figures': found['figures']}

    def _measured(self, case: Case, module: str, words: Sequence[str], repeats: int,
                  rounds: int) -> dict[str, Any]:
        out = self._folder(case) / f'{module}.json'
        run_process(out, [sys.executable, '-m', f'comparison.{module}', *words, '--repeats',
                          str(repeats), '--rounds', str(rounds), '--out', str(out)])
        return json.loads(out.read_text(encoding='utf-8'))


def _made(demos: Path) -> Path:
    """Return the file that tells that a folder of demonstrations is complete."""
    return demos.with_name(f'{demos.name}.made')


def _remove(folder: Path) -> None:
    """Remove a folder if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def linked(episodes: Iterable[Path], folder: Path) -> Path:
    """Return a folder of links to episodes and their labels."""
    with locked(folder):
        if not folder.exists():
            partial = folder.with_name(f'{folder.name}.partial')
            _remove(partial)
            partial.mkdir(parents=True)
            for episode in episodes:
                for path in (episode, episode.with_name(f'{episode.name}.labels.json')):
                    (partial / path.name).symlink_to(path.resolve())
            partial.rename(folder)
    return folder


if __name__ == '__main__':
    raise SystemExit(main())
