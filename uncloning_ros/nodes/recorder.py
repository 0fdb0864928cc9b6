# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record demonstrations from the contract's topics: one bag for each episode, none ever lost."""

import re
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from uncloning_ros.contract import TRANSFORMS, Contract
from uncloning_ros.demos.recording.cdr import stamped_values
from uncloning_ros.demos.recording.health import topic_rules
from uncloning_ros.demos.recording.rates import RateWatch
from uncloning_ros.demos.recording.recovery import leftovers
from uncloning_ros.demos.recording.session import RecordingSession
from uncloning_ros.errors import BagError, UncloningError
from uncloning_ros.nodes.common import (
    LATCHED_QOS,
    Parameter,
    as_json,
    contract_at,
    declare,
    path_of,
    ros_now_ns,
    run_node,
)
from uncloning_ros.nodes.raw_topics import RawTopics
from uncloning_ros.nodes.recorder_view import diagnostics

PARAMETERS = (
    Parameter('out', 'demos', 'folder of the episodes; made if missing, nothing overwritten'),
    Parameter('session', '', "name of this session; '' is the time at which the node began"),
    Parameter('operator', 'unknown', 'who demonstrates'),
    Parameter('planned_mode', '', "mode that the operator is asked for at first; '' if none"),
    Parameter('contract_path', '', "contract with this robot's topics; '' is the shipped one"),
    Parameter('autostart', False, 'start the first episode as soon as every observation arrives'),
    Parameter('record_all', False, 'record every other topic of the graph as well'),
    Parameter('exclude', '', 'topics that record_all leaves out: names with commas between, * '
                             'stands for anything'),
    Parameter('min_free_mib', 500, 'MiB free on the disk that a start needs; below half of it '
                                   'the open episode is kept and ended'),
    Parameter('queue_mib', 128, 'MiB that wait for a slow disk before messages are dropped'),
)

# How often messages are taken from the middleware, which has stamped them on arrival.
_TAKE_S = 0.005
# How often the graph, the writer and autostart are looked at.
_CHECK_S = 0.2
# An observation that did not arrive for so long, or for its maximum age, is silent.
_SILENT_S = 1.0
# How often a warning that stays true is repeated.
_REPEAT_S = 5.0


