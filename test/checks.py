# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks of a live graph, the same whether its processes were started plainly or by launch."""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from inputs import CONTRACT
from mcap.reader import make_reader

from uncloning_ros.contract import Contract, Signal, Topic
from uncloning_ros.conversions import decode
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array

PATIENCE_S = 100.0  # before a wait is given up as vain
# A take may be spoilt by a machine that stands still; three in a row are no accident.
TAKES = 3


class Observer:
    """A node of a private context that sees everything; made by `observing`.

    `commands` are those of the contract's first action, `poses` what was measured of it.
    """

    def __init__(self, node: Any, executor: Any, contract: Contract) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        self.node, self._executor = node, executor
        self.said: dict[str, dict[str, Any]] = {}
        self.statuses: list[dict[str, Any]] = []  # every one of the policy's
        self.poses: list[Array] = []
        self.commands: list[Array] = []
        # Statuses and commands, each with the time at which the policy published it, in ns.
        self.history: list[tuple[int, dict[str, Any] | Array]] = []
        self.measured: list[tuple[int, Array]] = []  # the poses, likewise
        self.widths: list[float] = []  # commanded
        self.diagnosed: dict[str, Any] = {}  # the newest of each status's name
        self.topics = contract.deployment
        latched = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic in ('/policy/status', '/simulator/outcome', '/demonstrator/status'):
            node.create_subscription(String, topic, self._listener(topic), latched)
        interface = contract.interface
        action = interface.actions[0]
        key = interface.measured_by(action)
        self.listen(next(s for s in interface.observations if s.key == key),
                    self.topics.observations[key], self.poses, self.measured)
        self.listen(action, self.topics.actions[action.key], self.commands, self.history)
        for signal in interface.actions:
            if signal.kind == 'gripper_width':
                self.listen(signal, self.topics.actions[signal.key], self.widths)
        node.create_subscription(DiagnosticArray, '/diagnostics', lambda message: (
            self.diagnosed.update({status.name: status for status in message.status})), 10)

    def listen(self, signal: Signal, topic: Topic, seen: list[Any],
               history: list[Any] | None = None) -> None:
        """Keep the values of every message that keeps to the contract."""
        from uncloning_ros.nodes.topics import message_class

        def on_message(message: Any, info: Mapping[str, int]) -> None:
            with contextlib.suppress(ContractError):  # a fault was asked for
                seen.append(decode(signal, message, 0).values)
                if history is not None:
                    history.append((info['source_timestamp'], seen[-1]))
        self.node.create_subscription(message_class(topic.type), topic.topic, on_message, 1000)

    def _listener(self, topic: str) -> Callable[[Any, Mapping[str, int]], None]:
        def on_message(message: Any, info: Mapping[str, int]) -> None:
            self.said[topic] = json.loads(message.data)
            if topic == '/policy/status':
                self.statuses.append(self.said[topic])
                self.history.append((info['source_timestamp'], self.said[topic]))
        return on_message

    def of(self, topic: str, key: str) -> Any:
        """Return one value of what a latched topic said last, None if it never spoke."""
        return self.said.get(topic, {}).get(key)

    def until(self, condition: Callable[[], Any], wanted: str) -> None:
        """Wait for a condition; fail with what was seen instead."""
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end_s:
                pytest.fail(f'waited in vain for {wanted}; saw {self.said}, '
                            f'{len(self.poses)} poses, {len(self.commands)} commands')
            self.spin()

    def spin(self) -> None:
        """Take one message, if one comes soon."""
        self._executor.spin_once(timeout_sec=0.05)

    def until_policy(self, state: str) -> None:
        self.until(lambda: self.of('/policy/status', 'state') == state, f'policy state {state}')

    @property
    def status(self) -> dict[str, Any]:
        """Return what the policy said last."""
        return self.statuses[-1] if self.statuses else {'state': '', 'reason': '', 'sentence': ''}

    def let_commands_pass(self, count: int) -> None:
        """Wait for so many commands."""
        goal = len(self.commands) + count
        self.until(lambda: len(self.commands) >= goal, f'{count} more commands')

    def let_poses_pass(self, count: int) -> None:
        """Wait for so many measured poses: time as the graph itself counts it."""
        goal = len(self.poses) + count
        self.until(lambda: len(self.poses) >= goal, f'{count} more poses')

    def drain(self) -> None:
        """Take what has arrived already; for when nobody is left to publish."""
        for _ in range(50):
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, service: str, kind: Any = None, **request: Any) -> Any:
        """Call a service, a Trigger unless another kind is given, and return its answer."""
        from std_srvs.srv import Trigger
        kind = kind or Trigger
        client = self.node.create_client(kind, service)
        self.until(client.service_is_ready, f'service {service}')
        future = client.call_async(kind.Request(**request))
        self.until(future.done, f'an answer of {service}')
        self.node.destroy_client(client)
        return future.result()

    def holds(self) -> list[int]:
        """Return which commands are hold commands: those that equal a measured pose."""
        measured = np.array(self.poses)
        return [i for i, command in enumerate(self.commands)
                if np.min(np.max(np.abs(measured - command), axis=1)) < 1e-6]


