# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The closed loop against a world that keeps a diary, and in the real one over processes."""

import dataclasses
import itertools
import math
import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audit_models import SCENARIO, Muted, result, short_contract, write_policy
from loop_inputs import samples

from uncloning_ros.audit.run.film import Film, moments
from uncloning_ros.audit.run.rollout import (
    SETTLE_S,
    NoisyStart,
    film_episodes,
    first_observations,
    run_episode,
    run_noisy_starts,
    run_rollouts,
)
from uncloning_ros.errors import AuditError, ModelError
from uncloning_ros.policy_io import Observation, Plan, chunk_noise
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.simulation.world import open_world

HZ = 240
# The first physics steps at which a cycle of 100 Hz is due.
CYCLE_STEPS = [math.ceil(k * HZ / 100) for k in range(100)]
CONTRACT = short_contract(max_episode_s=1.0)


class FakeWorld:
    """Deliver a fresh sample of everything at each step; keep what is commanded and when."""

    physics_hz = HZ

    def __init__(self, silent: bool = False, over_at_step: int | None = None) -> None:
        self._silent, self._over_at_step = silent, over_at_step
        self.receiver = SimpleNamespace(offer_m=np.array([0.6, -0.1, 0.3]))
        self.drawn = {'pull_n': 6.0}
        self.commands: list[tuple[int, np.ndarray]] = []
        self.seeds: list[int] = []
        self.step = 0

    def reset(self, seed: int) -> None:
        self.seeds.append(seed)
        self.step = 0

    @property
    def time_ns(self) -> int:
        return self.step * 10**9 // HZ

    @property
    def over(self) -> bool:
        return self._over_at_step is not None and self.step >= self._over_at_step

    def command(self, action: np.ndarray) -> None:
        self.commands.append((self.step, action))

    def advance(self) -> None:
        self.step += 1

    def poll(self) -> list:
        return [] if self._silent else list(samples(self.time_ns).items())

    def trace(self) -> None:
        return None


class Counting:
    """A policy whose i-th action of the n-th chunk moves to x = 0.4 + n / 100 + i / 1000."""

    def __init__(self) -> None:
        self.noises: list[np.ndarray] = []

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        chunk = np.tile(observation.vector[-1][:10], (CONTRACT.policy.horizon, 1))
        chunk[:, 0] = 0.4 + len(self.noises) / 100 + np.arange(len(chunk)) / 1000
        self.noises.append(noise)
        return Plan(chunk.astype(np.float32))


def run(world: FakeWorld, latency_s: float = 0.0, seed: int = 5, policy: Counting | None = None,
        **options):
    loop = ControlLoop(CONTRACT, seed=0)
    return run_episode(world, loop, CONTRACT, policy or Counting(), seed, latency_s, **options)


def test_loop_is_stepped_at_the_contracts_command_rate() -> None:
    world = FakeWorld()
    run(world)
    assert [step for step, _ in world.commands[:60]] == CYCLE_STEPS[1:61]


@pytest.mark.parametrize(('latency_s', 'cycle'), [
    (0.0, 1), (0.005, 1), (0.0125, 1), (0.013, 2), (0.02, 2), (0.03, 3), (0.049, 5)])
def test_an_answer_is_there_in_the_first_cycle_after_the_latency(latency_s: float,
                                                                 cycle: int) -> None:
    world = FakeWorld()
    run(world, latency_s=latency_s)
    # While the policy plans anew the old plan goes on: no later command is missing.
    assert [step for step, _ in world.commands[:60]] == CYCLE_STEPS[cycle:cycle + 60]


def test_the_policy_is_asked_once_for_each_chunk_and_its_chunk_is_followed() -> None:
    world, policy = FakeWorld(), Counting()
    run(world, policy=policy)
    assert len(policy.noises) == 3  # 20 ticks, 8 of each chunk
    at = dict(world.commands)
    # The second chunk starts at cycle 40, so cycle 60 has its action 4.
    assert at[CYCLE_STEPS[60]][0] == pytest.approx(0.41 + 0.004, abs=1e-6)
    assert at[CYCLE_STEPS[55]][0] < at[CYCLE_STEPS[57]][0] < at[CYCLE_STEPS[60]][0]


