# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A device's messages steer the arm while the switch is pressed, beside a policy or alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from live_policy import CONTRACT, FakePolicy, deployed
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from uncloning_ros.contract import Teleoperation
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.teleoperation import TeleoperationNode
from uncloning_ros.schema import plain

SOURCE = Teleoperation('teleoperation', 'teleoperation/enable', 2.0)
MANNED = deployed(CONTRACT, teleoperation=SOURCE)


class Device:
    """A gamepad whose node repeats its state, unless it is unplugged."""

    def __init__(self, robot: Any) -> None:
        self.axes, self.buttons, self.plugged = [0.0] * 6, [0] * 8, True
        self.switch: list[bool] = []
        self._out = robot.create_publisher(Joy, 'joy', 10)
        robot.create_subscription(Bool, SOURCE.topic,
                                  lambda message: self.switch.append(message.data), 100)
        robot.create_timer(0.02, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _tick(self) -> None:
        if self.plugged:
            self._out.publish(Joy(axes=self.axes, buttons=self.buttons))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / 'manned.yaml'
    file.write_text(yaml.safe_dump(plain(MANNED)))
    return file


@pytest.fixture
def device(robot: Any) -> Device:
    return Device(robot)


@pytest.fixture
def node(graph: Any, device: Device, path: Path) -> Any:
    return graph.add(TeleoperationNode, contract_path=str(path))


def poses(robot: Any) -> list[Any]:
    return [sample.values for sample in robot.commands['target_pose']]


def test_pressed_it_moves_from_where_the_arm_is_and_let_go_it_stops(
        graph: Any, robot: Any, device: Device, node: Any) -> None:
    def until(condition: Any) -> None:
        graph.until(condition, lambda: (device.switch[-3:], poses(robot)[-3:]))

    device.axes[1] = 1.0
    until(lambda: len(device.switch) > 20)
    assert not any(device.switch) and not poses(robot)
    device.buttons[4] = 1
    until(lambda: poses(robot) and poses(robot)[-1][0] > 0.41)
    assert poses(robot)[0][0] == pytest.approx(0.4)
    assert device.switch[-1] is True
    assert {float(sample.values[0]) for sample in robot.commands['target_width']} == {0.08}
    device.buttons[0] = 1
    until(lambda: float(robot.commands['target_width'][-1].values[0]) == 0.0)
    device.buttons[4] = 0
    until(lambda: device.switch[-1] is False)
    seen = len(poses(robot))
    goal = robot.rounds + 10
    until(lambda: robot.rounds >= goal)
    assert len(poses(robot)) <= seen + 1


@pytest.mark.parametrize('how', ['unplugged', 'garbled', 'not measured'])
def test_a_device_or_an_arm_that_is_lost_has_let_go_until_the_switch_is_pressed_again(
        graph: Any, robot: Any, device: Device, node: Any, how: str,
        capfd: pytest.CaptureFixture[str]) -> None:
    def until(condition: Any) -> None:
        graph.until(condition, lambda: (how, device.switch[-3:]))

    until(lambda: device.switch)
    device.buttons[4] = 1
    until(lambda: device.switch[-1])
    if how == 'unplugged':
        device.plugged = False
    elif how == 'garbled':
        device.axes[1] = float('nan')
    else:
        robot.send('tool_pose', robot.message('hand_pose').__class__())  # no frame, no rotation
        robot.silent.add('tool_pose')
    until(lambda: device.switch[-1] is False)
    device.plugged, device.axes[1] = True, 0.0
    robot.silent.clear()
    goal = robot.rounds + 20
    until(lambda: robot.rounds >= goal)
    assert device.switch[-1] is False  # still pressed: it counts only once it was let go
    assert 'the switch does not count yet' in capfd.readouterr().err
    device.buttons[4] = 0
    until(lambda: node._ready)
    device.buttons[4] = 1
    until(lambda: device.switch[-1])


def test_it_takes_the_arm_over_from_a_policy_in_motion(
        graph: Any, robot: Any, load: Any, activate: Any, device: Device, node: Any) -> None:
    load(FakePolicy(MANNED))
    live = activate()
    live.moving()
    before = live.poses[-1][0]
    device.buttons[4] = 1
    live.reach('taken_over', 'person')
    device.axes[1] = -1.0
    live.until(lambda: live.poses[-1][0] < 0.39)
    assert all(abs(one[0] - two[0]) < 0.011 for one, two
               in zip(live.poses, live.poses[1:], strict=False)), before
    assert live.widths[-1] == pytest.approx(0.03)  # the policy's last one
    device.buttons[4] = 0
    live.reach('hold', 'let_go')
    assert live.call('give_back').success
    live.reach('active', 'policy')


@pytest.mark.parametrize(('contract', 'culprit'), [
    (CONTRACT, 'expected teleoperation in the deployment'),
    (deployed(CONTRACT, teleoperation=Teleoperation('pad', 'pad/enable', 0.2)),
     'expected the name pad .* got /teleoperation')])
def test_a_contract_that_does_not_name_it_is_refused(
        graph: Any, tmp_path: Path, contract: Any, culprit: str) -> None:
    file = tmp_path / 'contract.yaml'
    file.write_text(yaml.safe_dump(plain(contract)))
    with pytest.raises(ContractError, match=culprit):
        graph.add(TeleoperationNode, contract_path=str(file))
