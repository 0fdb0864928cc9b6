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
from rclpy.node import Node
from std_msgs.msg import String

from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.answers import SINGLE_ANSWERS
from uncloning_ros.demos.bags.verdict import Finding
from uncloning_ros.demos.recording.gate import StartGate
from uncloning_ros.demos.recording.rates import RateWatch
from uncloning_ros.demos.recording.recovery import leftovers
from uncloning_ros.demos.recording.ring import Kept, Ring
from uncloning_ros.demos.recording.session import RecordingSession
from uncloning_ros.demos.recording.take_overs import GIVEN_BACK, TAKEN, TakeOverWatch
from uncloning_ros.errors import UncloningError
from uncloning_ros.nodes.diagnostics import recorder_diagnostics
from uncloning_ros.nodes.parameters import RECORDER, contract_at, path_of
from uncloning_ros.nodes.process import declare, run_node, serve, steady_timer
from uncloning_ros.nodes.raw_topics import RawTopics
from uncloning_ros.nodes.topics import LATCHED_QOS, json_topic, ros_now_ns
from uncloning_ros.runtime.ros_time import RosTime
from uncloning_ros.runtime.watchdog import CLOCK_TOPIC

# Period (s) at which messages are taken from the middleware, which has stamped them on arrival.
_TAKE_S = 0.005
# Period (s) of the look at the graph, the writer and autostart.
_CHECK_S = 0.2
# Standstill (ns) of simulated time that is worth a warning.
_STANDSTILL_NS = 10**9
# Longest time (ns) by which the middleware hands a command over later than one that came after it
# from another node: it arrived when it was handed over.
_LATE_NS = 250_000_000
# Period (s) at which a lasting warning is repeated.
_REPEAT_S = 5.0
# Time (s) after a failure in which no episode begins by itself: a broken disk would get one at
# each look.
_REST_S = 5.0


