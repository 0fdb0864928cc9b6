# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Receive every message of many topics as bytes, at any offered QoS, and count lost ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.exceptions import NameValidationException
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

from uncloning_ros.contract import KINDS, TRANSFORMS, Contract
from uncloning_ros.demos.bags.episode import EVENT_TOPIC
from uncloning_ros.demos.bags.message_types import message_text, typestore
from uncloning_ros.demos.bags.writer import RecordedTopic, described
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.endpoints import Mismatch, publisher_mismatch, publishers_of
from uncloning_ros.nodes.topics import message_class
from uncloning_ros.transforms import static_topic

# Messages of each topic that wait in the middleware (number): seconds at any robot's rate.
_DEPTH = 1000
# The same of pictures: seconds of a camera, without a gigabyte of raw ones.
_PICTURE_DEPTH = 120
# Messages of one topic that are taken before the next topic's turn (number).
_MOST_AT_ONCE = 1000
# Time (ns) with at most one message after which a topic is not a stream: it may be subscribed to
# again for its latched messages, since a new subscription loses nothing there.
_QUIET_NS = 10**9

# Receiver of (topic, cdr, info) for each message; info has the middleware's stamps.
Sink = Callable[[str, bytes, dict[str, Any]], None]


class _Polled(CallbackGroup):
    """Subscriptions that an executor never waits for: `RawTopics.take()` empties them.

    An executor of rclpy inspects every entity for every message. Messages wait in the middleware,
    which has stamped them already, so taking all of them together every few milliseconds costs a
    fraction of that, with the same recording.
    """

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass


class _Live:
    """One topic: its subscription, its offered QoS, and its newest message."""

    def __init__(self, bag_name: str, live_name: str, recorded: RecordedTopic) -> None:
        # `live_name` is that of contract or graph: rclpy remaps it.
        self.bag_name, self.live_name, self.recorded = bag_name, live_name, recorded
        self.subscription: Any = None
        # Reliable from the start, so that our own publishers' first messages are not lost.
        self.reliability = ReliabilityPolicy.RELIABLE
        self.durability = DurabilityPolicy.VOLATILE
        self.publishers: frozenset[bytes] = frozenset()
        self.mismatch: Mismatch | None = None  # why no message can arrive
        self.sequence: int | None = None
        self.newest: tuple[bytes, dict[str, Any]] | None = None  # if it is latched
        self.arrivals_ns = (0, 0)  # times of the last two takes with new messages
        self.fresh = False  # whether a new message arrived, other than one latched before
        self.source_ns = 0  # source stamp of the newest message
        self.handed_over: int | None = None  # source stamp of the latched message handed over
        self.skip_until = 0  # source stamp up to which a new subscription repeats the old one


