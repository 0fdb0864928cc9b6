# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault does what its name says, when it was told to, and nothing else."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import seeing
from hypothesis import given
from hypothesis import strategies as st
from inputs import JOINT_CONTRACT as CONTRACT
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import KINDS, Signal
from uncloning_ros.contract.messages import joint_state
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError, ScenarioError
from uncloning_ros.geometry import Array, pose_from_parts, rotation_about_z
from uncloning_ros.simulation.fault_injection import FaultInjector
from uncloning_ros.simulation.faults import Fault, fields_of, parse_fault

STORE = get_typestore(Stores.ROS2_JAZZY)
SIGNALS = {signal.key: signal for signal in CONTRACT.interface.observations}
VALUES: dict[str, Array] = {
    'joint_positions': np.arange(7) / 10,
    'tool_pose': pose_from_parts((0.4, 0.1, 0.3), rotation_about_z(0.3)),
    'gripper_width': np.array([0.06]),
    'object_pose': pose_from_parts((0.5, 0.0, 0.1), rotation_about_z(1.0)),
    'hand_pose': pose_from_parts((0.7, 0.2, 0.3), rotation_about_z(3.0)),
    'wrist_force': np.array([1.0, -2.0, 0.5]),
}
JOINTS = SIGNALS['joint_positions'].names
STEP_NS = 25 * 10**6  # 40 Hz
BEGIN_NS = 40 * STEP_NS  # the first command comes after a second


def parsed(*texts: str) -> list[Fault]:
    return [parse_fault(text, SIGNALS) for text in texts]


def faults(*texts: str, seed: int = 0) -> FaultInjector:
    return FaultInjector(parsed(*texts), SIGNALS, np.random.default_rng(seed))


def measured(key: str, step: int) -> Sample:
    """Return what a sensor measures at a step: values that never repeat."""
    return Sample(VALUES[key] + 1e-3 * step, step * STEP_NS - 1000, step * STEP_NS)


def run(one: FaultInjector, steps: int, key: str = 'hand_pose') -> list[list[Sample]]:
    """Return what is published of `key` at each step; the first command comes at step 40."""
    published = []
    for step in range(steps):
        if step * STEP_NS == BEGIN_NS:
            one.begin(BEGIN_NS)
        arrived = [(k, measured(k, step)) for k in ('object_pose', key)]
        out = one.deliver(arrived, step * STEP_NS)
        [other] = [s for k, s in out if k == 'object_pose']
        assert other is arrived[0][1]  # the other observations are left alone
        published.append([s for k, s in out if k == key])
    return published


def message(key: str) -> Any:
    type_name = CONTRACT.deployment.observations[key].type
    return encode(SIGNALS[key], type_name, VALUES[key], 10**9, STORE.types.__getitem__)


def corrupted(text: str, key: str, now_ns: int = BEGIN_NS) -> Any:
    one, spoilt = faults(text), message(key)
    one.begin(BEGIN_NS)
    one.corrupt(key, spoilt, now_ns)
    return spoilt


def read(key: str, spoilt: Any) -> Array:
    return decode(SIGNALS[key], spoilt, 0).values


@pytest.mark.parametrize(('text', 'fault'), [
    ('hand_pose:freeze', Fault('hand_pose', 'freeze', 0.0, '', 0.0, math.inf)),
    ('hand_pose:freeze@2.0', Fault('hand_pose', 'freeze', 0.0, '', 2.0, math.inf)),
    ('hand_pose:noise=0.02@1+0.5', Fault('hand_pose', 'noise', 0.02, '', 1.0, 0.5)),
    ('wrist_force:nan=force.x@1e-1', Fault('wrist_force', 'nan', 0.0, 'force.x', 0.1, math.inf)),
    ('joint_positions:missing=panda_joint3',
     Fault('joint_positions', 'missing', 0.0, 'panda_joint3', 0.0, math.inf)),
    ('tool_pose:frame=camera/link', Fault('tool_pose', 'frame', 0.0, 'camera/link', 0.0,
                                          math.inf)),
    ('clock:back=5@3', Fault('clock', 'back', 5.0, '', 3.0, math.inf))])
