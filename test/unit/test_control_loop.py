# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control loop keeps its promises about motion, holding and silence."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_inputs import CONTRACT, PERIOD_NS, action, constant_policy, pose, samples, without

from uncloning_ros.contract import Contract, Interface, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ContractError
from uncloning_ros.runtime.control_loop import (
    RESUME_CYCLES,
    ControlLoop,
    Decision,
    State,
    chunk_noise,
)

TIMING = CONTRACT.policy
STALE_NS = 10**9


class Recorder:
    """A policy that keeps what it was asked, and answers with steps along x."""

    def __init__(self) -> None:
        self.asked: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, history: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self.asked.append((history.copy(), noise.copy()))
        steps = [action(0.4 + 0.001 * k) for k in range(TIMING.horizon)]
        return np.array(steps, dtype=np.float32)


class Run:
    """A started loop, one tick after the other."""

    def __init__(self, infer: Callable[..., np.ndarray] | None = None, seed: int = 0,
                 contract: Contract = CONTRACT) -> None:
        self.loop = ControlLoop(contract, infer or constant_policy(action(0.41, 0.0)), seed)
        self.loop.start()
        self.tick = 0

    @property
    def now_ns(self) -> int:
        return self.tick * PERIOD_NS

    def step(self, inputs: dict[str, Sample] | None = None) -> Decision:
        decision = self.loop.step(self.now_ns, samples(self.now_ns) if inputs is None else inputs)
        self.tick += 1
        return decision

    def stale(self, key: str, **values: np.ndarray) -> dict[str, Sample]:
        inputs = samples(self.now_ns, **values)
        return inputs | {key: samples(self.now_ns - STALE_NS, **values)[key]}


def test_nothing_is_commanded_before_start() -> None:
    loop = ControlLoop(CONTRACT, constant_policy(action(0.41)), 0)
    decision = loop.step(0, samples(0))
    assert (decision.state, decision.reason) == (State.WAITING, 'not_started')
    assert decision.command is None


def test_after_start_it_waits_in_silence_for_every_input() -> None:
    run = Run()
    decision = run.step(without(samples(0), 'hand_pose'))
    assert (decision.state, decision.reason) == (State.WAITING, 'missing_input')
    assert 'hand_pose' in decision.sentence
    assert decision.command is None
    assert run.step().state is State.ACTIVE


def test_the_first_observation_fills_the_history() -> None:
    policy = Recorder()
    Run(policy).step()
    history, noise = policy.asked[0]
    assert history.shape == (TIMING.history, CONTRACT.interface.observation_dim)
    assert history.dtype == noise.dtype == np.float32
    assert np.all(history == history[0])


def test_a_chunk_is_executed_step_by_step_before_the_next_is_planned() -> None:
    policy = Recorder()
    run = Run(policy)
    decisions = [run.step() for _ in range(TIMING.execute + 1)]
    x = [decision.command[0] for decision in decisions if decision.command is not None]
    expected = [0.4 + 0.001 * k for k in range(TIMING.execute)] + [0.4]
    assert x == pytest.approx(expected, abs=1e-6)
    assert [d.inferred for d in decisions] == [True] + [False] * (TIMING.execute - 1) + [True]
    assert run.loop.counters['chunks'] == 2


def test_history_holds_one_observation_for_each_tick_newest_last() -> None:
    policy = Recorder()
    run = Run(policy)
    for k in range(TIMING.execute + 1):
        run.step(samples(run.now_ns, tool_pose=pose(0.4 + 0.01 * k)))
    history, _ = policy.asked[1]
    newest = 0.4 + 0.01 * TIMING.execute
    assert history[:, 0] == pytest.approx([newest - 0.01, newest])


def test_noise_is_a_function_of_seed_and_chunk_alone() -> None:
    policy, again = Recorder(), Recorder()
    one, two = Run(policy, seed=7), Run(again, seed=7)
    for _ in range(3 * TIMING.execute):
        one.step()
        two.step(samples(two.now_ns, hand_pose=pose(0.8)))
    assert len(policy.asked) == 3
    for i, ((_, noise), (_, same)) in enumerate(zip(policy.asked, again.asked, strict=True)):
        assert np.array_equal(noise, same)
        assert np.array_equal(noise, chunk_noise(7, i, *noise.shape))
    assert not np.array_equal(policy.asked[0][1], policy.asked[1][1])
    assert not np.array_equal(policy.asked[0][1], chunk_noise(8, 0, *policy.asked[0][1].shape))


def test_reset_repeats_a_run_exactly() -> None:
    run = Run(lambda history, noise: np.tile(action(0.41), (TIMING.horizon, 1)) + 0.01 * noise)
    first = [run.step().command for _ in range(20)]
    run.loop.reset(0)
    run.loop.start()
    run.tick = 0
    second = [run.step().command for _ in range(20)]
    assert np.array_equal(np.array(first), np.array(second))
    assert run.loop.counters['ticks'] == 20


