# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface between a world and its receiver, who takes the tool.

Each receiver is a file of this folder: it moves a hand, takes the tool, pulls, and withdraws.
The world reports the tool's state to the receiver and applies the receiver's force to the tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from uncloning_ros.geometry import Array


@dataclass(frozen=True)
class HandState:
    """The gripper of an arm that receives, which the world moves as its policy commands.

    `pose` (9,) is the palm's, `touches` whether both fingers touch the tool, `pull_n` the
    horizontal force at the wrist.
    """

    pose: Array
    touches: bool
    pull_n: float


@dataclass(frozen=True)
class ToolState:
    """The tool as the receiver sees and feels it, in the base frame.

    `distance_m[part]` is from the palm to the surface of each part, `speed_m_s` the tool's,
    `lift_m` its height above its place on the stand, `in_fingers` whether the gripper touches it.
    `hand` is the receiver's own gripper where the world has one: None for a person.
    """

    distance_m: Mapping[str, float]
    speed_m_s: float
    lift_m: float
    in_fingers: bool
    hand: HandState | None = None


class Receiver(Protocol):
    """One episode's receiver; it draws all that is random when it is made.

    `offer_m` (3,) is the place of the offered hand, `rest_m` (3,) that of the resting one.
    `drawn` has the values drawn for the episode, by name with their unit.
    `capsule_radius_m` has the radius of each body part's capsule, by name; judging needs a
    `hand`, and looks at `face` and `neck` where there are any. `held_part` names the part of the
    tool in the hand, None while the hand is empty.
    """

    offer_m: Array
    rest_m: Array
    drawn: Mapping[str, float]
    capsule_radius_m: Mapping[str, float]
    held_part: str | None

    @property
    def shoulder_m(self) -> Array | None:
        """Return the shoulder (3,) of the reaching arm, for pictures; None without an arm."""

    @property
    def has_tool(self) -> bool:
        """Tell whether the receiver holds the tool and the robot has let go of it."""

    def palm(self, now_s: float) -> Array:
        """Return the pose (9,) of the empty hand: +x out of the palm."""

    def update(self, now_s: float, dt_s: float, tool: ToolState) -> None:
        """Advance by one physics step."""

    def pull_n(self, now_s: float) -> float:
        """Return the force in N with which the receiver pulls at the tool."""

    def withdrawal(self, now_s: float) -> float:
        """Return the share, 0 to 1, of the hand's way back to its place of rest."""

    def capsules(self, palms: Array) -> Mapping[str, Array]:
        """Return the ends (T, 2, 3) of each body part's capsule for palm poses (T, 9)."""
