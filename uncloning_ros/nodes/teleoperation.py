# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Command the arm with a gamepad or a SpaceMouse while a dead man's switch is pressed.

The device's node, joy_node or spacenav_node, publishes sensor_msgs/msg/Joy.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool

from uncloning_ros.contract import Contract, Teleoperation
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.nodes.parameters import TELEOPERATION, contract_at
from uncloning_ros.nodes.person import PersonTopics
from uncloning_ros.nodes.process import declare, run_node, steady_timer
from uncloning_ros.nodes.topics import (
    OBSERVATION_QOS,
    SENSOR_QOS,
    Commands,
    Observations,
    full_node_name,
    ros_now_ns,
)
from uncloning_ros.runtime.steering import Deflection, Steering, deflection, layout_of
from uncloning_ros.runtime.watchdog import Watchdog

_AGAIN_S = 2.0  # least time (s) between two warnings


class TeleoperationNode(Node):
    """Steer at the contract's command rate; publish the switch. All on the executor's thread.

    The switch has to be seen released before it counts as pressed, so neither a stuck button nor
    a node that begins late moves the arm. A device that falls silent for the contract's
    `max_age_s` has let go, and so has a person whose arm is not measured any more.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('teleoperation', **node_options)
        values = declare(self, TELEOPERATION)
        self._contract: Contract = contract_at(values['contract_path'])
        self._source = self._source_of(self._contract)
        self._layout = layout_of(values['axes'], values['switch_button'],
                                 values['gripper_button'])
        self._steering = Steering(self._contract, values['speed_m_s'], values['turn_rad_s'],
                                  values['open_width_m'])
        interface = self._contract.interface
        self._measured_by = [interface.measured_by(one) for one in interface.actions]
        self._given: tuple[Deflection, int] | None = None  # with its arrival, monotonic
        self._ready = self._gripping = False
        self._observations = Observations(self, self._contract)
        self._watchdog = Watchdog(self._contract)
        self._heard = PersonTopics(self, self._contract, None, time.monotonic_ns)
        self._commands = Commands(self.create_publisher, self._contract)
        self._switch = self.create_publisher(Bool, self._source.topic, SENSOR_QOS)
        self.create_subscription(Joy, 'joy', self._on_joy, OBSERVATION_QOS)
        steady_timer(self, 1.0, self._observations.look)
        steady_timer(self, 1.0 / self._contract.deployment.command_rate_hz, self._on_tick)
        self.get_logger().info(f'press button {self._layout.switch_button} to command the arm')

    def close(self) -> None:
        """Stop the arm if a person moves it, say that the switch is let go, destroy the node."""
        samples = self._observations.newest()
        self._let_go('the node ends', None if self._complaint(samples) else samples)
        self._switch.publish(Bool(data=False))
        self._heard.destroy()
        self._observations.destroy()
        self.destroy_node()

    def _source_of(self, contract: Contract) -> Teleoperation:
        source = contract.deployment.teleoperation
        if source is None:
            raise ContractError('expected teleoperation in the deployment of the contract, got '
                                'none; name node, topic and max_age_s there, as the policy has to '
                                'know them')
        if full_node_name(self, source.node) != self.get_fully_qualified_name():
            raise ContractError(f'expected the name {source.node} of the teleoperation in the '
                                f'contract, got {self.get_fully_qualified_name()}; correct the '
                                f'contract, or start the node with -r __node:=NAME')
        return source

    def _on_joy(self, message: Any) -> None:
        try:
            given = deflection(self._layout, message.axes, message.buttons)
        except ContractError as err:
            self._given, self._ready = None, False
            self.get_logger().error(str(err), throttle_duration_sec=_AGAIN_S)
            return
        self._ready |= not given.switch
        if not self._ready:
            self.get_logger().warning('the switch does not count yet; let it go, then press it',
                                      throttle_duration_sec=_AGAIN_S)
        self._given = given, time.monotonic_ns()

    def _on_tick(self) -> None:
        given, samples = self._pressed(), self._observations.newest()
        complaint = self._complaint(samples)
        if given is None or complaint:
            if given is not None:
                self._ready = False
                self.get_logger().warning(f'the arm is not commanded: {complaint}',
                                          throttle_duration_sec=_AGAIN_S)
            self._let_go(complaint or 'the switch is let go', None if complaint else samples)
            self._switch.publish(Bool(data=False))
            return
        measured = self._measured(samples)
        self._switch.publish(Bool(data=True))
        if self._gripping:
            command = self._steering.steer(given, measured)
        else:
            self._gripping = True
            command = self._steering.begin(measured, self._last_widths(measured))
            self.get_logger().info('the person commands the arm')
        self._commands.publish(command, ros_now_ns(self))

    def _pressed(self) -> Deflection | None:
        """Return the deflection while the switch is pressed, None without."""
        if self._given is None or not self._ready:
            return None
        given, seen_ns = self._given
        if time.monotonic_ns() - seen_ns > self._source.max_age_s * 1e9:
            self._ready = False  # a device that comes back has to be let go first
            return None
        return given if given.switch else None

    def _complaint(self, samples: dict[str, Sample]) -> str:
        """Return why the arm's own state cannot be trusted, '' if it can.

        Its place may be beyond the workspace: a person moves it back.
        """
        complaints = self._watchdog.judge(samples, self._observations.now_ns(),
                                          self._observations.ros_now_ns(), time.monotonic_ns(),
                                          self._observations.guards())
        return next((one.sentence for one in complaints
                     if one.key in (*self._measured_by, 'clock', 'enable')
                     and one.reason != 'out_of_reach'), '')

    def _let_go(self, why: str, samples: dict[str, Sample] | None) -> None:
        """Stop the arm where it is measured, if it is, once after each grip."""
        if not self._gripping:
            return
        self._gripping = False
        self.get_logger().info(f'the person commands no longer: {why}')
        if samples is not None:
            self._commands.publish(self._steering.rest(self._measured(samples)),
                                   ros_now_ns(self), moving=False)

    def _measured(self, samples: dict[str, Sample]) -> Array:
        """Return the measured state (action_dim,) in the layout of a command."""
        return np.concatenate([samples[key].values for key in self._measured_by])

    def _last_widths(self, measured: Array) -> Array:
        """Return the measured state with the gripper's last command, of any node, where heard."""
        widths, heard = measured.copy(), self._heard.newest().commands
        for action in self._contract.interface.actions:
            if action.kind == 'gripper_width' and action.key in heard:
                part = self._contract.interface.action_slices[action.key]
                widths[part] = heard[action.key].values.clip(min=0.0)
        return widths


def main(args: Sequence[str] | None = None) -> int:
    """Run the teleoperation until SIGINT or SIGTERM; the arm stops."""
    return run_node(TeleoperationNode, args)


if __name__ == '__main__':
    sys.exit(main())
