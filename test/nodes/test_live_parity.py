# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a running policy saw is what its recording says that it saw, sample for sample."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from live_policy import CONTRACT

from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.nodes.recorder import Recorder
from uncloning_ros.runtime.incident import read_incident

CHUNKS = 12  # that are compared


def ros_ahead_ns() -> int:
    """Return by how much ROS time is ahead of the monotonic clock."""
    return time.time_ns() - time.monotonic_ns()


def test_a_recording_tells_what_the_policy_saw_but_for_what_straddles_a_tick(
        graph: Any, robot: Any, activate: Callable[..., Any], tmp_path: Path,
        record_property: Callable[[str, object], None]) -> None:
    """Policy and recorder get a message each in its own time, and a tick may lie between.

    Values change with every round of the robot, so each tells the round that it is from. Those
    that stand still are equal anyhow.
    """
    live = activate()
    graph.add(Recorder, out=str(tmp_path / 'demos'))
    live.reach('waiting', 'not_started')
    assert live.call('start').success
    live.reach('active', 'policy')
    graph.until(lambda: graph.call(robot, '/recorder/start_episode').success,
                lambda: robot.said)
    before = live.status['counters']['chunks']
    live.until(lambda: live.status['counters']['chunks'] >= before + CHUNKS + 2)
    answer = live.call('dump')
    ahead_ns = ros_ahead_ns()
    live.let_rounds_pass(5)
    assert graph.call(robot, '/recorder/stop_episode').success
    incident = read_incident(Path(answer.message.removeprefix('wrote ')))
    [path] = list_episodes(tmp_path / 'demos')
    episode = read_episode(path)

    compared = straddling = 0
    for tick_ns, seen in zip(incident.ticks_ns, incident.observations[:, -1], strict=True):
        for signal in CONTRACT.interface.observations:
            samples = episode.samples[signal.key]
            recorded = np.array([sample.values for sample in samples], dtype=np.float32)
            arrivals_ns = np.array([sample.receive_ns for sample in samples])
            newest = int(np.searchsorted(arrivals_ns, tick_ns + ahead_ns, side='right')) - 1
            if not 0 <= newest < len(samples) - 1:
                continue  # before the recording began
            compared += 1
            value = seen[CONTRACT.interface.observation_slices[signal.key]]
            if np.array_equal(value, recorded[newest]):
                continue
            straddling += 1
            known = np.flatnonzero((recorded == value).all(axis=1))
            assert len(known), f'{signal.key} at {tick_ns}: {value} was never recorded'
            # A message that the recorder had after the tick may have been the policy's before
            # it, but no later one was there yet.
            assert known.min() <= newest + 1, f'{signal.key} at {tick_ns} is from the future'
    record_property('compared', compared)
    record_property('straddling', straddling)
    assert compared >= CHUNKS * len(CONTRACT.interface.observations) // 2
    assert straddling < compared
