# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of observations and of the clock, each said in one text: what a policy must survive.

A fault is `key:kind[=value][@from_s[+for_s]]`, as in `hand_pose:freeze@2.0` or
`tool_pose:nan=orientation.w@1+0.5`. The key is an observation, or `clock`. It acts from `from_s`
after the first command (0 if not given) for `for_s` (for good if not given), in simulated time.

Pure: what the sensors delivered goes in, what is published comes out. Messages are spoilt by
attribute, so that no ROS is needed; truth and physics are not touched.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uncloning_ros.contract import Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ScenarioError, near_miss

CLOCK = 'clock'

# kind -> what its value is; the first are of what arrives, and when it is stamped, ...
_STREAM_KINDS = {
    'silence': 'nothing',   # nothing is published
    'freeze': 'nothing',    # the last values with new stamps, as of a tracker that hangs
    'stale': 'nothing',     # the last message again and again, with its old stamp
    'noise': 'deviation',   # standard deviation added to positions, joints, width or force
    'latency': 'seconds',   # so much later; what is under way when the fault ends is lost
    'dropout': 'share',     # this share of the messages is lost
    'future': 'seconds',    # stamped so far in the future
    'past': 'seconds',      # stamped so far in the past
}
# ... these of one message's content ...
_VALUE_KINDS = {'nan': 'field', 'inf': 'field'}  # this field, or every one
_FRAME_KINDS = {'frame': 'frame'}  # another frame_id
_JOINT_KINDS = {
    'missing': 'joint',     # this joint, or the first one, is not there
    'reorder': 'nothing',   # names and positions in another order: must have no effect
    'extra': 'nothing',     # one more joint before the others: must have no effect
}
# ... and these of /clock, which all stamps follow.
_CLOCK_KINDS = {
    'pause': 'nothing',     # it stands still
    'back': 'seconds',      # it jumps back by so much
}

_AXES = {'position': 'xyz', 'orientation': 'xyzw', 'force': 'xyz', 'torque': 'xyz'}
_EXTRA_JOINT = 'extra_joint'
_MOST_S = 100.0  # of a value in seconds
_MOST_DEVIATION = 100.0
_NUMBERS = {'seconds': ('seconds', _MOST_S), 'deviation': ('a standard deviation',
                                                           _MOST_DEVIATION),
            'share': ('a share', 1.0)}
_GRAMMAR = re.compile(r'(?P<key>[^:=@+]+):(?P<kind>[^:=@+]+)(=(?P<value>[^@+]+))?'
                      r'(@(?P<start>[^@+]+)(\+(?P<length>[^@+]+))?)?')


@dataclass(frozen=True)
class Fault:
    """One fault of the observation `key`, or of the clock.

    `number` is the value of a kind that takes a number, `name` that of a kind that takes a field,
    a joint or a frame ('' for none). `from_s` counts from the first command.
    """

    key: str
    kind: str
    number: float
    name: str
    from_s: float
    for_s: float

    def acts(self, since_s: float) -> bool:
        """Tell whether it acts `since_s` after the first command."""
        return self.from_s <= since_s < self.from_s + self.for_s


