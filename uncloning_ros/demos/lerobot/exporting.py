# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write a LeRobotDataset v3 of aligned episodes.

observation.state and action are the flat observation and action of the contract, each camera is a
feature with a video for each episode, and the task of an episode is its mode, or a text for it.
meta/uncloning.json keeps what the format has no place for: the contract, and of each episode its
bag, digest, mode and label; meta/contract.yaml is a contract with which the set is imported again.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from uncloning_ros import __version__
from uncloning_ros.contract import Contract
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.demos.dataset.loading import Loaded
from uncloning_ros.demos.lerobot import layout
from uncloning_ros.demos.lerobot.columns import components
from uncloning_ros.demos.lerobot.layout import ACTION, CHUNK, IMAGES, STATE
from uncloning_ros.demos.lerobot.statistics import Summary
from uncloning_ros.demos.lerobot.videos import CODEC, in_colour, pixel_format, write_video
from uncloning_ros.errors import DatasetError, counted
from uncloning_ros.files import whole_folder, write_json
from uncloning_ros.schema import plain

SCHEMA = 'uncloning/lerobot@1'
_DATA_BYTES = 100 * 2 ** 20  # size of a file of frames, after which another begins


@dataclass(frozen=True)
class Exported:
    """A set that was written.

    The number of episodes by task, of frames, of labels that had a span; the least PSNR (dB) of
    its pictures, None without any.
    """

    tasks: Mapping[str, int]
    frames: int
    spans: int
    psnr_db: float | None


def require_rate(contract: Contract) -> int:
    """Return the rate of the frames; raise `DatasetError` unless it is a whole number of Hz."""
    rate_hz = contract.policy.rate_hz
    if rate_hz != round(rate_hz):
        raise DatasetError(f'expected a whole number of frames a second, got rate_hz {rate_hz:g}; '
                           f'give a contract with another rate_hz with --contract')
    return round(rate_hz)


def export_set(episodes: Iterable[Loaded], contract: Contract, tasks: Mapping[str, str],
               out: Path) -> Exported:
    """Write episodes, one at least, to the new folder `out`; it is whole or absent.

    `tasks` are texts by mode; of a mode without one its name is the task.
    """
    with whole_folder(out) as folder, closing(_SetWriter(folder, contract, tasks)) as writer:
        for loaded in episodes:
            writer.add(loaded)
        return writer.finish()


