# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The person reaches when the tool is lifted, takes what rests in reach, lets go of nothing."""

import numpy as np
import pytest

from uncloning_ros.scenario import SHOWN_LATE, find_scenario
from uncloning_ros.simulation.receivers.person import Person, Phase
from uncloning_ros.simulation.receivers.receiver import ToolState

DT_S = 1 / 240
FAR = {'handle': 0.5, 'blade': 0.6}
NEAR = {'handle': 0.01, 'blade': 0.2}


@pytest.fixture
def receiver() -> Person:
    return Person(find_scenario('knife'), np.random.default_rng(0))


def run(receiver: Person, begin_s: float, seconds: float, tool: ToolState) -> float:
    steps = round(seconds / DT_S)
    for i in range(steps):
        receiver.update(begin_s + i * DT_S, DT_S, tool)
    return begin_s + steps * DT_S


def held(distance: dict[str, float], speed: float = 0.0, lift: float = 0.2,
         fingers: bool = True) -> ToolState:
    return ToolState(distance, speed, lift, fingers)


def test_the_hand_rests_until_the_tool_is_lifted(receiver: Person) -> None:
    run(receiver, 0.0, 3.0, held(FAR, lift=0.0))
    assert receiver.phase is Phase.RESTING
    assert np.linalg.norm(receiver.palm(3.0)[:3] - receiver.rest_m) < 0.02


def test_the_hand_does_not_reach_for_a_tool_that_the_gripper_does_not_hold(
        receiver: Person) -> None:
    run(receiver, 0.0, 3.0, held(FAR, fingers=False))
    assert receiver.phase is Phase.RESTING


def test_the_hand_reaches_the_place_of_its_offer(receiver: Person) -> None:
    end_s = run(receiver, 0.0, 3.0, held(FAR))
    assert receiver.phase is Phase.REACHING
    assert np.linalg.norm(receiver.palm(end_s)[:3] - receiver.offer_m) < 0.02


def test_the_nearest_part_is_taken_after_a_dwell(receiver: Person) -> None:
    now_s = run(receiver, 0.0, 3.0, held(FAR))
    receiver.update(now_s, DT_S, held(NEAR))
    assert receiver.held_part is None
    run(receiver, now_s, 0.5, held(NEAR))
    assert (receiver.phase, receiver.held_part) == (Phase.PULLING, 'handle')


def test_a_moving_tool_is_not_taken(receiver: Person) -> None:
    now_s = run(receiver, 0.0, 3.0, held(FAR))
    run(receiver, now_s, 2.0, held(NEAR, speed=0.3))
    assert receiver.held_part is None


def test_the_pull_grows_and_stays_within_the_scenario(receiver: Person) -> None:
    now_s = run(receiver, 0.0, 3.0, held(FAR))
    now_s = run(receiver, now_s, 0.5, held(NEAR))
    low, high = find_scenario('knife').receiver.pull_n
    assert receiver.pull_n(now_s + 1.0) == receiver.pull_n(now_s + 5.0)
    assert low <= receiver.pull_n(now_s + 1.0) <= high


def test_the_hand_withdraws_only_after_the_fingers_let_go(receiver: Person) -> None:
    now_s = run(receiver, 0.0, 3.0, held(FAR))
    now_s = run(receiver, now_s, 2.0, held(NEAR))
    assert receiver.phase is Phase.PULLING
    now_s = run(receiver, now_s, 0.5, held(NEAR, fingers=False))
    assert receiver.phase is Phase.WITHDRAWING
    assert receiver.withdrawal(now_s + 2.0) == 1.0


@pytest.mark.parametrize(('name', 'posture'), [('knife', 'standing'), ('knife_route', 'seated')])
def test_a_person_stands_behind_the_table_or_sits_close_to_it(name: str, posture: str) -> None:
    scenario = find_scenario(name)
    assert scenario.receiver.posture == posture
    person = Person(scenario, np.random.default_rng(0))
    capsules = person.capsules(person.palm(0.0)[None])
    torso, face = capsules['torso'][0], capsules['face'][0]
    assert face[:, 2].min() > torso[:, 2].max() + 0.2
    if posture == 'seated':
        assert torso[0, 0] < 1.1
        assert person.rest_m[2] < 0.0  # hands in the lap, below the table top
    else:
        assert torso[0, 0] > 1.3
        assert person.rest_m[2] > 0.1


def test_the_resting_hand_is_on_the_side_of_the_offer() -> None:
    for seed in range(20):
        person = Person(find_scenario('knife_route'), np.random.default_rng(seed))
        assert person.rest_m[1] * person.offer_m[1] > 0


def test_offers_fill_the_box_on_both_sides() -> None:
    scenario = find_scenario('knife')
    offers = np.array([Person(scenario, np.random.default_rng(i)).offer_m for i in range(200)])
    assert np.all(offers >= scenario.start.hand_position_min_m)
    assert np.all(offers <= scenario.start.hand_position_max_m)
    assert (offers[:, 1] > 0.1).sum() > 30
    assert (offers[:, 1] < -0.1).sum() > 30


def hiding(late: bool) -> list[Person]:
    """Return persons who hide their side, to be shown late or in time."""
    made = (Person(find_scenario('knife_hidden'), np.random.default_rng(i)) for i in range(60))
    return [one for one in made if (one.drawn[SHOWN_LATE] > 0.0) is late]


def test_a_hidden_side_shows_in_no_pose_of_the_hand_until_long_after_the_lift() -> None:
    found = hiding(late=True)
    assert 15 < len(found) < 45
    assert 8 < sum(one.offer_m[1] > 0 for one in found) < len(found) - 8
    for one in found:
        lifted_s = run(one, 0.0, 2.0, held(FAR, lift=0.0))
        run(one, lifted_s, DT_S, held(FAR))
        for now_s in (0.0, 2.0, lifted_s + one.drawn[SHOWN_LATE]):
            palm = one.palm(now_s)
            jitter = one.drawn['hand_yaw_jitter_rad']
            assert abs(palm[1]) < 0.02
            assert np.arctan2(-palm[4], -palm[3]) == pytest.approx(jitter, abs=1e-9)
        now_s = run(one, lifted_s, 6.0, held(FAR))
        assert np.linalg.norm(one.palm(now_s)[:3] - one.offer_m) < 0.02


def test_a_side_that_is_shown_in_time_shows_before_the_lift() -> None:
    for one in hiding(late=False):
        assert abs(one.palm(0.0)[1]) < 0.02
        side = np.sign(one.offer_m[1])
        assert side * one.palm(1.5)[1] > 0.2
