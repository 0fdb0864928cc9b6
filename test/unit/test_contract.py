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
    contract_from_dict,
    contract_to_dict,
    load_contract,
    require_same_interface,
)
from uncloning_ros.errors import ContractError
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
    again = contract_from_dict(contract_to_dict(contract))
    assert again == contract
    assert again.sha256 == contract.sha256
    assert again.interface.sha256 == contract.interface.sha256


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


def test_joint_contract_has_a_value_for_each_named_joint() -> None:
    data = copy.deepcopy(DATA)
    data['interface']['actions'][0] = {
        'key': 'joints', 'kind': 'joint_positions', 'unit': 'rad', 'names': ['a', 'b', 'c']}
    data['deployment']['actions']['joints'] = {
        'topic': 'forward_position_controller/commands', 'type': 'std_msgs/msg/Float64MultiArray'}
    del data['deployment']['actions']['target_pose']
    contract = contract_from_dict(data)
    assert contract.interface.action_dim == 4
    assert contract_from_dict(contract_to_dict(contract)) == contract


@pytest.mark.parametrize(('place', 'value', 'sentence'), [
    ('schema', 'uncloning/contract@2', "schema: expected 'uncloning/contract@1', got "),
    ('interfce', {}, r"unknown key 'interfce' \(did you mean 'interface'\?\)"),
    ('policy', REMOVE, "missing key 'policy', expected a mapping"),
    ('policy.histroy', 2, r"unknown key 'histroy' \(did you mean 'history'\?\)"),
    ('policy.history', REMOVE, "policy: missing key 'history', expected a whole number"),
    ('policy.rate_hz', 0, r'policy.rate_hz: expected a number in \[1, 1000\], got 0'),
    ('policy.execute', 17, 'execute 17 is above horizon 16'),
    ('policy.rate_hz', 40, 'deployment.command_rate_hz 20 is below policy.rate_hz 40'),
    ('interface.modes.handle_first.desired', False, 'at least one mode must be desired'),
    ('interface.modes.handle_first.desired', 'yes', "expected true or false, got 'yes'"),
    ('interface.modes.handle_first.wanted', True, "unknown key 'wanted'"),
    ('interface.observations.0.kind', 'poze', r"unknown kind 'poze' \(did you mean 'pose'\?\)"),
    ('interface.observations.0.unit', 'mm', r"unit: expected 'm' for kind 'pose', got 'mm'"),
    ('interface.observations.0.names', ['a'], "unknown key 'names'"),
    ('interface.observations.0.eval', 'x', "unknown key 'eval'"),
    ('interface.observations.1.names', REMOVE, "missing key 'names'"),
    ('interface.observations.1.names', ['a', 'a'], 'expected distinct names'),
    ('interface.observations.1.key', 'tool_pose', 'keys must differ, got tool_pose, tool_pose'),
    ('interface.actions', [{'key': 'push', 'kind': 'force', 'unit': 'N'}],
     'push: a force cannot be commanded'),
    ('deployment.observations.hand_pose', REMOVE, "missing key 'hand_pose'"),
    ('deployment.observations.hand_pse', {}, r"unknown key 'hand_pse' \(did you mean 'hand_pose'"),
    ('deployment.observations.hand_pose.type', 'geometry_msgs/msg/Pose',
     'expected geometry_msgs/msg/PoseStamped for a pose, got'),
    ('deployment.observations.hand_pose.max_age_s', 0, 'max_age_s: expected a number in'),
    ('deployment.actions.target_pose.max_age_s', 1.0, "unknown key 'max_age_s'"),
    ('deployment.limits.workspace_min_m', [0.9, -0.6, 0.02], 'must be below workspace_max_m'),
    ('deployment.limits.speed_m_s', 0, 'speed_m_s: expected a number in'),
    ('deployment.episode_end.max_episode_s', REMOVE, "missing key 'max_episode_s'"),
])
def test_wrong_contract_is_refused_with_a_sentence(place: str, value: object,
                                                   sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        contract_from_dict(changed(place, value))


def test_file_is_named_in_the_refusal(tmp_path: Path) -> None:
    path = tmp_path / 'mine.yaml'
    path.write_text(yaml.safe_dump(changed('policy.history', -1)))
    with pytest.raises(ContractError, match=r'mine.yaml.policy.history: expected .*, got -1'):
        load_contract(path)


@pytest.mark.parametrize(('place', 'value', 'same_interface'), [
    ('policy.history', 3, True),
    ('deployment.observations.hand_pose.topic', '/tracker/hand', True),
    ('deployment.limits.speed_m_s', 0.5, True),
    ('interface.base_frame', 'base', False),
    ('interface.observations.0.key', 'tool', False),
    ('interface.modes.blade_first.desired', True, False),
])
def test_interface_hash_changes_with_the_interface_alone(
        contract: Contract, place: str, value: object, same_interface: bool) -> None:
    data = changed(place, value)
    if place.endswith('0.key'):
        data['deployment']['observations']['tool'] = (
            data['deployment']['observations'].pop('tool_pose'))
    other = contract_from_dict(data)
    assert (other.interface.sha256 == contract.interface.sha256) is same_interface
    assert other.sha256 != contract.sha256


def test_order_of_modes_is_part_of_the_interface(contract: Contract) -> None:
    swapped = replace(contract.interface, modes=dict(reversed(contract.interface.modes.items())))
    assert swapped.sha256 != contract.interface.sha256
    with pytest.raises(ContractError, match='the order of the modes differs'):
        require_same_interface(contract.interface, swapped, 'data')


@pytest.mark.parametrize(('change', 'sentence'), [
    ({'base_frame': 'base'}, "expected base frame 'panda_link0', got 'base'"),
    ({'modes': {'handle_first': True}}, 'expected modes .*blade_first.*, got '),
    ({'observations': ()}, 'expected observations tool_pose.*; got $'),
    ({'actions': ()}, 'expected actions target_pose'),
])
def test_first_difference_of_two_interfaces_is_named(contract: Contract, change: dict[str, Any],
                                                     sentence: str) -> None:
    other = replace(contract.interface, **change)
    with pytest.raises(ContractError, match=f'^demos/episode_3 was made for another interface: '
                                            f'{sentence}'):
        require_same_interface(contract.interface, other, 'demos/episode_3')


def test_a_changed_signal_is_named_with_both_versions(contract: Contract) -> None:
    first, width, *rest = contract.interface.observations
    other = replace(contract.interface,
                    observations=(first, replace(width, names=('finger',)), *rest))
    with pytest.raises(ContractError, match="observations gripper_width: expected .*, got .*"
                                            "'finger'"):
        require_same_interface(contract.interface, other, 'a bag')


def test_same_interfaces_pass(contract: Contract) -> None:
    require_same_interface(contract.interface, load_contract(PATH).interface, 'a bag')
