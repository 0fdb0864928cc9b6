# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract's interface: observations, actions and modes, which bind bags, datasets, models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Annotated

from uncloning_ros.contract.kinds import KINDS, Signal
from uncloning_ros.errors import ContractError, near_miss, shown
from uncloning_ros.schema import Inside, canonical_sha256, plain

# Keys of the poses of the arm's tool centre point, of the object and of the hand that takes it:
# the control loop, the labels and the simulator know a handover by them.
TOOL_KEY, OBJECT_KEY, HAND_KEY = 'tool_pose', 'object_pose', 'hand_pose'


@dataclass(frozen=True)
class Interface:
    """Observation and action signals in their order; modes by name, whether each is desired.

    `base_frame` is the frame of poses and forces, '' where there are none.
    """

    base_frame: str = field(kw_only=True, default='')
    observations: tuple[Signal, ...]
    actions: tuple[Signal, ...]
    modes: Mapping[str, Annotated[bool, Inside('desired')]]

    def as_read(self) -> 'Interface':
        """Return the interface with the frames of its signals; raise `ContractError`."""
        if not any(self.modes.values()):
            raise ContractError('modes: expected at least one desired mode, got none')
        for action in self.actions:
            if not KINDS[action.kind].commanded_as:
                able = ' or '.join(name for name, kind in KINDS.items() if kind.commanded_as)
                raise ContractError(f'actions: {action.key}: expected a kind that can be '
                                    f'commanded, {able}, got {action.kind!r}; observe it instead')
        framed = [one.key for one in (*self.observations, *self.actions) if _has_frame(one)]
        if framed and not self.base_frame:
            raise ContractError(f"missing key 'base_frame', expected the frame of "
                                f'{", ".join(framed)}')
        poses = [action for action in self.actions if action.kind == 'pose']
        if len(poses) > 1:
            raise ContractError(f'actions: expected one pose, for one arm, got '
                                f'{", ".join(action.key for action in poses)}')
        for action in self.actions:
            if action in poses or action.continuous:
                self.measured_by(action)
            for signal in self.observations:
                if ((signal.kind, signal.names) == (action.kind, action.names)
                        and set(signal.continuous) != set(action.continuous)):
                    raise ContractError(
                        f'expected the same continuous joints for the action {action.key} and '
                        f'for {signal.key}, which measures it, got {_listed(action.continuous)} '
                        f'and {_listed(signal.continuous)}')
        if not self.vectors:
            raise ContractError('observations: expected one beside the pictures, got pictures '
                                'only; observe the arm as well')
        return replace(self, observations=self._framed('observations', self.observations),
                       actions=self._framed('actions', self.actions))

    @cached_property
    def cameras(self) -> tuple[Signal, ...]:
        """Return the observations that are pictures."""
        return tuple(s for s in self.observations if KINDS[s.kind].pictures)

    @cached_property
    def vectors(self) -> tuple[Signal, ...]:
        """Return the observations that make up a flat observation: all but the pictures."""
        return tuple(s for s in self.observations if not KINDS[s.kind].pictures)

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
        return _slices(self.vectors)

    @cached_property
    def action_slices(self) -> Mapping[str, slice]:
        """Return where each action key lies in the flat action."""
        return _slices(self.actions)

    @property
    def arm_pose_key(self) -> str | None:
        """Return `TOOL_KEY` if the pose of the arm is observed, else None.

        Another pose may be that of a camera or an elbow, so only the key counts.
        """
        keys = [signal.key for signal in self.observations if signal.kind == 'pose']
        return TOOL_KEY if TOOL_KEY in keys else None

    @property
    def width_key(self) -> str | None:
        """Return the first observation that is a gripper's width, None without one."""
        return next((signal.key for signal in self.observations
                     if signal.kind == 'gripper_width'), None)

    def measured_by(self, action: Signal) -> str:
        """Return the key of the observation that measures an action.

        For a pose it is the arm's, for joints the one with the same names, for a vector that with
        the same names or size and unit, else the first of the kind. Raise `ContractError` if
        there is none.
        """
        for signal in self.observations:
            if (signal.kind == action.kind
                    and (action.kind != 'pose' or signal.key == self.arm_pose_key)
                    and (action.kind not in ('joint_positions', 'vector')
                         or (signal.names, signal.size, signal.unit)
                         == (action.names, action.size, action.unit))):
                return signal.key
        lacking = (f'the pose of the arm under the key {TOOL_KEY}' if action.kind == 'pose' else
                   f'a signal of the kind {action.kind!r} with the same unit, and names or size'
                   if action.kind == 'vector' else
                   f'a signal of the kind {action.kind!r} with the same names')
        raise ContractError(f'expected an observation that measures the action {action.key!r}, '
                            f'got none; observe {lacking}')

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
                    f'unknown mode {shown(name)}{near_miss(name, self.modes)}; '
                    f'modes are declared under interface.modes in the contract')
        return tuple(names)

    @cached_property
    def sha256(self) -> str:
        """Return the hash that bags, datasets and models carry."""
        # The order of the modes counts (it numbers them), so they are hashed as a list.
        return canonical_sha256(plain(self) | {'modes': list(self.modes.items())})

    def _framed(self, part: str, signals: Sequence[Signal]) -> tuple[Signal, ...]:
        keys = [signal.key for signal in signals]
        if len(set(keys)) != len(keys):
            raise ContractError(f'{part}: expected distinct keys, got {", ".join(keys)}')
        return tuple(replace(signal, frame=self.base_frame) if _has_frame(signal) else signal
                     for signal in signals)


def require_same_interface(expected: Interface, found: Interface, carrier: str) -> None:
    """Raise `ContractError` naming the first difference if two interfaces differ.

    `carrier` names the thing that carries `found`, as in "demos/episode_000003".
    """
    if expected.sha256 == found.sha256:
        return
    raise ContractError(f'{carrier} was made for another interface: '
                        f'{_first_difference(expected, found)}')


def with_continuous(interface: Interface, other: Interface) -> Interface:
    """Return the interface with the continuous joints that another one has for its signals.

    Messages carry the same numbers either way, so older bags are read with a contract that knows
    better.
    """
    def completed(ours: Sequence[Signal], theirs: Sequence[Signal]) -> tuple[Signal, ...]:
        known = {(signal.key, signal.names): signal.continuous for signal in theirs}
        return tuple(replace(one, continuous=one.continuous or known.get((one.key, one.names), ()))
                     for one in ours)

    return replace(interface, observations=completed(interface.observations, other.observations),
                   actions=completed(interface.actions, other.actions))


def _has_frame(signal: Signal) -> bool:
    return not (KINDS[signal.kind].named or KINDS[signal.kind].pictures)


def _listed(names: Sequence[str]) -> str:
    return ', '.join(names) or 'none'


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
                differing = [field.name for field in fields(one)
                             if getattr(one, field.name) != getattr(two, field.name)]
                return (f'{kind} {one.key}: expected {_values(one, differing)}, got '
                        f'{_values(two, differing)}')
    return 'the order of the modes differs'


def _values(signal: Signal, names: Sequence[str]) -> str:
    return ', '.join(f'{name} {getattr(signal, name)!r}' for name in names)


def _slices(signals: Sequence[Signal]) -> dict[str, slice]:
    slices, start = {}, 0
    for signal in signals:
        slices[signal.key] = slice(start, start + signal.dim)
        start += signal.dim
    return slices
