# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault, injected while the policy commands, holds the arm in the cycle that its rule names.

Times are injected; `fault_rows` has the table.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from fault_rows import (
    DOWN,
    JOINTS,
    NAMES,
    POSES,
    TABLE,
    TARGETS,
    Cycle,
    Row,
    at_ros_time,
    cycles,
    healthy,
    other_rows,
)
from loop_inputs import Run, commanded

from uncloning_ros.contract import Contract, FaultSignal
from uncloning_ros.geometry import Array
from uncloning_ros.policy_io import Plan
from uncloning_ros.runtime.control_loop import RESUME_S, Decision, State
from uncloning_ros.runtime.take_over import Person

FAULT = 30  # the cycle in which faults begin


def started(contract: Contract) -> Run:
    """Return a started loop whose policy leads the arm to `TARGETS`."""
    target = np.concatenate([TARGETS[signal.key] for signal in contract.interface.actions])
    chunk = np.tile(target.astype(np.float32), (contract.policy.horizon, 1))
    return Run(lambda *_: Plan(chunk), contract=contract)


def step(run: Run, given: Cycle) -> Decision:
    run.now_ns = given.now_ns
    return run.step(given.inputs, ros_now_ns=given.ros_ns, steady_ns=given.now_ns,
                    guards=given.guards)


def parts(contract: Contract, command: Array) -> dict[str, Array]:
    return {key: command[where] for key, where in contract.interface.action_slices.items()}


MEASURED_BY = {'target_pose': 'tool_pose', 'target_joints': 'joint_positions'}


@pytest.mark.parametrize('row', TABLE, ids=NAMES)
def test_a_fault_holds_the_arm_in_its_very_cycle_and_motion_goes_on_after_it(row: Row) -> None:
    run, contract = started(row.contract), row.contract
    moving = [step(run, healthy(contract, cycle)) for cycle in range(FAULT)]
    assert moving[-1].reason == 'policy'
    last = healthy(contract, FAULT - 1)
    begins, lasts = FAULT + row.after, 12

    # Until the rule's cycle the policy commands, in it the arm holds.
    decisions = [step(run, row.change(healthy(contract, cycle), last))
                 for cycle in range(FAULT, begins + lasts)]
    assert {d.state for d in decisions[:row.after]} <= {State.ACTIVE}
    held = decisions[row.after]
    assert (held.state, held.reason) == (State.HOLD, row.reason)
    assert row.key in held.sentence
    before = [*moving, *decisions[:row.after]][-1]

    # It holds where it was measured, or was commanded where no measurement can be used.
    command, commands = commanded(held), [commanded(d) for d in decisions[row.after:]]
    assert all(np.array_equal(command, other) for other in commands)
    for key, values in parts(contract, command).items():
        previous = parts(contract, commanded(before))[key]
        measured_by = MEASURED_BY.get(key)
        if measured_by is None or measured_by == row.key:
            assert np.array_equal(values, previous), key
        else:
            measured = row.change(healthy(contract, begins), last).inputs[measured_by]
            assert np.array_equal(values, measured.values), key
            assert not np.array_equal(values, previous), key

    # Nothing else is told while it lasts.
    reasons = {d.reason for d in decisions[row.after + 1:]}
    assert reasons == ({'recovering'} if row.once else {row.reason})

    # It goes on from there, once nothing has been wrong for long enough.
    recovers = begins + (1 if row.once else lasts) + cycles(contract, RESUME_S)
    waiting = [step(run, healthy(contract, cycle)) for cycle in range(begins + lasts, recovers)]
    assert {(d.state, d.reason) for d in waiting} == {(State.HOLD, 'recovering')}
    assert all(np.array_equal(commanded(d), command) for d in waiting)
    resumed = step(run, healthy(contract, recovers))
    assert resumed.state is State.ACTIVE
    assert np.array_equal(commanded(resumed), command)
    assert resumed.request is not None
    assert len({tuple(row) for row in resumed.request.observation.vector.tolist()}) == 1
    assert run.loop.counters['holds'] == 1


