# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back, with the message classes of a bag reader: no ROS is needed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from inputs import CONTRACT
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import Signal
from uncloning_ros.contract.messages import JOINT_TRAJECTORY
from uncloning_ros.conversions import (
    TRAJECTORY_STOP_S,
    Sample,
    decode,
    encode,
    encode_trajectory,
    flat_observation,
)
from uncloning_ros.errors import ContractError, OtherJointsError
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    rotation_about_z,
    rotation_from_quaternion,
)

STORE = get_typestore(Stores.ROS2_JAZZY)
POSE, WIDTH, _, _, FORCE = CONTRACT.interface.observations
TARGET_WIDTH = CONTRACT.interface.actions[1]
JOINTS = Signal('joints', 'joint_positions', 'rad', names=('a', 'b', 'c'))

POSE_TYPE = 'geometry_msgs/msg/PoseStamped'
JOINT_TYPE = 'sensor_msgs/msg/JointState'
FORCE_TYPE = 'geometry_msgs/msg/WrenchStamped'
ARRAY_TYPE = 'std_msgs/msg/Float64MultiArray'

finite = st.floats(-10.0, 10.0)


def message_of(signal: Signal, type_name: str, values: Any, stamp_ns: int = 0) -> Any:
    return encode(signal, type_name, values, stamp_ns, STORE.types.__getitem__)


def over_the_wire(message: Any) -> Any:
    """Return the message as it comes out of a bag."""
    name = message.__msgtype__
    return STORE.deserialize_cdr(STORE.serialize_cdr(message, name), name)


def pose_message() -> Any:
    return message_of(POSE, POSE_TYPE, pose_from_parts([0.1, 0.2, 0.3], np.eye(3)))


def joint_message(names: tuple[str, ...], positions: list[float]) -> Any:
    empty = np.zeros(0)
    header = pose_message().header
    header.frame_id = ''
    return STORE.types[JOINT_TYPE](header=header, name=list(names),
                                   position=np.array(positions), velocity=empty, effort=empty)


@given(arrays(np.float64, 3, elements=finite),
       arrays(np.float64, 4, elements=st.floats(0.1, 1.0)), st.integers(1, 2**31 * 10**9 - 1))
def test_pose_survives_the_wire(position: Array, quaternion: Array, stamp_ns: int) -> None:
    rotation = rotation_from_quaternion(quaternion / np.linalg.norm(quaternion))
    values = pose_from_parts(position, rotation)
    sample = decode(POSE, over_the_wire(message_of(POSE, POSE_TYPE, values, stamp_ns)), 7)
    np.testing.assert_allclose(sample.values, values, atol=1e-9)
    assert (sample.stamp_ns, sample.receive_ns) == (stamp_ns, 7)


@given(arrays(np.float64, 3, elements=finite))
def test_joints_force_and_arrays_survive_the_wire(values: Array) -> None:
    for signal, type_name in ((JOINTS, JOINT_TYPE), (JOINTS, ARRAY_TYPE), (FORCE, FORCE_TYPE)):
        sample = decode(signal, over_the_wire(message_of(signal, type_name, values)), 7)
        np.testing.assert_array_equal(sample.values, values)


@given(st.floats(0.0, 0.1))
def test_width_is_the_sum_of_the_fingers(width: float) -> None:
    message = over_the_wire(message_of(WIDTH, JOINT_TYPE, [width]))
    assert message.position.tolist() == [width / 2, width / 2]
    assert decode(WIDTH, message, 0).values == pytest.approx([width])
    command = over_the_wire(message_of(TARGET_WIDTH, ARRAY_TYPE, [width]))
    assert decode(TARGET_WIDTH, command, 0).values == pytest.approx([width])


def test_target_pose_that_is_not_orthonormal_is_sent_as_a_unit_quaternion() -> None:
    values = pose_from_parts([0, 0, 0], 1.7 * rotation_about_z(0.3))
    sample = decode(POSE, message_of(POSE, POSE_TYPE, values), 0)
    np.testing.assert_allclose(sample.values, pose_from_parts([0, 0, 0], rotation_about_z(0.3)),
                               atol=1e-12)


