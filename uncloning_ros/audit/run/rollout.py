# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy in closed loop in the simulator, over several processes.

The same `ControlLoop` as on a robot decides every command. An episode depends on the model's
file, the scenario, its seed and the inference latency alone: neither on the number of processes
that share the work, nor on earlier episodes. The policy's noise is seeded with the environment's
seed, so that two models at one seed have the same start, person, sensor noise and policy noise.
In a world of two arms the loop of a second policy, the partner, commands the arm that receives;
its noise is seeded with another number.

The physics engine is imported in the worker processes alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from uncloning_ros.audit.run.film import Film, Filming
from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import AuditError
from uncloning_ros.judging.doubted import Doubted
from uncloning_ros.judging.episode import EpisodeResult, judge
from uncloning_ros.judging.said import said_of
from uncloning_ros.judging.trace import Trace
from uncloning_ros.policy_io import Float32, Infer, Intent, Observation, Plan
from uncloning_ros.processes import share
from uncloning_ros.runtime.control_loop import ControlLoop, State
from uncloning_ros.runtime.doubt import watch_of
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.capabilities import require_pair, require_played, require_simulable
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S, Driver
from uncloning_ros.simulation.world import World, open_world
from uncloning_ros.simulation.wrong_starts import WrongStart, begin_as

SETTLE_S = 2.0  # time (s) simulated after the loop's end, in which a hand-off comes to its end

# Distance from the seed of a policy's noise to that of its partner's: no audit has that many.
_PARTNER_SEEDS = 2**40

# Command that takes the outcomes of a task without a scenario.
_OBSERVED = 'uncloning evidence trials'

# Counters of the control loop that count something else than a limit.
_NO_LIMITS = ('cycles', 'chunks', 'holds', 'late_chunks', 'dropped_chunks')

_Item = TypeVar('_Item')
_Out = TypeVar('_Out')


@dataclass(frozen=True)
class Rollout:
    """One episode as it ran: the simulator's truth, the loop's last reason and its counters.

    `drawn` has the values drawn for the episode, by name with their unit; `intents` those of the
    plans, each with the time (s) since the start at which it was there; `doubted` is None for a
    policy without doubt.
    """

    seed: int
    trace: Trace
    hand_offer_m: tuple[float, float, float]
    drawn: Mapping[str, float]
    ended: str
    counters: Mapping[str, int]
    intents: Sequence[tuple[float, Intent]] = ()
    doubted: Doubted | None = None


@dataclass(frozen=True)
class NoisyStart:
    """Start of one episode: the seed of the environment, and that of the policy's noise."""

    seed: int
    noise_seed: int


class Steering(Protocol):
    """A method that answers in a policy's place, with its help; plain data, as it travels too."""

    def steer(self, policy: OnnxPolicy) -> Infer:
        """Return the steered policy; called once in each worker process."""


@dataclass(frozen=True)
class Setting:
    """Setting of a worker process: plain data, since it travels there.

    `partner` is the policy of the arm that receives with its sha256, None for a person. With
    `ignore_doubt` no doubt holds an arm.
    """

    model: Path
    sha256: str
    scenario: Scenario
    inference_latency_s: float
    steering: Steering | None
    partner: tuple[Path, str] | None = None
    ignore_doubt: bool = False