def test_the_table_has_every_value_of_every_observation() -> None:
    assert len([row for row in TABLE if row.reason == 'not_finite_input']) == 3 * (31 + 7)
    assert len(set(NAMES)) == len(NAMES) > 200


@pytest.mark.parametrize('contract', [POSES, JOINTS], ids=['poses', 'joints'])
def test_a_topic_that_is_never_published_keeps_the_arm_from_moving_at_all(
        contract: Contract) -> None:
    for signal in contract.interface.observations:
        run = started(contract)
        for cycle in range(200):
            given = healthy(contract, cycle)
            decision = step(run, replace(given, inputs={
                key: sample for key, sample in given.inputs.items() if key != signal.key}))
            assert (decision.state, decision.reason) == (State.WAITING, 'missing_input')
            assert signal.key in decision.sentence
            assert (decision.command, decision.request) == (None, None)


def test_a_tracker_that_flickers_keeps_the_arm_held() -> None:
    run = started(POSES)
    for cycle in range(FAULT):
        step(run, healthy(POSES, cycle))
    for cycle in range(FAULT, FAULT + 300):
        given = healthy(POSES, cycle)
        if cycle % 20 == FAULT % 20:
            given = replace(given, inputs={key: sample for key, sample in given.inputs.items()
                                           if key != 'hand_pose'})
        assert step(run, given).state is State.HOLD
    assert run.loop.counters['holds'] == 1


def test_the_first_thing_that_is_wrong_is_told_and_a_second_one_keeps_the_hold() -> None:
    run = started(POSES)
    for cycle in range(FAULT):
        step(run, healthy(POSES, cycle))

    def spoilt(cycle: int, *keys: str) -> Decision:
        given = healthy(POSES, cycle)
        return step(run, replace(given, inputs={key: sample for key, sample
                                                in given.inputs.items() if key not in keys}))

    assert 'object_pose' in spoilt(FAULT, 'hand_pose', 'object_pose').sentence
    held = spoilt(FAULT + 1, 'hand_pose')
    assert 'hand_pose' in held.sentence
    # Now not even the arm is measured; what was latched stays.
    assert np.array_equal(commanded(spoilt(FAULT + 2, 'tool_pose')), commanded(held))


@pytest.mark.parametrize(('contract', 'key', 'wild'), [
    (POSES, 'tool_pose', [50.0, 0.0, 0.3, *DOWN]), (POSES, 'tool_pose', [0.4, 0.0, -0.1, *DOWN]),
    (JOINTS, 'joint_positions', [3.1, 0.3, 0.0, -1.8, 0.0, 2.0, 0.7])])
def test_an_arm_measured_where_it_may_not_be_is_held_where_it_was_commanded(
        contract: Contract, key: str, wild: list[float]) -> None:
    run = started(contract)
    before = [step(run, healthy(contract, cycle)) for cycle in range(FAULT)][-1]
    given = healthy(contract, FAULT).having(key, values=np.array(wild))
    held = step(run, replace(given, guards=replace(given.guards, enabled=False)))
    assert held.state is State.HOLD
    assert np.array_equal(commanded(held), commanded(before))


def in_state(state: State, contract: Contract = POSES) -> tuple[Run, int]:
    """Return a loop in a state, and its next cycle; HOLD is on account of the hand."""
    run = started(contract)
    if state is State.WAITING:
        run.loop.stop()
    if state is State.DONE:
        contract = replace(contract, deployment=replace(
            contract.deployment, episode_end=replace(contract.deployment.episode_end,
                                                     max_episode_s=0.1)))
        run = started(contract)
    for cycle in range(FAULT):
        given = healthy(contract, cycle)
        if state is State.HOLD and cycle == FAULT - 1:
            given = given.having('hand_pose', values=np.full(9, math.nan))
        run.person = Person(pressed=state is State.TAKEN_OVER and cycle == FAULT - 1)
        if state is State.FAULT and cycle == FAULT - 1:
            run.loop.fault('test', 'for a test')
        step(run, given)
    assert run.loop.state is state
    return run, FAULT


