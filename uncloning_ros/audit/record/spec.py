# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an audit's JSON and an evidence file hold: one list of fields, checked and documented.

A field is a kind and a sentence. Kinds: text, flag, count (a whole number, 0 or above), number,
rate (0 to 1), sha256, object, map (names the data chose), any. `[]` after a kind is a list of it,
`[3]` a list of three, and `?` may be null.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from uncloning_ros.errors import EvidenceError, near_miss

_LIST = re.compile(r'(?P<kind>.+)\[(?P<length>\d*)\]')
_SHA256 = re.compile(r'[0-9a-f]{64}')


@dataclass(frozen=True)
class Spec:
    """One field: its kind, what it says, and the fields inside it.

    An object has its fields `of` it; a map has one field under the name '*'.
    """

    kind: str
    what: str
    of: 'Mapping[str, Spec]' = field(default_factory=dict)
    optional: bool = False


Fields = Mapping[str, Spec]


def require(data: object, fields: Fields, where: str) -> None:
    """Raise `EvidenceError` unless `data` has exactly these fields, each of its kind."""
    if not isinstance(data, Mapping):
        raise EvidenceError(f'{where}: expected an object, got {_shown(data)}')
    for key in data:
        if key not in fields:
            raise EvidenceError(f'{where}: unknown field {key!r}{near_miss(str(key), fields)}')
    for key, spec in fields.items():
        if key in data:
            _require(data[key], spec.kind, spec, f'{where}.{key}')
        elif not spec.optional:
            raise EvidenceError(f'{where}: missing field {key!r} ({spec.what})')


def markdown(fields: Fields) -> str:
    """Return a table of the fields in Markdown, those inside others by their path."""
    return '\n'.join(['| field | kind | |', '| --- | --- | --- |', *_rows(fields, '')])


def _rows(fields: Fields, prefix: str) -> list[str]:
    rows = []
    for key, spec in fields.items():
        name = f'{prefix}{key}'
        rows.append(f'| `{name}` | {spec.kind}{", optional" if spec.optional else ""} | '
                    f'{spec.what} |')
        rows += _rows(spec.of, f'{name}.')
    return rows


def _require(value: object, kind: str, spec: Spec, where: str) -> None:
    if kind.endswith('?'):
        if value is not None:
            _require(value, kind[:-1], spec, where)
        return
    found = _LIST.fullmatch(kind)
    if found is None:
        _require_plain(value, kind, spec, where)
        return
    length = found['length']
    if not isinstance(value, list | tuple) or (length and len(value) != int(length)):
        raise EvidenceError(f'{where}: expected {kind}, got {_shown(value)}')
    for i, item in enumerate(value):
        _require(item, found['kind'], spec, f'{where}[{i}]')


def _require_plain(value: object, kind: str, spec: Spec, where: str) -> None:
    if kind == 'object':
        require(value, spec.of, where)
    elif kind == 'map':
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise EvidenceError(f'{where}: expected an object, got {_shown(value)}')
        for key, item in value.items():
            _require(item, spec.of['*'].kind, spec.of['*'], f'{where}.{key}')
    elif not _fits(value, kind):
        raise EvidenceError(f'{where}: expected {kind}, got {_shown(value)}')


def _fits(value: object, kind: str) -> bool:
    if kind == 'any':
        return True
    if kind == 'flag':
        return isinstance(value, bool)
    if kind == 'text':
        return isinstance(value, str)
    if kind == 'sha256':
        return isinstance(value, str) and _SHA256.fullmatch(value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == 'count':
        return isinstance(value, int) and value >= 0
    assert kind in ('number', 'rate'), kind
    return math.isfinite(value) and (kind == 'number' or 0.0 <= value <= 1.0)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
