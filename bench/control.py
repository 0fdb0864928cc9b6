#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure how late commands and plans are, and how many deadlines the policy node misses.

The policy node runs as on a robot, as a process of its own over DDS on loopback; another process
publishes its observations. This process receives its commands. In turns with it, in the same run,
a bare rclpy process sends the same messages at the same rate: the reference.

- p99 of the time from a deadline of the control thread to the reception of its command, relative
  to the same of the bare process, and relative to its time from publishing to reception;
- the time from the reception of the newest observation until its chunk is in use;
- missed deadlines, as the node counts them and as this process sees them; the node's share of one
  core.

A policy with cameras gets pictures at 30 Hz. With --camera-size they are of that size, and the
last camera's are raw: what decoding costs, whatever the policy was trained on.

  bench/control.py --short
  bench/control.py --minutes 10 --json control.json
  bench/control.py --model models/knife_camera_uncloned.onnx --camera-size 640x480
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measure  # limits the threads, so it comes before numpy
import numpy as np
from measure import Array, Figure, Report
from tqdm import tqdm

from uncloning_ros.cli.arguments import positive_float
from uncloning_ros.contract import Contract, contract_from_dict
from uncloning_ros.contract.messages import IMAGE
from uncloning_ros.errors import UncloningError
from uncloning_ros.runtime.inference import DIGEST_MARK, digest_of, load_policy
from uncloning_ros.runtime.limits import COUNTS
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path

HERE = Path(__file__).resolve().parent

_MOST_RATIO = 1.5  # target of the p99 ratio
_BLOCKS, _BLOCKS_SHORT, _SHORT_S = 10, 4, 20.0
_MOST_BARE_S = 20.0  # longest block (s) of the bare sender: enough for its p99
_TIMEOUT_S = 30.0


def main() -> int:
    """Run the benchmark."""
    parser = measure.parser(__doc__)
    parser.add_argument('--model', type=Path, default=share_path('models') / 'knife_uncloned.onnx',
                        help='exported policy (default: the shipped one)')
    parser.add_argument('--minutes', type=positive_float, default=10.0,
                        help='total time in which the policy commands (default: %(default)g)')
    parser.add_argument('--camera-size', type=_size, metavar='WIDTHxHEIGHT',
                        help="size of the cameras' pictures (default: the contract's)")
    return measure.run(compare, parser.parse_args())


@dataclass(frozen=True)
class Block:
    """One activation of the policy, or one turn of the bare sender, seen from outside.

    `late_ms` is the time from each deadline to the reception of its command, `way_ms` that from
    publishing, for the bare sender; `missing` counts the deadlines without a command.
    """

    late_ms: Array
    way_ms: Array
    missing: int


def compare(args: argparse.Namespace) -> Report:
    """Run policy and bare sender in turns."""
    blocks, seconds = ((_BLOCKS_SHORT, _SHORT_S) if args.short
                       else (_BLOCKS, args.minutes * 60))
    policy_s, bare_s = seconds / blocks, min(seconds / blocks, _MOST_BARE_S)
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='control_bench_')))
        model = (args.model if args.camera_size is None else
                 with_camera_size(args.model, args.camera_size, folder / 'model.onnx'))
        contract = without_limits(load_policy(model).contract)
        if args.camera_size is not None:
            contract = with_a_raw_camera(contract)
        path = folder / 'contract.yaml'
        path.write_text(json.dumps(plain(contract)))
        from control_listener import Listener  # rclpy reads the domain when it is imported
        listener = Listener(contract)
        stack.callback(listener.close)
        stack.enter_context(process(HERE / 'control_processes.py', 'sense', str(path)))
        node = stack.enter_context(process(
            '-m', 'uncloning_ros.nodes.policy', '--ros-args', '--log-level', 'warn',
            *parameters(model_path=model.resolve(), contract_path=path, autostart='true',
                         auto_activate='true', incident_dir=folder)))
        bar = stack.enter_context(tqdm(total=blocks * (policy_s + bare_s), unit='s',
                                       desc='policy and bare sender in turns', disable=None))
        commanded, bare, diagnostics, cores = [], [], [], []
        for turn in range(blocks):
            if turn:
                listener.transition('activate', _TIMEOUT_S)
            block, share, words = _policy_turn(listener, node, contract, policy_s, bar.update)
            commanded.append(block)
            cores.append(share)
            diagnostics.append(words)
            listener.transition('deactivate', _TIMEOUT_S)
            bare.append(_bare_turn(listener, contract, bare_s, bar.update))
    return _report(contract, commanded, bare, diagnostics, cores)


