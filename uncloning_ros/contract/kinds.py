# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of signals: for each one record with its unit, messages, span, speeds and conversions.

To add a kind, add a record to `KINDS`, a function that reads its message and one that builds it.
Messages are known by their attributes, so those of rclpy and of a bag reader are read alike.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import messages
from uncloning_ros.contract.messages import MessageClasses
from uncloning_ros.errors import ContractError, OtherJointsError, names_shown, near_miss, shown
from uncloning_ros.geometry import (
    Array,
    rotation_angle_between,
    rotation_of,
    single_pose,
    single_quaternion,
)
from uncloning_ros.pictures import (
    CHANNELS,
    Encoding,
    Pixels,
    View,
    decode_picture,
    encode_picture,
    picture_of_raw,
)
from uncloning_ros.schema import Count, Names, Note, Positive, Range

# Angle (rad): positions of a continuous joint that are whole turns apart are the same.
TURN_RAD = 2 * math.pi
# Least difference (rad) of two measurements that is a driver's leap by a turn: no joint moves so
# far from one message to the next, and at the seam it may have moved by the rest.
_LEAP_RAD = 1.75 * math.pi
# Inputs and outputs of an exported policy beside its pictures, whose inputs have their keys.
_OTHER_PORTS = 'observation', 'noise', 'action_chunk', 'intent', 'doubt'

# Side (px) of a picture as a policy sees it: more is a typing error, and pictures fill memory.
Side = Annotated[int, Range(1, 1024)]


@dataclass(frozen=True)
class Kind:
    """One kind of signal: number and unit of its values, message types, conversions and scales.

    `dim` is the number of values; None: one for each name of a signal. `named` kinds have the
    names of joints, the others a frame. A kind of no unit, '', is a vector of any quantity: each
    signal states its own unit, and the names or the number of its values. `observed_as` and
    `commanded_as` are the message types that a contract may name; a kind without the latter can
    only be observed.

    `decode(signal, message)` returns the values (dim,) of a message of the first type in
    `observed_as`, and raises `ContractError` where it cannot; `encode(signal, values, stamp_ns,
    classes)` builds that message. A kind that is only observed needs `encode` too: the simulator
    and the writer of episodes make measurements with it. Arrays and trajectories carry commands
    of any kind; `conversions` reads and builds them.

    `span` is [least, most] in the kind's unit, about ten times the largest real value: a number
    outside comes from a broken publisher or is in a foreign unit (mm, degrees, percent), and its
    square could overflow. Learning divides by the standard deviation of the demonstrations, but
    never by less than `floors`, one for all values or one for each: a smaller spread is noise.
    Without floors a share of the largest spread among the signal's values takes their place.

    `distances` measure how far two states (dim,) are apart, by unit, that of the kind among
    them. `speeds` are the units in which a contract may bound how fast a measurement changes,
    with `max_speed_m_s` and `max_speed_rad_s`: 'm' and 'rad', there are no others.

    `same_elsewhere` tells whether the values of a demonstration stay as they are when tool and
    hand are at other places. Poses are moved there; demonstrations with an observation of another
    kind whose values do not stay are not retargeted.

    The values of a kind with `pictures` are pixels uint8 (height, width, channels), no part of a
    flat observation: `dim` is 0.
    """

    unit: str
    dim: int | None
    named: bool
    observed_as: tuple[str, ...]
    commanded_as: tuple[str, ...]
    span: tuple[float, float]
    floors: tuple[float, ...]
    decode: 'Callable[[Signal, Any], NDArray[Any]]'
    encode: 'Callable[[Signal, Any, int, MessageClasses], Any]'
    distances: Mapping[str, Callable[[Any, Any], float]]
    same_elsewhere: bool
    speeds: tuple[str, ...] = ()
    pictures: bool = False


