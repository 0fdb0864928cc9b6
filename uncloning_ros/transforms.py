# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses from a tree of transforms (/tf and /tf_static), the same live and from a bag.

A transform carries the pose of its child frame in its parent frame, so a frame has one parent
and the frames form trees. The pose of a frame in another one of the same tree is the chain of
the links between them: up from the base to their common ancestor, and down to the frame.

The newest arrival of every link counts; nothing is interpolated. So a chain is as old as the
oldest of its links that move. Static links do not grow old.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from uncloning_ros.contract import ObservedTopic, Signal, Topic
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ContractError, near_miss
from uncloning_ros.geometry import Vector, single_pose

Quaternion = tuple[float, float, float, float]  # x, y, z, w, as in messages

STATIC_SUFFIX = '_static'  # /tf_static is the topic of the static transforms beside /tf
# Largest position (m) and quaternion value: nothing real comes near, and squares could overflow.
_MOST_M = 1e4


@dataclass(frozen=True)
class FramePose:
    """The pose of a frame in another one: position in m, unit quaternion, and its time.

    `stamp_ns` is the stamp of the oldest link that moves; None where all links are static.
    """

    position: Vector
    quaternion: Quaternion
    stamp_ns: int | None


@dataclass(frozen=True)
class _Link:
    """One transform: the pose of a frame in its parent; `stamp_ns` is None for a static one."""

    parent: str
    position: Vector
    quaternion: Quaternion
    stamp_ns: int | None


@dataclass(frozen=True)
class _Chain:
    """The frames whose links lead up from the base, and those whose links lead down from there."""

    up: tuple[str, ...]
    down: tuple[str, ...]


def static_topic(topic: str) -> str:
    """Return the topic of the static transforms that belong to a topic of transforms."""
    return topic + STATIC_SUFFIX


