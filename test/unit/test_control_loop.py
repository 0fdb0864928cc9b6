# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control loop keeps its promises about motion, planning, the end and silence."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_inputs import (
    CONTRACT,
    CYCLE_NS,
    LIMITS,
    PERIOD_NS,
    Run,
    action,
    commanded,
    constant_policy,
    deployed,
    pose,
    require_inside,
    require_reachable,
    samples,
    without,
)

from uncloning_ros.contract import Contract, Interface, Signal
from uncloning_ros.errors import ContractError
from uncloning_ros.runtime.control_loop import (
    RESUME_S,
    ChunkAnswer,
    ControlLoop,
    Decision,
    State,
    answer,
    chunk_noise,
)

TIMING = CONTRACT.policy
RATIO = PERIOD_NS // CYCLE_NS
PLAN_CYCLES = TIMING.execute * RATIO  # from one request to the next
LAST_CYCLES = 2 * PLAN_CYCLES  # a plan goes on for so long at most
RESUME_CYCLES = math.ceil(RESUME_S * 1e9 / CYCLE_NS)


def steps_along_x(history: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Answer with steps of 1 mm along x, from where the arm was seen."""
    steps = [action(history[-1, 0] + 0.001 * k) for k in range(TIMING.horizon)]
    return np.array(steps, dtype=np.float32)


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
    assert request.observation.shape == (TIMING.history, CONTRACT.interface.observation_dim)
    assert request.noise.shape == (TIMING.horizon, CONTRACT.interface.action_dim)
    assert request.observation.dtype == request.noise.dtype == np.float32
    assert np.all(request.observation == request.observation[0])


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
    assert run.asked[1].observation[:, 0] == pytest.approx([newest - 0.0001 * RATIO, newest])


def test_a_skipped_cycle_leaves_ticks_on_their_grid() -> None:
    run = Run()
    ticks = []
    for cycle in range(2 * PLAN_CYCLES + 1):
        if cycle in (RATIO, 3 * RATIO, 3 * RATIO + 1):
            run.now_ns += CYCLE_NS  # nobody called
            continue
        run.step(samples(run.now_ns, wrist_force=np.full(3, float(cycle))))
        ticks.append(run.asked[-1].observation[:, -1].tolist())
    # The first plan was asked for at cycle 0; the skipped ticks were taken at the next chance,
    # the others at their time.
    assert [request.tick_ns // CYCLE_NS for request in run.asked] == [0, PLAN_CYCLES,
                                                                     2 * PLAN_CYCLES]
    assert ticks[-1] == [2 * PLAN_CYCLES - RATIO, 2 * PLAN_CYCLES]
    assert run.asked[1].observation[:, -1].tolist() == [3 * RATIO + 2, PLAN_CYCLES]


def test_after_a_long_pause_no_tick_is_made_up_for() -> None:
    run = Run()
    run.steps(RATIO)
    back = PLAN_CYCLES - 3  # all ticks between are over
    run.now_ns = back * CYCLE_NS
    for cycle in range(back, PLAN_CYCLES + 1):
        run.step(samples(run.now_ns, wrist_force=np.full(3, float(cycle))))
    assert run.asked[1].tick_ns == PLAN_CYCLES * CYCLE_NS
    assert run.asked[1].observation[:, -1].tolist() == [back, PLAN_CYCLES]


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
        assert request.observation[:, -1].tolist() == [cycle - RATIO, cycle]


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


def test_reset_repeats_a_run_exactly() -> None:
    def noisy(history: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.tile(action(0.41), (TIMING.horizon, 1)) + 0.01 * noise

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
        assert run.loop.planned is None
        assert run.loop.counters['dropped_chunks'] == 1

    def test_a_failure_that_comes_too_late_is_no_fault(self) -> None:
        run = Run()
        run.moving()
        run.latency_ns = 2 * CYCLE_NS
        request = run.until(lambda decision: decision.request is not None).request
        assert request is not None
        run.step(without(samples(run.now_ns), 'hand_pose'))
        run.loop.deliver(ChunkAnswer(request, None, 'RuntimeError: no memory'), run.now_ns)
        assert run.step().state is State.HOLD


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

    def infer(history: np.ndarray, noise: np.ndarray) -> np.ndarray:
        actions = []
        for _ in range(TIMING.horizon):
            columns = rng.normal(size=6)
            where = np.array([0.45, 0.0, 0.4]) + rng.uniform(-spread_m, spread_m, 3)
            actions.append(np.concatenate([where, columns, [rng.uniform(-0.1, 0.1)]]))
        return np.array(actions, dtype=np.float32)

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


def test_done_when_the_object_was_grasped_let_go_and_is_out_of_reach() -> None:
    run = Run()
    at_object, away = pose(0.6), pose(0.4)
    run.moving()
    assert run.step(samples(run.now_ns, width=0.01, tool_pose=at_object)).state is State.ACTIVE
    assert run.step(samples(run.now_ns, width=0.08, tool_pose=at_object)).state is State.ACTIVE
    done = run.step(samples(run.now_ns, width=0.08, tool_pose=away))
    assert (done.state, done.reason) == (State.DONE, 'released')
    assert commanded(done)[:9] == pytest.approx(away)
    assert [run.step().command for _ in range(3)] == [None] * 3


def test_an_open_gripper_far_from_the_object_is_not_the_end_before_a_grasp() -> None:
    run = Run()
    states = {run.step(samples(run.now_ns, width=0.08)).state for _ in range(50)}
    assert states == {State.ACTIVE}


def test_an_open_gripper_that_leaves_the_object_has_not_grasped_it() -> None:
    run = Run()
    run.step(samples(run.now_ns, width=0.08, tool_pose=pose(0.6)))
    assert run.step(samples(run.now_ns, width=0.08, tool_pose=pose(0.4))).state is State.ACTIVE


def test_a_grasp_of_the_last_episode_does_not_end_the_next_one() -> None:
    run = Run()
    run.step(samples(run.now_ns, width=0.01, tool_pose=pose(0.6)))
    run.loop.stop()
    run.step()
    run.loop.start()
    assert run.step(samples(run.now_ns, width=0.08, tool_pose=pose(0.4))).state is State.ACTIVE


def short_episodes(max_episode_s: float) -> Contract:
    return deployed(episode_end=dataclasses.replace(CONTRACT.deployment.episode_end,
                                                    max_episode_s=max_episode_s))


def test_the_longest_episode_ends_in_done_with_one_hold_command_then_silence() -> None:
    run = Run(contract=short_episodes(1.0))
    decisions = run.steps(105)
    assert {d.state for d in decisions[:100]} == {State.ACTIVE}
    assert (decisions[100].state, decisions[100].reason) == (State.DONE, 'timeout')
    assert decisions[100].command is not None
    assert [d.command for d in decisions[101:]] == [None] * 4
    assert {d.reason for d in decisions[101:]} == {'timeout'}


def test_the_longest_episode_begins_with_motion_and_not_with_waiting() -> None:
    run = Run(contract=short_episodes(1.0))
    for _ in range(300):
        run.step(without(samples(run.now_ns), 'hand_pose'))
    assert {decision.state for decision in run.steps(100)} == {State.ACTIVE}
    assert run.step().state is State.DONE


def test_a_hold_does_not_prolong_the_longest_episode() -> None:
    run = Run(contract=short_episodes(1.0))
    run.steps(50)
    held = [run.step(without(samples(run.now_ns), 'hand_pose')) for _ in range(51)]
    assert {d.state for d in held[:50]} == {State.HOLD}
    assert held[50].state is State.DONE
    assert np.array_equal(commanded(held[50]), commanded(held[49]))


def test_a_clock_that_goes_back_makes_no_episode_shorter_or_longer() -> None:
    run = Run(contract=short_episodes(1.0), begin_ns=10**12)
    run.steps(50)
    run.now_ns = 10**9
    assert run.step().reason == 'clock_backwards'
    states = [decision.state for decision in run.steps(60)]
    assert states.index(State.DONE) == 50


@pytest.mark.parametrize('begin_ns', [-10**15, -1, 0, 2 * 10**18])
def test_the_clock_may_begin_anywhere(begin_ns: int) -> None:
    run, other = Run(steps_along_x, begin_ns=begin_ns), Run(steps_along_x)
    inputs = samples(0)
    for _ in range(30):
        # The same tremor, so that what is commanded can be compared.
        fresh = {key: dataclasses.replace(sample, stamp_ns=run.now_ns, receive_ns=run.now_ns)
                 for key, sample in inputs.items()}
        ours, theirs = run.step(fresh), other.step({
            key: dataclasses.replace(sample, stamp_ns=other.now_ns, receive_ns=other.now_ns)
            for key, sample in inputs.items()})
        assert (ours.state, ours.reason) == (theirs.state, theirs.reason)
        assert ours.command is None or ours.command == pytest.approx(commanded(theirs))


def test_stop_gives_exactly_one_hold_command() -> None:
    run = Run()
    run.moving()
    run.loop.stop()
    stopped = run.step(samples(run.now_ns, tool_pose=pose(0.405)))
    assert (stopped.state, stopped.reason) == (State.WAITING, 'stopped')
    assert commanded(stopped)[:9] == pytest.approx(pose(0.405))
    assert [decision.command for decision in run.steps(3)] == [None] * 3


def test_stop_in_a_hold_repeats_the_latched_pose_once() -> None:
    run = Run()
    run.moving()
    held = run.step(without(samples(run.now_ns, tool_pose=pose(0.405)), 'hand_pose'))
    run.loop.stop()
    stopped = run.step(samples(run.now_ns, tool_pose=pose(0.42)))
    assert np.array_equal(commanded(stopped), commanded(held))
    assert [decision.command for decision in run.steps(3)] == [None] * 3


@pytest.mark.parametrize('cycles', [0, 1])
def test_stop_before_any_command_is_silent(cycles: int) -> None:
    run = Run(latency_ns=10 * CYCLE_NS)
    run.steps(cycles)
    run.loop.stop()
    assert [decision.command for decision in run.steps(20)] == [None] * 20


def test_a_new_episode_can_start_after_done_and_after_stop() -> None:
    run = Run(contract=short_episodes(0.1))
    run.until(lambda decision: decision.state is State.DONE)
    assert run.loop.start()
    assert run.moving().state is State.ACTIVE
    run.loop.stop()
    assert not run.loop.start(), 'the hold command comes first'
    run.step()
    assert run.loop.start()
    assert run.moving().state is State.ACTIVE


def test_what_was_planned_in_the_last_episode_is_not_executed_in_the_next() -> None:
    run = Run(constant_policy(action(0.7)))
    run.moving()
    run.loop.stop()
    run.step()
    run.loop.start()
    run.infer = constant_policy(action(0.4))
    assert commanded(run.moving())[0] == pytest.approx(0.4)


@pytest.mark.parametrize('bad', [np.nan, np.inf, 1e5])
@pytest.mark.parametrize('at', [0, 15])
def test_a_policy_that_answers_with_no_action_is_never_obeyed(bad: float, at: int) -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[at, 2] = bad
    run = Run(lambda history, noise: chunk)
    run.step()
    decisions = run.steps(5)
    assert {(d.state, d.reason) for d in decisions} == {(State.FAULT, 'policy_failed')}
    assert [d.command for d in decisions] == [None] * 5


def test_a_policy_that_answers_without_a_rotation_is_never_obeyed() -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[9, 3:9] = 0
    run = Run(lambda history, noise: chunk)
    run.step()
    assert run.step().reason == 'policy_failed'


def test_columns_that_are_far_too_long_for_a_rotation_are_a_fault() -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[:, 3:9] *= 5e3
    run = Run(lambda history, noise: chunk)
    run.step()
    decision = run.until(lambda decision: decision.state is not State.ACTIVE)
    assert (decision.state, decision.reason) == (State.FAULT, 'rejected_action')


@pytest.mark.parametrize('chunk', [np.zeros((3, 10)), np.zeros((1, 16, 10)), [['x']], [{}], 5])
def test_a_chunk_of_the_wrong_shape_or_kind_is_a_fault(chunk: object) -> None:
    run = Run(lambda history, noise: chunk)
    run.step()
    decision = run.step()
    assert (decision.state, decision.reason) == (State.FAULT, 'policy_failed')


def test_a_fault_of_shape_says_both_shapes() -> None:
    run = Run(lambda history, noise: np.zeros((3, 10)))
    run.step()
    sentence = run.step().sentence
    assert '(16, 10)' in sentence and '(3, 10)' in sentence


def test_a_policy_that_fails_later_ends_in_one_hold_command_then_silence() -> None:
    answers = iter([np.tile(action(0.41, 0.02), (TIMING.horizon, 1))])
    run = Run(lambda history, noise: next(answers))
    decisions = run.steps(PLAN_CYCLES + 4)
    width = commanded(decisions[PLAN_CYCLES])[9]
    fault = decisions[PLAN_CYCLES + 1]
    assert (fault.state, fault.reason) == (State.FAULT, 'policy_failed')
    assert 'StopIteration' in fault.sentence
    assert commanded(fault) == pytest.approx(action(0.4, width))
    assert [d.command for d in decisions[PLAN_CYCLES + 2:]] == [None, None]


def test_only_reset_leads_out_of_fault() -> None:
    run = Run(constant_policy(action(np.nan)))
    run.step()
    assert run.step().state is State.FAULT
    assert not run.loop.start()
    assert run.step().state is State.FAULT
    run.loop.stop()
    assert run.step().state is State.FAULT
    run.loop.reset(1)
    assert run.loop.state is State.WAITING
    assert run.loop.start()
    run.infer = constant_policy(action(0.4))
    assert run.moving().state is State.ACTIVE


class TestForeignFaults:
    """Whoever drives the loop may end it in FAULT: in every state, and nothing undoes it."""

    def require_fault(self, run: Run, commands: int) -> None:
        run.loop.fault('worker_died', 'the inference thread has ended')
        decisions = run.steps(3)
        assert {(d.state, d.reason) for d in decisions} == {(State.FAULT, 'worker_died')}
        assert [d.command is not None for d in decisions] == [commands == 1, False, False]

    def test_before_start(self) -> None:
        run = Run()
        run.loop.stop()
        run.step()
        self.require_fault(run, 0)

    def test_while_waiting(self) -> None:
        run = Run()
        run.step({})
        self.require_fault(run, 0)

    def test_before_the_first_command(self) -> None:
        run = Run(latency_ns=10**12)
        run.step()
        self.require_fault(run, 0)

    def test_while_the_policy_commands(self) -> None:
        run = Run()
        run.moving()
        self.require_fault(run, 1)

    def test_in_a_hold(self) -> None:
        run = Run()
        run.moving()
        run.step({})
        self.require_fault(run, 1)

    def test_after_the_end(self) -> None:
        run = Run(contract=short_episodes(0.1))
        run.until(lambda decision: decision.state is State.DONE)
        run.step()
        self.require_fault(run, 0)

    def test_a_start_does_not_undo_it(self) -> None:
        run = Run()
        run.loop.stop()
        run.step()
        run.loop.fault('worker_died', 'the inference thread has ended')
        run.loop.start()
        assert run.step().reason == 'worker_died'

    def test_a_reset_does(self) -> None:
        run = Run()
        run.loop.fault('worker_died', 'the inference thread has ended')
        run.loop.reset(0)
        run.loop.start()
        assert run.step().state is State.ACTIVE


def test_an_action_that_nothing_measures_is_refused_at_once() -> None:
    signal = Signal('joints', 'joint_positions', 'rad', '', ('a',))
    other = dataclasses.replace(signal, key='others', names=('b',))
    interface = Interface('base', (signal,), (other,), {'one': True})
    contract = Contract(interface, CONTRACT.policy, CONTRACT.deployment)
    with pytest.raises(ContractError, match="'others' cannot be held"):
        ControlLoop(contract, 0)


KEYS = [signal.key for signal in CONTRACT.interface.observations]
faults = st.one_of(st.none(), st.tuples(st.sampled_from(KEYS),
                                        st.sampled_from(['missing', 'stale', 'nan'])))


@settings(deadline=None, max_examples=60)
@given(script=st.lists(st.tuples(faults, st.floats(-0.02, 0.02), st.integers(1, 30)),
                       min_size=1, max_size=12),
       latency_cycles=st.integers(0, PLAN_CYCLES))
def test_however_inputs_fail_hold_latches_once_and_moves_nothing(
        script: list[tuple[tuple[str, str] | None, float, int]], latency_cycles: int) -> None:
    run = Run(lambda history, noise: np.tile(action(0.41, 0.03), (TIMING.horizon, 1))
              + 0.001 * noise, latency_ns=latency_cycles * CYCLE_NS)
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


def test_what_is_planned_can_be_looked_at_and_not_changed() -> None:
    run = Run(steps_along_x)
    assert run.loop.planned is None
    run.moving()
    planned = run.loop.planned
    assert planned is not None and planned.shape == (TIMING.horizon, 10)
    assert planned[:, 0] == pytest.approx([0.4 + 0.001 * k for k in range(TIMING.horizon)])
    planned[:] = np.nan
    assert run.step().state is State.ACTIVE


def test_commands_that_were_cut_are_counted() -> None:
    run = Run(constant_policy(action(LIMITS.workspace_max_m[0] + 1.0)))
    run.steps(PLAN_CYCLES)
    assert run.loop.counters['speed'] > 0
    run.loop.reset(0)
    assert run.loop.counters['speed'] == 0
