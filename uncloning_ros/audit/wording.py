# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How figures are written, the same on the screen, in the report and on a card."""

from collections.abc import Mapping

from uncloning_ros.scenario import Scenario

# What every place that shows a result has to say.
STATEMENT = ('Statistical evidence under the stated simulated distribution, for this file and no '
             'other. It is no safety certificate and replaces no risk assessment.')

NOT_COVERED = (
    'anything outside the stated distribution: other tools, people, starts and tracking errors',
    'real friction, real perception, arm failures, and the hardware\'s safety functions',
    'other persons in reach, and contact of the person with any part of the arm but the gripper',
    'what the person does with the tool after the robot let go',
    'a different ONNX file, however slightly, and a robot whose deployment part is not the one '
    'that the model carries',
    'a model that was chosen by these very seeds: it has to be audited on others',
)


def percent(rate: float) -> str:
    """Return a rate as '98.7 %', with two decimals where one would hide what is small."""
    value = 100 * rate
    return f'{value:.2f} %' if 0 < value < 2 else f'{value:.1f} %'


def points(difference: Mapping[str, float]) -> str:
    """Return a paired difference with its interval in percentage points: '+1.0 [-0.4, +2.4]'.

    What is not zero is not written as zero, down to a thousandth of a point: that a bound lies on
    one side of it may be all that is asked.
    """
    change, low, high = (_signed(100 * difference[key]) for key in ('difference', 'low', 'high'))
    return f'{change} [{low}, {high}]'


def _signed(value: float) -> str:
    for digits in (1, 2, 3):
        text = f'{value:+.{digits}f}'
        if float(text):
            return text
    return '+0.0'

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
    part, rule = scenario.tool.hazard.part.replace('_', ' '), scenario.unsafe
    words = {'contact': f'the {part} touched a person'}
    if rule.face_neck_clearance_m is not None:
        words['face_neck'] = f'the {part} came near face or neck'
    if rule.pointing_rad is not None:
        words['pointing'] = f'the {part} pointed at the hand from near'
    if rule.thrust_near_m:
        words['thrust'] = f'a thrust of the {part} would have hit the near hand'
    return words


def plain(name: str) -> str:
    """Return a name from data as words."""
    return name.replace('_', ' ')