class Recorder(Node):
    """Subscribe to everything in the contract; keep it while an episode is open.

    Messages are taken as bytes, with the middleware's own stamps in ROS system time; under
    `use_sim_time` arrival is in simulated time. Callbacks run on the executor's thread, the disk
    has its own.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__('recorder', **node_options)
        values = declare(self, RECORDER)
        contract = contract_at(values['contract_path'])
        self._simulated = bool(self.get_parameter('use_sim_time').value)
        self._out = path_of(values['out'])
        session = values['session'] or f'session_{time.time_ns() // 10**9}'
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._recording = RecordingSession(
            self._out, contract, session, values['operator'], values['planned_mode'] or None,
            values['min_free_mib'] * 2**20, values['queue_mib'] * 2**20,
            json_topic(self, '~/episode_event'), rater=values['rater'])
        self._gate = StartGate(contract)
        self._limits_s = self._gate.limits_s
        self._watch = RateWatch()
        self._shortest_age_s = min(topic.max_age_s
                                   for topic in contract.deployment.observations.values())
        self._ros_time = RosTime(_STANDSTILL_NS)
        self._clock_complaint: tuple[str, str] | None = None
        exclude = [name.strip() for name in values['exclude'].split(',') if name.strip()]
        self._topics = RawTopics(self, contract, values['record_all'], exclude, self._receive)
        self._topics.on_topic = self._recording.add_topic
        self._take_ns = 0
        self._autostart: bool = values['autostart']
        self._told_room = False
        self._missed = False  # whether a take-over is under way that no open episode has
        self._waits_for = ''  # the reason why no episode has begun by itself yet
        self._rest_until_s = 0.0
        self._ring: Ring | None = None
        self._shared: dict[str, int] = {}  # newest arrival on each topic of policy and person
        self._before_ns = round(values['before_s'] * 1e9)
        self._correction = False  # whether a take-over began the newest episode
        if contract.deployment.teleoperation is not None:
            # Half of the queue: a correction begins with all of it at once.
            self._ring = Ring(values['before_s'], values['queue_mib'] * 2**19)
            status = f'{values["policy"].rstrip("/")}/status'
            self._take_overs = TakeOverWatch(status)
            self._shared = {topic.bag_name: 0 for topic in contract.deployment.actions.values()}
            self.create_subscription(String, status, self._on_status, LATCHED_QOS)
        self._serve(contract)
        for period_s, call in ((_TAKE_S, self._take), (_CHECK_S, self._check),
                               (1.0, self._on_second)):
            steady_timer(self, period_s, call)
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
        for said in SINGLE_ANSWERS:
            actions[f'~/judge_{said}'] = partial(self._recording.judge, said)
        for name, action in actions.items():
            serve(self, name, partial(self._try, action))

    def _try(self, action: Callable[[], str], _: Any = None) -> tuple[bool, str]:
        """Return success and sentence of an action; log both, and a defect with its traceback."""
        try:
            sentence = action()
        except (UncloningError, OSError) as err:
            self.get_logger().error(str(err))
            return False, str(err)
        except Exception as err:  # noqa: BLE001 - one defect must not cost the next takes as well
            return False, self._defect(err)
        self.get_logger().info(sentence)
        return True, sentence

    def _defect(self, err: Exception) -> str:
        self.get_logger().error(traceback.format_exc())
        return f'this is a defect: {type(err).__name__}: {err}; the log has more'

    def _start(self, correction: bool = False) -> str:
        self._take()
        before = None if self._ring is None or not correction else (
            self._ring.since(ros_now_ns(self) - self._before_ns))
        now_ns = self._now_ns()
        sentence = self._recording.start(
            ros_now_ns(self), self._watch.silent(self._limits_s, now_ns),
            self._gate.refusals(now_ns), self._topics.recorded(), self._watch.usual_hz,
            self._topics.lost, before)
        self._correction = correction
        self._topics.latched_again(self._now_ns(), ros_now_ns(self))
        return '; '.join(filter(None, (sentence,
                                       self._recording.room(self._watch.usual_bytes_s))))

    def _stop(self, cause: Finding | None = None) -> str:
        self._take()
        return self._recording.stop(ros_now_ns(self), self._topics.lost, cause)

    def _discard(self) -> str:
        self._take()
        return self._recording.discard(ros_now_ns(self), self._topics.lost)

    def _on_status(self, message: Any) -> None:
        """Mark a take-over in the open episode; without one record it as an episode of its own."""
        for event in self._take_overs.see(message.data):
            if event == GIVEN_BACK:
                self._tell_of_missed()
            self._missed = event == TAKEN or (self._missed and event != GIVEN_BACK)
            if event == TAKEN:
                self._start_by_itself()
            elif not self._missed:
                self._recording.mark(event, ros_now_ns(self))
            if event == GIVEN_BACK and self._corrects():
                self._try(self._stop)

    def _tell_of_missed(self) -> None:
        if self._missed:
            self.get_logger().warning(f'the take-over ended and was not recorded, or not to its '
                                      f'end: {self._waits_for}')

    def _corrects(self) -> bool:
        """Tell whether an episode is open that a take-over began."""
        return self._correction and self._recording.open_name is not None

    def _label(self, mode: str) -> str:
        return self._recording.label(mode, ros_now_ns(self))

    def _now_ns(self) -> int:
        """Return the time in which ages are judged."""
        return ros_now_ns(self) if self._simulated else time.monotonic_ns()

    def _take(self) -> None:
        now_ns = self._now_ns()
        self._take_ns = now_ns
        if self._simulated:
            self._clock_complaint = self._ros_time.judge(now_ns, time.monotonic_ns())
        for topic, count in self._topics.take(now_ns).items():
            if topic not in self._gate.names:  # of the others every signal counts for itself
                self._watch.seen(topic, count, now_ns)

    def _receive(self, topic: str, cdr: bytes, info: dict[str, Any]) -> None:
        self._watch.weigh(len(cdr))
        for name in self._gate.see(topic, cdr, self._take_ns):
            self._watch.seen(name, 1, self._take_ns)
        if not self._simulated:
            times_ns = info['received_timestamp'], info['source_timestamp']
        elif self._take_ns > 0:  # else no ROS time has arrived yet
            times_ns = self._take_ns, self._take_ns
        else:
            return
        if topic in self._shared:
            newest_ns = max(self._shared[topic], times_ns[0])
            if newest_ns - times_ns[0] < _LATE_NS:
                times_ns = newest_ns, times_ns[1]
            self._shared[topic] = times_ns[0]
        self._recording.put(topic, cdr, *times_ns)
        if self._ring is not None:
            self._ring.add(Kept(topic, cdr, *times_ns))

    def _check(self) -> None:
        self._topics.look()
        mismatches = self._topics.mismatches()
        self._watch.causes = {name: mismatches[topic].short for name in self._limits_s
                              if (topic := name.split()[0]) in mismatches}
        try:
            sentence = self._recording.check(ros_now_ns(self), self._topics.lost)
        except UncloningError as err:
            sentence = str(err)
        if sentence is not None:
            self.get_logger().error(sentence)
            self._missed = self._ring is not None and bool(self._take_overs.standing())
            self._rest(sentence)
        if (self._missed or self._corrects()) and (
                silence := self._take_overs.silence(time.monotonic_ns())):
            self._tell_of_missed()
            self._missed = False
            if self._corrects():
                self.get_logger().warning(f'{self._recording.open_name}: {silence}')
                self._try(partial(self._stop, silence))
        if (self._autostart or self._missed) and time.monotonic() > self._rest_until_s:
            self._start_by_itself()

    def _start_by_itself(self) -> None:
        """Start as soon as that is possible; `_on_second` logs the reason why it is not."""
        if self._recording.open_name is None:
            try:
                self.get_logger().info(self._start(self._missed))
            except (UncloningError, OSError) as err:
                self._waits_for = str(err)
                return
            except Exception as err:  # noqa: BLE001 - as in _try()
                self._rest(self._defect(err))
                return
        if self._missed:  # what came before could not be recorded
            for event in self._take_overs.standing():
                self._recording.mark(event, ros_now_ns(self))
        self._autostart, self._missed = False, False

    def _rest(self, reason: str) -> None:
        self._waits_for, self._rest_until_s = reason, time.monotonic() + _REST_S

    def _on_second(self) -> None:
        now_ns, recording = self._now_ns(), self._recording
        self._watch.tick(now_ns, learn=recording.open_name is None)
        warnings = (self._clock_warnings() + self._watch.warnings(self._limits_s, now_ns)
                    + self._gate.refusals(now_ns) + self._foreign_topics()
                    + recording.warnings(self._watch.usual_bytes_s))
        if recording.open_name is not None:
            for text in warnings:
                self.get_logger().warning(f'{recording.open_name}: {text}',
                                          throttle_duration_sec=_REPEAT_S)
        room = recording.room(self._watch.usual_bytes_s)
        if room and not self._told_room and not self._watch.silent(self._limits_s, now_ns):
            self._told_room = True
            self.get_logger().info(f'a recording takes {room}')
        if self._missed or (self._autostart and self._waits_for):
            what = 'the take-over is not being recorded' if self._missed else 'autostart waits'
            # The reason has sentences of the warnings; ages in brackets differ.
            warnings = [f'{what}: {self._waits_for}', *(
                text for text in warnings if text.partition(' (')[0].removeprefix(
                    'nothing arrives on ') not in self._waits_for)]
            self.get_logger().warning(warnings[0], throttle_duration_sec=_REPEAT_S)
        self._diagnostics.publish(recorder_diagnostics(
            self.get_fully_qualified_name().lstrip('/'), self.get_clock().now().to_msg(),
            recording, warnings, self._watch, self._topics.lost))

    def _clock_warnings(self) -> list[str]:
        """Return a sentence for simulated time that stands still or comes in coarse steps."""
        step_s, most_s = self._ros_time.usual_step_ns * 1e-9, self._shortest_age_s
        found = [] if step_s <= most_s else [
            f'expected steps of ROS time of at most {most_s:g} s, the shortest max_age_s, got '
            f'{step_s:.2f} s: all messages of a step count as arrived at once; publish '
            f'{CLOCK_TOPIC} more often']
        if self._clock_complaint is not None:
            found.append(f'{self._clock_complaint[1]}; check the publisher of {CLOCK_TOPIC}')
        return found

    def _foreign_topics(self) -> list[str]:
        """Return a sentence for each command or guard that only comes with another type."""
        observed = {name.split()[0] for name in self._limits_s}
        return [str(found) for name, found in self._topics.mismatches().items()
                if name not in observed and found.endpoints]

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
    """Return each mode's word in names of services, which allow fewer characters."""
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
