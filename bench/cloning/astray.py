# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play judged episodes, and measure how far a policy strays from the demonstrated states in them.

The distance of a state is that to the nearest state of a training demonstration: the root mean
square over the numbers of the condition, each in its spread among the demonstrations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uncloning_ros.audit.run.rollout import require_fit, result_of, run_episode
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.learning.normaliser import Normaliser
from uncloning_ros.learning.windows import windows_of_frames
from uncloning_ros.policy_io import Float32, Observation, Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world

_AT_ONCE = 256  # states compared with all demonstrated ones at the same time

# What a policy saw in an episode: the time (s) of each plan, and its observation.
Seen = list[tuple[float, Float32]]


def played(model: Path, scenario: Scenario,
           seeds: Sequence[int]) -> tuple[list[EpisodeResult], list[Seen]]:
    """Return the results of episodes, those of an audit, and what the policy saw in each."""
    policy = load_policy(model)
    require_fit(policy, model, scenario)
    world = open_world(scenario, policy.contract.interface)
    loop = ControlLoop(policy.contract, 0, policy.episode_noise)
    results, seen = list[EpisodeResult](), list[Seen]()

    def watched(observation: Observation, noise: Float32) -> Plan:
        seen[-1].append((world.time_ns * 1e-9, observation.vector))
        return policy(observation, noise)

    for seed in seeds:
        seen.append([])
        rollout = run_episode(world, loop, policy.contract, watched, seed, INFERENCE_LATENCY_S)
        results.append(result_of(rollout, scenario, policy.contract.interface.desired_modes))
    world.close()
    return results, seen


def astray(seen: Sequence[Seen], normaliser: Normaliser,
           dataset: Dataset) -> list[dict[str, Any]]:
    """Return the mean distance in each second of episodes, and of held-out demonstrations then.

    `normaliser` is the policy's own; its statistics are those of the training demonstrations.
    """
    known = _newest(normaliser, _conditions(normaliser, dataset, dataset.window_frames('train')))
    plans = [(int(at_s), i, vector) for i, some in enumerate(seen) for at_s, vector in some]
    second, episode = (np.array([plan[i] for plan in plans]) for i in (0, 1))
    vectors = torch.from_numpy(np.stack([vector for _, _, vector in plans]))
    distance = _distances(_newest(normaliser, normaliser.condition(vectors)), known)
    frames = dataset.window_frames('validation')
    ticks = frames - dataset.bounds[dataset.episode_of(frames)]
    shown_second = (ticks * dataset.contract.policy.period_ns) // 10**9
    shown = _distances(_newest(normaliser, _conditions(normaliser, dataset, frames)), known)
    return [{'second': int(one), 'episodes': len(np.unique(episode[second == one])),
             'distance': float(distance[second == one].mean()),
             'demonstrated': float(shown[shown_second == one].mean())
             if (shown_second == one).any() else None} for one in np.unique(second)]


def _conditions(normaliser: Normaliser, dataset: Dataset, frames: Any) -> Tensor:
    return windows_of_frames(normaliser, dataset, frames).conditions


def _newest(normaliser: Normaliser, conditions: Tensor) -> Tensor:
    """Return the part of conditions that is about the newest observation."""
    return conditions[:, -normaliser.lift.shape[1]:]


def _distances(states: Tensor, known: Tensor) -> Float32:
    return np.concatenate([(torch.cdist(part, known).amin(1) / known.shape[1] ** 0.5).numpy()
                           for part in states.split(_AT_ONCE)])
