# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Begin episodes in an undesired mode, before the policy takes over.

From a fresh start a good policy hardly ever commits itself to an undesired mode, so its own
episodes do not show its behaviour after that: a push, another controller or a person may leave
it there. Here the scripted teacher grasps and lifts the tool in that mode; then the policy takes
over, with its whole history to fill.
"""

from collections.abc import Callable
from dataclasses import dataclass

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.demonstrator import Demonstrator, Step
from uncloning_ros.simulation.sensors import TRACKED_KEYS
from uncloning_ros.simulation.world import World

_MOST_S = 10.0  # time (s) for the teacher's lift; demonstrations take about 2.5 s


@dataclass(frozen=True)
class WrongStart:
    """Start of one episode: its seed, and the mode in which it is begun."""

    seed: int
    mode: str


def begin_as(mode: str, scenario: Scenario, contract: Contract,
             seed: int) -> Callable[[World], dict[str, Sample]]:
    """Return a function that lifts the tool as a mode does and returns the newest samples."""
    def begin(world: World) -> dict[str, Sample]:
        teacher = Demonstrator(scenario, contract.interface, mode, seed, TRACKED_KEYS)
        keys = {*TRACKED_KEYS, *(signal.key for signal in contract.interface.observations)}
        newest: dict[str, Sample] = {}
        next_tick_ns = 0
        while (teacher.step in (Step.APPROACH, Step.DESCEND, Step.CLOSE, Step.LIFT)
               and not world.over and world.time_ns < _MOST_S * 1e9):
            newest.update(world.poll())
            values = {**{key: sample.values for key, sample in newest.items()},
                      **world.seen_by_teacher()}
            if world.time_ns + 1 >= next_tick_ns and keys <= values.keys():
                next_tick_ns += contract.policy.period_ns
                world.command(teacher.act(world.time_ns * 1e-9, values))
            world.advance()
        return newest
    return begin
