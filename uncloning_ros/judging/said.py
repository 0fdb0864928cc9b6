# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hold the intents that a policy said in one episode against the handover that it did."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from uncloning_ros.geometry import position_of
from uncloning_ros.judging.measures import lifted_step
from uncloning_ros.judging.trace import Trace
from uncloning_ros.policy_io import Intent
from uncloning_ros.schema import Doc


@dataclass(frozen=True)
class Said:
    """The intents of an episode's plans; null where the tool was not lifted in a mode."""

    mode: Annotated[str, Doc('mode that the first plan said')]
    grasp_apart_m: Annotated[float | None, Doc('grasp of the first plan from the done one')]
    read_s: Annotated[float | None, Doc(
        'every plan said the mode that was done from this time before the grasp on; null: never')]


def said_of(intents: Sequence[tuple[float, Intent]], trace: Trace,
            mode: str | None) -> Said | None:
    """Return an episode's intents, each with its time (s), against its trace and done mode.

    None without an intent.
    """
    if not intents:
        return None
    first = intents[0][1]
    lifted = lifted_step(trace)
    if lifted is None:
        return Said(first.mode, None, None)
    # The fingers touch the tool since the last step without contact before the lift.
    grasp = int(np.max(np.flatnonzero(~trace.finger_contact[:lifted]), initial=-1)) + 1
    apart = position_of(trace.tool_pose[grasp]) - first.key_poses['grasp'][:3]
    until_s = grasp / trace.physics_hz
    since_s = None
    for at_s, intent in intents:
        if at_s <= until_s:
            since_s = None if intent.mode != mode else at_s if since_s is None else since_s
    return Said(first.mode, float(np.linalg.norm(apart)),
                None if since_s is None else until_s - since_s)
