# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy on the robot's topics: a lifecycle node around a `PolicyRun`."""

import gc
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.validate_topic_name import validate_topic_name
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from uncloning_ros.contract import Contract, require_same_interface
from uncloning_ros.errors import ContractError, ModelError, UncloningError
from uncloning_ros.evidence import read_evidence, require_covers
from uncloning_ros.nodes.common import (
    LATCHED_QOS,
    MISTAKES,
    Observations,
    Parameter,
    contract_at,
    contract_class,
    declare,
    path_of,
    refuse_wrong_transitions,
    run_node,
    sentence_of,
)
from uncloning_ros.nodes.policy_run import PolicyRun, RunOptions
from uncloning_ros.nodes.policy_view import diagnostics, markers
from uncloning_ros.runtime.control_loop import State
from uncloning_ros.runtime.control_thread import IDLE_S, SWITCH_INTERVAL_S
from uncloning_ros.runtime.incident_files import IncidentFiles
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy

PARAMETERS = (
    Parameter('model_path', '', 'the exported policy, a .onnx file'),
    Parameter('expected_sha256', '', "refuse a model with another sha256; '' accepts any"),
    Parameter('contract_path', '', "contract whose deployment part to use; '' is the model's own"),
    Parameter('evidence_path', '', "refuse a model that this evidence file does not vouch for; '' "
                                   'requires none'),
    Parameter('seed', 0, 'seed of the noise that the policy draws its actions from'),
    Parameter('auto_activate', False, 'configure and activate without being asked'),
    Parameter('autostart', False, 'begin motion on activation, without ~/start'),
    Parameter('shadow', False, 'command nothing; publish to ~/shadow_command/KEY instead'),
    Parameter('realtime_priority', 0, 'SCHED_FIFO priority of the control thread; 0 is none'),
    Parameter('incident_dir', '~/.ros/uncloning_incidents', 'where incidents are written to'),
)

# So long a node takes to learn who else publishes, at most, on a network that works.
_DISCOVERY_NS = 10**9
_LOOK_AROUND_S = 0.1
_VIEW_S, _DIAGNOSTICS_S = 0.2, 1.0


