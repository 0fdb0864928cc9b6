# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract's interface: observations, actions and modes, which bind bags, datasets, models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from uncloning_ros.errors import ContractError, near_miss
from uncloning_ros.schema import Fields, canonical_sha256

# kind -> number of values; None means one value for each name.
KINDS: dict[str, int | None] = {
    'pose': 9,  # x, y, z in m, then the first two columns of the rotation matrix (6D rotation)
    'joint_positions': None,  # rad, one for each named joint
    'gripper_width': 1,  # m between the fingers: the sum over the named finger joints
    'force': 3,  # N, along x, y, z
}
_UNITS = {'pose': 'm', 'joint_positions': 'rad', 'gripper_width': 'm', 'force': 'N'}
_NAMED_KINDS = ('joint_positions', 'gripper_width')

# What the control loop, the labels and the simulator know a handover by: the poses of the arm's
# tool centre point, of the object to hand over and of the hand that takes it, where a contract
# observes them under these keys.
TOOL_KEY, OBJECT_KEY, HAND_KEY = 'tool_pose', 'object_pose', 'hand_pose'

# A pose may come from a tree of transforms: then `child_frame` says whose pose it is.
TRANSFORMS = 'tf2_msgs/msg/TFMessage'

# kind -> message types that carry it, for what comes from the robot and for what goes to it
OBSERVATION_TYPES: dict[str, tuple[str, ...]] = {
    'pose': ('geometry_msgs/msg/PoseStamped', TRANSFORMS),
    'joint_positions': ('sensor_msgs/msg/JointState',),
    'gripper_width': ('sensor_msgs/msg/JointState',),
    'force': ('geometry_msgs/msg/WrenchStamped',),
}
ACTION_TYPES: dict[str, tuple[str, ...]] = {
    'pose': ('geometry_msgs/msg/PoseStamped',),
    'joint_positions': ('std_msgs/msg/Float64MultiArray',
                        'trajectory_msgs/msg/JointTrajectory'),
    'gripper_width': ('std_msgs/msg/Float64MultiArray',),
    'force': (),
}