def test_a_fault_is_read_as_it_is_said(text: str, fault: Fault) -> None:
    assert parse_fault(text, SIGNALS) == fault


@pytest.mark.parametrize(('text', 'sentence'), [
    ('hand_pose', 'expected key:kind'),
    ('hand_pose:freeze@', 'expected key:kind'),
    ('hand_pose:freeze+1', 'expected key:kind'),
    ('tool_pose:frame=map+1', 'expected key:kind'),
    ('hand_poes:freeze', r"unknown key 'hand_poes' \(did you mean 'hand_pose'\?\)"),
    ('hand_pose:frezze', r"cannot have the fault 'frezze' \(did you mean 'freeze'\?\)"),
    ('hand_pose:missing', "hand_pose cannot have the fault 'missing'"),
    ('gripper_width:frame=map', "gripper_width cannot have the fault 'frame'"),
    ('clock:freeze', r"clock cannot have the fault 'freeze' \(known: pause, back\)"),
    ('hand_pose:freeze=1', "takes no value, got '1'; leave '=1' out"),
    ('hand_pose:noise', 'expected a standard deviation above 0 and at most 100, as in '
                        'hand_pose:noise=0.1, got nothing'),
    ('hand_pose:latency=fast', 'expected seconds above 0 and at most 100.*got fast'),
    ('hand_pose:latency=0', 'seconds above 0.*got 0'),
    ('hand_pose:latency=-1', 'got -1'),
    ('hand_pose:latency=inf', 'got inf'),
    ('hand_pose:latency=nan', 'got nan'),
    ('hand_pose:latency=101', 'got 101'),
    ('hand_pose:dropout=1.5', 'a share above 0 and at most 1.*got 1.5'),
    ('hand_pose:nan=position.w', r"no field 'position.w' \(did you mean 'position"),
    ('joint_positions:missing=panda_joint0', r"no joint 'panda_joint0' \(did you mean"),
    ('hand_pose:frame', 'expected the name of another frame.*got none'),
    ('hand_pose:frame=panda_link0', 'another frame.*got panda_link0'),
    ('hand_pose:freeze@-1', 'a time in s of at least 0 after @, got -1'),
    ('hand_pose:freeze@inf', 'a time in s.*got inf'),
    ('hand_pose:freeze@1+0', 'a duration in s above 0.*got 0'),
    ('hand_pose:freeze@1+x', 'a duration in s above 0.*got x')])
def test_what_cannot_be_meant_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        parse_fault(text, SIGNALS)


@given(st.text(st.sampled_from('handpose_:=@+.0129freeznoi '), max_size=30))
def test_any_text_is_a_fault_or_is_refused(text: str) -> None:
    try:
        fault = parse_fault(text, SIGNALS)
    except ScenarioError:
        return
    assert fault.from_s >= 0.0
    assert fault.for_s > 0.0


@pytest.mark.parametrize('key', VALUES)
def test_without_faults_everything_passes_on_as_it_is(key: str) -> None:
    one, untouched = faults(), message(key)
    one.begin(BEGIN_NS)
    arrived = [(k, measured(k, 41)) for k in VALUES]
    assert one.deliver(arrived, 41 * STEP_NS) == arrived
    one.corrupt(key, untouched, BEGIN_NS)
    assert repr(untouched) == repr(message(key))
    assert one.clock_ns(BEGIN_NS + 1) == BEGIN_NS + 1


@pytest.mark.parametrize('text', [
    'hand_pose:silence', 'hand_pose:freeze', 'hand_pose:stale', 'hand_pose:noise=1',
    'hand_pose:latency=0.5', 'hand_pose:dropout=1', 'hand_pose:future=1', 'hand_pose:past=1'])
def test_a_fault_acts_from_its_time_after_the_first_command_for_as_long_as_it_says(
        text: str) -> None:
    published = run(faults(f'{text}@0.5+0.25'), 100)
    plain = [[measured('hand_pose', step)] for step in range(100)]
    same = [len(seen) == 1 and np.array_equal(seen[0].values, wanted[0].values)
            and seen[0].stamp_ns == wanted[0].stamp_ns
            for seen, wanted in zip(published, plain, strict=True)]
    assert [step for step in range(100) if not same[step]] == list(range(60, 70))


