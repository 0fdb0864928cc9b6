# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When the robot lets go: too early, in answer to a pull, or not at all.

The giver answers for the object, the receiver for the moment (Chan et al., HRI 2012): fingers
that open while the person carries next to nothing of the tool let it fall, and fingers that
hold on after the person has pulled make the person pull harder at a blade.
"""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.judging.measures import UNSUPPORTED_S, first, steps_of, stretches
from uncloning_ros.judging.trace import Trace
from uncloning_ros.scenario import Scenario

# A pull counts once it has lasted for so long: a touch is none.
PULL_S = 0.05
# Fingers that are told to open get so much wider apart in so short a time; a tool that slips out
# lets them close, and one that twists out pushes them apart by less.
_OPENED_M = 0.01
_OPENING_S = 0.1
_GRAVITY_M_S2 = 9.81


@dataclass(frozen=True)
class LettingGo:
    """Times in s from the start, None for what did not happen or the scenario does not define.

    `opened_s` is when the fingers opened after the lift, `premature` whether the person then
    carried less of the tool's weight than the scenario's share. `latency_s` is from when the
    person had pulled as hard as asks for the tool to the opening; `over_hold_n` the greatest
    pull in that time, or to the end of an episode in which they never opened. `over_held` tells
    whether that took longer than the scenario's `over_hold_s`.
    """

    opened_s: float | None
    premature: bool | None
    latency_s: float | None
    over_hold_n: float | None
    over_held: bool | None


def letting_go(trace: Trace, scenario: Scenario, lifted: int | None) -> LettingGo:
    """Return how the robot let go of the tool that it had lifted, if it had."""
    rule = scenario.notable
    hz = trace.physics_hz
    opened = None if lifted is None else _opened_step(trace, lifted)
    premature = None
    if opened is not None and rule.premature_share is not None:
        weight_n = scenario.tool.mass_kg * _GRAVITY_M_S2
        premature = bool(trace.pull_n[opened] < rule.premature_share * weight_n)
    if rule.pull_n is None or rule.over_hold_s is None:
        return LettingGo(_seconds(opened, hz), premature, None, None, None)
    long_enough = steps_of(PULL_S, hz)
    pulled = next((begin + long_enough - 1 for begin, end in stretches(trace.pull_n > rule.pull_n)
                   if end - begin >= long_enough), None)
    if pulled is None or (opened is not None and opened < pulled):
        return LettingGo(_seconds(opened, hz), premature, None, None, False)
    until = trace.steps if opened is None else opened + 1
    waited_s = (until - 1 - pulled) / hz
    return LettingGo(_seconds(opened, hz), premature, None if opened is None else waited_s,
                     float(trace.pull_n[pulled:until].max()), waited_s > rule.over_hold_s)


def _opened_step(trace: Trace, lifted: int) -> int | None:
    """Return the first step after the lift at which the fingers opened and stayed off the tool."""
    off = ~trace.finger_contact
    off[:lifted] = False
    apart = steps_of(UNSUPPORTED_S, trace.physics_hz)
    look = steps_of(_OPENING_S, trace.physics_hz)
    for begin, end in stretches(off):
        if end - begin < apart:
            continue
        held_m = float(np.median(trace.gripper_width_m[max(lifted, begin - look):begin]))
        wider = trace.gripper_width_m[begin:begin + look] > held_m + _OPENED_M
        if first(wider) is not None:
            return begin
    return None


def _seconds(step: int | None, physics_hz: float) -> float | None:
    return None if step is None else step / physics_hz