@dataclass(frozen=True)
class Signal:
    """One observation or action: a named run of float values in a fixed order.

    `names` are joint names where the kind has them; `frame` is the frame that a pose or a force
    is expressed in ('' for joint values). `dim` values, laid out as `KINDS` tells.
    """

    key: str
    kind: str
    unit: str
    frame: str = ''
    names: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Return the number of float values."""
        return KINDS[self.kind] or len(self.names)


@dataclass(frozen=True)
class Interface:
    """Observation and action signals in their order, and the modes with which are desired."""

    base_frame: str
    observations: tuple[Signal, ...]
    actions: tuple[Signal, ...]
    modes: Mapping[str, bool]

    @property
    def observation_dim(self) -> int:
        """Return the length of one flat observation."""
        return sum(signal.dim for signal in self.observations)

    @property
    def action_dim(self) -> int:
        """Return the length of one flat action."""
        return sum(signal.dim for signal in self.actions)

    @cached_property
    def observation_slices(self) -> Mapping[str, slice]:
        """Return where each observation key lies in the flat observation."""
        return _slices(self.observations)

    @cached_property
    def action_slices(self) -> Mapping[str, slice]:
        """Return where each action key lies in the flat action."""
        return _slices(self.actions)

    @property
    def arm_pose_key(self) -> str | None:
        """Return `TOOL_KEY` if the pose of the arm is observed, else None.

        Another pose may be that of a camera or an elbow: it is not guessed at.
        """
        keys = [signal.key for signal in self.observations if signal.kind == 'pose']
        return TOOL_KEY if TOOL_KEY in keys else None

    @property
    def width_key(self) -> str | None:
        """Return the first observation that is a gripper's width, None without one."""
        return next((signal.key for signal in self.observations
                     if signal.kind == 'gripper_width'), None)

    @property
    def release_lacks(self) -> tuple[str, ...]:
        """Return what is not observed of what tells that the object was let go."""
        keys = [signal.key for signal in self.observations]
        return tuple(name for name, observed in (
            (TOOL_KEY, self.arm_pose_key), (OBJECT_KEY, OBJECT_KEY in keys),
            ('a gripper width', self.width_key)) if not observed)

    def measured_by(self, action: Signal) -> str:
        """Return the observation that measures what `action` commands.

        Of a pose it is the arm's, of joints that with the same names, of the rest the first of its
        kind. Raise `ContractError` if there is none.
        """
        for signal in self.observations:
            if (signal.kind == action.kind
                    and (action.kind != 'pose' or signal.key == self.arm_pose_key)
                    and (action.kind != 'joint_positions' or signal.names == action.names)):
                return signal.key
        if action.kind == 'pose':
            raise ContractError(f'action {action.key!r} cannot be held: the pose of the arm is '
                                f'not observed; observe it under the key {TOOL_KEY}')
        raise ContractError(f'action {action.key!r} cannot be held: no observation of kind '
                            f'{action.kind!r} with the same names; add it to the contract')

    @property
    def mode_names(self) -> tuple[str, ...]:
        """Return the names of all modes, in the contract's order."""
        return tuple(self.modes)

    @property
    def desired_modes(self) -> tuple[str, ...]:
        """Return the names of the desired modes."""
        return tuple(name for name, desired in self.modes.items() if desired)

    def require_modes(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return `names` if the contract declares them all, else raise `ContractError`."""
        for name in names:
            if name not in self.modes:
                raise ContractError(
                    f'unknown mode {name!r}{near_miss(name, self.modes)}; '
                    f'modes are declared under interface.modes in the contract')
        return tuple(names)

    @cached_property
    def sha256(self) -> str:
        """Return the hash that bags, datasets and models carry."""
        # The order of the modes counts (it numbers them), so they are hashed as a list.
        return canonical_sha256(interface_to_dict(self) | {'modes': list(self.modes.items())})


def interface_to_dict(interface: Interface) -> dict[str, Any]:
    """Return the interface as plain data, as the contract file has it."""
    return {
        'base_frame': interface.base_frame,
        'observations': [_signal_to_dict(s) for s in interface.observations],
        'actions': [_signal_to_dict(s) for s in interface.actions],
        'modes': {name: {'desired': desired} for name, desired in interface.modes.items()},
    }


def require_same_interface(expected: Interface, found: Interface, what: str) -> None:
    """Raise `ContractError` naming the first difference if two interfaces differ.

    `what` names the thing that carries `found`, as in "demos/episode_000003".
    """
    if expected.sha256 == found.sha256:
        return
    raise ContractError(f'{what} was made for another interface: '
                        f'{_first_difference(expected, found)}')


def _first_difference(expected: Interface, found: Interface) -> str:
    if expected.base_frame != found.base_frame:
        return f'expected base frame {expected.base_frame!r}, got {found.base_frame!r}'
    if dict(expected.modes) != dict(found.modes):
        return f'expected modes {dict(expected.modes)}, got {dict(found.modes)}'
    for kind, ours, theirs in (('observations', expected.observations, found.observations),
                               ('actions', expected.actions, found.actions)):
        keys, other = [s.key for s in ours], [s.key for s in theirs]
        if keys != other:
            return f'expected {kind} {", ".join(keys)}; got {", ".join(other)}'
        for one, two in zip(ours, theirs, strict=True):
            if one != two:
                return f'{kind} {one.key}: expected {one}, got {two}'
    return 'the order of the modes differs'


def _slices(signals: Sequence[Signal]) -> dict[str, slice]:
    slices, start = {}, 0
    for signal in signals:
        slices[signal.key] = slice(start, start + signal.dim)
        start += signal.dim
    return slices


def read_interface(fields: Fields) -> Interface:
    """Read the contract's part `interface`."""
    base_frame = fields.text('base_frame')
    observations = _signals(fields, 'observations', base_frame)
    actions = _signals(fields, 'actions', base_frame)
    modes_fields = fields.fields('modes')
    modes = {}
    for name in modes_fields.keys():
        mode = modes_fields.fields(name)
        modes[name] = mode.flag('desired')
        mode.done()
    fields.done()
    if not any(modes.values()):
        raise ContractError(f'{fields.where}.modes: at least one mode must be desired')
    for action in actions:
        if not ACTION_TYPES[action.kind]:
            raise ContractError(f'{fields.where}.actions: {action.key}: a {action.kind} cannot '
                                f'be commanded')
    interface = Interface(base_frame, observations, actions, modes)
    poses = [action for action in actions if action.kind == 'pose']
    if len(poses) > 1:
        raise ContractError(f'{fields.where}.actions: expected one pose, for one arm, got '
                            f'{", ".join(action.key for action in poses)}')
    for action in poses:
        interface.measured_by(action)
    return interface


def _signals(parent: Fields, part: str, base_frame: str) -> tuple[Signal, ...]:
    signals = []
    for fields in parent.list_of_fields(part):
        key, kind = fields.text('key'), fields.text('kind')
        if kind not in KINDS:
            raise ContractError(f'{fields.where}: unknown kind {kind!r}{near_miss(kind, KINDS)}')
        unit = fields.text('unit')
        if unit != _UNITS[kind]:
            raise fields.fail('unit', f'{_UNITS[kind]!r} for kind {kind!r}')
        names = fields.texts('names') if kind in _NAMED_KINDS else ()
        fields.done()
        frame = '' if kind in _NAMED_KINDS else base_frame
        signals.append(Signal(key, kind, unit, frame, names))
    keys = [signal.key for signal in signals]
    if len(set(keys)) != len(keys):
        raise ContractError(f'{parent.where}.{part}: keys must differ, got {", ".join(keys)}')
    return tuple(signals)


def _signal_to_dict(signal: Signal) -> dict[str, Any]:
    data: dict[str, Any] = {'key': signal.key, 'kind': signal.kind, 'unit': signal.unit}
    return data | ({'names': list(signal.names)} if signal.names else {})

