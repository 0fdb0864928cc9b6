# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the bags of a task as a user would record them, its contract, labels and data set.

The bags are plain rosbag2 without anything of this package: `uncloning dataset` reads them with
the contract.
"""

import datetime
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml
from rosbags.rosbag2 import StoragePlugin, Writer

from outside.task import Demonstration, Task
from uncloning_ros.contract import Contract
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.labels import Label
from uncloning_ros.demos.bags.message_types import message_class, typestore
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.episodes.find import find_episodes
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.demos.labelling.opinions import add_labels, by_hand
from uncloning_ros.errors import UncloningError, near_miss
from uncloning_ros.files import require_new
from uncloning_ros.schema import plain

_BEGIN_NS = 1_700_000_000 * 10**9
_APART_NS = 100_000  # between the messages of one tick, observations first
_OPERATOR = 'bench'


def make(task: Task, out: Path, few: Mapping[str, int]) -> Counter[str]:
    """Make a folder with `bags`, `contract.yaml` and `data`; return the episodes of each mode.

    Of a mode in `few` only the first demonstrations are made. Those without a mode have no label
    and are left out of the data set. Raise `UncloningError` for a mode that the task lacks.
    """
    for mode in few:
        if mode not in task.modes:
            raise UncloningError(f'{task.name} has no mode {mode!r}{near_miss(mode, task.modes)}')
    partial = require_new(out).with_name(f'{out.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
    bags, labelled, counts = partial / 'bags', dict[str, Demonstration](), Counter[str]()
    bags.mkdir(parents=True)
    for one in task.demonstrations():
        if one.mode is None or counts[one.mode] < few.get(one.mode, counts[one.mode] + 1):
            _write(bags / one.name, one, task.contract)
            counts[one.mode or 'unclear'] += 1
            labelled |= {} if one.mode is None else {one.name: one}
    path = partial / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(task.contract), sort_keys=False), encoding='utf-8')
    reading = Reading(task.contract)
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
    add_labels([by_hand(ref, Label(labelled[ref.name].mode, 'operator', 1.0, at, _OPERATOR,
                                   to_s=labelled[ref.name].decided_s), reading)
                for ref in find_episodes([bags], reading).episodes if ref.name in labelled])
    build_dataset([bags], partial / 'data', Recipe(None, reading), Split())
    partial.rename(out)
    return counts


def _write(folder: Path, one: Demonstration, contract: Contract) -> None:
    topics = bag_topics(contract)
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        links = {name: writer.add_connection(name, topic.type, typestore=typestore())
                 for name, topic in topics.items()}
        for tick in range(len(next(iter(one.signals.values())))):
            begin_ns = _BEGIN_NS + int(tick * 1e9 / contract.policy.rate_hz)
            for place, (name, topic) in enumerate(topics.items()):
                (signal,), stamp_ns = topic.signals, begin_ns + place * _APART_NS
                message = encode(signal, topic.type, one.signals[signal.key][tick], stamp_ns,
                                 message_class)
                writer.write(links[name], stamp_ns,
                             typestore().serialize_cdr(message, topic.type))
