# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""README and docs/nodes.md say what is: parameters, topics, services, commands, files."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from uncloning_ros.cli import main
from uncloning_ros.contract import load_contract

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / 'README.md').read_text(encoding='utf-8')
NODES_PAGE = (REPOSITORY / 'docs' / 'nodes.md').read_text(encoding='utf-8')
NODES = ('policy', 'recorder', 'keyboard', 'simulator', 'demonstrator')


def section(node: str) -> str:
    """Return the page's part about one node."""
    return NODES_PAGE.split(f'\n### {node}\n')[1].split('\n## ')[0].split('\n### ')[0]


def shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if default != '' else "''"


@pytest.mark.parametrize('node', NODES)
def test_parameter_table_is_that_of_the_node(node: str) -> None:
    parameters = importlib.import_module(f'uncloning_ros.nodes.{node}').PARAMETERS
    table = section(node).split('| parameter | default | |\n')[1]
    rows = re.findall(r'^\| `(\w+)` \| `(.*?)` \| (.*) \|$', table, re.MULTILINE)
    assert rows == [(p.name, shown(p.default), p.description) for p in parameters]


@pytest.mark.parametrize('node', NODES)
def test_private_topics_and_services_are_those_of_the_node(node: str) -> None:
    source = '\n'.join(path.read_text(encoding='utf-8') for path in
                       (REPOSITORY / 'uncloning_ros/nodes').glob(f'{node}*.py'))
    named = {name for name in re.findall(r'^\| `(~/\w+)`', section(node), re.MULTILINE)
             if name != '~/change_state'}
    in_code = set(re.findall(r"'(~/\w+)'", source))
    if node == 'policy':  # its services are made in a loop
        in_code |= {f'~/{name}' for name in ('start', 'stop', 'reset', 'dump')}
    assert named == in_code


def test_topics_of_the_policy_are_those_of_the_shipped_contract() -> None:
    deployment = load_contract(REPOSITORY / 'config/contract.yaml').deployment
    topics = [*deployment.observations.values(), *deployment.actions.values()]
    table = section('policy')
    for topic in topics:
        assert re.search(rf'`{topic.topic}`.* `{topic.type}` ', table), topic


def commands() -> list[str]:
    """Return every uncloning command line in the README's code blocks."""
    blocks = '\n'.join(re.findall(r'^```\n(.*?)^```', README, re.MULTILINE | re.DOTALL))
    return re.findall(r'^uncloning .*$', blocks.replace('\\\n', ''), re.MULTILINE)


def test_every_command_of_the_readme_is_one_that_exists(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where none of the outputs exists
    found = set()
    for line in commands():
        words = shlex.split(line)[1:]
        args = main._parser(words[0]).parse_args(words)
        assert isinstance(args, argparse.Namespace)
        found.add(words[0])
    assert found == set(main.COMMANDS)


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (REPOSITORY / 'Makefile').read_text(encoding='utf-8')
    targets = set(re.findall(r'^([a-z]+):', makefile, re.MULTILINE))
    assert set(re.findall(r'make ([a-z]+)`', README)) <= targets


def test_every_file_that_the_pages_link_to_exists() -> None:
    for page in (REPOSITORY / 'README.md', *(REPOSITORY / 'docs').glob('*.md')):
        text = page.read_text(encoding='utf-8')
        links = [link for link in re.findall(r'\]\(([^)#]+)\)', text) if '://' not in link]
        assert [link for link in links if not (page.parent / link).exists()] == [], page
