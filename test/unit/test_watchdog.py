# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The watchdog names whatever cannot be trusted, and why: inputs, clocks, switches."""

import math
from dataclasses import replace

import numpy as np
import pytest
import seeing
from hypothesis import given
from hypothesis import strategies as st
from inputs import JOINT_CONTRACT
from loop_inputs import CONTRACT, deployed, object_first, pose, samples, without

from uncloning_ros.contract import Contract, Enable, FaultSignal
from uncloning_ros.conversions import Sample
from uncloning_ros.runtime.watchdog import NO_GUARDS, Complaint, Guards, Watchdog

NOW_NS = 10**12
MS = 10**6
TOPICS = CONTRACT.deployment.observations
KEYS = [signal.key for signal in CONTRACT.interface.observations]
LIMIT_NS = {key: round((TOPICS[key].max_age_s or math.nan) * 1e9) for key in KEYS}
TREMBLING = [key for key in KEYS if TOPICS[key].max_unchanged_s is not None]


def judged(inputs: dict[str, Sample], guards: Guards = NO_GUARDS,
           contract: Contract = CONTRACT) -> list[Complaint]:
    """Return what a new watchdog says of one cycle."""
    return Watchdog(contract).judge(inputs, NOW_NS, NOW_NS, NOW_NS, guards)


def replaced(key: str, stamp_ns: int = NOW_NS, receive_ns: int = NOW_NS) -> dict[str, Sample]:
    """Return fresh inputs but for the times of one key."""
    inputs = samples(NOW_NS)
    return inputs | {key: Sample(inputs[key].values, stamp_ns, receive_ns)}


def the_only(complaints: list[Complaint]) -> tuple[str, str]:
    [complaint] = complaints
    assert complaint.key in complaint.sentence or complaint.key in ('clock', 'enable',
                                                                    'fault')
    assert ';' in complaint.sentence, 'a sentence names its remedy'
    return complaint.key, complaint.reason


def test_fresh_inputs_give_no_complaint() -> None:
    assert judged(samples(NOW_NS)) == []


def test_pixels_are_compared_as_arrays_and_never_one_by_one() -> None:
    class Pixels(np.ndarray):
        def tolist(self) -> None:
            raise AssertionError('as many as a picture has take longer than a cycle')

        __iter__ = __getitem__ = tolist

    watchdog = Watchdog(seeing.with_cameras(CONTRACT))
    for number in range(2):
        inputs = samples(NOW_NS + number)
        for camera in seeing.CAMERAS:
            pixels = seeing.picture(camera, number).view(Pixels)
            inputs[camera.key] = Sample(pixels, NOW_NS, NOW_NS)
        assert watchdog.judge(inputs, NOW_NS, NOW_NS + number, NOW_NS + number) == []


@pytest.mark.parametrize(('x_m', 'believed'), [
    (1.04, True), (1.06, False), (-0.09, True), (-0.11, False), (9999.0, False)])
def test_an_arm_measured_where_no_command_may_be_is_not_believed(x_m: float,
                                                                believed: bool) -> None:
    inputs = samples(NOW_NS)
    inputs['tool_pose'].values[0] = x_m  # the workspace is 0.1 to 0.85 m, jump_m 0.2 m
    for contract in (CONTRACT, object_first()):
        complaints = judged(inputs, contract=contract)
        assert (complaints == [] if believed
                else the_only(complaints) == ('tool_pose', 'out_of_reach'))


def test_people_and_objects_may_be_outside_the_workspace() -> None:
    inputs = samples(NOW_NS)
    inputs['hand_pose'].values[0] = inputs['object_pose'].values[0] = 5.0
    assert judged(inputs) == []


@pytest.mark.parametrize('key', KEYS)
def test_a_missing_input_is_named(key: str) -> None:
    assert the_only(judged(without(samples(NOW_NS), key))) == (key, 'missing_input')


