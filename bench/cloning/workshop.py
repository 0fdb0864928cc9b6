# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make and judge one case in a process of its own; complete files in the folder are used again.

  python -m cloning.workshop knife/all/0/mixture --work DIR --out record.json
"""

import argparse
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure  # noqa: F401 - limits the threads, so it comes before numpy
import numpy as np
import yaml
from comparison.arguments import add_case, case_of, take_signals
from comparison.latency import OtherFile, as_data, latency_ratios
from comparison.plan import ALL, LATENCY, PAIR, Case
from comparison.processes import locked, run_command
from comparison.results import RATES, count, judged
from comparison.workshop import finished, learned, linked, write_record

from cloning.astray import astray, played
from cloning.plan import (
    DEMO_SEED,
    FULL,
    POINTS,
    SCHEDULES,
    STARTS,
    Schedule,
    demonstrations_of,
    episodes_of,
    first_seed,
    is_edit,
    plan,
    unedited,
)
from cloning.starts import HELD_OUT, parted
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json, write_whole
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.options import FLOW, PLAN, POLICY_KINDS
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.schema import plain

_PLANS = 300  # of a measured time


def main() -> int:
    """Make one case and write its record; return 0, or 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog='python -m cloning.workshop', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add_case(parser, 'scenario/point/seed/class', SCHEDULES, FULL.name)
    args = parser.parse_args()
    take_signals()
    schedule = SCHEDULES[args.schedule]
    case = case_of(parser, args.case, plan(schedule))
    shop = Workshop(args.work.absolute(), schedule, find_scenario(case.scenario))
    return write_record(args.out, lambda: shop.record(case), lambda sentence: (
        shop.finished(case) | {'status': 'failed', 'sentence': sentence}))


