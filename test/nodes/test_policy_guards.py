# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the policy node heeds beside its inputs: the enable switch and the robot's own faults."""

from typing import Any

import pytest
from live_policy import CONTRACT, SHORT_S, FakePolicy, deployed
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool

from uncloning_ros.contract import Enable, FaultSignal

ENABLED = deployed(CONTRACT, enable=Enable('enable', SHORT_S))
FAULTY = deployed(CONTRACT, fault=FaultSignal('driver/fault', True))


class Switch(Node):
    """A dead man's switch: it says `value` at 50 Hz, nothing while that is None."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('switch', **node_options)
        self.value: bool | None = None
        self._out = self.create_publisher(Bool, 'enable', 1)
        self.create_timer(0.02, self._say)

    def _say(self) -> None:
        if self.value is not None:
            self._out.publish(Bool(data=self.value))


def test_motion_needs_the_enable_switch_and_holds_when_it_is_let_go_or_falls_silent(
        activate: Any, load: Any, graph: Any) -> None:
    load(FakePolicy(ENABLED))
    live = activate(autostart=True)
    live.reach('waiting', 'not_enabled')
    assert 'nothing has arrived on enable' in live.status['sentence']
    switch = graph.add(Switch)
    switch.value = False
    live.until(lambda: live.status['sentence'].startswith('enable says false'))
    assert live.poses == []
    switch.value = True
    live.reach('active', 'policy')
    live.follows()
    switch.value = False
    live.reach('hold', 'not_enabled')
    assert 'enable says false' in live.status['sentence']
    switch.value = True
    live.reach('active', 'policy')
    live.follows()
    switch.value = None
    live.reach('hold', 'not_enabled')
    assert 'enable was heard 0.' in live.status['sentence']
    live.commands(live.robot.values['tool_pose'][0])


LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                     durability=DurabilityPolicy.TRANSIENT_LOCAL)
VOLATILE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.mark.parametrize('qos', [LATCHED, VOLATILE, BEST_EFFORT],
                         ids=['latched', 'volatile', 'best_effort'])
def test_the_robots_fault_ends_motion_until_it_is_gone_and_somebody_resets(
        activate: Any, load: Any, graph: Any, robot: Any, qos: QoSProfile, tools: Any) -> None:
    load(FakePolicy(FAULTY))
    driver = robot.create_publisher(Bool, 'driver/fault', qos)
    if qos is LATCHED:
        driver.publish(Bool(data=False))  # said once, before anybody listens
    live = activate()

    def until_told(value: bool, condition: Any) -> None:
        """Say it once if that is enough, else until it has arrived."""
        if qos is LATCHED:
            driver.publish(Bool(data=value))

        def told() -> bool:
            if qos is not LATCHED:
                driver.publish(Bool(data=value))
            return condition()
        live.until(told)

    if qos is not LATCHED:
        live.until(lambda: 'nothing has arrived on driver/fault' in live.status['sentence'])
        until_told(False, lambda: live.status['reason'] == 'not_started')
    live.moving()
    robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    until_told(True, lambda: live.status['state'] == 'fault')
    assert live.status['reason'] == 'robot_fault'
    assert 'driver/fault says true' in live.status['sentence']
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1
    assert live.call('reset').success
    live.let_rounds_pass(5)
    assert live.status['state'] == 'fault'  # the robot says so still
    until_told(False, lambda: not live.node._observations.guards().faulty)
    assert live.call('reset').success
    live.reach('waiting', 'not_started')
