# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decode raw messages of a bag to samples of the contract's signals, as a live node does.

Where a bag's topics have other names than the contract's, `with_topics()` renames those of the
contract.
"""

import difflib
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TypeVar

from rosbags.serde import SerdeError

from uncloning_ros.contract import TRANSFORMS, Contract, Signal, Topic
from uncloning_ros.conversions import Sample, decode
from uncloning_ros.demos.bags.episode import bag_topics
from uncloning_ros.demos.bags.message_types import typestore
from uncloning_ros.demos.bags.messages import BagContents, RawMessage
from uncloning_ros.errors import (
    BagError,
    ContractError,
    DatasetError,
    UncloningError,
    near_miss,
)
from uncloning_ros.samples import Decode, SampleReader

AnyTopic = TypeVar('AnyTopic', bound=Topic)

_BAD_CDR = (SerdeError, struct.error, ValueError, IndexError, OverflowError, MemoryError)
_SHOWN = 12  # topics of a bag that a sentence lists


class Decoder:
    """Decode the messages of one bag: `take()` each, then `finish()`.

    `path` names the bag in errors. With `sinks` given only their signals are decoded, and each
    sample goes to the sink of its key at once, in no order; else all are kept for `finish()`.
    Messages that cannot be used give no sample: `require_accepted()` tells of them.
    `topics` are the topics to take, `static_topics` those among them whose messages hold from
    the bag's start on.
    """

    def __init__(self, path: Path, contract: Contract,
                 sinks: Mapping[str, Callable[[Sample], object]] | None = None) -> None:
        self._path = path
        self._observed = contract.deployment.observations
        self._carried = carried_signals(contract, sinks)
        self._reader = SampleReader(self._carried)
        self._samples: dict[str, list[Sample]] = {}
        if sinks is None:
            self._samples = {signal.key: [] for pairs in self._carried.values()
                             for signal, _ in pairs}
        self._sinks = sinks or {key: found.append for key, found in self._samples.items()}
        self.topics = frozenset(self._reader.types)
        self.static_topics = self._reader.static_topics
        self._transforms: list[tuple[int, str, Any]] = []  # receive time, topic, message
        self._sampled: set[str] = set()  # keys that had a sample
        self._begin_ns = 2**63 - 1  # of what was taken
        # By key the arrival and the sentence of the first message that cannot be used.
        self._refused: dict[str, tuple[int, str]] = {}

    def take(self, raw: RawMessage) -> None:
        """Decode one message; raise `BagError` if it is of another type or damaged."""
        name, type_name, receive_ns, _ = raw
        expected = self._reader.types[name]
        if type_name != expected:
            raise BagError(f'{self._path}: expected {expected} on {name}, got {type_name}; check '
                           f'deployment in the contract')
        message = deserialise(self._path, raw)
        if name not in self.static_topics:
            self._begin_ns = min(self._begin_ns, receive_ns)
        if type_name == TRANSFORMS:
            self._transforms.append((receive_ns, name, message))
        else:
            self._read(name, message, receive_ns)

    def finish(self) -> dict[str, tuple[Sample, ...]]:
        """Return the samples that were kept, of every key in the order of their receive times."""
        # Transforms become poses in the order of their arrival over all topics.
        for receive_ns, name, message in sorted(self._transforms, key=itemgetter(0)):
            self._read(name, message, receive_ns)
        self._transforms.clear()
        return {key: tuple(sorted(found, key=attrgetter('receive_ns')))
                for key, found in self._samples.items()}

    def require_topics(self, contents: BagContents) -> None:
        """Raise `BagError` for a topic that a bag lacks, `DatasetError` for one without a message.

        `contents` are those of the whole bag.
        """
        for name, [(signal, source), *_] in self._carried.items():
            if name not in contents.types:
                raise BagError(f'{self._path} has ' + _absent(name, source.type, signal.key,
                                                              contents.types, self.topics))
            if not contents.counts[name]:
                raise DatasetError(f'no message was recorded on {name} ({signal.key}); ' + (
                    'check its publisher' if signal.key in self._observed
                    else 'check that teleoperation was on'))

    @property
    def refused(self) -> Collection[str]:
        """Return the keys with a message that cannot be used."""
        return self._refused.keys()

    def require_accepted(self) -> None:
        """Raise `ContractError` for the first message that cannot be used.

        It lacks a joint, is in a foreign frame, or has values or a stamp that cannot be used.
        """
        for receive_ns, sentence in sorted(self._refused.values()):
            at_s = max(0, receive_ns - self._begin_ns) * 1e-9
            raise ContractError(f'{self._path}: at {at_s:.2f} s: {sentence}')

    def require_samples(self) -> None:
        """Raise `BagError` for a signal of which the messages of a whole bag say nothing."""
        for pairs in self._carried.values():
            for signal, source in pairs:
                if signal.key not in self._sampled:
                    raise BagError(f'{self._path}: {self._reader.missing(signal, source)}')

    def _read(self, name: str, message: Any, receive_ns: int) -> None:
        for key, found in self._reader.read(name, message, receive_ns, receive_ns):
            if not isinstance(found, Sample):
                refused = receive_ns, str(found)
                self._refused[key] = min(refused, self._refused.get(key, refused))
                continue
            self._sinks[key](found)
            self._sampled.add(key)


class ByteReader:
    """Read serialised messages of a contract's topics, whose names are absolute, as samples.

    The judge of a recorder: the errors that it yields are those with which `Decoder` refuses.
    `decode` reads all messages but transforms.
    """

    def __init__(self, contract: Contract, decode: Decode = decode) -> None:
        self._carried = carried_signals(contract)
        self._reader = SampleReader(self._carried, decode)
        self._pairs = {signal.key: (signal, source) for pairs in self._carried.values()
                       for signal, source in pairs}
        self.types: Mapping[str, str] = self._reader.types

    def read(self, topic: str, cdr: bytes,
             receive_ns: int) -> Iterator[tuple[str, Sample | UncloningError]]:
        """Yield the sample or the error of each signal that a message speaks of, by key."""
        try:
            message = message_of(self.types[topic], cdr)
        except BagError as err:
            damaged = BagError(f'a message on {topic} {err}')
            yield from ((key, damaged) for key in self.keys_of(topic))
            return
        yield from self._reader.read(topic, message, receive_ns, receive_ns)

    def keys_of(self, topic: str) -> list[str]:
        """Return the keys of the signals that a topic carries."""
        return [signal.key for signal, _ in self._reader.carried_by(topic)]

    def missing(self, key: str) -> str:
        """Return why a signal has no sample yet, '' if no message tells."""
        return self._reader.missing(*self._pairs[key])


def carried_signals(contract: Contract, keys: Collection[str] | None = None
                    ) -> dict[str, list[tuple[Signal, Topic]]]:
    """Return the signals of each topic, by absolute name, with their source; those of `keys`."""
    deployment, carried = contract.deployment, {}
    sources: dict[str, Topic] = {**deployment.observations, **deployment.actions}
    for name, topic in bag_topics(contract).items():
        pairs = [(signal, sources[signal.key]) for signal in topic.signals
                 if keys is None or signal.key in keys]
        if pairs:
            carried[name] = pairs
    return carried


def with_topics(contract: Contract, names: Mapping[str, str]) -> Contract:
    """Return the contract with other topic names for some of its keys.

    Raise `ContractError` for a key that it does not have, and for a topic with two uses.
    """
    if not names:
        return contract
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
        actions=renamed(deployment.actions)).as_read())


def listed(there: Mapping[str, str], types: Collection[str]) -> str:
    """Return the topics of a bag with their types as words, first those of the given types."""
    ordered = sorted(there, key=lambda topic: (there[topic] not in types, topic))
    text = ', '.join(f'{topic} ({there[topic]})' for topic in ordered[:_SHOWN])
    return text + (f' and {len(ordered) - _SHOWN} more' if len(ordered) > _SHOWN else '')


def deserialise(path: Path, raw: RawMessage) -> Any:
    """Return the message of a bag's bytes; raise `BagError` if they are damaged."""
    try:
        return message_of(raw.type, raw.data)
    except BagError as err:
        raise BagError(f'{path}: a message on {raw.topic} at {raw.receive_ns} ns {err}') from err


def message_of(type_name: str, cdr: bytes) -> Any:
    """Return a serialised message; raise `BagError` if its bytes are damaged."""
    try:
        return typestore().deserialize_cdr(cdr, type_name)
    except _BAD_CDR as err:
        raise BagError(f'is not a {type_name}: {err}') from err


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
