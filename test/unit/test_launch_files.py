# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Launch files name only what exists; run with stand-ins, for launch may not be installed."""

import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

import pytest
import yaml
from test_pages import PAGES

from uncloning_ros.contract import load_contract
from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.parameters import NODES, USE_SIM_TIME

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
# Services and topics of the nodes themselves, as written in their source.
PRIVATE_NAME = re.compile(r"'(~/\w+)'")
STANDS_FOR = {
    'launch': ['LaunchDescription'],
    'launch.actions': ['DeclareLaunchArgument', 'SetEnvironmentVariable', 'Shutdown'],
    'launch.conditions': ['IfCondition'],
    'launch.substitutions': ['LaunchConfiguration', 'PathJoinSubstitution'],
    'launch.utilities': [], 'launch.utilities.type_utils': [],
    'launch_ros': [], 'launch_ros.actions': ['Node'],
    'launch_ros.parameter_descriptions': ['ParameterValue'],
    'launch_ros.substitutions': ['FindPackageShare'],
}


class StandIn:
    """Keeps what it was made with; its class has the name of the one that it stands for."""

    def __init__(self, *words: Any, **options: Any) -> None:
        self.words, self.options = words, options

    def __repr__(self) -> str:
        return f'{type(self).__name__}{self.words}{self.options}'

    def perform(self, context: dict[str, str]) -> str:
        """Return the value of a launch argument."""
        return context[self.words[0]]