def test_joints_are_matched_by_name_and_others_ignored() -> None:
    message = joint_message(('x', 'c', 'a', 'b'), [9.0, 3.0, 1.0, 2.0])
    assert decode(JOINTS, message, 0).values.tolist() == [1.0, 2.0, 3.0]


def test_missing_joint_is_named_and_never_zero() -> None:
    with pytest.raises(ContractError, match='joints: .*missing a, c'):
        decode(JOINTS, joint_message(('b', 'd'), [1.0, 2.0]), 0)


@pytest.mark.parametrize('names', [(), ('x',), ('x', 'y', 'z')])
def test_a_message_that_names_no_joint_of_a_signal_is_about_others(names: tuple[str, ...]) -> None:
    with pytest.raises(OtherJointsError) as caught:
        decode(JOINTS, joint_message(names, [0.0] * len(names)), 0)
    said = str(caught.value)
    assert 'expected the joints a, b, c' in said and f'got {", ".join(names) or "none"};' in said


def test_names_of_a_message_are_shown_in_one_short_line() -> None:
    names = ('x' * 5000, 'two\nlines', '', *(f'other_{i}' for i in range(30)))
    with pytest.raises(OtherJointsError, match=r"'x{60,}\.\.\., 'two\\nlines', '', other_0, .*, "
                                               r'other_12 and 17 more; ') as caught:
        decode(JOINTS, joint_message(names, [0.0] * len(names)), 0)
    assert len(str(caught.value)) < 500


def test_a_foreign_frame_of_any_length_is_shown_in_short() -> None:
    message = pose_message()
    message.header.frame_id = 'x' * 5000
    with pytest.raises(ContractError, match='expected frame .*, got .x{60,}') as caught:
        decode(POSE, message, 0)
    assert len(str(caught.value)) < 500


def test_joint_state_with_fewer_positions_than_names_is_refused() -> None:
    with pytest.raises(ContractError, match='joints: .* 3 .* 2'):
        decode(JOINTS, joint_message(('a', 'b', 'c'), [1.0, 2.0]), 0)


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ContractError, match='joints: .*finite.*(nan|inf)'):
        decode(JOINTS, joint_message(('a', 'b', 'c'), [0.0, bad, 0.0]), 0)
    for part in ('position', 'orientation'):
        message = pose_message()
        getattr(message.pose, part).y = bad
        with pytest.raises(ContractError, match='tool_pose: .*(nan|inf)'):
            decode(POSE, message, 0)
    force = message_of(FORCE, FORCE_TYPE, [0.0, 0.0, bad])
    with pytest.raises(ContractError, match='wrist_force: .*(nan|inf)'):
        decode(FORCE, force, 0)


@pytest.mark.parametrize('huge', [1.1e4, 1e30, -1e308])
def test_finite_values_beyond_anything_physical_are_refused(huge: float) -> None:
    with pytest.raises(ContractError, match='joints: .* -100 to 100 rad'):
        decode(JOINTS, joint_message(('a', 'b', 'c'), [0.0, huge, 0.0]), 0)
    with pytest.raises(ContractError, match='gripper_width: .* -1 to 1 m'):
        decode(WIDTH, joint_message(WIDTH.names, [huge, -huge]), 0)
    message = pose_message()
    message.pose.position.y = huge
    with pytest.raises(ContractError, match='tool_pose: .* -10000 to 10000 m'):
        decode(POSE, message, 0)
    with pytest.raises(ContractError, match='wrist_force: .* -10000 to 10000 N'):
        decode(FORCE, message_of(FORCE, FORCE_TYPE, [0.0, 0.0, huge]), 0)


@pytest.mark.parametrize(('signal', 'type_name', 'values', 'believed'), [
    (WIDTH, JOINT_TYPE, [-0.049], True), (WIDTH, JOINT_TYPE, [0.999], True),
    (WIDTH, JOINT_TYPE, [-0.051], False), (WIDTH, JOINT_TYPE, [1.001], False),
    (WIDTH, JOINT_TYPE, [-10.0], False), (WIDTH, JOINT_TYPE, [40.0], False),
    (TARGET_WIDTH, ARRAY_TYPE, [0.08], True), (TARGET_WIDTH, ARRAY_TYPE, [85.0], False),
    (JOINTS, JOINT_TYPE, [99.0, -99.0, 0.0], True), (JOINTS, JOINT_TYPE, [0.0, 0.0, 101.0], False),
    (JOINTS, ARRAY_TYPE, [-135.0, 0.0, 0.0], False)])
