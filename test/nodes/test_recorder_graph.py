# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder in a graph it did not choose: other topics, any QoS, simulated time, any reader."""

import json
from collections.abc import Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64MultiArray, String

from uncloning_ros.contract import (
    TRANSFORMS,
    contract_from_dict,
    load_contract,
)
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.message_types import message_text, typestore
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.errors import ContractError, UncloningError
from uncloning_ros.nodes.endpoints import publisher_mismatch, publishers_of
from uncloning_ros.nodes.parameters import RECORDER
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.nodes.topics import Commands, message_class
from uncloning_ros.schema import plain

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Take:
    """Calls the recorder's services for a robot."""

    def __init__(self, graph: Any, robot: Any, out: Path, cli_args: Sequence[str] = (),
                 **parameters: Any) -> None:
        self.graph, self.robot, self.out = graph, robot, out
        self.node = graph.add(partial(Recorder, cli_args=cli_args), out=str(out), **parameters)

    def call(self, what: str) -> Any:
        return self.graph.call(self.robot, f'/recorder/{what}')

    def let_rounds_pass(self, count: int = 20) -> None:
        goal = self.robot.rounds + count
        self.graph.until(lambda: self.robot.rounds >= goal, lambda: self.robot.rounds)

    def start(self) -> None:
        for _ in range(50):
            response = self.call('start_episode')
            if response.success:
                return
            self.let_rounds_pass(5)
        pytest.fail(response.message)

    def keep(self, rounds: int = 20) -> Path:
        """Keep one more episode and return its bag."""
        self.start()
        self.let_rounds_pass(rounds)
        response = self.call('stop_episode')
        assert response.success, response.message
        return list_episodes(self.out)[-1]