def within(value: Any, kind: str) -> list[StandIn]:
    """Return every stand-in of a kind in a value, however deep."""
    if isinstance(value, StandIn):
        inner = within([*value.words, *value.options.values()], kind)
        kinds = [one.__name__ for one in type(value).__mro__]
        return [value, *inner] if kind in kinds else inner
    if isinstance(value, dict):
        value = list(value.values())
    return [one for item in value for one in within(item, kind)] if isinstance(
        value, list | tuple) else []


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that builds arguments and nodes, with stand-ins for launch."""
    for name, classes in STANDS_FOR.items():
        module = ModuleType(name)
        for one in classes:
            setattr(module, one, type(one, (StandIn,), {}))
        if name == 'launch.utilities.type_utils':
            module.coerce_to_type = lambda text, kind: kind(text)  # of a number, as launch does
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, 'uncloning_ros.nodes.launching', raising=False)
    made = importlib.import_module('uncloning_ros.nodes.launching')
    monkeypatch.delitem(sys.modules, 'uncloning_ros.nodes.launching')
    monkeypatch.setitem(sys.modules, 'uncloning_ros.nodes.launching', made)
    return made


@pytest.fixture(params=LAUNCH_FILES, ids=lambda path: path.name)
def description(request: pytest.FixtureRequest, launching: ModuleType) -> StandIn:
    """What a launch file describes."""
    return runpy.run_path(str(request.param))['generate_launch_description']()


def executables() -> dict[str, str]:
    """Return the console scripts of setup.py: name -> the module whose main they run."""
    begun = dict(re.findall(r"^(\w+) = partial\(begin, '([\w.]+)'\)",
                            (ROOT / 'uncloning_ros/entry.py').read_text(encoding='utf-8'),
                            re.MULTILINE))
    installed = re.findall(r"'(\w+) = uncloning_ros\.entry:(\w+)'",
                           (ROOT / 'setup.py').read_text(encoding='utf-8'))
    return {name: begun[function] for name, function in installed}


def source_of(executable: str) -> str:
    return (ROOT / (executables()[executable].replace('.', '/') + '.py')).read_text('utf-8')


def nodes(description: StandIn) -> list[dict[str, Any]]:
    """Return the options of every node that is started."""
    found = [node.options for node in within(description, 'Node')]
    assert found
    return found


def arguments(description: StandIn) -> dict[str, dict[str, Any]]:
    """Return the options of every launch argument by its name."""
    return {one.words[0]: one.options for one in within(description, 'DeclareLaunchArgument')}


def test_the_four_launch_files_are_there() -> None:
    assert [path.name for path in LAUNCH_FILES] == [
        'handover.launch.py', 'handover_sim.launch.py', 'record.launch.py',
        'two_arms_sim.launch.py']


def test_two_arms_are_two_policies_in_two_namespaces_with_other_noise(
        launching: ModuleType) -> None:
    path = ROOT / 'launch' / 'two_arms_sim.launch.py'
    description = runpy.run_path(str(path))['generate_launch_description']()
    started = {node.get('namespace', ''): node['executable'] for node in nodes(description)}
    assert started == {'': 'simulator', 'giver': 'policy', 'receiver': 'policy'}
    declared = arguments(description)
    assert declared['giver']['default_value'] is None
    assert declared['giver_seed']['default_value'] != declared['receiver_seed']['default_value']


def test_every_executable_is_installed_by_setup_py_and_has_a_main(description: StandIn) -> None:
    for node in nodes(description):
        assert node['package'] == 'uncloning_ros'
        assert node['executable'] in executables()
        assert node['name'] == node['executable']
        assert re.search(r'^def main\(', source_of(node['executable']), re.MULTILINE)


def test_every_parameter_is_declared_by_its_node_and_has_its_type(description: StandIn) -> None:
    for node in nodes(description):
        declared = {row.name: type(row.default)
                    for row in (*NODES[node['executable']], USE_SIM_TIME)}
        [values] = node['parameters']
        for name, value in values.items():
            kind = value.options['value_type'] if isinstance(value, StandIn) else type(value)
            assert (get_origin(kind) or kind) is declared[name], name


def test_arguments_are_declared_and_used(description: StandIn) -> None:
    declared = [one.words[0] for one in within(description, 'DeclareLaunchArgument')]
    assert len(set(declared)) == len(declared)
    assert {one.words[0] for one in within(description, 'LaunchConfiguration')} == set(declared)
    assert all(options['description'] for options in arguments(description).values())


def test_every_default_has_the_type_of_the_parameters_that_it_goes_to(
        description: StandIn) -> None:
    declared = arguments(description)
    for node in nodes(description):
        for value in within(node['parameters'], 'ParameterValue'):
            default = declared[value.words[0].words[0]]['default_value']
            kind = value.options['value_type']
            if kind is not str and default is not None:
                assert isinstance(yaml.safe_load(default), get_origin(kind) or kind), default


def test_every_remapping_starts_from_a_name_that_its_node_uses(description: StandIn) -> None:
    deployment = load_contract(ROOT / 'config' / 'contract.yaml').deployment
    topics = {t.topic for t in (*deployment.observations.values(), *deployment.actions.values())}
    for node in nodes(description):
        private = set(PRIVATE_NAME.findall(source_of(node['executable'])))
        for source, _ in node.get('remappings', []):
            assert source in topics | private


def test_a_default_and_a_description_are_those_of_the_node(launching: ModuleType) -> None:
    one = launching.argument('simulator', 'real_time_factor', 'speed')
    assert one.words == ('speed',)
    assert one.options == {'default_value': '1.0', 'description':
                           'simulated seconds per second (above 0 and at most 10)'}
    assert launching.argument('recorder', 'record_all').options['default_value'] == 'false'
    assert launching.argument('simulator', 'faults').options['default_value'] == "['']"
    required = launching.argument('policy', 'model_path', default_value=None)
    assert required.options['default_value'] is None


def test_a_parameter_that_no_node_declares_is_refused(launching: ModuleType) -> None:
    with pytest.raises(KeyError, match='shaddow'):
        launching.argument('policy', 'shaddow')
    with pytest.raises(KeyError, match='shaddow'):
        launching.node('policy', 'shaddow')


@pytest.mark.parametrize(('text', 'remedy'), [
    ('010', None), ('1:30', 'write a number such as 0'), ('1e3', 'write 1000'), ('x', 'write a')])
def test_a_number_that_launch_cannot_read_is_refused_by_the_name_of_the_argument(
        launching: ModuleType, text: str, remedy: str | None) -> None:
    started = launching.node('policy', renamed={'seed': 'policy_seed'})
    [value] = within(started, 'ParameterValue')
    if remedy is None:
        assert value.words[0].perform({'policy_seed': text}) == text
        return
    with pytest.raises(ContractError, match=f"^policy_seed: .*got '{text}'; {remedy}"):
        value.words[0].perform({'policy_seed': text})


def ros2_lines(page: Path) -> list[list[str]]:
    """Return every ros2 command in the code blocks of a page, as words."""
    blocks = re.findall(r'^ *```\w*\n(.*?)^ *```', page.read_text('utf-8'), re.M | re.S)
    lines = re.findall(r'^ *(ros2 .*)$', '\n'.join(blocks).replace('\\\n', ''), re.M)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize('page', [page for page in PAGES if ros2_lines(page)],
                         ids=lambda page: page.name)
def test_the_ros2_commands_of_a_page_name_what_there_is(page: Path,
                                                        launching: ModuleType) -> None:
    sources = '\n'.join(path.read_text('utf-8')
                        for path in (ROOT / 'uncloning_ros' / 'nodes').rglob('*.py'))
    for _, verb, *words in ros2_lines(page):
        if verb == 'launch':
            path = ROOT / 'launch' / words[1]
            declared = arguments(runpy.run_path(str(path))['generate_launch_description']())
            assert {word.partition(':=')[0] for word in words[2:]} - set(declared) == set()
        elif verb == 'run' and words[0] == 'uncloning_ros':
            known = {row.name for row in (*NODES[words[1]], USE_SIM_TIME)}
            given = [words[i + 1] for i, word in enumerate(words) if word == '-p']
            assert {one.partition(':=')[0] for one in given} - known == set()
        elif verb == 'service':
            node, service = words[1].removeprefix('/').split('/')
            assert node in executables()
            assert f"'~/{service}'" in sources
