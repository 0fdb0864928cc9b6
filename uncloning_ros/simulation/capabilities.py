# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The signals that the simulator can measure and execute of a contract's interface."""

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY, Interface, Signal
from uncloning_ros.errors import ScenarioError, near_miss
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.panda import JOINT_NAMES

# Observations that can be measured: kind by key.
_MEASURED = {TOOL_KEY: 'pose', 'gripper_width': 'gripper_width', OBJECT_KEY: 'pose',
             HAND_KEY: 'pose', 'wrist_force': 'force', 'joint_positions': 'joint_positions'}
_ARM_COMMANDS = ('pose', 'joint_positions')


def require_played(interface: Interface, remedy: str) -> None:
    """Raise `ScenarioError` with the remedy for a contract of a task that no simulator plays."""
    for signal in (*interface.observations, *interface.actions):
        if signal.kind == 'vector':
            raise ScenarioError(f'no simulator plays a task with {signal.key}, a vector; {remedy}')


def require_simulable(interface: Interface, scenario: Scenario) -> None:
    """Raise `ScenarioError` naming the first signal that a scenario does not have."""
    require_played(interface, 'record its demonstrations, and try its policy, where the task is')
    for signal in interface.cameras:
        _require_camera(signal, scenario)
    for signal in interface.vectors:
        if signal.key not in _MEASURED:
            raise ScenarioError(f'the simulator cannot measure {signal.key!r}'
                                f'{near_miss(signal.key, _MEASURED)}; it measures '
                                f'{", ".join(_MEASURED)}')
        if signal.kind != _MEASURED[signal.key]:
            raise ScenarioError(f'{signal.key}: expected the kind {_MEASURED[signal.key]}, which '
                                f'the simulator measures, got {signal.kind}; correct the contract')
    for signal in interface.actions:
        if signal.kind not in (*_ARM_COMMANDS, 'gripper_width'):
            raise ScenarioError(f'{signal.key}: expected the kind {", ".join(_ARM_COMMANDS)} or '
                                f'gripper_width, which the simulator executes, got {signal.kind}; '
                                f'correct the contract')
        missing = [name for name in JOINT_NAMES if name not in signal.names]
        if signal.kind == 'joint_positions' and missing:
            raise ScenarioError(f'{signal.key}: expected all {len(JOINT_NAMES)} joints of the '
                                f'simulated arm, got none of {", ".join(missing)}; add them')
    for signal in (*interface.observations, *interface.actions):
        for name in signal.names if signal.kind == 'joint_positions' else ():
            if name not in JOINT_NAMES:
                raise ScenarioError(f'{signal.key}: the simulated arm has no joint {name!r}'
                                    f'{near_miss(name, JOINT_NAMES)}; its joints are '
                                    f'{JOINT_NAMES[0]} to {JOINT_NAMES[-1]}')
    arm = [signal.key for signal in interface.actions if signal.kind in _ARM_COMMANDS]
    if len(arm) > 1:
        raise ScenarioError(f'expected one command of the arm, a pose or joint_positions, got '
                            f'{", ".join(arm)}; keep one of them')


def _require_camera(signal: Signal, scenario: Scenario) -> None:
    """Raise `ScenarioError` unless a camera of the scenario takes the pictures of a signal."""
    camera = scenario.cameras.get(signal.key)
    if camera is None:
        known = (f'its cameras are {", ".join(scenario.cameras)}' if scenario.cameras else
                 'it has no cameras; add them under cameras, as in knife_camera.yaml')
        raise ScenarioError(f'{signal.key}: scenario {scenario.name!r} has no camera '
                            f'{signal.key!r}{near_miss(signal.key, scenario.cameras)}; {known}')
    width, height = signal.view.camera_size
    if (width, height) != (camera.width, camera.height):
        raise ScenarioError(f'{signal.key}: expected pictures of {camera.width} x '
                            f'{camera.height} px, which the camera of scenario '
                            f'{scenario.name!r} takes, got a camera_size of {width} x {height} '
                            f'in the contract; make them equal')
