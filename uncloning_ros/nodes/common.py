# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes share: how one is run, its parameters, and the contract's topics."""

import importlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import rclpy
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from uncloning_ros.contract import Contract, Signal, Topic, load_contract
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError, UncloningError
from uncloning_ros.geometry import Array
from uncloning_ros.share import share_path

# Only the newest measurement counts, and best effort matches every publisher.
OBSERVATION_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# What the simulator offers, so that a recorder can ask for every message.
SENSOR_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
COMMAND_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
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


@dataclass(frozen=True)
class Parameter:
    """One row of a node's parameter table: all are read-only, for a typo must not go unnoticed."""

    name: str
    default: str | int | float | bool
    description: str


def run_node(make: Callable[[], ClosableNode], args: Sequence[str] | None) -> int:
    """Run one node until SIGINT or SIGTERM and return the process's exit status.

    The signals are ours, not rclpy's: rclpy shuts its context down at once, and a node could not
    publish its last command. Status 0 after a signal, 2 for bad input, with one sentence.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as err:  # how rclpy tells of arguments that it cannot read
        return _refuse(err)
    node = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not stopping.is_set():
            executor.spin_once(timeout_sec=_SIGNAL_CHECK_S)
        return 0
    except MISTAKES as err:
        return _refuse(err)
    finally:
        if node is not None:
            node.close()
        rclpy.try_shutdown()


def sentence_of(err: Exception) -> str:
    """Return what an exception says on one line; rclpy's span several."""
    return ' '.join(str(err).split())


def _refuse(err: Exception) -> int:
    print(f'uncloning_ros: error: {sentence_of(err)}', file=sys.stderr)
    return 2


def declare(node: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Declare a node's parameter table and return the values by name; no seed is negative."""
    values = {p.name: node.declare_parameter(
        p.name, p.default, ParameterDescriptor(description=p.description, read_only=True)).value
        for p in parameters}
    if values.get('seed', 0) < 0:
        raise ContractError(f'expected a seed of at least 0, got {values["seed"]}')
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


def contract_at(path: str) -> Contract:
    """Return the contract at `path`, the shipped one for ''."""
    return load_contract(Path(path).expanduser() if path
                         else share_path('config') / 'contract.yaml')


def message_class(type_name: str) -> Any:
    """Return rclpy's class for a full type name such as 'geometry_msgs/msg/PoseStamped'."""
    package, folder, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.{folder}'), name)


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
    """Keep the newest sample of every observation, received on the monotonic clock.

    The executor's thread alone writes; `newest()` may be called from any thread. A message that
    breaks the contract takes its sample away, so that whoever reads sees that input missing.
    """

    def __init__(self, node: Any, contract: Contract) -> None:
        self._node = node
        self._samples: dict[str, Sample] = {}
        topics = contract.deployment.observations
        self.subscriptions = [
            node.create_subscription(message_class(topics[signals[0].key].type), topic,
                                     partial(self._receive, signals), OBSERVATION_QOS)
            for topic, signals in by_topic(contract.interface.observations, topics).items()]

    def newest(self) -> dict[str, Sample]:
        """Return the newest sample by key; keys that never arrived are missing."""
        return dict(self._samples)

    def _receive(self, signals: Sequence[Signal], message: Any) -> None:
        receive_ns = time.monotonic_ns()
        for item in signals:
            try:
                sample = decode(item, message, receive_ns)
                # The time of arrival stood in for it, but that is on another clock.
                if sample.stamp_ns == receive_ns:
                    raise ContractError(f'{item.key}: expected a time stamp, got none; its '
                                        f'publisher has to fill header.stamp')
                self._samples[item.key] = sample
            except ContractError as err:
                self._samples.pop(item.key, None)
                self._node.get_logger().error(f'refused a message: {err}',
                                              throttle_duration_sec=1.0)


class Commands:
    """Publish flat actions on the contract's action topics."""

    def __init__(self, create_publisher: Callable[..., Any], contract: Contract) -> None:
        self._interface = contract.interface
        self._types = {key: topic.type for key, topic in contract.deployment.actions.items()}
        self.publishers = {
            key: create_publisher(message_class(topic.type), topic.topic, COMMAND_QOS)
            for key, topic in contract.deployment.actions.items()}

    def publish(self, action: Array, stamp_ns: int) -> None:
        """Publish one flat action (action_dim,), stamped in ROS time."""
        for item in self._interface.actions:
            values = action[self._interface.action_slices[item.key]]
            self.publishers[item.key].publish(
                encode(item, self._types[item.key], values, stamp_ns, message_class))
