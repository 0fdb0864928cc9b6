# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Strict YAML: unknown keys, wrong types and malformed files are refused with a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.errors import ContractError
from uncloning_ros.schema import Fields, canonical_sha256, read_yaml


def fields(**data: object) -> Fields:
    return Fields(data, 'place', ContractError)


@pytest.mark.parametrize(('read', 'value', 'expected'), [
    (lambda f: f.text('key'), 3, 'a text'),
    (lambda f: f.text('key'), '  ', 'a text'),
    (lambda f: f.texts('key'), 'one', 'a list of names'),
    (lambda f: f.texts('key'), [], 'a list of names'),
    (lambda f: f.texts('key'), ['a', 'a'], 'distinct names'),
    (lambda f: f.flag('key'), 1, 'true or false'),
    (lambda f: f.count('key'), 0, 'a whole number, at least 1'),
    (lambda f: f.count('key'), 2.0, 'a whole number, at least 1'),
    (lambda f: f.count('key'), True, 'a whole number, at least 1'),
    (lambda f: f.number('key', 0, 1), 1.5, r'a number in \[0, 1\]'),
    (lambda f: f.number('key'), float('nan'), 'a number in'),
    (lambda f: f.number('key'), float('inf'), 'a number in'),
    (lambda f: f.number('key'), True, 'a number in'),
    (lambda f: f.number('key'), '1e-3', 'a number in'),
    (lambda f: f.numbers('key', 2), [1.0], 'a list of 2 numbers'),
    (lambda f: f.numbers('key', 2), [1.0, float('nan')], 'a list of 2 numbers'),
    (lambda f: f.span('key'), [2, 1], r'a pair \[least, most\]'),
    (lambda f: f.list_of_fields('key'), [], 'a list of mappings'),
    (lambda f: f.schema('right@1'), None, 'a text'),
])
def test_wrong_value_is_refused_with_place_expectation_and_value(
        read: Callable[[Fields], Any], value: object, expected: str) -> None:
    key = 'schema' if 'right@1' in str(read.__code__.co_consts) else 'key'
    with pytest.raises(ContractError, match=f'^place.{key}: expected {expected}.*, got ') as err:
        read(fields(**{key: value}))
    assert repr(value) in str(err.value)


def test_unknown_key_suggests_the_near_miss() -> None:
    part = fields(rate_hz=20, histori=2)
    part.number('rate_hz')
    part.has('history')
    with pytest.raises(ContractError, match=r"unknown key 'histori' \(did you mean 'history'\?\)"):
        part.done()


def test_missing_key_names_what_was_found_instead() -> None:
    with pytest.raises(ContractError, match=r"missing key 'horizon'.*found 'horizn'"):
        fields(horizn=16).count('horizon')


def test_missing_key_without_a_near_miss_only_tells_what_was_expected() -> None:
    with pytest.raises(ContractError, match=r"^place: missing key 'x', expected a text$"):
        fields().text('x')


def test_wrong_schema_is_refused() -> None:
    with pytest.raises(ContractError, match=r"place.schema: expected 'right@1', got 'right@2'"):
        fields(schema='right@2').schema('right@1')


def test_a_list_is_no_mapping() -> None:
    with pytest.raises(ContractError, match=r'expected a mapping, got \[1, 2\]'):
        Fields([1, 2], 'place', ContractError)


def test_keys_that_are_no_names_are_refused() -> None:
    with pytest.raises(ContractError, match='expected names as keys, got 3'):
        Fields({3: 'x'}, 'place', ContractError).keys()


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


def test_missing_file_and_foreign_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match='cannot read .*none.yaml: No such file'):
        read_yaml(tmp_path / 'none.yaml', ContractError)
    path = tmp_path / 'foreign.yaml'
    path.write_bytes(b'\xff\xfe\x00\x01')
    with pytest.raises(ContractError, match='is not valid YAML'):
        read_yaml(path, ContractError)


@pytest.mark.parametrize('value', [10**400, [1, 10**400]])
def test_a_number_that_no_float_can_hold_is_refused(value: object) -> None:
    part = Fields({'key': value}, 'place', ContractError)
    with pytest.raises(ContractError, match='place.key: expected a'):
        part.numbers('key', 2) if isinstance(value, list) else part.number('key')


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3), max_leaves=6)


@given(plain)
def test_whatever_the_data_a_reader_refuses_with_its_own_error(data: object) -> None:
    try:
        part = Fields(data, 'place', ContractError)
        part.fields('key').number('value', 0.0, 1.0)
        part.done()
    except ContractError:
        pass


@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_canonical_hash_does_not_depend_on_the_order_of_keys(data: dict[str, int]) -> None:
    reverse = dict(reversed(data.items()))
    assert canonical_sha256(data) == canonical_sha256(reverse)


def test_canonical_hash_is_the_one_that_files_carry() -> None:
    # Published hashes must never change; this one is sha256 of '{"a":[1,2.5],"b":"é"}'.
    assert canonical_sha256({'b': 'é', 'a': [1, 2.5]}) == (
        '2071e5952e3110d79f01f374bf90abe7fc01cf116fd0a40af0ab60d3f9a99f8d')
