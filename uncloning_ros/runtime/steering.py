# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steer the arm by hand: deflections of a gamepad or a SpaceMouse become limited commands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from uncloning_ros.contract import Contract
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    position_of,
    rotation_from_quaternion,
    rotation_of,
)
from uncloning_ros.runtime.limits import Limiter

# Deflection below which an axis is at rest: sticks do not return to 0.
_REST = 0.08


@dataclass(frozen=True)
class Layout:
    """Where a device has its axes and buttons, by number.

    `axes` are those of x, y, z and of the turns about them: (number, sign), None without one.
    """

    axes: tuple[tuple[int, float] | None, ...]
    switch_button: int
    gripper_button: int


@dataclass(frozen=True)
class Deflection:
    """The state of a device: `motion` (6,) within -1 and 1, and the two buttons."""

    motion: Array
    switch: bool
    gripper: bool


def layout_of(axes: str, switch_button: int, gripper_button: int) -> Layout:
    """Return the layout for six words, as in '1 0 4 . . -3': a '-' reverses, '.' leaves out."""
    words = axes.split()
    found: list[tuple[int, float] | None] = []
    for word in words:
        if not (word == '.' or word.removeprefix('-').isdecimal()):
            raise ContractError(f'axes: expected numbers of axes, or . for none, got {word!r}')
        found.append(None if word == '.' else (int(word.removeprefix('-')),
                                               -1.0 if word.startswith('-') else 1.0))
    if len(words) != 6 or not any(found):
        raise ContractError(f'axes: expected six of them, for x, y, z and the turns about them, '
                            f"got {axes!r}; write a '.' for each that is not there")
    if switch_button == gripper_button:
        raise ContractError(f'expected a button of its own for the switch and for the gripper, '
                            f'got {switch_button} for both')
    return Layout(tuple(found), switch_button, gripper_button)


def deflection(layout: Layout, axes: Sequence[float], buttons: Sequence[int]) -> Deflection:
    """Return the deflection that a message describes.

    Raise `ContractError` for a message that lacks an axis or a button, or has a wild value.
    """
    most_axis = max(place[0] for place in layout.axes if place is not None)
    most_button = max(layout.switch_button, layout.gripper_button)
    if len(axes) <= most_axis or len(buttons) <= most_button:
        raise ContractError(f'expected at least {most_axis + 1} axes and {most_button + 1} '
                            f'buttons, got {len(axes)} and {len(buttons)}; give the numbers of '
                            f'this device')
    values = np.array([0.0 if place is None else place[1] * axes[place[0]]
                       for place in layout.axes])
    if not np.isfinite(values).all():
        raise ContractError(f'expected finite axes, got {list(axes)}; check the device')
    values = np.clip(values, -1.0, 1.0)
    # From rest on, so that a slight deflection is a slow motion.
    motion = np.sign(values) * np.clip((np.abs(values) - _REST) / (1.0 - _REST), 0.0, None)
    return Deflection(motion, bool(buttons[layout.switch_button]),
                      bool(buttons[layout.gripper_button]))


class Steering:
    """Give the commands of one grip of the switch, one for each command period.

    They begin at the measured pose and at the gripper's last command, move at most as fast as
    `speed_m_s` and `turn_rad_s`, and keep the limits of the contract. Raise `ContractError` for
    a contract that commands anything but one pose and gripper widths.
    """

    def __init__(self, contract: Contract, speed_m_s: float, turn_rad_s: float,
                 open_width_m: float) -> None:
        interface = contract.interface
        kinds = [action.kind for action in interface.actions]
        if kinds.count('pose') != 1 or not {*kinds} <= {'pose', 'gripper_width'}:
            raise ContractError(f'expected a contract that commands one pose, and at most gripper '
                                f'widths beside it, got {", ".join(kinds)}; teleoperate this arm '
                                f'with a node of its own')
        slices = interface.action_slices
        self._pose = next(slices[one.key] for one in interface.actions if one.kind == 'pose')
        self._widths = [slices[one.key] for one in interface.actions if one.kind != 'pose']
        # Not faster than that either on the way back into the workspace.
        limits = contract.deployment.limits
        slow = replace(limits, speed_m_s=min(speed_m_s, limits.speed_m_s),
                       rotation_speed_rad_s=min(turn_rad_s, limits.rotation_speed_rad_s))
        self._limiter = Limiter(replace(contract, deployment=replace(contract.deployment,
                                                                     limits=slow)))
        self._period_s = 1.0 / contract.deployment.command_rate_hz
        self._speed_m_s, self._turn_rad_s = speed_m_s, turn_rad_s
        self._open_width_m = open_width_m
        self._last: Array | None = None
        self._gripper_was = False

    def begin(self, measured: Array, widths: Array) -> Array:
        """Begin a grip: return the command (action_dim,) that keeps arm and gripper.

        `measured` is the measured state in the layout of a command; of it the gripper is replaced
        by its last command, as `widths` (action_dim,) has it.
        """
        command = measured.copy()
        for part in self._widths:
            command[part] = widths[part]
        self._last, self._gripper_was = command, True
        return command

    def steer(self, given: Deflection, measured: Array) -> Array:
        """Return the next command (action_dim,) of the grip."""
        assert self._last is not None, 'a grip begins before it steers'
        command = self._last.copy()
        position = position_of(command[self._pose]) + (
            self._speed_m_s * self._period_s * given.motion[:3])
        turn = self._turn_rad_s * self._period_s * given.motion[3:]
        command[self._pose] = pose_from_parts(
            position, _rotation(turn) @ rotation_of(command[self._pose]))
        if given.gripper and not self._gripper_was:
            for part in self._widths:
                shut = command[part] <= 0.5 * self._open_width_m
                command[part] = np.where(shut, self._open_width_m, 0.0)
        self._gripper_was = given.gripper
        limited = self._limiter.apply(command, self._last, measured)
        assert limited is not None, 'a finite motion of a pose was rejected'
        self._last = limited
        return limited

    def rest(self, measured: Array) -> Array:
        """Return the last command of the grip: the arm stops where it is measured."""
        assert self._last is not None, 'a grip begins before it ends'
        command = measured.copy()
        for part in self._widths:
            command[part] = self._last[part]
        limited = self._limiter.apply(command, self._last, measured)
        assert limited is not None, 'the measured pose was rejected'
        return limited


def _rotation(turn: Array) -> Array:
    """Return the rotation matrix (3, 3) of a turn (3,) in rad about its own direction."""
    angle = float(np.linalg.norm(turn))
    half = 0.5 * np.sinc(angle / (2.0 * math.pi))
    return rotation_from_quaternion(np.append(half * turn, math.cos(angle / 2.0)))
