# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play the commands of a demonstration in the simulator at their times, without feedback."""

from dataclasses import dataclass

import numpy as np

from uncloning_ros.contract import Contract
from uncloning_ros.demos.dataset.retargeting import Handover, find_handover
from uncloning_ros.demos.dataset.store import Float32
from uncloning_ros.errors import UncloningError
from uncloning_ros.geometry import Array
from uncloning_ros.judging.episode import judge
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.world import World

_LONGEST_S = 14.0  # longest episode (s)


@dataclass(frozen=True)
class Demonstration:
    """Observations and actions at each tick, and the physics step of the first tick."""

    seed: int
    observations: Float32
    actions: Float32
    first_step: int
    handover: Handover | None


def demonstrated(world: World, contract: Contract, mode: str, seed: int) -> Demonstration:
    """Return a simulated demonstration; raise `UncloningError` if the teacher fails."""
    interface = contract.interface
    newest: dict[str, Array] = {}
    observations: list[Array] = []
    actions: list[Array] = []
    commanded_ns: list[int] = []

    def listen(key: str, values: Array, stamp_ns: int, receive_ns: int) -> None:
        newest[key] = values.copy()
        if key == interface.actions[-1].key:
            observations.append(np.concatenate([newest[s.key] for s in interface.observations]))
            actions.append(np.concatenate([newest[s.key] for s in interface.actions]))
            commanded_ns.append(stamp_ns)

    if not demonstrate(world, Demonstrator(world.scenario, interface, mode, seed), contract, seed,
                       listen):
        raise UncloningError(f'{world.scenario.name}: the teacher did not hand over in mode '
                             f'{mode} with seed {seed}; check the scenario')
    seen = np.array(observations, dtype=np.float32)
    commanded = np.array(actions, dtype=np.float32)
    return Demonstration(seed, seen, commanded, round(commanded_ns[0] * 1e-9 * world.physics_hz),
                         find_handover(interface, seen, commanded, contract.policy.rate_hz))


def replayed(world: World, contract: Contract, seed: int, actions: Float32,
             first_step: int) -> str | None:
    """Return the mode in which commands hand over at the places of a seed, None if they fail."""
    steps_of_a_tick = round(world.physics_hz / contract.policy.rate_hz)
    world.reset(seed)
    for step in range(round(_LONGEST_S * world.physics_hz)):
        tick, between = divmod(step - first_step, steps_of_a_tick)
        if between == 0 and 0 <= tick < len(actions):
            world.command(actions[tick].astype(np.float64))
        if world.over:
            break
        world.advance()
    outcome = judge(world.trace(), world.scenario, contract.interface.desired_modes)
    return outcome.mode if outcome.success else None