@pytest.mark.parametrize('late_ns', [None, 10**9])
def test_a_silent_input_is_told_with_the_cause_that_the_graph_knows(late_ns: int | None) -> None:
    inputs = samples(NOW_NS) if late_ns is None else replaced('hand_pose',
                                                              receive_ns=NOW_NS - late_ns)
    inputs = without(inputs, 'hand_pose') if late_ns is None else inputs
    known = Guards(unheard={TOPICS['hand_pose'].topic: 'expected a Pose, got none; start it',
                            TOPICS['tool_pose'].topic: 'not asked for'})
    [complaint] = judged(inputs, known)
    assert complaint.key == 'hand_pose'
    assert complaint.sentence.endswith(': expected a Pose, got none; start it')


def test_silent_enable_and_fault_topics_are_told_with_the_cause_that_the_graph_knows() -> None:
    contract = deployed(enable=Enable('enable', 0.2), fault=FaultSignal('fault', True))
    known = Guards(unheard={'enable': 'enable has no publisher; start it',
                            'fault': 'fault has no publisher; start it'})
    for guards in (known, replace(known, enabled=True, enabled_receive_ns=0)):
        enable, fault = judged(samples(NOW_NS), guards, contract)
        assert enable.sentence.endswith(': enable has no publisher; start it')
        assert fault.sentence.endswith(': fault has no publisher; start it')


@pytest.mark.parametrize('key', KEYS)
def test_a_refused_message_is_told_in_its_own_words_and_not_as_missing(key: str) -> None:
    refused = Guards(refused={key: 'expected frame base, got camera'})
    for inputs in (samples(NOW_NS), without(samples(NOW_NS), key)):
        assert judged(inputs, refused) == [
            Complaint(key, 'refused_input', 'expected frame base, got camera')]


def test_an_input_whose_topic_names_other_joints_alone_is_told_so_until_it_arrives() -> None:
    others = Guards(others={'gripper_width': 'expected the joints a, got b'})
    assert judged(without(samples(NOW_NS), 'gripper_width'), others) == [
        Complaint('gripper_width', 'missing_input', 'expected the joints a, got b')]
    assert judged(samples(NOW_NS), others) == []


@pytest.mark.parametrize('key', KEYS)
@pytest.mark.parametrize(('late', 'reason'), [('receive_ns', 'stale_input'),
                                              ('stamp_ns', 'stale_stamp')])
def test_each_input_has_its_own_age_limit_for_arrival_and_for_measurement(
        key: str, late: str, reason: str) -> None:
    assert judged(replaced(key, **{late: NOW_NS - LIMIT_NS[key]})) == []
    over = replaced(key, **{late: NOW_NS - LIMIT_NS[key] - 1})
    assert the_only(judged(over)) == (key, reason)


@pytest.mark.parametrize('key', KEYS)
def test_a_stamp_may_lie_as_far_in_the_future_as_in_the_past(key: str) -> None:
    assert judged(replaced(key, stamp_ns=NOW_NS + LIMIT_NS[key])) == []
    over = replaced(key, stamp_ns=NOW_NS + LIMIT_NS[key] + 1)
    assert the_only(judged(over)) == (key, 'future_stamp')


def test_stamps_are_judged_on_their_own_clock() -> None:
    ros_now_ns = NOW_NS + 10**18
    complaints = Watchdog(CONTRACT).judge(samples(NOW_NS), NOW_NS, ros_now_ns, NOW_NS)
    assert {complaint.reason for complaint in complaints} == {'stale_stamp'}
    assert all('its stamps are in simulated time, this node is not' in complaint.sentence
               for complaint in complaints)


@given(key=st.sampled_from(KEYS), bad=st.sampled_from([math.nan, math.inf, -math.inf]),
       at=st.integers(0, 100))
def test_no_input_with_a_value_that_is_not_finite_passes(key: str, bad: float, at: int) -> None:
    inputs = samples(NOW_NS)
    values = inputs[key].values.copy()
    values[at % len(values)] = bad
    inputs[key] = Sample(values, NOW_NS, NOW_NS)
    assert the_only(judged(inputs)) == (key, 'not_finite_input')