class Recorder(Node):
    """Subscribe to everything in the contract; keep it while an episode is open.

    Messages are taken as bytes, with the middleware's own stamps in ROS system time; under
    `use_sim_time` arrival is in simulated time. Callbacks run on the executor's thread, the disk
    has its own.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('recorder', **node_options)
        values = declare(self, PARAMETERS)
        if values['queue_mib'] < 1:
            raise BagError(f'expected queue_mib of at least 1, got {values["queue_mib"]}')
        contract = contract_at(values['contract_path'])
        self._simulated = bool(self.get_parameter('use_sim_time').value)
        self._out = path_of(values['out'])
        session = values['session'] or f'session_{time.time_ns() // 10**9}'
        self._events = self.create_publisher(String, '~/episode_event', LATCHED_QOS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._recording = RecordingSession(
            self._out, contract, session, values['operator'], values['planned_mode'] or None,
            values['min_free_mib'] * 2**20, values['queue_mib'] * 2**20,
            lambda event: self._events.publish(as_json(event)))
        rules = topic_rules(contract)
        self._limits_s = {name: max(_SILENT_S, rule.max_gap_s)
                          for name, rule in rules.items() if rule.observation}
        self._transforms = {rule.topic for rule in rules.values() if rule.type == TRANSFORMS}
        self._watch = RateWatch()
        exclude = [name.strip() for name in values['exclude'].split(',') if name.strip()]
        self._topics = RawTopics(self, contract, values['record_all'], exclude, self._receive)
        self._topics.on_topic = self._recording.add_topic
        self._take_ns = 0
        self._autostart: bool = values['autostart']
        self._waits_for = ''  # what keeps autostart from starting
        self._serve(contract)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a simulated clock may stand still
        for period_s, call in ((_TAKE_S, self._take), (_CHECK_S, self._check),
                               (1.0, self._on_second)):
            self.create_timer(period_s, call, clock=steady)
        self._tell_of_leftovers()

    def close(self) -> None:
        """Finish the open episode and destroy the node."""
        if self._recording.open_name is not None:
            self._try(self._stop)
        self.destroy_node()

    def _serve(self, contract: Contract) -> None:
        actions: dict[str, Callable[[], str]] = {
            '~/start_episode': self._start, '~/stop_episode': self._stop,
            '~/discard_episode': self._discard, '~/undo_last': self._recording.undo}
        for mode, word in service_words(contract.interface.mode_names).items():
            actions[f'~/plan_{word}'] = partial(self._recording.plan, mode)
            actions[f'~/label_{word}'] = partial(self._label, mode)
        for name, action in actions.items():
            self.create_service(Trigger, name, partial(self._answer, action))

    def _answer(self, action: Callable[[], str], _: Any, response: Any) -> Any:
        """Answer a service call with what an action says, or with why it could not be done."""
        response.success, response.message = self._try(action)
        return response

    def _try(self, action: Callable[[], str]) -> tuple[bool, str]:
        try:
            sentence = action()
        except (UncloningError, OSError) as err:
            self.get_logger().error(str(err))
            return False, str(err)
        except Exception as err:  # noqa: BLE001 - one defect must not cost the next takes as well
            self.get_logger().error(traceback.format_exc())
            return False, f'this is a defect: {type(err).__name__}: {err}; the log has more'
        self.get_logger().info(sentence)
        return True, sentence

    def _start(self) -> str:
        self._take()
        sentence = self._recording.start(
            ros_now_ns(self), self._watch.silent(self._limits_s, self._now_ns()),
            self._topics.recorded(), self._watch.usual_hz, self._topics.lost)
        self._topics.latched_again(self._now_ns(), ros_now_ns(self))
        return sentence

    def _stop(self) -> str:
        self._take()
        return self._recording.stop(ros_now_ns(self), self._topics.lost)

    def _discard(self) -> str:
        self._take()
        return self._recording.discard(ros_now_ns(self), self._topics.lost)

    def _label(self, mode: str) -> str:
        return self._recording.label(mode, ros_now_ns(self))

    def _now_ns(self) -> int:
        """Return the time in which ages are judged."""
        return ros_now_ns(self) if self._simulated else time.monotonic_ns()

    def _take(self) -> None:
        now_ns = self._now_ns()
        self._take_ns = now_ns
        for topic, count in self._topics.take(now_ns).items():
            self._watch.seen(topic, count, now_ns)

    def _receive(self, topic: str, cdr: bytes, info: dict[str, Any]) -> None:
        if topic in self._transforms:
            for one in stamped_values(TRANSFORMS, cdr):  # every frame may fall silent by itself
                self._watch.seen(f'{topic} {one.frame}', 1, self._take_ns)
        if not self._simulated:
            self._recording.put(topic, cdr, info['received_timestamp'], info['source_timestamp'])
        elif self._take_ns > 0:  # else nobody knows yet what time it is
            self._recording.put(topic, cdr, self._take_ns, self._take_ns)

    def _check(self) -> None:
        self._topics.look()
        try:
            sentence = self._recording.check(ros_now_ns(self), self._topics.lost)
        except UncloningError as err:
            sentence = str(err)
        if sentence is not None:
            self.get_logger().error(sentence)
        if self._autostart:
            self._start_by_itself()

    def _start_by_itself(self) -> None:
        """Start as soon as the start gate opens; `_on_second` tells what keeps it shut."""
        if self._recording.open_name is None:
            try:
                self.get_logger().info(self._start())
            except (UncloningError, OSError) as err:
                self._waits_for = str(err)
                return
        self._autostart, self._waits_for = False, ''

    def _on_second(self) -> None:
        now_ns, recording = self._now_ns(), self._recording
        self._watch.tick(now_ns, learn=recording.open_name is None)
        warnings = self._watch.warnings(self._limits_s, now_ns) + recording.warnings()
        if recording.open_name is not None:
            for text in warnings:
                self.get_logger().warning(f'{recording.open_name}: {text}',
                                          throttle_duration_sec=_REPEAT_S)
        if self._waits_for:
            self.get_logger().warning(f'autostart waits: {self._waits_for}',
                                      throttle_duration_sec=_REPEAT_S)
        self._diagnostics.publish(diagnostics(
            self.get_fully_qualified_name().lstrip('/'), self.get_clock().now().to_msg(),
            recording, warnings, self._watch.rates_hz, self._topics.lost))

    def _tell_of_leftovers(self) -> None:
        left, live = leftovers(self._out) if self._out.exists() else ([], [])
        for path in left:
            self.get_logger().warning(
                f'{path} was never finished; finish it with: uncloning recover '
                f'{shlex.quote(str(self._out))}')
        for path in live:
            self.get_logger().info(f'another recorder is at work in {self._out}: it records '
                                   f'{path.name} now')


def service_words(modes: Sequence[str]) -> dict[str, str]:
    """Return what each mode is called in the names of services, where few characters may be."""
    words: dict[str, str] = {}
    for number, mode in enumerate(modes, start=1):
        word = re.sub(r'[^0-9A-Za-z]+', '_', mode).strip('_') or 'mode'
        words[mode] = word if mode == word or word not in (*modes, *words.values()) else (
            f'{word}_{number}')
    return words


def main(args: Sequence[str] | None = None) -> int:
    """Run the recorder until SIGINT or SIGTERM; the open episode is finished."""
    return run_node(Recorder, args)


if __name__ == '__main__':
    sys.exit(main())
