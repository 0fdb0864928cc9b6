#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Write docs/benchmarks/corrections.md: what corrections teach, round by round, and turning back.

Rounds: the policy of the round before begins, the scripted teacher takes over, and the run is
edited by all corrections so far. The rival is edited by as many whole demonstrations of the same
places. Files in --work are used again, so a stopped benchmark goes on with the same command.

    cd bench; python corrections.py ../runs/uncloned ../data --work ../runs/bench-corrections
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measure  # noqa: F401 - limits the threads, so it comes before numpy
import numpy as np
import torch
from comparison.markdown import STATEMENT, bullets, table

from uncloning_ros.audit.figures.statistics import paired_difference, upper_bound
from uncloning_ros.audit.run.rollout import result_of, run_episode
from uncloning_ros.audit.wording import percent
from uncloning_ros.cli.arguments import count, seed
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.files import write_json, write_whole
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.corrections import Corrections, adapt, corrections_in
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import FROM_CORRECTIONS
from uncloning_ros.learning.windows import dataset_windows
from uncloning_ros.policy_io import Float32, Observation, Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.generate import SimulatedSession, generate
from uncloning_ros.simulation.world import open_world
from uncloning_ros.simulation.wrong_starts import begin_as

PAGE = Path(__file__).parent.parent / 'docs' / 'benchmarks' / 'corrections.md'
# The tool lies farther to the left than in any demonstration.
SHIFT_M = ((0.35, 0.20), (0.50, 0.35))
LYING_S = 5.0  # time (s) for which a tool may lie on the table where the policy may put it down
HAND_M = 0.4  # distance (m) from the hand up to which a tool that was let go is handed over
CORRECTIONS, DEMONSTRATIONS, TURNED = 'corrections', 'demonstrations', 'turned back'
KNOWN = 8000  # demonstrated states to which distances are measured
APART = 1_000_000  # seeds between two uses
SIZES = (('rounds', 4, 'rounds of corrections'), ('each', 10, 'corrections of a round'),
         ('episodes', 100, 'judged episodes at the other place'),
         ('held', 300, 'judged episodes where the run was trained'),
         ('turned', 60, 'corrections that turn back'), ('wrong', 300, 'judged wrong starts'))