def test_what_no_gripper_or_joint_can_have_is_refused_with_its_span_and_unit(
        signal: Signal, type_name: str, values: list[float], believed: bool) -> None:
    message = message_of(signal, type_name, values)
    if believed:
        assert decode(signal, message, 0).values == pytest.approx(values)
        return
    with pytest.raises(ContractError, match=f'{signal.key}: .* to .* {signal.unit}'):
        decode(signal, message, 0)


def test_fingers_may_be_measured_in_opposite_directions() -> None:
    message = joint_message(WIDTH.names, [0.06, -0.02])
    assert decode(WIDTH, message, 0).values == pytest.approx([0.04])


def test_a_joint_that_is_named_twice_is_refused() -> None:
    message = joint_message(('a', 'b', 'c', 'b'), [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ContractError, match='joints: .* b '):
        decode(JOINTS, message, 0)
    others = joint_message(('a', 'x', 'b', 'c', 'x'), [1.0, 8.0, 2.0, 3.0, 9.0])
    assert decode(JOINTS, others, 0).values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(('signal', 'type_name', 'values'), [
    (POSE, POSE_TYPE, pose_from_parts([0, 0, 0], np.eye(3))), (FORCE, FORCE_TYPE, np.zeros(3))])
def test_foreign_frame_is_refused(signal: Signal, type_name: str, values: Array) -> None:
    message = message_of(signal, type_name, values)
    message.header.frame_id = 'camera'
    with pytest.raises(ContractError, match=f"{signal.key}: .*'panda_link0'.*'camera'"):
        decode(signal, message, 0)


def test_empty_orientation_is_refused() -> None:
    message = pose_message()
    message.pose.orientation.w = 0.0
    with pytest.raises(ContractError, match='tool_pose: .*quaternion'):
        decode(POSE, message, 0)


def test_array_of_a_wrong_length_is_refused_both_ways() -> None:
    message = message_of(JOINTS, ARRAY_TYPE, [1.0, 2.0, 3.0])
    message.data = np.zeros(4)
    with pytest.raises(ContractError, match='joints: .*3 .*4'):
        decode(JOINTS, message, 0)
    with pytest.raises(ContractError, match='joints: .*3 .*2'):
        message_of(JOINTS, ARRAY_TYPE, [1.0, 2.0])


def trajectory(values: Any = (1.0, 2.0, 3.0), velocities: Any = (0.5, 0.0, -2.0),
               period_s: float = 0.01, most_rad: float = 1e9) -> Any:
    limits_rad = dict.fromkeys(JOINTS.names, (-most_rad, most_rad))
    return encode_trajectory(JOINTS, values, velocities, period_s, limits_rad,
                             STORE.types.__getitem__)


def seconds(duration: Any) -> float:
    return duration.sec + duration.nanosec * 1e-9


three = arrays(np.float64, 3, elements=finite)


@given(three, three, st.floats(0.001, 1.0))
def test_trajectory_reaches_the_command_in_a_period_and_then_comes_to_rest(
        values: Array, velocities: Array, period_s: float) -> None:
    message = over_the_wire(trajectory(values, velocities, period_s))
    sample = decode(JOINTS, message, 7)
    np.testing.assert_array_equal(sample.values, values)
    first, last = message.points
    np.testing.assert_array_equal(first.velocities, velocities)
    assert not last.velocities.any()
    assert seconds(first.time_from_start) == pytest.approx(period_s, abs=1e-9)
    stop_s = seconds(last.time_from_start) - seconds(first.time_from_start)
    assert stop_s == pytest.approx(TRAJECTORY_STOP_S, abs=2e-9)
    # Slowed down evenly, so on the way at half of the speed on average.
    np.testing.assert_allclose(last.positions - first.positions, velocities * stop_s / 2,
                               atol=1e-6)


def test_trajectory_stops_within_the_joint_limits() -> None:
    _, last = trajectory((1.0, -1.0, 0.0), (2.0, -2.0, 2.0), most_rad=1.05).points
    assert last.positions == pytest.approx([1.05, -1.05, 0.1])


def test_trajectory_begins_on_arrival_whatever_the_controllers_clock_says() -> None:
    message = over_the_wire(trajectory())
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert message.joint_names == ['a', 'b', 'c']
    assert decode(JOINTS, message, 7).stamp_ns == 7


@given(three)
def test_trajectory_without_velocities_rests_at_its_command(values: Array) -> None:
    message = over_the_wire(message_of(JOINTS, JOINT_TRAJECTORY, values))
    for point in message.points:
        np.testing.assert_array_equal(point.positions, values)
        assert not point.velocities.any()
    times = [seconds(point.time_from_start) for point in message.points]
    assert times == sorted(set(times))


def test_joints_of_a_trajectory_are_matched_by_name() -> None:
    message = trajectory()
    message.joint_names = ['c', 'a', 'b']
    assert decode(JOINTS, message, 0).values.tolist() == [2.0, 3.0, 1.0]


@pytest.mark.parametrize(('names', 'positions', 'sentence'), [
    (['a', 'b'], [1.0, 2.0], r'expected 3 joints, got 2 \(missing c\)'),
    (['a', 'b', 'c', 'c'], [1.0, 2.0, 3.0, 4.0], ' c '),
    (['a', 'b', 'c'], [1.0, 2.0], ' 3 .* 2'),
    (['a', 'b', 'c'], [1.0, 2.0, np.nan], 'nan'),
    (['a', 'b', 'c'], [1.0, -np.inf, 3.0], 'inf'),
    (['a', 'b', 'c'], [1.0, 2.0, 1e5], '-100 to 100 rad'),
])
def test_trajectory_that_does_not_say_where_every_joint_goes_is_refused(
        names: list[str], positions: list[float], sentence: str) -> None:
    message = trajectory()
    message.joint_names, message.points[0].positions = names, np.array(positions)
    with pytest.raises(ContractError, match=f'joints: .*{sentence}'):
        decode(JOINTS, message, 0)


def test_trajectory_without_points_is_refused() -> None:
    message = trajectory()
    message.points = []
    with pytest.raises(ContractError, match='joints: .*with a point, got none'):
        decode(JOINTS, message, 0)


@pytest.mark.parametrize(('values', 'velocities'), [([1.0], [0.0] * 3), ([1.0] * 3, [0.0] * 4)])
def test_trajectory_of_a_wrong_length_is_not_written(values: Any, velocities: Any) -> None:
    with pytest.raises(ContractError, match='joints: .*3 .*velocities'):
        trajectory(values, velocities)


def test_transforms_are_not_taken_for_a_pose() -> None:
    message = STORE.types['tf2_msgs/msg/TFMessage'](transforms=[])
    with pytest.raises(TypeError, match='tool_pose: .*transforms'):
        decode(POSE, message, 0)


def test_type_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ContractError, match='joints: .*std_msgs/msg/String'):
        message_of(JOINTS, 'std_msgs/msg/String', [1.0, 2.0, 3.0])


def test_message_without_a_stamp_gets_the_time_of_arrival() -> None:
    assert decode(TARGET_WIDTH, message_of(TARGET_WIDTH, ARRAY_TYPE, [0.1]), 7).stamp_ns == 7
    assert decode(POSE, pose_message(), 7).stamp_ns == 7


def test_flat_observation_is_in_the_order_of_the_contract() -> None:
    signals = CONTRACT.interface.observations
    samples = {s.key: Sample(np.full(s.dim, float(i)), 0, 0) for i, s in enumerate(signals)}
    flat = flat_observation(signals, dict(reversed(samples.items())))
    assert flat.shape == (31,)
    for i, signal in enumerate(signals):
        assert set(flat[CONTRACT.interface.observation_slices[signal.key]]) == {float(i)}
