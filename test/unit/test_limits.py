# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The limiter rejects what is no command and clamps what is too much, counting both."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from loop_inputs import (
    CONTRACT,
    LIMITS,
    action,
    deployed,
    pose,
    require_inside,
    require_reachable,
)

from uncloning_ros.contract import Contract, Interface, Signal
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    rotation_about_z,
    rotation_angle_between,
    rotation_of,
)
from uncloning_ros.runtime.limits import Limiter

STEP_M = LIMITS.speed_m_s / CONTRACT.deployment.command_rate_hz
STEP_RAD = LIMITS.rotation_speed_rad_s / CONTRACT.deployment.command_rate_hz
AT = action(0.4)

any_action = hnp.arrays(np.float64, 10, elements=st.floats(allow_nan=True, allow_infinity=True))
near_action = hnp.arrays(np.float64, 10, elements=st.floats(-2.0, 2.0))


def turned(angle_rad: float, width: float = 0.08) -> Array:
    """Return an action turned about the vertical."""
    return np.concatenate([pose_from_parts([0.4, 0.0, 0.3], rotation_about_z(angle_rad)),
                           [width]])


def joint_contract(**limits: object) -> Contract:
    """Return a contract that commands two joints."""
    joints = Signal('joints', 'joint_positions', 'rad', '', ('a', 'b'))
    interface = Interface((joints,), (joints,), {'one': True}, base_frame='base')
    spans = {'joint_limits_rad': {'b': (-1.0, 0.5), 'a': (-2.0, 2.0)}} | limits
    changed = deployed(limits=dataclasses.replace(LIMITS, **spans))
    return Contract(interface, CONTRACT.policy, changed.deployment)


def counted(limiter: Limiter) -> dict[str, int]:
    """Return the counts that are not zero."""
    return {name: count for name, count in limiter.counts.items() if count}


def turn_between(one: Array, two: Array) -> float:
    return float(rotation_angle_between(rotation_of(one[:9]), rotation_of(two[:9])))


def test_a_command_within_the_limits_passes_unchanged_and_uncounted() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.41), AT, AT)
    assert command == pytest.approx(action(0.41))
    assert counted(limiter) == {}


def test_a_target_outside_the_workspace_is_clamped_to_its_face() -> None:
    limiter = Limiter(CONTRACT)
    edge = LIMITS.workspace_max_m[0]
    inside = action(edge - 0.001)
    command = limiter.apply(action(edge + 0.01), inside, inside)
    assert command is not None and command[0] == pytest.approx(edge)
    assert counted(limiter) == {'workspace': 1}


def test_a_leap_becomes_a_step_of_the_allowed_speed_towards_the_target() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.5), AT, AT)
    assert command is not None and command[0] == pytest.approx(0.4 + STEP_M)
    assert counted(limiter) == {'speed': 1}


def test_speed_is_counted_in_commands_and_not_in_ticks_of_the_policy() -> None:
    for rate_hz in (20.0, 100.0):
        limiter = Limiter(deployed(command_rate_hz=rate_hz))
        command = limiter.apply(action(0.55), AT, AT)
        assert command is not None
        assert command[0] == pytest.approx(0.4 + LIMITS.speed_m_s / rate_hz)


def test_no_command_lies_farther_from_the_measured_pose_than_a_jump() -> None:
    limiter = Limiter(CONTRACT)
    # The arm is held back at 0.4, while the policy goes on.
    previous = action(0.4 + LIMITS.jump_m)
    command = limiter.apply(action(0.4 + LIMITS.jump_m + 0.01), previous, AT)
    assert command is not None and command[0] == pytest.approx(0.4 + LIMITS.jump_m)
    assert counted(limiter) == {'jump': 1}


def test_a_command_that_lies_too_far_from_the_measured_pose_comes_back_without_a_leap() -> None:
    limiter = Limiter(CONTRACT)
    previous = action(0.8)
    command = limiter.apply(action(0.8), previous, AT)
    assert command is not None and command[0] == pytest.approx(0.8 - STEP_M)
    assert counted(limiter) == {'jump': 1, 'speed': 1}


def test_no_command_is_turned_farther_from_the_measured_pose_than_a_jump() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(turned(LIMITS.jump_rad + 0.02), turned(LIMITS.jump_rad), turned(0.0))
    assert command is not None
    assert turn_between(command, turned(0.0)) == pytest.approx(LIMITS.jump_rad)
    assert counted(limiter) == {'rotation_jump': 1}


def test_an_arm_measured_outside_draws_no_command_out_of_the_workspace() -> None:
    limiter = Limiter(CONTRACT)
    edge = LIMITS.workspace_max_m[0]
    previous = action(edge - STEP_M / 2)
    command = limiter.apply(action(0.6), previous, action(edge + LIMITS.jump_m + 0.1))
    assert command is not None and command[0] == pytest.approx(edge)


@pytest.mark.parametrize('angle_rad', [STEP_RAD * 1.01, 0.5, -0.9])
def test_a_turn_is_slowed_down_to_the_allowed_speed_towards_the_target(angle_rad: float) -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(turned(angle_rad), turned(0.0), turned(0.0))
    assert command is not None
    assert counted(limiter) == {'rotation_speed': 1}
    assert turn_between(turned(0.0), command) == pytest.approx(STEP_RAD)
    assert turn_between(command, turned(angle_rad)) == pytest.approx(abs(angle_rad) - STEP_RAD)


@pytest.mark.parametrize('angle_rad', [-2.0, math.pi])
def test_a_turn_of_any_angle_is_slowed_down(angle_rad: float) -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(turned(angle_rad), turned(0.0), turned(0.0))
    assert command is not None
    assert counted(limiter) == {'rotation_jump': 1, 'rotation_speed': 1}
    assert turn_between(turned(0.0), command) == pytest.approx(STEP_RAD)