@dataclass(frozen=True)
class Signal:
    """One observation or action: a named run of float values in a fixed order, or a picture.

    `names` are the joints where the kind has them, `continuous` those that turn without end,
    which drivers report within one turn; `frame` is the frame that other values are expressed
    in, '' for joint values, vectors and pictures. A vector has `names` or a `size`.

    A picture of `width` x `height` px in `encoding` is what the policy sees. The camera's own
    pictures are of `camera_size` (width, height); `crop` is the part (left, top, width, height)
    of them that is seen, None for all.
    """

    key: str
    kind: str
    unit: str
    frame: Annotated[str, Note.DERIVED] = ''
    names: Names = ()
    size: Annotated[int, Range(1, 1000)] = 0
    continuous: Names = ()
    width: Side = 0
    height: Side = 0
    encoding: Encoding | None = None
    camera_size: tuple[Positive, Positive] | None = None
    crop: tuple[Count, Count, Positive, Positive] | None = None

    @property
    def dim(self) -> int:
        """Return the number of float values, 0 for a picture."""
        return KINDS[self.kind].dim or len(self.names) or self.size

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the values: (dim,), or (height, width, channels) of a picture."""
        if not KINDS[self.kind].pictures:
            return (self.dim,)
        return self.height, self.width, CHANNELS[self.view.encoding]

    @property
    def repeated(self) -> tuple[str, str]:
        """Return the words for its samples and for their source, where they repeat."""
        return ('picture', 'camera') if KINDS[self.kind].pictures else ('values', 'sensor')

    @cached_property
    def view(self) -> View:
        """Return the part of a camera's pictures that the policy sees."""
        assert self.encoding is not None and self.camera_size is not None
        return View(self.camera_size, self.crop or (0, 0, *self.camera_size),
                    (self.width, self.height), self.encoding)

    def as_read(self) -> 'Signal':
        """Return the signal; raise `ContractError` for an unknown kind, a wrong unit or names."""
        if self.kind not in KINDS:
            raise ContractError(f'unknown kind {self.kind!r}{near_miss(self.kind, KINDS)}')
        kind = KINDS[self.kind]
        if self.unit != kind.unit and kind.unit:
            raise ContractError(f'unit: expected {kind.unit!r} for kind {self.kind!r}, got '
                                f'{self.unit!r}')
        if self.size and kind.unit:
            raise ContractError(f"unknown key 'size': the kind {self.kind!r} has none")
        if not kind.unit and bool(self.names) == bool(self.size):
            raise ContractError(f'expected either names, one for each value, or size, their '
                                f'number, for the kind {self.kind!r}, got '
                                f'{"both" if self.size else "neither"}')
        if kind.named and kind.unit and not self.names:
            raise ContractError(f"missing key 'names', expected the names of the joints for the "
                                f'kind {self.kind!r}')
        if self.names and not kind.named:
            raise ContractError(f"unknown key 'names': the kind {self.kind!r} has no names")
        if self.continuous and not (kind.named and kind.unit == 'rad'):
            raise ContractError(f"unknown key 'continuous': the kind {self.kind!r} has no joints "
                                f'that turn')
        for name in self.continuous:
            if name not in self.names:
                raise ContractError(f'continuous: expected joints of names, got {name!r}'
                                    f'{near_miss(name, self.names)}')
        self._require_picture(kind.pictures)
        return self

    def _require_picture(self, pictured: bool) -> None:
        keys = {'width': self.width, 'height': self.height, 'encoding': self.encoding,
                'camera_size': self.camera_size}
        for name, value in (keys | {'crop': self.crop}).items():
            if value and not pictured:
                raise ContractError(f'unknown key {name!r}: the kind {self.kind!r} has no '
                                    f'pictures')
        if pictured and self.key in _OTHER_PORTS:
            raise ContractError(f'expected another key than {", ".join(_OTHER_PORTS)} for '
                                f'pictures, got {self.key!r}: an exported policy has an input '
                                f'or output of that name')
        if pictured and not re.fullmatch('[A-Za-z_][A-Za-z0-9_]*', self.key):
            raise ContractError(f'expected a key of letters, digits and _, which does not begin '
                                f'with a digit, for pictures, got {self.key!r}: it is a part of '
                                f'the name of a topic; write it so, as in front_camera')
        for name, value in keys.items() if pictured else ():
            if not value:
                raise ContractError(f'missing key {name!r}, expected it for the kind '
                                    f'{self.kind!r}')
        if pictured and (self.width > self.view.crop[2] or self.height > self.view.crop[3]):
            raise ContractError(f'expected width and height of at most those of the part that is '
                                f'seen, {self.view.crop[2]} x {self.view.crop[3]} px, got '
                                f'{self.width} x {self.height}; larger pictures show no more')
        if self.camera_size is not None and self.crop is not None:
            left, top, width, height = self.crop
            if left + width > self.camera_size[0] or top + height > self.camera_size[1]:
                raise ContractError(f'crop: expected a part, [left, top, width, height], of '
                                    f'pictures of {list(self.camera_size)}, got '
                                    f'{list(self.crop)}')


