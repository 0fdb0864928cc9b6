# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person takes the arm over from the policy node, in a graph: services, silence, diagnostics."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from live_policy import CONTRACT, FAILURE, FakePolicy, Live, deployed
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Bool

from uncloning_ros.contract import Teleoperation
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes import policy_run
from uncloning_ros.nodes.topics import Commands

SOURCE = Teleoperation('teleoperation', 'teleoperation/enable', 3.0)
MANNED = deployed(CONTRACT, teleoperation=SOURCE)


class Pad(Node):
    """A person with a dead man's switch, who commands while it is pressed, at 50 Hz."""

    def __init__(self, action: Any, **node_options: Any) -> None:
        super().__init__('teleoperation', **node_options)
        self.action, self.pressed = action, False
        self._switch = self.create_publisher(Bool, SOURCE.topic, 10)
        self._commands = Commands(self.create_publisher, MANNED)
        self.create_timer(0.02, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _tick(self) -> None:
        self._switch.publish(Bool(data=self.pressed))
        if self.pressed:
            self._commands.publish(self.action, self.get_clock().now().nanoseconds)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have diagnostics and the look at the graph more often, so that no test waits for them."""
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.1)


@pytest.fixture
def manned(load: Any, activate: Any) -> Live:
    load(FakePolicy(MANNED))
    return activate()


@pytest.fixture
def pad(graph: Any, tools: Any) -> Pad:
    return graph.add(lambda **options: Pad(np.append(tools.pose(0.5), 0.01), **options))


def test_a_policy_that_would_be_its_own_person_is_refused_at_configure(
        load: Any, graph: Any, capfd: pytest.CaptureFixture[str]) -> None:
    load(FakePolicy(deployed(CONTRACT, teleoperation=replace(SOURCE, node='policy'))))
    node = graph.add(policy_module.PolicyNode, model_path='some.onnx')
    assert node.trigger_configure() is FAILURE
    assert 'got policy, the policy itself' in capfd.readouterr().err


def test_a_person_takes_the_moving_arm_and_gives_it_back(
        manned: Live, pad: Pad, graph: Any) -> None:
    told: list[DiagnosticStatus] = []
    manned.robot.create_subscription(DiagnosticArray, '/diagnostics',
                                     lambda array: told.append(array.status[0]), 10)
    would: list[Any] = []
    manned.robot.create_subscription(type(manned.robot.message('tool_pose')),
                                     '/policy/shadow_command/target_pose', would.append, 100)
    manned.moving()
    answer = manned.call('take_over')
    assert answer.success and SOURCE.topic in answer.message
    manned.reach('hold', 'take_over')
    manned.commands(0.4)  # where the arm was measured
    assert not would
    pad.pressed = True
    manned.reach('taken_over', 'person')
    manned.until(lambda: told and told[-1].level == DiagnosticStatus.WARN and (
        told[-1].values[0].value == 'taken_over'))
    answer = manned.call('take_over')
    assert answer.success and 'has the arm already' in answer.message
    refused = manned.call('give_back')
    assert not refused.success and 'person' in refused.message
    assert manned.call('start').message.endswith('~/give_back')
    # From here on every command is the person's, and the policy tells what it would do.
    manned.let_rounds_pass()
    seen = len(manned.poses)
    would.clear()
    manned.let_rounds_pass(20)
    assert {float(pose[0]) for pose in manned.poses[seen:]} == {0.5}
    manned.until(lambda: would and abs(would[-1].pose.position.x - 0.41) < 1e-6)
    pad.pressed = False
    manned.reach('hold', 'let_go')
    manned.commands(0.4)
    assert manned.widths[-1] == pytest.approx(0.01)
    assert manned.call('give_back').success
    manned.reach('active', 'policy')
    manned.follows()
    # The pad is still in the graph, and no second publisher.
    manned.until(lambda: any(value.key == 'shadow_target_pose_m_mean'
                             for value in told[-1].values))
    assert 'fault' not in {state for state, _ in manned.told}
    assert [*manned.incident_dir.glob('*hold_take_over*')]
    assert not manned.call('give_back').success


def test_a_press_in_motion_takes_the_arm_without_a_service(manned: Live, pad: Pad) -> None:
    manned.moving()
    pad.pressed = True
    manned.reach('taken_over', 'person')
    assert ('hold', 'take_over') not in manned.told
    manned.until(lambda: [*manned.incident_dir.glob('*taken_over_person*')])


def test_commands_that_the_person_alone_hears_move_nothing(
        manned: Live, pad: Pad, robot: Any) -> None:
    # The policy and the person's node listen, to know each other's commands.
    for subscription in [one for one in robot.subscriptions if one.topic_name == '/target_pose']:
        robot.destroy_subscription(subscription)
    pad.create_subscription(type(robot.message('tool_pose')), '/target_pose', print, 1)
    manned.until(lambda: any('expected a subscription' in one and '/target_pose' in one
                             for one in manned.status.get('warnings', [])))


def test_a_node_of_another_name_is_a_second_publisher(manned: Live, graph: Any) -> None:
    manned.moving()
    other = graph.add(lambda **options: Node('stranger', **options))
    Commands(other.create_publisher, MANNED)
    manned.reach('fault', 'second_publisher')
    assert '/stranger' in manned.status['sentence']


def test_a_second_node_of_the_same_name_is_a_second_publisher(
        manned: Live, pad: Pad, graph: Any) -> None:
    manned.moving()
    Commands(graph.add(lambda **options: Node('teleoperation', **options)).create_publisher,
             MANNED)
    manned.reach('fault', 'second_publisher')


def test_a_take_over_that_cannot_be_gets_a_sentence(activate: Any, load: Any) -> None:
    live = activate()
    answer = live.call('take_over')
    assert not answer.success
    assert 'teleoperation' in answer.message and 'contract_path' in answer.message
    live.graph.remove(live.node)
    load(FakePolicy(MANNED))
    live = activate()
    live.reach('waiting', 'not_started')
    answer = live.call('take_over')
    assert not answer.success and 'waiting' in answer.message
    answer = live.call('give_back')
    assert not answer.success and '~/take_over' in answer.message
    live.moving()
    answer = live.call('take_over')
    assert answer.success and 'warning' in answer.message  # there is no such node
    live.graph.remove(live.node)
    answer = activate(shadow=True).call('take_over')
    assert not answer.success and 'shadow' in answer.message


def test_a_publisher_whose_name_is_not_known_yet_delays_motion_and_is_a_fault_if_it_stays_so(
        manned: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = 'a DDS writer without a ROS node (gid 01) publishes on /target_pose as well'
    found: list[str | None] = [nameless]
    monkeypatch.setattr(policy_run, 'second_publisher', lambda *_: found[0])
    monkeypatch.setattr(policy_run, '_NAMING_NS', 10**15)
    manned.reach('waiting', 'not_started')
    answer = manned.call('start')
    assert answer.success and 'discovery' in answer.message
    manned.let_rounds_pass(30)
    assert manned.status['state'] == 'waiting' and manned.poses == []
    found[0] = None
    manned.reach('active', 'policy')
    found[0] = nameless
    manned.let_rounds_pass(30)
    assert manned.status['state'] == 'active'
    monkeypatch.setattr(policy_run, '_NAMING_NS', 0)
    manned.reach('fault', 'second_publisher')
    assert nameless in manned.status['sentence']
