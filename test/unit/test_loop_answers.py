# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of the policy that come late, or are no actions."""


import numpy as np
import pytest
from loop_inputs import (
    CYCLE_NS,
    LAST_CYCLES,
    PERIOD_NS,
    PLAN_CYCLES,
    RATIO,
    RESUME_CYCLES,
    TIMING,
    Run,
    action,
    commanded,
    constant_policy,
    pose,
    samples,
    steps_along_x,
    without,
)

from uncloning_ros.policy_io import Plan, PlanAnswer, answer
from uncloning_ros.runtime.control_loop import State


class TestSlowAnswers:
    """A slow answer never delays a command."""

    @pytest.mark.parametrize('latency_cycles', [1, RATIO, PLAN_CYCLES - 1, PLAN_CYCLES])
    def test_while_the_policy_thinks_the_old_plan_goes_on(self, latency_cycles: int) -> None:
        run = Run(steps_along_x, latency_ns=latency_cycles * CYCLE_NS)
        run.moving()
        decisions = run.steps(5 * PLAN_CYCLES)
        assert {(d.state, d.reason) for d in decisions} == {(State.ACTIVE, 'policy')}
        assert all(decision.command is not None for decision in decisions)

    def test_a_plan_goes_on_for_as_long_as_it_was_meant_to_last_then_the_arm_holds(self) -> None:
        run = Run()
        run.steps(2)
        run.latency_ns = 10**12  # from the next request on
        decisions = run.steps(LAST_CYCLES)
        assert {d.state for d in decisions[:LAST_CYCLES - 1]} == {State.ACTIVE}
        held = decisions[-1]
        assert (held.state, held.reason) == (State.HOLD, 'late_chunk')
        assert commanded(held)[:9] == pytest.approx(pose(0.4))

    def test_a_first_plan_that_does_not_come_is_given_up_in_silence(self) -> None:
        run = Run(latency_ns=10**12)
        decisions = run.steps(LAST_CYCLES + 2)
        assert [d.command for d in decisions] == [None] * len(decisions)
        assert {d.reason for d in decisions[:-1]} == {'planning'}
        assert (decisions[-1].state, decisions[-1].reason) == (State.WAITING, 'late_chunk')

    def test_after_a_late_plan_the_arm_waits_and_asks_anew(self) -> None:
        run = Run()
        run.steps(2)
        run.latency_ns = 10**12
        run.until(lambda decision: decision.reason == 'late_chunk')
        run.latency_ns = 0
        asked = len(run.asked)
        recovering = run.steps(RESUME_CYCLES)
        assert {d.reason for d in recovering} == {'recovering'}
        assert run.step().state is State.ACTIVE
        assert len(run.asked) == asked + 1

    def test_only_requests_that_are_made_count_as_chunks(self) -> None:
        run = Run()
        run.steps(2)
        run.latency_ns = 10**12
        run.now_ns += LAST_CYCLES * CYCLE_NS  # a long pause of the loop, not of the policy
        assert run.step().reason == 'late_chunk'
        run.latency_ns = 0
        run.until(lambda decision: decision.request is not None)
        assert run.loop.counters['chunks'] == len(run.asked)
        assert [request.index for request in run.asked] == list(range(len(run.asked)))

    def test_one_request_at_a_time_is_under_way(self) -> None:
        run = Run(latency_ns=(PLAN_CYCLES + 2 * RATIO) * CYCLE_NS)
        run.step()
        run.latency_ns = 0
        run.steps(2 * LAST_CYCLES)
        ticks = [request.tick_ns // PERIOD_NS for request in run.asked]
        # The second is asked for as soon as the first one is answered, after its turn.
        assert ticks[:3] == [0, TIMING.execute + 2, 2 * TIMING.execute + 2]

    def test_chunks_that_took_longer_than_a_period_are_counted(self) -> None:
        for latency_ns, late in ((PERIOD_NS, 0), (PERIOD_NS + CYCLE_NS, 3)):
            run = Run(latency_ns=latency_ns)
            run.steps(2 * PLAN_CYCLES + RATIO + 3)
            assert run.loop.counters['late_chunks'] == late

    def test_an_answer_of_before_a_hold_is_never_executed(self) -> None:
        run = Run(steps_along_x)
        run.moving()
        run.infer, run.latency_ns = constant_policy(action(0.8)), 2 * CYCLE_NS
        run.until(lambda decision: decision.request is not None)
        run.step(without(samples(run.now_ns), 'hand_pose'))
        run.infer = steps_along_x
        x = [commanded(decision)[0] for decision in run.steps(RESUME_CYCLES + 2 * PLAN_CYCLES)]
        assert max(x) < 0.41
        assert run.loop.counters['dropped_chunks'] == 1

    def test_an_answer_is_executed_once(self) -> None:
        run = Run()
        request = run.step().request
        assert request is not None
        run.loop.deliver(answer(run.infer, request), run.now_ns)
        run.loop.deliver(answer(run.infer, request), run.now_ns)
        assert run.loop.counters['dropped_chunks'] == 1

    @pytest.mark.parametrize('end', ['reset', 'stop'])
    def test_an_answer_of_before_the_end_is_never_executed(self, end: str) -> None:
        run = Run()
        request = run.step().request
        assert request is not None
        run.loop.reset(0) if end == 'reset' else run.loop.stop()
        run.loop.step(CYCLE_NS, samples(CYCLE_NS))
        run.loop.start()
        run.loop.deliver(answer(run.infer, request), CYCLE_NS)
        assert run.loop.plan is None
        assert run.loop.counters['dropped_chunks'] == 1

    def test_a_failure_that_comes_too_late_is_no_fault(self) -> None:
        run = Run()
        run.moving()
        run.latency_ns = 2 * CYCLE_NS
        request = run.until(lambda decision: decision.request is not None).request
        assert request is not None
        run.step(without(samples(run.now_ns), 'hand_pose'))
        run.loop.deliver(PlanAnswer(request, None, 'RuntimeError: no memory'), run.now_ns)
        assert run.step().state is State.HOLD


@pytest.mark.parametrize('bad', [np.nan, np.inf, 1e5])
@pytest.mark.parametrize('at', [0, 15])
def test_a_policy_that_answers_with_no_action_is_never_obeyed(bad: float, at: int) -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[at, 2] = bad
    run = Run(lambda *_: Plan(chunk))
    run.step()
    decisions = run.steps(5)
    assert {(d.state, d.reason) for d in decisions} == {(State.FAULT, 'policy_failed')}
    assert [d.command for d in decisions] == [None] * 5


def test_a_policy_that_answers_without_a_rotation_is_never_obeyed() -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[9, 3:9] = 0
    run = Run(lambda *_: Plan(chunk))
    run.step()
    assert run.step().reason == 'policy_failed'


def test_columns_that_are_far_too_long_for_a_rotation_are_a_fault() -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[:, 3:9] *= 5e3
    run = Run(lambda *_: Plan(chunk))
    run.step()
    decision = run.until(lambda decision: decision.state is not State.ACTIVE)
    assert (decision.state, decision.reason) == (State.FAULT, 'rejected_action')


def test_an_answer_that_is_not_a_plan_is_a_fault() -> None:
    run = Run(lambda *_: np.tile(action(0.41), (TIMING.horizon, 1)))
    run.step()
    decision = run.step()
    assert (decision.state, decision.reason) == (State.FAULT, 'policy_failed')
    assert 'expected a plan, got ndarray' in decision.sentence


@pytest.mark.parametrize('chunk', [np.zeros((3, 10)), np.zeros((1, 16, 10)), [['x']], [{}], 5])
def test_a_chunk_of_the_wrong_shape_or_kind_is_a_fault(chunk: object) -> None:
    run = Run(lambda *_: Plan(chunk))
    run.step()
    decision = run.step()
    assert (decision.state, decision.reason) == (State.FAULT, 'policy_failed')


def test_a_fault_of_shape_says_both_shapes() -> None:
    run = Run(lambda *_: Plan(np.zeros((3, 10))))
    run.step()
    sentence = run.step().sentence
    assert '(16, 10)' in sentence and '(3, 10)' in sentence


def test_a_policy_that_fails_later_ends_in_one_hold_command_then_silence() -> None:
    answers = iter([np.tile(action(0.41, 0.02), (TIMING.horizon, 1))])
    run = Run(lambda *_: Plan(next(answers)))
    decisions = run.steps(PLAN_CYCLES + 4)
    width = commanded(decisions[PLAN_CYCLES])[9]
    fault = decisions[PLAN_CYCLES + 1]
    assert (fault.state, fault.reason) == (State.FAULT, 'policy_failed')
    assert 'StopIteration' in fault.sentence
    assert commanded(fault) == pytest.approx(action(0.4, width))
    assert [d.command for d in decisions[PLAN_CYCLES + 2:]] == [None, None]
