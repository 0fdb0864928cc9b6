# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a trajectory commits itself to, on traces that can be read, and what that adds up to."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from traces import HZ, fixed_scenario, handed_over, make_trace

from uncloning_ros.audit.figures.commitment import commitment
from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.judging.commitment import (
    BELIEVED_S,
    SHOWN_M,
    committed_modes,
    grasped_modes,
)
from uncloning_ros.judging.measures import blade_to_hand_angle, lifted_step, taken_step
from uncloning_ros.scenario import find_scenario

SCENARIO = fixed_scenario()
DESIRED = ('handle_first',)


def gripped_at(trace, x_m):
    """Put the tool centre point at a place along the tool."""
    pose = trace.tool_pose.copy()
    pose[:, :3] = trace.object_pose[:, :3] + x_m * trace.object_pose[:, 3:6]
    return dataclasses.replace(trace, tool_pose=pose)


def turned(yaw_rad, hand_x_m=0.62):
    """Return a trace whose tool turns as given (T,) near a palm, gripped as in no mode."""
    pose = pose_from_parts(np.tile([0.4, 0.0, 0.3], (len(yaw_rad), 1)), rotation_about_z(yaw_rad))
    return gripped_at(make_trace(len(yaw_rad), object_pose=pose, hand_x_m=hand_x_m), -0.02)


def committed(trace, scenario=SCENARIO):
    return committed_modes(trace, scenario, blade_to_hand_angle(trace, scenario),
                           lifted_step(trace), taken_step(trace))


@pytest.mark.parametrize(('x_m', 'modes'), [
    (0.035, ('handle_first',)), (0.07, ('handle_first',)), (-0.075, ('blade_first',)),
    (-0.02, ()), (0.2, ())])
def test_the_grasp_commits_to_the_modes_that_grasp_there(x_m, modes):
    assert grasped_modes(gripped_at(make_trace(), x_m), SCENARIO, 0) == modes


def test_a_grasp_that_every_mode_has_commits_to_none():
    rules = {name: dataclasses.replace(rule, grasp_x_m=(0.0, 0.02))
             for name, rule in SCENARIO.modes.items()}
    assert grasped_modes(make_trace(), dataclasses.replace(SCENARIO, modes=rules), 0) == ()


def test_of_four_modes_a_grasp_leaves_two_open_and_the_route_one():
    route = find_scenario('knife_route')
    trace = gripped_at(make_trace(yaw_rad=np.pi, hand_x_m=0.7), 0.035)
    assert grasped_modes(trace, route, 0) == ('handle_low', 'handle_face')
    assert committed(trace, route) == (('handle_low',),)
    high = trace.object_pose.copy()
    high[:200, 2] = 0.6
    trace = gripped_at(dataclasses.replace(trace, object_pose=high), 0.035)
    assert committed(trace, route) == (('handle_face',),)


def test_from_which_side_it_is_shown_tells_modes_apart():
    mug = find_scenario('mug')
    # The handle, at -x, comes to a palm that looks along -x, turned by 35 degrees either way.
    for turn, mode in ((35.0, 'handle_left'), (-35.0, 'handle_right')):
        trace = gripped_at(turned(np.full(480, np.pi + np.radians(turn))), 0.0)
        assert committed(trace, mug) == ((mode,),)


def test_what_is_shown_to_the_near_hand_for_long_enough_is_a_commitment():
    believed = int(BELIEVED_S * HZ)
    yaw = np.full(480, np.pi / 2)
    yaw[100:100 + believed] = np.pi
    assert committed(turned(yaw)) == (('handle_first',),)
    yaw[100 + believed - 1] = np.pi / 2
    assert committed(turned(yaw)) == ()


def test_what_is_shown_to_a_far_hand_is_none():
    # Handle first the handle ends 0.145 m before the tool's middle.
    assert committed(turned(np.full(480, np.pi), 0.4 + 0.145 + SHOWN_M + 0.01)) == ()
    assert committed(turned(np.full(480, np.pi), 0.4 + 0.145 + SHOWN_M - 0.01)) != ()


def test_what_contradicts_the_grasp_is_a_second_commitment():
    trace = gripped_at(turned(np.where(np.arange(480) < 300, np.pi / 2, 0.0)), 0.035)
    assert committed(trace) == (('handle_first',), ('blade_first',))


def test_what_comes_before_the_lift_or_after_the_taking_is_none():
    yaw = np.where(np.arange(480) < 240, np.pi, 0.0)
    trace = turned(yaw)
    held = trace.held_part.copy()
    held[240:] = 0
    assert committed(dataclasses.replace(trace, held_part=held)) == (('handle_first',),)
    contact = np.arange(480) >= 240
    assert committed(dataclasses.replace(trace, finger_contact=contact)) == (('blade_first',),)


def test_a_tool_that_was_never_lifted_commits_to_nothing():
    assert committed(make_trace(finger_contact=np.zeros(480, dtype=bool))) == ()


def test_taken_at_the_very_first_step_is_no_error():
    assert committed(handed_over(taken=0)) in ((), (('handle_first',),))


GOOD, BAD = ('handle_first',), ('blade_first',)


def outcome(committed, taken, mode):
    return SimpleNamespace(committed=committed, taken_s=3.0 if taken else None, mode=mode)


def test_bridges_are_changes_and_exchanges_between_modes():
    courses = [outcome((GOOD,), True, 'handle_first'), outcome((BAD, GOOD), True, 'handle_first'),
               outcome((GOOD,), True, None), outcome((GOOD,), True, 'blade_first'),
               outcome((), True, None), outcome((GOOD,), False, None)]
    found = commitment(courses, DESIRED)
    assert (found.committed, found.changed, found.ended_between, found.bridges) == (5, 2, 1, 3)
    assert found.bridge_rate == 0.6
    assert found.bridge_interval95 == interval(3, 5)


def test_a_wrong_start_is_continued_mended_or_ends_otherwise():
    courses = [outcome((BAD,), True, 'blade_first'), outcome((BAD,), False, None),
               outcome((BAD, GOOD), True, 'handle_first'), outcome((BAD, GOOD), False, None),
               outcome((BAD,), True, None), outcome((GOOD, BAD), True, 'blade_first')]
    found = commitment(courses, DESIRED)
    assert (found.wrong_starts, found.continued, found.mended) == (5, 2, 2)
    assert found.continued_interval95 == interval(2, 5)


def test_a_commitment_that_leaves_a_desired_mode_open_is_no_wrong_start():
    open_still = (('handle_low', 'handle_face'),)
    found = commitment([outcome(open_still, True, 'handle_face'),
                        outcome((('handle_face', 'blade_face'),), True, 'handle_face')],
                       ('handle_low',))
    assert found.wrong_starts == 1
    assert found.changed == 0


def test_where_nothing_was_committed_there_is_no_rate():
    found = commitment([outcome((), False, None)] * 3, DESIRED)
    assert (found.bridge_rate, found.bridge_interval95) == (None, None)
    assert (found.continued_rate, found.continued_interval95) == (None, None)
