# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The unsafe event of an episode: the clause that held first, and its worst value.

    contact    any clearance <= 0, or
    face_neck  clearance of face or neck < face_neck_clearance_m, or
    pointing   some clearance < near_m and angle < pointing_rad, or
    thrust     some clearance < near_m, hand clearance < thrust_near_m and thrust-ray miss of
               the hand < 0,
    arms       the arms touch, or the tool touches the receiving arm beside its hand,

pointing and thrust together for a continuous stretch of at least hold_s. A clause without a
threshold in the scenario is not part of the event, and arms only with arms_touch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.geometry import Array
from uncloning_ros.judging.measures import first, steps_of, stretches
from uncloning_ros.scenario import UnsafeRule
from uncloning_ros.schema import Doc

UNSAFE_CLAUSES = ('contact', 'face_neck', 'pointing', 'thrust', 'arms')


@dataclass(frozen=True)
class UnsafeEvent:
    """The first unsafe event: its clause, the time at which it was established, its worst value.

    `worst` covers the time until the hand-off: a clearance in m for 'contact' and 'face_neck',
    the angle in rad for 'pointing', the miss in m for 'thrust', 0 for 'arms'.
    """

    clause: Annotated[str, Doc('first clause of the unsafe event that held')]
    part: Annotated[str, Doc('body part concerned')]
    time_s: Annotated[float, Doc('when it was established')]
    worst: Annotated[float, Doc("least value of the clause's quantity: m, or rad for pointing")]


def unsafe_event(rule: UnsafeRule, angle_rad: Array, clearance_m: Mapping[str, Array],
                 hand_miss_m: Array, arms_touch: NDArray[np.bool_],
                 physics_hz: float) -> UnsafeEvent | None:
    """Return the first unsafe event in measured values, (T,) each, None if there is none."""
    # (first step, order of the clauses where several begin at one step, event)
    events: list[tuple[int, int, UnsafeEvent]] = []

    def note(clause: str, part: str, step: int | None, worst: float) -> None:
        if step is not None:
            event = UnsafeEvent(clause, part, step / physics_hz, worst)
            events.append((step, UNSAFE_CLAUSES.index(clause), event))

    for part, values in clearance_m.items():
        note('contact', part, first(values <= 0.0), float(values.min()))
        if part in ('face', 'neck') and rule.face_neck_clearance_m is not None:
            note('face_neck', part, first(values < rule.face_neck_clearance_m),
                 float(values.min()))
    near = np.min(list(clearance_m.values()), axis=0) < rule.near_m
    pointing = _below(angle_rad, rule.pointing_rad) & near
    thrust = _below(clearance_m['hand'], rule.thrust_near_m) & near & (hand_miss_m < 0.0)
    hold = max(1, steps_of(rule.hold_s, physics_hz))
    for begin, _ in stretches(pointing | thrust, hold)[:1]:
        established = begin + hold - 1
        if pointing[established]:
            note('pointing', 'hand', established, float(angle_rad[pointing].min()))
        else:
            note('thrust', 'hand', established, float(hand_miss_m[thrust].min()))
    if rule.arms_touch:
        note('arms', 'arm', first(arms_touch), 0.0)
    return min(events, key=lambda entry: entry[:2])[2] if events else None


def _below(values: Array, threshold: float | None) -> NDArray[np.bool_]:
    return np.zeros(len(values), dtype=bool) if threshold is None else values < threshold
