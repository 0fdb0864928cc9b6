# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how far a policy strays from the demonstrated states as an episode goes on.

The distance of a state is that to the nearest state of a training demonstration: the root mean
square over the numbers of the condition, each in its spread among the demonstrations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.audit.run.rollout import run_episode
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import windows_of_frames
from uncloning_ros.policy_io import Float32, Observation, Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world

_AT_ONCE = 256  # states compared with all demonstrated ones at the same time


def astray(model: Path, normaliser: Normaliser, dataset: Dataset, scenario: Scenario,
           seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the mean distance in each second of the episodes, with that of held-out ones.

    `normaliser` is the policy's own; its statistics are those of the training demonstrations.
    """
    known = _newest(normaliser, _conditions(normaliser, dataset, 'train'))
    policy = load_policy(model)
    world = open_world(scenario, policy.contract.interface)
    loop = ControlLoop(policy.contract, 0, policy.episode_noise)
    period_s = policy.contract.policy.period_ns * 1e-9 * policy.contract.policy.execute
    seen: list[Float32] = []

    def watched(observation: Observation, noise: Float32) -> Plan:
        seen.append(observation.vector)
        return policy(observation, noise)

    by_second: dict[int, list[float]] = {}
    for seed in seeds:
        seen.clear()
        run_episode(world, loop, policy.contract, watched, seed, INFERENCE_LATENCY_S)
        states = normaliser.condition(torch.from_numpy(np.stack(seen)))
        for i, one in enumerate(_distances(_newest(normaliser, states), known)):
            by_second.setdefault(int(i * period_s), []).append(one)
    shown = _distances(_newest(normaliser, _conditions(normaliser, dataset, 'validation')), known)
    return [{'second': second, 'plans': len(found), 'distance': float(np.mean(found)),
             'demonstrated': float(np.mean(shown))} for second, found in sorted(by_second.items())]


def _conditions(normaliser: Normaliser, dataset: Dataset, split: str) -> Tensor:
    return windows_of_frames(normaliser, dataset, dataset.window_frames(split)).conditions


def _newest(normaliser: Normaliser, conditions: Tensor) -> Tensor:
    """Return the part of conditions that is about the newest observation."""
    return conditions[:, -normaliser.lift.shape[1]:]


def _distances(states: Tensor, known: Tensor) -> list[float]:
    return [one for part in states.split(_AT_ONCE) for one in (
        torch.cdist(part, known).amin(1) / known.shape[1] ** 0.5).tolist()]