def run_episode(world: World, loop: ControlLoop, contract: Contract, infer: Infer, seed: int,
                inference_latency_s: float,
                on_step: Callable[[World], None] | None = None,
                noise_seed: int | None = None,
                begin: Callable[[World], dict[str, Sample]] | None = None,
                partner: Driver | None = None) -> Rollout:
    """Run one episode to its end; `on_step` takes the world at each step.

    The loop steps at the contract's command rate; the policy's answer to its request comes
    `inference_latency_s` later. The episode ends when the world says so, `SETTLE_S` after the
    loop ended, or at the contract's longest duration. The policy's noise is seeded with
    `noise_seed`, by default with `seed`. `begin` may drive the world before the loop starts; it
    gives the newest samples. `partner` drives the arm that receives, for as long as the episode
    lasts.
    """
    latency_ns = round(inference_latency_s * 1e9)
    if not 0 <= latency_ns < contract.policy.period_ns:
        raise AuditError(f'expected an inference latency of at least 0 s and below the policy\'s '
                         f'period of {contract.policy.period_ns * 1e-9:g} s, got '
                         f'{inference_latency_s:g} s; give another one')
    rate_hz = contract.deployment.command_rate_hz
    if rate_hz > world.physics_hz:
        raise AuditError(f'expected a command_rate_hz of at most {world.physics_hz}, the rate of '
                         f'the simulated physics, got {rate_hz:g}; give a smaller multiple of '
                         f'the policy\'s rate')
    world.reset(seed)
    start_ns = world.time_ns
    samples: dict[str, Sample] = {} if begin is None else begin(world)
    noise_seed = seed if noise_seed is None else noise_seed
    driver = Driver(world, loop, contract, infer, latency_ns)
    driver.begin(world.time_ns, noise_seed, samples)
    if partner is not None:
        partner.begin(world.time_ns, noise_seed + _PARTNER_SEEDS, {})
    end_ns = world.time_ns + round(
        (contract.deployment.episode_end.max_episode_s + SETTLE_S) * 1e9)
    ended, reason = False, ''
    while not world.over and world.time_ns < end_ns:
        now_ns = world.time_ns
        decision = driver.act(now_ns)
        if partner is not None:
            partner.act(now_ns)
        if decision is not None:
            reason = decision.reason
            if not ended and decision.state in (State.DONE, State.FAULT):
                ended = True
                end_ns = min(end_ns, now_ns + round(SETTLE_S * 1e9))
        world.advance()
        if on_step is not None:
            on_step(world)
    x, y, z = (float(value) for value in world.receiver.offer_m)
    return Rollout(seed, world.trace(), (x, y, z), world.drawn, reason, loop.counters,
                   [((at_ns - start_ns) * 1e-9, intent) for at_ns, intent in driver.intents],
                   _doubted(loop, start_ns))


def _doubted(loop: ControlLoop, start_ns: int) -> Doubted | None:
    """Return the doubt of an episode that began at a time, None for a policy without doubt."""
    found = loop.doubts
    if found.newest is None:
        return None
    return Doubted(found.greatest,
                   None if found.alarmed_ns is None else (found.alarmed_ns - start_ns) * 1e-9,
                   found.held)


def result_of(rollout: Rollout, scenario: Scenario, desired_modes: Sequence[str]) -> EpisodeResult:
    """Return the judged result of an episode."""
    counters = rollout.counters
    outcome = judge(rollout.trace, scenario, desired_modes)
    return EpisodeResult(
        seed=rollout.seed, hand_offer_m=rollout.hand_offer_m,
        conditions=_conditions(rollout, scenario),
        outcome=outcome, ended=rollout.ended,
        holds=counters['holds'], chunks=counters['chunks'],
        hardware_limits={name: n for name, n in counters.items() if name not in _NO_LIMITS},
        said=said_of(rollout.intents, rollout.trace, outcome.mode), doubted=rollout.doubted)


def _conditions(rollout: Rollout, scenario: Scenario) -> dict[str, float]:
    """Return the values drawn or set for an episode, by name with their unit."""
    x, y, _, along_x, along_y = rollout.trace.object_pose[0, :5].tolist()
    tracking = scenario.tracking
    return {**rollout.drawn, 'object_x_m': x, 'object_y_m': y,
            'object_yaw_rad': math.atan2(along_y, along_x),
            'tracking_noise_m': tracking.position_noise_m,
            'tracking_latency_s': tracking.latency_s, 'tracking_dropout': tracking.dropout}


def run_rollouts(model: Path, scenario: Scenario, seeds: Sequence[int], workers: int,
                 inference_latency_s: float = INFERENCE_LATENCY_S,
                 on_done: Callable[[EpisodeResult], object] = lambda _: None,
                 steering: Steering | None = None, partner: Path | None = None,
                 ignore_doubt: bool = False) -> list[EpisodeResult]:
    """Run one episode for each seed over processes and return the results in the seeds' order.

    `on_done` takes each result as it comes, in no certain order. `steering` decides in the
    model's place, for comparisons; without it the file alone is judged. `partner` is the policy
    of the arm that receives; with `ignore_doubt` doubt is judged and holds no arm. Call it from
    the main thread, where Ctrl-C arrives. Raise `ModelError` for a model that cannot be used,
    `AuditError` for one that does not fit the scenario or if a process is lost.
    """
    return _share(episode_runner, seeds, model, scenario, workers, inference_latency_s, on_done,
                  steering, partner, ignore_doubt)


