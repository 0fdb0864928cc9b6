# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Strict reading of YAML: every key is known, every value has the type that was asked for."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from uncloning_ros.errors import UncloningError, near_miss


class _NoDuplicates(yaml.SafeLoader):
    """Load YAML safely and refuse a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key {key!r} is given twice', node.start_mark)
        return super().construct_mapping(node, deep=deep)


class Fields:
    """Read one mapping field by field; `done()` refuses whatever nobody asked for.

    `where` names the place in the file, as in "config/contract.yaml: interface.modes".
    Every refusal is raised as `error` with the place, the value and the remedy.
    """

    def __init__(self, data: object, where: str, error: type[UncloningError]) -> None:
        if not isinstance(data, Mapping):
            raise error(f'{where}: expected a mapping, got {_shown(data)}')
        self._data = data
        self._asked: list[str] = []
        self.where = where
        self.error = error

    def fail(self, key: str, expected: str) -> UncloningError:
        """Return the error that `key` is not what was expected."""
        found = _shown(self._data[key]) if key in self._data else 'nothing'
        return self.error(f'{self.where}.{key}: expected {expected}, got {found}')

    def plain(self) -> dict[str, Any]:
        """Return the mapping as plain data."""
        return dict(self._data)

    def has(self, key: str) -> bool:
        """Tell whether an optional key is there."""
        self._asked.append(key)
        return key in self._data

    def keys(self) -> Iterator[str]:
        """Return the keys of a mapping whose keys are names that the user chose."""
        for key in self._data:
            if not _is_text(key) or not key:
                raise self.error(f'{self.where}: expected names as keys, got {_shown(key)}')
        self._asked.extend(self._data)
        return iter(list(self._data))

    def fields(self, key: str) -> 'Fields':
        """Return the mapping under `key`."""
        return Fields(self._get(key, 'a mapping'), f'{self.where}.{key}', self.error)

    def list_of_fields(self, key: str) -> list['Fields']:
        """Return the list of mappings under `key`."""
        data = self._get(key, 'a list of mappings')
        if not isinstance(data, list) or not data:
            raise self.fail(key, 'a list of mappings')
        return [Fields(item, f'{self.where}.{key}[{i}]', self.error)
                for i, item in enumerate(data)]

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self._get(key, 'a text')
        if not _is_text(value) or not value.strip():
            raise self.fail(key, 'a text')
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of distinct texts."""
        value = self._get(key, 'a list of names')
        if (not isinstance(value, list) or not value
                or not all(_is_text(item) and item for item in value)):
            raise self.fail(key, 'a list of names')
        if len(set(value)) != len(value):
            raise self.fail(key, 'distinct names')
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self._get(key, 'true or false')
        if not isinstance(value, bool):
            raise self.fail(key, 'true or false')
        return value

    def count(self, key: str, least: int = 1, most: int | None = None) -> int:
        """Return a whole number, at least `least` and at most `most`."""
        expected = f'a whole number, at least {least}'
        if most is not None:
            expected += f' and at most {most}'
        value = self._get(key, expected)
        if (isinstance(value, bool) or not isinstance(value, int) or value < least
                or (most is not None and value > most)):
            raise self.fail(key, expected)
        return value

    def number(self, key: str, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number in [least, most]."""
        value = self._get(key, 'a number')
        bounds = f'a number in [{least:g}, {most:g}]'
        if not _is_finite(value) or not least <= value <= most:
            raise self.fail(key, bounds)
        return float(value)

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """Return a list of `length` finite numbers."""
        value = self._get(key, f'a list of {length} numbers')
        if (not isinstance(value, list) or len(value) != length
                or not all(map(_is_finite, value))):
            raise self.fail(key, f'a list of {length} numbers')
        return tuple(float(item) for item in value)

    def span(self, key: str) -> tuple[float, float]:
        """Return a [least, most] pair."""
        low, high = self.numbers(key, 2)
        if low > high:
            raise self.fail(key, 'a pair [least, most]')
        return low, high

    def schema(self, expected: str) -> None:
        """Require the schema mark that tells which reader a file was written for."""
        if self.text('schema') != expected:
            raise self.fail('schema', repr(expected))

    def done(self) -> None:
        """Refuse keys that nothing asked for; suggest the near miss."""
        for key in self._data:
            if key not in self._asked:
                raise self.error(f'{self.where}: unknown key {key!r}'
                                 f'{near_miss(str(key), self._asked)}')

    def _get(self, key: str, expected: str) -> Any:
        self._asked.append(key)
        if key not in self._data:
            others = [str(k) for k in self._data if k not in self._asked]
            hint = near_miss(key, others).replace('did you mean', 'found') if others else ''
            raise self.error(f'{self.where}: missing key {key!r}, expected {expected}'
                             f'{hint if "found" in hint else ""}')
        return self._data[key]


def read_yaml(path: Path, error: type[UncloningError]) -> Fields:
    """Read one YAML file into `Fields`; raise `error` if it is missing or malformed."""
    try:
        data = _NoDuplicates(path.read_text(encoding='utf-8')).get_single_data()
    except OSError as err:
        raise error(f'cannot read {path}: {err.strerror or err}') from err
    # Values such as 2026-13-45, and deep nesting, get past PyYAML's own errors.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as err:
        reason = ' '.join(str(err).split())
        raise error(f'{path} is not valid YAML: {reason}') from err
    return Fields(data, str(path), error)


def canonical_sha256(data: object) -> str:
    """Return the sha256 of the canonical JSON form: sorted keys, no blanks, UTF-8."""
    text = json.dumps(data, sort_keys=True, separators=(',', ':'), ensure_ascii=False,
                      allow_nan=False)
    return hashlib.sha256(text.encode('utf-8')).hexdigest()


def _is_text(value: object) -> bool:
    """Tell whether a value is a text that can be written: JSON may hold half a character."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(value: object) -> bool:
    """Tell whether a value is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + '...'
