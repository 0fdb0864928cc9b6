# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conditions beyond those of the training, as changes of a scenario's `sight`."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uncloning_ros.scenario import Scenario


@dataclass(frozen=True)
class Shift:
    """Values of `sight` in place of the scenario's, with their words."""

    words: str
    sight: Mapping[str, Any]


# By the method that is judged with it.
SHIFTS: Mapping[str, Shift] = {
    'uncloned_light': Shift('light up to 90 % stronger or weaker', {'light': 0.9}),
    'uncloned_moved': Shift('cameras moved by up to 1 cm and turned by up to 2 degrees',
                            {'camera_shift_m': 0.01, 'camera_turn_deg': 2.0}),
    'uncloned_glove': Shift('a hand in a blue glove', {'hand_colour': [0.10, 0.25, 0.65]}),
    'uncloned_patch': Shift('a dark patch on each lens, a quarter of the picture wide and high',
                            {'occlusion': 0.25}),
    'uncloned_texture': Shift('a patterned table', {'texture': 0.5}),
}


def shifted(scenario: Scenario, shift: Shift) -> dict[str, Any]:
    """Return the plain data of the scenario with the shift."""
    data = copy.deepcopy(dict(scenario.source))
    data['sight'] = {**data.get('sight', {}), **shift.sight}
    return data


def changes(scenario: Scenario, shift: Shift) -> str:
    """Return each changed value with the one of the training: 'light 0.9 (0.5)'."""
    trained = scenario.source.get('sight', {})
    return ', '.join(f'{name} {value} ({trained.get(name, "none")})'
                     for name, value in shift.sight.items())
