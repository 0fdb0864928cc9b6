# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameter tables of the nodes: described, bounded, and on the page; without ROS."""

import math
import re
import subprocess
import sys
from typing import Any

import pytest
from processes import REPOSITORY, script

from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.parameters import NODES, Parameter, path_of

ROWS = [pytest.param(row, id=f'{node} {row.name}') for node, rows in NODES.items() for row in rows]


@pytest.mark.parametrize('row', ROWS)
def test_every_parameter_is_described_and_its_default_allowed(row: Parameter) -> None:
    assert row.description
    row.check(row.default)


@pytest.mark.parametrize('node', NODES)
def test_a_name_is_declared_once(node: str) -> None:
    names = [row.name for row in NODES[node]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(('bounds', 'good', 'bad', 'words'), [
    ({'least': 0}, [0, 1], [-1], 'at least 0'),
    ({'least': 0, 'most': 99}, [0, 99], [-1, 100], 'at least 0 and at most 99'),
    ({'above': 0, 'most': 10}, [1e-9, 10.0], [0.0, 10.1, math.nan], 'above 0 and at most 10')])
def test_a_number_outside_its_bounds_is_refused_by_name(
        bounds: dict[str, float], good: list[float], bad: list[float], words: str) -> None:
    row = Parameter('rate', 1, 'a rate', **bounds)
    for value in good:
        row.check(value)
    for value in bad:
        with pytest.raises(ContractError, match=rf'^rate: .*{words}, got {value:g}$'):
            row.check(value)
    assert row.meaning == f'a rate ({words})'


def test_what_is_not_a_number_has_no_bounds() -> None:
    for value in ('', True, ['']):
        Parameter('name', value, 'some').check(value)


@pytest.mark.parametrize('name', ['a b', '', '/', '/1a', 'a//b', 'a-b', '~a', 'a\n'])
def test_a_text_that_is_no_name_in_the_graph_is_refused_at_the_start(name: str) -> None:
    rows = [row for rows in NODES.values() for row in rows if row.names]
    assert {row.name for row in rows} == {'policy', 'recorder', 'action'}
    for row in rows:
        for good in ('policy', '/left/policy', 'left/policy/', '~/policy', '_a1'):
            row.check(good)
        with pytest.raises(ContractError, match=f'^{row.name}: expected a name in the graph .*'
                                                f'got {re.escape(repr(name))}; give letters'):
            row.check(name)


@pytest.mark.parametrize(('default', 'good', 'bad', 'remedy'), [
    ('anna', '12', True, 'expected a text, got True; write the text in quotes'),
    ('anna', 'on', 12, 'expected a text, got 12; write the text in quotes'),
    (500, 10, 500.0, 'expected a whole number, got 500.0; write 500'),
    (500, 10, '5e2', "expected a whole number, got '5e2'; write 500"),
    (500, 10, '1:30', "expected a whole number, got '1:30'; write a number such as 500"),
    (500, 10, 0.5, 'expected a whole number, got 0.5; write a number such as 500'),
    (500, 10, True, 'expected a whole number, got True; write a number such as 500'),
    (1.0, 2.0, 2, 'expected a number, got 2; write 2.0'),
    (False, True, 1, 'expected a flag, got 1; write true or false'),
    ([''], ['x'], 'x', "expected a list of texts, got 'x'; write a list"),
    ([''], [], [1], 'expected a list of texts, got [1]; write a list')])
def test_a_value_that_ros_reads_as_another_type_is_refused_with_what_to_write(
        default: Any, good: Any, bad: object, remedy: str) -> None:
    row = Parameter('setting', default, 'some')
    row.check_type(default)
    row.check_type(good)
    with pytest.raises(ContractError, match=f'^setting: {re.escape(remedy)}'):
        row.check_type(bad)


def test_an_unknown_home_is_refused() -> None:
    with pytest.raises(ContractError, match='~nobody_at_all'):
        path_of('~nobody_at_all/models')


def test_the_tables_are_read_without_ros() -> None:
    done = subprocess.run(
        [sys.executable, '-c', 'import sys\nfor name in ("rclpy", "launch"):\n'
         '    sys.modules[name] = None\nimport uncloning_ros.nodes.parameters'],
        cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_has_the_tables_of_the_nodes() -> None:
    """If this fails, run scripts/node_tables.py."""
    tables = script('node_tables')
    page = tables.PAGE.read_text(encoding='utf-8')
    assert tables.with_tables(page) == page
    spoilt = page.replace('| `seed` | integer | `0` |', '| `seed` | integer | `1` |')
    assert spoilt != page and tables.with_tables(spoilt) == page
