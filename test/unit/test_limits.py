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
from loop_inputs import CONTRACT, action

from uncloning_ros.contract import Contract, Interface, Signal
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    rotation_about_z,
    rotation_angle_between,
    rotation_of,
)
from uncloning_ros.runtime.limits import Limiter

LIMITS = CONTRACT.deployment.limits
STEP_M = LIMITS.speed_m_s / CONTRACT.policy.rate_hz
STEP_RAD = LIMITS.rotation_speed_rad_s / CONTRACT.policy.rate_hz

any_action = hnp.arrays(np.float64, 10, elements=st.floats(allow_nan=True, allow_infinity=True))


def turned(angle_rad: float, width: float = 0.08) -> Array:
    """Return an action turned about the vertical."""
    return np.concatenate([pose_from_parts([0.4, 0.0, 0.3], rotation_about_z(angle_rad)),
                           [width]])


def counted(limiter: Limiter) -> dict[str, int]:
    """Return the counts that are not zero."""
    return {name: count for name, count in limiter.counts.items() if count}


def test_a_command_within_the_limits_passes_unchanged_and_uncounted() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.42), action(0.4))
    assert command == pytest.approx(action(0.42))
    assert counted(limiter) == {}


def test_a_target_outside_the_workspace_is_clamped_to_its_face() -> None:
    limiter = Limiter(CONTRACT)
    edge = LIMITS.workspace_max_m[0]
    command = limiter.apply(action(edge + 0.01), action(edge - 0.01))
    assert command is not None and command[0] == pytest.approx(edge)
    assert counted(limiter) == {'workspace': 1}


def test_a_jump_becomes_a_step_of_the_allowed_speed_towards_the_target() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.8), action(0.4))
    assert command is not None and command[0] == pytest.approx(0.4 + STEP_M)
    assert counted(limiter) == {'speed': 1}


@pytest.mark.parametrize('angle_rad', [STEP_RAD * 1.01, 1.0, -2.0, math.pi])
def test_a_turn_is_slowed_down_to_the_allowed_speed_towards_the_target(angle_rad: float) -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(turned(angle_rad), turned(0.0))
    assert command is not None
    assert counted(limiter) == {'rotation_speed': 1}
    reached = rotation_of(command[:9])
    assert rotation_angle_between(rotation_about_z(0.0), reached) == pytest.approx(STEP_RAD)
    left = rotation_angle_between(reached, rotation_about_z(angle_rad))
    assert left == pytest.approx(abs(angle_rad) - STEP_RAD)


def test_a_turn_past_half_a_turn_goes_the_short_way() -> None:
    limiter = Limiter(CONTRACT)
    start, end = math.radians(170.0), math.radians(200.0)
    command = limiter.apply(turned(end), turned(start))
    assert command is not None
    reached = rotation_of(command[:9])
    assert rotation_angle_between(rotation_about_z(start), reached) == pytest.approx(STEP_RAD)
    assert rotation_angle_between(rotation_about_z(end), reached) == pytest.approx(
        end - start - STEP_RAD)


def test_joints_are_slowed_down_one_by_one() -> None:
    joints = Signal('joints', 'joint_positions', 'rad', '', ('a', 'b'))
    interface = Interface('base', (joints,), (joints,), {'one': True})
    limiter = Limiter(Contract(interface, CONTRACT.policy, CONTRACT.deployment))
    command = limiter.apply(np.array([0.05, -1.0]), np.zeros(2))
    step_rad = LIMITS.joint_speed_rad_s / CONTRACT.policy.rate_hz
    assert command == pytest.approx([0.05, -step_rad])
    assert counted(limiter) == {'joint_speed': 1}


def test_a_width_below_zero_means_closed_and_is_no_violation() -> None:
    limiter = Limiter(CONTRACT)
    command = limiter.apply(action(0.4, width=-0.01), action(0.4))
    assert command is not None and command[9] == 0.0
    assert counted(limiter) == {}


@pytest.mark.parametrize('columns', [np.zeros(6), [1, 0, 0, 1, 0, 0], np.full(6, 1e200)])
def test_columns_that_make_no_rotation_are_rejected(columns: Array) -> None:
    limiter = Limiter(CONTRACT)
    command = action(0.4)
    command[3:9] = columns
    assert limiter.apply(command, action(0.4)) is None
    assert counted(limiter) == {'rejected': 1}


def test_reset_sets_every_count_to_zero() -> None:
    limiter = Limiter(CONTRACT)
    limiter.apply(action(0.8), action(0.4))
    limiter.reset()
    assert counted(limiter) == {}


@given(command=any_action, bad=st.sampled_from([math.nan, math.inf, -math.inf]),
       at=st.integers(0, 9))
def test_no_value_that_is_not_finite_ever_passes(command: Array, bad: float, at: int) -> None:
    command = command.copy()
    command[at] = bad
    assert Limiter(CONTRACT).apply(command, action(0.4)) is None


@given(commands=st.lists(any_action, min_size=1, max_size=5))
def test_whatever_comes_in_what_goes_out_is_finite_and_within_every_limit(
        commands: list[Array]) -> None:
    limiter, previous = Limiter(CONTRACT), action(0.4)
    for wanted in commands:
        command = limiter.apply(wanted, previous)
        if command is None:
            continue
        assert np.all(np.isfinite(command))
        assert np.all(command[:3] >= np.array(LIMITS.workspace_min_m) - 1e-9)
        assert np.all(command[:3] <= np.array(LIMITS.workspace_max_m) + 1e-9)
        assert np.linalg.norm(command[:3] - previous[:3]) <= STEP_M + 1e-6
        turn = rotation_angle_between(rotation_of(previous[:9]), rotation_of(command[:9]))
        assert turn <= STEP_RAD + 1e-6
        x, y = command[3:6], command[6:9]
        assert [x @ x, y @ y, x @ y] == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)
        previous = command


def test_a_tighter_deployment_limits_more() -> None:
    tight = dataclasses.replace(LIMITS, speed_m_s=0.1)
    deployment = dataclasses.replace(CONTRACT.deployment, limits=tight)
    limiter = Limiter(dataclasses.replace(CONTRACT, deployment=deployment))
    command = limiter.apply(action(0.42), action(0.4))
    assert command is not None and command[0] == pytest.approx(0.405)
