# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Store a dataset: frames of aligned episodes, their modes and split, and windows of them.

Windows. Around frame f of an episode with frames s .. n-1, with history K, horizon H and E
actions executed:

    frame      f-K+1  ...  f-1    f    f+1  ...  f+E-1  ...  f+H-1
    observed   o_0    ...  o_K-2  o_K-1
    predicted                     a_0  a_1  ...  a_E-1  ...  a_H-1
    executed                      a_0  a_1  ...  a_E-1

    frames below s repeat frame s, as the control loop fills its history at the start;
    frames above n-1 repeat the last action, for the episode ends in its last command's pose.

A person who corrects a policy may pause. The policy then holds the arm where the person left it,
and the hand may go elsewhere. So no window reaches over a pause: to windows it is the end of one
episode and the start of the next.

On disk a dataset is a folder with `dataset.safetensors` (`observations` float32 (F, obs_dim),
`actions` float32 (F, act_dim), the episodes one after another), `dataset.json`, and for each
camera `KEY.pixels`: the pictures of the frames, uint8 (F, height, width, channels), nothing else.
Pictures are read from there as they are needed, so they may be larger than the memory.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.pieces import LeftOut
from uncloning_ros.errors import DatasetError
from uncloning_ros.files import disk_errors, parse_json, read_bytes, require_new
from uncloning_ros.pictures import Pixels
from uncloning_ros.policy_io import Float32
from uncloning_ros.schema import Count, Note, Positive, Rate, Sha256, Span, plain, read

SplitName = Literal['train', 'validation']
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

_ARRAYS_FILE = 'dataset.safetensors'
_JSON_FILE = 'dataset.json'

Frames = NDArray[np.int64]


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode of a dataset; `digest` is the sha256 of its bag, `seed` the simulator's.

    Mode and source are None for an episode without a label. `span` is (first, end): the frames of
    the episode, from 0, whose windows belong to its mode; None for all of them. `correction_s` is
    the begin and end, in s since the episode began, of the part that a person commanded, who had
    taken the arm over from a policy; the frames are of that part alone. `pauses` are the frames,
    from 0, before which that person paused.
    """

    name: str
    mode: str | None
    label_source: str | None
    digest: str
    split: SplitName
    frames: Positive
    seed: Count | None
    span: tuple[Count, Count] | None = None
    correction_s: Span | None = None
    pauses: tuple[Positive, ...] = ()

    def __post_init__(self) -> None:
        if (self.mode is None) != (self.label_source is None):
            raise DatasetError(f'expected a mode and the source of its label, or neither, got '
                               f'{self.mode} by {self.label_source}; make the dataset again')
        if self.span is not None and (
                self.mode is None or not 0 <= self.span[0] < self.span[1] <= self.frames):
            raise DatasetError(f'expected a span of a mode within {self.frames} frames, got '
                               f'{self.span} of {self.mode}; make the dataset again')
        if [0, *self.pauses, self.frames] != sorted({0, *self.pauses, self.frames}):
            raise DatasetError(f'expected pauses that rise, within {self.frames} frames, got '
                               f'{list(self.pauses)}; make the dataset again')

    @property
    def of_mode(self) -> slice:
        """Return the frames of the episode whose windows belong to its mode."""
        if self.mode is None:
            return slice(0, 0)
        return slice(*(self.span or (0, self.frames)))


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of dataset.json; `episodes` are in the order of their frames.

    `scenario` names the scenario of the demonstrations, whose rule may have labelled them; without
    one they show another task. `topics` to `validation` tell how the dataset was made. `decoder`
    is the `pictures.decoder` of its pictures, None without any and in older versions. `seeds` and
    `statistics` are keys of older versions that have no use.
    """

    SCHEMAS: ClassVar = ('uncloning/dataset@1',)
    software_version: str
    scenario: str | None = None
    scenario_sha256: str | None = None
    contract: Contract
    topics: Mapping[str, str] = field(default_factory=dict)
    cut: Any = None
    labels: str
    split_seed: Count
    validation: Rate
    seeds: Any = None
    episodes: tuple[EpisodeRecord, ...]
    left_out: Annotated[tuple[LeftOut, ...], Note.MAY_BE_EMPTY]
    statistics: Any = None
    arrays_sha256: str = ''
    pictures_sha256: Mapping[str, Sha256] = field(default_factory=dict)
    decoder: tuple[str, Sha256] | None = None

    def as_read(self) -> 'Description':
        """Return the description; raise `ContractError` for a mode that the contract lacks."""
        self.contract.interface.require_modes([one.mode for one in self.episodes
                                               if one.mode is not None])
        return self


