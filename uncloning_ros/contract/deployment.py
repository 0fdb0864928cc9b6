# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract's deployment: topics, ages, limits and the end of an episode, of one robot."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated

from uncloning_ros.contract.interface import HAND_KEY, OBJECT_KEY, Interface
from uncloning_ros.contract.kinds import KINDS, Signal
from uncloning_ros.contract.messages import ARRAY, JOINT_STATE, TRANSFORMS
from uncloning_ros.errors import ContractError, near_miss
from uncloning_ros.geometry import Vector
from uncloning_ros.schema import Pattern, Range, Span, canonical_sha256, plain

# Limits that the actions of a kind need; a pair of joint limits for each joint comes to these.
_NEEDED = {'pose': ('workspace_min_m', 'workspace_max_m', 'speed_m_s', 'rotation_speed_rad_s',
                    'jump_m', 'jump_rad'),
           'joint_positions': ('joint_speed_rad_s', 'jump_rad')}
# Longest duration (s): more is a typing error, and in ns it has to fit into 64 bits.
_MOST_S = 86400.0

Seconds = Annotated[float, Range(1e-3, _MOST_S)]
AboveZero = Annotated[float, Range(1e-3)]
Step = Annotated[float, Range(1e-9)]  # of a vector, whose unit may be a large one


@dataclass(frozen=True)
class Topic:
    """A topic and its message type, as in 'geometry_msgs/msg/PoseStamped'."""

    topic: str
    type: str

    @property
    def bag_name(self) -> str:
        """Return the topic's absolute name, before any namespace or remapping."""
        return '/' + self.topic.lstrip('/')


@dataclass(frozen=True)
class ObservedTopic(Topic):
    """The topic that an observation comes from, and when a sample of it stops the arm.

    A sample older than `max_age_s` stops it. Samples that repeat the same values for longer than
    `max_unchanged_s` stop it: a live sensor is never that still. Samples between which the signal
    moves or turns faster than `max_speed_m_s` or `max_speed_rad_s` stop it. A limit that is None
    is not checked.
    `child_frame` is the frame whose pose is read from a tree of transforms. `stamped` tells
    whether header stamps can be trusted; else the time of arrival stands in for them, as for an
    array, which has no header.
    """

    max_age_s: Seconds
    max_unchanged_s: Seconds | None = None
    child_frame: str | None = None
    max_speed_m_s: AboveZero | None = None
    max_speed_rad_s: AboveZero | None = None
    stamped: bool = True

    def as_read(self) -> 'ObservedTopic':
        """Return the topic; raise `ContractError` unless transforms alone have a child frame."""
        if self.type == TRANSFORMS and self.child_frame is None:
            raise ContractError("missing key 'child_frame', expected the frame whose pose it is")
        if self.type != TRANSFORMS and self.child_frame is not None:
            raise ContractError(f"unknown key 'child_frame': only {TRANSFORMS} needs it")
        return self

    @property
    def has_stamps(self) -> bool:
        """Tell whether its messages have header stamps that can be trusted."""
        return self.stamped and self.type != ARRAY


@dataclass(frozen=True)
class Enable:
    """A dead man's switch: `true` has to arrive at least every `max_age_s`, or the arm holds."""

    topic: str
    max_age_s: Seconds


@dataclass(frozen=True)
class FaultSignal:
    """A fault flag of robot or controller: the value `fault_when` ends the motion with FAULT."""

    topic: str
    fault_when: bool


