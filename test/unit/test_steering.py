# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deflections of a device become commands within the limits, from where the arm is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from loop_inputs import CONTRACT, CYCLE_NS, LIMITS, action, pose, require_inside

from uncloning_ros.contract import load_contract
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, rotation_angle_between, rotation_of
from uncloning_ros.runtime.steering import Deflection, Layout, Steering, deflection, layout_of
from uncloning_ros.share import share_path

PERIOD_S = CYCLE_NS * 1e-9
SPEED_M_S, TURN_RAD_S, OPEN_M = 0.1, 0.5, 0.08
PAD = layout_of('1 0 4 . . -3', 4, 0)


def gripping(measured: Array, widths: Array | None = None) -> Steering:
    steering = Steering(CONTRACT, SPEED_M_S, TURN_RAD_S, OPEN_M)
    begun = steering.begin(measured, measured if widths is None else widths)
    assert np.array_equal(begun[:9], measured[:9])
    return steering


def pushed(*motion: float, gripper: bool = False) -> Deflection:
    return Deflection(np.array([*motion, *(0.0,) * (6 - len(motion))]), True, gripper)


def test_a_layout_is_six_words() -> None:
    assert Layout(((1, 1.0), (0, 1.0), (4, 1.0), None, None, (3, -1.0)), 4, 0) == PAD
    for words in ('1 0 4', '. . . . . .', '1 0 4 . . x', '1 0 4 . . --3'):
        with pytest.raises(ContractError, match='axes: expected'):
            layout_of(words, 4, 0)
    with pytest.raises(ContractError, match='4 for both'):
        layout_of('0 1 2 3 4 5', 4, 4)


def test_a_message_is_read_by_its_layout_with_rest_and_within_one() -> None:
    given = deflection(PAD, [0.05, 2.0, 0.0, 1.0, -1.0], [1, 0, 0, 0, 1])
    assert given.motion.tolist() == [1.0, 0.0, -1.0, 0.0, 0.0, -1.0]
    assert (given.switch, given.gripper) == (True, True)
    slight = deflection(PAD, [0.1, 0.0, 0.0, 0.0, 0.0], [0] * 5).motion
    assert 0.0 < slight[1] < 0.05 and not slight[[0, 2, 5]].any()


@pytest.mark.parametrize(('axes', 'buttons', 'culprit'), [
    ([0.0] * 4, [0] * 5, 'at least 5 axes'), ([0.0] * 5, [0] * 4, '5 buttons, got 5 and 4'),
    ([math.nan, *[0.0] * 4], [0] * 5, 'nan'), ([], [], 'got 0 and 0')])
def test_a_message_of_another_device_is_refused(axes: list[float], buttons: list[int],
                                                culprit: str) -> None:
    with pytest.raises(ContractError, match=culprit):
        deflection(PAD, axes, buttons)


def test_it_moves_and_turns_as_fast_as_it_is_told() -> None:
    steering, measured = gripping(action(0.4)), action(0.4)
    commands = [steering.steer(pushed(1.0, 0.0, 0.0, 0.0, 0.0, 0.5), measured)
                for _ in range(50)]
    assert commands[-1][:3] == pytest.approx([0.4 + 50 * SPEED_M_S * PERIOD_S, 0.0, 0.3])
    turned = rotation_angle_between(rotation_of(measured[:9]), rotation_of(commands[-1][:9]))
    assert turned == pytest.approx(50 * 0.5 * TURN_RAD_S * PERIOD_S)
    x = rotation_of(commands[-1][:9])[:, 0]
    assert x[1] > 0.0 and x[2] == pytest.approx(0.0, abs=1e-9)  # to the left, about z
    at_rest = steering.steer(pushed(), measured)
    assert at_rest == pytest.approx(commands[-1])


def test_commands_keep_the_workspace_and_near_the_measured_arm() -> None:
    steering, measured = gripping(action(0.8)), action(0.8)
    for _ in range(2000):
        command = steering.steer(pushed(1.0, 0.0, -1.0), measured)
        require_inside(command)
    assert command[0] <= LIMITS.workspace_max_m[0]
    assert np.linalg.norm(command[:3] - measured[:3]) <= LIMITS.jump_m + 1e-6


def test_an_arm_outside_comes_back_at_the_persons_speed() -> None:
    outside = np.append(pose(0.95), 0.08)
    steering, before = gripping(outside), outside
    for _ in range(20):
        command = steering.steer(pushed(), outside)
        assert np.linalg.norm(command[:3] - before[:3]) <= SPEED_M_S * PERIOD_S + 1e-9
        before = command
    assert before[0] < 0.95


def test_the_gripper_keeps_its_last_command_until_its_button_is_pressed() -> None:
    held = action(0.4, 0.02)  # the width of a tool in fingers that press
    steering = gripping(held, action(0.4, 0.0))
    presses = [True, True, False, False, True, True, False, True]
    widths = [steering.steer(pushed(gripper=press), held)[9] for press in presses]
    # Pressed as the grip begins it does nothing.
    assert widths == [0.0, 0.0, 0.0, 0.0, OPEN_M, OPEN_M, OPEN_M, 0.0]
    assert steering.rest(held)[9] == 0.0


def test_at_the_end_the_arm_stops_towards_where_it_is_measured() -> None:
    steering, measured = gripping(action(0.4)), action(0.4)
    for _ in range(20):
        last = steering.steer(pushed(1.0), measured)
    rest = steering.rest(measured)
    assert rest[0] == pytest.approx(last[0] - SPEED_M_S * PERIOD_S)


def test_an_arm_whose_joints_are_commanded_is_for_another_node() -> None:
    with pytest.raises(ContractError, match='joint_positions'):
        Steering(load_contract(share_path('config') / 'contract_joint.yaml'), 0.1, 0.5, 0.08)


def test_the_contracts_speed_is_the_stronger_one() -> None:
    limits = replace(LIMITS, speed_m_s=0.01)
    slow = replace(CONTRACT, deployment=replace(CONTRACT.deployment, limits=limits))
    steering, measured = Steering(slow, SPEED_M_S, TURN_RAD_S, OPEN_M), action(0.4)
    steering.begin(measured, measured)
    assert steering.steer(pushed(1.0), measured)[0] == pytest.approx(0.4 + 0.01 * PERIOD_S)
