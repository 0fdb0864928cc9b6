#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Film one simulated handover of each exported policy, side by side, as a GIF.

  scripts/film.py models/knife_mixed.onnx models/knife_uncloned.onnx --seed 7 --out handover.gif
"""

import argparse
from pathlib import Path

import numpy as np

from uncloning_ros.audit.run.film import gif
from uncloning_ros.audit.run.rollout import run_episode
from uncloning_ros.cli.arguments import new_path
from uncloning_ros.pictures import Pixels
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import Camera, World, open_world

_FRAME_S = 0.15


def film(model: Path, scenario_name: str, seed: int, width: int, height: int) -> list[Pixels]:
    """Return the pictures of one episode, one every `_FRAME_S`."""
    policy, scenario = load_policy(model), find_scenario(scenario_name)
    world = open_world(scenario, policy.contract.interface)
    every = round(_FRAME_S * world.physics_hz)
    pictures: list[Pixels] = []
    steps = 0

    def look(world: World) -> None:
        nonlocal steps
        if steps % every == 0:
            pictures.append(world.picture(Camera(width, height)))
        steps += 1

    loop = ControlLoop(policy.contract, seed, policy.episode_noise)
    run_episode(world, loop, policy.contract, policy, seed, INFERENCE_LATENCY_S, look)
    world.close()
    return pictures


def main() -> int:
    """Write the GIF; return 0."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', type=Path, metavar='MODEL.onnx')
    parser.add_argument('--scenario', default='knife')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--width', type=int, default=360)
    parser.add_argument('--height', type=int, default=270)
    parser.add_argument('--out', required=True, type=Path)
    args = parser.parse_args()
    new_path(str(args.out))
    films = [film(model, args.scenario, args.seed, args.width, args.height)
             for model in args.models]
    length = max(map(len, films))
    # A shorter film ends with its last picture, held.
    rows = [np.concatenate([one[min(i, len(one) - 1)] for one in films], axis=1)
            for i in range(length)]
    args.out.write_bytes(gif(rows, _FRAME_S))
    print(f'{args.out}: {length * _FRAME_S:.1f} s of {len(films)} handovers')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
