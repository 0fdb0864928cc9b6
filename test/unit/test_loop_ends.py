# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How motion ends: done, stopped, faulty; with one hold command, then silence."""

import dataclasses

import numpy as np
import pytest
from loop_inputs import (
    CONTRACT,
    CYCLE_NS,
    Run,
    action,
    commanded,
    constant_policy,
    object_first,
    pose,
    samples,
    short_episodes,
    steps_along_x,
    without,
)

from uncloning_ros.contract import Contract
from uncloning_ros.runtime.control_loop import State


@pytest.mark.parametrize('contract', [CONTRACT, object_first()], ids=['shipped', 'object_first'])
def test_done_when_the_object_was_grasped_let_go_and_is_out_of_reach(contract: Contract) -> None:
    run = Run(contract=contract)
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


@pytest.mark.parametrize('contract', [CONTRACT, object_first()], ids=['shipped', 'object_first'])
def test_stop_gives_exactly_one_hold_command_where_the_arm_is(contract: Contract) -> None:
    run = Run(contract=contract)
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
