# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy in closed loop in the simulator, over several processes.

Every command is decided by the same `ControlLoop` that a robot runs. An episode depends on the
model's file, the scenario, its seed and the inference latency alone: neither on how many
processes share the work, nor on what ran before it. The policy's noise is seeded with the
environment's seed, so that two models at one seed meet the same start, person, sensor noise and
policy noise.

The simulator is imported in the worker processes only: who starts them needs no physics engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from uncloning_ros.audit.run.film import Film, Filming
from uncloning_ros.audit.run.wrong_starts import WrongStart, begin_as
from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import AuditError
from uncloning_ros.judging.episode import EpisodeResult, judge
from uncloning_ros.policy_io import Infer
from uncloning_ros.processes import submit, worker_pool
from uncloning_ros.runtime.control_loop import ControlLoop, PlanAnswer, State, answer
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.scenario import Scenario

if TYPE_CHECKING:
    from uncloning_ros.judging.trace import Trace
    from uncloning_ros.simulation.pybullet.world import World

# How long after an observation the answer to it is there. Stated and not measured, or results
# would differ from machine to machine; one thread needs about a fifth of it.
INFERENCE_LATENCY_S = 0.005

# After the loop's last command so much is simulated: a hand-off is seen to its end.
SETTLE_S = 2.0

# Counters of the control loop that are no limit.
_NO_LIMITS = ('cycles', 'chunks', 'holds', 'late_chunks', 'dropped_chunks')


@dataclass(frozen=True)
class Rollout:
    """One episode as it ran: the simulator's truth, why the loop ended, what it counted.

    `drawn` is what was drawn for its person, by name with its unit.
    """

    seed: int
    trace: Trace
    hand_offer_m: tuple[float, float, float]
    drawn: Mapping[str, float]
    ended: str
    counters: Mapping[str, int]


class Steering(Protocol):
    """What decides in a policy's place, with the help of it: plain data, as it travels too."""

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return what answers the control loop; called once in each worker process."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a worker process has to build: plain data, since it travels there."""

    model: Path
    sha256: str
    scenario: Scenario
    inference_latency_s: float
    steering: Steering | None = None


def run_episode(world: World, loop: ControlLoop, contract: Contract, infer: Infer, seed: int,
                inference_latency_s: float,
                on_step: Callable[[World], None] | None = None,
                noise_seed: int | None = None,
                begin: Callable[[World], dict[str, Sample]] | None = None) -> Rollout:
    """Run one episode until nothing more can happen; `on_step` sees the world at each step.

    The loop steps at the contract's command rate. What it asks the policy is answered
    `inference_latency_s` later. The episode ends when the world says so, `SETTLE_S` after the
    loop ended, or at the contract's longest duration. The policy's noise is seeded with
    `noise_seed`, by default with `seed`. `begin` may drive the world before the loop starts; it
    gives the newest samples.
    """
    period_ns = contract.deployment.command_period_ns
    latency_ns = round(inference_latency_s * 1e9)
    if not 0 <= latency_ns < contract.policy.period_ns:
        raise AuditError(f'an inference latency of {inference_latency_s:g} s does not fit the '
                         f'policy\'s period of {contract.policy.period_ns * 1e-9:g} s; give one '
                         f'in [0, {contract.policy.period_ns * 1e-9:g})')
    from uncloning_ros.simulation.pybullet.world import PHYSICS_HZ

    rate_hz = contract.deployment.command_rate_hz
    if rate_hz > PHYSICS_HZ:
        raise AuditError(f'expected a command_rate_hz of at most {PHYSICS_HZ}, the rate of the '
                         f'simulated physics, got {rate_hz:g}; give a smaller multiple of the '
                         f'policy\'s rate')
    world.reset(seed)
    samples: dict[str, Sample] = {} if begin is None else begin(world)
    loop.reset(seed if noise_seed is None else noise_seed)
    loop.start()
    next_cycle_ns = world.time_ns
    end_ns = next_cycle_ns + round(
        (contract.deployment.episode_end.max_episode_s + SETTLE_S) * 1e9)
    under_way: tuple[int, PlanAnswer] | None = None
    ended, reason = False, ''
    while not world.over and world.time_ns < end_ns:
        now_ns = world.time_ns
        samples.update(world.poll())
        # The world's time is rounded to whole ns, so a cycle may come out one short.
        if now_ns + 1 >= next_cycle_ns:
            next_cycle_ns += period_ns
            if under_way is not None and now_ns >= under_way[0]:
                loop.deliver(under_way[1], now_ns)
                under_way = None
            decision = loop.step(now_ns, samples)
            reason = decision.reason
            if decision.request is not None:
                under_way = (now_ns + latency_ns, answer(infer, decision.request))
            if decision.command is not None:
                world.command(decision.command)
            if not ended and decision.state in (State.DONE, State.FAULT):
                ended = True
                end_ns = min(end_ns, now_ns + round(SETTLE_S * 1e9))
        world.advance()
        if on_step is not None:
            on_step(world)
    x, y, z = (float(value) for value in world.receiver.offer_m)
    return Rollout(seed, world.trace(), (x, y, z), world.receiver.drawn, reason, loop.counters)


