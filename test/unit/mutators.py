# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages, plain data, texts and bytes with something wrong in them, drawn by a generator."""

import copy
import dataclasses
import json
import math
from typing import Any

import numpy as np
import yaml
from numpy.random import Generator

FLOATS = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-12, 1.0, -1.0, 0.5, 1e3, 9999.0, 1e4,
          10000.1, -1e5, 1e30, 1e154, -1e308, 1.7976931348623157e308)
INTS = (0, 1, -1, 10**9 - 1, 10**9, 2**31 - 1, -2**31)
TEXTS = ('', ' ', 'panda_link0', '/panda_link0', 'camera', 'panda_finger_joint1', 'x' * 500,
         'ümläut', '\x00', '\ud800', '{}', '"', '\n')
ANYTHING = (None, True, False, 0, 1, -1, 2, 7, 1e-9, 0.5, 20, 100, 999.5, 1e9, -1e308, 1e308,
            float('nan'), float('inf'), 10**30, -10**30, '', 'x', 'pose', 'force', '\ud800',
            'joint_positions', 'tf2_msgs/msg/TFMessage', 'panda_joint1', [], [0], [1, 2, 3],
            [1, 0], ['a', 'a'], ['a', 'b'], {}, {'desired': True}, {'topic': 'x'}, [[]], [{}])

# A text in a YAML file, and the values that it may be read as; another one is a wrong result.
TRAPS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ('1e-1', (0.1, '1e-1')), ('1e400', ('1e400',)), ('.5', (0.5,)), ('5.', (5.0,)), ('+3', (3,)),
    ('0x10', (16,)), ('010', (10, '010')), ('0o10', (8, '0o10')), ('1_000', (1000, '1_000')),
    ('1,5', ('1,5',)), ('1:30', ('1:30',)), ('12:30:45', ('12:30:45',)), ('.inf', ()),
    ('-.inf', ()), ('.nan', ()), ('9' * 400, ()), ('9' * 5000, ()), ('1e308', (1e308, '1e308')),
    ('on', (True, 'on')), ('off', (False, 'off')), ('yes', (True, 'yes')), ('no', (False, 'no')),
    ('y', ('y',)), ('true', (True,)), ('"on"', ('on',)), ("'1'", ('1',)), ('~', (None,)),
    ('null', (None,)), ('', (None,)), ('""', ('',)), ('2026-01-31', ('2026-01-31',)),
    ('2026-13-45', ('2026-13-45',)), ('"\\ud800"', ()), ('é', ('é',)), ('"\\0"', ('\0',)),
    ('!!python/object/apply:os.getcwd []', ()), ('!!binary x', ()), ('!!set {a, b}', ()),
    ('*a', ()), ('&a [*a]', ()), ('&a {b: *a}', ()), ('{a: 1, a: 2}', ()), ('[' * 3000, ()),
    ('<<: 1', ()), ('|', ('',)), ('- 1', ()), ('a: b', ()), ('%', ()), ('@x', ()), ('\t1', (1,)))
_PLACE = 'trap_comes_here'


def pick(rng: Generator, items: Any) -> Any:
    """Return one of the items."""
    return items[int(rng.integers(len(items)))]


def _leaves(message: Any) -> list[tuple[Any, str]]:
    """Return where a message has values: (message, name of a field), nested ones included."""
    found: list[tuple[Any, str]] = []
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if dataclasses.is_dataclass(value):
            found += _leaves(value)
        elif field.name != '__msgtype__':
            found.append((message, field.name))
    return found


def _other_value(rng: Generator, value: Any) -> Any:
    """Return another value that the wire could carry: the type is always the same."""
    if isinstance(value, float):
        return pick(rng, FLOATS) if rng.random() < 0.7 else float(rng.normal())
    if isinstance(value, int):
        return pick(rng, INTS)
    if isinstance(value, str):
        return pick(rng, TEXTS)
    if isinstance(value, np.ndarray):
        return (_other_octets if value.dtype == np.uint8 else _other_array)(rng, value)
    return _other_list(rng, list(value))


def _other_array(rng: Generator, array: np.ndarray) -> np.ndarray:
    choice = rng.random()
    if choice < 0.5 and array.size:
        changed = array.copy()
        changed[int(rng.integers(array.size))] = pick(rng, FLOATS)
        return changed
    if choice < 0.7:
        return array[:int(rng.integers(array.size + 1))]
    if choice < 0.9:
        return np.concatenate([array, rng.normal(size=int(rng.integers(1, 4)))])
    return np.full(array.shape, pick(rng, FLOATS))


def _other_octets(rng: Generator, array: np.ndarray) -> np.ndarray:
    """Return other bytes of a picture: damaged, or of one level."""
    if rng.random() < 0.7 and array.size:
        return np.frombuffer(mutated_bytes(rng, array.tobytes()), np.uint8)
    return np.full(array.shape, pick(rng, (0, 8, 9, 128, 246, 247, 255)), np.uint8)


def _other_list(rng: Generator, items: list[Any]) -> list[Any]:
    choice = rng.random()
    if choice < 0.3 and items:
        items[int(rng.integers(len(items)))] = pick(rng, TEXTS)
    elif choice < 0.5:
        items = items[:int(rng.integers(len(items) + 1))]
    elif choice < 0.7:
        items = [*items, pick(rng, (*items, *TEXTS))]
    elif choice < 0.9:
        items = [items[i] for i in rng.permutation(len(items))]
    else:
        items = [pick(rng, TEXTS)] * len(items)
    return items


