# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who else publishes where a node commands: two may not command one arm."""

from collections.abc import Iterable
from typing import Any


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
