# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is planned and whatever fails: no command leaps, and a hold moves nothing."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_inputs import (
    CONTRACT,
    CYCLE_NS,
    LAST_CYCLES,
    PLAN_CYCLES,
    RESUME_CYCLES,
    TIMING,
    Run,
    action,
    commanded,
    constant_policy,
    pose,
    require_inside,
    require_reachable,
    samples,
    without,
)

from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.control_loop import Decision, State


def test_the_first_command_is_a_step_away_from_the_measured_pose_at_most() -> None:
    run = Run(constant_policy(action(0.8)))
    first = run.moving()
    require_reachable(action(0.4), commanded(first))


def test_after_a_hold_the_arm_is_led_on_from_where_it_was_held() -> None:
    run = Run(constant_policy(action(0.4)))
    run.moving()
    elsewhere = pose(0.5)
    held = run.step(without(samples(run.now_ns, tool_pose=elsewhere), 'hand_pose'))
    run.infer = constant_policy(action(0.5, commanded(held)[9]))
    for _ in range(RESUME_CYCLES + PLAN_CYCLES):
        decision = run.step(samples(run.now_ns, tool_pose=elsewhere))
        assert commanded(decision) == pytest.approx(commanded(held), abs=1e-6)
    assert decision.reason == 'policy'


def test_from_rest_the_arm_is_led_gradually() -> None:
    run = Run(constant_policy(action(0.41, 0.0)))
    run.step()
    x = [commanded(decision)[0] for decision in run.steps(PLAN_CYCLES)]
    assert x == pytest.approx([0.4 + 0.01 * (k + 1) / PLAN_CYCLES for k in range(PLAN_CYCLES)])


def random_plans(seed: int, spread_m: float) -> Callable[..., np.ndarray]:
    """Return a policy whose chunks lie anywhere, turned any way; a function of the seed."""
    rng = np.random.default_rng(seed)

    def infer(observation: Observation, noise: np.ndarray) -> Plan:
        actions = []
        for _ in range(TIMING.horizon):
            columns = rng.normal(size=6)
            where = np.array([0.45, 0.0, 0.4]) + rng.uniform(-spread_m, spread_m, 3)
            actions.append(np.concatenate([where, columns, [rng.uniform(-0.1, 0.1)]]))
        return Plan(np.array(actions, dtype=np.float32))

    return infer


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), spread_m=st.sampled_from([0.001, 0.05, 1.0]),
       latencies=st.lists(st.integers(0, LAST_CYCLES + 5), min_size=1, max_size=6),
       faults=st.sets(st.integers(1, 200), max_size=3))
def test_whatever_is_planned_and_however_late_commands_never_leap(
        seed: int, spread_m: float, latencies: list[int], faults: set[int]) -> None:
    run = Run(random_plans(seed, spread_m))
    previous = action(0.4)
    for cycle in range(200):
        run.latency_ns = latencies[len(run.asked) % len(latencies)] * CYCLE_NS
        inputs = samples(run.now_ns, tool_pose=previous[:9])
        decision = run.step(without(inputs, 'hand_pose') if cycle in faults else inputs)
        assert decision.state in (State.ACTIVE, State.HOLD, State.WAITING)
        if decision.command is not None:
            require_inside(decision.command)
            require_reachable(previous, decision.command)
            previous = decision.command


def test_opposite_rotations_of_two_plans_are_no_fault() -> None:
    run = Run(constant_policy(action(0.4)))
    run.moving()
    # Half a turn about a diagonal: half way, both columns are the same.
    other = np.array([0.4, 0.0, 0.3, 0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.08])
    run.infer = constant_policy(other)
    decisions = run.steps(2 * PLAN_CYCLES)
    assert {decision.state for decision in decisions} == {State.ACTIVE}


KEYS = [signal.key for signal in CONTRACT.interface.observations]
faults = st.one_of(st.none(), st.tuples(st.sampled_from(KEYS),
                                        st.sampled_from(['missing', 'stale', 'nan'])))


@settings(deadline=None, max_examples=60)
@given(script=st.lists(st.tuples(faults, st.floats(-0.02, 0.02), st.integers(1, 30)),
                       min_size=1, max_size=12),
       latency_cycles=st.integers(0, PLAN_CYCLES))
def test_however_inputs_fail_hold_latches_once_and_moves_nothing(
        script: list[tuple[tuple[str, str] | None, float, int]], latency_cycles: int) -> None:
    still = np.tile(action(0.41, 0.03), (TIMING.horizon, 1))
    run = Run(lambda _, noise: Plan(still + 0.001 * noise), latency_ns=latency_cycles * CYCLE_NS)
    previous: Decision | None = None
    entered = 0
    for fault, offset, cycles in script:
        for _ in range(cycles):
            inputs = samples(run.now_ns, tool_pose=pose(0.4 + offset))
            if fault is not None and fault[1] == 'missing':
                inputs = without(inputs, fault[0])
            elif fault is not None and fault[1] == 'stale':
                inputs[fault[0]] = samples(run.now_ns - 10**9)[fault[0]]
            elif fault is not None:
                bad = inputs[fault[0]]
                inputs[fault[0]] = dataclasses.replace(bad, values=bad.values * np.nan)
            decision = run.step(inputs)
            if decision.command is not None:
                require_inside(decision.command)
                assert decision.state is State.HOLD or fault is None
            if decision.state is State.HOLD:
                assert previous is not None and previous.command is not None
                assert commanded(decision)[9] == previous.command[9]
                if previous.state is State.HOLD:
                    assert np.array_equal(commanded(decision), previous.command)
                else:
                    entered += 1
            elif previous is not None and previous.state is State.HOLD:
                # Motion goes on from where the arm was held.
                assert np.array_equal(commanded(decision), commanded(previous))
            previous = decision
    assert run.loop.counters['holds'] == entered
    assert set(run.loop.counters) >= {'cycles', 'chunks', 'holds', 'speed', 'jump'}