class TransformTree:
    """Keep the newest transform of every frame; tell where frames lie in other frames.

    Not thread-safe: a caller with several threads holds a lock.
    """

    def __init__(self) -> None:
        self._links: dict[str, _Link] = {}
        self._chains: dict[tuple[str, str], _Chain | None] = {}

    def add(self, message: Any, static: bool) -> frozenset[str]:
        """Take the transforms of a tf2_msgs/msg/TFMessage; return the frames that they place.

        `static` tells that it came from the static topic. Values are checked when a chain needs
        them, so a broken frame that no signal needs stops nothing.
        """
        placed = []
        for one in message.transforms:
            parent, child, stamp = one.header.frame_id, one.child_frame_id, one.header.stamp
            p, q = one.transform.translation, one.transform.rotation
            known = self._links.get(child)
            if known is None or known.parent != parent:
                self._chains.clear()
            self._links[child] = _Link(parent, (p.x, p.y, p.z), (q.x, q.y, q.z, q.w),
                                       None if static else stamp.sec * 10**9 + stamp.nanosec)
            placed.append(child)
        return frozenset(placed)

    def pose(self, base_frame: str, child_frame: str) -> FramePose:
        """Return the pose of `child_frame` in `base_frame`.

        Raise `ContractError` naming the missing link, a loop, or a link whose values are not
        finite, are beyond anything physical, or hold no rotation.
        """
        chain = self._chain(base_frame, child_frame)
        if chain is None:
            raise ContractError(self.missing(base_frame, child_frame))
        above, turned_above = self._compose(chain.up)
        below, turned_below = self._compose(chain.down)
        x, y, z, w = turned_above
        back = (-x, -y, -z, w)
        apart = (below[0] - above[0], below[1] - above[1], below[2] - above[2])
        stamps = [stamp for frame in (*chain.up, *chain.down)
                  if (stamp := self._links[frame].stamp_ns) is not None]
        return FramePose(_turned(back, apart), _product(back, turned_below),
                         min(stamps, default=None))

    def missing(self, base_frame: str, child_frame: str) -> str:
        """Return the sentence that names the missing link of a chain, '' if the chain is whole."""
        top, base_top = self._line(child_frame)[-1], self._line(base_frame)[-1]
        if top == base_top:
            return ''
        known = {*self._links, *(link.parent for link in self._links.values())}
        for frame in (child_frame, base_frame):
            if frame not in known:
                return (f'no transform names frame {frame!r}{near_miss(frame, sorted(known))}; '
                        f'check its publisher, or the frame in the contract')
        return (f'no transform leads from {_with_root(base_frame, base_top)} to '
                f'{_with_root(child_frame, top)}; publish it, as static_transform_publisher does')

    def sample(self, signal: Signal, topic: Topic, placed: Collection[str],
               receive_ns: int, arrival_ns: int) -> Sample | None:
        """Return the sample of a pose after a message that placed the frames `placed`.

        None if that message moved no link of the pose's chain, or if the chain is not whole yet.
        `receive_ns` is as in `Sample`; `arrival_ns` is the same instant on the clock of the
        stamps, and stands in where nothing moves or `topic.stamped` is false. Raise
        `ContractError` as `pose` does, and for a stamp of zero.
        """
        assert isinstance(topic, ObservedTopic) and topic.child_frame is not None, (
            'a contract names the frame of such a pose')
        chain = self._chain(signal.frame, topic.child_frame)
        if chain is None or not any(frame in placed for frame in (*chain.up, *chain.down)):
            return None
        try:
            found = self.pose(signal.frame, topic.child_frame)
        except ContractError as err:
            raise ContractError(f'{signal.key}: {err}') from err
        stamp_ns = found.stamp_ns
        if stamp_ns is None or not topic.stamped:
            stamp_ns = arrival_ns
        elif stamp_ns == 0:
            raise ContractError(f'{signal.key}: expected a time stamp in every transform, got '
                                f'none; have its publisher fill header.stamp, or set stamped: '
                                f'false in the contract')
        return Sample(single_pose(found.position, found.quaternion), stamp_ns, receive_ns)

    def _chain(self, base_frame: str, child_frame: str) -> _Chain | None:
        """Return the links between two frames, None while no chain connects them."""
        key = (base_frame, child_frame)
        if key not in self._chains:
            up, down = self._line(base_frame), self._line(child_frame)
            common = next((frame for frame in down if frame in up), None)
            self._chains[key] = None if common is None else _Chain(
                up[:up.index(common)], down[:down.index(common)])
        return self._chains[key]

    def _line(self, frame: str) -> tuple[str, ...]:
        """Return a frame and all its ancestors, the root last."""
        line = [frame]
        while (link := self._links.get(line[-1])) is not None:
            if link.parent in line:
                raise ContractError(f'expected trees of transforms, got the circle '
                                    f'{" -> ".join(reversed([*line, link.parent]))}; give every '
                                    f'frame one parent')
            line.append(link.parent)
        return tuple(line)

    def _compose(self, frames: Sequence[str]) -> tuple[Vector, Quaternion]:
        """Return the pose of the first frame in the parent of the last one."""
        position: Vector = (0.0, 0.0, 0.0)
        quaternion: Quaternion = (0.0, 0.0, 0.0, 1.0)
        for frame in frames:
            link = self._links[frame]
            turn = _unit(frame, link)
            x, y, z = _turned(turn, position)
            px, py, pz = link.position
            position = (x + px, y + py, z + pz)
            quaternion = _product(turn, quaternion)
        return position, quaternion


def _with_root(frame: str, root: str) -> str:
    return repr(frame) if frame == root else f'{root!r} (the root of {frame!r})'


def _unit(frame: str, link: _Link) -> Quaternion:
    """Return the unit quaternion of a link; raise `ContractError` for another value."""
    where = f'the transform from {link.parent!r} to {frame!r}'
    if not all(-_MOST_M <= value <= _MOST_M for value in (*link.position, *link.quaternion)):
        raise ContractError(f'{where}: expected finite values of at most {_MOST_M:g}, got the '
                            f'position {link.position} and the quaternion {link.quaternion}; '
                            f'check its publisher')
    x, y, z, w = link.quaternion
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not abs(norm - 1.0) < 0.01:
        raise ContractError(f'{where}: expected a quaternion of length 1, got {norm:.3g}; check '
                            f'its publisher')
    return x / norm, y / norm, z / norm, w / norm


def _product(one: Quaternion, two: Quaternion) -> Quaternion:
    """Return the rotation that turns by `two`, then by `one`."""
    ax, ay, az, aw = one
    bx, by, bz, bw = two
    return (aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz)


def _turned(quaternion: Quaternion, vector: Vector) -> Vector:
    """Return a vector turned by a unit quaternion: v + 2 u x (u x v + w v)."""
    x, y, z, w = quaternion
    vx, vy, vz = vector
    tx, ty, tz = y * vz - z * vy + w * vx, z * vx - x * vz + w * vy, x * vy - y * vx + w * vz
    return (vx + 2 * (y * tz - z * ty), vy + 2 * (z * tx - x * tz), vz + 2 * (x * ty - y * tx))
