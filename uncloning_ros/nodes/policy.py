# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy on the robot's topics: a lifecycle node around `ControlLoop`."""

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String
from std_srvs.srv import Trigger

from uncloning_ros.contract import Contract, require_same_interface
from uncloning_ros.errors import ModelError
from uncloning_ros.nodes.common import (
    LATCHED_QOS,
    MISTAKES,
    Commands,
    Observations,
    Parameter,
    as_json,
    contract_at,
    declare,
    refuse_wrong_transitions,
    ros_now_ns,
    run_node,
    sentence_of,
)
from uncloning_ros.runtime.control_loop import ControlLoop, Decision, State
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy

PARAMETERS = (
    Parameter('model_path', '', 'the exported policy, a .onnx file'),
    Parameter('expected_sha256', '', "refuse a model with another sha256; '' accepts any"),
    Parameter('contract_path', '', "contract whose deployment part to use; '' is the model's own"),
    Parameter('seed', 0, 'seed of the noise that the policy draws its actions from'),
    Parameter('auto_activate', False, 'configure and activate without being asked'),
    Parameter('autostart', False, 'begin motion on activation, without ~/start'),
)

# The status is repeated so often, though nothing changed: silence would be a fault.
_STATUS_EVERY_NS = 10**9
# A control thread that does not end within this hangs in inference.
_JOIN_TIMEOUT_S = 2.0
# The last command must reach the robot before the middleware is taken down.
_ACK_TIMEOUT = Duration(seconds=1)


