# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How figures are written, the same on the screen, in the report and on a card."""

from collections.abc import Mapping

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
