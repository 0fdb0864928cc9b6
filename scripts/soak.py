#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over again and again in a live ROS 2 graph, and watch memory, deadlines and latencies.

Simulator and policy run as separate processes in a ROS domain of their own. When a handover is
over the next one begins, with the next seed. Every --line-s seconds a line reports on both
processes. Exit status 1 if a process ends, the policy goes to FAULT, fewer than two handovers
a minute end, or the memory of the policy grows by more than --most-growth-mb after the first
line; 2 for a model that cannot be used.

  scripts/soak.py models/knife_uncloned.onnx --minutes 30
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from live_handover import Watcher, node, own_domain

_COLUMNS = ('min', 'policy MB', 'sim MB', 'handovers', 'done', 'holds', 'chunks', 'late',
            'misses', 'cycles', 'wake p99', 'worst', 'cycle p99', 'plan p99')
# The shipped contract ends a handover after 20 s at the latest.
_LEAST_A_MINUTE = 2


class Soak(Watcher):
    """Keep a simulator and a policy busy, and add up their reports."""

    def __init__(self, simulator: subprocess.Popen[bytes],
                 policy: subprocess.Popen[bytes]) -> None:
        super().__init__()
        from diagnostic_msgs.msg import DiagnosticArray
        from std_srvs.srv import Trigger

        self.processes = {'policy': policy, 'simulator': simulator}
        self.ended: Counter[str] = Counter()
        self._figures: dict[str, str] = {}
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 1)
        self._reset = self._node.create_client(Trigger, '/simulator/reset')
        self._start = self._node.create_client(Trigger, '/policy/start')
        self._request = Trigger.Request
        self._under_way: Any = None

    def spin(self) -> None:
        """Take one message; when a handover is over, set up the next one and begin it."""
        super().spin()
        if self._under_way is not None and not self._under_way.done():
            return
        ended = self.status['state'] == 'done'
        if ended and self.outcome['phase'] in ('running', 'completed', 'over'):
            self.ended['handovers'] += 1
            self.ended['completed'] += bool(self.outcome.get('completed'))
            self.outcome = {'phase': 'resetting'}
            self._under_way = self._reset.call_async(self._request())
        elif ended and self.outcome['phase'] == 'waiting':
            self._under_way = self._start.call_async(self._request())
            self.status = {'state': 'starting'}

    def trouble(self) -> str | None:
        """Return a sentence on a fault, None if all is well."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                return f'the {name} ended with status {process.returncode}'
        if self.status['state'] == 'fault':
            return f'the policy is in FAULT: {self.status["sentence"]}'
        return None

    def row(self, minutes: float) -> list[str]:
        """Return the figures of this moment as a row of the table."""
        find = self._figures.get
        return [f'{minutes:.1f}', f'{memory_mb(self.processes["policy"]):.2f}',
                f'{memory_mb(self.processes["simulator"]):.2f}', str(self.ended['handovers']),
                str(self.ended['completed']), *(find(key, '-') for key in (
                    'holds', 'chunks', 'late_chunks', 'deadline_misses', 'cycles',
                    'wake_up_p99_ms', 'wake_up_worst_ms', 'cycle_p99_ms',
                    'observation_to_chunk_p99_ms'))]

    def _say(self, who: str, what: str) -> None:
        """Say nothing: there is a table."""

    def _on_diagnostics(self, message: Any) -> None:
        self._figures.update({pair.key: pair.value for status in message.status
                              for pair in status.values})


def memory_mb(process: subprocess.Popen[bytes]) -> float:
    """Return the resident memory of a process."""
    with contextlib.suppress(OSError):
        for line in Path(f'/proc/{process.pid}/status').read_text(encoding='utf-8').splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) / 1024
    return 0.0


def soak(args: argparse.Namespace, folder: Path) -> list[str]:
    """Run the processes for the given minutes, print a line now and then, return the faults found.

    `folder` takes the policy's files.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        simulator = stack.enter_context(node('simulator', scenario=args.scenario, seed=args.seed))
        contract = {} if args.contract is None else {'contract_path': args.contract.resolve()}
        policy = stack.enter_context(node(
            'policy', model_path=args.model.resolve(), seed=args.seed, incident_dir=folder,
            auto_activate='true', autostart='true', **contract))
        watched = Soak(simulator, policy)
        stack.callback(watched.close)
        print('  '.join(_COLUMNS), flush=True)
        begin_s, lines, first_mb = time.monotonic(), 0, 0.0
        while lines * args.line_s < args.minutes * 60:
            watched.spin()
            trouble = watched.trouble()
            if trouble is not None:
                return [trouble]
            lasted_s = time.monotonic() - begin_s
            if lasted_s >= (lines + 1) * args.line_s:
                lines += 1
                row = watched.row(lasted_s / 60)
                print('  '.join(text.rjust(len(name)) for text, name in
                                zip(row, _COLUMNS, strict=True)), flush=True)
                first_mb = first_mb or memory_mb(policy)
        grown_mb, handovers = memory_mb(policy) - first_mb, watched.ended['handovers']
    print(f'the policy grew by {grown_mb:.2f} MB after the first line')
    found = []
    if grown_mb > args.most_growth_mb:
        found.append(f'the policy grew by {grown_mb:.2f} MB, allowed {args.most_growth_mb:g} MB')
    if handovers < _LEAST_A_MINUTE * args.minutes:
        found.append(f'{handovers} handovers ended, expected at least '
                     f'{_LEAST_A_MINUTE * args.minutes}')
    return found


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('model', type=Path, help='the exported policy, a .onnx file')
    made.add_argument('--minutes', type=float, default=30, help='(default: %(default)s)')
    made.add_argument('--line-s', type=int, default=60,
                      help='time in s between two printed lines (default: %(default)s)')
    made.add_argument('--scenario', default='knife', help='(default: %(default)s)')
    made.add_argument('--contract', type=Path,
                      help="contract of this robot for the policy (default: the model's own)")
    made.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    made.add_argument('--most-growth-mb', type=float, default=4.0, help='(default: %(default)s)')
    return made


def main() -> int:
    """Run the script."""
    args = parser().parse_args()
    try:
        import rclpy  # noqa: F401 - report early that it is missing
    except ImportError:
        print('soak: rclpy is not installed; source ROS 2 or run: make venv', file=sys.stderr)
        return 2

    from uncloning_ros.errors import UncloningError
    from uncloning_ros.runtime.inference import load_policy

    try:
        load_policy(args.model)
    except UncloningError as err:
        print(f'soak: {err}', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix='uncloning_soak_') as folder:
        try:
            wrong = soak(args, Path(folder))
        except KeyboardInterrupt:
            return 130
    for sentence in wrong:
        print(sentence)
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
