# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated arm, tool and person on the robot's topics; in place of a person a second arm.

Nothing moves before the first command: until then the sensors look at a world at rest, with the
noise that they always have, so an episode does not depend on how long the other nodes took to
come up. Time passes all the same.
"""

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node

from uncloning_ros.contract import TRANSFORMS, Contract, Signal
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError, OtherJointsError, ScenarioError
from uncloning_ros.judging.episode import judge
from uncloning_ros.nodes.endpoints import publisher_mismatch
from uncloning_ros.nodes.parameters import SIMULATOR, optional_path
from uncloning_ros.nodes.process import declare, run_node, serve, steady_timer
from uncloning_ros.nodes.topics import (
    COMMAND_QOS,
    SENSOR_QOS,
    by_topic,
    json_topic,
    message_class,
    ros_now_ns,
)
from uncloning_ros.scenario import Scenario, contract_of, find_scenario, partner_of
from uncloning_ros.simulation.fault_injection import FaultInjector
from uncloning_ros.simulation.faults import CLOCK, parse_fault
from uncloning_ros.simulation.world import Side, open_world

_TICK_S = 1 / 120
# Delay (s) beyond which simulated time slips instead of catching up in a burst.
_MOST_BEHIND_S = 0.25
# Duration (s) after which an episode without an end is over: its record is kept in memory.
_LONGEST_EPISODE_S = 60.0
# Begin of simulated time (ns): a stamp of 0 would mean 'none', and faults set time back.
_BEGIN_NS = 1000 * 10**9


class _Arm:
    """One arm of the world on the topics of its contract.

    A topic in `taken` is published for the other arm: its message is the same.
    """

    def __init__(self, node: Node, side: Side, contract: Contract,
                 taken: Collection[str] = ()) -> None:
        self.side, self.contract = side, contract
        interface, deployment = contract.interface, contract.deployment
        self.signals = {signal.key: signal for signal in interface.observations}
        self._require_own_topics()
        self.publishers = {
            key: node.create_publisher(message_class(topic.type), topic.topic, SENSOR_QOS)
            for key, topic in deployment.observations.items() if topic.topic not in taken}

    def listen(self, node: Node, on_command: Callable[['_Arm', Sequence[Signal], Any], None]
               ) -> None:
        """Have `on_command` called with each message of a command."""
        actions = self.contract.deployment.actions
        for topic, signals in by_topic(self.contract.interface.actions, actions).items():
            node.create_subscription(message_class(actions[signals[0].key].type), topic,
                                     partial(on_command, self, signals), COMMAND_QOS)

    def _require_own_topics(self) -> None:
        """Raise `ContractError` for a topic that cannot be published here."""
        observations = self.contract.deployment.observations
        for topic, signals in by_topic(tuple(self.signals.values()), observations).items():
            if observations[signals[0].key].type == TRANSFORMS:
                raise ContractError(f'the simulator publishes no transforms, but '
                                    f'{signals[0].key} is read from {topic}; give it a topic of '
                                    f'type geometry_msgs/msg/PoseStamped')
            if len(signals) > 1:
                raise ContractError(f'the simulator publishes one observation on a topic, but '
                                    f'{topic} carries {", ".join(s.key for s in signals)}')

    def begin(self, newest: Mapping[str, Sample]) -> None:
        """Rest where the newest samples have the arm."""
        interface = self.contract.interface
        self.action = np.concatenate([newest[interface.measured_by(signal)].values
                                      for signal in interface.actions])

    def publish(self, key: str, message: Any) -> None:
        """Publish the message of an observation, unless the other arm's is the same."""
        if key in self.publishers:
            self.publishers[key].publish(message)


