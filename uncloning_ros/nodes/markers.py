# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a running policy in RViz: plan, blade axis and the person's zone as markers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Interface
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, x_axis_of
from uncloning_ros.policy_io import Plan

# Radius of the person's zone and length of the arrow (m): for orientation only.
_ZONE_M, _AXIS_M = 0.15, 0.2
# Life of a marker (s): some periods of the picture. A killed node takes nothing out of it.
_LIFE_S = 1


def markers(interface: Interface, plan: Plan | None, samples: Mapping[str, Sample],
            stamp: Any) -> MarkerArray:
    """Return the planned chunk as a line, the blade axis as an arrow, the person's zone as a ball.

    In the base frame. A marker without data is deleted from the picture.
    """
    pose = next((signal for signal in interface.actions if signal.kind == 'pose'), None)
    tool, hand = samples.get(OBJECT_KEY), samples.get(HAND_KEY)
    path = ([] if pose is None or plan is None
            else [_point(action[interface.action_slices[pose.key]]) for action in plan.chunk])
    blade = ([] if tool is None else
             [_point(tool.values),
              _point(tool.values[:3] + _AXIS_M * x_axis_of(tool.values))])
    zone = [] if hand is None else [_point(hand.values)]
    array = MarkerArray(markers=[
        Marker(ns='plan', type=Marker.LINE_STRIP, scale=Vector3(x=0.006),
               color=ColorRGBA(r=0.1, g=0.4, b=0.9, a=1.0), points=path),
        Marker(ns='blade_axis', type=Marker.ARROW, scale=Vector3(x=0.01, y=0.02, z=0.03),
               color=ColorRGBA(r=0.9, g=0.3, b=0.1, a=1.0), points=blade),
        Marker(ns='person_zone', type=Marker.SPHERE,
               scale=Vector3(x=2 * _ZONE_M, y=2 * _ZONE_M, z=2 * _ZONE_M),
               color=ColorRGBA(r=0.95, g=0.8, b=0.1, a=0.25))])
    for marker, points in zip(array.markers, (path, blade, zone), strict=True):
        marker.header.frame_id, marker.header.stamp = interface.base_frame, stamp
        marker.action = Marker.ADD if points else Marker.DELETE
        marker.lifetime = Duration(sec=_LIFE_S)
        marker.pose.orientation.w = 1.0
    array.markers[2].pose.position = zone[0] if zone else Point()
    return array


def _point(state: Array) -> Point:
    """Return the point of a position (3,) or of a pose (9,)."""
    x, y, z = np.asarray(state[:3], dtype=np.float64).tolist()
    return Point(x=x, y=y, z=z)
