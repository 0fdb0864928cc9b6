# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compare the plans of a trained policy with held-out demonstrations, without a robot.

Prints how far plans are from the demonstrated actions, how likely the demonstrated actions are,
and how often each mode is planned in episodes that the run was not trained on. These are the
held-out episodes; of a dataset that the training did not use, all of them.

The modes are counted at the first tick at which a classifier reads the demonstrated mode of 95 %
of these episodes. That may be seconds after the start: the observation then tells a part of the
choice, and a good figure is easier to reach than at the start. The distances between planned and
demonstrated shares have a noise floor: with the same number of demonstrations, a policy without
fault stays below it in about 19 of 20 cases. An edited policy is compared with demonstrations of
the modes that it keeps. A good figure here does not show that a handover succeeds; an audit does.

  uncloning evaluate runs/mixed --data data/ --json mixed.json --html mixed.html
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncloning_ros.cli.arguments import require_new_files
from uncloning_ros.cli.optimisation import add_threads, default_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('run', type=Path, metavar='RUN', help='folder of a run that has ended')
    parser.add_argument('--data', required=True, type=Path, metavar='DIR',
                        help='dataset whose held-out episodes the run was not trained on')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures')
    parser.add_argument('--html', type=Path, metavar='FILE', help='write a page with plots')
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate one run, print and write the figures."""
    require_new_files([path for path in (args.json, args.html) if path is not None])

    from uncloning_ros.demos.dataset.store import load_dataset
    from uncloning_ros.files import write_json, write_whole
    from uncloning_ros.learning.checkpoint import load_run
    from uncloning_ros.learning.evaluation import evaluate
    from uncloning_ros.learning.evaluation_page import page_of

    trained = load_run(args.run)
    found = evaluate(trained, load_dataset(args.data),
                     args.threads or default_threads(trained.config.contract))
    if args.json is not None:
        write_json(args.json, found)
    if args.html is not None:
        write_whole(args.html, page_of(args.run.name, found).encode())
    _print(found)
    return 0


def _print(found: Mapping[str, Any]) -> None:
    error, likelihood, modes = found['error'], found['likelihood'], found['modes']
    print(f'{found["windows"]} windows of {found["episodes"]} held-out episodes, '
          f'{found["draws"]} plans each\n'
          f'squared error, spread of the demonstrations = 1: {error["plan"]:.4f} of one plan, '
          f'{error["mean"]:.4f} of their mean, {error["nearest"]:.4f} of the nearest')
    if found['removed']:
        print(f'without demonstrations of removed modes: {", ".join(found["removed"])}')
    for name, part in found['error_by_phase'].items():
        print(f'  {name:8} {part["plan"]:.4f}  {part["mean"]:.4f}  {part["nearest"]:.4f}  '
              f'({part["windows"]} windows)')
    if likelihood['of']:
        print(f'negative log-likelihood of the {likelihood["of"]}: {likelihood["exact"]:.2f} nats '
              f'for each chunk')
    print(f'negative log-likelihood of plans blurred by {likelihood["width"]:.3g}: at most '
          f'{likelihood["bound"]:.1f} nats for each chunk')
    if modes is None:
        print('modes: no two of them are both trained on and held out')
        return
    from uncloning_ros.learning.evaluation_page import when

    parted = modes['distribution']
    print(f'modes: {modes["accuracy"]:.1%} of plans have the demonstrated mode; the classifier '
          f'is right in {modes["classifier_accuracy"]:.1%} of demonstrations\n'
          f'shares of modes {when(parted)} of {parted["episodes"]} episodes: within the noise '
          f'floor in '
          f'{parted["within_floor"]} of {len(parted["bins"])} bins of the start; calibration '
          f'error {parted["calibration"]["error"]:.3f}, floor '
          f'{parted["calibration"]["floor"]:.3f}')
