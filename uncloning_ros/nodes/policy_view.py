# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people look at while a policy runs: messages for /diagnostics and for RViz."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, Interface, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, x_axis_of
from uncloning_ros.policy_io import Plan

# The zone is drawn for orientation; nothing is judged by it.
_ZONE_M = 0.15
_AXIS_M = 0.2
_LEVELS = {'hold': DiagnosticStatus.WARN, 'fault': DiagnosticStatus.ERROR}


def diagnostics(name: str, health: Mapping[str, Any] | None, stamp: Any) -> DiagnosticArray:
    """Return state, inputs and timing of a policy as diagnostics; `health` None if not active."""
    array = DiagnosticArray()
    array.header.stamp = stamp
    if health is None:
        array.status = [_status(f'{name}: control', DiagnosticStatus.OK, 'not active', {})]
        return array
    bad = [key for key, age_s in health['ages_s'].items()
           if age_s is None or age_s > health['max_ages_s'][key] or key in health['refused']]
    misses = health['deadline_misses']
    timing = {f'{what}_{key}': value for what in ('wake_up', 'cycle', 'inference',
                                                  'observation_to_chunk')
              for key, value in health[what].items()}
    array.status = [
        _status(f'{name}: control', _LEVELS.get(health['state'], DiagnosticStatus.OK),
                health['sentence'], {
                    'state': health['state'], 'reason': health['reason'],
                    'model_sha256': health['model_sha256'], 'evidence': health['evidence'],
                    'seed': health['seed'],
                    **health['counters'],
                    **({} if health['shadow'] is None else {
                        f'shadow_{key}_{what}': value
                        for key, found in health['shadow'].items()
                        for what, value in found.items()})}),
        _status(f'{name}: inputs', DiagnosticStatus.WARN if bad else DiagnosticStatus.OK,
                f'silent, old or refused: {", ".join(bad)}' if bad else 'all fresh', {
                    **{f'{key}_age_s': age_s for key, age_s in health['ages_s'].items()},
                    **{f'{key}_rate_hz': rate for key, rate in health['rates_hz'].items()}}),
        _status(f'{name}: timing', DiagnosticStatus.WARN if misses else DiagnosticStatus.OK,
                f'{misses} deadlines missed' if misses else 'every deadline met',
                {'deadline_misses': misses, 'first_deadline_ns': health['first_deadline_ns'],
                 **timing})]
    return array


def markers(interface: Interface, plan: Plan | None, samples: Mapping[str, Sample],
            stamp: Any) -> MarkerArray:
    """Return the planned chunk as a line, the blade axis as an arrow, the person's zone as a ball.

    In the base frame. What is not known is taken away from the picture.
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


def _status(name: str, level: bytes, message: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id='',
                            values=[KeyValue(key=key, value=str(value))
                                    for key, value in values.items()])
