# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and write YAML and JSON as frozen dataclasses, whose annotations are the schema.

A field's annotation gives its type; notes in `Annotated` narrow it:

    @dataclass(frozen=True)
    class Tracking:
        latency_s: Annotated[float, Range(0.0, 2.0)]   # a number in [0, 2]
        attempts: Count                                # a whole number, at least 0
        names: Names                                   # a list of distinct texts, not empty
        turn_rad: Annotated[Span, Note.DEGREES]        # turn_deg: [least, most] in the file
        limits: Mapping[str, Span]                     # a mapping whose keys are names
        desired: Mapping[str, Annotated[bool, Inside('desired')]]    # {name: {desired: true}}
        mode: str | None                               # the key has to be there; may be null
        label: str | None = None                       # the key may be left out; null is refused
        record: Mapping[str, Any] = field(default_factory=dict)      # any data
        source: Annotated[str, Note.DERIVED] = ''      # not in the file
        outcome: Annotated[Outcome, Note.INLINE]       # its keys stand among those above

    @dataclass(frozen=True)
    class File:
        SCHEMAS: ClassVar = ('uncloning/file@2', 'uncloning/file@1')  # reads both, writes @2
        OTHER_KEYS: ClassVar = True                    # lets unknown keys pass
        tracking: Tracking
        episodes: Annotated[tuple[Episode, ...], Note.MAY_BE_EMPTY, Doc('every episode')]

    made = read(File, read_json(path, BagError, 'record it again'), str(path), BagError)
    path.write_text(json.dumps(plain(made)))

