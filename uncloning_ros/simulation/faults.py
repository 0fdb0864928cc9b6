# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of observations and of the clock, each written as one text, that a policy must survive.

A fault is `key:kind[=value][@from_s[+for_s]]`, as in `hand_pose:freeze@2.0` or
`tool_pose:nan=orientation.w@1+0.5`. The key is an observation, or `clock`. The fault acts from
`from_s` (default: 0) after the first command, for `for_s` (default: to the end), in simulated
time.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from uncloning_ros.contract import Signal, messages
from uncloning_ros.contract.kinds import KINDS
from uncloning_ros.errors import ScenarioError, near_miss

CLOCK = 'clock'

# Kind of a fault -> meaning of its value. Kinds that concern whole messages and their stamps ...
STREAM_KINDS = {
    'silence': 'nothing',   # no message
    'freeze': 'nothing',    # the last values with new stamps, as of a tracker that hangs
    'stale': 'nothing',     # the last message again and again, with its old stamp
    'noise': 'deviation',   # standard deviation added to positions, joints, width, force, pixels
    'latency': 'seconds',   # delay; messages under way at the fault's end are lost
    'dropout': 'share',     # share of messages that are lost
    'future': 'seconds',    # distance of the stamps into the future
    'past': 'seconds',      # distance of the stamps into the past
}
# ... kinds that concern one message's content ...
VALUE_KINDS = {'nan': 'field', 'inf': 'field'}  # the spoilt field; all fields without it
_FRAME_KINDS = {'frame': 'frame'}  # another frame_id
_JOINT_KINDS = {
    'missing': 'joint',     # the missing joint; the first joint without it
    'reorder': 'nothing',   # names and values in another order: must have no effect
    'extra': 'nothing',     # one more joint before the others: must have no effect
}
# ... those of pictures, the first two of their content, the others of their message ...
PICTURE_KINDS = {
    'black': 'nothing',      # as with a cap on the lens
    'saturated': 'nothing',  # as in a light that is far too bright
    'truncated': 'nothing',  # the second half of the data is missing
    'size': 'nothing',       # pictures of half the width and height
    'encoding': 'nothing',   # colours that no policy is trained on
}
# ... and kinds that concern /clock, which all stamps follow.
_CLOCK_KINDS = {
    'pause': 'nothing',     # it stands still
    'back': 'seconds',      # distance of its jump back
}

# Message type -> its body, and the body's parts with their axes; other messages name joints.
BODIES = {messages.POSE: ('pose', {'position': 'xyz', 'orientation': 'xyzw'}),
          messages.WRENCH: ('wrench', {'force': 'xyz', 'torque': 'xyz'})}
# Meaning of a value -> its noun in a sentence, and its maximum.
_NUMBERS = {'seconds': ('seconds', 100.0), 'deviation': ('a standard deviation', 100.0),
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
    """Return the fault in a text; raise `ScenarioError` naming its wrong part.

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
    number, name, value = 0.0, found['value'] or '', found['value']
    takes = kinds[kind]
    if takes in _NUMBERS:
        noun, most = _NUMBERS[takes]
        name, number = '', _number(where, value, f'{noun} above 0 and at most {most:g}, as in '
                                                 f'{key}:{kind}=0.1', most)
    elif takes == 'nothing' and value is not None:
        raise ScenarioError(f'{where}: {kind} takes no value, got {value!r}; leave '
                            f'{"=" + value!r} out')
    elif takes == 'frame' and name in ('', signals[key].frame):
        raise ScenarioError(f'{where}: expected the name of another frame, as in '
                            f'{key}:{kind}=world, got {name or "none"}')
    elif takes in ('field', 'joint') and name and name not in fields_of(signals[key]):
        raise ScenarioError(f'{where}: {key} has no {takes} {name!r}'
                            f'{near_miss(name, fields_of(signals[key]))}')
    start, length = found['start'], found['length']
    return Fault(key, kind, number, name,
                 0.0 if start is None else _number(
                     where, start, 'a time in s of at least 0 after @', may_be_zero=True),
                 math.inf if length is None else _number(
                     where, length, 'a duration in s above 0 after +, or none for all the time'))


def fields_of(signal: Signal) -> tuple[str, ...]:
    """Return the names of every number in an observation's message: joints, or x, y, z by part.

    A type that is not in `BODIES` has none: no field of it can be spoilt.
    """
    if signal.names:
        return signal.names
    _, parts = BODIES.get(KINDS[signal.kind].observed_as[0], ('', {}))
    return tuple(f'{part}.{axis}' for part, axes in parts.items() for axis in axes)


def _kinds_of(signal: Signal) -> dict[str, str]:
    if KINDS[signal.kind].pictures:
        return {**STREAM_KINDS, **PICTURE_KINDS}
    return {**STREAM_KINDS, **(VALUE_KINDS if fields_of(signal) else {}),
            **(_FRAME_KINDS if signal.frame else _JOINT_KINDS)}


def _number(where: str, text: str | None, expected: str, most: float = math.inf,
            may_be_zero: bool = False) -> float:
    try:
        number = float(text or '')
    except ValueError:
        number = math.nan
    if not (0.0 <= number <= most and math.isfinite(number)) or (number == 0 and not may_be_zero):
        raise ScenarioError(f'{where}: expected {expected}, got {text or "nothing"}')
    return number
