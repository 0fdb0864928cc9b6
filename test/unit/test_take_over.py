# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person takes the arm over from the control loop: no leap, no fight, no dropped tool."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from loop_inputs import (
    CONTRACT,
    CYCLE_NS,
    PLAN_CYCLES,
    RESUME_CYCLES,
    Run,
    action,
    commanded,
    constant_policy,
    deployed,
    pose,
    require_reachable,
    samples,
)

from uncloning_ros.contract import Contract, Teleoperation
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array
from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.take_over import ABSENT, Person

AGE_S = 0.2
SOURCE = Teleoperation('teleoperation', 'switch', AGE_S)
MANNED = deployed(teleoperation=SOURCE)


def person(now_ns: int, pressed: bool = True, **commands: Array) -> Person:
    return Person(pressed, now_ns, {key: Sample(values, now_ns, now_ns)
                                    for key, values in commands.items()})


def moving(contract: Contract = MANNED, **options: Any) -> Run:
    run = Run(contract=contract, **options)
    run.moving()
    return run


def taken(run: Run, **commands: Array) -> Run:
    """Let the person press the switch, and command."""
    run.person = person(run.now_ns, **commands)
    assert run.step().state is State.TAKEN_OVER
    return run


def let_go(run: Run) -> Any:
    run.person = ABSENT
    return run.step()


def onwards(observation: Observation, noise: Array) -> Plan:
    """Answer with steps of 1 mm along x, from where the arm was seen."""
    steps = [np.append(observation.vector[-1, :9], 0.08) for _ in noise]
    for k, step in enumerate(steps):
        step[0] += 0.001 * k
    return Plan(np.array(steps, dtype=np.float32))


def test_it_holds_for_a_person_who_asked_and_is_silent_from_the_first_press() -> None:
    run = moving()
    assert run.loop.take_over()
    waiting = run.steps(50)
    assert {(d.state, d.reason) for d in waiting} == {(State.HOLD, 'take_over')}
    assert SOURCE.topic in waiting[0].sentence
    assert all(np.array_equal(commanded(d), commanded(waiting[0])) for d in waiting)
    run.person = Person(pressed=True)
    decisions = run.steps(50)
    assert {(d.state, d.reason, d.command is None) for d in decisions} == {
        (State.TAKEN_OVER, 'person', True)}


def test_a_press_in_motion_silences_the_policy_in_the_next_cycle_without_a_question() -> None:
    run = moving()
    run.person = Person(pressed=True)
    decision = run.step()
    assert (decision.state, decision.command) == (State.TAKEN_OVER, None)


