# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shadow mode: the policy thinks along and touches nothing, live and beside a bag that plays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import CONTRACT, SUCCESS, FakePolicy, Live
from mcap.reader import make_reader
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

import uncloning_ros
from uncloning_ros.conversions import decode
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.topics import COMMAND_QOS, SENSOR_QOS, Commands, message_class
from uncloning_ros.scenario import find_scenario

COMMAND_TOPICS = [topic.topic for topic in CONTRACT.deployment.actions.values()]


class Shadow:
    """What a policy in the shadow publishes, and what its diagnostics say of it."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.commands: dict[str, list[Any]] = {}
        self.told: dict[str, str] = {}
        for signal in CONTRACT.interface.actions:
            heard = self.commands[signal.key] = []
            live.robot.create_subscription(
                message_class(CONTRACT.deployment.actions[signal.key].type),
                f'/policy/shadow_command/{signal.key}',
                lambda message, signal=signal, heard=heard: heard.append(
                    decode(signal, message, 0).values), 1000)
        live.robot.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.told = {pair.key: pair.value for pair in message.status[0].values}

    def require_hands_off(self) -> None:
        """Assert that the policy publishes on no command topic."""
        for topic in COMMAND_TOPICS:
            names = {info.node_name for info in
                     self.live.robot.get_publishers_info_by_topic(f'/{topic}')}
            assert 'policy' not in names


def test_in_the_shadow_nothing_is_commanded_and_the_distance_to_the_demonstrator_is_told(
        activate: Any, robot: Any, tools: Any) -> None:
    demonstrator = Commands(robot.create_publisher, CONTRACT)
    live = activate(shadow=True, autostart=True)
    shadow = Shadow(live)
    live.reach('active', 'policy')
    assert live.status['shadow'] is True
    live.until(lambda: 'state' in shadow.told and len(shadow.commands['target_pose']) > 20)
    assert not any(key.startswith('shadow_') for key in shadow.told)  # nobody demonstrates yet
    action = np.append(tools.pose(0.5), 0.05)

    def demonstrate() -> bool:
        demonstrator.publish(action, robot.get_clock().now().nanoseconds)
        return float(shadow.told.get('shadow_target_pose_m_newest', 'nan')) == pytest.approx(0.09)

    live.until(demonstrate)
    assert float(shadow.told['shadow_target_width_m_newest']) == pytest.approx(0.02)
    assert int(shadow.told['shadow_target_pose_m_count']) > 0
    # What reached the command topics came from the demonstrator.
    assert all(pose[0] == pytest.approx(0.5) for pose in live.poses)
    assert shadow.commands['target_pose'][-1] == pytest.approx(tools.pose(0.41), abs=1e-6)
    assert shadow.commands['target_width'][-1] == pytest.approx([0.03])
    shadow.require_hands_off()


def test_a_hold_in_the_shadow_is_in_the_shadow(activate: Any) -> None:
    live = activate(shadow=True, autostart=True)
    shadow = Shadow(live)
    live.reach('active', 'policy')
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    live.until(lambda: shadow.commands['target_pose'][-1][0] == pytest.approx(0.4))
    assert live.node.trigger_deactivate() is SUCCESS
    live.let_rounds_pass()
    assert live.poses == []


def test_shadow_mode_is_changed_between_two_activations_only(activate: Any) -> None:
    live = activate()
    shadow = Shadow(live)
    assert not live.call('set_shadow', kind=SetBool, data=True).success
    assert live.node.trigger_deactivate() is SUCCESS
    answer = live.call('set_shadow', kind=SetBool, data=True)
    assert (answer.success, answer.message) == (True, 'commands will go to ~/shadow_command')
    assert live.node.trigger_activate() is SUCCESS
    live.until(lambda: live.status['shadow'])
    live.until(lambda: live.status['reason'] == 'not_started')
    assert live.call('start').success
    live.until(lambda: shadow.commands['target_pose'])
    assert live.poses == []
    shadow.require_hands_off()
    assert live.node.trigger_deactivate() is SUCCESS
    assert live.call('set_shadow', kind=SetBool, data=False).success
    assert live.node.trigger_activate() is SUCCESS
    live.moving()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have diagnostics more often, so that tests need not wait for them."""
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.1)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated demonstration, recorded."""
    from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
    from uncloning_ros.simulation.world import open_world
    scenario, folder = find_scenario('knife'), tmp_path_factory.mktemp('bag') / 'episode'
    world = open_world(scenario, CONTRACT.interface)
    metadata = EpisodeMetadata('fast', 0, 'script', 'handle_first', uncloning_ros.__version__)
    with EpisodeWriter(folder, CONTRACT, metadata) as writer:
        demonstrate(world, Demonstrator(scenario, CONTRACT.interface, 'handle_first', 3),
                    CONTRACT, 3, writer.write_values)
        writer.commit()
    world.close()
    return folder


_STEP_NS = 25 * 10**6  # one executor serves everybody here


class Player(Node):
    """Publish a bag's messages as they are, and its time, as `ros2 bag play --clock` does."""

    def __init__(self, bag: Path, **node_options: Any) -> None:
        super().__init__('player', **node_options)
        [file] = bag.glob('*.mcap')
        with file.open('rb') as stream:
            self._messages = [(message.log_time, channel.topic, schema.name, message.data)
                              for schema, channel, message in make_reader(stream).iter_messages()]
        self._now_ns = self._messages[0][0]
        self._clock = self.create_publisher(Clock, '/clock', 10)
        self._out = {topic: self.create_publisher(
            message_class(kind), topic,
            COMMAND_QOS if topic.lstrip('/') in COMMAND_TOPICS else SENSOR_QOS)
            for topic, kind in {(topic, kind) for _, topic, kind, _ in self._messages}}
        self.played = 0
        self.create_timer(_STEP_NS * 1e-9, self._tick,
                          clock=RosClock(clock_type=ClockType.STEADY_TIME))

    def _tick(self) -> None:
        self._now_ns += _STEP_NS
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(self._now_ns, 10**9)
        self._clock.publish(message)
        while self.played < len(self._messages) and (
                self._messages[self.played][0] <= self._now_ns):
            _, topic, _, data = self._messages[self.played]
            self._out[topic].publish(data)
            self.played += 1


def test_a_policy_thinks_along_with_a_bag_that_plays(
        activate: Any, load: Any, graph: Any, robot: Any, bag: Path) -> None:
    robot.silent.update(robot.values)
    load(FakePolicy())
    live = activate(shadow=True, autostart=True, use_sim_time=True)
    shadow = Shadow(live)
    player = graph.add(lambda **options: Player(bag, **options))
    live.reach('active', 'policy')
    live.until(lambda: int(shadow.told.get('shadow_target_pose_m_count', 0)) > 50
               and len(shadow.commands['target_pose']) > 50)
    shadow.require_hands_off()
    # Both want to go from where the arm is: one of them 1 cm along x.
    assert 0 < float(shadow.told['shadow_target_pose_m_mean']) < 0.2
    assert 0 < float(shadow.told['shadow_target_pose_m_mean']) <= float(
        shadow.told['shadow_target_pose_m_largest'])
    assert {state for state, _ in live.told} <= {'waiting', 'active'}
    # The bag's commands reached us as they are, and none of ours among them.
    assert player.played > 0
    assert len(live.poses) <= player.played
