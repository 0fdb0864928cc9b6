# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The physics engine keeps quiet, also where stdout is a pipe."""

import os
import subprocess
import sys


def test_nothing_is_printed_into_a_pipe() -> None:
    environment = {name: value for name, value in os.environ.items()
                   if name != 'PYTHONUNBUFFERED'}
    program = ('from uncloning_ros.simulation.pybullet.client import connect\n'
               'connect().disconnect()\n'
               'print("done")')
    ended = subprocess.run([sys.executable, '-c', program], env=environment,
                           capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ('done\n', '')
