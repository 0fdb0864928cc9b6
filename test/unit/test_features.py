# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The features of a handover, on made-up ones whose numbers are known."""

import math
from collections.abc import Mapping
from dataclasses import replace

import episodes
import numpy as np
import pytest

from uncloning_ros.errors import DatasetError
from uncloning_ros.preferences.features import WORDS, features_of


def features(samples: episodes.Samples) -> Mapping[str, float]:
    return features_of(episodes.CONTRACT, episodes.KNIFE, episodes.episode(samples))


def test_every_feature_has_its_words() -> None:
    assert list(features(episodes.handover())) == list(WORDS)


def test_angle_and_clearance_tell_handle_first_from_blade_first() -> None:
    handle, blade = (features(episodes.handover(way))
                     for way in (episodes.HANDLE_FIRST, episodes.BLADE_FIRST))
    assert handle['blade_angle_rad'] == pytest.approx(math.radians(175.0), abs=1e-6)
    assert blade['blade_angle_rad'] == pytest.approx(math.radians(5.0), abs=1e-6)
    # At the exchange the palm is 24 cm before the heel of the edge: 8 cm past the tip. The handle
    # has been nearer to the palm than its 8 cm, on its way there.
    assert blade['clearance_m'] == pytest.approx(0.08, abs=2e-3)
    assert 0.05 < handle['clearance_m'] <= 0.08


def moved(samples: episodes.Samples, key: str, place: np.ndarray, from_s: float,
          to_s: float) -> episodes.Samples:
    """Return samples with the values of a key shifted within a span of stamps."""
    begin = episodes.BEGIN_NS
    return samples | {key: [
        replace(one, values=one.values + place)
        if from_s <= (one.stamp_ns - begin) * 1e-9 <= to_s else one for one in samples[key]]}


def test_a_hand_that_waits_longer_is_measured() -> None:
    samples = episodes.handover()
    away = 0.5 * np.eye(9)[1]
    early, late = (features(moved(samples, 'hand_pose', away, 0.0, until_s))
                   for until_s in (0.7, 1.7))
    assert early['waiting_s'] - late['waiting_s'] == pytest.approx(1.0, abs=0.06)


def test_a_detour_makes_the_way_longer_by_its_length() -> None:
    samples = episodes.handover()
    detour = features(moved(samples, 'tool_pose', 0.2 * np.eye(9)[1], 0.2, 0.4))
    assert detour['path_m'] - features(samples)['path_m'] == pytest.approx(0.4, abs=0.02)


def test_a_fast_tip_counts_near_the_person_alone() -> None:
    samples = episodes.handover()
    jolt = features(moved(samples, 'object_pose', 0.1 * np.eye(9)[2], 1.7, 1.8))
    assert jolt['tip_speed_m_s'] > 0.45  # 10 cm within 0.2 s, on the way of the tool or across
    far = moved(samples, 'hand_pose', 3.0 * np.eye(9)[1], 0.0, 1.9)
    calm = features(far)['tip_speed_m_s']
    assert features(moved(far, 'object_pose', 0.1 * np.eye(9)[2], 1.5, 1.6))[
        'tip_speed_m_s'] == calm < 0.1


def test_a_pull_at_the_exchange_is_measured_against_the_force_before() -> None:
    samples = episodes.handover()
    still = samples | {'wrist_force': [replace(one, values=np.array([0.0, 0.0, -1.5]))
                                       for one in samples['wrist_force']]}
    assert features(still)['exchange_force_n'] == pytest.approx(0.0, abs=1e-9)
    pulled = features(moved(still, 'wrist_force', np.array([3.0, 4.0, 0.0]), 2.0, 2.2))
    assert pulled['exchange_force_n'] == pytest.approx(5.0)


def test_an_episode_without_an_exchange_has_no_features() -> None:
    with pytest.raises(DatasetError, match='the gripper never let go'):
        features(episodes.handover(open_s=9.0))


def test_without_a_force_the_other_features_are_there() -> None:
    interface = episodes.CONTRACT.interface
    contract = replace(episodes.CONTRACT, interface=replace(interface, observations=tuple(
        one for one in interface.observations if one.kind != 'force')))
    samples = episodes.handover()
    found = features_of(contract, episodes.KNIFE, episodes.episode(
        {key: value for key, value in samples.items() if key != 'wrist_force'}, contract))
    assert list(found) == [name for name in WORDS if name != 'exchange_force_n']
