# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract: read back equal; a wrong value is refused with a sentence that helps."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncloning_ros.contract import (
    Contract,
    Enable,
    FaultSignal,
    Signal,
    Teleoperation,
    contract_from_dict,
    load_contract,
    require_same_interface,
)
from uncloning_ros.errors import ContractError
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

PATH = share_path('config') / 'contract.yaml'
DATA: dict[str, Any] = yaml.safe_load(PATH.read_text())
REMOVE = object()


@pytest.fixture
def contract() -> Contract:
    return load_contract(PATH)


def changed(place: str, value: object) -> dict[str, Any]:
    """Return the shipped contract's data with one value replaced, added or removed."""
    data = copy.deepcopy(DATA)
    *parents, last = (int(word) if word.isdigit() else word for word in place.split('.'))
    part: Any = data
    for parent in parents:
        part = part[parent]
    if value is REMOVE:
        del part[last]
    else:
        part[last] = value
    return data


def test_contract_survives_the_way_through_plain_data(contract: Contract) -> None:
    again = contract_from_dict(plain(contract))
    assert again == contract
    assert again.sha256 == contract.sha256
    assert again.interface.sha256 == contract.interface.sha256


@pytest.mark.parametrize(('keys', 'arm'), [
    (('tool_pose', 'object_pose', 'hand_pose'), 'tool_pose'),
    (('hand_pose', 'object_pose', 'tool_pose'), 'tool_pose'),
    (('object_pose', 'flange_pose'), None),
    (('camera_pose', 'tool_pose', 'hand_pose'), 'tool_pose'),
    (('object_pose', 'hand_pose'), None)])
def test_the_arms_pose_is_known_by_its_key_and_never_guessed_at(
        contract: Contract, keys: tuple[str, ...], arm: str | None) -> None:
    interface = replace(contract.interface,
                        observations=tuple(Signal(key, 'pose', 'm', 'base') for key in keys))
    assert interface.arm_pose_key == arm


def test_flat_vectors_follow_the_order_of_the_contract(contract: Contract) -> None:
    interface = contract.interface
    assert interface.observation_dim == 31
    assert interface.action_dim == 10
    assert interface.observation_slices == {
        'tool_pose': slice(0, 9), 'gripper_width': slice(9, 10), 'object_pose': slice(10, 19),
        'hand_pose': slice(19, 28), 'wrist_force': slice(28, 31)}
    assert interface.action_slices == {'target_pose': slice(0, 9), 'target_width': slice(9, 10)}


def test_modes_keep_their_order_and_whether_they_are_desired(contract: Contract) -> None:
    assert contract.interface.mode_names == ('handle_first', 'blade_first')
    assert contract.interface.desired_modes == ('handle_first',)


def test_unknown_mode_suggests_the_near_miss(contract: Contract) -> None:
    assert contract.interface.require_modes(['blade_first']) == ('blade_first',)
    with pytest.raises(ContractError, match=r"'blade_frist' \(did you mean 'blade_first'\?\)"):
        contract.interface.require_modes(['blade_frist'])


def test_period_is_the_time_between_ticks(contract: Contract) -> None:
    assert contract.policy.period_ns == 50_000_000


def joint_data(type_name: str) -> dict[str, Any]:
    """Return the data of a contract that commands three joints."""
    data = copy.deepcopy(DATA)
    data['interface']['actions'][0] = {
        'key': 'joints', 'kind': 'joint_positions', 'unit': 'rad', 'names': ['a', 'b', 'c']}
    del data['deployment']['actions']['target_pose']
    data['deployment']['actions']['joints'] = {
        'topic': 'forward_position_controller/commands', 'type': type_name}
    data['deployment']['limits']['joint_limits_rad'] = {
        'c': [0.0, 1.0], 'a': [-3, 3], 'b': [-1.0, -1.0]}
    return data


@pytest.mark.parametrize('type_name', ['std_msgs/msg/Float64MultiArray',
                                       'trajectory_msgs/msg/JointTrajectory'])
def test_joint_contract_has_a_value_and_limits_for_each_named_joint(type_name: str) -> None:
    contract = contract_from_dict(joint_data(type_name))
    assert contract.interface.action_dim == 4
    assert contract.deployment.limits.joint_limits_rad == {
        'a': (-3.0, 3.0), 'b': (-1.0, -1.0), 'c': (0.0, 1.0)}
    assert contract_from_dict(plain(contract)) == contract


