# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Print what several commands print alike: warnings, lists and progress."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from uncloning_ros.errors import BagError, DatasetError

if TYPE_CHECKING:
    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.find import EpisodeRef, Listing

WIDTH = 80  # columns of a terminal
SHOWN = 10  # items of a list that are printed; the others are counted

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


def each_usable(task: 'Callable[[EpisodeRef], _Out | LeftOut]', folder: Path,
                listing: 'Listing', workers: int,
                what: str) -> 'tuple[list[_Out], list[LeftOut]]':
    """Return the results of a task for the usable episodes in a folder, and the others.

    A bar shows the progress; `workers` processes share the work. Raise `BagError`, which names
    `what` they work for, if a process is lost; `DatasetError` if no episode is usable.
    """
    from uncloning_ros.demos.bags.pieces import LeftOut
    from uncloning_ros.demos.episodes.find import no_episode
    from uncloning_ros.processes import in_order
    from uncloning_ros.progress import progress_bar

    results = []
    with progress_bar('reading episodes', len(listing.episodes)) as bar:
        for result in in_order(task, listing.episodes, workers, what, BagError):
            results.append(result)
            bar.update()
    left_out = [*listing.left_out, *(one for one in results if isinstance(one, LeftOut))]
    usable = [one for one in results if not isinstance(one, LeftOut)]
    if not usable:
        raise DatasetError(no_episode([folder], left_out=left_out))
    return usable, left_out
