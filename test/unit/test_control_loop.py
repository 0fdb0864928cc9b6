# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control loop asks, follows what is answered, and repeats exactly."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_inputs import (
    CONTRACT,
    CYCLE_NS,
    LIMITS,
    PERIOD_NS,
    PLAN_CYCLES,
    RATIO,
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

from uncloning_ros.contract import Contract, Interface, Signal
from uncloning_ros.errors import ContractError
from uncloning_ros.policy_io import Observation, Plan, chunk_noise
from uncloning_ros.runtime.control_loop import ControlLoop, State


def test_nothing_is_commanded_before_start() -> None:
    loop = ControlLoop(CONTRACT, 0)
    decision = loop.step(0, samples(0))
    assert (decision.state, decision.reason) == (State.WAITING, 'not_started')
    assert (decision.command, decision.request) == (None, None)


def test_before_start_it_tells_what_is_missing() -> None:
    decision = ControlLoop(CONTRACT, 0).step(0, without(samples(0), 'hand_pose'))
    assert (decision.state, decision.reason) == (State.WAITING, 'missing_input')


def test_after_start_it_waits_in_silence_for_every_input() -> None:
    run = Run()
    decision = run.step(without(samples(0), 'hand_pose'))
    assert (decision.state, decision.reason) == (State.WAITING, 'missing_input')
    assert 'hand_pose' in decision.sentence
    assert (decision.command, decision.request) == (None, None)
    assert run.step().state is State.ACTIVE


def test_the_arm_is_sent_nothing_until_the_first_plan_is_there() -> None:
    run = Run(latency_ns=7 * CYCLE_NS)
    planning = run.steps(7)
    assert {(d.state, d.reason, d.command is None) for d in planning} == {
        (State.ACTIVE, 'planning', True)}
    assert run.step().reason == 'policy'


def test_the_first_observation_fills_the_history() -> None:
    run = Run()
    request = run.step().request
    assert request is not None
    assert (request.index, request.tick_ns) == (0, 0)
    assert request.observation.vector.shape == (TIMING.history, CONTRACT.interface.observation_dim)
    assert request.noise.shape == (TIMING.horizon, CONTRACT.interface.action_dim)
    assert request.observation.vector.dtype == request.noise.dtype == np.float32
    assert np.all(request.observation.vector == request.observation.vector[0])


def test_a_chunk_is_asked_for_every_execute_ticks() -> None:
    run = Run()
    decisions = run.steps(3 * PLAN_CYCLES + 1)
    asked = [cycle for cycle, decision in enumerate(decisions) if decision.request is not None]
    assert asked == [0, PLAN_CYCLES, 2 * PLAN_CYCLES, 3 * PLAN_CYCLES]
    assert [request.index for request in run.asked] == [0, 1, 2, 3]
    assert run.loop.counters['chunks'] == 4


def test_between_two_actions_of_a_chunk_the_arm_is_led_evenly() -> None:
    run = Run(steps_along_x)
    run.steps(PLAN_CYCLES + 1 + RATIO)  # from rest, and from the first plan to the second
    x = [commanded(decision)[0] for decision in run.steps(PLAN_CYCLES - RATIO)]
    assert np.diff(x) == pytest.approx([0.001 / RATIO] * (len(x) - 1), abs=1e-7)


def test_history_holds_one_observation_for_each_tick_newest_last() -> None:
    run = Run()
    for cycle in range(PLAN_CYCLES + 1):
        run.step(samples(run.now_ns, tool_pose=pose(0.4 + 0.0001 * cycle)))
    newest = 0.4 + 0.0001 * PLAN_CYCLES
    assert run.asked[1].observation.vector[:, 0] == pytest.approx(
        [newest - 0.0001 * RATIO, newest])


def test_a_skipped_cycle_leaves_ticks_on_their_grid() -> None:
    run = Run()
    ticks = []
    for cycle in range(2 * PLAN_CYCLES + 1):
        if cycle in (RATIO, 3 * RATIO, 3 * RATIO + 1):
            run.now_ns += CYCLE_NS  # nobody called
            continue
        run.step(samples(run.now_ns, wrist_force=np.full(3, float(cycle))))
        ticks.append(run.asked[-1].observation.vector[:, -1].tolist())
    # The first plan was asked for at cycle 0; the skipped ticks were taken at the next chance,
    # the others at their time.
    assert [request.tick_ns // CYCLE_NS for request in run.asked] == [0, PLAN_CYCLES,
                                                                     2 * PLAN_CYCLES]
    assert ticks[-1] == [2 * PLAN_CYCLES - RATIO, 2 * PLAN_CYCLES]
    assert run.asked[1].observation.vector[:, -1].tolist() == [3 * RATIO + 2, PLAN_CYCLES]


def test_after_a_long_pause_no_tick_is_made_up_for() -> None:
    run = Run()
    run.steps(RATIO)
    back = PLAN_CYCLES - 3  # all ticks between are over
    run.now_ns = back * CYCLE_NS
    for cycle in range(back, PLAN_CYCLES + 1):
        run.step(samples(run.now_ns, wrist_force=np.full(3, float(cycle))))
    assert run.asked[1].tick_ns == PLAN_CYCLES * CYCLE_NS
    assert run.asked[1].observation.vector[:, -1].tolist() == [back, PLAN_CYCLES]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-CYCLE_NS // 2 + 1, CYCLE_NS // 2 - 1),
                min_size=3 * PLAN_CYCLES + 1, max_size=3 * PLAN_CYCLES + 1))