def test_silence_publishes_nothing() -> None:
    assert run(faults('hand_pose:silence'), 50)[40:] == [[]] * 10


def test_freeze_repeats_the_last_values_with_new_stamps() -> None:
    for step, [sample] in list(enumerate(run(faults('hand_pose:freeze'), 60)))[40:]:
        assert np.array_equal(sample.values, measured('hand_pose', 39).values)
        assert sample.stamp_ns == measured('hand_pose', step).stamp_ns


def test_stale_repeats_the_last_message_with_its_old_stamp() -> None:
    for step, [sample] in list(enumerate(run(faults('hand_pose:stale'), 60)))[40:]:
        assert np.array_equal(sample.values, measured('hand_pose', 39).values)
        assert sample.stamp_ns == measured('hand_pose', 39).stamp_ns
        assert sample.receive_ns == step * STEP_NS


@pytest.mark.parametrize('key', ['joint_positions', 'hand_pose', 'gripper_width', 'wrist_force'])
def test_noise_has_the_size_it_says_and_leaves_rotations_alone(key: str) -> None:
    published = run(faults(f'{key}:noise=0.02'), 840, key)
    added = np.array([sample.values - measured(key, step).values
                      for step, [sample] in list(enumerate(published))[40:]])
    noisy = slice(0, 3 if SIGNALS[key].kind == 'pose' else None)
    assert added[:, noisy].std() == pytest.approx(0.02, rel=0.1)
    assert not added[:, 3:].any() or SIGNALS[key].kind != 'pose'


def test_noise_and_dropout_are_those_of_the_seed() -> None:
    texts = ('hand_pose:noise=0.1', 'hand_pose:dropout=0.5')
    one, same, other = (run(faults(*texts, seed=seed), 80) for seed in (1, 1, 2))
    assert repr(one) == repr(same)
    assert repr(one) != repr(other)


def test_latency_delays_messages_which_keep_their_stamps() -> None:
    published = run(faults('hand_pose:latency=0.1'), 60)
    assert published[40:44] == [[]] * 4
    for step, [sample] in list(enumerate(published))[44:]:
        assert sample.stamp_ns == measured('hand_pose', step - 4).stamp_ns
        assert np.array_equal(sample.values, measured('hand_pose', step - 4).values)
        assert sample.receive_ns == step * STEP_NS


def test_late_messages_arrive_when_they_are_due_though_nothing_else_does() -> None:
    one = faults('hand_pose:latency=0.1')
    one.begin(0)
    assert one.deliver([('hand_pose', measured('hand_pose', 0))], 0) == []
    assert one.deliver([], 99_999_999) == []
    [(key, sample)] = one.deliver([], 10**8)
    assert (key, sample.receive_ns) == ('hand_pose', 10**8)
    assert one.deliver([], 2 * 10**8) == []


def test_dropout_loses_the_share_it_says() -> None:
    published = run(faults('hand_pose:dropout=0.3'), 2040)[40:]
    assert 1 - sum(map(len, published)) / 2000 == pytest.approx(0.3, abs=0.05)
    assert run(faults('hand_pose:dropout=1'), 60)[40:] == [[]] * 20


@pytest.mark.parametrize(('kind', 'sign'), [('future', 1), ('past', -1)])
def test_stamps_are_shifted_by_as_much_as_is_said(kind: str, sign: int) -> None:
    for step, [sample] in list(enumerate(run(faults(f'hand_pose:{kind}=0.4'), 60)))[40:]:
        plain = measured('hand_pose', step)
        assert sample.stamp_ns - plain.stamp_ns == sign * 4 * 10**8
        assert np.array_equal(sample.values, plain.values)


def test_faults_of_one_observation_add_up() -> None:
    published = run(faults('hand_pose:freeze', 'hand_pose:future=1', 'hand_pose:noise=0.1'), 60)
    values = np.array([sample.values for [sample] in published[40:]])
    assert len(np.unique(values[:, 0])) == 20
    assert np.array_equal(values[:, 3:], np.tile(measured('hand_pose', 39).values[3:], (20, 1)))
    assert published[50][0].stamp_ns == measured('hand_pose', 50).stamp_ns + 10**9


