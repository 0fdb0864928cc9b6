#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure what it costs to record cameras at full rate, and whether a picture is lost.

Another process publishes pictures of 640 x 480 px at 30 Hz as camera drivers do (sensor data: best
effort), and every other topic of the contract at 50 Hz. The recorder's verdict and the numbers of
the pictures in the bag tell the losses.

  bench/camera_recording.py
  bench/camera_recording.py --seconds 120 --cameras 1 --raw
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
import yaml
from measure import Figure, Report
from PIL import Image, ImageDraw

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.info import read_info
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.messages import BagContents, Query
from uncloning_ros.demos.bags.reader import raw_messages
from uncloning_ros.errors import UncloningError
from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.share import share_path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'test'))  # the tests have a recorder to call

SIZE = 640, 480
_PICTURES = 30  # different ones of each camera, in turn
_CAMERA_HZ, _OTHER_HZ = 30, 50
_QUALITY = 90
_NUMBER_AT, _DIGITS = 16, 10  # place (bytes) of the frame_id in a message; a picture's number


def main() -> int:
    """Run the benchmark, or the process that publishes."""
    parser = measure.parser(__doc__)
    parser.add_argument('--seconds', type=float, default=60.0, help='default: %(default)s')
    parser.add_argument('--cameras', type=int, choices=(1, 2), default=2,
                        help='default: %(default)s')
    parser.add_argument('--raw', action='store_true', help='sensor_msgs/Image, not compressed')
    parser.add_argument('--reliable', action='store_true',
                        help='publish reliably, not as best effort')
    parser.add_argument('--folder', type=Path, default=Path.home(), metavar='DIR',
                        help='disk to record to (default: %(default)s)')
    parser.add_argument('--publish', type=Path, metavar='CONTRACT', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.publish is not None:
        publish(load_contract(args.publish), args.reliable)
        return 0
    return measure.run(record, args)


def record(args: argparse.Namespace) -> Report:
    """Record one take of cameras, and count."""
    from crashes import Recorder
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ.setdefault('ROS_DOMAIN_ID', '96')
    seconds = 10.0 if args.short else args.seconds
    with tempfile.TemporaryDirectory(prefix='camera_bench_', dir=args.folder) as name:
        folder = Path(name)
        contract = folder / 'contract.yaml'
        contract.write_text(_contract(args.cameras, args.raw))
        with _robot(contract, args.reliable) as robot, Recorder(
                folder / 'demos', folder / 'log', contract_path=contract,
                min_free_mib=1) as recorder:
            recorder.until_said('a recording takes')
            answer = recorder.call('start_episode')
            if answer is None or not answer.success:
                raise UncloningError(f'no take: {answer}; {(folder / "log").read_text()}')
            told = answer.message
            before_s, began_s = measure.cpu_s(recorder.process), time.monotonic()
            recorder.wait(seconds)
            took_s = time.monotonic() - began_s
            used_s = measure.cpu_s(recorder.process) - before_s
            before_s, stopped_s = measure.cpu_s(recorder.process), time.monotonic()
            kept = recorder.call('stop_episode').message
            stop_s = time.monotonic() - stopped_s
            stop_cpu_s = measure.cpu_s(recorder.process) - before_s
            robot.kill()
        if not kept.startswith('kept'):
            raise UncloningError(f'no episode: {kept}')
        [path] = list_episodes(folder / 'demos')
        holes, counts = _holes(path, load_contract(contract))
        size = sum(file.stat().st_size for file in path.iterdir())
    return Report('recording cameras', figures=[
        Figure('pictures', counts | {'missing': holes}),
        Figure('verdict', {'is': kept.partition('): ')[2]}),
        Figure('told', {'is': told.partition('; ')[2]}),
        Figure('disk', {'mb_a_minute': size / 1e6 * 60 / took_s}),
        Figure('recorder', {'cores': used_s / took_s, 'stop_s': stop_s,
                            'stop_cpu_s': stop_cpu_s})])


def _contract(cameras: int, raw: bool) -> str:
    """Return the shipped contract of cameras with pictures as a camera's driver sends them."""
    data = yaml.safe_load((share_path('config') / 'contract_camera.yaml').read_text())
    seen = [one for one in data['interface']['observations'] if one['kind'] == 'image']
    for one in seen[cameras:]:
        data['interface']['observations'].remove(one)
        del data['deployment']['observations'][one['key']]
    for one in seen[:cameras]:
        one['camera_size'], one['crop'] = list(SIZE), [80, 0, 480, 480]
        if raw:
            data['deployment']['observations'][one['key']] |= {
                'type': 'sensor_msgs/msg/Image', 'topic': f'{one["key"]}/image_raw'}
    return yaml.safe_dump(data, sort_keys=False)


def _robot(contract: Path, reliable: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / 'camera_recording.py'), '--publish',
                             str(contract), *(['--reliable'] if reliable else [])])


