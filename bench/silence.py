#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure a take-over: the press of the switch to silence, key `t` to the hold, and the steps.

The policy node runs as on a robot, as a process of its own over DDS on loopback; another process
publishes its observations, of an arm that follows each command at once. This process presses the
switch again and again at random moments of the policy's period, and receives the commands. After
the first press the policy holds between them, which are commands too.

Then the nodes keyboard and teleoperation take the arm over and give it back, a quarter as often.

  bench/silence.py --short
  bench/silence.py --presses 500 --json silence.json --page
"""

import argparse
import contextlib
import json
import os
import pty
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
from comparison.markdown import STATEMENT, bullets, table
from control import HERE, own_domain, parameters, process, without_limits
from measure import Array, Figure, Report
from tqdm import tqdm

from uncloning_ros.cli.arguments import count
from uncloning_ros.contract import Contract, Teleoperation
from uncloning_ros.files import write_whole
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

PAGE = HERE.parent / 'docs' / 'benchmarks' / 'take_over.md'
MODEL = 'knife_uncloned.onnx'
_PRESSES_SHORT, _BLOCKS = 20, 4
_PRESSED_S, _LOOSE_S = 0.3, 0.2
_TIMEOUT_S = 30.0
_STEPS = 10  # commands after a hand-over whose steps count
_TRIES = 50  # presses of the switch at most, until the teleoperation node takes it
_HOLD, _PERSON = ('hold', 'take_over'), ('taken_over', 'person')


@dataclass(frozen=True)
class Found:
    """The figures: times in s, steps in m; `counts` are the commands after each press."""

    period_s: float
    after_s: Array
    counts: Array
    key_s: Array
    taken_m: Array
    given_m: Array


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('--presses', type=count(), default=200,
                        help='number of presses (default: %(default)s)')
    parser.add_argument('--page', action='store_true',
                        help='also write docs/benchmarks/take_over.md')
    return measure.run(press, parser.parse_args())


def press(args: argparse.Namespace) -> Report:
    """Press the switch, and find the last command after each press; then hand the arm over."""
    before = measure.machine()
    model = share_path('models') / MODEL
    contract = without_limits(load_policy(model).contract)
    contract = replace(contract, deployment=replace(
        contract.deployment,
        teleoperation=Teleoperation('teleoperation', 'teleoperation/enable', 0.2)))
    presses = _PRESSES_SHORT if args.short else args.presses
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='silence_bench_')))
        path = folder / 'contract.yaml'
        path.write_text(json.dumps(plain(contract)))
        from control_listener import Listener  # rclpy reads the domain when it is imported
        listener = Listener(contract)
        stack.callback(listener.close)
        stack.enter_context(process(HERE / 'control_processes.py', 'sense', str(path)))
        stack.enter_context(process(
            '-m', 'uncloning_ros.nodes.policy', '--ros-args', '--log-level', 'warn',
            *parameters(model_path=model, contract_path=path, autostart='true',
                        auto_activate='true', incident_dir=folder)))
        pressed = _pressed(listener, contract, presses)
        found = Found(*pressed, *_handed(listener, path, max(1, presses // 4), stack))
    if args.page:
        write_whole(PAGE, written(found, before).encode())
    return _report(found)


def _pressed(listener: Any, contract: Contract, presses: int) -> tuple[float, Array, Array]:
    """Return the command period, and by press the time (s) and number of further commands."""
    from std_msgs.msg import Bool
    period_s = 1.0 / contract.deployment.command_rate_hz
    switch = listener.publisher(Bool, 'teleoperation/enable')
    rng, after_s, counts = np.random.default_rng(0), [], []
    for _ in tqdm(range(presses), unit='press', disable=None):
        listener.forget()
        listener.until(lambda: len(listener.commands) > 10, _TIMEOUT_S, 'the policy to command')
        listener.repeat(switch, Bool(data=False), _passed(_LOOSE_S + rng.uniform(0.0, period_s)),
                        'time')
        listener.forget()
        pressed_ns = listener.repeat(switch, Bool(data=True), _passed(_PRESSED_S), 'time')
        late_ns = [one for one, _ in listener.commands]
        after_s.append(max(0, max(late_ns, default=0) - pressed_ns) * 1e-9)
        counts.append(len(late_ns))
    return period_s, np.array(after_s), np.array(counts)


def _handed(listener: Any, path: Path, rounds: int,
            stack: contextlib.ExitStack) -> tuple[Array, Array, Array]:
    """Return by round the time (s) from key to hold, and the steps (m) of take-over and return."""
    from sensor_msgs.msg import Joy
    person, program = pty.openpty()
    for node, options in (('keyboard', {'stdin': program, 'stdout': subprocess.DEVNULL}),
                          ('teleoperation', {})):
        stack.enter_context(process(
            '-m', f'uncloning_ros.nodes.{node}', '--ros-args', '--log-level', 'warn',
            *parameters(contract_path=path), **options))
    joy = listener.publisher(Joy, 'joy')
    loose = Joy(axes=[0.0] * 8, buttons=[0] * 11)
    steering = Joy(axes=[1.0] * 8, buttons=[0] * 4 + [1] + [0] * 6)

    def until(device: Joy, said: tuple[str, str], more: int = 0) -> float:
        """Wait for a status, then for some commands; return the largest step (m) meanwhile."""
        first, enough = max(0, len(listener.places) - 1), list[int]()

        def true() -> bool:
            if listener.said == said and not enough:
                enough.append(len(listener.places) + more)
            return bool(enough) and len(listener.places) >= enough[0]

        listener.repeat(joy, device, true, f'the policy to say {said}')
        steps = np.diff(np.array(listener.places[first:]).reshape(-1, 3), axis=0)
        return float(np.max(np.linalg.norm(steps, axis=1), initial=0.0))

    # A switch counts only if it is pressed once the teleoperation node sees the arm.
    for device in (loose, steering) * _TRIES:
        if listener.said != _PERSON:
            listener.repeat(joy, device, _passed(_PRESSED_S), 'time')
    until(loose, ('hold', 'let_go'), 1)
    found = []
    for _ in tqdm(range(rounds + 1), unit='hand-over', disable=None):
        os.write(person, b'g')
        given_m = until(loose, ('active', 'policy'), _STEPS)
        asked_ns = time.monotonic_ns()
        os.write(person, b't')
        until(loose, _HOLD, 1)
        after_s = (listener.said_ns - asked_ns) * 1e-9
        found.append((after_s, until(steering, _PERSON, _STEPS), given_m))
        until(loose, ('hold', 'let_go'), 1)
    # In the first round the nodes discover each other.
    key_s, taken_m, given_m = np.array(found[1:]).T
    return key_s, taken_m, given_m


def _passed(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= end_s


def _further(counts: Array) -> dict[str, int]:
    return {'none': int((counts == 0).sum()), 'one': int((counts == 1).sum()),
            'more': int((counts > 1).sum())}


def _report(found: Found) -> Report:
    """Return the report."""
    blocks = np.array_split(found.after_s / found.period_s, _BLOCKS)
    one = [np.ones(1)] * _BLOCKS
    return Report(
        f'Silence after the press of the switch, commands every {found.period_s * 1e3:g} ms',
        [measure.ratio('press to last command, worst / command period', blocks, one, 1.0, 100.0),
         measure.ratio('press to last command, p99 / command period', blocks, one,
                       percentile=99.0)],
        [measure.spread_ms('press to last command received', [found.after_s * 1e3]),
         Figure('commands after a press', _further(found.counts)),
         measure.spread_ms('key t to hold', [found.key_s * 1e3]),
         Figure('largest step', {'take_over_mm': 1e3 * float(found.taken_m.max()),
                                 'return_mm': 1e3 * float(found.given_m.max())})],
        'The time of the press is that of its publishing, that of a command is its reception.')


def written(found: Found, machine: Mapping[str, Any]) -> str:
    """Return the page."""
    def row(name: str, values: Array, digits: int) -> Sequence[str]:
        return (name, str(len(values)),
                *(f'{one:.{digits}f}' for one in np.percentile(values, (50, 99, 100))))

    periods = found.after_s / found.period_s
    load = ', '.join(f'{one:g}' for one in machine['load_average'])
    sections = [
        '# Take-over, measured',
        f'{STATEMENT} This page is written by `bench/silence.py --page`; [Take the arm '
        f'over](../take_over.md) explains the take-over.',
        bullets([
            f'The policy node runs `{MODEL}` as a process of its own, over DDS on one computer. '
            f'It commands every {found.period_s * 1e3:g} ms. The arm is pretended and follows '
            f'every command at once.',
            'The switch is pressed at random moments of the command period. The time of the press '
            'is that of its publishing. The time of a command is that of its reception.',
            'Target: at most one command period from the press to the last command.',
            f'Times depend on the computer and its load. This one: {machine["processor"]}, '
            f'{machine["cores"]} cores, load {load} (averages over 1, 5 and 15 minutes before '
            f'the run).']),
        '## From the press of the switch to silence',
        table(('', 'presses', 'p50', 'p99', 'worst'),
              [row('press to last command, ms', found.after_s * 1e3, 2),
               row('press to last command, command periods', periods, 2)]),
        table(('further commands after a press', 'presses'),
              [(name, str(number)) for name, number in _further(found.counts).items()]),
        f'Target of one command period: {"met" if periods.max() <= 1.0 else "missed"} in the '
        f'worst case, {np.mean(periods <= 1.0):.1%} of the presses are within it.',
        '## From key `t` to the hold',
        'The key is typed in the terminal of the keyboard node. The hold begins when its status '
        'is received.',
        table(('', 'keys', 'p50', 'p99', 'worst'),
              [row('key to hold, ms', found.key_s * 1e3, 1)]),
        '## Steps of the commanded pose',
        f'Each hand-over counts with the largest distance between two commands in a row, until '
        f'{_STEPS} commands after its status. It begins with the press of the switch, and the '
        f'return with key `g`. The person steers with the teleoperation node at its default '
        f'speed.',
        table(('', 'hand-overs', 'p50', 'p99', 'worst'),
              [row('policy to person, mm', found.taken_m * 1e3, 2),
               row('person to policy, mm', found.given_m * 1e3, 2)])]
    return '\n\n'.join(sections) + '\n'


if __name__ == '__main__':
    raise SystemExit(main())