def channels(path: Path) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Return type and offered QoS of every topic, which both places in a bag agree on."""
    info = yaml.safe_load((path / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    there = {one['topic_metadata']['name']: (one['topic_metadata']['type'],
                                             one['topic_metadata']['offered_qos_profiles'])
             for one in info['topics_with_message_count']}
    with next(path.glob('*.mcap')).open('rb') as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    for channel in summary.channels.values():
        assert yaml.safe_load(channel.metadata['offered_qos_profiles']) == there[channel.topic][1]
    return there


def texts(path: Path, topic: str) -> list[str]:
    """Return what was said on a topic of std_msgs/String."""
    with AnyReader([path]) as reader:
        connections = [one for one in reader.connections if one.topic == topic]
        return [reader.deserialize(raw, one.msgtype).data
                for one, _, raw in reader.messages(connections=connections)]


@pytest.mark.slow
def test_what_was_latched_long_before_is_in_every_episode(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    robot.create_publisher(String, '/robot_description', LATCHED).publish(String(data='arm'))
    other = robot.create_publisher(String, '/map_info', LATCHED)
    other.publish(String(data='before'))
    take = Take(graph, robot, tmp_path, record_all=True)
    take.let_rounds_pass(80)
    first = take.keep()
    other.publish(String(data='after'))
    take.let_rounds_pass(80)
    robot.destroy_publisher(other)
    take.let_rounds_pass(30)
    second = take.keep()
    for path, said in ((first, 'before'), (second, 'after')):
        assert texts(path, '/robot_description') == ['arm']
        assert texts(path, '/map_info') == [said]
        qos = channels(path)['/map_info'][1]
        assert [one['durability'] for one in qos] == ['transient_local']


def test_what_several_publishers_latched_on_one_topic_is_in_every_episode(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    for words in ('base', 'camera'):
        robot.create_publisher(String, '/static_frames', LATCHED).publish(String(data=words))
    take = Take(graph, robot, tmp_path, record_all=True)
    take.let_rounds_pass(80)
    for path in [take.keep(rounds=5) for _ in range(4)]:
        assert sorted(texts(path, '/static_frames')) == ['base', 'camera']


def test_every_other_topic_is_recorded_unless_it_is_excluded(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    publishers = [robot.create_publisher(String, name, 10)
                  for name in ('/notes', '/camera/left/note', '/camera/right/note', '/secret',
                               '/hidden/_note')]
    robot.create_timer(0.02, lambda: [one.publish(String(data='x')) for one in publishers])
    take = Take(graph, robot, tmp_path, record_all=True, exclude='/camera/*, /secret')
    take.let_rounds_pass(40)
    counts = verify_episode(take.keep())
    assert counts['/notes'] >= 10
    assert {'/rosout', '/parameter_events'} <= set(counts)
    assert not {'/camera/left/note', '/camera/right/note', '/secret',
                '/hidden/_note'} & set(counts)
    assert counts['/recorder/episode_event'] == 2


def test_a_topic_that_appears_during_an_episode_is_recorded(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path, record_all=True)
    take.start()
    late = robot.create_publisher(String, '/late', 10)
    robot.create_timer(0.02, lambda: late.publish(String(data='x')))
    take.let_rounds_pass(60)
    assert take.call('stop_episode').success
    assert verify_episode(list_episodes(tmp_path)[0])['/late'] >= 10


def test_topics_that_a_remapping_swaps_are_taken_from_where_it_leads(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path, ('--ros-args', '-r', 'hand_pose:=object_pose', '-r',
                                         'object_pose:=hand_pose'))
    with AnyReader([take.keep()]) as reader:
        seen = {one.topic: reader.deserialize(raw, one.msgtype).pose.position.x
                for one, _, raw in reader.messages()
                if one.topic in ('/hand_pose', '/object_pose')}
    assert seen == {'/hand_pose': robot.values['object_pose'][0],
                    '/object_pose': robot.values['hand_pose'][0]}


def test_only_the_contract_is_recorded_unless_asked(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    robot.create_publisher(String, '/notes', LATCHED).publish(String(data='x'))
    take = Take(graph, robot, tmp_path)
    take.let_rounds_pass(30)
    deployment = tools.contract.deployment
    assert set(channels(take.keep())) == {'/recorder/episode_event'} | {
        '/' + topic.topic for part in (deployment.observations, deployment.actions)
        for topic in part.values()}


def test_the_guards_of_the_contract_are_recorded_too(
        graph: Any, robot: Any, tools: Any, tmp_path: Path) -> None:
    data = plain(tools.contract)
    data['deployment'] |= {'enable': {'topic': 'deadman', 'max_age_s': 0.2},
                           'fault': {'topic': 'driver/fault', 'fault_when': True}}
    assert contract_from_dict(data).deployment.enable is not None
    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(data))
    bools = robot.create_publisher(message_class('std_msgs/msg/Bool'), 'deadman', 10)
    robot.create_timer(0.02, lambda: bools.publish(message_class('std_msgs/msg/Bool')(data=True)))
    take = Take(graph, robot, tmp_path / 'demos', contract_path=str(path))
    kept = take.keep()
    assert channels(kept)['/driver/fault'][0] == 'std_msgs/msg/Bool'
    assert verify_episode(kept)['/deadman'] >= 5


def transforms(parent: str, child: str, x_m: float, stamp_ns: int) -> bytes:
    """Return the bytes of a tf2_msgs/msg/TFMessage with one transform, as a publisher sends."""
    store, kinds = typestore(), typestore().types
    sec, nanosec = divmod(stamp_ns, 10**9)
    header = kinds['std_msgs/msg/Header'](
        stamp=kinds['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec), frame_id=parent)
    moved = kinds['geometry_msgs/msg/Transform'](
        translation=kinds['geometry_msgs/msg/Vector3'](x=x_m, y=0.0, z=0.3),
        rotation=kinds['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0))
    one = kinds['geometry_msgs/msg/TransformStamped'](
        header=header, child_frame_id=child, transform=moved)
    return bytes(store.serialize_cdr(kinds[TRANSFORMS](transforms=[one]), TRANSFORMS))


@pytest.fixture
def tree(graph: Any, robot: Any, hand_frame_contract: Path,
         monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a contract whose hand is a frame of /tf, which the robot publishes.

    tf2_msgs may not be installed. The recorder takes bytes, so another type stands in for it on
    the wire: the bytes are those of transforms.
    """
    real = message_class
    monkeypatch.setattr('uncloning_ros.nodes.raw_topics.message_class',
                        lambda name: String if name == TRANSFORMS else real(name))
    for known in (publisher_mismatch, publishers_of):
        monkeypatch.setattr(
            f'uncloning_ros.nodes.raw_topics.{known.__name__}',
            lambda node, topic, name, known=known: known(
                node, topic, 'std_msgs/msg/String' if name == TRANSFORMS else name))
    robot.silent.add('hand_pose')
    static = robot.create_publisher(String, '/tf_static', LATCHED)
    static.publish(transforms('panda_link0', 'tracker', 0.25, 1))
    moving = robot.create_publisher(String, '/tf', 10)
    numbers = count(1)

    def publish() -> None:
        if 'tf' not in robot.silent:
            moving.publish(transforms('tracker', 'hand', 0.001 * next(numbers),
                                      robot.get_clock().now().nanoseconds))

    robot.create_timer(0.02, publish)
    return hand_frame_contract


