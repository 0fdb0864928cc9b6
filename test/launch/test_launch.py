# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, launched: the checks are those of test/system."""

import hashlib
import os
import signal
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
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from policies import deaf_contract, patient_contract, slow_contract, wandering_policy, written
from processes import Process, Processes

try:
    SHARE = Path(get_package_share_directory('uncloning_ros'))
except PackageNotFoundError:
    pytest.skip('uncloning_ros is not in AMENT_PREFIX_PATH; build it with colcon and source it',
                allow_module_level=True)

SLOW = slow_contract()


class Launched:
    """The processes that launch started, by executable: their ids and their exit statuses."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.statuses: dict[str, int] = {}

    def on_start(self, event: Any, _: Any) -> None:
        self.pids[event.process_name.partition('-')[0]] = event.pid

    def on_exit(self, event: Any, _: Any) -> None:
        self.statuses[event.process_name.partition('-')[0]] = event.returncode


def described(name: str, launched: Launched, home: Path,
              **arguments: object) -> LaunchDescription:
    """Return a description that includes one of the package's launch files.

    `home` is where incidents and logs go, instead of the home of whoever runs the tests.
    """
    return LaunchDescription([
        SetEnvironmentVariable('HOME', str(home)),
        RegisterEventHandler(OnProcessStart(on_start=launched.on_start)),
        RegisterEventHandler(OnProcessExit(on_exit=launched.on_exit)),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch' / name)),
            launch_arguments={key: str(value) for key, value in arguments.items()}.items()),
        launch_pytest.actions.ReadyToTest(),
    ])


@pytest.fixture
def launched() -> Launched:
    return Launched()


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[Process]:
    """Run the simulator as a robot: launch did not start it, and does not end it."""
    processes = Processes(tmp_path)
    process = processes.start('simulator')
    yield process
    process.kill()
    print(process.output)


# --- handover_sim.launch.py

@launch_pytest.fixture
def handover_sim(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover_sim.launch.py', launched, tmp_path,
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


@launch_pytest.fixture
def by_default(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover_sim.launch.py', launched, tmp_path)


@launch_pytest.fixture
def simulated_time(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover_sim.launch.py', launched, tmp_path, use_sim_time='true',
                     real_time_factor='2.0',
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


@launch_pytest.fixture
def faulty_poses(tmp_path: Path, launched: Launched) -> LaunchDescription:
    contract = fault_checks.watchful_contract()
    return described('handover_sim.launch.py', launched, tmp_path,
                     contract_path=written(contract, tmp_path / 'contract.yaml'),
                     faults=fault_checks.schedule(fault_checks.POSE_FAULTS),
                     model_path=wandering_policy(tmp_path / 'wandering.onnx', contract))


@launch_pytest.fixture
def faulty_joints(tmp_path: Path, launched: Launched) -> LaunchDescription:
    contract = fault_checks.watchful_contract('contract_joint.yaml')
    return described('handover_sim.launch.py', launched, tmp_path, use_sim_time='true',
                     real_time_factor='2.0',
                     contract_path=written(contract, tmp_path / 'contract.yaml'),
                     faults=fault_checks.schedule(fault_checks.JOINT_FAULTS,
                                                  fault_checks.HARMLESS),
                     model_path=wandering_policy(tmp_path / 'wandering.onnx', contract))


@launch_pytest.fixture
def deaf(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover_sim.launch.py', launched, tmp_path,
                     model_path=wandering_policy(tmp_path / 'wandering.onnx',
                                                 deaf_contract('hand_pose')))


@pytest.mark.launch(fixture=handover_sim)
def test_handover_sim_moves_the_arm_and_every_process_ends_with_0(
        launched: Launched) -> Iterator[None]:
    with checks.observing() as observer:
        checks.policy_moves_the_simulated_arm(observer)
        checks.stop_holds_once(observer)
        checks.deactivation_holds_once(observer)
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


@pytest.mark.launch(fixture=by_default)
def test_handover_sim_runs_the_shipped_policy_unless_told_else(
        launched: Launched) -> Iterator[None]:
    shipped = (SHARE / 'models' / 'knife_uncloned.onnx').read_bytes()
    with checks.observing() as observer:
        observer.until_policy('active')
        assert observer.status['model_sha256'] == hashlib.sha256(shipped).hexdigest()
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


@pytest.mark.launch(fixture=simulated_time)
def test_handover_sim_on_simulated_time_moves_the_arm(launched: Launched) -> Iterator[None]:
    with checks.observing() as observer:
        checks.policy_moves_the_simulated_arm(observer)
        assert observer.node.count_publishers('/clock') == 1
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


@pytest.mark.timeout(400)
@pytest.mark.launch(fixture=faulty_poses)
def test_faults_of_handover_sim_hold_and_name_themselves(launched: Launched) -> Iterator[None]:
    with checks.observing(fault_checks.watchful_contract()) as observer:
        fault_checks.every_fault_holds(observer, fault_checks.POSE_FAULTS)
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


@pytest.mark.timeout(400)
@pytest.mark.launch(fixture=faulty_joints)
def test_faults_of_joints_and_clock_hold_and_name_themselves(
        launched: Launched) -> Iterator[None]:
    with checks.observing(fault_checks.watchful_contract('contract_joint.yaml')) as observer:
        fault_checks.every_fault_holds(observer, fault_checks.JOINT_FAULTS)
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


@pytest.mark.launch(fixture=deaf)
def test_handover_sim_without_one_observation_moves_nothing(
        launched: Launched) -> Iterator[None]:
    with checks.observing() as observer:
        checks.what_never_arrives_is_waited_for_in_silence(observer, 'hand_pose')
    yield
    assert launched.statuses == {'policy': 0, 'simulator': 0}


# --- handover.launch.py

@launch_pytest.fixture
def handover(tmp_path: Path, launched: Launched) -> LaunchDescription:
    model = wandering_policy(tmp_path / 'wandering.onnx', SLOW, wander=0.1)
    return described('handover.launch.py', launched, tmp_path, model_path=model,
                     expected_sha256=hashlib.sha256(model.read_bytes()).hexdigest())


@launch_pytest.fixture
def shadow(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover.launch.py', launched, tmp_path, expected_sha256='', shadow='true',
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'),
                     incident_dir=tmp_path / 'incidents')


@launch_pytest.fixture
def replaced(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('handover.launch.py', launched, tmp_path, expected_sha256='0' * 64,
                     model_path=wandering_policy(tmp_path / 'wandering.onnx'))


@pytest.mark.launch(fixture=handover)
def test_handover_waits_in_silence_for_a_robot(launched: Launched) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until_policy('waiting')
        assert observer.status['reason'] == 'missing_input'
        assert observer.commands == []
    yield
    assert launched.statuses == {'policy': 0}


@pytest.mark.launch(fixture=handover)
def test_handover_moves_a_robot_when_asked_and_the_end_of_launch_holds_it_once(
        launched: Launched, robot: Process) -> Iterator[None]:
    with checks.observing(SLOW) as observer:
        checks.motion_begins_with_one_step_at_most(observer, SLOW)
        yield
        checks.last_command_is_the_only_hold(observer)
    assert launched.statuses == {'policy': 0}
    assert robot.end() == 0


@pytest.mark.launch(fixture=handover)
def test_a_policy_of_handover_that_is_told_to_end_holds_once_and_launch_ends_with_it(
        launched: Launched, robot: Process) -> Iterator[None]:
    with checks.observing(SLOW) as observer:
        checks.motion_begins_with_one_step_at_most(observer, SLOW)
        os.kill(launched.pids['policy'], signal.SIGTERM)
        observer.until(lambda: 'policy' in launched.statuses, 'the end of the policy')
        checks.last_command_is_the_only_hold(observer)
    yield
    assert launched.statuses == {'policy': 0}
    assert robot.end() == 0


@pytest.mark.launch(fixture=handover)
def test_a_policy_of_handover_that_is_killed_leaves_a_robot_that_rests(
        launched: Launched, robot: Process) -> Iterator[None]:
    def kill() -> None:
        os.kill(launched.pids['policy'], signal.SIGKILL)
        observer.until(lambda: 'policy' in launched.statuses, 'the end of the policy')

    with checks.observing(SLOW) as observer:
        checks.motion_begins_with_one_step_at_most(observer, SLOW)
        checks.sigkill_of_the_policy_leaves_an_arm_that_rests(observer, kill)
    yield
    assert launched.statuses == {'policy': -signal.SIGKILL}
    assert robot.end() == 0


@pytest.mark.launch(fixture=shadow)
def test_handover_in_the_shadow_commands_nothing_and_writes_where_it_is_told(
        launched: Launched, tmp_path: Path) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until_policy('waiting')
        assert observer.status['shadow'] is True
        assert observer.node.count_publishers('/target_pose') == 0
        assert observer.call('/policy/dump').success
    yield
    assert len(list((tmp_path / 'incidents').glob('*_dump.npz'))) == 1
    assert launched.statuses == {'policy': 0}


@pytest.mark.launch(fixture=replaced)
def test_handover_of_another_file_than_the_expected_one_ends_with_2(
        launched: Launched, robot: Process) -> Iterator[None]:
    with checks.observing() as observer:
        observer.until(lambda: 'policy' in launched.statuses, 'the end of the policy')
        assert observer.commands == []
    yield
    assert launched.statuses == {'policy': 2}
    assert robot.end() == 0


# --- record.launch.py

@launch_pytest.fixture
def record(tmp_path: Path, launched: Launched) -> LaunchDescription:
    return described('record.launch.py', launched, tmp_path, out=tmp_path / 'demos',
                     mode='handle_first', simulate='true', seed=3,
                     contract_path=written(patient_contract(), tmp_path / 'contract.yaml'))


@pytest.mark.launch(fixture=record)
def test_record_with_a_simulated_operator_makes_a_bag(
        launched: Launched, tmp_path: Path) -> Iterator[None]:
    with checks.observing() as observer:
        checks.record_one_demonstration(observer, 'handle_first', tmp_path / 'demos')
    yield
    assert launched.statuses == {'recorder': 0, 'simulator': 0, 'demonstrator': 0}
