# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can befall an input, a clock or a switch, and in which cycle the arm has to hold.

Each input is measured anew in every cycle, until the fault begins. An age of exactly its limit is
allowed, so an input last seen one cycle before the fault holds the arm `limit / cycle` cycles
after it began.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import seeing
from rosbags.typesys import Stores, get_typestore

from uncloning_ros.contract import (
    Contract,
    Enable,
    FaultSignal,
    Signal,
    Teleoperation,
    load_contract,
)
from uncloning_ros.conversions import Sample, decode, encode
from uncloning_ros.errors import ContractError
from uncloning_ros.geometry import Array
from uncloning_ros.pictures import encode_picture
from uncloning_ros.runtime.watchdog import Guards
from uncloning_ros.share import share_path

STORE = get_typestore(Stores.ROS2_JAZZY)
ENABLE_S, UNCHANGED_S = 0.2, 0.5
SPEEDS = {'pose': {'max_speed_m_s': 1.0, 'max_speed_rad_s': 4.0},
          'joint_positions': {'max_speed_rad_s': 2.0}}


def guarded(contract: Contract) -> Contract:
    """Return a contract with every guard: nothing may freeze or leap, two switches."""
    topics = {}
    for signal in contract.interface.observations:
        topics[signal.key] = replace(contract.deployment.observations[signal.key],
                                     max_unchanged_s=UNCHANGED_S, **SPEEDS.get(signal.kind, {}))
    return replace(contract, deployment=replace(
        contract.deployment, observations=topics, enable=Enable('enable', ENABLE_S),
        fault=FaultSignal('fault', True),
        teleoperation=Teleoperation('teleoperation', 'switch', ENABLE_S)))


POSES, JOINTS = (guarded(load_contract(share_path('config') / name))
                 for name in ('contract.yaml', 'contract_joint.yaml'))
CAMERAS = guarded(seeing.with_cameras(load_contract(share_path('config') / 'contract.yaml')))
DOWN = [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]
VALUES = {'tool_pose': [0.4, 0.0, 0.3, *DOWN], 'gripper_width': [0.08],
          'object_pose': [0.6, 0.0, 0.3, *DOWN], 'hand_pose': [0.7, 0.0, 0.3, *DOWN],
          'wrist_force': [0.0, 0.0, 0.0], 'joint_positions': [0.0, 0.3, 0.0, -1.8, 0.0, 2.0, 0.7]}
TARGETS = {'target_pose': [0.42, 0.0, 0.3, *DOWN], 'target_width': [0.02],
           'target_joints': [0.02, 0.3, 0.0, -1.8, 0.0, 2.0, 0.7]}


@dataclass(frozen=True)
class Cycle:
    """What one cycle is given; `now_ns` is the time of arrival, `ros_ns` that of the stamps."""

    now_ns: int
    ros_ns: int
    inputs: dict[str, Sample]
    guards: Guards

    def having(self, key: str, **changes: Any) -> 'Cycle':
        return replace(self, inputs=self.inputs | {key: replace(self.inputs[key], **changes)})


def healthy(contract: Contract, cycle: int) -> Cycle:
    """Return a cycle in which all is well; everything trembles, and the arm moves."""
    now_ns = cycle * contract.deployment.command_period_ns
    inputs = {}
    for signal in contract.interface.vectors:
        values = np.array(VALUES[signal.key])
        values[0] += 1e-4 * cycle
        inputs[signal.key] = Sample(values, now_ns, now_ns)
    for signal in contract.interface.cameras:
        inputs[signal.key] = Sample(seeing.picture(signal, cycle), now_ns, now_ns)
    return Cycle(now_ns, now_ns, inputs, Guards({}, True, now_ns, False))


@dataclass(frozen=True)
class Row:
    """One fault: what it does to a cycle, given the last good one, and what has to follow.

    `after` cycles after it begins the arm holds; `once` tells that one cycle alone is complained
    of, however long the fault lasts.
    """

    name: str
    contract: Contract
    change: Callable[[Cycle, Cycle], Cycle]
    reason: str
    after: int
    key: str = ''
    once: bool = False


def cycles(contract: Contract, limit_s: float | None) -> int:
    """Return how many cycles an input may be silent for."""
    assert limit_s is not None
    return round(limit_s * 1e9) // contract.deployment.command_period_ns