def test_poses_of_a_tree_of_transforms_are_recorded_live(
        graph: Any, robot: Any, tree: Path, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path / 'demos', contract_path=str(tree))
    commands = Commands(robot.create_publisher, load_contract(tree))
    robot.create_timer(0.05, lambda: commands.publish(
        np.array([0.5, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.08]),
        robot.get_clock().now().nanoseconds))
    take.let_rounds_pass(80)
    for path in (take.keep(), take.keep()):  # what is static was said once, long before
        assert channels(path)['/tf'][0] == channels(path)['/tf_static'][0] == TRANSFORMS
        found = read_episode(path).samples['hand_pose']
        steps = [one.values[0] - 0.25 for one in found]
        assert len(found) >= 10 and found[0].values[2] == pytest.approx(0.6)
        np.testing.assert_allclose(np.diff(steps), 0.001, atol=1e-9)


def test_a_frame_that_nobody_places_starts_no_take(
        graph: Any, robot: Any, tree: Path, tmp_path: Path) -> None:
    robot.silent.add('tf')
    take = Take(graph, robot, tmp_path / 'demos', contract_path=str(tree))
    take.let_rounds_pass(50)
    response = take.call('start_episode')
    assert not response.success
    assert "hand_pose: no transform names frame 'hand'" in response.message
    robot.silent.discard('tf')
    take.start()
    take.let_rounds_pass(10)
    robot.silent.add('tf')
    take.let_rounds_pass(30)
    assert '/tf hand: nothing for' in take.call('stop_episode').message


