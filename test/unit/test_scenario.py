# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios: the shipped ones are valid, wrong ones are refused with a sentence that helps."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from inputs import CONTRACT

from uncloning_ros.contract import with_modes
from uncloning_ros.errors import ScenarioError
from uncloning_ros.scenario import (
    Exchange,
    Scenario,
    find_scenario,
    load_scenario,
    scenario_from_dict,
)
from uncloning_ros.share import share_path

FOLDER = share_path('config') / 'scenarios'
SHIPPED = sorted(path.stem for path in FOLDER.glob('*.yaml'))
DATA: dict[str, Any] = yaml.safe_load((FOLDER / 'knife.yaml').read_text())
REMOVE = object()


def write_changed(path: Path, place: str, value: object) -> Path:
    """Write the knife scenario with one value replaced, added or removed."""
    data = copy.deepcopy(DATA)
    *parents, last = place.split('.')
    part = data
    for parent in parents:
        part = part[parent]
    if value is REMOVE:
        del part[last]
    else:
        part[last] = value
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


@pytest.mark.parametrize('name', SHIPPED)
def test_every_shipped_scenario_is_found_by_its_name(name: str) -> None:
    scenario = find_scenario(name)
    assert scenario.name == name
    assert scenario == load_scenario(FOLDER / f'{name}.yaml')
    assert set(scenario.desired.values()) == {True, False}


def test_nine_scenarios_are_shipped() -> None:
    assert SHIPPED == ['knife', 'knife_camera', 'knife_hidden', 'knife_route', 'knife_two_arms',
                       'mug', 'mug_camera', 'scissors', 'screwdriver']


def test_a_hidden_side_is_drawn_beside_the_range_of_one_side_for_a_person() -> None:
    source = copy.deepcopy(dict(find_scenario('knife_hidden').source))
    source['start']['hand_position_min_m'][1] = -0.1
    with pytest.raises(ScenarioError, match='hand_position_min_m: expected y above 0.*-0.1'):
        scenario_from_dict(source, 'here')
    two = copy.deepcopy(dict(find_scenario('knife_two_arms').source))
    two['receiver']['hidden'] = source['receiver']['hidden']
    with pytest.raises(ScenarioError, match='receiver.hidden: expected a person'):
        scenario_from_dict(two, 'here')
    seen = copy.deepcopy(dict(find_scenario('knife_camera').source))
    seen['receiver']['hidden'] = source['receiver']['hidden']
    with pytest.raises(ScenarioError, match='receiver.hidden: expected no cameras.*got .*wrist'):
        scenario_from_dict(seen, 'here')


def test_the_shipped_contract_is_that_of_the_knife() -> None:
    contract = CONTRACT
    assert with_modes(contract, find_scenario('knife').desired) == contract
    assert (with_modes(contract, find_scenario('knife').desired).interface.sha256
            == contract.interface.sha256)


def test_degrees_of_the_file_become_radians() -> None:
    scenario = find_scenario('knife')
    rule = scenario.modes['handle_first']
    assert rule.blade_to_hand_rad == pytest.approx((math.radians(135), math.pi))
    assert scenario.unsafe.pointing_rad == pytest.approx(math.radians(60))


@pytest.mark.parametrize('name', SHIPPED)
def test_start_distribution_is_not_narrower_than_promised(name: str) -> None:
    start, tracking = find_scenario(name).start, find_scenario(name).tracking
    hand = [b - a for a, b in zip(start.hand_position_min_m, start.hand_position_max_m,
                                  strict=True)]
    if find_scenario(name).receiver.hidden is not None:  # the range of one side is mirrored
        hand[1] = 2 * start.hand_position_max_m[1]
    # Where an arm holds out its gripper is up to its policy.
    if find_scenario(name).receiver_arm is None:
        assert all(side >= least - 1e-9
                   for side, least in zip(hand, (0.3, 0.3, 0.2), strict=True))
    if find_scenario(name).receiver.hidden is None:
        assert start.hand_position_min_m[1] < 0 < start.hand_position_max_m[1]  # both sides
    place = [b - a for a, b in zip(start.object_position_min_m, start.object_position_max_m,
                                   strict=True)]
    assert all(side >= least - 1e-9 for side, least in zip(place, (0.15, 0.2), strict=True))
    assert start.object_yaw_rad[1] - start.object_yaw_rad[0] >= math.radians(60) - 1e-9
    assert tracking.position_noise_m >= 0.005
    assert tracking.latency_s >= 0.05
    assert tracking.dropout >= 0.01


