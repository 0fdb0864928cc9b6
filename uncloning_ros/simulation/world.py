# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated world, whichever engine computes it: arm, tool and receiver of one scenario."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from uncloning_ros.contract import Interface
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array
from uncloning_ros.judging.trace import Trace
from uncloning_ros.pictures import Pixels
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.capabilities import require_pair, require_simulable
from uncloning_ros.simulation.receivers.arm import Arm
from uncloning_ros.simulation.receivers.person import Person
from uncloning_ros.simulation.receivers.receiver import Receiver

MakeReceiver = Callable[[Scenario, np.random.Generator], Receiver]


@dataclass(frozen=True)
class Camera:
    """A camera beside the table: size of its pictures in pixels."""

    width: int
    height: int


class Side(Protocol):
    """One arm of a world as its policy has it: samples come, commands go."""

    def command(self, action: Array) -> None:
        """Take one flat action (action_dim,) of the contract's interface."""

    def poll(self) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) delivered since the last call, oldest first."""

    def glance(self, rng: np.random.Generator,
               due: Callable[[int], bool] = lambda every: True) -> list[tuple[str, Sample]]:
        """Return the samples of a world at rest, with noise of `rng`; the episode is unchanged.

        `due(every)` tells whether a sensor that measures once in `every` steps does so now.
        """


class World(Side, Protocol):
    """One scenario's arm, tool and receiver; not thread safe.

    It is the side of the arm that gives; `receiving` is that of an arm that receives. A world is
    deterministic: the same scenario, seed and commands give the same episode. `physics_hz` is the
    rate of `advance` in simulated time.
    """

    scenario: Scenario
    receiver: Receiver
    physics_hz: int

    def reset(self, seed: int) -> None:
        """Begin the episode of `seed`: start, receiver and sensor noise follow from it alone."""

    @property
    def receiving(self) -> Side | None:
        """Return the side of the arm that receives, None for a person."""

    @property
    def time_ns(self) -> int:
        """Return the simulated time since the reset."""

    @property
    def drawn(self) -> Mapping[str, float]:
        """Return the values drawn for the episode, by name with their unit."""

    @property
    def completed(self) -> bool:
        """Tell whether the receiver has the tool and the robot let go of it."""

    @property
    def dropped(self) -> bool:
        """Tell whether the tool lies below its stand, held by neither robot nor receiver."""

    @property
    def over(self) -> bool:
        """Tell whether the episode has ended: tool and receiver withdrawn, or tool dropped."""

    def advance(self) -> None:
        """Advance by one physics step of 1 / physics_hz s."""

    def seen_by_teacher(self) -> Mapping[str, Array]:
        """Return the newest values (dim,) of what a teacher sees and the contract does not.

        They are the tracked poses, with noise and delay.
        """

    def capsules(self) -> Mapping[str, Array]:
        """Return the ends (2, 3) of the capsule of each of the receiver's body parts now."""

    def trace(self) -> Trace:
        """Return the truth of the episode so far, of at least one physics step."""

    def picture(self, camera: Camera) -> Pixels:
        """Return the camera's picture of this moment; the episode is unchanged."""

    def close(self) -> None:
        """Free the physics engine."""


def open_world(scenario: Scenario, interface: Interface,
               make_receiver: MakeReceiver | None = None, whole_pictures: bool = False,
               receiving: Interface | None = None) -> World:
    """Open the world of a scenario, with a receiver made for each episode.

    By default it is a person, or the arm that the scenario describes: then `receiving` is the
    interface of that arm. Its samples of pictures are the part that a policy sees; with
    `whole_pictures` they are those that the camera publishes, for messages. Raise `ScenarioError`
    for a signal of the interface that cannot be simulated, and for two arms that do not fit. The
    engine is imported in this function, so that the module can be imported without it.
    """
    require_simulable(interface, scenario)
    require_pair(interface, receiving, scenario)
    if make_receiver is None:
        make_receiver = Person if scenario.receiver_arm is None else Arm

    from uncloning_ros.simulation.pybullet.world import BulletWorld

    return BulletWorld(scenario, interface, make_receiver, whole_pictures, receiving)
