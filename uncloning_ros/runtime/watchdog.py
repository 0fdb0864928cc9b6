# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge what one cycle depends on: every input there, usable, fresh and alive; clocks running."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from uncloning_ros.contract import Contract, ObservedTopic, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.runtime.leaps import leap

MISSING = 'missing_input'
REFUSED = 'refused_input'
NOT_FINITE = 'not_finite_input'
STALE = 'stale_input'
STALE_STAMP = 'stale_stamp'
FUTURE_STAMP = 'future_stamp'
UNCHANGED = 'unchanged_input'
OUT_OF_REACH = 'out_of_reach'
LEAP = 'leap'
NOT_ENABLED = 'not_enabled'
CLOCK_BACKWARDS = 'clock_backwards'
CLOCK_STOPPED = 'clock_stopped'

CLOCK_KEY = 'clock'
ENABLE_KEY = 'enable'
FAULT_KEY = 'fault'


@dataclass(frozen=True)
class Complaint:
    """Why a cycle cannot be trusted: a key, a reason code, and a sentence with both values."""

    key: str
    reason: str
    sentence: str


@dataclass(frozen=True)
class Guards:
    """What a cycle knows beside its samples.

    `refused` has a sentence for every key whose newest message breaks the contract. `enabled`
    and `faulty` are the newest words of the contract's `enable` and `fault` topics, None if they
    never spoke; `enabled_receive_ns` is when the former arrived, on the clock of the samples.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    enabled: bool | None = None
    enabled_receive_ns: int = 0
    faulty: bool | None = None


NO_GUARDS = Guards()


class Watchdog:
    """Judge every cycle in turn; it remembers what it needs to see that something stands still.

    Every input has its own maximum age, judged twice: by arrival, which sees a publisher that
    fell silent, and by stamp, which sees one that repeats old measurements. A stamp may lie as
    far in the future as in the past, for clocks differ. With `max_unchanged_s` a sensor that
    repeats the very same values is found out as well, with `max_speed_m_s` or `max_speed_rad_s`
    one whose values leap: they are not believed until what is measured could be there. Of the
    arm itself no measurement is believed that is further from workspace or joint limits than a
    command may lie from it: to follow it would pull the arm towards a place where it is not.
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
        # A clock that stands still for as long as the most urgent input may be silent.
        self._clock_limit_ns = min(limit_ns for _, _, limit_ns in self._inputs)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._ros_ns: int | None = None
        self._advanced_ns = 0
        self._seen: dict[str, Sample] = {}
        self._changed_ns: dict[str, int] = {}
        self._believed: dict[str, Sample] = {}

    def judge(self, samples: Mapping[str, Sample], now_ns: int, ros_now_ns: int, steady_ns: int,
              guards: Guards = NO_GUARDS) -> list[Complaint]:
        """Return a complaint for all that is wrong: clock, inputs in order, enable, fault topic.

        `now_ns` is on the clock of the samples' `receive_ns`, `ros_now_ns` on that of their
        stamps, `steady_ns` on one that never stops nor jumps.
        """
        complaints = [self._judge_clock(ros_now_ns, steady_ns)]
        for signal, topic, limit_ns in self._inputs:
            sample = samples.get(signal.key)
            complaint = _judge(signal.key, sample, now_ns, ros_now_ns, limit_ns,
                               guards.refused.get(signal.key))
            if sample is not None:
                complaint = (complaint or self._judge_reach(signal.key, sample)
                             or self._judge_leap(signal, topic, sample))
            if sample is not None and topic.max_unchanged_s is not None:
                unchanged = self._judge_change(signal.key, sample, topic.max_unchanged_s)
                complaint = complaint or unchanged
            if sample is not None and complaint is None:
                self._believed[signal.key] = sample
            complaints.append(complaint)
        complaints.append(self._judge_enable(now_ns, guards))
        if self._fault is not None and guards.faulty is None:
            complaints.append(Complaint(FAULT_KEY, MISSING, f'nothing has arrived on '
                                        f'{self._fault.topic}; check the robot\'s driver'))
        return [complaint for complaint in complaints if complaint is not None]

    def _judge_clock(self, ros_now_ns: int, steady_ns: int) -> Complaint | None:
        before_ns, self._ros_ns = self._ros_ns, ros_now_ns
        if before_ns is None or ros_now_ns > before_ns:
            self._advanced_ns = steady_ns
            return None
        if ros_now_ns < before_ns:
            self._advanced_ns = steady_ns
            return Complaint(CLOCK_KEY, CLOCK_BACKWARDS,
                             f'ROS time went back by {(before_ns - ros_now_ns) * 1e-9:.3f} s, '
                             f'allowed 0 s; check the clock, or the bag that plays')
        stopped_ns = steady_ns - self._advanced_ns
        if stopped_ns > self._clock_limit_ns:
            return Complaint(CLOCK_KEY, CLOCK_STOPPED,
                             f'ROS time has stood still for {stopped_ns * 1e-9:.3f} s, allowed '
                             f'{self._clock_limit_ns * 1e-9:g} s; check the publisher of /clock')
        return None

    def _judge_reach(self, key: str, sample: Sample) -> Complaint | None:
        spans = self._reaches.get(key, ())
        # Of a pose the position alone has a span.
        for (low, high), value in zip(spans, sample.values.tolist(), strict=False):
            if not low <= value <= high:
                return Complaint(key, OUT_OF_REACH, f'{key} is measured at {value:.4g}, expected '
                                 f'{low:.4g} to {high:.4g}; check its publisher, and workspace '
                                 f'and joint limits in the contract')
        return None

    def _judge_leap(self, signal: Signal, topic: ObservedTopic,
                    sample: Sample) -> Complaint | None:
        before = self._believed.get(signal.key, sample)
        sentence = None if before is sample else leap(signal, topic, before, sample,
                                                      self._period_ns)
        return None if sentence is None else Complaint(signal.key, LEAP, sentence)

    def _judge_change(self, key: str, sample: Sample, limit_s: float) -> Complaint | None:
        seen = self._seen.get(key)
        if seen is not sample:
            if seen is None or not np.array_equal(seen.values, sample.values):
                self._changed_ns[key] = sample.receive_ns
            self._seen[key] = sample
        unchanged_ns = sample.receive_ns - self._changed_ns[key]
        if unchanged_ns <= round(limit_s * 1e9):
            return None
        return Complaint(key, UNCHANGED,
                         f'{key} has repeated the same values for {unchanged_ns * 1e-9:.3f} s, '
                         f'allowed {limit_s:g} s; check whether its sensor hangs, or remove '
                         f'max_unchanged_s if it is as still as that')

    def _judge_enable(self, now_ns: int, guards: Guards) -> Complaint | None:
        if self._enable is None:
            return None
        age_ns = now_ns - guards.enabled_receive_ns
        if guards.enabled is None:
            return Complaint(ENABLE_KEY, NOT_ENABLED, f'nothing has arrived on '
                             f'{self._enable.topic}; press the enable switch')
        if not guards.enabled:
            return Complaint(ENABLE_KEY, NOT_ENABLED, f'{self._enable.topic} says false; press '
                             f'the enable switch')
        if age_ns > round(self._enable.max_age_s * 1e9):
            return Complaint(ENABLE_KEY, NOT_ENABLED, f'{self._enable.topic} was heard '
                             f'{age_ns * 1e-9:.3f} s ago, allowed {self._enable.max_age_s:g} s; '
                             f'check the enable switch')
        return None


