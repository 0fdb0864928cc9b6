# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node on simulated time: a clock that stops or jumps back is a fault like others."""

import dataclasses
import json
from functools import partial
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import CONTRACT, FakePolicy, Live, deployed, hasty
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.policy import PolicyNode


class Time(Node):
    """A clock that runs at 100 Hz and as fast as the wall's, until it is told something else."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('time', **node_options)
        self.now_ns = 10**12
        self.running = True
        self.every = 1  # ticks of 10 ms from one message to the next
        self._ticks = 0
        self._out = self.create_publisher(Clock, '/clock', 10)
        self.create_timer(0.01, self._tick, clock=RosClock(clock_type=ClockType.STEADY_TIME))

    def _tick(self) -> None:
        self.now_ns += 10**7 * self.running
        self._ticks += 1
        if self._ticks % self.every:
            return
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self.now_ns, 10**9)
        self._out.publish(message)


@pytest.fixture
def time(graph: Any) -> Time:
    return graph.add(Time)


@pytest.fixture
def robot(graph: Any, time: Time, tools: Any) -> Any:
    """The pretended robot, on simulated time."""
    return graph.add(tools.robot_class, use_sim_time=True)


@pytest.fixture
def simulated(activate: Any, load: Any) -> Live:
    """An active node whose ages and stamps are all in simulated time."""
    end = dataclasses.replace(CONTRACT.deployment.episode_end, max_episode_s=1e6)
    load(FakePolicy(deployed(hasty(CONTRACT, 'hand_pose', 'tool_pose'), episode_end=end)))
    live = activate(use_sim_time=True)
    live.moving()
    return live


def diagnosed(live: Live) -> list[Any]:
    """Return the list that the node's diagnostics of its control are appended to."""
    heard: list[Any] = []
    live.robot.create_subscription(
        DiagnosticArray, '/diagnostics', lambda message: heard.extend(message.status[:1]), 10)
    return heard


def test_a_clock_that_stands_still_holds_and_is_told_in_status_and_diagnostics(
        simulated: Live, time: Time) -> None:
    heard = diagnosed(simulated)
    time.running = False
    simulated.reach('hold', 'clock_stopped')
    assert simulated.status['sentence'].endswith('check the publisher of /clock')
    simulated.commands(simulated.robot.values['tool_pose'][0])
    simulated.until(lambda: heard and heard[-1].message.endswith('the publisher of /clock'))
    assert {v.key: v.value for v in heard[-1].values}['reason'] == 'clock_stopped'
    simulated.until(lambda: list(simulated.incident_dir.glob('*_hold_clock_stopped.npz')))
    time.running = True
    simulated.reach('active', 'policy')


def test_a_clock_that_goes_back_holds_and_motion_goes_on_from_there(
        simulated: Live, time: Time) -> None:
    time.now_ns -= 5 * 10**9
    simulated.until(lambda: ('hold', 'clock_backwards') in simulated.told)
    [sentence] = {said['sentence'] for said in map(json.loads, simulated.heard)
                  if said['reason'] == 'clock_backwards'}
    assert sentence.startswith('ROS time went back by ')
    simulated.reach('active', 'policy')


@pytest.mark.parametrize(('sec', 'nanosec'), [(-1, 0), (2**31 - 1, 2**32 - 1)])
def test_a_clock_that_no_stamp_can_carry_is_one_that_stands_still(
        graph: Any, load: Any, time: Time, sec: int, nanosec: int) -> None:
    load(FakePolicy())
    node = graph.add(PolicyNode, model_path='some.onnx', use_sim_time=True)
    graph.until(lambda: node.get_clock().now().nanoseconds > 10**12, lambda: 'no clock')
    time.running = False
    graph.until(lambda: node.get_clock().now().nanoseconds == time.now_ns, lambda: 'a late clock')
    graph.remove(time)
    message, heard, times = Clock(), [], set()
    message.clock.sec, message.clock.nanosec = sec, nanosec
    other = graph.add(partial(Node, 'other'))
    other.create_subscription(Clock, '/clock', heard.append, 10)
    sender = other.create_publisher(Clock, '/clock', 10)
    graph.until(lambda: sender.get_subscription_count() == 2, lambda: 'nobody listens')

    def told_often() -> bool:
        sender.publish(message)
        times.add(node.get_clock().now().nanoseconds)
        return len(heard) > 20

    graph.until(told_often, lambda: heard)
    assert times == {time.now_ns}


def test_ages_are_in_simulated_time(simulated: Live, time: Time) -> None:
    simulated.robot.silent.add('hand_pose')
    simulated.let_rounds_pass(3)  # a message under way would arrive after the leap
    time.now_ns += 1000 * 10**9
    simulated.until(lambda: simulated.status['sentence'].startswith('hand_pose arrived 100'))
    assert (simulated.status['state'], simulated.status['reason']) == ('hold', 'stale_input')


def test_without_a_clock_under_simulated_time_nothing_moves_and_the_clock_is_named(
        graph: Any, activate: Any, load: Any, time: Time) -> None:
    time.running = False
    graph.remove(time)
    load(FakePolicy(hasty(CONTRACT, 'hand_pose')))
    live = activate(use_sim_time=True, autostart=True)
    live.reach('waiting', 'clock_stopped')
    live.until(lambda: 'expected a publisher of rosgraph_msgs/msg/Clock on /clock, got none'
               in live.status['sentence'])
    assert live.poses == []


def test_a_coarse_clock_is_warned_of_once_and_no_publisher_is_blamed(
        graph: Any, activate: Any, load: Any, time: Time, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    load(FakePolicy(hasty(CONTRACT, 'hand_pose', 'tool_pose')))
    time.every = 25  # 4 Hz
    live = activate(use_sim_time=True)
    live.until(lambda: live.status.get('warnings'))
    live.moving()
    told = len(live.heard)
    live.let_rounds_pass(150)
    assert {(said['state'], said['reason']) for said in map(json.loads, live.heard[told:])} == {
        ('active', 'policy')}
    [warning] = live.status['warnings']
    assert 'got 0.25 s' in warning and '/clock' in warning
    assert capfd.readouterr().err.count('expected steps of ROS time') == 1
    time.every = 1
    live.until(lambda: live.status['warnings'] == [])