@pytest.mark.parametrize(('limits', 'sentence'), [
    (REMOVE, "joint_limits_rad: missing key 'a'"),
    ({'a': [-3, 3], 'b': [0, 1]}, "missing key 'c'"),
    ({'a': [-3, 3], 'b': [0, 1], 'c': [1, 0]}, r'c: expected a pair \[least, most\]'),
    ({'a': [-3, 3], 'b': [0, 1], 'c': [0]}, r'c: expected a pair .*got \[0\]'),
    ({'a': [-3, 3], 'b': [0, 1], 'c': [0, 1], 'cc': [0, 1]}, "unknown key 'cc'"),
])
def test_a_joint_without_its_own_limits_is_never_commanded(limits: Any, sentence: str) -> None:
    data = joint_data('std_msgs/msg/Float64MultiArray')
    data['deployment']['limits']['joint_limits_rad'] = limits
    if limits is REMOVE:
        del data['deployment']['limits']['joint_limits_rad']
    with pytest.raises(ContractError, match=sentence):
        contract_from_dict(data)


@pytest.mark.parametrize('path', sorted(PATH.parent.glob('contract*.yaml')), ids=lambda p: p.name)
def test_every_shipped_contract_can_be_run(path: Path) -> None:
    contract = load_contract(path)
    ControlLoop(contract, 0)
    assert contract_from_dict(plain(contract)) == contract


GUARDED = {'enable': {'topic': 'enable', 'max_age_s': 0.2},
           'fault': {'topic': 'robot/fault', 'fault_when': True},
           'teleoperation': {'node': 'pad', 'topic': 'pad/enable', 'max_age_s': 0.1}}


def test_what_is_optional_survives_the_way_through_plain_data() -> None:
    data = copy.deepcopy(DATA)
    data['deployment'] |= GUARDED
    observations = data['deployment']['observations']
    observations['wrist_force'] |= {'stamped': False, 'max_unchanged_s': 3}
    observations['hand_pose'] = {'topic': '/tf', 'type': 'tf2_msgs/msg/TFMessage',
                                 'child_frame': 'hand', 'max_age_s': 0.3, 'max_speed_rad_s': 20}
    observations['tool_pose'] |= {'max_speed_m_s': 3}
    contract = contract_from_dict(data)
    deployment = contract.deployment
    assert deployment.enable == Enable('enable', 0.2)
    assert deployment.fault == FaultSignal('robot/fault', True)
    assert deployment.teleoperation == Teleoperation('pad', 'pad/enable', 0.1)
    assert deployment.observations['hand_pose'].child_frame == 'hand'
    assert deployment.observations['wrist_force'].stamped is False
    assert deployment.observations['wrist_force'].max_unchanged_s == 3.0
    assert deployment.observations['tool_pose'].max_speed_m_s == 3.0
    assert deployment.observations['hand_pose'].max_speed_rad_s == 20.0
    assert contract_from_dict(plain(contract)) == contract


def test_what_is_optional_is_off_unless_asked_for() -> None:
    data = copy.deepcopy(DATA)
    for topic in data['deployment']['observations'].values():
        topic.pop('max_unchanged_s', None)
    deployment = contract_from_dict(data).deployment
    assert (deployment.enable, deployment.fault, deployment.teleoperation) == (None,) * 3
    for topic in deployment.observations.values():
        assert (topic.max_unchanged_s, topic.child_frame, topic.stamped) == (None, None, True)
        assert (topic.max_speed_m_s, topic.max_speed_rad_s) == (None, None)
    stamped = copy.deepcopy(data)
    stamped['deployment']['observations']['hand_pose']['stamped'] = True
    assert contract_from_dict(stamped).deployment.sha256 == deployment.sha256


def test_commands_come_a_whole_number_of_times_for_each_tick(contract: Contract) -> None:
    assert contract.deployment.command_period_ns == 10_000_000
    for rate_hz in (20, 40, 1000):
        data = changed('deployment.command_rate_hz', rate_hz)
        assert contract_from_dict(data).deployment.command_period_ns == 10**9 // rate_hz


