# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recorder decodes few pictures, and still finds the bad ones."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import numpy as np
import pytest
import seeing
from foreign_bags import STORE, Message
from PIL import Image
from test_one_judge import alive, judged

from uncloning_ros import conversions
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.recording import glances
from uncloning_ros.demos.recording.gate import StartGate
from uncloning_ros.errors import UncloningError

SCENE, WRIST = '/scene_camera/image', '/wrist_camera/image'
# Of 60 pictures in 3 s: between two that are decoded because of their time.
ONE = 33
Change = Callable[[Any], None]


def take() -> list[Message]:
    """Return the messages of a handover with pictures in which all is alive."""
    samples = {**alive(), **{key: found for key, found in seeing.handover().items()
                             if key in {one.key for one in seeing.CAMERAS}}}
    return foreign_bags.messages_of(samples, seeing.CONTRACT)


def changed(topic: str, change: Change, numbers: Any) -> list[Message]:
    """Return such messages, with some of a topic changed."""
    found, met = [], -1
    for one in take():
        if one.topic == topic:
            met += 1
            if met in numbers:
                message = STORE.deserialize_cdr(one.data, one.type)
                change(message)
                one = one._replace(data=foreign_bags.serialised(message, one.type))
        found.append(one)
    return found


def encoded(pixels: Any, form: str = 'PNG') -> Any:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def truncated(message: Any) -> None:
    message.data = message.data[:-25]


def truncated_and_filled(message: Any) -> None:
    message.data = np.concatenate([message.data[:-20], np.zeros(20, np.uint8)])


def of_another_size(message: Any) -> None:
    message.data = encoded(np.full((14, 16, 3), 90, np.uint8))


def grey(message: Any) -> None:
    message.data = encoded(np.arange(192, dtype=np.uint8).reshape(12, 16))


def black(message: Any) -> None:
    message.data = encoded(np.zeros((12, 16, 3), np.uint8))


def nothing(message: Any) -> None:
    message.data = message.data[:0]


def short(message: Any) -> None:
    message.data = message.data[:-1]


def narrow(message: Any) -> None:
    message.width -= 1


def in_odd_colours(message: Any) -> None:
    message.encoding = 'yuv422'


def covered(message: Any) -> None:
    message.data = message.data // 60


def saturated(message: Any) -> None:
    message.data = message.data // 60 + 250


FAULTS = [(SCENE, truncated), (SCENE, truncated_and_filled), (SCENE, of_another_size),
          (SCENE, grey), (SCENE, black), (SCENE, nothing), (WRIST, short), (WRIST, narrow),
          (WRIST, in_odd_colours), (WRIST, covered), (WRIST, saturated)]


