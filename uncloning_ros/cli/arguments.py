# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Argument types and options that several commands share."""

import argparse
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from uncloning_ros.errors import UncloningError
from uncloning_ros.files import require_new

MOST_EPISODES = 1_000_000
MOST_SEEDS = 10_000  # in a range: a model file lists each of them, and 100,000 are a MB
MOST_PROCESSES = 1024  # or threads


def count(most: int = MOST_EPISODES) -> Callable[[str], int]:
    """Return the type of a whole number above 0 and at most `most`, beyond which is a slip."""
    return partial(_whole, least=1, most=most)


def seed(text: str) -> int:
    """Return a whole number, 0 or above, that every source of random numbers takes."""
    return _whole(text, 0, 2**63 - 1)


def seed_range(text: str) -> tuple[int, ...]:
    """Return the seeds FROM, FROM + 1, ... TO - 1 of a text 'FROM:TO'."""
    first, _, end = text.partition(':')
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise argparse.ArgumentTypeError(f'expected FROM:TO with FROM below TO, got {text!r}')
    if int(end) - int(first) > MOST_SEEDS:
        raise argparse.ArgumentTypeError(f'expected at most {MOST_SEEDS} seeds, got {text!r}; '
                                         f'give a shorter range')
    return tuple(range(int(first), int(end)))


def positive_float(text: str) -> float:
    """Return a finite number above 0."""
    return _number(text, 'a number above 0', lambda value: 0.0 < value < math.inf)


def non_negative_float(text: str) -> float:
    """Return a finite number, 0 or above."""
    return _number(text, 'a number, 0 or above', lambda value: 0.0 <= value < math.inf)


def fraction(text: str) -> float:
    """Return a number in [0, 1]."""
    return _number(text, 'a number in [0, 1]', lambda value: 0.0 <= value <= 1.0)


def share(text: str) -> float:
    """Return a number in [0, 1)."""
    return _number(text, 'a number in [0, 1)', lambda value: 0.0 <= value < 1.0)


def error_rate(text: str) -> float:
    """Return the chance of an error that a test allows, a number in [1e-6, 0.5]."""
    return _number(text, 'a number in [1e-6, 0.5]', lambda value: 1e-6 <= value <= 0.5)


def names(text: str) -> tuple[str, ...]:
    """Return the distinct names in a list with commas, as in 'handle_first,blade_first'."""
    found = tuple(name.strip() for name in text.split(','))
    if not all(found):
        raise argparse.ArgumentTypeError(f'expected names with commas between, got {text!r}')
    return tuple(dict.fromkeys(found))


def counts(text: str) -> tuple[int, ...]:
    """Return the distinct whole numbers, 0 or above, in a list with commas, as in '1,3,10'."""
    return tuple(dict.fromkeys(_whole(number, 0, MOST_EPISODES) for number in text.split(',')))


def shard_of(text: str) -> tuple[int, int]:
    """Return the number of a shard and the count of shards in a text 'I/N', from 1 on."""
    number, slash, of = text.partition('/')
    if not slash or _whole(number, 1, MOST_EPISODES) > _whole(of, 1, MOST_EPISODES):
        raise argparse.ArgumentTypeError(f'expected I/N with I from 1 to N, as in 3/8, got '
                                         f'{text!r}')
    return int(number), int(of)


def new_path(text: str | Path) -> Path:
    """Return a path that does not exist yet; raise `OutputExistsError` if it does."""
    return require_new(Path(text))


def require_new_files(paths: Sequence[Path]) -> None:
    """Raise `UncloningError` before long work if its results could not be written."""
    for path in paths:
        new_path(path)
        if not path.parent.is_dir():
            raise UncloningError(f'{path}: expected the folder {path.parent}, got nothing; make '
                                 f'it first')
    if len(paths) != len({path.resolve() for path in paths}):
        raise UncloningError(f'expected outputs with different names, got {paths[0]} twice; give '
                             f'each a name of its own')


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add `--workers`: processes that share the work, as many as there are cores."""
    parser.add_argument('--workers', type=count(MOST_PROCESSES), metavar='N',
                        default=available_cores(),
                        help='processes that share the work (default: one for each of the '
                             '%(default)s cores); the result does not depend on it')


def available_cores() -> int:
    """Return how many cores this process may use, which a container may limit."""
    return len(os.sched_getaffinity(0))


def _number(text: str, expected: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f'expected {expected}, got {text!r}')
    return value


def _whole(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f'expected a whole number from {least} to {most}, got '
                                         f'{text!r}')
    return value
