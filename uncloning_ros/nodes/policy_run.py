# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One activation of the policy node: control thread, inference worker, commands, status."""

import queue
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rclpy.duration import Duration

from uncloning_ros.errors import ContractError
from uncloning_ros.nodes.endpoints import (
    NAMELESS,
    listener_mismatch,
    publisher_mismatch,
    second_publisher,
)
from uncloning_ros.nodes.person import PersonTopics
from uncloning_ros.nodes.policy_model import DeployedModel
from uncloning_ros.nodes.topics import (
    COMMAND_QOS,
    OBSERVATION_QOS,
    Commands,
    Observations,
    full_node_name,
)
from uncloning_ros.policy_io import Intent, Observation, Plan, PlanRequest
from uncloning_ros.runtime.control_loop import ControlLoop, Decision, State
from uncloning_ros.runtime.control_thread import ControlThread, Latencies
from uncloning_ros.runtime.doubt import Question, watch_of
from uncloning_ros.runtime.incident import FlightRecord, Incident, incident_of
from uncloning_ros.runtime.inference_worker import InferenceWorker
from uncloning_ros.runtime.shadow import ShadowReport, distances
from uncloning_ros.runtime.take_over import ABSENT
from uncloning_ros.runtime.watchdog import CLOCK_TOPIC

# Time (s) after which a control thread that has not ended hangs.
_JOIN_TIMEOUT_S = 2.0
# Longest time (ns) until discovery knows the name of a publisher.
_NAMING_NS = 2 * 10**9
# Longest wait for the robot's acknowledgement of the last command.
_ACK_TIMEOUT = Duration(seconds=1)


