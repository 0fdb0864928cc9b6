# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted teacher on the robot's topics: it stands in for a person who teleoperates.

Where the contract names this node as its teleoperation, it takes the arm over from a policy.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Bool

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Contract
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.parameters import DEMONSTRATOR, optional_path
from uncloning_ros.nodes.process import declare, run_node, serve, steady_timer
from uncloning_ros.nodes.topics import (
    SENSOR_QOS,
    Commands,
    Observations,
    full_node_name,
    json_topic,
    ros_now_ns,
)
from uncloning_ros.runtime.watchdog import Watchdog
from uncloning_ros.scenario import Scenario, contract_of, find_scenario
from uncloning_ros.simulation.demonstrator import AFTERWARDS_S, Demonstrator


class DemonstratorNode(Node):
    """Ask the teacher at the policy's rate; publish its actions. All on the executor's thread."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('demonstrator', **node_options)
        values = declare(self, DEMONSTRATOR)
        self._scenario: Scenario = find_scenario(values['scenario'])
        self._contract: Contract = contract_of(optional_path(values['contract_path']),
                                               self._scenario)
        _require_tracked(self._contract)
        self._mode: str = values['mode']
        self._seed: int = values['seed']
        self._status = json_topic(self, '~/status')
        self._phase = ''
        self._observations = Observations(self, self._contract)
        self._watchdog = Watchdog(self._contract)
        self._commands = Commands(self.create_publisher, self._contract)
        source = self._contract.deployment.teleoperation
        self._switch: Any = None  # of a teleoperation
        if source is not None and (full_node_name(self, source.node)
                                   == self.get_fully_qualified_name()):
            self._switch = self.create_publisher(Bool, source.topic, SENSOR_QOS)
        self._running: bool = values['autostart']
        self._prepare()
        self._say('waiting')
        serve(self, '~/start', self._start)
        steady_timer(self, 1.0, self._observations.look)
        self.create_timer(1.0 / self._contract.policy.rate_hz, self._on_tick)

    def close(self) -> None:
        """Let the switch go, destroy the node; the arm keeps the last command."""
        self._press(False)
        self._observations.destroy()
        self.destroy_node()

    def _prepare(self) -> None:
        """Engage the teacher of the next demonstration."""
        modes = sorted(self._scenario.modes)
        drawn = modes[int(np.random.default_rng(self._seed).integers(len(modes)))]
        self._mode_now = self._mode or drawn
        self._teacher = Demonstrator(self._scenario, self._contract.interface, self._mode_now,
                                     self._seed)
        self._rest_ticks = 0
        self._began = False

    def _press(self, pressed: bool) -> None:
        if self._switch is not None:
            self._switch.publish(Bool(data=pressed))

    def _start(self, _: Any) -> tuple[bool, str]:
        if self._running:
            return False, 'a demonstration is under way'
        self._running = True
        self._say('waiting')
        return True, f'{self._mode_now}, seed {self._seed}'

    def _on_tick(self) -> None:
        if not self._running:
            self._press(False)
            return
        now_ns, samples = self._observations.now_ns(), self._observations.newest()
        ros_ns = ros_now_ns(self)
        complaints = self._watchdog.judge(samples, now_ns, ros_ns, time.monotonic_ns(),
                                          self._observations.guards())
        self._press(not complaints)
        if complaints:
            self.get_logger().info(f'waiting: {complaints[0].sentence}',
                                   throttle_duration_sec=2.0)
            return
        self._say('demonstrating')
        values = {key: sample.values for key, sample in samples.items()}
        if self._switch is not None and not self._began:
            self._teacher.take_over(values)
        self._began = True
        action = self._teacher.act(now_ns * 1e-9, values)
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
            self._status({'phase': phase, 'mode': self._mode_now, 'seed': self._seed})


def _require_tracked(contract: Contract) -> None:
    """Raise `ContractError` for a contract that has only pictures of tool and hand."""
    lacking = [key for key in (OBJECT_KEY, HAND_KEY)
               if key not in contract.interface.observation_slices]
    if contract.interface.cameras and lacking:
        raise ContractError(f'expected the observations {OBJECT_KEY} and {HAND_KEY}, for the '
                            f'demonstrator sees no pictures, got no {" and no ".join(lacking)}; '
                            f'make demonstrations with: uncloning demos')


def main(args: Sequence[str] | None = None) -> int:
    """Run the demonstrator until SIGINT or SIGTERM."""
    return run_node(DemonstratorNode, args)


if __name__ == '__main__':
    sys.exit(main())
