# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a process beside the policy in bench/control.py: sensors, or a bare sender.

    bench/control_processes.py sense CONTRACT          publish observations until SIGINT
    bench/control_processes.py send PERIOD_NS SECONDS  send commands with rclpy alone

The sensors belong to an arm that follows its commands, a gripper that stays open, and trackers
that see no motion: arm and gripper at 125 Hz, trackers at 50 Hz, cameras at 30 Hz (JPEG where the
contract says CompressedImage). The bare sender keeps absolute deadlines as the policy does, also
skips whole periods after an overrun, and sends the same two messages with no other work. It writes
each deadline (monotonic clock) into the stamp, and the time of sending into the pose; only its own
listener reads them.
"""

import gc
import heapq
import io
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from PIL import Image
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

from uncloning_ros.contract import KINDS, Signal, load_contract
from uncloning_ros.contract.messages import COMPRESSED_IMAGE, compressed_image
from uncloning_ros.conversions import encode
from uncloning_ros.geometry import single_pose
from uncloning_ros.nodes.topics import COMMAND_QOS, SENSOR_QOS, message_class

BARE_POSE, BARE_WIDTH = 'bare/target_pose', 'bare/target_width'

_ROBOT_HZ, _TRACKER_HZ, _CAMERA_HZ = 125, 50, 30
_TRACKED = ('object_pose', 'hand_pose')
# Start of a handover: the gripper points down above the object, and the person waits.
_WHERE = {'tool_pose': ((0.405, 0.0, 0.466), (1.0, 0.0, 0.0, 0.0)),
          'object_pose': ((0.427, -0.027, 0.096), (0.0, 0.0, 0.936, 0.352)),
          'hand_pose': ((1.15, 0.25, 0.15), (0.0, 0.0, -0.986, 0.167))}
_VARIETY, _PICTURES = 64, 8  # different messages of each sensor, made in advance
_JPEG_QUALITY = 85  # of usual camera drivers
_NOISE = {'pose': 1e-3, 'force': 0.1, 'gripper_width': 1e-5, 'joint_positions': 1e-4}
_LISTENER_TIMEOUT_S = 10.0


def sense(contract_path: str) -> None:
    """Publish every observation at its rate, stamped with the time of sending."""
    contract = load_contract(Path(contract_path))
    rng = np.random.default_rng(0)
    ending = _init()
    node = rclpy.create_node('sensors')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    commanded: list[PoseStamped] = []
    target = contract.deployment.actions['target_pose']
    # The arm subscribes to the bare sender too, so that both have the same number of listeners.
    for topic_name, receive in ((target.topic, commanded.append), (BARE_POSE, lambda _: None)):
        node.create_subscription(PoseStamped, topic_name, receive, COMMAND_QOS)
    begin_ns = time.monotonic_ns()
    due = []
    for i, item in enumerate(contract.interface.observations):
        topic = contract.deployment.observations[item.key]
        publisher = node.create_publisher(message_class(topic.type), topic.topic, SENSOR_QOS)
        pictures = KINDS[item.kind].pictures
        messages = ([_picture(item, topic.type, rng) for _ in range(_PICTURES)] if pictures else
                    [encode(item, topic.type, _values(item, rng), 0, message_class)
                     for _ in range(_VARIETY)])
        follows = item.key == 'tool_pose'
        period_ns = 10**9 // (_CAMERA_HZ if pictures else
                              _TRACKER_HZ if item.key in _TRACKED else _ROBOT_HZ)
        # Sensors are not synchronised: their phases differ.
        heapq.heappush(due, (begin_ns + i * 1_700_000, i, period_ns, publisher, messages, follows))
    gc.disable()
    sent = 0
    while not ending:
        due_ns, i, period_ns, publisher, messages, follows = due[0]
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            executor.spin_once(timeout_sec=left_ns * 1e-9)
        message = messages[sent % len(messages)]
        sent += 1
        if follows and commanded:
            del commanded[:-1]
            message.pose = commanded[0].pose
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
        publisher.publish(message)
        heapq.heapreplace(due, (due_ns + period_ns, i, period_ns, publisher, messages, follows))
    rclpy.try_shutdown()


def send(period_ns: int, seconds: float) -> None:
    """Send commands for some seconds, once a listener is there."""
    ending = _init()
    node = rclpy.create_node('bare_sender')
    pose_out = node.create_publisher(PoseStamped, BARE_POSE, COMMAND_QOS)
    width_out = node.create_publisher(Float64MultiArray, BARE_WIDTH, COMMAND_QOS)
    give_up_s = time.monotonic() + _LISTENER_TIMEOUT_S
    while not (pose_out.get_subscription_count() and width_out.get_subscription_count()):
        if time.monotonic() > give_up_s:
            sys.exit('bare_sender: no listener subscribed; start it first')
        time.sleep(0.05)
    pose, width = PoseStamped(), Float64MultiArray(data=[0.08])
    pose.header.frame_id = 'panda_link0'
    gc.disable()
    due_ns = time.monotonic_ns()
    end_ns = due_ns + round(seconds * 1e9)
    while due_ns < end_ns and not ending:
        time.sleep(max(0, due_ns - time.monotonic_ns()) * 1e-9)
        pose.header.stamp.sec, pose.header.stamp.nanosec = divmod(due_ns, 10**9)
        pose.pose.position.x = float(time.monotonic_ns())
        pose_out.publish(pose)
        width_out.publish(width)
        due_ns += period_ns
        due_ns += max(0, -(-(time.monotonic_ns() - due_ns) // period_ns)) * period_ns
    rclpy.try_shutdown()


def _init() -> list[bool]:
    """Join the graph; return a list that is empty until a signal arrives."""
    ending: list[bool] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.append(True))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    return ending


def _values(item: Signal, rng: np.random.Generator) -> np.ndarray:
    """Return plausible noisy values (dim,) of one observation."""
    noise = rng.normal(scale=_NOISE[item.kind], size=item.dim)
    if item.kind == 'pose':
        noise[3:] = 0.0
        return single_pose(*_WHERE[item.key]) + noise
    return np.full(item.dim, 0.08 if item.kind == 'gripper_width' else 0.0) + noise


def _picture(item: Signal, type_name: str, rng: np.random.Generator) -> Any:
    """Return a message of a picture with gentle slopes, edges and noise, as of a camera."""
    width, height = item.view.camera_size
    y, x = np.mgrid[:height, :width]
    slopes = np.stack([x * 150 / width, y * 150 / height, (x + y) * 150 / (width + height)], -1)
    pixels = 50 + slopes + 30 * ((x // 40 + y // 40) % 2)[:, :, None]
    pixels = pixels + rng.normal(scale=4.0, size=pixels.shape)
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)[:, :, :item.shape[2]]
    if type_name != COMPRESSED_IMAGE:
        return encode(item, type_name, pixels, 0, message_class)
    data = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(data, 'JPEG', quality=_JPEG_QUALITY)
    return compressed_image(message_class, item.frame, 0, data.getvalue())


def main(words: Sequence[str]) -> None:
    """Run the process that the words name."""
    if words[0] == 'sense':
        sense(words[1])
    else:
        send(int(words[1]), float(words[2]))


if __name__ == '__main__':
    main(sys.argv[1:])