def test_what_each_publisher_offers_is_written_with_the_bag(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    lossy = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    for qos in (10, lossy):
        robot.create_publisher(Float64MultiArray, 'gripper_controller/commands', qos)
    take = Take(graph, robot, tmp_path)
    take.let_rounds_pass(30)
    found = channels(take.keep())
    assert {one['reliability'] for one in found['/gripper_controller/commands'][1]} == {
        'reliable', 'best_effort'}
    assert [one['reliability'] for one in found['/hand_pose'][1]] == ['reliable']


def test_two_independent_readers_agree_message_for_message(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    robot.create_publisher(String, '/notes', LATCHED).publish(String(data='Zoë'))
    take = Take(graph, robot, tmp_path, record_all=True)
    take.let_rounds_pass(30)
    path = take.keep()
    with AnyReader([path]) as reader:
        one = sorted((connection.topic, time, bytes(raw), connection.msgtype)
                     for connection, time, raw in reader.messages())
        read = {(connection.topic, bytes(raw)): reader.deserialize(raw, connection.msgtype)
                for connection, _, raw in reader.messages()}
    with next(path.glob('*.mcap')).open('rb') as stream:
        decoded = list(make_reader(stream, validate_crcs=True, decoder_factories=[
            DecoderFactory()]).iter_decoded_messages())
    two = sorted((channel.topic, message.log_time, message.data, schema.name)
                 for schema, channel, message, _ in decoded)
    assert one == two
    assert {'/hand_pose', '/notes', '/recorder/episode_event'} <= {topic for topic, *_ in one}
    for _, channel, message, content in decoded:
        same_content(read[channel.topic, message.data], content)


def same_content(one: Any, two: Any) -> None:
    """Compare two decoded messages of different readers, field by field."""
    for name in [slot for slot in getattr(two, '__slots__', ()) if not slot.startswith('_')]:
        left, right = getattr(one, name), getattr(two, name)
        if hasattr(right, '__slots__') and not isinstance(right, (str, bytes, list)):
            same_content(left, right)
        elif isinstance(right, list) and right and hasattr(right[0], '__slots__'):
            for item, other in zip(left, right, strict=True):
                same_content(item, other)
        elif isinstance(right, (list, tuple)):
            assert list(left) == list(right)
        else:
            assert left == right


# --- time ---

def test_simulated_time_stamps_the_bag_and_starts_nothing_before_the_clock(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path, use_sim_time=True)
    take.let_rounds_pass(30)
    response = take.call('start_episode')
    assert not response.success
    clock = robot.create_publisher(Clock, '/clock', 10)
    simulated = {'ns': 50 * 10**9}

    def tick() -> None:
        simulated['ns'] += 5_000_000  # a quarter of real time: the robot's timer runs at 50 Hz
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(simulated['ns'], 10**9)
        clock.publish(message)

    robot.create_timer(0.02, tick)
    path = take.keep(60)
    with next(path.glob('*.mcap')).open('rb') as stream:
        times = [message.log_time for _, channel, message in make_reader(stream).iter_messages()]
    assert 50 * 10**9 < min(times) <= max(times) <= simulated['ns']
    assert verify_episode(path)['/clock'] >= 20


def test_a_simulated_clock_that_stands_still_does_not_stop_the_recorder(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path, use_sim_time=True)
    clock = robot.create_publisher(Clock, '/clock', 10)
    message = Clock()
    message.clock.sec = 50
    robot.create_timer(0.02, lambda: clock.publish(message))
    heard: list[DiagnosticArray] = []
    robot.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 10)
    path = take.keep()
    before = len(heard)
    graph.until(lambda: len(heard) >= before + 2, lambda: heard)
    assert verify_episode(path)['/current_pose'] >= 5
    graph.until(lambda: 'ROS time has stood still for' in heard[-1].status[0].message,
                lambda: heard[-1])


def test_a_coarse_simulated_clock_is_named_in_the_warnings(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    Take(graph, robot, tmp_path, use_sim_time=True)
    clock = robot.create_publisher(Clock, '/clock', 10)
    times = count(50)
    robot.create_timer(0.1, lambda: clock.publish(Clock(clock=Time(sec=next(times)))))
    heard: list[DiagnosticStatus] = []
    robot.create_subscription(DiagnosticArray, '/diagnostics',
                              lambda array: heard.extend(array.status), 10)
    graph.until(lambda: heard and 'the shortest max_age_s, got 1.00 s' in heard[-1].message,
                lambda: heard[-1:])
    assert heard[-1].level == DiagnosticStatus.WARN


# --- what the recorder says of itself ---

def test_diagnostics_tell_state_rates_and_what_is_wrong(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    heard: list[DiagnosticStatus] = []
    robot.create_subscription(DiagnosticArray, '/diagnostics',
                              lambda array: heard.extend(array.status), 10)
    take = Take(graph, robot, tmp_path)
    graph.until(lambda: heard and heard[-1].level == DiagnosticStatus.OK, lambda: heard)
    values = {one.key: one.value for one in heard[-1].values}
    assert (heard[-1].name, heard[-1].message, values['state']) == (
        'recorder: recording', 'idle', 'idle')
    assert int(values['disk_free_mib']) > 0
    take.start()
    robot.silent.add('hand_pose')
    graph.until(lambda: heard[-1].level == DiagnosticStatus.WARN, lambda: heard[-1])
    values = {one.key: one.value for one in heard[-1].values}
    assert '/hand_pose' in heard[-1].message
    assert (values['state'], values['episode']) == ('recording', 'episode_000000')
    assert float(values['rate_hz /current_pose']) > 0
    assert {'messages', 'queued', 'dropped', 'kept'} <= set(values)


def test_recorders_of_two_arms_are_told_apart(graph: Any, robot: Any, tmp_path: Path) -> None:
    heard: set[str] = set()
    robot.create_subscription(
        DiagnosticArray, '/diagnostics',
        lambda array: heard.update(status.name for status in array.status), 10)
    for side in ('left', 'right'):
        graph.add(partial(Recorder, namespace=side), out=str(tmp_path / side))
    wanted = {'left/recorder: recording', 'right/recorder: recording'}
    graph.until(lambda: heard == wanted, lambda: heard)


def test_a_disk_without_room_starts_nothing(graph: Any, robot: Any, tmp_path: Path) -> None:
    take = Take(graph, robot, tmp_path, min_free_mib=2**40)
    take.let_rounds_pass(30)
    response = take.call('start_episode')
    assert not response.success and 'below min_free_mib' in response.message


def test_a_take_that_was_left_is_told_at_the_beginning(
        graph: Any, robot: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'episode_000000.partial').mkdir()
    (tmp_path / 'episode_000000.partial' / 'episode_000000_0.mcap').touch()
    take = Take(graph, robot, tmp_path)
    assert 'episode_000000.partial was never finished' in capfd.readouterr().err
    assert take.keep().name == 'episode_000001'


def test_a_message_package_that_is_missing_is_named(
        graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'geometry_msgs'")
    monkeypatch.setattr('uncloning_ros.nodes.raw_topics.message_class', missing)
    with pytest.raises(ContractError, match="geometry_msgs'; install it"):
        graph.add(Recorder, out=str(tmp_path))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([one.name for one in RECORDER] + ['outt']),
       value=st.one_of(st.text(st.characters(exclude_categories=['Cs', 'Cc']), max_size=30),
                       st.integers(-2**40, 2**40), st.booleans(), st.floats()))
def test_any_parameter_gives_a_node_or_a_sentence(
        graph: Any, tmp_path: Path, name: str, value: object) -> None:
    parameters = {'out': str(tmp_path / 'demos')} | {name: value}
    if name == 'out' and isinstance(value, str):
        parameters['out'] = str(tmp_path / 'demos' / value.replace('/', '_'))
    try:
        node = graph.add(Recorder, **parameters)
    except (UncloningError, ParameterException):
        return
    graph.executor.remove_node(node)
    graph._nodes.remove(node)
    node.close()


def test_definitions_written_from_classes_are_those_of_ros() -> None:
    checked = 0
    for name in typestore().types:
        try:
            message_class(name)
        except (ImportError, AttributeError, ValueError):
            continue
        text = message_text(name, message_class)
        if 'char' in typestore().generate_msgdef(name, ros_version=2)[0]:
            continue  # the IDL has no char: it comes back as a number
        own = get_typestore(Stores.EMPTY)
        own.register(get_types_from_msg(text, name))
        same = own.hash_rihs01(name) == typestore().hash_rihs01(name)
        assert same or name.startswith(('rmw_dds_common/', 'service_msgs/')), name
        checked += 1
    assert checked > 100


def test_events_are_json_and_tell_what_became_of_the_take(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    said = robot.listen('/recorder/episode_event')
    take = Take(graph, robot, tmp_path)
    path = take.keep()
    graph.until(lambda: len(said) >= 2, lambda: said)
    assert [json.loads(text)['event'] for text in said[-2:]] == ['start', 'stop']
    assert [json.loads(text) for text in said[-2:]] == [
        json.loads(text) for text in texts(path, '/recorder/episode_event')]


def test_a_crowd_of_publishers_on_one_topic_is_not_taken_for_a_loss(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    second = Node('second', context=graph.context)
    graph._nodes.append(second)
    graph.executor.add_node(second)
    topic = 'target_pose'
    kind = message_class('geometry_msgs/msg/PoseStamped')
    command = kind()
    command.header.frame_id, command.pose.orientation.w = 'panda_link0', 1.0
    for node in (robot, second):
        out = node.create_publisher(kind, topic, 10)
        node.create_timer(0.02, lambda out=out: out.publish(command))
    take = Take(graph, robot, tmp_path)
    take.let_rounds_pass(30)
    health = read_events_health(take.keep(40))
    assert health['/target_pose']['lost'] == 0
    assert health['/target_pose']['messages'] >= 40


def read_events_health(path: Path) -> dict[str, Any]:
    """Return the figures by topic that the last event of a bag carries."""
    return dict(json.loads(texts(path, '/recorder/episode_event')[-1])['health']['topics'])