def result_of(rollout: Rollout, scenario: Scenario, desired_modes: Sequence[str]) -> EpisodeResult:
    """Return what the episode amounts to."""
    counters = rollout.counters
    return EpisodeResult(
        seed=rollout.seed, hand_offer_m=rollout.hand_offer_m,
        conditions=_conditions(rollout, scenario),
        outcome=judge(rollout.trace, scenario, desired_modes), ended=rollout.ended,
        holds=counters['holds'], chunks=counters['chunks'],
        limits={name: n for name, n in counters.items() if name not in _NO_LIMITS})


def _conditions(rollout: Rollout, scenario: Scenario) -> dict[str, float]:
    """Return all that was drawn or set for an episode, by name with its unit."""
    x, y, _, along_x, along_y = rollout.trace.object_pose[0, :5].tolist()
    tracking = scenario.tracking
    return {**rollout.drawn, 'object_x_m': x, 'object_y_m': y,
            'object_yaw_rad': math.atan2(along_y, along_x),
            'tracking_noise_m': tracking.position_noise_m,
            'tracking_latency_s': tracking.latency_s, 'tracking_dropout': tracking.dropout}


def run_rollouts(model: Path, scenario: Scenario, seeds: Sequence[int], workers: int,
                 inference_latency_s: float = INFERENCE_LATENCY_S,
                 on_done: Callable[[EpisodeResult], object] | None = None,
                 steering: Steering | None = None) -> list[EpisodeResult]:
    """Run one episode for each seed over processes and return the results in the seeds' order.

    `on_done` sees each result as it comes, in no certain order. `steering` decides in the
    model's place, for comparisons; without it the file alone is judged. Call it from the main
    thread, which is where Ctrl-C arrives. Raise `ModelError` for a model that cannot be used,
    `AuditError` for one that does not fit the scenario or if a process is lost.
    """
    setting = replace(_setting(model, scenario, inference_latency_s), steering=steering)
    results: dict[int, EpisodeResult] = {}
    with worker_pool(min(workers, len(seeds)), 'the audit', AuditError, _enter, setting) as pool:
        for future in as_completed(submit(pool, _episode, seeds)):
            result = future.result()
            results[result.seed] = result
            if on_done is not None:
                on_done(result)
    return [results[seed] for seed in seeds]


