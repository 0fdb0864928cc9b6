# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commanded widths become goals one at a time, and the newest one."""

from uncloning_ros.runtime.width_goals import PATIENCE_S, WidthGoals


def test_the_first_command_is_a_goal_and_repetitions_are_none() -> None:
    goals = WidthGoals(step_m=0.01)
    assert goals.command(0.08, 0.0) == 0.08
    assert goals.command(0.08, 0.0) is None
    assert goals.ended() is None
    assert goals.command(0.075, 0.0) is None


def test_a_command_during_a_goal_waits_for_its_end_and_the_newest_wins() -> None:
    goals = WidthGoals(step_m=0.01)
    goals.command(0.08, 0.0)
    assert goals.command(0.04, 0.0) is None
    assert goals.command(0.0, 0.0) is None
    assert goals.ended() == 0.0
    assert goals.goal_m == 0.0


def test_fingers_that_closed_around_a_tool_are_not_asked_again_but_open_at_once() -> None:
    goals = WidthGoals(step_m=0.01)
    goals.command(0.0, 0.0)
    assert goals.ended() is None  # also if the driver says that 0 was not reached
    assert goals.command(0.0, 0.0) is None
    assert goals.command(0.08, 0.0) == 0.08


def test_small_steps_add_up() -> None:
    goals = WidthGoals(step_m=0.01)
    goals.command(0.08, 0.0)
    goals.ended()
    assert [goals.command(0.08 - 0.004 * step, 0.0) for step in range(4)] == [
        None, None, None, 0.08 - 0.004 * 3]


def test_the_goal_of_a_driver_that_was_started_again_is_not_waited_for() -> None:
    goals = WidthGoals(step_m=0.01)
    assert goals.command(0.0, 10.0) == 0.0
    assert goals.command(0.08, 10.0 + PATIENCE_S) is None
    assert goals.command(0.08, 10.1 + PATIENCE_S) == 0.08
    goals.lost()
    assert goals.command(0.08, 20.0) == 0.08, 'the fingers may have moved meanwhile'
