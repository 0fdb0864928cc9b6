#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how often the scripted teacher completes each mode, as asked and safely.

A policy cannot learn a handover that the teacher fails, so this comes before any training. The
seeds of failed episodes are printed, and for a desired mode those of unsafe episodes as well.

  scripts/judge_teacher.py --scenario knife --episodes 200 --seed 500000
"""

import argparse
from multiprocessing import get_context

from tqdm import tqdm

from uncloning_ros.cli.arguments import add_workers, names, positive_int
from uncloning_ros.cli.arguments import seed as seed_argument
from uncloning_ros.contract import load_contract, with_modes
from uncloning_ros.judging.episode import Outcome, judge
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.world import World, open_world

_worlds: dict[str, World] = {}


def outcome_of(job: tuple[str, str, int]) -> Outcome:
    """Return the outcome of one demonstration (scenario, mode, seed)."""
    name, mode, seed = job
    scenario = find_scenario(name)
    contract = with_modes(load_contract(share_path('config') / 'contract.yaml'), scenario.desired)
    if name not in _worlds:
        _worlds[name] = open_world(scenario, contract.interface)
    world = _worlds[name]
    teacher = Demonstrator(scenario, contract.interface, mode, seed)
    demonstrate(world, teacher, contract, seed, lambda *_: None)
    return judge(world.trace(), scenario, contract.interface.desired_modes)


def main() -> int:
    """Print one line for each mode; return 0."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scenario', default='knife')
    parser.add_argument('--episodes', type=positive_int, default=200, help='of each mode')
    parser.add_argument('--seed', type=seed_argument, default=500000, help='the first one')
    parser.add_argument('--only-modes', type=names, metavar='MODE[,MODE]')
    add_workers(parser)
    args = parser.parse_args()
    with get_context('spawn').Pool(args.workers) as pool:
        for mode in args.only_modes or find_scenario(args.scenario).modes:
            jobs = [(args.scenario, mode, args.seed + i) for i in range(args.episodes)]
            outcomes = list(tqdm(pool.imap(outcome_of, jobs), total=len(jobs), desc=mode))
            asked = sum(one.completed and one.mode == mode for one in outcomes)
            unsafe = sum(one.unsafe is not None for one in outcomes)
            print(f'{mode}: {asked} of {len(jobs)} completed as asked, {unsafe} unsafe')
            for (_, _, seed), one in zip(jobs, outcomes, strict=True):
                if one.mode != mode or not one.completed:
                    print(f'  seed {seed}: {one.failure or one.mode}')
                elif one.unsafe is not None and find_scenario(args.scenario).desired[mode]:
                    print(f'  seed {seed}: unsafe, {one.unsafe}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
