#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how fast bags become training windows: ratios on one core, in turns in one run.

`uncloning dataset` on the bags and the gathering of its windows, relative to the rosbags library
on the same messages: reading and deserialising them, and deserialising them from memory. For every
storage.

  bench/dataset.py
  bench/dataset.py --json dataset.json
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import measure  # limits the threads, so it comes before numpy
import numpy as np
import yaml
from measure import Array, Figure, Report
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from uncloning_ros import __version__
from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.info import ROOT_KEY
from uncloning_ros.demos.bags.layout import METADATA_FILE, episode_name
from uncloning_ros.demos.bags.message_types import typestore
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path

_REPEATS, _ROUNDS, _BAGS = 5, 5, 8
_REPEATS_SHORT, _ROUNDS_SHORT, _BAGS_SHORT = 2, 2, 2
_MOST_RATIO = 2.0  # target of windows / rosbags
_LENGTH_S, _SEEN_HZ = 10.0, 50.0  # of one episode; commands have the rate of the contract

_STORAGES = {
    'MCAP': (StoragePlugin.MCAP, CompressionMode.NONE),
    'MCAP, zstd chunks': (StoragePlugin.MCAP, CompressionMode.STORAGE),
    'SQLite': (StoragePlugin.SQLITE3, CompressionMode.NONE),
    'SQLite, zstd messages': (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
}


def main() -> int:
    """Run the benchmark."""
    return measure.run(compare, measure.parser(__doc__).parse_args())


def compare(args: argparse.Namespace) -> Report:
    """Measure every ratio."""
    repeats, rounds, count = ((_REPEATS_SHORT, _ROUNDS_SHORT, _BAGS_SHORT) if args.short
                              else (_REPEATS, _ROUNDS, _BAGS))
    contract = load_contract(share_path('config') / 'contract.yaml')
    report = Report('bags to training windows, on one core')
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / 'own'
        for i in range(count):
            write_episode(own, i, contract)
        folders = {"this package's own": own}
        for name, (plugin, mode) in _STORAGES.items():
            folders[name] = Path(folder) / name.replace(', ', '_').replace(' ', '_')
            for path in sorted(own.iterdir()):
                rewrite(path, folders[name] / path.name, plugin, mode)
        for name, bags in folders.items():
            taken: dict[str, list[Array]] = defaultdict(list)
            for _ in range(repeats):
                for call, times in measure.in_turns(calls(bags, contract, Path(folder)), rounds,
                                                    warm_up=1).items():
                    taken[call].append(times)
            report.ratios += [
                measure.ratio(f'{name}: windows / rosbags reading and deserialising',
                              taken['windows'], taken['rosbags'], below=_MOST_RATIO),
                measure.ratio(f'{name}: windows / rosbags deserialising alone',
                              taken['windows'], taken['deserialising'])]
            messages = sum(1 for bag in bags.iterdir() for _ in raw(bag))
            each_us = np.median(np.concatenate(taken['windows'])) * 1e3 / messages
            report.figures.append(Figure(f'{name}: windows', {
                'us_per_message': round(float(each_us), 2), 'messages': messages}))
    return report


def calls(bags: Path, contract: Contract, scratch: Path) -> dict[str, Callable[[], object]]:
    """Return the tasks that are compared on the bags of a folder."""
    paths = sorted(bags.iterdir())
    in_memory = [message for path in paths for message in raw(path)]
    store, scenario = typestore(), find_scenario('knife')

    def windows() -> object:
        with tempfile.TemporaryDirectory(dir=scratch) as made:
            recipe = Recipe(scenario, Reading(contract), 'planned')
            dataset = build_dataset([bags], Path(made) / 'data', recipe, Split()).dataset
            return dataset.gather(np.arange(len(dataset.observations)))

    def rosbags() -> object:
        return [store.deserialize_cdr(data, type_name) for path in paths
                for type_name, data in raw(path)]

    def deserialising() -> object:
        return [store.deserialize_cdr(data, type_name) for type_name, data in in_memory]

    return {'windows': windows, 'rosbags': rosbags, 'deserialising': deserialising}


def raw(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield type and bytes of every message of a bag, read with rosbags."""
    with Reader(path) as reader:
        for connection, _, data in reader.messages():
            yield connection.msgtype, data


def write_episode(folder: Path, index: int, contract: Contract) -> None:
    """Write one synthetic episode in which every value changes from message to message."""
    rng = np.random.default_rng(index)
    metadata = EpisodeMetadata('bench', index, 'bench', contract.interface.mode_names[index % 2],
                               __version__)
    interface, command_hz = contract.interface, contract.deployment.command_rate_hz
    with EpisodeWriter(folder / episode_name(index), contract, metadata) as writer:
        arrivals = [(round(i / rate_hz * 1e9), signal)
                    for signals, rate_hz in ((interface.observations, _SEEN_HZ),
                                             (interface.actions, command_hz))
                    for signal in signals for i in range(round(_LENGTH_S * rate_hz))]
        for at_ns, signal in sorted(arrivals, key=lambda one: one[0]):
            values = rng.uniform(0.1, 0.5, signal.dim)
            if signal.kind == 'pose':
                values = pose_from_parts(values[:3], rotation_about_z(values[3]))
            receive_ns = 10**18 + at_ns
            writer.write_values(signal.key, values, receive_ns, receive_ns)
        writer.commit()


def rewrite(source: Path, target: Path, plugin: StoragePlugin, mode: CompressionMode) -> None:
    """Write the messages of a bag again in another storage."""
    target.parent.mkdir(exist_ok=True)
    with Reader(source) as reader:
        writer = Writer(target, version=9, storage_plugin=plugin)
        writer.set_compression(mode, CompressionFormat.ZSTD)
        for key, value in yaml.safe_load((source / METADATA_FILE).read_bytes())[ROOT_KEY][
                'custom_data'].items():
            writer.set_custom_data(key, value)
        with writer:
            connections = {one.id: writer.add_connection(one.topic, one.msgtype,
                                                         typestore=typestore())
                           for one in reader.connections}
            for connection, at_ns, data in reader.messages():
                writer.write(connections[connection.id], at_ns, data)


if __name__ == '__main__':
    raise SystemExit(main())