def without_limits(contract: Contract) -> Contract:
    """Return the contract with limits and a duration that the benchmark never reaches."""
    deployment = contract.deployment
    limits = replace(deployment.limits, workspace_min_m=(-2.0, -2.0, -2.0),
                     workspace_max_m=(2.0, 2.0, 2.0), jump_m=4.0, jump_rad=3.0)
    end = replace(deployment.episode_end, max_episode_s=86400.0)
    return replace(contract, deployment=replace(deployment, limits=limits, episode_end=end))


def with_camera_size(model: Path, size: tuple[int, int], path: Path) -> Path:
    """Write a model for cameras of another size, of which it sees the middle square."""
    import onnx

    found = onnx.load(model)
    records = {record.key: record.value for record in found.metadata_props}
    contract = json.loads(records['contract'])
    width, height = size
    side = min(size)
    for one in contract['interface']['observations']:
        if one['kind'] == 'image':
            one['camera_size'] = list(size)
            one['crop'] = [(width - side) // 2, (height - side) // 2, side, side]
    blank = DIGEST_MARK + '0' * 64
    records |= {'contract': json.dumps(contract), 'digest': blank,
                'interface_sha256': contract_from_dict(contract).interface.sha256}
    onnx.helper.set_model_props(found, records)
    data: bytes = found.SerializeToString(deterministic=True)
    path.write_bytes(data.replace(blank.encode(), (DIGEST_MARK + digest_of(data)).encode()))
    return path


def with_a_raw_camera(contract: Contract) -> Contract:
    """Return the contract with raw pictures of the last camera; raise without any."""
    if not contract.interface.cameras:
        raise UncloningError('expected a model with cameras for --camera-size, got one without; '
                             'leave --camera-size out')
    topics = dict(contract.deployment.observations)
    camera = contract.interface.cameras[-1].key
    topics[camera] = replace(topics[camera], type=IMAGE)
    return replace(contract, deployment=replace(contract.deployment, observations=topics))


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'expected WIDTHxHEIGHT, got {text}')
    return int(width), int(height)


def deadlines(stamps_ns: Array, first_ns: int, period_ns: int) -> Array:
    """Return the deadline of each command, on the grid from `first_ns` every `period_ns`.

    `stamps_ns` are the starts of the cycles. A command after a gap belongs to the first deadline
    of the gap, which it should have met.
    """
    places = (stamps_ns - first_ns) // period_ns
    gap_free = np.concatenate([places[:1], np.minimum(places[1:], places[:-1] + 1)])
    return first_ns + gap_free * period_ns


def _policy_turn(listener: Any, node: subprocess.Popen[bytes], contract: Contract,
                 seconds: float, passed: Callable[[float], object]
                 ) -> tuple[Block, float, dict[str, str]]:
    """Listen to the policy; return the block, its share of a core, and its diagnostics."""
    listener.forget()
    listener.until(lambda: listener.commands and 'first_deadline_ns' in listener.timing,
                   _TIMEOUT_S, 'the policy to command')
    began_s, before_s = time.monotonic(), measure.cpu_s(node)
    listener.listen(seconds, passed)
    share = (measure.cpu_s(node) - before_s) / (time.monotonic() - began_s)
    received_ns, stamps_ns = np.array(listener.commands, dtype=np.int64).T
    listener.timing.clear()
    listener.until(lambda: listener.timing, _TIMEOUT_S, 'diagnostics')
    # Stamps are in ROS time: exact enough to tell between which deadlines a cycle began.
    stamps_ns = stamps_ns - (time.time_ns() - time.monotonic_ns())
    period_ns = contract.deployment.command_period_ns
    due_ns = deadlines(stamps_ns, int(listener.timing['first_deadline_ns']), period_ns)
    block = Block((received_ns - due_ns) * 1e-6, np.zeros(0), _missing(stamps_ns, period_ns))
    return block, share, {**listener.control, **listener.timing}


