# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors are late, noisy and lossy by exactly as much as the scenario says."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from uncloning_ros.contract import load_contract
from uncloning_ros.geometry import pose_from_parts, rotation_angle_between, rotation_of
from uncloning_ros.scenario import Tracking, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.sensors import Sensors

SIGNALS = {s.key: s for s in load_contract(
    Path(share_path('config')) / 'contract.yaml').interface.observations}
POSE = pose_from_parts((0.5, 0.1, 0.2), np.eye(3))
TRUTH = {key: POSE if signal.kind == 'pose' else np.zeros(signal.dim)
         for key, signal in SIGNALS.items()}


def sensors(seed: int = 0, **replaced: float) -> Sensors:
    tracking: Tracking = dataclasses.replace(find_scenario('knife').tracking, **replaced)
    return Sensors(tracking, SIGNALS, np.random.default_rng(seed))


def test_tracked_poses_arrive_late_and_keep_the_stamp_of_their_measurement() -> None:
    one = sensors(latency_s=0.05, dropout=0.0)
    one.measure(10**9, TRUTH)
    assert {key for key, _ in one.poll(10**9)} == {'tool_pose', 'gripper_width', 'wrist_force'}
    assert one.poll(10**9 + 49_999_999) == []
    late = dict(one.poll(10**9 + 50_000_000))
    assert set(late) == {'object_pose', 'hand_pose'}
    assert {s.stamp_ns for s in late.values()} == {10**9}
    assert {s.receive_ns for s in late.values()} == {10**9 + 50_000_000}


def test_a_glance_is_noisy_loses_nothing_and_changes_no_later_measurement() -> None:
    plain, looked_at, rng = sensors(dropout=0.5), sensors(dropout=0.5), np.random.default_rng(1)
    for i in range(40):
        plain.measure(i * 10**6, TRUTH)
        looked_at.measure(i * 10**6, TRUTH)
        glances = [looked_at.glance(i * 10**6, TRUTH, rng) for _ in range(2)]
        assert all([key for key, _ in one] == list(SIGNALS) for one in glances)
        one, other = (dict(each) for each in glances)
        for key in ('object_pose', 'hand_pose', 'wrist_force'):
            assert not np.array_equal(one[key].values, other[key].values)
    before, after = plain.poll(10**12), looked_at.poll(10**12)
    assert [key for key, _ in before] == [key for key, _ in after]
    assert all(np.array_equal(a.values, b.values)
               for (_, a), (_, b) in zip(before, after, strict=True))


def test_a_glance_at_tracked_poses_is_as_old_as_their_latency() -> None:
    seen = dict(sensors(latency_s=0.05).glance(10**9, TRUTH, np.random.default_rng(0)))
    assert {sample.receive_ns for sample in seen.values()} == {10**9}
    assert {key for key, sample in seen.items() if sample.stamp_ns == 950_000_000} == {
        'object_pose', 'hand_pose'}
    assert seen['tool_pose'].stamp_ns == 10**9


def test_noise_has_the_scenarios_size_and_spares_the_arm() -> None:
    one = sensors(position_noise_m=0.005, dropout=0.0)
    for i in range(400):
        one.measure(i * 10**6, TRUTH)
    samples = one.poll(10**12)
    hands = np.array([s.values[:3] for key, s in samples if key == 'hand_pose'])
    tools = np.array([s.values for key, s in samples if key == 'tool_pose'])
    assert abs(hands.std(axis=0).mean() - 0.005) < 0.0005
    assert np.array_equal(tools, np.tile(POSE, (400, 1)))


def test_rotation_noise_has_the_scenarios_size() -> None:
    one = sensors(rotation_noise_rad=0.02, dropout=0.0)
    for i in range(400):
        one.measure(i * 10**6, TRUTH)
    found = np.array([s.values for key, s in one.poll(10**12) if key == 'object_pose'])
    angles = rotation_angle_between(rotation_of(found), np.eye(3))
    # Three independent axes: the squared angle is three times the squared noise.
    assert np.sqrt(np.mean(angles ** 2) / 3) == pytest.approx(0.02, rel=0.1)


def test_dropout_loses_the_share_it_says_and_leaves_the_other_samples_alone() -> None:
    whole, lossy = sensors(dropout=0.0), sensors(dropout=0.2)
    for i in range(500):
        whole.measure(i * 10**6, TRUTH)
        lossy.measure(i * 10**6, TRUTH)
    every = {(k, s.stamp_ns): s.values for k, s in whole.poll(10**12) if k == 'object_pose'}
    some = {(k, s.stamp_ns): s.values for k, s in lossy.poll(10**12) if k == 'object_pose'}
    assert 0.14 < 1 - len(some) / len(every) < 0.26
    assert all(np.array_equal(values, every[key]) for key, values in some.items())
