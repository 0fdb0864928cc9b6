# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Align, label, resample and split bags into training data.

Reads every episode of a folder, made by this package's recorder or by plain ros2 bag record,
and writes one folder with float32 arrays and a description. Episodes without a label, too
short, or with a gap are left out and named; a damaged bag or one of another interface stops it.

  uncloning dataset demos/ --out data/
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from uncloning_ros.cli.arguments import add_workers, fraction, new_path, seed

if TYPE_CHECKING:
    from uncloning_ros.demos.dataset import BuildReport

_SHOWN = 10  # episodes left out that are named; the rest is in dataset.json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('demos', type=Path, metavar='DEMOS', help='folder of episodes (bags)')
    parser.add_argument('--out', required=True, type=new_path, metavar='DATA',
                        help='folder to make')
    parser.add_argument('--scenario', default='knife', metavar='NAME',
                        help='shipped scenario, or the path of a .yaml file: how modes are '
                             'recognised (default: %(default)s)')
    parser.add_argument('--contract', type=Path, metavar='YAML',
                        help='policy and deployment parts to use instead of those in the bags; '
                             'needed for bags of plain ros2 bag record')
    parser.add_argument('--labels', choices=('auto', 'operator', 'rule', 'truth', 'planned'),
                        default='auto',
                        help="where an episode's mode comes from: what an operator said, the "
                             'geometric rule, the simulator, or the mode that was asked for; '
                             'auto takes the first of the first three (default: %(default)s)')
    parser.add_argument('--validation', type=fraction, default=0.1, metavar='SHARE',
                        help='share of the episodes of each mode that is held out '
                             '(default: %(default)s)')
    parser.add_argument('--seed', type=seed, default=0, metavar='N',
                        help='seed of the split (default: %(default)s)')
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Build the dataset, print what is in it and what is not."""
    from tqdm import tqdm

    from uncloning_ros.contract import load_contract
    from uncloning_ros.demos.dataset import build_dataset
    from uncloning_ros.scenario import find_scenario

    scenario = find_scenario(args.scenario)
    contract = None if args.contract is None else load_contract(args.contract)
    with tqdm(desc='reading episodes', unit='episode') as bar:
        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = build_dataset(args.demos, args.out, scenario, contract, args.labels,
                               args.validation, args.seed, args.workers, advance)
    print(summary(report))
    print(f'wrote {args.out}')
    return 0


def summary(report: 'BuildReport') -> str:
    """Return what a dataset holds as a table of at most 80 columns, then what it does not."""
    dataset = report.dataset
    rate_hz = dataset.contract.policy.rate_hz
    lines = [f'{"mode":<20} {"episodes":>8} {"train":>7} {"validation":>10} {"frames":>8} '
             f'{"mean s":>7}']
    for mode in (*dataset.contract.interface.mode_names, None):
        found = [one for one in dataset.episodes if mode in (one.mode, None)]
        splits = Counter(one.split for one in found)
        frames = sum(one.frames for one in found)
        mean_s = frames / rate_hz / len(found) if found else 0.0
        lines.append(f'{mode or "all":<20} {len(found):>8} {splits["train"]:>7} '
                     f'{splits["validation"]:>10} {frames:>8} {mean_s:>7.1f}')
    sources = Counter(one.label_source for one in dataset.episodes)
    lines.append('labels by ' + ', '.join(f'{source} {n}' for source, n in sources.items()))
    if dataset.left_out:
        lines.append(f'left out {len(dataset.left_out)}:')
        lines += [f'  {one.name}: {one.reason}' for one in dataset.left_out[:_SHOWN]]
        if len(dataset.left_out) > _SHOWN:
            lines.append(f'  ... and {len(dataset.left_out) - _SHOWN} more, named in dataset.json')
    lines += [f'warning: {warning}' for warning in report.warnings]
    return '\n'.join(lines)
