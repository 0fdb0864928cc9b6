# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract's deployment: topics, ages, limits and the end of an episode, of one robot."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from uncloning_ros.contract.interface import (
    ACTION_TYPES,
    OBSERVATION_TYPES,
    TRANSFORMS,
    Interface,
    Signal,
)
from uncloning_ros.errors import ContractError
from uncloning_ros.schema import Fields, canonical_sha256

# More is a slip of the pen. Ages in ns have to fit.
_MOST_S = 86400.0

# kind -> the speeds that its measurements may be held to
_SPEEDS: dict[str, tuple[str, ...]] = {
    'pose': ('max_speed_m_s', 'max_speed_rad_s'),
    'joint_positions': ('max_speed_rad_s',),
    'gripper_width': (),
    'force': (),
}


@dataclass(frozen=True)
class Topic:
    """Where a signal comes from or goes to. All but the first two are for observations alone.

    An observation older than `max_age_s` stops the arm; so does one that repeats the same values
    for longer than `max_unchanged_s`, where that is given: a live sensor is never that still. So
    does one that moves or turns faster between two measurements than `max_speed_m_s` or
    `max_speed_rad_s`, where those are given: what is measured cannot leap.
    `child_frame` is the frame whose pose is read from a tree of transforms. `stamped` tells
    whether header stamps can be trusted; else the time of arrival stands in for them.
    """

    topic: str
    type: str
    max_age_s: float | None = None
    max_unchanged_s: float | None = None
    child_frame: str | None = None
    stamped: bool = True
    max_speed_m_s: float | None = None
    max_speed_rad_s: float | None = None


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
        return canonical_sha256(deployment_to_dict(self))


def read_deployment(fields: Fields, interface: Interface) -> Deployment:
    """Read the contract's part `deployment` of a robot with this interface."""
    rate_hz = fields.number('command_rate_hz', 1, 1000)
    observations = _topics(fields.fields('observations'), interface.observations,
                           OBSERVATION_TYPES, aged=True)
    actions = _topics(fields.fields('actions'), interface.actions, ACTION_TYPES, aged=False)
    limits = _limits(fields.fields('limits'), interface)
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


def _limits(part: Fields, interface: Interface) -> Limits:
    limits = Limits(_vector(part, 'workspace_min_m'), _vector(part, 'workspace_max_m'),
                    part.number('speed_m_s', 1e-3), part.number('rotation_speed_rad_s', 1e-3),
                    part.number('joint_speed_rad_s', 1e-3), part.number('jump_m', 1e-3),
                    part.number('jump_rad', 1e-3), _joint_limits(part, interface))
    part.done()
    pairs = zip(limits.workspace_min_m, limits.workspace_max_m, strict=True)
    if any(low >= high for low, high in pairs):
        raise ContractError(f'{part.where}: workspace_min_m {limits.workspace_min_m} must be '
                            f'below workspace_max_m {limits.workspace_max_m} along every axis')
    return limits


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
        topics[signal.key] = (_observed(part, signal, topic, type_name) if aged
                              else Topic(topic, type_name))
        part.done()
    fields.done()
    return topics


def _observed(part: Fields, signal: Signal, topic: str, type_name: str) -> Topic:
    return Topic(
        topic, type_name, part.number('max_age_s', 1e-3, _MOST_S),
        part.number('max_unchanged_s', 1e-3, _MOST_S) if part.has('max_unchanged_s') else None,
        part.text('child_frame') if type_name == TRANSFORMS else None,
        part.flag('stamped') if part.has('stamped') else True,
        **{key: part.number(key, 1e-3) for key in _SPEEDS[signal.kind] if part.has(key)})


def _vector(fields: Fields, key: str) -> tuple[float, float, float]:
    x, y, z = fields.numbers(key, 3)
    return x, y, z


def deployment_to_dict(deployment: Deployment) -> dict[str, Any]:
    """Return the deployment as plain data, as the contract file has it."""
    limits = deployment.limits
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
        'episode_end': asdict(deployment.episode_end),
    }
    if limits.joint_limits_rad:
        data['limits']['joint_limits_rad'] = {name: list(span) for name, span
                                              in limits.joint_limits_rad.items()}
    if deployment.enable is not None:
        data['enable'] = asdict(deployment.enable)
    if deployment.fault is not None:
        data['fault'] = asdict(deployment.fault)
    return data


def _observed_to_dict(topic: Topic) -> dict[str, Any]:
    data: dict[str, Any] = {'topic': topic.topic, 'type': topic.type,
                            'max_age_s': topic.max_age_s}
    for key in ('max_unchanged_s', 'child_frame', 'max_speed_m_s', 'max_speed_rad_s'):
        if getattr(topic, key) is not None:
            data[key] = getattr(topic, key)
    if not topic.stamped:
        data['stamped'] = False
    return data
