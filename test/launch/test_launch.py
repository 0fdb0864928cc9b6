# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, launched: the checks are those of test/system."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('launch_pytest',
                    reason='launch_pytest is not installed; it comes with ROS 2 from apt')

import checks
import launch_pytest
from ament_index_python import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from policies import wandering_policy

try:
    SHARE = Path(get_package_share_directory('uncloning_ros'))
except PackageNotFoundError:
    pytest.skip('uncloning_ros is not in AMENT_PREFIX_PATH; build it with colcon and source it',
                allow_module_level=True)


class Exits:
    """Collect the exit statuses of every process that launch started."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}

    def on_exit(self, event: Any, _: Any) -> None:
        self.statuses[event.process_name] = event.returncode


def described(name: str, exits: Exits, **arguments: object) -> LaunchDescription:
    """Return a description that includes one of the package's launch files."""
    return LaunchDescription([
        RegisterEventHandler(OnProcessExit(on_exit=exits.on_exit)),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch' / name)),
            launch_arguments={key: str(value) for key, value in arguments.items()}.items()),
        launch_pytest.actions.ReadyToTest(),
    ])


@pytest.fixture
def exits() -> Exits:
    return Exits()


@launch_pytest.fixture
def handover_sim(tmp_path: Path, exits: Exits) -> LaunchDescription:
    return described('handover_sim.launch.py', exits,
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


@launch_pytest.fixture
def handover(tmp_path: Path, exits: Exits) -> LaunchDescription:
    model = wandering_policy(tmp_path / 'wandering.onnx')
    return described('handover.launch.py', exits, model_path=model,
                     expected_sha256=hashlib.sha256(model.read_bytes()).hexdigest())


@launch_pytest.fixture
def record(tmp_path: Path, exits: Exits) -> LaunchDescription:
    return described('record.launch.py', exits, out=tmp_path / 'demos', mode='handle_first',
                     simulate='true', seed=3)


@pytest.mark.launch(fixture=handover_sim)
def test_handover_sim_moves_the_arm_and_every_process_ends_with_0(
        exits: Exits) -> Iterator[None]:
    with checks.observing() as observer:
        checks.policy_moves_the_simulated_arm(observer)
        checks.stop_holds_once(observer)
    yield
    assert sorted(name.partition('-')[0] for name in exits.statuses) == ['policy', 'simulator']
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=handover)
def test_handover_on_a_robot_waits_in_silence(exits: Exits) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until_policy('waiting')
        assert observer.of('/policy/status', 'reason') == 'missing_input'
        assert observer.commands == []
    yield
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=record)
def test_record_with_a_simulated_operator_makes_a_bag(
        exits: Exits, tmp_path: Path) -> Iterator[None]:
    with checks.observing() as observer:
        checks.record_one_demonstration(observer, 'handle_first', tmp_path / 'demos')
    yield
    assert set(exits.statuses.values()) == {0}
