# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios: the shipped ones are valid, wrong ones are refused with a sentence that helps."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from uncloning_ros.contract import load_contract
from uncloning_ros.errors import ScenarioError
from uncloning_ros.scenario import Exchange, find_scenario, load_scenario
from uncloning_ros.share import share_path

FOLDER = share_path('config') / 'scenarios'
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


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_shipped_scenario_is_found_by_its_name_and_has_the_modes_of_the_contract(
        path: Path) -> None:
    scenario = find_scenario(path.stem)
    assert scenario.name == path.stem
    assert scenario == load_scenario(path)
    modes = load_contract(share_path('config') / 'contract.yaml').interface.mode_names
    assert tuple(scenario.modes) == modes


def test_degrees_of_the_file_become_radians() -> None:
    scenario = find_scenario('knife')
    rule = scenario.modes['handle_first']
    assert rule.blade_to_hand_rad == pytest.approx((math.radians(135), math.pi))
    assert scenario.unsafe.pointing_rad == pytest.approx(math.radians(60))


def test_start_distribution_is_not_narrower_than_promised() -> None:
    start, tracking = find_scenario('knife').start, find_scenario('knife').tracking
    hand = [b - a for a, b in zip(start.hand_position_min_m, start.hand_position_max_m,
                                  strict=True)]
    assert all(side >= least - 1e-9 for side, least in zip(hand, (0.3, 0.3, 0.2), strict=True))
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


@pytest.mark.parametrize(('place', 'value', 'sentence'), [
    ('schema', 'uncloning/scenario@9', "schema: expected 'uncloning/scenario@1'"),
    ('tol', {}, r"unknown key 'tol' \(did you mean 'tool'\?\)"),
    ('unsafe', REMOVE, "missing key 'unsafe', expected a mapping"),
    ('tool.mass_kg', 0, 'tool.mass_kg: expected a number in'),
    ('tool.parts.blade.size_m', [0.1, 0.0, 0.1], 'size_m: expected edge lengths above 0, got'),
    ('tool.parts.blade.colour', [1, 0, 0], r"unknown key 'colour' \(did you mean 'color'\?\)"),
    ('tool.hazard.part', 'blad', r"unknown part 'blad' \(did you mean 'blade'\?\)"),
    ('start.hand_position_min_m', [0.9, -0.25, 0.2], 'hand_position_min_m .* is above '),
    ('start.object_yaw_deg', [10, 5], r'expected a pair \[least, most\], got \[10, 5\]'),
    ('start.hand_yaw_jitter_deg', -1, 'hand_yaw_jitter_deg: expected a number in'),
    ('receiver.reach_s', [1.0], 'reach_s: expected a list of 2 numbers'),
    ('tracking.dropout', 1.0, 'dropout: expected a number in'),
    ('modes.handle_first.robot_grasps', 'bladee', r"unknown part 'bladee' \(did you mean"),
    ('modes.handle_first.blade_to_hand_deg', 150, 'blade_to_hand_deg: expected a list of 2'),
    ('unsafe.near_m', float('nan'), 'near_m: expected a number in'),
])
def test_wrong_scenario_is_refused_with_file_and_sentence(
        tmp_path: Path, place: str, value: object, sentence: str) -> None:
    path = write_changed(tmp_path / 'mine.yaml', place, value)
    with pytest.raises(ScenarioError, match=sentence) as err:
        find_scenario(str(path))
    assert 'mine.yaml' in str(err.value)
