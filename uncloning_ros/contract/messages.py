# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that carry signals: their types, and how to build them without importing ROS."""

import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY = 'std_msgs/msg/Float64MultiArray'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
IMAGE = 'sensor_msgs/msg/Image'
JOINT_STATE = 'sensor_msgs/msg/JointState'
JOINT_TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory'
POSE = 'geometry_msgs/msg/PoseStamped'
# A pose may come from a tree of transforms; then `child_frame` names the frame whose pose it is.
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
WRENCH = 'geometry_msgs/msg/WrenchStamped'

# Looks up a message class by its full name: rclpy's in a node, a bag reader's offline.
MessageClasses = Callable[[str], Any]


def build(classes: MessageClasses, type_name: str, **fields: Any) -> Any:
    """Return a message of a type with all its fields."""
    return classes(type_name)(**fields)


def header(classes: MessageClasses, frame: str, stamp_ns: int) -> Any:
    """Return a std_msgs/msg/Header."""
    sec, nanosec = divmod(stamp_ns, 10**9)
    stamp = build(classes, 'builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)
    return build(classes, 'std_msgs/msg/Header', stamp=stamp, frame_id=frame)


def xyz(classes: MessageClasses, type_name: str, values: Sequence[float]) -> Any:
    """Return a point or a vector of three values."""
    x, y, z = values
    return build(classes, type_name, x=x, y=y, z=z)


def joint_state(classes: MessageClasses, names: Sequence[str], stamp_ns: int,
                **values: Any) -> Any:
    """Return a sensor_msgs/msg/JointState; of position, velocity and effort, those given."""
    fields = dict.fromkeys(('position', 'velocity', 'effort'), np.zeros(0)) | values
    return build(classes, JOINT_STATE, header=header(classes, '', stamp_ns), name=list(names),
                 **fields)


def compressed_image(classes: MessageClasses, frame: str, stamp_ns: int, data: bytes) -> Any:
    """Return a sensor_msgs/msg/CompressedImage of a PNG."""
    return build(classes, COMPRESSED_IMAGE, header=header(classes, frame, stamp_ns), format='png',
                 data=_octets(classes, COMPRESSED_IMAGE, data))


def image(classes: MessageClasses, frame: str, stamp_ns: int, encoding: str,
          pixels: NDArray[np.uint8]) -> Any:
    """Return a sensor_msgs/msg/Image of pixels (height, width, channels)."""
    height, width, channels = pixels.shape
    return build(classes, IMAGE, header=header(classes, frame, stamp_ns), height=height,
                 width=width, encoding=encoding, is_bigendian=0, step=width * channels,
                 data=_octets(classes, IMAGE, pixels.tobytes()))


def _octets(classes: MessageClasses, type_name: str, data: bytes) -> Any:
    """Return bytes in the array that the class of a message takes without looking at each."""
    if hasattr(classes(type_name), 'get_fields_and_field_types'):  # a class of rclpy
        return array.array('B', data)
    return np.frombuffer(data, np.uint8)
