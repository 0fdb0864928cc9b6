# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag carry the contract's signals, when they are called otherwise there."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace

from uncloning_ros.contract import Contract, Topic
from uncloning_ros.errors import ContractError, near_miss

_SHOWN = 12  # topics of a bag that a sentence names


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

    def renamed(topics: Mapping[str, Topic]) -> dict[str, Topic]:
        return {key: replace(topic, topic=names.get(key, topic.topic))
                for key, topic in topics.items()}

    return replace(contract, deployment=replace(
        deployment, observations=renamed(deployment.observations),
        actions=renamed(deployment.actions)))


def absent(name: str, type_name: str, key: str, there: Mapping[str, str],
           taken: Collection[str]) -> str:
    """Return the sentence that a bag lacks a topic.

    `there` are those that it has, with their types, `taken` those that other signals come from.
    """
    text = f'no topic {name} ({key}, {type_name})'
    if not there:
        return f'{text}, nor any other'
    fitting = [topic for topic, found in there.items()
               if found == type_name and topic not in taken]
    listing = f'there are {listed(there, (type_name,))}'
    if not fitting:
        return f'{text}; {listing}'
    nearest = difflib.get_close_matches(name, fitting, n=1, cutoff=0.0)[0]
    return (f'{text}; the nearest is {nearest} ({there[nearest]}), which --topic {key}={nearest} '
            f'would read; {listing}')


def listed(there: Mapping[str, str], types: Collection[str]) -> str:
    """Return the topics of a bag with their types, first those of the types looked for."""
    ordered = sorted(there, key=lambda topic: (there[topic] not in types, topic))
    text = ', '.join(f'{topic} ({there[topic]})' for topic in ordered[:_SHOWN])
    return text + (f' and {len(ordered) - _SHOWN} more' if len(ordered) > _SHOWN else '')
