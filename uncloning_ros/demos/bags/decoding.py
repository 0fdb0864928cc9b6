# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode raw messages of a bag to samples of the contract's signals, as a live node does.

Where a bag's topics have other names than the contract's, `with_topics()` renames those of the
contract.
"""

import difflib
import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from rosbags.serde import SerdeError

from uncloning_ros.contract import TRANSFORMS, Contract, ObservedTopic, Signal, Topic
from uncloning_ros.conversions import Sample, decode
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.message_types import typestore
from uncloning_ros.demos.bags.messages import BagContents, RawMessage
from uncloning_ros.errors import BagError, ContractError, DatasetError, near_miss
from uncloning_ros.transforms import STATIC_SUFFIX, TransformTree, static_topic

AnyTopic = TypeVar('AnyTopic', bound=Topic)

_BAD_CDR = (SerdeError, struct.error, ValueError, IndexError, OverflowError, MemoryError)
_SHOWN = 12  # topics of a bag that a sentence lists


class Decoder:
    """Decode the messages of one bag: `take()` each, then `finish()`.

    `path` names the bag in errors. With `sinks` given only their signals are decoded, and each
    sample goes to the sink of its key at once, in no order; else all are kept for `finish()`.
    `topics` are the topics to take, `static_topics` those among them whose messages hold from
    the bag's start on.
    """

    def __init__(self, path: Path, contract: Contract,
                 sinks: Mapping[str, Callable[[Sample], object]] | None = None) -> None:
        self._path = path
        self._observed = contract.deployment.observations
        self._samples: dict[str, list[Sample]] = {}
        self._types: dict[str, str] = {}
        self._signals: dict[str, list[Signal]] = {}
        self._trees: dict[str, TransformTree] = {}
        for name, topic in bag_topics(contract).items():
            signals = [s for s in topic.signals if sinks is None or s.key in sinks]
            if not signals:
                continue
            self._types[name], self._signals[name] = topic.type, signals
            if sinks is None:
                self._samples |= {signal.key: [] for signal in signals}
            if topic.type == TRANSFORMS:
                self._types[static_topic(name)] = TRANSFORMS
                self._trees[name] = TransformTree()
        self._sinks = sinks or {key: found.append for key, found in self._samples.items()}
        self.topics = frozenset(self._types)
        self.static_topics = frozenset(map(static_topic, self._trees))
        self._transforms: list[tuple[int, str, Any]] = []  # receive time, topic, message
        self._posed_keys: set[str] = set()  # poses that the transforms gave so far

    def take(self, raw: RawMessage) -> None:
        """Decode one message.

        Raise `BagError` if it is of another type or damaged, `ContractError` for a missing joint,
        a foreign frame, and values or a stamp that cannot be used.
        """
        name, type_name, receive_ns, _ = raw
        if type_name != self._types[name]:
            raise BagError(f'{self._path}: expected {self._types[name]} on {name}, got '
                           f'{type_name}; check deployment in the contract')
        message = deserialise(self._path, raw)
        if type_name == TRANSFORMS:
            self._transforms.append((receive_ns, name, message))
            return
        for signal in self._signals[name]:
            try:
                sample = decode(signal, message, receive_ns)
                if signal.key in self._observed:
                    sample = _with_stamp(signal, self._observed[signal.key], message, sample)
            except ContractError as err:
                raise ContractError(f'{self._path}: at {receive_ns} ns: {err}') from err
            self._sinks[signal.key](sample)

    def finish(self) -> dict[str, tuple[Sample, ...]]:
        """Return the samples that were kept, of every key in the order of their receive times."""
        self._pose_all()
        return {key: tuple(sorted(found, key=attrgetter('receive_ns')))
                for key, found in self._samples.items()}

    def require_topics(self, contents: BagContents) -> None:
        """Raise `BagError` for a topic that a bag lacks, `DatasetError` for one without a message.

        `contents` are those of the whole bag.
        """
        for name, signals in self._signals.items():
            key = signals[0].key
            if name not in contents.types:
                raise BagError(f'{self._path} has ' + _absent(name, self._types[name], key,
                                                              contents.types, self._types))
            if not contents.counts[name]:
                raise DatasetError(f'no message was recorded on {name} ({key}); ' + (
                    'check its publisher' if key in self._observed
                    else 'check that teleoperation was on'))

    def require_poses(self) -> None:
        """Raise `BagError` for a pose that the transforms of a whole bag never gave."""
        for name, tree in self._trees.items():
            for signal in self._signals[name]:
                if signal.key not in self._posed_keys:
                    child = self._observed[signal.key].child_frame
                    assert child is not None
                    why = tree.missing(signal.frame, child)
                    raise BagError(f'{self._path}: {signal.key}: '
                                   f'{why or "its frame is the base frame itself"}')

    def _pose_all(self) -> None:
        """Turn the transforms into poses, in the order of their arrival over both topics."""
        for receive_ns, name, message in sorted(self._transforms, key=lambda item: item[0]):
            static = name not in self._trees
            posed = name.removesuffix(STATIC_SUFFIX) if static else name
            tree = self._trees[posed]
            placed = tree.add(message, static)
            for signal in self._signals[posed]:
                try:
                    sample = tree.sample(signal, self._observed[signal.key], placed, receive_ns,
                                         receive_ns)
                except ContractError as err:
                    raise ContractError(f'{self._path}: at {receive_ns} ns: {err}') from err
                if sample is not None:
                    self._sinks[signal.key](sample)
                    self._posed_keys.add(signal.key)
        self._transforms.clear()


def with_topics(contract: Contract, names: Mapping[str, str]) -> Contract:
    """Return the contract with other topic names for some of its keys.

    Raise `ContractError` for a key that it does not have.
    """
    deployment = contract.deployment
    known = (*deployment.observations, *deployment.actions)
    for key in names:
        if key not in known:
            raise ContractError(f'unknown key {key!r}{near_miss(key, known)}; keys are those of '
                                f'the observations and actions in the contract')

    def renamed(topics: Mapping[str, AnyTopic]) -> dict[str, AnyTopic]:
        return {key: replace(topic, topic=names.get(key, topic.topic))
                for key, topic in topics.items()}

    return replace(contract, deployment=replace(
        deployment, observations=renamed(deployment.observations),
        actions=renamed(deployment.actions)))


def listed(there: Mapping[str, str], types: Collection[str]) -> str:
    """Return the topics of a bag with their types as words, first those of the given types."""
    ordered = sorted(there, key=lambda topic: (there[topic] not in types, topic))
    text = ', '.join(f'{topic} ({there[topic]})' for topic in ordered[:_SHOWN])
    return text + (f' and {len(ordered) - _SHOWN} more' if len(ordered) > _SHOWN else '')


def deserialise(path: Path, raw: RawMessage) -> Any:
    """Return the message of a bag's bytes; raise `BagError` if they are damaged."""
    try:
        return typestore().deserialize_cdr(raw.data, raw.type)
    except _BAD_CDR as err:
        raise BagError(f'{path}: a message on {raw.topic} at {raw.receive_ns} ns is not a '
                       f'{raw.type}: {err}') from err


