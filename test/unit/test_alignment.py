# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes on the grid of ticks: what the policy would have seen, and what is left out."""

from dataclasses import replace
from typing import Any

import episodes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.errors import (
    DatasetError,
)

MS = episodes.MS
CONTRACT = episodes.CONTRACT
INTERFACE = CONTRACT.interface
GRIPPER = INTERFACE.observation_slices['gripper_width']
WIDTH = INTERFACE.action_slices['target_width']


def with_timing(**changes: Any) -> Contract:
    return replace(CONTRACT, policy=replace(CONTRACT.policy, **changes))


def numbered(duration_s: float = 2.0) -> episodes.Samples:
    """Return a handover whose gripper width and commanded width tell their own arrival in ms."""
    samples = episodes.handover(duration_s=duration_s)
    for key in ('gripper_width', 'target_width'):
        samples[key] = [moved(sample, 0) for sample in samples[key]]
    return samples


def moved(sample: Sample, by_ms: float) -> Sample:
    """Return the sample, arriving later; a width of it tells when, in ms from the beginning."""
    receive_ns = sample.receive_ns + round(by_ms * MS)
    values = (np.array([(receive_ns - episodes.BEGIN_NS) / MS]) if len(sample.values) == 1
              else sample.values)
    return replace(sample, values=values, receive_ns=receive_ns)


def ms(ticks: Any) -> Any:
    return (ticks - episodes.BEGIN_NS) / MS


def test_observation_is_the_newest_at_the_tick_and_action_the_first_after_it() -> None:
    samples = numbered()
    observations, actions, ticks, _ = align(episodes.episode(samples), CONTRACT)
    # Tracked poses first arrive at 50 ms; commands fall on the ticks.
    assert ms(ticks[0]) == 50
    assert set(np.diff(ms(ticks))) == {50}
    assert ms(ticks[-1]) == ms(samples['target_width'][-1].receive_ns)
    np.testing.assert_allclose(observations[:, GRIPPER][:, 0], ms(ticks))
    np.testing.assert_allclose(actions[:, WIDTH][:, 0], ms(ticks))


def test_commands_that_lag_behind_their_observation_stay_with_it() -> None:
    """Jitter of the teacher's loop moves the grid, it pairs no command with an older one."""
    rng = np.random.default_rng(1)
    samples = numbered()
    lags = rng.uniform(2.0, 9.0, size=len(samples['target_width']))
    for key in ('target_pose', 'target_width'):
        samples[key] = [moved(s, lag) for s, lag in zip(samples[key], lags, strict=True)]
    observations, actions, _, _ = align(episodes.episode(samples), CONTRACT)
    answered_ms = actions[:, WIDTH] - observations[:, GRIPPER]
    # All but the few earliest of all commands answer what was seen within this period.
    assert np.mean((answered_ms >= 0) & (answered_ms < 25)) > 0.9
    assert answered_ms.max() < 75


NUMBERED = numbered()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 40.0), st.floats(0.0, 40.0))
def test_no_frame_sees_the_future_or_an_answer_to_the_past(
        seed: int, jitter_ms: float, phase_ms: float) -> None:
    rng = np.random.default_rng(seed)
    samples = dict(NUMBERED)
    samples['gripper_width'] = sorted(
        (moved(s, rng.uniform(0, jitter_ms)) for s in samples['gripper_width']),
        key=lambda s: s.receive_ns)
    for key in ('target_pose', 'target_width'):
        samples[key] = [moved(s, phase_ms) for s in samples[key]]
    observations, actions, ticks, _ = align(episodes.episode(samples), CONTRACT)
    arrivals = np.array([ms(s.receive_ns) for s in samples['gripper_width']])
    commands = np.array([ms(s.receive_ns) for s in samples['target_width']])
    for seen, done, tick in zip(observations[:, GRIPPER][:, 0], actions[:, WIDTH][:, 0],
                                ms(ticks), strict=True):
        assert seen == pytest.approx(arrivals[arrivals <= tick].max(), abs=1e-3)
        assert done == pytest.approx(commands[commands >= tick].min(), abs=1e-3)


def test_an_observation_exactly_as_old_as_allowed_is_used_and_an_older_one_is_not() -> None:
    def without(last: int) -> episodes.Samples:
        samples = numbered()
        del samples['wrist_force'][41:last + 1]
        return samples

    # Number 40 arrives at 1000 ms, number i at 25 i ms; ticks are at 1050, 1100, 1150 ms.
    align(episodes.episode(without(45)), CONTRACT)
    with pytest.raises(DatasetError, match=r'wrist_force .* 0.1 s at 1.10 s'):
        align(episodes.episode(without(46)), CONTRACT)


def test_a_measurement_that_is_repeated_with_an_old_stamp_is_stale() -> None:
    samples = numbered()
    frozen = samples['hand_pose'][20]
    samples['hand_pose'] = [
        replace(s, stamp_ns=frozen.stamp_ns, values=frozen.values) if i > 20 else s
        for i, s in enumerate(samples['hand_pose'])]
    with pytest.raises(DatasetError, match=r'hand_pose .* 0.350 s before'):
        align(episodes.episode(samples), CONTRACT)


