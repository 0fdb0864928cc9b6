# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Let a policy begin episodes, from which the scripted teacher takes the arm over.

The moment is drawn for each episode. So corrections begin where the policy comes to, not where
demonstrations begin, which is the idea of DAgger (Ross et al. 2011, arXiv 1011.0686).
"""

from collections.abc import Callable

import numpy as np

from uncloning_ros.conversions import Sample
from uncloning_ros.demos.recording.take_overs import COMMANDS, TAKEN
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import OnnxPolicy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S, Driver, Listener
from uncloning_ros.simulation.world import World
from uncloning_ros.simulation.wrong_starts import begin_as

# Time (s) for which the policy has the arm; one that is handed the tool in a wrong mode goes on
# at once, and is done with it soon.
_AFTER_S, _AFTER_WRONG_START_S = (1.0, 6.0), (0.1, 2.0)
_STREAM = 0x7A4E  # of the draws of a seed: the moment of the take-over


class Learner:
    """A policy that begins episodes; `mode` is the one in which it is handed the tool, if any."""

    def __init__(self, policy: OnnxPolicy, scenario: Scenario, mode: str | None) -> None:
        self._policy, self._scenario, self._mode = policy, scenario, mode
        self._loop = ControlLoop(policy.contract, 0, policy.episode_noise)

    def begin(self, world: World, seed: int, listen: Listener,
              mark: Callable[[str, int], object]) -> dict[str, Sample]:
        """Have the policy act in a world that was reset to a seed; return the newest samples.

        `listen` gets every sample and every command, `mark` each event of the take-over with its
        time (ns).
        """
        rng = np.random.default_rng(np.random.SeedSequence((seed, _STREAM)))
        after_s = rng.uniform(*(_AFTER_S if self._mode is None else _AFTER_WRONG_START_S))
        contract = self._policy.contract
        samples = {} if self._mode is None else begin_as(
            self._mode, self._scenario, contract, seed)(world)
        driver = Driver(world, self._loop, contract, self._policy,
                        round(INFERENCE_LATENCY_S * 1e9), listen)
        driver.begin(world.time_ns, seed, samples)
        end_ns = world.time_ns + round(after_s * 1e9)
        while world.time_ns < end_ns and not (world.over or world.completed):
            driver.act(world.time_ns)
            world.advance()
        for event in (TAKEN, COMMANDS):
            mark(event, world.time_ns)
        return driver.samples
