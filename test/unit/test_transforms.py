# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of transforms: chains are composed right, and what is wrong with them is named."""

import math
import re
from dataclasses import replace
from typing import Any

import episodes
import numpy as np
import pytest
from foreign_bags import eye, tf_message, transform
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import ObservedTopic
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    position_of,
    rotation_from_quaternion,
    rotation_of,
)
from uncloning_ros.transforms import TransformTree, static_topic

HAND = next(s for s in episodes.CONTRACT.interface.observations if s.key == 'hand_pose')
BASE = HAND.frame
TOPIC = ObservedTopic('tf', 'tf2_msgs/msg/TFMessage', 0.1, child_frame='hand')


def tree(*links: tuple[str, str, Array, int], static: tuple[str, ...] = ()) -> TransformTree:
    """Return a tree of (parent, child, pose, stamp); the children in `static` are static."""
    made = TransformTree()
    for parent, child, pose, stamp_ns in links:
        made.add(tf_message(transform(parent, child, pose, stamp_ns)), child in static)
    return made


def matrix(pose: Array) -> Array:
    made = np.eye(4)
    made[:3, :3], made[:3, 3] = rotation_of(pose), position_of(pose)
    return made


quaternions = st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(
    lambda q: sum(x * x for x in q) > 0.01).map(lambda q: np.array(q) / np.linalg.norm(q))
positions = st.tuples(*[st.floats(-2.0, 2.0)] * 3)
poses = st.builds(lambda p, q: pose_from_parts(p, rotation_from_quaternion(q)), positions,
                  quaternions)