def test_cycles_that_are_somewhat_early_or_late_change_no_plan(late_ns: list[int]) -> None:
    run = Run()
    for cycle, late in enumerate(late_ns):
        run.now_ns = cycle * CYCLE_NS + (late if cycle else 0)
        run.step(samples(run.now_ns, wrist_force=np.full(3, float(cycle))))
    assert [round(request.tick_ns / PERIOD_NS) for request in run.asked] == [
        k * TIMING.execute for k in range(4)]
    for request in run.asked[1:]:
        cycle = round(request.tick_ns / CYCLE_NS)
        assert request.observation.vector[:, -1].tolist() == [cycle - RATIO, cycle]


def test_noise_is_a_function_of_seed_and_chunk_alone() -> None:
    one, two = Run(seed=7), Run(seed=7, latency_ns=5 * CYCLE_NS)
    for _ in range(2 * PLAN_CYCLES + 1):
        one.step()
        two.step(samples(two.now_ns, tool_pose=pose(0.5)))
    assert len(one.asked) == len(two.asked) == 3
    for i, (ours, theirs) in enumerate(zip(one.asked, two.asked, strict=True)):
        assert np.array_equal(ours.noise, theirs.noise)
        assert np.array_equal(ours.noise, chunk_noise(7, i, *ours.noise.shape))
    first, second = one.asked[0].noise, one.asked[1].noise
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, chunk_noise(8, 0, *first.shape))


def test_the_end_of_the_noise_stays_through_an_episode_where_the_policy_asks_for_it() -> None:
    run, plain = Run(seed=7, episode_noise=4), Run(seed=7)
    for one in (run, plain):
        one.steps(2 * PLAN_CYCLES + 1)
        # A hold belongs to the episode.
        one.step(without(samples(one.now_ns), 'hand_pose'))
        one.until(lambda decision: decision.request is not None)
        one.loop.stop()
        one.steps(2)
        one.loop.start()
        one.steps(PLAN_CYCLES + 1)
    assert run.loop.counters['holds'] == 1
    noises, drawn = ([request.noise.ravel() for request in one.asked] for one in (run, plain))
    assert len(noises) == len(drawn) >= 6
    first = len(noises) - 2  # of the second episode
    for i, (noise, own) in enumerate(zip(noises, drawn, strict=True)):
        assert np.array_equal(own, chunk_noise(7, i, TIMING.horizon, 10).ravel())
        assert np.array_equal(noise[:-4], own[:-4])
        assert np.array_equal(noise[-4:], drawn[first if i >= first else 0][-4:])


def test_a_preview_is_the_first_request_of_the_episode_to_come() -> None:
    run = Run(seed=7, episode_noise=4)
    run.steps(PLAN_CYCLES + 1)
    run.loop.stop()
    run.steps(3)
    counters = run.loop.counters
    preview = run.loop.preview(samples(run.now_ns))
    assert run.loop.counters == counters
    run.loop.start()
    run.until(lambda decision: decision.request is not None)
    request = run.asked[-1]
    assert (preview.index, preview.noise.tolist()) == (request.index, request.noise.tolist())
    assert preview.observation.vector.shape == request.observation.vector.shape


def test_reset_repeats_a_run_exactly() -> None:
    def noisy(observation: Observation, noise: np.ndarray) -> Plan:
        return Plan(np.tile(action(0.41), (TIMING.horizon, 1)) + 0.01 * noise)

    run = Run(noisy)
    first = [decision.command for decision in run.steps(100)]
    run.loop.reset(0)
    run.loop.start()
    run.now_ns = 0
    second = [decision.command for decision in run.steps(100)]
    assert first[0] is None and second[0] is None
    assert np.array_equal(np.array(first[1:]), np.array(second[1:]))
    assert run.loop.counters['cycles'] == 100


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match='expected a seed of at least 0, got -1'):
        ControlLoop(CONTRACT, -1)


def test_an_action_that_nothing_measures_is_refused_at_once() -> None:
    signal = Signal('joints', 'joint_positions', 'rad', '', ('a',))
    other = dataclasses.replace(signal, key='others', names=('b',))
    interface = Interface((signal,), (other,), {'one': True}, base_frame='base')
    contract = Contract(interface, CONTRACT.policy, CONTRACT.deployment)
    with pytest.raises(ContractError, match="'others'.*same names"):
        ControlLoop(contract, 0)


def test_what_is_planned_can_be_looked_at_and_not_changed() -> None:
    run = Run(steps_along_x)
    assert run.loop.plan is None
    run.moving()
    plan = run.loop.plan
    assert plan is not None and plan.chunk.shape == (TIMING.horizon, 10)
    assert plan.chunk[:, 0] == pytest.approx([0.4 + 0.001 * k for k in range(TIMING.horizon)])
    plan.chunk[:] = np.nan
    assert run.step().state is State.ACTIVE


def test_commands_that_were_cut_are_counted() -> None:
    run = Run(constant_policy(action(LIMITS.workspace_max_m[0] + 1.0)))
    run.steps(PLAN_CYCLES)
    assert run.loop.counters['speed'] > 0
    run.loop.reset(0)
    assert run.loop.counters['speed'] == 0