@pytest.mark.parametrize('latency_s', [-0.001, 0.05, 1.0])
def test_latency_that_does_not_fit_the_period_is_refused(latency_s: float) -> None:
    with pytest.raises(AuditError, match=f'period of 0.05 s, got {latency_s:g} s'):
        run(FakeWorld(), latency_s=latency_s)


@pytest.mark.parametrize(('options', 'seed'), [({}, 41), ({'noise_seed': 6}, 6)])
def test_noise_follows_from_the_environments_seed_unless_another_is_given(
        options: dict[str, int], seed: int) -> None:
    policy, world = Counting(), FakeWorld()
    run(world, seed=41, policy=policy, **options)
    assert world.seeds == [41]
    shape = policy.noises[0].shape
    for index, noise in enumerate(policy.noises):
        np.testing.assert_array_equal(noise, chunk_noise(seed, index, *shape))


def test_episode_ends_when_the_world_is_over() -> None:
    world = FakeWorld(over_at_step=100)
    rollout = run(world)
    assert world.step == 100
    assert rollout.ended == 'policy'
    assert rollout.hand_offer_m == (0.6, -0.1, 0.3)


def test_after_the_loops_end_the_world_settles() -> None:
    world = FakeWorld()
    rollout = run(world)
    # The loop ends at its longest episode of 1 s.
    assert rollout.ended == 'timeout'
    assert world.step == round((1.0 + SETTLE_S) * HZ)
    assert world.commands[-1][0] == 1.0 * HZ
    assert rollout.counters['chunks'] == 3  # 20 ticks, 8 of each chunk


def test_a_policy_that_fails_ends_the_episode_early() -> None:
    def fail(observation: Observation, noise: np.ndarray) -> Plan:
        raise RuntimeError('no memory')

    world = FakeWorld()
    rollout = run(world, policy=fail)
    assert rollout.ended == 'policy_failed'
    assert world.commands == []
    # The failure is known one cycle after the first request.
    assert world.step == CYCLE_STEPS[1] + round(SETTLE_S * HZ)


def test_inputs_that_never_arrive_end_an_episode_too() -> None:
    world = FakeWorld(silent=True)
    rollout = run(world)
    assert world.step == round((1.0 + SETTLE_S) * HZ)
    assert world.commands == []
    assert rollout.counters['chunks'] == 0


def test_every_step_can_be_watched() -> None:
    seen = []
    run(FakeWorld(over_at_step=30), on_step=lambda world: seen.append(world.step))
    assert seen == list(range(1, 31))


def test_what_begins_an_episode_comes_before_the_loop() -> None:
    world = FakeWorld()
    seen: list[tuple[int, int]] = []

    def begin(given: FakeWorld) -> dict:
        for _ in range(100):
            given.advance()
        seen.append((given.step, len(given.commands)))
        return samples(given.time_ns)

    rollout = run(world, begin=begin)
    assert seen == [(100, 0)]
    assert 100 <= world.commands[0][0] < 110
    assert rollout.ended == 'timeout'
    assert world.step == 100 + round((1.0 + SETTLE_S) * HZ)  # it has its whole time


def test_moments_are_few_apart_and_in_order() -> None:
    told = moments(result(1))
    times = [time_s for _, time_s in told]
    assert {'receiver takes it', 'robot let go', 'end'} <= {what for what, _ in told}
    assert times == sorted(times)
    assert all(b - a >= 0.15 for a, b in itertools.pairwise(times))
    assert 3 <= len(told) <= 6


@pytest.fixture(scope='module')
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp('models') / 'still.onnx', noise_scale=0.1)


def test_results_do_not_depend_on_processes_or_order(still: Path) -> None:
    seeds = [11, 12, 13]
    heard: list[int] = []
    alone = run_rollouts(still, SCENARIO, seeds, 1, on_done=lambda r: heard.append(r.seed))
    together = run_rollouts(still, SCENARIO, seeds[::-1], 2)
    assert alone == together[::-1]
    assert [r.seed for r in alone] == seeds
    assert sorted(heard) == seeds
    assert len({r.hand_offer_m for r in alone}) == 3
    assert {r.outcome.failure for r in alone} == {'not_grasped'}
    assert {r.ended for r in alone} == {'timeout'}