@settings(deadline=None)
@given(st.lists(poses, min_size=0, max_size=4), st.lists(poses, min_size=1, max_size=4))
def test_a_chain_is_the_product_of_its_links(up: list[Array], down: list[Array]) -> None:
    """From the common root `world` lead `up` to the base and `down` to the hand."""
    made = TransformTree()
    frames = ['world', *(f'u{i}' for i in range(len(up)))]
    for parent, child, pose in zip(frames, frames[1:], up, strict=False):
        made.add(tf_message(transform(parent, child, pose, 5)), static=False)
    base = frames[-1]
    frames = ['world', *(f'd{i}' for i in range(len(down)))]
    for parent, child, pose in zip(frames, frames[1:], down, strict=False):
        made.add(tf_message(transform(parent, child, pose, 5)), static=False)
    found = made.pose(base, frames[-1])
    to_base, to_hand = np.eye(4), np.eye(4)
    for pose in up:
        to_base = to_base @ matrix(pose)
    for pose in down:
        to_hand = to_hand @ matrix(pose)
    expected = np.linalg.inv(to_base) @ to_hand
    np.testing.assert_allclose(found.position, expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(rotation_from_quaternion(found.quaternion), expected[:3, :3],
                               atol=1e-9)
    assert math.isclose(np.linalg.norm(found.quaternion), 1.0, abs_tol=1e-9)


def test_a_chain_is_as_old_as_the_oldest_link_that_moves() -> None:
    made = tree((BASE, 'mast', eye(z=1.0), 3), ('mast', 'camera', eye(), 70),
                ('camera', 'hand', eye(x=1.0), 90), static=('mast',))
    found = made.pose(BASE, 'hand')
    assert (found.position, found.stamp_ns) == ((1.0, 0.0, 1.0), 70)
    assert made.pose(BASE, 'mast').stamp_ns is None


def test_the_newest_arrival_of_a_link_counts_and_a_new_parent_too() -> None:
    made = tree((BASE, 'hand', eye(x=1.0), 70), (BASE, 'hand', eye(x=2.0), 60))
    assert made.pose(BASE, 'hand').position == (2.0, 0.0, 0.0)
    made.add(tf_message(transform(BASE, 'camera', eye(y=1.0), 80),
                        transform('camera', 'hand', eye(y=1.0), 80)), static=False)
    assert made.pose(BASE, 'hand').position == (0.0, 2.0, 0.0)


def sample(made: TransformTree, placed: set[str], topic: ObservedTopic = TOPIC) -> Any:
    return made.sample(HAND, topic, placed, 1000, 990)


def test_any_link_of_the_chain_brings_a_sample_and_others_do_not() -> None:
    made = tree((BASE, 'camera', eye(), 50), ('camera', 'hand', eye(x=0.5), 60),
                ('camera', 'other_hand', eye(), 70), static=('camera',))
    assert sample(made, {'other_hand'}) is None
    for frame in ('camera', 'hand'):
        found = sample(made, {frame, 'other_hand'})
        assert (found.stamp_ns, found.receive_ns) == (60, 1000)
        np.testing.assert_allclose(found.values, eye(x=0.5))


def test_there_is_no_sample_before_the_chain_is_whole() -> None:
    made = tree(('camera', 'hand', eye(), 60))
    assert sample(made, {'hand'}) is None
    placed = made.add(tf_message(transform(BASE, 'camera', eye(), 50)), static=True)
    assert sample(made, set(placed)) is not None


def test_arrival_stands_in_where_nothing_moves_or_stamps_mean_nothing() -> None:
    still = tree((BASE, 'hand', eye(), 60), static=('hand',))
    assert sample(still, {'hand'}).stamp_ns == 990
    made = tree((BASE, 'hand', eye(), 60))
    assert sample(made, {'hand'}, replace(TOPIC, stamped=False)).stamp_ns == 990


def test_a_stamp_of_zero_is_refused_with_the_remedy() -> None:
    made = tree((BASE, 'hand', eye(), 0))
    with pytest.raises(ContractError, match='hand_pose: .*stamp.*set stamped: false'):
        sample(made, {'hand'})


@pytest.mark.parametrize(('links', 'sentence'), [
    ([], "no transform names frame 'hand'"),
    ([('camera', 'hnad')], "no transform names frame 'hand' .did you mean 'hnad'"),
    ([('camera', 'hand')], f"no transform names frame '{BASE}'"),
    ([('camera', 'hand'), ('world', BASE)],
     f"'world' .*'{BASE}'.* 'camera' .*'hand'"),
])
def test_the_missing_link_is_named(links: list[tuple[str, str]], sentence: str) -> None:
    made = tree(*((parent, child, eye(), 5) for parent, child in links))
    assert re.search(sentence, made.missing(BASE, 'hand'))
    with pytest.raises(ContractError, match=sentence):
        made.pose(BASE, 'hand')


def test_a_whole_chain_misses_nothing() -> None:
    assert tree((BASE, 'hand', eye(), 5)).missing(BASE, 'hand') == ''


def test_a_circle_is_refused_and_named() -> None:
    made = tree(('b', 'hand', eye(), 5), ('hand', 'b', eye(), 5))
    with pytest.raises(ContractError, match='circle hand -> b -> hand'):
        made.pose(BASE, 'hand')
    # A circle stops no pose outside it.
    made.add(tf_message(transform(BASE, 'object', eye(x=3.0), 5)), static=False)
    assert made.pose(BASE, 'object').position == (3.0, 0.0, 0.0)


@pytest.mark.parametrize(('change', 'sentence'), [
    (('translation', 'x', math.nan), "from 'panda_link0' to 'hand': .*nan"),
    (('translation', 'y', 1e9), ' 10000, .*1000000000'),
    (('rotation', 'w', 0.0), 'quaternion of length 1, got 0'),
    (('rotation', 'z', math.inf), 'inf'),
])
def test_values_that_are_no_transform_are_refused_where_they_are_needed(
        change: tuple[str, str, float], sentence: str) -> None:
    bad = transform(BASE, 'hand', eye(), 5)
    part, axis, value = change
    setattr(getattr(bad.transform, part), axis, value)
    made = TransformTree()
    placed = made.add(tf_message(bad, transform(BASE, 'object', eye(), 5)), static=False)
    assert placed == {'hand', 'object'}
    with pytest.raises(ContractError, match=sentence):
        sample(made, {'hand'})
    assert made.pose(BASE, 'object').position == (0.0, 0.0, 0.0)


def test_static_transforms_have_a_topic_of_their_own() -> None:
    assert static_topic('/tf') == '/tf_static'
