# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract's topics in a ROS graph: observations received, commands published."""

import contextlib
import importlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool, String

from uncloning_ros.contract import (
    KINDS,
    TRANSFORMS,
    Contract,
    Deployment,
    Signal,
    Topic,
)
from uncloning_ros.contract.kinds import nearest_turn
from uncloning_ros.contract.messages import JOINT_STATE, JOINT_TRAJECTORY
from uncloning_ros.conversions import (
    Sample,
    encode,
    encode_trajectory,
)
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.nodes.endpoints import publisher_mismatch
from uncloning_ros.runtime.newest_worker import NewestWorker
from uncloning_ros.runtime.watchdog import CLOCK_TOPIC, Guards
from uncloning_ros.samples import SampleReader, Samples
from uncloning_ros.transforms import static_topic

# Observations: only the newest counts, and best effort matches every publisher.
OBSERVATION_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# Joint states: arm and gripper may publish theirs on one topic, and each newest counts.
JOINTS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
# Observations of the simulator: reliable, so that a recorder can ask for every message.
SENSOR_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
COMMAND_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Transforms: every message counts, since each may carry another link.
TRANSFORMS_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
STATIC_TRANSFORMS_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE,
                                   durability=DurabilityPolicy.TRANSIENT_LOCAL)
# States: a late subscriber still receives the newest.
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                         durability=DurabilityPolicy.TRANSIENT_LOCAL)
_BOOL = 'std_msgs/msg/Bool'


def message_class(type_name: str) -> Any:
    """Return rclpy's class for a full type name such as 'geometry_msgs/msg/PoseStamped'."""
    package, folder, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), name)


def contract_class(type_name: str) -> Any:
    """Return the class of a message type that a contract names; raise `ContractError` without."""
    try:
        return message_class(type_name)
    except ImportError as err:
        package = type_name.partition('/')[0]
        raise ContractError(f'{type_name}: the package {package} is not installed; install it, '
                            f'as in: apt install ros-jazzy-{package.replace("_", "-")}') from err


def json_topic(node: Any, name: str) -> Callable[[Mapping[str, Any]], None]:
    """Return the function that publishes on a latched topic of std_msgs/String, as JSON."""
    publisher = node.create_publisher(String, name, LATCHED_QOS)
    return lambda data: publisher.publish(String(data=json.dumps(data, allow_nan=False)))


def ros_now_ns(node: Any) -> int:
    """Return the node's ROS time."""
    now: int = node.get_clock().now().nanoseconds
    return now


def full_node_name(node: Any, name: str) -> str:
    """Return the full name of a node whose name is relative to the namespace of `node`."""
    return name if name.startswith('/') else f'{node.get_namespace().rstrip("/")}/{name}'


def by_topic(signals: Sequence[Signal], topics: Mapping[str, Topic]) -> dict[str, list[Signal]]:
    """Return the signals that each topic carries: arm and gripper may share a joint state."""
    carried: dict[str, list[Signal]] = {}
    for item in signals:
        carried.setdefault(topics[item.key].topic, []).append(item)
    return carried


