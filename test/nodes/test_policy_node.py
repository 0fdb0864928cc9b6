# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy node in motion: silent until asked, one hold command at the end, a reason for all."""

import threading
from typing import Any

import numpy as np
import pytest
from live_policy import CONTRACT, FAILURE, SHORT_S, SUCCESS, FakePolicy, Live, hasty

from uncloning_ros.nodes import policy_run
from uncloning_ros.policy_io import Observation, Plan


def test_active_without_start_is_silent(live: Live) -> None:
    live.reach('waiting', 'not_started')
    live.let_rounds_pass()
    assert live.poses == []


def test_after_start_every_action_topic_is_commanded(live: Live, tools: Any) -> None:
    live.moving()
    assert live.poses[-1] == pytest.approx(tools.pose(0.41), abs=1e-6)
    live.until(lambda: len(live.widths) == len(live.poses))
    assert live.widths[-1] == pytest.approx(0.03)
    assert live.status['model_sha256'] == 'f' * 64


def test_autostart_needs_no_call(activate: Any) -> None:
    activate(autostart=True).reach('active', 'policy')


def test_stop_publishes_exactly_one_hold_command_then_nothing(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    assert live.call('stop').success
    live.commands(0.45)
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1
    assert len(live.widths) == len(live.poses)
    assert live.widths[-1] == pytest.approx(0.03)


def test_a_second_stop_and_a_deactivation_after_it_publish_nothing(live: Live) -> None:
    live.moving()
    assert live.call('stop').success
    live.reach('waiting', 'stopped')
    live.let_rounds_pass(5)
    before = len(live.poses)
    assert live.call('stop').success
    assert live.node.trigger_deactivate() is SUCCESS
    live.let_rounds_pass()
    assert len(live.poses) == before


@pytest.mark.parametrize('end', ['trigger_deactivate', 'trigger_shutdown'])
def test_leaving_the_active_state_publishes_exactly_one_hold_command_then_nothing(
        live: Live, tools: Any, end: str) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    assert getattr(live.node, end)() is SUCCESS
    live.commands(0.45)
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1


def test_a_silent_tracker_holds_the_measured_pose_and_says_so(
        activate: Any, load: Any, tools: Any) -> None:
    load(FakePolicy(hasty(CONTRACT, 'hand_pose')))
    live = activate()
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()
    live.robot.silent.add('hand_pose')
    live.reach('hold', 'stale_input')
    assert live.status['sentence'].startswith('hand_pose arrived 0.')
    assert f'allowed {SHORT_S:g} s' in live.status['sentence']
    live.commands(0.45)
    live.robot.values['tool_pose'] = tools.pose(0.3)
    live.let_rounds_pass()
    assert live.poses[-1][0] == pytest.approx(0.45)


def test_the_gripper_keeps_its_last_command_in_every_hold(activate: Any, load: Any) -> None:
    load(FakePolicy(hasty(CONTRACT, 'hand_pose', 'gripper_width')))
    live = activate()
    live.moving()
    live.until(lambda: live.widths[-1] == pytest.approx(0.03))
    first = len(live.widths)
    for key in ('hand_pose', 'gripper_width'):
        live.robot.silent.add(key)
        live.reach('hold', 'stale_input')
        live.let_rounds_pass(5)
        live.robot.silent.clear()
        live.reach('active', 'policy')
        live.follows()
    assert live.call('stop').success
    live.reach('waiting', 'stopped')
    live.let_rounds_pass(5)
    assert np.allclose(live.widths[first:], 0.03, atol=1e-6)  # measured is a wide open 0.08


def test_a_frozen_tracker_holds_although_its_messages_go_on(live: Live) -> None:
    live.moving()
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    assert 'hand_pose has repeated the same values' in live.status['sentence']


def test_motion_goes_on_when_the_tracker_is_back(activate: Any, load: Any) -> None:
    load(FakePolicy(hasty(CONTRACT, 'hand_pose')))
    live = activate()
    live.moving()
    live.robot.silent.add('hand_pose')
    live.reach('hold', 'stale_input')
    live.robot.silent.clear()
    live.reach('active', 'policy')
    assert live.status['counters']['holds'] == 1
    assert ('hold', 'recovering') in live.told


def spoilt(live: Live, how: str) -> Any:
    """Return a message of the hand's pose that nobody may act on."""
    message = live.robot.message('hand_pose')
    if how == 'frame':
        message.header.frame_id = 'camera'
    elif how == 'stamp':
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    elif how == 'nan':
        message.pose.position.x = float('nan')
    else:
        message.pose.orientation.w = message.pose.orientation.x = 0.0
        message.pose.orientation.y = message.pose.orientation.z = 0.0
    return message


@pytest.mark.parametrize(('how', 'sentence'), [
    ('frame', "hand_pose: expected frame 'panda_link0', got 'camera'"),
    ('stamp', 'hand_pose: expected a time stamp, got none'),
    ('nan', 'hand_pose: expected finite values, got [nan'),
    ('quaternion', 'hand_pose: ')])
def test_a_message_that_breaks_the_contract_holds_at_once_and_says_why(
        live: Live, how: str, sentence: str, capfd: pytest.CaptureFixture[str]) -> None:
    live.moving()
    live.robot.silent.add('hand_pose')
    live.robot.send('hand_pose', spoilt(live, how))
    live.reach('hold', 'refused_input')
    assert sentence in live.status['sentence']
    assert sentence in capfd.readouterr().err
    assert 'hand_pose' not in live.node._observations.newest()
    live.robot.silent.clear()
    live.reach('active', 'policy')


@pytest.mark.parametrize(('shift_s', 'reason'), [(60, 'future_stamp'), (-60, 'stale_stamp')])
def test_a_stamp_far_from_now_holds(live: Live, shift_s: int, reason: str) -> None:
    live.moving()
    live.robot.silent.add('hand_pose')
    wrong = live.robot.message('hand_pose')
    wrong.header.stamp.sec += shift_s
    live.robot.send('hand_pose', wrong)
    live.reach('hold', reason)
    assert live.status['sentence'].startswith('hand_pose ')


def test_a_policy_that_answers_nan_commands_nothing_and_needs_a_person(
        activate: Any, load: Any) -> None:
    load(FakePolicy(bad=True))
    live = activate(autostart=True)
    live.reach('fault', 'policy_failed')
    live.let_rounds_pass()
    assert live.poses == []
    refused = live.call('start')
    assert not refused.success
    assert 'fault' in refused.message and '~/reset' in refused.message
    assert live.node.trigger_deactivate() is SUCCESS
    load(FakePolicy())
    assert live.node.trigger_cleanup() is SUCCESS
    assert live.node.trigger_configure() is SUCCESS
    assert live.node.trigger_activate() is SUCCESS
    live.reach('active', 'policy')


def test_a_wild_tool_pose_is_never_commanded(live: Live, tools: Any) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(9000.0)
    live.reach('hold', 'out_of_reach')
    assert live.call('stop').success
    live.reach('waiting', 'stopped')
    live.let_rounds_pass()
    assert max(abs(pose[0]) for pose in live.poses) < 1.0


def test_a_policy_that_hangs_is_a_hold_and_not_a_standstill_of_the_node(
        activate: Any, load: Any) -> None:
    hung, go_on = threading.Event(), threading.Event()

    class Hanging(FakePolicy):
        calls = 0

        def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
            self.calls += 1
            if self.calls == 5:
                hung.set()
                go_on.wait()
            return super().__call__(observation, noise)

    load(Hanging())
    live = activate(autostart=True)
    live.until(hung.is_set)
    live.reach('hold', 'late_chunk')
    live.let_rounds_pass()
    assert np.ptp([pose[0] for pose in live.poses[-5:]]) == 0.0
    go_on.set()
    live.reach('active', 'policy')
    live.follows()


def test_a_control_thread_that_hung_is_told_and_ends_when_it_comes_back(
        activate: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    hung, go_on = threading.Event(), threading.Event()
    publish = policy_run.Commands.publish

    def hanging(*args: Any) -> None:
        if not hung.is_set():
            hung.set()
            go_on.wait()
        publish(*args)

    monkeypatch.setattr(policy_run.Commands, 'publish', hanging)
    monkeypatch.setattr(policy_run, '_JOIN_TIMEOUT_S', 0.01)
    live = activate(autostart=True)
    live.until(hung.is_set)
    [first] = [thread for thread in threading.enumerate() if thread.name == 'control']
    assert live.node.trigger_deactivate() is SUCCESS
    assert 'the control thread hangs' in capfd.readouterr().err
    assert live.node.trigger_activate() is SUCCESS
    go_on.set()
    live.until(lambda: not first.is_alive())
    live.reach('active', 'policy')


def test_a_crash_in_the_control_thread_is_a_fault_with_one_hold_command(
        live: Live, tools: Any, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str]) -> None:
    live.moving()
    live.robot.values['tool_pose'] = tools.pose(0.45)
    live.follows()

    tell, met = policy_run.PolicyRun._tell, threading.Event()

    def broken(*args: Any) -> None:
        if not met.is_set():
            met.set()
            raise RuntimeError('no such luck')
        tell(*args)

    monkeypatch.setattr(policy_run.PolicyRun, '_tell', broken)
    live.reach('fault', 'crashed')
    live.commands(0.45)
    live.let_rounds_pass()
    assert sum(pose[0] == pytest.approx(0.45, abs=1e-9) for pose in live.poses) == 1
    assert 'RuntimeError: no such luck' in capfd.readouterr().err
    refused = live.call('start')
    assert not refused.success
    assert 'the control thread does not answer' in refused.message
    assert live.node.trigger_deactivate() is SUCCESS
    assert live.node.trigger_activate() is not FAILURE
    live.reach('waiting', 'not_started')
