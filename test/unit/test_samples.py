# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One reader of messages: arm and gripper on one topic, refused ones, stamps, transforms."""

from dataclasses import replace
from typing import Any

import foreign_bags
import numpy as np

from uncloning_ros.contract import ObservedTopic, Signal, Topic
from uncloning_ros.contract.messages import ARRAY, JOINT_STATE, TRANSFORMS
from uncloning_ros.conversions import Sample
from uncloning_ros.samples import SampleReader

ARM = Signal('arm', 'joint_positions', 'rad', names=('a', 'b'))
WIDTH = Signal('width', 'gripper_width', 'm', names=('left', 'right'))
SOURCE = ObservedTopic('joint_states', JOINT_STATE, 0.1)


def joints(stamp_ns: int = 5, **positions: float) -> Any:
    return foreign_bags.build(JOINT_STATE, header=foreign_bags.header(stamp_ns),
                              name=list(positions), position=np.array([*positions.values()]),
                              velocity=np.zeros(0), effort=np.zeros(0))


def reader(source: ObservedTopic = SOURCE) -> SampleReader:
    return SampleReader({'joint_states': [(ARM, source), (WIDTH, source)]})


def read(one: SampleReader, message: Any, topic: str = 'joint_states') -> dict[str, Any]:
    return dict(one.read(topic, message, 7, 9))


def test_a_message_gives_samples_of_the_signals_that_it_names_and_of_no_others() -> None:
    one = reader()
    assert read(one, joints()) == {}
    assert read(one, joints(b=2.0, a=1.0))['arm'].values.tolist() == [1.0, 2.0]
    assert one.others.keys() == {'arm', 'width'}
    assert read(one, joints(left=0.01, right=0.02)).keys() == {'width'}
    assert read(one, joints(a=1.0, b=2.0, left=0.01, right=0.02)).keys() == {'arm', 'width'}


def test_a_message_that_names_some_joints_is_refused_for_their_signal_alone() -> None:
    found = read(reader(), joints(a=1.0, left=0.01, right=0.02))
    assert 'missing b' in str(found['arm']) and isinstance(found['width'], Sample)


def test_a_signal_that_no_message_names_is_told_with_the_names_of_both() -> None:
    one = reader()
    assert one.missing(WIDTH, SOURCE) == ''
    read(one, joints(finger=0.1))
    assert 'expected the joints left, right, got finger' in one.missing(WIDTH, SOURCE)


def test_the_stamp_of_an_observation_is_its_header_s_or_its_arrival() -> None:
    message = joints(left=0.01, right=0.02)
    assert read(reader(), message)['width'].stamp_ns == 5
    assert read(reader(replace(SOURCE, stamped=False)), message)['width'].stamp_ns == 9
    bare = read(reader(), joints(stamp_ns=0, left=0.01, right=0.02))['width']
    assert 'width: expected a time stamp, got none' in str(bare)
    assert 'stamped: false for width' in str(bare)


def test_a_command_needs_no_stamp() -> None:
    layout = foreign_bags.build('std_msgs/msg/MultiArrayLayout', dim=[], data_offset=0)
    message = foreign_bags.build(ARRAY, layout=layout, data=np.array([0.04]))
    one = SampleReader({'command': [(WIDTH, Topic('command', ARRAY))]})
    [(key, sample)] = one.read('command', message, 7, 9)
    assert key == 'width' and isinstance(sample, Sample)
    assert (sample.values.tolist(), sample.stamp_ns, sample.receive_ns) == ([0.04], 7, 7)


def test_transforms_give_a_pose_once_their_chain_is_whole() -> None:
    hand = Signal('hand', 'pose', 'm', frame='base')
    source = ObservedTopic('tf', TRANSFORMS, 0.1, child_frame='palm')
    one = SampleReader({'tf': [(hand, source)]})
    pose = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert one.static_topics == {'tf_static'}
    moving = foreign_bags.tf_message(foreign_bags.transform('arm', 'palm', pose, 5))
    assert read(one, moving, 'tf') == {}
    assert 'hand: no transform' in one.missing(hand, source)
    fixed = foreign_bags.tf_message(foreign_bags.transform('base', 'arm', pose, 0))
    sample = read(one, fixed, 'tf_static')['hand']
    assert sample.values[0] == 2.0 and sample.stamp_ns == 5