@pytest.mark.parametrize(('angle_deg', 'mode'), [
    (0, 'blade_first'), (44.9, 'blade_first'), (46, None), (90, None), (134, None),
    (135.1, 'handle_first'), (180, 'handle_first')])
def test_mode_of_an_angle_abstains_in_between(angle_deg: float, mode: str | None) -> None:
    assert find_scenario('knife').mode_of(Exchange(math.radians(angle_deg), 0.0, 0.3)) == mode


def exchange(angle_deg: float = 170.0, approach_deg: float = 0.0,
             highest_m: float = 0.3) -> Exchange:
    return Exchange(math.radians(angle_deg), math.radians(approach_deg), highest_m)


@pytest.mark.parametrize(('approach_deg', 'mode'), [
    (35, 'handle_left'), (-35, 'handle_right'), (0, None), (90, None), (-180, None)])
def test_the_side_from_which_a_handle_comes_is_a_mode(approach_deg: float,
                                                      mode: str | None) -> None:
    mug = find_scenario('mug')
    assert mug.mode_of(exchange(170, approach_deg)) == mode
    assert mug.mode_of(exchange(10, approach_deg)) == 'body_first'


@pytest.mark.parametrize(('angle_deg', 'highest_m', 'mode'), [
    (170, 0.30, 'handle_low'), (170, 0.45, 'handle_face'), (10, 0.30, 'blade_low'),
    (10, 0.45, 'blade_face'), (170, 0.385, None), (90, 0.30, None)])
def test_the_route_of_a_tool_is_a_mode(angle_deg: float, highest_m: float,
                                       mode: str | None) -> None:
    route = find_scenario('knife_route')
    assert route.mode_of(exchange(angle_deg, highest_m=highest_m)) == mode
    assert route.desired == {'handle_low': True, 'handle_face': False, 'blade_low': False,
                             'blade_face': False}


def in_part(scenario: Scenario, part: str, x_m: float) -> bool:
    box = scenario.tool.parts[part]
    return abs(x_m - box.center_m[0]) <= box.size_m[0] / 2


@pytest.mark.parametrize('name', SHIPPED)
def test_teachers_grasp_the_part_that_is_named_and_it_fits_into_the_gripper(name: str) -> None:
    scenario = find_scenario(name)
    for rule in scenario.modes.values():
        part = scenario.tool.parts[rule.robot_grasps]
        assert part.size_m[1] <= 0.055
        assert all(in_part(scenario, rule.robot_grasps, x) for x in rule.grasp_x_m)
        # What is offered is not where the gripper is.
        assert not rule.grasp_x_m[0] <= rule.present_x_m <= rule.grasp_x_m[1]


@pytest.mark.parametrize('name', SHIPPED)
def test_a_tool_lies_level_on_its_stand(name: str) -> None:
    tool = find_scenario(name).tool
    lowest = {part: box.center_m[2] - box.size_m[2] / 2 for part, box in tool.parts.items()}
    carries = [tool.parts[part] for part, z in lowest.items() if z < min(lowest.values()) + 1e-9]
    # The stand is 10 cm long; the centre of mass is over what lies on it, by 5 mm at the least.
    assert min(box.center_m[0] - box.size_m[0] / 2 for box in carries) < -0.005
    assert max(box.center_m[0] + box.size_m[0] / 2 for box in carries) > 0.005


