# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to float arrays and back, without importing ROS.

Decoding reads attributes, so the same code serves live rclpy messages and messages of a bag.
Encoding builds messages of the classes it is given: rclpy's in a node, a bag reader's offline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import messages
from uncloning_ros.contract.kinds import KINDS, Signal, require_usable, values_by_name
from uncloning_ros.contract.messages import ARRAY, JOINT_TRAJECTORY, MessageClasses
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array

# Least time (ns) of a wall clock: September 2001; simulated time and time since a start lie below.
_WALL_NS = 10**18
# Time (s) from the instant of a trajectory's command to rest, if no trajectory follows.
TRAJECTORY_STOP_S = 0.1


@dataclass(frozen=True)
class Sample:
    """One decoded message: its values, when it was measured and when it arrived.

    `values` are flat (dim,), those of a picture uint8 (height, width, channels).

    `stamp_ns` is the header's stamp in ROS time, or the receive time where the message has no
    header stamp. `receive_ns` is on the caller's clock: monotonic in a live node, bag time
    offline, simulated time in an audit.
    """

    values: NDArray[Any]
    stamp_ns: int
    receive_ns: int


def decode(signal: Signal, message: Any, receive_ns: int) -> Sample:
    """Return the sample that a message carries; of a trajectory its first point.

    Joints are matched by name and put in the contract's order. Raise `OtherJointsError` for a
    message that names none of them: it is about others. Raise `ContractError` for a foreign
    frame, a joint that is missing or named twice, a wrong length, and values that are not finite
    or outside the kind's span; `TypeError` for transforms, which say more than one signal and
    belong to `uncloning_ros.transforms`. Whether a message may come without a stamp is for the
    caller to say.
    """
    if KINDS[signal.kind].pictures:
        values = KINDS[signal.kind].decode(signal, message)
    elif hasattr(message, 'data'):
        values = np.asarray(message.data, dtype=np.float64)
        if values.shape != (signal.dim,):
            raise ContractError(f'{signal.key}: expected {signal.dim} values, got '
                                f'{values.size}; check the publisher of its topic')
        require_usable(signal, values.tolist(), *KINDS[signal.kind].span)
    elif hasattr(message, 'joint_names'):
        if len(message.points) == 0:
            raise ContractError(f'{signal.key}: expected a trajectory with a point, got none; '
                                f'check its publisher')
        values = np.array(values_by_name(signal, message.joint_names,
                                         message.points[0].positions))
    elif hasattr(message, 'transforms'):
        raise TypeError(f'{signal.key}: a message of transforms is read with a TransformTree')
    else:
        values = KINDS[signal.kind].decode(signal, message)
    return Sample(values, header_stamp_ns(message) or receive_ns, receive_ns)


def header_stamp_ns(message: Any) -> int:
    """Return the stamp of a message's header, 0 if it has none."""
    header = getattr(message, 'header', None)
    return 0 if header is None else header.stamp.sec * 10**9 + header.stamp.nanosec


def other_clock(stamp_ns: int, arrival_ns: int) -> str | None:
    """Return the clock that a stamp is of if it is another one than its arrival's, else None.

    It is 'simulated time', which may be any time since a start, or 'wall time'.
    """
    if (stamp_ns < _WALL_NS) == (arrival_ns < _WALL_NS):
        return None
    return 'simulated time' if stamp_ns < _WALL_NS else 'wall time'