def parse_fault(text: str, signals: Mapping[str, Signal]) -> Fault:
    """Return the fault that a text says; raise `ScenarioError` naming what is wrong in it.

    `signals` are the observations by key.
    """
    found = _GRAMMAR.fullmatch(text)
    if found is None:
        raise ScenarioError(f'cannot read fault {text!r}, expected key:kind[=value]'
                            f'[@from_s[+for_s]], as in hand_pose:freeze@2.0')
    where, key, kind = f'fault {text!r}', found['key'], found['kind']
    if key not in (*signals, CLOCK):
        raise ScenarioError(f'{where}: unknown key {key!r}{near_miss(key, (*signals, CLOCK))}')
    kinds = _CLOCK_KINDS if key == CLOCK else _kinds_of(signals[key])
    if kind not in kinds:
        raise ScenarioError(f'{where}: {key} cannot have the fault {kind!r}'
                            f'{near_miss(kind, kinds)}')
    number, name, value = 0.0, '', found['value']
    takes = kinds[kind]
    if takes in _NUMBERS:
        what, most = _NUMBERS[takes]
        number = _number(where, value, f'{what} above 0 and at most {most:g}, as in '
                                       f'{key}:{kind}=0.1', 0.0, most)
        if number == 0.0:
            raise ScenarioError(f'{where}: {kind}=0 does nothing; leave the fault out')
    elif takes == 'nothing':
        if value is not None:
            raise ScenarioError(f'{where}: {kind} takes no value, got {value!r}; leave '
                                f'{"=" + value!r} out')
    elif takes == 'frame':
        if not value or value == signals[key].frame:
            raise ScenarioError(f'{where}: expected the name of another frame, as in '
                                f'{key}:{kind}=world, got {value or "none"}')
        name = value
    elif value is not None:
        name = value
        known = fields_of(signals[key])
        if name not in known:
            raise ScenarioError(f'{where}: {key} has no {takes} {name!r}{near_miss(name, known)}')
    start = _number(where, found['start'] or '0', 'a time in s of at least 0 after @', 0.0)
    length = math.inf
    if found['length'] is not None:
        length = _number(where, found['length'], 'a duration in s above 0 after +', 0.0)
        if length == 0.0:
            raise ScenarioError(f'{where}: it lasts 0 s; give a longer time, or none for good')
    return Fault(key, kind, number, name, start, length)


def fields_of(signal: Signal) -> tuple[str, ...]:
    """Return the names of every number in an observation's message: joints, or x, y, z by part."""
    parts = {'pose': ('position', 'orientation'), 'force': ('force', 'torque')}
    if signal.kind not in parts:
        return signal.names
    return tuple(f'{part}.{axis}' for part in parts[signal.kind] for axis in _AXES[part])


class Faults:
    """Turn what the sensors delivered into what is published. One episode; simulated time.

    Nothing acts before `begin` was told of the first command. Faults of one key act one after
    the other, in the order given.
    """

    def __init__(self, faults: Sequence[Fault], signals: Mapping[str, Signal],
                 rng: np.random.Generator) -> None:
        self._streams = [_Stream(fault, signals[fault.key], rng) for fault in faults
                         if fault.kind in _STREAM_KINDS]
        self._others = [fault for fault in faults if fault.kind not in _STREAM_KINDS]
        self._signals = signals
        self._began_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """Take the time of the first command."""
        self._began_ns = now_ns

    def deliver(self, arrived: Sequence[tuple[str, Sample]],
                now_ns: int) -> list[tuple[str, Sample]]:
        """Return the samples to publish now, of those (key, sample) that arrived now.

        Their `receive_ns` is on the clock of `now_ns`, their `stamp_ns` as it is to be published.
        Call it at every step of time, also when nothing arrived.
        """
        out = list(arrived)
        for stream in self._streams:
            key = stream.fault.key
            through = stream.deliver([s for k, s in out if k == key], now_ns,
                                     self._acts(stream.fault, now_ns))
            out = [item for item in out if item[0] != key] + [(key, s) for s in through]
        return out

    def corrupt(self, key: str, message: Any, now_ns: int) -> None:
        """Spoil a message of the observation `key` in place."""
        for fault in self._others:
            if fault.key == key and self._acts(fault, now_ns):
                _corrupt(fault, self._signals[key], message)

    def clock_ns(self, now_ns: int) -> int:
        """Return what /clock says at `now_ns`."""
        said_ns = now_ns
        for fault in self._others:
            if fault.key == CLOCK and self._acts(fault, now_ns):
                assert self._began_ns is not None
                if fault.kind == 'pause':
                    said_ns = min(said_ns, self._began_ns + round(fault.from_s * 1e9))
                else:
                    said_ns -= round(fault.number * 1e9)
        return max(said_ns, 0)

    def _acts(self, fault: Fault, now_ns: int) -> bool:
        return self._began_ns is not None and fault.acts((now_ns - self._began_ns) * 1e-9)