def _missing(stamps_ns: Array, period_ns: int) -> int:
    """Return the number of deadlines between the first and the last command without a command."""
    return round((stamps_ns[-1] - stamps_ns[0]) / period_ns) + 1 - len(stamps_ns)


def _bare_turn(listener: Any, contract: Contract, seconds: float,
               passed: Callable[[float], object]) -> Block:
    """Listen to a bare sender."""
    listener.forget()
    period_ns = contract.deployment.command_period_ns
    with process(HERE / 'control_processes.py', 'send', str(period_ns), str(seconds + 1)):
        listener.until(lambda: listener.bare, _TIMEOUT_S, 'the bare sender')
        listener.listen(seconds, passed)
    received_ns, stamps_ns, sent_ns = np.array(listener.bare, dtype=np.int64).T
    due_ns = deadlines(stamps_ns, int(stamps_ns[0]), period_ns)
    return Block((received_ns - due_ns) * 1e-6, (received_ns - sent_ns) * 1e-6,
                 _missing(stamps_ns, period_ns))


def _report(contract: Contract, commanded: list[Block], bare: list[Block],
            diagnostics: list[dict[str, str]], cores: list[float]) -> Report:
    period_ms = contract.deployment.command_period_ns * 1e-6
    late, floor = [block.late_ms for block in commanded], [block.late_ms for block in bare]
    way = [block.way_ms for block in bare]

    def summed(key: str) -> int:
        return sum(int(words[key]) for words in diagnostics)

    def worst(key: str) -> float:
        return max(float(words[key]) for words in diagnostics)

    def middle(key: str) -> float:
        return round(float(np.median([float(words[key]) for words in diagnostics])), 3)

    return Report(
        f'Commands at {contract.deployment.command_rate_hz:g} Hz, received by another process',
        [measure.ratio('deadline to command, p99 / bare process, p99', late, floor,
                       _MOST_RATIO, 99.0),
         measure.ratio('deadline to command, p50 / bare process, p50', late, floor),
         measure.ratio('deadline to command, p99 / bare publish to receive, p99', late, way,
                       percentile=99.0)],
        [measure.spread_ms('deadline to command received', late),
         measure.spread_ms('the same of a bare process', floor),
         measure.spread_ms('bare publish to receive', way),
         Figure('deadlines', {
             'missed': summed('deadline_misses'),
             'received_over_a_period_late': int(sum((part > period_ms).sum() for part in late)),
             'without_a_command': sum(block.missing for block in commanded),
             'commands': sum(map(len, late)), 'bare_without': sum(b.missing for b in bare),
             'holds': summed('holds'), 'late_chunks': summed('late_chunks'),
             'clamped': sum(summed(limit) for limit in COUNTS)}),
         *(Figure(name, {'p50_ms': middle(f'{key}_p50_ms'), 'p99_ms': middle(f'{key}_p99_ms'),
                         'worst_ms': worst(f'{key}_worst_ms')})
           for name, key in (('newest observation to its chunk in use', 'observation_to_chunk'),
                             ('inference', 'inference'), ('wake-up after the deadline', 'wake_up'),
                             ('cycle', 'cycle'))),
         Figure('policy process', {'share_of_a_core': round(float(np.mean(cores)), 3),
                                   'largest': round(max(cores), 3)})],
        'The last five lines are the diagnostics of the node: p50 and p99 are medians over its '
        'activations,\n  each over the newest 4096 cycles.')


@contextlib.contextmanager
def own_domain() -> Iterator[None]:
    """Set a ROS domain that is free on this machine, unless one is set."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if 'ROS_DOMAIN_ID' in os.environ:
        yield
        return
    try:
        import domain_coordinator
    except ImportError as err:
        raise UncloningError('ROS 2 is not installed; source it or run: make venv') from err
    with domain_coordinator.domain_id() as number:
        os.environ['ROS_DOMAIN_ID'] = str(number)
        yield


def parameters(**values: object) -> list[str]:
    """Return the words that set parameters of a node."""
    return [word for key, value in values.items() for word in ('-p', f'{key}:={value}')]


@contextlib.contextmanager
def process(*words: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python process with options of `Popen`; end it with SIGINT."""
    process = subprocess.Popen([sys.executable, *map(str, words)], **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == '__main__':
    raise SystemExit(main())
