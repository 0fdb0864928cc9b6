# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What robot and policy agreed on: interface, policy timing and deployment, each with its hash.

The interface binds bags, datasets and models. The policy part belongs to one training run and
travels in the model. The deployment part belongs to one robot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from uncloning_ros.errors import ContractError, near_miss
from uncloning_ros.strict_yaml import Fields, canonical_sha256, read_yaml

SCHEMA = 'uncloning/contract@1'

# More is a slip of the pen. Ages in ns, and the arrays of a policy's window, have to fit.
_MOST_S = 86400.0
_MOST_TICKS = 1000

# kind -> number of values; None means one value for each name.
KINDS: dict[str, int | None] = {
    'pose': 9,  # x, y, z in m, then the first two columns of the rotation matrix (6D rotation)
    'joint_positions': None,  # rad, one for each named joint
    'gripper_width': 1,  # m between the fingers: the sum over the named finger joints
    'force': 3,  # N, along x, y, z
}
_UNITS = {'pose': 'm', 'joint_positions': 'rad', 'gripper_width': 'm', 'force': 'N'}
_NAMED_KINDS = ('joint_positions', 'gripper_width')

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


@dataclass(frozen=True)
class PolicyTiming:
    """Rate and window of the policy: `history` observations in, `horizon` actions out.

    Of each chunk the first `execute` actions are used; then the policy plans anew.
    """

    rate_hz: float
    history: int
    horizon: int
    execute: int

    @property
    def period_ns(self) -> int:
        """Return the time between two ticks."""
        return round(1e9 / self.rate_hz)

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the policy part."""
        return canonical_sha256(_timing_to_dict(self))


@dataclass(frozen=True)
class Topic:
    """Where a signal comes from or goes to. All but the first two are for observations alone.

    An observation older than `max_age_s` stops the arm; so does one that repeats the same values
    for longer than `max_unchanged_s`, where that is given: a live sensor is never that still.
    `child_frame` is the frame whose pose is read from a tree of transforms. `stamped` tells
    whether header stamps can be trusted; else the time of arrival stands in for them.
    """

    topic: str
    type: str
    max_age_s: float | None = None
    max_unchanged_s: float | None = None
    child_frame: str | None = None
    stamped: bool = True


@dataclass(frozen=True)
class Enable:
    """A dead man's switch: `true` has to arrive at least every `max_age_s`, or the arm holds."""

    topic: str
    max_age_s: float


@dataclass(frozen=True)
class FaultSignal:
    """A robot's or controller's own word: the value `fault_when` ends the motion with FAULT."""

    topic: str
    fault_when: bool


@dataclass(frozen=True)
class Limits:
    """Hardware limits of the commands, in the base frame. Not steering: an audit counts them.

    Speeds are of the commands; `jump_m` and `jump_rad` are how far a command may lie from the
    measured state; `joint_limits_rad` are [lowest, highest] of every joint that is commanded.
    """

    workspace_min_m: tuple[float, float, float]
    workspace_max_m: tuple[float, float, float]
    speed_m_s: float
    rotation_speed_rad_s: float
    joint_speed_rad_s: float
    jump_m: float
    jump_rad: float
    joint_limits_rad: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class EpisodeEnd:
    """When a handover is over: gripper open at least `open_width_m` and the tool gone."""

    open_width_m: float
    object_distance_m: float
    max_episode_s: float


@dataclass(frozen=True)
class Deployment:
    """Topics, message types, ages and limits of one robot.

    Commands come at `command_rate_hz`, a whole multiple of the policy's rate, interpolated
    between the actions of a chunk.
    """

    command_rate_hz: float
    observations: Mapping[str, Topic]
    actions: Mapping[str, Topic]
    limits: Limits
    episode_end: EpisodeEnd
    enable: Enable | None = None
    fault: FaultSignal | None = None

    @property
    def command_period_ns(self) -> int:
        """Return the time between two commands."""
        return round(1e9 / self.command_rate_hz)

    @cached_property
    def sha256(self) -> str:
        """Return the hash that an audit names."""
        return canonical_sha256(_deployment_to_dict(self))


@dataclass(frozen=True)
class Contract:
    """The whole agreement."""

    interface: Interface
    policy: PolicyTiming
    deployment: Deployment

    @cached_property
    def sha256(self) -> str:
        """Return the hash of all three parts."""
        return canonical_sha256(contract_to_dict(self))


def load_contract(path: Path | str) -> Contract:
    """Read a contract file; raise `ContractError` naming the place, the value and the remedy."""
    return _contract(read_yaml(Path(path), ContractError))


