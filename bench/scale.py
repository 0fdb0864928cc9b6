#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure an audit on two Ray workers relative to one, and check that both are one audit.

- episodes per s by two workers relative to one, in turns, after each worker has made its world;
- the same relative to the processes of uncloning audit --workers;
- the records of every run have to be equal, also where a worker is killed amid its shard.

It needs Ray (pip install '.[ray]') and two idle cores.

  bench/scale.py --json docs/benchmarks_scale.json
  bench/scale.py --page      write the table of docs/scale.md from that file
"""

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
from measure import Figure, Ratio, Report

from uncloning_ros.audit.cluster.handing_out import run_on
from uncloning_ros.audit.cluster.ray_cluster import LOCAL, ray_cluster
from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.cli.arguments import count
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S

_REPOSITORY = Path(__file__).resolve().parents[1]
_PAGE = _REPOSITORY / 'docs' / 'scale.md'
_FOUND = _REPOSITORY / 'docs' / 'benchmarks_scale.json'
_BEGIN, _END = '<!-- begin of the table -->\n', '<!-- end of the table -->'
_EPISODES, _EPISODES_SHORT = 60, 12
_REPEATS = 3
_WARM_UP = 16  # episodes, so that each worker has made its world
FIRST_SEED = 60_000_000
_LEAST_GAIN = 1.7
_MANY = 100_000  # episodes of the reckoning


def main() -> int:
    """Run the benchmark, or write the table of its findings."""
    parser = measure.parser(__doc__)
    parser.add_argument('--episodes', type=count(), metavar='N',
                        help=f'episodes of each run (default: {_EPISODES})')
    parser.add_argument('--page', action='store_true',
                        help=f'write the table of {_PAGE.name} from {_FOUND.name}')
    args = parser.parse_args()
    if args.page:
        page = _PAGE.read_text(encoding='utf-8')
        _PAGE.write_text(with_table(page, read_json(_FOUND, UncloningError)), encoding='utf-8')
        return 0
    return measure.run(compare, args)


def compare(args: argparse.Namespace) -> Report:
    """Measure the speeds in turns; exit with a sentence if records differ."""
    episodes = args.episodes or (_EPISODES_SHORT if args.short else _EPISODES)
    model, scenario = share_path('models') / 'knife_uncloned.onnx', find_scenario('knife')
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    speeds: dict[str, list[float]] = {'one': [], 'two': [], 'processes': []}
    records: list[Sequence[EpisodeResult]] = []
    for _ in range(1 if args.short else _REPEATS):
        for name, workers in (('one', 1), ('two', 2)):
            with ray_cluster(LOCAL, workers) as cluster:
                _on(cluster, model, scenario, range(FIRST_SEED - _WARM_UP, FIRST_SEED))
                began = time.perf_counter()
                records.append(_on(cluster, model, scenario, seeds))
                speeds[name].append(episodes / (time.perf_counter() - began))
        done: list[float] = []
        records.append(run_rollouts(model, scenario, seeds, 2,
                                    on_done=lambda _, at=done: at.append(time.perf_counter())))
        # From the second episode on both processes have made their worlds.
        speeds['processes'].append((episodes - 2) / (done[-1] - done[1]))
    with ray_cluster(LOCAL, 2) as cluster:
        killed = _Killer()
        records.append(_on(cluster, model, scenario, seeds, killed))
    if not killed.killed:
        sys.exit('scale: found no Ray worker to kill; report a bug')
    if any(list(record) != list(records[0]) for record in records):
        sys.exit('scale: the records of two runs differ; report a bug')
    bytes_each = len(json.dumps([plain(one) for one in records[0]])) / episodes
    return Report(
        'An audit on Ray', [
            _ratio('two Ray workers / one', speeds['two'], speeds['one'], _LEAST_GAIN),
            _ratio('two Ray workers / two processes', speeds['two'], speeds['processes'])],
        [*(Figure(label, {'episodes_per_s': round(_mean(speeds[name]), 3)})
           for name, label in (('one', 'one Ray worker'), ('two', 'two Ray workers'),
                               ('processes', 'two processes'))),
         Figure('records', {'equal_runs': len(records), 'bytes_each': round(bytes_each),
                            'killed_workers': 1})],
        'Speeds: higher is better. On a machine with other work the first ratio shows the free '
        'share of its cores.')


def with_table(page: str, found: dict[str, Any]) -> str:
    """Return the page with the table of the findings, and the reckoning for many episodes."""
    figures = {figure['name']: figure['values'] for figure in found['figures']}
    one = figures['one Ray worker']['episodes_per_s']
    two = figures['two Ray workers']['episodes_per_s']
    ratios = {ratio['name']: ratio for ratio in found['ratios']}
    gain = ratios['two Ray workers / one']
    machine, records = found['machine'], figures['records']
    load = ', '.join(map(str, machine['load_average']))
    hours = _MANY / one / 3600
    rows = [
        ('machine', f'{machine["cores"]} cores, {machine["processor"]}'),
        ('load before the run', load),
        ('one Ray worker', f'{one:.3g} episodes per s'),
        ('two Ray workers', f'{two:.3g} episodes per s'),
        ('two workers / one', f'{gain["value"]:.2f} (from {gain["low"]:.2f} to '
                              f'{gain["high"]:.2f}; aim: {gain["target"]})'),
        ('two workers / two processes of --workers 2',
         f'{ratios["two Ray workers / two processes"]["value"]:.2f}'),
        ('runs with equal records, one of them with a killed worker', records['equal_runs']),
        (f'{_MANY:,} episodes on one core', f'{hours:.0f} hours'),
        (f'{_MANY:,} episodes on 64 cores, at the efficiency of two workers',
         f'{hours / 64 / (gain["value"] / 2):.1f} hours'),
        (f'file of evidence of {_MANY:,} episodes', f'{records["bytes_each"] * _MANY / 1e6:.0f} '
                                                    f'MB'),
    ]
    table = '| | |\n|---|---|\n' + ''.join(f'| {name} | {value} |\n' for name, value in rows)
    return re.sub(f'{_BEGIN}.*{_END}', lambda _: _BEGIN + table + _END, page, flags=re.DOTALL)


class _Killer:
    """Kill one Ray worker of this process when the first episode is there."""

    def __init__(self) -> None:
        self.killed = False

    def __call__(self, _: EpisodeResult) -> None:
        workers = [] if self.killed else _ray_workers(os.getpid())
        if workers:
            os.kill(workers[0], signal.SIGKILL)
            self.killed = True


def _ray_workers(driver: int) -> list[int]:
    """Return the Ray workers at work whose cluster this process has started."""
    parents, names = {}, {}
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            parents[int(folder.name)] = int(
                (folder / 'stat').read_text().rpartition(')')[2].split()[1])
            names[int(folder.name)] = (folder / 'cmdline').read_bytes()
        except OSError:
            continue
    return [pid for pid, name in names.items() if b'ray::episodes_text' in name
            and parents.get(parents[pid]) == driver]


def _on(cluster: Any, model: Path, scenario: Scenario, seeds: range,
        on_done: Callable[[EpisodeResult], object] = lambda _: None) -> list[EpisodeResult]:
    return run_on(cluster, model, scenario, seeds, INFERENCE_LATENCY_S, on_done, None)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ratio(name: str, ones: Sequence[float], others: Sequence[float],
           least: float | None = None) -> Ratio:
    each = [one / other for one, other in zip(ones, others, strict=True)]
    value = _mean(ones) / _mean(others)
    target, met = ('', None) if least is None else (f'at least {least:g}', value >= least)
    return Ratio(name, value, min(each), max(each), target, met)


if __name__ == '__main__':
    raise SystemExit(main())
