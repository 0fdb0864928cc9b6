#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether bent demonstrations hand over: commanded in the simulator, blindly, where they belong.

Of each scenario demonstrations of each desired mode are made and bent to each other's places, as
an edit bends them, but tool and hand to those of one other. Then the world is set up at those
places, and the bent commands are given at the times at which they were demonstrated, whatever
happens. So are the demonstrations themselves.

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
from uncloning_ros.cli.arguments import positive_int
from uncloning_ros.contract import Contract, load_contract, with_modes
from uncloning_ros.demos.dataset.retargeting import fastest_m, retarget_episode
from uncloning_ros.errors import UncloningError
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.world import World, open_world

_DEMONSTRATIONS, _DEMONSTRATIONS_SHORT = 12, 3
_COPIES, _COPIES_SHORT = 30, 3
_FIRST_SEED = 5000
_DRAWS = 50  # for each copy that is wanted


def compare(args: argparse.Namespace) -> Report:
    """Bend and replay demonstrations of every desired mode."""
    demonstrations = _DEMONSTRATIONS_SHORT if args.short else _DEMONSTRATIONS
    copies = args.copies or (_COPIES_SHORT if args.short else _COPIES)
    names = args.scenarios or sorted(
        path.stem for path in (share_path('config') / 'scenarios').glob('*.yaml'))
    report = Report(f'Bent demonstrations, commanded blindly: of {demonstrations} for each mode',
                    note='handed over in the demonstrated mode, and nothing unsafe')
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
    bendable = [(one, one.handover) for one in made if one.handover is not None]
    if len(bendable) < 2:
        raise UncloningError(f'{name}: {len(bendable)} of {demonstrations} demonstrations can be '
                             f'bent, expected 2 at least; this is a fault of the teacher')
    unbent = sum(replayed(world, contract, one.seed, one.actions, one.first_step) == mode
                 for one in made)
    limit_m = max(fastest_m(interface, one.actions) for one, _ in bendable)
    rng = np.random.default_rng(_FIRST_SEED)
    done = handed_over = 0
    with tqdm(total=copies, desc=f'{name}, bent', leave=False, disable=None) as bar:
        for _ in range(_DRAWS * copies):
            if done == copies:
                break
            source, place = rng.choice(len(bendable), 2, replace=False)
            (one, here), (other, there) = bendable[source], bendable[place]
            _, moved = retarget_episode(interface, one.observations, one.actions, here, there)
            if fastest_m(interface, moved) > limit_m:
                continue
            handed_over += replayed(world, contract, other.seed, moved, other.first_step) == mode
            done += 1
            bar.update()
    low, high = interval(handed_over, done) if done else (0.0, 1.0)
    return Figure(name, {'bent': f'{handed_over} of {done}',
                         'share_95': f'[{low:.2f}, {high:.2f}]',
                         'as_demonstrated': f'{unbent} of {len(made)}'})


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO',
                        help='those alone (default: all that are shipped)')
    parser.add_argument('--copies', type=positive_int, metavar='N',
                        help=f'bent demonstrations of each mode (default: {_COPIES})')
    return measure.run(compare, parser.parse_args())


if __name__ == '__main__':
    raise SystemExit(main())