def test_a_turn_past_half_a_turn_goes_the_short_way() -> None:
    limiter = Limiter(CONTRACT)
    start, end = math.radians(170.0), math.radians(200.0)
    command = limiter.apply(turned(end), turned(start), turned(start))
    assert command is not None
    assert turn_between(turned(start), command) == pytest.approx(STEP_RAD)
    assert turn_between(turned(end), command) == pytest.approx(end - start - STEP_RAD)


def test_joints_are_slowed_down_one_by_one() -> None:
    limiter = Limiter(joint_contract())
    command = limiter.apply(np.array([0.01, -0.9]), np.zeros(2), np.zeros(2))
    step_rad = LIMITS.joint_speed_rad_s / CONTRACT.deployment.command_rate_hz
    assert command == pytest.approx([0.01, -step_rad])
    assert counted(limiter) == {'joint_speed': 1}


def test_every_joint_has_its_own_limits_by_name() -> None:
    limiter = Limiter(joint_contract())
    start = np.array([1.995, 0.495])
    command = limiter.apply(np.array([2.01, 0.51]), start, start)
    assert command == pytest.approx([2.0, 0.5])
    assert counted(limiter) == {'joint_limit': 1}


def test_no_joint_is_commanded_farther_from_the_measured_one_than_a_jump() -> None:
    limiter = Limiter(joint_contract(jump_rad=0.1))
    command = limiter.apply(np.array([0.11, -0.11]), np.array([0.1, -0.1]), np.zeros(2))
    assert command == pytest.approx([0.1, -0.1])
    assert counted(limiter) == {'joint_jump': 1}


def test_joints_measured_outside_draw_no_command_out_of_the_joint_limits() -> None:
    limiter = Limiter(joint_contract(jump_rad=0.1))
    start = np.array([1.99, 0.49])
    command = limiter.apply(np.zeros(2), start, np.array([2.5, 1.0]))
    assert command == pytest.approx([2.0, 0.5])


def test_a_width_below_zero_means_closed_and_is_no_violation() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.4, width=-0.01), AT, AT)
    assert command is not None and command[9] == 0.0
    assert counted(limiter) == {}


@pytest.mark.parametrize('columns', [np.zeros(6), [1, 0, 0, 1, 0, 0], np.full(6, 1e200)])
def test_columns_that_make_no_rotation_are_rejected(columns: Array) -> None:
    limiter = Limiter(CONTRACT)
    command = action(0.4)
    command[3:9] = columns
    assert limiter.apply(command, AT, AT) is None
    assert counted(limiter) == {'rejected': 1}


def test_reset_sets_every_count_to_zero() -> None:
    limiter = Limiter(CONTRACT)
    limiter.apply(action(0.8), AT, AT)
    assert counted(limiter)
    limiter.reset()
    assert counted(limiter) == {}


@pytest.mark.parametrize(('x', 'inside'), [(0.4, True), (0.85, True), (0.8501, False),
                                           (0.09, False), (math.nan, False)])
def test_where_the_arm_may_be_held_is_told_by_the_workspace(x: float, inside: bool) -> None:
    target_pose = CONTRACT.interface.actions[0]
    assert Limiter(CONTRACT).inside(target_pose, pose(x)) is inside


@pytest.mark.parametrize(('b', 'inside'), [(0.5, True), (-1.0, True), (0.501, False)])
def test_where_joints_may_be_held_is_told_by_their_limits(b: float, inside: bool) -> None:
    contract = joint_contract()
    [joints] = contract.interface.actions
    assert Limiter(contract).inside(joints, np.array([0.0, b])) is inside


@given(command=any_action, bad=st.sampled_from([math.nan, math.inf, -math.inf]),
       at=st.integers(0, 9))
def test_no_value_that_is_not_finite_ever_passes(command: Array, bad: float, at: int) -> None:
    command = command.copy()
    command[at] = bad
    assert Limiter(CONTRACT).apply(command, AT, AT) is None


@given(commands=st.lists(st.tuples(st.one_of(any_action, near_action),
                                   st.tuples(*[st.floats(-1.0, 2.0)] * 3)),
                         min_size=1, max_size=8))
def test_whatever_comes_in_what_goes_out_is_finite_and_within_every_limit(
        commands: list[tuple[Array, tuple[float, float, float]]]) -> None:
    limiter, previous = Limiter(CONTRACT), AT
    for wanted, where in commands:
        command = limiter.apply(wanted, previous, np.concatenate([pose(*where), [0.0]]))
        if command is None:
            continue
        require_inside(command)
        require_reachable(previous, command)
        previous = command


@given(target=st.tuples(*[st.floats(-1.0, 2.0)] * 3), angle_rad=st.floats(-math.pi, math.pi))
def test_an_arm_that_does_not_move_is_never_pulled_at_farther_than_a_jump(
        target: tuple[float, float, float], angle_rad: float) -> None:
    limiter, previous = Limiter(CONTRACT), AT
    wanted = np.concatenate([pose_from_parts(target, rotation_about_z(angle_rad)
                                             @ rotation_of(AT[:9])), [0.0]])
    for _ in range(60):
        command = limiter.apply(wanted, previous, AT)
        assert command is not None
        assert np.linalg.norm(command[:3] - AT[:3]) <= LIMITS.jump_m + 1e-6
        assert turn_between(command, AT) <= LIMITS.jump_rad + 1e-6
        previous = command


def test_a_tighter_deployment_limits_more() -> None:
    limiter = Limiter(deployed(limits=dataclasses.replace(LIMITS, speed_m_s=0.1)))
    command = limiter.apply(action(0.42), AT, AT)
    assert command is not None and command[0] == pytest.approx(0.401)