@pytest.mark.parametrize(('key', 'field'), [(key, field) for key in VALUES
                                            for field in fields_of(SIGNALS[key])])
@pytest.mark.parametrize('kind', ['nan', 'inf'])
def test_every_single_field_can_be_corrupted(key: str, field: str, kind: str) -> None:
    spoilt, plain = corrupted(f'{key}:{kind}={field}', key), repr(message(key))
    assert repr(spoilt) != plain
    assert repr(spoilt).count(kind) == 1 + plain.count(kind)
    if field.startswith('torque'):  # which nobody reads
        assert np.array_equal(read(key, spoilt), VALUES[key])
    else:
        with pytest.raises(ContractError, match='finite'):
            read(key, spoilt)


@pytest.mark.parametrize('key', VALUES)
@pytest.mark.parametrize('kind', ['nan', 'inf'])
def test_all_fields_are_corrupted_if_none_is_named(key: str, kind: str) -> None:
    plain = repr(message(key))
    assert repr(corrupted(f'{key}:{kind}', key)).count(kind) == (
        len(fields_of(SIGNALS[key])) + plain.count(kind))


def test_a_message_is_spoilt_only_while_the_fault_acts() -> None:
    plain = repr(message('tool_pose'))
    for seconds, spoilt in ((0.9, False), (1.0, True), (1.4, True), (1.5, False)):
        now_ns = BEGIN_NS + round(seconds * 1e9)
        assert (repr(corrupted('tool_pose:inf@1+0.5', 'tool_pose', now_ns)) != plain) == spoilt
    before = faults('tool_pose:inf')
    untouched = message('tool_pose')
    before.corrupt('tool_pose', untouched, BEGIN_NS)  # nobody has commanded yet
    assert repr(untouched) == plain


def test_messages_of_other_observations_are_left_alone() -> None:
    assert repr(corrupted('tool_pose:inf', 'hand_pose')) == repr(message('hand_pose'))


@pytest.mark.parametrize('key', ['tool_pose', 'wrist_force'])
def test_a_foreign_frame_is_refused_by_its_reader(key: str) -> None:
    with pytest.raises(ContractError, match="expected frame 'panda_link0', got 'map'"):
        read(key, corrupted(f'{key}:frame=map', key))


@pytest.mark.parametrize(('text', 'missing'), [
    ('joint_positions:missing', 'panda_joint1'),
    ('joint_positions:missing=panda_joint5', 'panda_joint5'),
    ('gripper_width:missing', 'panda_finger_joint1')])
def test_a_missing_joint_is_refused_by_its_reader(text: str, missing: str) -> None:
    key = text.partition(':')[0]
    with pytest.raises(ContractError, match=f'missing {missing}'):
        read(key, corrupted(text, key))


@pytest.mark.parametrize('key', ['joint_positions', 'gripper_width'])
@pytest.mark.parametrize('kind', ['reorder', 'extra'])
def test_another_order_and_foreign_joints_change_the_message_and_not_what_is_read(
        key: str, kind: str) -> None:
    spoilt = corrupted(f'{key}:{kind}', key)
    assert list(spoilt.name) != list(message(key).name)
    assert len(spoilt.name) == len(spoilt.position)
    assert np.allclose(read(key, spoilt), VALUES[key], rtol=0, atol=0)


