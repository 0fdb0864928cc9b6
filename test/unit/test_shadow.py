# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The distance of a policy in the shadow to the demonstrator, in the units of each command."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inputs import JOINT_CONTRACT
from loop_inputs import CONTRACT, action

from uncloning_ros.geometry import pose_from_parts
from uncloning_ros.runtime.shadow import ShadowReport, distances

JOINTS = JOINT_CONTRACT.interface


def test_a_pose_is_apart_in_metres_and_radians_a_width_in_metres() -> None:
    c, s = math.cos(0.3), math.sin(0.3)
    turned = pose_from_parts(np.array([0.4, 0.03, 0.34]),
                             np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]]))
    found = distances(CONTRACT.interface, action(0.4, 0.08),
                      {'target_pose': turned, 'target_width': np.array([0.05])})
    assert found == {'target_pose_m': pytest.approx(0.05), 'target_pose_rad': pytest.approx(0.3),
                     'target_width_m': pytest.approx(0.03)}


def test_joints_are_as_far_apart_as_the_worst_of_them() -> None:
    ours = np.zeros(JOINTS.action_dim)
    theirs = np.array([0.1, 0.0, -0.4, 0.0, 0.2, 0.0, 0.0])
    assert distances(JOINTS, ours, {'target_joints': theirs}) == {
        'target_joints_rad': pytest.approx(0.4)}


def test_a_demonstrator_who_is_silent_is_no_distance() -> None:
    assert distances(CONTRACT.interface, action(0.4), {}) == {}


@given(st.floats(0.1, 0.8), st.floats(0.0, 0.08))
def test_the_same_command_is_no_distance(x: float, width: float) -> None:
    same = action(x, width)
    slices = CONTRACT.interface.action_slices
    found = distances(CONTRACT.interface, same, {key: same[part] for key, part in slices.items()})
    assert found == {'target_pose_m': 0.0, 'target_pose_rad': pytest.approx(0.0, abs=1e-6),
                     'target_width_m': 0.0}


def test_the_report_has_count_mean_largest_and_newest() -> None:
    report = ShadowReport()
    assert report.summary() == {}
    for distance in (0.1, 0.3, 0.2):
        report.add({'target_pose_m': distance})
    report.add({'target_width_m': 0.01})
    assert report.summary() == {
        'target_pose_m': {'count': 3, 'mean': 0.2, 'largest': 0.3, 'newest': 0.2},
        'target_width_m': {'count': 1, 'mean': 0.01, 'largest': 0.01, 'newest': 0.01}}
