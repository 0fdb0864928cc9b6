#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Measure edits of a mixed run by recordings of its own simulated episodes.

Episodes of a removed mode become bags, as the recorder writes them, and incident files, as the
policy node would write them at their end; successful episodes become bags too. Then the run is
edited from the incidents, and, as rivals, fine-tuned on the successful episodes alone, and edited
with these as normal operation. All are judged on the same seeds.

  bench/incidents.py runs/mixed --scenario knife --mode blade_first --out measured/
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uncloning_ros import __version__
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.run.rollout import result_of, run_episode, run_rollouts
from uncloning_ros.cli.arguments import count, new_path, seed
from uncloning_ros.cli.main import main as command
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.layout import episode_name
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.geometry import Array
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.options import EDIT, FINE_TUNE, METHODS
from uncloning_ros.learning.uncloning import edit
from uncloning_ros.policy_io import Float32, Observation, Plan, PlanAnswer, PlanRequest
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.incident import Event, incident_of, write_incident
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world

_EPOCH_NS = 1_767_225_600 * 10**9  # time (ns) of a bag at simulated time 0
_MINUTE_NS = 60 * 10**9


class Heard:
    """A world that keeps the samples and commands of its episode, oldest first."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.messages: list[tuple[str, Array, int, int]] = []
        self.commands: list[tuple[Array, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self, seed: int) -> None:
        """Begin an episode, of which nothing was heard."""
        self.messages.clear()
        self.commands.clear()
        self._world.reset(seed)

    def poll(self) -> Any:
        """Return the samples that arrived, and keep them."""
        arrived = self._world.poll()
        self.messages += [(key, one.values, one.stamp_ns, one.receive_ns) for key, one in arrived]
        return arrived

    def command(self, action: Array) -> None:
        """Keep a command and carry it out."""
        self.commands.append((action, self._world.time_ns))
        self._world.command(action)


class Asked:
    """A policy that keeps its answers, as the flight record of the policy node does."""

    def __init__(self, policy: Any, world: Any) -> None:
        self._policy, self._world = policy, world
        self.answers: list[PlanAnswer] = []

    def __call__(self, observation: Observation, noise: Float32) -> Plan:
        """Answer, and keep the answer."""
        plan: Plan = self._policy(observation, noise)
        self.answers.append(PlanAnswer(PlanRequest(len(self.answers), self._world.time_ns,
                                                   observation, noise), plan))
        return plan


def record(model: Path, scenario: Scenario, mode: str | None, episodes: int, first_seed: int,
           out: Path, files: Path | None = None) -> int:
    """Record episodes of a mode, or successful ones if None; return how many were run.

    The bags lie in `out`, the incident files in `files`.
    """
    policy = load_policy(model)
    contract = policy.contract
    world = Heard(open_world(scenario, contract.interface))
    loop, asked = ControlLoop(contract, 0), Asked(policy, world)
    found, run = 0, 0
    while found < episodes:
        asked.answers.clear()
        seed_ = first_seed + run
        rollout = run_episode(world, loop, contract, asked, seed_, INFERENCE_LATENCY_S)
        outcome = result_of(rollout, scenario, contract.interface.desired_modes).outcome
        run += 1
        if outcome.mode != mode if mode is not None else outcome.failure is not None:
            continue
        path = out / episode_name(found)
        write_bag(path, contract, world, EpisodeMetadata(
            f'{scenario.name}-own', found, 'policy', None, __version__, seed_), found)
        if files is not None:
            files.mkdir(exist_ok=True)
            first_ns = asked.answers[0].request.tick_ns
            events = (Event(first_ns, 'active', 'planning', 'the policy makes its first plan'),
                      Event(first_ns + 1, 'done', rollout.ended, 'the episode ended'))
            write_incident(incident_of(asked.answers, events, model, policy, contract.sha256,
                                       seed_), files / f'{path.name}.npz')
        found += 1
    world.close()
    return run


def write_bag(path: Path, contract: Contract, world: Heard, metadata: EpisodeMetadata,
              index: int) -> None:
    """Write what was heard as the bag of one episode."""
    begin_ns = _EPOCH_NS + index * _MINUTE_NS
    messages = [*world.messages]
    for action, now_ns in world.commands:
        messages += [(key, action[part], now_ns, now_ns)
                     for key, part in contract.interface.action_slices.items()]
    messages.sort(key=lambda message: message[3])
    path.parent.mkdir(parents=True, exist_ok=True)
    with EpisodeWriter(path, contract, metadata) as writer:
        for key, values, stamp_ns, receive_ns in messages:
            writer.write_values(key, values, begin_ns + stamp_ns, begin_ns + receive_ns)
        writer.commit()


def fine_tune(run: Path, bags: Path, scenario: Scenario, out: Path, threads: int) -> None:
    """Fine-tune a run on the successful episodes alone: clone what was commanded in them."""
    data = build_dataset([bags], out.with_name(f'{out.name}_data'), Recipe(scenario),
                         Split(validation=0.0)).dataset
    kept = [mode for mode in data.contract.interface.desired_modes
            if len(data.window_frames('train', [mode]))]
    edit(load_run(run), data, out, replace(EDIT, method=FINE_TUNE, threads=threads,
                                           **vars(METHODS[FINE_TUNE])), kept, None)


def judged(model: Path, scenario: Scenario, seeds: Sequence[int], workers: int) -> str:
    """Return a line with TCR, SR and UMR of a model, and the upper bound of the latter."""
    outcomes = [result.outcome for result in run_rollouts(model, scenario, seeds, workers)]
    unsafe = sum(one.unsafe is not None for one in outcomes)
    modes = [one.mode or 'none' for one in outcomes]
    return (f'TCR {100 * sum(one.completed for one in outcomes) / len(outcomes):.1f} %, SR '
            f'{100 * sum(one.failure is None for one in outcomes) / len(outcomes):.1f} %, UMR '
            f'{100 * unsafe / len(outcomes):.2f} % (at most '
            f'{100 * upper_bound(unsafe, len(outcomes)):.2f} %), '
            + ', '.join(f'{modes.count(mode)} {mode}' for mode in sorted(set(modes))))


def main() -> int:
    """Record, edit and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='folder of a mixed run')
    parser.add_argument('--scenario', required=True, metavar='NAME')
    parser.add_argument('--mode', required=True, help='removed mode')
    parser.add_argument('--out', required=True, type=new_path, metavar='DIR')
    parser.add_argument('--count', type=count(), default=10, metavar='N',
                        help='incidents, and successful episodes (default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=600_000_000, metavar='N',
                        help='first seed of recorded episodes (default: %(default)s)')
    parser.add_argument('--judge', type=seed, default=500_000_000, metavar='N',
                        help='first seed of judged episodes (default: %(default)s)')
    parser.add_argument('--episodes', type=count(), default=300, metavar='N',
                        help='judged episodes of each (default: %(default)s)')
    parser.add_argument('--only', nargs='+', default=[],
                        choices=('mixed', 'incidents', 'files', 'normal', 'finetuned'),
                        help='judge these alone')
    parser.add_argument('--workers', type=count(), default=1, metavar='N')
    args = parser.parse_args()
    scenario, out = find_scenario(args.scenario), args.out
    out.mkdir(parents=True)
    threads = ['--threads', '1']

    def done(*words: object) -> None:
        if command([str(word) for word in words]):
            sys.exit(f'incidents: uncloning {" ".join(map(str, words))} failed')

    mixed = out / 'mixed.onnx'
    done('export', args.run, '--out', mixed)
    for mode, name, first in ((args.mode, 'bags', args.seed), (None, 'successes',
                                                              args.seed + 1_000_000)):
        ran = record(mixed, scenario, mode, args.count, first, out / name,
                     out / 'files' if mode else None)
        print(f'{args.count} episodes of {mode or "success"} among {ran}')
    common = ('--remove', args.mode, '--scenario', args.scenario, *threads)
    edits = {'incidents': (out / 'bags',), 'files': (out / 'files',),
             'normal': (out / 'bags', '--normal', out / 'successes')}
    names = args.only or ['mixed', *edits, 'finetuned']
    for name in (name for name in edits if name in names):
        done('unclone', args.run, '--incidents', *edits[name], '--out', out / name, *common)
    if 'finetuned' in names:
        fine_tune(args.run, out / 'successes', scenario, out / 'finetuned', 1)
    for name in names:
        model = out / f'{name}.onnx'
        if name != 'mixed':
            done('export', out / name, '--out', model)
        seeds = range(args.judge, args.judge + args.episodes)
        print(f'{name}: {judged(model, scenario, seeds, args.workers)}', flush=True)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
