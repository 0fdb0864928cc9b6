# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs for the control loop: samples of the shipped contract, known policies, and a driver."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from inputs import CONTRACT

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import Array, rotation_angle_between, rotation_of
from uncloning_ros.policy_io import Infer, Observation, Plan, PlanAnswer, PlanRequest, answer
from uncloning_ros.runtime.control_loop import RESUME_S, ControlLoop, Decision
from uncloning_ros.runtime.doubt import DoubtWatch
from uncloning_ros.runtime.take_over import ABSENT

PERIOD_NS = CONTRACT.policy.period_ns
CYCLE_NS = CONTRACT.deployment.command_period_ns
LIMITS = CONTRACT.deployment.limits
TIMING = CONTRACT.policy
RATIO = PERIOD_NS // CYCLE_NS
PLAN_CYCLES = TIMING.execute * RATIO  # from one request to the next
LAST_CYCLES = 2 * PLAN_CYCLES  # a plan goes on for so long at most
RESUME_CYCLES = math.ceil(RESUME_S * 1e9 / CYCLE_NS)

DOWN = np.array([1.0, 0.0, 0.0, 0.0, -1.0, 0.0])


def pose(x: float, y: float = 0.0, z: float = 0.3) -> Array:
    """Return a pose (9,) with the fingers pointing down."""
    return np.concatenate([[x, y, z], DOWN])


def action(x: float, width: float = 0.08) -> Array:
    """Return a flat action (10,)."""
    return np.concatenate([pose(x), [width]])


def samples(now_ns: int, width: float = 0.08, **values: Array) -> dict[str, Sample]:
    """Return one fresh sample of every observation; keywords replace values.

    What trackers see trembles, for what stands still is taken for frozen.
    """
    tremor = 1e-4 * math.sin(now_ns * 1e-7)
    default = {'tool_pose': pose(0.4), 'gripper_width': np.array([width]),
               'object_pose': pose(0.6, z=0.3 + tremor), 'hand_pose': pose(0.7, z=0.3 + tremor),
               'wrist_force': np.zeros(3)}
    return {key: Sample(np.asarray(value, dtype=np.float64), now_ns, now_ns)
            for key, value in (default | values).items()}


def without(inputs: Mapping[str, Sample], key: str) -> dict[str, Sample]:
    """Return the inputs without one key."""
    return {name: sample for name, sample in inputs.items() if name != key}


def constant_policy(value: Array) -> Infer:
    """Return a policy whose every action is `value`."""
    chunk = np.tile(np.asarray(value, dtype=np.float32), (CONTRACT.policy.horizon, 1))
    return lambda observation, noise: Plan(chunk)


def steps_along_x(observation: Observation, noise: np.ndarray) -> Plan:
    """Answer with steps of 1 mm along x, from where the arm was seen."""
    steps = [action(observation.vector[-1, 0] + 0.001 * k) for k in range(TIMING.horizon)]
    return Plan(np.array(steps, dtype=np.float32))


def deployed(**changes: Any) -> Contract:
    """Return the shipped contract with parts of its deployment replaced."""
    return replace(CONTRACT, deployment=replace(CONTRACT.deployment, **changes))


def object_first() -> Contract:
    """Return the shipped contract with its observations the other way round."""
    interface = CONTRACT.interface
    return replace(CONTRACT, interface=replace(interface,
                                               observations=interface.observations[::-1]))


def short_episodes(max_episode_s: float) -> Contract:
    """Return the shipped contract with another longest episode."""
    return deployed(episode_end=replace(CONTRACT.deployment.episode_end,
                                        max_episode_s=max_episode_s))


class Run:
    """A started loop, one cycle after the other, and a policy that answers after a while.

    An answer is delivered before the first cycle that begins `latency_ns` or more after the one
    that asked.
    """

    def __init__(self, infer: Infer | None = None, seed: int = 0, contract: Contract = CONTRACT,
                 latency_ns: int = 0, begin_ns: int = 0, episode_noise: int = 0,
                 doubt: DoubtWatch | None = None) -> None:
        self.infer = infer or constant_policy(action(0.41, 0.0))
        self.loop = ControlLoop(contract, seed, episode_noise, doubt)
        self.loop.start()
        self.cycle_ns = contract.deployment.command_period_ns
        self.latency_ns = latency_ns
        self.now_ns = begin_ns
        self.person = ABSENT  # heard again in each cycle
        self.asked: list[PlanRequest] = []
        self._under_way: list[tuple[int, PlanAnswer]] = []

    def step(self, inputs: Mapping[str, Sample] | None = None, **options: Any) -> Decision:
        """Deliver what is due and step once, with fresh inputs by default."""
        for due in [item for item in self._under_way if item[0] <= self.now_ns]:
            self._under_way.remove(due)
            self.loop.deliver(due[1], self.now_ns)
        options.setdefault('person', replace(self.person, receive_ns=self.now_ns))
        decision = self.loop.step(self.now_ns, samples(self.now_ns) if inputs is None else inputs,
                                  **options)
        if decision.request is not None:
            self.asked.append(decision.request)
            self._under_way.append((self.now_ns + self.latency_ns,
                                    answer(self.infer, decision.request)))
        self.now_ns += self.cycle_ns
        return decision

    def steps(self, count: int, **options: Any) -> list[Decision]:
        """Step `count` times."""
        return [self.step(**options) for _ in range(count)]

    def until(self, wanted: Callable[[Decision], bool], most: int = 1000) -> Decision:
        """Step until a decision is as wanted."""
        for _ in range(most):
            decision = self.step()
            if wanted(decision):
                return decision
        raise AssertionError(f'not once in {most} cycles')

    def moving(self) -> Decision:
        """Step until the policy commands."""
        return self.until(lambda decision: decision.reason == 'policy')


def commanded(decision: Decision) -> Array:
    """Return the command of a decision, which has to have one."""
    assert decision.command is not None, decision
    return decision.command


def require_reachable(previous: Array, command: Array, contract: Contract = CONTRACT) -> None:
    """Assert that a command of the shipped interface is near enough to the one before it."""
    limits, period_s = contract.deployment.limits, 1 / contract.deployment.command_rate_hz
    assert np.all(np.isfinite(command))
    assert np.linalg.norm(command[:3] - previous[:3]) <= limits.speed_m_s * period_s + 1e-6
    turn = rotation_angle_between(rotation_of(previous[:9]), rotation_of(command[:9]))
    assert turn <= limits.rotation_speed_rad_s * period_s + 1e-6


def require_inside(command: Array, contract: Contract = CONTRACT) -> None:
    """Assert that a command of the shipped interface lies in the workspace and is a pose."""
    limits = contract.deployment.limits
    assert np.all(np.isfinite(command))
    assert np.all(command[:3] >= np.array(limits.workspace_min_m) - 1e-9)
    assert np.all(command[:3] <= np.array(limits.workspace_max_m) + 1e-9)
    x, y = command[3:6], command[6:9]
    assert np.allclose([x @ x, y @ y, x @ y], [1.0, 1.0, 0.0], atol=1e-6)
    assert command[9] >= 0.0
