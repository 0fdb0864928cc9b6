#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how soon the policy is silent after a person presses the switch of the teleoperation.

The policy node runs as on a robot, as a process of its own over DDS on loopback; another process
publishes its observations. This process presses the switch again and again at random moments of
the policy's period, and receives the commands. After the first press the policy holds between
them, which are commands too.

  bench/silence.py --short
  bench/silence.py --presses 500 --json silence.json
"""

import argparse
import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import measure  # limits the threads, so it comes before numpy
import numpy as np
from control import HERE, own_domain, parameters, process, without_limits
from measure import Array, Figure, Report
from tqdm import tqdm

from uncloning_ros.cli.arguments import count
from uncloning_ros.contract import Teleoperation
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

_PRESSES_SHORT, _BLOCKS = 20, 4
_PRESSED_S, _LOOSE_S = 0.3, 0.2
_AGAIN_S = 0.02  # the switch tells its state so often
_TIMEOUT_S = 30.0


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('--presses', type=count(), default=200,
                        help='number of presses (default: %(default)s)')
    return measure.run(press, parser.parse_args())


def press(args: argparse.Namespace) -> Report:
    """Press the switch, and find the last command after each press."""
    model = share_path('models') / 'knife_uncloned.onnx'
    contract = without_limits(load_policy(model).contract)
    contract = replace(contract, deployment=replace(
        contract.deployment, teleoperation=Teleoperation('listener', 'listener/enable', 0.2)))
    period_s = 1.0 / contract.deployment.command_rate_hz
    rng, after_s, counts = np.random.default_rng(0), [], []
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='silence_bench_')))
        path = folder / 'contract.yaml'
        path.write_text(json.dumps(plain(contract)))
        from control_listener import Listener  # rclpy reads the domain when it is imported
        listener = Listener(contract)
        stack.callback(listener.close)
        switch = listener.switch('listener/enable')
        stack.enter_context(process(HERE / 'control_processes.py', 'sense', str(path)))
        stack.enter_context(process(
            '-m', 'uncloning_ros.nodes.policy', '--ros-args', '--log-level', 'warn',
            *parameters(model_path=model, contract_path=path, autostart='true',
                        auto_activate='true', incident_dir=folder)))
        for _ in tqdm(range(_PRESSES_SHORT if args.short else args.presses), unit='press',
                      disable=None):
            listener.forget()
            listener.until(lambda: len(listener.commands) > 10, _TIMEOUT_S,
                           'the policy to command')
            listener.hold(switch, False, _LOOSE_S + rng.uniform(0.0, period_s), _AGAIN_S)
            listener.forget()
            pressed_ns = listener.hold(switch, True, _PRESSED_S, _AGAIN_S)
            late_ns = [one for one, _ in listener.commands]
            after_s.append(max(0, max(late_ns, default=0) - pressed_ns) * 1e-9)
            counts.append(len(late_ns))
    return _report(np.array(after_s), np.array(counts), period_s)


def _report(after_s: Array, counts: Array, period_s: float) -> Report:
    """Return the report of the time (s) and number of commands after each press."""
    blocks = np.array_split(after_s / period_s, _BLOCKS)
    one = [np.ones(1)] * _BLOCKS
    return Report(
        f'Silence after the press of the switch, commands every {period_s * 1e3:g} ms',
        [measure.ratio('press to last command, worst / command period', blocks, one, 1.0, 100.0),
         measure.ratio('press to last command, p99 / command period', blocks, one,
                       percentile=99.0)],
        [measure.spread_ms('press to last command received', [after_s * 1e3]),
         Figure('commands after a press', {
             'none': int((counts == 0).sum()), 'one': int((counts == 1).sum()),
             'more': int((counts > 1).sum())})],
        'The time of the press is that of its publishing, that of a command is its reception.')


if __name__ == '__main__':
    raise SystemExit(main())
