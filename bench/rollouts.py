#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the speed of simulated episodes relative to bare stepping, and with two processes.

- episodes with policy and control loop relative to bare stepping of the same world, which replays
  the commands of the same episode without policy, control loop or sensor readings;
- episodes by two processes relative to one while all processes work; their start of some seconds
  is a separate figure;
- the same by processor time per episode, which hardly depends on other work on the machine: the
  gain of two processes on two idle cores.

  bench/rollouts.py
  bench/rollouts.py my_policy.onnx --scenario knife --episodes 40 --json rollouts.json
"""

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
from measure import Figure, Ratio, Report

from uncloning_ros.audit.run.rollout import Rollout, run_episode, run_rollouts
from uncloning_ros.cli.arguments import count
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import World, open_world

_EPISODES, _EPISODES_SHORT = 8, 3
FIRST_SEED = 40_000_000
_LEAST_SPEED, _LEAST_GAIN = 0.7, 1.8


class _Listening:
    """A world that keeps the commands it was given, with the step at which they came."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.commands: list[tuple[int, Array]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self, seed: int) -> None:
        """Start an episode without commands."""
        self.commands.clear()
        self._world.reset(seed)

    def command(self, action: Array) -> None:
        """Keep one command and carry it out."""
        self.commands.append((self._world.time_ns, action))
        self._world.command(action)


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('model', type=Path, nargs='?',
                        default=share_path('models') / 'knife_uncloned.onnx',
                        help='exported policy (default: the shipped one)')
    parser.add_argument('--scenario', default='knife', metavar='NAME',
                        help='scenario to simulate (default: %(default)s)')
    parser.add_argument('--episodes', type=count(), metavar='N',
                        help=f'episodes of each process (default: {_EPISODES})')
    return measure.run(compare, parser.parse_args())


def compare(args: argparse.Namespace) -> Report:
    """Measure every ratio."""
    # At least one episode more than processes, since the time of their start is subtracted.
    episodes = max(2, args.episodes or (_EPISODES_SHORT if args.short else _EPISODES))
    scenario = find_scenario(args.scenario)
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    rolled, bare, simulated = _against_bare(scenario, load_policy(args.model), seeds)
    speeds = bare / rolled
    one, one_start, one_cpu_s = _by(args.model, scenario, seeds, 1)
    two, two_start, two_cpu_s = _by(
        args.model, scenario, range(seeds[-1] + 1, seeds[-1] + 1 + 2 * episodes), 2)
    speed, gain = float(bare.sum() / rolled.sum()), two / one
    gain_idle = 2 * one_cpu_s / two_cpu_s
    simulated_s = float(simulated.sum())
    return Report(
        'Episodes of an audit',
        [Ratio('with policy and loop / bare stepping', speed, float(speeds.min()),
               float(speeds.max()), f'at least {_LEAST_SPEED:g}', speed >= _LEAST_SPEED),
         Ratio('two processes / one', gain, gain, gain, f'at least {_LEAST_GAIN:g}',
               gain >= _LEAST_GAIN),
         Ratio('two processes / one, by processor time', gain_idle, gain_idle, gain_idle,
               f'at least {_LEAST_GAIN:g}', gain_idle >= _LEAST_GAIN)],
        [Figure('one process', {'episodes_per_s': round(one, 3), 'start_s': round(one_start, 2)}),
         Figure('two processes', {'episodes_per_s': round(two, 3),
                                  'start_s': round(two_start, 2)}),
         Figure('simulated time', {'s_per_s': round(simulated_s / float(rolled.sum()), 2),
                                   's_per_s_bare': round(simulated_s / float(bare.sum()), 2)})],
        'Speeds: higher is better. On a machine with other work the second ratio shows the free '
        'share of its cores.')


def _against_bare(scenario: Scenario, policy: OnnxPolicy,
                  seeds: range) -> tuple[Array, Array, Array]:
    """Return in s for each episode the processor time with policy and bare, and its own time."""
    world: Any = _Listening(open_world(scenario, policy.contract.interface))
    loop = ControlLoop(policy.contract, 0, policy.episode_noise)
    rolled, bare, simulated = (np.empty(len(seeds)) for _ in range(3))
    for i, seed in enumerate(seeds):
        rollout, rolled[i], simulated[i] = timed_episode(world, loop, policy, seed)
        commands = list(world.commands)
        began = time.process_time()
        trace = _replay(world, seed, commands, rollout.trace.steps)
        bare[i] = time.process_time() - began
        if not np.array_equal(trace, rollout.trace.object_pose):
            sys.exit('rollouts: the bare episode differs from the one with policy; report a bug')
    world.close()
    return rolled, bare, simulated


def timed_episode(world: World, loop: ControlLoop, policy: OnnxPolicy,
                  seed: int) -> tuple[Rollout, float, float]:
    """Run an episode; return also its processor time and its simulated time, in s."""
    began = time.process_time()
    rollout = run_episode(world, loop, policy.contract, policy, seed, INFERENCE_LATENCY_S)
    return (rollout, time.process_time() - began,
            rollout.trace.steps / rollout.trace.physics_hz)


def _replay(world: World, seed: int, commands: list[tuple[int, Array]], steps: int) -> Array:
    """Step through an episode with its commands alone; return the poses of the object."""
    world.reset(seed)
    due = 0
    for _ in range(steps):
        while due < len(commands) and commands[due][0] <= world.time_ns:
            world.command(commands[due][1])
            due += 1
        world.advance()
    return world.trace().object_pose


def _by(model: Path, scenario: Scenario, seeds: range, workers: int) -> tuple[float, float, float]:
    """Return episodes per s while all work, s to the first, and processor time (s) of each."""
    # The start of the processes, with one episode each.
    start_cpu_s, _, _ = _run(model, scenario, seeds[:workers], workers)
    cpu_s, began, done = _run(model, scenario, seeds, workers)
    # From the first episode of the last process to the last episode of the first one.
    first, last = sorted(done)[workers - 1], sorted(done)[-workers]
    return ((len(done) - 2 * workers + 1) / max(last - first, 1e-9), min(done) - began,
            (cpu_s - start_cpu_s) / (len(seeds) - workers))


def _run(model: Path, scenario: Scenario, seeds: range,
         workers: int) -> tuple[float, float, list[float]]:
    """Return the processor time (s), the start, and the end of each episode."""
    done: list[float] = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    run_rollouts(model, scenario, seeds, workers,
                 on_done=lambda result: done.append(time.perf_counter()))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, began, done)


if __name__ == '__main__':
    raise SystemExit(main())
