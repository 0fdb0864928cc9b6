# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy in lasting doubt stops and asks; doubt changes no command, and a person answers it."""

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
    samples,
)
from seeing import with_cameras

from uncloning_ros.contract import DoubtStop, Teleoperation
from uncloning_ros.errors import ContractError
from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.doubt import (
    HIDDEN_FROM,
    Box,
    Calibration,
    DoubtRecord,
    Hidden,
    Lasting,
    strangest,
    watch_of,
)
from uncloning_ros.runtime.take_over import ABSENT, Person

AFTER_S, ACCEPTED_S, THRESHOLD = 0.4, 2.0, 3.0
PLAN_S = PLAN_CYCLES * CYCLE_NS * 1e-9
CALIBRATION = Calibration(THRESHOLD, AFTER_S, 0.05, 500, 'a' * 64, 'knife')
WIDE = {'object_pose': Box((0.3, -0.1, 0.0, *(-1.0,) * 6), (0.7, 0.1, 0.5, *(1.0,) * 6))}
RECORD = DoubtRecord(WIDE, CALIBRATION)
ASKING = deployed(doubt=DoubtStop(AFTER_S, ACCEPTED_S),
                  teleoperation=Teleoperation('teleoperation', 'switch', 0.2))
SURE, UNSURE = 1.0, 9.0


class Doubting:
    """A policy whose doubt is a number that a test sets."""

    def __init__(self) -> None:
        self.doubt, self._plan = SURE, constant_policy(action(0.41, 0.0))

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        return replace(self._plan(observation, noise), doubt=self.doubt)


def doubting(**options: Any) -> tuple[Run, Doubting]:
    """Return a moving loop, and its policy."""
    policy, contract = Doubting(), options.pop('contract', ASKING)
    run = Run(policy, contract=contract, doubt=watch_of(contract, RECORD, **options))
    run.moving()
    return run, policy


def asked(run: Run, policy: Doubting, doubt: float = UNSURE) -> Any:
    """Let the policy doubt until the loop asks."""
    policy.doubt = doubt
    return run.until(lambda decision: decision.reason == 'doubtful')


def test_lasting_doubt_holds_the_measured_pose_and_asks() -> None:
    run, policy = doubting()
    decision = asked(run, policy)
    assert decision.state is State.HOLD
    assert 'doubt of at least 9 for 0.4 s, allowed 3' in decision.sentence
    assert '~/start' in decision.sentence
    np.testing.assert_allclose(commanded(decision)[:3], pose(0.4)[:3])
    assert run.loop.question is not None and run.loop.doubts.held


@pytest.mark.parametrize(('doubt', 'says'), [
    (1.5 * HIDDEN_FROM, True), (UNSURE, False), (math.nan, False)])
def test_the_question_names_what_the_demonstrators_knew_and_the_policy_cannot_see(
        doubt: float, says: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), 'RECORD', replace(RECORD, hidden=Hidden('hand_pose', 20.0)))
    run, policy = doubting()
    question = asked(run, policy, doubt) and run.loop.question
    assert ('the demonstrators knew where hand_pose would go, the policy cannot see it'
            in question.sentence) is says
    assert (question.key == 'hand_pose') is says


@pytest.mark.parametrize(('y_m', 'key'), [(0.19, 'object_pose'), (0.101, 'hand_pose')])
def test_an_observation_that_lies_clearly_outside_is_named_before_hidden_information(
        y_m: float, key: str) -> None:
    watch = watch_of(ASKING, replace(RECORD, hidden=Hidden('hand_pose', 20.0)))
    for now_ns in range(0, 10**9, 2 * 10**8):
        watch.hear(1.5 * HIDDEN_FROM, now_ns, now_ns, newest(object_pose=pose(0.4, y_m)))
    assert watch.question is not None and watch.question.key == key
    assert ('the demonstrators knew' in watch.question.sentence) is (key == 'hand_pose')


def test_doubt_stops_after_the_stated_time_and_not_before() -> None:
    run, policy = doubting()
    before = run.loop.counters['chunks']
    asked(run, policy)
    # The newest plan before is sure; then one that doubts at each end of two spans of a plan.
    assert run.loop.counters['chunks'] - before in (3, 4)


@pytest.mark.parametrize('doubts', [[UNSURE, UNSURE, SURE], [THRESHOLD] * 9])
def test_doubt_that_does_not_last_or_is_not_above_the_threshold_stops_nothing(
        doubts: list[float]) -> None:
    run, policy = doubting()
    for doubt in doubts * 4:
        policy.doubt = doubt
        chunks = run.loop.counters['chunks']
        while run.loop.counters['chunks'] == chunks:
            assert run.step().state is State.ACTIVE
    assert run.loop.question is None and run.loop.doubts.alarmed_ns is None


def test_doubt_changes_no_command() -> None:
    sure, _ = doubting(stops=False)
    unsure, policy = doubting(stops=False)
    policy.doubt = UNSURE
    for one, two in zip(sure.steps(200), unsure.steps(200), strict=True):
        np.testing.assert_array_equal(commanded(one), commanded(two))
    assert unsure.loop.doubts.alarmed_ns is not None and not unsure.loop.doubts.held


def test_the_hold_stays_when_the_doubt_would_be_gone_and_time_stands_still() -> None:
    run, policy = doubting()
    asked(run, policy)
    policy.doubt = SURE
    longest = ASKING.deployment.episode_end.max_episode_s
    decisions = run.steps(math.ceil(1.5 * longest * 1e9 / CYCLE_NS))
    assert {decision.reason for decision in decisions} == {'doubtful'}


