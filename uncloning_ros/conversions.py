# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to float arrays and back, without importing ROS.

Decoding reads attributes, so the same code serves live rclpy messages and messages of a bag.
Encoding builds messages of the classes it is given: rclpy's in a node, a bag reader's offline.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uncloning_ros.contract import Signal
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array, single_pose, single_quaternion

# Looks up a message class by its full name, as in 'geometry_msgs/msg/PoseStamped'.
MessageClasses = Callable[[str], Any]

# kind -> what nothing real comes near, in its unit. A finite number outside is a broken publisher
# or a foreign unit (mm, degrees, percent), and squares of it could overflow. A joint that turns
# without end may have turned 15 times; a gripper at its stop may be measured below 0, by as much
# as its zero is off.
_SPANS = {
    'pose': (-1e4, 1e4),
    'joint_positions': (-100.0, 100.0),
    'gripper_width': (-0.05, 1.0),
    'force': (-1e4, 1e4),
}

JOINT_TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory'
# An arm that is sent no further trajectory comes to rest so long after its last command was due.
TRAJECTORY_STOP_S = 0.1


@dataclass(frozen=True)
class Sample:
    """One decoded message: flat values (dim,), when it was measured and when it arrived.

    `stamp_ns` is the header's stamp in ROS time, or the receive time where the message has no
    header stamp. `receive_ns` is on the clock of whoever calls: monotonic in a live node, bag
    time offline, simulated time in an audit.
    """

    values: Array
    stamp_ns: int
    receive_ns: int


def decode(signal: Signal, message: Any, receive_ns: int) -> Sample:
    """Return the sample that a message carries; of a trajectory its first point.

    Joints are matched by name and put in the contract's order. Raise `ContractError` for a
    foreign frame, a joint that is missing or named twice, a wrong length, and values that are
    not finite or that nothing real can have; `TypeError` for transforms, which say more than one
    signal and belong to `uncloning_ros.transforms`. Whether a message may come without a stamp
    is for the caller to say.
    """
    if signal.kind == 'pose':
        if hasattr(message, 'transforms'):
            raise TypeError(f'{signal.key}: a message of transforms is read with a TransformTree')
        _require_frame(signal, message.header.frame_id)
        p, q = message.pose.position, message.pose.orientation
        position, quaternion = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
        _require_usable(signal, position + quaternion, _SPANS['pose'])
        try:
            values = single_pose(position, quaternion)
        except ValueError as err:
            raise ContractError(f'{signal.key}: {err}') from err
    elif signal.kind == 'force':
        _require_frame(signal, message.header.frame_id)
        f = message.wrench.force
        force = (f.x, f.y, f.z)
        _require_usable(signal, force, _SPANS['force'])
        values = np.array(force, dtype=np.float64)
    elif hasattr(message, 'joint_names'):
        if len(message.points) == 0:
            raise ContractError(f'{signal.key}: a trajectory has no points; check its publisher')
        values = np.array(_named_positions(signal, message.joint_names,
                                           message.points[0].positions), dtype=np.float64)
    elif hasattr(message, 'name'):
        joints = _named_positions(signal, message.name, message.position)
        if signal.kind == 'gripper_width':
            joints = [sum(joints)]
            _require_usable(signal, joints, _SPANS[signal.kind])
        values = np.array(joints, dtype=np.float64)
    else:
        values = np.asarray(message.data, dtype=np.float64)
        if values.shape != (signal.dim,):
            raise ContractError(f'{signal.key}: expected {signal.dim} values, got '
                                f'{values.size}; check the publisher of its topic')
        _require_usable(signal, values.tolist(), _SPANS[signal.kind])
    header = getattr(message, 'header', None)
    stamp_ns = 0 if header is None else header.stamp.sec * 10**9 + header.stamp.nanosec
    return Sample(values, stamp_ns or receive_ns, receive_ns)


