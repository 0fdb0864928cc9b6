# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two policies in two namespaces command the two arms of one simulator."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks import Observer, observing
from policies import patient_contract, wandering_policy
from processes import Processes

from uncloning_ros.contract import Contract

pytestmark = pytest.mark.slow
ROLES = ('giver', 'receiver')


def contract_of(role: str) -> Contract:
    contract = patient_contract(f'contract_{role}.yaml')
    end = dataclasses.replace(contract.deployment.episode_end, max_episode_s=300.0)
    return dataclasses.replace(contract, deployment=dataclasses.replace(
        contract.deployment, episode_end=end))


def listen_to(observer: Observer, contract: Contract, key: str) -> list[Any]:
    """Return the list that fills with the values of a signal's messages."""
    interface, deployment = contract.interface, contract.deployment
    signal = next(s for s in (*interface.observations, *interface.actions) if s.key == key)
    seen: list[Any] = []
    observer.listen(signal, {**deployment.observations, **deployment.actions}[key], seen)
    return seen


def test_each_policy_moves_its_own_arm_and_they_share_one_world(processes: Processes,
                                                               tmp_path: Path) -> None:
    contracts = {role: contract_of(role) for role in ROLES}
    with observing(contracts['giver']) as observer:
        commands = {role: listen_to(observer, contracts[role], 'target_pose') for role in ROLES}
        poses = {role: listen_to(observer, contracts[role], 'tool_pose') for role in ROLES}
        simulator = processes.start('simulator', scenario='knife_two_arms', seed=3)
        observer.until(lambda: all(poses.values()), 'both arms at rest')
        assert not any(commands.values())
        policies = {role: processes.start(
            'policy', namespace=f'/{role}', auto_activate='true', autostart='true',
            seed=number, model_path=wandering_policy(tmp_path / f'{role}.onnx', contracts[role]))
            for number, role in enumerate(ROLES)}
        observer.until(lambda: all(len(found) > 30 for found in commands.values()),
                       'commands of both policies')
        observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'running',
                       'the first command')
        assert observer.of('/simulator/outcome', 'scenario') == 'knife_two_arms'
        for role, commanded in commands.items():
            # Each stays near its own arm, in the frame of its own base.
            assert np.linalg.norm(commanded[-1][:3] - poses[role][0][:3]) < 0.3
        names = {f'{namespace.rstrip("/")}/{name}' for name, namespace
                 in observer.node.get_node_names_and_namespaces()}
        assert {'/giver/policy', '/receiver/policy', '/simulator'} <= names
        # The width of a gripper is one message for both policies.
        for topic in ('/giver/joint_states', '/receiver/joint_states', '/giver/target_pose',
                      '/receiver/target_pose'):
            assert observer.node.count_publishers(topic) == 1, topic
        assert [one.end() for one in (*policies.values(), simulator)] == [0, 0, 0]
