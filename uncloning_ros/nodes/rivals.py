# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two may not command one arm, and what commands it may not take that for a measurement."""

from collections.abc import Iterable
from typing import Any

from uncloning_ros.contract import Deployment
from uncloning_ros.errors import ContractError


def rival_of(node: Any, topics: Iterable[str]) -> str | None:
    """Return the sentence that names another publisher of one of our topics, None if none is.

    `topics` are as the contract names them, before any remapping: looking for publishers remaps.
    """
    for topic in topics:
        found = node.get_publishers_info_by_topic(topic)
        if len(found) > 1:
            others = [f'{info.node_namespace.rstrip("/")}/{info.node_name}' for info in found]
            ours = node.get_fully_qualified_name()
            if ours in others:  # discovery may not know the name yet
                others.remove(ours)
            return (f'{", ".join(others)} publishes on {node.resolve_topic_name(topic)} as well; '
                    f'two may not command one arm: end the other one, or use shadow mode')
    return None


def require_topics_apart(node: Any, deployment: Deployment) -> None:
    """Raise `ContractError` if what a node commands would pass for a measurement.

    The contract sees to it that names differ; a namespace or a remapping can make them one.
    """
    measured = {node.resolve_topic_name(topic.topic): key
                for key, topic in deployment.observations.items()}
    for key, topic in deployment.actions.items():
        name = node.resolve_topic_name(topic.topic)
        if name in measured:
            raise ContractError(f'{measured[name]} is measured and {key} commanded on {name}; '
                                f'give each a topic of its own, in the contract and by remapping')
