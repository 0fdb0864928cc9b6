# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a policy is trained on is what it will see: bags against the running control loop."""

from collections.abc import Callable
from pathlib import Path

import episodes
import foreign_bags
import numpy as np
import pytest
import seeing
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loop_inputs import Run, action, constant_policy
from numpy.typing import NDArray

from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.episode import Episode
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.policy_io import Observation

MS = episodes.MS
CONTRACT = episodes.CONTRACT
Late = Callable[[str, Sample], int]


def jittered(seed: int) -> episodes.Samples:
    """Return a handover whose messages arrive irregularly, at up to 10 ms after their time."""
    rng = np.random.default_rng(seed)
    return {key: sorted((Sample(s.values, s.stamp_ns, s.receive_ns + int(rng.integers(10 * MS)))
                         for s in found), key=lambda s: s.receive_ns)
            for key, found in episodes.handover(seed=seed).items()}


def seen_live(episode: Episode, ticks: NDArray[np.int64],
              late_ns: Late = lambda key, sample: 0) -> dict[int, NDArray[np.float32]]:
    """Return the history of every chunk that a running loop asks for, by the tick it is from."""
    return {tick: seen.vector for tick, seen in observed_live(episode, ticks, late_ns).items()}


def observed_live(episode: Episode, ticks: NDArray[np.int64],
                  late_ns: Late = lambda key, sample: 0) -> dict[int, Observation]:
    """Return the observation of every chunk that a running loop asks for, by its tick.

    `late_ns` is by how much later than the recorder the loop receives a message; its first cycle
    is the first tick at which it has a message of every key.
    """
    keys = [signal.key for signal in episode.contract.interface.observations]
    arrivals = sorted(((s.receive_ns + late_ns(key, s), key, s) for key in keys
                       for s in episode.samples[key]), key=lambda item: item[0])
    first_ns = max(next(at_ns for at_ns, key, _ in arrivals if key == one) for one in keys)
    run = Run(constant_policy(action(0.5)), contract=episode.contract,
              begin_ns=int(ticks[ticks >= first_ns][0]))
    newest: dict[str, Sample] = {}
    at = 0
    while run.now_ns <= ticks[-1]:
        while at < len(arrivals) and arrivals[at][0] <= run.now_ns:
            receive_ns, key, sample = arrivals[at]
            newest[key] = Sample(sample.values, sample.stamp_ns, receive_ns)
            at += 1
        decision = run.step(newest)
        assert decision.state.value == 'active', decision
    return {request.tick_ns: request.observation for request in run.asked}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_windows_of_a_bag_are_what_the_running_loop_asks_with(seed: int) -> None:
    episode = episodes.episode(jittered(seed))
    observations, _, ticks, _ = align(episode, CONTRACT)
    asked = seen_live(episode, ticks)
    execute, history = CONTRACT.policy.execute, CONTRACT.policy.history
    assert list(asked) == [int(tick) for tick in ticks[::execute]]
    for frame, found in zip(range(0, len(ticks), execute), asked.values(), strict=True):
        rows = np.maximum(np.arange(frame - history + 1, frame + 1), 0)
        np.testing.assert_array_equal(found, observations[rows])


@pytest.mark.parametrize('how', ['mcap', 'sqlite3, file zstd'])
def test_so_are_the_windows_of_a_dataset_made_of_a_bag_on_disk(how: str, tmp_path: Path) -> None:
    messages = foreign_bags.messages_of(jittered(3))
    path = foreign_bags.write(tmp_path / 'take', messages, how)
    episode = read_episode(path, CONTRACT)
    dataset = build_dataset([path], tmp_path / 'data',
                            Recipe(episodes.KNIFE, Reading(CONTRACT)), Split()).dataset
    ticks = align(episode, CONTRACT)[2]
    asked = seen_live(episode, ticks)
    frames = np.searchsorted(ticks, list(asked))
    histories, _ = dataset.gather(frames)
    np.testing.assert_array_equal(histories, np.stack(list(asked.values())))


@pytest.mark.parametrize('how', ['mcap', 'mcap, chunk zstd', 'sqlite3', 'sqlite3, file zstd'])
def test_the_pictures_of_a_dataset_are_those_that_the_running_loop_asks_with(
        how: str, tmp_path: Path) -> None:
    messages = foreign_bags.messages_of(seeing.handover(seed=4), seeing.CONTRACT)
    path = foreign_bags.write(tmp_path / 'take', messages, how)
    episode = read_episode(path, seeing.CONTRACT)
    dataset = build_dataset([path], tmp_path / 'data',
                            Recipe(episodes.KNIFE, Reading(seeing.CONTRACT)), Split()).dataset
    ticks = align(episode, seeing.CONTRACT).ticks_ns
    asked = observed_live(episode, ticks)
    frames = np.searchsorted(ticks, list(asked))
    assert len(frames) > 5
    for key, pixels in dataset.pictures.items():
        np.testing.assert_array_equal(pixels[frames],
                                      [seen.pictures[key] for seen in asked.values()])


@settings(max_examples=15, deadline=None)
@example(159314)  # a message on both sides of the first tick
@given(st.integers(0, 2**32 - 1))
def test_where_both_receive_at_different_times_only_what_straddles_a_tick_differs(
        seed: int) -> None:
    """Recorder and policy are two processes: each gets a message up to 3 ms after the other."""
    rng = np.random.default_rng(seed)
    apart_ns = 3 * MS
    lags: dict[tuple[str, int], int] = {}

    def late_ns(key: str, sample: Sample) -> int:
        return lags.setdefault((key, sample.stamp_ns), int(rng.integers(apart_ns)))

    episode = episodes.episode(jittered(seed))
    observations, _, ticks, _ = align(episode, CONTRACT)
    asked = seen_live(episode, ticks, late_ns)
    slices = CONTRACT.interface.observation_slices
    differing = 0
    for tick, found in asked.items():
        frame = int(np.searchsorted(ticks, tick))
        for key, part in slices.items():
            if np.array_equal(found[-1, part], observations[frame, part]):
                continue
            differing += 1
            straddling = [s for s in episode.samples[key]
                          if s.receive_ns <= tick < s.receive_ns + late_ns(key, s)]
            assert straddling, f'{key} differs at {tick} without a message on both sides of it'
    assert differing < 0.2 * len(asked) * len(slices)
