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
import fault_checks
import launch_pytest
from ament_index_python import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    IncludeLaunchDescription,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from policies import patient_contract, wandering_policy, written

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


def described(name: str, exits: Exits, home: Path, **arguments: object) -> LaunchDescription:
    """Return a description that includes one of the package's launch files.

    `home` is where incidents and logs go, instead of the home of whoever runs the tests.
    """
    return LaunchDescription([
        SetEnvironmentVariable('HOME', str(home)),
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
    return described('handover_sim.launch.py', exits, tmp_path,
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


# Some are enough here: what travels is the list.
FAULTS = [fault for fault in fault_checks.POSE_FAULTS if fault.text.startswith('hand_pose')]


@launch_pytest.fixture
def faulty(tmp_path: Path, exits: Exits) -> LaunchDescription:
    contract = fault_checks.watchful_contract()
    path = written(contract, tmp_path / 'contract.yaml')
    return described('handover_sim.launch.py', exits, tmp_path, contract_path=path,
                     faults=fault_checks.schedule(FAULTS),
                     model_path=wandering_policy(tmp_path / 'wandering.onnx', contract))


@launch_pytest.fixture
def simulated_time(tmp_path: Path, exits: Exits) -> LaunchDescription:
    return described('handover_sim.launch.py', exits, tmp_path, use_sim_time='true',
                     real_time_factor='2.0',
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


@launch_pytest.fixture
def handover(tmp_path: Path, exits: Exits) -> LaunchDescription:
    model = wandering_policy(tmp_path / 'wandering.onnx')
    return described('handover.launch.py', exits, tmp_path, model_path=model,
                     expected_sha256=hashlib.sha256(model.read_bytes()).hexdigest())


@launch_pytest.fixture
def shadow(tmp_path: Path, exits: Exits) -> LaunchDescription:
    return described('handover.launch.py', exits, tmp_path, expected_sha256='', shadow='true',
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'),
                     incident_dir=tmp_path / 'incidents')


@launch_pytest.fixture
def record(tmp_path: Path, exits: Exits) -> LaunchDescription:
    return described('record.launch.py', exits, tmp_path, out=tmp_path / 'demos',
                     mode='handle_first', simulate='true', seed=3,
                     contract_path=written(patient_contract(), tmp_path / 'contract.yaml'))


@pytest.mark.launch(fixture=handover_sim)
def test_handover_sim_moves_the_arm_and_every_process_ends_with_0(
        exits: Exits) -> Iterator[None]:
    with checks.observing() as observer:
        checks.policy_moves_the_simulated_arm(observer)
        checks.stop_holds_once(observer)
        checks.deactivation_holds_once(observer)
    yield
    assert sorted(name.partition('-')[0] for name in exits.statuses) == ['policy', 'simulator']
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=faulty)
def test_faults_of_handover_sim_hold_and_name_themselves(exits: Exits) -> Iterator[None]:
    with checks.observing(fault_checks.watchful_contract()) as observer:
        fault_checks.every_fault_holds(observer, FAULTS)
    yield
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=simulated_time)
def test_handover_sim_on_simulated_time_moves_the_arm(exits: Exits) -> Iterator[None]:
    with checks.observing() as observer:
        checks.policy_moves_the_simulated_arm(observer)
        assert observer.node.count_publishers('/clock') == 1
    yield
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=handover)
def test_handover_on_a_robot_waits_in_silence(exits: Exits) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until_policy('waiting')
        assert observer.of('/policy/status', 'reason') == 'missing_input'
        assert observer.commands == []
    yield
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=shadow)
def test_handover_in_the_shadow_commands_nothing_and_writes_where_it_is_told(
        exits: Exits, tmp_path: Path) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until_policy('waiting')
        assert observer.status['shadow'] is True
        assert observer.node.count_publishers('/target_pose') == 0
        assert observer.call('/policy/dump').success
    yield
    assert len(list((tmp_path / 'incidents').glob('*_dump.npz'))) == 1
    assert set(exits.statuses.values()) == {0}


@pytest.mark.launch(fixture=record)
def test_record_with_a_simulated_operator_makes_a_bag(
        exits: Exits, tmp_path: Path) -> Iterator[None]:
    with checks.observing() as observer:
        checks.record_one_demonstration(observer, 'handle_first', tmp_path / 'demos')
    yield
    assert set(exits.statuses.values()) == {0}
