# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A world of two arms, and its demonstrations."""

from typing import Any

from uncloning_ros.contract import load_contract
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.driver import Listener
from uncloning_ros.simulation.receivers.teacher import ReceivingTeacher, TaughtSide
from uncloning_ros.simulation.world import World, open_world

SCENARIO = find_scenario('knife_two_arms')
GIVER, RECEIVER = (load_contract(share_path('config') / f'contract_{role}.yaml')
                   for role in ('giver', 'receiver'))


def ignore(*_: Any) -> None:
    """Take a sample or a command, and do nothing."""


def two_armed_world() -> World:
    """Open the world with the shipped contracts."""
    return open_world(SCENARIO, GIVER.interface, receiving=RECEIVER.interface)


def hand_over(world: World, mode: str, seed: int, listen: Listener = ignore,
              hear: Listener = ignore) -> bool:
    """Let both teachers hand over; `listen` gets the giver's samples, `hear` the receiver's."""
    second = ReceivingTeacher(SCENARIO, RECEIVER.interface, mode, seed)
    return demonstrate(world, Demonstrator(SCENARIO, GIVER.interface, mode, seed), GIVER, seed,
                       listen, lambda one: TaughtSide(one, second, RECEIVER, hear))