def changing(limit_s: float) -> Contract:
    """Return the contract with a hand that must not stand still for longer than told."""
    deployment = CONTRACT.deployment
    hand = replace(deployment.observations['hand_pose'], max_unchanged_s=limit_s)
    return replace(CONTRACT, deployment=replace(
        deployment, observations={**deployment.observations, 'hand_pose': hand}))


def test_a_measurement_that_stands_still_is_refused_where_the_contract_says_so() -> None:
    samples = numbered()
    samples['hand_pose'] = [replace(s, values=s.values + 1e-6 * min(i, 20))
                            for i, s in enumerate(samples['hand_pose'])]
    with pytest.raises(DatasetError, match=r'hand_pose .* 0.5 s at 1.05 s; .*max_unchanged_s'):
        align(episodes.episode(samples), changing(0.5))
    # Number 20 arrives at 550 ms; the last tick is at 1950 ms.
    align(episodes.episode(samples), changing(1.4))
    with pytest.raises(DatasetError, match=r'hand_pose .* 1.399 s'):
        align(episodes.episode(samples), changing(1.399))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([7.0, 10.0, 20.0, 33.0, 100.0, 125.0, 500.0]), st.floats(0.0, 1.0),
       st.floats(0.0, 0.4), st.integers(0, 2**32 - 1))
def test_the_action_is_the_first_command_at_or_after_the_tick_at_any_command_rate(
        rate_hz: float, phase: float, jitter: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    period_ms = 1000.0 / rate_hz
    samples = dict(NUMBERED)
    arrivals_ms = [(i + phase + rng.uniform(0, jitter)) * period_ms
                   for i in range(int(2000 / period_ms) - 1)]
    for key in ('target_pose', 'target_width'):
        first = NUMBERED[key][0]
        samples[key] = [moved(first, at_ms) for at_ms in arrivals_ms]
    _, actions, ticks, _ = align(episodes.episode(samples), CONTRACT)
    assert set(np.diff(ticks)) == {CONTRACT.policy.period_ns}
    commands = np.array([ms(s.receive_ns) for s in samples['target_width']])
    for done, tick in zip(actions[:, WIDTH][:, 0], ms(ticks), strict=True):
        assert done == pytest.approx(commands[commands >= tick].min(), abs=1e-3)
        assert done - tick < 1.5 * max(period_ms, 50)


def test_the_first_frame_is_the_first_with_everything_fresh() -> None:
    samples = numbered()
    samples['hand_pose'] = [samples['hand_pose'][0], *samples['hand_pose'][30:]]
    for key in ('target_pose', 'target_width'):
        samples[key] = samples[key][12:]
    _, _, ticks, _ = align(episodes.episode(samples), CONTRACT)
    # Commands begin at 600 ms; the hand, seen at 50 ms, is seen again at 800 ms.
    assert ms(ticks[0]) == 800


def test_an_observation_that_goes_stale_on_the_way_is_refused() -> None:
    samples = numbered()
    del samples['hand_pose'][20:40]
    with pytest.raises(DatasetError, match=r'hand_pose .* 0.3 s at 0\.'):
        align(episodes.episode(samples), CONTRACT)


def test_waiting_before_the_first_command_is_left_out() -> None:
    samples = numbered()
    for key in ('target_pose', 'target_width'):
        samples[key] = samples[key][12:]
    _, _, ticks, _ = align(episodes.episode(samples), CONTRACT)
    assert ms(ticks[0]) == 600


def test_a_pause_of_the_commands_is_refused() -> None:
    samples = numbered()
    del samples['target_pose'][10:20]
    with pytest.raises(DatasetError, match='no target_pose for 0.50 s'):
        align(episodes.episode(samples), CONTRACT)


def test_a_clock_that_jumped_is_told_and_fills_no_memory() -> None:
    """A robot without a clock of its own begins in 1970 and soon hears what year it is."""
    samples = {key: [*found[:20], *(replace(s, receive_ns=s.receive_ns + 10**18)
                                    for s in found[20:])] for key, found in numbered().items()}
    with pytest.raises(DatasetError, match='86400 s, got 1000000002 s; the clock'):
        align(episodes.episode(samples), CONTRACT)


def test_an_episode_shorter_than_history_and_execution_is_refused() -> None:
    with pytest.raises(DatasetError, match=r'at least 10 frames .history . execute., got 9'):
        align(episodes.episode(numbered(0.5)), CONTRACT)
    assert len(align(episodes.episode(numbered(0.55)), CONTRACT)[2]) == 10


def test_a_slower_policy_sees_every_other_tick() -> None:
    episode = episodes.episode(numbered())
    fast = align(episode, CONTRACT)[2]
    slow = align(episode, with_timing(rate_hz=10.0))[2]
    assert set(slow) <= set(fast)
    assert len(slow) == -(-len(fast) // 2)
