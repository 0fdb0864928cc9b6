# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people see of a running policy: status, diagnostics, markers."""

import json
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from inputs import JOINT_CONTRACT
from live_policy import CONTRACT, FakePolicy, Live, hasty
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.conversions import Sample
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.diagnostics import policy_diagnostics
from uncloning_ros.nodes.markers import markers
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.policy_io import Plan

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
LATENCY = {'p50_ms': 1.0, 'p99_ms': 2.0, 'worst_ms': 3.0}
HEALTH = {
    'state': 'active', 'reason': 'policy', 'sentence': 'the policy commands',
    'model_sha256': 'f' * 64, 'evidence_kind': 'none required', 'evidence': 'none required',
    'seed': 7,
    'counters': {'cycles': 10, 'holds': 2}, 'shadow': None, 'doubt': {},
    'ages_s': {'tool_pose': 0.01, 'hand_pose': 0.2},
    'max_ages_s': {'tool_pose': 0.15, 'hand_pose': 0.3},
    'rates_hz': {'tool_pose': 100.0, 'hand_pose': 30.0}, 'refused': {}, 'deadline_misses': 0,
    'warnings': (), 'clock_step_s': 0.0,
    'first_deadline_ns': 123,
    'wake_up': LATENCY, 'cycle': LATENCY, 'inference': {}, 'observation_to_chunk': LATENCY}


def told(**changes: Any) -> dict[str, DiagnosticStatus]:
    """Return the diagnostics of a policy by what they are about."""
    array = policy_diagnostics('/policy', {**HEALTH, **changes}, Time(sec=1))
    assert array.header.stamp.sec == 1
    return {status.name.removeprefix('/policy: '): status for status in array.status}


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def test_diagnostics_of_a_node_that_is_not_active_say_so() -> None:
    [status] = policy_diagnostics('/policy', None, Time()).status
    assert (status.name, status.level, status.message) == ('/policy: control', OK, 'not active')


def test_diagnostics_tell_state_digest_inputs_counters_and_latencies() -> None:
    found = told()
    assert {name: status.level for name, status in found.items()} == {
        'control': OK, 'inputs': OK, 'topics': OK, 'timing': OK}
    assert found['control'].message == 'the policy commands'
    assert values(found['control']) == {
        'state': 'active', 'reason': 'policy', 'model_sha256': 'f' * 64,
        'evidence_kind': 'none required', 'evidence': 'none required', 'seed': '7',
        'cycles': '10', 'holds': '2'}
    assert values(found['inputs']) == {
        'tool_pose_age_s': '0.01', 'hand_pose_age_s': '0.2', 'tool_pose_rate_hz': '100.0',
        'hand_pose_rate_hz': '30.0'}
    assert values(found['timing'])['deadline_misses'] == '0'
    assert values(found['timing'])['first_deadline_ns'] == '123'
    assert values(found['timing'])['wake_up_p99_ms'] == '2.0'
    assert values(found['timing'])['observation_to_chunk_worst_ms'] == '3.0'
    assert not any(key.startswith('inference') for key in values(found['timing']))


@pytest.mark.parametrize(('state', 'level'), [('waiting', OK), ('done', OK), ('hold', WARN),
                                              ('fault', ERROR)])
def test_hold_is_a_warning_and_fault_an_error(state: str, level: bytes) -> None:
    assert told(state=state)['control'].level == level


@pytest.mark.parametrize('changes', [
    {'ages_s': {'tool_pose': 0.01, 'hand_pose': 0.31}},
    {'ages_s': {'tool_pose': 0.01, 'hand_pose': None}},
    {'refused': {'hand_pose': 'a message was refused'}}])
def test_an_input_that_is_old_silent_or_refused_is_a_warning_with_its_name(
        changes: dict[str, Any]) -> None:
    inputs = told(**changes)['inputs']
    assert (inputs.level, inputs.message) == (WARN, 'silent, old or refused: hand_pose')


def test_a_topic_on_which_no_message_passes_is_a_warning() -> None:
    topics = told(warnings=('expected one', 'expected two'))['topics']
    assert (topics.level, topics.message) == (WARN, 'expected one; expected two')


def test_missed_deadlines_are_a_warning() -> None:
    timing = told(deadline_misses=3)['timing']
    assert (timing.level, timing.message) == (WARN, '3 deadlines missed')


def test_the_distance_to_the_demonstrator_is_told_in_shadow_mode() -> None:
    distance = {'count': 5, 'mean': 0.01, 'largest': 0.02, 'newest': 0.015}
    control = values(told(shadow={'target_pose_m': distance})['control'])
    assert control['shadow_target_pose_m_largest'] == '0.02'
    assert control['shadow_target_pose_m_count'] == '5'


def marked(plan: Plan | None, samples: dict[str, Sample]) -> dict[str, Marker]:
    found = markers(CONTRACT.interface, plan, samples, Time(sec=1)).markers
    assert {(m.header.frame_id, m.header.stamp.sec) for m in found} == {('panda_link0', 1)}
    # A killed node takes nothing out of the picture: its markers expire by themselves.
    assert {m.lifetime.sec + m.lifetime.nanosec * 1e-9 for m in found} == {1.0}
    assert policy_module._VIEW_S < 0.5
    return {marker.ns: marker for marker in found}


