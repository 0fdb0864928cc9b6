# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files name only what exists; read as text, for launch may not be installed."""

import ast
import re
from pathlib import Path

import pytest

from uncloning_ros.contract import load_contract

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
# Services and topics of the nodes themselves, as written in their source.
PRIVATE_NAME = re.compile(r"'(~/\w+)'")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def calls(path: Path, name: str) -> list[ast.Call]:
    """Return every call of a function of this name in a file."""
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name) and node.func.id == name]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def text(node: ast.AST | None) -> str:
    """Return a literal text; anything computed is refused, for it could not be checked."""
    assert isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value


def executables() -> dict[str, str]:
    """Return the console scripts of setup.py: name -> the module whose main they run."""
    begun = dict(re.findall(r"^(\w+) = partial\(begin, '([\w.]+)'\)",
                            (ROOT / 'uncloning_ros/entry.py').read_text(encoding='utf-8'),
                            re.MULTILINE))
    installed = re.findall(r"'(\w+) = uncloning_ros\.entry:(\w+)'",
                           (ROOT / 'setup.py').read_text(encoding='utf-8'))
    return {name: begun[function] for name, function in installed}


def source_of(executable: str) -> Path:
    return ROOT / (executables()[executable].replace('.', '/') + '.py')


def parameters_of(executable: str) -> set[str]:
    """Return the names in a node's parameter table."""
    return {text(call.args[0]) for call in calls(source_of(executable), 'Parameter')}


def nodes(path: Path) -> list[ast.Call]:
    found = calls(path, 'Node')
    assert found, f'{path.name} starts no node'
    return found


def test_the_three_launch_files_are_there() -> None:
    assert [path.name for path in LAUNCH_FILES] == [
        'handover.launch.py', 'handover_sim.launch.py', 'record.launch.py']


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_executable_is_installed_by_setup_py_and_has_a_main(path: Path) -> None:
    for node in nodes(path):
        assert text(keyword(node, 'package')) == 'uncloning_ros'
        executable = text(keyword(node, 'executable'))
        assert executable in executables()
        assert text(keyword(node, 'name')) == executable
        functions = {item.name for item in tree_of(source_of(executable)).body
                     if isinstance(item, ast.FunctionDef)}
        assert 'main' in functions


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_parameter_is_declared_by_its_node(path: Path) -> None:
    for node in nodes(path):
        executable = text(keyword(node, 'executable'))
        tables = keyword(node, 'parameters')
        assert isinstance(tables, ast.List)
        for table in tables.elts:
            assert isinstance(table, ast.Dict)
            named = {text(key) for key in table.keys} - {'use_sim_time'}  # which every node has
            assert named <= parameters_of(executable), f'{executable} declares no such parameter'


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_every_remapping_starts_from_a_name_that_its_node_uses(path: Path) -> None:
    deployment = load_contract(ROOT / 'config' / 'contract.yaml').deployment
    topics = {t.topic for t in (*deployment.observations.values(), *deployment.actions.values())}
    for node in nodes(path):
        private = set(PRIVATE_NAME.findall(
            source_of(text(keyword(node, 'executable'))).read_text(encoding='utf-8')))
        remappings = keyword(node, 'remappings')
        for pair in getattr(remappings, 'elts', []):
            assert isinstance(pair, ast.Tuple)
            assert text(pair.elts[0]) in topics | private


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=lambda path: path.name)
def test_arguments_are_declared_and_used(path: Path) -> None:
    declared = {text(call.args[0]) for call in calls(path, 'DeclareLaunchArgument')}
    used = {text(call.args[0]) for call in calls(path, 'LaunchConfiguration')}
    assert used == declared


@pytest.mark.parametrize('executable', ['simulator', 'demonstrator', 'recorder', 'policy'])
def test_every_node_has_a_parameter_table_with_descriptions(executable: str) -> None:
    rows = calls(source_of(executable), 'Parameter')
    assert rows
    assert all(text(row.args[2]) for row in rows)
