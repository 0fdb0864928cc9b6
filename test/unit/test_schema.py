# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schemas: annotations read and write files; what they do not allow is refused with its place."""

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.errors import BagError, ContractError
from uncloning_ros.geometry import Vector
from uncloning_ros.schema import (
    Count,
    Doc,
    Inside,
    Names,
    Note,
    Positive,
    Range,
    Rate,
    Sha256,
    Span,
    canonical_sha256,
    documented,
    plain,
    read,
    read_yaml,
)


@dataclass(frozen=True)
class Joint:
    name: str
    turn_rad: Annotated[Span, Note.DEGREES]

    def __post_init__(self) -> None:
        if self.name == 'elbow':
            raise BagError('an elbow cannot be read')


@dataclass(frozen=True)
class Robot:
    SCHEMAS: ClassVar = ('arm@2', 'arm@1')

    hash: Annotated[Sha256, Doc('of its file')]
    home_m: Annotated[Vector, Doc('where it rests')]
    share: Rate
    chunks: Positive
    joints: tuple[Joint, ...]
    modes: Mapping[str, Annotated[bool, Inside('desired')]]
    said: Annotated[tuple[str, ...], Note.MAY_BE_EMPTY]
    interval: tuple[Rate, Rate] | None
    path: Annotated[str, Note.DERIVED]
    names: Names = ()
    posture: Literal['standing', 'seated'] = 'standing'
    seed: Count | None = None
    reach_m: Annotated[float, Range(0.1)] = 1.0
    limits: Mapping[str, Span] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    still: bool = False


def arm(**others: object) -> dict[str, Any]:
    return {'schema': 'arm@2', 'hash': '0' * 64, 'home_m': [0, 1, 2.5], 'share': 1, 'chunks': 3,
            'joints': [{'name': 'wrist', 'turn_deg': [-90, 180]}],
            'modes': {'one': {'desired': True}, 'two': {'desired': False}}, 'said': [],
            'interval': None} | others


def robot(**others: object) -> Robot:
    return read(Robot, arm(**others), 'place', ContractError, path='p')


FULL = {'names': ['a', 'b'], 'posture': 'seated', 'seed': 0, 'reach_m': 2.5,
        'limits': {'elbow': [0.0, 1.0]}, 'record': {'any': [None, {'x': 1}]}, 'still': True,
        'interval': [0.0, 0.5], 'said': ['a text']}


def test_a_dataclass_is_read_by_its_annotations() -> None:
    assert robot() == Robot(
        hash='0' * 64, home_m=(0.0, 1.0, 2.5), share=1.0, chunks=3,
        joints=(Joint('wrist', (-math.pi / 2, math.pi)),), modes={'one': True, 'two': False},
        said=(), interval=None, path='p')
    assert robot(**FULL) == replace(
        robot(), names=('a', 'b'), posture='seated', seed=0, reach_m=2.5,
        limits={'elbow': (0.0, 1.0)}, record={'any': [None, {'x': 1}]}, still=True,
        interval=(0.0, 0.5), said=('a text',))
    assert robot(schema='arm@1') == robot()


@pytest.mark.parametrize('others', [{}, FULL])
def test_what_is_written_is_what_was_read_without_defaults(others: dict[str, Any]) -> None:
    assert plain(robot(**others)) == arm(**others)
    assert json.loads(json.dumps(plain(robot(**others)))) == arm(**others)
    assert next(iter(plain(robot()))) == 'schema'
    assert plain(robot(reach_m=1.0, limits={}, still=False)) == arm()