class _SetWriter:
    def __init__(self, folder: Path, contract: Contract, tasks: Mapping[str, str]) -> None:
        self._folder, self._contract, self._texts = folder, contract, tasks
        self._fps = require_rate(contract)
        self._tasks: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._kept: list[dict[str, Any]] = []
        self._all: dict[str, Summary] = {}
        self._frames, self._file = 0, 0
        self._psnr_db: float | None = None
        self._formats: dict[str, str] = {}
        self._data: pq.ParquetWriter | None = None
        interface = contract.interface
        self._names = {
            STATE: [name for one in interface.vectors for name in components(one)],
            ACTION: [name for one in interface.actions for name in components(one)]}

    def add(self, loaded: Loaded) -> None:
        """Write one episode."""
        index, frames = len(self._rows), loaded.frames
        count, first = len(frames.ticks_ns), self._frames
        text = self._texts.get(loaded.mode or '', loaded.mode or '')
        task = self._tasks.setdefault(text, len(self._tasks))
        numbers = np.arange(count)
        columns: dict[str, Any] = {
            STATE: frames.observations, ACTION: frames.actions,
            'timestamp': (numbers / self._fps).astype(np.float32), 'frame_index': numbers,
            'episode_index': np.full(count, index), 'index': first + numbers,
            'task_index': np.full(count, task)}
        summaries = {name: Summary.of(np.reshape(column, (count, -1)), count)
                     for name, column in columns.items()}
        row = {'episode_index': index, 'tasks': [text], 'length': count,
               'data/chunk_index': self._file // CHUNK, 'data/file_index': self._file % CHUNK,
               'dataset_from_index': first, 'dataset_to_index': first + count}
        self._write_rows(columns)
        for key, pictures in frames.pictures.items():
            name, place = f'{IMAGES}{key}', {'chunk_index': index // CHUNK,
                                             'file_index': index % CHUNK}
            path = self._folder / layout.VIDEO.format(video_key=name, **place)
            psnr_db = write_video(path, pictures, self._fps)
            self._psnr_db = min(psnr_db, self._psnr_db or psnr_db)
            self._formats[key] = pixel_format(pictures)
            row |= {f'videos/{name}/{part}': value for part, value in {
                **place, 'from_timestamp': 0.0, 'to_timestamp': count / self._fps}.items()}
            summaries[name] = Summary.of_pictures(np.stack([in_colour(one) for one in pictures]))
        self._all = {name: one.plus(self._all[name]) if name in self._all else one
                     for name, one in summaries.items()}
        row |= {f'stats/{name}/{part}': value for name, one in summaries.items()
                for part, value in one.plain.items()}
        self._rows.append(row | {'meta/episodes/chunk_index': 0, 'meta/episodes/file_index': 0})
        self._kept.append({'name': loaded.ref.name, 'digest': loaded.digest, 'mode': loaded.mode,
                           'label_source': loaded.label_source, 'seed': loaded.seed,
                           'labelled_frames': loaded.span})
        self._frames += count

    def close(self) -> None:
        """Close the file of frames."""
        if self._data is not None:
            self._data.close()

    def finish(self) -> Exported:
        """Write the files in meta/."""
        self._write_table(layout.EPISODES.format(chunk_index=0, file_index=0),
                          pa.Table.from_pylist(self._rows))
        self._write_table(layout.TASKS, _task_table(self._tasks))
        write_json(self._folder / layout.STATS,
                   {name: one.plain for name, one in self._all.items()})
        write_json(self._folder / layout.INFO, {
            'codebase_version': layout.VERSION, 'robot_type': None, 'chunks_size': CHUNK,
            'total_episodes': len(self._rows), 'total_frames': self._frames,
            'total_tasks': len(self._tasks),
            'data_files_size_in_mb': _DATA_BYTES // 2 ** 20, 'video_files_size_in_mb': 200,
            'fps': self._fps, 'splits': {'train': f'0:{len(self._rows)}'},
            'data_path': layout.DATA,
            'video_path': layout.VIDEO if self._formats else None, 'features': self._features()})
        write_json(self._folder / 'meta/uncloning.json', {
            'schema': SCHEMA, 'software_version': __version__, 'contract': plain(self._contract),
            'least_psnr_db': self._psnr_db, 'episodes': self._kept})
        interface = self._contract.interface
        shown = replace(self._contract, interface=replace(interface, observations=tuple(
            replace(one, camera_size=one.view.size, crop=None) if KINDS[one.kind].pictures else one
            for one in interface.observations)))
        (self._folder / 'meta/contract.yaml').write_text(
            yaml.safe_dump(plain(shown), sort_keys=False, allow_unicode=True), encoding='utf-8')
        texts = [row['tasks'][0] for row in self._rows]
        return Exported({text: texts.count(text) for text in self._tasks}, self._frames,
                        sum(one['labelled_frames'] is not None for one in self._kept),
                        self._psnr_db)

    def _features(self) -> dict[str, Any]:
        features: dict[str, Any] = {
            name: {'dtype': 'float32', 'shape': [len(names)], 'names': names}
            for name, names in self._names.items()}
        for camera in self._contract.interface.cameras:
            if camera.key in self._formats:
                features[f'{IMAGES}{camera.key}'] = {
                    'dtype': 'video', 'shape': [camera.height, camera.width, 3],
                    'names': ['height', 'width', 'channels'], 'info': {
                        'video.height': camera.height, 'video.width': camera.width,
                        'video.codec': CODEC, 'video.pix_fmt': self._formats[camera.key],
                        'video.is_depth_map': False, 'video.fps': self._fps, 'video.channels': 3,
                        'has_audio': False}}
        return features | {name: {'dtype': dtype, 'shape': [1], 'names': None}
                           for name, dtype in layout.INDICES.items()}

    def _write_rows(self, columns: Mapping[str, Any]) -> None:
        arrays = {}
        for name, column in columns.items():
            flat = pa.array(np.ravel(column))
            width = column.shape[1] if column.ndim == 2 else 1
            arrays[name] = flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)
        rows = pa.table(arrays)
        path = self._folder / layout.DATA.format(chunk_index=self._file // CHUNK,
                                          file_index=self._file % CHUNK)
        if self._data is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = pq.ParquetWriter(path, rows.schema, compression='snappy')
        self._data.write_table(rows)
        if path.stat().st_size >= _DATA_BYTES:
            self._data.close()
            self._data, self._file = None, self._file + 1

    def _write_table(self, name: str, rows: pa.Table) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path)


def _task_table(tasks: Mapping[str, int]) -> pa.Table:
    """Return the texts of the tasks as pandas writes a frame whose index they are."""
    index = '__index_level_0__'
    kinds = {'task_index': 'int64', index: 'object'}
    described = [{'name': None if name == index else name, 'field_name': name,
                  'pandas_type': 'unicode' if name == index else kind, 'numpy_type': kind,
                  'metadata': None} for name, kind in kinds.items()]
    pandas = {'index_columns': [index], 'columns': described, 'column_indexes': [{
        'name': None, 'field_name': None, 'pandas_type': 'unicode', 'numpy_type': 'object',
        'metadata': {'encoding': 'UTF-8'}}], 'creator': {'library': 'pyarrow',
                                                         'version': pa.__version__}}
    rows = pa.table({'task_index': list(tasks.values()), index: list(tasks)})
    return rows.replace_schema_metadata({'pandas': json.dumps(pandas)})


def lost(contract: Contract, exported: Exported) -> list[str]:
    """Return a sentence for everything that the set does not hold as the bags do."""
    said = [f'stamps: every signal is resampled to {require_rate(contract)} frames a second, as '
            f'for a dataset; messages between frames, stamps and delays are gone',
            'numbers: rounded to float32, as for a dataset',
            'events, failed takes and further topics of the bags; of an episode in which a person '
            'took over, the frames before and those of pauses']
    if exported.psnr_db is not None:
        sizes = ', '.join(f'{one.key} {one.width} x {one.height}'
                          for one in contract.interface.cameras)
        said.append(f'pictures: as the policy sees them ({sizes}), in H.264; the least PSNR is '
                    f'{exported.psnr_db:.1f} dB')
    if exported.spans:
        said.append(f'spans of {counted(exported.spans, "label")}: a task counts for its whole '
                    f'episode; meta/uncloning.json has the frames')
    return said
