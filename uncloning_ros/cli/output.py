# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print what several commands print alike: warnings, lists and progress."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from uncloning_ros.errors import BagError

WIDTH = 80  # columns of a terminal
SHOWN = 10  # items of a list that are printed; the others are counted

_In = TypeVar('_In')
_Out = TypeVar('_Out')


def print_warnings(sentences: Iterable[str]) -> None:
    """Print each sentence as a warning, filled to the width of a terminal."""
    for sentence in sentences:
        print(filled(f'warning: {sentence}'))


def filled(text: str, indent: str = '') -> str:
    """Return a text filled to the width of a terminal, its further lines indented by two more."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f'{indent}  ',
                         break_long_words=False, break_on_hyphens=False)


def listed(head: str, items: Sequence[str], where: str = '') -> list[str]:
    """Return the lines of a heading with the first items below it; nothing without items.

    `where` tells where the others are named.
    """
    if not items:
        return []
    return [f'{head}:', *(filled(item, '  ') for item in items[:SHOWN]), *more(len(items), where)]


def more(count: int, where: str = '') -> list[str]:
    """Return the line that counts the items of a list which are not printed, if there are any."""
    return [f'  ... and {count - SHOWN} more{where}'] if count > SHOWN else []


def each_episode(task: Callable[[_In], _Out], episodes: Sequence[_In], workers: int,
                 what: str) -> list[_Out]:
    """Return the result of a task for each episode, with a bar of progress.

    `workers` processes share the work; raise `BagError`, which names `what` they work for, if
    one is lost.
    """
    from tqdm import tqdm

    from uncloning_ros.processes import in_order

    return [*tqdm(in_order(task, episodes, workers, what, BagError), desc='reading episodes',
                  unit='episode', total=len(episodes))]
