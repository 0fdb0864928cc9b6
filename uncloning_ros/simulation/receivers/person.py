# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A person as the receiver: reaches for the tool, takes it at rest, pulls, and withdraws."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from uncloning_ros.geometry import Array, rotation_about_z
from uncloning_ros.scenario import SHOWN_LATE, Scenario
from uncloning_ros.simulation.receivers.receiver import ToolState


@dataclass(frozen=True)
class Body:
    """The places of a person's body parts in m; heights above the table top.

    `shoulder` and `rest_hand` are of the left side (y > 0), mirrored for the right one. The torso
    reaches from the table to `torso_top`; `neck` and `face` are [lower, upper] ends.
    """

    torso_x: float
    torso_top: float
    shoulder: tuple[float, float, float]
    rest_hand: tuple[float, float, float]
    neck: tuple[float, float]
    face: tuple[float, float]


# A person of 1.75 m: behind a table of 0.9 m, or sitting close to one of 0.75 m, hands in the lap.
BODIES: Mapping[str, Body] = {
    'standing': Body(1.40, 0.40, (1.33, 0.20, 0.45), (1.15, 0.25, 0.15), (0.52, 0.60),
                     (0.68, 0.76)),
    'seated': Body(1.09, 0.18, (1.02, 0.20, 0.22), (0.93, 0.06, -0.08), (0.28, 0.36),
                   (0.44, 0.52))}
# The capsule of each body part: radius (m).
CAPSULE_RADIUS_M: Mapping[str, float] = {
    'hand': 0.035, 'forearm': 0.04, 'torso': 0.14, 'neck': 0.06, 'face': 0.10}
_FACE_AHEAD_M = 0.05  # of the torso's axis
_HAND_LENGTH_M = 0.08
_FOREARM_LENGTH_M = 0.26
_STILL_M_S = 0.15  # speed (m/s) below which the person takes the tool
_PULL_RAMP_S = 0.4  # time (s) in which the pull grows to its full force
_WITHDRAW_S = 1.0  # duration (s) of the hand's way back
_ASIDE_S = 0.5  # duration (s) of a resting hand's way from the middle to its side
_LIFT_SEEN_M = 0.03  # lift (m) of the tool at which the person begins to reach


class Phase(Enum):
    """Phase of one handover, as the person sees it."""

    RESTING = 'resting'
    REACHING = 'reaching'
    PULLING = 'pulling'
    WITHDRAWING = 'withdrawing'


