# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a process: a closing terminal ends it, unless it was started with nohup."""

import subprocess
import sys

import pytest
from processes import REPOSITORY

from uncloning_ros.nodes.process import run_node

CODE = """
import os, signal, sys, threading, time
signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1] == 'nohup' else signal.SIG_DFL)
from rclpy.node import Node
from uncloning_ros.nodes.process import run_node

class Quiet(Node):
    def __init__(self):
        super().__init__('quiet')
        threading.Thread(target=self.hang_up, daemon=True).start()

    def hang_up(self):
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(1.0)
        print('alive', flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    def close(self):
        print('closed', flush=True)
        self.destroy_node()

sys.exit(run_node(Quiet, []))
"""


@pytest.mark.parametrize(('how', 'printed'), [('nohup', ['alive', 'closed']),
                                              ('terminal', ['closed'])])
def test_a_hangup_ends_a_node_in_order_but_not_under_nohup(how: str, printed: list[str]) -> None:
    done = subprocess.run([sys.executable, '-c', CODE, how], cwd=REPOSITORY, text=True,
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (0, printed), done.stderr


# The first topic always has a message again, and each wait has another longest duration.
BUSY = """
import os, signal, sys
from rclpy.node import Node
from std_msgs.msg import Bool
from uncloning_ros.nodes.process import run_node

class Busy(Node):
    def __init__(self):
        super().__init__('busy')
        self.waits, self.heard = 0, False
        self.create_subscription(Bool, 'busy/sensor', lambda _: self.sensor.publish(Bool()), 1)
        self.create_subscription(Bool, 'busy/switch', self.on_switch, 1)
        self.sensor = self.create_publisher(Bool, 'busy/sensor', 1)
        self.switch = self.create_publisher(Bool, 'busy/switch', 1)

    def on_switch(self, message):
        self.heard = True

    def pause(self):
        self.waits += 1
        if self.waits == 1:
            self.sensor.publish(Bool())
            self.switch.publish(Bool())
        if self.heard or self.waits > 500:
            os.kill(os.getpid(), signal.SIGTERM)
        return 1.0 + self.waits * 0.001

    def close(self):
        print('heard' if self.heard else 'starved', flush=True)
        self.destroy_node()

sys.exit(run_node(Busy, [], Busy.pause))
"""


def test_a_busy_topic_starves_no_other_topic() -> None:
    done = subprocess.run([sys.executable, '-c', BUSY], cwd=REPOSITORY, text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.stdout.split() == ['heard'], done.stderr


@pytest.mark.parametrize(('word', 'said'), [
    ('seed:=010', ['seed: expected a decimal number, got 010', 'write 10, or']),
    ('session:=-007', ['session: ', 'got -007', 'write -7', '"-007"'])])
def test_a_number_that_ros_reads_to_the_base_of_8_is_refused(
        word: str, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_node(lambda: pytest.fail('a node was made'), ['--ros-args', '-p', word]) == 2
    error = capsys.readouterr().err
    assert all(one in error for one in said), error
