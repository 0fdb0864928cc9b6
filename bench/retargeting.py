#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Count how many retargeted demonstrations hand over when the simulator plays their commands.

For each kept mode of each scenario the scripted teacher makes demonstrations. Each copy is
retargeted as in an edit, but to tool and hand of one other demonstration. The simulator starts at
these places and receives the retargeted commands at their recorded times, without feedback. The
demonstrations themselves are played in the same way.

  bench/retargeting.py
  bench/retargeting.py mug --copies 60 --json retargeting.json
"""

import argparse

import measure  # limits the threads, so it comes before numpy
import numpy as np
from blind_replay import demonstrated, replayed
from measure import Figure, Report
from tqdm import tqdm

from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.cli.arguments import count
from uncloning_ros.contract import Contract, load_contract, with_modes
from uncloning_ros.demos.dataset.retargeting import fastest_m, retarget_episode
from uncloning_ros.errors import UncloningError
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.world import World, open_world

_DEMONSTRATIONS, _DEMONSTRATIONS_SHORT = 12, 3
_COPIES, _COPIES_SHORT = 30, 3
_FIRST_SEED = 5000
_DRAWS = 50  # most attempts to draw each copy


def compare(args: argparse.Namespace) -> Report:
    """Retarget and replay demonstrations of every kept mode."""
    demonstrations = _DEMONSTRATIONS_SHORT if args.short else _DEMONSTRATIONS
    copies = args.copies or (_COPIES_SHORT if args.short else _COPIES)
    names = args.scenarios or sorted(
        path.stem for path in (share_path('config') / 'scenarios').glob('*.yaml'))
    report = Report(f'Retargeted demonstrations, played without feedback: of {demonstrations} for '
                    f'each mode',
                    note='handed over in the demonstrated mode, without an unsafe event')
    for scenario in map(find_scenario, names):
        contract = with_modes(load_contract(share_path('config') / 'contract.yaml'),
                              scenario.desired)
        world = open_world(scenario, contract.interface)
        for mode in contract.interface.desired_modes:
            report.figures.append(_of_mode(world, contract, mode, demonstrations, copies))
        world.close()
    return report


def _of_mode(world: World, contract: Contract, mode: str, demonstrations: int,
             copies: int) -> Figure:
    name = f'{world.scenario.name} {mode}'
    interface = contract.interface
    seeds = range(_FIRST_SEED, _FIRST_SEED + demonstrations)
    made = [demonstrated(world, contract, mode, seed)
            for seed in tqdm(seeds, desc=name, leave=False, disable=None)]
    usable = [(one, one.handover) for one in made if one.handover is not None]
    if len(usable) < 2:
        raise UncloningError(f'{name}: expected at least 2 demonstrations that can be retargeted, '
                             f'got {len(usable)} of {demonstrations}; report a fault of the '
                             f'teacher')
    original = sum(replayed(world, contract, one.seed, one.actions, one.first_step) == mode
                 for one in made)
    limit_m = max(fastest_m(interface, one.actions) for one, _ in usable)
    rng = np.random.default_rng(_FIRST_SEED)
    done = handed_over = 0
    with tqdm(total=copies, desc=f'{name}, retargeted', leave=False, disable=None) as bar:
        for _ in range(_DRAWS * copies):
            if done == copies:
                break
            source, place = rng.choice(len(usable), 2, replace=False)
            (one, here), (other, there) = usable[source], usable[place]
            _, moved = retarget_episode(interface, one.observations, one.actions, here, there)
            if fastest_m(interface, moved) > limit_m:
                continue
            handed_over += replayed(world, contract, other.seed, moved, other.first_step) == mode
            done += 1
            bar.update()
    low, high = interval(handed_over, done) if done else (0.0, 1.0)
    return Figure(name, {'retargeted': f'{handed_over} of {done}',
                         'share_95': f'[{low:.2f}, {high:.2f}]',
                         'as_demonstrated': f'{original} of {len(made)}'})


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO',
                        help='scenarios to run (default: all shipped ones)')
    parser.add_argument('--copies', type=count(), metavar='N',
                        help=f'retargeted copies of each mode (default: {_COPIES})')
    return measure.run(compare, parser.parse_args())


if __name__ == '__main__':
    raise SystemExit(main())
