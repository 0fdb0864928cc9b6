# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The example of SROS2 permissions allows each node what it has in a live graph, and no more."""

import os
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path
from typing import Any

from uncloning_ros.nodes.keyboard import Keyboard
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.share import share_path

POLICY = share_path('config') / 'sros2' / 'policy.xml'
KINDS = ('publish', 'subscribe', 'reply', 'request')


def profile(enclave: str) -> ET.Element:
    """Return the one profile of an enclave."""
    root = ET.parse(POLICY).getroot()  # noqa: S314 - our own file
    [found] = root.findall(f"./enclaves/enclave[@path='/uncloning/{enclave}']/profiles/profile")
    return found


def allowed(enclave: str) -> dict[str, list[str]]:
    """Return the full names that an enclave may use, in order, by what it may do with them."""
    element = profile(enclave)
    names: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for group in element:
        for kind, rule in group.items():
            assert rule == 'ALLOW'
            for name in group:
                assert name.text is not None
                text = name.text.replace('~', f'/{element.get("node")}')
                names[kind].append(text if text.startswith('/') else f'/{text}')
    return {kind: sorted(found) for kind, found in names.items()}


def had(node: Any, observer: Any) -> dict[str, list[str]]:
    """Return the full names that a node uses, as another one sees it."""
    looks = (observer.get_publisher_names_and_types_by_node,
             observer.get_subscriber_names_and_types_by_node,
             observer.get_service_names_and_types_by_node,
             observer.get_client_names_and_types_by_node)
    return {kind: sorted(name for name, _ in look(node.get_name(), '/'))
            for kind, look in zip(KINDS, looks, strict=True)}


def require_the_same(graph: Any, robot: Any, node: Any, enclave: str) -> None:
    """Wait until the graph tells of a node what the example allows it; fail with what it tells."""
    expected = allowed(enclave)
    assert profile(enclave).get('node') == node.get_name()
    graph.until(lambda: had(node, robot) == expected, lambda: {
        kind: {'needed': sorted({*names} - {*expected[kind]}),
               'needless': sorted({*expected[kind]} - {*names})}
        for kind, names in had(node, robot).items()})


def test_the_policy_node_has_what_it_is_allowed_once_it_is_active(
        graph: Any, robot: Any, live: Any) -> None:
    require_the_same(graph, robot, live.node, 'policy')


def test_the_recorder_has_what_it_is_allowed(graph: Any, robot: Any, tmp_path: Path) -> None:
    require_the_same(graph, robot, graph.add(Recorder, out=str(tmp_path)), 'recorder')


def test_the_keyboard_has_what_it_is_allowed_once_every_key_was_pressed(
        graph: Any, robot: Any, tmp_path: Path) -> None:
    keys, person = os.pipe()
    try:
        os.write(person, b'sedu12p1p2+-tg')
        graph.add(Recorder, out=str(tmp_path))
        keyboard = graph.add(partial(Keyboard, keys))
        require_the_same(graph, robot, keyboard, 'keyboard')
    finally:
        os.close(person)
        os.close(keys)


def test_the_operator_may_ask_for_what_the_policy_node_answers_and_hear_what_it_says() -> None:
    operator, policy = allowed('operator'), allowed('policy')
    assert {*operator['request']} < {*policy['reply']}
    assert {*operator['subscribe']} < {*policy['publish']}
    assert {*operator['publish']} == {'/parameter_events', '/rosout'}