class Simulator(Node):
    """Advance the world in step with the wall clock; publish the samples of its sensors.

    Everything happens on the executor's thread. Simulated time is counted in physics steps over
    the life of the node, through resets, while the world rests as well.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('simulator', **node_options)
        values = declare(self, SIMULATOR)
        self._factor: float = values['real_time_factor']
        self._seed: int = values['seed']
        self._scenario: Scenario = find_scenario(values['scenario'])
        contract = contract_of(optional_path(values['contract_path']), self._scenario)
        second = partner_of(optional_path(values['partner_contract_path']), self._scenario)
        signals = {signal.key: signal for signal in contract.interface.observations}
        self._asked = [parse_fault(text, signals) for text in values['faults'] or () if text]
        if not values['publish_clock'] and any(fault.key == CLOCK for fault in self._asked):
            raise ScenarioError('a fault of the clock needs one: set publish_clock to true')
        self._world = open_world(self._scenario, contract.interface, whole_pictures=True,
                                 receiving=None if second is None else second.interface)
        self._steps = 0
        self._slipped_s = 0.0
        self._arm = _Arm(self, self._world, contract)
        self._arms = [self._arm]
        if second is not None and self._world.receiving is not None:
            taken = [topic.topic for topic in contract.deployment.observations.values()]
            self._arms.append(_Arm(self, self._world.receiving, second, taken))
        self._clock_publisher = (
            self.create_publisher(message_class('rosgraph_msgs/msg/Clock'), '/clock', SENSOR_QOS)
            if values['publish_clock'] else None)
        self._outcome = json_topic(self, '~/outcome')
        self._begin()
        for arm in self._arms:
            arm.listen(self, self._on_command)
        serve(self, '~/reset', self._reset)
        self._owed, self._wall_s = 0.0, time.monotonic()
        steady_timer(self, _TICK_S, self._on_tick)
        steady_timer(self, 1.0, self._warn_of_foreign_commands)
        self.get_logger().info(f'scenario {self._scenario.name}, seed {self._seed}: waiting for '
                               f'the first command')

    def close(self) -> None:
        """Free the world and destroy the node."""
        self._world.close()
        self.destroy_node()

    @property
    def _now_ns(self) -> int:
        """Return the simulated time."""
        return _BEGIN_NS + self._steps * 10**9 // self._world.physics_hz

    def _begin(self) -> None:
        """Bring the world to where every sensor has delivered, and rest there."""
        self._world.reset(self._seed)
        newest: list[dict[str, Sample]] = [{} for _ in self._arms]
        while any(len(samples) < len(arm.signals)
                  for samples, arm in zip(newest, self._arms, strict=True)):
            self._world.advance()
            for samples, arm in zip(newest, self._arms, strict=True):
                samples.update(arm.side.poll())
        for samples, arm in zip(newest, self._arms, strict=True):
            arm.begin(samples)
        fault_seed, rest_seed = np.random.SeedSequence((self._seed, 0xF)).spawn(2)
        self._faults = FaultInjector(self._asked, self._arm.signals,
                                     np.random.default_rng(fault_seed))
        self._rest_rng = np.random.default_rng(rest_seed)
        self._phase = ''
        self._announce('waiting')

    def _on_command(self, arm: _Arm, signals: Sequence[Signal], message: Any) -> None:
        for signal in signals:
            try:
                sample = decode(signal, message, self._world.time_ns)
            except OtherJointsError:
                continue
            except ContractError as err:
                self.get_logger().error(f'refused a command: {err}', throttle_duration_sec=1.0)
                return
            arm.action[arm.contract.interface.action_slices[signal.key]] = sample.values
        arm.side.command(arm.action)
        if self._phase == 'waiting':
            self._faults.begin(self._now_ns)
            self._announce('running')

    def _warn_of_foreign_commands(self) -> None:
        for arm in self._arms:
            for topic in arm.contract.deployment.actions.values():
                found = publisher_mismatch(self, topic.topic, topic.type, COMMAND_QOS)
                if found is not None and found.endpoints:
                    self.get_logger().warning(str(found), throttle_duration_sec=5.0)

    def _reset(self, _: Any) -> tuple[bool, str]:
        self._seed += 1
        self._begin()
        self.get_logger().info(f'reset to seed {self._seed}')
        return True, f'seed {self._seed}'

    def _on_tick(self) -> None:
        # Before the physics: if that is slow once, the next stamps must not lie before these.
        ros_ns = ros_now_ns(self)
        moving = self._phase in ('running', 'completed')
        steps = self._steps_due(moving)
        self._steps += steps
        if moving:
            for _ in range(steps):
                self._world.advance()
            self._publish([arm.side.poll() for arm in self._arms], ros_ns)
        else:
            self._publish([arm.side.glance(self._rest_rng,
                                           lambda every: self._steps % every < steps)
                           for arm in self._arms], ros_ns)
        if self._world.over or self._world.time_ns * 1e-9 > _LONGEST_EPISODE_S:
            self._announce('over')
        elif self._world.completed:
            self._announce('completed')

    def _steps_due(self, moving: bool) -> int:
        """Return how many physics steps the simulated time is behind the wall clock."""
        now_s, physics_hz = time.monotonic(), self._world.physics_hz
        self._owed += (now_s - self._wall_s) * self._factor * physics_hz
        self._wall_s = now_s
        slipped = self._owed - _MOST_BEHIND_S * physics_hz
        if slipped > 0:
            self._owed -= slipped
            self._slipped_s += slipped / physics_hz
            if moving:
                self.get_logger().warning(f'this machine is too slow: simulated time slipped by '
                                          f'{self._slipped_s:.2f} s', throttle_duration_sec=5.0)
        steps = int(self._owed)
        self._owed -= steps
        return steps

    def _publish(self, arrived: Sequence[Sequence[tuple[str, Sample]]], ros_ns: int) -> None:
        """Publish the time and each arm's samples that were delivered by `ros_ns`.

        Faults are those of the first arm.
        """
        if self._clock_publisher is None:
            now_ns, factor = ros_ns, self._factor
        else:
            now_ns, factor = self._faults.clock_ns(self._now_ns), 1.0
            sec, nanosec = divmod(now_ns, 10**9)
            stamp = message_class('builtin_interfaces/msg/Time')(sec=sec, nanosec=nanosec)
            self._clock_publisher.publish(message_class('rosgraph_msgs/msg/Clock')(clock=stamp))
        stamped = [[(key, Sample(
            sample.values, now_ns - round((self._world.time_ns - sample.stamp_ns) / factor),
            self._now_ns)) for key, sample in samples] for samples in arrived]
        stamped[0] = self._faults.deliver(stamped[0], self._now_ns)
        for arm, samples in zip(self._arms, stamped, strict=True):
            for key, sample in samples:
                message = encode(arm.signals[key],
                                 arm.contract.deployment.observations[key].type, sample.values,
                                 sample.stamp_ns, message_class)
                if arm is self._arm:
                    self._faults.corrupt(key, message, self._now_ns)
                arm.publish(key, message)

    def _announce(self, phase: str) -> None:
        """Publish the outcome so far, once for each phase."""
        if phase == self._phase:
            return
        self._phase = phase
        outcome: dict[str, Any] = {'phase': phase, 'scenario': self._scenario.name,
                                   'seed': self._seed}
        if phase in ('completed', 'over'):
            verdict = judge(self._world.trace(), self._scenario,
                            self._arm.contract.interface.desired_modes)
            outcome |= {'completed': self._world.completed, 'dropped': self._world.dropped,
                        'mode': verdict.mode,
                        'unsafe': None if verdict.unsafe is None else verdict.unsafe.clause,
                        'time_s': round(self._world.time_ns * 1e-9, 3)}
            self.get_logger().info(f'{phase}: {outcome}')
        self._outcome(outcome)


def main(args: Sequence[str] | None = None) -> int:
    """Run the simulator until SIGINT or SIGTERM."""
    return run_node(Simulator, args)


if __name__ == '__main__':
    sys.exit(main())
