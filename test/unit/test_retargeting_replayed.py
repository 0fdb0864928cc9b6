# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bent demonstrations hand over in the simulator when they are commanded at their places."""

from collections.abc import Iterator

import numpy as np
import pytest

from uncloning_ros.audit.metrics import judge
from uncloning_ros.contract import load_contract
from uncloning_ros.demos.dataset import Float32
from uncloning_ros.demos.retargeting import Handover, bend, find_handover
from uncloning_ros.geometry import Array
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.demonstration import demonstrate
from uncloning_ros.simulation.demonstrator import Demonstrator
from uncloning_ros.simulation.world import PHYSICS_HZ, World

KNIFE = find_scenario('knife')
CONTRACT = load_contract(share_path('config') / 'contract.yaml')
INTERFACE = CONTRACT.interface
STEPS_OF_A_TICK = round(PHYSICS_HZ / CONTRACT.policy.rate_hz)
LONGEST_S = 14.0


@pytest.fixture(scope='module')
def world() -> Iterator[World]:
    world = World(KNIFE, INTERFACE)
    yield world
    world.close()


def demonstrated(world: World, seed: int) -> tuple[Float32, Float32, int]:
    """Return observations and actions of a demonstration, and the step of the first command."""
    newest: dict[str, Array] = {}
    observations: list[Array] = []
    actions: list[Array] = []
    commanded_ns: list[int] = []

    def listen(key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        newest[key] = values.copy()
        if key == INTERFACE.actions[-1].key:
            observations.append(np.concatenate([newest[s.key] for s in INTERFACE.observations]))
            actions.append(np.concatenate([newest[s.key] for s in INTERFACE.actions]))
            commanded_ns.append(stamp_ns)

    assert demonstrate(world, Demonstrator(KNIFE, INTERFACE, 'handle_first', seed), CONTRACT,
                       seed, listen)
    first_step = round(commanded_ns[0] * 1e-9 * PHYSICS_HZ)
    return (np.array(observations, dtype=np.float32), np.array(actions, dtype=np.float32),
            first_step)


def replayed(world: World, seed: int, actions: Float32, first_step: int) -> str | None:
    """Return in which mode commands hand over at the places of a seed, None if they do not."""
    world.reset(seed)
    for step in range(round(LONGEST_S * PHYSICS_HZ)):
        tick, between = divmod(step - first_step, STEPS_OF_A_TICK)
        if between == 0 and 0 <= tick < len(actions):
            world.command(actions[tick].astype(np.float64))
        if world.over:
            break
        world.advance()
    outcome = judge(world.trace(), KNIFE, INTERFACE.desired_modes)
    return outcome.mode if outcome.success else None


def marks(observations: Float32, actions: Float32) -> Handover:
    found = find_handover(INTERFACE, observations, actions, CONTRACT.policy.rate_hz)
    assert found is not None
    return found


@pytest.mark.parametrize(('seed', 'other'), [(5000, 5001), (5001, 5002), (5002, 5000)])
def test_a_bent_demonstration_hands_over_where_the_other_was(world: World, seed: int,
                                                            other: int) -> None:
    observations, actions, first_step = demonstrated(world, seed)
    *there, first_step_there = demonstrated(world, other)
    _, bent = bend(INTERFACE, observations, actions, marks(observations, actions), marks(*there))
    assert replayed(world, other, actions, first_step) is None
    assert replayed(world, other, bent, first_step_there) == 'handle_first'