@pytest.mark.parametrize(('key', 'value', 'expected'), [
    ('schema', 'arm@3', "'arm@2' or 'arm@1'"),
    ('hash', 'f' * 63, 'a sha256'),
    ('home_m', [1, 2], 'a list of 3 numbers'),
    ('home_m', [1, 2, math.nan], 'a list of 3 numbers'),
    ('home_m', [1, 2, True], 'a list of 3 numbers'),
    ('home_m', [1, 2, 10**400], 'a list of 3 numbers'),
    ('share', 1.5, 'a number in [0, 1]'),
    ('share', math.inf, 'a number in [0, 1]'),
    ('share', '1e-3', 'a number in [0, 1]'),
    ('share', 10**400, 'a number in [0, 1]'),
    ('chunks', 0, 'a whole number, at least 1'),
    ('chunks', 2.0, 'a whole number, at least 1'),
    ('chunks', True, 'a whole number, at least 1'),
    ('joints', [], 'a non-empty list of mappings'),
    ('joints', 'one', 'a non-empty list of mappings'),
    ('said', None, 'a list of texts'),
    ('interval', [0.0, 2.0], 'a list of 2 numbers in [0, 1]'),
    ('names', [], 'a non-empty list of distinct texts'),
    ('names', ['a', 'a'], 'a non-empty list of distinct texts'),
    ('posture', 'lying', "'standing' or 'seated'"),
    ('posture', ['seated'], "'standing' or 'seated'"),
    ('seed', -1, 'a whole number, at least 0'),
    ('seed', None, 'a whole number, at least 0'),
    ('reach_m', 0, 'a number, at least 0.1'),
    ('limits', 3, 'a mapping'),
    ('record', [], 'a mapping'),
    ('still', 1, 'true or false'),
])
def test_a_value_that_does_not_fit_is_refused_with_place_and_value(
        key: str, value: object, expected: str) -> None:
    with pytest.raises(ContractError) as err:
        robot(**{key: value})
    assert str(err.value).startswith(f'place: {key}: expected {expected}, got ')
    assert repr(value)[:50] in str(err.value)


@pytest.mark.parametrize(('key', 'value', 'said'), [
    ('joints', [{'name': ' ', 'turn_deg': [0, 1]}], ['place: joints[0].name', 'a text', "' '"]),
    ('joints', [{'name': 'w', 'turn_deg': [1, 0]}],
     ['place: joints[0].turn_deg', '[least, most]', '[1, 0]']),
    ('joints', [{'name': 'w', 'turn_rad': [0, 1]}],
     ["place: joints[0]: missing key 'turn_deg'", "found 'turn_rad'"]),
    ('joints', [{'name': 'elbow', 'turn_deg': [0, 1]}], ['place: joints[0]: an elbow']),
    ('modes', {'one': {'desird': True}},
     ["place: modes.one: missing key 'desired'", "found 'desird'"]),
    ('modes', {'one': {'desired': 'yes'}}, ['place: modes.one.desired: ', "'yes'"]),
    ('modes', {'one': True}, ['place: modes.one: expected a mapping', 'True']),
    ('modes', {3: True}, ['place: modes: expected names as keys', '3']),
    ('modes', {'\ud800': True}, ['place: modes: expected names as keys']),
    ('limits', {'elbow': [1.0, 0.0]}, ['place: limits.elbow: ', '[least, most]', '[1.0, 0.0]']),
    ('said', ['fine', 3], ['place: said[1]: expected a text', '3']),
    ('posture', 'seatd', ["did you mean 'seated'?"]),
    ('stil', True, ["place: unknown key 'stil'", "did you mean 'still'?"]),
    ('path', 'mine', ["place: unknown key 'path'"]),
    (3, 4, ['place: unknown key 3']),
])
def test_a_refusal_names_the_innermost_place_and_the_near_miss(
        key: Any, value: object, said: list[str]) -> None:
    with pytest.raises(ContractError) as err:
        read(Robot, arm() | {key: value}, 'place', ContractError, path='p')
    assert all(one in str(err.value) for one in said), str(err.value)


@pytest.mark.parametrize('key', list(arm()))
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    data = arm()
    del data[key]
    with pytest.raises(ContractError, match=f"^place: missing key '{key}', expected "):
        read(Robot, data, 'place', ContractError, path='p')


@dataclass(frozen=True)
class Trial:
    seed: Annotated[Count, Doc('first')]
    joint: Annotated[Joint, Note.INLINE]
    result: Annotated[float, Doc('last')]


def test_keys_of_an_inline_dataclass_stand_among_the_others() -> None:
    data = {'seed': 3, 'name': 'wrist', 'turn_deg': [0.0, 90.0], 'result': 0.5}
    made = read(Trial, data, 'here', BagError)
    assert made == Trial(3, Joint('wrist', (0.0, math.pi / 2)), 0.5)
    assert list(plain(made).items()) == list(data.items())
    assert [path for path, _, _ in documented(Trial)] == ['seed', 'name', 'turn_deg', 'result']
    with pytest.raises(BagError, match="here: unknown key 'nam'.*'name'"):
        read(Trial, {**data, 'nam': 1}, 'here', BagError)
    with pytest.raises(BagError, match="here: missing key 'name'"):
        read(Trial, {'seed': 3}, 'here', BagError)
    with pytest.raises(BagError, match='here: an elbow cannot be read'):
        read(Trial, {**data, 'name': 'elbow'}, 'here', BagError)