def test_stale_hand_pose_latches_measured_pose() -> None:
    run = Run()
    run.step()
    decision = run.step(run.stale('hand_pose', tool_pose=pose(0.404)))
    assert (decision.state, decision.reason) == (State.HOLD, 'stale_input')
    assert decision.command is not None
    assert decision.command[:9] == pytest.approx(pose(0.404))


def test_hold_repeats_the_latched_pose_wherever_the_arm_goes() -> None:
    run = Run()
    run.step()
    commands = [run.step(run.stale('hand_pose', tool_pose=pose(0.404 + 0.01 * k))).command
                for k in range(5)]
    assert all(np.array_equal(command, commands[0]) for command in commands)
    assert run.loop.counters['holds'] == 1


def test_the_gripper_keeps_its_last_command_in_hold() -> None:
    run = Run(constant_policy(action(0.41, 0.013)))
    run.step()
    decision = run.step(run.stale('hand_pose'))
    assert decision.command is not None
    assert decision.command[9] == pytest.approx(0.013)


def test_a_stale_tool_pose_holds_the_last_command_and_not_an_old_measurement() -> None:
    run = Run()
    commanded = run.step().command
    decision = run.step(run.stale('tool_pose', tool_pose=pose(0.3)))
    assert decision.state is State.HOLD
    assert np.array_equal(decision.command, commanded)


def test_a_tool_measured_outside_the_workspace_is_never_commanded_by_a_hold() -> None:
    run = Run()
    commanded = run.step().command
    decision = run.step(run.stale('hand_pose', tool_pose=pose(50.0)))
    assert decision.state is State.HOLD
    assert np.array_equal(decision.command, commanded)
    run.loop.stop()
    assert np.array_equal(run.step(samples(run.now_ns, tool_pose=pose(50.0))).command, commanded)


def test_an_input_that_is_not_finite_holds() -> None:
    run = Run()
    run.step()
    decision = run.step(samples(run.now_ns, wrist_force=np.array([np.nan, 0, 0])))
    assert (decision.state, decision.reason) == (State.HOLD, 'not_finite_input')


def test_leaving_hold_takes_fresh_cycles_in_a_row_and_plans_anew() -> None:
    policy = Recorder()
    run = Run(policy)
    run.step()
    run.step(run.stale('hand_pose'))
    almost = [run.step() for _ in range(RESUME_CYCLES - 1)]
    flicker = run.step(run.stale('hand_pose'))
    recovering = [run.step() for _ in range(RESUME_CYCLES - 1)]
    resumed = run.step(samples(run.now_ns, tool_pose=pose(0.45)))
    assert {d.state for d in (*almost, flicker, *recovering)} == {State.HOLD}
    assert {d.reason for d in recovering} == {'recovering'}
    assert (resumed.state, resumed.inferred) == (State.ACTIVE, True)
    history, _ = policy.asked[1]
    assert history[:, 0] == pytest.approx([0.45] * TIMING.history)


def test_what_was_planned_before_a_hold_is_not_executed_after_it() -> None:
    # The chunk is longer than the hold, so that it has not run out by itself.
    long = dataclasses.replace(TIMING, execute=TIMING.horizon)
    run = Run(Recorder(), contract=dataclasses.replace(CONTRACT, policy=long))
    run.step()
    run.step(run.stale('hand_pose'))
    resumed = [run.step() for _ in range(RESUME_CYCLES)][-1]
    assert (resumed.state, resumed.inferred) == (State.ACTIVE, True)


def test_done_when_the_object_was_grasped_let_go_and_is_out_of_reach() -> None:
    run = Run()
    at_object, away = pose(0.6), pose(0.4)
    assert run.step().state is State.ACTIVE
    assert run.step(samples(run.now_ns, width=0.01, tool_pose=at_object)).state is State.ACTIVE
    assert run.step(samples(run.now_ns, width=0.08, tool_pose=at_object)).state is State.ACTIVE
    done = run.step(samples(run.now_ns, width=0.08, tool_pose=away))
    assert (done.state, done.reason) == (State.DONE, 'released')
    assert done.command is not None and done.command[:9] == pytest.approx(away)


def test_an_open_gripper_far_from_the_object_is_not_the_end_before_a_grasp() -> None:
    run = Run()
    states = {run.step(samples(run.now_ns, width=0.08)).state for _ in range(10)}
    assert states == {State.ACTIVE}


def test_an_open_gripper_that_leaves_the_object_has_not_grasped_it() -> None:
    run = Run()
    run.step(samples(run.now_ns, width=0.08, tool_pose=pose(0.6)))
    assert run.step(samples(run.now_ns, width=0.08, tool_pose=pose(0.4))).state is State.ACTIVE


def test_the_longest_episode_ends_in_done_with_one_hold_command_then_silence() -> None:
    end = dataclasses.replace(CONTRACT.deployment.episode_end, max_episode_s=1.0)
    short = dataclasses.replace(
        CONTRACT, deployment=dataclasses.replace(CONTRACT.deployment, episode_end=end))
    run = Run(contract=short)
    decisions = [run.step() for _ in range(25)]
    assert {d.state for d in decisions[:20]} == {State.ACTIVE}
    assert (decisions[20].state, decisions[20].reason) == (State.DONE, 'timeout')
    assert decisions[20].command is not None
    assert [d.command for d in decisions[21:]] == [None] * 4
    assert {d.reason for d in decisions[21:]} == {'timeout'}


