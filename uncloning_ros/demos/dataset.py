# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes to training data: aligned on a grid of ticks, labelled, split, and cut into windows.

Alignment. A policy acts at ticks, `policy.rate_hz` of them a second, so an episode becomes one
frame for each tick:

    observation at a tick   the newest sample of each key that had arrived by then, never a later
                            one; younger than its `max_age_s`, by arrival and by stamp
    action at a tick        the first command of each key that arrived at the tick or after it:
                            the one that answered this observation

The first tick is the first at which all observations are there and fresh and the commands have
begun; the last is the last that still has an answer. The grid lies so that nearly every command
falls on a tick or shortly after one, whatever the teacher's phase. An episode in which an
observation goes stale, or the commands pause, is left out: what a teacher did blindly, or with
a hand off the controls, is no example for a policy that holds still in that case.

Windows. Around frame f of an episode with frames s .. n-1, with history K, horizon H and E
actions executed:

    frame      f-K+1  ...  f-1    f    f+1  ...  f+E-1  ...  f+H-1
    observed   o_0    ...  o_K-2  o_K-1
    predicted                     a_0  a_1  ...  a_E-1  ...  a_H-1
    executed                      a_0  a_1  ...  a_E-1

    frames below s repeat frame s, as the control loop fills its history at the start;
    frames above n-1 repeat the last action, for the episode ends in its last command's pose.

On disk a dataset is a folder with `dataset.safetensors` (`observations` float32 (F, obs_dim),
`actions` float32 (F, act_dim), the episodes one after another) and `dataset.json`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from uncloning_ros import __version__
from uncloning_ros.contract import Contract, contract_from_dict, contract_to_dict
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bag import Episode, list_episodes, list_unfinished
from uncloning_ros.demos.bag_reader import episode_digest, read_episode
from uncloning_ros.demos.labels import newest_label, read_labels
from uncloning_ros.demos.mode_rule import rule_label
from uncloning_ros.errors import ContractError, DatasetError
from uncloning_ros.files import require_new
from uncloning_ros.geometry import Array
from uncloning_ros.processes import submit, worker_pool
from uncloning_ros.scenario import Scenario
from uncloning_ros.strict_yaml import Fields

SCHEMA = 'uncloning/dataset@1'
SPLITS = ('train', 'validation')
# Where an episode's mode comes from; `auto` takes the first of the others that has one, except
# `planned`: what was asked for is not what was shown.
LABELS = ('auto', 'operator', 'rule', 'truth', 'planned')

_ARRAYS_FILE = 'dataset.safetensors'
_JSON_FILE = 'dataset.json'
# A teacher who has not answered for so long has paused.
_LATEST_ANSWER_NS = 300_000_000
# Share of the commands that may come before their tick: a few stragglers shall not shift all.
_EARLY_PERCENT = 5.0
# Below so many episodes of a mode a policy is known to learn little; a warning, no refusal.
_FEW_EPISODES = 20

Float32 = NDArray[np.float32]
Frames = NDArray[np.int64]


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode of a dataset; `digest` is the sha256 of its bag."""

    name: str
    mode: str
    label_source: str
    digest: str
    split: str
    frames: int
    seed: int | None


@dataclass(frozen=True)
class LeftOut:
    """One episode that is not in the dataset, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation of each dimension over the frames of the train split."""

    observation_mean: tuple[float, ...]
    observation_std: tuple[float, ...]
    action_mean: tuple[float, ...]
    action_std: tuple[float, ...]


@dataclass(frozen=True)
class Dataset:
    """Frames of all episodes: observations (F, obs_dim), actions (F, act_dim), both float32.

    The frames of an episode are consecutive, the episodes in the order of `episodes`. `sha256`
    is that of dataset.json, which holds the hash of the arrays.
    """

    contract: Contract
    scenario: str
    episodes: tuple[EpisodeRecord, ...]
    observations: Float32
    actions: Float32
    statistics: Statistics
    left_out: tuple[LeftOut, ...]
    sha256: str

    @cached_property
    def bounds(self) -> Frames:
        """Return where each episode begins, and the end of the last: (E + 1,) frames."""
        return np.concatenate(([0], np.cumsum([one.frames for one in self.episodes]))).astype(
            np.int64)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the simulator seeds that the demonstrations used, sorted."""
        return tuple(sorted({one.seed for one in self.episodes if one.seed is not None}))

    def window_frames(self, split: str, modes: Sequence[str] | None = None) -> Frames:
        """Return the frames whose windows belong to a split, of some modes or of all.

        Raise `ContractError` for a mode that the contract does not have.
        """
        if split not in SPLITS:
            raise DatasetError(f'expected a split of {", ".join(SPLITS)}, got {split!r}')
        wanted = self.contract.interface.require_modes(
            self.contract.interface.mode_names if modes is None else modes)
        pieces = [np.arange(self.bounds[i], self.bounds[i + 1])
                  for i, one in enumerate(self.episodes)
                  if one.split == split and one.mode in wanted]
        return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)

    def episode_of(self, frames: Frames) -> NDArray[np.int64]:
        """Return the index (B,) of the episode that each frame belongs to."""
        return np.searchsorted(self.bounds, frames, side='right') - 1

    def gather(self, frames: Frames) -> tuple[Float32, Float32]:
        """Return observation histories (B, history, obs_dim) and chunks (B, horizon, act_dim).

        No window reaches into another episode; see the module's index table for the padding.
        """
        frames = np.asarray(frames, dtype=np.int64)
        if frames.size and (frames.min() < 0 or frames.max() >= len(self.observations)):
            raise DatasetError(f'expected frames in [0, {len(self.observations)}), got '
                               f'[{frames.min()}, {frames.max()}]')
        episode = self.episode_of(frames)
        first, last = self.bounds[episode], self.bounds[episode + 1] - 1
        timing = self.contract.policy
        past = frames[:, None] + np.arange(1 - timing.history, 1)
        ahead = frames[:, None] + np.arange(timing.horizon)
        return (self.observations[np.maximum(past, first[:, None])],
                self.actions[np.minimum(ahead, last[:, None])])


