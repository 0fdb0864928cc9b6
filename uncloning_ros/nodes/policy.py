# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy on the robot's topics: a lifecycle node around a `PolicyRun`."""

import gc
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from uncloning_ros.contract import HAND_KEY, Interface
from uncloning_ros.errors import ContractError, ModelError, UncloningError
from uncloning_ros.nodes.debug_picture import debug_picture, picture_message
from uncloning_ros.nodes.diagnostics import policy_diagnostics
from uncloning_ros.nodes.markers import add_intent, add_question, markers
from uncloning_ros.nodes.parameters import POLICY, path_of
from uncloning_ros.nodes.policy_model import DeployedModel, deployed_model
from uncloning_ros.nodes.policy_run import PolicyRun
from uncloning_ros.nodes.policy_services import PolicyServices
from uncloning_ros.nodes.process import (
    MISTAKES,
    declare,
    refuse_wrong_transitions,
    run_node,
    sentence_of,
    steady_timer,
)
from uncloning_ros.nodes.topics import (
    Observations,
    full_node_name,
    json_topic,
    require_topics_apart,
    ros_now_ns,
)
from uncloning_ros.runtime.control_thread import IDLE_S, SWITCH_INTERVAL_S
from uncloning_ros.runtime.doubt import unused_doubt
from uncloning_ros.runtime.incident_files import HOLD_EVERY_S, MOST_FILES, IncidentFiles
from uncloning_ros.runtime.release import release_lacks

_VIEW_S, _DIAGNOSTICS_S = 0.2, 1.0