@pytest.mark.parametrize('stale', [False, True], ids=['let go', 'not heard any more'])
def test_a_switch_that_is_let_go_holds_where_the_person_left_the_arm(stale: bool) -> None:
    run, there = taken(moving()), pose(0.55, 0.1)
    heard_ns = run.now_ns - CYCLE_NS
    newest = Person(pressed=stale, receive_ns=heard_ns)

    def step() -> Any:
        return run.step(samples(run.now_ns, tool_pose=there), person=newest)

    silent = [step() for _ in range(round(AGE_S * 1e9) // CYCLE_NS if stale else 0)]
    assert {d.state for d in silent} <= {State.TAKEN_OVER}
    decision = step()
    assert (decision.state, decision.reason) == (State.HOLD, 'let_go')
    run.person = ABSENT
    assert commanded(decision)[:9] == pytest.approx(there)
    later = run.step(samples(run.now_ns, tool_pose=pose(0.5)))
    assert np.array_equal(commanded(later), commanded(decision))


def test_the_gripper_stays_as_the_person_commanded_it() -> None:
    run = moving(infer=constant_policy(action(0.41, 0.08)))
    before = commanded(run.step())[9]
    taken(run, target_width=np.array([0.01]))
    assert before > 0.05
    assert commanded(let_go(run))[9] == 0.01
    assert run.loop.give_back()
    assert {commanded(d)[9] for d in run.steps(RESUME_CYCLES)} == {0.01}


def test_a_command_from_before_the_press_is_the_policys_own() -> None:
    run = moving(infer=constant_policy(action(0.41, 0.0)))
    before = commanded(run.step())[9]
    old = Sample(np.array([0.08]), run.now_ns - 1, run.now_ns - 1)
    run.person = Person(True, run.now_ns, {'target_width': old})
    run.step()
    assert commanded(let_go(run))[9] == before


def test_after_the_return_the_policy_goes_on_from_there_without_a_leap() -> None:
    run, there = taken(moving(infer=onwards)), pose(0.6, 0.2)

    def step() -> Any:
        return run.step(samples(run.now_ns, tool_pose=there))

    for _ in range(30):
        step()
    run.person = ABSENT
    held = step()
    assert run.loop.give_back()
    recovering = [step() for _ in range(RESUME_CYCLES)]
    assert {d.reason for d in recovering} == {'recovering'}
    before = commanded(held)
    for _ in range(100):
        decision = step()
        assert decision.state is State.ACTIVE
        if decision.command is not None:
            require_reachable(before, decision.command)
            assert np.linalg.norm(decision.command[:3] - there[:3]) < 0.03
            before = decision.command
    assert decision.reason == 'policy'


def test_the_arm_is_not_returned_while_the_person_has_it_nor_without_a_person() -> None:
    run = moving()
    assert not run.loop.give_back()
    taken(run)
    assert not run.loop.give_back()
    assert run.step().state is State.TAKEN_OVER
    let_go(run)
    assert run.loop.give_back()
    assert run.step().reason == 'recovering'


def test_pressed_again_it_is_silent_again() -> None:
    run = taken(moving())
    for again in range(3):
        assert let_go(run).reason == 'let_go'
        assert again < 2 or run.loop.give_back()
        taken(run)


@pytest.mark.parametrize('how', ['outside', 'unusable'])
def test_an_arm_left_where_it_cannot_be_held_is_not_commanded(how: str) -> None:
    run = taken(moving())
    there = pose(0.9) if how == 'outside' else np.full(9, math.nan)
    run.person = ABSENT
    for _ in range(20):
        decision = run.step(samples(run.now_ns, tool_pose=there))
        assert (decision.state, decision.reason) == (State.TAKEN_OVER, 'left_outside')
        assert decision.command is None and 'tool_pose' in decision.sentence
        assert not run.loop.give_back()
    held = run.step(samples(run.now_ns, tool_pose=pose(0.8)))
    assert held.reason == 'let_go' and commanded(held)[0] == pytest.approx(0.8)


def test_it_tells_what_the_policy_would_have_done() -> None:
    run = taken(moving(infer=constant_policy(action(0.41, 0.03))))
    chunks = run.loop.counters['chunks']
    decisions = run.steps(60)
    assert run.loop.counters['chunks'] > chunks
    told = [d.would for d in decisions if d.would is not None]
    assert len(told) > 50
    assert told[-1] == pytest.approx(action(0.41, 0.03), abs=1e-6)
    assert all(d.command is None for d in decisions)


def test_a_plan_that_never_comes_is_asked_for_again() -> None:
    run = taken(moving())
    run.latency_ns = 10**12
    asked = len(run.asked)
    run.steps(4 * PLAN_CYCLES)
    assert len(run.asked) > asked + 1


def test_an_input_that_fails_leaves_the_arm_to_the_person_and_is_told() -> None:
    run = taken(moving())
    for _ in range(5):
        decision = run.step(samples(run.now_ns, hand_pose=np.full(9, math.nan)))
        assert (decision.state, decision.command, decision.would) == (
            State.TAKEN_OVER, None, None)
        assert 'hand_pose' in decision.sentence
    assert run.until(lambda decision: decision.would is not None).state is State.TAKEN_OVER


def test_the_time_of_the_episode_stands_still_for_the_person() -> None:
    contract = deployed(teleoperation=SOURCE, episode_end=replace(
        CONTRACT.deployment.episode_end, max_episode_s=1.0))
    run = taken(moving(contract))
    assert {d.state for d in run.steps(150)} == {State.TAKEN_OVER}
    let_go(run)
    assert run.loop.give_back()
    assert run.until(lambda d: d.state is State.DONE).reason == 'timeout'
    assert run.now_ns > 2.4e9


@pytest.mark.parametrize('end', ['stop', 'fault'])
def test_an_end_does_not_command_the_arm_that_a_person_has(end: str) -> None:
    run = taken(moving())
    getattr(run.loop, end)(*(('test', 'for a test') if end == 'fault' else ()))
    decisions = run.steps(3)
    assert {d.state for d in decisions} == {State.WAITING if end == 'stop' else State.FAULT}
    assert all(d.command is None for d in decisions)


def test_a_release_under_the_person_ends_the_episode_after_the_return() -> None:
    run = taken(moving())
    run.step(samples(run.now_ns, width=0.01, object_pose=pose(0.4)))
    for _ in range(5):
        assert run.step().state is State.TAKEN_OVER  # open, and the object is elsewhere
    let_go(run)
    assert run.loop.give_back()
    assert run.until(lambda d: d.state is State.DONE).reason == 'released'


def test_before_the_first_command_a_person_takes_the_arm_as_well() -> None:
    run = Run(contract=MANNED, latency_ns=10**9)
    assert run.step().reason == 'planning'
    assert run.loop.take_over()
    assert {(d.state, d.reason) for d in run.steps(5)} == {(State.WAITING, 'take_over')}
    taken(run)
    held = let_go(run)
    assert held.reason == 'let_go'
    assert commanded(held)[:9] == pytest.approx(pose(0.4))


@pytest.mark.parametrize('contract', [CONTRACT, MANNED], ids=['without a source', 'at rest'])
def test_there_is_nothing_to_take_over(contract: Contract) -> None:
    run = moving() if contract is MANNED else moving(contract)
    if contract is MANNED:
        run.loop.stop()
        run.step()
    assert not run.loop.take_over()
    run.person = Person(pressed=True)
    assert {d.state for d in run.steps(5)} == {
        State.WAITING if contract is MANNED else State.ACTIVE}
