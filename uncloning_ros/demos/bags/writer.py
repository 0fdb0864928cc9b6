# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write one episode: a bag of the contract's topics, values encoded as its messages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.episode import (
    EVENT_TOPIC,
    EVENT_TYPE,
    BagTopic,
    EpisodeMetadata,
    bag_topics,
    custom_data,
    message_class,
    message_definition,
    typestore,
)
from uncloning_ros.demos.bags.rosbag2_writer import BagWriter, RecordedTopic
from uncloning_ros.errors import BagError
from uncloning_ros.geometry import Array


class EpisodeWriter(BagWriter):
    """Write one episode; the contract's topics are known from the start. See `BagWriter`."""

    def __init__(self, final_dir: Path, contract: Contract, metadata: EpisodeMetadata) -> None:
        if metadata.planned_mode is not None:
            contract.interface.require_modes([metadata.planned_mode])
        self._topics = bag_topics(contract)
        self._signals = {signal.key: (signal, topic) for topic in self._topics.values()
                         for signal in topic.signals}
        super().__init__(final_dir, custom_data(contract, metadata))
        for name, topic in self._topics.items():
            self.add_topic(described(name, topic.type))
        self.add_topic(described(EVENT_TOPIC, EVENT_TYPE))

    @property
    def topics(self) -> Mapping[str, BagTopic]:
        """Return the contract's topics by absolute name."""
        return self._topics

    def write_values(self, key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        """Encode the values (dim,) of one observation or action and write the message."""
        signal, topic = self._signals[key]
        if len(topic.signals) > 1:
            keys = ', '.join(s.key for s in topic.signals)
            raise BagError(f'{key}: topic {topic.name} carries {keys} in one message; write '
                           f'whole messages with write()')
        message = encode(signal, topic.type, values, stamp_ns, message_class)
        cdr = bytes(typestore().serialize_cdr(message, topic.type))
        self.write(topic.name, cdr, receive_ns, stamp_ns)

    def write_event(self, event: Mapping[str, Any], receive_ns: int) -> None:
        """Write one event as JSON on the recorder's event topic."""
        self.write(EVENT_TOPIC, event_cdr(event), receive_ns, receive_ns)


def described(name: str, type_name: str) -> RecordedTopic:
    """Return the description of a topic whose type ROS 2 Jazzy brings."""
    text, type_hash = message_definition(type_name)
    return RecordedTopic(name, type_name, text, type_hash)


def event_cdr(event: Mapping[str, Any]) -> bytes:
    """Return an event as the serialised message of the event topic."""
    message = message_class(EVENT_TYPE)(data=json.dumps(event, allow_nan=False))
    return bytes(typestore().serialize_cdr(message, EVENT_TYPE))