def test_an_episode_follows_from_the_seeds_of_environment_and_noise(still: Path) -> None:
    same, other = run_noisy_starts(still, SCENARIO, [NoisyStart(11, 11), NoisyStart(11, 12)], 1)
    assert [same] == run_rollouts(still, SCENARIO, [11], 1)
    assert (same.seed, same.conditions) == (other.seed, other.conditions)
    assert same.hardware_limits != other.hardware_limits


def test_the_first_observation_of_an_episode_is_that_of_its_first_plan(still: Path) -> None:
    found = first_observations(still, SCENARIO, [11, 12, 11], 1)
    assert found[0].vector.shape == load_policy(still).observation_shape
    np.testing.assert_array_equal(found[0].vector, found[2].vector)  # and leaves no trace
    assert not np.array_equal(found[0].vector, found[1].vector)
    # The first observation fills the history.
    np.testing.assert_array_equal(found[0].vector[0], found[0].vector[-1])


@pytest.mark.slow
def test_a_steering_decides_in_every_process_and_none_leaves_the_file_alone(
        still: Path, tmp_path: Path) -> None:
    seeds = [11, 12]
    half = write_policy(tmp_path / 'half.onnx', noise_scale=0.05)
    steered = run_rollouts(still, SCENARIO, seeds, 2, steering=Muted(0.5))
    assert steered == run_rollouts(half, SCENARIO, seeds, 1)
    assert steered != run_rollouts(still, SCENARIO, seeds, 1)


def test_one_world_repeats_an_episode_whatever_ran_before() -> None:
    def shove(observation: Observation, noise: np.ndarray) -> Plan:
        """Drive the open gripper through where the tool lies."""
        newest = observation.vector[-1]
        chunk = np.tile(newest[:10], (CONTRACT.policy.horizon, 1))
        tool = CONTRACT.interface.observation_slices['object_pose']
        chunk[:, :3] = newest[tool][:3] + 0.05 * noise[:, :3]
        return Plan(chunk.astype(np.float32))

    world = open_world(SCENARIO, CONTRACT.interface)
    loop = ControlLoop(CONTRACT, seed=0)
    first, _, again = (run_episode(world, loop, CONTRACT, shove, seed, 0.005)
                       for seed in (3, 4, 3))
    world.close()
    assert np.ptp(first.trace.object_pose, axis=0).max() > 0.01  # it was shoved indeed
    np.testing.assert_array_equal(first.trace.object_pose, again.trace.object_pose)
    np.testing.assert_array_equal(first.trace.tool_pose, again.trace.tool_pose)


def test_pictures_show_the_same_episode_again(still: Path) -> None:
    results = run_rollouts(still, SCENARIO, [12], 1)
    done: list[Film] = []
    (film,) = film_episodes(still, SCENARIO, results, 1, on_done=done.append)
    assert [(p.what, p.time_s) for p in film.pictures] == moments(results[0])
    assert all(p.jpeg.startswith(b'\xff\xd8') for p in film.pictures)
    assert film.gif.startswith(b'GIF89a')
    assert film.gif.count(b'\x21\xf9\x04') > 5  # one for each frame
    assert done == [film]
    assert film_episodes(still, SCENARIO, [], 1) == []


def test_an_episode_that_does_not_repeat_is_not_shown(still: Path) -> None:
    (told,) = run_rollouts(still, SCENARIO, [12], 1)
    other = dataclasses.replace(told, chunks=told.chunks + 1)
    with pytest.raises(AuditError, match='episode 12'):
        film_episodes(still, SCENARIO, [other], 1)


def test_model_that_is_not_there_is_refused_before_any_process(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='cannot read'):
        run_rollouts(tmp_path / 'none.onnx', SCENARIO, [1], 1)


def test_model_of_modes_that_the_scenario_does_not_know_is_refused(tmp_path: Path) -> None:
    path = write_policy(tmp_path / 'other.onnx',
                        short_contract(handle_first=True, sideways=False))
    with pytest.raises(AuditError, match="'knife'.*'sideways'"):
        run_rollouts(path, SCENARIO, [1], 1)


def test_a_lost_process_is_told_in_a_sentence(still: Path) -> None:
    def kill(_: object) -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(AuditError, match='process of the audit'):
        run_rollouts(still, SCENARIO, list(range(20, 40)), 1, on_done=kill)
