# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorders that are killed at any moment, and what became of their takes."""

import contextlib
import hashlib
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from inputs import CONTRACT
from processes import REPOSITORY

from uncloning_ros.contract import Signal
from uncloning_ros.conversions import encode
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode, verify_episode
from uncloning_ros.demos.recording.recovery import recover
from uncloning_ros.geometry import pose_from_parts, rotation_about_z

PATIENCE_S = 60.0
_PERIOD_S = 0.02


class Traffic:
    """Publish every topic of the contract at 50 Hz from a thread; each message has its number.

    The number is the first value of each signal, so that a message that is missing between two
    others is noticed. `silent` keys are left out.
    """

    def __init__(self) -> None:
        import rclpy
        from rclpy.context import Context

        from uncloning_ros.nodes.topics import message_class
        self.silent: set[str] = set()
        self._classes = message_class
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('traffic', context=self._context)
        deployment = CONTRACT.deployment
        self._topics = {**deployment.observations, **deployment.actions}
        self._publishers = {key: self._node.create_publisher(message_class(topic.type),
                                                             topic.topic, 1000)
                            for key, topic in self._topics.items()}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name='traffic')
        self._thread.start()

    def close(self) -> None:
        """Stop publishing."""
        self._ending.set()
        self._thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _run(self) -> None:
        number = 0
        begin_s = time.monotonic()
        while not self._ending.wait(max(0.0, begin_s + number * _PERIOD_S - time.monotonic())):
            number += 1
            for signal in (*CONTRACT.interface.observations, *CONTRACT.interface.actions):
                if signal.key in self.silent:
                    continue
                value = number * _step(signal)
                values = (pose_from_parts((value, 0.0, 0.3), rotation_about_z(0.0))
                          if signal.kind == 'pose' else np.full(signal.dim, value))
                self._publishers[signal.key].publish(encode(
                    signal, self._topics[signal.key].type, values, time.time_ns(),
                    self._classes))


def _step(signal: Signal) -> float:
    """Return what one more is in a signal's values: 3 minutes' worth of numbers are usable."""
    return 1e-4 if signal.kind == 'gripper_width' else 1.0


@contextlib.contextmanager
def traffic() -> Iterator[Traffic]:
    """Let every topic of the contract be published meanwhile."""
    running = Traffic()
    try:
        yield running
    finally:
        running.close()


class Recorder:
    """A recorder's process and somebody who calls its services."""

    def __init__(self, out: Path, log: Path, file_limit_bytes: int | None = None,
                 **parameters: object) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor

        words = [word for key, value in {'out': out, **parameters}.items()
                 for word in ('-p', f'{key}:={value}')]
        limit = None if file_limit_bytes is None else partial(
            resource.setrlimit, resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(
            [str(REPOSITORY), *filter(None, [os.environ.get('PYTHONPATH')])]))
        self.log = log
        with log.open('ab') as output:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'uncloning_ros.nodes.recorder', '--ros-args', *words],
                stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=limit)
        self._context = Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('caller', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> 'Recorder':
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._node.destroy_node()
        self._executor.shutdown()
        self._context.try_shutdown()

    def call(self, name: str) -> Any:
        """Return the answer of a service; None if the recorder ended before it came."""
        from std_srvs.srv import Trigger
        if name not in self._clients:
            self._clients[name] = self._node.create_client(Trigger, f'/recorder/{name}')
        client = self._clients[name]
        if not self._until(client.service_is_ready):
            return None
        future = client.call_async(Trigger.Request())
        return future.result() if self._until(future.done) else None

    def start(self) -> bool:
        """Start an episode as soon as it can be; tell whether the recorder lived to do it."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            answer = self.call('start_episode')
            if answer is None or answer.success:
                return answer is not None
            assert time.monotonic() < end_s, answer.message
            self.wait(0.05)

    def wait(self, duration_s: float) -> None:
        """Let time pass, or until the recorder ends."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s and self.process.poll() is None:
            self._executor.spin_once(timeout_sec=0.01)

    def until_said(self, words: str) -> None:
        """Wait until the recorder has said this."""
        assert self._until(lambda: words in self.log.read_text()), self.log.read_text()

    def _until(self, condition: Callable[[], Any]) -> bool:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end_s, f'no answer; it said {self.log.read_text()}'
            self._executor.spin_once(timeout_sec=0.01)
        return True


@dataclass
class CrashCosts:
    """What a series of crashes cost.

    `asked` counts the starts that were answered, `unanswered` those that the crash left without
    an answer; `gaps_s` is, for each recovered take, how long before the kill its last message
    arrived.
    """

    asked: int = 0
    unanswered: int = 0
    finished: int = 0
    recovered: int = 0
    quarantined: list[str] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)


