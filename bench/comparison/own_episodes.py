# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record simulated episodes of a policy as bags, as the recorder writes them, and clone them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from uncloning_ros import __version__
from uncloning_ros.audit.run.rollout import result_of, run_episode
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.layout import episode_name
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.errors import UncloningError
from uncloning_ros.geometry import Array
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.options import EDIT, FINE_TUNE, METHODS
from uncloning_ros.learning.uncloning import edit
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S
from uncloning_ros.simulation.world import open_world

_EPOCH_NS = 1_767_225_600 * 10**9  # time (ns) of a bag at simulated time 0
_MINUTE_NS = 60 * 10**9
_MOST_RUN = 20  # simulated episodes for each one that is recorded


class Heard:
    """A world that keeps the samples and commands of its episode, oldest first."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.messages: list[tuple[str, Array, int, int]] = []
        self.commands: list[tuple[Array, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def reset(self, seed: int) -> None:
        """Begin an episode, of which nothing was heard."""
        self.messages.clear()
        self.commands.clear()
        self._world.reset(seed)

    def poll(self) -> Any:
        """Return the samples that arrived, and keep them."""
        arrived = self._world.poll()
        self.messages += [(key, one.values, one.stamp_ns, one.receive_ns) for key, one in arrived]
        return arrived

    def command(self, action: Array) -> None:
        """Keep a command and carry it out."""
        self.commands.append((action, self._world.time_ns))
        self._world.command(action)


def record(model: Path, scenario: Scenario, mode: str | None, episodes: int, first_seed: int,
           out: Path) -> None:
    """Record episodes of a mode, or successful ones if None, as bags in `out`.

    Raise `UncloningError` where too few of those that were simulated are of that kind.
    """
    policy = load_policy(model)
    contract = policy.contract
    world = Heard(open_world(scenario, contract.interface))
    loop = ControlLoop(contract, 0)
    found, seed = 0, first_seed
    while found < episodes:
        if seed - first_seed >= _MOST_RUN * episodes:
            raise UncloningError(f'expected {episodes} episodes of {mode or "success"}, got '
                                 f'{found} of {seed - first_seed} that were simulated; train the '
                                 f'policy for longer')
        rollout = run_episode(world, loop, contract, policy, seed, INFERENCE_LATENCY_S)
        outcome = result_of(rollout, scenario, contract.interface.desired_modes).outcome
        if outcome.mode == mode if mode is not None else outcome.failure is None:
            write_bag(out / episode_name(found), contract, world, EpisodeMetadata(
                f'{scenario.name}-own', found, 'policy', None, __version__, seed), found)
            found += 1
        seed += 1
    world.close()


def write_bag(path: Path, contract: Contract, world: Heard, metadata: EpisodeMetadata,
              index: int) -> None:
    """Write what was heard as the bag of one episode."""
    begin_ns = _EPOCH_NS + index * _MINUTE_NS
    messages = [*world.messages]
    for action, now_ns in world.commands:
        messages += [(key, action[part], now_ns, now_ns)
                     for key, part in contract.interface.action_slices.items()]
    messages.sort(key=lambda message: message[3])
    path.parent.mkdir(parents=True, exist_ok=True)
    with EpisodeWriter(path, contract, metadata) as writer:
        for key, values, stamp_ns, receive_ns in messages:
            writer.write_values(key, values, begin_ns + stamp_ns, begin_ns + receive_ns)
        writer.commit()


def fine_tune(run: Path, bags: Path, scenario: Scenario, out: Path) -> None:
    """Fine-tune a run on the successful episodes alone: clone what was commanded in them."""
    data = build_dataset([bags], out.with_name(f'{out.name}_data'), Recipe(scenario),
                         Split(validation=0.0)).dataset
    kept = [mode for mode in data.contract.interface.desired_modes
            if len(data.window_frames('train', [mode]))]
    edit(load_run(run), data, out, replace(EDIT, method=FINE_TUNE, threads=1,
                                           **vars(METHODS[FINE_TUNE])), kept, None)
