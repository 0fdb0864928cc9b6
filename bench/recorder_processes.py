# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a process beside the recorder in its benchmark: a fast robot, or a bare subscriber.

    bench/recorder_processes.py publish    read seconds from stdin, publish, write counts to stdout
    bench/recorder_processes.py discard    receive every message as bytes and discard it

The robot publishes at 20 Hz until it reads a number of seconds. Then it publishes fast and numbers
its messages from 1, in the eight bytes at `NUMBER_AT` from their end. In slow messages the number
is 0.
"""

import contextlib
import json
import select
import struct
import sys
import time
from dataclasses import dataclass

import rclpy
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

# Place of a message's number (bytes before its end): of a pose z, since its quaternion has to be a
# rotation; of the others their last value, which no signal reads.
NUMBER_AT = {'PoseStamped': 40, 'WrenchStamped': 8, 'JointState': 8}


@dataclass(frozen=True)
class Stream:
    """One topic of the shipped contract, and the milliseconds of 4 in which it is published."""

    topic: str
    message: object
    turns: tuple[int, ...]


def streams() -> list[Stream]:
    """Return a joint state and a wrench at 1 kHz, four poses at 250 Hz: 3,000 a second."""
    names = ['panda_finger_joint1', 'panda_finger_joint2', *(f'joint{i}' for i in range(7))]
    joints = JointState(name=names, position=[0.02] * 9, velocity=[0.0] * 9, effort=[0.0] * 9)
    wrench, pose = WrenchStamped(), PoseStamped()
    wrench.header.frame_id = pose.header.frame_id = 'panda_link0'
    pose.pose.orientation.w = 1.0
    return [Stream('gripper/joint_states', joints, (0, 1, 2, 3)),
            Stream('ft_sensor/wrench', wrench, (0, 1, 2, 3)),
            *(Stream(topic, pose, (turn,)) for turn, topic in enumerate(
                ('current_pose', 'object_pose', 'hand_pose', 'target_pose')))]


def publish() -> None:
    """Publish until stdin ends."""
    rclpy.init()
    node = rclpy.create_node('robot')
    qos = QoSProfile(depth=5000)
    outs = [(stream, node.create_publisher(type(stream.message), stream.topic, qos),
             bytearray(serialize_message(stream.message))) for stream in streams()]

    def send(stream: Stream, out: object, data: bytearray, number: int) -> None:
        now_ns = time.time_ns()
        struct.pack_into('<iI', data, 4, *divmod(now_ns, 10**9))
        at = len(data) - NUMBER_AT[type(stream.message).__name__]
        struct.pack_into('<d', data, at, float(number))
        out.publish(bytes(data))  # type: ignore[attr-defined]

    while True:
        if not select.select([sys.stdin], [], [], 0.05)[0]:
            for stream, out, data in outs:
                send(stream, out, data, 0)
            continue
        line = sys.stdin.readline()
        if not line:
            break
        counts = dict.fromkeys(('/' + stream.topic for stream, _, _ in outs), 0)
        begin_s = time.monotonic()
        for step in range(round(float(line) * 1000)):
            time.sleep(max(0.0, begin_s + step * 1e-3 - time.monotonic()))
            for stream, out, data in outs:
                if step % 4 in stream.turns:
                    counts['/' + stream.topic] += 1
                    send(stream, out, data, counts['/' + stream.topic])
        took_s = time.monotonic() - begin_s
        acknowledged = all(out.wait_for_all_acked(Duration(seconds=30)) for _, out, _ in outs)
        print(json.dumps({'counts': counts, 'took_s': took_s, 'acknowledged': acknowledged}),
              flush=True)
    node.destroy_node()
    rclpy.try_shutdown()


def discard() -> None:
    """Subscribe to the same topics as bytes, until killed."""
    rclpy.init()
    node = rclpy.create_node('discarder')
    for stream in streams():
        node.create_subscription(type(stream.message), stream.topic, lambda _: None,
                                 QoSProfile(depth=1000), raw=True)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == '__main__':
    {'publish': publish, 'discard': discard}[sys.argv[1]]()
