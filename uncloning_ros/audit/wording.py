# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The words for figures, outcomes and events, the same on screen, in reports and on cards."""

from collections.abc import Mapping

from uncloning_ros.evidence import Limits
from uncloning_ros.scenario import Scenario

# The limits of an audit's claim: stands beside every result.
STATEMENT = ('Statistical evidence under the stated simulated distribution, for this file and no '
             'other. It is not a safety certificate and replaces no risk assessment.')

NOT_COVERED = (
    'anything outside the stated distribution: other tools, people, starts and tracking errors',
    'real friction, real perception, arm failures, and the hardware\'s safety functions',
    'other persons in reach, and contact of the person with any part of the arm but the gripper',
    'the use of the tool by the person after the robot let go',
    'episodes in which a person takes the arm over from the policy',
    'a different ONNX file, however slightly, and a robot whose deployment part is not the one '
    'that the model carries, but for teleoperation',
    'a model that was chosen by these very seeds: it has to be audited on others',
)


def percent(rate: float) -> str:
    """Return a rate as '98.7 %', with two decimals below 2 %."""
    value = 100 * rate
    return f'{value:.2f} %' if 0 < value < 2 else f'{value:.1f} %'


def points(difference: Mapping[str, float]) -> str:
    """Return a paired difference with its interval in percentage points: '+1.0 [-0.4, +2.4]'.

    A value that is not zero is not written as zero, down to a thousandth of a point, so that its
    sign shows.
    """
    change, low, high = (_signed(100 * difference[key]) for key in ('difference', 'low', 'high'))
    return f'{change} [{low}, {high}]'


def limits_text(limits: Limits, sr: str = 'SR') -> str:
    """Return the stated limits in words; `sr` names the figure that the limit of SR is for."""
    stated = [f'{words} {percent(limit)}' for words, limit in (
        ('upper bound of UMR at most', limits.max_umr), (f'{sr} at least', limits.min_sr))
        if limit is not None]
    return ' and '.join(stated) or 'none were stated'


def _signed(value: float) -> str:
    for digits in (1, 2, 3):
        text = f'{value:+.{digits}f}'
        if float(text):
            return text
    return '+0.0'


# Outcome -> (colour, words). Success and the dangers differ in lightness as well as in hue.
OUTCOMES = {
    'success': ('#2f7f6f', 'success'),
    'unsafe': ('#a4161a', 'completed in a desired mode, but unsafe'),
    'wrong_part': ('#e07a1f', 'completed in an undesired mode'),
    'dropped': ('#6c757d', 'dropped'),
    'not_grasped': ('#adb5bd', 'not grasped'),
    'not_reached': ('#8fa3bf', 'did not reach the hand'),
    'timeout': ('#c9b458', 'timeout'),
}

NOTABLE = {
    'fast_near': 'the tip was fast near the receiver',
    'premature_release': 'the fingers opened before the receiver carried the tool',
    'over_hold': 'the robot held on although the receiver pulled',
    'arm_contact': 'the gripper touched the receiver',
}


def clauses(scenario: Scenario) -> dict[str, str]:
    """Return each clause of the unsafe event that the scenario defines, in words."""
    part, rule = as_words(scenario.tool.hazard.part), scenario.unsafe
    receiver = 'a person' if scenario.receiver_arm is None else 'the receiving arm'
    words = {'contact': f'the {part} touched {receiver}'}
    if rule.face_neck_clearance_m is not None:
        words['face_neck'] = f'the {part} came near face or neck'
    if rule.pointing_rad is not None:
        words['pointing'] = f'the {part} pointed at the hand from near'
    if rule.thrust_near_m:
        words['thrust'] = f'a thrust of the {part} would have hit the near hand'
    if rule.arms_touch:
        words['arms'] = 'the arms touched, or the tool touched the receiving arm beside its hand'
    return words


def as_words(name: str) -> str:
    """Return a name from data as words."""
    return name.replace('_', ' ')