@dataclass(frozen=True)
class Dataset:
    """Frames of all episodes: observations (F, obs_dim), actions (F, act_dim), both float32.

    The frames of an episode are consecutive, the episodes in the order of `episodes`. `sha256`
    is that of dataset.json, which holds the hashes of the arrays. `pictures` are those of each
    camera by key, uint8 (F, height, width, channels), in a file that is mapped to memory;
    `decoder` is that of the `Description`.
    """

    contract: Contract
    scenario: str | None
    episodes: tuple[EpisodeRecord, ...]
    observations: Float32
    actions: Float32
    left_out: tuple[LeftOut, ...]
    sha256: str
    pictures: Mapping[str, Pixels] = field(default_factory=dict)
    decoder: tuple[str, str] | None = None

    @cached_property
    def bounds(self) -> Frames:
        """Return where each episode begins, and the end of the last: (E + 1,) frames."""
        return np.concatenate(([0], np.cumsum([one.frames for one in self.episodes]))).astype(
            np.int64)

    @cached_property
    def _parts(self) -> Frames:
        """Return where each part without a pause begins, and the end of the last: (P + 1,)."""
        return np.sort(np.concatenate([self.bounds, *(
            first + np.array(one.pauses, dtype=np.int64)
            for first, one in zip(self.bounds, self.episodes, strict=False))]))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the simulator seeds that the demonstrations used, sorted."""
        return tuple(sorted({one.seed for one in self.episodes if one.seed is not None}))

    def window_frames(self, split: str, modes: Sequence[str] | None = None) -> Frames:
        """Return the frames whose windows belong to a split and to some modes; None for all.

        A window belongs to the mode of its episode if it begins in the span of the label. Raise
        `ContractError` for a mode that the contract does not have.
        """
        if modes is None:
            return _joined(frames for _, frames in self._frames_of(split))
        wanted = self.contract.interface.require_modes(modes)
        return _joined(frames[one.of_mode] for one, frames in self._frames_of(split)
                       if one.mode in wanted)

    def frames_of_episodes(self, split: str, modes: Sequence[str]) -> Frames:
        """Return the frames of whole episodes of some modes, whichever span their label has.

        Raise `ContractError` for a mode that the contract does not have.
        """
        wanted = self.contract.interface.require_modes(modes)
        return _joined(frames for one, frames in self._frames_of(split) if one.mode in wanted)

    def frames_without_mode(self, split: str, labelled: bool | None = None) -> Frames:
        """Return the frames of a split whose windows belong to no mode.

        They lie outside of a label's span, or in an episode without a label; `labelled` selects
        the former (True) or the latter (False).
        """
        return _joined(np.delete(frames, one.of_mode) for one, frames in self._frames_of(split)
                       if labelled in (None, one.mode is not None))

    def _frames_of(self, split: str) -> list[tuple[EpisodeRecord, Frames]]:
        if split not in SPLITS:
            raise DatasetError(f'expected a split of {", ".join(SPLITS)}, got {split!r}')
        return [(one, np.arange(self.bounds[i], self.bounds[i + 1]))
                for i, one in enumerate(self.episodes) if one.split == split]

    def episode_of(self, frames: Frames) -> NDArray[np.int64]:
        """Return the index (B,) of the episode that each frame belongs to."""
        return np.searchsorted(self.bounds, frames, side='right') - 1

    def gather(self, frames: Frames) -> tuple[Float32, Float32]:
        """Return observation histories (B, history, obs_dim) and chunks (B, horizon, act_dim).

        No window reaches into another episode or over a pause; see the module's index table for
        the padding.
        """
        frames = np.asarray(frames, dtype=np.int64)
        if frames.size and (frames.min() < 0 or frames.max() >= len(self.observations)):
            raise DatasetError(f'expected frames in [0, {len(self.observations)}), got '
                               f'[{frames.min()}, {frames.max()}]')
        part = np.searchsorted(self._parts, frames, side='right') - 1
        first, last = self._parts[part], self._parts[part + 1] - 1
        timing = self.contract.policy
        past = frames[:, None] + np.arange(1 - timing.history, 1)
        ahead = frames[:, None] + np.arange(timing.horizon)
        return (self.observations[np.maximum(past, first[:, None])],
                self.actions[np.minimum(ahead, last[:, None])])


def _joined(parts: Iterable[Frames]) -> Frames:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset; raise `DatasetError` if it is missing, damaged or of another version."""
    path, arrays_path = folder / _JSON_FILE, folder / _ARRAYS_FILE
    remedy = 'make a dataset with uncloning dataset'
    text = read_bytes(path, DatasetError, remedy)
    arrays = read_bytes(arrays_path, DatasetError, remedy)
    description = read(Description, parse_json(text, path, DatasetError), str(path), DatasetError)
    if hashlib.sha256(arrays).hexdigest() != description.arrays_sha256:
        raise DatasetError(f'{arrays_path} is damaged: its sha256 is not the one in '
                           f'{_JSON_FILE}; make the dataset again')
    try:
        found = load(arrays)
        observations, actions = found['observations'], found['actions']
    except (SafetensorError, KeyError) as err:
        raise DatasetError(f'{arrays_path} is damaged: {err!r}; make the dataset again') from err
    dataset = Dataset(description.contract, description.scenario, description.episodes,
                      observations, actions, description.left_out,
                      hashlib.sha256(text).hexdigest(), _pictures(folder, description),
                      description.decoder)
    frames = int(dataset.bounds[-1])
    interface = dataset.contract.interface
    for name, array, dim in (('observations', observations, interface.observation_dim),
                             ('actions', actions, interface.action_dim)):
        if array.shape != (frames, dim) or array.dtype != np.float32:
            raise DatasetError(f'{folder}: expected {name} float32 ({frames}, {dim}), got '
                               f'{array.dtype} {array.shape}; make the dataset again')
        if not np.isfinite(array).all():
            frame = int(np.argmin(np.isfinite(array).all(1)))
            raise DatasetError(f'{folder}: expected finite numbers, got {name} '
                               f'{array[frame].tolist()} in frame {frame}; make the dataset again')
    return dataset