@given(ages=st.lists(st.integers(0, 10**9), min_size=len(KEYS), max_size=len(KEYS)))
def test_exactly_the_inputs_beyond_their_limit_are_complained_of(ages: list[int]) -> None:
    inputs, expected = samples(NOW_NS), []
    for key, age_ns in zip(KEYS, ages, strict=True):
        inputs[key] = Sample(inputs[key].values, NOW_NS, NOW_NS - age_ns)
        if age_ns > LIMIT_NS[key]:
            expected.append(key)
    assert [complaint.key for complaint in judged(inputs)] == expected


class Frozen:
    """A tracker that goes on publishing one and the same measurement."""

    def __init__(self, key: str, contract: Contract = CONTRACT) -> None:
        self.key, self.watchdog = key, Watchdog(contract)
        self.values = samples(0)[key].values

    def judge(self, now_ns: int, values: np.ndarray | None = None) -> list[Complaint]:
        frozen = Sample(self.values if values is None else values, now_ns, now_ns)
        return self.watchdog.judge(samples(now_ns) | {self.key: frozen}, now_ns, now_ns, now_ns)


@pytest.mark.parametrize('key', TREMBLING)
def test_a_tracker_that_repeats_its_values_is_found_out_though_its_stamps_are_new(
        key: str) -> None:
    tracker = Frozen(key)
    limit_ns = round((TOPICS[key].max_unchanged_s or math.nan) * 1e9)
    found = {now_ns: tracker.judge(now_ns) for now_ns in range(0, limit_ns + 50 * MS, 10 * MS)}
    assert [now_ns for now_ns, complaints in found.items() if complaints] == [
        limit_ns + 10 * MS, limit_ns + 20 * MS, limit_ns + 30 * MS, limit_ns + 40 * MS]
    assert the_only(tracker.judge(limit_ns + 50 * MS)) == (key, 'unchanged_input')


def test_a_camera_that_hangs_is_to_be_checked_before_the_guard_is_taken_away() -> None:
    contract = seeing.with_cameras(CONTRACT)
    watchdog = Watchdog(contract)
    for now_ns in (NOW_NS, NOW_NS + 350 * MS):
        inputs = samples(now_ns)
        for camera in seeing.CAMERAS:
            inputs[camera.key] = Sample(seeing.picture(camera, 1), now_ns, now_ns)
        found = watchdog.judge(inputs, now_ns, now_ns, now_ns)
    assert [one.key for one in found] == [one.key for one in seeing.CAMERAS]
    said = found[0].sentence
    assert 'the same picture for 0.350 s' in said
    assert 0 < said.index('check the camera') < said.index('remove max_unchanged_s')


@pytest.mark.parametrize('key', TREMBLING)
def test_a_tracker_that_moves_by_the_least_amount_is_alive(key: str) -> None:
    tracker = Frozen(key)
    for k in range(200):
        moved = tracker.values.copy()
        moved[2] = np.nextafter(moved[2], math.inf) if k % 40 == 39 else moved[2]
        assert tracker.judge(k * 10 * MS, moved) == []


def test_a_tracker_that_moves_again_is_trusted_again_at_once() -> None:
    tracker = Frozen('hand_pose')
    for k in range(100):
        tracker.judge(k * 10 * MS)
    assert tracker.judge(1000 * MS)
    assert tracker.judge(1010 * MS, tracker.values + 1e-6) == []


def test_an_input_without_that_limit_may_be_as_still_as_it_likes() -> None:
    gripper = Frozen('gripper_width')
    assert [gripper.judge(k * 10 * MS) for k in range(500)] == [[]] * 500


def test_a_frozen_tracker_is_forgotten_by_a_reset() -> None:
    tracker = Frozen('hand_pose')
    for k in range(100):
        tracker.judge(k * 10 * MS)
    tracker.watchdog.reset()
    assert tracker.judge(1000 * MS) == []


