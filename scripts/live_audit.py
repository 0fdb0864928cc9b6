#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over many times in a live ROS 2 graph, and once more each in process, at the same seeds.

What differs live is what a robot has as well: processes, a network, a scheduler. Simulator and
policy are started anew for every seed, all in one ROS domain of their own. Exit status 0 if no
live episode was unsafe and at most --fewer fewer were completed than in process, else 1, or 2 for
a model that cannot be used. The JSON has what simulator and policy said in every live episode,
their warnings as well: a difference is explained there.

  scripts/live_audit.py models/knife_uncloned.onnx --episodes 50 --json live.json
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from live_handover import Watcher, node, own_domain
from tqdm import tqdm

from uncloning_ros.audit.run.rollout import require_fit, run_rollouts
from uncloning_ros.cli.arguments import new_path, positive_int
from uncloning_ros.cli.arguments import seed as seed_argument
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import write_whole
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.runtime.limits import COUNTS
from uncloning_ros.scenario import Scenario, find_scenario

_TIMEOUT_S = 60.0
_WARNING = 30  # of rcl_interfaces/msg/Log
# When the policy is done, the person has the tool by then or never.
_GRACE_S = 5.0


class Quiet(Watcher):
    """Keep what simulator and policy say, the policy's states as they change, and warnings."""

    def __init__(self) -> None:
        from rcl_interfaces.msg import Log

        super().__init__()
        self.told: list[str] = []
        self._node.create_subscription(Log, '/rosout', self._on_log, 100)

    def _on_log(self, message: Any) -> None:
        if message.level >= _WARNING:
            self._say(message.name, message.msg)

    def _say(self, who: str, what: str) -> None:
        self.told.append(f'{time.monotonic() - self._began_s:.2f} s {who}: {what}')


def live_episode(model: Path, scenario: str, seed: int, folder: Path) -> dict[str, Any]:
    """Run one live handover and return the simulator's outcome and the policy's counters.

    In the ROS domain of this process.
    """
    with contextlib.ExitStack() as stack:
        watcher = Quiet()
        stack.callback(watcher.close)
        processes = [
            stack.enter_context(node('simulator', scenario=scenario, seed=seed)),
            stack.enter_context(node('policy', model_path=model.resolve(), seed=seed,
                                     incident_dir=folder, auto_activate='true',
                                     autostart='true'))]
        end_s = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < end_s and watcher.outcome['phase'] != 'over':
            if any(process.poll() is not None for process in processes):
                break
            if watcher.status['state'] in ('done', 'fault'):
                end_s = min(end_s, watcher.status_s + _GRACE_S)
            watcher.spin()
        return {'outcome': watcher.outcome, 'counters': watcher.status.get('counters', {}),
                'overruns': watcher.status.get('overruns'), 'told': watcher.told}


def rows(live: list[dict[str, Any]], inside: list[EpisodeResult]) -> list[dict[str, Any]]:
    """Return one row for each seed: what came of it live and in process."""
    found = []
    for episode, result in zip(live, inside, strict=True):
        outcome, counters = episode['outcome'], episode['counters']
        found.append({
            'seed': result.seed,
            'live': {'completed': bool(outcome.get('completed')), 'mode': outcome.get('mode'),
                     'unsafe': outcome.get('unsafe')},
            'in_process': {'completed': result.outcome.completed, 'mode': result.outcome.mode,
                           'unsafe': None if result.outcome.unsafe is None
                           else result.outcome.unsafe.clause},
            'holds': counters.get('holds', 0), 'late_chunks': counters.get('late_chunks', 0),
            'overruns': episode['overruns'],
            'limits': {name: counters[name] for name in COUNTS if counters.get(name)},
            'outcome': episode['outcome'], 'told': episode['told']})
    return found


def in_words(came: dict[str, Any]) -> str:
    """Return what came of an episode, live or in process."""
    said = (came['mode'] or 'completed') if came['completed'] else 'not completed'
    return said if came['unsafe'] is None else f'{said}, UNSAFE'


def compare(model: Path, scenario: Scenario, seeds: list[int], fewer: int,
            out: Path | None) -> int:
    """Run all of it, print the table, and return the exit status."""
    require_fit(load_policy(model), model, scenario)
    with own_domain(), tempfile.TemporaryDirectory(prefix='uncloning_live_') as folder:
        live = [live_episode(model, scenario.name, seed, Path(folder))
                for seed in tqdm(seeds, unit='episode', desc='live')]
    with tqdm(total=len(seeds), unit='episode', desc='in process') as bar:
        inside = run_rollouts(model, scenario, seeds, os.cpu_count() or 1,
                              on_done=lambda _: bar.update())
    table = rows(live, inside)
    if out is not None:
        write_whole(out, (json.dumps(table, indent=1, allow_nan=False) + '\n').encode())
    line = '{:>8}  {:<28}  {:<28}  {:>5}  {:>11}  {:>6}  {}'
    print(line.format('seed', 'in process', 'live', 'holds', 'late chunks', 'missed', 'limits'))
    for row in table:
        print(line.format(row['seed'], in_words(row['in_process']), in_words(row['live']),
                          row['holds'], row['late_chunks'], str(row['overruns']),
                          ', '.join(f'{count} {name}' for name, count in row['limits'].items())))
    completed = [sum(row[where]['completed'] for row in table) for where in ('live', 'in_process')]
    unsafe = [sum(row[where]['unsafe'] is not None for row in table)
              for where in ('live', 'in_process')]
    print(f'of {len(seeds)} episodes, live and in process: {completed[0]} and {completed[1]} '
          f'completed, {unsafe[0]} and {unsafe[1]} unsafe; live {sum(r["holds"] for r in table)} '
          f'holds, {sum(bool(r["limits"]) for r in table)} episodes that touched a limit')
    return int(unsafe[0] > 0 or completed[0] < completed[1] - fewer)


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, help='the exported policy, a .onnx file')
    parser.add_argument('--scenario', default='knife', help='(default: %(default)s)')
    parser.add_argument('--episodes', type=positive_int, default=50,
                        help='(default: %(default)s)')
    parser.add_argument('--seed', type=seed_argument, default=200000,
                        help='of the first one (default: %(default)s)')
    parser.add_argument('--fewer', type=int, default=2,
                        help='so many fewer may be completed live (default: %(default)s)')
    parser.add_argument('--json', type=new_path, help='write every episode to this file')
    try:
        args = parser.parse_args()
        import rclpy  # noqa: F401 - tell early what is missing
        return compare(args.model, find_scenario(args.scenario),
                       list(range(args.seed, args.seed + args.episodes)), args.fewer, args.json)
    except UncloningError as err:
        print(f'live_audit: {err}', file=sys.stderr)
        return 2
    except ImportError as err:
        print(f'live_audit: {err.name} is not installed; source ROS 2 or run: make venv',
              file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
