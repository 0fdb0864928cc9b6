#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over from one fixed start with many noise seeds and count the modes.

It shows whether a policy is multimodal: the start is always the same, the noise alone differs.

  scripts/noise_draws.py models/knife_mixed.onnx --seed 900000 --draws 50 --json draws.json
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from uncloning_ros.audit.audited import BETWEEN_MODES
from uncloning_ros.audit.run.rollout import run_episode
from uncloning_ros.cli.arguments import count, new_path
from uncloning_ros.cli.arguments import seed as seed_argument
from uncloning_ros.judging.episode import judge
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world


def main() -> int:
    """Write the counts; return 0."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, metavar='MODEL.onnx')
    parser.add_argument('--scenario', default='knife')
    parser.add_argument('--seed', type=seed_argument, default=900000, help='of the start')
    parser.add_argument('--draws', type=count(), default=50)
    parser.add_argument('--json', required=True, type=Path)
    args = parser.parse_args()
    new_path(str(args.json))
    policy, scenario = load_policy(args.model), find_scenario(args.scenario)
    contract = policy.contract
    world = open_world(scenario, contract.interface)
    loop = ControlLoop(contract, seed=0)
    modes: Counter[str] = Counter()
    for noise_seed in tqdm(range(args.draws), unit='draw', desc='noise draws'):
        rollout = run_episode(world, loop, contract, policy, args.seed, INFERENCE_LATENCY_S,
                              noise_seed=noise_seed)
        outcome = judge(rollout.trace, scenario, contract.interface.desired_modes)
        modes[(outcome.mode or BETWEEN_MODES) if outcome.completed else 'not_completed'] += 1
    world.close()
    record = {'model_sha256': policy.sha256, 'scenario': scenario.name, 'seed': args.seed,
              'draws': args.draws, 'modes': dict(modes)}
    args.json.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    print(f'{args.draws} draws of noise from start {args.seed}: '
          + ', '.join(f'{count} {mode}' for mode, count in modes.most_common()))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
