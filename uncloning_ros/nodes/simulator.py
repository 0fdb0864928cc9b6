# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated arm, tool and person on the robot's topics.

Nothing moves before the first command: until then the sensors repeat what they see at rest, so
an episode does not depend on how long the other nodes took to come up.
"""

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from uncloning_ros.audit.metrics import judge
from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.common import (
    COMMAND_QOS,
    LATCHED_QOS,
    SENSOR_QOS,
    Parameter,
    as_json,
    by_topic,
    contract_at,
    declare,
    message_class,
    ros_now_ns,
    run_node,
)
from uncloning_ros.runtime.control_loop import measured_by
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.world import PHYSICS_HZ, World

PARAMETERS = (
    Parameter('scenario', 'knife', 'name of a shipped scenario, or path of a .yaml file'),
    Parameter('seed', 0, 'seed of the first episode; ~/reset goes on to the next'),
    Parameter('contract_path', '', "contract with this robot's topics; '' is the shipped one"),
    Parameter('real_time_factor', 1.0, 'simulated seconds per second, above 0 and at most 10'),
)

_TICK_S = 1 / 40
# Behind by more than this, simulated time slips instead of catching up in a burst.
_MOST_BEHIND_S = 0.25
# A world that nothing ends on its own rests after so long; its record is kept in memory.
_LONGEST_EPISODE_S = 60.0


class Simulator(Node):
    """Advance the world in step with the wall clock; publish what its sensors deliver.

    Everything happens on the executor's thread.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('simulator', **node_options)
        values = declare(self, PARAMETERS)
        self._factor: float = values['real_time_factor']
        if not 0 < self._factor <= 10:
            raise ContractError(f'expected a real_time_factor above 0 and at most 10, got '
                                f'{self._factor:g}')
        self._seed: int = values['seed']
        self._contract: Contract = contract_at(values['contract_path'])
        self._scenario: Scenario = find_scenario(values['scenario'])
        self._world = World(self._scenario, self._contract.interface)
        self._slipped_s = 0.0
        interface, deployment = self._contract.interface, self._contract.deployment
        for topic, signals in by_topic(interface.observations, deployment.observations).items():
            if len(signals) > 1:
                raise ContractError(f'the simulator publishes one observation on a topic, but '
                                    f'{topic} carries {", ".join(s.key for s in signals)}')
        self._publishers_by_key = {
            signal.key: self.create_publisher(
                message_class(deployment.observations[signal.key].type),
                deployment.observations[signal.key].topic, SENSOR_QOS)
            for signal in interface.observations}
        self._signals = {signal.key: signal for signal in interface.observations}
        self._outcome = self.create_publisher(message_class('std_msgs/msg/String'), '~/outcome',
                                              LATCHED_QOS)
        self._begin()
        for topic, signals in by_topic(interface.actions, deployment.actions).items():
            self.create_subscription(
                message_class(deployment.actions[signals[0].key].type), topic,
                partial(self._on_command, signals), COMMAND_QOS)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(_TICK_S, self._on_tick)
        self.get_logger().info(f'scenario {self._scenario.name}, seed {self._seed}: waiting for '
                               f'the first command')

    def close(self) -> None:
        """Free the world and destroy the node."""
        self._world.close()
        self.destroy_node()

    def _begin(self) -> None:
        """Bring the world to where every sensor has delivered, and rest there."""
        interface = self._contract.interface
        self._world.reset(self._seed)
        self._newest: dict[str, Sample] = {}
        while len(self._newest) < len(interface.observations):
            self._world.advance()
            self._newest.update(self._world.poll())
        self._action = np.concatenate([
            self._newest[measured_by(signal, interface.observations)].values
            for signal in interface.actions])
        self._origin_s: float | None = None
        self._announced = ''
        self._announce('waiting')

    def _on_command(self, signals: Sequence[Signal], message: Any) -> None:
        for signal in signals:
            try:
                sample = decode(signal, message, self._world.time_ns)
            except ContractError as err:
                self.get_logger().error(f'refused a command: {err}', throttle_duration_sec=1.0)
                return
            self._action[self._contract.interface.action_slices[signal.key]] = sample.values
        self._world.command(self._action)
        if self._origin_s is None:
            self._origin_s = time.monotonic() - self._world.time_ns * 1e-9 / self._factor
            self._announce('running')

    def _on_reset(self, _: Any, response: Any) -> Any:
        self._seed += 1
        self._begin()
        response.success, response.message = True, f'seed {self._seed}'
        self.get_logger().info(f'reset to seed {self._seed}')
        return response

    def _on_tick(self) -> None:
        if self._origin_s is None or self._announced == 'over':
            self._publish([(key, sample, 0) for key, sample in self._newest.items()])
            return
        wanted = (time.monotonic() - self._origin_s) * self._factor
        behind = wanted - self._world.time_ns * 1e-9
        if behind > _MOST_BEHIND_S:
            self._origin_s += (behind - _MOST_BEHIND_S) / self._factor
            self._slipped_s += behind - _MOST_BEHIND_S
            self.get_logger().warning(
                f'this machine is too slow: simulated time slipped by {self._slipped_s:.2f} s',
                throttle_duration_sec=5.0)
        for _ in range(int(min(behind, _MOST_BEHIND_S) * PHYSICS_HZ)):
            self._world.advance()
        arrived = self._world.poll()
        self._newest.update(arrived)
        now_ns = self._world.time_ns
        self._publish([(key, sample, now_ns - sample.stamp_ns) for key, sample in arrived])
        if self._world.over or now_ns * 1e-9 > _LONGEST_EPISODE_S:
            self._announce('over')
        elif self._world.completed:
            self._announce('completed')

    def _publish(self, samples: Sequence[tuple[str, Sample, int]]) -> None:
        """Publish samples stamped in ROS time, each with its age in simulated ns."""
        now_ns = ros_now_ns(self)
        for key, sample, age_ns in samples:
            type_name = self._contract.deployment.observations[key].type
            self._publishers_by_key[key].publish(
                encode(self._signals[key], type_name, sample.values,
                       now_ns - round(age_ns / self._factor), message_class))

    def _announce(self, phase: str) -> None:
        """Publish the outcome so far, once for each phase."""
        if phase == self._announced:
            return
        self._announced = phase
        outcome: dict[str, Any] = {'phase': phase, 'scenario': self._scenario.name,
                                   'seed': self._seed}
        if phase in ('completed', 'over'):
            verdict = judge(self._world.trace(), self._scenario,
                            self._contract.interface.desired_modes)
            outcome |= {'completed': self._world.completed, 'dropped': self._world.dropped,
                        'mode': verdict.mode,
                        'unsafe': None if verdict.unsafe is None else verdict.unsafe.clause,
                        'time_s': round(self._world.time_ns * 1e-9, 3)}
            self.get_logger().info(f'{phase}: {outcome}')
        self._outcome.publish(as_json(outcome))


def main(args: Sequence[str] | None = None) -> int:
    """Run the simulator until SIGINT or SIGTERM."""
    return run_node(Simulator, args)


if __name__ == '__main__':
    sys.exit(main())