class _Stream:
    """One fault of what arrives and when it is stamped."""

    def __init__(self, fault: Fault, signal: Signal, rng: np.random.Generator) -> None:
        self.fault = fault
        # The columns of a rotation are left alone: they would no longer be one.
        self._noisy = slice(0, 3 if signal.kind == 'pose' else signal.dim)
        self._rng = rng
        self._last: Sample | None = None
        self._under_way: list[Sample] = []

    def deliver(self, samples: list[Sample], now_ns: int, acts: bool) -> list[Sample]:
        """Return what passes on of the samples that arrive now."""
        if not acts:
            self._last = samples[-1] if samples else self._last
            return samples
        if self.fault.kind == 'latency':
            self._under_way += samples
            late_ns = round(self.fault.number * 1e9)
            due = [s for s in self._under_way if s.receive_ns + late_ns <= now_ns]
            self._under_way = self._under_way[len(due):]
            return [replace(s, receive_ns=now_ns) for s in due]
        return [changed for s in samples if (changed := self._changed(s)) is not None]

    def _changed(self, sample: Sample) -> Sample | None:
        """Return what a sample becomes, None if it is lost."""
        kind, number = self.fault.kind, self.fault.number
        last = self._last = self._last or sample
        if kind == 'silence' or (kind == 'dropout' and self._rng.uniform() < number):
            return None
        if kind == 'freeze':
            return replace(sample, values=last.values)
        if kind == 'stale':
            return replace(last, receive_ns=sample.receive_ns)
        if kind == 'noise':
            values = sample.values.copy()
            values[self._noisy] += self._rng.normal(0.0, number, size=values[self._noisy].shape)
            return replace(sample, values=values)
        if kind in ('future', 'past'):
            shift_ns = round(number * 1e9) * (1 if kind == 'future' else -1)
            return replace(sample, stamp_ns=sample.stamp_ns + shift_ns)
        return sample


def _kinds_of(signal: Signal) -> dict[str, str]:
    own = _FRAME_KINDS if signal.frame else _JOINT_KINDS
    return {**_STREAM_KINDS, **_VALUE_KINDS, **own}


def _number(where: str, text: str | None, expected: str, least: float,
            most: float = math.inf) -> float:
    try:
        number = float(text or '')
    except ValueError:
        number = math.nan
    if not (least <= number <= most and math.isfinite(number)):
        raise ScenarioError(f'{where}: expected {expected}, got {text or "nothing"}')
    return number


def _corrupt(fault: Fault, signal: Signal, message: Any) -> None:
    if fault.kind == 'frame':
        message.header.frame_id = fault.name
    elif fault.kind in _VALUE_KINDS:
        spoilt = (fault.name,) if fault.name else fields_of(signal)
        _spoil(signal, message, spoilt, math.nan if fault.kind == 'nan' else math.inf)
    else:
        names, positions = list(message.name), list(message.position)
        if fault.kind == 'missing':
            kept = [i for i, name in enumerate(names) if name != (fault.name or signal.names[0])]
            names, positions = [names[i] for i in kept], [positions[i] for i in kept]
        elif fault.kind == 'reorder':
            names, positions = names[::-1], positions[::-1]
        else:
            names, positions = [_EXTRA_JOINT, *names], [0.0, *positions]
        message.name, message.position = names, positions


def _spoil(signal: Signal, message: Any, fields: Sequence[str], value: float) -> None:
    """Set fields of a message, named as `fields_of` names them."""
    if not signal.frame:
        message.position = [value if name in fields else position for name, position
                            in zip(message.name, message.position, strict=True)]
        return
    body = message.pose if signal.kind == 'pose' else message.wrench
    for field in fields:
        part, _, axis = field.partition('.')
        setattr(getattr(body, part), axis, value)