def value_rows(contract: Contract) -> list[Row]:
    """Return a row for each value of each observation that is no finite number."""
    rows = []
    for signal in contract.interface.observations:
        for i in range(signal.dim):
            for bad in (math.nan, math.inf, -math.inf):
                def change(now: Cycle, _: Cycle, key: str = signal.key, i: int = i,
                           bad: float = bad) -> Cycle:
                    values = now.inputs[key].values.copy()
                    values[i] = bad
                    return now.having(key, values=values)
                rows.append(Row(f'{signal.key}[{i}] is {bad}', contract, change,
                                'not_finite_input', 0, signal.key))
    return rows


def input_rows(contract: Contract) -> list[Row]:
    """Return the rows of everything that can befall an input as a whole."""
    rows = []
    for signal in contract.interface.observations:
        key = signal.key
        topic = contract.deployment.observations[key]
        silent = cycles(contract, topic.max_age_s)
        limit_ns = round((topic.max_age_s or math.nan) * 1e9)

        def row(name: str, change: Callable[[Cycle, Cycle], Cycle], reason: str, after: int,
                key: str = key) -> Row:
            return Row(f'{key} {name}', contract, change, reason, after, key)

        rows += [
            row('falls silent', lambda now, last, key=key: now.having(
                key, **dataclasses.asdict(last.inputs[key])), 'stale_input', silent),
            row('repeats an old measurement', lambda now, last, key=key: now.having(
                key, values=last.inputs[key].values, stamp_ns=last.ros_ns), 'stale_stamp', silent),
            row('freezes with new stamps', lambda now, last, key=key: now.having(
                key, values=last.inputs[key].values), 'unchanged_input',
                cycles(contract, UNCHANGED_S)),
            row('is gone', lambda now, _, key=key: replace(
                now, inputs={k: v for k, v in now.inputs.items() if k != key}),
                'missing_input', 0),
            row('comes from the future', lambda now, _, key=key, limit_ns=limit_ns: now.having(
                key, stamp_ns=now.ros_ns + limit_ns + 1), 'future_stamp', 0),
            row('comes from the past', lambda now, _, key=key, limit_ns=limit_ns: now.having(
                key, stamp_ns=now.ros_ns - limit_ns - 1), 'stale_stamp', 0),
        ]
    return rows


def elsewhere(values: Array) -> None:
    values[0] += 0.5


def turned_round(values: Array) -> None:
    values[3:] *= -1.0  # half a turn about z


def leap_rows(contract: Contract) -> list[Row]:
    """Return the rows of measurements that are somewhere else from one to the next."""
    leaps: dict[str, tuple[Callable[[Array], None], ...]] = {
        'pose': (elsewhere, turned_round), 'joint_positions': (elsewhere,)}

    def change(now: Cycle, _: Cycle, key: str, leap: Callable[[Array], None]) -> Cycle:
        values = now.inputs[key].values.copy()
        leap(values)
        return now.having(key, values=values)
    return [Row(f'{signal.key} is {leap.__name__}', contract,
                partial(change, key=signal.key, leap=leap), 'leap', 0, signal.key)
            for signal in contract.interface.observations for leap in leaps.get(signal.kind, ())]


def received(now: Cycle, contract: Contract, key: str, spoil: Callable[[Any], None]) -> Cycle:
    """Return the cycle after a message that was spoilt; what decodes it refuses it, as a node."""
    [signal] = [s for s in contract.interface.observations if s.key == key]
    topic = contract.deployment.observations[key]
    message = encode(signal, topic.type, now.inputs[key].values, now.ros_ns,
                     STORE.types.__getitem__)
    spoil(message)
    with pytest.raises(ContractError) as refusal:
        decode(signal, message, now.now_ns)
    inputs = {k: v for k, v in now.inputs.items() if k != key}
    return replace(now, inputs=inputs,
                   guards=replace(now.guards, refused={key: str(refusal.value)}))


def foreign_frame(message: Any) -> None:
    message.header.frame_id = 'camera'


def no_rotation(message: Any) -> None:
    message.pose.orientation.w = message.pose.orientation.x = 0.0


def missing_joint(message: Any) -> None:
    message.name = [*message.name[:-1], 'other']


def joint_twice(message: Any) -> None:
    message.name = [*message.name, message.name[0]]
    message.position = np.append(message.position, 0.0)


def nan_joint(message: Any) -> None:
    message.position = message.position * math.nan


def impossible_joint(message: Any) -> None:
    message.position = message.position * 0.0 - 400.0


