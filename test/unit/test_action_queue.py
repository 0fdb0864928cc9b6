# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The action queue hands out what is due, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.runtime.action_queue import ActionQueue

PERIOD_NS = 50_000_000


def chunk(horizon: int, tag: float = 0.0) -> np.ndarray:
    """Return a chunk (horizon, 2) whose actions say their own index and a tag."""
    return np.stack([np.arange(horizon, dtype=float), np.full(horizon, tag)], axis=-1)


def test_an_empty_queue_asks_for_a_plan() -> None:
    assert ActionQueue(PERIOD_NS, 8).due(0) is None


def test_actions_come_in_order_until_execute_is_reached() -> None:
    queue = ActionQueue(PERIOD_NS, 3)
    queue.put(chunk(5), 1000, queue.epoch)
    due = [queue.due(1000 + k * PERIOD_NS) for k in range(5)]
    assert [None if a is None else a[0] for a in due] == [0.0, 1.0, 2.0, None, None]


def test_a_skipped_tick_skips_its_action() -> None:
    queue = ActionQueue(PERIOD_NS, 8)
    queue.put(chunk(8), 0, queue.epoch)
    first, third = queue.due(0), queue.due(2 * PERIOD_NS)
    assert first is not None and first[0] == 0.0
    assert third is not None and third[0] == 2.0


@pytest.mark.parametrize('jitter_ns', [-PERIOD_NS // 2, -1, 1, PERIOD_NS // 2 - 1])
def test_a_tick_somewhat_early_or_late_still_gets_its_action(jitter_ns: int) -> None:
    queue = ActionQueue(PERIOD_NS, 8)
    queue.put(chunk(8), 0, queue.epoch)
    due = [queue.due(k * PERIOD_NS + jitter_ns) for k in range(8)]
    assert [None if a is None else a[0] for a in due] == list(range(8))


def test_a_chunk_asked_for_before_a_clear_is_refused() -> None:
    queue = ActionQueue(PERIOD_NS, 8)
    asked_in = queue.epoch
    queue.clear()
    assert not queue.put(chunk(8), 0, asked_in)
    assert queue.due(0) is None


def test_changing_what_came_out_or_went_in_changes_nothing_inside() -> None:
    queue = ActionQueue(PERIOD_NS, 8)
    plan = chunk(8)
    queue.put(plan, 0, queue.epoch)
    plan[:] = np.nan
    came_out = queue.due(0)
    assert came_out is not None
    came_out[:] = np.nan
    again = queue.due(0)
    assert again is not None and np.all(np.isfinite(again))


@given(execute=st.integers(1, 16), start_ns=st.integers(0, 10**15),
       offset_ns=st.integers(-10**10, 10**10))
def test_an_action_is_never_used_more_than_half_a_period_from_its_time(
        execute: int, start_ns: int, offset_ns: int) -> None:
    queue = ActionQueue(PERIOD_NS, execute)
    queue.put(chunk(16), start_ns, queue.epoch)
    action = queue.due(start_ns + offset_ns)
    if action is None:
        last_due_ns = (execute - 1) * PERIOD_NS
        assert offset_ns < 0 or offset_ns >= last_due_ns + PERIOD_NS // 2
    else:
        assert action[0] < execute
        assert abs(offset_ns - action[0] * PERIOD_NS) <= PERIOD_NS / 2


@given(st.lists(st.one_of(
    st.just('clear'), st.just('ask'), st.just('answer'),
    st.integers(0, 20 * PERIOD_NS)), max_size=40))
def test_no_history_of_calls_brings_back_a_cleared_plan(calls: list[str | int]) -> None:
    queue = ActionQueue(PERIOD_NS, 8)
    asked: list[tuple[int, int]] = []
    tag, forgotten = 0, -1
    for call in calls:
        if call == 'clear':
            queue.clear()
            forgotten = tag
        elif call == 'ask':
            tag += 1
            asked.append((queue.epoch, tag))
        elif call == 'answer':
            if asked:
                epoch, answer = asked.pop(0)
                queue.put(chunk(16, float(answer)), 0, epoch)
        else:
            action = queue.due(int(call))
            assert action is None or action[1] > forgotten
