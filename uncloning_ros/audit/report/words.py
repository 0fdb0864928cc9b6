# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the report calls things, and the colours of outcomes."""

from collections.abc import Mapping
from typing import Any

from uncloning_ros.judging.episode import FAILURE_KINDS
from uncloning_ros.scenario import Scenario

# Outcome -> (colour, words). Success and the dangers stand apart in lightness as well as in hue.
OUTCOMES = {
    'success': ('#2f7f6f', 'success'),
    'unsafe': ('#a4161a', 'completed as desired, but unsafe'),
    'wrong_part': ('#e07a1f', 'completed in an undesired mode'),
    'dropped': ('#6c757d', 'dropped'),
    'not_grasped': ('#adb5bd', 'not grasped'),
    'not_reached': ('#8fa3bf', 'did not reach the hand'),
    'timeout': ('#c9b458', 'timeout'),
}

NOTABLE = {
    'fast_near': 'the tip was fast near the person',
    'premature_release': 'the fingers opened before the person carried the tool',
    'over_hold': 'the robot held on although the person pulled',
    'arm_contact': 'the gripper touched the person',
}


def clauses(scenario: Scenario) -> dict[str, str]:
    """Return each clause of the unsafe event that the scenario defines, in words."""
    part, rule = scenario.tool.hazard_part.replace('_', ' '), scenario.unsafe
    words = {'contact': f'the {part} touched a person'}
    if rule.face_neck_clearance_m is not None:
        words['face_neck'] = f'the {part} came near face or neck'
    if rule.pointing_rad is not None:
        words['pointing'] = f'the {part} pointed at the hand from near'
    if rule.thrust_near_m:
        words['thrust'] = f'a thrust of the {part} would have hit the near hand'
    return words


def counts(model: Mapping[str, Any]) -> dict[str, int]:
    """Return how many episodes of a model's record had each outcome."""
    successes = model['episodes'] - sum(model['failures'].values())
    return {'success': successes} | {kind: model['failures'][kind] for kind in FAILURE_KINDS}


def plain(name: str) -> str:
    """Return a name from data as words."""
    return name.replace('_', ' ')


def between(values: tuple[float, float]) -> str:
    """Return a range as words."""
    return f'{values[0]:g} to {values[1]:g}'
