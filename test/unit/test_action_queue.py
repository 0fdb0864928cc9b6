# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The action queue tells what is due at any time, without a jump, and nothing that is over."""

import gc
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.geometry import rotation_angle_between, rotation_from_6d
from uncloning_ros.policy_io import Plan
from uncloning_ros.runtime.action_queue import ActionQueue, _Path

PERIOD_NS = 50_000_000
COMMAND_NS = 10_000_000
EXECUTE = 4
LAST_NS = 2 * EXECUTE * PERIOD_NS  # a plan goes on for as long again as it was meant to last
REST = np.zeros(2)


def queue(execute: int = EXECUTE, command_ns: int = COMMAND_NS) -> ActionQueue:
    return ActionQueue(PERIOD_NS, command_ns, execute)


def plan(horizon: int, tag: float = 0.0) -> Plan:
    """Return a plan (horizon, 2) whose actions say their own index and a tag."""
    return Plan(np.stack([np.arange(horizon, dtype=np.float32),
                          np.full(horizon, tag, np.float32)], axis=-1))


def following(horizon: int = 16, start_ns: int = 0) -> ActionQueue:
    """Return a queue that follows one chunk alone: what came before it is over."""
    made = queue()
    made.put(plan(horizon), start_ns - EXECUTE * PERIOD_NS, start_ns - EXECUTE * PERIOD_NS, REST)
    made.put(plan(horizon), start_ns, start_ns - PERIOD_NS, REST)
    return made


def value(made: ActionQueue, now_ns: int) -> np.ndarray:
    action = made.at(now_ns)
    assert action is not None
    return action


def test_an_empty_queue_has_nothing_to_tell() -> None:
    made = queue()
    assert made.at(0) is None
    assert made.plan is None
    assert made.replan_ns is None


def test_every_action_is_commanded_at_its_time() -> None:
    made = following()
    indices = [value(made, k * PERIOD_NS)[0] for k in range(2 * EXECUTE + 1)]
    assert indices == list(range(2 * EXECUTE + 1))


@given(st.integers(0, LAST_NS))
def test_between_two_actions_the_command_moves_evenly(offset_ns: int) -> None:
    assert value(following(), offset_ns)[0] == pytest.approx(offset_ns / PERIOD_NS)


def test_a_plan_is_asked_for_after_execute_and_lasts_as_long_again() -> None:
    made = following(start_ns=1000)
    assert made.replan_ns == 1000 + EXECUTE * PERIOD_NS
    assert value(made, 1000 + LAST_NS)[0] == 2 * EXECUTE
    assert made.at(1000 + LAST_NS + 1) is None


def test_nothing_is_commanded_before_a_plan_begins() -> None:
    assert following(start_ns=10**9).at(10**9 - 1) is None


def test_the_last_action_is_kept_where_a_chunk_has_no_more() -> None:
    made = following(horizon=EXECUTE + 1)
    assert value(made, LAST_NS)[0] == EXECUTE


def test_from_rest_the_first_plan_takes_over_evenly_within_execute() -> None:
    made = queue()
    made.put(plan(16, tag=1.0), 0, 0, REST)
    shares = [value(made, k * COMMAND_NS)[1] for k in range(22)]
    commands = EXECUTE * PERIOD_NS // COMMAND_NS
    assert shares == pytest.approx([min(1.0, (k + 1) / commands) for k in range(22)])


def test_a_new_plan_takes_over_evenly_within_a_period() -> None:
    made = following()
    made.put(plan(16, tag=1.0), 4 * PERIOD_NS, 4 * PERIOD_NS, REST)
    shares = [value(made, 4 * PERIOD_NS + k * COMMAND_NS)[1] for k in range(7)]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_with_one_command_for_each_action_a_new_plan_takes_over_at_once() -> None:
    made = queue(execute=1, command_ns=PERIOD_NS)
    made.put(plan(16, tag=1.0), 0, 0, REST)
    assert value(made, 0)[1] == 1.0


def test_a_late_plan_starts_where_its_observation_was_and_not_where_it_arrives() -> None:
    made = following()
    arrival_ns = 5 * PERIOD_NS + 7_000_000
    made.put(plan(16), 4 * PERIOD_NS, arrival_ns, REST)
    assert value(made, 7 * PERIOD_NS)[0] == 3.0


@given(st.lists(st.integers(0, 8 * EXECUTE), max_size=8),
       st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9))
