# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a running policy in RViz: plan, blade axis and the person's zone as markers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Interface, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, x_axis_of
from uncloning_ros.policy_io import Plan

# Radius of the person's zone and length of the arrow (m): for orientation only.
_ZONE_M, _AXIS_M = 0.15, 0.2


def markers(interface: Interface, plan: Plan | None, samples: Mapping[str, Sample],
            stamp: Any) -> MarkerArray:
    """Return the planned chunk as a line, the blade axis as an arrow, the person's zone as a ball.

    In the base frame. A marker without data is deleted from the picture.
    """
    array = MarkerArray()
    pose = next((signal for signal in interface.actions if signal.kind == 'pose'), None)
    array.markers = [
        _plan(interface, pose, plan, stamp),
        _arrow(interface.base_frame, samples.get(OBJECT_KEY), stamp),
        _ball(interface.base_frame, samples.get(HAND_KEY), stamp)]
    return array


def _plan(interface: Interface, pose: Signal | None, plan: Plan | None,
          stamp: Any) -> Marker:
    marker = _marker('plan', interface.base_frame, Marker.LINE_STRIP, (0.1, 0.4, 0.9, 1.0), stamp)
    marker.scale.x = 0.006
    if pose is None or plan is None:
        marker.action = Marker.DELETE
    else:
        part = interface.action_slices[pose.key]
        marker.points = [_point(action[part][:3]) for action in plan.chunk]
    return marker


def _arrow(frame: str, sample: Sample | None, stamp: Any) -> Marker:
    marker = _marker('blade_axis', frame, Marker.ARROW, (0.9, 0.3, 0.1, 1.0), stamp)
    marker.scale.x, marker.scale.y, marker.scale.z = 0.01, 0.02, 0.03
    if sample is None:
        marker.action = Marker.DELETE
    else:
        start = sample.values[:3]
        marker.points = [_point(start), _point(start + _AXIS_M * x_axis_of(sample.values))]
    return marker


def _ball(frame: str, sample: Sample | None, stamp: Any) -> Marker:
    marker = _marker('person_zone', frame, Marker.SPHERE, (0.95, 0.8, 0.1, 0.25), stamp)
    marker.scale.x = marker.scale.y = marker.scale.z = 2 * _ZONE_M
    if sample is None:
        marker.action = Marker.DELETE
    else:
        marker.pose.position = _point(sample.values[:3])
    return marker


def _marker(name: str, frame: str, kind: int, rgba: tuple[float, float, float, float],
            stamp: Any) -> Marker:
    marker = Marker(ns=name, type=kind, action=Marker.ADD)
    marker.header.frame_id, marker.header.stamp = frame, stamp
    marker.pose.orientation.w = 1.0
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = rgba
    return marker


def _point(position: Array) -> Point:
    x, y, z = np.asarray(position, dtype=np.float64).tolist()
    return Point(x=x, y=y, z=z)