Types: str, bool, int, float, Literal of texts, a dataclass, Mapping[str, X], tuple[X, ...],
tuple[X, Y, Z], Any, and X | None. Texts and lists are not empty unless a note allows it. A field
with a default is optional. `plain` leaves out a field that has its default, so a new optional key
changes no hash of older files. A dataclass checks in `__post_init__` whatever its types cannot
express. Where it has a method `as_read`, `read` returns the result of that method: the dataclass
with its derived fields, checked as only a file has to be. `read` puts the place before the
sentence of an error that either raises.
"""

import dataclasses
import difflib
import enum
import functools
import hashlib
import json
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import yaml

from uncloning_ros.errors import UncloningError, near_miss, shown
from uncloning_ros.files import read_bytes

Made = TypeVar('Made')
Number = TypeVar('Number', int, float)


class Range(NamedTuple):
    """Allow the numbers from `least` to `most`."""

    least: float = -math.inf
    most: float = math.inf


class Pattern(NamedTuple):
    """Allow the texts that match `regex` as a whole; `name` tells their kind."""

    regex: str
    name: str


class Doc(NamedTuple):
    """Describe a field in the table of fields."""

    sentence: str


class Inside(NamedTuple):
    """Name the only key of a mapping that holds the value, as in `{desired: true}`."""

    key: str


class Note(enum.Enum):
    """Narrow or widen one field."""

    DERIVED = 'not in the file'
    DEGREES = 'degrees in the file, under x_deg; radians in the field x_rad'
    ORDERED = 'a pair [least, most]'
    DISTINCT = 'no item twice'
    MAY_BE_EMPTY = 'an empty text or list is allowed'
    INLINE = 'the keys of a dataclass stand among those of the dataclass that has it'


Count = Annotated[int, Range(0)]
Positive = Annotated[int, Range(1)]
Rate = Annotated[float, Range(0.0, 1.0)]
Sha256 = Annotated[str, Pattern('[0-9a-f]{64}', 'sha256')]
Names = Annotated[tuple[str, ...], Note.DISTINCT]
Texts = Annotated[tuple[str, ...], Note.MAY_BE_EMPTY]
Span = Annotated[tuple[float, float], Note.ORDERED]


def read(kind: Callable[..., Made], data: object, where: str, error: type[UncloningError],
         **derived: Any) -> Made:
    """Return the dataclass `kind` that `data` describes.

    `where` names the place of `data`, as in "contract.yaml" or "contract.yaml: interface";
    `derived` are values of fields that are not in the file. Raise `error` with the place, the
    value and the near miss for an unknown or missing key, a value of another type and one outside
    its range.
    """
    values: dict[str, Any] = {}
    inline: dict[str, dict[str, Any]] = {}
    others = getattr(kind, 'OTHER_KEYS', False)
    for name, value in _members(_parts(kind), data, where, error, others).items():
        outer, _, inner = name.rpartition('.')
        (inline.setdefault(outer, {}) if outer else values)[inner] = value
    values.pop('schema', None)
    try:
        for name, found in inline.items():
            values[name] = _as_read(_hint(_annotations(kind)[name]).core(**found))
        return _as_read(kind(**values, **derived))
    except UncloningError as err:
        raise error(f'{where}: {err}') from err


def _as_read(made: Made) -> Made:
    return typing.cast(Made, getattr(made, 'as_read', lambda: made)())


def plain(made: Any) -> Any:
    """Return a dataclass as plain data that `read` reads back, without fields at their default."""
    return _written(_hint(Any), made)


def documented(kind: type, prefix: str = '') -> Iterator[tuple[str, str, str]]:
    """Give path, type and sentence of every field of a dataclass and of the fields inside it."""
    for part in _parts(kind):
        yield from _rows(part.hint, f'{prefix}{part.key}', ', optional' if part.optional else '',
                         Doc(''))


class _Hint(NamedTuple):
    """An annotation taken apart: type, arguments of the type, notes, whether null is allowed."""

    core: Any
    args: tuple[Any, ...]
    notes: tuple[Any, ...]
    nullable: bool

    def note(self, kind: type[Made]) -> Made | None:
        """Return the note of this kind; of several the outermost."""
        return next((one for one in reversed(self.notes) if isinstance(one, kind)), None)


class _Part(NamedTuple):
    """A field of a dataclass and its key in the file; `default` is MISSING without one.

    The `name` of a field inside an inline one has that one's name before a dot.
    """

    name: str
    key: str
    hint: _Hint
    default: Any = dataclasses.MISSING

    @property
    def optional(self) -> bool:
        """Tell whether the key may be left out."""
        return self.default is not dataclasses.MISSING


@functools.cache
def _hint(annotation: Any) -> _Hint:
    """Take an annotation apart; outer notes follow inner ones."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        found = _hint(inner)
        return found._replace(notes=(*found.notes, *notes))
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner, = (one for one in get_args(annotation) if one is not types.NoneType)
        return _hint(inner)._replace(nullable=True)
    return _Hint(get_origin(annotation) or annotation, get_args(annotation), (), False)


@functools.cache
def _parts(kind: Any) -> tuple[_Part, ...]:
    """Return the fields of a dataclass that are in its file, the schema's mark first."""
    parts = []
    if mark := getattr(kind, 'SCHEMAS', ()):
        parts.append(_Part('schema', 'schema', _hint(Annotated[Literal[mark], Doc(mark[0])])))
    for one in dataclasses.fields(kind):
        hint, default = _hint(_annotations(kind)[one.name]), one.default
        if Note.DERIVED in hint.notes:
            continue
        if Note.INLINE in hint.notes:
            parts += [part._replace(name=f'{one.name}.{part.name}') for part in _parts(hint.core)]
            continue
        if one.default_factory is not dataclasses.MISSING:
            default = one.default_factory()
        if default is None:  # a key without a value is a slip: None is the key left out
            hint = hint._replace(nullable=False)
        key = f'{one.name.removesuffix("_rad")}_deg' if Note.DEGREES in hint.notes else one.name
        parts.append(_Part(one.name, key, hint, default))
    return tuple(parts)