def test_markers_show_plan_blade_axis_and_zone(tools: Any) -> None:
    plan = Plan(np.array([np.append(tools.pose(x), 0.08) for x in (0.4, 0.5, 0.6)]))
    found = marked(plan, {'object_pose': Sample(tools.pose(0.6), 0, 0),
                          'hand_pose': Sample(tools.pose(0.7), 0, 0)})
    assert [(p.x, p.z) for p in found['plan'].points] == [(0.4, 0.3), (0.5, 0.3), (0.6, 0.3)]
    tail, tip = found['blade_axis'].points
    assert (tail.x, tip.x, tip.y, tip.z) == (0.6, pytest.approx(0.8), 0.0, 0.3)
    assert found['person_zone'].pose.position.x == 0.7
    assert {marker.action for marker in found.values()} == {Marker.ADD}


def test_what_is_not_known_is_taken_out_of_the_picture() -> None:
    assert {marker.action for marker in marked(None, {}).values()} == {Marker.DELETE}


def test_a_plan_of_joints_is_no_line_in_space() -> None:
    interface = JOINT_CONTRACT.interface
    plan = Plan(np.zeros((16, interface.action_dim), np.float32))
    marker = markers(interface, plan, {}, Time()).markers[0]
    assert (marker.ns, marker.action) == ('plan', Marker.DELETE)


def test_status_comes_with_every_tick_of_the_policy_and_with_every_change(live: Live) -> None:
    live.moving()
    before, cycles = len(live.heard), live.status['counters']['cycles']
    live.until(lambda: len(live.heard) >= before + 10)
    said = [json.loads(text) for text in live.heard[before - 1:]]
    passed = said[-1]['counters']['cycles'] - cycles
    per_tick = CONTRACT.deployment.command_rate_hz / CONTRACT.policy.rate_hz
    assert passed <= per_tick * (len(said) - 1)
    assert set(said[-1]) == {'state', 'reason', 'sentence', 'model_sha256', 'warnings', 'shadow',
                             'overruns', 'counters', 'doubt'}
    live.robot.frozen.add('hand_pose')
    live.reach('hold', 'unchanged_input')
    live.robot.frozen.clear()
    live.reach('active', 'policy')
    # Each change is told, those that last one cycle as well.
    states = live.told[live.told.index(('active', 'policy')):]
    assert states[:4] == [('active', 'policy'), ('hold', 'unchanged_input'),
                          ('hold', 'recovering'), ('active', 'planning')]


def test_diagnostics_come_every_second(graph: Any) -> None:
    node = graph.add(PolicyNode)
    assert 10**9 in {timer.timer_period_ns for timer in node.timers}


def test_diagnostics_have_the_figures_of_the_run(
        activate: Any, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.2)
    load(FakePolicy(hasty(CONTRACT, 'hand_pose')))
    live = activate()
    arrays: list[DiagnosticArray] = []
    live.robot.create_subscription(DiagnosticArray, '/diagnostics', arrays.append, 10)
    live.moving()
    live.until(lambda: len(arrays) >= 2)
    control, inputs, _, timing = map(values, arrays[-1].status)
    assert control['state'] == 'active'
    assert control['model_sha256'] == 'f' * 64
    assert int(control['chunks']) > 0
    assert all(float(inputs[f'{key}_rate_hz']) > 0 for key in CONTRACT.deployment.observations)
    assert all(float(inputs[f'{key}_age_s']) >= 0 for key in CONTRACT.deployment.observations)
    for what in ('wake_up', 'cycle', 'inference', 'observation_to_chunk'):
        assert (0 <= float(timing[f'{what}_p50_ms']) <= float(timing[f'{what}_p99_ms'])
                <= float(timing[f'{what}_worst_ms']))
    live.robot.silent.add('hand_pose')
    live.until(lambda: arrays[-1].status[0].level == WARN)
    control, inputs = arrays[-1].status[:2]
    assert control.message.startswith('hand_pose arrived ')
    assert inputs.message == 'silent, old or refused: hand_pose'
    live.call('stop')
    assert live.node.trigger_deactivate()
    live.until(lambda: arrays[-1].status[0].message == 'not active')


def test_markers_show_the_plan_while_there_is_one(live: Live) -> None:
    arrays: list[MarkerArray] = []
    live.robot.create_subscription(MarkerArray, '/policy/markers', arrays.append, 10)
    live.until(lambda: arrays and arrays[-1].markers[0].action == Marker.DELETE)
    live.moving()
    live.until(lambda: arrays[-1].markers[0].action == Marker.ADD)
    assert len(arrays[-1].markers[0].points) == CONTRACT.policy.horizon
    assert arrays[-1].markers[0].points[0].x == pytest.approx(0.41)
    live.call('stop')
    live.until(lambda: arrays[-1].markers[0].action == Marker.DELETE)
