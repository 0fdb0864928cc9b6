# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes share: how one is run, its parameters, and the contract's topics."""

import contextlib
import importlib
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool, String

from uncloning_ros.contract import (
    TRANSFORMS,
    Contract,
    ObservedTopic,
    Signal,
    Topic,
    load_contract,
)
from uncloning_ros.contract.messages import JOINT_TRAJECTORY
from uncloning_ros.conversions import (
    Sample,
    decode,
    encode,
    encode_trajectory,
)
from uncloning_ros.errors import ContractError, UncloningError, near_miss
from uncloning_ros.geometry import Array
from uncloning_ros.runtime.watchdog import Guards
from uncloning_ros.share import share_path
from uncloning_ros.transforms import TransformTree, static_topic

# Only the newest measurement counts, and best effort matches every publisher.
OBSERVATION_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# What the simulator offers, so that a recorder can ask for every message.
SENSOR_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
COMMAND_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Every transform counts, since each may carry another link.
TRANSFORMS_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
STATIC_TRANSFORMS_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE,
                                   durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Whoever joins late still learns the state.
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                         durability=DurabilityPolicy.TRANSIENT_LOCAL)

# How soon a signal is noticed: the middleware's wait does not end on one.
_SIGNAL_CHECK_S = 0.1
# A parameter of another type, a topic's name that ROS does not take.
MISTAKES = (UncloningError, ParameterException, NameValidationException)


class ClosableNode(Protocol):
    """A node that ends in an orderly way: `close()` publishes its last words."""

    def close(self) -> None:
        """End threads, publish the last words, destroy the node."""


_Node = TypeVar('_Node', bound=ClosableNode)


def _no_pause(_: ClosableNode) -> float:
    return _SIGNAL_CHECK_S


@dataclass(frozen=True)
class Parameter:
    """One row of a node's parameter table: all are read-only, for a typo must not go unnoticed."""

    name: str
    default: str | int | float | bool | list[str]
    description: str


def run_node(make: Callable[[], _Node], args: Sequence[str] | None,
             pause: Callable[[_Node], float] = _no_pause) -> int:
    """Run one node until SIGINT, SIGTERM or SIGHUP and return the process's exit status.

    The signals are ours, not rclpy's: rclpy shuts its context down at once, and a node could not
    publish its last command. Status 0 after a signal, 2 for bad input, with one sentence.
    `pause` is called before every wait for messages and tells how many s it may last.
    """
    stray = _stray_words(sys.argv[1:] if args is None else args)
    if stray:
        return _refuse(ContractError(f'cannot use {" ".join(stray)!r}; parameters are given as '
                                     f'in: --ros-args -p name:=value'))
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup a terminal that closes is to end nothing.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stopping.set())
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as err:  # how rclpy tells of arguments that it cannot read
        return _refuse(ContractError(f'cannot read the ROS arguments: {sentence_of(err)}'))
    node = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not stopping.is_set():
            executor.spin_once(timeout_sec=pause(node))
        return 0
    except MISTAKES as err:
        return _refuse(err)
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()


def _stray_words(args: Sequence[str]) -> list[str]:
    """Return the words outside of --ros-args ... --: rclpy would not heed shadow:=true there."""
    stray, heeded = [], False
    for word in args:
        if word == '--ros-args':
            heeded = True
        elif heeded and word == '--':
            heeded = False
        elif not heeded:
            stray.append(word)
    return stray


def sentence_of(err: Exception) -> str:
    """Return what an exception says on one line; rclpy's span several."""
    return ' '.join(str(err).split())


def _refuse(err: Exception) -> int:
    print(f'uncloning_ros: error: {sentence_of(err)}', file=sys.stderr)
    return 2


