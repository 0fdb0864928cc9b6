# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where every program begins: a signal that comes during its imports ends it without a word."""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

_STOPPED = 128 + 2  # what a shell reports for a program that SIGINT ended


def begin(module: str) -> int:
    """Import a program's module, run its `main` and return the exit status.

    The imports of rclpy or torch take a second. A library that is half imported may garble or
    swallow what a signal's handler raises, and nothing is open yet: so the process ends at once.
    Then an exception ends it, so that what `main` has opened is closed, until `main` has handlers
    of its own.
    """
    _end_with(os._exit)
    main = importlib.import_module(module).main
    _end_with(sys.exit)
    return int(main())


def _end_with(leave: Callable[[int], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave(_STOPPED))


uncloning = partial(begin, 'uncloning_ros.cli.main')
simulator = partial(begin, 'uncloning_ros.nodes.simulator')
demonstrator = partial(begin, 'uncloning_ros.nodes.demonstrator')
recorder = partial(begin, 'uncloning_ros.nodes.recorder')
keyboard = partial(begin, 'uncloning_ros.nodes.keyboard')
policy = partial(begin, 'uncloning_ros.nodes.policy')