def contract_from_dict(data: object, where: str = 'contract') -> Contract:
    """Read a contract that travelled in a bag, a dataset or a model."""
    return _contract(Fields(data, where, ContractError))


def contract_to_dict(contract: Contract) -> dict[str, Any]:
    """Return plain data that `contract_from_dict` reads back to an equal contract."""
    return {
        'schema': SCHEMA,
        'interface': interface_to_dict(contract.interface),
        'policy': _timing_to_dict(contract.policy),
        'deployment': _deployment_to_dict(contract.deployment),
    }


def interface_to_dict(interface: Interface) -> dict[str, Any]:
    """Return the interface as plain data, as the contract file has it."""
    return {
        'base_frame': interface.base_frame,
        'observations': [_signal_to_dict(s) for s in interface.observations],
        'actions': [_signal_to_dict(s) for s in interface.actions],
        'modes': {name: {'desired': desired} for name, desired in interface.modes.items()},
    }


def with_modes(contract: Contract, modes: Mapping[str, bool]) -> Contract:
    """Return the contract with other modes, by name whether they are desired."""
    return replace(contract, interface=replace(contract.interface, modes=dict(modes)))


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


def _contract(fields: Fields) -> Contract:
    fields.schema(SCHEMA)
    interface = _interface(fields.fields('interface'))
    policy = _timing(fields.fields('policy'))
    deployment = _deployment(fields.fields('deployment'), interface)
    fields.done()
    ratio = deployment.command_rate_hz / policy.rate_hz
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9:
        raise ContractError(
            f'{fields.where}: deployment.command_rate_hz {deployment.command_rate_hz:g} is no '
            f'whole multiple of policy.rate_hz {policy.rate_hz:g}; give that or 2, 3, 4 ... '
            f'times as much')
    return Contract(interface, policy, deployment)


def _interface(fields: Fields) -> Interface:
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
    return Interface(base_frame, observations, actions, modes)


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


def _timing(fields: Fields) -> PolicyTiming:
    timing = PolicyTiming(fields.number('rate_hz', 1, 1000),
                          *(fields.count(key, most=_MOST_TICKS)
                            for key in ('history', 'horizon', 'execute')))
    fields.done()
    if timing.execute > timing.horizon:
        raise ContractError(f'{fields.where}: execute {timing.execute} is above horizon '
                            f'{timing.horizon}; a chunk has only that many actions')
    return timing


def _deployment(fields: Fields, interface: Interface) -> Deployment:
    rate_hz = fields.number('command_rate_hz', 1, 1000)
    observations = _topics(fields.fields('observations'), interface.observations,
                           OBSERVATION_TYPES, aged=True)
    actions = _topics(fields.fields('actions'), interface.actions, ACTION_TYPES, aged=False)
    part = fields.fields('limits')
    limits = Limits(_vector(part, 'workspace_min_m'), _vector(part, 'workspace_max_m'),
                    part.number('speed_m_s', 1e-3), part.number('rotation_speed_rad_s', 1e-3),
                    part.number('joint_speed_rad_s', 1e-3), part.number('jump_m', 1e-3),
                    part.number('jump_rad', 1e-3), _joint_limits(part, interface))
    part.done()
    pairs = zip(limits.workspace_min_m, limits.workspace_max_m, strict=True)
    if any(low >= high for low, high in pairs):
        raise ContractError(f'{part.where}: workspace_min_m {limits.workspace_min_m} must be '
                            f'below workspace_max_m {limits.workspace_max_m} along every axis')
    part = fields.fields('episode_end')
    end = EpisodeEnd(part.number('open_width_m', 0.0), part.number('object_distance_m', 0.0),
                     part.number('max_episode_s', 0.1, _MOST_S))
    part.done()
    enable = fault = None
    if fields.has('enable'):
        part = fields.fields('enable')
        enable = Enable(part.text('topic'), part.number('max_age_s', 1e-3, _MOST_S))
        part.done()
    if fields.has('fault'):
        part = fields.fields('fault')
        fault = FaultSignal(part.text('topic'), part.flag('fault_when'))
        part.done()
    fields.done()
    _require_topics_apart(fields.where, observations, actions, enable, fault)
    return Deployment(rate_hz, observations, actions, limits, end, enable, fault)


