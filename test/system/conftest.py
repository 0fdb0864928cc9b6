# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are gone when a test ends, and somebody who watches them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not installed')

from checks import Observer, observing
from policies import wandering_policy
from processes import Processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    for process in started.all:
        process.kill()
        print(process.output)  # pytest shows it if the test failed


@pytest.fixture
def observer() -> Iterator[Observer]:
    with observing() as made:
        yield made


@pytest.fixture(scope='session')
def wandering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wandering_policy(tmp_path_factory.mktemp('policy') / 'wandering.onnx')
