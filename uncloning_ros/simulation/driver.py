# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drive one arm of a simulated world with the control loop of a robot, in simulated time."""

from collections.abc import Callable
from typing import Any

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.policy_io import Infer, Intent, PlanAnswer, answer
from uncloning_ros.runtime.control_loop import ControlLoop, Decision
from uncloning_ros.simulation.world import Side

# Time (s) from an observation to the policy's answer. It is stated and not measured, or results
# would differ from machine to machine; one thread needs about a fifth of it.
INFERENCE_LATENCY_S = 0.005


# Takes a key, values (dim,) or those of a picture, and their times of measurement and arrival
# in ns.
Listener = Callable[[str, Any, int, int], object]


class Driver:
    """A control loop with its policy on one side of a world.

    `samples` are the newest ones, `intents` those of the episode's plans, each with the time (ns)
    at which it was there. `listen` gets every sample and every command.
    """

    def __init__(self, side: Side, loop: ControlLoop, contract: Contract, infer: Infer,
                 latency_ns: int, listen: Listener = lambda *_: None) -> None:
        self._side, self._loop, self._infer, self._listen = side, loop, infer, listen
        self._actions = contract.interface.action_slices
        self._period_ns, self._latency_ns = contract.deployment.command_period_ns, latency_ns
        self.samples: dict[str, Sample] = {}

    def begin(self, now_ns: int, noise_seed: int, samples: dict[str, Sample]) -> None:
        """Begin an episode with the newest samples."""
        self.samples = samples
        self._loop.reset(noise_seed)
        self._loop.start()
        self._next_cycle_ns = now_ns
        self._under_way: tuple[int, PlanAnswer] | None = None
        self.intents: list[tuple[int, Intent]] = []

    def act(self, now_ns: int) -> Decision | None:
        """Take the samples of a physics step; return the decision of a cycle that is due."""
        for key, one in self._side.poll():
            self.samples[key] = one
            self._listen(key, one.values, one.stamp_ns, one.receive_ns)
        # The world's time is rounded to whole ns, so a cycle may come out one short.
        if now_ns + 1 < self._next_cycle_ns:
            return None
        self._next_cycle_ns += self._period_ns
        if self._under_way is not None and now_ns >= self._under_way[0]:
            self._loop.deliver(self._under_way[1], now_ns)
            if (plan := self._under_way[1].plan) is not None and plan.intent is not None:
                self.intents.append((now_ns, plan.intent))
            self._under_way = None
        decision = self._loop.step(now_ns, self.samples)
        if decision.request is not None:
            self._under_way = (now_ns + self._latency_ns, answer(self._infer, decision.request))
        if decision.command is not None:
            self._side.command(decision.command)
            for key, part in self._actions.items():
                self._listen(key, decision.command[part], now_ns, now_ns)
        return decision