def _with_stamp(signal: Signal, observed: ObservedTopic, message: Any, sample: Sample) -> Sample:
    """Return the sample with the stamp that counts: the header's, or the time of arrival."""
    if not observed.stamped:
        return replace(sample, stamp_ns=sample.receive_ns)
    # The time of arrival stands in for a stamp of zero; only those two can be equal.
    if sample.stamp_ns == sample.receive_ns:
        stamp = message.header.stamp
        if stamp.sec == 0 and stamp.nanosec == 0:
            raise ContractError(f'{signal.key}: expected a time stamp, got none; have its '
                                f'publisher fill header.stamp, or set stamped: false for '
                                f'{signal.key} in the contract: then its time of arrival counts')
    return sample


def _absent(name: str, type_name: str, key: str, there: Mapping[str, str],
            taken: Collection[str]) -> str:
    """Return the end of a sentence about a bag without a topic.

    `there` are the topics that it has, with their types, `taken` those of other signals.
    """
    text = f'no topic {name} ({key}, {type_name})'
    if not there:
        return f'{text}, and no other topic'
    fitting = [topic for topic, found in there.items()
               if found == type_name and topic not in taken]
    listing = f'there are {listed(there, (type_name,))}'
    if not fitting:
        return f'{text}; {listing}'
    nearest = difflib.get_close_matches(name, fitting, n=1, cutoff=0.0)[0]
    return (f'{text}; the nearest is {nearest} ({there[nearest]}), which --topic {key}={nearest} '
            f'would read; {listing}')
