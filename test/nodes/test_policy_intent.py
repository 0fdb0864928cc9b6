# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy that says its intent shows it before the arm moves, and then follows that very mode."""

from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from live_policy import CONTRACT, FakePolicy
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.nodes.markers import add_intent, markers
from uncloning_ros.policy_io import KEY_POSES, Intent, Observation, Plan

MODES = CONTRACT.interface.mode_names


def intent(mode: str, z_m: float = 0.1) -> Intent:
    down = np.array([0.4, 0.1, z_m, 1, 0, 0, 0, -1, 0], np.float32)
    return Intent(mode, {name: 0.9 if name == mode else 0.1 for name in MODES},
                  dict.fromkeys(KEY_POSES, down))


def shown(said: Intent | None) -> dict[str, Marker]:
    array = markers(CONTRACT.interface, None, {}, Time(sec=1))
    add_intent(array, said)
    assert {marker.header.frame_id for marker in array.markers} == {'panda_link0'}
    return {marker.ns: marker for marker in array.markers if marker.ns.startswith('intent/')}


def test_key_poses_are_arrows_along_the_fingers_and_the_mode_is_text() -> None:
    found = shown(intent(MODES[0]))
    assert set(found) == {'intent/mode', *(f'intent/{name}' for name in KEY_POSES)}
    tail, tip = found['intent/grasp'].points
    assert (tip.x, tip.y, tip.z) == (pytest.approx(0.4), pytest.approx(0.1), pytest.approx(0.1))
    assert (tail.x, tail.z) == (pytest.approx(0.4), pytest.approx(0.3)), 'from above'
    text = found['intent/mode']
    assert text.text == f'{MODES[0]}, {MODES[0]} 90 %, {MODES[1]} 10 %'
    assert text.pose.position.z > 0.1
    assert {marker.action for marker in found.values()} == {Marker.ADD}


def test_without_an_intent_its_markers_are_taken_out() -> None:
    assert {marker.action for marker in shown(None).values()} == {Marker.DELETE}


def test_a_key_pose_without_a_rotation_is_shown_as_a_point() -> None:
    said = intent(MODES[0])
    said.key_poses['grasp'][3:] = 0.0
    tail, tip = shown(said)['intent/grasp'].points
    assert tail == tip


class SayingPolicy(FakePolicy):
    """Says the mode that the end of its noise draws."""

    def __init__(self) -> None:
        super().__init__()
        self.says_intent, self.episode_noise = True, 4
        self.asked: list[Any] = []

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        self.asked.append(noise.copy())
        mode = MODES[int(noise[-1, -1] > 0)]
        return Plan(super().__call__(observation, noise).chunk, intent(mode))


def test_the_intent_is_shown_before_the_arm_moves_and_stays(activate: Any, load: Any) -> None:
    policy = SayingPolicy()
    load(policy)
    live = activate()
    arrays: list[MarkerArray] = []
    live.robot.create_subscription(MarkerArray, '/policy/markers', arrays.append, 1)

    def mode() -> str:
        texts = [marker for marker in arrays[-1].markers if marker.ns == 'intent/mode'
                 and marker.action == Marker.ADD] if arrays else []
        return texts[0].text.partition(',')[0] if texts else ''

    live.reach('waiting', 'not_started')
    live.until(lambda: mode() != '')
    said = mode()
    assert not live.poses, 'nothing is commanded'
    assert live.status['counters']['chunks'] == 0
    preview = policy.asked[-1]
    live.moving()
    live.until(lambda: live.status['counters']['chunks'] >= 3)
    moved = [noise for noise in policy.asked if not np.array_equal(noise, preview)]
    assert any(np.array_equal(noise, preview) for noise in policy.asked)
    assert len(moved) >= 2
    assert all(np.array_equal(noise.ravel()[-4:], preview.ravel()[-4:]) for noise in moved)
    arrays.clear()
    live.until(lambda: mode() != '')
    assert mode() == said
