# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy that sees pictures: what it is given, on what it holds, and what people see of it."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from live_policy import CONTRACT, FAILURE, SHORT_S, FakePolicy, Live, deployed
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import Contract, ObservedTopic, Signal
from uncloning_ros.conversions import encode
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.demonstrator import DemonstratorNode
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.nodes.topics import SENSOR_QOS, message_class
from uncloning_ros.pictures import Pixels, encode_picture
from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.schema import plain

CAMERAS = {
    'sensor_msgs/msg/CompressedImage': Signal(
        'scene_camera', 'image', 'level', width=16, height=12, encoding='rgb8',
        camera_size=(32, 24)),
    'sensor_msgs/msg/Image': Signal(
        'wrist_camera', 'image', 'level', width=12, height=12, encoding='mono8',
        camera_size=(24, 24), crop=(12, 0, 12, 12))}
TRACKED = ('object_pose', 'hand_pose')


def seeing() -> Contract:
    """Return the contract with two cameras and without a tracker."""
    interface = replace(CONTRACT.interface, observations=(
        *(one for one in CONTRACT.interface.observations if one.key not in TRACKED),
        *CAMERAS.values()))
    topics = {key: topic for key, topic in CONTRACT.deployment.observations.items()
              if key not in TRACKED}
    topics |= {camera.key: ObservedTopic(f'{camera.key}/image', kind, SHORT_S,
                                         max_unchanged_s=2 * SHORT_S)
               for kind, camera in CAMERAS.items()}
    return deployed(replace(CONTRACT, interface=interface), observations=topics)


class Eyes(Node):
    """Two cameras at 50 Hz. `changes` spoil the messages of a camera; None stands for silence."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__('eyes', **node_options)
        self.count = 0
        self.frozen = False
        self.changes: dict[str, Callable[[Any], None] | None] = {}
        self._out = {camera.key: self.create_publisher(message_class(kind),
                                                       f'{camera.key}/image', SENSOR_QOS)
                     for kind, camera in CAMERAS.items()}
        self.create_timer(0.02, self._shoot, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _shoot(self) -> None:
        self.count += not self.frozen
        for kind, camera in CAMERAS.items():
            change = self.changes.get(camera.key, lambda _: None)
            if change is not None:
                message = encode(camera, kind, picture(camera, self.count),
                                 self.get_clock().now().nanoseconds, message_class)
                change(message)
                self._out[camera.key].publish(message)


def picture(camera: Signal, count: int) -> Pixels:
    """Return a camera's own picture; its left half is darker, and counts."""
    width, height = camera.view.camera_size
    pixels = np.full((height, width, camera.shape[2]), 100 + count % 100, np.uint8)
    pixels[:, :width // 2] -= 50
    return pixels


class Seer(FakePolicy):
    """The policy of these tests, which keeps the pictures that it was given."""

    def __init__(self) -> None:
        super().__init__(seeing())
        self.seen: list[Observation] = []

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        self.seen.append(observation)
        return super().__call__(observation, noise)


@pytest.fixture
def seer(load: Any) -> Seer:
    made = Seer()
    load(made)
    return made


@pytest.fixture
def eyes(graph: Any) -> Eyes:
    made: Eyes = graph.add(Eyes)
    return made


def test_the_policy_sees_the_newest_picture_of_each_camera(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live]) -> None:
    live = activate()
    live.moving()
    live.until(lambda: len(seer.seen) > 5)
    for observation in seer.seen:
        assert set(observation.pictures) == {camera.key for camera in CAMERAS.values()}
        scene, wrist = (observation.pictures[camera.key] for camera in CAMERAS.values())
        assert (scene.shape, wrist.shape) == ((12, 16, 3), (12, 12, 1))
        assert scene.dtype == wrist.dtype == np.uint8
        assert np.all(scene[:, 8:] - scene[:, :8] == 50)  # its own left half
        assert len(np.unique(wrist)) == 1  # the crop: the right half
    newest = seer.seen[-1].pictures['wrist_camera'].max()
    assert (eyes.count - (newest - 100)) % 100 < 25
    assert live.node.get_name() == 'policy'


def test_the_control_thread_and_the_executor_decode_nothing(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live],
        monkeypatch: pytest.MonkeyPatch) -> None:
    from uncloning_ros.contract import kinds

    threads: set[str] = set()

    def watched(*words: Any) -> Any:
        threads.add(threading.current_thread().name)
        return decode_picture(*words)

    decode_picture = kinds.decode_picture
    monkeypatch.setattr(kinds, 'decode_picture', watched)
    activate().moving()
    assert threads == {'decoding'}


def dark(message: Any) -> None:
    message.data = encode_picture(np.zeros((24, 32, 3), np.uint8))


