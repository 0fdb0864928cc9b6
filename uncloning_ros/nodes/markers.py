# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a running policy in RViz: plan, blade axis, the person's zone, intent, doubt."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Interface
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, x_axis_of
from uncloning_ros.policy_io import KEY_POSES, Intent, Plan
from uncloning_ros.runtime.doubt import Question

# Radius of the person's zone and length of the arrow (m): for orientation only.
_ZONE_M, _AXIS_M = 0.15, 0.2
_LEAST = 1e-6  # length of a predicted axis below which it is not made longer
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
    header = Header(frame_id=interface.base_frame, stamp=stamp)
    for marker, points in zip(array.markers, (path, blade, zone), strict=True):
        _marked(header, marker, bool(points))
    array.markers[2].pose.position = zone[0] if zone else Point()
    return array


def add_intent(shown: MarkerArray, intent: Intent | None) -> None:
    """Add an intent to what `markers` returns: key poses as arrows, the mode above the grasp.

    An arrow goes to its key pose along the fingers. Before motion this is all there is of a plan.
    """
    frame = shown.markers[0].header
    poses = {} if intent is None else {
        name: np.asarray(pose, dtype=np.float64) for name, pose in intent.key_poses.items()}
    for name in KEY_POSES:
        tip = [] if name not in poses else [
            _point(poses[name][:3] - _AXIS_M * _approach(poses[name])), _point(poses[name])]
        shown.markers.append(_marked(frame, Marker(
            ns=f'intent/{name}', type=Marker.ARROW, scale=Vector3(x=0.01, y=0.02, z=0.03),
            color=ColorRGBA(r=0.2, g=0.7, b=0.3, a=1.0), points=tip), bool(tip)))
    words = '' if intent is None else ', '.join(
        [intent.mode, *(f'{mode} {100 * odds:.0f} %' for mode, odds
                        in intent.probabilities.items())])
    text = Marker(ns='intent/mode', type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=0.03),
                  color=ColorRGBA(r=0.2, g=0.7, b=0.3, a=1.0), text=words)
    if intent is not None:
        text.pose.position = _point(poses[KEY_POSES[0]])
        text.pose.position.z += _AXIS_M
    shown.markers.append(_marked(frame, text, bool(words)))


def add_question(shown: MarkerArray, question: Question | None,
                 samples: Mapping[str, Sample]) -> None:
    """Add a question about a doubt: its words, and a ball around the pose that is strange."""
    frame, color = shown.markers[0].header, ColorRGBA(r=0.9, g=0.1, b=0.1, a=0.5)
    strange = None if question is None else samples.get(question.key)
    poses = [sample.values for sample in (strange, *samples.values())
             if sample is not None and sample.values.shape == (9,)]
    ball = Marker(ns='doubt/observation', type=Marker.SPHERE, color=color,
                  scale=Vector3(x=_AXIS_M, y=_AXIS_M, z=_AXIS_M))
    words = Marker(ns='doubt/question', type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=0.03),
                   color=ColorRGBA(r=0.9, g=0.1, b=0.1, a=1.0),
                   text='' if question is None else question.sentence)
    if poses:  # without a strange pose the words stand at the first one that there is
        ball.pose.position = _point(poses[0])
        words.pose.position = _point(poses[0] + np.eye(9)[2] * _AXIS_M)
    found = strange is not None and strange.values.shape == (9,)
    shown.markers += [_marked(frame, ball, question is not None and found),
                      _marked(frame, words, question is not None)]


def _approach(pose: Array) -> Array:
    """Return the direction (3,) of the fingers: the z axis of a pose, which may be inexact."""
    z = np.cross(pose[3:6], pose[6:9])
    return np.asarray(z / max(float(np.linalg.norm(z)), _LEAST))


def _marked(header: Any, marker: Marker, there: bool) -> Marker:
    """Return the marker with a header, to be drawn if it is there, else deleted."""
    marker.header = header
    marker.action = Marker.ADD if there else Marker.DELETE
    marker.lifetime = Duration(sec=_LIFE_S)
    marker.pose.orientation.w = 1.0
    return marker


def _point(state: Array) -> Point:
    """Return the point of a position (3,) or of a pose (9,)."""
    x, y, z = np.asarray(state[:3], dtype=np.float64).tolist()
    return Point(x=x, y=y, z=z)
