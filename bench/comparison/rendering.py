# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the time of episodes with pictures relative to episodes without.

The same seeds, in turns: a policy that sees in its scenario, and the shipped policy of poses in
`knife`, where start and person are the same. The process has one thread; `comparison.workshop`
starts it.
"""

import argparse
import json
from pathlib import Path

import measure  # limits the threads, so it comes before numpy
import numpy as np
from rollouts import FIRST_SEED, timed_episode

from comparison.latency import as_data
from uncloning_ros.files import write_whole
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.world import open_world

_BLIND = 'knife'  # scenario of the shipped policy of poses


def main() -> int:
    """Write the measured ratios as JSON."""
    parser = argparse.ArgumentParser(prog='python -m comparison.rendering', description=__doc__)
    parser.add_argument('model', type=Path)
    parser.add_argument('scenario')
    parser.add_argument('--repeats', type=int, required=True)
    parser.add_argument('--rounds', type=int, required=True, help='episodes of each repeat')
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    ratios = rendering_ratios(args.model, args.scenario, args.repeats, args.rounds)
    write_whole(args.out, json.dumps({'ratios': [as_data(ratio) for ratio in ratios]}).encode())
    return 0


def rendering_ratios(model: Path, scenario: str, repeats: int,
                     episodes: int) -> list[measure.Ratio]:
    """Return the ratios of processor time by episode and by simulated second."""
    both = ((model, scenario), (share_path('models') / f'{_BLIND}_uncloned.onnx', _BLIND))
    policies = [load_policy(path) for path, _ in both]
    worlds = [open_world(find_scenario(name), policy.contract.interface)
              for (_, name), policy in zip(both, policies, strict=True)]
    loops = [ControlLoop(policy.contract, 0) for policy in policies]
    # Processor time and simulated time (s) of each episode; the first one of a world is warm-up.
    taken = np.empty((2, 2, 1 + repeats * episodes))
    for i in range(taken.shape[2]):
        for j, (world, loop, policy) in enumerate(zip(worlds, loops, policies, strict=True)):
            taken[j, :, i] = timed_episode(world, loop, policy, FIRST_SEED + i)[1:]
    for world in worlds:
        world.close()
    by_repeat = taken[:, :, 1:].reshape(2, 2, repeats, episodes).sum(axis=3)
    (seen, seen_s), (blind, blind_s) = by_repeat
    return [_ratio('episode with pictures / without', seen, blind),
            _ratio('simulated second with pictures / without', seen / seen_s, blind / blind_s)]


def _ratio(name: str, ones: measure.Array, others: measure.Array) -> measure.Ratio:
    each = ones / others
    return measure.Ratio(name, float(ones.sum() / others.sum()), float(each.min()),
                         float(each.max()))


if __name__ == '__main__':
    raise SystemExit(main())
