# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a live graph, the same whether its processes were started plainly or by launch."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader

from uncloning_ros.contract import load_contract
from uncloning_ros.conversions import decode
from uncloning_ros.demos.bag import Episode, list_episodes
from uncloning_ros.demos.bag_reader import read_episode
from uncloning_ros.geometry import Array
from uncloning_ros.share import share_path

CONTRACT = load_contract(share_path('config') / 'contract.yaml')
PATIENCE_S = 60.0  # before a wait is given up as vain


class Observer:
    """A node of a private context that sees everything; made by `observing`."""

    def __init__(self, node: Any, executor: Any) -> None:
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String

        from uncloning_ros.nodes.common import message_class
        self._node, self._executor = node, executor
        self.said: dict[str, dict[str, Any]] = {}
        self.poses: list[Array] = []  # measured tool poses
        self.commands: list[Array] = []  # commanded tool poses
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic in ('/policy/status', '/simulator/outcome', '/demonstrator/status'):
            node.create_subscription(String, topic, self._listener(topic), latched)
        deployment = CONTRACT.deployment
        for signal, topic, seen in (
                (CONTRACT.interface.observations[0], deployment.observations['tool_pose'],
                 self.poses),
                (CONTRACT.interface.actions[0], deployment.actions['target_pose'],
                 self.commands)):
            node.create_subscription(
                message_class(topic.type), topic.topic,
                lambda message, signal=signal, seen=seen: seen.append(
                    decode(signal, message, 0).values), 1000)

    def _listener(self, topic: str) -> Callable[[Any], None]:
        return lambda message: self.said.update({topic: json.loads(message.data)})

    def of(self, topic: str, key: str) -> Any:
        """Return one value of what a latched topic said last, None if it never spoke."""
        return self.said.get(topic, {}).get(key)

    def until(self, condition: Callable[[], Any], wanted: str) -> None:
        """Wait for a condition; fail with what was seen instead."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                pytest.fail(f'waited in vain for {wanted}; saw {self.said}, '
                            f'{len(self.poses)} poses, {len(self.commands)} commands')
            self._executor.spin_once(timeout_sec=0.05)

    def until_policy(self, state: str) -> None:
        self.until(lambda: self.of('/policy/status', 'state') == state, f'policy state {state}')

    def let_poses_pass(self, count: int) -> None:
        """Wait for so many measured poses: time as the graph itself counts it."""
        goal = len(self.poses) + count
        self.until(lambda: len(self.poses) >= goal, f'{count} more poses')

    def drain(self) -> None:
        """Take what has arrived already; for when nobody is left to publish."""
        for _ in range(50):
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, service: str) -> Any:
        """Call a Trigger service and return its answer."""
        from std_srvs.srv import Trigger
        client = self._node.create_client(Trigger, service)
        self.until(client.service_is_ready, f'service {service}')
        future = client.call_async(Trigger.Request())
        self.until(future.done, f'an answer of {service}')
        return future.result()

    def holds(self) -> list[int]:
        """Return which commands are hold commands: those that equal a measured pose."""
        measured = np.array(self.poses)
        return [i for i, command in enumerate(self.commands)
                if np.min(np.max(np.abs(measured - command), axis=1)) < 1e-6]


@contextlib.contextmanager
def observing() -> Iterator[Observer]:
    """Join the graph with a private context."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('observer', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield Observer(node, executor)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def policy_moves_the_simulated_arm(observer: Observer) -> None:
    """The policy becomes active by itself, its commands move the simulated arm."""
    observer.until_policy('active')
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'running',
                   'a running simulation')
    observer.let_poses_pass(1)
    start = observer.poses[-1]
    observer.until(lambda: np.linalg.norm(observer.poses[-1][:3] - start[:3]) > 0.005,
                   'an arm that moves')
    assert observer.holds() == []


def stop_holds_once(observer: Observer) -> None:
    """After ~/stop one hold command comes, and no command after it."""
    assert observer.call('/policy/stop').success
    observer.until_policy('waiting')
    observer.let_poses_pass(20)
    assert observer.holds() == [len(observer.commands) - 1]


def last_command_is_the_only_hold(observer: Observer) -> None:
    """After the policy process ended: its last command holds, and it is the only one."""
    observer.drain()
    assert observer.holds() == [len(observer.commands) - 1]


def record_one_demonstration(observer: Observer, mode: str, out: Path) -> Path:
    """Record the demonstrator's next handover; return the bag. The tool reaches the person."""
    before = len(list_episodes(out)) if out.is_dir() else 0
    observer.until(lambda: observer.call('/recorder/start_episode').success, 'a recording')
    assert observer.call('/demonstrator/start').success
    observer.until(lambda: observer.of('/demonstrator/status', 'phase') == 'done',
                   'the end of the demonstration')
    assert observer.call('/recorder/stop_episode').success
    observer.until(lambda: observer.of('/simulator/outcome', 'completed'), 'a completed handover')
    assert observer.of('/simulator/outcome', 'mode') == mode
    *earlier, path = list_episodes(out)
    assert len(earlier) == before
    return path


def same_form(one: Path, two: Path) -> None:
    """Two bags agree on topics, types, QoS, message definitions and the keys of metadata."""
    assert _form(one) == _form(two)
    live, fast = read_episode(one), read_episode(two)
    assert live.contract == fast.contract
    assert _event_form(live) == _event_form(fast)
    assert live.samples.keys() == fast.samples.keys()


def _form(path: Path) -> dict[str, Any]:
    info = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    [file] = path.glob('*.mcap')
    with file.open('rb') as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        assert summary is not None
        channels = {c.topic: (c.message_encoding, sorted(c.metadata.items()),
                              summary.schemas[c.schema_id].name,
                              summary.schemas[c.schema_id].data)
                    for c in summary.channels.values()}
        records = {record.name: sorted(record.metadata) for record in reader.iter_metadata()}
    return {'keys': sorted(info), 'custom': sorted(info['custom_data']), 'channels': channels,
            'records': records, 'distribution': info['ros_distro'], 'version': info['version'],
            'topics': [topic['topic_metadata'] for topic in info['topics_with_message_count']]}


def _event_form(episode: Episode) -> list[tuple[str, list[str]]]:
    # A simulated sensor is not judged, for it does what it was told to.
    return [(event['event'], sorted({*event} - {'health'})) for _, event in episode.events]
