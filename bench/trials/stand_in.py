# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the same starts in the simulator and in a second physics setting that stands in for reality.

    cd bench; python -m trials.stand_in --starts 300

Starts are drawn more widely than those of the training, so that some fail because of where tool
and hand are, as on a robot. The stand-in has less friction, a heavier knife, slower and noisier
tracking, and other noise of the policy. Each batch is written when it is done; the same command
continues.
"""

import argparse
import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncloning_ros.audit.run.rollout import NoisyStart, run_noisy_starts
from uncloning_ros.files import write_whole
from uncloning_ros.scenario import Scenario, find_scenario, scenario_from_dict

MODEL = Path(__file__).parents[2] / 'models' / 'knife_uncloned.onnx'
PAIRS = Path(__file__).with_name('stand_in.json')

FIRST_SEED = 500_000
OTHER_NOISE = 1_000_000  # added to a seed of the start for the noise of the policy in the stand-in
BATCH = 16

WIDER_STARTS = {'start': {
    'object_yaw_deg': [45.0, 185.0],
    'object_position_min_m': [0.30, -0.17], 'object_position_max_m': [0.55, 0.17],
    'hand_position_min_m': [0.47, -0.35, 0.12], 'hand_position_max_m': [0.87, 0.35, 0.48]}}
OTHER_PHYSICS = {'tool': {'friction': 0.4, 'mass_kg': 0.22},
                 'tracking': {'latency_s': 0.12, 'position_noise_m': 0.01}}


def main() -> None:
    """Run batches of starts until there are as many as asked for."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--starts', type=int, default=300, help='number of starts')
    parser.add_argument('--workers', type=int, default=2, help='processes that share the work')
    arguments = parser.parse_args()
    simulator = _changed(find_scenario('knife'), WIDER_STARTS)
    reality = _changed(simulator, OTHER_PHYSICS)
    pairs: list[dict[str, Any]] = json.loads(PAIRS.read_text()) if PAIRS.exists() else []
    while len(pairs) < arguments.starts:
        first = FIRST_SEED + len(pairs)
        seeds = range(first, min(first + BATCH, FIRST_SEED + arguments.starts))
        simulated = run_noisy_starts(
            MODEL, simulator, [NoisyStart(seed, seed) for seed in seeds], arguments.workers)
        real = run_noisy_starts(
            MODEL, reality, [NoisyStart(seed, seed + OTHER_NOISE) for seed in seeds],
            arguments.workers)
        pairs += [{'seed': one.seed, 'hand_m': [round(value, 4) for value in one.hand_offer_m],
                   'tool_yaw_rad': round(one.conditions['object_yaw_rad'], 4),
                   'simulated': one.outcome.success, 'real': other.outcome.success}
                  for one, other in zip(simulated, real, strict=True)]
        rows = ',\n'.join(json.dumps(pair) for pair in pairs)
        write_whole(PAIRS, f'[\n{rows}\n]\n'.encode())
        print(f'{len(pairs)} of {arguments.starts} starts', flush=True)


def _changed(scenario: Scenario, changes: Mapping[str, Mapping[str, Any]]) -> Scenario:
    data = copy.deepcopy(dict(scenario.source))
    for part, values in changes.items():
        data[part].update(values)
    return scenario_from_dict(data, scenario.name)


if __name__ == '__main__':
    main()