@pytest.mark.parametrize(('place', 'value', 'culprit'), [
    ('schema', 'uncloning/contract@2', "schema: .*contract@1.*contract@2"),
    ('interfce', {}, r"unknown key 'interfce' \(did you mean 'interface'\?\)"),
    ('policy', REMOVE, "missing key 'policy'"),
    ('policy.histroy', 2, r"unknown key 'histroy' \(did you mean 'history'\?\)"),
    ('policy.history', REMOVE, "policy: missing key 'history'"),
    ('policy.rate_hz', 0, 'policy.rate_hz: .*1, 1000.* got 0'),
    ('policy.execute', 17, 'policy: .*execute.* 16.*17'),
    ('policy.rate_hz', 40, 'command_rate_hz .* 40, .*100'),
    ('deployment.command_rate_hz', 10, 'command_rate_hz .* 20, .*10'),
    ('policy.history', 1001, 'policy.history: .* 1000.*got 1001'),
    ('policy.horizon', 10**30, 'policy.horizon: .* 1000.*got 10000'),
    ('interface.modes.handle_first.desired', False, 'interface: modes: .*desired'),
    ('interface.modes.handle_first.desired', 'yes', "handle_first.desired: .*'yes'"),
    ('interface.modes.handle_first.wanted', True, "unknown key 'wanted'"),
    ('interface.observations.0.kind', 'poze', r"observations\[0\]: .*'poze'.* mean 'pose'"),
    ('interface.observations.0.unit', 'mm', r"observations\[0\]: unit: .*'m' .*'mm'"),
    ('interface.observations.0.names', ['a'], "unknown key 'names'"),
    ('interface.observations.0.eval', 'x', "unknown key 'eval'"),
    ('interface.observations.1.names', REMOVE, "missing key 'names'"),
    ('interface.observations.1.names', ['a', 'a'], r"names: .*distinct.*got \['a', 'a'\]"),
    ('interface.observations.1.key', 'tool_pose', 'observations: .* tool_pose, tool_pose'),
    ('interface.actions', [{'key': 'push', 'kind': 'force', 'unit': 'N'}],
     'actions: push: .*force'),
    ('interface.actions', [{'key': key, 'kind': 'pose', 'unit': 'm'} for key in ('left', 'right')],
     'actions: .* left, right'),
    ('interface.observations', [{'key': 'object_pose', 'kind': 'pose', 'unit': 'm'}],
     "'target_pose'.*tool_pose"),
    ('interface.observations', [{'key': 'camera_pose', 'kind': 'pose', 'unit': 'm'}],
     "'target_pose'.*tool_pose"),
    ('deployment.observations.hand_pose', REMOVE, "missing key 'hand_pose'"),
    ('deployment.observations.hand_pse', DATA['deployment']['observations']['hand_pose'],
     r"unknown key 'hand_pse' \(did you mean 'hand_pose'"),
    ('deployment.observations.hand_pose.type', 'geometry_msgs/msg/Pose',
     'hand_pose.type: .*PoseStamped.*TFMessage.*geometry_msgs/msg/Pose\''),
    ('deployment.observations.hand_pose.type', 'tf2_msgs/msg/TFMessage',
     "hand_pose: missing key 'child_frame'"),
    ('deployment.observations.hand_pose.child_frame', 'hand', "unknown key 'child_frame'"),
    ('deployment.observations.hand_pose.stamped', 'no', "hand_pose.stamped: .*'no'"),
    ('deployment.observations.hand_pose.max_unchanged_s', 0, 'hand_pose.max_unchanged_s: .*got 0'),
    ('deployment.observations.hand_pose.max_speed_m_s', 0, 'hand_pose.max_speed_m_s: .* got 0'),
    ('deployment.observations.gripper_width.max_speed_m_s', 1, "unknown key 'max_speed_m_s'"),
    ('deployment.observations.hand_pose.max_age_s', 0, 'hand_pose.max_age_s: .*got 0'),
    ('deployment.observations.hand_pose.max_age_s', 1e300, r'max_age_s: .*got 1e\+300'),
    ('deployment.actions.target_pose.max_age_s', 1.0, "unknown key 'max_age_s'"),
    ('deployment.limits.workspace_min_m', [0.9, -0.6, 0.02],
     'limits: .*workspace_min_m .*0.9'),
    ('deployment.limits.speed_m_s', 0, 'limits.speed_m_s: .* got 0'),
    ('deployment.limits.jump_m', REMOVE, "missing key 'jump_m'"),
    ('deployment.limits.jump_rad', -1, 'limits.jump_rad: .* got -1'),
    ('deployment.limits.joint_limits_rad', {'a': [0, 1]}, "unknown key 'a'"),
    ('deployment.enable', {'topic': 'enable'}, "enable: missing key 'max_age_s'"),
    ('deployment.enable', True, 'enable: .*True'),
    ('deployment.teleoperation', {'node': 'my pad', 'topic': 'pad', 'max_age_s': 0.1},
     "teleoperation.node: expected a name of a node, got 'my pad'"),
    ('deployment.teleoperation', {'topic': 'pad'}, "teleoperation: missing key 'node'"),
    ('deployment.fault', {'topic': 'fault', 'fault_when': 1}, 'fault.fault_when: .*got 1'),
    ('interface.base_frame', '\ud800', r"interface.base_frame: .*'\\ud800'"),
    ('deployment.episode_end.max_episode_s', REMOVE, "missing key 'max_episode_s'"),
])
def test_wrong_contract_is_refused_with_its_place_and_culprit(place: str, value: object,
                                                              culprit: str) -> None:
    with pytest.raises(ContractError, match=culprit):
        contract_from_dict(changed(place, value))


