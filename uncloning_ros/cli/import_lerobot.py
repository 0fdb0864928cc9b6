# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Make episodes of a LeRobotDataset v3: a bag for each, with its mode.

The set is a folder with meta/info.json. The contract says which signals are taken from it: a
feature of the signal's key, numbers of observation.state and action by the names of joints, or
those of --column. Pictures of videos are stored as PNG, which loses nothing more.

The mode of an episode is its task, where that is the name of a mode; --mode gives modes for other
texts, and --mode-column takes the text from a feature. Each mode becomes the planned mode and a
label of the operator; an episode with another text has none, to be labelled later.

The command lists everything that the bags do not hold as the set does.

  uncloning import-lerobot so101/ --contract so101.yaml --out demos/ \
      --mode handle_first="Give the knife with its handle first" \
      --column joints=observation.state[0:6]
  uncloning inspect demos/
  uncloning dataset demos/ --out data/
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from uncloning_ros.cli.arguments import new_path
from uncloning_ros.cli.output import listed
from uncloning_ros.errors import UncloningError, counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('set', type=Path, metavar='DIR', help='folder of the LeRobot set')
    parser.add_argument('--contract', type=Path, required=True, metavar='YAML',
                        help='contract of the episodes')
    parser.add_argument('--out', type=new_path, required=True, metavar='DEMOS',
                        help='folder to make')
    parser.add_argument('--column', type=pair, action='append', default=[],
                        metavar='KEY=FEATURE[FROM:TO]',
                        help='take a signal from this feature, or from some of its numbers; may '
                             'be given several times')
    parser.add_argument('--mode', type=pair, action='append', default=[], metavar='MODE=TEXT',
                        help='mode of the episodes with this task; may be given several times')
    parser.add_argument('--mode-column', metavar='FEATURE',
                        help='take the text for the mode from this feature, not from the task')


def pair(text: str) -> tuple[str, str]:
    """Return both sides of a text 'NAME=TEXT'."""
    name, _, value = text.partition('=')
    if not name.strip() or not value.strip():
        raise argparse.ArgumentTypeError(f'expected NAME=TEXT, got {text!r}')
    return name.strip(), value.strip()


def distinct(option: str, given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return pairs by their first; raise `UncloningError` if two have the same."""
    if len(found := dict(given)) < len(given):
        raise UncloningError(f'expected each of {option} once, got '
                             f'{", ".join(one for one, _ in given)}; leave one out')
    return found


def run(args: argparse.Namespace) -> int:
    """Import a set; print its modes, and everything that is lost."""
    from uncloning_ros.contract import load_contract
    from uncloning_ros.demos.lerobot.importing import Choices, import_set, lost
    from uncloning_ros.demos.lerobot.layout import LeRobotSet
    from uncloning_ros.progress import progress_bar

    contract, found = load_contract(args.contract), LeRobotSet(args.set)
    choices = Choices(distinct('--column', args.column),
                      distinct('--mode', [(text, mode) for mode, text in args.mode]),
                      args.mode_column)
    modes: Counter[str | None] = Counter()
    others: Counter[str] = Counter()
    with progress_bar('importing', len(found.episodes())) as bar:
        for made in import_set(found, contract, choices, args.out):
            modes[made.mode] += 1
            if made.mode is None:
                others[made.text] += 1
            bar.update()
    for mode, episodes in modes.items():
        print(f'{mode or "without a mode":<20} {episodes:>8}')
    print('\n'.join([
        *listed('without a mode, by task', [f'{counted(n, "episode")}: {text}'
                                            for text, n in others.items()]),
        *listed('lost', lost(found, contract, choices)), f'wrote {args.out}']))
    return 0
