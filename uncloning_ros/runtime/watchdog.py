# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the inputs of a cycle: there, usable, fresh and alive; and the clocks: running."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from uncloning_ros.contract import KINDS, Contract, ObservedTopic, Signal
from uncloning_ros.contract.kinds import nearest_turn, turn_leapt
from uncloning_ros.conversions import Sample, other_clock
from uncloning_ros.runtime.limits import allowed_spans
from uncloning_ros.runtime.ros_time import RosTime

# Rounding in a way of exactly the allowed length must not count as a leap.
_SLACK = 1e-9
# Topic of simulated time, as `Guards.unheard` names it.
CLOCK_TOPIC = '/clock'


@dataclass(frozen=True)
class Complaint:
    """A reason not to trust a cycle: its key, reason code, and a sentence with both values."""

    key: str
    reason: str
    sentence: str


@dataclass(frozen=True)
class Guards:
    """The inputs of a cycle beside its samples.

    `refused` has a sentence for every key whose newest message breaks the contract. `enabled`
    and `faulty` are the newest values of the contract's `enable` and `fault` topics, None before
    the first; `enabled_receive_ns` is the arrival of the former, on the clock of the samples.
    `unheard` says, by topic of the contract, why nothing arrives there, where the graph knows it.
    `others` has a sentence for every key whose topic had a message about other joints.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    enabled: bool | None = None
    enabled_receive_ns: int = 0
    faulty: bool | None = None
    unheard: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


NO_GUARDS = Guards()


class Watchdog:
    """Judge every cycle in turn; older samples show what stands still or leaps.

    Every input has its own maximum age, judged twice: by arrival, which sees a publisher that
    fell silent, and by stamp, which sees one that repeats old measurements. A stamp may lie as
    far in the future as in the past, for clocks differ. With `max_unchanged_s` a sensor that
    repeats the very same values is refused as well, with `max_speed_m_s` or `max_speed_rad_s`
    one whose values leap: they are refused until the object could have moved that far, and a joint
    that leapt by a turn until it is back, or `reset`. A
    measurement of the arm is refused if it is further from workspace or joint limits than a
    command may lie from it: to follow it would pull the arm towards a place where it is not.
    Where ROS time comes in steps, an age is known to one step only: it is too old once it is
    certainly so.
    """

    def __init__(self, contract: Contract) -> None:
        deployment = contract.deployment
        self._enable, self._fault = deployment.enable, deployment.fault
        self._inputs: list[tuple[Signal, ObservedTopic, int]] = []
        for signal in contract.interface.observations:
            topic = deployment.observations[signal.key]
            # Whole nanoseconds: an age of exactly the limit is allowed on every machine.
            self._inputs.append((signal, topic, round(topic.max_age_s * 1e9)))
        self._reaches = _reaches(contract)
        self._period_ns = deployment.command_period_ns
        # ROS time may stand still for the shortest maximum age of an input.
        self.ros_time = RosTime(min(limit_ns for _, _, limit_ns in self._inputs))
        self.reset()

    def reset(self) -> None:
        """Forget every sample."""
        self.ros_time.reset()
        self._seen: dict[str, Sample] = {}
        self._changed_ns: dict[str, int] = {}
        self._believed: dict[str, Sample] = {}

    def judge(self, samples: Mapping[str, Sample], now_ns: int, ros_now_ns: int, steady_ns: int,
              guards: Guards = NO_GUARDS) -> list[Complaint]:
        """Return the complaints about the clock, the inputs in order, enable and fault topic.

        `now_ns` is on the clock of the samples' `receive_ns`, `ros_now_ns` on that of their
        stamps, `steady_ns` on one that never stops nor jumps.
        """
        complaints = [self._judge_clock(ros_now_ns, steady_ns, guards)]
        for signal, topic, limit_ns in self._inputs:
            sample = samples.get(signal.key)
            complaint = _judge(signal.key, sample, now_ns, ros_now_ns, limit_ns,
                               self.ros_time.step_ns, guards, guards.unheard.get(topic.topic))
            if sample is not None:
                complaint = (complaint or self._judge_reach(signal.key, sample)
                             or self._judge_leap(signal, topic, sample))
            if sample is not None and topic.max_unchanged_s is not None:
                unchanged = self._judge_change(signal, sample, topic.max_unchanged_s)
                complaint = complaint or unchanged
            if sample is not None and complaint is None:
                self._believed[signal.key] = sample
            complaints.append(complaint)
        complaints.append(self._judge_enable(now_ns, guards))
        if self._fault is not None and guards.faulty is None:
            complaints.append(Complaint('fault', 'missing_input', f'nothing has arrived on '
                                        f'{self._fault.topic}' + _remedy(
                                            guards.unheard.get(self._fault.topic),
                                            "check the robot's driver")))
        return [complaint for complaint in complaints if complaint is not None]

    def _judge_clock(self, ros_now_ns: int, steady_ns: int, guards: Guards) -> Complaint | None:
        found = self.ros_time.judge(ros_now_ns, steady_ns)
        if found is None:
            return None
        reason, sentence = found
        remedy = ('; check the clock, or the bag that plays' if reason == 'clock_backwards'
                  else _remedy(guards.unheard.get(CLOCK_TOPIC), 'check the publisher of /clock'))
        return Complaint('clock', reason, sentence + remedy)

    def _judge_reach(self, key: str, sample: Sample) -> Complaint | None:
        spans = self._reaches.get(key)
        if spans is None:
            return None
        # A pose has spans for its position alone.
        for (low, high), value in zip(spans, sample.values.tolist(), strict=False):
            if not low <= value <= high:
                return Complaint(key, 'out_of_reach', f'{key} is measured at {value:.4g}, '
                                 f'expected {low:.4g} to {high:.4g}; check its publisher, and '
                                 f'the limits in the contract')
        return None

    def _judge_leap(self, signal: Signal, topic: ObservedTopic,
                    sample: Sample) -> Complaint | None:
        before = self._believed.get(signal.key, sample)
        if before is sample or KINDS[signal.kind].pictures:
            return None
        return leap(signal, topic, before, sample, max(self._period_ns, self.ros_time.step_ns))

    def _judge_change(self, signal: Signal, sample: Sample, limit_s: float) -> Complaint | None:
        key = signal.key
        seen = self._seen.get(key)
        if seen is not sample:
            if seen is None or not np.array_equal(seen.values, sample.values):
                self._changed_ns[key] = sample.receive_ns
            self._seen[key] = sample
        unchanged_ns = sample.receive_ns - self._changed_ns[key]
        if unchanged_ns - self.ros_time.step_ns <= round(limit_s * 1e9):
            return None
        same, source = signal.repeated
        return Complaint(key, 'unchanged_input',
                         f'{key} has repeated the same {same} for '
                         f'{_age(unchanged_ns, self.ros_time.step_ns)}, allowed {limit_s:g} s; '
                         f'check the {source}; remove max_unchanged_s from the contract only if '
                         f'it may stand still that long')

    def _judge_enable(self, now_ns: int, guards: Guards) -> Complaint | None:
        if self._enable is None:
            return None
        age_ns, why = now_ns - guards.enabled_receive_ns, guards.unheard.get(self._enable.topic)
        if guards.enabled is None:
            return Complaint('enable', 'not_enabled', f'nothing has arrived on '
                             f'{self._enable.topic}'
                             + _remedy(why, 'press the enable switch'))
        if not guards.enabled:
            return Complaint('enable', 'not_enabled', f'{self._enable.topic} says false; press '
                             f'the enable switch')
        if age_ns - self.ros_time.step_ns > round(self._enable.max_age_s * 1e9):
            return Complaint('enable', 'not_enabled', f'{self._enable.topic} was heard '
                             f'{_age(age_ns, self.ros_time.step_ns, "ago")}, allowed '
                             f'{self._enable.max_age_s:g} s'
                             + _remedy(why, 'check the enable switch'))
        return None


def _reaches(contract: Contract) -> dict[str, list[tuple[float, float]]]:
    """Return the believable spans of each measured action, by the observation's key.

    They are workspace and joint limits, or the span of a vector, widened by the largest distance
    of a command from the measured state.
    """
    limits, reaches = contract.deployment.limits, {}
    for action in contract.interface.actions:
        spans = allowed_spans(action, limits)
        beyond = (limits.vectors[action.key].jump if action.kind == 'vector' else
                  limits.jump_m if action.kind == 'pose' else limits.jump_rad)
        if spans is not None and beyond is not None:
            reaches[contract.interface.measured_by(action)] = [
                (low - beyond, high + beyond) for low, high in spans.T.tolist()]
    return reaches


def _judge(key: str, sample: Sample | None, now_ns: int, ros_now_ns: int, limit_ns: int,
           step_ns: int, guards: Guards, unheard: str | None) -> Complaint | None:
    """Return a complaint about one input without memory of older samples."""
    def complaint(reason: str, sentence: str) -> Complaint:
        return Complaint(key, reason, f'{key} {sentence}')

    if key in guards.refused:
        return Complaint(key, 'refused_input', guards.refused[key])
    if sample is None:
        if key in guards.others:
            return Complaint(key, 'missing_input', guards.others[key])
        return complaint('missing_input',
                         'has not arrived' + _remedy(unheard, 'check its publisher and topic'))
    # One value that is not finite makes the sum so; finite ones are far from overflow. Pixels are
    # whole numbers.
    if sample.values.dtype.kind == 'f' and not math.isfinite(sum(sample.values.tolist())):
        return complaint('not_finite_input', 'has values that are not finite; check its publisher')
    age_ns, stamp_age_ns = now_ns - sample.receive_ns, ros_now_ns - sample.stamp_ns
    allowed = f'allowed {limit_ns * 1e-9:g} s'
    if age_ns - step_ns > limit_ns:
        return complaint('stale_input', f'arrived {_age(age_ns, step_ns, "ago")}, {allowed}'
                         + _remedy(unheard, 'check its publisher'))
    clock = other_clock(sample.stamp_ns, ros_now_ns)
    check = 'check latency and clocks' if clock is None else (
        f'its stamps are in {clock}, this node is not: set use_sim_time alike in both')
    if stamp_age_ns - step_ns > limit_ns:
        return complaint('stale_stamp', f'was measured {_age(stamp_age_ns, step_ns, "ago")}, '
                                        f'{allowed}; {check}')
    if stamp_age_ns + step_ns < -limit_ns:
        return complaint('future_stamp', f'is stamped '
                         f'{_age(-stamp_age_ns, step_ns, "in the future")}, {allowed}; {check}')
    return None


def _age(age_ns: int, step_ns: int, side: str = '') -> str:
    """Return an age in words, with its side of now, and the step that it is known to."""
    known = f', known to {step_ns * 1e-9:.3f} s' if step_ns else ''
    return f'{age_ns * 1e-9:.3f} s {side}'.rstrip() + known


def _remedy(unheard: str | None, otherwise: str) -> str:
    """Return the end of a sentence about silence: the cause that the graph knows, or a remedy."""
    return f'; {otherwise}' if unheard is None else f': {unheard}'


def leap(signal: Signal, topic: ObservedTopic, before: Sample, sample: Sample,
         least_ns: int) -> Complaint | None:
    """Return a complaint if a signal leaps from one sample to the next.

    `before` is the newest believed sample. From one stamp to the other a signal may move and turn
    as fast as its topic's `max_speed_m_s` and `max_speed_rad_s` say, where those are given. No
    joint leaps by a turn, unless it is continuous: its driver reports it within one.
    Samples closer in time than `least_ns` count as that far apart: the noise of a fast sensor is
    not a motion.
    """
    apart_s = max(abs(sample.stamp_ns - before.stamp_ns), least_ns) * 1e-9
    kind, values = KINDS[signal.kind], nearest_turn(signal, sample.values, before.values)
    if leapt := turn_leapt(signal, np.array([before.values, sample.values])):
        return Complaint(signal.key, 'leap', f'{leapt[1]}; reset if it was moved by hand')
    for unit in kind.speeds:
        speed = getattr(topic, f'max_speed_{unit}_s')
        if speed is None:
            continue
        moved, most = kind.distances[unit](before.values, values), speed * apart_s
        if moved > most + _SLACK:
            return Complaint(signal.key, 'leap', f'{signal.key} leapt by {moved:.3g} {unit} '
                             f'within {apart_s:.3f} s, allowed {most:.3g} {unit}; check its '
                             f'publisher, or max_speed_{unit}_s in the contract')
    return None