@contextlib.contextmanager
def observing(contract: Contract = CONTRACT) -> Iterator[Observer]:
    """Join the graph with a private context."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('observer', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield Observer(node, executor, contract)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


def policy_moves_the_simulated_arm(observer: Observer) -> None:
    """The policy becomes active by itself, its commands move the simulated arm."""
    observer.until_policy('active')
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'running',
                   'a running simulation')
    observer.let_poses_pass(1)
    start = observer.poses[-1]
    observer.until(lambda: np.linalg.norm(observer.poses[-1][:3] - start[:3]) > 0.005,
                   'an arm that moves')
    assert observer.holds() == []


def motion_begins_with_one_step_at_most(observer: Observer, contract: Contract) -> None:
    """The first command after ~/start lies no further from the measured pose than one step."""
    action, deployment = contract.interface.actions[0], contract.deployment
    topic = f'/{deployment.actions[action.key].topic}'
    observer.until(lambda: observer.node.count_publishers(topic) == 1, 'an active policy')
    observer.let_poses_pass(5)
    at_rest = np.array(observer.poses)[:, :3]
    assert observer.commands == []
    assert observer.call('/policy/start').success
    policy_moves_the_simulated_arm(observer)
    step_m = deployment.limits.speed_m_s / deployment.command_rate_hz
    assert np.min(np.linalg.norm(at_rest - observer.commands[0][:3], axis=1)) <= step_m + 1e-6
    # It wanted to go further: the limit is what kept it back.
    assert observer.status['counters']['speed'] > 0


def what_never_arrives_is_waited_for_in_silence(observer: Observer, key: str) -> None:
    """With one observation missing, ~/start moves nothing and the status names what is missing."""
    assert observer.call('/policy/start').success
    observer.let_poses_pass(100)
    assert (observer.status['state'], observer.status['reason']) == ('waiting', 'missing_input')
    assert observer.status['sentence'].startswith(f'{key} has not arrived')
    assert observer.commands == [] and observer.widths == []
    assert observer.of('/simulator/outcome', 'phase') == 'waiting'


def no_leap_at_a_change(history: Sequence[tuple[int, Any]], measured: Sequence[tuple[int, Array]],
                        contract: Contract) -> list[str]:
    """The commands after a change of the state of the policy begin where the arm is.

    The commands around the change, from two statuses before it to the first one after it, lie
    within one step of a pose that was measured, or a command that was given, shortly before: not
    longer ago than the contract lets a measurement be old. Arguments as of `Observer`. Return the
    states.
    """
    interface, deployment = contract.interface, contract.deployment
    step_m = deployment.limits.speed_m_s / deployment.command_rate_hz + 1e-6
    age_ns = deployment.observations[interface.measured_by(interface.actions[0])].max_age_s * 1e9
    history = sorted(history, key=lambda one: one[0])
    told = [(at_ns, said['state']) for at_ns, said in history if isinstance(said, dict)]
    commands = [one for one in history if not isinstance(one[1], dict)]
    places = [*commands, *measured]
    for (since_ns, _), (_, before), (at_ns, state) in zip(told, told[1:], told[2:], strict=False):
        if state == before:
            continue
        last_ns = next((given_ns for given_ns, _ in commands if given_ns > at_ns), at_ns)
        for given_ns, command in commands:
            if since_ns < given_ns <= last_ns:
                far_m = min(float(np.linalg.norm(place[:3] - command[:3])) for seen_ns, place
                            in places if given_ns - age_ns <= seen_ns < given_ns)
                assert far_m <= step_m, f'{far_m:.3f} m at once, from {before} to {state}'
    return [state for _, state in told]


def stop_holds_once(observer: Observer) -> None:
    """After ~/stop one hold command comes, and no command after it."""
    assert observer.call('/policy/stop').success
    observer.until_policy('waiting')
    observer.let_poses_pass(20)
    assert observer.holds() == [len(observer.commands) - 1]


def deactivation_holds_once(observer: Observer) -> None:
    """After a new start, deactivation by anybody gives one hold command, and none after it."""
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    observer.commands.clear()
    assert observer.call('/policy/start').success
    observer.let_commands_pass(20)
    assert observer.holds() == []
    deactivate = Transition(id=Transition.TRANSITION_DEACTIVATE)
    assert observer.call('/policy/change_state', ChangeState, transition=deactivate).success
    observer.let_poses_pass(20)
    assert observer.holds() == [len(observer.commands) - 1]
    refused = observer.call('/policy/start')
    assert (refused.success, refused.message) == (False,
                                                  'not active; configure and activate first')


def last_command_is_the_only_hold(observer: Observer) -> None:
    """After the policy process ended: its last command holds, and it is the only one."""
    observer.drain()
    assert observer.holds() == [len(observer.commands) - 1]


def in_the_shadow_the_demonstrator_has_the_arm(observer: Observer) -> None:
    """The demonstrator alone moves the arm; the policy thinks along and tells the distance."""
    shadowed: list[Array] = []
    action = CONTRACT.interface.actions[0]
    topic = dataclasses.replace(observer.topics.actions[action.key],
                                topic=f'/policy/shadow_command/{action.key}')
    observer.listen(action, topic, shadowed)
    observer.until_policy('active')
    assert observer.status['shadow'] is True
    observer.let_poses_pass(1)
    start = observer.poses[-1]
    observer.until(lambda: np.linalg.norm(observer.poses[-1][:3] - start[:3]) > 0.02,
                   'an arm that moves')
    for item in observer.topics.actions.values():
        observer.until(partial(_commanded_by, observer, item.topic, {'demonstrator'}),
                       f'the demonstrator alone on {item.topic}')
    observer.until(lambda: len(shadowed) > 50, 'commands in the shadow')

    def told(key: str) -> float:
        control = observer.diagnosed.get('/policy: control')
        values = {} if control is None else {pair.key: pair.value for pair in control.values}
        return float(values.get(f'shadow_{action.key}_m_{key}', 'nan'))

    observer.until(lambda: told('count') > 50, 'distances to the demonstrator')
    assert 0 < told('mean') <= told('largest')
    # What came on the command topics is the teacher's and none of what came in the shadow.
    ours = np.array(shadowed)
    assert all(np.min(np.max(np.abs(ours - command), axis=1)) > 1e-6
               for command in observer.commands)


def sigkill_of_the_policy_leaves_an_arm_that_rests(observer: Observer,
                                                   kill: Callable[[], object]) -> None:
    """Nobody publishes a hold command then; the arm rests at the last one."""
    kill()
    observer.drain()
    before, last = len(observer.commands), observer.commands[-1]
    observer.let_poses_pass(40)  # the controller gets there
    settled = len(observer.poses)
    observer.let_poses_pass(40)
    rest = np.array(observer.poses[settled:])[:, :3]
    assert len(observer.commands) == before
    assert np.max(np.ptp(rest, axis=0)) < 1e-3
    assert np.max(np.abs(rest[-1] - last[:3])) < 0.01
    assert observer.of('/simulator/outcome', 'phase') == 'running'


def _commanded_by(observer: Observer, topic: str, nodes: set[str]) -> bool:
    found = observer.node.get_publishers_info_by_topic(f'/{topic}')
    return {info.node_name for info in found} == nodes


def the_arm_follows_its_joints(observer: Observer) -> None:
    """Commanded joints are measured soon after; the arm has moved."""
    observer.until(lambda: len(observer.poses) > 0 and np.max(np.abs(
        observer.poses[-1] - observer.poses[0])) > 0.02, 'joints that move')
    assert observer.call('/policy/stop').success
    observer.until_policy('waiting')
    observer.drain()
    held = observer.commands[-1]
    observer.until(lambda: np.max(np.abs(observer.poses[-1] - held)) < 0.01,
                   'joints that are where they were commanded to')


def record_one_demonstration(observer: Observer, mode: str, out: Path) -> Path:
    """Record the demonstrator's next handover; return the bag. The tool reaches the person."""
    before = len(list_episodes(out)) if out.is_dir() else 0
    for _ in range(TAKES):
        observer.until(lambda: observer.call('/recorder/start_episode').success, 'a recording')
        observer.said.pop('/demonstrator/status', None)
        assert observer.call('/demonstrator/start').success
        observer.until(lambda: observer.of('/demonstrator/status', 'phase') == 'done'
                       or observer.of('/simulator/outcome', 'phase') == 'over',
                       'the end of the demonstration')
        observer.until(lambda: observer.of('/simulator/outcome', 'phase') in ('completed', 'over'),
                       'what came of the handover')
        if observer.of('/simulator/outcome', 'completed'):
            break
        # An operator would make another take.
        print(f'a take that is discarded: {observer.said}')
        assert observer.call('/recorder/discard_episode').success
        next_person(observer)
    else:
        pytest.fail(f'none of {TAKES} demonstrations was completed')
    assert observer.call('/recorder/stop_episode').success
    assert observer.of('/simulator/outcome', 'mode') == mode
    *earlier, path = list_episodes(out)
    assert len(earlier) == before
    return path