def halved(message: Any) -> None:
    message.data = message.data[:len(message.data) // 2]


def no_data(message: Any) -> None:
    message.data = message.data[:0]


def other_format(message: Any) -> None:
    if hasattr(message, 'format'):
        message.data = np.frombuffer(b'GIF89a' + bytes(message.data), np.uint8)
    else:
        message.encoding = 'yuv422'


def uniform(message: Any, signal: Signal, level: int, factor: int = 1) -> None:
    """Give a message the picture of one grey level, of a size by a factor."""
    width, height = (factor * side for side in signal.view.camera_size)
    channels = signal.shape[2]
    if hasattr(message, 'format'):
        data = encode_picture(np.full((height, width, channels), level, np.uint8))
    else:
        message.width, message.height, message.step = width, height, width * channels
        data = bytes([level]) * (height * width * channels)
    message.data = np.frombuffer(data, np.uint8)


def picture_rows(contract: Contract) -> list[Row]:
    """Return the rows of everything that can befall a picture."""
    def row(signal: Signal, name: str, spoil: Callable[[Any], None]) -> Row:
        return Row(f'{signal.key} {name}', contract,
                   lambda now, _: received(now, contract, signal.key, spoil),
                   'refused_input', 0, signal.key)

    rows = [one for one in input_rows(contract)
            if one.key in (signal.key for signal in contract.interface.cameras)]
    for signal in contract.interface.cameras:
        rows += [row(signal, name, spoil) for name, spoil in (
            ('is black', partial(uniform, signal=signal, level=0)),
            ('is saturated', partial(uniform, signal=signal, level=255)),
            ('is truncated', halved), ('is empty', no_data),
            ('is of another size', partial(uniform, signal=signal, level=128, factor=2)),
            ('is of another format', other_format))]
    return rows


def message_rows(contract: Contract) -> list[Row]:
    """Return the rows of messages that break the contract."""
    spoilt: dict[str, tuple[Callable[[Any], None], ...]] = {
        'pose': (foreign_frame, no_rotation), 'force': (foreign_frame,),
        'gripper_width': (missing_joint, joint_twice, nan_joint, impossible_joint),
        'joint_positions': (missing_joint, joint_twice, nan_joint, impossible_joint)}
    return [Row(f'{signal.key} has {spoil.__name__}', contract,
                lambda now, _, key=signal.key, spoil=spoil: received(now, contract, key, spoil),
                'refused_input', 0, signal.key)
            for signal in contract.interface.observations for spoil in spoilt[signal.kind]]


def at_ros_time(now: Cycle, ros_ns: int) -> Cycle:
    """Return the cycle with ROS time at `ros_ns`, by which everything is stamped."""
    inputs = {key: replace(sample, stamp_ns=ros_ns) for key, sample in now.inputs.items()}
    return replace(now, ros_ns=ros_ns, inputs=inputs)


def since(now: Cycle, last: Cycle) -> int:
    """Return how many cycles passed, taken for nanoseconds."""
    return (now.now_ns - last.now_ns) // POSES.deployment.command_period_ns


def other_rows(contract: Contract) -> list[Row]:
    """Return the rows of what is no input: clocks and switches."""
    ages = [topic.max_age_s for topic in contract.deployment.observations.values()]
    return [
        Row('ROS time goes back', contract,
            lambda now, last: at_ros_time(now, now.ros_ns - 10**9),
            'clock_backwards', 0, once=True),
        Row('ROS time goes back by the least amount', contract,
            lambda now, last: at_ros_time(now, last.ros_ns - 2 + since(now, last)),
            'clock_backwards', 0, once=True),
        Row('ROS time stands still', contract, lambda now, last: at_ros_time(now, last.ros_ns),
            'clock_stopped', cycles(contract, min(age for age in ages if age is not None))),
        Row('the enable switch is let go', contract, lambda now, _: replace(
            now, guards=replace(now.guards, enabled=False)), 'not_enabled', 0),
        Row('the enable switch falls silent', contract, lambda now, last: replace(
            now, guards=last.guards), 'not_enabled', cycles(contract, ENABLE_S)),
        Row('the enable switch is forgotten', contract, lambda now, _: replace(
            now, guards=Guards(faulty=False)), 'not_enabled', 0),
        Row('the fault topic is forgotten', contract, lambda now, _: replace(
            now, guards=replace(now.guards, faulty=None)), 'missing_input', 0),
    ]


TABLE = [row for contract in (POSES, JOINTS)
         for row in (*input_rows(contract), *leap_rows(contract), *message_rows(contract),
                     *other_rows(contract))]
TABLE += value_rows(POSES)
TABLE += picture_rows(CAMERAS)
TABLE += [row for row in value_rows(JOINTS) if row.key == 'joint_positions']
_OF = {id(POSES): 'poses', id(JOINTS): 'joints', id(CAMERAS): 'cameras'}
NAMES = [f'{_OF[id(row.contract)]}: {row.name}' for row in TABLE]