def _require_topics_apart(where: str, observations: Mapping[str, Topic],
                          actions: Mapping[str, Topic], enable: Enable | None,
                          fault: FaultSignal | None) -> None:
    """Raise `ContractError` for a topic that two parts use, but observations of one type may.

    What is commanded must not pass for a measurement, nor one switch for another.
    """
    uses = [(f'observations.{key}', t.topic, t.type) for key, t in observations.items()]
    uses += [(f'actions.{key}', t.topic, '') for key, t in actions.items()]
    uses += [('enable', enable.topic, '')] if enable is not None else []
    uses += [('fault', fault.topic, '')] if fault is not None else []
    seen: dict[str, tuple[str, str]] = {}
    for what, topic, type_name in uses:
        before, before_type = seen.setdefault(topic, (what, type_name))
        if before != what and (before_type != type_name or not type_name):
            raise ContractError(f'{where}: {before} and {what} are both on the topic {topic!r}; '
                                f'give each a topic of its own (observations of one message '
                                f'type may share theirs)')


def _joint_limits(limits: Fields, interface: Interface) -> dict[str, tuple[float, float]]:
    """Return [lowest, highest] of every commanded joint; it may be left out if there is none."""
    names = [name for signal in interface.actions if signal.kind == 'joint_positions'
             for name in signal.names]
    if not names and not limits.has('joint_limits_rad'):
        return {}
    part = limits.fields('joint_limits_rad')
    found = {name: part.span(name) for name in names}
    part.done()
    return found


def _topics(fields: Fields, signals: Sequence[Signal], types: Mapping[str, tuple[str, ...]],
            aged: bool) -> dict[str, Topic]:
    topics = {}
    for signal in signals:
        part = fields.fields(signal.key)
        topic, type_name = part.text('topic'), part.text('type')
        if type_name not in types[signal.kind]:
            raise part.fail('type', f'{" or ".join(types[signal.kind])} for a {signal.kind}')
        if aged:
            topics[signal.key] = Topic(
                topic, type_name, part.number('max_age_s', 1e-3, _MOST_S),
                (part.number('max_unchanged_s', 1e-3, _MOST_S) if part.has('max_unchanged_s')
                 else None),
                part.text('child_frame') if type_name == TRANSFORMS else None,
                part.flag('stamped') if part.has('stamped') else True)
        else:
            topics[signal.key] = Topic(topic, type_name)
        part.done()
    fields.done()
    return topics


def _vector(fields: Fields, key: str) -> tuple[float, float, float]:
    x, y, z = fields.numbers(key, 3)
    return x, y, z


def _signal_to_dict(signal: Signal) -> dict[str, Any]:
    data: dict[str, Any] = {'key': signal.key, 'kind': signal.kind, 'unit': signal.unit}
    return data | ({'names': list(signal.names)} if signal.names else {})


def _timing_to_dict(timing: PolicyTiming) -> dict[str, Any]:
    return {'rate_hz': float(timing.rate_hz), 'history': timing.history, 'horizon': timing.horizon,
            'execute': timing.execute}


def _deployment_to_dict(deployment: Deployment) -> dict[str, Any]:
    limits, end = deployment.limits, deployment.episode_end
    data: dict[str, Any] = {
        'command_rate_hz': deployment.command_rate_hz,
        'observations': {key: _observed_to_dict(t) for key, t in deployment.observations.items()},
        'actions': {key: {'topic': t.topic, 'type': t.type}
                    for key, t in deployment.actions.items()},
        'limits': {'workspace_min_m': list(limits.workspace_min_m),
                   'workspace_max_m': list(limits.workspace_max_m),
                   'speed_m_s': limits.speed_m_s,
                   'rotation_speed_rad_s': limits.rotation_speed_rad_s,
                   'joint_speed_rad_s': limits.joint_speed_rad_s,
                   'jump_m': limits.jump_m, 'jump_rad': limits.jump_rad},
        'episode_end': {'open_width_m': end.open_width_m,
                        'object_distance_m': end.object_distance_m,
                        'max_episode_s': end.max_episode_s},
    }
    if limits.joint_limits_rad:
        data['limits']['joint_limits_rad'] = {name: list(span) for name, span
                                              in limits.joint_limits_rad.items()}
    if deployment.enable is not None:
        data['enable'] = {'topic': deployment.enable.topic,
                          'max_age_s': deployment.enable.max_age_s}
    if deployment.fault is not None:
        data['fault'] = {'topic': deployment.fault.topic,
                         'fault_when': deployment.fault.fault_when}
    return data


def _observed_to_dict(topic: Topic) -> dict[str, Any]:
    data: dict[str, Any] = {'topic': topic.topic, 'type': topic.type,
                            'max_age_s': topic.max_age_s}
    if topic.max_unchanged_s is not None:
        data['max_unchanged_s'] = topic.max_unchanged_s
    if topic.child_frame is not None:
        data['child_frame'] = topic.child_frame
    if not topic.stamped:
        data['stamped'] = False
    return data
