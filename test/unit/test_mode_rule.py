# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The geometric rule, with its abstentions."""

import math
from dataclasses import replace

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import NOON

from uncloning_ros.contract import contract_from_dict
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.labels import Label
from uncloning_ros.demos.labelling.rule import RuleLabel, label_of_rule, rule_label
from uncloning_ros.scenario import Exchange
from uncloning_ros.schema import plain


def rule(samples: episodes.Samples) -> RuleLabel:
    return rule_label(episodes.CONTRACT, episodes.KNIFE, episodes.episode(samples))


@pytest.mark.parametrize(('presented', 'mode'), [
    (episodes.HANDLE_FIRST, 'handle_first'), (episodes.BLADE_FIRST, 'blade_first')])
def test_the_rule_tells_the_mode_and_the_angle(
        presented: tuple[float, float], mode: str) -> None:
    found = rule(episodes.handover(presented))
    assert found.mode == mode
    assert found.angle_rad == pytest.approx(math.radians(presented[0]), abs=1e-6)
    assert found.confidence == 1.0


def test_the_rule_abstains_between_the_modes_and_tells_the_angle() -> None:
    found = rule(episodes.handover(episodes.CROSSWISE))
    assert found.mode is None
    assert found.angle_rad == pytest.approx(math.pi / 2)
    assert 'angle of 90 degrees at the exchange belongs to no mode' in found.reason


def test_the_rule_abstains_when_the_gripper_never_lets_go() -> None:
    found = rule(episodes.handover(open_s=9.0))
    assert (found.mode, found.angle_rad) == (None, None)
    assert 'never let go' in found.reason


def test_the_rule_abstains_when_the_tool_is_dropped_away_from_the_hand() -> None:
    found = rule(episodes.handover((175.0, 0.40)))
    assert found.mode is None
    assert found.reason.startswith('the gripper let go with the hand 0.')


def test_the_rule_abstains_when_the_tool_does_not_stay_with_the_hand() -> None:
    samples = episodes.handover()
    last = samples['object_pose'][-1]
    samples['object_pose'].append(replace(
        last, values=last.values - 0.5 * np.eye(9)[2], stamp_ns=last.stamp_ns + 1))
    assert rule(samples).reason.startswith('the tool did not stay')


@pytest.mark.parametrize('order', [1, -1], ids=['arm_first', 'arm_last'])
def test_closing_on_nothing_is_no_exchange(order: int) -> None:
    interface = episodes.CONTRACT.interface
    contract = replace(episodes.CONTRACT, interface=replace(
        interface, observations=interface.observations[::order]))
    samples = episodes.handover()
    samples['tool_pose'] = [replace(s, values=s.values + 0.2 * np.eye(9)[2])
                            for s in samples['tool_pose']]
    found = rule_label(contract, episodes.KNIFE, episodes.episode(samples, contract))
    assert 'opened 0.20 m away' in found.reason


def test_the_last_release_at_the_hand_counts() -> None:
    """A regrasp on the way, far from the hand, is no exchange."""
    samples = episodes.handover(open_s=2.6)
    samples['gripper_width'] = [
        replace(s, values=np.array([0.08]))
        if 1.0 <= (s.stamp_ns - episodes.BEGIN_NS) * 1e-9 <= 1.1 else s
        for s in samples['gripper_width']]
    assert rule(samples).mode == 'handle_first'


def test_a_moment_in_another_pose_does_not_change_the_median() -> None:
    samples = episodes.handover()
    other = episodes.handover(episodes.BLADE_FIRST)['hand_pose']
    exchange = episodes.BEGIN_NS + 2_200 * episodes.MS
    for i, sample in enumerate(samples['hand_pose']):
        if exchange - 100 * episodes.MS <= sample.stamp_ns <= exchange - 20 * episodes.MS:
            samples['hand_pose'][i] = replace(other[i])
    found = rule(samples)
    assert found.mode == 'handle_first'
    assert found.angle_rad == pytest.approx(math.radians(175.0))
    assert found.confidence < 1.0


def test_where_the_hand_is_after_the_release_does_not_count() -> None:
    samples = episodes.handover()
    after = next(i for i, s in enumerate(samples['hand_pose'])
                 if s.stamp_ns > episodes.BEGIN_NS + 2_200 * episodes.MS)
    away = samples['hand_pose'][after]
    samples['hand_pose'][after] = replace(away, values=away.values + 0.5 * np.eye(9)[1])
    assert rule(samples).mode == 'handle_first'


def test_the_rule_abstains_on_a_tool_that_was_not_seen_before_the_exchange() -> None:
    samples = episodes.handover()
    exchange = episodes.BEGIN_NS + 2_200 * episodes.MS
    samples['object_pose'] = [s for s in samples['object_pose']
                              if not exchange - 450 * episodes.MS < s.stamp_ns <= exchange]
    assert 'expected at least 5 tool poses' in rule(samples).reason


def test_the_rule_looks_at_times_of_measurement_not_of_arrival() -> None:
    """With half a second of latency the exchange would be judged in another pose."""
    late = {key: [replace(s, receive_ns=s.receive_ns + 500 * episodes.MS) for s in found]
            if key in ('object_pose', 'hand_pose') else found
            for key, found in episodes.handover().items()}
    assert rule(late) == rule(episodes.handover())


def test_the_rule_abstains_without_a_tracked_hand() -> None:
    data = plain(episodes.CONTRACT)
    for one in data['interface']['observations']:
        one['key'] = one['key'].replace('hand_pose', 'palm')
    data['deployment']['observations']['palm'] = data['deployment']['observations'].pop(
        'hand_pose')
    samples = episodes.handover()
    samples['palm'] = samples.pop('hand_pose')
    contract = contract_from_dict(data)
    found = rule_label(contract, episodes.KNIFE, episodes.episode(samples, contract))
    assert found.reason.endswith('no hand_pose')


def test_the_rule_abstains_on_a_mode_that_the_contract_does_not_have() -> None:
    data = plain(episodes.CONTRACT)
    data['interface']['modes'] = {'sideways': {'desired': True}}
    contract = contract_from_dict(data)
    found = rule_label(contract, episodes.KNIFE, episodes.episode(episodes.handover(), contract))
    assert found.reason.endswith("no mode 'handle_first'")


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 180.0), st.integers(0, 2**32 - 1))
def test_the_rule_never_says_a_mode_whose_range_excludes_the_angle(
        degrees: float, seed: int) -> None:
    found = rule(episodes.handover((degrees, 0.24 if degrees < 20.0 else 0.08), seed))
    if found.angle_rad is not None:
        assert found.mode == episodes.KNIFE.mode_of(Exchange(found.angle_rad, 0.0, 0.3))
        assert found.angle_rad == pytest.approx(math.radians(degrees), abs=1e-4)


def test_an_empty_stretch_of_samples_does_not_break_the_rule() -> None:
    one = {key: [Sample(found[0].values, 1, 1)] for key, found in episodes.handover().items()}
    assert rule(one).mode is None


def test_a_label_of_the_rule_names_the_scenario_and_its_hash() -> None:
    found = rule(episodes.handover())
    assert label_of_rule(found, episodes.KNIFE, NOON) == Label(
        'handle_first', 'rule', 1.0, NOON, f'knife@{episodes.KNIFE.sha256[:12]}')


def test_where_the_rule_abstains_its_label_withdraws() -> None:
    found = rule(episodes.handover(episodes.CROSSWISE))
    assert label_of_rule(found, episodes.KNIFE, NOON).mode is None
