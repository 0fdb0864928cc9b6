# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read stamp and value of a serialised message without decoding it.

A message is CDR: two bytes that tell the byte order, two more, then the fields, each aligned to
its size from there on (OMG DDS-XTypes 1.3, 7.4.1, XCDR version 1).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from uncloning_ros.contract import TRANSFORMS

# Types that begin with a std_msgs/Header, and so with its stamp.
HEADER_TYPES = ('geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/WrenchStamped',
                'sensor_msgs/msg/JointState', 'trajectory_msgs/msg/JointTrajectory')

_FIELDS = 4  # offset (bytes) of the first field
_STAMP_END = 12
_TRANSFORM_BYTES = 7 * 8


class StampedValue(NamedTuple):
    """Frame ('' if the type has none), stamp, and the bytes of the values of one message."""

    frame: str
    stamp_ns: int
    value: bytes


def stamped_values(type_name: str, cdr: bytes) -> Iterator[StampedValue]:
    """Yield stamp and value of a message, of each frame for transforms; none without a stamp.

    Damaged bytes yield as much as can be read.
    """
    try:
        if type_name in HEADER_TYPES:
            yield StampedValue('', _time_ns(_order(cdr), cdr, _FIELDS), cdr[_STAMP_END:])
        elif type_name == TRANSFORMS:
            yield from _transforms(cdr)
    except (struct.error, IndexError):
        return


def _transforms(cdr: bytes) -> Iterator[StampedValue]:
    order = _order(cdr)
    count, = struct.unpack_from(f'{order}I', cdr, _FIELDS)
    at = _FIELDS + 4
    for _ in range(count):
        at = _aligned(at, 4)
        stamp_ns = _time_ns(order, cdr, at)
        _, at = _text(order, cdr, at + 8)
        child, at = _text(order, cdr, _aligned(at, 4))
        at = _aligned(at, 8)
        if at + _TRANSFORM_BYTES > len(cdr):
            return
        yield StampedValue(child, stamp_ns, cdr[at:at + _TRANSFORM_BYTES])
        at += _TRANSFORM_BYTES


def _order(cdr: bytes) -> str:
    return '<' if cdr[1] & 1 else '>'


def _time_ns(order: str, cdr: bytes, at: int) -> int:
    sec, nanosec = struct.unpack_from(f'{order}iI', cdr, at)
    return int(sec) * 10**9 + int(nanosec)


def _text(order: str, cdr: bytes, at: int) -> tuple[str, int]:
    """Return a text and where it ends; its length counts the zero at its end."""
    length, = struct.unpack_from(f'{order}I', cdr, at)
    end = at + 4 + length
    return cdr[at + 4:end - 1].decode('utf-8', 'replace'), end


def _aligned(at: int, size: int) -> int:
    return _FIELDS + -(-(at - _FIELDS) // size) * size
