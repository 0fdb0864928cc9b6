# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw what the scripted teacher does wrong at first: offers and grasps that miss."""

import math
from dataclasses import dataclass, replace

import numpy as np

from uncloning_ros.geometry import Array, rotation_about_z
from uncloning_ros.scenario import ModeRule, Scenario

# An offer that misses: the tool stays out of the person's reach by so much (m), and the teacher
# waits so long (s) for a pull before it notices.
_MISS_ROOM_M, _NOTICED_S = (0.01, 0.03), (0.3, 1.0)
_MOST_MISSES = 2
_MISS_STEP_M, _MOST_MISS_M = 0.005, 0.16
_MISS_STREAM = 0x3155  # of the draws of a seed: those of an ordinary handover are others
# A grasp that misses: the fingers close so far (m) above the grasp, and so far beside it at most,
# and rise for so long (s) before the teacher notices. The arm rose before they had closed: that is
# how policies miss a tool that they see well.
_ABOVE_M, _BESIDE_M, _RISING_S = (0.03, 0.07), 0.02, (0.1, 1.5)
_ASTRAY_STREAM = 0xA57A


@dataclass(frozen=True)
class Miss:
    """One offer that misses: by `offset_m` (3,) in the palm's frame, noticed after `noticed_s`.

    The next offer is made from where the tool is, or `from_afar`.
    """

    offset_m: Array
    noticed_s: float
    from_afar: bool


@dataclass(frozen=True)
class MissedGrasp:
    """A grasp `offset_m` (3,) off, in the tool's frame, noticed after a rise of `noticed_s`."""

    offset_m: Array
    noticed_s: float


def missed_offers(scenario: Scenario, rule: ModeRule, turn_rad: float, seed: int) -> list[Miss]:
    """Return the offers that miss the hand before the one that does not: none, one or two."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, _MISS_STREAM)))
    misses: list[Miss] = []
    # The tool as it is offered, in the palm's frame.
    turn = rotation_about_z(turn_rad + (0.0 if rule.handle_first else np.pi))
    present = np.array([rule.present_x_m, 0.0, 0.0])
    while len(misses) < _MOST_MISSES and rng.uniform() < scenario.teacher.missed_offers:
        out, side, up = rng.uniform(-0.25, 0.25, size=3)
        sign, from_afar = rng.choice((-1.0, 1.0)), bool(rng.uniform() < 0.5)
        kind = rng.integers(4)
        if kind == 0:  # short of the hand
            out, from_afar = 1.0, False
        elif kind == 1:
            side = sign
        elif kind == 2:
            up = sign
        else:  # past the hand, beside or above it: below it the gripper would run into it
            out, from_afar = rng.uniform(-1.0, -0.5), True
            side, up = (sign, up) if rng.uniform() < 0.7 else (side, 1.0)
        direction = np.array([out, side, up]) / math.hypot(out, side, up)
        room_m = scenario.receiver.grasp_reach_m + rng.uniform(*_MISS_ROOM_M)
        offsets = np.arange(0.0, _MOST_MISS_M, _MISS_STEP_M)[:, None] * direction
        clear = _distances(scenario, present - offsets @ turn) > room_m
        misses.append(Miss(offsets[int(np.argmax(clear)) if clear.any() else -1],
                            rng.uniform(*_NOTICED_S), from_afar))
    # From one miss to another the way goes around the hand.
    return [replace(miss, from_afar=True) for miss in misses[:-1]] + misses[-1:]


def missed_grasp(scenario: Scenario, seed: int) -> MissedGrasp | None:
    """Return the first grasp if it misses the tool."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, _ASTRAY_STREAM)))
    if rng.uniform() >= scenario.teacher.missed_grasps:
        return None
    beside = rng.uniform(-_BESIDE_M, _BESIDE_M, size=2)
    return MissedGrasp(np.array([*beside, rng.uniform(*_ABOVE_M)]), rng.uniform(*_RISING_S))


def _distances(scenario: Scenario, points: Array) -> Array:
    """Return the distances (N,) of points (N, 3) in the tool's frame from its surface."""
    gaps = [np.linalg.norm(np.maximum(np.abs(points - part.center_m)
                                      - np.array(part.size_m) / 2, 0.0), axis=1)
            for part in scenario.tool.parts.values()]
    return np.asarray(np.min(gaps, axis=0))
