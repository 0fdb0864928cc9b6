# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/nodes.md lists the topics and services of the nodes."""

import re
from pathlib import Path

import pytest

from uncloning_ros.contract import load_contract
from uncloning_ros.nodes.parameters import NODES

REPOSITORY = Path(__file__).resolve().parents[2]
NODES_PAGE = (REPOSITORY / 'docs' / 'nodes.md').read_text(encoding='utf-8')


def section(node: str) -> str:
    """Return the page's part about one node."""
    return NODES_PAGE.split(f'\n### {node}\n')[1].split('\n## ')[0].split('\n### ')[0]


@pytest.mark.parametrize('node', NODES)
def test_private_topics_and_services_are_those_of_the_node(node: str) -> None:
    source = '\n'.join(path.read_text(encoding='utf-8') for path in
                       (REPOSITORY / 'uncloning_ros/nodes').glob(f'{node}*.py'))
    named = {name for name in re.findall(r'^\| `(~/\w+)`', section(node), re.MULTILINE)
             if name != '~/change_state'}
    in_code = set(re.findall(r"'(~/\w+)'", source))
    assert named == in_code


def test_topics_of_the_policy_are_those_of_the_shipped_contract() -> None:
    deployment = load_contract(REPOSITORY / 'config/contract.yaml').deployment
    topics = [*deployment.observations.values(), *deployment.actions.values()]
    table = section('policy')
    for topic in topics:
        assert re.search(rf'`{topic.topic}`.* `{topic.type}` ', table), topic


def test_where_a_recipe_of_a_take_over_starts_a_policy_it_starts_motion_too() -> None:
    page = (REPOSITORY / 'docs' / 'take_over.md').read_text(encoding='utf-8')
    recipes = [part for part in page.split('\n## ') if 'run uncloning_ros policy' in part]
    assert len(recipes) == 2
    for recipe in recipes:
        after = recipe.split('run uncloning_ros policy')[1]
        assert 'auto_activate:=true' in after and 'service call /policy/start' in after, recipe
