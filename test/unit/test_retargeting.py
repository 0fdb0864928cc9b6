# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retargeted demonstrations: what goes with tool and hand, and what stays."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from handover_toys import (
    CARRY,
    CLOSED_M,
    CONTRACT,
    END,
    GRASP,
    HIGH,
    INTERFACE,
    OFFER,
    OPEN_M,
    OTHER_OFFER,
    OTHER_TABLE,
    RELEASE,
    TABLE,
    along,
    dataset_of,
    handover,
    place,
)

from uncloning_ros.contract.interface import Interface, Signal
from uncloning_ros.demos.dataset import retargeting
from uncloning_ros.demos.dataset.retargeting import (
    find_handover,
    obstacle,
    retarget,
    retarget_episode,
)
from uncloning_ros.geometry import Array, pose_from_parts, rotation_of

RATE_HZ = CONTRACT.policy.rate_hz


def marks(observations: Any, actions: Any) -> Any:
    return find_handover(INTERFACE, observations, actions, RATE_HZ)


def retargeted() -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Return poses of an episode before and after it went to the other places, and commands."""
    here, there = handover(), handover(OTHER_TABLE, OTHER_OFFER)
    observed, commanded = retarget_episode(INTERFACE, *here, marks(*here), marks(*there))
    def by_key(rows: Any) -> dict[str, Array]:
        return {key: rows[:, where].astype(float)
                for key, where in INTERFACE.observation_slices.items()}
    return by_key(here[0]), by_key(observed), commanded


def within(outer: Array, inner: Array) -> Array:
    """Return the poses `inner` (n, 9) in the frames `outer` (n, 9), as positions and columns."""
    back = np.swapaxes(rotation_of(outer), -1, -2)
    offset = np.einsum('nij,nj->ni', back, inner[:, :3] - outer[:, :3])
    return pose_from_parts(offset, back @ rotation_of(inner))


def test_marks_are_where_the_gripper_closes_the_hand_is_out_and_the_gripper_opens() -> None:
    found = marks(*handover())
    assert (found.grasp, found.release) == (GRASP, RELEASE)
    assert CARRY - 3 <= found.carry <= CARRY
    assert found.object_pose == pytest.approx(TABLE, abs=1e-6)
    assert found.hand_pose == pytest.approx(OFFER, abs=1e-6)


def test_noise_of_the_tracker_hardly_moves_the_places() -> None:
    observations, actions = handover()
    noise = np.random.default_rng(0).normal(0.0, 0.005, (END, 3))
    for key in ('object_pose', 'hand_pose'):
        observations[:, INTERFACE.observation_slices[key]][:, :3] += noise
    found = marks(observations, actions)
    assert np.linalg.norm(found.object_pose[:3] - TABLE[:3]) < 0.003
    assert np.linalg.norm(found.hand_pose[:3] - OFFER[:3]) < 0.006


def test_near_the_grasp_the_tool_is_not_being_carried_though_the_hand_is_out() -> None:
    observations, actions = handover()
    observations[:, INTERFACE.observation_slices['hand_pose']] = OFFER
    arm = observations[:, INTERFACE.observation_slices['tool_pose']][:, :3]
    found = marks(observations, actions)
    way = np.linalg.norm(arm[RELEASE] - arm[GRASP])
    assert np.linalg.norm(arm[found.carry] - arm[GRASP]) >= way / 3
    assert found.carry < CARRY - 3


@pytest.mark.parametrize('change', [
    'never closes', 'hardly closes', 'never opens', 'hand stays away', 'closed at once',
    'grasps again', 'tool is pushed', 'hand is at the carry'])
def test_an_episode_that_lacks_a_mark_is_left_alone(change: str) -> None:
    observations, actions = handover()
    width = actions[:, INTERFACE.action_slices['target_width']]
    if change == 'never closes':
        width[:] = OPEN_M
    elif change == 'hardly closes':
        width[width < OPEN_M] = OPEN_M - 0.004
    elif change == 'grasps again':
        width[GRASP + 4:GRASP + 8] = OPEN_M
    elif change == 'tool is pushed':
        observations[:10, INTERFACE.observation_slices['object_pose'].start] -= 0.1
    elif change == 'hand is at the carry':
        observations, actions = handover(offer=place(0.5, 0.0, 0.4, 3.0))
    elif change == 'never opens':
        width[GRASP:] = CLOSED_M
    elif change == 'closed at once':
        width[:GRASP] = CLOSED_M
    else:
        hand = observations[:, INTERFACE.observation_slices['hand_pose']]
        hand[:RELEASE - 1] = hand[0]
    assert marks(observations, actions) is None


def test_commands_that_run_ahead_of_the_arm_stay_ahead_of_it() -> None:
    # GIVEN commands that are three frames ahead
    here, there = handover(), handover(OTHER_TABLE, OTHER_OFFER)
    target = INTERFACE.action_slices['target_pose']
    here[1][:-3, target] = here[1][3:, target]
    # WHEN the episode is retargeted
    observed, commanded = retarget_episode(INTERFACE, *here, marks(*here), marks(*there))
    arm = observed[:, INTERFACE.observation_slices['tool_pose']]
    # THEN on its way to the grasp the arm comes by where it was told to go
    assert commanded[:GRASP - 8, target][:, :3] == pytest.approx(arm[3:GRASP - 5, :3], abs=2e-3)


def test_the_hand_takes_the_tool_back_to_where_it_came_from() -> None:
    here, there = handover(), handover(OTHER_TABLE, OTHER_OFFER)
    tool, hand = (INTERFACE.observation_slices[key] for key in ('object_pose', 'hand_pose'))
    back = np.linspace(here[0][RELEASE, hand][:3], here[0][0, hand][:3], END - RELEASE)
    here[0][RELEASE:, hand][:, :3] = back
    here[0][RELEASE:, tool][:, :3] = back - [0.1, 0.0, 0.0]
    observed, _ = retarget_episode(INTERFACE, *here, marks(*here), marks(*there))
    assert observed[-1] == pytest.approx(
        np.where(np.isin(np.arange(len(observed[0])), np.r_[tool, hand]), here[0][-1],
                 observed[-1]), abs=1e-5)
    taken = slice(RELEASE, END)
    assert within(observed[taken, hand], observed[taken, tool]) == pytest.approx(
        within(here[0][taken, hand], here[0][taken, tool]), abs=1e-4)


def test_a_hand_that_is_out_from_the_start_is_out_at_the_other_place() -> None:
    here, there = handover(), handover(OTHER_TABLE, OTHER_OFFER)
    hand = INTERFACE.observation_slices['hand_pose']
    here[0][:, hand] = OFFER
    observed, _ = retarget_episode(INTERFACE, *here, marks(*here), marks(*there))
    assert observed[:, hand] == pytest.approx(np.tile(OTHER_OFFER, (END, 1)), abs=1e-5)


def test_what_was_covered_of_a_way_stays_covered() -> None:
    # GIVEN an arm that comes halfway, goes back to its start, and comes at last
    here, there = handover(), handover(OTHER_TABLE, OTHER_OFFER)
    start, grasp = HIGH, TABLE[:3] + [0.0, 0.0, 0.01]
    path = along((0, start), (8, (start + grasp) / 2), (14, start), (GRASP - 1, grasp),
                 (END - 1, grasp))[:GRASP]
    for values, where in ((here[0], INTERFACE.observation_slices['tool_pose']),
                          (here[1], INTERFACE.action_slices['target_pose'])):
        values[:GRASP, where][:, :3] = path
    observed, _ = retarget_episode(INTERFACE, *here, marks(*here), marks(*there))
    arm = observed[:GRASP, INTERFACE.observation_slices['tool_pose']][:, :3]
    # THEN back at its start it is moved as it was halfway
    moved = np.linalg.norm(arm - path, axis=1)
    assert moved[14] >= 0.9 * moved[8] > 0.01


def test_at_the_same_places_nothing_is_retargeted() -> None:
    here = handover()
    observed, commanded = retarget_episode(INTERFACE, *here, marks(*here), marks(*here))
    assert observed == pytest.approx(here[0], abs=1e-5)
    assert commanded == pytest.approx(here[1], abs=1e-5)


def test_tool_and_hand_are_where_the_other_episode_had_them() -> None:
    _, after, _ = retargeted()
    assert after['object_pose'][:GRASP] == pytest.approx(np.tile(OTHER_TABLE, (GRASP, 1)),
                                                         abs=1e-5)
    assert after['hand_pose'][RELEASE] == pytest.approx(OTHER_OFFER, abs=1e-5)


def test_grasp_and_exchange_are_as_demonstrated_in_the_frames_of_tool_and_hand() -> None:
    before, after, commanded = retargeted()
    target = commanded[:, INTERFACE.action_slices['target_pose']]
    for arm in (after['tool_pose'], target):
        for frame, key in ((GRASP, 'object_pose'), (RELEASE, 'hand_pose')):
            rows = slice(frame - 3, frame + 1)
            assert within(after[key], arm)[rows] == pytest.approx(
                within(before[key], before['tool_pose'])[rows], abs=1e-4)


def test_the_tool_stays_where_it_was_in_the_gripper() -> None:
    before, after, _ = retargeted()
    held = slice(GRASP, RELEASE)
    assert within(after['tool_pose'], after['object_pose'])[held] == pytest.approx(
        within(before['tool_pose'], before['object_pose'])[held], abs=1e-4)


def test_start_carry_forces_and_widths_stay() -> None:
    before, after, commanded = retargeted()
    carry = marks(*handover()).carry
    assert after['tool_pose'][[0, carry]] == pytest.approx(before['tool_pose'][[0, carry]],
                                                           abs=1e-5)
    assert after['hand_pose'][0] == pytest.approx(before['hand_pose'][0], abs=1e-5)
    for key in ('gripper_width', 'wrist_force'):
        assert (after[key] == before[key]).all()
    width = INTERFACE.action_slices['target_width']
    assert (commanded[:, width] == handover()[1][:, width]).all()


class TestRetarget:
    """Some retargeted episodes of a dataset."""

    KEPT, REMOVED = INTERFACE.mode_names[:2]

    def test_episodes_of_kept_modes_at_all_places_that_there_are(self) -> None:
        data = dataset_of((self.KEPT, handover()),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        made, reason = retarget(data, [self.KEPT], 12, np.random.default_rng(0))
        assert reason == ''
        assert {one.mode for one in made.episodes} == {self.KEPT}
        places = made.observations[made.bounds[:-1], INTERFACE.observation_slices['object_pose']]
        assert len(made.episodes) == len(places) == 12
        for table in (TABLE, OTHER_TABLE):
            assert np.isclose(places, table, atol=1e-5).all(1).any()

    def test_the_same_seed_gives_the_same_episodes(self) -> None:
        data = dataset_of((self.KEPT, handover()),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        one, two, other = (retarget(data, [self.KEPT], 5, np.random.default_rng(seed))[0]
                           for seed in (0, 0, 1))
        assert (one.actions == two.actions).all()
        assert (one.actions != other.actions).any()

    def test_tool_and_hand_may_be_where_two_others_had_them(self) -> None:
        data = dataset_of((self.KEPT, handover()),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        made, _ = retarget(data, [self.KEPT], 20, np.random.default_rng(0))
        starts = made.bounds[:-1]
        tool = made.observations[starts, INTERFACE.observation_slices['object_pose']]
        hand = made.observations[starts + RELEASE, INTERFACE.observation_slices['hand_pose']]
        pairs = {(bool(np.allclose(t, OTHER_TABLE, atol=1e-4)),
                  bool(np.allclose(h, OTHER_OFFER, atol=1e-4)))
                 for t, h in zip(tool, hand, strict=True)}
        assert pairs == {(False, False), (False, True), (True, False), (True, True)}

    @pytest.mark.parametrize('far_m', [0.6, 0.9])  # 1.2 times as fast, and twice
    def test_what_would_be_faster_than_any_demonstration_is_drawn_again(self,
                                                                       far_m: float) -> None:
        # GIVEN a place so far away that the arm is never as fast as it would have to be
        far = handover(place(0.45, -far_m, 0.1, 1.6), OTHER_OFFER)
        far[1][:, :3] = far[1][0, :3]
        data = dataset_of((self.KEPT, handover()), (self.REMOVED, far))
        made, reason = retarget(data, [self.KEPT], 6, np.random.default_rng(0))
        # THEN no episode goes there, and others take its place
        tool = made.observations[made.bounds[:-1], INTERFACE.observation_slices['object_pose']]
        assert tool == pytest.approx(np.tile(TABLE, (6, 1)), abs=1e-5)
        assert reason == ''

    def test_if_too_few_can_be_reached_it_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = dataset_of((self.KEPT, handover()))
        speeds = iter([1.0] + [2.0] * 150)
        monkeypatch.setattr(retargeting, 'fastest_m', lambda interface, actions: next(speeds))
        made, reason = retarget(data, [self.KEPT], 3, np.random.default_rng(0))
        assert len(made.episodes) == 0
        assert '3 of 3 episodes need, at 50 places, a faster arm' in reason

    def test_an_episode_with_a_rotation_that_is_none_is_left_alone(self) -> None:
        broken = handover(OTHER_TABLE, OTHER_OFFER)
        broken[0][30, INTERFACE.observation_slices['object_pose']] = 0.0
        data = dataset_of((self.KEPT, handover()), (self.KEPT, broken))
        made, _ = retarget(data, [self.KEPT], 4, np.random.default_rng(0))
        assert made.actions == pytest.approx(np.tile(handover()[1], (4, 1)), abs=1e-5)

    def test_held_out_episodes_are_no_source_and_no_place(self) -> None:
        data = dataset_of((self.KEPT, handover()),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        held = replace(data, episodes=(data.episodes[0],
                                       replace(data.episodes[1], split='validation')))
        made, _ = retarget(held, [self.KEPT], 4, np.random.default_rng(0))
        assert made.actions == pytest.approx(np.tile(handover()[1], (4, 1)), abs=1e-5)

    def test_unlabelled_episodes_are_no_source_and_no_place(self) -> None:
        data = dataset_of((self.KEPT, handover()),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        bare = replace(data.episodes[1], mode=None, label_source=None)
        made, _ = retarget(replace(data, episodes=(data.episodes[0], bare)), [self.KEPT], 4,
                           np.random.default_rng(0))
        assert made.actions == pytest.approx(np.tile(handover()[1], (4, 1)), abs=1e-5)

    def test_without_a_handover_of_a_kept_mode_there_is_none_and_a_reason(self) -> None:
        data = dataset_of((self.REMOVED, handover()))
        made, reason = retarget(data, [self.KEPT], 4, np.random.default_rng(0))
        assert len(made.episodes) == len(made.actions) == 0
        assert f'in no episode of {self.KEPT} the gripper closes' in reason

    def test_kept_modes_keep_their_shares_though_not_every_episode_can_be_retargeted(self) -> None:
        regrasped = handover()
        regrasped[1][GRASP + 5, INTERFACE.action_slices['target_width']] = OPEN_M
        data = dataset_of((self.KEPT, handover()), (self.KEPT, regrasped), (self.KEPT, regrasped),
                          (self.REMOVED, handover(OTHER_TABLE, OTHER_OFFER)))
        made, reason = retarget(data, [self.KEPT, self.REMOVED], 80, np.random.default_rng(0))
        counts = Counter(one.mode for one in made.episodes)
        assert (reason, sum(counts.values())) == ('', 80)
        assert counts[self.KEPT] == pytest.approx(60, abs=12)

    def test_a_slow_demonstration_has_its_share_though_few_places_are_near_enough(self) -> None:
        slow, quick = handover(), handover(place(0.45, -0.7, 0.1, 1.6), OFFER)
        far = [handover(place(0.45, y, 0.1, 1.6), OFFER) for y in (-0.65, -0.7, -0.75)]
        data = dataset_of((self.KEPT, slow), (self.KEPT, quick),
                          *((self.REMOVED, one) for one in far))
        for arrays in far:
            arrays[1][:, :3] = arrays[1][0, :3]  # whose commands say nothing of speed
        made, reason = retarget(data, [self.KEPT], 80, np.random.default_rng(0))
        sources = Counter(one.name.partition('_retargeted')[0] for one in made.episodes)
        assert reason == ''
        assert sources == pytest.approx({'episode_0': 40, 'episode_1': 40}, abs=12)

    def test_if_one_kept_mode_cannot_be_retargeted_none_is(self) -> None:
        regrasped = handover()
        regrasped[1][GRASP + 5, INTERFACE.action_slices['target_width']] = OPEN_M
        data = dataset_of((self.KEPT, handover()), (self.REMOVED, regrasped))
        made, reason = retarget(data, [self.KEPT, self.REMOVED], 4, np.random.default_rng(0))
        assert len(made.episodes) == 0
        assert f'in no episode of {self.REMOVED} the gripper closes' in reason


def signal(key: str, kind: str = 'pose', frame: str = 'base') -> Signal:
    return Signal(key, kind, 'm', frame)


@pytest.mark.parametrize(('observations', 'actions', 'sentence'), [
    (('tool_pose', 'object_pose'), ('pose', 'gripper_width'), 'hand_pose is not observed'),
    (('object_pose', 'hand_pose'), ('pose', 'gripper_width'), 'tool_pose is not observed'),
    (('tool_pose', 'elbow_pose', 'object_pose', 'hand_pose'), ('pose', 'gripper_width'),
     'elbow_pose is observed too'),
    (('tool_pose', 'object_pose', 'hand_pose'), ('joint_positions', 'gripper_width'),
     'the actions are gripper_width and joint_positions'),
    (('tool_pose', 'object_pose', 'hand_pose', 'joints'), ('pose', 'gripper_width'),
     'joints is observed too')])
def test_what_keeps_an_interface_from_being_retargeted(observations: Any, actions: Any,
                                                 sentence: str) -> None:
    found = SimpleNamespace(cameras=(),
        observations=[signal(key, 'joint_positions' if key == 'joints' else 'pose')
                      for key in observations],
        actions=[signal(kind, kind) for kind in actions])
    assert sentence in obstacle(found)  # type: ignore[arg-type]


def test_poses_in_two_frames_are_not_retargeted() -> None:
    keys = ('tool_pose', 'object_pose', 'hand_pose')
    found = SimpleNamespace(cameras=(),
        observations=[signal(key, frame='camera' if key == 'hand_pose' else 'base')
                      for key in keys],
        actions=[signal('target', 'pose'), signal('width', 'gripper_width')])
    assert obstacle(found) == 'the poses are not in one frame'  # type: ignore[arg-type]


def test_nothing_keeps_the_shipped_contract_from_being_retargeted() -> None:
    assert isinstance(INTERFACE, Interface)
    assert obstacle(INTERFACE) == ''
