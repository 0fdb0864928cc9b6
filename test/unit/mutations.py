# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages, plain data and bytes with something wrong in them, each drawn by a generator."""

import copy
import dataclasses
from typing import Any

import numpy as np
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
        return _other_array(rng, value)
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
