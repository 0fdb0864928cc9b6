# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A handover in straight lines, as the shipped contract has it, and datasets of some."""

from typing import Any

import numpy as np
from inputs import CONTRACT

from uncloning_ros.demos.dataset.store import Dataset, EpisodeRecord
from uncloning_ros.geometry import Array, pose_from_parts, rotation_about_z, rotation_of

INTERFACE = CONTRACT.interface
GRASP, CARRY, RELEASE, END = 20, 40, 60, 70
OPEN_M, CLOSED_M = 0.08, 0.0
HIGH = np.array([0.4, 0.0, 0.5])


def place(x: float, y: float, z: float, yaw: float) -> Array:
    return pose_from_parts([x, y, z], rotation_about_z(yaw))


TABLE, OFFER = place(0.45, 0.05, 0.1, 1.6), place(0.65, 0.1, 0.3, 3.0)
OTHER_TABLE, OTHER_OFFER = place(0.40, -0.08, 0.1, 2.1), place(0.70, -0.15, 0.25, 3.4)


def along(*points: tuple[int, Array]) -> Array:
    """Return positions (END, 3) that go straight from point to point, by frame."""
    frames = [frame for frame, _ in points]
    return np.stack([np.interp(np.arange(END), frames, [p[i] for _, p in points])
                     for i in range(3)], axis=1)


def handover(table: Array = TABLE, offer: Array = OFFER) -> tuple[Any, Any]:
    """Return observations and actions of one handover, gripper pointing as the tool lies."""
    grasp, release = table[:3] + [0.0, 0.0, 0.01], offer[:3] - [0.1, 0.0, 0.0]
    path = along((0, HIGH), (GRASP - 2, grasp), (GRASP + 3, grasp), (CARRY, HIGH - [0, 0, 0.1]),
                 (RELEASE - 3, release), (RELEASE + 2, release), (END - 1, HIGH))
    turn = np.repeat(rotation_of(table)[None], END, axis=0)
    arm = pose_from_parts(path, turn)
    lying = np.arange(END)[:, None] < GRASP
    tool = np.where(lying, table, pose_from_parts(path - [0.0, 0.0, 0.01], turn))
    hand = pose_from_parts(along((0, np.array([0.9, 0.1, 0.0])), (CARRY - 8, [0.9, 0.1, 0.0]),
                                 (CARRY, offer[:3]), (END - 1, offer[:3])),
                           np.repeat(rotation_of(offer)[None], END, axis=0))
    frames = np.arange(END)
    width = np.where((frames >= GRASP) & (frames < RELEASE), CLOSED_M, OPEN_M)[:, None]
    values = {'tool_pose': arm, 'gripper_width': width, 'object_pose': tool, 'hand_pose': hand,
              'wrist_force': np.zeros((END, 3))}
    observations = np.concatenate([values[s.key] for s in INTERFACE.observations], axis=1)
    actions = np.concatenate([{'pose': arm, 'gripper_width': width}[s.kind]
                              for s in INTERFACE.actions], axis=1)
    return observations.astype(np.float32), actions.astype(np.float32)


def dataset_of(*episodes: tuple[str, tuple[Any, Any]]) -> Dataset:
    records = tuple(EpisodeRecord(f'episode_{i}', mode, 'label', 'digest', 'train', END, i)
                    for i, (mode, _) in enumerate(episodes))
    return Dataset(CONTRACT, 'knife', records,
                   np.concatenate([arrays[0] for _, arrays in episodes]),
                   np.concatenate([arrays[1] for _, arrays in episodes]),
                   (), 'sha256')