def run_wrong_starts(model: Path, scenario: Scenario, starts: Sequence[WrongStart], workers: int,
                     inference_latency_s: float = INFERENCE_LATENCY_S,
                     on_done: Callable[[], object] = lambda: None) -> list[EpisodeResult]:
    """Run episodes that are begun in a given mode and return the results, in the same order."""
    setting = _setting(model, scenario, inference_latency_s)
    with worker_pool(min(workers, len(starts)), 'the audit', AuditError, _enter,
                     setting) as pool:
        futures = submit(pool, _wrong_start, starts)
        for future in as_completed(futures):
            future.result()
            on_done()
        return [future.result() for future in futures]


def film_episodes(model: Path, scenario: Scenario, results: Sequence[EpisodeResult], workers: int,
                  inference_latency_s: float = INFERENCE_LATENCY_S,
                  on_done: Callable[[], object] = lambda: None) -> list[Film]:
    """Run episodes once more and return what they looked like, in the same order.

    `on_done` is called as each is done.
    """
    if not results:
        return []
    setting = _setting(model, scenario, inference_latency_s)
    with worker_pool(min(workers, len(results)), 'the audit', AuditError, _enter,
                     setting) as pool:
        futures = submit(pool, _film, results)
        for future in as_completed(futures):
            future.result()
            on_done()
        return [future.result() for future in futures]


def _setting(model: Path, scenario: Scenario, inference_latency_s: float) -> Setting:
    policy = load_policy(model)
    require_fit(policy, model, scenario)
    return Setting(model.resolve(), policy.sha256, scenario, inference_latency_s)


def require_fit(policy: OnnxPolicy, path: Path, scenario: Scenario) -> None:
    """Raise `AuditError` unless the scenario can tell every mode of the policy's contract."""
    missing = [mode for mode in policy.contract.interface.modes if mode not in scenario.modes]
    if missing:
        raise AuditError(f'{path} was made for the mode {missing[0]!r}, which scenario '
                         f'{scenario.name!r} cannot recognise (known: '
                         f'{", ".join(scenario.modes)}); audit it in its own scenario')


class _Bench:
    """One process's world and control loop, built once and used for every episode."""

    def __init__(self, setting: Setting) -> None:
        from uncloning_ros.simulation.pybullet.world import World

        policy = load_policy(setting.model, setting.sha256)
        self.setting = setting
        self.contract = policy.contract
        self.policy: Infer = (policy if setting.steering is None
                              else setting.steering.steer(policy))
        self.world = World(setting.scenario, policy.contract.interface)
        self.loop = ControlLoop(policy.contract, seed=0)

    def run(self, seed: int, on_step: Callable[[World], None] | None = None,
            begin: Callable[[World], dict[str, Sample]] | None = None) -> Rollout:
        return run_episode(self.world, self.loop, self.contract, self.policy, seed,
                           self.setting.inference_latency_s, on_step, begin=begin)


_setting_here: Setting | None = None
_bench_here: _Bench | None = None


def _enter(setting: Setting) -> None:
    """Prepare a worker process; what can fail waits for the first task, which can report it."""
    global _setting_here
    _setting_here = setting


def _bench() -> _Bench:
    global _bench_here
    if _bench_here is None:
        assert _setting_here is not None
        _bench_here = _Bench(_setting_here)
    return _bench_here


def _episode(seed: int) -> EpisodeResult:
    bench = _bench()
    return _result(bench, bench.run(seed))


def _wrong_start(start: WrongStart) -> EpisodeResult:
    bench = _bench()
    return _result(bench, bench.run(start.seed, begin=begin_as(
        start.mode, bench.setting.scenario, bench.contract, start.seed)))


def _result(bench: _Bench, rollout: Rollout) -> EpisodeResult:
    return result_of(rollout, bench.setting.scenario, bench.contract.interface.desired_modes)


def _film(result: EpisodeResult) -> Film:
    bench = _bench()
    with Filming(bench.world, result) as filming:
        again = _result(bench, bench.run(result.seed, filming.look))
        film = filming.film()
    if again != result:
        raise AuditError(f'episode {result.seed} went otherwise when it was run again, so the '
                         f'figures of this audit cannot be relied on; report this')
    return film
