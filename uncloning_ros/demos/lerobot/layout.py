# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a LeRobotDataset v3: info, rows of episodes, frames, and where each lies.

    meta/info.json                                    rate, features, patterns of paths
    meta/tasks.parquet                                text of each task
    meta/episodes/chunk-000/file-000.parquet          a row for each episode
    data/chunk-000/file-000.parquet                   a row for each frame
    videos/FEATURE/chunk-000/file-000.mp4             pictures of one or several episodes

The format is that of https://github.com/huggingface/lerobot, lerobot/datasets, codebase v3.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from uncloning_ros.errors import DatasetError, near_miss, shown
from uncloning_ros.files import read_json
from uncloning_ros.schema import Positive, read

VERSION = 'v3.0'
STATE, ACTION, IMAGES = 'observation.state', 'action', 'observation.images.'
DATA = 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
VIDEO = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
EPISODES = 'meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
INFO, STATS, TASKS = 'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet'
CHUNK = 1000  # files of a folder

# Columns that every set has, with their type; they hold one number each.
INDICES = {'timestamp': 'float32', 'frame_index': 'int64', 'episode_index': 'int64',
           'index': 'int64', 'task_index': 'int64'}

_REMEDY = 'check the path; sets of v2 are converted by LeRobot'


@dataclass(frozen=True)
class Feature:
    """One column of the frames, or the pictures of a camera; names are those of its numbers."""

    OTHER_KEYS: ClassVar = True

    dtype: str
    shape: tuple[Positive, ...]
    names: Any

    @property
    def pictures(self) -> bool:
        """Tell whether it is a camera; pictures that are stored one by one are not read."""
        return self.dtype == 'video'

    @property
    def listed_names(self) -> tuple[str, ...]:
        """Return the names of its numbers, () without any."""
        names = self.names
        if isinstance(names, Mapping) and len(names) == 1:  # {"motors": [...]}
            names, = names.values()
        return tuple(map(str, names)) if isinstance(names, list) else ()


@dataclass(frozen=True)
class Info:
    """The file meta/info.json."""

    OTHER_KEYS: ClassVar = True

    codebase_version: str
    fps: Positive
    features: Mapping[str, Feature]
    data_path: str
    video_path: str | None
    total_episodes: Positive | None = None


@dataclass(frozen=True)
class EpisodeRow:
    """One episode: its frames, its tasks, and by feature where its pictures begin."""

    index: int
    length: int
    tasks: tuple[str, ...]
    data: Path
    videos: Mapping[str, tuple[Path, float]]


class LeRobotSet:
    """A LeRobotDataset v3 in a folder; raise `DatasetError` for another format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / INFO
        info = read_json(path, DatasetError, _REMEDY)
        version = info.get('codebase_version') if isinstance(info, dict) else None
        if not str(version).startswith('v3.'):
            raise DatasetError(f'{path}: expected codebase_version {VERSION!r}, got '
                               f'{shown(version)}; {_REMEDY}')
        self.info = read(Info, info, str(path), DatasetError)

    def feature(self, name: str) -> Feature:
        """Return a feature; raise `DatasetError` for a name that the set has not."""
        if name not in self.info.features:
            raise DatasetError(f'{self.folder}: unknown feature {name!r}'
                               f'{near_miss(name, self.info.features)}; give another')
        return self.info.features[name]

    def episodes(self) -> list[EpisodeRow]:
        """Return the episodes in their order."""
        paths = sorted((self.folder / 'meta' / 'episodes').glob('*/*.parquet'))
        rows = [row for path in paths for row in table(path).to_pylist()]
        cameras = [name for name, one in self.info.features.items() if one.pictures]
        try:
            found = [self._episode(row, cameras) for row in rows]
        except (KeyError, IndexError, AttributeError, TypeError, ValueError) as err:
            raise DatasetError(f'{self.folder}: meta/episodes is damaged: {err!r}; copy it '
                               f'again') from err
        if not found:
            raise DatasetError(f'{self.folder}: expected episodes in meta/episodes, got none; '
                               f'{_REMEDY}')
        numbers = sorted(one.index for one in found)
        all_of_them = self.info.total_episodes or len(found)
        if not len(set(numbers)) == len(found) == all_of_them:
            raise DatasetError(f'{self.folder}: expected {all_of_them} different episodes in '
                               f'meta/episodes, got {len(found)}: {shown(numbers)}; copy it again')
        return sorted(found, key=lambda one: one.index)

    def _episode(self, row: Mapping[str, Any], cameras: Sequence[str]) -> EpisodeRow:
        videos = {name: (self._path(self.info.video_path or VIDEO, row, f'videos/{name}', name),
                         float(row[f'videos/{name}/from_timestamp'])) for name in cameras}
        return EpisodeRow(int(row['episode_index']), int(row['length']), tuple(row['tasks']),
                          self._path(self.info.data_path, row, 'data'), videos)

    def _path(self, pattern: str, row: Mapping[str, Any], part: str, video: str = '') -> Path:
        path = self.folder / pattern.format(
            chunk_index=int(row[f'{part}/chunk_index']), file_index=int(row[f'{part}/file_index']),
            video_key=video)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f'{path} lies outside of the set')
        return path

    def frames(self, episode: EpisodeRow) -> pa.Table:
        """Return the rows of an episode in order; raise `DatasetError` if any is missing."""
        rows = table(episode.data)
        try:
            mine = rows.filter(pa.compute.equal(rows['episode_index'], episode.index))
            mine = mine.sort_by('frame_index')
            numbers = mine['frame_index'].to_pylist()
        except (KeyError, pa.ArrowException) as err:
            raise DatasetError(f'{episode.data} is damaged: {err}; copy it again') from err
        if numbers != list(range(episode.length)):
            raise DatasetError(f'{episode.data}: expected the frames 0 to {episode.length - 1} of '
                               f'episode {episode.index}, got {len(numbers)} others; copy it '
                               f'again')
        return mine


@lru_cache(maxsize=1)
def table(path: Path) -> pa.Table:
    """Return a parquet file; the episodes of one file come one after the other."""
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as err:
        raise DatasetError(f'cannot read {path}: {str(err).splitlines()[0]}; check the '
                           f'path') from err
