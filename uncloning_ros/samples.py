# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read messages as samples of a contract's signals: the one judge of live messages and of bags."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from uncloning_ros.contract import TRANSFORMS, ObservedTopic, Signal, Topic
from uncloning_ros.conversions import Sample, decode, header_stamp_ns
from uncloning_ros.errors import ContractError, OtherJointsError
from uncloning_ros.transforms import TransformTree, static_topic

# The samples of one message by key, each refused one as the error that says why.
Samples = Iterator[tuple[str, Sample | ContractError]]
# Reads a message of a signal that was received at a time (ns), as `decode` does.
Decode = Callable[[Signal, Any, int], Sample]


class SampleReader:
    """Read the messages of some topics, each of which carries some signals.

    Arm and gripper may publish their joints on one topic: a message that names none of a signal's
    joints gives no sample of it, and `others` keeps by key the sentence that tells which joints it
    names. `types` are those of all topics, static transforms included. One thread reads; any may
    copy `others`. `decode` reads all messages but transforms.
    """

    def __init__(self, carried: Mapping[str, Sequence[tuple[Signal, Topic]]],
                 decode: Decode = decode) -> None:
        self._carried, self._decode = carried, decode
        self._tree = TransformTree()
        self.others: dict[str, str] = {}
        self.types = {name: source.type for name, [(_, source), *_] in carried.items()}
        self._moving = {static_topic(name): name for name, type_name in self.types.items()
                        if type_name == TRANSFORMS}
        self.static_topics = frozenset(self._moving)
        self.types |= dict.fromkeys(self._moving, TRANSFORMS)

    def read(self, topic: str, message: Any, receive_ns: int, arrival_ns: int) -> Samples:
        """Yield the sample or the error of each signal that a message speaks of.

        `receive_ns` is as in `Sample`; `arrival_ns` is the same instant on the clock of the
        stamps.
        """
        placed = None
        if self.types[topic] == TRANSFORMS:
            placed = self._tree.add(message, static=topic in self._moving)
        for signal, source in self.carried_by(topic):
            try:
                sample = self._sample(signal, source, message, receive_ns, arrival_ns) if (
                    placed is None) else self._tree.sample(signal, source, placed, receive_ns,
                                                           arrival_ns)
                if sample is not None:
                    yield signal.key, sample
            except OtherJointsError as err:
                self.others[signal.key] = str(err)
            except ContractError as err:
                yield signal.key, err

    def carried_by(self, topic: str) -> Sequence[tuple[Signal, Topic]]:
        """Return the signals of a topic with their source; of static transforms those of both."""
        return self._carried[self._moving.get(topic, topic)]

    def missing(self, signal: Signal, source: Topic) -> str:
        """Return why a signal has no sample yet, '' if no message tells."""
        if isinstance(source, ObservedTopic) and source.child_frame is not None:
            why = self._tree.missing(signal.frame, source.child_frame)
            return f'{signal.key}: {why or "its frame is the base frame itself"}'
        return self.others.get(signal.key, '')

    def _sample(self, signal: Signal, source: Topic, message: Any, receive_ns: int,
                arrival_ns: int) -> Sample:
        """Return the sample of a message, with the stamp that counts."""
        sample = self._decode(signal, message, receive_ns)
        if not isinstance(source, ObservedTopic):
            return sample
        if not source.has_stamps:
            return replace(sample, stamp_ns=arrival_ns)
        if header_stamp_ns(message) == 0:
            raise ContractError(f'{signal.key}: expected a time stamp, got none; have its '
                                f'publisher fill header.stamp, or set stamped: false for '
                                f'{signal.key} in the contract: then its time of arrival counts')
        return sample