class PolicyRun:
    """Step the control loop in a thread of its own; publish its commands and its status.

    While the thread runs it alone touches the loop; other threads hand over their calls. At the
    end the thread ends first; then exactly one hold command is published if the arm was
    commanded, then nothing.
    """

    def __init__(self, node: Any, model: DeployedModel, observations: Observations, seed: int,
                 shadow: bool, realtime_priority: int,
                 status: Callable[[Mapping[str, Any]], None],
                 ask: Callable[[Mapping[str, Any]], None]) -> None:
        contract = model.contract
        self._node, self._model, self._contract = node, model, contract
        self._observations, self._seed, self._status = observations, seed, status
        self._ask = ask
        self.question: Question | None = None  # for any thread
        self._shadow, self._source = shadow, contract.deployment.teleoperation
        self._person_name = '' if self._source is None else full_node_name(node,
                                                                           self._source.node)
        self._loop = ControlLoop(contract, seed, model.policy.episode_noise,
                                 watch_of(contract, model.policy.doubt))
        self._record = FlightRecord()
        self._incidents: queue.SimpleQueue[tuple[State, str, Any]] = queue.SimpleQueue()
        self._inference, self._answers = Latencies(), Latencies()
        # The newest request, and the arrival of its newest observation on the monotonic clock.
        self._asked: tuple[PlanRequest | None, int] = (None, 0)
        self._decision = Decision(State.WAITING, 'not_started', 'the first cycle is to come')
        self._warnings: dict[str, str] = {}  # by topic
        self._untold = 0
        self._cycles_per_tick = round(contract.deployment.command_rate_hz
                                      / contract.policy.rate_hz)
        self.plan: Plan | None = None  # the one in use; for any thread
        # The newest plan with the observation that it answers; for any thread.
        self.planned: tuple[Observation, Plan] | None = None
        # The question for an intent before motion, whether one is due, and the newest intent.
        self._preview: PlanRequest | None = None
        self._preview_due = False
        self._said: Intent | None = None
        self._counted: tuple[int, Counter[str]] = (time.monotonic_ns(), Counter())
        # A second publisher without a known name, and since when.
        self._nameless: tuple[str, int] | None = None
        self._commands = Commands(node.create_publisher, contract, shadow)
        # A person who demonstrates beside the shadow, or who may take the arm over.
        self._person: PersonTopics | None = None
        self._would: Commands | None = None
        if shadow:
            self._person = PersonTopics(node, contract, None, observations.now_ns)
        elif self._source is not None:
            self._person = PersonTopics(node, contract, self._source, observations.now_ns)
            self._would = Commands(node.create_publisher, contract, shadow=True)
        self._report = None if self._person is None else ShadowReport()
        logger = node.get_logger()
        self._thread = ControlThread(self._cycle, contract.deployment.command_period_ns,
                                     self._on_crash, logger.warning, realtime_priority,
                                     self._take_answers)
        self._worker = InferenceWorker(model.policy)

    def begin(self) -> None:
        """Begin to cycle; motion waits for `start`."""
        self._ask(_question_data(None))
        self._thread.start()

    def give_way(self) -> float:
        """Wait while a cycle is due or runs; return the time (s) for other work after that."""
        return self._thread.give_way()

    def end(self) -> None:
        """End the thread, publish the one hold command, wait until it has arrived."""
        if not self._thread.end(_JOIN_TIMEOUT_S):
            self._node.get_logger().fatal('the control thread hangs; no hold command was sent')
            return
        self._loop.stop()
        self._cycle()
        if self._decision.state is State.WAITING and self._decision.reason != 'stopped':
            # The latched status has to change: motion does not begin on start any more.
            self._publish_status(Decision(State.WAITING, 'not_active', 'not active; configure '
                                          'and activate first'))
        for publisher in self._commands.publishers.values():
            publisher.wait_for_all_acked(_ACK_TIMEOUT)

    def close(self) -> None:
        """Destroy the topics and end the worker."""
        self._worker.end()
        for commands in filter(None, (self._commands, self._would)):
            for publisher in commands.publishers.values():
                self._node.destroy_publisher(publisher)
        if self._person is not None:
            self._person.destroy()

    def start(self) -> tuple[bool, State, float]:
        """Allow motion and accept a doubt; return whether it is allowed, and the state before.

        The third value is the time (s) for which a doubt is accepted, 0 without one.
        """
        asked = self.question
        state, allowed, accepted_s = self._thread.call(lambda: (
            self._loop.state, self._loop.start(), self._loop.accept_doubt()))
        if accepted_s and asked is not None:
            self._node.get_logger().warning(f'~/start accepts the doubt for {accepted_s:g} s: '
                                            f'{asked.sentence}')
        return allowed, state, accepted_s

    def require_person(self) -> str:
        """Return which switch a person has to press; raise `ContractError` if none can."""
        source = self._source
        if source is None:
            raise ContractError('expected teleoperation in the deployment of the contract, got '
                                'none; name the node of the person, topic and '
                                'max_age_s there, and give the file with contract_path')
        if self._shadow:
            raise ContractError('shadow mode commands nothing, so there is nothing to take over; '
                                'command the arm')
        unheard = publisher_mismatch(self._node, source.topic, 'std_msgs/msg/Bool',
                                     OBSERVATION_QOS)
        return f'waits for the switch on {source.topic}' + (
            '' if unheard is None else f' (warning: {unheard})')

    def take_over(self) -> tuple[bool, State]:
        """Hold for a person; return whether there is motion to take over, and the state before."""
        state, held = self._thread.call(lambda: (self._loop.state, self._loop.take_over()))
        return held, state

    def give_back(self) -> tuple[bool, Decision]:
        """Let the policy go on; return whether it will, and the decision before."""
        return self._thread.call(self._loop.give_back), self._decision

    def stop(self) -> None:
        """End motion with one hold command."""
        try:
            self._thread.call(self._loop.stop)
        except TimeoutError:
            self._thread.post(self._loop.stop)  # at the next chance
            raise

    def reset(self) -> None:
        """Hold if the arm was commanded, then forget everything, faults as well."""
        def hold_and_reset() -> None:
            self._loop.stop()
            self._cycle()
            self._loop.reset(self._seed)
        self._thread.call(hold_and_reset)

    def incident(self) -> Incident:
        """Return the incident of this moment."""
        return self._incident_of(*self._thread.call(self._record.snapshot))

    def intent(self) -> Intent | None:
        """Return the intent of the plan in use, before motion that of the first one to come."""
        self._preview_due = self._model.policy.says_intent
        if self._decision.reason == 'not_started':
            return self._said
        return None if self.plan is None else self.plan.intent

    def take_incidents(self) -> list[tuple[State, str, Callable[[], Incident]]]:
        """Return (state, reason, maker of the incident) of each HOLD, FAULT and take-over."""
        taken: list[tuple[State, str, Callable[[], Incident]]] = []
        while not self._incidents.empty():
            state, reason, snapshot = self._incidents.get()
            taken.append((state, reason, partial(self._incident_of, *snapshot)))
        return taken

    def fault(self, reason: str, sentence: str) -> None:
        """Go to FAULT, for a reason outside the loop."""
        self._thread.post(partial(self._loop.fault, reason, sentence))

    def require_one_publisher(self) -> None:
        """Raise `ContractError` if another node publishes on a command topic as well."""
        second = self.second_publisher()
        if second is not None:
            raise ContractError(second)

    def watch_graph(self) -> list[str]:
        """Go to FAULT if another node publishes on a command topic while motion is allowed.

        Return the warnings, as the status has them: topics on which no message passes, and a
        clock that is too coarse.
        """
        second = self.second_publisher()
        if second is not None and self._loop.motion_allowed:
            self.fault('second_publisher', second)
        before = self._warnings
        self._warnings = {**self._coarse_clock(), **self._observations.look(),
                          **self._unheard_commands()}
        for topic, sentence in self._warnings.items():
            if topic not in before:
                self._node.get_logger().warning(sentence)
        return list(self._warnings.values())

    def _coarse_clock(self) -> dict[str, str]:
        step_s, period_s = self._loop.clock_step_ns * 1e-9, 1 / self._contract.policy.rate_hz
        # Once given, the warning stays until the clock is clearly finer.
        most_s = period_s / 2 if CLOCK_TOPIC in self._warnings else period_s
        return {} if step_s <= most_s else {CLOCK_TOPIC: (
            f'expected steps of ROS time of at most {period_s:g} s, a tick of the policy, got '
            f'{step_s:.2f} s: the policy skips ticks, and ages are known to one step only; '
            f'publish {CLOCK_TOPIC} more often')}

    def _unheard_commands(self) -> dict[str, str]:
        """Return why commands reach no node; in shadow mode, why a teacher's do not arrive."""
        matching = publisher_mismatch if self._shadow else partial(
            listener_mismatch, watchers=(self._node.get_fully_qualified_name(), self._person_name))
        return {topic.topic: str(found) for topic in self._contract.deployment.actions.values()
                if (found := matching(self._node, topic.topic, topic.type, COMMAND_QOS))}

    def second_publisher(self) -> str | None:
        """Return the sentence that names a second publisher of a command topic, None without."""
        if self._shadow:
            return None
        deployment = self._contract.deployment
        topics, source = [one.topic for one in deployment.actions.values()], self._source
        if source is None:
            return second_publisher(self._node, topics)
        found = second_publisher(self._node, topics, self._person_name)
        if found is None or NAMELESS not in found:
            self._nameless = None
            return found
        # It may be the person's node, of which discovery learns the name a little later.
        if self._nameless is None or self._nameless[0] != found:
            self._nameless = found, time.monotonic_ns()
        return found if time.monotonic_ns() - self._nameless[1] >= _NAMING_NS else None

    def undiscovered(self) -> bool:
        """Tell whether a second publisher has no known name yet; motion has to wait for it."""
        return self.second_publisher() is None and self._nameless is not None

    def health(self) -> dict[str, Any]:
        """Return the values of the diagnostics: state, inputs, timing, counters."""
        now_ns, samples = self._observations.now_ns(), self._observations.newest()
        topics = self._contract.deployment.observations
        return {
            'state': self._decision.state.value, 'reason': self._decision.reason,
            'sentence': self._decision.sentence, 'model_sha256': self._model.policy.sha256,
            'seed': self._seed, 'counters': self._loop.counters,
            'doubt': self._doubts(),
            'shadow': None if self._report is None else self._report.summary(),
            'ages_s': {key: None if key not in samples
                       else round((now_ns - samples[key].receive_ns) * 1e-9, 3)
                       for key in topics},
            'max_ages_s': {key: topic.max_age_s for key, topic in topics.items()},
            'rates_hz': self._rates_hz(),
            'refused': dict(self._observations.guards().refused),
            'warnings': list(self._warnings.values()),
            'clock_step_s': self._loop.clock_step_ns * 1e-9,
            'deadline_misses': self._thread.misses,
            'first_deadline_ns': self._thread.first_due_ns,
            'wake_up': self._thread.wake_ups.summary_ms(),
            'cycle': self._thread.cycles.summary_ms(),
            'inference': self._inference.summary_ms(),
            'observation_to_chunk': self._answers.summary_ms()}

    def _doubts(self) -> dict[str, Any]:
        """Return newest doubt, threshold, and whether an alarm holds; {} for a policy without."""
        record = self._model.policy.doubt
        if record is None:
            return {}
        calibration = record.calibration
        return {'newest': self._loop.doubts.newest, 'greatest': self._loop.doubts.greatest,
                'threshold': None if calibration is None else calibration.threshold,
                'stops': self._contract.deployment.doubt is not None}

    def _rates_hz(self) -> dict[str, float]:
        """Return the rate at which each observation arrived since the last call."""
        (then_ns, before), now_ns = self._counted, time.monotonic_ns()
        counts = Counter(self._observations.arrived)
        self._counted = (now_ns, counts)
        return {key: round((counts[key] - before[key]) / max((now_ns - then_ns) * 1e-9, 1e-3), 1)
                for key in self._contract.deployment.observations}

    def _take_answers(self, due_ns: int) -> None:
        """Deliver the answers of the policy, for the cycle that is due at `due_ns`."""
        for timed in self._worker.take():
            if timed.answer.request is self._preview:
                self._said = None if timed.answer.plan is None else timed.answer.plan.intent
                continue
            ahead_ns = due_ns - time.monotonic_ns()
            self._loop.deliver(timed.answer, self._observations.now_ns() + ahead_ns)
            self._record.add_answer(timed.answer)
            if timed.answer.plan is not None:
                self.planned = timed.answer.request.observation, timed.answer.plan
            self._inference.add(timed.answered_ns - timed.submitted_ns)
            asked, seen_ns = self._asked
            if timed.answer.request is asked:
                self._answers.add(due_ns - seen_ns)

    def _cycle(self) -> None:
        now_ns, steady_ns = self._observations.now_ns(), time.monotonic_ns()
        stamp_ns, samples = self._observations.ros_now_ns(), self._observations.newest()
        person = ABSENT if self._person is None else self._person.newest()
        decision = self._loop.step(now_ns, samples, stamp_ns, steady_ns,
                                   self._observations.guards(), person)
        if decision.command is not None:
            self._commands.publish(decision.command, stamp_ns, decision.state is State.ACTIVE)
        if decision.would is not None and self._would is not None:
            self._would.publish(decision.would, stamp_ns)
        thought = decision.command if self._shadow else decision.would
        if thought is not None and self._report is not None:
            self._report.add(distances(self._contract.interface, thought, {
                key: sample.values for key, sample in person.commands.items()}))
        if decision.request is not None:
            self._worker.submit(decision.request)
            age_ns = now_ns - max(sample.receive_ns for sample in samples.values())
            self._asked = decision.request, steady_ns - age_ns
        elif self._preview_due and decision.reason == 'not_started':
            self._preview, self._preview_due = self._loop.preview(samples), False
            self._worker.submit(self._preview)
        self._tell(decision, now_ns)

    def _tell(self, decision: Decision, now_ns: int) -> None:
        """Publish the status when it changes, and at every tick of the policy."""
        before, self._decision = self._decision, decision
        if self._loop.question is not self.question:
            self.question = self._loop.question
            self._ask(_question_data(self.question))
        changed = self._record.add_decision(decision, now_ns)
        self._untold += 1
        if not changed and self._untold < self._cycles_per_tick:
            return
        self._untold = 0
        self.plan = self._loop.plan
        self._publish_status(decision)
        if changed:
            self._node.get_logger().info(f'{decision.state.name}: {decision.sentence}')
        taken = decision.state is State.TAKEN_OVER and before.state is State.ACTIVE
        if taken or (decision.state is not before.state
                     and decision.state in (State.HOLD, State.FAULT)):
            self._incidents.put((decision.state, decision.reason, self._record.snapshot()))

    def _publish_status(self, decision: Decision) -> None:
        self._status(
            {'state': decision.state.value, 'reason': decision.reason,
             'sentence': decision.sentence, 'model_sha256': self._model.policy.sha256,
             'warnings': list(self._warnings.values()), 'shadow': self._shadow,
             'overruns': self._thread.misses, 'counters': self._loop.counters,
             'doubt': self._loop.doubts.newest})

    def _incident_of(self, answers: Any, events: Any) -> Incident:
        return incident_of(answers, events, self._model.path, self._model.policy,
                           self._contract.sha256, self._seed)

    def _on_crash(self, sentence: str) -> None:
        """Hold and fall silent; log first, for the crash may repeat itself."""
        self._node.get_logger().fatal(sentence)
        self._loop.fault('crashed', sentence)
        try:
            self._cycle()
        except Exception as err:  # noqa: BLE001 - nothing is left but to log it
            self._node.get_logger().fatal(f'no hold command could be sent: {err!r}')


def _question_data(question: Question | None) -> dict[str, Any]:
    """Return the JSON of ~/question; without a question its sentence is empty."""
    if question is None:
        return {'question': '', 'observation': '', 'doubt': None, 'threshold': None}
    return {'question': question.sentence, 'observation': question.key, 'doubt': question.doubt,
            'threshold': question.threshold}
