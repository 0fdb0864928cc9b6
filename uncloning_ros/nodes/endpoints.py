# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ask the graph which node publishes or listens on a topic, with which type and QoS."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointTypeEnum

# Name of the node of an endpoint that no ROS node is known to have made.
_NO_NODE = '_NODE_NAME_UNKNOWN_'
# Words for an endpoint without a known node; discovery may learn its name later.
NAMELESS = 'without a ROS node'
# Name of the node of `ros2 bag record`.
_BAG_RECORDER = 'rosbag2_recorder'


@dataclass(frozen=True)
class Mismatch:
    """The reason why no message passes on a topic: the endpoint that it needs, those it has."""

    expected: str
    got: str
    topic: str
    remedy: str
    endpoints: int  # number of endpoints that do not match

    @property
    def short(self) -> str:
        """Return both values, without topic and remedy."""
        return f'expected {self.expected}, got {self.got}'

    def __str__(self) -> str:
        return f'expected {self.expected} on {self.topic}, got {self.got}; {self.remedy}'


def endpoint_name(info: Any) -> str:
    """Return the full name of an endpoint's node, or words for an endpoint without a node."""
    if info.node_name in ('', _NO_NODE):
        kind = 'writer' if info.endpoint_type == TopicEndpointTypeEnum.PUBLISHER else 'reader'
        return f'a DDS {kind} {NAMELESS} (gid {bytes(info.endpoint_gid).hex()})'
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'


def second_publisher(node: Any, topics: Iterable[str], spared: str = '') -> str | None:
    """Return the sentence that names a second publisher of a command topic, None without one.

    `topics` are those of the contract, before any remapping: the search for publishers remaps.
    One publisher of the node `spared`, a full name, is allowed.
    """
    for topic in topics:
        found = list(node.get_publishers_info_by_topic(topic))
        allowed = [info for info in found if endpoint_name(info) == spared]
        if len(allowed) == 1:
            found.remove(allowed[0])
        if len(found) > 1:
            # Discovery may not know our name yet: then one of those without a name is ours.
            ours = node.get_fully_qualified_name()
            found.sort(key=lambda info: (endpoint_name(info) != ours, info.node_name != _NO_NODE))
            others = ', '.join(map(endpoint_name, found[1:]))
            return (f'{others} publishes on {node.resolve_topic_name(topic)} as well; one node '
                    f'alone may command an arm: end the other one, or use shadow mode')
    return None


def publisher_mismatch(node: Any, topic: str, type_name: str,
                       qos: QoSProfile | None = None) -> Mismatch | None:
    """Return the reason why a subscription receives nothing, None if a publisher matches it.

    `topic` is that of the contract, before any remapping; without `qos` any QoS matches.
    """
    def fits(offered: QoSProfile) -> str:
        return '' if qos is None else _clash(offered, qos)

    return _mismatch('publisher', node.resolve_topic_name(topic), type_name,
                     node.get_publishers_info_by_topic(topic), fits)


def publishers_of(node: Any, topic: str, type_name: str) -> list[Any]:
    """Return the endpoints that publish on a topic of the contract with this type."""
    return [info for info in node.get_publishers_info_by_topic(topic)
            if info.topic_type == type_name]


def listener_mismatch(node: Any, topic: str, type_name: str, qos: QoSProfile,
                      watchers: Collection[str] = ()) -> Mismatch | None:
    """Return the reason why commands move nothing, None if a subscription matches them.

    A recorder or a command of a terminal that listens moves nothing, nor do the nodes with the
    full names `watchers`.
    """
    return _mismatch('subscription', node.resolve_topic_name(topic), type_name,
                     [info for info in node.get_subscriptions_info_by_topic(topic)
                      if not _only_looks(node, info) and endpoint_name(info) not in watchers],
                     lambda asked: _clash(qos, asked))


def _mismatch(role: str, name: str, type_name: str, found: Sequence[Any],
              clash: Callable[[QoSProfile], str]) -> Mismatch | None:
    expected = f'a {role} of {type_name}'
    if not found:
        return Mismatch(expected, 'none', name, 'start its node, or correct the topic in the '
                                                'contract', 0)
    right = [info for info in found if info.topic_type == type_name]
    if not right:
        others = ', '.join(f'{info.topic_type} from {endpoint_name(info)}' for info in found)
        return Mismatch(expected, others, name, 'correct that node, or the type in the contract',
                        len(found))
    clashes = [clash(info.qos_profile) for info in right]
    if not all(clashes):
        return None
    others = ', '.join(f'one from {endpoint_name(info)} ({text})'
                       for info, text in zip(right, clashes, strict=True))
    return Mismatch(f'{expected} with a QoS that matches', others, name,
                    'correct the QoS of that node', len(found))


def _clash(offered: QoSProfile, asked: QoSProfile) -> str:
    """Return why two QoS do not match, '' if they do."""
    if (asked.reliability == ReliabilityPolicy.RELIABLE
            and offered.reliability == ReliabilityPolicy.BEST_EFFORT):
        return 'offered as best effort, asked for as reliable'
    if (asked.durability == DurabilityPolicy.TRANSIENT_LOCAL
            and offered.durability == DurabilityPolicy.VOLATILE):
        return 'offered as volatile, asked for as transient local'
    return ''


def _only_looks(node: Any, info: Any) -> bool:
    """Tell whether a subscription is a recorder's, or a hidden node's as of `ros2 topic`."""
    if info.node_name == _NO_NODE:
        return False
    return bool(info.node_name.startswith(('_', _BAG_RECORDER))
                or node.count_publishers(f'{endpoint_name(info)}/episode_event'))
