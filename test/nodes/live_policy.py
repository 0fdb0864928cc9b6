# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy node on a graph with a pretended robot, and policies that need no file."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from policies import patient_contract
from rclpy.lifecycle import TransitionCallbackReturn

from uncloning_ros.contract import Contract
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.policy_io import Observation, Plan

SUCCESS, FAILURE, ERROR = (TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE,
                           TransitionCallbackReturn.ERROR)
SHORT_S = 0.3


def hasty(contract: Contract, *keys: str) -> Contract:
    """Return a contract with short maximum ages for some observations: their silence is missed."""
    topics = {key: dataclasses.replace(topic, max_age_s=SHORT_S) if key in keys else topic
              for key, topic in contract.deployment.observations.items()}
    return deployed(contract, observations=topics)


def watchful(contract: Contract) -> Contract:
    """Return a contract that soon sees what is frozen. A machine that stands still is not."""
    topics = {key: topic if topic.max_unchanged_s is None
              else dataclasses.replace(topic, max_unchanged_s=SHORT_S)
              for key, topic in contract.deployment.observations.items()}
    return deployed(contract, observations=topics)


def deployed(contract: Contract, **changes: Any) -> Contract:
    """Return a contract with parts of its deployment replaced."""
    return dataclasses.replace(contract,
                               deployment=dataclasses.replace(contract.deployment, **changes))


# Where a test is not about ages, a machine that stands still must not look like a silent tracker.
CONTRACT = watchful(patient_contract())


class FakePolicy:
    """Stands for a model: the newest pose again and again, 1 cm further along x, hand closed."""

    sha256 = 'f' * 64

    def __init__(self, contract: Contract = CONTRACT, bad: bool = False) -> None:
        self.contract = contract
        timing, interface = contract.policy, contract.interface
        self.observation_shape = (timing.history, interface.observation_dim)
        self.chunk_shape = (timing.horizon, interface.action_dim)
        self.picture_shapes = {camera.key: camera.shape for camera in interface.cameras}
        self.says_intent, self.episode_noise, self.doubt = False, 0, None
        self._bad = bad

    def warm_up(self) -> None:
        pass

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        action = np.concatenate([observation.vector[-1][:9], [0.03]])
        action[0] += np.nan if self._bad else 0.01
        return Plan(np.tile(action, (len(noise), 1)).astype(np.float32))


class Live:
    """A policy node on a graph with the robot; `status` is what it said last."""

    def __init__(self, graph: Any, robot: Any, incident_dir: Path, **parameters: Any) -> None:
        self.graph, self.robot, self.incident_dir = graph, robot, incident_dir
        self.heard = robot.listen('/policy/status')
        self.node = graph.add(PolicyNode, **{'model_path': 'some.onnx',
                                             'incident_dir': str(incident_dir), **parameters})
        assert self.node.trigger_configure() is SUCCESS
        assert self.node.trigger_activate() is SUCCESS

    @property
    def status(self) -> dict[str, Any]:
        return (json.loads(self.heard[-1]) if self.heard
                else {'state': None, 'reason': None, 'sentence': ''})

    @property
    def told(self) -> list[tuple[str, str]]:
        """Return every (state, reason) that was told, without repetitions."""
        pairs = [(said['state'], said['reason']) for said in map(json.loads, self.heard)]
        return [pair for i, pair in enumerate(pairs) if i == 0 or pairs[i - 1] != pair]

    def until(self, condition: Any) -> None:
        self.graph.until(condition, lambda: (self.told, self.status, self.poses[-3:]))

    def reach(self, state: str, reason: str) -> None:
        self.until(lambda: (self.status['state'], self.status['reason']) == (state, reason))

    def moving(self) -> None:
        """Start, and wait until the commands are where the policy wants them."""
        self.reach('waiting', 'not_started')
        assert self.graph.call(self.robot, '/policy/start').success
        self.reach('active', 'policy')
        self.follows()

    def follows(self) -> None:
        """Wait for a command 1 cm from where the arm is."""
        self.commands(self.robot.values['tool_pose'][0] + 0.01)

    def commands(self, x: float) -> None:
        """Wait for a command there."""
        self.until(lambda: self.poses and abs(self.poses[-1][0] - x) < 1e-6)

    @property
    def poses(self) -> list[Any]:
        return [sample.values for sample in self.robot.commands['target_pose']]

    @property
    def widths(self) -> list[float]:
        return [float(sample.values[0]) for sample in self.robot.commands['target_width']]

    def let_rounds_pass(self, count: int = 10) -> None:
        """Let the robot go through so many rounds: time as the graph itself counts it."""
        goal = self.robot.rounds + count
        self.graph.until(lambda: self.robot.rounds >= goal, lambda: self.robot.rounds)

    def call(self, service: str, **request: Any) -> Any:
        """Call one of the node's services, and return the answer."""
        return self.graph.call(self.robot, f'/policy/{service}', **request)