def test_a_take_with_pictures_is_good_and_few_of_them_were_decoded(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []

    def counting(signal: Any, message: Any, receive_ns: int) -> Any:
        decoded.append(signal.key)
        return conversions.decode(signal, message, receive_ns)

    monkeypatch.setattr(glances, 'decode', counting)
    health = judged(take(), seeing.CONTRACT)
    assert health.sentence() == 'good'
    assert health.topics[SCENE]['messages'] == 60
    # max_unchanged_s is 0.3 s: every 0.15 s, and the last.
    assert 20 <= decoded.count('scene_camera') <= 22
    path = foreign_bags.write(tmp_path / 'bag', take(), 'mcap')
    assert len(align(read_episode(path, seeing.CONTRACT), seeing.CONTRACT).ticks_ns) > 20


@pytest.mark.parametrize(('topic', 'change'), FAULTS)
@pytest.mark.parametrize('numbers', [{ONE}, {0}, {59}])
def test_gate_verdict_and_dataset_refuse_a_picture_with_the_same_sentence(
        topic: str, change: Change, numbers: set[int], tmp_path: Path) -> None:
    messages = changed(topic, change, numbers)
    path = foreign_bags.write(tmp_path / 'bag', messages, 'mcap')
    with pytest.raises(UncloningError) as refused:
        read_episode(path, seeing.CONTRACT)
    sentence = str(refused.value).partition(' s: ')[2]
    assert sentence.startswith(topic.split('/')[1])
    [finding] = [one for one in judged(messages, seeing.CONTRACT).findings
                 if one.kind == 'refused']
    assert finding.topic == topic and sentence in finding.text
    if numbers == {59}:
        return  # the gate may not have looked into the newest one yet
    gate, said = StartGate(seeing.CONTRACT), set()
    for one in messages:
        assert set(gate.see(one.topic, one.data, one.receive_ns)) <= gate.names
        said.update(gate.refusals(one.receive_ns))
    assert sentence in said


def test_a_camera_that_hangs_is_frozen_after_the_time_of_the_contract() -> None:
    samples = seeing.handover()
    scene = samples['scene_camera']
    for still, frozen in ((6, False), (9, True)):
        held = [replace(one, values=scene[30].values) if 30 <= i < 30 + still else one
                for i, one in enumerate(scene)]
        pictures = {'scene_camera': held, 'wrist_camera': samples['wrist_camera']}
        messages = foreign_bags.messages_of({**alive(), **pictures}, seeing.CONTRACT)
        findings = judged(messages, seeing.CONTRACT).findings
        assert [one.kind for one in findings] == (['frozen'] if frozen else []), still
        assert not frozen or 'same picture for 0.40 s (max_unchanged_s 0.3)' in findings[0].text


@pytest.mark.parametrize('begin', range(30, 34))  # every third picture is decoded
def test_a_camera_that_hangs_is_frozen_whichever_of_its_pictures_are_decoded(
        begin: int, tmp_path: Path) -> None:
    samples = seeing.handover()
    for still, frozen in ((6, False), (8, True), (11, True)):  # 8 pictures last 0.35 s
        held = {key: [replace(one, values=samples[key][begin].values)
                      if begin <= i < begin + still else one
                      for i, one in enumerate(samples[key])] for key in (
                          'scene_camera', 'wrist_camera')}
        messages = foreign_bags.messages_of({**alive(), **held}, seeing.CONTRACT)
        findings = judged(messages, seeing.CONTRACT).findings
        assert [one.kind for one in findings] == (['frozen'] * 2 if frozen else []), still
        path = foreign_bags.write(tmp_path / f'bag{still}', messages, 'mcap')
        if still == 11:
            with pytest.raises(UncloningError, match='has repeated'):
                align(read_episode(path, seeing.CONTRACT), seeing.CONTRACT)


def test_another_encoding_in_a_take_is_a_finding() -> None:
    def as_jpeg(message: Any) -> None:
        with Image.open(io.BytesIO(message.data.tobytes())) as image:
            message.data = encoded(np.asarray(image), 'JPEG')

    def in_colour(message: Any) -> None:
        message.encoding, message.step = 'rgb8', 36
        message.data = np.repeat(message.data, 3)

    for topic, change, said in ((SCENE, as_jpeg, 'from PNG RGB to JPEG RGB'),
                                (WRIST, in_colour, 'from mono8 to rgb8')):
        health = judged(changed(topic, change, range(30, 60)), seeing.CONTRACT)
        [finding] = [one for one in health.findings if one.kind == 'encoding']
        assert finding.topic == topic and said in finding.text


def test_a_clock_that_goes_back_does_not_stop_the_looks() -> None:
    looks = glances.Glances(seeing.CONTRACT)
    signal = seeing.CAMERAS[1]
    good, bad = (conversions.encode(signal, 'sensor_msgs/msg/Image', pixels, episodes.BEGIN_NS,
                                    STORE.types.__getitem__)
                 for pixels in (seeing.picture(signal, 1), seeing.picture(signal, 2)))
    looks.decode(signal, good, 10**12)
    assert looks.decode(signal, bad, 10**9).values.tolist() == seeing.picture(signal, 2).tolist()