@dataclass(frozen=True)
class BuildReport:
    """A new dataset, and what whoever made it ought to look at.

    `disagreeing` names the episodes whose label is another mode than the planned one.
    """

    dataset: Dataset
    disagreeing: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Loaded:
    """One aligned and labelled episode, as a worker returns it."""

    name: str
    mode: str
    label_source: str
    planned_mode: str | None
    digest: str
    seed: int | None
    observations: Float32
    actions: Float32


def build_dataset(demos_dir: Path, out_dir: Path, scenario: Scenario,
                  contract: Contract | None = None, labels: str = 'auto',
                  validation: float = 0.1, seed: int = 0, workers: int = 1,
                  on_done: Callable[[int, int], None] | None = None) -> BuildReport:
    """Make a dataset of every usable episode in `demos_dir` and write it to `out_dir`.

    `contract` replaces the policy and deployment parts that the bags carry and is needed for
    bags of plain `ros2 bag record`. `on_done(done, total)` is called after each episode. The
    result does not depend on `workers`. An episode without a label, too short, or with a gap is
    left out and named; a damaged bag, one of another interface, a missing joint and NaN are
    refused with `BagError` or `ContractError`; `DatasetError` if nothing remains. An interrupt
    leaves nothing behind.
    """
    if labels not in LABELS:
        raise DatasetError(f'expected labels of {", ".join(LABELS)}, got {labels!r}')
    if not 0.0 <= validation < 1.0:
        raise DatasetError(f'expected a validation share in [0, 1), got {validation}')
    require_new(out_dir)
    paths = list_episodes(demos_dir)
    if not paths:
        raise DatasetError(f'{demos_dir} holds no episode; record some, or make some with '
                           f'uncloning demos')
    used = contract or read_episode(paths[0]).contract
    job = partial(_load, scenario=scenario, contract=used, any_policy=contract is not None,
                  labels=labels)
    loaded: dict[str, _Loaded] = {}  # by digest
    left_out = [LeftOut(path.name, 'it was never finished') for path in list_unfinished(demos_dir)]
    for done, result in enumerate(_each(job, paths, workers), start=1):
        if isinstance(result, LeftOut):
            left_out.append(result)
        elif result.digest in loaded:
            # In both splits it would make the validation look better than it is.
            twin = loaded[result.digest].name
            left_out.append(LeftOut(result.name, f'it is the same recording as {twin}'))
        else:
            loaded[result.digest] = result
        if on_done is not None:
            on_done(done, len(paths))
    if not loaded:
        raise DatasetError(f'no episode of {demos_dir} can be used, the first because '
                           f'{left_out[0].name}: {left_out[0].reason}')
    usable = list(loaded.values())
    splits = _split([one.mode for one in usable], used.interface.mode_names, validation, seed)
    records = tuple(
        EpisodeRecord(one.name, one.mode, one.label_source, one.digest, split,
                      len(one.observations), one.seed)
        for one, split in zip(usable, splits, strict=True))
    observations = np.concatenate([one.observations for one in usable])
    actions = np.concatenate([one.actions for one in usable])
    in_train = np.repeat([record.split == 'train' for record in records],
                         [record.frames for record in records])
    statistics = _statistics(observations[in_train], actions[in_train])
    disagreeing = tuple(one.name for one in usable
                        if one.planned_mode is not None and one.planned_mode != one.mode)
    description = {
        'schema': SCHEMA,
        'software_version': __version__,
        'scenario': scenario.name,
        'scenario_sha256': scenario.sha256,
        'contract': contract_to_dict(used),
        'labels': labels,
        'split_seed': seed,
        'validation': validation,
        'seeds': sorted({one.seed for one in usable if one.seed is not None}),
        'episodes': [vars(record) for record in records],
        'left_out': [vars(one) for one in left_out],
        'statistics': {name: list(value) for name, value in vars(statistics).items()},
    }
    _write(out_dir, observations, actions, description)
    return BuildReport(load_dataset(out_dir), disagreeing,
                       _warnings(records, used, disagreeing))


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset; raise `DatasetError` if it is missing, damaged or of another version."""
    path = folder / _JSON_FILE
    try:
        text, arrays = path.read_bytes(), (folder / _ARRAYS_FILE).read_bytes()
    except OSError as err:
        raise DatasetError(f'{folder} is not a dataset: cannot read {err.filename}: '
                           f'{err.strerror}; make one with uncloning dataset') from err
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise DatasetError(f'{path} is not JSON: {err}') from err
    fields = Fields(data, str(path), DatasetError)
    fields.schema(SCHEMA)
    for key in ('software_version', 'scenario_sha256', 'labels', 'split_seed', 'validation'):
        fields.has(key)  # provenance for people; nothing depends on it
    contract = contract_from_dict(fields.fields('contract').plain(), f'{path}: contract')
    if hashlib.sha256(arrays).hexdigest() != fields.text('arrays_sha256'):
        raise DatasetError(f'{folder / _ARRAYS_FILE} is damaged: its sha256 is not the one in '
                           f'{_JSON_FILE}; make the dataset anew')
    try:
        found = load(arrays)
        observations, actions = found['observations'], found['actions']
    except (SafetensorError, KeyError) as err:
        raise DatasetError(f'{folder / _ARRAYS_FILE} is damaged: {err!r}') from err
    episodes = tuple(_record(item, contract) for item in fields.list_of_fields('episodes'))
    fields.has('seeds')  # the same as in the episodes
    left_out = tuple(LeftOut(item.text('name'), item.text('reason'))
                     for item in (fields.list_of_fields('left_out')
                                  if data.get('left_out') else _nothing(fields, 'left_out')))
    part = fields.fields('statistics')
    interface = contract.interface
    statistics = Statistics(
        part.numbers('observation_mean', interface.observation_dim),
        part.numbers('observation_std', interface.observation_dim),
        part.numbers('action_mean', interface.action_dim),
        part.numbers('action_std', interface.action_dim))
    part.done()
    dataset = Dataset(contract, fields.text('scenario'), episodes, observations, actions,
                      statistics, left_out, hashlib.sha256(text).hexdigest())
    fields.done()
    frames = int(dataset.bounds[-1])
    for name, array, dim in (('observations', observations, interface.observation_dim),
                             ('actions', actions, interface.action_dim)):
        if array.shape != (frames, dim) or array.dtype != np.float32:
            raise DatasetError(f'{folder}: expected {name} float32 ({frames}, {dim}), got '
                               f'{array.dtype} {array.shape}; make the dataset anew')
    return dataset


def align(episode: Episode, contract: Contract) -> tuple[Float32, Float32, Frames]:
    """Return observations (T, obs_dim), actions (T, act_dim) and the ticks in ns (T,).

    See the module's text for the rules. Raise `DatasetError` if an observation goes stale, if
    the commands pause, or if fewer frames than history + execute remain.
    """
    interface, timing = contract.interface, contract.policy
    observed = {s.key: _Series.of(episode.samples[s.key]) for s in interface.observations}
    commands = {s.key: _Series.of(episode.samples[s.key]) for s in interface.actions}
    ages_ns = {s.key: round(_max_age_s(contract, s.key) * 1e9) for s in interface.observations}
    period_ns = timing.period_ns
    start_ns = max(series.receive_ns[0] for series in observed.values())
    # Before its first command a teacher has not begun; one period of it is the first answer.
    start_ns = max(start_ns, *(s.receive_ns[0] - period_ns + 1 for s in commands.values()))
    end_ns = min(series.receive_ns[-1] for series in commands.values())
    anchor_ns = _grid_anchor(commands.values(), period_ns)
    first = -(-(int(start_ns) - anchor_ns) // period_ns)
    last = (int(end_ns) - anchor_ns) // period_ns
    ticks = anchor_ns + period_ns * np.arange(first, last + 1, dtype=np.int64)
    stale = {key: _stale(series, ticks, ages_ns[key]) for key, series in observed.items()}
    fresh = ~np.any([*stale.values()], axis=0) if len(ticks) else np.zeros(0, dtype=np.bool_)
    begin = int(np.argmax(fresh)) if fresh.any() else len(ticks)
    ticks = ticks[begin:]
    for key, flags in stale.items():
        if flags[begin:].any():
            at_s = (ticks[int(np.argmax(flags[begin:]))] - ticks[0]) * 1e-9
            raise DatasetError(f'{key} is older than {ages_ns[key] * 1e-9:g} s at {at_s:.2f} s; '
                               f'check its publisher, or max_age_s in the contract')
    for key, series in commands.items():
        wait_ns = series.receive_ns[series.at_or_after(ticks)] - ticks
        if (wait_ns > _LATEST_ANSWER_NS).any():
            late = int(np.argmax(wait_ns > _LATEST_ANSWER_NS))
            raise DatasetError(f'no {key} for {wait_ns[late] * 1e-9:.2f} s at '
                               f'{(ticks[late] - ticks[0]) * 1e-9:.2f} s, allowed '
                               f'{_LATEST_ANSWER_NS * 1e-9:g} s; command all the time')
    least = timing.history + timing.execute
    if len(ticks) < least:
        raise DatasetError(f'expected at least {least} frames (history + execute), got '
                           f'{len(ticks)}; record longer')
    observations = np.concatenate(
        [s.values[s.at_or_before(ticks)] for s in observed.values()], axis=1)
    actions = np.concatenate([s.values[s.at_or_after(ticks)] for s in commands.values()], axis=1)
    return observations.astype(np.float32), actions.astype(np.float32), ticks


@dataclass(frozen=True)
class _Series:
    """The samples of one key as arrays, in the order of their arrival."""

    values: Array
    receive_ns: NDArray[np.int64]
    stamp_ns: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> '_Series':
        return cls(np.stack([sample.values for sample in samples]),
                   np.array([sample.receive_ns for sample in samples], dtype=np.int64),
                   np.array([sample.stamp_ns for sample in samples], dtype=np.int64))

    def at_or_before(self, ticks: Frames) -> NDArray[np.intp]:
        """Return the newest sample at or before each tick, which must not precede the first."""
        return np.searchsorted(self.receive_ns, ticks, side='right') - 1

    def at_or_after(self, ticks: Frames) -> NDArray[np.intp]:
        """Return the first sample at or after each tick, which must not follow the last."""
        return np.searchsorted(self.receive_ns, ticks, side='left')


def _stale(series: _Series, ticks: Frames, limit_ns: int) -> NDArray[np.bool_]:
    """Tell at which ticks the newest sample is too old, as the running policy would judge."""
    newest = series.at_or_before(ticks)
    stamp_age_ns = ticks - series.stamp_ns[newest]
    return np.asarray((ticks - series.receive_ns[newest] > limit_ns)
                      | (np.abs(stamp_age_ns) > limit_ns))


def _grid_anchor(commands: Any, period_ns: int) -> int:
    """Return an instant of the grid on which nearly every command falls on or after a tick."""
    arrivals = np.concatenate([series.receive_ns for series in commands])
    zero = int(arrivals.min())
    offsets = (arrivals - zero + period_ns // 2) % period_ns - period_ns // 2
    return zero + int(np.floor(np.percentile(offsets, _EARLY_PERCENT)))


def _max_age_s(contract: Contract, key: str) -> float:
    max_age_s = contract.deployment.observations[key].max_age_s
    assert max_age_s is not None, 'the contract gives every observation an age'
    return max_age_s


def _load(path: Path, scenario: Scenario, contract: Contract, any_policy: bool,
          labels: str) -> _Loaded | LeftOut:
    """Read, label and align one episode."""
    episode = read_episode(path, contract)
    if not any_policy and episode.contract.policy != contract.policy:
        raise ContractError(f'{path}: expected the policy part {contract.policy} as in the first '
                            f'episode, got {episode.contract.policy}; choose with --contract')
    mode, source = _mode(path, episode, scenario, contract, labels)
    if mode is None:
        return LeftOut(episode.name, source)
    try:
        observations, actions, _ = align(episode, contract)
    except DatasetError as err:
        return LeftOut(episode.name, str(err))
    return _Loaded(episode.name, mode, source, episode.metadata.planned_mode,
                   episode_digest(path), episode.metadata.seed, observations, actions)


def _mode(path: Path, episode: Episode, scenario: Scenario, contract: Contract,
          labels: str) -> tuple[str | None, str]:
    """Return the mode and its source, or None and why there is none."""
    if labels == 'planned':
        return episode.metadata.planned_mode, (
            'planned' if episode.metadata.planned_mode else 'nobody planned a mode')
    known = read_labels(path, contract.interface)
    reason = f'it has no {labels} label'
    for source in ('operator', 'rule', 'truth'):
        if labels not in ('auto', source):
            continue
        label = newest_label(known, source)
        if label is not None:
            return label.mode, source
        if source == 'rule':
            found = rule_label(contract, scenario, episode)
            if found.mode is not None:
                return found.mode, source
            reason = f'the rule abstains: {found.reason}'
    return None, reason


def _each(job: Callable[[Path], _Loaded | LeftOut], paths: Sequence[Path],
          workers: int) -> Any:
    """Yield the results in the order of the paths, from as many processes as asked for."""
    if workers <= 1 or len(paths) == 1:
        yield from map(job, paths)
        return
    with worker_pool(min(workers, len(paths)), 'the dataset', DatasetError) as pool:
        for future in submit(pool, job, paths):
            yield future.result()


def _split(modes: Sequence[str], names: Sequence[str], validation: float,
           seed: int) -> list[str]:
    """Return the split of each episode: of every mode the same share, whole episodes.

    A mode with at least two episodes keeps one in either split, unless `validation` is 0.
    """
    splits = ['train'] * len(modes)
    rng = np.random.default_rng(seed)
    for name in names:
        members = [i for i, mode in enumerate(modes) if mode == name]
        order = rng.permutation(len(members))
        held = min(max(1, round(validation * len(members))), len(members) - 1)
        for i in order[:held if validation > 0 else 0]:
            splits[members[i]] = 'validation'
    return splits


def _statistics(observations: Float32, actions: Float32) -> Statistics:
    def spread(values: Float32) -> tuple[tuple[float, ...], tuple[float, ...]]:
        wide = values.astype(np.float64)
        return tuple(wide.mean(axis=0).tolist()), tuple(wide.std(axis=0).tolist())

    return Statistics(*spread(observations), *spread(actions))


def _warnings(records: Sequence[EpisodeRecord], contract: Contract,
              disagreeing: Sequence[str]) -> tuple[str, ...]:
    warnings = []
    for mode in contract.interface.mode_names:
        count = sum(record.mode == mode for record in records)
        if count < _FEW_EPISODES:
            warnings.append(f'{count} episodes of mode {mode}; {_FEW_EPISODES} or more are '
                            f'better')
    if disagreeing:
        warnings.append(f'{len(disagreeing)} episodes are labelled with another mode than '
                        f'planned: {", ".join(disagreeing)}')
    return tuple(warnings)


def _write(out_dir: Path, observations: Float32, actions: Float32,
           description: dict[str, Any]) -> None:
    """Write both files under a temporary name, then rename; remove it if anything goes wrong."""
    arrays = save({'observations': np.ascontiguousarray(observations),
                   'actions': np.ascontiguousarray(actions)})
    description['arrays_sha256'] = hashlib.sha256(arrays).hexdigest()
    temporary = out_dir.with_name(f'{out_dir.name}.{os.getpid()}.tmp')
    try:
        temporary.mkdir(parents=True)
        (temporary / _ARRAYS_FILE).write_bytes(arrays)
        (temporary / _JSON_FILE).write_text(
            json.dumps(description, indent=1, allow_nan=False) + '\n', encoding='utf-8')
        require_new(out_dir)
        temporary.rename(out_dir)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _record(item: Fields, contract: Contract) -> EpisodeRecord:
    mode, split = item.text('mode'), item.text('split')
    contract.interface.require_modes([mode])
    if split not in SPLITS:
        raise item.fail('split', ' or '.join(SPLITS))
    seed = item.count('seed', 0) if item.plain().get('seed') is not None else None
    item.has('seed')
    record = EpisodeRecord(item.text('name'), mode, item.text('label_source'),
                           item.text('digest'), split, item.count('frames'), seed)
    item.done()
    return record


def _nothing(fields: Fields, key: str) -> list[Fields]:
    fields.has(key)
    return []
