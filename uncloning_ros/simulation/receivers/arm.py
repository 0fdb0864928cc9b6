# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A second arm as the receiver: its own policy moves it, here its gripper is watched."""

from collections.abc import Mapping

import numpy as np

from uncloning_ros.geometry import Array, cross, position_of
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.receivers.receiver import ToolState

# The capsule of each part of the gripper and wrist: radius (m), and its ends (m) in the palm's
# frame, +x out of the palm, +z away from the finger tips.
CAPSULES: Mapping[str, tuple[float, tuple[tuple[float, float, float], ...]]] = {
    'hand': (0.020, ((0.0, 0.0, 0.010), (0.0, 0.0, 0.045))),
    'gripper': (0.040, ((0.0, -0.065, 0.080), (0.0, 0.065, 0.080))),
    'wrist': (0.055, ((0.0, 0.0, 0.130), (0.0, 0.0, 0.212)))}
_SETTLED_S = 0.1  # time (s) after which a contact of both fingers, or its loss, is believed
_WITHDRAWN_M = 0.12  # way (m) of the gripper from the exchange to the end of the episode


def palm_of(tool_pose: Array) -> Array:
    """Return the palm (..., 9) of a gripper: at its tool centre point, +x ahead, +z up."""
    # The gripper's +z points at the finger tips: the palm's frame is half a turn about x.
    return np.concatenate([tool_pose[..., :6], -tool_pose[..., 6:9]], axis=-1)


class Arm:
    """One episode's receiving arm, as its fingers hold the tool; implements `Receiver`.

    `held_part` is the part that was nearest to the palm when both fingers had touched the tool
    for long enough; it is lost in the same way. `offer_m` is the place where it was taken, before
    that the place of the palm.
    """

    capsule_radius_m: Mapping[str, float] = {part: one[0] for part, one in CAPSULES.items()}
    shoulder_m = None

    def __init__(self, scenario: Scenario, _: np.random.Generator) -> None:
        assert scenario.receiver_arm is not None
        self._dwell_s = scenario.receiver.release_dwell_s
        self.drawn: Mapping[str, float] = {}
        self.held_part: str | None = None
        self.rest_m = self.offer_m = np.zeros(3)
        self._palm = np.zeros(9)
        self._pull_n = 0.0
        self._changing_s = self._free_s = 0.0
        self._begun = False

    @property
    def has_tool(self) -> bool:
        """Tell whether the arm holds the tool and the other arm has let go of it."""
        return self._free_s >= self._dwell_s

    def palm(self, now_s: float) -> Array:
        """Return the pose (9,) of the gripper at the last step: +x ahead of it."""
        return self._palm

    def update(self, now_s: float, dt_s: float, tool: ToolState) -> None:
        """Advance by one physics step."""
        hand = tool.hand
        assert hand is not None
        self._palm = hand.pose
        if not self._begun:
            self._begun, self.rest_m = True, position_of(hand.pose)
        self._changing_s = (self._changing_s + dt_s
                            if hand.touches != (self.held_part is not None) else 0.0)
        if self._changing_s >= _SETTLED_S:
            self._changing_s = 0.0
            self.held_part = (min(tool.distance_m, key=lambda name: tool.distance_m[name])
                              if hand.touches else None)
        if self.held_part is None:
            self.offer_m = position_of(hand.pose)
        free = self.held_part is not None and not tool.in_fingers
        self._free_s = self._free_s + dt_s if free else 0.0
        self._pull_n = hand.pull_n if self.held_part is not None and tool.in_fingers else 0.0

    def pull_n(self, now_s: float) -> float:
        """Return the horizontal force in N at the wrist while both arms hold the tool."""
        return self._pull_n

    def withdrawal(self, now_s: float) -> float:
        """Return the share, 0 to 1, of the way from the exchange that ends the episode."""
        way_m = float(np.linalg.norm(position_of(self._palm) - self.offer_m))
        return min(1.0, way_m / _WITHDRAWN_M) if self.has_tool else 0.0

    def capsules(self, palms: Array) -> Mapping[str, Array]:
        """Return the ends (T, 2, 3) of the capsules of gripper and wrist for palms (T, 9)."""
        axes = np.stack([palms[:, 3:6], palms[:, 6:9], cross(palms[:, 3:6], palms[:, 6:9])],
                        axis=1)
        return {part: palms[:, None, :3] + np.array(ends) @ axes
                for part, (_, ends) in CAPSULES.items()}
