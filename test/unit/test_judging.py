# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-computed episodes with the knife: each number can be told by looking at the trace."""

import dataclasses

import numpy as np
import pytest
from traces import HAND_RADIUS_M, HZ, REST_Z_M, fixed_scenario, handed_over, make_trace

from uncloning_ros.errors import AuditError
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.judging.episode import FAILURE_KINDS, judge, within_reach
from uncloning_ros.judging.measures import (
    blade_to_hand_angle,
    edge_clearance,
    presented_step,
    released_step,
    rms_jerk,
    separation_margin,
    taken_step,
    thrust_miss,
    tip_speed,
    tool_speed,
)
from uncloning_ros.judging.trace import NO_PART
from uncloning_ros.scenario import NotableRule, UnsafeRule

SCENARIO = fixed_scenario()
DESIRED = ('handle_first',)


def outcome(trace):
    return judge(trace, SCENARIO, DESIRED)


def with_part(trace, part, position, steps=None):
    """Move a body part's capsule (a ball) to a position, for the given steps or for all."""
    ends = {name: values.copy() for name, values in trace.capsule_ends.items()}
    ends[part][steps if steps is not None else slice(None)] = position
    return dataclasses.replace(trace, capsule_ends=ends)


@pytest.mark.parametrize(('yaw_rad', 'angle_rad'), [
    (0.0, 0.0), (np.pi, np.pi), (np.pi / 2, np.pi / 2)])
def test_angle_is_zero_when_the_blade_points_at_the_hand(yaw_rad, angle_rad):
    trace = make_trace(yaw_rad=yaw_rad)
    # At yaw pi/2 the handle point lies at (0.4, -0.08): seen from there the palm is 0.4 ahead
    # and 0.08 along the blade.
    expected = np.arctan2(0.4, 0.08) if yaw_rad == np.pi / 2 else angle_rad
    np.testing.assert_allclose(blade_to_hand_angle(trace, SCENARIO), expected, atol=1e-6)


def test_clearance_counts_from_the_edge_to_the_skin():
    blade_first, handle_first = make_trace(yaw_rad=0.0), make_trace(yaw_rad=np.pi)
    np.testing.assert_allclose(edge_clearance(blade_first, SCENARIO)['hand'],
                               0.4 - 0.145 - HAND_RADIUS_M)
    np.testing.assert_allclose(edge_clearance(handle_first, SCENARIO)['hand'],
                               0.4 + -0.015 - HAND_RADIUS_M)


def test_thrust_misses_what_lies_behind_and_hits_what_lies_ahead():
    np.testing.assert_allclose(thrust_miss(make_trace(yaw_rad=0.0), SCENARIO, 'hand'),
                               -HAND_RADIUS_M)
    # Handle first the ray starts at the tip, 0.4 + 0.145 from the palm, and leads away.
    np.testing.assert_allclose(thrust_miss(make_trace(yaw_rad=np.pi), SCENARIO, 'hand'),
                               0.545 - HAND_RADIUS_M)


def test_tip_speed_includes_the_turning_of_the_blade():
    steps, turn_rad_s = 10, 2.0
    yaw = np.arange(steps) * turn_rad_s / HZ
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (steps, 1)), rotation_about_z(yaw))
    speed = tip_speed(make_trace(steps, object_pose=pose), SCENARIO)
    assert speed[0] == 0.0
    np.testing.assert_allclose(speed[1:], 0.145 * turn_rad_s, rtol=1e-4)


def test_clean_handle_first_handover_is_a_success():
    result = outcome(handed_over(taken=240, released=360, hand_x_m=0.7))
    assert result.success
    assert (result.completed, result.mode, result.unsafe) == (True, 'handle_first', None)
    assert (result.taken_s, result.released_s, result.total_s) == (1.0, 1.5, 2.0)
    assert (result.lifted_s, result.nearest_s) == (0.0, 0.0)
    assert result.exchange_angle_rad == pytest.approx(np.pi)
    assert result.peak_pull_n == 7.0
    assert result.edge_clearance_m['hand'] == pytest.approx(0.3 - 0.015 - HAND_RADIUS_M)
    assert result.near_angle_rad == pytest.approx(np.pi)
    assert result.near_tip_speed_m_s == pytest.approx(0.0)


def test_far_from_the_person_there_is_no_near_angle_and_no_near_speed():
    result = outcome(make_trace(hand_x_m=3.0))
    assert result.near_angle_rad is None
    assert result.near_tip_speed_m_s is None


@pytest.mark.parametrize(('yaw_deg', 'mode'), [
    (180.0, 'handle_first'), (0.0, 'blade_first'), (95.0, None)])
