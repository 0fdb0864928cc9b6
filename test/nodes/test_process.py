# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node as a process: a closing terminal ends it, unless it was started with nohup."""

import subprocess
import sys

import pytest
from processes import REPOSITORY

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
