# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decide every command: the same code in the live policy node and in an audit."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import KINDS, Contract
from uncloning_ros.contract.kinds import nearest_turn, turns_counted
from uncloning_ros.conversions import Sample, flat_observation
from uncloning_ros.geometry import Array, rotation_from_6d
from uncloning_ros.policy_io import Observation, Plan, PlanAnswer, PlanRequest, chunk_noise
from uncloning_ros.runtime.action_queue import ActionQueue
from uncloning_ros.runtime.doubt import DoubtWatch, Question, Tally
from uncloning_ros.runtime.flicker import Flicker
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.release import release_rule
from uncloning_ros.runtime.still import Stillness
from uncloning_ros.runtime.take_over import ABSENT, Person, TakeOver
from uncloning_ros.runtime.watchdog import NO_GUARDS, Complaint, Guards, Watchdog

# Largest value of an action: far beyond real commands, and its square does not overflow.
_MOST = 1e4

# Time (s) of good cycles before HOLD ends: the arm must not stutter with a flickering tracker.
RESUME_S = 0.25


class State(Enum):
    """The state of the loop, and its commands."""

    WAITING = 'waiting'  # no motion: not started, stopped, or inputs not there yet; silent
    ACTIVE = 'active'    # the policy commands
    HOLD = 'hold'        # an input cannot be trusted: one latched pose is repeated
    TAKEN_OVER = 'taken_over'  # a person commands; silent
    DONE = 'done'        # the episode is over: one hold command, then silence
    FAULT = 'fault'      # policy or robot is unusable: one hold command, then silence


@dataclass(frozen=True, eq=False)
class Decision:
    """The decision of one cycle.

    `reason` is a code, `sentence` the same in words. `command` (action_dim,) is to be published;
    None means silence. `request` is to be answered soon, with `ControlLoop.deliver`. `would`
    (action_dim,) is the command that the policy would have given, were it not for the person.
    """

    state: State
    reason: str
    sentence: str
    command: Array | None = None
    request: PlanRequest | None = None
    would: Array | None = None