def require_usable(signal: Signal, values: Sequence[float], least: float, most: float) -> None:
    """Raise `ContractError` unless all `values`, plain floats, are in [least, most]."""
    for value in values:
        if not least <= value <= most:  # NaN lies in no interval
            break
    else:
        return
    got = f'[{", ".join(f"{value:g}" for value in values)}]'
    if not all(map(math.isfinite, values)):
        raise ContractError(f'{signal.key}: expected finite values, got {got}; check its '
                            f'publisher')
    raise ContractError(f'{signal.key}: expected values from {least:g} to {most:g} {signal.unit}, '
                        f'got {got}; check its publisher and its unit')


def require_frame(signal: Signal, frame_id: str) -> None:
    """Raise `ContractError` unless a message is in the signal's frame."""
    if frame_id != signal.frame:
        raise ContractError(f'{signal.key}: expected frame {signal.frame!r}, got '
                            f'{shown(frame_id)}; transform it to the base frame before publishing')


def values_by_name(signal: Signal, names: Sequence[str], values: Sequence[float]) -> list[float]:
    """Return the values of the signal's joints, in its order, of a message that names joints.

    Raise `ContractError` for a joint that is missing or named twice, another number of values
    than names, and a value that is larger than the span's end in either direction: a gripper's
    joints may close with negative values. Raise `OtherJointsError` if none of the joints is named.
    """
    missing = [name for name in signal.names if name not in names]
    if len(missing) == len(signal.names):
        raise OtherJointsError(f'{signal.key}: expected the joints {", ".join(signal.names)}, got '
                               f'{names_shown(names)}; check the names in the contract '
                               f'and its publisher')
    if missing:
        found = len(signal.names) - len(missing)
        raise ContractError(f'{signal.key}: expected {len(signal.names)} joints, got {found} '
                            f'(missing {", ".join(missing)}); check the names in the contract')
    twice = [name for name in signal.names if names.count(name) > 1]
    if twice:
        raise ContractError(f'{signal.key}: expected every joint once, got {", ".join(twice)} '
                            f'more than once; check its publisher')
    if len(values) != len(names):
        raise ContractError(f'{signal.key}: expected {len(names)} values, one for each joint of '
                            f'the message, got {len(values)}; check its publisher')
    found_values = [float(values[names.index(name)]) for name in signal.names]
    most = KINDS[signal.kind].span[1]
    require_usable(signal, found_values, -most, most)
    return found_values


def nearest_turn(signal: Signal, values: Array, near: Array) -> Array:
    """Return values (..., dim), continuous joints moved by whole turns to be nearest to `near`."""
    if not signal.continuous:
        return values
    moved: Array = values + np.round((near - values) / TURN_RAD) * _turning(signal) * TURN_RAD
    return moved


