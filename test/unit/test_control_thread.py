# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The control thread keeps its grid, counts what it misses, and ends as it was told to."""

import gc
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from uncloning_ros.runtime import control_thread
from uncloning_ros.runtime.control_thread import ControlThread, Latencies

PERIOD_NS = 10_000_000
WAIT_S = 30.0  # before a wait is given up as vain


class FakeTime:
    """A monotonic clock that moves only when somebody sleeps or works."""

    def __init__(self) -> None:
        self.now_ns = 5 * PERIOD_NS
        self.late_ns = 0  # so much later than asked for a sleep ends

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, duration_s: float) -> None:
        assert duration_s >= 0
        self.now_ns += round(duration_s * 1e9) + self.late_ns


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    made = FakeTime()
    monkeypatch.setattr(control_thread, 'time', made)
    return made


def fail(sentence: str) -> None:
    pytest.fail(sentence)


def run(time: FakeTime, works_ns: list[int]) -> tuple[ControlThread, list[int]]:
    """Run cycles that take so long each; return the thread and when they began, in periods."""
    began: list[int] = []

    def cycle() -> None:
        began.append(time.now_ns - begin_ns)
        time.now_ns += works_ns[len(began) - 1]
        if len(began) == len(works_ns):
            made._ending = True

    made = ControlThread(cycle, PERIOD_NS, fail, fail)
    begin_ns = time.now_ns
    made._run()
    return made, began


def test_cycles_begin_on_the_grid_however_long_each_takes(time: FakeTime) -> None:
    made, began = run(time, [1_000_000, 9_999_999, 0, 5_000_000, 0])
    assert began == [k * PERIOD_NS for k in range(5)]
    assert made.misses == 0
    assert made.first_due_ns == 5 * PERIOD_NS


def test_lateness_of_one_cycle_is_not_handed_on_to_the_next(time: FakeTime) -> None:
    time.late_ns = 2_000_000  # the head start makes up for half of it
    made, began = run(time, [0, 0, 0])
    assert began == [0, PERIOD_NS + 1_000_000, 2 * PERIOD_NS + 1_000_000]
    assert made.wake_ups.worst_ns == 1_000_000


def test_what_delays_no_command_is_done_before_its_deadline(time: FakeTime) -> None:
    done: list[tuple[str, int]] = []

    def cycle() -> None:
        done.append(('cycle', time.now_ns))
        made.post(lambda: done.append(('call', time.now_ns)))
        made._ending = len(done) > 3

    made = ControlThread(cycle, PERIOD_NS, fail, fail,
                         prepare=lambda due_ns: done.append((f'prepare {due_ns}', time.now_ns)))
    begin_ns = time.now_ns
    made._run()
    due_ns = begin_ns + PERIOD_NS
    assert done == [(f'prepare {begin_ns}', begin_ns), ('cycle', begin_ns),
                    ('call', due_ns - 1_000_000), (f'prepare {due_ns}', due_ns - 1_000_000),
                    ('cycle', due_ns)]


class Running:
    """A thread as seen from outside: it runs, and its cycles end when they are waited for."""

    def __init__(self, made: ControlThread, time: FakeTime, cycle_ns: int) -> None:
        self._made, self._time, self._cycle_ns = made, time, cycle_ns
        self.waited = 0
        made._thread = made._cycled = self  # type: ignore[assignment]

    def is_alive(self) -> bool:
        return True

    def clear(self) -> None:
        pass

    def wait(self, timeout_s: float) -> None:
        assert timeout_s == PERIOD_NS * 1e-9
        self.waited += 1
        self._time.now_ns = self._made._due_ns + self._cycle_ns
        self._made._due_ns += PERIOD_NS


@pytest.mark.parametrize(('ahead_ns', 'waits'), [
    (PERIOD_NS, 0), (4_500_000, 0), (1_000_000, 1), (1, 1), (-1, 1)])
def test_who_gives_way_naps_until_shortly_before_the_next_deadline(
        time: FakeTime, ahead_ns: int, waits: int) -> None:
    made = ControlThread(lambda: None, PERIOD_NS, fail, fail)
    running = Running(made, time, 500_000)
    made._due_ns = time.now_ns + ahead_ns
    may_s = made.give_way()
    assert running.waited == waits
    assert made._due_ns - time.now_ns == 4_000_000
    assert may_s == 3_000_000 * 1e-9  # and is to be back before the thread prepares its cycle


def test_who_gives_way_between_nap_and_deadline_may_go_on_at_once(time: FakeTime) -> None:
    made = ControlThread(lambda: None, PERIOD_NS, fail, fail)
    Running(made, time, 0)
    begin_ns, made._due_ns = time.now_ns, time.now_ns + 2_500_000
    assert made.give_way() == 1_500_000 * 1e-9
    assert time.now_ns == begin_ns


def test_cycles_that_fill_their_period_do_not_shut_others_out(time: FakeTime) -> None:
    made = ControlThread(lambda: None, PERIOD_NS, fail, fail)
    running = Running(made, time, PERIOD_NS - 1)
    made._due_ns = time.now_ns
    assert made.give_way() == 1_000_000 * 1e-9
    assert running.waited == 1


def test_nobody_gives_way_to_a_thread_that_does_not_run(time: FakeTime) -> None:
    begin_ns = time.now_ns
    made = ControlThread(lambda: None, PERIOD_NS, fail, fail)
    assert made.give_way() == control_thread.IDLE_S
    assert time.now_ns == begin_ns


@pytest.mark.parametrize(('work_ns', 'next_period', 'misses'), [
    (PERIOD_NS, 1, 0), (PERIOD_NS + 1, 2, 1), (2 * PERIOD_NS, 2, 1), (7 * PERIOD_NS + 1, 8, 7)])