class Workshop:
    """Makes demonstrations, policies and records of one scenario, each once, in `work`."""

    def __init__(self, work: Path, schedule: Schedule, scenario: Scenario) -> None:
        self.schedule, self.scenario = schedule, scenario
        # Each version of a scenario has a folder of its own.
        self.root = work / f'{scenario.name}-{scenario.sha256[:8]}'

    def record(self, case: Case) -> dict[str, Any]:
        """Make and judge a case; return its record."""
        if case.method == LATENCY:
            return self.finished(case) | {'ratios': self._ratios(case)}
        run, data, model = self._run(case), self._data(case), self._exported(case)
        evaluation = run.with_name('evaluation.json')
        self._made(evaluation, ['evaluate', str(run), '--data', str(data), '--threads', '1',
                                '--json', str(evaluation)])
        found = self.finished(case) | learned(run) | {
            'model_sha256': (policy := load_policy(model)).sha256,
            'bytes': model.stat().st_size, 'plan_ms': _planning_ms(policy),
            'evaluation': read_json(evaluation, UncloningError, f'{evaluation} is missing')}
        if POINTS[case.kept].parted:
            return found
        episodes = episodes_of(case, self.schedule)
        results, seen = played(model, self.scenario,
                               range(first_seed(case), first_seed(case) + episodes))
        if case.scenario == self.schedule.scenarios[0] and not is_edit(case):
            found['astray'] = astray(seen[:self.schedule.episodes],
                                     checkpoint.load_run(run).policy.normaliser,
                                     load_dataset(data))
        audit = judged(results, policy.contract.interface.desired_modes)
        counts = {rate: count(audit, rate) for rate in RATES}
        return found | {'first_seed': first_seed(case), 'audit': audit | {
            'episodes': episodes, 'umr_upper95': upper_bound(counts['umr'], episodes),
            **{rate: n / episodes for rate, n in counts.items()}}}

    def _exported(self, case: Case) -> Path:
        model = self._run(case).with_name('model.onnx')
        self._made(model, ['export', str(self._run(case)), '--out', str(model)])
        return model

    def _ratios(self, case: Case) -> list[dict[str, Any]]:
        """Return the planning time of each class, and of flow itself, relative to flow."""
        models = {kind: self._exported(replace(case, method=kind)) for kind in POLICY_KINDS}
        flow = models.pop(FLOW)
        return [as_data(ratio) for ratio in latency_ratios(
            flow, {kind: OtherFile(model) for kind, model in models.items()},
            *self.schedule.latency)]

    def finished(self, case: Case) -> dict[str, Any]:
        """Return the fields of every record of a case."""
        return finished(case, {}, self.scenario.sha256)

    def _made(self, out: Path, words: list[str]) -> None:
        with locked(out):
            if not out.exists():
                run_command(out, words)

    def _data(self, case: Case) -> Path:
        """Return the dataset of a point: of some demonstrations, in some timing."""
        point = POINTS[case.kept]
        demos = self._demos(case, demonstrations_of(case.kept, self.schedule))
        data, options = self.root / f'data_{case.kept}', []
        if point.parted:
            whole = self.root / f'data_{demos.name}'
            self._made(whole, ['dataset', str(demos), '--scenario', case.scenario, '--out',
                               str(whole)])
            modes = PAIR.get(case.scenario) or tuple(self.scenario.modes)
            demos = linked((demos / name for name in parted(load_dataset(whole), modes)),
                           self.root / f'demos_{case.kept}')
            options = ['--validation', str(HELD_OUT)]
        if point.timing:
            contract = load_dataset(self._data(replace(case, kept=ALL))).contract
            timed = replace(contract, policy=replace(contract.policy, **point.timing))
            file = self.root / f'contract_{case.kept}.yaml'
            write_whole(file, yaml.safe_dump(plain(timed), sort_keys=False).encode())
            options = ['--contract', str(file)]
        self._made(data, ['dataset', str(demos), '--scenario', case.scenario, '--out', str(data),
                          *options])
        return data

    def _demos(self, case: Case, count: int) -> Path:
        demos = self.root / f'demos_{count}'
        ended = demos.with_name(f'{demos.name}.made')
        with locked(demos):
            if not ended.exists():
                run_command(demos, ['demos', '--scenario', case.scenario, '--episodes',
                                    str(count), '--seed', str(DEMO_SEED), '--out', str(demos),
                                    *(['--resume'] if demos.exists() else [])])
                ended.touch()
        return demos

    def _run(self, case: Case) -> Path:
        run = self.root / case.kept / f's{case.seed}' / case.method / 'run'
        data = self._data(case)
        if is_edit(case):
            mixed = self._run(unedited(case))
            kept = (PAIR[case.scenario] if case.kept == STARTS else
                    [mode for mode, wanted in self.scenario.desired.items() if wanted])
            removed = [mode for mode in self.scenario.modes if mode not in kept]
            shutil.rmtree(run.with_name('run.partial'), ignore_errors=True)  # of a killed process
            run.parent.mkdir(parents=True, exist_ok=True)
            # The edit of a plan policy, a lock, takes no step.
            options = () if unedited(case).method == PLAN else self.schedule.edit_options
            self._made(run, ['unclone', str(mixed), '--data', str(data), '--remove',
                             ','.join(removed), *options, '--out', str(run)])
            return run
        with locked(run):
            if not checkpoint.has_ended(run):
                more = (['--resume'] if run.exists() else
                        ['--policy', case.method, '--seed', str(case.seed), '--threads', '1',
                         '--steps', str(self.schedule.steps)])
                run_command(run, ['train', str(data), '--out', str(run), *more], resumable=True)
        return run


def _planning_ms(policy: OnnxPolicy) -> float:
    """Return the median processor time (ms) of one plan; a session has one thread, this one."""
    rng = np.random.default_rng(0)
    observation, noise = (rng.standard_normal(shape, np.float32)
                          for shape in (policy.observation_shape, policy.chunk_shape))
    taken = []
    for _ in range(_PLANS):
        began_s = time.thread_time()
        policy(Observation(observation), noise)
        taken.append(time.thread_time() - began_s)
    return 1e3 * float(np.median(taken))


if __name__ == '__main__':
    raise SystemExit(main())
