# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hear the person beside a policy: commands on its topics, and the dead man's switch."""

from collections.abc import Callable
from functools import partial
from typing import Any

from std_msgs.msg import Bool

from uncloning_ros.contract import Contract, Signal, Teleoperation
from uncloning_ros.conversions import Sample, decode
from uncloning_ros.errors import OtherJointsError, UncloningError
from uncloning_ros.nodes.topics import COMMAND_QOS, OBSERVATION_QOS, message_class
from uncloning_ros.runtime.take_over import Person


class PersonTopics:
    """Keep the newest commands, and the newest value of the switch of a `source` if there is one.

    The executor's thread alone writes; `newest()` may be called from any thread. `now_ns` is the
    clock of the arrivals.
    """

    def __init__(self, node: Any, contract: Contract, source: Teleoperation | None,
                 now_ns: Callable[[], int]) -> None:
        self._node, self._now_ns = node, now_ns
        self._commands: dict[str, Sample] = {}
        self._switch = False, 0
        self._subscriptions = [
            node.create_subscription(message_class(topic.type), topic.topic,
                                     partial(self._on_command, signal), COMMAND_QOS)
            for signal in contract.interface.actions
            for topic in [contract.deployment.actions[signal.key]]]
        if source is not None:
            self._subscriptions.append(node.create_subscription(
                Bool, source.topic, self._on_switch, OBSERVATION_QOS))

    def newest(self) -> Person:
        """Return the newest words of the person."""
        return Person(*self._switch, dict(self._commands))

    def destroy(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_switch(self, message: Any) -> None:
        self._switch = bool(message.data), self._now_ns()

    def _on_command(self, signal: Signal, message: Any) -> None:
        try:
            self._commands[signal.key] = decode(signal, message, self._now_ns())
        except OtherJointsError:
            return
        except UncloningError as err:
            self._node.get_logger().error(f'refused a command of the person: {err}',
                                          throttle_duration_sec=1.0)
