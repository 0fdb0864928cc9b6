# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the robot lets go, on traces that can be read: 240 steps are a second."""

import dataclasses

import numpy as np
import pytest
from traces import fixed_scenario, handed_over, make_trace

from uncloning_ros.judging.episode import judge
from uncloning_ros.judging.letting_go import letting_go
from uncloning_ros.scenario import NotableRule

RULE = NotableRule(near_tip_speed_m_s=1.0, premature_share=0.2, pull_n=4.0, over_hold_s=1.0)
SCENARIO = dataclasses.replace(fixed_scenario(), notable=RULE)
WEIGHT_N = SCENARIO.tool.mass_kg * 9.81


def opening(trace, at=360, opened=True):
    """Let the fingers open at a step, or let the tool slip out of them."""
    contact, width = trace.finger_contact.copy(), trace.gripper_width_m.copy()
    contact[at:] = False
    width[at:] += 0.03 if opened else -0.02
    return dataclasses.replace(trace, finger_contact=contact, gripper_width_m=width)


def pulling(trace, pull_n):
    """Let the person pull as given: a number, or (T,)."""
    return dataclasses.replace(trace, pull_n=np.broadcast_to(pull_n, trace.steps).astype(float))


def test_fingers_that_open_after_the_pull_are_in_time():
    found = letting_go(opening(handed_over()), SCENARIO, 0)
    # The pull begins at step 240; after 0.05 s, at step 251, it counts.
    assert found.opened_s == 1.5
    assert found.latency_s == pytest.approx((360 - 251) / 240)
    assert (found.premature, found.over_held, found.over_hold_n) == (False, False, 7.0)


@pytest.mark.parametrize(('share', 'premature'), [(0.0, True), (0.19, True), (0.21, False)])
def test_fingers_that_open_before_the_person_carries_the_tool_are_premature(share, premature):
    trace = opening(pulling(make_trace(), share * WEIGHT_N))
    found = letting_go(trace, SCENARIO, 0)
    assert (found.opened_s, found.premature) == (1.5, premature)
    assert (found.latency_s, found.over_held) == (None, False)
    assert ('premature_release' in judge(trace, SCENARIO, ()).notable) == premature


def test_a_tool_that_slips_out_was_not_let_go():
    found = letting_go(opening(make_trace(), opened=False), SCENARIO, 0)
    assert (found.opened_s, found.premature) == (None, None)


def test_chatter_of_the_contact_is_no_opening():
    trace = make_trace()
    contact, width = trace.finger_contact.copy(), trace.gripper_width_m.copy()
    contact[100:123] = False
    width[100:123] += 0.03
    found = letting_go(dataclasses.replace(trace, finger_contact=contact, gripper_width_m=width),
                       SCENARIO, 0)
    assert found.opened_s is None


def test_fingers_that_open_on_the_way_to_the_tool_do_not_count():
    steps = np.arange(480)
    trace = dataclasses.replace(
        make_trace(), finger_contact=steps >= 200,
        gripper_width_m=np.where((steps >= 50) & (steps < 200), 0.08, 0.02))
    assert letting_go(trace, SCENARIO, 200).opened_s is None
    assert letting_go(trace, SCENARIO, None).opened_s is None


@pytest.mark.parametrize(('held_steps', 'over_held'), [(240, False), (241, True)])
def test_holding_on_for_too_long_after_the_pull_is_told(held_steps, over_held):
    trace = opening(pulling(make_trace(960), np.where(np.arange(960) >= 100, 6.0, 0.0)),
                    111 + held_steps)
    found = letting_go(trace, SCENARIO, 0)
    assert found.latency_s == pytest.approx(held_steps / 240)
    assert found.over_held == over_held


def test_who_never_lets_go_holds_on_for_too_long():
    trace = pulling(make_trace(960), np.where(np.arange(960) >= 100, 9.0, 0.0))
    found = letting_go(trace, SCENARIO, 0)
    assert (found.opened_s, found.latency_s) == (None, None)
    assert (found.over_held, found.over_hold_n) == (True, 9.0)
    assert 'over_hold' in judge(trace, SCENARIO, ()).notable


def test_a_short_or_weak_pull_does_not_ask_for_the_tool():
    steps = np.arange(960)
    short = np.where((steps >= 100) & (steps < 111), 9.0, 0.0)
    assert letting_go(pulling(make_trace(960), short), SCENARIO, 0).over_held is False
    assert letting_go(pulling(make_trace(960), 3.9), SCENARIO, 0).over_held is False


def test_what_a_scenario_does_not_define_is_not_looked_for():
    nothing = dataclasses.replace(SCENARIO, notable=NotableRule())
    trace = opening(pulling(make_trace(960), np.where(np.arange(960) >= 100, 9.0, 0.0)), 900)
    found = letting_go(trace, nothing, 0)
    assert found.opened_s == 3.75
    assert (found.premature, found.latency_s, found.over_held) == (None, None, None)
    assert judge(opening(make_trace()), nothing, ()).notable == ()
