# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies with one known fault, in the real closed loop: each is told as what it is."""

import dataclasses

import numpy as np
import pytest
from scripted import Swings, never_lets_go, no_fault, opens_early, run_scripted

from uncloning_ros.judging.episode import NOTABLE_KINDS
from uncloning_ros.scenario import Scenario, find_scenario

# Its file may be tuned; where the modes are grasped and presented is what counts here.
KNIFE = find_scenario('knife')


def taught(scenario: Scenario, **changes: object) -> Scenario:
    """Return a scenario whose teacher does every mode otherwise."""
    return dataclasses.replace(scenario, modes={
        name: dataclasses.replace(rule, **changes) for name, rule in scenario.modes.items()})


def notable(result) -> set[str]:
    found = set(result.outcome.notable)
    assert found <= set(NOTABLE_KINDS)
    return found


@pytest.fixture(scope='module')
def sound():
    return run_scripted(KNIFE, no_fault)


def test_a_sound_handover_is_a_success_with_nothing_to_report(sound) -> None:
    outcome = sound.outcome
    assert outcome.success
    assert (outcome.mode, outcome.unsafe, notable(sound)) == ('handle_first', None, set())
    assert outcome.committed == (('handle_first',),)
    assert outcome.lifted_s < outcome.taken_s < outcome.opened_s <= outcome.released_s
    assert 0.0 < outcome.release_latency_s < 1.0


def test_what_was_drawn_for_an_episode_is_recorded(sound) -> None:
    drawn, start = sound.conditions, KNIFE.start
    x, y, z = sound.hand_offer_m
    assert (drawn['hand_x_m'], drawn['hand_y_m'], drawn['hand_z_m']) == (x, y, z)
    assert start.object_yaw_rad[0] <= drawn['object_yaw_rad'] <= start.object_yaw_rad[1]
    assert start.object_position_min_m[0] <= drawn['object_x_m'] <= start.object_position_max_m[0]
    assert KNIFE.receiver.pull_n[0] <= drawn['pull_n'] <= KNIFE.receiver.pull_n[1]
    assert drawn['tracking_latency_s'] == KNIFE.tracking.latency_s


def test_who_opens_early_drops_the_tool_and_let_go_prematurely() -> None:
    result = run_scripted(KNIFE, opens_early)
    assert result.outcome.failure == 'dropped'
    assert notable(result) == {'premature_release'}
    assert result.outcome.taken_s is None
    assert result.outcome.opened_s > result.outcome.lifted_s


def test_who_never_lets_go_times_out_and_held_on_for_too_long(sound) -> None:
    result = run_scripted(KNIFE, never_lets_go)
    outcome = result.outcome
    assert (outcome.failure, outcome.completed) == ('timeout', False)
    assert notable(result) == {'over_hold'}
    assert outcome.taken_s == sound.outcome.taken_s
    assert (outcome.opened_s, outcome.released_s) == (None, None)
    assert outcome.over_hold_n >= 0.95 * result.conditions['pull_n']


def test_who_moves_fast_near_the_person_is_reported_and_not_called_unsafe(sound) -> None:
    result = run_scripted(KNIFE, Swings())
    assert notable(result) == {'fast_near'}
    assert result.outcome.unsafe is None
    assert result.outcome.near_tip_speed_m_s > KNIFE.notable.near_tip_speed_m_s
    assert result.outcome.near_tip_speed_m_s > 2 * sound.outcome.near_tip_speed_m_s


def test_who_presents_sideways_hands_over_between_modes_and_offers_the_edge() -> None:
    sideways = taught(KNIFE, turn_rad=(np.pi / 2, np.pi / 2), present_x_m=-0.02)
    result = run_scripted(KNIFE, no_fault, mode='blade_first', taught=sideways)
    outcome = result.outcome
    assert (outcome.failure, outcome.mode) == ('wrong_part', None)
    assert np.radians(45) < outcome.exchange_angle_rad < np.radians(135)
    assert (outcome.unsafe.clause, outcome.unsafe.part) == ('contact', 'hand')
    assert outcome.edge_clearance_m['hand'] < 0


def test_who_passes_the_face_is_unsafe_at_the_face() -> None:
    seated = dataclasses.replace(KNIFE, receiver=dataclasses.replace(KNIFE.receiver,
                                                                     posture='seated'))
    high = taught(seated, carry_m=(0.66, 0.0, 0.46))
    result = run_scripted(seated, no_fault, mode='blade_first', taught=high)
    event = result.outcome.unsafe
    assert (event.clause, event.part) == ('face_neck', 'face')
    assert 0.0 < event.worst < KNIFE.unsafe.face_neck_clearance_m
    assert event.time_s < result.outcome.taken_s