def run_wrong_starts(model: Path, scenario: Scenario, starts: Sequence[WrongStart], workers: int,
                     inference_latency_s: float = INFERENCE_LATENCY_S,
                     on_done: Callable[[EpisodeResult], object] = lambda _: None,
                     partner: Path | None = None,
                     ignore_doubt: bool = False) -> list[EpisodeResult]:
    """Run episodes that are begun in a given mode; all else as `run_rollouts`."""
    return _share(_wrong_starts, starts, model, scenario, workers, inference_latency_s, on_done,
                  partner=partner, ignore_doubt=ignore_doubt)


def run_noisy_starts(model: Path, scenario: Scenario, starts: Sequence[NoisyStart], workers: int,
                     inference_latency_s: float = INFERENCE_LATENCY_S,
                     on_done: Callable[[EpisodeResult], object] = lambda _: None,
                     ) -> list[EpisodeResult]:
    """Run episodes with noise of a given seed; all else as `run_rollouts`."""
    return _share(_noisy_starts, starts, model, scenario, workers, inference_latency_s, on_done)


def first_observations(model: Path, scenario: Scenario, seeds: Sequence[int], workers: int,
                       inference_latency_s: float = INFERENCE_LATENCY_S,
                       on_done: Callable[[Observation], object] = lambda _: None,
                       ) -> list[Observation]:
    """Return the observation of each episode's first plan; all else as `run_rollouts`.

    The noise of the seed n of the plan is `chunk_noise(n, 0, ...)`. Raise `AuditError` for an
    episode in which the policy is never asked.
    """
    return _share(_first_observations, seeds, model, scenario, workers, inference_latency_s,
                  on_done)


def film_episodes(model: Path, scenario: Scenario, results: Sequence[EpisodeResult], workers: int,
                  inference_latency_s: float = INFERENCE_LATENCY_S,
                  on_done: Callable[[Film], object] = lambda _: None,
                  partner: Path | None = None, ignore_doubt: bool = False) -> list[Film]:
    """Run episodes once more and return their films; all else as `run_rollouts`.

    Raise `AuditError` for an episode with another result than before.
    """
    return _share(_films, results, model, scenario, workers, inference_latency_s, on_done,
                  partner=partner, ignore_doubt=ignore_doubt)


def _share(make: Callable[[Setting], Callable[[_Item], _Out]], items: Sequence[_Item],
           model: Path, scenario: Scenario, workers: int, inference_latency_s: float,
           on_done: Callable[[_Out], object], steering: Steering | None = None,
           partner: Path | None = None, ignore_doubt: bool = False) -> list[_Out]:
    setting = setting_of(model, scenario, inference_latency_s, steering, partner, ignore_doubt)
    return share(make, setting, items, workers, 'the audit', AuditError, on_done)


def setting_of(model: Path, scenario: Scenario, inference_latency_s: float,
               steering: Steering | None = None, partner: Path | None = None,
               ignore_doubt: bool = False) -> Setting:
    """Return the setting of a worker process; raise as `run_rollouts` for models that misfit."""
    policy = load_policy(model)
    other = None if partner is None else load_policy(partner)
    watch_of(policy.contract, policy.doubt, not ignore_doubt)
    require_fit(policy, model, scenario)
    require_partner(policy, other, scenario)
    return Setting(
        model.resolve(), policy.sha256, scenario, inference_latency_s, steering,
        None if partner is None or other is None else (partner.resolve(), other.sha256),
        ignore_doubt)


def require_fit(policy: OnnxPolicy, path: Path, scenario: Scenario) -> None:
    """Raise `AuditError` unless the scenario can tell every mode of the policy's contract.

    Raise `ScenarioError` for a task that no simulator plays.
    """
    require_played(policy.contract.interface,
                   f'have people observe it, and give what they saw to {_OBSERVED}')
    missing = [mode for mode in policy.contract.interface.modes if mode not in scenario.modes]
    if missing:
        raise AuditError(f'{path}: expected modes that scenario {scenario.name!r} recognises '
                         f'({", ".join(scenario.modes)}), got {missing[0]!r}; choose the '
                         f'scenario of its demonstrations, or have people observe it and give '
                         f'what they saw to {_OBSERVED}')


