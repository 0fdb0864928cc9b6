# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Begin a program; a signal or a missing library during its imports leaves no traceback."""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from uncloning_ros.extras import missing

_STOPPED = 128 + 2  # exit status that a shell reports after SIGINT


def begin(module: str) -> int:
    """Import a program's module, run its `main` and return the exit status.

    The imports of rclpy or torch take a second. A library that is half imported may garble or
    swallow the exception of a signal's handler, and nothing is open yet: so a signal ends the
    process at once. After the imports it raises an exception, so that `main` closes its files,
    until `main` has handlers of its own.
    """
    _end_with(os._exit)
    try:
        main = importlib.import_module(module).main
        _end_with(sys.exit)
        return int(main())
    except ImportError as err:
        sentence = missing(module.rpartition('.')[2], err)
        if sentence is None:
            raise
        print(f'uncloning_ros: error: {sentence}', file=sys.stderr)
        return 2


def _end_with(leave: Callable[[int], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave(_STOPPED))


uncloning = partial(begin, 'uncloning_ros.cli.main')
simulator = partial(begin, 'uncloning_ros.nodes.simulator')
demonstrator = partial(begin, 'uncloning_ros.nodes.demonstrator')
recorder = partial(begin, 'uncloning_ros.nodes.recorder')
keyboard = partial(begin, 'uncloning_ros.nodes.keyboard')
gripper = partial(begin, 'uncloning_ros.nodes.gripper')
teleoperation = partial(begin, 'uncloning_ros.nodes.teleoperation')
policy = partial(begin, 'uncloning_ros.nodes.policy')
