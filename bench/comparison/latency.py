# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the planning time of the edited policy and of each steering method.

The ratios are relative to the mixed policy. The process has one thread; `comparison.workshop`
starts it. Policies that see get pictures of noise.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
from measure import Array, Ratio

from comparison.methods.best_of import BestOf
from comparison.methods.fixed_noise import FixedNoise
from comparison.methods.guidance import Guidance
from comparison.plan import ITSELF, UNTUNED
from uncloning_ros.audit.run.rollout import Steering
from uncloning_ros.files import write_whole
from uncloning_ros.policy_io import Infer, Observation
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy

_PLAIN = 'mixed'


@dataclass(frozen=True)
class OtherFile:
    """Planning with another exported file."""

    model: Path

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return the other file's policy."""
        return load_policy(self.model)


def main() -> int:
    """Write the measured ratios as JSON."""
    parser = argparse.ArgumentParser(prog='python -m comparison.latency', description=__doc__)
    parser.add_argument('mixed', type=Path)
    parser.add_argument('edited', type=Path)
    parser.add_argument('--steered', type=Path, nargs=2, metavar=('RUN', 'VERIFIER'),
                        help='also measure the steering methods with --settings')
    parser.add_argument('--settings', type=json.loads, default={})
    parser.add_argument('--repeats', type=int, required=True)
    parser.add_argument('--rounds', type=int, required=True)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    taken = _planning_times(args.mixed, _steerings(args), args.repeats, args.rounds)
    found = {'ratios': [as_data(ratio) for ratio in _ratios(taken)],
             'plan_ms': {name: dict(measure.spread_ms(name, durations).values)
                         for name, durations in taken.items()}}
    write_whole(args.out, json.dumps(found).encode())
    return 0


def as_data(ratio: Ratio) -> dict[str, Any]:
    """Return a ratio as a record has it."""
    return {key: value for key, value in asdict(ratio).items()
            if key in ('name', 'value', 'low', 'high')}


def latency_ratios(model: Path, steerings: Mapping[str, Steering], repeats: int,
                   rounds: int) -> list[Ratio]:
    """Return the ratio of each steering, and of the plain policy to itself, measured in turns."""
    return _ratios(_planning_times(model, steerings, repeats, rounds))


def _planning_times(model: Path, steerings: Mapping[str, Steering], repeats: int,
                    rounds: int) -> dict[str, list[Array]]:
    """Return the durations in ms (rounds,) of each repeat, of the plain policy too."""
    # Where a session's weights lie in memory changes times by 1 or 2 %: load in each repeat.
    taken: dict[str, list[Array]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for _ in range(repeats):
        policy = load_policy(model)
        infers: dict[str, Infer] = {_PLAIN: policy, ITSELF: load_policy(model)}
        infers |= {name: steering.steer(load_policy(model))
                   for name, steering in steerings.items()}
        observation, noise = (rng.standard_normal(shape, dtype=np.float32)
                              for shape in (policy.observation_shape, policy.chunk_shape))
        pictures = {camera.key: rng.integers(0, 256, camera.shape, np.uint8)
                    for camera in policy.contract.interface.cameras}
        calls = {name: partial(infer, Observation(observation, pictures), noise)
                 for name, infer in infers.items()}
        for name, durations in measure.in_turns(calls, rounds).items():
            taken[name].append(durations)
    return taken


def _ratios(taken: Mapping[str, list[Array]]) -> list[Ratio]:
    return [measure.ratio(name, durations, taken[_PLAIN]) for name, durations in taken.items()
            if name != _PLAIN]


def _steerings(args: argparse.Namespace) -> Mapping[str, Steering]:
    edited = {'uncloned': OtherFile(args.edited)}
    if args.steered is None:
        return edited
    guided, noise = args.settings['guidance'], args.settings['fixed_noise']
    return edited | {
        'guidance': Guidance(*args.steered, guided['scale'], int(guided['inner_steps'])),
        'best_of': BestOf(*args.steered, int(UNTUNED['best_of']['count'])),
        'fixed_noise': FixedNoise(int(noise['noise_seed'])),
    }


if __name__ == '__main__':
    raise SystemExit(main())
