# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Takes with large pictures: kept whole, and whole up to the end after a crash or a full disk."""

import io
from dataclasses import replace
from pathlib import Path

import foreign_bags
import numpy as np
import pytest
import seeing
from disks import SmallDisk
from foreign_bags import Message
from PIL import Image
from test_one_judge import alive

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.messages import BagContents, Query
from uncloning_ros.demos.bags.reader import raw_messages, read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.recording.recovery import recover
from uncloning_ros.demos.recording.session import RecordingSession

CAMERA = replace(seeing.CAMERAS[0], camera_size=(320, 240), crop=(40, 0, 240, 240))


def _contract() -> Contract:
    interface = seeing.CONTRACT.interface
    return replace(seeing.CONTRACT, interface=replace(
        interface, observations=(*interface.observations[:-2], CAMERA, seeing.CAMERAS[1])))


CONTRACT = _contract()
SCENE = '/scene_camera/image'


@pytest.fixture(scope='module')
def messages() -> list[Message]:
    """A handover with JPEGs of 320 x 240 px, of 40 kB each."""
    samples = seeing.handover()
    rng = np.random.default_rng(0)
    small = foreign_bags.messages_of({**alive(), 'wrist_camera': samples['wrist_camera']},
                                     CONTRACT)
    found = []
    for one in samples['scene_camera']:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(30, 220, (240, 320, 3), dtype=np.uint8)).save(
            buffer, 'JPEG', quality=75)
        message = foreign_bags.build(
            'sensor_msgs/msg/CompressedImage', header=foreign_bags.header(one.stamp_ns),
            format='jpeg', data=np.frombuffer(buffer.getvalue(), np.uint8))
        found.append(Message(one.receive_ns, SCENE, 'sensor_msgs/msg/CompressedImage',
                             foreign_bags.serialised(message, 'sensor_msgs/msg/CompressedImage')))
    return sorted([*small, *found], key=lambda one: one.receive_ns)


def started(out: Path, messages: list[Message]) -> RecordingSession:
    session = RecordingSession(out, CONTRACT, 'tuesday', 'Ada', 'handle_first', 0, 2**27,
                               tell=lambda _: None, free_bytes=lambda: 2**40)
    session.start(messages[0].receive_ns, {}, (), (), {}, {})
    return session


def recorded(path: Path) -> list[tuple[str, int, bytes]]:
    topics = frozenset(f'/{topic.topic}' for topic in (
        *CONTRACT.deployment.observations.values(), *CONTRACT.deployment.actions.values()))
    return [(raw.topic, raw.receive_ns, raw.data)
            for raw in raw_messages(read_info(path), Query(topics), BagContents())]


def test_every_picture_is_in_the_bag_byte_for_byte(tmp_path: Path,
                                                   messages: list[Message]) -> None:
    session = started(tmp_path, messages)
    for one in messages:
        session.put(one.topic, one.data, one.receive_ns, one.receive_ns)
    answer = session.stop(messages[-1].receive_ns, {})
    assert answer.endswith(': good')
    path = tmp_path / 'episode_000000'
    assert recorded(path) == [(one.topic, one.receive_ns, one.data) for one in messages]
    assert len(align(read_episode(path), CONTRACT).pictures['scene_camera']) > 20


@pytest.mark.parametrize('room', [300_000, 1_000_000, 1_500_000])
def test_a_disk_that_gets_full_in_the_middle_of_pictures_costs_none_before(
        tmp_path: Path, messages: list[Message], room: int,
        monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(len(one.data) for one in messages) > 2_000_000
    with monkeypatch.context() as patch:
        disk = SmallDisk(patch)
        session = started(tmp_path, messages)
        disk.room = room
        for one in messages:
            session.put(one.topic, one.data, one.receive_ns, one.receive_ns)
        thread = session.thread
        assert thread is not None
        thread._ending.set()
        thread._thread.join()
        sentence = session.check(messages[-1].receive_ns, {})
    assert sentence is not None and 'uncloning recover' in sentence
    [outcome] = recover(tmp_path)
    assert outcome.kind == 'finished'
    found = recorded(tmp_path / 'episode_000000')
    whole = [(one.topic, one.receive_ns, one.data) for one in messages]
    assert found == whole[:len(found)]
    # At most the last chunk is lost: a picture beyond 192 KiB.
    assert sum(len(data) for _, _, data in found) > room - 300_000


def test_a_killed_recorder_loses_no_picture_that_was_synced(
        tmp_path: Path, messages: list[Message]) -> None:
    session = started(tmp_path, messages)
    half = len(messages) // 2
    for one in messages[:half]:
        session.put(one.topic, one.data, one.receive_ns, one.receive_ns)
    thread = session.thread
    assert thread is not None
    thread._ending.set()
    thread._thread.join()  # it has synced all of them
    thread.writer._file._file.close()  # as the end of its process does
    [outcome] = recover(tmp_path)
    assert outcome.kind == 'finished'
    path = tmp_path / 'episode_000000'
    assert recorded(path) == [(one.topic, one.receive_ns, one.data) for one in messages[:half]]
    assert len(read_episode(path).samples['scene_camera']) > 20
