# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Grasp, presentation and release are found in frames; an episode without one is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handover_toys import (
    CLOSED_M,
    END,
    GRASP,
    INTERFACE,
    OPEN_M,
    OTHER_OFFER,
    OTHER_TABLE,
    RELEASE,
    dataset_of,
    handover,
)
from inputs import CONTRACT
from learning_toys import toy_contract

from uncloning_ros.demos.dataset.key_poses import intents, key_poses, unplanned
from uncloning_ros.errors import DatasetError

RATE_HZ = CONTRACT.policy.rate_hz
ARM = INTERFACE.observation_slices['tool_pose']
WIDTH = INTERFACE.action_slices['target_width']
MODES = CONTRACT.interface.mode_names


def with_widths(*closed: slice) -> tuple[Any, Any]:
    observations, actions = handover()
    actions[:, WIDTH] = OPEN_M
    for part in closed:
        actions[part, WIDTH] = CLOSED_M
    return observations, actions


def test_the_three_key_poses_are_those_of_the_arm() -> None:
    observations, actions = handover()
    found = key_poses(INTERFACE, observations, actions, RATE_HZ)
    arm = observations[:, ARM]
    assert found.shape == (3, 9)
    np.testing.assert_array_equal(found[[0, 2]], arm[[GRASP, RELEASE]])
    # It rests from where it comes within 2 cm of the place of the release to the end.
    near = np.linalg.norm(arm[:RELEASE, :3] - arm[RELEASE, :3], axis=1) <= 0.02
    first = RELEASE - int(np.argmin(near[::-1])) if not near.all() else 0
    np.testing.assert_array_equal(found[1], arm[first])
    assert GRASP < first < RELEASE - 3


def test_of_several_grasps_the_last_one_before_the_last_release_counts() -> None:
    observations, actions = with_widths(slice(5, 10), slice(GRASP, 30), slice(32, RELEASE))
    found = key_poses(INTERFACE, observations, actions, RATE_HZ)
    np.testing.assert_array_equal(found[[0, 2]], observations[[32, RELEASE], ARM])


@pytest.mark.parametrize(('episode', 'reason'), [
    (with_widths(), 'no grasp'),
    (with_widths(slice(0, RELEASE)), 'no grasp'),
    (with_widths(slice(GRASP, END)), 'no release'),
    (with_widths(slice(0, 5), slice(GRASP, END)), 'no release'),
    (with_widths(slice(GRASP, 50)), 'no presentation'),
    (with_widths(slice(GRASP, GRASP + 2)), 'no presentation')],
    ids=['open', 'closed from the start', 'never opens', 'opens before', 'never rests',
         'rests at the grasp'])
def test_an_episode_that_lacks_one_says_which(episode: tuple[Any, Any], reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        key_poses(INTERFACE, *episode, RATE_HZ)


def test_a_key_pose_that_is_no_pose_is_refused() -> None:
    observations, actions = handover()
    observations[RELEASE, ARM.start + 3:ARM.stop] = 0.0
    with pytest.raises(DatasetError, match='not a pose'):
        key_poses(INTERFACE, observations, actions, RATE_HZ)


def test_episodes_without_a_plan_are_told_apart_and_their_windows_lack_it() -> None:
    dataset = dataset_of((MODES[0], handover()), (MODES[1], handover(OTHER_TABLE, OTHER_OFFER)),
                         (MODES[0], with_widths()))
    unlabelled = replace(dataset.episodes[1], mode=None, label_source=None)
    spanned = replace(dataset.episodes[0], span=(10, 20))
    dataset = replace(dataset, episodes=(spanned, unlabelled, dataset.episodes[2]))
    reasons = unplanned(dataset)
    assert set(reasons) == {1, 2}
    assert 'label' in reasons[1] and 'grasp' in reasons[2]
    found = intents(dataset, np.array([15, 5, END + 3, 2 * END + 3]))
    assert found is not None
    modes, poses = found[:, :len(MODES)], found[:, len(MODES):]
    assert modes[0].tolist() == [1.0] + [0.0] * (len(MODES) - 1)
    assert np.isnan(modes[1]).all(), 'outside of the span of a label'
    assert np.isnan(modes[2]).all() and modes[3].tolist() == modes[0].tolist()
    assert np.isnan(poses[3]).all() and not np.isnan(poses[:3]).any()
    np.testing.assert_array_equal(poses[0].reshape(3, 9), key_poses(
        INTERFACE, *handover(), RATE_HZ))


@pytest.mark.parametrize(('part', 'key', 'lacking'), [
    ('observations', 'tool_pose', 'tool_pose'), ('actions', 'target_width', 'gripper width')])
def test_a_contract_without_key_poses_gets_a_sentence(part: str, key: str, lacking: str) -> None:
    contract = toy_contract()
    interface = replace(contract.interface, **{part: tuple(
        one for one in getattr(contract.interface, part) if one.key != key)})
    dataset = replace(dataset_of((MODES[0], handover())),
                      contract=replace(contract, interface=interface))
    assert intents(dataset, np.arange(3)) is None
    with pytest.raises(DatasetError, match=rf'lacks .*{lacking}.*--policy'):
        unplanned(dataset)