class ControlLoop:
    """Turn the newest samples of each cycle into one command, or into silence, with a reason.

    Call `step` once per cycle, at the contract's `command_rate_hz`. The loop never waits for the
    policy: a decision may carry a request, and the caller answers it later with `deliver`,
    between two steps. Time, samples and seed are arguments, so a run can be repeated exactly.
    Not thread-safe: one thread owns the loop.

    WAITING -> ACTIVE after `start()`, without a complaint. The first observation fills the
    history; every `execute` ticks of the policy a new plan is requested, and until it arrives
    the old one goes on, for as long again at most. An input that is missing, refused, not finite,
    too old or frozen, a clock that jumps back or stops, an enable switch let go, a late answer
    -> HOLD: the command that keeps the arm where it is is latched once and repeated (`still.py`).
    After `RESUME_S` without complaint -> ACTIVE, with queue and history cleared. DONE when a
    release is noticed, or after `max_episode_s`. FAULT when the policy fails or its answer is
    not a command, on the robot's fault topic, and on `fault()`; only `reset` ends it.

    A person takes the arm over (`take_over.py`): after `take_over()` -> HOLD; while the person has
    the arm -> TAKEN_OVER, from ACTIVE and HOLD alike; after that -> HOLD where the person left it,
    until `give_back()`. The time of the episode stands still meanwhile.

    A lasting doubt of the policy, where the contract's deployment asks for it -> HOLD with a
    question, until `accept_doubt()` or until a person commands; the time stands still as well.

    Turns of continuous joints are counted here, as `align` counts them for a dataset: an episode
    begins with each within half a turn of 0, and while it lasts a measurement is taken at the
    turn that is nearest to the last command or, where none moves the joint, to the measurement
    before it. So limits, plans and history never see a driver leap by a turn.
    """

    def __init__(self, contract: Contract, seed: int, episode_noise: int = 0,
                 doubt: DoubtWatch | None = None) -> None:
        """Take the seed of the noise, and the number of last values that stay in an episode.

        `doubt` hears the doubt of the policy; by default it is not heard.
        """
        self._contract, self._episode_noise = contract, episode_noise
        interface, timing, deployment = contract.interface, contract.policy, contract.deployment
        self._still = Stillness(contract)  # refuses an action that nothing measures
        self._limiter = Limiter(contract)
        self._continuous = [signal for signal in interface.observations if signal.continuous]
        self._commands_of = {key: interface.action_slices[action]
                             for action, key in self._still.measured_by.items()}
        self._release = release_rule(contract)
        self._rotations = [slice(part.start + 3, part.stop) for part in (
            interface.action_slices[s.key] for s in interface.actions if s.kind == 'pose')]
        self._queue = ActionQueue(timing.period_ns, deployment.command_period_ns, timing.execute,
                                  self._rotations)
        self._history: deque[Array] = deque(maxlen=timing.history)
        self._watchdog = Watchdog(contract)
        self._take_over = TakeOver(contract, self._still)
        self._doubt = DoubtWatch(contract) if doubt is None else doubt
        self._flicker = Flicker(round(RESUME_S * 1e9))
        # Largest deviation (ns) of a cycle from its time: half a period.
        self._slack_ns = deployment.command_period_ns // 2
        self._patience_ns = 2 * timing.execute * timing.period_ns
        self._resting = np.zeros(interface.action_dim)  # set before the first request
        self.reset(seed)

    @property
    def state(self) -> State:
        """Return the state after the last step."""
        return self._state

    @property
    def motion_allowed(self) -> bool:
        """Tell whether the arm moves, or will without a complaint."""
        return self._motion_allowed

    @property
    def clock_step_ns(self) -> int:
        """Return the usual step of ROS time, 0 where it advances in every cycle."""
        return self._watchdog.ros_time.usual_step_ns

    @property
    def plan(self) -> Plan | None:
        """Return the plan in use, None if there is none."""
        return self._queue.plan

    @property
    def question(self) -> Question | None:
        """Return the question that a person has to answer, None without one."""
        return self._doubt.question

    @property
    def doubts(self) -> Tally:
        """Return the doubts since the reset."""
        return self._doubt.tally

    @property
    def counters(self) -> dict[str, int]:
        """Return the counts of cycles, chunks and holds, and those of the limiter.

        `late_chunks` took longer than a period, `dropped_chunks` until their request was given up.
        """
        return {'cycles': self._cycles, 'chunks': self._chunks, 'holds': self._holds,
                'late_chunks': self._late_chunks, 'dropped_chunks': self._dropped_chunks,
                **self._limiter.counts}

    def reset(self, seed: int) -> None:
        """Forget the episode, counters and FAULT; motion needs `start`, plan 0 is next."""
        if seed < 0:
            raise ValueError(f'expected a seed of at least 0, got {seed}')
        self._seed = seed
        self._cycles = self._chunks = self._holds = 0
        self._late_chunks = self._dropped_chunks = 0
        self._limiter.reset()
        self._watchdog.reset()
        self._flicker.reset()
        self._state = State.WAITING
        self._now_ns = 0
        self._foreign_fault: tuple[str, str] | None = None
        self._noise: NDArray[np.float32] | None = None
        self._forget_episode()
        self._doubt.reset()

    def _forget_plans(self) -> None:
        self._doubt.interrupt()
        self._queue.clear()
        self._history.clear()
        self._pending: PlanRequest | None = None

    def _forget_episode(self) -> None:
        self._forget_plans()
        self._take_over.reset()
        self._doubt.forget()
        self._turns: dict[str, Array] = {}
        self._last: Array | None = None
        self._stays: NDArray[np.float32] | None = None  # the noise that stays, once it is drawn
        self._motion_allowed = False
        if self._release is not None:
            self._release.reset()
        self._good_ns: int | None = None
        self._began_ns = self._next_tick_ns = 0
        self._why = ('', '')

    def start(self) -> bool:
        """Allow motion, for a new episode if the last one is over; tell whether it is allowed.

        It is refused in FAULT, and between `stop()` and the step that holds.
        """
        if self._state in (State.WAITING, State.DONE):
            self._forget_episode()
            self._state = State.WAITING
            self._motion_allowed = True
        return self._motion_allowed

    def take_over(self) -> bool:
        """Hold for a person, until `give_back`; tell whether there is motion to take over."""
        return self._take_over.ask(self._state in (State.ACTIVE, State.HOLD, State.TAKEN_OVER))

    def give_back(self) -> bool:
        """Let the policy go on; refused unless a person asked for the arm and holds it no more."""
        return self._state is not State.TAKEN_OVER and self._take_over.end()

    def accept_doubt(self) -> float:
        """Let the policy go on in doubt; return the time (s) for which, 0 without a question."""
        return self._doubt.accept(self._now_ns)

    def preview(self, samples: Mapping[str, Sample]) -> PlanRequest:
        """Return the first request of an episode that would begin now; nothing changes by it."""
        return PlanRequest(self._chunks, self._now_ns,
                           self._observed([self._flat(self._counted(samples))], samples),
                           self._draw_noise())

    def stop(self) -> None:
        """End motion: the next step gives one hold command if the arm was commanded, then none."""
        self._motion_allowed = False

    def fault(self, reason: str, sentence: str) -> None:
        """End in FAULT with the next step, for a reason that the loop cannot see itself."""
        self._foreign_fault = (reason, sentence)

    def deliver(self, answered: PlanAnswer, now_ns: int) -> None:
        """Take the answer to a request, on the clock of `step`; an outdated one is dropped."""
        # Noise for the next request, drawn here, where it does not delay a command.
        self._noise = self._draw_noise()
        request = answered.request
        if request is not self._pending:
            self._dropped_chunks += 1
            return
        self._pending = None
        self._late_chunks += now_ns - request.tick_ns > self._contract.policy.period_ns
        try:
            plan = self._checked(answered)
        except (TypeError, ValueError) as err:
            self.fault('policy_failed', f'the policy failed: {err}')
            return
        self._queue.put(self._counted_plan(plan), request.tick_ns, now_ns, self._resting)
        self._doubt.hear(plan.doubt, request.tick_ns, now_ns, request.observation.vector[-1])

    def step(self, now_ns: int, samples: Mapping[str, Sample], ros_now_ns: int | None = None,
             steady_ns: int | None = None, guards: Guards = NO_GUARDS,
             person: Person = ABSENT) -> Decision:
        """Decide one cycle from the newest sample of every observation.

        `now_ns` is on the clock of the samples' `receive_ns`, `ros_now_ns` on that of their
        stamps, `steady_ns` on one that never jumps; by default all are the same.
        """
        self._cycles += 1
        samples = self._counted(samples)
        judged = self._watchdog.judge(samples, now_ns,
                                      now_ns if ros_now_ns is None else ros_now_ns,
                                      now_ns if steady_ns is None else steady_ns, guards)
        complaints = [*self._coarse_clock(), *judged]
        # In WAITING and HOLD it counts as present; in ACTIVE the first complaint holds.
        lasting = self._flicker.lasting(complaints, now_ns, self._watchdog.ros_time.step_ns)
        # If the clock goes back, and while a person has the arm or is asked, the age of the
        # episode stays.
        passed_ns, self._now_ns = now_ns - self._now_ns, now_ns
        waits = self._take_over.asked or self._doubt.asking
        self._began_ns += passed_ns if waits else min(0, passed_ns)
        self._take_over.hear(person, now_ns, self._watchdog.ros_time.step_ns)
        if self._state is State.FAULT:
            return Decision(self._state, *self._why)
        fault = self._fault(guards)
        if fault is not None:
            return self._end(State.FAULT, *fault, samples, complaints)
        if self._state is State.DONE:
            return Decision(self._state, *self._why)
        if not self._motion_allowed and self._state is not State.WAITING:
            return self._end(State.WAITING, 'stopped', 'motion was stopped', samples, complaints)
        if self._state is State.WAITING:
            if lasting is not None:
                return Decision(State.WAITING, lasting.reason, lasting.sentence)
            if not self._motion_allowed:
                return Decision(State.WAITING, 'not_started', 'every input is fresh; motion '
                                                              'begins on start')
            self._began_ns = self._next_tick_ns = now_ns
            self._resting = self._still.measured(samples)
            self._state = State.ACTIVE
        self._turns |= {signal.key: samples[signal.key].values for signal in self._continuous
                        if all(complaint.key != signal.key for complaint in complaints)}
        yielding = self._yield(now_ns, samples, complaints, person)
        if yielding is not None:
            return yielding
        complaints = [*self._take_over.complaints(), *self._doubt.complaints(), *complaints]
        most_s = self._contract.deployment.episode_end.max_episode_s
        if (now_ns - self._began_ns) * 1e-9 >= most_s:
            return self._end(State.DONE, 'timeout', f'the episode reached max_episode_s of '
                             f'{most_s:g} s', samples, complaints)
        if complaints or self._state is State.HOLD:
            holding = self._hold(now_ns, samples, complaints, lasting)
            if holding is not None:
                return holding
        if self._release is not None and self._release.noticed(now_ns, samples):
            return self._end(State.DONE, 'released', 'the object was let go and is out of reach',
                             samples, complaints)
        return self._act(now_ns, samples)

    def _counted(self, samples: Mapping[str, Sample]) -> Mapping[str, Sample]:
        """Return the samples with the turns of continuous joints counted."""
        if not self._continuous:
            return samples
        counted = dict(samples)
        for signal in self._continuous:
            sample, part = samples.get(signal.key), self._commands_of.get(signal.key)
            if sample is None:
                continue
            near = self._turns.get(signal.key, np.zeros(signal.dim))
            if part is not None and self._last is not None:
                near = self._last[part]
            counted[signal.key] = replace(sample, values=nearest_turn(signal, sample.values, near))
        return counted

    def _counted_plan(self, plan: Plan) -> Plan:
        """Return the plan with its continuous joints at the turns of the last command."""
        if not self._continuous:
            return plan
        near = self._resting if self._last is None else self._last
        chunk = np.array(plan.chunk, dtype=np.float64)
        for signal in self._contract.interface.actions:
            part = self._contract.interface.action_slices[signal.key]
            chunk[:, part] = turns_counted(signal, chunk[:, part], near[part])
        return replace(plan, chunk=chunk.astype(np.float32))

    def _coarse_clock(self) -> Sequence[Complaint]:
        """Return a complaint if a plan cannot last from one step of ROS time to the next."""
        most_ns = self._patience_ns - self._contract.policy.period_ns
        if self.clock_step_ns <= most_ns:
            return ()
        return (Complaint('clock', 'clock_coarse', f'ROS time comes in steps of '
                          f'{self.clock_step_ns * 1e-9:.2f} s, allowed {most_ns * 1e-9:g} s, '
                          f'which a plan lasts; publish /clock more often'),)

    def _fault(self, guards: Guards) -> tuple[str, str] | None:
        fault, self._foreign_fault = self._foreign_fault, None
        topic = self._contract.deployment.fault
        if topic is not None and guards.faulty is topic.fault_when:
            return 'robot_fault', (f'{topic.topic} says {str(guards.faulty).lower()}; find the '
                                   f'cause, then reset')
        return fault

    def _yield(self, now_ns: int, samples: Mapping[str, Sample], complaints: Sequence[Complaint],
               person: Person) -> Decision | None:
        """Be silent while a person has the arm, and plan along; None when the loop may command."""
        if self._last is None and complaints:
            return None
        if not self._take_over.has_arm(samples, complaints):
            if self._state is State.TAKEN_OVER:
                self._state = State.ACTIVE  # from here the next lines of `step` hold
            return None
        if complaints or self._late(now_ns):
            self._forget_plans()
        self._state = State.TAKEN_OVER
        self._last = self._resting = self._take_over.followed(self._last, person, samples,
                                                              complaints)
        self._doubt.forget()  # the person's commands are the answer
        told = self._take_over.told(complaints)
        if complaints:
            return Decision(State.TAKEN_OVER, *told)
        if self._release is not None:  # for the time after the person
            self._release.noticed(now_ns, samples)
        action, request = self._queue.at(now_ns), self._ask(now_ns, samples)
        return Decision(State.TAKEN_OVER, *told, None, request,
                        self._take_over.would(action, samples))

    def _late(self, now_ns: int) -> bool:
        """Tell whether the plan that was requested comes too late to be of use."""
        return self._pending is not None and now_ns - self._pending.tick_ns > self._patience_ns

    def _hold(self, now_ns: int, samples: Mapping[str, Sample],
              complaints: Sequence[Complaint],
              lasting: Complaint | None) -> Decision | None:
        """Enter, keep or leave HOLD; None when the policy may command again in this cycle."""
        if self._state is State.ACTIVE:
            self._forget_plans()
            self._good_ns = None
            if self._last is None:
                # Without a command before it there is nothing to hold.
                self._state = State.WAITING
                return Decision(State.WAITING, complaints[0].reason, complaints[0].sentence)
            self._holds += 1
            self._state = State.HOLD
            self._last = self._still.latched(self._last, samples, complaints)
        if complaints:
            self._good_ns = None
            return Decision(State.HOLD, complaints[0].reason, complaints[0].sentence, self._last)
        if self._good_ns is None:
            self._good_ns = now_ns
        good_s = (now_ns - self._good_ns - self._watchdog.ros_time.step_ns) * 1e-9
        if good_s < RESUME_S:
            if lasting is not None:
                return Decision(State.HOLD, lasting.reason, lasting.sentence, self._last)
            return Decision(State.HOLD, 'recovering', f'all complaints have ended; motion goes on '
                            f'after {RESUME_S:g} s without one, so far '
                            f'{max(0.0, good_s):.2f} s', self._last)
        assert self._last is not None
        self._next_tick_ns = now_ns
        self._resting = self._last
        self._state = State.ACTIVE
        return None

    def _act(self, now_ns: int, samples: Mapping[str, Sample]) -> Decision:
        """Command the plan's action for now, and request a new plan when one is due."""
        action = self._queue.at(now_ns)
        planning = self._queue.replan_ns is None and not self._late(now_ns)
        if action is None and not planning:
            coarse = self.clock_step_ns > self._contract.policy.period_ns
            late = Complaint('policy', 'late_chunk', f'the newest plan is of an observation older '
                             f'than {self._patience_ns * 1e-9:g} s; ' + (
                                 'publish /clock more often' if coarse else
                                 'this machine is too slow or busy for the policy'))
            holding = self._hold(now_ns, samples, [late], None)
            assert holding is not None
            return holding
        request = self._ask(now_ns, samples)
        if action is None:
            return Decision(State.ACTIVE, 'planning', 'the policy makes its first plan',
                            self._last, request)
        measured = self._still.measured(samples)
        command = self._limiter.apply(action, measured if self._last is None else self._last,
                                      measured)
        if command is None:
            return self._end(State.FAULT, 'rejected_action', 'the policy answered with an action '
                             'that is not finite or has no rotation; check the model', samples, ())
        self._last = command
        return Decision(State.ACTIVE, 'policy', 'the policy commands', command, request)

    def _ask(self, now_ns: int, samples: Mapping[str, Sample]) -> PlanRequest | None:
        """Add the observation of a tick that is due; return a request if a plan is due as well."""
        soon_ns = now_ns + self._slack_ns
        if soon_ns < self._next_tick_ns:
            return None
        timing = self._contract.policy
        # A cycle that was skipped skips its tick: ticks stay on their grid.
        self._next_tick_ns += timing.period_ns * (
            1 + (soon_ns - self._next_tick_ns) // timing.period_ns)
        self._history.append(self._flat(samples))
        # The tick nearest to its time: ticks are early and late themselves.
        replan_ns = self._queue.replan_ns
        if self._pending is not None or (replan_ns is not None
                                         and now_ns + timing.period_ns // 2 < replan_ns):
            return None
        self._pending = PlanRequest(
            self._chunks, now_ns, self._observed(self._history, samples),
            self._of_episode(self._draw_noise() if self._noise is None else self._noise))
        self._chunks += 1
        self._noise = None
        return self._pending

    def _flat(self, samples: Mapping[str, Sample]) -> Array:
        return flat_observation(self._contract.interface.vectors, samples)

    def _observed(self, history: Sequence[Array], samples: Mapping[str, Sample]) -> Observation:
        """Return the observation of a history, oldest first; a short one repeats its oldest."""
        missing = [history[0]] * (self._contract.policy.history - len(history))
        return Observation(np.array([*missing, *history], dtype=np.float32), {
            one.key: samples[one.key].values for one in self._contract.interface.cameras})

    def _draw_noise(self) -> NDArray[np.float32]:
        """Return the noise of the next request."""
        return chunk_noise(self._seed, self._chunks, self._contract.policy.horizon,
                           self._contract.interface.action_dim)

    def _of_episode(self, noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the noise with the values that stay through the episode, once they are drawn."""
        if self._stays is None:
            self._stays = noise.ravel()[noise.size - self._episode_noise:].copy()
        noise.ravel()[noise.size - self._episode_noise:] = self._stays
        return noise

    def _checked(self, answered: PlanAnswer) -> Plan:
        """Return the plan; raise `ValueError` without one, or for one that cannot be executed."""
        if answered.plan is None:
            raise ValueError(answered.error)
        chunk = np.asarray(answered.plan.chunk, dtype=np.float64)
        expected = (self._contract.policy.horizon, self._contract.interface.action_dim)
        if chunk.shape != expected:
            raise ValueError(f'expected a chunk of shape {expected}, got {chunk.shape}')
        if not np.all(np.isfinite(chunk)):
            raise ValueError('expected finite actions, got NaN or infinity')
        for signal in self._contract.interface.actions:
            most = KINDS['vector'].span[1] if signal.kind == 'vector' else _MOST
            values = chunk[:, self._contract.interface.action_slices[signal.key]]
            if (largest := float(np.max(np.abs(values)))) > most:
                raise ValueError(f'expected values of at most {most:g}, got {largest:g}')
        for part in self._rotations:
            rotation_from_6d(chunk[:, part])
        return answered.plan

    def _end(self, state: State, reason: str, sentence: str, samples: Mapping[str, Sample],
             complaints: Sequence[Complaint]) -> Decision:
        """Go to a silent state, with one hold command if the arm was commanded."""
        command = None
        if self._last is not None and self._state is not State.TAKEN_OVER:
            command = (self._last if self._state is State.HOLD
                       else self._still.latched(self._last, samples, complaints))
        self._forget_episode()
        self._state = state
        self._why = (reason, sentence)
        return Decision(state, reason, sentence, command)