def encode(signal: Signal, type_name: str, values: Sequence[float] | Array, stamp_ns: int,
           classes: MessageClasses) -> Any:
    """Return a message of `type_name` that `decode` reads back to `values` (dim,).

    A trajectory goes there at once and rests; `encode_trajectory` writes one that moves.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (signal.dim,):
        raise ContractError(f'{signal.key}: expected {signal.dim} values, got {values.size}')
    if type_name == JOINT_TRAJECTORY:
        anywhere = dict.fromkeys(signal.names, (-math.inf, math.inf))
        return encode_trajectory(signal, values, np.zeros(signal.dim), 0.0, anywhere, classes)
    if type_name == 'std_msgs/msg/Float64MultiArray':
        layout = _build(classes, 'std_msgs/msg/MultiArrayLayout', dim=[], data_offset=0)
        return _build(classes, type_name, layout=layout, data=values)
    header = _header(signal.frame, stamp_ns, classes)
    if type_name == 'geometry_msgs/msg/PoseStamped':
        x, y, z, w = single_quaternion(values.tolist())
        pose = _build(classes, 'geometry_msgs/msg/Pose',
                      position=_xyz(classes, 'geometry_msgs/msg/Point', values[:3]),
                      orientation=_build(classes, 'geometry_msgs/msg/Quaternion',
                                         x=x, y=y, z=z, w=w))
        return _build(classes, type_name, header=header, pose=pose)
    if type_name == 'geometry_msgs/msg/WrenchStamped':
        wrench = _build(classes, 'geometry_msgs/msg/Wrench',
                        force=_xyz(classes, 'geometry_msgs/msg/Vector3', values),
                        torque=_xyz(classes, 'geometry_msgs/msg/Vector3', np.zeros(3)))
        return _build(classes, type_name, header=header, wrench=wrench)
    if type_name == 'sensor_msgs/msg/JointState':
        # A gripper's width is shared evenly by its finger joints.
        position = (np.full(len(signal.names), values[0] / len(signal.names))
                    if signal.kind == 'gripper_width' else values)
        empty = np.zeros(0)
        return _build(classes, type_name, header=header, name=list(signal.names),
                      position=position, velocity=empty, effort=empty)
    raise ContractError(f'{signal.key}: cannot write a {type_name}')


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
    return _build(classes, JOINT_TRAJECTORY, header=_header('', 0, classes),
                  joint_names=list(signal.names), points=points)


def flat_observation(signals: Sequence[Signal], samples: Mapping[str, Sample]) -> Array:
    """Return the flat observation (observation_dim,) of one sample for every signal."""
    return np.concatenate([samples[signal.key].values for signal in signals])


def _named_positions(signal: Signal, names: Sequence[str],
                     positions: Sequence[float]) -> list[float]:
    """Return the positions of the signal's joints in its order."""
    missing = [name for name in signal.names if name not in names]
    if missing:
        found = len(signal.names) - len(missing)
        raise ContractError(f'{signal.key}: expected {len(signal.names)} joints, got {found} '
                            f'(missing {", ".join(missing)}); check config/contract.yaml')
    twice = [name for name in signal.names if names.count(name) > 1]
    if twice:
        raise ContractError(f'{signal.key}: a message names {", ".join(twice)} more than once; '
                            f'check its publisher')
    if len(positions) != len(names):
        raise ContractError(f'{signal.key}: a message names {len(names)} joints but has '
                            f'{len(positions)} positions; check its publisher')
    measured = [float(positions[names.index(name)]) for name in signal.names]
    # One finger may be measured the other way round than the other.
    most = _SPANS[signal.kind][1]
    _require_usable(signal, measured, (-most, most))
    return measured


def _require_frame(signal: Signal, frame_id: str) -> None:
    if frame_id != signal.frame:
        raise ContractError(f'{signal.key}: expected frame {signal.frame!r}, got {frame_id!r}; '
                            f'transform it to the base frame before publishing')


def _require_usable(signal: Signal, values: Sequence[float], span: tuple[float, float]) -> None:
    """Refuse what is not finite or outside a span; `values` are plain floats."""
    low, high = span
    for value in values:
        if not low <= value <= high:  # NaN lies in no interval
            break
    else:
        return
    if not all(map(math.isfinite, values)):
        raise ContractError(f'{signal.key}: expected finite values, got {_shown(values)}')
    raise ContractError(f'{signal.key}: expected values from {low:g} to {high:g} {signal.unit}, '
                        f'got {_shown(values)}; check its publisher and its unit')


def _shown(values: Sequence[float]) -> str:
    return f'[{", ".join(f"{value:g}" for value in values)}]'


def _header(frame: str, stamp_ns: int, classes: MessageClasses) -> Any:
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = _build(classes, 'builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
    return _build(classes, 'std_msgs/msg/Header', stamp=stamp, frame_id=frame)


def _point(classes: MessageClasses, positions: Array, velocities: Array, time_s: float) -> Any:
    sec, nanosec = divmod(round(time_s * 1e9), 10**9)
    after = _build(classes, 'builtin_interfaces/msg/Duration', sec=sec, nanosec=nanosec)
    empty = np.zeros(0)
    return _build(classes, 'trajectory_msgs/msg/JointTrajectoryPoint', positions=positions,
                  velocities=velocities, accelerations=empty, effort=empty,
                  time_from_start=after)


def _xyz(classes: MessageClasses, type_name: str, values: Array) -> Any:
    x, y, z = values.tolist()
    return _build(classes, type_name, x=x, y=y, z=z)


def _build(classes: MessageClasses, type_name: str, **fields: Any) -> Any:
    return classes(type_name)(**fields)
