# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Spreads whose value is known, and how often their intervals hold it."""

import dataclasses
import math

import numpy as np
import pytest
from traces import fixed_scenario, make_trace

from uncloning_ros.audit.figures.diversity import LEAST_EPISODES, spread, spread_ratio
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.judging.measures import offered_pose, path_bow


def test_offered_pose_is_where_handle_and_tip_are_before_the_palm():
    # The palm at x 0.8 looks along -x; handle first the handle point is at 0.48, the tip at 0.255.
    found = offered_pose(make_trace(yaw_rad=np.pi), fixed_scenario(), 100)
    assert found == pytest.approx((0.32, 0.0, 0.0, 0.545, 0.0, 0.0), abs=1e-9)


def test_offered_pose_does_not_depend_on_where_both_are():
    trace = make_trace(yaw_rad=2.0)
    moved = []
    for poses in (trace.object_pose, trace.hand_pose):
        turn = rotation_about_z(np.full(480, 0.7))
        position = np.einsum('tij,tj->ti', turn, poses[:, :3]) + (0.3, -0.2, 0.1)
        axes = [np.einsum('tij,tj->ti', turn, poses[:, i:i + 3]) for i in (3, 6)]
        moved.append(np.hstack([position, *axes]))
    other = dataclasses.replace(trace, object_pose=moved[0], hand_pose=moved[1])
    scenario = fixed_scenario()
    assert offered_pose(other, scenario, 7) == pytest.approx(offered_pose(trace, scenario, 7))


def test_path_bows_to_the_left_and_up_by_its_greatest_departure():
    s = np.linspace(0.0, 1.0, 101)
    left = 0.06 * np.sin(np.pi * s)
    position = np.stack([0.3 + 0.4 * s, left, 0.2 + 0.1 * s - 0.5 * left], axis=1)
    pose = pose_from_parts(position, rotation_about_z(np.zeros(101)))
    trace = make_trace(101, object_pose=pose)
    assert path_bow(trace, 0, 100) == pytest.approx((0.06, -0.03), abs=2e-3)
    mirrored = pose.copy()
    mirrored[:, 1] *= -1
    assert path_bow(dataclasses.replace(trace, object_pose=mirrored), 0, 100)[0] < 0


def test_a_straight_way_and_no_way_do_not_bow():
    position = np.linspace((0.3, 0.0, 0.2), (0.6, 0.2, 0.4), 50)
    trace = make_trace(50, object_pose=pose_from_parts(position, rotation_about_z(np.zeros(50))))
    assert path_bow(trace, 0, 49) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert path_bow(make_trace(50), 0, 49) == (0.0, 0.0)


def draw(rng, n, sigma_m=0.02):
    """Return features that follow the start but for noise of a known size, and the starts."""
    starts = rng.uniform(-1, 1, size=(n, 3))
    features = starts @ rng.normal(size=(3, 4)) + 0.3 + rng.normal(0, sigma_m, size=(n, 4))
    return features, np.hstack([starts, np.full((n, 1), 0.05)])  # the last never varies


def test_spread_is_what_the_start_does_not_explain():
    found = spread(*draw(np.random.default_rng(0), 4000))
    assert found.value_m == pytest.approx(0.02 * math.sqrt(4), rel=0.03)
    assert found.episodes == 4000


@pytest.mark.parametrize('n', [LEAST_EPISODES, 60, 300])
def test_interval_of_a_spread_holds_the_truth_about_as_often_as_stated(n):
    rng, truth = np.random.default_rng(1), 0.02 * math.sqrt(4)
    hits = 0
    for _ in range(400):
        low, high = spread(*draw(rng, n)).interval95_m
        hits += low <= truth <= high
    assert hits / 400 > (0.90 if n < 60 else 0.93)


def test_an_edit_that_takes_variety_away_shows():
    rng = np.random.default_rng(2)
    stiff, free = spread(*draw(rng, 120, 0.01)), spread(*draw(rng, 120, 0.02))
    found = spread_ratio(stiff, free)
    assert found.low < 0.5 < found.high < 0.7
    assert found.ratio == pytest.approx(0.5, abs=0.1)


def test_equal_spreads_have_a_ratio_round_one():
    rng, hits = np.random.default_rng(3), 0
    for _ in range(300):
        found = spread_ratio(spread(*draw(rng, 60)), spread(*draw(rng, 60)))
        hits += found.low <= 1.0 <= found.high
    assert hits / 300 > 0.92


def test_of_too_few_episodes_nothing_is_said():
    rng = np.random.default_rng(4)
    assert spread(*draw(rng, LEAST_EPISODES - 1)) is None
    features, _ = draw(rng, 30)
    assert spread(features, rng.uniform(size=(30, 12))) is None  # 13 numbers fitted to 30
    assert spread(np.ones((40, 2)), np.zeros((40, 1))) is None  # nothing differs at all


def test_interval_is_even_on_a_scale_of_ratios():
    found = spread(*draw(np.random.default_rng(5), 50))
    low, high = found.interval95_m
    assert low * high == pytest.approx(found.value_m ** 2)
