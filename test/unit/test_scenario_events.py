# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios say what is unsafe and what is worth reporting; what they leave out is left out."""

import re

import pytest

from uncloning_ros.errors import ScenarioError
from uncloning_ros.scenario import (
    NotableRule,
    find_scenario,
    load_scenario,
    scenario_from_dict,
)
from uncloning_ros.share import share_path


@pytest.mark.parametrize('name', ['knife', 'knife_route', 'mug', 'scissors', 'screwdriver'])
def test_every_shipped_scenario_says_what_is_worth_reporting(name):
    rule = find_scenario(name).notable
    assert None not in (rule.near_tip_speed_m_s, rule.premature_share, rule.pull_n,
                        rule.over_hold_s)
    assert rule.pull_n < find_scenario(name).receiver.pull_n[0]  # every person pulls that hard


def test_what_a_scenario_leaves_out_is_not_looked_for(tmp_path):
    text = (share_path('config') / 'scenarios' / 'knife.yaml').read_text(encoding='utf-8')
    path = tmp_path / 'plain.yaml'
    path.write_text(re.sub(r'  (pointing_deg|thrust_near_m|face_neck_clearance_m):.*\n', '',
                           text[:text.index('\nnotable:')]))
    plain = load_scenario(path)
    assert plain.notable == NotableRule()
    assert plain.unsafe.near_m == 0.5
    assert (plain.unsafe.pointing_rad, plain.unsafe.thrust_near_m,
            plain.unsafe.face_neck_clearance_m) == (None, None, None)


@pytest.mark.parametrize(('old', 'new', 'said'), [
    ('  pull_n: 4.0', '', 'give both or neither'),
    ('  over_hold_s: 1.0', '', 'give both or neither'),
    ('premature_share: 0.2', 'premature_share: 1.2', r'a number in \[0, 1\]'),
    ('near_tip_speed_m_s: 1.0', 'near_tip_speed: 1.0', "did you mean 'near_tip_speed_m_s'")])
def test_a_notable_rule_that_makes_no_sense_is_refused(tmp_path, old, new, said):
    text = (share_path('config') / 'scenarios' / 'knife.yaml').read_text(encoding='utf-8')
    head, _, tail = text.partition('\nnotable:')
    path = tmp_path / 'knife.yaml'
    path.write_text(f'{head}\nnotable:{re.sub(rf"{old}.*", new, tail)}')
    with pytest.raises(ScenarioError, match=said):
        load_scenario(path)


def test_a_scenario_is_read_again_from_its_own_data():
    knife = find_scenario('knife')
    again = scenario_from_dict(dict(knife.source), 'here')
    assert again == knife
    assert again.sha256 == knife.sha256