def _holes(path: Path, contract: Contract) -> tuple[int, dict[str, int]]:
    """Return the number of pictures missing between others, and the recorded ones by topic."""
    topics = {'/' + contract.deployment.observations[signal.key].topic
              for signal in contract.interface.cameras}
    numbers: dict[str, list[int]] = {topic: [] for topic in sorted(topics)}
    for raw in raw_messages(read_info(path), Query(frozenset(topics)), BagContents()):
        numbers[raw.topic].append(int(raw.data[_NUMBER_AT:_NUMBER_AT + _DIGITS]))
    missing = sum(found[-1] - found[0] + 1 - len(found) for found in numbers.values())
    if any(found != sorted(set(found)) for found in numbers.values()):
        raise UncloningError(f'{path}: pictures are not in the order of their numbers')
    return missing, {re.sub('/.*', '', topic[1:]): len(found)
                     for topic, found in numbers.items()}


def publish(contract: Contract, reliable: bool) -> None:
    """Publish every topic of the contract until killed; each picture has its number."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message

    from uncloning_ros.nodes.topics import message_class
    rclpy.init()
    node = rclpy.create_node('robot')
    interface, deployment = contract.interface, contract.deployment
    cameras, others = [], []
    for signal in (*interface.observations, *interface.actions):
        topic = {**deployment.observations, **deployment.actions}[signal.key]
        pictured = signal in interface.cameras
        out = node.create_publisher(message_class(topic.type), topic.topic,
                                    qos_profile_sensor_data if pictured and not reliable else 10)
        if pictured:
            frames = [bytearray(serialize_message(_picture(message_class, topic.type, number)))
                      for number in range(_PICTURES)]
            cameras.append((out, frames))
        else:
            others.append((out, signal, topic.type))
    begin_s, pictures, rest = time.monotonic(), 0, 0
    while True:
        now_s = time.monotonic() - begin_s
        if now_s * _CAMERA_HZ >= pictures:
            for out, frames in cameras:
                data = frames[pictures % _PICTURES]
                _stamp(data, pictures)
                out.publish(bytes(data))
            pictures += 1
        if now_s * _OTHER_HZ >= rest:
            for out, signal, type_name in others:
                values = (pose_from_parts((0.4, 1e-5 * (rest % 999), 0.3), rotation_about_z(0.0))
                          if signal.kind == 'pose'
                          else np.full(signal.dim, 0.02 + 1e-5 * (rest % 999)))
                out.publish(encode(signal, type_name, values, time.time_ns(), message_class))
            rest += 1
        next_s = min(pictures / _CAMERA_HZ, rest / _OTHER_HZ)
        time.sleep(max(0.0, begin_s + next_s - time.monotonic()))


def _stamp(data: bytearray, number: int) -> None:
    sec, nanosec = divmod(time.time_ns(), 10**9)
    data[4:12] = sec.to_bytes(4, 'little') + nanosec.to_bytes(4, 'little')
    data[_NUMBER_AT:_NUMBER_AT + _DIGITS] = b'%010d' % number


def _picture(classes: Any, type_name: str, number: int) -> Any:
    """Return a message of a noisy scene in which something moves; a JPEG has 60 to 100 kB."""
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.normal(130, 8, (SIZE[1], SIZE[0], 3)).clip(0, 255)
                            .astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for i in range(12):
        left, top = (50 * i + 9 * number) % 600, 37 * i % 440
        draw.rectangle((left, top, left + 60, top + 50),
                       fill=(20 * i, 255 - 20 * i, 97 * i % 255))
    message = classes(type_name)()
    message.header.frame_id = '0' * _DIGITS
    if type_name.endswith('CompressedImage'):
        buffer = io.BytesIO()
        image.save(buffer, 'JPEG', quality=_QUALITY)
        message.format = 'jpeg'
        message.data.frombytes(buffer.getvalue())
    else:
        message.height, message.width, message.encoding = SIZE[1], SIZE[0], 'rgb8'
        message.step = 3 * SIZE[0]
        message.data.frombytes(image.tobytes())
    return message


if __name__ == '__main__':
    sys.exit(main())