def test_an_overrun_skips_whole_periods_and_counts_them(
        time: FakeTime, work_ns: int, next_period: int, misses: int) -> None:
    made, began = run(time, [work_ns, 0, 0])
    assert began == [0, next_period * PERIOD_NS, (next_period + 1) * PERIOD_NS]
    assert made.misses == misses
    assert made.cycles.worst_ns == work_ns


def test_latencies_are_summed_up_in_milliseconds() -> None:
    latencies = Latencies()
    assert latencies.summary_ms() == {}
    for duration_ns in range(1_000_000, 101_000_000, 1_000_000):
        latencies.add(duration_ns)
    assert latencies.summary_ms() == {'p50_ms': 50.5, 'p99_ms': 99.01, 'worst_ms': 100.0}


def test_the_worst_latency_is_not_forgotten() -> None:
    latencies = Latencies()
    latencies.add(10**9)
    for _ in range(5000):
        latencies.add(10**6)
    assert latencies.summary_ms() == {'p50_ms': 1.0, 'p99_ms': 1.0, 'worst_ms': 1000.0}


class Threads:
    """Make control threads that are ended with the test."""

    def __init__(self) -> None:
        self.made: list[ControlThread] = []
        self.told: list[str] = []
        self.warned: list[str] = []

    def start(self, cycle: Callable[[], None] = lambda: None,
              priority: int = 0) -> ControlThread:
        thread = ControlThread(cycle, 1_000_000, self.told.append, self.warned.append, priority)
        self.made.append(thread)
        thread.start()
        return thread


@pytest.fixture
def threads() -> Iterator[Threads]:
    made = Threads()
    yield made
    for thread in made.made:
        assert thread.end(WAIT_S)


def test_a_call_runs_in_the_control_thread_and_gives_its_result(threads: Threads) -> None:
    cycled_in: list[str] = []
    thread = threads.start(lambda: cycled_in.append(threading.current_thread().name))
    assert thread.call(lambda: threading.current_thread().name) == 'control'
    assert threading.current_thread().name != 'control'
    assert set(cycled_in) <= {'control'}


def test_calls_never_run_within_a_cycle(threads: Threads) -> None:
    inside = threading.Event()

    def cycle() -> None:
        inside.set()
        inside.clear()

    thread = threads.start(cycle)
    assert not any(thread.call(inside.is_set) for _ in range(50))


def test_what_is_posted_runs_in_its_order_before_a_later_call(threads: Threads) -> None:
    thread, done = threads.start(), []
    for number in range(10):
        thread.post(lambda number=number: done.append(number))
    assert thread.call(lambda: list(done)) == list(range(10))


def test_a_call_that_is_not_answered_in_time_is_withdrawn(threads: Threads) -> None:
    hung, go_on, done = threading.Event(), threading.Event(), []

    def cycle() -> None:
        hung.set()
        assert go_on.wait(WAIT_S)

    thread = threads.start(cycle)
    assert hung.wait(WAIT_S)
    with pytest.raises(TimeoutError, match='the control thread does not answer'):
        thread.call(lambda: done.append('late'), timeout_s=0.01)
    go_on.set()
    thread.call(lambda: done.append('in time'), WAIT_S)
    assert done == ['in time']


def test_a_cycle_that_raises_ends_the_thread_and_is_told(threads: Threads) -> None:
    ended = threading.Event()

    def cycle() -> None:
        raise ZeroDivisionError('no such luck')

    def told(sentence: str) -> None:
        threads.told.append(sentence)
        ended.set()

    thread = ControlThread(cycle, PERIOD_NS, told, fail)
    thread.start()
    assert ended.wait(WAIT_S)
    assert threads.told == ['the control thread ended: ZeroDivisionError: no such luck']
    with pytest.raises(TimeoutError):
        thread.call(lambda: None, timeout_s=0.01)
    assert thread.end(WAIT_S)


def test_a_thread_that_hangs_is_told_by_its_end(threads: Threads) -> None:
    hung, go_on = threading.Event(), threading.Event()

    def cycle() -> None:
        hung.set()
        assert go_on.wait(WAIT_S)

    thread = threads.start(cycle)
    assert hung.wait(WAIT_S)
    assert not thread.end(0.01)
    go_on.set()


def test_a_thread_that_never_began_ends() -> None:
    assert ControlThread(lambda: None, PERIOD_NS, fail, fail).end(WAIT_S)


def test_the_collector_rests_while_the_thread_runs_and_only_then(threads: Threads) -> None:
    assert gc.isenabled()
    thread = threads.start()
    assert not gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert thread.end(WAIT_S)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_real_time_priority_is_asked_for_in_the_control_thread_alone(
        threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def setscheduler(pid: int, policy: int, param: os.sched_param) -> None:
        asked.append((pid, policy, param.sched_priority, threading.current_thread().name))

    monkeypatch.setattr(os, 'sched_setscheduler', setscheduler)
    threads.start(priority=30).call(lambda: None, WAIT_S)
    threads.start().call(lambda: None, WAIT_S)
    assert asked == [(0, os.SCHED_FIFO, 30, 'control')]
    assert threads.warned == []


def test_a_refused_real_time_priority_is_a_warning(
        threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, 'Operation not permitted')

    monkeypatch.setattr(os, 'sched_setscheduler', refuse)
    threads.start(priority=30).call(lambda: None, WAIT_S)
    [sentence] = threads.warned
    assert 'real-time priority 30 was refused (Operation not permitted)' in sentence
    assert 'limits.conf' in sentence