def test_unknown_scenario_suggests_the_near_miss() -> None:
    with pytest.raises(ScenarioError, match=r"unknown scenario 'knive' \(did you mean 'knife'"):
        find_scenario('knive')
    with pytest.raises(ScenarioError, match=r'cannot read none.yaml: No such file'):
        find_scenario('none.yaml')


def test_hash_changes_with_the_data_alone(tmp_path: Path) -> None:
    (tmp_path / 'same.yaml').write_text(yaml.safe_dump(DATA))  # another order, no comments
    other = write_changed(tmp_path / 'other.yaml', 'tool.mass_kg', 0.2)
    assert load_scenario(tmp_path / 'same.yaml').sha256 == find_scenario('knife').sha256
    assert load_scenario(other).sha256 != find_scenario('knife').sha256


@pytest.mark.parametrize(('place', 'value', 'culprit'), [
    ('schema', 'uncloning/scenario@9', 'schema: .*scenario@1.*scenario@9'),
    ('tol', {}, r"unknown key 'tol' \(did you mean 'tool'\?\)"),
    ('unsafe', REMOVE, "missing key 'unsafe'"),
    ('tool.mass_kg', 0, 'tool.mass_kg: .*got 0'),
    ('tool.parts.blade.size_m', [0.1, 0.0, 0.1], 'parts.blade: size_m: .*0.0'),
    ('tool.parts.blade.colour', [1, 0, 0], r"unknown key 'colour' \(did you mean 'color'\?\)"),
    ('tool.hazard.part', 'blad', r"unknown part 'blad' \(did you mean 'blade'\?\)"),
    ('start.hand_position_min_m', [0.9, -0.25, 0.2], 'start: .*hand_position_min_m .*0.9'),
    ('start.object_yaw_deg', [10, 5], r'start.object_yaw_deg: .*\[10, 5\]'),
    ('start.hand_yaw_jitter_deg', -1, 'start.hand_yaw_jitter_deg: .*-1'),
    ('receiver.reach_s', [1.0], r'receiver.reach_s: .*got \[1.0\]'),
    ('tracking.dropout', 1.0, 'tracking.dropout: .*1.0'),
    ('modes.handle_first.robot_grasps', 'bladee', r"unknown part 'bladee' \(did you mean"),
    ('modes.handle_first.blade_to_hand_deg', 150, 'blade_to_hand_deg: .*got 150'),
    ('unsafe.near_m', float('nan'), 'near_m: .*got nan'),
    ('receiver.posture', 'lying', "posture: .*standing.*seated.* got 'lying'"),
    ('tool.hazard.radius_m', -0.1, 'hazard.radius_m: .*-0.1'),
    ('tool.contact_breaking_m', 1.0, 'tool.contact_breaking_m: .*1.0'),
    ('tool.lying_s', 0.0, 'tool.lying_s: .*0.0'),
    ('modes.handle_first.desired', 'yes', "handle_first.desired: .*'yes'"),
    ('modes.handle_first.desired', False, 'modes: .*desired'),
    ('modes.handle_first.approach_deg', [10], r'approach_deg: .*got \[10\]'),
    ('modes.handle_first.highest_m', [0.4, 0.3], r'highest_m: .*\[0.4, 0.3\]'),
    ('modes.handle_first.carry_m', [0.3, 0.0], r'carry_m: .*\[0.3, 0.0\]'),
    ('modes.handle_first.turn_deg', 'left', "turn_deg: .*got 'left'"),
    ('modes.handle_first.blade_to_hand_deg', [40, 180],
     'modes: .*blade_first and handle_first'),
])
def test_wrong_scenario_is_refused_with_file_and_culprit(
        tmp_path: Path, place: str, value: object, culprit: str) -> None:
    path = write_changed(tmp_path / 'mine.yaml', place, value)
    with pytest.raises(ScenarioError, match=culprit) as err:
        find_scenario(str(path))
    assert 'mine.yaml' in str(err.value)