class Observations:
    """Keep the newest sample of every observation, and the newest words of enable and fault topic.

    The executor's thread alone writes, but for pictures: a thread of their own decodes them, the
    newest of each camera, and drops those that are older. `newest()` and `guards()` may be called
    from any thread. A message that breaks the contract removes the sample of its key and leaves a
    sentence instead; one about other joints leaves the sample to its age.
    Samples are received on the monotonic clock, under `use_sim_time` on ROS time: then all ages
    are in simulated time.
    """

    def __init__(self, node: Any, contract: Contract) -> None:
        self._node = node
        self._samples: dict[str, Sample] = {}
        self._refused: dict[str, str] = {}
        self._enabled: tuple[bool, int] | None = None
        self._faulty: bool | None = None
        self._unheard: dict[str, str] = {}
        self._contract = contract
        self.arrived: Counter[str] = Counter()
        self.simulated = bool(node.get_parameter('use_sim_time').value)
        self.subscriptions: list[Any] = []
        self._decoding: NewestWorker[tuple[Any, int, int]] = NewestWorker('decoding', self._decode)
        with contextlib.ExitStack() as undo:
            undo.callback(self.destroy)
            self._listen()
            undo.pop_all()

    def _listen(self) -> None:
        contract, deployment = self._contract, self._contract.deployment
        topics = deployment.observations
        carried = {topic: [(signal, topics[signal.key]) for signal in signals] for topic, signals
                   in by_topic(contract.interface.observations, topics).items()}
        self._reader = SampleReader(carried)
        # A reader belongs to one thread.
        self._picture_reader = SampleReader(carried)
        for topic, [(signal, source), *_] in carried.items():
            pictures = KINDS[signal.kind].pictures
            kind = contract_class(source.type)
            receive = partial(self._receive_picture if pictures else self._receive, topic)
            if source.type == TRANSFORMS:
                name = static_topic(topic)
                self._subscribe(kind, topic, receive, TRANSFORMS_QOS)
                self._subscribe(kind, name, partial(self._receive, name), STATIC_TRANSFORMS_QOS)
            else:
                self._subscribe(kind, topic, receive, JOINTS_QOS if source.type == JOINT_STATE
                                else OBSERVATION_QOS)
        if deployment.enable is not None:
            self._subscribe(Bool, deployment.enable.topic, self._receive_enable, OBSERVATION_QOS)
        if deployment.fault is not None:
            # Some drivers latch it once, others repeat it: listen for both, without a warning that
            # one of the two QoS does not match.
            for qos in (OBSERVATION_QOS, LATCHED_QOS):
                self._subscribe(Bool, deployment.fault.topic, self._receive_fault, qos,
                                SubscriptionEventCallbacks(use_default_callbacks=False))

    def now_ns(self) -> int:
        """Return the time on the clock that samples are received on."""
        return ros_now_ns(self._node) if self.simulated else time.monotonic_ns()

    def ros_now_ns(self) -> int:
        """Return ROS time: the system's, which is quicker to ask, unless it is simulated."""
        return ros_now_ns(self._node) if self.simulated else time.time_ns()

    def newest(self) -> dict[str, Sample]:
        """Return the newest sample by key; keys that never arrived or were refused are missing."""
        return dict(self._samples)

    def guards(self) -> Guards:
        """Return refused and unnamed keys, and the newest words of enable and fault topic."""
        enabled, at_ns = self._enabled or (None, 0)
        return Guards(dict(self._refused), enabled, at_ns, self._faulty, self._unheard,
                      dict(self._reader.others))

    def look(self) -> Mapping[str, str]:
        """Ask the graph about the silent topics; return why nothing arrives on each, if known."""
        self._unheard = {
            topic: str(found) for topic, (type_name, qos) in self._silent().items()
            if (found := publisher_mismatch(self._node, topic, type_name, qos)) is not None}
        return self._unheard

    def destroy(self) -> None:
        """Destroy the subscriptions and end the decoding."""
        for subscription in self.subscriptions:
            self._node.destroy_subscription(subscription)
        self._decoding.end()

    def _silent(self) -> dict[str, tuple[str, QoSProfile]]:
        """Return type and QoS of every subscribed topic without a fresh message, and of /clock."""
        deployment, now_ns = self._contract.deployment, self.now_ns()

        def old(receive_ns: int, max_age_s: float) -> bool:
            return now_ns - receive_ns > max_age_s * 1e9

        silent: dict[str, tuple[str, QoSProfile]] = {}
        if self.simulated:
            silent[CLOCK_TOPIC] = ('rosgraph_msgs/msg/Clock', OBSERVATION_QOS)
        for key, topic in deployment.observations.items():
            sample = self._samples.get(key)
            if key not in self._refused and (
                    sample is None or old(sample.receive_ns, topic.max_age_s)):
                transforms = topic.type == TRANSFORMS
                silent[topic.topic] = (topic.type,
                                       TRANSFORMS_QOS if transforms else OBSERVATION_QOS)
        enable, fault = deployment.enable, deployment.fault
        if enable is not None and (self._enabled is None
                                   or old(self._enabled[1], enable.max_age_s)):
            silent[enable.topic] = (_BOOL, OBSERVATION_QOS)
        if fault is not None and self._faulty is None:
            silent[fault.topic] = (_BOOL, OBSERVATION_QOS)
        return silent

    def _subscribe(self, kind: Any, topic: str, receive: Callable[[Any], None],
                   qos: QoSProfile, events: SubscriptionEventCallbacks | None = None) -> None:
        self.subscriptions.append(self._node.create_subscription(kind, topic, receive, qos,
                                                                 event_callbacks=events))

    def _receive(self, topic: str, message: Any) -> None:
        self._take(self._reader.read(topic, message, self.now_ns(), self.ros_now_ns()))

    def _receive_picture(self, topic: str, message: Any) -> None:
        """Hand a picture over to the decoding; its age counts from here."""
        self._decoding.hand_over(topic, (message, self.now_ns(), self.ros_now_ns()))

    def _decode(self, topic: str, item: tuple[Any, int, int]) -> None:
        try:
            self._take(self._picture_reader.read(topic, *item))
        except Exception as err:  # noqa: BLE001 - a thread that dies unseen leaves old pictures
            for signal, _ in self._picture_reader.carried_by(topic):
                self._refuse(signal.key, f'{signal.key}: {type(err).__name__}: {err}')

    def _take(self, found: Samples) -> None:
        for key, one in found:
            if isinstance(one, Sample):
                self._accept(key, one)
            else:
                self._refuse(key, str(one))

    def _refuse(self, key: str, why: str) -> None:
        # In this order: a refused input must not be mistaken for a missing one.
        self._refused[key] = f'a message was refused: {why}'
        self._samples.pop(key, None)
        self._node.get_logger().error(self._refused[key], throttle_duration_sec=1.0)

    def _accept(self, key: str, sample: Sample) -> None:
        self._samples[key] = sample
        self.arrived[key] += 1
        self._refused.pop(key, None)

    def _receive_enable(self, message: Any) -> None:
        self._enabled = (bool(message.data), self.now_ns())

    def _receive_fault(self, message: Any) -> None:
        self._faulty = bool(message.data)


