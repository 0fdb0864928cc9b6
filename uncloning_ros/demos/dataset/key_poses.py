# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the key poses of a handover in the frames of its episode: grasp, presentation, release.

    grasp         the arm where the gripper begins to close, the last time before the release
    presentation  the arm where its rest before the hand begins
    release       the arm where the gripper begins to open, the last time

The gripper closes and opens where its commanded width crosses the middle between its smallest and
its largest. Before the release the arm rests while it stays near the place of the release.
"""

import numpy as np

from uncloning_ros.contract import TOOL_KEY, Interface
from uncloning_ros.demos.dataset.store import Dataset, Frames
from uncloning_ros.errors import DatasetError
from uncloning_ros.geometry import position_of, rotation_of
from uncloning_ros.policy_io import KEY_POSES, Float32

_LEAST_STROKE_M = 0.005  # change (m) of the commanded width: a smaller one is not a grasp
_RESTS_M = 0.02  # distance (m) from the place of the release up to which the arm rests there
_REST_S = 0.1  # shortest rest (s) before the release


def key_poses(interface: Interface, observations: Float32, actions: Float32,
              rate_hz: float) -> Float32:
    """Return the key poses (3, 9) of an episode (n, obs_dim), (n, act_dim).

    Raise `DatasetError` for one that cannot be found.
    """
    arm = observations[:, interface.observation_slices[TOOL_KEY]]
    width = actions[:, interface.action_slices[_width_keys(interface)[0]]][:, 0]
    closed = width < (width.min() + width.max()) / 2
    closings = np.flatnonzero(~closed[:-1] & closed[1:]) + 1
    openings = np.flatnonzero(closed[:-1] & ~closed[1:]) + 1
    if np.ptp(width) < _LEAST_STROKE_M or not len(closings):
        raise DatasetError('it has no grasp: the gripper never closes')
    if not len(openings) or openings[-1] < closings[0]:
        raise DatasetError('it has no release: the gripper never opens after it closed')
    release = int(openings[-1])
    grasp = int(closings[closings < release][-1])
    place = position_of(arm)
    away = np.linalg.norm(place[:release] - place[release], axis=1) > _RESTS_M
    presentation = release - int(np.argmax(away[::-1])) if away.any() else 0
    if presentation <= grasp or release - presentation < _REST_S * rate_hz:
        raise DatasetError(f'it has no presentation: the arm does not rest for {_REST_S:g} s '
                           f'before it lets go, away from the grasp')
    found = arm[[grasp, presentation, release]]
    try:
        rotation_of(found)
    except ValueError as err:
        raise DatasetError(f'a key pose is not a pose: {err}') from err
    return found


def require_key_poses(interface: Interface) -> None:
    """Raise `DatasetError` for an interface whose episodes have no key poses."""
    lacking = [what for what, there in (
        (f'an observed pose {TOOL_KEY}', interface.arm_pose_key is not None),
        ('a commanded gripper width', bool(_width_keys(interface)))) if not there]
    if lacking:
        raise DatasetError(f'a plan policy says which mode it follows and where it will grasp, '
                           f'present and release; the contract lacks {" and ".join(lacking)}; '
                           f'train another class with --policy')


def unplanned(dataset: Dataset) -> dict[int, str]:
    """Return the reason for each episode, by its index, from which no plan can be learned.

    Raise `DatasetError` for a contract of which no episode has key poses.
    """
    require_key_poses(dataset.contract.interface)
    found = {}
    for i, one in enumerate(dataset.episodes):
        try:
            if one.mode is None:
                raise DatasetError('it has no label')
            _of_episode(dataset, i)
        except DatasetError as err:
            found[i] = str(err)
    return found


def intents(dataset: Dataset, frames: Frames) -> Float32 | None:
    """Return mode and key poses of the window of each frame (B,): (B, modes + 27).

    The mode as 0 and 1, then the key poses of the episode; unknown values are NaN. None for a
    contract of which no episode has key poses.
    """
    interface = dataset.contract.interface
    try:
        require_key_poses(interface)
    except DatasetError:
        return None
    modes = len(interface.modes)
    of_episode = np.full((len(dataset.episodes), modes + 9 * len(KEY_POSES)), np.nan, np.float32)
    in_span = np.zeros(len(dataset.observations), np.bool_)
    for i, one in enumerate(dataset.episodes):
        if one.mode is not None:
            of_episode[i, :modes] = np.eye(modes)[interface.mode_names.index(one.mode)]
            in_span[dataset.bounds[i]:dataset.bounds[i + 1]][one.of_mode] = True
        try:
            of_episode[i, modes:] = _of_episode(dataset, i).ravel()
        except DatasetError:
            continue
    found = of_episode[dataset.episode_of(frames)]
    found[~in_span[frames], :modes] = np.nan
    return found


def _of_episode(dataset: Dataset, index: int) -> Float32:
    frames = slice(int(dataset.bounds[index]), int(dataset.bounds[index + 1]))
    return key_poses(dataset.contract.interface, dataset.observations[frames],
                     dataset.actions[frames], dataset.contract.policy.rate_hz)


def _width_keys(interface: Interface) -> list[str]:
    return [one.key for one in interface.actions if one.kind == 'gripper_width']
