# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make episodes, as bags, of a LeRobotDataset v3.

A frame becomes one message of each signal, all with one stamp: the frames lie at the rate of the
set. Each number comes back from the bag as it is in the set; rotations of poses are stored as
quaternions and come back to within 1e-7.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uncloning_ros import __version__
from uncloning_ros.contract import Contract
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.demos.bags.episode import EpisodeMetadata, bag_topics
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.bags.layout import episode_name
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.lerobot.columns import Source, sources, values
from uncloning_ros.demos.lerobot.layout import INDICES, EpisodeRow, LeRobotSet
from uncloning_ros.demos.lerobot.videos import read_video
from uncloning_ros.errors import DatasetError, shown
from uncloning_ros.files import file_sha256, whole_folder
from uncloning_ros.pictures import Pixels

_EPOCH_NS = 1_600_000_000_000_000_000  # time of the first episode: a set has no dates
_PAUSE_NS = 60_000_000_000  # between two episodes


@dataclass(frozen=True)
class Choices:
    """The user's features by key, modes by text, and the column of the text, if not the task."""

    columns: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)
    mode_column: str | None = None


@dataclass(frozen=True)
class Imported:
    """One episode: the name of its bag, its mode, and the text that tells the mode."""

    name: str
    mode: str | None
    text: str


def import_set(found: LeRobotSet, contract: Contract, choices: Choices,
               out: Path) -> Iterator[Imported]:
    """Write every episode of a set to the new folder `out`, and give each as it is there.

    `choices.modes` are modes by the text of their task, or by the value of the column; a text
    that is the name of a mode needs none. An episode with another text has no mode. Raise
    `DatasetError` for a set that is damaged or lacks a signal. The folder is whole or absent.
    """
    contract.interface.require_modes([*choices.modes.values()])
    for topic in bag_topics(contract).values():
        topic.require_one_signal()
    if choices.mode_column is not None and found.feature(choices.mode_column).pictures:
        raise DatasetError(f'expected texts or numbers in --mode-column, got the pictures '
                           f'{choices.mode_column}; name another feature')
    from_set = sources(contract, found, choices.columns)
    digest = file_sha256(found.folder / 'meta/info.json')
    begin_ns = _EPOCH_NS
    with whole_folder(out) as folder:
        for row in found.episodes():
            frames = found.frames(row)
            text = _text(found, row, choices, frames)
            mode = choices.modes.get(text, text if text in contract.interface.modes else None)
            bag = folder / episode_name(row.index)
            metadata = EpisodeMetadata(f'lerobot-{found.folder.resolve().name}', row.index,
                                       'unknown', mode, __version__)
            end_ns = begin_ns + round(1e9 / found.info.fps) * (row.length - 1)
            with EpisodeWriter(bag, contract, metadata) as writer:
                writer.write_event({
                    'event': 'start', 'episode': row.index, 'mode': mode, 'imported': {
                        'format': found.info.codebase_version, 'info_sha256': digest,
                        'tasks': list(row.tasks),
                        'features': {one.signal.key: one.feature for one in from_set}}}, begin_ns)
                _write_frames(writer, found, row, frames, from_set, begin_ns)
                writer.write_event({'event': 'stop', 'episode': row.index, 'mode': mode}, end_ns)
                writer.commit()
            if mode is not None:
                at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
                by = choices.mode_column or 'task'
                add_label(bag, Label(mode, 'operator', 1.0, at, f'{by} of a LeRobot set'),
                          contract.interface)
            yield Imported(bag.name, mode, text)
            begin_ns = end_ns + _PAUSE_NS


def lost(found: LeRobotSet, contract: Contract, choices: Choices) -> list[str]:
    """Return a sentence for everything that the bags do not hold as the set does."""
    from_set = sources(contract, found, choices.columns)
    used = {one.feature for one in from_set} | {*INDICES, choices.mode_column}
    said = [f'stamps: a set has one time for each frame, so all signals of a frame arrive at '
            f'once, {found.info.fps} times a second; delays of sensors and commands are not known',
            'units: a set names none; the contract states them, and nothing converts']
    if any(one.signal.kind == 'pose' for one in from_set):
        said.append('rotations of poses: stored as quaternions, equal to within 1e-7')
    if left := [name for name in found.info.features if name not in used]:
        said.append(f'features that the contract has no signal for: {", ".join(left)}')
    return said


def _text(found: LeRobotSet, row: EpisodeRow, choices: Choices, frames: Any) -> str:
    """Return the text that tells an episode's mode; raise `DatasetError` if there are several."""
    said = list(dict.fromkeys(
        row.tasks if choices.mode_column is None else map(str, frames[
            choices.mode_column].to_pylist())))
    if len(said) != 1:
        raise DatasetError(f'{found.folder}: expected one mode of episode {row.index}, got '
                           f'{shown(said)}; name a column with one value for each episode with '
                           f'--mode-column')
    return said[0]


def _write_frames(writer: EpisodeWriter, found: LeRobotSet, row: EpisodeRow, frames: Any,
                  from_set: list[Source], begin_ns: int) -> None:
    streams: list[tuple[Source, Iterable[Any]]] = []
    for source in from_set:
        feature = found.feature(source.feature)
        if not KINDS[source.signal.kind].pictures:
            streams.append((source, values(source, feature, frames)))
        else:
            path, from_s = row.videos[source.feature]
            pictures = read_video(path, from_s, row.length, found.info.fps)
            streams.append((source, _of_size(source, pictures)))
    period_ns = round(1e9 / found.info.fps)  # as ticks of the policy are apart
    for i, one in enumerate(zip(*(stream for _, stream in streams), strict=True)):
        for (source, _), value in zip(streams, one, strict=True):
            at_ns = begin_ns + i * period_ns
            writer.write_values(source.signal.key, value, at_ns, at_ns)


def _of_size(source: Source, pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    width, height = source.signal.view.camera_size
    for picture in pictures:
        if picture.shape[:2] != (height, width):
            raise DatasetError(f'{source.feature}: expected pictures of {width} x {height} px, as '
                               f'camera_size of {source.signal.key}, got {picture.shape[1]} x '
                               f'{picture.shape[0]}; correct camera_size in the contract')
        yield picture
