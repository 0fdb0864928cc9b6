# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorder processes that are killed, stopped, or run out of disk lose no take silently."""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import crashes
import pytest
from crashes import CrashCosts, Recorder, Traffic

from uncloning_ros.demos.bags.layout import list_episodes, list_unfinished
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.demos.bags.verdict import recorded_health
from uncloning_ros.demos.recording.recovery import recover

pytestmark = pytest.mark.slow


@pytest.fixture
def traffic() -> Iterator[Traffic]:
    with crashes.traffic() as running:
        yield running


@pytest.mark.parametrize('seeds', [range(1), pytest.param(range(1, 6), marks=pytest.mark.proof)],
                         ids=['once', 'five times'])
def test_a_recorder_that_is_killed_at_any_moment_loses_no_take(
        traffic: Traffic, tmp_path: Path, seeds: range) -> None:
    costs = CrashCosts()
    for seed in seeds:
        crashes.crash(tmp_path / 'demos', tmp_path / 'log', costs, random.Random(seed), 1.5)
    assert costs.asked >= len(seeds)
    assert costs.finished + costs.recovered + len(costs.quarantined) >= len(seeds)


def test_every_take_that_was_asked_for_is_on_the_disk(traffic: Traffic, tmp_path: Path) -> None:
    out = tmp_path / 'demos'
    with Recorder(out, tmp_path / 'log') as recorder:
        for _ in range(8):
            assert recorder.start()
            recorder.wait(0.2)
            assert recorder.call('stop_episode').success
    assert [path.name for path in list_episodes(out)] == [f'episode_{n:06d}' for n in range(8)]
    for path in list_episodes(out):
        assert min(verify_episode(path).values()) >= 2
        crashes.require_numbers_without_a_hole(path)


def test_a_disk_that_refuses_to_write_is_told_and_what_was_written_is_kept(
        traffic: Traffic, tmp_path: Path) -> None:
    out = tmp_path / 'demos'
    # A limit on the size of a file stands in for a full disk: both fail in write().
    with Recorder(out, tmp_path / 'log', file_limit_bytes=150_000) as recorder:
        assert recorder.start()
        while list_unfinished(out) and 'ended: cannot write' not in recorder.log.read_text():
            recorder.wait(0.1)
            assert recorder.process.poll() is None
        assert not recorder.call('stop_episode').success
        assert recorder.start()  # the next one goes on
        recorder.wait(0.2)
        assert recorder.call('stop_episode').success
    [outcome] = recover(out)
    assert outcome.kind == 'finished'
    assert [path.name for path in list_episodes(out)] == ['episode_000000', 'episode_000001']
    for path in list_episodes(out):
        crashes.require_numbers_without_a_hole(path)
    health = recorded_health(read_episode(out / 'episode_000000').events)
    assert health is not None and health.findings[0].kind == 'recovered'


def test_a_topic_that_dies_is_named_in_answer_and_bag(traffic: Traffic, tmp_path: Path) -> None:
    out = tmp_path / 'demos'
    with Recorder(out, tmp_path / 'log') as recorder:
        assert recorder.start()
        recorder.wait(0.5)
        traffic.silent.add('hand_pose')
        recorder.until_said('nothing arrives on /hand_pose')
        answer = recorder.call('stop_episode')
    assert answer.success and '/hand_pose: nothing for' in answer.message
    health = recorded_health(read_episode(list_episodes(out)[0]).events)
    assert health is not None and health.verdict == 'findings'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_open_take_whole(traffic: Traffic, tmp_path: Path,
                                            number: signal.Signals) -> None:
    out = tmp_path / 'demos'
    with Recorder(out, tmp_path / 'log') as recorder:
        assert recorder.start()
        recorder.wait(0.5)
        recorder.process.send_signal(number)
        assert recorder.process.wait(crashes.PATIENCE_S) == 0
    [path] = list_episodes(out)
    crashes.require_numbers_without_a_hole(path)
    assert json.loads(json.dumps(read_episode(path).events[-1][1]))['event'] == 'stop'
