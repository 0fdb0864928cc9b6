# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS time in steps: ages are known to one step, a healthy publisher is not blamed for them."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop_inputs import CONTRACT, Run, deployed, pose, samples

from uncloning_ros.contract import Enable
from uncloning_ros.conversions import Sample
from uncloning_ros.runtime.control_loop import Decision, State
from uncloning_ros.runtime.flicker import Flicker
from uncloning_ros.runtime.ros_time import RosTime
from uncloning_ros.runtime.watchdog import Complaint, Guards, Watchdog

MS = 10**6
BEGIN_NS = 10**12
LIMIT_NS = 150 * MS


class Stepped:
    """A loop on a clock of `hz`, with sensors at 40 Hz that stamp by their own or by ROS time.

    Steps of the clock are late by up to `jitter_ms`; messages number `lost` are lost.
    """

    def __init__(self, hz: float, exact_stamps: bool = True, jitter_ms: float = 0.0,
                 lost: frozenset[int] = frozenset(), enable: bool = False) -> None:
        contract = deployed(enable=Enable('enable', 0.15)) if enable else CONTRACT
        self.run, self.exact_stamps = Run(contract=contract), exact_stamps
        self.step_ns, self.jitter_ms, self.lost = round(1e9 / hz), jitter_ms, lost
        self.true_ns = self.ros_ns = BEGIN_NS
        self.next_step_ns, self.number = BEGIN_NS, 0
        self.silent: set[str] = set()
        self.inputs: dict[str, Sample] = {}
        self.enabled_ns = BEGIN_NS
        self.rng = random.Random(0)

    def cycle(self) -> Decision:
        """Let 10 ms pass; the clock steps or not, sensors speak or not, the loop decides."""
        self.true_ns += 10 * MS
        if self.true_ns >= self.next_step_ns:
            self.number += 1
            self.next_step_ns += self.step_ns
            self.next_step_ns += round(self.rng.uniform(0, self.jitter_ms) * MS)
            if self.number not in self.lost:
                self.ros_ns = self.true_ns
        if (self.true_ns // (10 * MS)) % 3 == 0:
            stamp_ns = self.true_ns if self.exact_stamps else self.ros_ns
            self.inputs |= {key: Sample(one.values, stamp_ns, self.ros_ns)
                            for key, one in samples(self.true_ns).items()
                            if key not in self.silent}
            if 'enable' not in self.silent:
                self.enabled_ns = self.ros_ns
        self.run.now_ns = self.ros_ns
        return self.run.step(self.inputs, steady_ns=self.true_ns, guards=Guards(
            enabled=True, enabled_receive_ns=self.enabled_ns))

    def cycles(self, seconds: float) -> list[Decision]:
        return [self.cycle() for _ in range(round(seconds * 100))]

    def ready(self) -> 'Stepped':
        """Let the loop come to motion, and the clock become known."""
        self.cycles(4.0)
        return self


def changes(decisions: list[Decision]) -> list[tuple[State, str]]:
    """Return state and reason without repetitions."""
    pairs = [(decision.state, decision.reason) for decision in decisions]
    return [pair for i, pair in enumerate(pairs) if i == 0 or pair != pairs[i - 1]]


@pytest.mark.parametrize('exact_stamps', [True, False])
@pytest.mark.parametrize(('hz', 'jitter_ms'), [(100, 0), (60, 5), (30, 5), (10, 0), (10, 40),
                                               (4, 0), (4, 40), (3, 0)])
def test_a_healthy_publisher_is_not_blamed_for_a_coarse_clock(
        hz: float, jitter_ms: float, exact_stamps: bool) -> None:
    stepped = Stepped(hz, exact_stamps, jitter_ms, enable=True).ready()
    assert changes(stepped.cycles(10.0)) == [(State.ACTIVE, 'policy')]


def test_a_lost_message_of_the_clock_is_no_fault_of_a_publisher() -> None:
    stepped = Stepped(10, lost=frozenset({55, 80})).ready()
    assert changes(stepped.cycles(6.0)) == [(State.ACTIVE, 'policy')]


@pytest.mark.parametrize('exact_stamps', [True, False])
@pytest.mark.parametrize('hz', [100, 10, 4])
@pytest.mark.parametrize('key', ['hand_pose', 'tool_pose', 'enable'])
def test_silence_is_found_within_its_age_and_two_steps_and_ends_without_flapping(
        hz: float, key: str, exact_stamps: bool) -> None:
    stepped = Stepped(hz, exact_stamps, enable=True).ready()
    stepped.silent.add(key)
    limit_s = 0.3 if key == 'hand_pose' else 0.15
    silent = stepped.cycles(limit_s + 2 / hz + 0.04)
    assert silent[-1].state is State.HOLD
    assert key in silent[-1].sentence
    assert ('known to' in silent[-1].sentence) == (hz < 100)
    assert {d.state for d in stepped.cycles(2.0)} == {State.HOLD}
    stepped.silent.clear()
    after = changes(stepped.cycles(3.0))
    assert after[-1] == (State.ACTIVE, 'policy')
    assert [pair[0] for pair in after].count(State.ACTIVE) == 2  # planning, then policy
    assert ('hold', 'recovering') in {(state.value, reason) for state, reason in after}


@pytest.mark.parametrize('end', range(0, 25, 4))
def test_hold_ends_after_a_calm_that_is_longer_than_one_step_of_the_clock(end: int) -> None:
    stepped = Stepped(4).ready()
    stepped.silent.add('hand_pose')
    stepped.cycles(1.5 + end * 0.01)
    stepped.silent.clear()
    held = [d.state for d in stepped.cycles(2.0)]
    assert held.index(State.ACTIVE) >= 25


def test_neither_leap_nor_frozen_values_are_seen_in_stamps_known_to_one_step() -> None:
    """The hand moves by 0.2 m every 0.6 s, in steps of 25 mm, and rests between."""
    topics = {key: replace(topic, max_speed_m_s=1.5, max_unchanged_s=0.45)
              if key == 'hand_pose' else topic
              for key, topic in CONTRACT.deployment.observations.items()}
    watchdog, found = Watchdog(deployed(observations=topics)), []
    for cycle in range(600):
        true_ns = BEGIN_NS + cycle * 10 * MS
        ros_ns = BEGIN_NS + cycle // 25 * 250 * MS
        stamped = {key: Sample(one.values, ros_ns, ros_ns)
                   for key, one in samples(true_ns).items()}
        hand = pose(0.5 + 0.025 * min(cycle % 60 // 2, 8))
        stamped['hand_pose'] = Sample(hand, ros_ns, ros_ns)
        complaints = watchdog.judge(stamped, ros_ns, ros_ns, true_ns)
        found += complaints if cycle > 100 else []  # the clock is known by then
    assert [complaint.sentence for complaint in found] == []


def test_a_clock_whose_steps_outlast_a_plan_is_named_and_nothing_moves() -> None:
    stepped = Stepped(2)
    stepped.cycles(3.0)
    told = stepped.cycles(10.0)
    assert len(changes(told)) == 1
    assert told[0].state in (State.HOLD, State.WAITING)
    assert told[0].reason == 'clock_coarse'
    assert '0.50 s, allowed 0.35 s' in told[0].sentence and '/clock' in told[0].sentence


def test_a_clock_that_stops_is_found_one_pause_later_than_a_fine_one() -> None:
    for hz, pause_s in ((100, 0.0), (10, 0.1), (4, 0.25)):
        stepped = Stepped(hz).ready()
        stepped.next_step_ns = 10**18
        reasons = [d.reason for d in stepped.cycles(1.5)]
        assert reasons[-1] == 'clock_stopped'
        assert reasons.index('clock_stopped') <= round((0.15 + 2 * pause_s) * 100) + 2


def learned(ros_time: RosTime, *advances_ms: int) -> int:
    """Let cycles of 10 ms pass in which ROS time advances so much; return its step."""
    now_ns, steady_ns = ros_time.judged
    for advance in advances_ms:
        now_ns, steady_ns = now_ns + advance * MS, steady_ns + 10 * MS
        ros_time.judge(now_ns, steady_ns)
        ros_time.judged = (now_ns, steady_ns)
    return ros_time.step_ns


class Told(RosTime):
    """ROS time that remembers what it was told last."""

    judged = (BEGIN_NS, 0)


@given(st.lists(st.integers(1, 10**6), max_size=30))
def test_a_clock_that_advances_in_every_cycle_has_no_step(advances_ms: list[int]) -> None:
    assert learned(Told(LIMIT_NS), 10, *advances_ms) == 0


def test_the_step_is_the_longest_of_the_last_but_neither_leap_nor_pause() -> None:
    ros_time = Told(LIMIT_NS)
    assert learned(ros_time, *[0, 0, 0, 0, 50] * 4) == 50 * MS
    assert learned(ros_time, 0, 0, 0, 0, 0, 60) == 60 * MS
    assert learned(ros_time, 0, 0, 10**6) == 100 * MS  # a leap of 1000 s
    assert learned(ros_time, *[0] * 500, 50) == 100 * MS
    assert learned(ros_time, *[0, 0, 0, 0, 50] * 9) == 50 * MS
    assert learned(ros_time, *[10] * 9) == 0


def test_one_cycle_without_an_advance_makes_no_step_on_a_fine_clock() -> None:
    ros_time = Told(LIMIT_NS)
    learned(ros_time, *[10] * 20)
    assert learned(ros_time, 0, 20) == 0


def test_the_first_time_of_a_clock_is_no_step() -> None:
    ros_time = RosTime(LIMIT_NS)
    for steady_ns, now_ns in enumerate([0, 0, BEGIN_NS, BEGIN_NS, BEGIN_NS + 100 * MS]):
        ros_time.judge(now_ns, steady_ns * 50 * MS)
    assert ros_time.step_ns == ros_time.usual_step_ns == 100 * MS


STALE = Complaint('hand_pose', 'stale_input', 'hand_pose is late; check it')


def flickering(pattern: str, calm_ms: int = 250, step_ms: int = 0) -> str:
    """Return which cycles of 50 ms have a lasting complaint; '!' in the pattern has one."""
    flicker = Flicker(calm_ms * MS)
    found = [flicker.lasting([STALE] if sign == '!' else [], i * 50 * MS, step_ms * MS)
             for i, sign in enumerate(pattern)]
    assert all(one is None or one.reason == STALE.reason for one in found)
    return ''.join('.' if one is None else '!' for one in found)


def test_a_complaint_that_comes_back_lasts_until_it_stays_away() -> None:
    assert flickering('..!!......!...') == '..!!......!...'
    assert flickering('.!..!......!..') == '.!..!!!!!..!..'
    assert flickering('.!..!.!.......') == '.!..!!!!!!!...'
    assert flickering('!.!........', step_ms=100) == '!.!!!!!!!..'


@pytest.mark.parametrize('moving', [True, False])
def test_an_input_that_flickers_makes_neither_state_nor_reason_flap(moving: bool) -> None:
    run = Run()
    if moving:
        run.moving()
    else:
        run.loop.stop()
    told = []
    for i in range(600):  # 0.1 s of silence in every 0.2 s
        fresh = samples(run.now_ns)
        late = replace(fresh['hand_pose'], receive_ns=run.now_ns - 10**9)
        told.append(run.step(fresh | ({'hand_pose': late} if i // 10 % 2 else {})))
    state, calm = ((State.HOLD, 'recovering') if moving else (State.WAITING, 'not_started'))
    late = (state, 'stale_input')
    first = (State.ACTIVE, 'policy') if moving else (state, calm)
    assert changes(told) == [first, late, (state, calm), late]
    assert told[585].sentence.endswith('the complaint comes and goes')
    assert changes(run.steps(60))[-1][1] in ('policy', 'not_started')