class RawTopics:
    """Subscribe to the contract's topics, and with `record_all` to every other one.

    Names are those of the bag: the contract's, before any namespace or remapping, and the graph's
    own for other topics. `look()` adapts to the offered QoS, `take()` hands over the messages.
    All on the executor's thread.
    """

    def __init__(self, node: Any, contract: Contract, record_all: bool, exclude: Sequence[str],
                 sink: Sink) -> None:
        self._node, self._sink = node, sink
        self._record_all, self._exclude = record_all, tuple(exclude)
        self._group = _Polled()
        self._live: dict[str, _Live] = {}
        self._refused: set[str] = set()
        self.lost: Counter[str] = Counter()  # by topic, since the beginning
        self.on_topic: Callable[[RecordedTopic], None] = lambda _: None  # new, or with a new QoS
        for topic, type_name in _topics_of(contract):
            name = '/' + topic.lstrip('/')
            try:
                self._add(_Live(name, topic, described(name, type_name)))
            except (ImportError, AttributeError) as err:
                raise ContractError(f'{name}: the package of {type_name} cannot be imported: '
                                    f'{err}; install it') from err
        # The recorder writes its own events itself.
        self._taken_names = {node.resolve_topic_name('~/episode_event'), EVENT_TOPIC,
                             *(node.resolve_topic_name(live.live_name)
                               for live in self._live.values())}

    def recorded(self) -> list[RecordedTopic]:
        """Return every topic with its offered QoS."""
        return [live.recorded for live in self._live.values()]

    def mismatches(self) -> dict[str, Mismatch]:
        """Return why no message can arrive, by topic; for the topics where the graph knows it."""
        return {name: live.mismatch for name, live in self._live.items()
                if live.mismatch is not None}

    def take(self, now_ns: int) -> Counter[str]:
        """Hand over all messages that arrived; return their number by topic."""
        taken: Counter[str] = Counter()
        for live in list(self._live.values()):
            handle, kind = live.subscription.handle, live.subscription.msg_type
            with handle:
                for _ in range(_MOST_AT_ONCE):
                    found = handle.take_message(kind, True)
                    if found is None:
                        break
                    self._receive(live, *found)
                    taken[live.bag_name] += 1
            if live.fresh:
                live.arrivals_ns, live.fresh = (live.arrivals_ns[1], now_ns), False
        return taken

    def look(self) -> None:
        """Adapt to the offered QoS, and with `record_all` find new topics."""
        if self._record_all:
            for name, types in self._node.get_topic_names_and_types():
                # As with ros2 bag record, a name with a leading underscore is hidden.
                if '/_' not in name and not any(fnmatchcase(name, pattern)
                                                for pattern in self._exclude):
                    self._discover(name, types)
        if self._node.get_parameter('use_sim_time').value:
            self._discover('/clock', ['rosgraph_msgs/msg/Clock'])
        for live in self._live.values():
            self._adapt(live)

    def latched_again(self, now_ns: int, stamp_ns: int) -> None:
        """Hand over latched messages again, as if they arrived at `stamp_ns`.

        For the start of an episode. The newest message comes at once; the middleware repeats the
        others, since several publishers may have latched one each.
        """
        for live in self._live.values():
            if live.durability != DurabilityPolicy.TRANSIENT_LOCAL:
                continue
            if live.newest is not None:
                cdr, info = live.newest
                live.handed_over = info['source_timestamp']
                self._sink(live.bag_name, cdr, info | {'received_timestamp': stamp_ns})
            if now_ns - live.arrivals_ns[0] > _QUIET_NS:
                live.skip_until = 0
                self._subscribe(live)

    def _receive(self, live: _Live, cdr: bytes, info: dict[str, Any]) -> None:
        sequence = info['publication_sequence_number']
        if sequence is not None:
            if live.sequence is not None and sequence > live.sequence + 1:
                self._count_lost(live, sequence - live.sequence - 1)
            live.sequence = sequence
        if live.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            source_ns = info['source_timestamp']
            if source_ns == live.handed_over or source_ns <= live.skip_until:
                return
            live.newest = cdr, info
        live.source_ns = info['source_timestamp']
        live.fresh = live.fresh or info['received_timestamp'] - live.source_ns < _QUIET_NS
        self._sink(live.bag_name, cdr, info)

    def _count_lost(self, live: _Live, count: int) -> None:
        """Count a hole in the numbers of one publisher; several number independently."""
        before = live.publishers
        self._adapt(live)
        if len(before) == 1 and live.publishers == before:
            self.lost[live.bag_name] += count

    def _discover(self, name: str, types: Sequence[str]) -> None:
        if name in self._taken_names or name in self._refused:
            return
        try:
            if name in self._live:
                raise TypeError('the contract gives this name to another topic')
            if len(types) != 1:
                raise TypeError(f'it has the types {", ".join(types)}')
            recorded = self._described(name, types[0])
            self._add(_Live(name, name, recorded))
        except (ImportError, AttributeError, ValueError, TypeError,
                NameValidationException) as err:
            self._refused.add(name)
            self._node.get_logger().warning(f'{name} is not recorded: {err}')
            return
        self._taken_names.add(name)
        self.on_topic(recorded)

    def _described(self, name: str, type_name: str) -> RecordedTopic:
        message_class(type_name)
        if type_name in typestore().types:
            return described(name, type_name)
        [*offers] = self._node.get_publishers_info_by_topic(name)
        type_hash = str(offers[0].topic_type_hash) if offers else ''
        return RecordedTopic(name, type_name, message_text(type_name, message_class).encode(),
                             type_hash)

    def _add(self, live: _Live) -> None:
        self._subscribe(live)
        self._live[live.bag_name] = live

    def _subscribe(self, live: _Live) -> None:
        if live.subscription is not None:
            self._node.destroy_subscription(live.subscription)
        live.sequence = None
        depth = _PICTURE_DEPTH if live.recorded.type in KINDS['image'].observed_as else _DEPTH
        live.subscription = self._node.create_subscription(
            message_class(live.recorded.type), live.live_name, _never,
            QoSProfile(depth=depth, reliability=live.reliability, durability=live.durability),
            raw=True, callback_group=self._group)

    def _adapt(self, live: _Live) -> None:
        live.mismatch = publisher_mismatch(self._node, live.live_name, live.recorded.type)
        offers = publishers_of(self._node, live.live_name, live.recorded.type)
        publishers = frozenset(bytes(offer.endpoint_gid) for offer in offers)
        if not offers or publishers == live.publishers:
            return
        live.publishers, live.sequence = publishers, None
        live.recorded = RecordedTopic(
            live.bag_name, live.recorded.type, live.recorded.definition,
            live.recorded.type_hash, _offered_profiles(offers))
        self.on_topic(live.recorded)
        reliability = (ReliabilityPolicy.BEST_EFFORT if any(
            offer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for offer in offers)
            else live.reliability)
        # A subscription to latched messages does not match a publisher that latches none.
        durability = (DurabilityPolicy.TRANSIENT_LOCAL if all(
            offer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
            else DurabilityPolicy.VOLATILE)
        if reliability != live.reliability:
            self._node.get_logger().warning(f'{live.bag_name} is offered as best effort: losses '
                                            f'in the network are losses in the bag')
        if (reliability, durability) != (live.reliability, live.durability):
            live.reliability, live.durability = reliability, durability
            if len(offers) == 1:
                live.skip_until = live.source_ns
            self._subscribe(live)


def _topics_of(contract: Contract) -> list[tuple[str, str]]:
    """Return every topic of the contract with its type, before any remapping."""
    deployment = contract.deployment
    sources = [*deployment.observations.values(), *deployment.actions.values()]
    found = {source.topic: source.type for source in sources}
    found |= {static_topic(source.topic): TRANSFORMS for source in sources
              if source.type == TRANSFORMS}
    for guard in (deployment.enable, deployment.fault, deployment.teleoperation):
        if guard is not None:
            found[guard.topic] = 'std_msgs/msg/Bool'
    return list(found.items())


def _never(_: Any) -> None:
    """Unused callback that rclpy requires."""


def _offered_profiles(offers: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """Return the distinct profiles of publishers from `get_publishers_info_by_topic()`."""
    found: list[dict[str, Any]] = []
    for offer in offers:
        profile = _offered(offer.qos_profile)
        if profile not in found:
            found.append(profile)
    return tuple(found)


def _offered(qos: QoSProfile) -> dict[str, Any]:
    """Return an offered profile as rosbag2 writes it.

    Discovery may not know history and depth; then those of `ros2 bag play` and of this package's
    nodes are written.
    """
    known = qos.history not in (HistoryPolicy.UNKNOWN, HistoryPolicy.SYSTEM_DEFAULT)
    return {
        'history': 'keep_all' if qos.history == HistoryPolicy.KEEP_ALL else 'keep_last',
        'depth': qos.depth if known else 10,
        'reliability': _name(qos.reliability, ReliabilityPolicy.RELIABLE),
        'durability': _name(qos.durability, DurabilityPolicy.VOLATILE),
        'deadline': _time(qos.deadline),
        'lifespan': _time(qos.lifespan),
        'liveliness': _name(qos.liveliness, LivelinessPolicy.AUTOMATIC),
        'liveliness_lease_duration': _time(qos.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': bool(qos.avoid_ros_namespace_conventions),
    }


def _name(policy: Any, otherwise: Any) -> str:
    return str((policy if policy.name != 'UNKNOWN' else otherwise).name).lower()


def _time(duration: Any) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, 10**9)
    return {'sec': sec, 'nsec': nsec}