@functools.cache
def _annotations(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _members(parts: tuple[_Part, ...], data: object, where: str,
             error: type[UncloningError], others_allowed: bool = False) -> dict[str, Any]:
    """Return the values of the fields in a mapping by the fields' names."""
    if not isinstance(data, Mapping):
        raise error(f'{where}: expected a mapping, got {shown(data)}')
    values, keys = {}, [part.key for part in parts]
    for part in parts:
        if part.key in data:
            values[part.name] = _value(part.hint, data[part.key], _inside(where, part.key), error)
        elif not part.optional:
            others = [str(key) for key in data if key not in keys]
            raise error(f'{where}: missing key {part.key!r}, expected {_expected(part.hint)}'
                        + ''.join(f' (found {key!r})' for key in _close(part.key, others)))
    for key in () if others_allowed else data:
        if key not in keys:
            raise error(f'{where}: unknown key {shown(key)}{near_miss(str(key), keys)}')
    return values


def _inside(where: str, key: str) -> str:
    """Return the place of a key, as in "contract.yaml: interface.modes"."""
    return f'{where}.{key}' if ': ' in where else f'{where}: {key}'


def _close(name: object, known: Sequence[str]) -> list[str]:
    """Return the known name that is nearest to a name, none if all are far from it."""
    return difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)


def _value(hint: _Hint, value: Any, where: str, error: type[UncloningError]) -> Any:
    """Return one value of a file as the dataclass holds it."""
    if value is None and hint.nullable:
        return None
    if inside := hint.note(Inside):
        bare = hint._replace(notes=tuple(note for note in hint.notes if note != inside))
        return _members((_Part(inside.key, inside.key, bare),), value, where, error)[inside.key]
    if dataclasses.is_dataclass(hint.core):
        return read(typing.cast(type[Any], hint.core), value, where, error)
    if not _fits(hint, value):
        known = hint.args if hint.core is Literal else ()
        raise error(f'{where}: expected {_expected(hint)}, got {shown(value)}'
                    + ''.join(f' (did you mean {one!r}?)' for one in _close(value, known))
                    + _misread(hint, value))
    if hint.core is Mapping and hint.args[1] is not Any:
        for key in value:
            if not _is_text(key) or not key:
                raise error(f'{where}: expected names as keys, got {shown(key)}'
                            + _misread(_hint(str), key))
        return {key: _value(_hint(hint.args[1]), item, _inside(where, key), error)
                for key, item in value.items()}
    if hint.core is tuple:
        value = tuple(_value(item, one, f'{where}[{i}]', error)
                      for i, (item, one) in enumerate(
                          zip(_items(hint, value), value, strict=True)))
    made = float(value) if hint.core is float else value
    return _scaled(made, math.radians) if Note.DEGREES in hint.notes else made


def _fits(hint: _Hint, value: Any) -> bool:
    """Tell whether a value has the type and is in the range; items of lists are seen to later."""
    if hint.core is Mapping:
        return isinstance(value, Mapping)
    if hint.core is tuple:
        return _fits_list(hint, value)
    if hint.core is Literal:
        return _is_text(value) and value in hint.args
    if hint.core is str:
        pattern = hint.note(Pattern)
        return (_is_text(value) and (bool(value.strip()) or Note.MAY_BE_EMPTY in hint.notes)
                and (pattern is None or re.fullmatch(pattern.regex, value) is not None))
    if hint.core is bool:
        return isinstance(value, bool)
    if hint.core in (int, float):
        least, most = hint.note(Range) or Range()
        return (_is_finite(value) and (hint.core is float or isinstance(value, int))
                and least <= value <= most)
    assert hint.core is Any, f'no reader for {hint.core}'
    return True


def _fits_list(hint: _Hint, value: Any) -> bool:
    """Tell whether a value is a list of the length, distinct or ordered as noted."""
    if not isinstance(value, list | tuple):
        return False
    if hint.args[-1] is Ellipsis:
        return ((bool(value) or Note.MAY_BE_EMPTY in hint.notes)
                and (Note.DISTINCT not in hint.notes
                     or all(item not in value[:i] for i, item in enumerate(value))))
    return (len(value) == len(hint.args)
            and all(_fits(item, one) for item, one in zip(_items(hint, value), value, strict=True))
            and (Note.ORDERED not in hint.notes or list(value) == sorted(value)))


