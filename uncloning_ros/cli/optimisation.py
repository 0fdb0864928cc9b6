# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of a training loop, which training and edit share; threads of torch."""

import argparse
from dataclasses import fields
from typing import Any

from uncloning_ros.cli.arguments import (
    MOST_PROCESSES,
    available_cores,
    count,
    positive_float,
    seed,
)
from uncloning_ros.contract import Contract
from uncloning_ros.learning.options import EditOptions, TrainingOptions

# A hundred times the steps of a long training; windows whose update needs some GB of memory.
_MOST_STEPS, _MOST_WINDOWS = 10_000_000, 100_000


def add_optimisation(parser: argparse.ArgumentParser, defaults: TrainingOptions | EditOptions,
                     where: str, others: TrainingOptions | EditOptions) -> None:
    """Add the options of a training loop, which has other defaults in one case (`where`).

    One that is not given is None.
    """
    def default(option: str) -> str:
        value, other = (getattr(one, option) for one in (defaults, others))
        return f'default: {value}' + ('' if other == value else f', {where} {other}')

    parser.add_argument('--steps', type=count(_MOST_STEPS), metavar='N',
                        help=f'updates of the network ({default("steps")})')
    parser.add_argument('--batch-size', type=count(_MOST_WINDOWS), metavar='N',
                        help=f'windows in one update ({default("batch_size")})')
    parser.add_argument('--lr', type=positive_float, metavar='RATE', dest='learning_rate',
                        help='highest learning rate; it falls as a cosine (default: '
                             f'{defaults.learning_rate:g})')
    parser.add_argument('--seed', type=seed, metavar='N',
                        help=f'seed of all random numbers (default: {defaults.seed})')
    add_threads(parser)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the option for the threads of torch; None if it is not given."""
    parser.add_argument('--threads', type=count(MOST_PROCESSES), metavar='N',
                        help='threads of torch (default: 1, with cameras one for each core); the '
                             'same number repeats the result exactly')


def default_threads(contract: Contract) -> int:
    """Return the threads of torch: one where no encoder makes the steps long.

    Threads of short steps wait for each other, which costs much where something else runs.
    """
    return available_cores() if contract.interface.cameras else 1


def given(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """Return the arguments that were given, of those that are fields of a dataclass."""
    return {option.name: value for option in fields(options)
            if (value := getattr(args, option.name, None)) is not None}
