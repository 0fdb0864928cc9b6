# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one simulated demonstration and hand on everything that a recorder would hear."""

from collections.abc import Callable

from uncloning_ros.contract import Contract
from uncloning_ros.geometry import Array
from uncloning_ros.simulation.demonstrator import Demonstrator
from uncloning_ros.simulation.pybullet.world import PHYSICS_HZ, World

# Hears a key, flat values (dim,), when they were measured and when they arrived, in ns.
Listener = Callable[[str, Array, int, int], None]

AFTERWARDS_S = 0.3  # recorded after the teacher is done, so that a policy learns to rest


def demonstrate(world: World, teacher: Demonstrator, contract: Contract, seed: int,
                listen: Listener) -> bool:
    """Reset `world` to `seed`, let `teacher` hand over, tell whether the handover completed.

    `listen` gets every delivered sample and every command in the order of their arrival, in
    simulated time. Ends at the contract's `max_episode_s` at the latest.
    """
    world.reset(seed)
    steps_per_tick = round(PHYSICS_HZ / contract.policy.rate_hz)
    most_steps = round(contract.deployment.episode_end.max_episode_s * PHYSICS_HZ)
    keys = {signal.key for signal in contract.interface.observations}
    newest: dict[str, Array] = {}
    done_steps = 0
    for step in range(most_steps):
        for key, sample in world.poll():
            newest[key] = sample.values
            listen(key, sample.values, sample.stamp_ns, sample.receive_ns)
        if step % steps_per_tick == 0 and keys <= newest.keys():
            now_ns = world.time_ns
            action = teacher.act(now_ns * 1e-9, newest)
            world.command(action)
            for key, part in contract.interface.action_slices.items():
                listen(key, action[part], now_ns, now_ns)
        done_steps += teacher.done
        if done_steps > AFTERWARDS_S * PHYSICS_HZ or world.dropped:
            break
        world.advance()
    return world.completed and teacher.done