@dataclass(frozen=True)
class Teleoperation:
    """The node with which a person takes the arm over from the policy, and its dead man's switch.

    `node`, relative to the policy's namespace, alone may publish commands beside the policy. The
    person commands while `true` arrives on `topic` at least every `max_age_s`.
    """

    node: Annotated[str, Pattern(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', 'name of a node')]
    topic: str
    max_age_s: Seconds


@dataclass(frozen=True)
class DoubtStop:
    """Doubt of the policy above its threshold for `after_s` holds the arm until a person answers.

    `~/start` accepts it for `accepted_s`. The threshold is in the policy's file.
    """

    after_s: Annotated[float, Range(0.0, 60.0)]
    accepted_s: Seconds = 10.0


@dataclass(frozen=True)
class VectorLimits:
    """Limits of one commanded vector, in its own unit; lists have a number for each value.

    Values lie from `min` to `max`, and no value changes by more than `step_per_s` in a second.
    `jump` is the largest distance of a value from the measured one. A vector that is not
    measured, such as a speed, has `hold` in its place: the command that stands still, given in a
    hold, at the end, and as the one before the first.
    """

    min: tuple[float, ...]
    max: tuple[float, ...]
    step_per_s: Step
    jump: Step | None = None
    hold: tuple[float, ...] | None = None

    def require_fits(self, action: Signal, interface: Interface) -> None:
        """Raise `ContractError` unless the limits are those of a vector action."""
        for name, values in (('min', self.min), ('max', self.max), ('hold', self.hold)):
            if values is not None and len(values) != action.dim:
                raise ContractError(f'{name}: expected {action.dim} numbers, one for each value '
                                    f'of {action.key}, got {len(values)}')
        if any(low >= high for low, high in zip(self.min, self.max, strict=True)):
            raise ContractError(f'expected min below max {list(self.max)} for every value, got '
                                f'{list(self.min)}')
        if (self.jump is None) == (self.hold is None):
            raise ContractError(
                f'expected either jump, the largest distance of a command from the measured '
                f'values, or hold, the command that stands still where nothing measures '
                f'{action.key}, got {"neither" if self.jump is None else "both"}')
        if self.hold is None:
            interface.measured_by(action)
        elif any(not low <= value <= high for low, value, high
                 in zip(self.min, self.hold, self.max, strict=True)):
            raise ContractError(f'hold: expected values from min {list(self.min)} to max '
                                f'{list(self.max)}, got {list(self.hold)}')


@dataclass(frozen=True)
class Limits:
    """Hardware limits of the commands, in the base frame. An audit counts how often they act.

    Speeds are those of the commands; `jump_m` and `jump_rad` are the largest distances of a
    command from the measured state; `joint_limits_rad` are [lowest, highest] of every commanded
    joint, `vectors` the limits of every commanded vector. A contract gives the limits that its
    actions need.
    """

    workspace_min_m: Vector = (-math.inf,) * 3
    workspace_max_m: Vector = (math.inf,) * 3
    speed_m_s: AboveZero = math.inf
    rotation_speed_rad_s: AboveZero = math.inf
    joint_speed_rad_s: AboveZero = math.inf
    jump_m: AboveZero = math.inf
    jump_rad: AboveZero = math.inf
    joint_limits_rad: Mapping[str, Span] = field(default_factory=dict)
    vectors: Mapping[str, VectorLimits] = field(default_factory=dict)

    def as_read(self) -> 'Limits':
        """Return the limits; raise `ContractError` for a workspace without room."""
        pairs = zip(self.workspace_min_m, self.workspace_max_m, strict=True)
        if any(low >= high for low, high in pairs):
            raise ContractError(f'expected workspace_min_m below workspace_max_m '
                                f'{self.workspace_max_m} along every axis, got '
                                f'{self.workspace_min_m}')
        return self

    def require_fits(self, interface: Interface) -> None:
        """Raise `ContractError` unless each action has the limits that it needs."""
        for action in interface.actions:
            for name in _NEEDED.get(action.kind, ()):
                if getattr(self, name) == getattr(Limits, name):
                    raise ContractError(f'limits: missing key {name!r}, expected it for the '
                                        f'action {action.key} of the kind {action.kind!r}')
        _require_keys('limits.joint_limits_rad', self.joint_limits_rad,
                      [name for action in interface.actions if action.kind == 'joint_positions'
                       for name in action.names])
        vectors = {action.key: action for action in interface.actions if action.kind == 'vector'}
        for key in [key for key in vectors if key not in self.vectors]:
            raise ContractError(f'limits.vectors: missing key {key!r}, expected its min, max, '
                                f'step_per_s, and jump or hold: a commanded vector has limits')
        _require_keys('limits.vectors', self.vectors, [*vectors])
        for key, action in vectors.items():
            try:
                self.vectors[key].require_fits(action, interface)
            except ContractError as err:
                raise ContractError(f'limits.vectors.{key}: {err}') from err


@dataclass(frozen=True)
class EpisodeEnd:
    """The end of an episode: after `max_episode_s`, or at the end of a handover.

    That is the gripper open at least `open_width_m`, and the tool gone. The tool is gone at
    `object_distance_m` from the tool centre point, and, where `hand_distance_m` is given, at most
    that far from the tracked hand: a tool that the gripper put down lies farther away, and the
    episode goes on. Without a pose of the object it is gone if
    the gripper opened after a pull of at least `pull_n` (N), and the tool centre point is
    `object_distance_m` from where that was; without `pull_n` no release is noticed then. A
    contract without a gripper's width needs neither of the two, and one without the arm's pose no
    `object_distance_m`.
    """

    max_episode_s: Annotated[float, Range(0.1, _MOST_S)]
    open_width_m: Annotated[float, Range(0.0)] = math.inf
    object_distance_m: Annotated[float, Range(0.0)] = math.inf
    pull_n: AboveZero | None = None
    hand_distance_m: AboveZero = math.inf

    def require_fits(self, interface: Interface) -> None:
        """Raise `ContractError` without a key that a handover's end needs."""
        keys = {one.key for one in interface.observations}
        if math.isfinite(self.hand_distance_m) and not {OBJECT_KEY, HAND_KEY} <= keys:
            raise ContractError(f'episode_end.hand_distance_m: expected {OBJECT_KEY} and '
                                f'{HAND_KEY} among the observations, got '
                                f'{" ".join(sorted(keys))}; leave hand_distance_m out')
        for name, about in (('open_width_m', (interface.width_key,)),
                            ('object_distance_m', (interface.width_key, interface.arm_pose_key))):
            if None not in about and math.isinf(getattr(self, name)):
                raise ContractError(f'episode_end: missing key {name!r}, expected it where '
                                    f'{" and ".join(map(str, about))} are observed')


@dataclass(frozen=True)
class Deployment:
    """Topics, message types, ages and limits of one robot.

    Commands come at `command_rate_hz`, a whole multiple of the policy's rate, interpolated
    between the actions of a chunk.
    """

    command_rate_hz: Annotated[float, Range(1, 1000)]
    observations: Mapping[str, ObservedTopic]
    actions: Mapping[str, Topic]
    episode_end: EpisodeEnd
    limits: Limits = field(default_factory=Limits)
    enable: Enable | None = None
    fault: FaultSignal | None = None
    teleoperation: Teleoperation | None = None
    doubt: DoubtStop | None = None

    @property
    def command_period_ns(self) -> int:
        """Return the time between two commands."""
        return round(1e9 / self.command_rate_hz)

    @cached_property
    def sha256(self) -> str:
        """Return the hash that evidence names, of all but `teleoperation`.

        It does nothing in episodes in which no person takes the arm over, and evidence is about
        these.
        """
        return canonical_sha256(plain(replace(self, teleoperation=None)))

    def as_read(self) -> 'Deployment':
        """Return the deployment; raise `ContractError` for a topic with two uses.

        Observations of one type may share a topic, but not that of an array, which names nothing.
        A command must not be read as a measurement, nor one switch as another.
        """
        uses = [(f'observations.{key}', t.topic, t.type) for key, t in self.observations.items()]
        uses += [(f'actions.{key}', t.topic, '') for key, t in self.actions.items()]
        uses += [(name, switch.topic, '') for name, switch
                 in (('enable', self.enable), ('fault', self.fault),
                     ('teleoperation', self.teleoperation)) if switch is not None]
        seen: dict[str, tuple[str, str]] = {}
        for use, topic, type_name in uses:
            before, before_type = seen.setdefault(topic, (use, type_name))
            if before != use and (before_type != type_name or type_name in ('', ARRAY)):
                raise ContractError(f'expected a topic of its own for {before} and {use}, got '
                                    f'{topic!r} for both; only observations of one message type '
                                    f'with names or frames may share one')
        return self

    def require_fits(self, interface: Interface) -> None:
        """Raise `ContractError` unless topics, limits and end fit `interface`."""
        for part, topics, signals in (('observations', self.observations, interface.observations),
                                      ('actions', self.actions, interface.actions)):
            _require_keys(part, topics, [signal.key for signal in signals])
            for signal in signals:
                kind, topic = KINDS[signal.kind], topics[signal.key]
                known = kind.observed_as if part == 'observations' else kind.commanded_as
                if topic.type not in known:
                    raise ContractError(f'{part}.{signal.key}.type: expected '
                                        f'{" or ".join(known)} for the kind '
                                        f'{signal.kind!r}, got {topic.type!r}')
                if topic.type == JOINT_STATE and not signal.names:
                    raise ContractError(f'{part}.{signal.key}.type: expected {ARRAY} for a '
                                        f'vector without names, got {topic.type!r}; give names '
                                        f'in place of size')
                for unit in ('m', 'rad'):
                    key = f'max_speed_{unit}_s'
                    if unit not in kind.speeds and getattr(topic, key, None) is not None:
                        raise ContractError(f'{part}.{signal.key}: unknown key {key!r} for the '
                                            f'kind {signal.kind!r}')
        self.limits.require_fits(interface)
        self.episode_end.require_fits(interface)


def _require_keys(where: str, found: Collection[str], expected: Sequence[str]) -> None:
    for key in found:
        if key not in expected:
            raise ContractError(f'{where}: unknown key {key!r}{near_miss(key, expected)}')
    for key in expected:
        if key not in found:
            raise ContractError(f'{where}: missing key {key!r}')