def declare(node: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Declare a node's parameter table and return the values by name.

    Raise `ContractError` for a negative seed, and for a parameter that was given but is not in
    the table: with `shaddow:=true` the arm must not move. From here on rclpy's own parameters
    cannot be changed either: with use_sim_time every age would be on another clock.
    """
    values = {p.name: node.declare_parameter(
        p.name, p.default, ParameterDescriptor(description=p.description, read_only=True)).value
        for p in parameters}
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith('qos_overrides.'):
            raise ContractError(f'{node.get_name()} has no parameter {name!r}'
                                f'{near_miss(name, values)}')
    if values.get('seed', 0) < 0:
        raise ContractError(f'expected a seed of at least 0, got {values["seed"]}')
    ignore_impossible_clocks(node)
    refusal = SetParametersResult(
        successful=False, reason='every parameter is read-only; give it when the node starts')
    node.add_on_set_parameters_callback(lambda _: refusal)
    return values


def refuse_wrong_transitions(node: Any) -> None:
    """Answer a transition that a lifecycle node's state does not allow: rclpy ends on it."""
    service = node._service_change_state
    answer = service.callback

    def on_change_state(request: Any, response: Any) -> Any:
        try:
            return answer(request, response)
        except RuntimeError as err:  # rclpy's RCLError
            node.get_logger().error(
                f'refused transition {request.transition.label or request.transition.id} in '
                f'state {node._state_machine.current_state[1]}: {sentence_of(err)}')
            response.success = False
            return response

    service.callback = on_change_state


def ignore_impossible_clocks(node: Any) -> None:
    """Pass over a time on /clock that no stamp can carry: rclpy ends on it. It has stood still."""
    subscription = node._time_source._clock_sub
    if subscription is None:
        return
    take = subscription.callback

    def on_clock(message: Any) -> None:
        if message.clock.sec >= 0 and message.clock.nanosec < 10**9:
            take(message)

    subscription.callback = on_clock


def path_of(text: str) -> Path:
    """Return the path that a parameter gives, `~` and `~user` expanded."""
    try:
        return Path(text).expanduser()
    except RuntimeError as err:
        raise ContractError(f'cannot tell whose home {text!r} lies in; give the whole '
                            f'path') from err


def contract_at(path: str) -> Contract:
    """Return the contract at `path`, the shipped one for ''."""
    return load_contract(path_of(path) if path
                         else share_path('config') / 'contract.yaml')


def message_class(type_name: str) -> Any:
    """Return rclpy's class for a full type name such as 'geometry_msgs/msg/PoseStamped'."""
    package, folder, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), name)


def contract_class(type_name: str) -> Any:
    """Return the class of a type that a contract names, or say what has to be installed."""
    try:
        return message_class(type_name)
    except ImportError as err:
        package = type_name.partition('/')[0]
        raise ContractError(f'{type_name}: the package {package} is not installed; install it, '
                            f'as in: apt install ros-jazzy-{package.replace("_", "-")}') from err


def as_json(data: Mapping[str, Any]) -> Any:
    """Return the std_msgs/String that carries `data` as JSON."""
    return String(data=json.dumps(data, allow_nan=False))


def ros_now_ns(node: Any) -> int:
    """Return the node's ROS time."""
    now: int = node.get_clock().now().nanoseconds
    return now


def by_topic(signals: Sequence[Signal], topics: Mapping[str, Topic]) -> dict[str, list[Signal]]:
    """Return the signals that each topic carries: arm and gripper may share a joint state."""
    carried: dict[str, list[Signal]] = {}
    for item in signals:
        carried.setdefault(topics[item.key].topic, []).append(item)
    return carried


