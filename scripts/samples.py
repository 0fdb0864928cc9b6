#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record the sample bags in samples/: the recorder node listens to simulator and demonstrator.

samples/knife/ gets the same number of takes of each mode of the scenario knife, without labels;
samples/knife_camera/ gets takes with two cameras beside the poses. Simulated time runs slowly
enough for a busy machine. A take whose verdict is not good is undone and recorded again.

  scripts/samples.py --out samples
  scripts/samples.py --out /tmp/samples --each 1 --camera 0
"""

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from live_handover import contract_file, node, own_domain  # first: it keeps ROS on this machine

from uncloning_ros.cli.arguments import count, positive_float
from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import require_new
from uncloning_ros.share import share_path

_FIRST_SEED = 730_000_000
_CALL_TIMEOUT_S, _TAKE_TIMEOUT_S = 60.0, 400.0


class Session:
    """The services of recorder, simulator and demonstrator, and the demonstrator's status."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from rclpy.signals import SignalHandlerOptions
        from std_msgs.msg import String
        from std_srvs.srv import Trigger

        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('samples')
        self._spin = rclpy.spin_once
        self._shutdown = rclpy.try_shutdown
        self._trigger = Trigger
        self._clients: dict[str, Any] = {}
        self.said: Mapping[str, Any] = {}
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(String, '/demonstrator/status', self._on_status, latched)

    def _on_status(self, message: Any) -> None:
        self.said = json.loads(message.data)

    def call(self, name: str) -> tuple[bool, str]:
        """Call a service and return its answer."""
        client = self._clients.setdefault(name, self._node.create_client(self._trigger, name))
        until_s = time.monotonic() + _CALL_TIMEOUT_S
        if not client.wait_for_service(_CALL_TIMEOUT_S):
            raise UncloningError(f'expected the service {name}, got none; see the messages above')
        answer = client.call_async(self._trigger.Request())
        while not answer.done() and time.monotonic() < until_s:
            self._spin(self._node, timeout_sec=0.1)
        if not answer.done():
            raise UncloningError(f'expected an answer of {name}, got none')
        return answer.result().success, answer.result().message

    def call_until(self, name: str) -> None:
        """Call a service until it agrees: before it, inputs may be missing."""
        until_s = time.monotonic() + _CALL_TIMEOUT_S
        while not (answer := self.call(name))[0]:
            if time.monotonic() > until_s:
                raise UncloningError(f'{name}: {answer[1]}')
            self._spin(self._node, timeout_sec=0.5)

    def take(self) -> tuple[str, bool]:
        """Record one demonstration; return its mode and whether the verdict is good."""
        self.call_until('/recorder/start_episode')
        self.said = {}
        self.call_until('/demonstrator/start')
        until_s = time.monotonic() + _TAKE_TIMEOUT_S
        mode = ''
        while self.said.get('phase') != 'done':
            self._spin(self._node, timeout_sec=0.1)
            mode = self.said.get('mode', mode)
            if time.monotonic() > until_s:
                raise UncloningError('expected the end of a demonstration, got none')
        kept, message = self.call('/recorder/stop_episode')
        print(f'{mode}: {message}', flush=True)
        return mode, kept and 'good' in message

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        self._shutdown()


def record(out: Path, scenario: str, contract: Contract, wanted: Mapping[str, int],
           factor: float) -> None:
    """Record takes until each mode has as many as `wanted`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_domain())
        path = stack.enter_context(contract_file(contract))
        stack.enter_context(node('simulator', scenario=scenario, seed=_FIRST_SEED,
                                 contract_path=path, publish_clock='true',
                                 real_time_factor=factor))
        stack.enter_context(node('demonstrator', scenario=scenario, seed=_FIRST_SEED,
                                 contract_path=path, autostart='false', use_sim_time='true'))
        stack.enter_context(node('recorder', out=out.resolve(), contract_path=path,
                                 session=scenario, operator='scripted', use_sim_time='true'))
        session = Session()
        stack.callback(session.close)
        there: Counter[str] = Counter()
        while any(there[mode] < count for mode, count in wanted.items()):
            mode, good = session.take()
            if good and there[mode] < wanted.get(mode, 0):
                there[mode] += 1
            else:
                session.call('/recorder/undo_last')
            session.call('/simulator/reset')
    shutil.rmtree(out / 'discarded', ignore_errors=True)


def with_cameras() -> Contract:
    """Return the shipped contract with the cameras of the contract of cameras."""
    plain = load_contract(share_path('config') / 'contract.yaml')
    seen = load_contract(share_path('config') / 'contract_camera.yaml')
    cameras = seen.interface.cameras
    observed = {**plain.deployment.observations,
                **{one.key: seen.deployment.observations[one.key] for one in cameras}}
    return replace(
        plain,
        interface=replace(plain.interface,
                          observations=(*plain.interface.observations, *cameras)),
        deployment=replace(plain.deployment, observations=observed))


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True, help='folder of both sessions')
    parser.add_argument('--each', type=count(), default=5,
                        help='takes of each mode (default: %(default)s)')
    parser.add_argument('--camera', type=count(), default=1,
                        help='takes with cameras (default: %(default)s)')
    parser.add_argument('--factor', type=positive_float, default=0.5,
                        help='simulated seconds per second (default: %(default)s)')
    args = parser.parse_args()
    shipped = load_contract(share_path('config') / 'contract.yaml')
    try:
        record(require_new(args.out / 'knife'), 'knife', shipped,
               dict.fromkeys(shipped.interface.modes, args.each), args.factor)
        record(require_new(args.out / 'knife_camera'), 'knife_camera', with_cameras(),
               {'handle_first': args.camera}, args.factor)
    except UncloningError as err:
        print(f'samples: error: {err}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