class PolicyNode(LifecycleNode):
    """Feed the control loop with live samples and publish what it decides.

    Two threads: the executor's receives samples, answers services and changes the lifecycle
    state; while active, one control thread steps the loop at the policy's rate. `_lock` guards
    the loop. When active ends, the control thread ends first; then exactly one hold command is
    published if the arm was commanded, then nothing.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('policy', **node_options)
        self._values = declare(self, PARAMETERS)
        self._status = self.create_publisher(String, '~/status', LATCHED_QOS)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: ControlLoop | None = None
        self._overruns = 0
        self._told: tuple[str, str] | None = None
        self._told_ns = 0
        refuse_wrong_transitions(self)
        self.create_service(Trigger, '~/start', self._on_start)
        self.create_service(Trigger, '~/stop', self._on_stop)

    def bring_up(self) -> None:
        """Configure and activate at once if the parameters ask for it; raise if that fails."""
        if self._values['auto_activate']:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not TransitionCallbackReturn.SUCCESS:
                    raise ModelError('the policy node could not be brought up; the reason is in '
                                     'the line above')

    def close(self) -> None:
        """End motion, publish the one hold command, destroy the node."""
        self._end_motion()
        self.destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the model, build and warm up the session, subscribe and advertise."""
        return self._guarded(self._configure, lambda: super(PolicyNode, self).on_configure(state))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control thread; motion waits for ~/start unless `autostart` is set."""
        return self._guarded(lambda: super(PolicyNode, self).on_activate(state), self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the control thread, publish one hold command, fall silent."""
        return self._guarded(self._end_motion,
                             lambda: super(PolicyNode, self).on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model and its topics."""
        return self._guarded(self._clean_up, lambda: super(PolicyNode, self).on_cleanup(state))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End motion as on deactivation, from whatever state."""
        return self._guarded(self._end_motion, lambda: super(PolicyNode, self).on_shutdown(state))

    def _guarded(self, *steps: Callable[[], Any]) -> TransitionCallbackReturn:
        """Run the steps of a transition; rclpy would swallow what they raise."""
        try:
            for step in steps:
                step()
        except MISTAKES as err:
            self.get_logger().error(sentence_of(err))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # noqa: BLE001 - logged here, for rclpy drops it
            self.get_logger().fatal(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        if not self._values['model_path']:
            raise ModelError('no model was given; set the parameter model_path to a .onnx file')
        policy = load_policy(Path(self._values['model_path']).expanduser(),
                             self._values['expected_sha256'] or None)
        self._contract = self._contract_for(policy)
        self._loop = ControlLoop(self._contract, policy, self._values['seed'])
        policy.warm_up()
        self._model_sha256 = policy.sha256
        self._observations = Observations(self, self._contract)
        self._commands = Commands(self.create_lifecycle_publisher, self._contract)
        self.get_logger().info(f'policy {policy.sha256[:12]} is ready')

    def _contract_for(self, policy: OnnxPolicy) -> Contract:
        """Return the model's contract, with this robot's deployment part if one is given."""
        path = self._values['contract_path']
        if not path:
            return policy.contract
        robot = contract_at(path)
        require_same_interface(robot.interface, policy.contract.interface,
                               self._values['model_path'])
        return replace(policy.contract, deployment=robot.deployment)

    def _activate(self) -> None:
        assert self._loop is not None
        self._loop.reset(self._values['seed'])
        if self._values['autostart']:
            self._loop.start()
        self._overruns = 0
        # Not the same event again: a thread that hung in inference must end when it comes back.
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._ending,), name='control',
                                        daemon=True)
        self._thread.start()

    def _clean_up(self) -> None:
        self._loop = None
        for subscription in self._observations.subscriptions:
            self.destroy_subscription(subscription)
        for publisher in self._commands.publishers.values():
            self.destroy_lifecycle_publisher(publisher)

    def _run(self, ending: threading.Event) -> None:
        """Step the loop at absolute deadlines of the monotonic clock, until told to end.

        On an overrun whole periods are skipped and counted, so that ticks stay on their grid.
        """
        try:
            period_ns = self._contract.policy.period_ns
            due_ns = time.monotonic_ns()
            while not ending.wait(max(0, due_ns - time.monotonic_ns()) * 1e-9):
                self._tick()
                due_ns += period_ns
                late_ns = time.monotonic_ns() - due_ns
                if late_ns > 0:
                    skipped = -(-late_ns // period_ns)
                    due_ns += skipped * period_ns
                    self._overruns += skipped
        except Exception:  # noqa: BLE001 - a thread that dies unseen would leave the arm moving
            self.get_logger().fatal(f'the control thread ended: {traceback.format_exc()}')
            self._hold_and_tell()

    def _tick(self) -> None:
        with self._lock:
            assert self._loop is not None
            samples = self._observations.newest()
            stamp_ns = ros_now_ns(self)
            decision = self._loop.step(time.monotonic_ns(), samples, stamp_ns)
            if decision.command is not None:
                self._commands.publish(decision.command, stamp_ns)
        self._tell(decision)

    def _end_motion(self) -> None:
        """End the control thread, then publish the one hold command."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ending.set()
        thread.join(_JOIN_TIMEOUT_S)
        if thread.is_alive():
            self.get_logger().fatal('the control thread hangs; the arm was sent no hold command')
            return
        self._hold_and_tell()
        for publisher in self._commands.publishers.values():
            publisher.wait_for_all_acked(_ACK_TIMEOUT)

    def _hold_and_tell(self) -> None:
        assert self._loop is not None
        with self._lock:
            self._loop.stop()
        self._tick()

    def _on_start(self, _: Trigger.Request, response: Any) -> Any:
        response.success, response.message = False, 'not active; configure and activate first'
        if self._thread is not None and self._loop is not None:
            with self._lock:
                response.success = self._loop.start()
                state = self._loop.state
            response.message = ('motion begins once every input is fresh' if response.success
                                else f'motion cannot begin in state {state.value}')
            if state is State.FAULT:
                response.message += '; find the cause, then deactivate and activate'
        return response

    def _on_stop(self, _: Trigger.Request, response: Any) -> Any:
        response.success, response.message = True, 'not active, so there is no motion'
        if self._thread is not None and self._loop is not None:
            with self._lock:
                self._loop.stop()
            response.message = 'motion ends with one hold command'
        return response

    def _tell(self, decision: Decision) -> None:
        """Publish the status when it changes, and once a second."""
        now_ns = time.monotonic_ns()
        told = (decision.state.value, decision.reason)
        if told == self._told and now_ns - self._told_ns < _STATUS_EVERY_NS:
            return
        assert self._loop is not None
        if told != self._told:
            self.get_logger().info(f'{decision.state.name}: {decision.sentence}')
        self._told, self._told_ns = told, now_ns
        self._status.publish(as_json({
            'state': decision.state.value, 'reason': decision.reason,
            'sentence': decision.sentence, 'model_sha256': self._model_sha256,
            'overruns': self._overruns, 'counters': self._loop.counters}))


def main(args: Sequence[str] | None = None) -> int:
    """Run the policy node until SIGINT or SIGTERM."""
    def make() -> PolicyNode:
        node = PolicyNode()
        node.bring_up()
        return node
    return run_node(make, args)


if __name__ == '__main__':
    sys.exit(main())