class PolicyNode(LifecycleNode):
    """Bring a model up, run it and report on it; a `PolicyRun` does the rest while active.

    The executor's thread runs everything here. Work on the control loop is handed to its own
    thread and done between two cycles.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('policy', **node_options)
        self._values = declare(self, POLICY)
        self._status = json_topic(self, '~/status')
        self._question = json_topic(self, '~/question')
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 1)
        self._markers = self.create_publisher(MarkerArray, '~/markers', 1)
        self._debug_pictures: dict[str, Any] = {}  # publishers by camera
        self._model: DeployedModel | None = None
        self._observations: Observations | None = None
        self._run: PolicyRun | None = None
        self._incidents = IncidentFiles(path_of(self._values['incident_dir']))
        refuse_wrong_transitions(self)
        self._policy_services = PolicyServices(self, lambda: self._run, self._incidents,
                                               self._values['shadow'])
        steady_timer(self, _VIEW_S, self._on_view)
        steady_timer(self, _DIAGNOSTICS_S, self._on_diagnostics)

    def bring_up(self) -> None:
        """Configure and activate at once if the parameters ask for it; raise if that fails."""
        if self._values['auto_activate']:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not TransitionCallbackReturn.SUCCESS:
                    raise ModelError('the policy node could not be brought up; see the line '
                                     'above')

    def close(self) -> None:
        """End motion, publish the one hold command, destroy the node."""
        self._end_run()
        self._clean_up()
        self.destroy_node()

    def give_way(self) -> float:
        """Wait while the control thread needs the interpreter; return the time (s) until it does.

        To be called before each wait for messages.
        """
        return IDLE_S if self._run is None else self._run.give_way()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read and check the model, build and warm up the session, subscribe."""
        result = self._guarded(self._configure)
        if result is TransitionCallbackReturn.FAILURE:
            self._guarded(self._clean_up)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the control thread; motion waits for ~/start unless `autostart` is set."""
        return self._guarded(self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the control thread, publish one hold command, fall silent."""
        return self._guarded(self._end_run)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model and its topics."""
        return self._guarded(self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End motion as on deactivation, from any state."""
        return self._guarded(self._end_run, self._clean_up)

    # Return to unconfigured after a transition that ended with an unexpected error.
    on_error = on_shutdown

    def _guarded(self, *steps: Callable[[], Any]) -> TransitionCallbackReturn:
        """Run the steps of a transition and log their errors, which rclpy would swallow."""
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
        self._incidents.require_usable()
        model = deployed_model(self._values)
        require_topics_apart(self, model.contract.deployment)
        person = model.contract.deployment.teleoperation
        if person is not None and (full_node_name(self, person.node)
                                   == self.get_fully_qualified_name()):
            raise ContractError(f'expected the node of a person as the teleoperation in the '
                                f'contract, got {person.node}, the policy itself; give the name '
                                f'of the node by which a person commands')
        self._observations = Observations(self, model.contract)
        for camera in model.contract.interface.cameras:
            self._debug_pictures[camera.key] = self.create_publisher(
                Image, f'~/debug_picture/{camera.key}', 1)
        self._model = model
        self.get_logger().info(f'policy {model.policy.sha256[:12]} is ready')
        if warning := unused_doubt(model.contract, model.policy.doubt):
            self.get_logger().warning(warning)
        if lacking := release_lacks(model.contract):
            interface, logger = model.contract.interface, self.get_logger()
            most_s = model.contract.deployment.episode_end.max_episode_s
            ends = f'an episode ends after {most_s:g} s (max_episode_s), or with ~/stop'
            if any(one.kind == 'gripper_width' or one.key == HAND_KEY
                   for one in (*interface.observations, *interface.actions)):
                logger.warning(f'this contract lacks {" and ".join(lacking)}, so a release is '
                               f'not noticed: {ends}')
            else:  # no handover
                logger.info(ends)

    def _activate(self) -> None:
        model = self._model
        assert model is not None and self._observations is not None
        for sentence in self._observations.guards().refused.values():
            raise ContractError(f'cannot be activated: {sentence}')
        self._run = PolicyRun(self, model, self._observations, self._values['seed'],
                              self._policy_services.shadow, self._values['realtime_priority'],
                              self._status, self._question)
        try:
            self._run.require_one_publisher()
        except UncloningError:
            self._run.close()
            self._run = None
            raise
        self._run.begin()
        self._policy_services.motion_requested = self._values['autostart']

    def _end_run(self) -> None:
        self._policy_services.motion_requested = False
        run, self._run = self._run, None
        if run is not None:
            try:
                run.end()
                self._write_incidents(run)
            finally:
                run.close()

    def _clean_up(self) -> None:
        self._model = None
        observations, self._observations = self._observations, None
        if observations is not None:
            observations.destroy()
        for publisher in self._debug_pictures.values():
            self.destroy_publisher(publisher)
        self._debug_pictures = {}

    def _on_view(self) -> None:
        if self._run is not None and self._model is not None and self._observations is not None:
            self._write_incidents(self._run)
            shown = markers(self._model.contract.interface, self._run.plan,
                            self._observations.newest(), self.get_clock().now().to_msg())
            if self._model.policy.says_intent:
                add_intent(shown, self._run.intent())
            if self._model.contract.deployment.doubt is not None:
                add_question(shown, self._run.question, self._observations.newest())
            self._markers.publish(shown)
            self._publish_debug_pictures(self._model.contract.interface, self._run)

    def _publish_debug_pictures(self, interface: Interface, run: PolicyRun) -> None:
        """Publish the pictures that the policy saw last, where somebody looks at them."""
        if run.planned is None:
            return
        seen, plan = run.planned
        for key, publisher in self._debug_pictures.items():
            if publisher.get_subscription_count():
                publisher.publish(picture_message(
                    debug_picture(interface, seen.pictures[key], plan), ros_now_ns(self)))

    def _on_diagnostics(self) -> None:
        health = None
        if self._run is not None and self._model is not None:
            # The garbage of a second; older objects were frozen when the thread began.
            gc.collect(1)
            self._run.watch_graph()
            health = self._run.health() | {'evidence_kind': self._model.evidence_kind,
                                           'evidence': self._model.evidence}
        self._diagnostics.publish(policy_diagnostics(
            self.get_fully_qualified_name(), health, self.get_clock().now().to_msg()))

    def _write_incidents(self, run: PolicyRun) -> None:
        """Write the incidents of the run, at the rate and number that `IncidentFiles` allows."""
        for state, reason, make in run.take_incidents():
            try:
                path = self._incidents.write_some(make, state, reason, time.time(),
                                                  time.monotonic())
            except (UncloningError, OSError) as err:
                self.get_logger().error(f'cannot write the incident: {err}',
                                        throttle_duration_sec=HOLD_EVERY_S)
                continue
            if path is None:
                continue
            self.get_logger().info(f'wrote {path}; repeat it with: uncloning replay')
            if self._incidents.left == 0:
                self.get_logger().warning(
                    f'this was the last of {MOST_FILES} incidents that the node writes by itself; '
                    f'~/dump still writes one, and a restarted node counts from zero')


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
