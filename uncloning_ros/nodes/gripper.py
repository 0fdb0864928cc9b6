# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commanded width of a gripper as goals of the action that its driver offers.

The policy publishes a width at every command. Drivers such as franka_gripper take goals of
control_msgs/action/GripperCommand instead, each of which lasts until the fingers are there or have
closed around something.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import decode
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.parameters import GRIPPER, contract_at
from uncloning_ros.nodes.process import declare, run_node
from uncloning_ros.nodes.topics import COMMAND_QOS, contract_class, ros_now_ns
from uncloning_ros.runtime.width_goals import WidthGoals

ACTION = 'control_msgs/action/GripperCommand'
_AGAIN_S = 2.0  # least time (s) between two warnings: commands come a hundred times a second


class GripperNode(Node):
    """Send commanded widths as goals, one at a time and the newest. All on one thread."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('gripper', **node_options)
        values = declare(self, GRIPPER)
        contract = contract_at(values['contract_path'])
        self._signal = _width_action(contract)
        self._share: float = values['position_share']
        self._effort_n: float = values['max_effort_n']
        self._goals = WidthGoals(values['step_m'])
        kind = contract_class(ACTION)
        self._goal = kind.Goal
        self._client = ActionClient(self, kind, values['action'])
        topic = contract.deployment.actions[self._signal.key]
        self.create_subscription(contract_class(topic.type), topic.topic, self._on_command,
                                 COMMAND_QOS)

    def close(self) -> None:
        """Destroy the node; the gripper ends the goal that it has."""
        self._client.destroy()
        self.destroy_node()

    def _on_command(self, message: Any) -> None:
        try:
            width_m = float(decode(self._signal, message, ros_now_ns(self)).values[0])
        except ContractError as err:
            self.get_logger().warning(str(err), throttle_duration_sec=_AGAIN_S)
            return
        if self._client.server_is_ready():
            self._send(self._goals.command(width_m, time.monotonic()))
        else:
            self._goals.lost()
            self.get_logger().warning(
                f'expected an action server {self._client._action_name}, got none; start the '
                f"gripper's driver, or correct the parameter action",
                throttle_duration_sec=_AGAIN_S)

    def _send(self, width_m: float | None) -> None:
        if width_m is None:
            return
        goal = self._goal()
        goal.command.position = width_m * self._share
        goal.command.max_effort = self._effort_n
        self._client.send_goal_async(goal).add_done_callback(self._on_answer)

    def _on_answer(self, answer: Any) -> None:
        handle = answer.result()
        if handle.accepted:
            handle.get_result_async().add_done_callback(lambda _: self._send(self._goals.ended()))
            return
        self.get_logger().warning(
            f'the gripper refused a width of {self._goals.goal_m:.3f} m; check its largest width, '
            f'and position_share')
        self._send(self._goals.ended())


def _width_action(contract: Contract) -> Signal:
    """Return the action that commands a width; raise `ContractError` without one."""
    found = [action for action in contract.interface.actions if action.kind == 'gripper_width']
    if not found:
        raise ContractError(f'expected an action of the kind gripper_width, got '
                            f'{", ".join(one.kind for one in contract.interface.actions)}; give '
                            f'the contract that the policy has')
    return found[0]


def main(args: Sequence[str] | None = None) -> int:
    """Run the gripper's node until SIGINT or SIGTERM."""
    return run_node(GripperNode, args)


if __name__ == '__main__':
    sys.exit(main())
