# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses from /tf and /tf_static with ROS 2's own messages: live, and recorded and read back."""

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile

from uncloning_ros.contract import load_contract
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.nodes.topics import Commands, Observations

# apt brings it with ROS 2; there is no wheel of it.
TFMessage = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed').TFMessage

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def link(parent: str, child: str, x_m: float, stamp: Any) -> Any:
    one = TransformStamped()
    one.header.frame_id, one.child_frame_id, one.header.stamp = parent, child, stamp
    one.transform.translation.x, one.transform.rotation.w = x_m, 1.0
    return TFMessage(transforms=[one])


@pytest.fixture
def tree(robot: Any, hand_frame_contract: Path) -> Path:
    """Return a contract whose hand is a frame of /tf; the robot publishes it, 1 mm further on."""
    robot.silent.add('hand_pose')
    robot.create_publisher(TFMessage, '/tf_static', LATCHED).publish(
        link('panda_link0', 'tracker', 0.25, robot.get_clock().now().to_msg()))
    moving, numbers = robot.create_publisher(TFMessage, '/tf', 10), count(1)
    robot.create_timer(0.02, lambda: moving.publish(link(
        'tracker', 'hand', 0.001 * next(numbers), robot.get_clock().now().to_msg())))
    return hand_frame_contract


def test_what_is_read_live_is_what_a_bag_holds(
        graph: Any, robot: Any, tree: Path, tmp_path: Path) -> None:
    contract = load_contract(tree)
    live = Observations(robot, contract)
    seen: list[float] = []
    accept = live._accept

    def remember(key: str, sample: Any) -> None:
        accept(key, sample)
        if key == 'hand_pose':
            seen.append(float(sample.values[0]))

    live._accept = remember  # type: ignore[method-assign]
    commands = Commands(robot.create_publisher, contract)
    robot.create_timer(0.05, lambda: commands.publish(
        np.array([0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.08]),
        robot.get_clock().now().nanoseconds))
    graph.add(Recorder, out=str(tmp_path / 'demos'), contract_path=str(tree))
    graph.until(lambda: graph.call(robot, '/recorder/start_episode').success, live.newest)
    goal = len(seen) + 30
    graph.until(lambda: len(seen) >= goal, lambda: seen)
    assert graph.call(robot, '/recorder/stop_episode').success
    [path] = list_episodes(tmp_path / 'demos')
    recorded = [float(one.values[0]) for one in read_episode(path).samples['hand_pose']]
    assert len(recorded) >= 20
    begin = seen.index(recorded[0])
    both = min(len(recorded), len(seen) - begin)
    assert recorded[:both] == seen[begin:begin + both]
    np.testing.assert_allclose(np.diff(recorded), 0.001, atol=1e-9)
