# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A private ROS context for each test, and a pretended robot on the contract's topics."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from inputs import CONTRACT  # noqa: E402
from rclpy.clock import Clock, ClockType  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from uncloning_ros.contract import (  # noqa: E402
    TRANSFORMS,
    Signal,
)
from uncloning_ros.conversions import Sample, decode, encode  # noqa: E402
from uncloning_ros.errors import ContractError  # noqa: E402
from uncloning_ros.geometry import Array  # noqa: E402
from uncloning_ros.nodes.topics import message_class  # noqa: E402
from uncloning_ros.schema import plain  # noqa: E402

PATIENCE_S = 30.0  # before a wait is given up as vain
DOWN = np.array([1.0, 0.0, 0.0, 0.0, -1.0, 0.0])
# Every text counts, also those that a latched topic has replaced by now.
ALL_TEXTS_QOS = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def pose(x: float) -> Array:
    """Return a pose (9,) with the fingers pointing down."""
    return np.concatenate([[x, 0.0, 0.3], DOWN])


class Graph:
    """Nodes of one private context on one executor."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._nodes: list[Any] = []

    def add(self, make: Callable[..., Any], **parameters: Any) -> Any:
        """Build a node of this context with these parameters, and run it."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = make(context=self.context, parameter_overrides=overrides)
        self._nodes.append(node)
        self.executor.add_node(node)
        return node

    def remove(self, node: Any) -> None:
        """End a node before the others."""
        self._nodes.remove(node)
        self.executor.remove_node(node)
        getattr(node, 'close', node.destroy_node)()

    def until(self, condition: Callable[[], Any], seen: Callable[[], object]) -> None:
        """Run until the condition holds; fail with what was seen instead."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            if condition():
                return
            self.executor.spin_once(timeout_sec=0.05)
        pytest.fail(f'waited in vain; saw {seen()}')

    def call(self, client_of: Any, name: str, kind: Any = Trigger, **request: Any) -> Any:
        """Call a service, a Trigger unless another kind is given, and return its response."""
        client = client_of.create_client(kind, name)
        self.until(client.service_is_ready, lambda: f'no service {name}')
        future = client.call_async(kind.Request(**request))
        self.until(future.done, lambda: f'no answer from {name}')
        client_of.destroy_client(client)
        return future.result()

    def close(self) -> None:
        for node in reversed(self._nodes):
            getattr(node, 'close', node.destroy_node)()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)


class Robot(Node):
    """Publish every observation at 50 Hz; keep the commands and the JSON that arrives.

    The force along x counts the rounds, so that a lost message is noticed. What trackers see
    trembles unless it is `frozen`. Stamps are in ROS time, rounds are not.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('robot', **node_options)
        self.values = {'tool_pose': pose(0.4), 'gripper_width': np.array([0.08]),
                       'object_pose': pose(0.6), 'hand_pose': pose(0.7),
                       'wrist_force': np.zeros(3)}
        self.silent: set[str] = set()
        self.frozen: set[str] = set()
        self.rounds = 0
        self.commands: dict[str, list[Sample]] = {s.key: [] for s in CONTRACT.interface.actions}
        self.said: dict[str, list[str]] = {}
        deployment = CONTRACT.deployment
        self._out = {key: self.create_publisher(message_class(t.type), t.topic, 10)
                     for key, t in deployment.observations.items()}
        for signal in CONTRACT.interface.actions:
            topic = deployment.actions[signal.key]
            self.create_subscription(
                message_class(topic.type), topic.topic,
                partial(self._on_command, signal), 100)
        self.create_timer(0.02, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_command(self, signal: Signal, message: Any) -> None:
        with contextlib.suppress(ContractError):  # a test may send a foreign one
            self.commands[signal.key].append(decode(signal, message, self.rounds))

    def message(self, key: str) -> Any:
        signal = next(s for s in CONTRACT.interface.observations if s.key == key)
        values = self.values[key]
        if key in ('object_pose', 'hand_pose') and key not in self.frozen:
            values = values + np.eye(9)[2] * 1e-4 * np.sin(self.rounds)
        return encode(signal, CONTRACT.deployment.observations[key].type, values,
                      self.get_clock().now().nanoseconds, message_class)

    def send(self, key: str, message: Any) -> None:
        self._out[key].publish(message)

    def listen(self, topic: str) -> list[str]:
        """Return the list that the texts of a latched topic are appended to."""
        heard = self.said.setdefault(topic, [])
        self.create_subscription(message_class('std_msgs/msg/String'), topic,
                                 lambda message: heard.append(message.data), ALL_TEXTS_QOS)
        return heard

    def _publish(self) -> None:
        self.rounds += 1
        self.values['wrist_force'] = np.array([float(self.rounds), 0.0, 0.0])
        for key in self.values:
            if key not in self.silent:
                self.send(key, self.message(key))


@pytest.fixture
def graph() -> Iterator[Graph]:
    made = Graph()
    yield made
    made.close()


@pytest.fixture
def robot(graph: Graph) -> Robot:
    return graph.add(Robot)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Return a function that decides what loading a model gives: a policy, or an exception."""
    from live_policy import CONTRACT as PATIENT
    from live_policy import FakePolicy

    from uncloning_ros.nodes import policy_model, policy_services

    def decide(given: Any) -> None:
        def load_policy(path: Any, expected: Any) -> Any:
            if isinstance(given, Exception):
                raise given
            return given
        monkeypatch.setattr(policy_model, 'load_policy', load_policy)
    # Nobody else is in the graph, unless a test puts him there.
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 0)
    decide(FakePolicy(PATIENT))
    return decide


@pytest.fixture
def activate(graph: Graph, robot: Robot, load: Any, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes an active policy node with these parameters."""
    from live_policy import Live
    return lambda **parameters: Live(graph, robot, tmp_path / 'incidents', **parameters)


@pytest.fixture
def live(activate: Callable[..., Any]) -> Any:
    return activate()


@pytest.fixture
def tools() -> SimpleNamespace:
    """What tests of nodes share: the contract and poses on it, and the pretended robot."""
    return SimpleNamespace(contract=CONTRACT, pose=pose, robot_class=Robot)


@pytest.fixture
def hand_frame_contract(tmp_path: Path) -> Path:
    """Return the contract's file with the hand's pose read from a tree of transforms."""
    data = plain(CONTRACT)
    observed = data['deployment']['observations']
    observed['hand_pose'] = {'topic': 'tf', 'type': TRANSFORMS, 'child_frame': 'hand',
                             'max_age_s': observed['hand_pose']['max_age_s']}
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(data))
    return path