@pytest.mark.parametrize(('place', 'value', 'sentence'), [
    ('deployment.observations.tool_pose.topic', 'target_pose',
     'observations.tool_pose and actions.target_pose'),
    ('deployment.observations.wrist_force.topic', 'current_pose',
     'observations.tool_pose and observations.wrist_force'),
    ('deployment.actions.target_width.topic', 'target_pose',
     'actions.target_pose and actions.target_width'),
    ('deployment.enable', {'topic': 'target_pose', 'max_age_s': 0.2},
     'actions.target_pose and enable'),
    ('deployment.enable', {'topic': 'hand_pose', 'max_age_s': 0.2},
     'observations.hand_pose and enable'),
    ('deployment.teleoperation', {'node': 'pad', 'topic': 'target_pose', 'max_age_s': 0.2},
     'actions.target_pose and teleoperation'),
])
def test_what_is_commanded_measured_and_switched_has_topics_of_its_own(
        place: str, value: object, sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        contract_from_dict(changed(place, value))


def test_enable_switch_is_no_fault_signal() -> None:
    data = changed('deployment.enable', {'topic': 'switch', 'max_age_s': 0.2})
    data['deployment']['fault'] = {'topic': 'switch', 'fault_when': True}
    with pytest.raises(ContractError, match="enable and fault.*'switch'"):
        contract_from_dict(data)


def test_observations_of_one_type_may_share_a_topic() -> None:
    contract_from_dict(changed('deployment.observations.object_pose.topic', 'current_pose'))


def test_file_is_named_in_the_refusal(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(changed('policy.history', -1)))
    with pytest.raises(ContractError, match=r'mine.yaml: policy.history: .*-1'):
        load_contract(path)


@pytest.mark.parametrize(('place', 'value', 'same_interface'), [
    ('policy.history', 3, True),
    ('deployment.observations.hand_pose.topic', '/tracker/hand', True),
    ('deployment.limits.speed_m_s', 0.5, True),
    ('interface.base_frame', 'base', False),
    ('interface.observations.4.key', 'push', False),
    ('interface.modes.blade_first.desired', True, False),
])
def test_interface_hash_changes_with_the_interface_alone(
        contract: Contract, place: str, value: object, same_interface: bool) -> None:
    data = changed(place, value)
    if place.endswith('4.key'):
        data['deployment']['observations']['push'] = (
            data['deployment']['observations'].pop('wrist_force'))
    other = contract_from_dict(data)
    assert (other.interface.sha256 == contract.interface.sha256) is same_interface
    assert other.sha256 != contract.sha256


def test_order_of_modes_is_part_of_the_interface(contract: Contract) -> None:
    swapped = replace(contract.interface, modes=dict(reversed(contract.interface.modes.items())))
    assert swapped.sha256 != contract.interface.sha256
    with pytest.raises(ContractError, match='order of the modes'):
        require_same_interface(contract.interface, swapped, 'data')


@pytest.mark.parametrize(('change', 'sentence'), [
    ({'base_frame': 'base'}, ".*'panda_link0'.*'base'"),
    ({'modes': {'handle_first': True}}, '.*modes .*blade_first'),
    ({'observations': ()}, '.*observations tool_pose'),
    ({'actions': ()}, '.*actions target_pose'),
])
def test_first_difference_of_two_interfaces_is_named(contract: Contract, change: dict[str, Any],
                                                     sentence: str) -> None:
    other = replace(contract.interface, **change)
    with pytest.raises(ContractError, match=f'^demos/episode_3 .*{sentence}'):
        require_same_interface(contract.interface, other, 'demos/episode_3')


def test_a_changed_signal_is_named_with_both_versions_of_what_changed(contract: Contract) -> None:
    first, width, *rest = contract.interface.observations
    other = replace(contract.interface,
                    observations=(first, replace(width, names=('finger',)), *rest))
    with pytest.raises(ContractError, match="gripper_width: expected names .*'panda_finger_joint2'"
                                            r"\), got names \('finger',\)$"):
        require_same_interface(contract.interface, other, 'a bag')


def test_same_interfaces_pass(contract: Contract) -> None:
    require_same_interface(contract.interface, load_contract(PATH).interface, 'a bag')