def half(message: Any) -> None:
    message.data = message.data[:len(message.data) // 2]


def large(message: Any) -> None:
    message.data = encode_picture(np.full((48, 64, 3), 100, np.uint8))


def foreign(message: Any) -> None:
    message.encoding = 'yuv422'


@pytest.mark.parametrize(('key', 'change', 'reason', 'sentence'), [
    ('scene_camera', dark, 'refused_input', 'scene_camera: expected a picture, got one that is '
                                            'black'),
    ('scene_camera', half, 'refused_input', 'cannot be decoded'),
    ('scene_camera', large, 'refused_input', 'expected pictures of 32 x 24 px, got 64 x 48'),
    ('wrist_camera', half, 'refused_input', 'expected 576 bytes'),
    ('wrist_camera', foreign, 'refused_input', "got 'yuv422'"),
    ('wrist_camera', None, 'stale_input', 'wrist_camera arrived')],
    ids=['black', 'truncated', 'size', 'raw_truncated', 'encoding', 'silent'])
def test_a_bad_picture_holds_the_arm_until_a_good_one_comes(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live], key: str,
        change: Callable[[Any], None] | None, reason: str, sentence: str) -> None:
    live = activate()
    live.moving()
    eyes.changes[key] = change
    live.reach('hold', reason)
    assert sentence in live.status['sentence']
    live.commands(live.robot.values['tool_pose'][0])
    del eyes.changes[key]
    live.reach('active', 'policy')
    live.follows()


def test_a_configuration_that_fails_late_leaves_nothing_behind(graph: Any, load: Any) -> None:
    def decoding() -> int:
        return sum(thread.name == 'decoding' for thread in threading.enumerate())

    contract = seeing()
    interface = contract.interface
    *others, last = interface.observations  # no file has such a key, so this one was not read
    topics = {key.replace('wrist_camera', 'wrist-camera'): topic
              for key, topic in contract.deployment.observations.items()}
    load(FakePolicy(deployed(replace(contract, interface=replace(interface, observations=(
        *others, replace(last, key='wrist-camera')))), observations=topics)))
    before = decoding()
    node = graph.add(PolicyNode, model_path='some.onnx')
    there = len([*node.subscriptions]), len([*node.publishers])
    for _ in range(2):
        assert node.trigger_configure() is FAILURE
        assert (len([*node.subscriptions]), len([*node.publishers])) == there
        assert decoding() == before


def test_the_same_picture_again_and_again_holds_the_arm(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live]) -> None:
    live = activate()
    live.moving()
    eyes.frozen = True
    live.reach('hold', 'unchanged_input')
    assert '_camera has repeated the same picture' in live.status['sentence']
    eyes.frozen = False
    live.reach('active', 'policy')


def test_the_arm_waits_for_a_camera_that_never_came(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live]) -> None:
    eyes.changes['wrist_camera'] = None
    live = activate()
    live.until(lambda: 'wrist_camera' in live.status['sentence'])
    assert (live.status['state'], live.status['reason']) == ('waiting', 'missing_input')
    assert 'once every input is fresh' in live.call('start').message
    live.let_rounds_pass(50)
    assert live.status['state'] == 'waiting' and not live.poses
    del eyes.changes['wrist_camera']
    live.reach('active', 'policy')


def test_a_defect_in_decoding_holds_the_arm(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live],
        monkeypatch: pytest.MonkeyPatch) -> None:
    from uncloning_ros.contract import kinds

    live = activate()
    live.moving()

    def defective(*_: Any) -> Pixels:
        raise ZeroDivisionError('no such luck')

    with monkeypatch.context() as patched:
        patched.setattr(kinds, 'decode_picture', defective)
        live.reach('hold', 'refused_input')
        assert 'scene_camera: ZeroDivisionError: no such luck' in live.status['sentence']
    live.reach('active', 'policy')


def test_no_thread_of_decoding_is_left_after_cleanup(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live]) -> None:
    live = activate()
    live.moving()

    def decoding() -> int:
        return sum(thread.name == 'decoding' for thread in threading.enumerate())

    before = decoding()
    live.node.trigger_deactivate()
    live.node.trigger_cleanup()
    assert decoding() == before - 1 == 0


def test_people_see_the_picture_with_the_plan_beside_it_and_no_tool_or_hand(
        seer: Seer, eyes: Eyes, activate: Callable[..., Live]) -> None:
    live = activate()
    live.moving()
    shown: list[Image] = []
    arrays: list[MarkerArray] = []
    live.robot.create_subscription(Image, '/policy/debug_picture/scene_camera', shown.append, 1)
    live.robot.create_subscription(MarkerArray, '/policy/markers', arrays.append, 1)
    live.until(lambda: shown and arrays)
    assert shown[-1].encoding == 'rgb8'
    assert (shown[-1].height, shown[-1].width) == (288, 384 + 192)
    assert [marker.action for marker in arrays[-1].markers] == [
        Marker.ADD, Marker.DELETE, Marker.DELETE]


def test_the_demonstrator_says_who_makes_demonstrations_with_pictures_alone(
        graph: Any, tmp_path: Any) -> None:
    import yaml

    path = tmp_path / 'contract.yaml'
    path.write_text(yaml.safe_dump(plain(seeing())))
    with pytest.raises(ContractError, match='no object_pose and no hand_pose.*uncloning demos'):
        graph.add(DemonstratorNode, contract_path=str(path))
