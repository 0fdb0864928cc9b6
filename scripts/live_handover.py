#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand over once in a live ROS 2 graph: simulator and policy as separate processes.

Starts both nodes in a ROS domain of their own, prints their phases, and ends them. Exit status 0
only if the person has the tool, in a desired mode, with no unsafe event; else 1, or 2 for a model
that cannot be used.

  scripts/live_handover.py models/knife_uncloned.onnx --seed 7
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before rclpy is imported: nothing leaves this machine.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

_END_TIMEOUT_S = 10.0  # time (s) in which a node ends after SIGINT: one hold command, last words
_GRACE_S = 5.0  # time (s) after the policy's end in which the person may still get the tool


@contextlib.contextmanager
def own_domain() -> Iterator[None]:
    """Set a ROS domain of this process's own on this machine, unless one is set."""
    if 'ROS_DOMAIN_ID' in os.environ:
        yield
        return
    import domain_coordinator
    with domain_coordinator.domain_id() as number:
        os.environ['ROS_DOMAIN_ID'] = str(number)
        try:
            yield
        finally:
            del os.environ['ROS_DOMAIN_ID']  # from here on another process may use it


@contextlib.contextmanager
def node(name: str, **parameters: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of the package's nodes as a process of its own; end it with SIGINT."""
    words = [word for key, value in parameters.items() for word in ('-p', f'{key}:={value}')]
    process = subprocess.Popen([sys.executable, '-m', f'uncloning_ros.nodes.{name}',
                                '--ros-args', '--log-level', 'warn', *words])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def contract_file(contract: Any) -> Iterator[Path]:
    """Write a contract to a file for other processes; remove it at the end."""
    from uncloning_ros.schema import plain

    with tempfile.TemporaryDirectory(prefix='uncloning_contract_') as folder:
        path = Path(folder) / 'contract.yaml'
        path.write_text(json.dumps(plain(contract)), encoding='utf-8')
        yield path


class Watcher:
    """Listen to the status of simulator and policy, and print its changes."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from rclpy.signals import SignalHandlerOptions
        from std_msgs.msg import String

        # Ctrl-C is for this process to handle: it has two others to end.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._began_s = time.monotonic()
        self._node = rclpy.create_node('live_handover')
        self._spin = rclpy.spin_once
        self.outcome: dict[str, Any] = {'phase': 'starting'}
        self.status: dict[str, Any] = {'state': 'starting'}
        self.status_s = self._began_s  # when the status changed last
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, '/simulator/outcome', self._on_outcome, latched)
        self._node.create_subscription(String, '/policy/status', self._on_status, latched)

    def spin(self) -> None:
        """Wait for the next message, but not long."""
        self._spin(self._node, timeout_sec=0.1)

    def close(self) -> None:
        """Leave the graph."""
        import rclpy

        self._node.destroy_node()
        rclpy.try_shutdown()

    def _on_outcome(self, message: Any) -> None:
        self.outcome = json.loads(message.data)
        self._say('simulator', self.outcome['phase'])

    def _on_status(self, message: Any) -> None:
        old, self.status = self.status, json.loads(message.data)
        if (old['state'], old.get('reason')) != (self.status['state'], self.status['reason']):
            self.status_s = time.monotonic()
            self._say('policy', f'{self.status["state"]}: {self.status["sentence"]}')

    def _say(self, who: str, what: str) -> None:
        print(f'  {time.monotonic() - self._began_s:5.1f} s  {who:<9}  {what}', flush=True)


def hand_over(model: Path, contract: Any, scenario: str, seed: int,
              timeout_s: float) -> dict[str, Any]:
    """Run one live handover and return the simulator's last word on it.

    The simulator has the sensors of `contract`, the model's.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        watcher = Watcher()
        stack.callback(watcher.close)
        processes = [
            stack.enter_context(node('simulator', scenario=scenario, seed=seed,
                                     contract_path=stack.enter_context(contract_file(contract)))),
            stack.enter_context(node('policy', model_path=model.resolve(), seed=seed,
                                     auto_activate='true', autostart='true'))]
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s and watcher.outcome['phase'] != 'over':
            if any(process.poll() is not None for process in processes):
                return {'phase': 'ended'}
            if watcher.status['state'] in ('done', 'fault'):
                end_s = min(end_s, watcher.status_s + _GRACE_S)
            watcher.spin()
        return watcher.outcome


def verdict(outcome: dict[str, Any], desired_modes: tuple[str, ...]) -> tuple[bool, str]:
    """Return whether a handover succeeded, and a sentence about it."""
    if outcome['phase'] == 'ended':
        return False, 'a node ended before the handover was over; its reason stands above'
    if outcome['phase'] not in ('completed', 'over'):
        return False, 'the person did not get the tool'
    if not outcome['completed']:
        return False, 'the tool fell' if outcome['dropped'] else 'the person did not get the tool'
    if outcome['unsafe'] is not None:
        return False, f'the person got the tool, but it was unsafe: {outcome["unsafe"]}'
    if outcome['mode'] not in desired_modes:
        return False, f'the person got the tool in mode {outcome["mode"]}'
    return True, f'the person has the tool, {outcome["mode"]}, and nothing was unsafe'


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, help='the exported policy, a .onnx file')
    parser.add_argument('--scenario', default='knife', help='(default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the episode and of the policy (default: %(default)s)')
    parser.add_argument('--timeout-s', type=float, default=90.0,
                        help='longest wait in s (default: %(default)s)')
    args = parser.parse_args()
    try:
        import rclpy  # noqa: F401 - report early that it is missing
    except ImportError:
        print('live_handover: rclpy is not installed; source ROS 2 or run: make venv',
              file=sys.stderr)
        return 2

    from uncloning_ros.errors import UncloningError
    from uncloning_ros.runtime.inference import load_policy

    try:
        contract = load_policy(args.model).contract
    except UncloningError as err:
        print(f'live_handover: {err}', file=sys.stderr)
        return 2
    try:
        outcome = hand_over(args.model, contract, args.scenario, args.seed, args.timeout_s)
    except KeyboardInterrupt:
        return 130
    good, sentence = verdict(outcome, contract.interface.desired_modes)
    print(sentence)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