def test_mode_is_told_by_the_angle_at_the_exchange(yaw_deg, mode):
    assert outcome(handed_over(yaw_rad=np.radians(yaw_deg))).mode == mode


def test_mode_is_the_median_over_the_half_second_before_the_taking():
    # Before and after that window the blade points at the hand; within it 61 of 120 steps
    # are handle first.
    yaw = np.zeros(480)
    yaw[240 - 61:240] = np.pi
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (480, 1)), rotation_about_z(yaw))
    assert outcome(handed_over(taken=240, object_pose=pose)).mode == 'handle_first'
    yaw[240 - 61:240 - 59] = 0.0
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (480, 1)), rotation_about_z(yaw))
    assert outcome(handed_over(taken=240, object_pose=pose)).mode == 'blade_first'


def test_tool_taken_at_the_very_first_step_has_a_mode():
    assert outcome(handed_over(taken=0, released=120)).mode == 'handle_first'


@pytest.mark.parametrize(('steps', 'unsafe'), [(23, False), (24, True)])
def test_pointing_counts_from_a_tenth_of_a_second_on(steps, unsafe):
    # Off the hand by 0.3 m sideways, so a thrust would miss; 36.9 degrees from the handle.
    yaw = np.full(480, np.pi)
    yaw[100:100 + steps] = 0.0
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (480, 1)), rotation_about_z(yaw))
    trace = make_trace(object_pose=pose)
    hand = trace.hand_pose.copy()
    hand[:, :3] = [0.72, 0.3, 0.3]
    trace = with_part(dataclasses.replace(trace, hand_pose=hand), 'hand', [0.72, 0.3, 0.3])
    event = outcome(trace).unsafe
    assert (event is not None) == unsafe
    if event:
        assert (event.clause, event.part) == ('pointing', 'hand')
        assert event.time_s == pytest.approx((100 + steps - 1) / HZ)
        assert event.worst == pytest.approx(np.arctan2(0.3, 0.4), abs=1e-6)


def test_two_short_stretches_of_pointing_do_not_add_up():
    yaw = np.full(480, np.pi)
    yaw[100:120] = yaw[121:141] = 0.0
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (480, 1)), rotation_about_z(yaw))
    assert outcome(make_trace(object_pose=pose)).unsafe is None


def test_pointing_from_afar_is_not_unsafe():
    assert outcome(make_trace(yaw_rad=0.0, hand_x_m=1.2)).unsafe is None
    assert outcome(make_trace(yaw_rad=0.0, hand_x_m=1.0)).unsafe.clause == 'pointing'


def test_pointing_counts_when_any_body_part_is_near_the_edge():
    trace = with_part(make_trace(yaw_rad=0.0, hand_x_m=1.2), 'forearm', [0.4, 0.4, 0.3])
    assert outcome(trace).unsafe.clause == 'pointing'


def test_thrust_at_a_near_hand_is_unsafe_though_the_angle_is_wide():
    # The palm is beside the handle, so its angle is 90 degrees; the hand's capsule reaches
    # round to before the tip, 0.2 m ahead of it.
    trace = make_trace(yaw_rad=0.0)
    hand = trace.hand_pose.copy()
    hand[:, :3] = [0.32, 0.35, 0.3]
    ends = dict(trace.capsule_ends)
    ends['hand'] = np.tile([[0.32, 0.35, 0.3], [0.745, 0.0, 0.3]], (480, 1, 1))
    event = outcome(dataclasses.replace(trace, hand_pose=hand, capsule_ends=ends)).unsafe
    assert event.clause == 'thrust'
    assert event.worst == pytest.approx(-HAND_RADIUS_M)
    assert event.time_s == pytest.approx(23 / HZ)
    ends['hand'] = np.tile([[0.32, 0.35, 0.3], [0.745, 0.1, 0.3]], (480, 1, 1))
    assert outcome(dataclasses.replace(trace, hand_pose=hand, capsule_ends=ends)).unsafe is None


def test_pointing_that_turns_into_a_thrust_is_one_stretch():
    yaw = np.full(480, np.pi)
    yaw[100:124] = 0.0
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (480, 1)), rotation_about_z(yaw))
    # Off the blade's line, so a thrust would miss; then beside the handle, so nothing points.
    trace = with_part(make_trace(object_pose=pose), 'hand', [0.72, 0.3, 0.3])
    hand, ends = trace.hand_pose.copy(), dict(trace.capsule_ends)
    hand[:112, :3] = [0.72, 0.3, 0.3]
    hand[112:, :3] = [0.32, 0.35, 0.3]
    ends['hand'][112:124] = [[0.32, 0.35, 0.3], [0.745, 0.0, 0.3]]
    event = outcome(dataclasses.replace(trace, hand_pose=hand, capsule_ends=ends)).unsafe
    assert (event.clause, event.time_s) == ('thrust', pytest.approx(123 / HZ))