class PolicyNode(LifecycleNode):
    """Subscribe, advertise, answer services; a `PolicyRun` does the rest while active.

    The executor's thread runs everything here. Whatever concerns the control loop is handed to
    its own thread and done between two cycles.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('policy', **node_options)
        self._values = declare(self, PARAMETERS)
        if not 0 <= self._values['realtime_priority'] <= 99:
            raise ContractError(f'expected a realtime_priority of 0 to 99, got '
                                f'{self._values["realtime_priority"]}')
        self._shadow: bool = self._values['shadow']
        self._status = self.create_publisher(String, '~/status', LATCHED_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 1)
        self._markers = self.create_publisher(MarkerArray, '~/markers', 1)
        self._policy: OnnxPolicy | None = None
        self._observations: Observations | None = None
        self._run: PolicyRun | None = None
        self._start_asked = False
        self._born_ns = time.monotonic_ns()
        self._incidents = IncidentFiles(path_of(self._values['incident_dir']))
        refuse_wrong_transitions(self)
        for name in ('start', 'stop', 'reset', 'dump'):
            self.create_service(Trigger, f'~/{name}', self._answering(getattr(self, f'_{name}')))
        self.create_service(SetBool, '~/set_shadow', self._answering(self._set_shadow))
        # Not ROS time: that it stands still is one of the things to tell.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_AROUND_S, self._on_look_around, clock=steady)
        self.create_timer(_VIEW_S, self._on_view, clock=steady)
        self.create_timer(_DIAGNOSTICS_S, self._on_diagnostics, clock=steady)

    def bring_up(self) -> None:
        """Configure and activate at once if the parameters ask for it; raise if that fails."""
        if self._values['auto_activate']:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not TransitionCallbackReturn.SUCCESS:
                    raise ModelError('the policy node could not be brought up; the reason is in '
                                     'the line above')

    def close(self) -> None:
        """End motion, publish the one hold command, destroy the node."""
        self._end_run()
        self.destroy_node()

    def give_way(self) -> float:
        """Wait while the control thread needs the interpreter; return for how many s it does not.

        Whoever spins the node calls this before each wait for messages.
        """
        return IDLE_S if self._run is None else self._run.give_way()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the model, build and warm up the session, subscribe."""
        return self._guarded(self._configure, lambda: super(PolicyNode, self).on_configure(state))

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control thread; motion waits for ~/start unless `autostart` is set."""
        return self._guarded(lambda: super(PolicyNode, self).on_activate(state), self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the control thread, publish one hold command, fall silent."""
        return self._guarded(self._end_run, lambda: super(PolicyNode, self).on_deactivate(state))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model and its topics."""
        return self._guarded(self._clean_up, lambda: super(PolicyNode, self).on_cleanup(state))

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End motion as on deactivation, from whatever state."""
        return self._guarded(self._end_run, self._clean_up,
                             lambda: super(PolicyNode, self).on_shutdown(state))

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that ended in a way nobody foresaw: begin anew, unconfigured."""
        return self._guarded(self._end_run, self._clean_up,
                             lambda: super(PolicyNode, self).on_error(state))

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
        self._model_path = path_of(self._values['model_path']).absolute()
        policy = load_policy(self._model_path, self._values['expected_sha256'] or None)
        self._contract = self._contract_for(policy)
        self._evidence = self._evidence_for(policy)
        policy.warm_up()
        for topic in self._contract.deployment.actions.values():
            validate_topic_name(topic.topic)
            contract_class(topic.type)
        self._observations = Observations(self, self._contract)
        self._policy = policy
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

    def _evidence_for(self, policy: OnnxPolicy) -> str:
        """Return what the required evidence says of the model as it is deployed here."""
        if not self._values['evidence_path']:
            return 'none required'
        evidence = read_evidence(path_of(self._values['evidence_path']))
        require_covers(evidence, policy.sha256, self._contract.deployment.sha256)
        return evidence.sentence

    def _activate(self) -> None:
        assert self._policy is not None and self._observations is not None
        for sentence in self._observations.guards().refused.values():
            raise ContractError(f'cannot be activated: {sentence}')
        options = RunOptions(self._model_path, self._values['seed'], self._shadow,
                             self._values['realtime_priority'])
        self._run = PolicyRun(self, self._policy, self._contract, self._observations, options,
                              self._status)
        try:
            self._run.require_no_rival()
        except UncloningError:
            self._run.close()
            self._run = None
            raise
        self._run.begin()
        self._start_asked = self._values['autostart']

    def _end_run(self) -> None:
        self._start_asked = False
        run, self._run = self._run, None
        if run is not None:
            try:
                run.end()
                self._write_incidents(run)
            finally:
                run.close()

    def _clean_up(self) -> None:
        self._policy = None
        observations, self._observations = self._observations, None
        if observations is not None:
            observations.destroy()

    def _answering(self, do: Callable[..., tuple[bool, str]]) -> Callable[[Any, Any], Any]:
        """Return the callback of a service that answers with what `do` says."""
        def on_call(request: Any, response: Any) -> Any:
            try:
                response.success, response.message = do(request)
            except (UncloningError, OSError) as err:  # a full disk, a thread that hangs
                response.success, response.message = False, sentence_of(err)
            return response
        return on_call

    def _start(self, _: Any) -> tuple[bool, str]:
        if self._run is None:
            return False, 'not active; configure and activate first'
        self._run.require_no_rival()
        if not self._has_looked_around():
            self._start_asked = True
            return True, 'motion begins once every input is fresh'
        allowed, state = self._run.start()
        if allowed:
            return True, 'motion begins once every input is fresh'
        return False, (f'motion cannot begin in state {state.value}'
                       + ('; find the cause, then call ~/reset' if state is State.FAULT else ''))

    def _has_looked_around(self) -> bool:
        """Tell whether discovery has had the time to name whoever else commands the arm."""
        return time.monotonic_ns() - self._born_ns >= _DISCOVERY_NS

    def _on_look_around(self) -> None:
        """Start as asked, once it can be known whether the arm has another commander."""
        if not self._start_asked or self._run is None or not self._has_looked_around():
            return
        self._start_asked = False
        try:
            self._run.require_no_rival()
            self._run.start()
        except (UncloningError, TimeoutError) as err:
            self.get_logger().error(f'motion does not begin: {sentence_of(err)}')

    def _stop(self, _: Any) -> tuple[bool, str]:
        self._start_asked = False
        if self._run is None:
            return True, 'not active, so there is no motion'
        self._run.stop()
        return True, 'motion ends with one hold command'

    def _reset(self, _: Any) -> tuple[bool, str]:
        if self._run is None:
            return False, 'not active; configure and activate first'
        self._start_asked = False
        self._run.reset()
        return True, 'waiting for ~/start; counters and faults are forgotten'

    def _dump(self, _: Any) -> tuple[bool, str]:
        if self._run is None:
            return False, 'not active, so there is nothing to write'
        incident = self._run.incident()
        return True, f'wrote {self._incidents.write(incident, "dump", time.time())}'

    def _set_shadow(self, request: Any) -> tuple[bool, str]:
        if self._run is not None:
            return False, 'active; deactivate first, so that nothing moves while topics change'
        self._shadow = bool(request.data)
        return True, ('commands will go to ~/shadow_command' if self._shadow
                      else "commands will go to the robot's topics")

    def _on_view(self) -> None:
        if self._run is not None and self._observations is not None:
            self._write_incidents(self._run)
            self._markers.publish(markers(self._contract.interface, self._run.planned,
                                          self._observations.newest(),
                                          self.get_clock().now().to_msg()))

    def _on_diagnostics(self) -> None:
        health = None
        if self._run is not None:
            # The young garbage of a second; what is older was frozen when the thread began.
            gc.collect(1)
            self._run.watch_for_rivals()
            health = self._run.health() | {'evidence': self._evidence}
        self._diagnostics.publish(diagnostics(self.get_fully_qualified_name(), health,
                                              self.get_clock().now().to_msg()))

    def _write_incidents(self, run: PolicyRun) -> None:
        """Write what the run kept when it went to HOLD or FAULT, in moderation."""
        for state, reason, incident in run.take_incidents():
            try:
                path = self._incidents.write_some(incident, state, reason, time.time(),
                                                  time.monotonic())
                if path is not None:
                    self.get_logger().info(f'wrote {path}; repeat it with: uncloning replay')
            except (UncloningError, OSError) as err:
                self.get_logger().error(f'cannot write the incident: {err}')


def main(args: Sequence[str] | None = None) -> int:
    """Run the policy node until SIGINT or SIGTERM."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    def make() -> PolicyNode:
        node = PolicyNode()
        node.bring_up()
        return node
    return run_node(make, args, PolicyNode.give_way)


if __name__ == '__main__':
    sys.exit(main())
