# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The record of one simulated episode's truth, at every physics step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array

NO_PART = -1  # index of the held part while the person holds nothing


@dataclass(frozen=True)
class Trace:
    """One episode's truth: T physics steps of `1 / physics_hz` s, base frame, m and N.

    `tool_pose` is the arm's tool centre point, `object_pose` the tool's own frame, `hand_pose`
    the palm (+x out of the palm), each (T, 9). `held_part` (T,) is the index into `part_names`
    of the part in the person's hand, `NO_PART` for no part. `finger_contact` (T,) tells whether
    both fingers touch the tool, `arm_contact` (T,) whether the gripper, taken as one sphere, is
    inside a body part, no other link is looked at; with two arms whether these touch, or the tool
    the receiving one beside its hand. `pull_n` (T,) is the force of the person's
    pull. `capsule_ends[part]` is (T, 2, 3), `capsule_radius_m[part]` a number. `object_rest_z_m`
    is the tool's height on its stand.
    """

    physics_hz: float
    part_names: tuple[str, ...]
    tool_pose: Array
    object_pose: Array
    hand_pose: Array
    gripper_width_m: Array
    finger_contact: NDArray[np.bool_]
    arm_contact: NDArray[np.bool_]
    held_part: NDArray[np.int8]
    pull_n: Array
    capsule_ends: Mapping[str, Array]
    capsule_radius_m: Mapping[str, float]
    object_rest_z_m: float

    @property
    def steps(self) -> int:
        """Return the number of physics steps T."""
        return len(self.tool_pose)
