# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run closed-loop episodes of an exported policy, all of one roll in one batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from outside.task import Result, Task, World
from uncloning_ros.contract import Contract
from uncloning_ros.errors import UncloningError
from uncloning_ros.policy_io import Float32
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import Count


class Batch(Protocol):
    """A policy that plans for many episodes at once."""

    contract: Contract

    def batch(self, observations: Float32, noises: Float32) -> Float32:
        """Return chunks for histories and noises."""
        ...


@dataclass(frozen=True)
class Roll:
    """Episodes of one exported policy, as a file keeps them.

    Starts and noise follow from `seed` and the number of episodes.
    """

    SCHEMAS: ClassVar = ('uncloning/outside_roll@1',)
    task: str
    model_sha256: str
    seed: Count
    fixed: bool
    episodes: tuple[Result, ...]


def roll(task: Task, model: Path, episodes: int, seed: int, fixed: bool) -> Roll:
    """Run episodes of a file; raise `UncloningError` for a policy of another interface."""
    policy = load_policy(model)
    expected, found = task.contract.interface, policy.contract.interface
    if found.sha256 != expected.sha256:
        raise UncloningError(f'{model}: expected a policy of {task.name} with observations '
                             f'{", ".join(expected.observation_slices)} and interface '
                             f'{expected.sha256[:12]}, got {", ".join(found.observation_slices)} '
                             f'and {found.sha256[:12]}; give a policy of this task')
    rng = np.random.default_rng(seed)
    world = task.world(episodes, seed, fixed, rng)
    run(policy, world, task.ticks, rng)
    return Roll(task.name, policy.sha256, seed, fixed, tuple(world.results()))


def run(policy: Batch, world: World, ticks: int, rng: np.random.Generator) -> None:
    """Let a policy act in a world for a number of ticks, as the control loop does.

    It plans from the newest observations, the first one repeated, and a chunk's first actions
    are executed.
    """
    timing, dim = policy.contract.policy, policy.contract.interface.action_dim
    seen = [world.look()] * timing.history
    for tick in range(ticks):
        if tick % timing.execute == 0:
            noise = rng.standard_normal((len(seen[0]), timing.horizon, dim))
            chunks = policy.batch(np.stack(seen, axis=1).astype(np.float32),
                                  noise.astype(np.float32))
        world.step(chunks[:, tick % timing.execute].astype(np.float64), rng)
        seen = [*seen[1:], world.look()]
