# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies with a planted fault: the teacher's motion, spoilt in one way, in the closed loop."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from inputs import CONTRACT
from numpy.typing import NDArray

from uncloning_ros.audit.run.rollout import result_of, run_episode
from uncloning_ros.contract import Contract, PolicyTiming
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.demonstrator import Demonstrator, Step
from uncloning_ros.simulation.world import open_world

PERIOD_S = 0.05
OPEN_M, CLOSED_M = 0.08, 0.0
_SWING_M, _SWING_S = 0.16, 0.7

# Changes an action (10,) in place: target position first, width last. Gets the teacher, whose
# `step` tells what it is doing, and the time in s.
Fault = Callable[[Demonstrator, float, NDArray[np.float64]], object]


def contract(max_episode_s: float = 14.0) -> Contract:
    """Return the shipped contract for a policy that is asked in every tick."""
    shipped = CONTRACT
    end = dataclasses.replace(shipped.deployment.episode_end, max_episode_s=max_episode_s)
    return dataclasses.replace(
        shipped, policy=PolicyTiming(rate_hz=20, history=2, horizon=16, execute=1),
        deployment=dataclasses.replace(shipped.deployment, episode_end=end))


class Scripted:
    """The teacher as a policy: its next action for the whole horizon, spoilt by `fault`."""

    def __init__(self, scenario: Scenario, made_for: Contract, mode: str, seed: int,
                 fault: Fault) -> None:
        self._teacher = Demonstrator(scenario, made_for.interface, mode, seed)
        self._slices = made_for.interface.observation_slices
        self._horizon = made_for.policy.horizon
        self._fault = fault
        self._now_s = 0.0

    def __call__(self, observation: Observation, noise: NDArray[Any]) -> Plan:
        values = {key: observation.vector[-1][part].astype(np.float64)
                  for key, part in self._slices.items()}
        action = self._teacher.act(self._now_s, values)
        self._fault(self._teacher, self._now_s, action)
        self._now_s += PERIOD_S
        return Plan(np.tile(action, (self._horizon, 1)).astype(np.float32))


def run_scripted(scenario: Scenario, fault: Fault, seed: int = 3, mode: str = 'handle_first',
                 taught: Scenario | None = None) -> EpisodeResult:
    """Return what an audit says of one episode; the teacher may have another scenario."""
    made_for = contract()
    policy = Scripted(taught or scenario, made_for, mode, seed, fault)
    world = open_world(scenario, made_for.interface)
    try:
        rollout = run_episode(world, ControlLoop(made_for, 0), made_for, policy, seed, 0.005)
    finally:
        world.close()
    return result_of(rollout, scenario, made_for.interface.desired_modes)


def no_fault(teacher: Demonstrator, now_s: float, action: NDArray[np.float64]) -> None:
    """Hand over as taught."""


def opens_early(teacher: Demonstrator, now_s: float, action: NDArray[np.float64]) -> None:
    """Open the fingers on the way to the hand."""
    if teacher.step in (Step.BRING, Step.OFFER):
        action[-1] = OPEN_M


def never_lets_go(teacher: Demonstrator, now_s: float, action: NDArray[np.float64]) -> None:
    """Keep the fingers closed once they have closed, and stay there."""
    if teacher.step in (Step.RELEASE, Step.RETREAT, Step.DONE):
        action[-1] = CLOSED_M


class Swings:
    """Swing the tool sideways and back, fast, before it is brought to the waiting hand."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    def __call__(self, teacher: Demonstrator, now_s: float,
                 action: NDArray[np.float64]) -> None:
        if teacher.step is Step.BRING and self._began_s is None:
            self._began_s = now_s
        since_s = now_s - (now_s if self._began_s is None else self._began_s)
        if 0.0 < since_s < _SWING_S:
            action[1] += _SWING_M * np.sin(2 * np.pi * since_s / _SWING_S)
