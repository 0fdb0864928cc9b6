# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Receive commands, status and diagnostics of a policy, and note their times."""

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import rclpy
from control_processes import BARE_POSE, BARE_WIDTH
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray, String

from uncloning_ros.contract import Contract
from uncloning_ros.errors import UncloningError
from uncloning_ros.nodes.topics import LATCHED_QOS

# Deeper than the queues of the nodes, so that late messages arrive late and are not lost.
_QOS = QoSProfile(depth=1000)


class Listener:
    """Receives the commands of policy and bare sender, and the diagnostics.

    `commands` has (received, stamp) and `bare` (received, deadline, sent) of each command, in ns;
    all but the stamp on the monotonic clock. `places` has the position (3,) of each command.
    `timing` and `control` are the policy's newest diagnostics, `said` is its newest state with
    its reason, and `said_ns` when that was received first.
    """

    def __init__(self, contract: Contract) -> None:
        actions = contract.deployment.actions
        self.commands: list[tuple[int, int]] = []
        self.bare: list[tuple[int, int, int]] = []
        self.places: list[tuple[float, float, float]] = []
        self.said, self.said_ns = ('', ''), 0
        self.timing: dict[str, str] = {}
        self.control: dict[str, str] = {}
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('listener')
        for kind, topic, receive in (
                (PoseStamped, actions['target_pose'].topic, self._on_command),
                (Float64MultiArray, actions['target_width'].topic, lambda _: None),
                (PoseStamped, BARE_POSE, self._on_bare),
                (Float64MultiArray, BARE_WIDTH, lambda _: None),
                (DiagnosticArray, '/diagnostics', self._on_diagnostics)):
            self._node.create_subscription(kind, topic, receive, _QOS)
        self._node.create_subscription(String, 'policy/status', self._on_status, LATCHED_QOS)
        self._change = self._node.create_client(ChangeState, '/policy/change_state')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def forget(self) -> None:
        """Forget everything received so far."""
        for noted in (self.commands, self.places, self.bare, self.timing, self.control):
            noted.clear()

    def until(self, true: Callable[[], object], timeout_s: float, awaited: str) -> None:
        """Receive until a condition holds; raise `UncloningError` after the timeout."""
        end_s = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > end_s:
                raise UncloningError(f'waited {timeout_s:g} s for {awaited} in vain; see the '
                                     f'messages above')
            self._executor.spin_once(timeout_sec=0.1)

    def listen(self, seconds: float, passed: Callable[[float], object]) -> None:
        """Receive for some seconds without garbage collection; report each one to `passed`."""
        gc.collect()
        gc.disable()
        try:
            began_s = told_s = time.monotonic()
            while told_s - began_s < seconds:
                self._executor.spin_once(timeout_sec=0.1)
                if time.monotonic() - told_s >= 1.0:
                    passed(time.monotonic() - told_s)
                    told_s = time.monotonic()
        finally:
            gc.enable()

    def publisher(self, kind: Any, topic: str) -> Any:
        """Return a publisher of a person's device."""
        return self._node.create_publisher(kind, topic, 1)

    def repeat(self, out: Any, message: Any, until: Callable[[], object], awaited: str,
               again_s: float = 0.02, timeout_s: float = 30.0) -> int:
        """Publish a message again and again until a condition holds, and receive.

        Return when it was published first (monotonic, ns); raise `UncloningError` after the
        timeout.
        """
        began_ns = time.monotonic_ns()
        due_s = began_ns * 1e-9
        while not until():
            if time.monotonic() >= due_s:
                out.publish(message)
                due_s += again_s
            if time.monotonic() > began_ns * 1e-9 + timeout_s:
                raise UncloningError(f'waited {timeout_s:g} s for {awaited} in vain; see the '
                                     f'messages above')
            self._executor.spin_once(timeout_sec=0.002)
        return began_ns

    def transition(self, name: str, timeout_s: float) -> None:
        """Request a transition of the policy node; raise `UncloningError` if it fails."""
        number = getattr(Transition, f'TRANSITION_{name.upper()}')
        asked = self._change.call_async(ChangeState.Request(transition=Transition(id=number)))
        self.until(asked.done, timeout_s, f'the policy to {name}')
        if not asked.result().success:
            raise UncloningError(f'the policy did not {name}; see its messages above')

    def _on_command(self, message: Any) -> None:
        now_ns, stamp = time.monotonic_ns(), message.header.stamp
        self.commands.append((now_ns, stamp.sec * 10**9 + stamp.nanosec))
        place = message.pose.position
        self.places.append((place.x, place.y, place.z))

    def _on_status(self, message: Any) -> None:
        now_ns, said = time.monotonic_ns(), json.loads(message.data)
        if self.said != (said['state'], said['reason']):
            self.said, self.said_ns = (said['state'], said['reason']), now_ns

    def _on_bare(self, message: Any) -> None:
        now_ns, stamp = time.monotonic_ns(), message.header.stamp
        self.bare.append((now_ns, stamp.sec * 10**9 + stamp.nanosec,
                          int(message.pose.position.x)))

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name.endswith(': timing'):
                self.timing = values
            elif status.name.endswith(': control'):
                self.control = values
