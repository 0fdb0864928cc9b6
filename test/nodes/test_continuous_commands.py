# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of continuous joints: an episode that begins on another turn is no speed."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from inputs import JOINT_CONTRACT

from uncloning_ros.contract import Contract
from uncloning_ros.contract.kinds import TURN_RAD
from uncloning_ros.contract.messages import JOINT_TRAJECTORY
from uncloning_ros.nodes.topics import Commands


def trajectories(continuous: tuple[str, ...], actions: list[Any]) -> list[Any]:
    """Return the trajectories that are published for flat actions."""
    interface, deployment = JOINT_CONTRACT.interface, JOINT_CONTRACT.deployment
    arm, gripper = interface.actions
    topics = {**deployment.actions,
              arm.key: replace(deployment.actions[arm.key], type=JOINT_TRAJECTORY)}
    contract: Contract = replace(
        JOINT_CONTRACT, deployment=replace(deployment, actions=topics), interface=replace(
            interface, actions=(replace(arm, continuous=continuous), gripper)))
    sent: dict[str, list[Any]] = {}

    def publisher(kind: Any, topic: str, qos: Any) -> Any:
        return SimpleNamespace(publish=sent.setdefault(topic, []).append)

    commands = Commands(publisher, contract)
    for action in actions:
        commands.publish(action, 1)
    return sent[topics[arm.key].topic]


def test_a_command_on_another_turn_has_the_speed_of_the_short_way() -> None:
    before = np.append(np.full(7, 0.3), 0.08)
    after = before.copy()
    after[6] += TURN_RAD + 0.01
    _, told = trajectories(('panda_joint7',), [before, after])
    assert np.allclose(told.points[0].velocities[:6], 0.0)
    assert np.isclose(told.points[0].velocities[6], 1.0)  # 0.01 rad in 0.01 s
    assert np.isclose(told.points[0].positions[6], after[6])
    _, untold = trajectories((), [before, after])
    assert untold.points[0].velocities[6] > 100.0