def at(watchdog: Watchdog, ros_ns: int, steady_ns: int) -> list[Complaint]:
    """Judge a cycle whose inputs are fresh on every clock."""
    inputs = {key: Sample(sample.values, ros_ns, steady_ns)
              for key, sample in samples(steady_ns).items()}
    return watchdog.judge(inputs, steady_ns, ros_ns, steady_ns)


def test_a_clock_that_goes_back_is_complained_of_once() -> None:
    watchdog = Watchdog(CONTRACT)
    assert at(watchdog, 1000 * MS, 0) == []
    assert the_only(at(watchdog, 999 * MS, 10 * MS)) == ('clock', 'clock_backwards')
    assert at(watchdog, 1009 * MS, 20 * MS) == []


def test_a_clock_that_stands_still_is_complained_of_after_the_shortest_age() -> None:
    watchdog = Watchdog(CONTRACT)
    assert at(watchdog, NOW_NS, 0) == []
    shortest_ns = min(LIMIT_NS.values())
    assert at(watchdog, NOW_NS, shortest_ns) == []
    assert the_only(at(watchdog, NOW_NS, shortest_ns + 1)) == ('clock', 'clock_stopped')
    assert at(watchdog, NOW_NS + 1, shortest_ns + 2) == []


def test_a_clock_that_goes_back_and_then_stands_still_is_found_out_again() -> None:
    watchdog = Watchdog(CONTRACT)
    at(watchdog, NOW_NS, 0)
    at(watchdog, 0, 10 * MS)
    assert at(watchdog, 0, 20 * MS) == []
    assert the_only(at(watchdog, 0, 10 * MS + min(LIMIT_NS.values()) + 1)) == (
        'clock', 'clock_stopped')


def test_what_the_clock_did_is_forgotten_by_a_reset() -> None:
    watchdog = Watchdog(CONTRACT)
    at(watchdog, NOW_NS, 0)
    watchdog.reset()
    assert at(watchdog, 0, 10**9) == []


@given(st.integers(-10**15, 10**15), st.lists(st.integers(1, 100 * MS), max_size=20))
def test_any_clock_that_goes_forward_is_trusted(begin_ns: int, steps: list[int]) -> None:
    watchdog, now_ns = Watchdog(CONTRACT), begin_ns
    for step_ns in steps:
        now_ns += step_ns
        assert at(watchdog, now_ns, now_ns) == []


SWITCHED = deployed(enable=Enable('enable', 0.2))


def test_an_enable_switch_that_was_never_heard_is_complained_of() -> None:
    assert the_only(judged(samples(NOW_NS), contract=SWITCHED)) == ('enable', 'not_enabled')


def test_an_enable_switch_that_is_let_go_is_complained_of() -> None:
    guards = Guards(enabled=False, enabled_receive_ns=NOW_NS)
    assert the_only(judged(samples(NOW_NS), guards, SWITCHED)) == ('enable', 'not_enabled')


def test_an_enable_switch_that_falls_silent_is_complained_of() -> None:
    held = Guards(enabled=True, enabled_receive_ns=NOW_NS - 200 * MS)
    assert judged(samples(NOW_NS), held, SWITCHED) == []
    silent = replace(held, enabled_receive_ns=NOW_NS - 200 * MS - 1)
    assert the_only(judged(samples(NOW_NS), silent, SWITCHED)) == ('enable', 'not_enabled')


def test_without_an_enable_switch_in_the_contract_none_is_needed() -> None:
    assert judged(samples(NOW_NS), Guards(enabled=False)) == []


def test_a_robot_whose_fault_topic_was_never_heard_is_complained_of() -> None:
    contract = deployed(fault=FaultSignal('fault', True))
    assert the_only(judged(samples(NOW_NS), contract=contract)) == ('fault', 'missing_input')
    assert judged(samples(NOW_NS), Guards(faulty=False), contract) == []


