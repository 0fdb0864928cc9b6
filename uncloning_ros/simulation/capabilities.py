# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The signals that the simulator can measure and execute of a contract's interface."""

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY, Interface, Signal
from uncloning_ros.errors import ScenarioError, near_miss
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.panda import JOINT_NAMES

# Key of the width of the other arm's gripper.
PARTNER_WIDTH_KEY = 'partner_width'
# Observations that can be measured: kind by key.
_MEASURED = {TOOL_KEY: 'pose', 'gripper_width': 'gripper_width', OBJECT_KEY: 'pose',
             HAND_KEY: 'pose', 'wrist_force': 'force', 'joint_positions': 'joint_positions',
             PARTNER_WIDTH_KEY: 'gripper_width'}
TWO_ARMS = 'knife_two_arms'  # name of the shipped scenario with two arms
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
    if scenario.receiver_arm is None and PARTNER_WIDTH_KEY in interface.observation_slices:
        raise ScenarioError(f'{PARTNER_WIDTH_KEY}: scenario {scenario.name!r} has a person as its '
                            f'receiver, got a contract for two arms; give the scenario '
                            f'{TWO_ARMS}, or a contract for one arm')
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


def require_pair(giving: Interface, receiving: Interface | None, scenario: Scenario) -> None:
    """Raise `ScenarioError` unless the interfaces of two arms fit a scenario and each other.

    `receiving` is that of an arm that receives, None for a person.
    """
    place = scenario.receiver_arm
    if place is None and receiving is None:
        other = find_scenario(TWO_ARMS).receiver_arm
        if other is not None and giving.base_frame == other.frame:
            raise ScenarioError(f'expected a policy or contract of an arm that gives in scenario '
                                f'{scenario.name!r}, whose receiver is a person, got one in the '
                                f'frame {other.frame} of a receiving arm; give that of the giver, '
                                f'or the scenario {TWO_ARMS}')
        return
    if place is None:
        raise ScenarioError(f'expected no policy or contract of a receiving arm in scenario '
                            f'{scenario.name!r}, whose receiver is a person, got one in the frame '
                            f'{receiving.base_frame if receiving else ""}; leave it out, or give '
                            f'the scenario {TWO_ARMS}')
    if giving.base_frame == place.frame:
        raise ScenarioError(f'expected a contract of the giving arm first, got one in the frame '
                            f'{giving.base_frame} of the receiving arm; give that one as the '
                            f'partner')
    if receiving is None:
        raise ScenarioError(f'expected a second contract or policy, in the frame {place.frame} of '
                            f'the arm that receives in scenario {scenario.name!r}, got none; '
                            f'give the partner too')
    if receiving.base_frame != place.frame:
        raise ScenarioError(f'expected a partner in the frame {place.frame} of the arm that '
                            f'receives in scenario {scenario.name!r}, got one in the frame '
                            f'{receiving.base_frame}; give a policy or contract of that arm')
    if dict(giving.modes) != dict(receiving.modes):
        raise ScenarioError(f'expected the same modes for both arms, got {dict(giving.modes)} for '
                            f'the giver and {dict(receiving.modes)} for the receiver; give two '
                            f'that were made together')
    require_simulable(receiving, scenario)
    for signal in receiving.observations:
        if signal.key == HAND_KEY or signal in receiving.cameras:
            raise ScenarioError(f'{signal.key}: the simulated arm that receives measures '
                                f'{", ".join(key for key in _MEASURED if key != HAND_KEY)}, no '
                                f'hand and no pictures; correct its contract')


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