def crash(out: Path, log: Path, costs: CrashCosts, rng: random.Random, within_s: float) -> None:
    """Record takes, kill the recorder at a random moment, recover, and check every promise."""
    before = digests(out)
    killed_ns = _record_until_killed(out, log, costs, rng, within_s)
    kept = digests(out)
    assert before.items() <= kept.items(), 'a finished episode was changed'
    for name in kept.keys() - before.keys():
        verify_episode(out / name)
        require_numbers_without_a_hole(out / name)
    costs.finished += len(kept.keys() - before.keys())
    for outcome in recover(out):
        assert outcome.kind != 'left alone', outcome.sentence
        if outcome.kind == 'quarantined':
            costs.quarantined.append(outcome.sentence)
            continue
        costs.recovered += 1
        require_numbers_without_a_hole(out / outcome.name)
        if 'cut off' in outcome.sentence:
            costs.gaps_s.append((killed_ns - last_arrival_ns(out / outcome.name)) * 1e-9)
    after = digests(out)
    assert kept.items() <= after.items(), 'recovering changed a finished episode'
    assert not list(out.glob('*.partial'))
    assert sorted(after) == [f'episode_{n:06d}' for n in range(len(after))]
    on_disk = costs.finished + costs.recovered + len(costs.quarantined)
    assert costs.asked <= on_disk <= costs.asked + costs.unanswered


def _record_until_killed(out: Path, log: Path, costs: CrashCosts, rng: random.Random,
                         within_s: float) -> int:
    """Start and stop takes until the kill comes; return when it came, in ns since the epoch."""
    killed_ns: list[int] = []
    with Recorder(out, log, min_free_mib=1) as recorder:
        def kill() -> None:
            killed_ns.append(time.time_ns())
            recorder.process.kill()

        killer = threading.Timer(rng.uniform(0.0, within_s), kill)
        begun = recorder.start()
        assert begun, f'the recorder ended by itself: {log.read_text()}'
        costs.asked += 1
        killer.start()
        try:
            while recorder.process.poll() is None:
                recorder.wait(rng.uniform(0.02, within_s / 2))
                if recorder.call('stop_episode') is None:
                    break
                if not recorder.start():
                    costs.unanswered += 1
                    break
                costs.asked += 1
        finally:
            killer.join()
        recorder.process.wait()
    return killed_ns[0]


def digests(out: Path) -> dict[str, str]:
    """Return the digest of every file of every finished episode."""
    if not out.is_dir():
        return {}
    return {path.name: hashlib.sha256(b''.join(
        file.name.encode() + file.read_bytes() for file in sorted(path.iterdir()))).hexdigest()
        for path in list_episodes(out)}


def require_numbers_without_a_hole(path: Path) -> None:
    """Check that no message is missing between the first and the last of any topic.

    An episode may be too short for every topic to have one.
    """
    from mcap.reader import make_reader
    if min(verify_episode(path).values()) == 0:
        return
    steps = {signal.key: _step(signal) for signal in (*CONTRACT.interface.observations,
                                                      *CONTRACT.interface.actions)}
    for key, samples in read_episode(path, CONTRACT).samples.items():
        numbers = [round(float(sample.values[0]) / steps[key]) for sample in samples]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), (path, key)
    with next(path.glob('*.mcap')).open('rb') as stream:
        assert make_reader(stream).get_summary() is not None


def last_arrival_ns(path: Path) -> int:
    """Return when the last message of a bag arrived."""
    from mcap.reader import make_reader
    with next(path.glob('*.mcap')).open('rb') as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None and summary.statistics is not None
    return int(summary.statistics.message_end_time)
