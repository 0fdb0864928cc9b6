# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure where one handover offered the tool, and how far its way there bowed."""

import numpy as np

from uncloning_ros.geometry import cross, position_of, rotation_of
from uncloning_ros.judging.trace import Trace
from uncloning_ros.scenario import Scenario


def offered_pose(trace: Trace, scenario: Scenario, taken: int) -> tuple[float, ...]:
    """Return handle point and tip (6,) in the hand's frame, in m, at the step of taking."""
    turn = rotation_of(trace.hand_pose[taken]).T
    place = rotation_of(trace.object_pose[taken])
    origin = position_of(trace.object_pose[taken]) - position_of(trace.hand_pose[taken])
    points = (scenario.tool.handle_point_m, scenario.tool.hazard.tip_m)
    return tuple(float(value) for point in points
                 for value in turn @ (origin + place @ np.asarray(point)))


def path_bow(trace: Trace, lifted: int, taken: int) -> tuple[float, float]:
    """Return by how much, in m, the tool's way bows to the left and up from a straight line.

    The greatest departure with its sign, from lift to taking; left as seen along the line.
    """
    way = position_of(trace.object_pose)[lifted:taken + 1]
    along = way[-1] - way[0]
    level = np.array([along[0], along[1], 0.0])
    length = float(np.linalg.norm(level))
    if length < 1e-6:
        return 0.0, 0.0
    left = cross(np.array([0.0, 0.0, 1.0]), level / length)
    progress = np.clip((way - way[0]) @ along / float(along @ along), 0.0, 1.0)
    apart = way - way[0] - progress[:, None] * along
    sideways, up = apart @ left, apart[:, 2]
    return (float(sideways[np.argmax(np.abs(sideways))]), float(up[np.argmax(np.abs(up))]))
