#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write how long the edited policy and each steering plan, as ratios to the mixed policy."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import measure  # noqa: F401 - limits the threads, so it comes before numpy
from rivals.best_of import BestOf
from rivals.fixed_noise import FixedNoise
from rivals.guidance import Guidance
from rivals.latency import latency_ratios
from uncloning_plan import UNTUNED

from uncloning_ros.audit.run.rollout import Steering
from uncloning_ros.files import write_whole
from uncloning_ros.policy_io import Infer
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy


@dataclass(frozen=True)
class OtherFile:
    """Plans with another exported file."""

    model: Path

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return the other file's policy."""
        return load_policy(self.model)


def main() -> int:
    """Measure, and write the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ('mixed', 'edited', 'run', 'verifier'):
        parser.add_argument(name, type=Path)
    parser.add_argument('--settings', type=json.loads, required=True)
    parser.add_argument('--repeats', type=int, required=True)
    parser.add_argument('--rounds', type=int, required=True)
    parser.add_argument('--out', type=Path, required=True)
    args = parser.parse_args()
    ratios = latency_ratios(args.mixed, _steerings(args), args.repeats, args.rounds)
    found = [{key: value for key, value in asdict(ratio).items()
              if key in ('name', 'value', 'low', 'high')} for ratio in ratios]
    write_whole(args.out, json.dumps(found).encode())
    return 0


def _steerings(args: argparse.Namespace) -> Mapping[str, Steering]:
    guided, noise = args.settings['guidance'], args.settings['fixed_noise']
    return {
        'uncloned': OtherFile(args.edited),
        'guidance': Guidance(args.run, args.verifier, guided['scale'],
                             int(guided['inner_steps'])),
        'best_of': BestOf(args.run, args.verifier, int(UNTUNED['best_of']['count'])),
        'fixed_noise': FixedNoise(int(noise['noise_seed'])),
    }


if __name__ == '__main__':
    raise SystemExit(main())
