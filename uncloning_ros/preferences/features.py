# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the geometric features of a recorded handover that people may care about.

All are computed from the observations until the exchange (`demos/labelling/rule.py`), so a robot's
recording has them as well as a simulated one. The person is known by the palm alone; the edge is
the scenario's hazard.

    clearance_m        least distance from the edge to the palm
    blade_angle_rad    median angle between blade and palm over the last 0.5 s: 0 points at the
                       palm, pi is handle first
    tip_speed_m_s      greatest speed of the tip while the edge is within `near_m` of the palm
    path_m             length of the way of the end-effector
    waiting_s          time from the last arrival of the hand at its place to the exchange
    exchange_force_n   greatest change of the measured force around the exchange; only with a force
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY, Contract
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.episodes.tracks import Track
from uncloning_ros.demos.labelling.rule import exchange_of
from uncloning_ros.errors import DatasetError, names_shown
from uncloning_ros.geometry import (
    Array,
    angle_between,
    segment_distance,
    transform_point,
    x_axis_of,
)
from uncloning_ros.scenario import Scenario

# Feature -> its words, unit, and the factor from the unit of its name to that unit.
WORDS = {'clearance_m': ('distance of the edge from the palm', 'cm', 100.0),
         'blade_angle_rad': ('angle of the blade away from the palm', 'degrees', 180.0 / np.pi),
         'tip_speed_m_s': ('speed of the tip near the person', 'cm/s', 100.0),
         'path_m': ("length of the arm's way", 'cm', 100.0),
         'waiting_s': ('time for which the person waits', 's', 1.0),
         'exchange_force_n': ('force at the exchange', 'N', 1.0)}

_EVERY_NS = 50_000_000  # period (ns) at which a motion is looked at
_SPEED_STEPS = 4  # periods over which a speed is taken: over shorter ones tracking noise is fast
_BEFORE_NS, _AFTER_NS = 500_000_000, 200_000_000  # times (ns) around the exchange that are it
_IN_PLACE_M = 0.05  # distance (m) from its place at the exchange at which a hand has arrived


def features_of(contract: Contract, scenario: Scenario, episode: Episode) -> Mapping[str, float]:
    """Return the features of an episode by name; raise `DatasetError` without an exchange."""
    if isinstance(exchange_ns := exchange_of(contract, scenario, episode), str):
        raise DatasetError(f'it has no exchange: {exchange_ns}')
    objects, hands, arm = (Track.of(episode.samples[key])
                           for key in (OBJECT_KEY, HAND_KEY, TOOL_KEY))
    begin_ns = max(one.stamps_ns[0] for one in (objects, hands, arm))
    times_ns = np.arange(exchange_ns, begin_ns - 1, -_EVERY_NS)[::-1]
    poses, palms = objects.at(times_ns), hands.at(times_ns)[:, :3]
    hazard = scenario.tool.hazard
    tips = transform_point(poses, hazard.tip_m)
    gaps_m = segment_distance(transform_point(poses, hazard.heel_m), tips, palms,
                              palms) - hazard.radius_m
    handle = transform_point(poses, scenario.tool.handle_point_m)
    angles = angle_between(x_axis_of(poses), palms - handle)
    away = np.flatnonzero(np.linalg.norm(palms - palms[-1], axis=1) > _IN_PLACE_M)
    arrived_ns = times_ns[away[-1] + 1] if len(away) else times_ns[0]
    found = {
        'clearance_m': float(gaps_m.min()),
        'blade_angle_rad': float(np.median(angles[times_ns > exchange_ns - _BEFORE_NS])),
        'tip_speed_m_s': _greatest_speed(tips, gaps_m <= scenario.unsafe.near_m),
        'path_m': float(np.linalg.norm(np.diff(arm.at(times_ns)[:, :3], axis=0), axis=1).sum()),
        'waiting_s': float(exchange_ns - arrived_ns) * 1e-9}
    force = next((one.key for one in contract.interface.observations if one.kind == 'force'), None)
    if force is not None:
        found['exchange_force_n'] = _force_change(Track.of(episode.samples[force]), exchange_ns)
    return found


def other_tool(modes: Sequence[str], scenario: Scenario) -> list[str]:
    """Return a warning if a scenario knows no mode of recordings, and so has another tool."""
    if not modes or any(mode in scenario.modes for mode in modes):
        return []
    return [f'expected recordings of scenario {scenario.name!r}, which has the tool and the modes '
            f'{names_shown(tuple(scenario.modes))}, got the modes {names_shown(modes)}: '
            f'distances and angles are wrong for another tool; check --scenario']


def _greatest_speed(places: Array, counts: NDArray[np.bool_]) -> float:
    """Return the greatest speed (m/s) over `_SPEED_STEPS` that end where it counts, else 0."""
    moved = np.linalg.norm(places[_SPEED_STEPS:] - places[:-_SPEED_STEPS], axis=1)
    return float(np.max(moved[counts[_SPEED_STEPS:]], initial=0.0)) / (
        _SPEED_STEPS * _EVERY_NS * 1e-9)


def _force_change(force: Track, exchange_ns: int) -> float:
    """Return the greatest distance (N) of the force at the exchange from that before it."""
    before, around = (force.at(np.arange(first, last, _EVERY_NS)) for first, last in (
        (exchange_ns - 3 * _BEFORE_NS, exchange_ns - _BEFORE_NS),
        (exchange_ns - _BEFORE_NS, exchange_ns + _AFTER_NS)))
    return float(np.linalg.norm(around - np.median(before, axis=0), axis=1).max())