def require_partner(policy: OnnxPolicy, partner: OnnxPolicy | None, scenario: Scenario) -> None:
    """Raise unless a policy and that of the arm that receives fit one world of the scenario.

    That is `ScenarioError` for their interfaces, `AuditError` for a topic that both command.
    """
    require_simulable(policy.contract.interface, scenario)
    require_pair(policy.contract.interface,
                 None if partner is None else partner.contract.interface, scenario)
    if partner is None:
        return
    ours, theirs = ({topic.topic: key for key, topic in one.contract.deployment.actions.items()}
                    for one in (policy, partner))
    for topic in ours:
        if topic in theirs:
            raise AuditError(f'expected topics of its own for each policy, got {topic} for '
                             f'{ours[topic]} of the giver and {theirs[topic]} of the receiver; '
                             f'give each its own in its contract')


class _Asked(Exception):  # noqa: N818 - an end, not an error
    """End an episode at the policy's first plan."""


class _Runner:
    """One process's world and control loop, built once and used for every episode."""

    def __init__(self, setting: Setting) -> None:
        policy = load_policy(setting.model, setting.sha256)
        self._setting = setting
        self._contract = policy.contract
        self._policy: Infer = (policy if setting.steering is None
                               else setting.steering.steer(policy))
        other = None if setting.partner is None else load_policy(*setting.partner)
        self._world = open_world(setting.scenario, policy.contract.interface,
                                 receiving=None if other is None else other.contract.interface)
        self._loop = _loop(policy, setting)
        self._partner: Driver | None = None
        if other is not None and self._world.receiving is not None:
            self._partner = Driver(self._world.receiving, _loop(other, setting),
                                   other.contract, other,
                                   round(setting.inference_latency_s * 1e9))

    def episode(self, seed: int, on_step: Callable[[World], None] | None = None,
                begin: Callable[[World], dict[str, Sample]] | None = None,
                noise_seed: int | None = None) -> EpisodeResult:
        rollout = run_episode(self._world, self._loop, self._contract, self._policy, seed,
                              self._setting.inference_latency_s, on_step, noise_seed, begin,
                              self._partner)
        return result_of(rollout, self._setting.scenario, self._contract.interface.desired_modes)

    def wrong_start(self, start: WrongStart) -> EpisodeResult:
        return self.episode(start.seed, begin=begin_as(
            start.mode, self._setting.scenario, self._contract, start.seed))

    def noisy_start(self, start: NoisyStart) -> EpisodeResult:
        return self.episode(start.seed, noise_seed=start.noise_seed)

    def first_observation(self, seed: int) -> Observation:
        seen: list[Observation] = []

        def watched(observation: Observation, noise: Float32) -> Plan:
            seen.append(observation)
            return self._policy(observation, noise)

        def stop(_: World) -> None:
            if seen:
                raise _Asked

        with suppress(_Asked):
            run_episode(self._world, self._loop, self._contract, watched, seed,
                        self._setting.inference_latency_s, stop)
        if not seen:
            raise AuditError(f'episode {seed}: the policy was never asked for a plan; give '
                             f'another --seed')
        return seen[0]

    def film(self, result: EpisodeResult) -> Film:
        filming = Filming(result)
        if self.episode(result.seed, filming.look) != result:
            raise AuditError(f'episode {result.seed} is not reproducible; do not use this audit, '
                             f'and report a bug')
        return filming.film()


def _loop(policy: OnnxPolicy, setting: Setting) -> ControlLoop:
    return ControlLoop(policy.contract, 0, policy.episode_noise,
                       watch_of(policy.contract, policy.doubt, not setting.ignore_doubt))


def episode_runner(setting: Setting) -> Callable[[int], EpisodeResult]:
    """Return the function that runs the episode of a seed in this process."""
    return _Runner(setting).episode


def _wrong_starts(setting: Setting) -> Callable[[WrongStart], EpisodeResult]:
    return _Runner(setting).wrong_start


def _noisy_starts(setting: Setting) -> Callable[[NoisyStart], EpisodeResult]:
    return _Runner(setting).noisy_start


def _first_observations(setting: Setting) -> Callable[[int], Observation]:
    return _Runner(setting).first_observation


def _films(setting: Setting) -> Callable[[EpisodeResult], Film]:
    return _Runner(setting).film