def test_a_person_accepts_the_doubt_for_the_stated_time_then_it_is_judged_again() -> None:
    run, policy = doubting()
    asked(run, policy)
    assert run.loop.accept_doubt() == ACCEPTED_S
    began_ns = run.now_ns
    again = run.until(lambda decision: decision.state is State.ACTIVE)
    assert run.now_ns - began_ns <= (RESUME_CYCLES + 2) * CYCLE_NS and again.reason == 'planning'
    run.until(lambda decision: decision.reason == 'doubtful')
    assert ACCEPTED_S <= (run.now_ns - began_ns) * 1e-9 <= ACCEPTED_S + 2 * PLAN_S
    assert run.loop.counters['holds'] == 2


def test_without_a_question_there_is_nothing_to_accept() -> None:
    run, policy = doubting()
    assert run.loop.accept_doubt() == 0.0
    asked(run, policy)


def test_a_person_who_takes_over_answers() -> None:
    run, policy = doubting()
    asked(run, policy)
    run.person = Person(True, run.now_ns)
    assert run.step().state is State.TAKEN_OVER
    assert run.loop.question is None
    policy.doubt = SURE
    run.person = ABSENT
    assert run.step().reason == 'let_go'
    assert run.loop.give_back()
    run.moving()


def test_asking_for_the_arm_alone_is_no_answer() -> None:
    run, policy = doubting()
    asked(run, policy)
    assert run.loop.take_over()
    assert run.step().reason == 'take_over'
    assert run.loop.give_back()
    assert run.step().reason == 'doubtful'


def test_a_new_episode_forgets_the_question_and_a_reset_the_tally() -> None:
    run, policy = doubting()
    asked(run, policy)
    run.loop.stop()
    run.step()
    policy.doubt = SURE
    assert run.loop.start() and run.loop.question is None and run.loop.doubts.held
    run.moving()
    run.loop.reset(0)
    assert run.loop.doubts.newest is None


@pytest.mark.parametrize('broken', [math.nan, math.inf])
def test_a_doubt_that_is_no_number_is_the_greatest(broken: float) -> None:
    run, policy = doubting()
    policy.doubt = broken
    run.until(lambda decision: decision.reason == 'doubtful')
    assert run.loop.doubts.greatest == 1e9


def test_a_missing_input_breaks_the_span_of_doubt() -> None:
    run, policy = doubting()
    policy.doubt = UNSURE
    for _ in range(8):  # each time less than the doubt has to last
        run.until(lambda decision: decision.reason == 'policy')
        run.steps(PLAN_CYCLES)
        inputs = samples(run.now_ns)
        del inputs['hand_pose']
        assert run.step(inputs).reason == 'missing_input'
    assert run.loop.question is None


@pytest.mark.parametrize(('record', 'after_s', 'sentence'), [
    (None, AFTER_S, 'a file without doubt'),
    (DoubtRecord(WIDE), AFTER_S, 'no threshold'),
    (RECORD, AFTER_S / 2, 'expected at least 0.4 s.*got 0.2'),
])
def test_a_deployment_that_asks_for_a_doubt_which_the_file_cannot_tell_is_refused(
        record: DoubtRecord | None, after_s: float, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        watch_of(deployed(doubt=DoubtStop(after_s)), record)


def test_without_the_option_doubt_is_counted_and_stops_nothing() -> None:
    run, policy = doubting(contract=CONTRACT)
    policy.doubt = UNSURE
    assert {decision.state for decision in run.steps(200)} == {State.ACTIVE}
    assert run.loop.doubts.greatest == UNSURE and run.loop.doubts.alarmed_ns is not None


def newest(**values: Any) -> np.ndarray:
    inputs = samples(0, **values)
    return np.concatenate([inputs[signal.key].values for signal in CONTRACT.interface.vectors])


def test_the_sentence_names_the_observation_that_is_farthest_outside() -> None:
    key, sentence = strangest(CONTRACT.interface, WIDE, newest(object_pose=pose(0.4, 0.19)))
    assert (key, sentence) == ('object_pose',
                               'object_pose lies 9 cm outside of what was demonstrated')
    boxes = WIDE | {'wrist_force': Box((-1.0,) * 3, (1.0,) * 3)}
    key, sentence = strangest(CONTRACT.interface, boxes, newest(
        object_pose=pose(0.4, 0.19), wrist_force=np.array([0.0, 0.0, 6.0])))
    assert (key, sentence) == ('wrist_force', 'wrist_force lies 5 N outside of what was '
                                              'demonstrated')
    assert strangest(CONTRACT.interface, boxes, newest(
        object_pose=pose(0.4, 0.19), wrist_force=np.array([0.0, 0.0, 1.1])))[0] == 'object_pose'
    assert strangest(CONTRACT.interface, boxes, newest()) == ('', '')


def test_pictures_which_no_range_judges_are_named_where_nothing_else_is_strange() -> None:
    for contract, y_m, named in ((with_cameras(ASKING), 0.0, True),
                                 (with_cameras(ASKING), 0.19, False), (ASKING, 0.0, False)):
        watch = watch_of(contract, RECORD)
        for now_ns in range(0, 10**9, 2 * 10**8):
            watch.hear(UNSURE, now_ns, now_ns, newest(object_pose=pose(0.4, y_m)))
        assert watch.question is not None
        said = watch.question.sentence
        assert ('look at the pictures of scene_camera and wrist_camera' in said) is named
        assert ('each observation lies within' in said) is (not named and y_m == 0.0)


def test_a_clock_set_back_begins_a_new_span() -> None:
    lasting = Lasting(100, 0)
    assert [lasting.hear(doubt, at) for doubt, at in ((5, 0), (4, 60), (6, 100), (9, 20),
                                                      (8, 70), (7, 130), (3, 140))] == [
        None, None, 4, None, None, 7, 3]