def test_stop_gives_exactly_one_hold_command() -> None:
    run = Run()
    run.step()
    run.loop.stop()
    stopped = run.step(samples(run.now_ns, tool_pose=pose(0.405)))
    assert (stopped.state, stopped.reason) == (State.WAITING, 'stopped')
    assert stopped.command is not None and stopped.command[:9] == pytest.approx(pose(0.405))
    assert [run.step().command for _ in range(3)] == [None] * 3


def test_stop_before_any_command_is_silent() -> None:
    run = Run()
    run.loop.stop()
    assert [run.step().command for _ in range(3)] == [None] * 3


def test_a_new_episode_can_start_after_done_and_after_stop() -> None:
    run = Run()
    run.step()
    run.loop.stop()
    run.step()
    assert run.loop.start()
    assert run.step().state is State.ACTIVE


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('at', [0, 15])
def test_a_policy_that_answers_with_nan_is_never_obeyed(bad: float, at: int) -> None:
    chunk = np.tile(action(0.41), (TIMING.horizon, 1))
    chunk[at, 2] = bad
    run = Run(lambda history, noise: chunk)
    decisions = [run.step() for _ in range(5)]
    assert {d.state for d in decisions} == {State.FAULT}
    assert [d.command for d in decisions] == [None] * 5


def test_a_policy_that_fails_later_ends_in_one_hold_command_then_silence() -> None:
    answers = iter([np.tile(action(0.41, 0.02), (TIMING.horizon, 1))])

    def infer(history: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return next(answers)

    run = Run(infer)
    decisions = [run.step() for _ in range(TIMING.execute + 3)]
    fault = decisions[TIMING.execute]
    assert (fault.state, fault.reason) == (State.FAULT, 'policy_failed')
    assert fault.command is not None and fault.command == pytest.approx(action(0.4, 0.02))
    assert [d.command for d in decisions[TIMING.execute + 1:]] == [None, None]


def test_only_reset_leads_out_of_fault() -> None:
    run = Run(constant_policy(action(np.nan)))
    assert run.step().state is State.FAULT
    assert not run.loop.start()
    assert run.step().state is State.FAULT
    run.loop.reset(1)
    assert run.loop.state is State.WAITING


def test_a_chunk_of_the_wrong_shape_is_a_fault_that_says_both_shapes() -> None:
    decision = Run(lambda history, noise: np.zeros((3, 10))).step()
    assert decision.state is State.FAULT
    assert '(16, 10)' in decision.sentence and '(3, 10)' in decision.sentence


def test_an_action_that_nothing_measures_is_refused_at_once() -> None:
    signal = Signal('joints', 'joint_positions', 'rad', '', ('a',))
    other = dataclasses.replace(signal, key='others', names=('b',))
    interface = Interface('base', (signal,), (other,), {'one': True})
    contract = Contract(interface, CONTRACT.policy, CONTRACT.deployment)
    with pytest.raises(ContractError, match="'others' cannot be held"):
        ControlLoop(contract, constant_policy(np.zeros(1)), 0)


KEYS = [signal.key for signal in CONTRACT.interface.observations]
faults = st.one_of(st.none(), st.tuples(st.sampled_from(KEYS),
                                        st.sampled_from(['missing', 'stale', 'nan'])))


@settings(deadline=None, max_examples=60)
@given(script=st.lists(st.tuples(faults, st.floats(-0.02, 0.02)), min_size=1, max_size=40))
def test_however_inputs_fail_hold_latches_once_and_moves_nothing(
        script: list[tuple[tuple[str, str] | None, float]]) -> None:
    run = Run(lambda history, noise: np.tile(action(0.41, 0.03), (TIMING.horizon, 1))
              + 0.001 * noise)
    previous: Decision | None = None
    entered = 0
    for fault, offset in script:
        inputs = samples(run.now_ns, tool_pose=pose(0.4 + offset))
        if fault is not None and fault[1] == 'missing':
            inputs = without(inputs, fault[0])
        elif fault is not None and fault[1] == 'stale':
            inputs[fault[0]] = samples(run.now_ns - STALE_NS)[fault[0]]
        elif fault is not None:
            bad = inputs[fault[0]]
            inputs[fault[0]] = dataclasses.replace(bad, values=bad.values * np.nan)
        decision = run.step(inputs)
        if decision.state is State.WAITING:
            assert decision.command is None
        else:
            assert decision.command is not None
            assert np.all(np.isfinite(decision.command))
            assert decision.state is State.HOLD or fault is None
        if decision.state is State.HOLD:
            assert previous is not None and previous.command is not None
            assert decision.command is not None
            assert decision.command[9] == previous.command[9]
            if previous.state is State.HOLD:
                assert np.array_equal(decision.command, previous.command)
            else:
                entered += 1
        previous = decision
    assert run.loop.counters['holds'] == entered