def encode(signal: Signal, type_name: str, values: Sequence[float] | Array, stamp_ns: int,
           classes: MessageClasses) -> Any:
    """Return a message of `type_name` that `decode` reads back to `values` (dim,).

    `values` are (dim,) floats, or those of a picture of the camera's own size and colours, since
    only decoding crops and resizes. A trajectory goes there at once and rests;
    `encode_trajectory` writes one that moves.
    """
    if KINDS[signal.kind].pictures:
        return _encode_picture(signal, type_name, np.asarray(values, dtype=np.uint8), stamp_ns,
                               classes)
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (signal.dim,):
        raise ContractError(f'{signal.key}: expected {signal.dim} values, got {values.size}')
    if type_name == JOINT_TRAJECTORY:
        anywhere = dict.fromkeys(signal.names, (-math.inf, math.inf))
        return encode_trajectory(signal, values, np.zeros(signal.dim), 0.0, anywhere, classes)
    if type_name == ARRAY:
        layout = messages.build(classes, 'std_msgs/msg/MultiArrayLayout', dim=[], data_offset=0)
        return messages.build(classes, type_name, layout=layout, data=values)
    kind = KINDS[signal.kind]
    if type_name != kind.observed_as[0]:
        raise ContractError(f'{signal.key}: expected {kind.observed_as[0]} or {ARRAY} for the '
                            f'kind {signal.kind!r}, got {type_name}')
    return kind.encode(signal, values, stamp_ns, classes)


def _encode_picture(signal: Signal, type_name: str, pixels: NDArray[np.uint8], stamp_ns: int,
                    classes: MessageClasses) -> Any:
    width, height = signal.view.camera_size
    expected = height, width, signal.shape[2]
    if pixels.shape != expected:
        raise ContractError(f'{signal.key}: expected a picture of shape {expected}, got '
                            f'{pixels.shape}')
    if type_name == messages.IMAGE:
        return messages.image(classes, signal.frame, stamp_ns, signal.view.encoding, pixels)
    return KINDS[signal.kind].encode(signal, pixels, stamp_ns, classes)


def encode_trajectory(signal: Signal, values: Sequence[float] | Array,
                      velocities: Sequence[float] | Array, period_s: float,
                      limits_rad: Mapping[str, tuple[float, float]],
                      classes: MessageClasses) -> Any:
    """Return a joint trajectory that `decode` reads back to `values` (dim,).

    Its first point is the command: there after one command period `period_s`, still moving at
    `velocities` (dim,) in rad/s. Give zeros with a command that is to hold the arm. The second
    point is a stop under constant deceleration, `TRAJECTORY_STOP_S` later and within
    `limits_rad`, [lowest, highest] by the joint's name: if no command
    follows, the arm comes to rest by itself, and ros2_control's joint_trajectory_controller
    refuses a trajectory whose last point moves. The header has no stamp, which means 'begin
    now': with one, a controller whose clock is ahead would take the command for past and drop
    it.
    """
    positions, speeds = (np.asarray(part, dtype=np.float64) for part in (values, velocities))
    if positions.shape != (signal.dim,) or speeds.shape != (signal.dim,):
        raise ContractError(f'{signal.key}: expected {signal.dim} values and velocities, got '
                            f'{positions.size} and {speeds.size}')
    low, high = np.array([limits_rad[name] for name in signal.names]).T
    stop = np.clip(positions + speeds * (TRAJECTORY_STOP_S / 2), low, high)
    points = [_point(classes, positions, speeds, period_s),
              _point(classes, stop, np.zeros(signal.dim), period_s + TRAJECTORY_STOP_S)]
    return messages.build(classes, JOINT_TRAJECTORY, header=messages.header(classes, '', 0),
                  joint_names=list(signal.names), points=points)


def flat_observation(signals: Sequence[Signal], samples: Mapping[str, Sample]) -> Array:
    """Return the flat observation (observation_dim,) of one sample for every signal.

    `signals` are those of `Interface.vectors`.
    """
    return np.concatenate([samples[signal.key].values for signal in signals])


def _point(classes: MessageClasses, positions: Array, velocities: Array, time_s: float) -> Any:
    sec, nanosec = divmod(round(time_s * 1e9), 10**9)
    after = messages.build(classes, 'builtin_interfaces/msg/Duration', sec=sec, nanosec=nanosec)
    empty = np.zeros(0)
    return messages.build(classes, 'trajectory_msgs/msg/JointTrajectoryPoint', positions=positions,
                  velocities=velocities, accelerations=empty, effort=empty,
                  time_from_start=after)