def test_however_fast_plans_follow_each_other_the_command_never_jumps(
        waits: list[int], tags: list[float]) -> None:
    made = queue()
    made.put(plan(99, tags[0]), 0, 0, REST)
    arrivals = list(itertools.accumulate(waits))
    seen = REST[1]
    for cycle in range(8 * EXECUTE * 8 + 1):
        for tag, arrival in zip(tags[1:], arrivals, strict=False):
            if arrival == cycle:
                made.put(plan(99, tag), cycle * COMMAND_NS, cycle * COMMAND_NS, REST)
        action = made.at(cycle * COMMAND_NS)
        if action is None:
            break
        # What lies between two plans is 2 at most, and to take over takes 5 commands or more.
        taking_over = sum(cycle - 5 < arrival <= cycle for arrival in arrivals) + (cycle < 20)
        assert abs(action[1] - seen) <= taking_over * 2 / 5 + 1e-9
        seen = action[1]


def test_what_was_planned_is_forgotten_by_a_clear() -> None:
    made = following()
    made.clear()
    assert made.at(0) is None
    assert made.replan_ns is None


def test_after_a_clear_a_plan_takes_over_from_rest_and_not_from_what_was_planned() -> None:
    made = following()
    made.clear()
    made.put(plan(16, tag=1.0), 0, 0, np.array([0.0, 5.0]))
    assert value(made, 0)[1] == pytest.approx(5.0 - 4.0 / 20)


def test_changing_what_came_out_or_went_in_changes_nothing_inside() -> None:
    made = queue()
    given, rest = plan(8), np.zeros(2)
    made.put(given, 0, 0, rest)
    given.chunk[:] = rest[:] = np.nan
    came_out = value(made, 0)
    came_out[:] = np.nan
    assert np.all(np.isfinite(value(made, 0)))


def test_what_is_over_is_not_kept() -> None:
    made = queue()
    for k in range(100):
        made.put(plan(16), k * EXECUTE * PERIOD_NS, k * EXECUTE * PERIOD_NS, REST)
    gc.collect()
    assert sum(type(item) is _Path for item in gc.get_objects()) < 10


TURNS = {
    'half a turn about z': [-1, 0, 0, 0, -1, 0],
    'half a turn about x': [1, 0, 0, 0, -1, 0],
    # The mean of both columns is one and the same vector.
    'half a turn about the diagonal': [0, 1, 0, 1, 0, 0],
    'a third of a turn about the diagonal': [0, 1, 0, 0, 0, 1],
}


@pytest.mark.parametrize('turn', TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize('within', [False, True], ids=['plan to plan', 'action to action'])
def test_between_any_two_rotations_lies_a_rotation(turn: list[float], within: bool) -> None:
    made = ActionQueue(PERIOD_NS, COMMAND_NS, EXECUTE, rotations=[slice(0, 6)])
    one, two = np.array([1.0, 0, 0, 0, 1, 0]), np.array(turn, dtype=float)
    made.put(Plan(np.stack([one, two] * 8) if within else np.tile(two, (16, 1))), 0, 0, one)
    for cycle in range(LAST_NS // COMMAND_NS):
        columns = value(made, cycle * COMMAND_NS)
        assert np.linalg.norm(np.cross(columns[:3], columns[3:])) > 0.2
        turned = rotation_angle_between(rotation_from_6d(one), rotation_from_6d(columns))
        assert turned <= rotation_angle_between(rotation_from_6d(one),
                                                rotation_from_6d(two)) + 1e-6


@given(execute=st.integers(1, 16), horizon=st.integers(1, 32), start_ns=st.integers(0, 10**15),
       offset_ns=st.integers(-10**10, 10**10))
def test_an_action_is_told_exactly_while_a_plan_lasts(execute: int, horizon: int, start_ns: int,
                                                      offset_ns: int) -> None:
    made = queue(execute)
    made.put(plan(horizon), start_ns, start_ns, REST)
    action = made.at(start_ns + offset_ns)
    assert (action is not None) == (0 <= offset_ns <= 2 * execute * PERIOD_NS)
    assert action is None or 0 <= action[0] <= horizon - 1


@given(st.lists(st.one_of(st.just('clear'), st.just('put'), st.integers(0, 20 * PERIOD_NS)),
                max_size=40))
def test_no_history_of_calls_brings_back_a_cleared_plan(calls: list[str | int]) -> None:
    made = queue()
    tag, forgotten = 0, 0
    for call in calls:
        if call == 'clear':
            made.clear()
            forgotten = tag
        elif call == 'put':
            tag += 1
            made.put(plan(16, float(tag)), 0, 0, np.array([0.0, forgotten + 1.0]))
        else:
            action = made.at(int(call))
            assert action is None or action[1] > forgotten