def _items(hint: _Hint, value: Any) -> list[_Hint]:
    """Return the hint of every item of a list."""
    kinds = hint.args[:1] * len(value) if hint.args[-1] is Ellipsis else hint.args
    return [_hint(kind) for kind in kinds]


def _misread(hint: _Hint, value: Any) -> str:
    """Return the remedy for a value that YAML reads as another type than meant, '' for none."""
    if hint.core is tuple and isinstance(value, list | tuple) and value:
        items = hint.args[:1] * len(value) if hint.args[-1] is Ellipsis else hint.args
        return next((said for kind, item in zip(items, value, strict=False)
                     if (said := _misread(_hint(kind), item))), '')
    if hint.core in (int, float) and isinstance(value, str):
        number = as_number(value)
        return '' if number is None else f'; {value} is read as a text, write {number}'
    if hint.core not in (str, Literal) or isinstance(value, str | Mapping | list | tuple):
        return ''
    if isinstance(value, bool):
        return '; on, off, yes, no, true and false are flags unless in quotes, as in "on"'
    if value is None:
        return '; null, ~ and an empty value are nothing: write a text, "null" in quotes'
    return f'; write it in quotes, "{value}"'


def as_number(text: str) -> int | float | None:
    """Return the finite number that a text was meant as, None if it was not.

    YAML and ROS read 1e-1, -.5 and 08 as texts; some write a comma or a long minus.
    """
    try:
        number = float(text.replace(',', '.').replace('\N{MINUS SIGN}', '-'))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


_NOUNS = {str: 'text', Literal: 'text', bool: 'flag', int: 'whole number', float: 'number',
          tuple: 'list'}


def _expected(hint: _Hint) -> str:
    """Return the words for the values that a field may have."""
    if Note.ORDERED in hint.notes:
        return 'a pair [least, most]'
    if hint.core is tuple:
        item = _hint(hint.args[0])
        nouns = f'{_NOUNS.get(item.core, "mapping")}s{_bounds(item)}'
        if hint.args[-1] is not Ellipsis:
            return f'a list of {len(hint.args)} {nouns}'
        return (f'a {"" if Note.MAY_BE_EMPTY in hint.notes else "non-empty "}list of '
                f'{"distinct " if Note.DISTINCT in hint.notes else ""}{nouns}')
    if hint.core is Literal:
        return ' or '.join(map(repr, hint.args))
    if hint.core is bool:
        return 'true or false'
    if pattern := hint.note(Pattern):
        return f'a {pattern.name}'
    return f'a {_NOUNS.get(hint.core, "mapping")}{_bounds(hint)}'


def _bounds(hint: _Hint) -> str:
    """Return the words for the range of a number, '' without one."""
    least, most = hint.note(Range) or Range()
    if math.isinf(most):
        return '' if math.isinf(least) else f', at least {least:g}'
    return f' in [{least:g}, {most:g}]'