class Observations:
    """Keep the newest sample of every observation, and what the enable and fault topics said.

    The executor's thread alone writes; `newest()` and `guards()` may be called from any thread. A
    message that breaks the contract takes its sample away and leaves the sentence that tells why.
    Samples are received on the monotonic clock, under `use_sim_time` on ROS time: then all ages
    are in simulated time.
    """

    def __init__(self, node: Any, contract: Contract) -> None:
        self._node = node
        self._samples: dict[str, Sample] = {}
        self._refused: dict[str, str] = {}
        self._enabled: tuple[bool, int] | None = None
        self._faulty: bool | None = None
        self._transforms = TransformTree()
        self.arrived: Counter[str] = Counter()
        self.simulated = bool(node.get_parameter('use_sim_time').value)
        self.subscriptions: list[Any] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.destroy)
            self._listen(contract)
            undo.pop_all()

    def _listen(self, contract: Contract) -> None:
        deployment = contract.deployment
        topics = deployment.observations
        for topic, signals in by_topic(contract.interface.observations, topics).items():
            kind = contract_class(topics[signals[0].key].type)
            pairs = [(signal, topics[signal.key]) for signal in signals]
            if topics[signals[0].key].type == TRANSFORMS:
                for name, static in ((topic, False), (static_topic(topic), True)):
                    self._subscribe(kind, name, partial(self._receive_transforms, pairs, static),
                                    STATIC_TRANSFORMS_QOS if static else TRANSFORMS_QOS)
            else:
                self._subscribe(kind, topic, partial(self._receive, pairs), OBSERVATION_QOS)
        if deployment.enable is not None:
            self._subscribe(Bool, deployment.enable.topic, self._receive_enable, OBSERVATION_QOS)
        if deployment.fault is not None:
            # Some drivers say it once and latch it, others repeat it: listen to both, and do not
            # warn that one of the two does not fit.
            for qos in (OBSERVATION_QOS, LATCHED_QOS):
                self._subscribe(Bool, deployment.fault.topic, self._receive_fault, qos,
                                SubscriptionEventCallbacks(use_default_callbacks=False))

    def now_ns(self) -> int:
        """Return the time on the clock that samples are received on."""
        return ros_now_ns(self._node) if self.simulated else time.monotonic_ns()

    def ros_now_ns(self) -> int:
        """Return ROS time; that is the system's unless it is simulated, and soon asked then."""
        return ros_now_ns(self._node) if self.simulated else time.time_ns()

    def newest(self) -> dict[str, Sample]:
        """Return the newest sample by key; keys that never arrived or were refused are missing."""
        return dict(self._samples)

    def guards(self) -> Guards:
        """Return what was refused, and the newest words of the enable and fault topics."""
        enabled, at_ns = self._enabled or (None, 0)
        return Guards(dict(self._refused), enabled, at_ns, self._faulty)

    def destroy(self) -> None:
        """Take the subscriptions away."""
        for subscription in self.subscriptions:
            self._node.destroy_subscription(subscription)

    def _subscribe(self, kind: Any, topic: str, receive: Callable[[Any], None],
                   qos: QoSProfile, events: SubscriptionEventCallbacks | None = None) -> None:
        self.subscriptions.append(self._node.create_subscription(kind, topic, receive, qos,
                                                                 event_callbacks=events))

    def _receive(self, pairs: Sequence[tuple[Signal, ObservedTopic]], message: Any) -> None:
        receive_ns = self.now_ns()
        for item, topic in pairs:
            try:
                sample = decode(item, message, 0)
                stamp_ns = sample.stamp_ns
                if not topic.stamped:
                    stamp_ns = self.ros_now_ns()
                elif stamp_ns == 0:
                    raise ContractError(f'{item.key}: expected a time stamp, got none; have its '
                                        f'publisher fill header.stamp, or set stamped: false in '
                                        f'the contract')
                self._accept(item.key, Sample(sample.values, stamp_ns, receive_ns))
            except ContractError as err:
                self._refuse(item.key, err)

    def _receive_transforms(self, pairs: Sequence[tuple[Signal, ObservedTopic]], static: bool,
                            message: Any) -> None:
        placed = self._transforms.add(message, static)
        for item, topic in pairs:
            try:
                sample = self._transforms.sample(item, topic, placed, self.now_ns(),
                                                 self.ros_now_ns())
                if sample is not None:
                    self._accept(item.key, sample)
            except ContractError as err:
                self._refuse(item.key, err)

    def _receive_enable(self, message: Any) -> None:
        self._enabled = (bool(message.data), self.now_ns())

    def _receive_fault(self, message: Any) -> None:
        self._faulty = bool(message.data)

    def _accept(self, key: str, sample: Sample) -> None:
        self._samples[key] = sample
        self.arrived[key] += 1
        self._refused.pop(key, None)

    def _refuse(self, key: str, err: ContractError) -> None:
        # In this order, so that nobody takes what was refused for what never arrived.
        self._refused[key] = f'a message was refused: {err}'
        self._samples.pop(key, None)
        self._node.get_logger().error(self._refused[key], throttle_duration_sec=1.0)


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
        speeds, self._previous = (action - before) / self._period_s, action
        for item in self._interface.actions:
            part = self._interface.action_slices[item.key]
            if self._types[item.key] == JOINT_TRAJECTORY:
                message = encode_trajectory(item, action[part], speeds[part], self._period_s,
                                            self._limits_rad, self._classes)
            else:
                message = encode(item, self._types[item.key], action[part], stamp_ns,
                                 self._classes)
            self.publishers[item.key].publish(message)