@pytest.mark.parametrize(('kind', 'names', 'efforts'), [
    ('missing', JOINTS[1:], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ('reorder', JOINTS[::-1], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
    ('extra', ('extra_joint', *JOINTS), [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ('inf=panda_joint3', JOINTS, [0.0, 1.0, math.inf, 3.0, 4.0, 5.0, 6.0])])
def test_joint_states_without_positions_are_spoilt_alike(
        kind: str, names: tuple[str, ...], efforts: list[float]) -> None:
    spoilt = joint_state(STORE.types.__getitem__, JOINTS, 5, effort=np.arange(7.0))
    one = faults(f'joint_positions:{kind}')
    one.begin(BEGIN_NS)
    one.corrupt('joint_positions', spoilt, BEGIN_NS)
    assert (tuple(spoilt.name), list(spoilt.effort)) == (names, efforts)
    assert len(spoilt.position) == len(spoilt.velocity) == 0


def test_a_message_without_known_fields_cannot_be_spoilt_in_one(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, 'force', replace(KINDS['force'], observed_as=('a/msg/Scale',)))
    with pytest.raises(ScenarioError, match="wrist_force cannot have the fault 'nan'"):
        parse_fault('wrist_force:nan', SIGNALS)
    assert parse_fault('wrist_force:noise=0.1', SIGNALS).number == 0.1


def clock(text: str, *since_s: float) -> list[float]:
    one = faults(text)
    one.begin(BEGIN_NS)
    return [(one.clock_ns(BEGIN_NS + round(s * 1e9)) - BEGIN_NS) * 1e-9 for s in since_s]


def test_a_paused_clock_stands_still_and_goes_on_from_the_right_time() -> None:
    assert clock('clock:pause@1+0.5', 0.9, 1.0, 1.2, 1.49, 1.5) == pytest.approx(
        [0.9, 1.0, 1.0, 1.0, 1.5])


def test_a_clock_that_jumps_back_goes_on_from_there() -> None:
    assert clock('clock:back=0.6@1', 0.9, 1.0, 1.2, 3.0) == pytest.approx([0.9, 0.4, 0.6, 2.4])


def test_no_clock_goes_below_zero() -> None:
    assert clock('clock:back=100', 0.0, 1.0) == pytest.approx([-BEGIN_NS * 1e-9] * 2)


COLOURED, GREY = seeing.CAMERAS


def pictured(text: str, signal: Signal = COLOURED) -> Any:
    """Return the message of a picture under a fault: what the simulator publishes."""
    type_name = seeing.CONTRACT.deployment.observations[signal.key].type
    one = FaultInjector([parse_fault(f'{signal.key}:{text}', {signal.key: signal})],
                        {signal.key: signal}, np.random.default_rng(0))
    one.begin(BEGIN_NS)
    sample = Sample(seeing.picture(signal, 3), BEGIN_NS, BEGIN_NS)
    [(_, changed)] = one.deliver([(signal.key, sample)], BEGIN_NS)
    built = encode(signal, type_name, changed.values, BEGIN_NS, STORE.types.__getitem__)
    one.corrupt(signal.key, built, BEGIN_NS)
    return built


@pytest.mark.parametrize('signal', seeing.CAMERAS, ids=['compressed', 'raw'])
@pytest.mark.parametrize(('text', 'sentence'), [
    ('black', 'black in 100%'), ('saturated', 'saturated in 100%'),
    ('truncated', 'cannot be decoded|expected 144 bytes.*got 72'),
    ('size', 'expected pictures of 1. x 12 px, got . x 6 px'),
    ('encoding', "got colours with transparency|got 'bayer_rggb8'")])
def test_a_spoilt_picture_is_refused_by_its_reader(text: str, sentence: str,
                                                   signal: Signal) -> None:
    with pytest.raises(ContractError, match=f'^{signal.key}: .*({sentence})'):
        decode(signal, pictured(text, signal), 0)


@pytest.mark.parametrize('signal', seeing.CAMERAS, ids=['compressed', 'raw'])
def test_noise_of_a_picture_is_in_grey_levels_and_stays_within_them(signal: Signal) -> None:
    clean = seeing.picture(signal, 3)
    values = decode(signal, pictured('noise=20', signal), 0).values
    assert values.dtype == np.uint8
    assert np.std(values.astype(float) - clean) == pytest.approx(20, rel=0.2)
    assert {0, 255} <= set(decode(signal, pictured('noise=100', signal), 0).values.ravel())


@pytest.mark.parametrize('kind', ['nan', 'inf', 'frame', 'missing', 'reorder', 'extra'])
def test_a_picture_has_no_fields_frame_or_joints_to_spoil(kind: str) -> None:
    with pytest.raises(ScenarioError, match=f'scene_camera cannot have the fault {kind!r}'):
        parse_fault(f'scene_camera:{kind}', {'scene_camera': COLOURED})


def test_only_pictures_can_be_black() -> None:
    with pytest.raises(ScenarioError, match="hand_pose cannot have the fault 'black'"):
        parsed('hand_pose:black')
