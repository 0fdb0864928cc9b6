#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over again and again in a live ROS 2 graph, and watch memory, deadlines and latencies.

Simulator, policy and, with --record, the recorder run as separate processes in a ROS domain of
their own. When a handover is over the next one begins, with the next seed; the recorder makes
one take of each. Every --line-s seconds a line reports on the processes, and every HOLD is
printed with its cause. Exit status 1 if a process ends, the policy goes to FAULT, a take is not
kept as good, fewer than two handovers a minute end, or the memory of policy or recorder grows by
more than --most-growth-mb after the first line; 2 for a model that cannot be used.

  scripts/soak.py models/knife_uncloned.onnx --minutes 30 --record /tmp/soaked
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

from live_handover import Watcher, contract_file, node, own_domain

_COLUMNS = ('min', 'policy MB', 'sim MB', 'rec MB', 'takes', 'handovers', 'done', 'holds',
            'chunks', 'late', 'misses', 'cycles', 'wake p99', 'worst', 'cycle p99', 'plan p99')
# The shipped contract ends a handover after 20 s at the latest.
_LEAST_A_MINUTE = 2


class Soak(Watcher):
    """Keep simulator, policy and recorder busy, and add up their reports.

    `processes` are the running nodes by name, the recorder among them if there is one.
    """

    def __init__(self, processes: dict[str, subprocess.Popen[bytes]]) -> None:
        super().__init__()
        from diagnostic_msgs.msg import DiagnosticArray
        from std_srvs.srv import Trigger

        self.processes = processes
        self.ended: Counter[str] = Counter()
        self.refused: list[str] = []
        self._figures: dict[str, str] = {}
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        recorded = 'recorder' in processes
        self._clients = {name: self._node.create_client(Trigger, name) for name in (
            '/simulator/reset', '/policy/start',
            *(('/recorder/start_episode', '/recorder/stop_episode') if recorded else ()))}
        self._before_start = ('/recorder/start_episode',) if recorded else ()
        self._after_end = ('/recorder/stop_episode',) if recorded else ()
        self._request = Trigger.Request
        self._to_call: list[str] = []
        self._under_way: tuple[str, Any] | None = None

    def spin(self) -> None:
        """Take one message; when a handover is over, set up the next one and begin it."""
        super().spin()
        if self._under_way is not None:
            name, answer = self._under_way
            if not answer.done():
                return
            self._under_way = None
            self._judge(name, answer.result())
        if self._to_call:
            name = self._to_call.pop(0)
            self._under_way = name, self._clients[name].call_async(self._request())
            return
        ended = self.status['state'] == 'done'
        if ended and self.outcome['phase'] in ('running', 'completed', 'over'):
            self.ended['handovers'] += 1
            self.ended['completed'] += bool(self.outcome.get('completed'))
            self.outcome = {'phase': 'resetting'}
            # The first handover began by itself, before a take could.
            stop = self._after_end if self.ended['handovers'] > 1 else ()
            self._to_call = [*stop, '/simulator/reset']
        elif ended and self.outcome['phase'] == 'waiting':
            self._to_call = [*self._before_start, '/policy/start']
            self.outcome = {'phase': 'starting'}

    def _judge(self, name: str, answer: Any) -> None:
        """Count a take that was kept, and keep the sentence of a refusal."""
        if name == '/recorder/stop_episode':
            good = answer.success and 'good' in answer.message
            self.ended['takes'] += good
            if not good:
                self.refused.append(f'a take is not good: {answer.message}')
        elif not answer.success:
            self.refused.append(f'{name}: {answer.message}')

    def trouble(self) -> str | None:
        """Return a sentence on a fault, None if all is well."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                return f'the {name} ended with status {process.returncode}'
        if self.status['state'] == 'fault':
            return f'the policy is in FAULT: {self.status["sentence"]}'
        return self.refused[0] if self.refused else None

    def row(self, minutes: float) -> list[str]:
        """Return the figures of this moment as a row of the table."""
        find = self._figures.get
        return [f'{minutes:.1f}', f'{memory_mb(self.processes["policy"]):.2f}',
                f'{memory_mb(self.processes["simulator"]):.2f}',
                f'{memory_mb(self.processes["recorder"]):.2f}' if 'recorder' in self.processes
                else '-', str(self.ended['takes']), str(self.ended['handovers']),
                str(self.ended['completed']), *(find(key, '-') for key in (
                    'holds', 'chunks', 'late_chunks', 'deadline_misses', 'cycles',
                    'wake_up_p99_ms', 'wake_up_worst_ms', 'cycle_p99_ms',
                    'observation_to_chunk_p99_ms'))]

    def _say(self, who: str, what: str) -> None:
        """Print holds and faults: the rest is in the table."""
        if who == 'policy' and what.startswith(('hold', 'fault')):
            super()._say(who, what)

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


def soak(args: argparse.Namespace, sensed: Any, folder: Path) -> list[str]:
    """Run the processes for the given minutes, print a line now and then, return the faults found.

    The simulator has the sensors of the contract `sensed`. `folder` takes the policy's files.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        own = stack.enter_context(contract_file(sensed))
        simulator = stack.enter_context(node('simulator', scenario=args.scenario, seed=args.seed,
                                             contract_path=own))
        contract = {'contract_path': own if args.contract is None else args.contract.resolve()}
        policy = stack.enter_context(node(
            'policy', model_path=args.model.resolve(), seed=args.seed, incident_dir=folder,
            auto_activate='true', autostart='true', **contract))
        processes = {'policy': policy, 'simulator': simulator}
        if args.record is not None:
            processes['recorder'] = stack.enter_context(node(
                'recorder', out=args.record.resolve(), **contract))
        watched = Soak(processes)
        stack.callback(watched.close)
        print('  '.join(_COLUMNS), flush=True)
        begin_s, lines, first_mb = time.monotonic(), 0, dict.fromkeys(processes, 0.0)
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
                if lines == 1:
                    first_mb = {name: memory_mb(process) for name, process in processes.items()}
        grown_mb = {name: memory_mb(process) - first_mb[name]
                    for name, process in processes.items() if name != 'simulator'}
        handovers = watched.ended['handovers']
    found = []
    for name, grown in grown_mb.items():
        print(f'the {name} grew by {grown:.2f} MB after the first line')
        if grown > args.most_growth_mb:
            found.append(f'the {name} grew by {grown:.2f} MB, allowed {args.most_growth_mb:g} MB')
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
    made.add_argument('--record', metavar='FOLDER', type=Path,
                      help='record every handover but the first into this folder')
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
        sensed = load_policy(args.model).contract
    except UncloningError as err:
        print(f'soak: {err}', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix='uncloning_soak_') as folder:
        try:
            wrong = soak(args, sensed, Path(folder))
        except KeyboardInterrupt:
            return 130
    for sentence in wrong:
        print(sentence)
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