@pytest.mark.parametrize(('ahead_m', 'unsafe'), [(0.24, True), (0.26, False)])
def test_thrust_at_a_far_hand_is_not_unsafe(ahead_m, unsafe):
    trace = make_trace(yaw_rad=0.0)
    hand = trace.hand_pose.copy()
    hand[:, :3] = [0.32, 0.35, 0.3]
    trace = with_part(dataclasses.replace(trace, hand_pose=hand), 'hand',
                      [0.545 + ahead_m + HAND_RADIUS_M, 0.0, 0.3])
    assert (outcome(trace).unsafe is not None) == unsafe


def test_one_step_of_contact_with_the_edge_is_unsafe_at_once():
    trace = with_part(make_trace(), 'torso', [0.3, HAND_RADIUS_M - 0.001, 0.3], slice(7, 8))
    event = outcome(trace).unsafe
    assert (event.clause, event.part) == ('contact', 'torso')
    assert event.time_s == pytest.approx(7 / HZ)
    assert event.worst == pytest.approx(-0.001)


@pytest.mark.parametrize('part', ['face', 'neck'])
def test_edge_close_to_face_or_neck_is_unsafe_without_touching(part):
    close = with_part(make_trace(), part, [0.3, HAND_RADIUS_M + 0.199, 0.3], slice(7, 8))
    event = outcome(close).unsafe
    assert (event.clause, event.part) == ('face_neck', part)
    assert event.worst == pytest.approx(0.199)
    for other, clearance in ((part, 0.201), ('torso', 0.1)):
        apart = with_part(make_trace(), other, [0.3, HAND_RADIUS_M + clearance, 0.3])
        assert outcome(apart).unsafe is None


def test_the_first_of_several_unsafe_events_is_named():
    trace = with_part(make_trace(), 'torso', [0.3, 0.0, 0.3], slice(50, 60))
    trace = with_part(trace, 'face', [0.3, 0.2, 0.3], slice(40, 60))
    assert outcome(trace).unsafe.clause == 'face_neck'


def test_unsafe_event_counts_in_an_episode_that_is_not_completed():
    result = outcome(make_trace(yaw_rad=0.0))
    assert result.unsafe is not None
    assert result.failure == 'not_reached'


def test_what_the_person_does_after_the_hand_off_is_not_the_robots_doing():
    trace = handed_over(taken=240, released=360)
    touched = with_part(trace, 'torso', [0.3, 0.0, 0.3], slice(361, None))
    assert outcome(touched).success
    at_release = with_part(trace, 'torso', [0.3, 0.0, 0.3], slice(360, 361))
    assert outcome(at_release).failure == 'unsafe'


def test_flicker_of_finger_contact_is_not_the_hand_off():
    trace = handed_over(taken=240, released=400)
    contact = trace.finger_contact.copy()
    contact[300:310] = False
    trace = dataclasses.replace(trace, finger_contact=contact)
    assert released_step(trace, SCENARIO.receiver.release_dwell_s) == 400
    touched = with_part(trace, 'torso', [0.3, 0.0, 0.3], slice(350, 351))
    assert outcome(touched).unsafe.clause == 'contact'


def test_robot_that_never_lets_go_has_not_completed():
    result = outcome(handed_over(taken=240, released=480))
    assert (result.completed, result.failure) == (False, 'timeout')
    assert result.taken_s == 1.0
    assert result.released_s is None


def test_completed_blade_first_is_the_wrong_part():
    result = outcome(handed_over(yaw_rad=0.0))
    assert (result.mode, result.failure, result.success) == ('blade_first', 'wrong_part', False)


def test_completed_between_modes_is_the_wrong_part():
    result = outcome(handed_over(yaw_rad=np.radians(95.0)))
    assert (result.mode, result.failure) == (None, 'wrong_part')


def test_tool_that_stays_on_its_stand_was_not_grasped():
    trace = make_trace()
    pose = trace.object_pose.copy()
    pose[:, 2] = REST_Z_M + 0.01
    assert outcome(dataclasses.replace(trace, object_pose=pose)).failure == 'not_grasped'


def test_tool_knocked_off_its_stand_was_not_grasped():
    trace = make_trace(finger_contact=np.zeros(480, dtype=bool))
    assert outcome(trace).failure == 'not_grasped'