@dataclass(frozen=True)
class Stroke:
    length_m: float
    half_m: Annotated[float, Note.DERIVED] = 0.0

    def as_read(self) -> 'Stroke':
        if self.length_m > 1.0:
            raise ContractError(f'expected a stroke of at most 1 m, got {self.length_m:g}')
        return replace(self, half_m=self.length_m / 2)


@dataclass(frozen=True)
class Gripper:
    name: str
    stroke: Annotated[Stroke, Note.INLINE]


def test_an_inline_dataclass_is_checked_and_completed_as_read() -> None:
    made = read(Gripper, {'name': 'left', 'length_m': 0.5}, 'here', BagError)
    assert made == Gripper('left', Stroke(0.5, 0.25))
    with pytest.raises(BagError, match='here: expected a stroke of at most 1 m, got 2'):
        read(Gripper, {'name': 'left', 'length_m': 2.0}, 'here', BagError)


def test_fields_are_documented_with_path_type_and_sentence() -> None:
    rows = list(documented(Robot))
    assert rows[:3] == [
        ('schema', 'text', 'arm@2'), ('hash', 'sha256', 'of its file'),
        ('home_m', 'number[3]', 'where it rests')]
    assert {path: kind for path, kind, _ in rows[3:]} == {
        'share': 'rate', 'chunks': 'count', 'joints': 'object[]', 'joints.name': 'text',
        'joints.turn_deg': 'number[2]', 'modes': 'map', 'modes.*': 'flag', 'said': 'text[]',
        'interval': 'rate[2]?', 'names': 'text[], optional', 'posture': 'text, optional',
        'seed': 'count, optional', 'reach_m': 'number, optional', 'limits': 'map, optional',
        'limits.*': 'number[2]', 'record': 'map, optional', 'still': 'flag, optional'}


def test_only_a_mapping_is_read() -> None:
    with pytest.raises(ContractError, match=r'^place: expected a mapping, got \[1, 2\]$'):
        read(Robot, [1, 2], 'place', ContractError, path='p')


@dataclass(frozen=True)
class Excerpt:
    OTHER_KEYS: ClassVar = True

    share: Rate


def test_other_keys_pass_where_a_dataclass_says_so() -> None:
    assert read(Excerpt, arm(), 'place', ContractError) == Excerpt(1.0)
    with pytest.raises(ContractError, match="missing key 'share'"):
        read(Excerpt, {'shar': 1}, 'place', ContractError)


@dataclass(frozen=True)
class Doubled:
    value: float
    twice: Annotated[float, Note.DERIVED] = 0.0

    def as_read(self) -> 'Doubled':
        if self.value < 0:
            raise BagError(f'value {self.value} is below 0')
        return replace(self, twice=2 * self.value)


def test_a_dataclass_completes_and_checks_itself_as_it_is_read() -> None:
    assert read(Doubled, {'value': 2}, 'place', ContractError) == Doubled(2.0, 4.0)
    assert plain(Doubled(2.0, 4.0)) == {'value': 2.0}
    with pytest.raises(ContractError, match=r'^place: value -1.0 is below 0$'):
        read(Doubled, {'value': -1}, 'place', ContractError)


@pytest.mark.parametrize(('text', 'reason'), [
    ('a: 1\na: 2\n', "key 'a' is given twice"),
    ('a: [1, 2\n', 'is not valid YAML'),
    ('a: !!python/object/apply:os.system [true]\n', 'could not determine a constructor'),
    ('\t- x', 'is not valid YAML'),
    ('schema: 2026-13-45\n', 'month must be in 1..12'),
    ('schema: !!bool perhaps\n', "is not valid YAML: 'perhaps'"),
    ('schema: !!timestamp soon\n', 'is not valid YAML'),
    pytest.param('[' * 20000, 'is not valid YAML: maximum recursion depth', id='deep'),
])
def test_malformed_yaml_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / 'file.yaml'
    path.write_text(text)
    with pytest.raises(ContractError, match=reason) as err:
        read_yaml(path, ContractError)
    assert str(path) in str(err.value)
    assert '\n' not in str(err.value)