TOOL, HAND = 'tool_pose', 'hand_pose'
HELD_TO = deployed(observations={key: replace(
    topic, **({'max_speed_m_s': 2.0, 'max_speed_rad_s': 10.0} if key in (TOOL, HAND) else {}))
    for key, topic in TOPICS.items()})


class Moving:
    """An input whose measurements come every 10 ms, all others as they should be."""

    def __init__(self, key: str, contract: Contract = HELD_TO) -> None:
        self.key, self.watchdog, self.now_ns = key, Watchdog(contract), NOW_NS

    def at(self, values: np.ndarray, after_ns: int = 10 * MS) -> list[str]:
        """Return the reasons of what is complained of when this is measured next."""
        self.now_ns += after_ns
        inputs = samples(self.now_ns) | {self.key: Sample(values, self.now_ns, self.now_ns)}
        complaints = self.watchdog.judge(inputs, self.now_ns, self.now_ns, self.now_ns)
        assert all(self.key in c.sentence and ';' in c.sentence for c in complaints)
        return [complaint.reason for complaint in complaints]


@pytest.mark.parametrize('key', [TOOL, HAND])
def test_a_pose_that_leaps_is_not_believed_until_it_could_be_there(key: str) -> None:
    moving = Moving(key)
    assert moving.at(pose(0.4)) == []
    # 0.3 m further, at 2 m/s at most: in 150 ms.
    judged_at = [moving.at(pose(0.7)) for _ in range(16)]
    assert judged_at == [['leap']] * 14 + [[]] * 2


def test_one_measurement_that_is_far_off_is_complained_of_alone() -> None:
    moving = Moving(TOOL)
    assert [moving.at(pose(x)) for x in (0.4, 0.41, 0.6, 0.42, 0.43)] == [[], [], ['leap'], [], []]


def test_a_tracker_that_turns_the_tool_round_from_one_measurement_to_the_next_is_found_out(
        ) -> None:
    moving, turned = Moving(HAND), pose(0.7)
    turned[3:] *= -1.0  # half a turn about z
    assert [moving.at(values) for values in (pose(0.7), turned, pose(0.7))] == [[], ['leap'], []]


def test_nothing_that_moves_as_fast_as_it_may_is_taken_for_a_leap() -> None:
    moving = Moving(TOOL)
    assert [moving.at(pose(0.2 + 0.02 * k)) for k in range(30)] == [[]] * 30
    # Neither the noise of a fast sensor, nor what was not seen for a while.
    assert [moving.at(pose(0.78 + 0.001 * (k % 2)), MS) for k in range(30)] == [[]] * 30
    assert moving.at(pose(0.51), 140 * MS) == []


def test_joints_that_leap_are_not_believed() -> None:
    topics = JOINT_CONTRACT.deployment.observations
    key = 'joint_positions'
    held_to = replace(JOINT_CONTRACT, deployment=replace(
        JOINT_CONTRACT.deployment,
        observations={**topics, key: replace(topics[key], max_speed_rad_s=3.0)}))
    moving = Moving(key, held_to)
    rest = np.array([0.0, 0.3, 0.0, -1.8, 0.0, 2.0, 0.7])
    last_joint = np.eye(7)[6]
    assert [moving.at(rest + way * last_joint) for way in (0.0, 0.03, 0.06, 0.1, 0.08)] == [
        [], [], [], ['leap'], []]


def test_without_a_speed_in_the_contract_nothing_is_a_leap() -> None:
    moving = Moving(HAND, CONTRACT)
    assert [moving.at(pose(x)) for x in (0.4, 5.0, 0.4)] == [[]] * 3


def test_where_something_was_is_forgotten_by_a_reset() -> None:
    moving = Moving(TOOL)
    assert moving.at(pose(0.4)) == []
    moving.watchdog.reset()
    assert moving.at(pose(0.7)) == []
