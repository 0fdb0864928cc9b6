# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lay out a folder of episodes on disk: names, numbers, discarded and quarantined takes.

    demos/episode_000000/            a finished episode: one rosbag2 directory
    demos/episode_000000.labels.json its labels
    demos/episode_000001.partial/    an episode that is being recorded, or that a crash left
    demos/discarded/                 takes that a person did not want
    demos/quarantine/                takes that cannot become episodes, each with a reason
"""

import glob
import os
import re
from itertools import count
from pathlib import Path

from uncloning_ros.errors import BagError
from uncloning_ros.files import disk_errors

PARTIAL = '.partial'
DISCARDED = 'discarded'
QUARANTINE = 'quarantine'
METADATA_FILE = 'metadata.yaml'
SYSTEM_FOLDER = 'lost+found'  # at the root of a disk; only the system may list it
_PREFIX = 'episode_'
_STORAGE_SUFFIXES = ('.mcap', '.db3')


def list_episodes(directory: Path) -> list[Path]:
    """Return the finished bag directories in `directory`, sorted by name."""
    return [path for path in _bag_directories(directory) if not _is_unfinished(path)]


def list_unfinished(directory: Path) -> list[Path]:
    """Return the bag directories in `directory` that were never closed, sorted by name."""
    return [path for path in _bag_directories(directory) if _is_unfinished(path)]


def episode_name(index: int) -> str:
    """Return the directory name of an episode."""
    return f'{_PREFIX}{index:06d}'


def next_episode_index(directory: Path) -> int:
    """Return the first index above every episode in `directory`, unfinished ones included.

    A sidecar of an episode that is gone counts as well: its labels are not the next one's.
    """
    pattern = re.compile(rf'{_PREFIX}(\d+)([.#].*)?')
    with disk_errors(f'cannot list {directory}', BagError):
        if not directory.is_dir():
            return 0
        found = [pattern.fullmatch(path.name) for path in directory.iterdir()]
    return max((int(match[1]) for match in found if match), default=-1) + 1


def place_aside(path: Path, folder: str) -> Path:
    """Return a free place for a bag directory in `folder` beside it; make the folder if missing.

    A bag whose name is taken there gets a number behind its name.
    """
    shelf = path.parent / folder
    with disk_errors(f'cannot make {shelf}', BagError):
        shelf.mkdir(exist_ok=True)
    names = (path.name if n == 1 else f'{path.name}-{n}' for n in count(1))
    return next(shelf / name for name in names if not (shelf / name).exists()
                and not any(shelf.glob(f'{glob.escape(name)}.*')))


def set_aside(path: Path, folder: str) -> Path:
    """Move a bag directory and its sidecars to `folder` beside it; return its new place."""
    place = place_aside(path, folder)
    with disk_errors(f'cannot move {path} to {place}', BagError):
        path.rename(place)
        for sidecar in path.parent.glob(f'{glob.escape(path.name)}.*'):
            if sidecar.is_file():
                sidecar.rename(place.with_name(place.name + sidecar.name[len(path.name):]))
        sync_directory(place.parent)
        sync_directory(path.parent)
    return place


def sync_directory(path: Path) -> None:
    """Have the disk keep the files that were created or renamed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bag_directories(directory: Path) -> list[Path]:
    """Return the bag directories in `directory`, finished or not, sorted by name."""
    with disk_errors(f'cannot list {directory}', BagError):
        if not directory.is_dir():
            raise BagError(f'{directory} is not a directory; give the folder that holds the '
                           f'episodes')
        if (directory / METADATA_FILE).is_file():
            raise BagError(f'{directory} is one episode; give the folder that holds the episodes')
        return sorted(path for path in directory.iterdir()
                      if path.name != SYSTEM_FOLDER and path.is_dir() and _holds_a_bag(path))


def _holds_a_bag(path: Path) -> bool:
    """Tell whether a directory holds a file of a bag."""
    with disk_errors(f'cannot list {path}', BagError):
        return any(file.suffix in _STORAGE_SUFFIXES or file.name == METADATA_FILE
                   for file in path.iterdir())


def _is_unfinished(path: Path) -> bool:
    """Tell whether a bag directory was never closed."""
    return path.name.endswith(PARTIAL) or not (path / METADATA_FILE).is_file()
