#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over again and again in a live ROS 2 graph, and watch memory, deadlines and latencies.

Simulator and policy run as separate processes in a ROS domain of their own. When a handover is
over the next one begins, with the next seed. Once a minute a line tells how both processes do.
Exit status 1 if a process ends, the policy goes to FAULT, or its memory grows by more than
--most-growth-mb after the first minute; 2 for a model that cannot be used.

  scripts/soak.py models/knife_uncloned.onnx --minutes 30
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from live_handover import node, own_domain

_COLUMNS = ('min', 'policy MB', 'sim MB', 'handovers', 'done', 'holds', 'chunks', 'late',
            'misses', 'cycles', 'wake p99', 'worst', 'cycle p99', 'plan p99')


class Soak:
    """Keep a simulator and a policy busy, and add up what they say of themselves."""

    def __init__(self, simulator: subprocess.Popen[bytes],
                 policy: subprocess.Popen[bytes]) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        from std_srvs.srv import Trigger

        rclpy.init()
        self._node = rclpy.create_node('soak')
        self._spin = rclpy.spin_once
        self.processes = {'policy': policy, 'simulator': simulator}
        self.status: dict[str, Any] = {'state': 'starting'}
        self._outcome: dict[str, Any] = {'phase': 'starting'}
        self._figures: dict[str, str] = {}
        self._ended: Counter[str] = Counter()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, '/simulator/outcome', self._on_outcome, latched)
        self._node.create_subscription(String, '/policy/status', self._on_status, latched)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 1)
        self._reset = self._node.create_client(Trigger, '/simulator/reset')
        self._start = self._node.create_client(Trigger, '/policy/start')
        self._request = Trigger.Request
        self._under_way: Any = None

    def close(self) -> None:
        """Leave the graph."""
        import rclpy

        self._node.destroy_node()
        rclpy.try_shutdown()

    def spin(self) -> None:
        """Take one message; when a handover is over, set up the next one and begin it."""
        self._spin(self._node, timeout_sec=0.1)
        if self._under_way is not None and not self._under_way.done():
            return
        ended = self.status['state'] == 'done'
        if ended and self._outcome['phase'] in ('running', 'completed', 'over'):
            self._ended['handovers'] += 1
            self._ended['completed'] += bool(self._outcome.get('completed'))
            self._outcome = {'phase': 'resetting'}
            self._under_way = self._reset.call_async(self._request())
        elif ended and self._outcome['phase'] == 'waiting':
            self._under_way = self._start.call_async(self._request())
            self.status = {'state': 'starting'}

    def trouble(self) -> str | None:
        """Return a sentence on what must not happen, None if all is well."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                return f'the {name} ended with status {process.returncode}'
        if self.status['state'] == 'fault':
            return f'the policy is in FAULT: {self.status["sentence"]}'
        return None

    def row(self, minute: float) -> list[str]:
        """Return the figures of this moment as a row of the table."""
        find = self._figures.get
        return [f'{minute:.1f}', f'{memory_mb(self.processes["policy"]):.2f}',
                f'{memory_mb(self.processes["simulator"]):.2f}', str(self._ended['handovers']),
                str(self._ended['completed']), *(find(key, '-') for key in (
                    'holds', 'chunks', 'late_chunks', 'deadline_misses', 'cycles',
                    'wake_up_p99_ms', 'wake_up_worst_ms', 'cycle_p99_ms',
                    'observation_to_chunk_p99_ms'))]

    def _on_outcome(self, message: Any) -> None:
        self._outcome = json.loads(message.data)

    def _on_status(self, message: Any) -> None:
        self.status = json.loads(message.data)

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


def soak(args: argparse.Namespace, folder: Path) -> int:
    """Run the processes for so long, print a line each minute, return the exit status."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        simulator = stack.enter_context(node('simulator', scenario=args.scenario, seed=args.seed))
        policy = stack.enter_context(node(
            'policy', model_path=args.model.resolve(), seed=args.seed, incident_dir=folder,
            auto_activate='true', autostart='true'))
        watched = Soak(simulator, policy)
        stack.callback(watched.close)
        print('  '.join(_COLUMNS), flush=True)
        begin_s, told, first_mb = time.monotonic(), 0, 0.0
        while told < args.minutes:
            watched.spin()
            trouble = watched.trouble()
            if trouble is not None:
                print(trouble)
                return 1
            minute = (time.monotonic() - begin_s) / 60
            if minute >= told + 1:
                told += 1
                row = watched.row(minute)
                print('  '.join(text.rjust(len(name)) for text, name in
                                zip(row, _COLUMNS, strict=True)), flush=True)
                first_mb = first_mb or memory_mb(policy)
        grown_mb = memory_mb(policy) - first_mb
        print(f'the policy grew by {grown_mb:.2f} MB after the first minute, allowed '
              f'{args.most_growth_mb:g} MB')
        return int(grown_mb > args.most_growth_mb)


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, help='the exported policy, a .onnx file')
    parser.add_argument('--minutes', type=int, default=30, help='(default: %(default)s)')
    parser.add_argument('--scenario', default='knife', help='(default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='(default: %(default)s)')
    parser.add_argument('--most-growth-mb', type=float, default=4.0, help='(default: %(default)s)')
    args = parser.parse_args()
    try:
        import rclpy  # noqa: F401 - tell early what is missing
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
            return soak(args, Path(folder))
        except KeyboardInterrupt:
            return 130


if __name__ == '__main__':
    sys.exit(main())