def turns_counted(signal: Signal, rows: Array, near: Array) -> Array:
    """Return rows (N, dim) with the turns of continuous joints counted, the first near `near`.

    Each row is the nearest to the one before it, `near` (dim,) comes before the first.
    """
    if not signal.continuous:
        return rows
    turns = -np.round(np.diff(rows, axis=0, prepend=near[None]) / TURN_RAD)
    counted: Array = rows + np.cumsum(turns, axis=0) * _turning(signal) * TURN_RAD
    return counted


def turn_leapt(signal: Signal, rows: Array) -> tuple[int, str] | None:
    """Return the first of the rows (N, dim) at which a joint leapt by a turn, and the sentence.

    None if none did: the rows are messages in a row, and only a continuous joint may leap.
    """
    kind = KINDS[signal.kind]
    if not kind.named or kind.unit != 'rad':
        return None
    leaps = (np.abs(np.diff(rows, axis=0)) >= _LEAP_RAD) & (_turning(signal) == 0)
    if not leaps.any():
        return None
    row, joint = (int(index) for index in np.argwhere(leaps)[0])
    name, old, new = signal.names[joint], rows[row, joint], rows[row + 1, joint]
    return row + 1, (f'{signal.key}: {name} leapt from {old:.3f} to {new:.3f} rad, about a turn; '
                     f'check its publisher; if it turns without end, add continuous: [{name}] to '
                     f'its observation and its action in the contract')


def _turning(signal: Signal) -> Array:
    """Return 1 for each continuous joint (dim,), 0 for the others."""
    return np.array([float(name in signal.continuous) for name in signal.names])


def _read_pose(signal: Signal, message: Any) -> Array:
    require_frame(signal, message.header.frame_id)
    p, q = message.pose.position, message.pose.orientation
    position, quaternion = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
    require_usable(signal, position + quaternion, *KINDS['pose'].span)
    try:
        return single_pose(position, quaternion)
    except ValueError as err:
        raise ContractError(f'{signal.key}: {err}; check its publisher') from err