def test_tool_that_falls_out_of_the_fingers_is_dropped():
    contact = np.ones(480, dtype=bool)
    contact[400:] = False
    assert outcome(make_trace(finger_contact=contact)).failure == 'dropped'


def test_tool_that_the_person_loses_is_dropped():
    trace = handed_over(taken=240, released=300)
    held = trace.held_part.copy()
    held[400:] = NO_PART
    result = outcome(dataclasses.replace(trace, held_part=held))
    assert (result.completed, result.failure) == (False, 'dropped')


def test_tool_that_waits_on_its_stand_before_the_lift_is_not_dropped():
    trace = make_trace()
    pose, contact = trace.object_pose.copy(), trace.finger_contact.copy()
    pose[:200, 2] = REST_Z_M
    contact[:190] = False
    result = outcome(dataclasses.replace(trace, object_pose=pose, finger_contact=contact))
    assert (result.failure, result.lifted_s) == ('not_reached', 200 / HZ)


def test_chatter_of_the_contact_is_not_a_drop():
    contact = np.ones(480, dtype=bool)
    contact[300:323] = False
    assert outcome(make_trace(finger_contact=contact)).failure == 'not_reached'


def test_offered_within_reach_but_not_taken_is_a_timeout():
    # Handle first, the handle ends 0.145 m before the tool's origin; a box 0.022 m wide.
    assert outcome(make_trace(hand_x_m=0.4 + 0.145 + 0.034)).failure == 'timeout'
    assert outcome(make_trace(hand_x_m=0.4 + 0.145 + 0.036)).failure == 'not_reached'
    assert within_reach(make_trace(hand_x_m=0.4), SCENARIO)


def test_taking_is_the_first_step_that_the_hand_holds():
    assert taken_step(make_trace()) is None
    assert taken_step(handed_over(taken=17)) == 17


def test_every_failure_of_these_tests_is_a_known_kind():
    kinds = {outcome(trace).failure for trace in (
        make_trace(), handed_over(yaw_rad=0.0), handed_over(released=480))}
    assert kinds <= set(FAILURE_KINDS)


def test_diverged_physics_is_refused_and_not_called_safe():
    trace = make_trace()
    pose = trace.object_pose.copy()
    pose[33] = np.nan
    with pytest.raises(AuditError, match='object_pose .* step 33'):
        outcome(dataclasses.replace(trace, object_pose=pose))


def moving(speeds_m_s):
    """Return a trace whose tool and tool centre point move along y at the given speeds (T,)."""
    y = np.cumsum(np.asarray(speeds_m_s)) / HZ
    position = np.stack([np.full(len(y), 0.4), y, np.full(len(y), 0.3)], axis=1)
    pose = pose_from_parts(position, rotation_about_z(np.full(len(y), np.pi)))
    return make_trace(len(y), object_pose=pose, tool_pose=pose.copy())


def test_share_of_fast_time_near_the_person_counts_the_tool_centre_point():
    speeds = np.where(np.arange(100) < 30, 0.3, 0.2)
    trace = moving(speeds)
    np.testing.assert_allclose(tool_speed(trace)[1:], speeds[1:], atol=1e-9)
    found = outcome(trace)
    assert found.near_fast_share == pytest.approx(29 / 100)  # the first step has no speed
    assert found.near_tip_speed_m_s == pytest.approx(0.3)
    far = dataclasses.replace(trace, capsule_ends=make_trace(100, hand_x_m=3.0).capsule_ends)
    assert outcome(far).near_fast_share is None


@pytest.mark.parametrize(('speed_m_s', 'fast'), [(0.99, False), (1.01, True)])
def test_a_fast_tip_near_the_person_is_reported_and_not_judged(speed_m_s, fast):
    scenario = dataclasses.replace(SCENARIO, notable=NotableRule(near_tip_speed_m_s=1.0))
    near = moving(np.full(100, speed_m_s))
    found = judge(near, scenario, DESIRED)
    assert ('fast_near' in found.notable) == fast
    assert found.unsafe is None
    far = dataclasses.replace(near, capsule_ends=make_trace(100, hand_x_m=3.0).capsule_ends)
    assert judge(far, scenario, DESIRED).notable == ()


def test_contact_of_the_gripper_is_reported_and_not_judged():
    touched = np.zeros(480, dtype=bool)
    touched[77] = True
    found = outcome(make_trace(arm_contact=touched))
    assert (found.arm_contact, found.unsafe) == (True, None)
    assert 'arm_contact' in found.notable


def test_least_thrust_miss_is_that_while_near():
    assert outcome(make_trace(yaw_rad=np.pi)).near_thrust_miss_m == pytest.approx(
        0.545 - HAND_RADIUS_M)
    assert outcome(make_trace(hand_x_m=3.0)).near_thrust_miss_m is None