@pytest.mark.parametrize('state', State)
def test_a_fault_of_the_robot_ends_motion_in_every_state(state: State) -> None:
    run, cycle = in_state(state)
    decisions = []
    for later in range(5):
        given = healthy(POSES, cycle + later)
        decisions.append(step(run, replace(given, guards=replace(given.guards, faulty=True))))
    assert {d.state for d in decisions} == {State.FAULT}
    assert {d.reason for d in decisions} == {'test' if state is State.FAULT else 'robot_fault'}
    has_command = state in (State.ACTIVE, State.HOLD)
    assert [d.command is not None for d in decisions] == [has_command] + [False] * 4
    # Not even when the robot takes it back does motion begin without a person.
    assert not run.loop.start()
    assert step(run, healthy(POSES, cycle + 5)).state is State.FAULT


def test_a_fault_of_the_robot_that_lasts_outlives_a_reset() -> None:
    run, cycle = in_state(State.ACTIVE)
    given = healthy(POSES, cycle)
    faulty = replace(given, guards=replace(given.guards, faulty=True))
    step(run, faulty)
    run.loop.reset(0)
    run.loop.start()
    decision = step(run, faulty)
    assert (decision.state, decision.reason) == (State.FAULT, 'robot_fault')
    assert decision.command is None


def test_a_fault_topic_may_tell_of_health_instead() -> None:
    contract = replace(POSES, deployment=replace(POSES.deployment,
                                                 fault=FaultSignal('healthy', False)))
    run = started(contract)
    for cycle in range(FAULT):
        given = healthy(contract, cycle)
        decision = step(run, replace(given, guards=replace(given.guards, faulty=True)))
    assert decision.state is State.ACTIVE
    assert step(run, healthy(contract, FAULT)).reason == 'robot_fault'


MISTRUSTED = [row for row in other_rows(POSES) if row.after == 0]


@pytest.mark.parametrize('state', State)
@pytest.mark.parametrize('row', MISTRUSTED, ids=lambda row: row.name)
def test_clocks_and_switches_are_minded_in_every_state(row: Row, state: State) -> None:
    run, cycle = in_state(state)
    before = step(run, healthy(POSES, cycle)) if state is State.HOLD else None
    cycle += state is State.HOLD
    decision = step(run, row.change(healthy(POSES, cycle), healthy(POSES, cycle - 1)))
    if state in (State.DONE, State.FAULT):
        assert (decision.state, decision.command) == (state, None)
        assert decision.reason in ('timeout', 'test')
    elif state is State.WAITING:
        assert (decision.state, decision.reason) == (state, row.reason)
        assert decision.command is None
    elif state is State.TAKEN_OVER:  # only the person can stop the arm
        assert (decision.state, decision.reason) == (state, 'person')
        assert decision.command is None and 'warning: ' in decision.sentence
    else:
        assert (decision.state, decision.reason) == (State.HOLD, row.reason)
        if before is not None:
            assert np.array_equal(commanded(decision), commanded(before))


@pytest.mark.parametrize('state', State)
def test_a_clock_that_stands_still_is_minded_in_every_state(state: State) -> None:
    run, cycle = in_state(state)
    last = healthy(POSES, cycle - 1)
    decisions = [step(run, at_ros_time(healthy(POSES, cycle + k), last.ros_ns))
                 for k in range(20)]
    expected = {State.ACTIVE: State.HOLD}.get(state, state)
    assert decisions[-1].state is expected
    if state is State.TAKEN_OVER:
        assert 'warning: ROS time has stood still' in decisions[-1].sentence
    elif state not in (State.DONE, State.FAULT):
        assert decisions[-1].reason == 'clock_stopped'
    assert expected is State.HOLD or decisions[-1].command is None


def test_the_enable_switch_has_to_be_pressed_for_motion_to_begin() -> None:
    run = started(POSES)
    for cycle in range(50):
        given = healthy(POSES, cycle)
        decision = step(run, replace(given, guards=replace(given.guards, enabled=False)))
        assert (decision.state, decision.reason) == (State.WAITING, 'not_enabled')
        assert decision.command is None
    assert step(run, healthy(POSES, 50)).state is State.ACTIVE