def mutate_message(rng: Generator, message: Any) -> None:
    """Change one to three values of a message in place."""
    for _ in range(int(rng.integers(1, 4))):
        owner, name = pick(rng, _leaves(message))
        setattr(owner, name, _other_value(rng, getattr(owner, name)))


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key or index) of plain data."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    found = [(data, key) for key in keys]
    for key in keys:
        if isinstance(data[key], (dict, list)):
            found += _places(data[key])
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def mutated_data(rng: Generator, data: Any) -> Any:
    """Return plain data with one to three things replaced, scaled, removed, renamed or doubled.

    Half of what is changed are numbers, for among so much else they would hardly be met.
    """
    data = copy.deepcopy(data)
    for _ in range(int(rng.integers(1, 4))):
        places = _places(data)
        numbers = [(where, key) for where, key in places if _is_number(where[key])]
        if numbers and rng.random() < 0.5:
            where, key = pick(rng, numbers)
            value = where[key]
            where[key] = pick(rng, (value * 2, value / 2, value * 10, value + 1, -value,
                                    10.0 ** rng.uniform(-9, 12), pick(rng, FLOATS)))
            continue
        if not places:
            break
        where, key = pick(rng, places)
        value, choice = where[key], rng.random()
        if choice < 0.6:
            where[key] = copy.deepcopy(pick(rng, ANYTHING))
        elif choice < 0.8:
            del where[key]
        elif isinstance(where, dict):
            where[pick(rng, ('x', '', 'topic', 7, f'{key}s', '\ud800'))] = (
                where.pop(key) if choice < 0.9 else value)
        else:
            where.append(copy.deepcopy(value))
    return data


def mutated_bytes(rng: Generator, data: bytes) -> bytes:
    """Return bytes of which some are flipped, cut off, added, moved or blank."""
    choice, at = int(rng.integers(6)), int(rng.integers(len(data)))
    size = int(rng.integers(1, 200))
    if choice == 0:
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 9))):
            changed[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
        return bytes(changed)
    if choice == 1:
        return data[:at]
    if choice == 2:
        return data[:at] + rng.bytes(size) + data[at:]
    if choice == 3:
        return data[:at] + data[at + size:]
    if choice == 4:
        return data[:at] + bytes(len(data[at:at + size])) + data[at + size:]
    return data[at:] + data[:at]


@dataclasses.dataclass(frozen=True)
class Text:
    """A mutated text; a trap in it stands at a place, and may be read as one of some values."""

    data: bytes
    place: tuple[Any, ...] = ()
    readings: tuple[Any, ...] | None = None

    def require_read_as(self, data: Any) -> None:
        """Assert that the trap, if it is part of what was read, was read as allowed."""
        if self.readings is None:
            return
        try:
            for key in self.place:
                data = data[key]
        except LookupError:
            return  # an optional value that has its default
        same = [one for one in self.readings if _same(data, one)]
        assert same, f'{self.place}: read as {data!r:.80}'


def _same(one: Any, two: Any) -> bool:
    """Tell whether two values are equal: 3 is 3.0, also in radians and back, but 1 is not true."""
    if _is_number(one) and _is_number(two):
        return math.isclose(one, two)
    return isinstance(one, bool) is isinstance(two, bool) and one == two


def mutated_yaml(rng: Generator, text: str) -> Text:
    """Return a YAML text with other data, a trap, a line twice, or other bytes."""
    data, choice = yaml.safe_load(text), rng.random()
    if choice < 0.4:
        return Text(yaml.safe_dump(mutated_data(rng, data), sort_keys=False).encode())
    if choice < 0.75:
        return _with_trap(rng, data)
    if choice < 0.85:
        lines = text.splitlines(keepends=True)
        at = int(rng.integers(len(lines)))
        lines.insert(int(rng.integers(len(lines))) if choice < 0.8 else at, lines[at])
        return Text(''.join(lines).encode())
    return Text(mutated_bytes(rng, text.encode()))


def _with_trap(rng: Generator, data: Any) -> Text:
    """Return YAML with a trap for a value or, more rarely, for a key."""
    places = [place for place, value in _paths(data)
              if not isinstance(value, (dict, list)) or rng.random() < 0.1]
    trap, readings = pick(rng, TRAPS)
    *way, last = pick(rng, places)
    where = data
    for key in way:
        where = where[key]
    if isinstance(where, dict) and rng.random() < 0.2:
        where[_PLACE] = where.pop(last)
        readings = None
    else:
        where[last] = _PLACE
    written = yaml.safe_dump(data, sort_keys=False, width=10**6).replace(_PLACE, trap)
    return Text(written.encode(), (*way, last), readings)


def _paths(data: Any, way: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Return every value of plain data with the keys and indices that lead to it."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in items:
        found.append(((*way, key), value))
        if isinstance(value, (dict, list)):
            found += _paths(value, (*way, key))
    return found


def mutated_json(rng: Generator, text: str) -> bytes:
    """Return a JSON text with other data, a key that is given twice, or other bytes."""
    choice = rng.random()
    if choice < 0.6:
        return json.dumps(mutated_data(rng, json.loads(text))).encode()
    if choice < 0.8:
        data = json.loads(text)
        where = pick(rng, [data, *(value for _, value in _paths(data))])
        if isinstance(where, dict) and where:
            key = pick(rng, list(where))
            where[_PLACE] = pick(rng, (where[key], pick(rng, ANYTHING)))
            return json.dumps(data).replace(f'"{_PLACE}"', json.dumps(key)).encode()
    return mutated_bytes(rng, text.encode())