def _pictures(folder: Path, description: Description) -> dict[str, Pixels]:
    """Return the pictures of each camera; raise `DatasetError` for a damaged or missing file."""
    frames = sum(one.frames for one in description.episodes)
    found: dict[str, Pixels] = {}
    for signal in description.contract.interface.cameras:
        path, shape = _pixels_file(folder, signal.key), (frames, *signal.shape)
        with disk_errors(f'cannot read {path}', DatasetError, 'make the dataset again'), \
                path.open('rb') as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.file_digest(file, 'sha256').hexdigest()
        expected = description.pictures_sha256.get(signal.key)
        if size != math.prod(shape) or digest != expected:
            raise DatasetError(f'{path} is damaged: expected {math.prod(shape)} bytes with '
                               f'sha256 {expected}, got {size} with {digest}; make the dataset '
                               f'again')
        found[signal.key] = np.memmap(path, np.uint8, 'r', shape=shape)
    return found


def _pixels_file(folder: Path, key: str) -> Path:
    return folder / f'{key}.pixels'


class DatasetWriter:
    """Write a dataset under a temporary name, which `finish` makes that of `out`.

    A context manager: leaving it without `finish` removes all that was written. Pictures go to
    the disk with each episode, so that memory holds those of one only.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folder = out.with_name(f'{out.name}.{os.getpid()}.tmp')
        self._hashes: dict[str, Any] = {}

    def __enter__(self) -> 'DatasetWriter':
        shutil.rmtree(self._folder, ignore_errors=True)
        with disk_errors(f'cannot make {self._folder}', DatasetError):
            self._folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, pictures: Mapping[str, Pixels]) -> None:
        """Add the pictures (T, height, width, channels) of the next episode, by camera."""
        for key, pixels in pictures.items():
            path, data = _pixels_file(self._folder, key), np.ascontiguousarray(pixels).data
            with disk_errors(f'cannot write {path}', DatasetError), path.open('ab') as file:
                file.write(data)
            self._hashes.setdefault(key, hashlib.sha256()).update(data)

    def finish(self, observations: Float32, actions: Float32, description: Description) -> None:
        """Write arrays (F, dim) and description with all hashes, and rename the folder.

        Raise `OutputExistsError` if something is there by then.
        """
        arrays = save({'observations': np.ascontiguousarray(observations),
                       'actions': np.ascontiguousarray(actions)})
        data = plain(replace(
            description, arrays_sha256=hashlib.sha256(arrays).hexdigest(),
            pictures_sha256={key: one.hexdigest() for key, one in self._hashes.items()}))
        (self._folder / _ARRAYS_FILE).write_bytes(arrays)
        (self._folder / _JSON_FILE).write_text(json.dumps(data, indent=1, allow_nan=False) + '\n',
                                               encoding='utf-8')
        require_new(self._out)
        self._folder.rename(self._out)