@pytest.mark.parametrize(('line', 'said'), [
    ('share: 1e-1', ["share: expected a number in [0, 1], got '1e-1'", 'write 0.1']),
    ("share: '0.5'", ["got '0.5'", 'write 0.5']),
    ('share: 0,5', ["got '0,5'", 'write 0.5']),
    ('share: \N{MINUS SIGN}0.5', ['write -0.5']),
    ('chunks: 1e3', ["chunks: expected a whole number, at least 1, got '1e3'", 'write 1000']),
    ('chunks: 08', ["got '08'", 'write 8']),
    ('home_m: [.1, -.6, 0.1]', ["home_m: expected a list of 3 numbers, got [0.1, '-.6', 0.1]",
                                '-.6 is read as a text, write -0.6']),
    ('limits: {elbow: [0, 2e0]}', ['limits.elbow: ', '2e0 is read as a text, write 2']),
    ('modes: {on: {desired: true}, off: {desired: false}}',
     ['modes: expected names as keys, got True', 'in quotes, as in "on"']),
    ('modes: {7: {desired: true}}', ['modes: expected names as keys, got 7', '"7"']),
    ('names: [1, 2]', ['names[0]: expected a text, got 1; write it in quotes, "1"']),
    ('names: [2026-11-29]', ['names[0]', 'write it in quotes, "2026-11-29"']),
    ('names: [no]', ['names[0]: expected a text, got False', 'in quotes, as in "on"']),
    ('names: [null]', ['names[0]: expected a text, got None', '"null" in quotes']),
    ('posture: off', ["posture: expected 'standing' or 'seated', got False", 'in quotes']),
    ('share: 2:30', ['line 1: expected a decimal number, got 2:30', 'as 150', 'write 150']),
    ('share: 1:30.5', ['line 1: ', 'got 1:30.5', 'write 90.5, or "1:30.5" in quotes']),
    ('chunks: 010', ['line 1: ', 'got 010', 'as 8', 'write 10, or "010" in quotes']),
    ('names: [12:30]', ['got 12:30', '"12:30" in quotes']),
    ('joints:\n\t- a', ["'\\t'", 'indent with spaces']),
])
def test_a_trap_of_yaml_is_named_with_the_text_to_write(tmp_path: Path, line: str,
                                                        said: list[str]) -> None:
    path = tmp_path / 'file.yaml'
    path.write_text(line, encoding='utf-8')
    with pytest.raises(ContractError) as err:
        robot(**read_yaml(path, ContractError))  # type: ignore[arg-type]
    assert all(one in str(err.value) for one in said), str(err.value)


def test_quotes_and_plain_decimals_are_the_remedies(tmp_path: Path) -> None:
    path = tmp_path / 'file.yaml'
    path.write_bytes('﻿share: 1.0e-1\r\nnames: ["on", "010", "12:30", "1"]\r\n'
                     'chunks: 1_000 # Größe\r\nstill: yes\r\n'.encode())
    made = robot(**read_yaml(path, ContractError))  # type: ignore[arg-type]
    assert (made.share, made.names) == (0.1, ('on', '010', '12:30', '1'))
    assert (made.chunks, made.still) == (1000, True)


def test_missing_file_and_foreign_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match='cannot read .*none.yaml: No such file'):
        read_yaml(tmp_path / 'none.yaml', ContractError)
    path = tmp_path / 'foreign.yaml'
    for empty in ('', '# nothing yet'):
        path.write_text(empty)
        with pytest.raises(ContractError, match='got none; check the path'):
            read_yaml(path, ContractError)
    with pytest.raises(ContractError, match='/dev/zero: expected at most'):
        read_yaml(Path('/dev/zero'), ContractError)
    path.write_bytes(b'\xff\xfe\x00\x01')
    with pytest.raises(ContractError, match='is not valid YAML.*; save it as UTF-8'):
        read_yaml(path, ContractError)


plain_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3), max_leaves=6)


@given(plain_data)
def test_whatever_the_data_a_reader_refuses_with_its_own_error(data: object) -> None:
    with contextlib.suppress(ContractError):
        read(Robot, data, 'place', ContractError, path='p')


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(arm(**FULL), plain_data)))
def test_whatever_the_values_the_reader_refuses_with_its_own_error(data: dict[str, Any]) -> None:
    for key in data:
        with contextlib.suppress(ContractError):
            robot(**{key: data[key]})


@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_canonical_hash_does_not_depend_on_the_order_of_keys(data: dict[str, int]) -> None:
    reverse = dict(reversed(data.items()))
    assert canonical_sha256(data) == canonical_sha256(reverse)


def test_canonical_hash_is_the_one_that_files_carry() -> None:
    # Published hashes must never change; this one is sha256 of '{"a":[1,2.5],"b":"é"}'.
    assert canonical_sha256({'b': 'é', 'a': [1, 2.5]}) == (
        '2071e5952e3110d79f01f374bf90abe7fc01cf116fd0a40af0ab60d3f9a99f8d')
