#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start the installed policy node with a shipped model, wait for its status, and stop it.

Ends with status 0 if the node became active, waited for its inputs and ended in good order.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ.setdefault('ROS_DOMAIN_ID', '87')

import numpy as np
import rclpy
from std_msgs.msg import String

from uncloning_ros.share import share_path

WAIT_S = 60.0


def main() -> int:
    """Return the exit status."""
    model = share_path('models') / 'knife_uncloned.onnx'
    node = subprocess.Popen(['policy', '--ros-args', '-p', f'model_path:={model}', '-p',
                             'auto_activate:=true', '-p', 'incident_dir:=incidents'])
    rclpy.init()
    listener = rclpy.create_node('listener')
    heard: list[str] = []
    latched = rclpy.qos.QoSProfile(depth=1, durability=rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL)
    listener.create_subscription(String, '/policy/status', lambda message: heard.append(
        json.loads(message.data)['state']), latched)
    deadline_s = time.monotonic() + WAIT_S
    while 'waiting' not in heard and time.monotonic() < deadline_s and node.poll() is None:
        rclpy.spin_once(listener, timeout_sec=0.2)
    node.send_signal(signal.SIGINT)
    status = node.wait(timeout=WAIT_S)
    print(f'Python {platform.python_version()}, numpy {np.__version__}: policy node said '
          f'{heard[-1] if heard else "nothing"} and ended with status {status}')
    return 0 if 'waiting' in heard and status == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