def _build_pose(signal: Signal, values: Array, stamp_ns: int, classes: MessageClasses) -> Any:
    x, y, z, w = single_quaternion(values.tolist())
    pose = messages.build(
        classes, 'geometry_msgs/msg/Pose',
        position=messages.xyz(classes, 'geometry_msgs/msg/Point', values[:3].tolist()),
        orientation=messages.build(classes, 'geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w))
    return messages.build(classes, messages.POSE, pose=pose,
                          header=messages.header(classes, signal.frame, stamp_ns))


def _read_joints(signal: Signal, message: Any) -> Array:
    return np.array(values_by_name(signal, message.name, message.position))


def _build_joints(signal: Signal, values: Array, stamp_ns: int, classes: MessageClasses) -> Any:
    return messages.joint_state(classes, signal.names, stamp_ns, position=values)


def _read_width(signal: Signal, message: Any) -> Array:
    width = [sum(values_by_name(signal, message.name, message.position))]
    require_usable(signal, width, *KINDS['gripper_width'].span)
    return np.array(width)


def _build_width(signal: Signal, values: Array, stamp_ns: int, classes: MessageClasses) -> Any:
    """Return the message of a gripper whose fingers share the width evenly."""
    fingers = len(signal.names)
    return messages.joint_state(classes, signal.names, stamp_ns,
                                position=np.full(fingers, values[0] / fingers))


def _read_force(signal: Signal, message: Any) -> Array:
    require_frame(signal, message.header.frame_id)
    f = message.wrench.force
    force = (f.x, f.y, f.z)
    require_usable(signal, force, *KINDS['force'].span)
    return np.array(force, dtype=np.float64)


def _build_force(signal: Signal, values: Array, stamp_ns: int, classes: MessageClasses) -> Any:
    vector = 'geometry_msgs/msg/Vector3'
    wrench = messages.build(classes, 'geometry_msgs/msg/Wrench',
                            force=messages.xyz(classes, vector, values.tolist()),
                            torque=messages.xyz(classes, vector, (0.0, 0.0, 0.0)))
    return messages.build(classes, messages.WRENCH, wrench=wrench,
                          header=messages.header(classes, signal.frame, stamp_ns))


def _read_picture(signal: Signal, message: Any) -> Pixels:
    try:
        if hasattr(message, 'format'):
            return decode_picture(bytes(message.data), signal.view)
        return picture_of_raw(message.data, message.encoding, message.width, message.height,
                              message.step, signal.view)
    except ContractError as err:
        raise ContractError(f'{signal.key}: {err}') from err


def _build_picture(signal: Signal, values: Pixels, stamp_ns: int, classes: MessageClasses) -> Any:
    return messages.compressed_image(classes, signal.frame, stamp_ns, encode_picture(values))


def _mean_difference(one: Pixels, two: Pixels) -> float:
    return float(np.abs(one.astype(np.float64) - two).mean())


def _position_distance(one: Array, two: Array) -> float:
    return float(np.linalg.norm(one[:3] - two[:3]))


def _rotation_distance(one: Array, two: Array) -> float:
    return float(rotation_angle_between(rotation_of(one), rotation_of(two)))


def _largest_difference(one: Array, two: Array) -> float:
    return float(np.abs(one - two).max())


KINDS: dict[str, Kind] = {
    # x, y, z in m, then the first two columns of the rotation matrix (6D rotation)
    'pose': Kind(
        unit='m', dim=9, named=False,
        observed_as=(messages.POSE, messages.TRANSFORMS), commanded_as=(messages.POSE,),
        span=(-1e4, 1e4), floors=(0.005,) * 3 + (0.02,) * 6,
        decode=_read_pose, encode=_build_pose,
        distances={'m': _position_distance, 'rad': _rotation_distance}, same_elsewhere=False,
        speeds=('m', 'rad')),
    'joint_positions': Kind(
        unit='rad', dim=None, named=True,
        observed_as=(messages.JOINT_STATE,),
        commanded_as=(messages.ARRAY, messages.JOINT_TRAJECTORY),
        span=(-100.0, 100.0),  # a joint that turns without end may have turned 15 times
        floors=(0.01,), decode=_read_joints, encode=_build_joints,
        distances={'rad': _largest_difference}, same_elsewhere=False, speeds=('rad',)),
    # between the fingers: the sum over the named finger joints
    'gripper_width': Kind(
        unit='m', dim=1, named=True,
        observed_as=(messages.JOINT_STATE,), commanded_as=(messages.ARRAY,),
        span=(-0.05, 1.0),  # at its stop it may be measured below 0 by the error of its zero
        floors=(0.002,), decode=_read_width, encode=_build_width,
        distances={'m': _largest_difference}, same_elsewhere=True),
    # along x, y, z
    'force': Kind(
        unit='N', dim=3, named=False,
        observed_as=(messages.WRENCH,), commanded_as=(),
        span=(-1e4, 1e4), floors=(0.2,), decode=_read_force, encode=_build_force,
        distances={'N': _largest_difference}, same_elsewhere=True),
    # numbers of any quantity; an array has no names, and no stamps either
    'vector': Kind(
        unit='', dim=None, named=True,
        observed_as=(messages.JOINT_STATE, messages.ARRAY), commanded_as=(messages.ARRAY,),
        span=(-1e9, 1e9), floors=(), decode=_read_joints, encode=_build_joints,
        distances={'': _largest_difference}, same_elsewhere=False),
    # grey levels from 0 to 255
    'image': Kind(
        unit='level', dim=0, named=False,
        observed_as=(messages.COMPRESSED_IMAGE, messages.IMAGE), commanded_as=(),
        span=(0.0, 255.0), floors=(1.0,), decode=_read_picture, encode=_build_picture,
        distances={'level': _mean_difference}, same_elsewhere=False, pictures=True),
}
