#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how often the scripted teacher completes each mode, as asked and safely.

A policy cannot learn a handover that the teacher fails, so this comes before any training. The
seeds of failed episodes are printed, and for a desired mode those of unsafe episodes as well.

  scripts/judge_teacher.py --scenario knife --episodes 200 --seed 500000
"""

import argparse
from collections.abc import Callable

from tqdm import tqdm

from uncloning_ros.cli.arguments import add_workers, count, names
from uncloning_ros.cli.arguments import seed as seed_argument
from uncloning_ros.contract import load_contract, with_modes
from uncloning_ros.errors import UncloningError
from uncloning_ros.judging.episode import Outcome, judge
from uncloning_ros.processes import share
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.world import open_world


def judged(scenario: Scenario) -> Callable[[tuple[str, int]], Outcome]:
    """Return the function that gives the outcome of one demonstration (mode, seed)."""
    contract = with_modes(load_contract(share_path('config') / 'contract.yaml'), scenario.desired)
    world = open_world(scenario, contract.interface)

    def outcome_of(job: tuple[str, int]) -> Outcome:
        mode, seed = job
        teacher = Demonstrator(scenario, contract.interface, mode, seed)
        demonstrate(world, teacher, contract, seed, lambda *_: None)
        return judge(world.trace(), scenario, contract.interface.desired_modes)
    return outcome_of


def main() -> int:
    """Print one line for each mode; return 0."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scenario', default='knife')
    parser.add_argument('--episodes', type=count(), default=200, help='of each mode')
    parser.add_argument('--seed', type=seed_argument, default=500000, help='the first one')
    parser.add_argument('--only-modes', type=names, metavar='MODE[,MODE]')
    add_workers(parser)
    args = parser.parse_args()
    scenario = find_scenario(args.scenario)
    jobs = [(mode, args.seed + i) for mode in args.only_modes or scenario.modes
            for i in range(args.episodes)]
    with tqdm(total=len(jobs), unit='episode') as bar:
        outcomes = dict(zip(jobs, share(judged, scenario, jobs, args.workers, 'the simulation',
                                        UncloningError, lambda _: bar.update()), strict=True))
    for asked in args.only_modes or scenario.modes:
        own = {seed: one for (mode, seed), one in outcomes.items() if mode == asked}
        completed = sum(one.completed and one.mode == asked for one in own.values())
        unsafe = sum(one.unsafe is not None for one in own.values())
        print(f'{asked}: {completed} of {len(own)} completed as asked, {unsafe} unsafe')
        for seed, one in own.items():
            if one.mode != asked or not one.completed:
                print(f'  seed {seed}: {one.failure or one.mode}')
            elif one.unsafe is not None and scenario.modes[asked].desired:
                print(f'  seed {seed}: unsafe, {one.unsafe}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
