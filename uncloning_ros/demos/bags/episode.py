# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an episode on disk is: one rosbag2 directory with MCAP storage for one demonstration.

The fast generator and the recorder node write through the same `EpisodeWriter`, so their bags
agree on topics, types, QoS and metadata. An unfinished episode is `<name>.partial/`; the rename
is the commit.

Format: rosbag2's metadata.yaml version 9 and MCAP profile `ros2`, as written by ROS 2 Jazzy
(https://github.com/ros2/rosbag2, rosbag2_storage and rosbag2_storage_mcap; the MCAP format is
described at https://mcap.dev/spec).
"""

import glob
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from uncloning_ros.contract import Contract, Signal, contract_to_dict
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import BagError, ContractError

SCHEMA = 'uncloning/episode@1'
EVENT_TOPIC = '/recorder/episode_event'
EVENT_TYPE = 'std_msgs/msg/String'

_PREFIX = 'episode_'
PARTIAL = '.partial'
# Beside the episodes: takes that a person did not want, and what could not be made whole.
DISCARDED = 'discarded'
QUARANTINE = 'quarantine'
METADATA_FILE = 'metadata.yaml'
SYSTEM_FOLDER = 'lost+found'  # at the root of a disk; nobody but the system may look into it
_STORAGE_SUFFIXES = ('.mcap', '.db3')
OWN_RECORD = 'uncloning'
ROOT_KEY = 'rosbag2_bagfile_information'
_FOREVER = {'sec': 9223372036, 'nsec': 854775807}
# What the nodes of this package offer: `ros2 bag play` publishes with it.
QOS = [{
    'history': 'keep_last',
    'depth': 10,
    'reliability': 'reliable',
    'durability': 'volatile',
    'deadline': _FOREVER,
    'lifespan': _FOREVER,
    'liveliness': 'automatic',
    'liveliness_lease_duration': _FOREVER,
    'avoid_ros_namespace_conventions': False,
}]
# The C version is ten times as fast where PyYAML was built with it.
_Dumper: Any = getattr(yaml, 'CSafeDumper', yaml.SafeDumper)


class NoAliases(_Dumper):
    """Dump YAML without anchors: rosbag2 and people read it."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value in full."""
        return True


@dataclass(frozen=True)
class EpisodeMetadata:
    """Who demonstrated what, when the teller knew: written into every bag.

    `planned_mode` is the mode that was asked for, None if nobody said; it is no label. `seed` is
    the simulator's seed of this episode, None on a robot.
    """

    session: str
    episode: int
    operator: str
    planned_mode: str | None
    software_version: str
    seed: int | None = None


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag, absolute, with the signals that its messages carry."""

    name: str
    type: str
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class Episode:
    """One demonstration, decoded: for each observation and action key its samples.

    Samples are in the order of their receive times. `events` are (receive_ns, event) pairs.
    `span_ns` are the first and last receive time of one piece of a bag, None for all of it.
    """

    path: Path
    metadata: EpisodeMetadata
    contract: Contract
    samples: Mapping[str, tuple[Sample, ...]]
    events: tuple[tuple[int, Mapping[str, Any]], ...]
    span_ns: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Return the name of the bag's directory."""
        return self.path.name


def bag_topics(contract: Contract) -> dict[str, BagTopic]:
    """Return the contract's topics by absolute name, in the contract's order.

    Several signals may share a topic, as joints and gripper share a joint state. Raise
    `ContractError` if they disagree on its type, or if an observation and an action share a key.
    """
    topics: dict[str, BagTopic] = {}
    keys = set()
    interface, deployment = contract.interface, contract.deployment
    pairs = [(s, deployment.observations[s.key]) for s in interface.observations]
    pairs += [(s, deployment.actions[s.key]) for s in interface.actions]
    for signal, source in pairs:
        if signal.key in keys:
            raise ContractError(f'{signal.key!r} is an observation and an action; give them '
                                f'different keys, bags tell them apart by key')
        keys.add(signal.key)
        name = '/' + source.topic.lstrip('/')
        known = topics.get(name, BagTopic(name, source.type, ()))
        if known.type != source.type:
            raise ContractError(f'{signal.key}: topic {name} is {known.type} for '
                                f'{known.signals[0].key}, but {source.type} here; a topic has '
                                f'one type')
        topics[name] = BagTopic(name, source.type, (*known.signals, signal))
    return topics


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy."""
    return get_typestore(Stores.ROS2_JAZZY)


@lru_cache(maxsize=64)
def message_definition(type_name: str) -> tuple[bytes, str]:
    """Return the ros2msg text and the RIHS01 hash of a message type."""
    text, _ = typestore().generate_msgdef(type_name, ros_version=2)
    return text.encode(), typestore().hash_rihs01(type_name)


def message_class(type_name: str) -> Any:
    """Return the class of a message type, as a bag is written with."""
    return typestore().types[type_name]


def list_episodes(directory: Path) -> list[Path]:
    """Return the bag directories in `directory`, sorted by name, unfinished ones left out."""
    return [path for path in bag_directories(directory) if not is_unfinished(path)]


def list_unfinished(directory: Path) -> list[Path]:
    """Return the bag directories in `directory` that were never closed, sorted by name."""
    return [path for path in bag_directories(directory) if is_unfinished(path)]


def episode_name(index: int) -> str:
    """Return the directory name of an episode."""
    return f'{_PREFIX}{index:06d}'


def next_episode_index(directory: Path) -> int:
    """Return the first index above every episode in `directory`, unfinished ones counted too.

    What lies beside an episode that is gone counts as well: its labels are not the next one's.
    """
    pattern = re.compile(rf'{_PREFIX}(\d+)([.#].*)?')
    try:
        if not directory.is_dir():
            return 0
        found = [pattern.fullmatch(path.name) for path in directory.iterdir()]
    except OSError as err:
        raise BagError(f'cannot list {directory}: {err.strerror or err}') from err
    return max((int(match[1]) for match in found if match), default=-1) + 1


def place_aside(path: Path, folder: str) -> Path:
    """Return where a bag directory goes in `folder` beside it, which is made if missing.

    What lies there already stays: a newcomer gets a number behind its name.
    """
    shelf = path.parent / folder
    try:
        shelf.mkdir(exist_ok=True)
    except OSError as err:
        raise BagError(f'cannot make {shelf}: {err.strerror or err}') from err
    names = (path.name if n == 1 else f'{path.name}-{n}' for n in count(1))
    return next(shelf / name for name in names if not (shelf / name).exists()
                and not any(shelf.glob(f'{glob.escape(name)}.*')))


def set_aside(path: Path, folder: str) -> Path:
    """Move a bag directory and its sidecars to `folder` beside it; return its new place."""
    place = place_aside(path, folder)
    try:
        path.rename(place)
        for sidecar in path.parent.glob(f'{glob.escape(path.name)}.*'):
            if sidecar.is_file():
                sidecar.rename(place.with_name(place.name + sidecar.name[len(path.name):]))
        sync_directory(place.parent)
        sync_directory(path.parent)
    except OSError as err:
        raise BagError(f'cannot move {path} to {place}: {err.strerror or err}') from err
    return place


def bag_directories(directory: Path) -> list[Path]:
    """Return the bag directories in `directory`, finished or not, sorted by name."""
    try:
        if not directory.is_dir():
            raise BagError(f'{directory} is not a directory; give the folder that holds the '
                           f'episodes')
        if (directory / METADATA_FILE).is_file():
            raise BagError(f'{directory} is one episode; give the folder that holds the episodes')
        return sorted(path for path in directory.iterdir()
                      if path.name != SYSTEM_FOLDER and path.is_dir()
                      and any(file.suffix in _STORAGE_SUFFIXES or file.name == METADATA_FILE
                              for file in path.iterdir()))
    except OSError as err:
        raise BagError(f'cannot list {err.filename or directory}: {err.strerror or err}') from err


def is_unfinished(path: Path) -> bool:
    """Tell whether a bag directory was never closed."""
    return path.name.endswith(PARTIAL) or not (path / METADATA_FILE).is_file()


def custom_data(contract: Contract, metadata: EpisodeMetadata) -> dict[str, str]:
    """Return the texts that metadata.yaml and the MCAP's own metadata record carry."""
    return {
        'schema': SCHEMA,
        'session': metadata.session,
        'episode': str(metadata.episode),
        'operator': metadata.operator,
        'planned_mode': metadata.planned_mode or '',
        'software_version': metadata.software_version,
        'seed': '' if metadata.seed is None else str(metadata.seed),
        'contract_sha256': contract.sha256,
        'interface_sha256': contract.interface.sha256,
        'contract': json.dumps(contract_to_dict(contract), separators=(',', ':')),
    }


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return data as YAML that rosbag2 reads."""
    return str(yaml.dump(data, Dumper=NoAliases, sort_keys=False, allow_unicode=True,
                         width=10**6))


def sync_directory(path: Path) -> None:
    """Have the disk keep what was created or renamed in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