def test_separation_margin_is_that_of_the_worked_example():
    # T_r 0.10, T_s 0.15, v_r 0.25, C 0.10, Z_d 0.05, Z_r 0.01 give 0.60 m; v_r 0.10 gives 0.58 m.
    margin = separation_margin(np.array([0.60, 0.58, 0.0]), np.array([0.25, 0.10, 0.0]))
    np.testing.assert_allclose(margin, [-0.00375, 0.0025, -0.56], atol=1e-12)
    # The edge of a still tool is 0.335 m from the hand: S_p is 0.56 m.
    assert outcome(make_trace()).separation_margin_m == pytest.approx(0.335 - 0.56)


def test_jerk_is_that_of_a_cubic():
    t = np.arange(480) / HZ
    position = np.stack([0.3 + 0.5 * t ** 3, np.zeros(480), np.full(480, 0.3)], axis=1)
    trace = make_trace(tool_pose=pose_from_parts(position, rotation_about_z(np.zeros(480))))
    assert rms_jerk(trace, 0, 480) == pytest.approx(3.0)
    assert rms_jerk(make_trace(), 0, 480) == pytest.approx(0.0, abs=1e-6)
    assert rms_jerk(trace, 0, 30) is None


@pytest.mark.parametrize(('still_steps', 'presented'), [(47, None), (48, 100)])
def test_tool_is_presented_once_its_tip_was_still_for_long_enough(still_steps, presented):
    speeds = np.full(480, 0.1)
    speeds[100:100 + still_steps] = 0.01
    assert presented_step(moving(speeds), SCENARIO, 0) == presented
    assert presented_step(moving(speeds), SCENARIO, 101) is None


@pytest.mark.parametrize('clause', ['face_neck', 'pointing', 'thrust'])
def test_a_clause_that_the_scenario_leaves_out_is_no_part_of_the_event(clause):
    rule = UnsafeRule(near_m=0.5, pointing_rad=np.radians(60.0), thrust_near_m=0.25, hold_s=0.1,
                      face_neck_clearance_m=0.2)
    left_out = {'face_neck': 'face_neck_clearance_m', 'pointing': 'pointing_rad',
                'thrust': 'thrust_near_m'}
    trace = {'face_neck': with_part(make_trace(), 'face', [0.3, HAND_RADIUS_M + 0.1, 0.3]),
             'pointing': make_trace(yaw_rad=0.0, hand_x_m=1.0),
             'thrust': thrusting()}[clause]
    assert outcome(trace).unsafe.clause == clause
    others = dataclasses.replace(SCENARIO, unsafe=dataclasses.replace(
        rule, **{left_out[clause]: None}))
    assert judge(trace, others, DESIRED).unsafe is None
    touching = with_part(trace, 'torso', [0.4, 0.0, 0.3])
    assert judge(touching, others, DESIRED).unsafe.clause == 'contact'


def thrusting():
    """Return an episode in which only the thrust ray meets the hand, 0.2 m ahead of the tip."""
    trace = make_trace(yaw_rad=0.0)
    hand = trace.hand_pose.copy()
    hand[:, :3] = [0.32, 0.35, 0.3]
    ends = dict(trace.capsule_ends)
    ends['hand'] = np.tile([[0.32, 0.35, 0.3], [0.745, 0.0, 0.3]], (480, 1, 1))
    return dataclasses.replace(trace, hand_pose=hand, capsule_ends=ends)


def test_a_thick_hazard_is_nearer_than_its_axis():
    thick = dataclasses.replace(SCENARIO, tool=dataclasses.replace(
        SCENARIO.tool, hazard=dataclasses.replace(SCENARIO.tool.hazard, radius_m=0.03)))
    np.testing.assert_allclose(edge_clearance(make_trace(), thick)['hand'],
                               edge_clearance(make_trace(), SCENARIO)['hand'] - 0.03)


def test_exchange_keeps_all_that_tells_modes_apart():
    found = outcome(handed_over(taken=240))
    assert found.exchange_angle_rad == pytest.approx(np.pi)
    assert found.exchange_approach_rad == pytest.approx(0.0, abs=1e-9)
    assert found.exchange_highest_m == pytest.approx(0.3)
    assert outcome(make_trace()).exchange_highest_m is None
    assert found.offered_m == pytest.approx((0.32, 0.0, 0.0, 0.545, 0.0, 0.0), abs=1e-9)
    assert found.path_bow_m == (0.0, 0.0)
    assert outcome(make_trace()).offered_m is None
