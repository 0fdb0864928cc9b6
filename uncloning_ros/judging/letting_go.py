# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The moment at which the robot lets go: too early, in answer to a pull, or never.

The giver is responsible for the object, the receiver for the moment (Chan et al., HRI 2012):
fingers that open while the person hardly carries the tool let it fall, and fingers that hold on
after the person has pulled make the person pull harder at a blade.
"""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.judging.measures import UNSUPPORTED_S, steps_of, stretches
from uncloning_ros.judging.trace import Trace
from uncloning_ros.scenario import Scenario

PULL_S = 0.05  # shortest pull (s); less is a touch
# Fingers commanded to open move apart by this (m) in this time (s); a tool that slips out lets
# them close, and one that twists out pushes them apart by less.
_OPENED_M, _OPENING_S = 0.01, 0.1
_GRAVITY_M_S2 = 9.81


@dataclass(frozen=True)
class LettingGo:
    """Times in s from the start; None for events that did not happen or are not defined.

    `opened_s` is the time at which the fingers opened after the lift; `premature` tells whether
    the person then carried less of the tool's weight than the scenario's share. `latency_s` is
    from the pull that asks for the tool to the opening, `over_hold_n` the greatest pull in that
    time, or to the end of an episode in which the fingers never opened. `over_held` tells whether
    it took longer than the scenario's `over_hold_s`.
    """

    opened_s: float | None = None
    premature: bool | None = None
    latency_s: float | None = None
    over_hold_n: float | None = None
    over_held: bool | None = None


def letting_go(trace: Trace, scenario: Scenario, lifted: int | None) -> LettingGo:
    """Return the release of the tool that the robot lifted at step `lifted`, None for no lift."""
    rule, hz = scenario.notable, trace.physics_hz
    opened = None if lifted is None else _opened_step(trace, lifted)
    opened_s = premature = None
    if opened is not None:
        opened_s = opened / hz
        if rule.premature_share is not None:
            weight_n = scenario.tool.mass_kg * _GRAVITY_M_S2
            premature = bool(trace.pull_n[opened] < rule.premature_share * weight_n)
    if rule.pull_n is None or rule.over_hold_s is None:
        return LettingGo(opened_s, premature)
    least = steps_of(PULL_S, hz)
    pulled = next((begin + least - 1 for begin, _ in stretches(trace.pull_n > rule.pull_n, least)),
                  None)
    if pulled is None or (opened is not None and opened < pulled):
        return LettingGo(opened_s, premature, over_held=False)
    until = trace.steps if opened is None else opened + 1
    waited_s = (until - 1 - pulled) / hz
    return LettingGo(opened_s, premature, None if opened is None else waited_s,
                     float(trace.pull_n[pulled:until].max()), waited_s > rule.over_hold_s)


def _opened_step(trace: Trace, lifted: int) -> int | None:
    """Return the first step after the lift at which the fingers opened and stayed off the tool."""
    off = ~trace.finger_contact
    off[:lifted] = False
    look = steps_of(_OPENING_S, trace.physics_hz)
    for begin, _ in stretches(off, steps_of(UNSUPPORTED_S, trace.physics_hz)):
        held_m = float(np.median(trace.gripper_width_m[max(lifted, begin - look):begin]))
        if (trace.gripper_width_m[begin:begin + look] > held_m + _OPENED_M).any():
            return begin
    return None
