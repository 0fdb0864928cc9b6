#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the cost of recording, and the loss in a crash.

- CPU time per message of the recorder relative to a bare raw subscription that discards, both with
  the same 3,000 messages a second (1 kHz joint state, 1 kHz wrench, four poses) in the same run;
- whether every episode holds exactly the messages that were sent;
- with kills at random moments (numbered seeds): finished, recovered and quarantined episodes, and
  the time between the last recovered message and the kill.

  bench/recorder.py
  bench/recorder.py --episodes 20 --seconds 5 --kills 50 --json recorder.json
"""

import argparse
import contextlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
from mcap.reader import make_reader
from measure import Figure, Ratio, Report
from tqdm import tqdm

from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.verdict import Health
from uncloning_ros.errors import UncloningError

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'test'))  # the tests define the crashes

_MOST_RATIO = 1.5  # target of the CPU ratio


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('--episodes', type=int, default=20, help='default: %(default)s')
    parser.add_argument('--seconds', type=float, default=5.0,
                        help='length of each episode (default: %(default)s)')
    parser.add_argument('--kills', type=int, default=0,
                        help='number of kills; each takes some seconds (default: none)')
    return measure.run(compare, parser.parse_args())


def compare(args: argparse.Namespace) -> Report:
    """Record episodes, then kill recorders."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ.setdefault('ROS_DOMAIN_ID', '95')
    episodes, seconds = (2, 2.0) if args.short else (args.episodes, args.seconds)
    report = Report('recorder: CPU per message, and messages on the disk')
    with tempfile.TemporaryDirectory(prefix='recorder_bench_') as folder:
        _throughput(Path(folder), episodes, seconds, report)
        if args.kills:
            _kills(Path(folder), args.kills, report)
    report.note = ('CPU is user and system time of the whole process during the traffic; both '
                   'subscribed at the same time.')
    return report


@dataclass(frozen=True)
class Episode:
    """One episode: CPU of both processes in s, messages sent and recorded by topic."""

    recorder_s: float
    bare_s: float
    took_s: float
    sent: Counter[str]
    recorded: Counter[str]
    in_order: bool
    lost: int
    dropped: int


def _throughput(folder: Path, episodes: int, seconds: float, report: Report) -> None:
    """Record episodes of fast traffic beside a subscriber that discards."""
    from crashes import Recorder
    out = folder / 'demos'
    found = []
    with (_process('publish') as robot, _process('discard') as bare,
          Recorder(out, folder / 'log', min_free_mib=1) as recorder):
        for _ in tqdm(range(episodes), desc='episodes', disable=None):
            if not recorder.start():
                raise UncloningError(f'the recorder ended: {(folder / "log").read_text()}')
            before = measure.cpu_s(recorder.process), measure.cpu_s(bare)
            assert robot.stdin is not None and robot.stdout is not None
            robot.stdin.write(f'{seconds}\n')
            robot.stdin.flush()
            published = json.loads(robot.stdout.readline())
            after = measure.cpu_s(recorder.process), measure.cpu_s(bare)
            answer = recorder.call('stop_episode')
            if not answer.success or not published['acknowledged']:
                raise UncloningError(f'episode failed: {answer.message}, {published}')
            found.append(_episode(list_episodes(out)[-1], published, before, after))
    on_disk = len(list_episodes(out))
    sent = sum(sum(one.sent.values()) for one in found)
    ratios = [one.recorder_s / one.bare_s for one in found]
    recorder_s, bare_s = sum(one.recorder_s for one in found), sum(one.bare_s for one in found)
    value = recorder_s / bare_s
    report.ratios.append(Ratio('recorder to a bare raw subscription, CPU per message', value,
                               min(ratios), max(ratios), f'at most {_MOST_RATIO}',
                               value <= _MOST_RATIO))
    report.figures += [
        Figure('CPU per message', {'recorder_us': recorder_s / sent * 1e6,
                                   'bare_us': bare_s / sent * 1e6}),
        Figure('traffic', {'episodes': episodes, 'on_disk': on_disk, 'sent': sent,
                           'rate_hz': sent / sum(one.took_s for one in found)}),
        Figure('counts', {'equal': sum(one.sent == one.recorded for one in found),
                          'in_order': sum(one.in_order for one in found),
                          'lost': sum(one.lost for one in found),
                          'dropped': sum(one.dropped for one in found)})]


def _episode(path: Path, published: dict[str, Any], before: tuple[float, float],
             after: tuple[float, float]) -> Episode:
    """Count the numbered messages of a bag, and the losses that its last event reports."""
    from recorder_processes import NUMBER_AT
    numbers: dict[str, list[float]] = {}
    health: dict[str, Any] = {}
    with next(path.glob('*.mcap')).open('rb') as stream:
        for schema, channel, message in make_reader(stream, validate_crcs=True).iter_messages():
            if channel.topic.endswith('episode_event'):
                event = json.loads(message.data[8:].rstrip(b'\0'))
                health = event.get('health', health)
                continue
            at = len(message.data) - NUMBER_AT[schema.name.rpartition('/')[2]]
            number, = struct.unpack_from('<d', message.data, at)
            if number > 0:
                numbers.setdefault(channel.topic, []).append(number)
    assert health['schema'] == Health.SCHEMAS[0]
    topics = health['topics'].values()
    return Episode(
        after[0] - before[0], after[1] - before[1], published['took_s'],
        Counter(published['counts']),
        Counter({topic: len(found) for topic, found in numbers.items()}),
        all(found == list(map(float, range(1, len(found) + 1))) for found in numbers.values()),
        round(sum(one['lost'] for one in topics)), round(sum(one['dropped'] for one in topics)))


def _kills(folder: Path, kills: int, report: Report) -> None:
    """Kill recorders at random moments; a broken guarantee raises."""
    from crashes import CrashCosts, crash, traffic
    costs = CrashCosts()
    for seed in tqdm(range(kills), desc='kills', disable=None):
        with traffic():  # started for each kill, since its numbers are limited
            crash(folder / 'crashes', folder / 'crash_log', costs, random.Random(seed), 3.0)
    gaps_s = np.array(costs.gaps_s or [0.0])
    report.figures += [
        Figure('kills', {'kills': kills, 'asked': costs.asked, 'unanswered': costs.unanswered,
                         'finished': costs.finished, 'recovered': costs.recovered,
                         'quarantined': len(costs.quarantined)}),
        Figure('last recovered message before the kill', {
            'p50_s': float(np.median(gaps_s)), 'worst_s': float(gaps_s.max()),
            'n': len(costs.gaps_s)})]


@contextlib.contextmanager
def _process(role: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, str(HERE / 'recorder_processes.py'), role],
                               text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == '__main__':
    sys.exit(main())
