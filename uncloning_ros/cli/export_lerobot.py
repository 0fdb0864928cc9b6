# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Write episodes as a LeRobotDataset v3, for LeRobot and for tools that read it.

Episodes are read, labelled and aligned as uncloning dataset does it, at the rate of the policy.
observation.state and action are the flat observation and action of the contract, each camera is a
video, and the mode of an episode is its task. Episodes without a label are left out.

The command lists everything that the set does not hold as the bags do. The contract and the
labels lie in meta/ as well; meta/contract.yaml imports the set again.

  uncloning export-lerobot demos/ --out set/ \
      --task handle_first="Give the knife with its handle first"
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, new_path
from uncloning_ros.cli.import_lerobot import distinct, pair
from uncloning_ros.cli.output import listed
from uncloning_ros.cli.reading import add_reading, reading_of
from uncloning_ros.demos.dataset.recipe import LABELS, Recipe
from uncloning_ros.errors import BagError, DatasetError

if TYPE_CHECKING:
    from uncloning_ros.demos.dataset.loading import Loaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('demos', type=Path, metavar='DEMOS', help='bag, or folder of bags')
    parser.add_argument('--out', type=new_path, required=True, metavar='DIR',
                        help='folder to make')
    parser.add_argument('--task', type=pair, action='append', default=[], metavar='MODE=TEXT',
                        help='text of the task of a mode (default: its name); may be given '
                             'several times')
    parser.add_argument('--labels', default=Recipe.labels, choices=LABELS,
                        metavar='SOURCE', help="source of an episode's mode, as for uncloning "
                                               'dataset (default: %(default)s)')
    add_reading(parser, 'contract file that replaces policy and deployment parts of the bags; ')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Export episodes; print the tasks, the episodes left out, and everything that is lost."""
    from uncloning_ros.demos.bags.decoding import with_topics
    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.dataset.loading import load_episode
    from uncloning_ros.demos.episodes.find import find_episodes, first_contract, no_episode
    from uncloning_ros.demos.lerobot.exporting import export_set, lost, require_rate
    from uncloning_ros.processes import in_order
    from uncloning_ros.progress import progress_bar

    recipe = Recipe(None, reading_of(args), args.labels)
    contract = with_topics(recipe.reading.contract or first_contract([args.demos]),
                           recipe.reading.topics)
    require_rate(contract)
    tasks = distinct('--task', args.task)
    contract.interface.require_modes([*tasks])
    listing = find_episodes([args.demos], recipe.reading, args.workers)
    left_out: list[LeftOut] = [*listing.left_out]
    with progress_bar('exporting', len(listing.episodes)) as bar:
        def usable() -> 'Iterator[Loaded]':
            for one in in_order(partial(load_episode, recipe, contract), listing.episodes,
                                args.workers, 'the export', BagError):
                bar.update()
                if isinstance(one, LeftOut):
                    left_out.append(one)
                else:
                    yield one
            if len(left_out) == len(listing.left_out) + len(listing.episodes):
                raise DatasetError(no_episode([args.demos], left_out=left_out))

        exported = export_set(usable(), contract, tasks, args.out)
    for text, episodes in exported.tasks.items():
        print(f'{episodes:>8}  {text}')
    print('\n'.join([
        *listed(f'left out {len(left_out)}', [f'{one.name}: {one.reason}' for one in left_out]),
        *listed('lost', lost(contract, exported)),
        f'wrote {args.out}: {exported.frames} frames']))
    return 0
