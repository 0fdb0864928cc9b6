# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Define an episode: its samples, its metadata, and the topics of the bag that holds it.

The generator of demonstrations and the recorder node write through the same `EpisodeWriter`, so
their bags agree on topics, types, QoS and metadata.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uncloning_ros.contract import Contract, Signal, Topic, contract_from_dict
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import BagError, ContractError, shown
from uncloning_ros.schema import plain

SCHEMA = 'uncloning/episode@1'
OWN_RECORD = 'uncloning'  # name of the MCAP metadata record that holds `custom_data()`
EVENT_TOPIC = '/recorder/episode_event'
EVENT_TYPE = 'std_msgs/msg/String'


@dataclass(frozen=True)
class EpisodeMetadata:
    """Origin of an episode, written into every bag.

    `planned_mode` is the mode that the operator was asked for, None if none was; it is not a
    label. `seed` is the simulator's seed of this episode, None on a robot.
    """

    session: str
    episode: int
    operator: str
    planned_mode: str | None
    software_version: str
    seed: int | None = None


@dataclass(frozen=True)
class Episode:
    """One demonstration, decoded: the samples of each observation and action key.

    Samples are in the order of their receive times. `events` are (receive_ns, event) pairs.
    `span_ns` are the first and last receive time of one piece of a bag, None for all of it.
    `clock_fault` tells that a clock was set back meanwhile, or that stamps are of another clock,
    so that the order of the samples means nothing; '' if all is well. `picture_fault` tells why
    pictures are missing among the samples.
    """

    path: Path
    metadata: EpisodeMetadata
    contract: Contract
    samples: Mapping[str, tuple[Sample, ...]]
    events: tuple[tuple[int, Mapping[str, Any]], ...]
    span_ns: tuple[int, int] | None = None
    clock_fault: str = ''
    picture_fault: str = ''

    @property
    def name(self) -> str:
        """Return the name of the bag's directory."""
        return self.path.name

    @property
    def bounds_ns(self) -> tuple[int, int]:
        """Return the first and the last receive time of its samples, within its span."""
        arrivals = [sample.receive_ns for found in self.samples.values() for sample in found]
        first, last = min(arrivals), max(arrivals)
        # A static transform from before a piece holds in it.
        return (first if self.span_ns is None else max(first, self.span_ns[0])), last


@dataclass(frozen=True)
class BagTopic:
    """One topic of a bag, absolute, with the signals that its messages carry."""

    name: str
    type: str
    signals: tuple[Signal, ...]

    def require_one_signal(self) -> None:
        """Raise `BagError` for a topic of several signals, whose messages are written whole."""
        if len(self.signals) > 1:
            keys = ', '.join(signal.key for signal in self.signals)
            raise BagError(f'expected a topic of one signal, got {self.name} of {keys}; give '
                           f'each a topic of its own in the contract')


def bag_topics(contract: Contract) -> dict[str, BagTopic]:
    """Return the contract's topics by absolute name, in the contract's order.

    Several signals may share a topic, as joints and gripper share a joint state. Raise
    `ContractError` if they disagree on its type, or if an observation and an action share a key.
    """
    topics: dict[str, BagTopic] = {}
    keys = set()
    interface, deployment = contract.interface, contract.deployment
    pairs: list[tuple[Signal, Topic]]
    pairs = [(s, deployment.observations[s.key]) for s in interface.observations]
    pairs += [(s, deployment.actions[s.key]) for s in interface.actions]
    for signal, source in pairs:
        if signal.key in keys:
            raise ContractError(f'{signal.key!r} is an observation and an action; give them '
                                f'different keys, bags tell them apart by key')
        keys.add(signal.key)
        name = source.bag_name
        known = topics.get(name, BagTopic(name, source.type, ()))
        if known.type != source.type:
            raise ContractError(f'{signal.key}: expected {known.type} on {name}, as for '
                                f'{known.signals[0].key}, got {source.type}; a topic has one type')
        topics[name] = BagTopic(name, source.type, (*known.signals, signal))
    return topics


def custom_data(contract: Contract, metadata: EpisodeMetadata,
                partner: Contract | None = None) -> dict[str, str]:
    """Return the texts that metadata.yaml and the MCAP's own metadata record carry.

    `partner` is the contract of a second arm, whose messages the same bag holds.
    """
    second = {} if partner is None else {'partner_contract': _dumped(partner)}
    return second | {
        'schema': SCHEMA,
        'session': metadata.session,
        'episode': str(metadata.episode),
        'operator': metadata.operator,
        'planned_mode': metadata.planned_mode or '',
        'software_version': metadata.software_version,
        'seed': '' if metadata.seed is None else str(metadata.seed),
        'contract_sha256': contract.sha256,
        'interface_sha256': contract.interface.sha256,
        'contract': _dumped(contract),
    }


def partner_contract(custom: Mapping[str, Any], path: Path) -> Contract | None:
    """Return the contract of the second arm in the texts of `custom_data()`, None without one.

    Raise `BagError` if it is damaged.
    """
    text = custom.get('partner_contract')
    try:
        return None if text is None else contract_from_dict(json.loads(text),
                                                            f'{path}: partner_contract')
    except (ValueError, TypeError, RecursionError) as err:
        raise BagError(f'{path}: custom_data of metadata.yaml is damaged: {err!r}') from err


def read_custom_data(custom: Mapping[str, Any], path: Path) -> tuple[EpisodeMetadata, Contract]:
    """Return metadata and contract from the texts of `custom_data()`; `path` names the bag.

    Raise `BagError` if they are damaged or of another schema.
    """
    if custom['schema'] != SCHEMA:
        raise BagError(f'{path}: expected schema {SCHEMA!r}, got {shown(custom["schema"])}; this '
                       f'episode needs another version of the package')
    if not all(isinstance(value, str) for value in custom.values()):
        raise BagError(f'{path}: custom_data of metadata.yaml is damaged: expected texts only')
    try:
        contract = contract_from_dict(json.loads(custom['contract']), f'{path}: contract')
        metadata = EpisodeMetadata(custom['session'], int(custom['episode']), custom['operator'],
                                   custom['planned_mode'] or None, custom['software_version'],
                                   int(custom['seed']) if custom['seed'] else None)
        expected = custom['contract_sha256']
        if metadata.planned_mode is not None:
            contract.interface.require_modes([metadata.planned_mode])
    except (KeyError, ValueError, TypeError, RecursionError) as err:
        raise BagError(f'{path}: custom_data of metadata.yaml is damaged: {err!r}') from err
    if contract.sha256 != expected:
        raise BagError(f'{path}: expected a contract of sha256 {shown(expected)}, got '
                       f'{contract.sha256}; metadata.yaml was changed by hand')
    return metadata, contract


def _dumped(contract: Contract) -> str:
    return json.dumps(plain(contract), separators=(',', ':'))