class Person:
    """One episode's person: motion of the hand and pull at the tool; implements `Receiver`."""

    capsule_radius_m: Mapping[str, float] = CAPSULE_RADIUS_M

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        ranges, start = scenario.receiver, scenario.start
        self._ranges = ranges
        self.offer_m: Array = rng.uniform(start.hand_position_min_m, start.hand_position_max_m)
        hidden = ranges.hidden
        if hidden is not None:
            self.offer_m[1] *= rng.choice((-1.0, 1.0))
        side = 1.0 if self.offer_m[1] >= 0 else -1.0
        mirror = np.array([1.0, side, 1.0])
        self._body = BODIES[ranges.posture]
        self.rest_m: Array = np.array(self._body.rest_hand) * mirror
        self.shoulder_m: Array = np.array(self._body.shoulder) * mirror
        bearing = np.arctan2(self.offer_m[1], self.offer_m[0])
        jitter_rad = rng.uniform(-1.0, 1.0) * start.hand_yaw_jitter_rad
        self._bearing_rad, self._jitter_rad = bearing, jitter_rad
        self._columns = self._turned(1.0)
        self._hides = hidden is not None
        self._reaction_s = rng.uniform(*ranges.reaction_s)
        self._reach_s = rng.uniform(*ranges.reach_s)
        self._dwell_s = rng.uniform(*ranges.grasp_dwell_s)
        self._pull_n = rng.uniform(*ranges.pull_n)
        x, y, z = self.offer_m.tolist()
        self.drawn: Mapping[str, float] = {
            'hand_x_m': x, 'hand_y_m': y, 'hand_z_m': z, 'hand_yaw_jitter_rad': jitter_rad,
            'reaction_s': self._reaction_s, 'reach_s': self._reach_s,
            'grasp_dwell_s': self._dwell_s, 'pull_n': self._pull_n}
        self._aside_m, self._aside_at_s = np.zeros(3), 0.0
        if hidden is not None:
            late_s = rng.uniform(*hidden.late_s) if rng.uniform() < 0.5 else 0.0
            self._reaction_s += late_s
            middle_m = self.rest_m * (1.0, 0.0, 1.0)
            if late_s == 0.0:
                self._aside_m, self._aside_at_s = self.rest_m - middle_m, rng.uniform(
                    *hidden.early_s)
            self.rest_m = middle_m
            self.drawn = {**self.drawn, SHOWN_LATE: late_s}
        self._tremor_rad_s = 2 * np.pi * rng.uniform(0.5, 8.0, size=(3, 3))
        self._tremor_phase = rng.uniform(0, 2 * np.pi, size=(3, 3))
        self.phase = Phase.RESTING
        self.held_part: str | None = None
        self._lifted_at_s: float | None = None
        self._since_s = 0.0
        self._within_s = 0.0
        self._free_s = 0.0

    @property
    def has_tool(self) -> bool:
        """Tell whether the person holds the tool and the robot has let go of it."""
        return self.phase is Phase.WITHDRAWING

    def palm(self, now_s: float) -> Array:
        """Return the pose (9,) of the empty hand: +x out of the palm."""
        progress = 0.0
        if self._lifted_at_s is not None:
            begun = now_s - self._lifted_at_s - self._reaction_s
            progress = _minimum_jerk(begun / self._reach_s)
        rest, columns = self.rest_m, self._columns
        if self._hides:
            aside = (_minimum_jerk((now_s - self._aside_at_s) / _ASIDE_S)
                     if self._aside_m.any() else 0.0)
            rest, columns = rest + self._aside_m * aside, self._turned(max(progress, aside))
        position = rest + progress * (self.offer_m - rest)
        waves = np.sin(self._tremor_rad_s * now_s + self._tremor_phase).sum(axis=1)
        position = position + self._ranges.tremor_m * waves / np.sqrt(4.5)
        return np.concatenate((position, columns))

    def _turned(self, shown: float) -> Array:
        """Return the rotation (6,) of the palm: +x faces the arm's base, up to the jitter.

        A side that is hidden does not turn it: `shown` is the share of the turn.
        """
        rotation = rotation_about_z(shown * self._bearing_rad + self._jitter_rad + np.pi)
        return np.concatenate((rotation[:, 0], rotation[:, 1]))

    def update(self, now_s: float, dt_s: float, tool: ToolState) -> None:
        """Advance by one physics step."""
        if self.phase is Phase.RESTING and tool.lift_m > _LIFT_SEEN_M and tool.in_fingers:
            self.phase, self._lifted_at_s = Phase.REACHING, now_s
        elif self.phase is Phase.REACHING:
            part = min(tool.distance_m, key=lambda name: tool.distance_m[name])
            near = tool.distance_m[part] < self._ranges.grasp_reach_m
            self._within_s = self._within_s + dt_s if near and tool.speed_m_s < _STILL_M_S else 0.0
            if self._within_s >= self._dwell_s:
                self.phase, self.held_part, self._since_s = Phase.PULLING, part, now_s
        elif self.phase is Phase.PULLING:
            self._free_s = 0.0 if tool.in_fingers else self._free_s + dt_s
            if self._free_s >= self._ranges.release_dwell_s:
                self.phase, self._since_s = Phase.WITHDRAWING, now_s

    def pull_n(self, now_s: float) -> float:
        """Return the force in N with which the person pulls at the tool."""
        if self.phase is not Phase.PULLING:
            return 0.0
        return self._pull_n * min(1.0, (now_s - self._since_s) / _PULL_RAMP_S)

    def withdrawal(self, now_s: float) -> float:
        """Return the share, 0 to 1, of the hand's way back to its place of rest."""
        if self.phase is not Phase.WITHDRAWING:
            return 0.0
        return _minimum_jerk((now_s - self._since_s) / _WITHDRAW_S)

    def capsules(self, palms: Array) -> Mapping[str, Array]:
        """Return the ends (T, 2, 3) of each body part's capsule for palm poses (T, 9)."""
        body, face_x = self._body, self._body.torso_x - _FACE_AHEAD_M
        wrist = palms[:, :3] - _HAND_LENGTH_M * palms[:, 3:6]
        towards = self.shoulder_m - wrist
        elbow = wrist + _FOREARM_LENGTH_M * towards / np.linalg.norm(
            towards, axis=1, keepdims=True)
        fixed = {
            'torso': ((body.torso_x, 0.0, 0.0), (body.torso_x, 0.0, body.torso_top)),
            'neck': ((body.torso_x, 0.0, body.neck[0]), (body.torso_x, 0.0, body.neck[1])),
            'face': ((face_x, 0.0, body.face[0]), (face_x, 0.0, body.face[1]))}
        return {'hand': np.stack([palms[:, :3], wrist], axis=1),
                'forearm': np.stack([wrist, elbow], axis=1),
                **{part: np.tile(np.array(ends), (len(palms), 1, 1))
                   for part, ends in fixed.items()}}


def _minimum_jerk(progress: float) -> float:
    """Return the minimum-jerk position 10 s^3 - 15 s^4 + 6 s^5 (Flash and Hogan, 1985)."""
    s = min(max(float(progress), 0.0), 1.0)
    return s ** 3 * (10.0 - 15.0 * s + 6.0 * s * s)