class Commands:
    """Publish flat actions on the contract's action topics, or in the shadow of them.

    With `shadow` every topic is `~/shadow_command/KEY`: nothing that moves listens there.
    """

    def __init__(self, create_publisher: Callable[..., Any], contract: Contract,
                 shadow: bool = False) -> None:
        self._interface = contract.interface
        self._period_s = 1 / contract.deployment.command_rate_hz
        self._limits_rad = contract.deployment.limits.joint_limits_rad
        self._types = {key: topic.type for key, topic in contract.deployment.actions.items()}
        self._previous: Array | None = None
        self._classes = cache(message_class)  # looked up often
        self.publishers = {
            key: create_publisher(message_class(topic.type),
                                  f'~/shadow_command/{key}' if shadow else topic.topic,
                                  COMMAND_QOS)
            for key, topic in contract.deployment.actions.items()}

    def publish(self, action: Array, stamp_ns: int, moving: bool = True) -> None:
        """Publish one flat action (action_dim,), stamped in ROS time.

        A trajectory carries on at the speed of the last two commands, unless it is not `moving`.
        """
        before = self._previous if moving and self._previous is not None else action
        self._previous = action
        for item in self._interface.actions:
            part = self._interface.action_slices[item.key]
            if self._types[item.key] == JOINT_TRAJECTORY:
                speeds = (action[part] - nearest_turn(item, before[part], action[part])
                          ) / self._period_s
                message = encode_trajectory(item, action[part], speeds, self._period_s,
                                            self._limits_rad, self._classes)
            else:
                message = encode(item, self._types[item.key], action[part], stamp_ns,
                                 self._classes)
            self.publishers[item.key].publish(message)


def require_topics_apart(node: Any, deployment: Deployment) -> None:
    """Raise `ContractError` if a topic of commands is one of measurements as well.

    In the contract their names differ; a namespace or a remapping can make them equal.
    """
    measured = {node.resolve_topic_name(topic.topic): key
                for key, topic in deployment.observations.items()}
    for key, topic in deployment.actions.items():
        name = node.resolve_topic_name(topic.topic)
        if name in measured:
            raise ContractError(f'{measured[name]} is measured and {key} commanded on {name}; '
                                f'give each a topic of its own, in the contract and by remapping')