def next_person(observer: Observer) -> None:
    """Set up the next simulated handover."""
    assert observer.call('/simulator/reset').success
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'waiting',
                   'the next person')


def same_form(one: Path, two: Path) -> None:
    """Two bags agree on topics, types, QoS, message definitions and the keys of metadata."""
    assert _form(one) == _form(two)
    live, fast = read_episode(one), read_episode(two)
    assert live.contract == fast.contract
    assert _event_form(live) == _event_form(fast)
    assert live.samples.keys() == fast.samples.keys()


def _form(path: Path) -> dict[str, Any]:
    info = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    [file] = path.glob('*.mcap')
    with file.open('rb') as stream:
        reader = make_reader(stream)
        summary = reader.get_summary()
        assert summary is not None
        channels = {c.topic: (c.message_encoding, sorted(c.metadata.items()),
                              summary.schemas[c.schema_id].name,
                              summary.schemas[c.schema_id].data)
                    for c in summary.channels.values()}
        records = {record.name: sorted(record.metadata) for record in reader.iter_metadata()}
    return {'keys': sorted(info), 'custom': sorted(info['custom_data']), 'channels': channels,
            'records': records, 'distribution': info['ros_distro'], 'version': info['version'],
            'topics': [topic['topic_metadata'] for topic in info['topics_with_message_count']]}


def _event_form(episode: Episode) -> list[tuple[str, list[str]]]:
    # A simulated sensor is not judged, for it does what it was told to.
    return [(event['event'], sorted({*event} - {'health'})) for _, event in episode.events]