def _written(hint: _Hint, value: Any) -> Any:
    """Return one value of a dataclass as the file has it."""
    if inside := hint.note(Inside):
        bare = hint._replace(notes=tuple(note for note in hint.notes if note != inside))
        return {inside.key: _written(bare, value)}
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        mark = {'schema': kind.SCHEMAS[0]} if hasattr(kind, 'SCHEMAS') else {}
        return mark | {part.key: _written(part.hint, made) for part in _parts(kind)[len(mark):]
                       if (made := operator.attrgetter(part.name)(value)) != part.default}
    if Note.DEGREES in hint.notes:
        value = _scaled(value, math.degrees)
    if isinstance(value, Mapping):
        inner = _hint(hint.args[1] if hint.core is Mapping else Any)
        return {key: _written(inner, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = _items(hint, value) if hint.core is tuple else [_hint(Any)] * len(value)
        return [_written(item, one) for item, one in zip(items, value, strict=True)]
    return float(value) if hint.core is float and value is not None else value


def _scaled(value: Any, scale: Callable[[float], float]) -> Any:
    """Return an angle, or each of several angles, in another unit."""
    return tuple(map(scale, value)) if isinstance(value, tuple) else scale(value)


def _rows(hint: _Hint, path: str, optional: str, doc: Doc) -> Iterator[tuple[str, str, str]]:
    """Give the rows of one field in a table of fields: its own, then those of its inside."""
    yield path, _type_name(hint) + optional, (hint.note(Doc) or doc).sentence
    while hint.core is tuple:
        hint = _hint(hint.args[0])
    if dataclasses.is_dataclass(hint.core):
        yield from documented(typing.cast(type, hint.core), f'{path}.')
    elif hint.core is Mapping and hint.args[1] is not Any:
        yield from _rows(_hint(hint.args[1]), f'{path}.*', '', Doc('for each name'))


def _type_name(hint: _Hint) -> str:
    """Return the short name of a field's type, as in `count`, `rate[2]?`, `object[]`."""
    pattern = hint.note(Pattern)
    if hint.core is tuple:
        length = '' if hint.args[-1] is Ellipsis else len(hint.args)
        name = f'{_type_name(_hint(hint.args[0]))}[{length}]'
    elif dataclasses.is_dataclass(hint.core):
        name = 'object'
    elif hint.core is float and hint.note(Range) == (0.0, 1.0):
        name = 'rate'
    else:
        name = pattern.name if pattern else {
            str: 'text', Literal: 'text', bool: 'flag', int: 'count', float: 'number',
            Mapping: 'map', Any: 'any'}[hint.core]
    return name + ('?' if hint.nullable else '')


_MOST_YAML_BYTES = 2**24  # of a file that a person writes


class _MisreadError(Exception):
    """A number that YAML reads otherwise than its writer meant it."""


class _Loader(yaml.SafeLoader):
    """Load YAML safely and refuse keys given twice and numbers to the base of 60 or 8."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f'key {key!r} is given twice', node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return self._meant(node, super().construct_yaml_int(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        return self._meant(node, super().construct_yaml_float(node))

    def _meant(self, node: yaml.ScalarNode, value: Number) -> Number:
        text = str(node.value)
        meant: object = None
        if ':' in text:
            base, meant = 60, value
        elif re.fullmatch('[-+]?0[0-7_]+', text):
            base, meant = 8, int(text, 10)
        if meant is not None:
            raise _MisreadError(f'line {node.start_mark.line + 1}: expected a decimal number, got '
                              f'{text}, which YAML reads as {value:g}, to the base of {base}; '
                              f'write {meant}, or "{text}" in quotes for a text')
        return value


for _tag in ('int', 'float'):
    _Loader.add_constructor(f'tag:yaml.org,2002:{_tag}',
                            getattr(_Loader, f'construct_yaml_{_tag}'))


def read_yaml(path: Path, error: type[UncloningError]) -> object:
    """Return the data of a YAML file; raise `error` if it is missing, malformed or empty."""
    text = read_bytes(path, error, most_bytes=_MOST_YAML_BYTES)
    try:
        data = _Loader(text.decode()).get_single_data()
    except _MisreadError as err:
        raise error(f'{path}: {err}') from err
    # Values such as 2026-13-45, and deep nesting, get past PyYAML's own errors.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as err:
        reason = ' '.join(str(err).split())
        if isinstance(err, UnicodeDecodeError):
            reason += '; save it as UTF-8'
        elif r"'\t'" in reason:
            reason += '; indent with spaces, YAML allows no tab there'
        raise error(f'{path} is not valid YAML: {reason}') from err
    if data is None:
        raise error(f'{path}: expected keys and values in YAML, got none; check the path')
    return data


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
