# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What publishers offer, as rosbag2 writes it with a bag."""

from collections.abc import Iterable
from typing import Any

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSProfile,
    ReliabilityPolicy,
)


def offered_profiles(offers: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """Return the distinct profiles of publishers, as `get_publishers_info_by_topic()` has them."""
    found: list[dict[str, Any]] = []
    for offer in offers:
        profile = _offered(offer.qos_profile)
        if profile not in found:
            found.append(profile)
    return tuple(found)


def _offered(qos: QoSProfile) -> dict[str, Any]:
    """Return an offered profile as rosbag2 writes it.

    Discovery does not tell history and depth; they are then written as what `ros2 bag play` and
    the nodes of this package use.
    """
    known = qos.history not in (HistoryPolicy.UNKNOWN, HistoryPolicy.SYSTEM_DEFAULT)
    return {
        'history': 'keep_all' if qos.history == HistoryPolicy.KEEP_ALL else 'keep_last',
        'depth': qos.depth if known else 10,
        'reliability': _name(qos.reliability, ReliabilityPolicy.RELIABLE),
        'durability': _name(qos.durability, DurabilityPolicy.VOLATILE),
        'deadline': _time(qos.deadline),
        'lifespan': _time(qos.lifespan),
        'liveliness': _name(qos.liveliness, LivelinessPolicy.AUTOMATIC),
        'liveliness_lease_duration': _time(qos.liveliness_lease_duration),
        'avoid_ros_namespace_conventions': bool(qos.avoid_ros_namespace_conventions),
    }


def _name(policy: Any, otherwise: Any) -> str:
    return str((policy if policy.name != 'UNKNOWN' else otherwise).name).lower()


def _time(duration: Any) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, 10**9)
    return {'sec': sec, 'nsec': nsec}