def _reaches(contract: Contract) -> dict[str, list[tuple[float, float]]]:
    """Return the believable spans of what measures each action, by the observation's key.

    They are workspace and joint limits, widened by how far a command may lie from the measured
    state.
    """
    limits, reaches = contract.deployment.limits, {}
    for action in contract.interface.actions:
        if action.kind == 'pose':
            beyond = limits.jump_m
            spans = list(zip(limits.workspace_min_m, limits.workspace_max_m, strict=True))
        elif action.kind == 'joint_positions':
            beyond = limits.jump_rad
            spans = [limits.joint_limits_rad[name] for name in action.names]
        else:
            continue
        reaches[contract.interface.measured_by(action)] = [
            (low - beyond, high + beyond) for low, high in spans]
    return reaches


def _judge(key: str, sample: Sample | None, now_ns: int, ros_now_ns: int, limit_ns: int,
           refusal: str | None) -> Complaint | None:
    if refusal is not None:
        return Complaint(key, REFUSED, refusal)
    if sample is None:
        return Complaint(key, MISSING, f'{key} has not arrived; check its publisher and topic')
    # One value that is not finite makes the sum so; finite ones are far from overflow.
    if not math.isfinite(sum(sample.values.tolist())):
        return Complaint(key, NOT_FINITE, f'{key} has values that are not finite; check its '
                                          f'publisher')
    age_ns, stamp_age_ns = now_ns - sample.receive_ns, ros_now_ns - sample.stamp_ns
    limit_s = limit_ns * 1e-9
    if age_ns > limit_ns:
        return Complaint(key, STALE, f'{key} arrived {age_ns * 1e-9:.3f} s ago, allowed '
                                     f'{limit_s:g} s; check its publisher')
    if stamp_age_ns > limit_ns:
        return Complaint(key, STALE_STAMP, f'{key} was measured {stamp_age_ns * 1e-9:.3f} s ago, '
                                           f'allowed {limit_s:g} s; check latency and clocks')
    if stamp_age_ns < -limit_ns:
        return Complaint(key, FUTURE_STAMP, f'{key} is stamped {-stamp_age_ns * 1e-9:.3f} s in '
                                            f'the future, allowed {limit_s:g} s; check the '
                                            f'clocks')
    return None