@dataclass(frozen=True)
class Bench:
    """A run with its data, the scenario it was trained for, and where and how much is measured."""

    run: Run
    data: Path
    scenario: Scenario
    work: Path
    args: argparse.Namespace

    @property
    def shifted(self) -> Scenario:
        """Return the scenario with the tool at places that no demonstration shows."""
        low, high = SHIFT_M
        return replace(self.scenario, start=replace(
            self.scenario.start, object_position_min_m=low, object_position_max_m=high))

    @property
    def turning(self) -> Scenario:
        """Return the scenario with time for a tool that is put down."""
        return replace(self.scenario, tool=replace(self.scenario.tool, lying_s=LYING_S))

    def made(self, name: str, first: int, number: int, scenario: Scenario, policy: Path | None,
             begin: str | None = None) -> Path:
        """Return a folder of corrections of a policy, or of demonstrations without one."""
        out = self.work / name
        out.mkdir(parents=True, exist_ok=True)
        contract = self.run.config.contract
        session = SimulatedSession(scenario, contract, contract.interface.desired_modes,
                                   self.args.seed + first * APART, out, None, policy, begin)
        generate(session, session.missing(number), 1, lambda _: None)
        return out

    def edited(self, name: str, sources: list[Path], whole: bool) -> Path:
        """Return the exported policy of an edit by corrections, or by whole demonstrations."""
        out = self.work / name
        model = out.with_suffix('.onnx')
        if not out.exists():
            data = out.with_name(f'{name}_data')
            found = (corrections_in(self.run, sources, self.scenario) if not whole else
                     Corrections(load_dataset(data) if data.exists() else build_dataset(
                         sources, data, Recipe(self.scenario), Split(0.0)).dataset, []))
            states = dataset_windows(self.run.policy.normaliser, found.dataset, 'train', None)
            np.save(out.with_name(f'{name}_states.npy'), states.conditions.numpy())
            begun_s = time.process_time()
            adapt(self.run, found, load_dataset(self.data), out, FROM_CORRECTIONS)
            write_json(out.with_name(f'{name}_s.json'), time.process_time() - begun_s)
        if not model.exists():
            export(load_run(out), model)
        return model

    def seconds(self, name: str) -> str:
        """Return the processor time of an edit."""
        path = self.work / f'{name}_s.json'
        return f'{json.loads(path.read_text("utf-8")):.0f}' if path.exists() else '-'

    def judged(self, name: str, model: Path, scenario: Scenario, first: int, number: int,
               begin: str | None = None) -> dict[str, Any]:
        """Return outcomes of episodes of a model, and its distances to demonstrated states."""
        path = self.work / f'{name}.json'
        if not path.exists():
            write_json(path, self._judged(model, scenario, first, number, begin))
        found: dict[str, Any] = json.loads(path.read_text('utf-8'))
        print(f'{name}: {counted(found, lambda one: one["success"])}', flush=True)
        return found

    def _judged(self, model: Path, scenario: Scenario, first: int, number: int,
                begin: str | None) -> dict[str, Any]:
        policy = load_policy(model)
        contract, seen, distances = policy.contract, [], []
        world, loop = open_world(scenario, contract.interface), ControlLoop(contract, 0)
        known = dataset_windows(self.run.policy.normaliser, load_dataset(self.data), 'train',
                                contract.interface.desired_modes).conditions
        known = known[::1 + len(known) // KNOWN]
        if (taught := model.with_name(f'{model.stem}_states.npy')).exists():
            known = torch.cat([known, torch.from_numpy(np.load(taught))])
        outcomes = []

        def asked(observation: Observation, noise: Float32) -> Plan:
            seen.append(observation.vector)
            return policy(observation, noise)

        for at in range(self.args.seed + first * APART, self.args.seed + first * APART + number):
            rollout = run_episode(world, loop, contract, asked, at, INFERENCE_LATENCY_S,
                                  begin=None if begin is None else begin_as(
                                      begin, scenario, contract, at))
            one = result_of(rollout, scenario, contract.interface.desired_modes).outcome
            outcomes.append({'completed': one.completed, 'mode': one.mode,
                             'success': one.success, 'unsafe': one.unsafe is not None})
            conditions = self.run.policy.normaliser.condition(torch.from_numpy(np.array(seen)))
            distances.append(float(torch.cdist(conditions, known).min(1).values.mean()))
            seen.clear()
        world.close()
        return {'outcomes': outcomes, 'distance': float(np.mean(distances))}


def curve(bench: Bench) -> list[dict[str, Any]]:
    """Return the rows of all rounds: what was given, and the episodes judged there and before."""
    args, base = bench.args, bench.work / 'base.onnx'

    def row(way: str, number: int, name: str, model: Path) -> dict[str, Any]:
        return {'way': way, 'given': number, 'seconds': bench.seconds(name),
                'there': bench.judged(f'{name}_there', model, bench.shifted, 1, args.episodes),
                'before': bench.judged(f'{name}_before', model, bench.scenario, 2, args.held)}

    rows = [row('-', 0, 'base', base)]
    for way in (CORRECTIONS, DEMONSTRATIONS):
        model, sources = base, []
        for number in range(1, args.rounds + 1):
            sources.append(bench.made(
                f'{way}_{number}_bags', 10 + number, args.each, bench.shifted,
                model if way == CORRECTIONS else None))
            name = f'{way}_{number}'
            model = bench.edited(name, sources, way == DEMONSTRATIONS)
            rows.append(row(way, number * args.each, name, model))
    return rows


def turned_back(bench: Bench, removed: str) -> list[dict[str, Any]]:
    """Return the rows of episodes that begin in a removed mode, without and with corrections."""
    args, base = bench.args, bench.work / 'base.onnx'
    bags = bench.made('turned_bags', 30, args.turned, bench.turning, base, removed)
    model = bench.edited('turned', [bags], False)
    return [{'way': way, 'given': given, 'seconds': bench.seconds(name),
             'wrong': bench.judged(f'{name}_wrong', one, bench.turning, 3, args.wrong, removed),
             'before': bench.judged(f'{name}_before', one, bench.scenario, 2, args.held)}
            for way, given, name, one in (('-', 0, 'base', base),
                                          (TURNED, args.turned, 'turned', model))]


def counted(found: Mapping[str, Any], test: Callable[[Mapping[str, Any]], bool]) -> str:
    """Return a share of outcomes."""
    outcomes = found['outcomes']
    return percent(sum(map(test, outcomes)) / len(outcomes))


def lost(found: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Return the paired difference of success from the unedited run, with its bounds."""
    one = paired_difference(*([o['success'] for o in part['outcomes']] for part in (found, base)),
                            alpha=0.1)
    return f'{100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]'


def written(bench: Bench, rows: list[dict[str, Any]], turned: list[dict[str, Any]],
            removed: str) -> str:
    """Return the page."""
    args = bench.args

    def unsafe(found: Mapping[str, Any]) -> str:
        events = sum(one['unsafe'] for one in found['outcomes'])
        return f'{events} (at most {percent(upper_bound(events, len(found["outcomes"])))})'

    desired = bench.run.config.contract.interface.desired_modes

    sections = [
        '# Corrections, tried out',
        f'{STATEMENT} This page is written by `bench/corrections.py`; [Learn from '
        f'corrections](../corrections.md) explains the edit.',
        bullets([
            f'The tool lies at {SHIFT_M[0]} to {SHIFT_M[1]} m, farther left than in any '
            f'demonstration of `{bench.scenario.name}`. {args.episodes} episodes judge a policy '
            f'there, {args.held} where it was trained; all begin at seeds from '
            f'{args.seed}.',
            f'{args.each} corrections in each round, begun by the policy of the round before. '
            f'Demonstrations are whole, and as many; all else of the edit is the same.',
            'Distance: from the states of the episodes to the nearest one that was taught, mean '
            'over episodes. It is Euclidean, over all numbers that the policy sees, each in its '
            'standard deviation. Lost: success where it was trained less that of the run before, '
            'in points, on the same seeds, with its one-sided 95 % bounds.']),
        '## A tool at another place',
        table(('edited by', 'episodes', 'success there', 'distance',
               'where it was trained: lost', 'unsafe', 'edit, processor s'),
              [[row['way'], str(row['given']), counted(row['there'], lambda one: one['success']),
                f'{row["there"]["distance"]:.2f}', lost(row['before'], rows[0]['before']),
                unsafe(row['before']), row['seconds']] for row in rows]),
        '## Turning back',
        f'{args.wrong} episodes begin with the tool held as in `{removed}`, which was removed; a '
        f'tool may lie on the table for {LYING_S:g} s. The blade points at the person when the '
        f'policy begins, so an episode can be unsafe until the policy has put the tool down.',
        table(('edited by', 'corrections', 'went on', 'completed as desired', 'unsafe',
               'where it was trained: lost', 'unsafe', 'edit, processor s'),
              [[row['way'], str(row['given']),
                counted(row['wrong'], lambda one: one['mode'] == removed),
                counted(row['wrong'], lambda one: one['completed'] and one['mode'] in desired),
                unsafe(row['wrong']), lost(row['before'], turned[0]['before']),
                unsafe(row['before']), row['seconds']]
               for row in turned])]
    return '\n\n'.join(sections) + '\n'


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='run of which a mode was removed')
    parser.add_argument('data', type=Path, help='its dataset')
    parser.add_argument('--work', type=Path, required=True, help='folder for all files')
    for name, default, words in SIZES:
        parser.add_argument(f'--{name}', type=count(), default=default,
                            help=f'{words} (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=560_000_000,
                        help='first seed (default: %(default)s)')
    args = parser.parse_args()
    run = load_run(args.run)
    contract = run.config.contract
    end = replace(contract.deployment.episode_end, hand_distance_m=HAND_M)
    run = replace(run, config=replace(run.config, contract=replace(
        contract, deployment=replace(contract.deployment, episode_end=end))))
    args.work.mkdir(parents=True, exist_ok=True)
    if not (args.work / 'base.onnx').exists():
        export(run, args.work / 'base.onnx')
    bench = Bench(run, args.data, find_scenario(run.config.data['scenario']), args.work, args)
    removed = removed_modes(run.config.edit)[0]
    page = written(bench, curve(bench), turned_back(bench, removed), removed)
    write_whole(PAGE, page.encode())


if __name__ == '__main__':
    main()
