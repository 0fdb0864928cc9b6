# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted teacher on the robot's topics: it stands in for a person who teleoperates."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from uncloning_ros.contract import Contract
from uncloning_ros.nodes.common import (
    LATCHED_QOS,
    Commands,
    Observations,
    Parameter,
    as_json,
    contract_at,
    declare,
    ros_now_ns,
    run_node,
)
from uncloning_ros.runtime.watchdog import Watchdog
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.demonstrator import AFTERWARDS_S, Demonstrator

PARAMETERS = (
    Parameter('scenario', 'knife', 'name of a shipped scenario, or path of a .yaml file'),
    Parameter('mode', '', "mode to demonstrate; '' draws one for each demonstration"),
    Parameter('seed', 0, 'seed of the first demonstration; each one after it takes the next'),
    Parameter('contract_path', '', "contract with this robot's topics; '' is the shipped one"),
    Parameter('autostart', True, 'begin the first demonstration as soon as every input is fresh'),
)


class DemonstratorNode(Node):
    """Ask the teacher at the policy's rate; publish what it does. All on the executor's thread."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('demonstrator', **node_options)
        values = declare(self, PARAMETERS)
        self._contract: Contract = contract_at(values['contract_path'])
        self._scenario: Scenario = find_scenario(values['scenario'])
        self._mode: str = values['mode']
        self._seed: int = values['seed']
        self._status = self.create_publisher(String, '~/status', LATCHED_QOS)
        self._phase = ''
        self._observations = Observations(self, self._contract)
        self._watchdog = Watchdog(self._contract)
        self._commands = Commands(self.create_publisher, self._contract)
        self._running: bool = values['autostart']
        self._prepare()
        self._say('waiting')
        self.create_service(Trigger, '~/start', self._on_start)
        self.create_timer(1.0 / self._contract.policy.rate_hz, self._on_tick)

    def close(self) -> None:
        """Destroy the node; the arm keeps the last command."""
        self.destroy_node()

    def _prepare(self) -> None:
        """Engage the teacher of the next demonstration."""
        modes = sorted(self._scenario.modes)
        drawn = modes[int(np.random.default_rng(self._seed).integers(len(modes)))]
        self._mode_now = self._mode or drawn
        self._teacher = Demonstrator(self._scenario, self._contract.interface, self._mode_now,
                                     self._seed)
        self._rest_ticks = 0

    def _on_start(self, _: Any, response: Any) -> Any:
        if self._running:
            response.success, response.message = False, 'a demonstration is under way'
            return response
        self._running = True
        self._say('waiting')
        response.success, response.message = True, f'{self._mode_now}, seed {self._seed}'
        return response

    def _on_tick(self) -> None:
        if not self._running:
            return
        now_ns, samples = self._observations.now_ns(), self._observations.newest()
        ros_ns = ros_now_ns(self)
        complaints = self._watchdog.judge(samples, now_ns, ros_ns, time.monotonic_ns(),
                                          self._observations.guards())
        if complaints:
            self.get_logger().info(f'waiting: {complaints[0].sentence}',
                                   throttle_duration_sec=2.0)
            return
        self._say('demonstrating')
        action = self._teacher.act(now_ns * 1e-9, {k: s.values for k, s in samples.items()})
        self._commands.publish(action, ros_ns)
        self._rest_ticks += self._teacher.done
        if self._rest_ticks > AFTERWARDS_S * self._contract.policy.rate_hz:
            self._running = False
            self._say('done')
            self._seed += 1
            self._prepare()

    def _say(self, phase: str) -> None:
        """Publish the phase once, when it changes."""
        if phase != self._phase:
            self._phase = phase
            self.get_logger().info(f'{phase}: {self._mode_now}, seed {self._seed}')
            self._status.publish(as_json(
                {'phase': phase, 'mode': self._mode_now, 'seed': self._seed}))


def main(args: Sequence[str] | None = None) -> int:
    """Run the demonstrator until SIGINT or SIGTERM."""
    return run_node(DemonstratorNode, args)


if __name__ == '__main__':
    sys.exit(main())
