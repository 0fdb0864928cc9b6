# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the control loop: absolute deadlines, no garbage collection, counts."""

import contextlib
import gc
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

# Kept durations (number): some seconds of cycles, for percentiles.
_KEPT = 4096
# Head start (ns) for work ahead of a deadline.
_HEAD_START_NS = 1_000_000
# Longest nap (ns) of a thread that gives way, and its own time after that in head starts.
_NAP_NS = 8_000_000
_WINDOW = 4
# Time (s) until a thread looks again for cycles to give way to.
IDLE_S = 0.1
# Longest time (s) until Python hands over to the control thread, instead of 5 ms.
SWITCH_INTERVAL_S = 0.0005

Say = Callable[[str], None]


def _nothing(due_ns: int) -> None:
    """Prepare nothing."""


class Latencies:
    """The newest durations of one step, and their percentiles."""

    def __init__(self) -> None:
        self._kept_ns: deque[int] = deque(maxlen=_KEPT)
        self.worst_ns = 0

    def add(self, duration_ns: int) -> None:
        """Add one duration."""
        self._kept_ns.append(duration_ns)
        self.worst_ns = max(self.worst_ns, duration_ns)

    def summary_ms(self) -> dict[str, float]:
        """Return p50 and p99 of the newest and the worst of all, in ms; nothing without any."""
        kept = np.array(self._kept_ns, dtype=np.float64)
        if not len(kept):
            return {}
        p50, p99 = np.percentile(kept, (50, 99)) * 1e-6
        return {'p50_ms': round(float(p50), 3), 'p99_ms': round(float(p99), 3),
                'worst_ms': round(self.worst_ns * 1e-6, 3)}


class ControlThread:
    """Call `cycle` at absolute deadlines of the monotonic clock, until `end`.

    All other work on the loop is handed over with `call` and runs between two cycles, so that
    nothing needs a lock: shortly before a deadline, where it delays no command. So does
    `prepare`, which gets the deadline. On an overrun whole periods are skipped and counted, so
    that cycles stay on their grid. Garbage is not collected while the thread runs: the heap is
    frozen, and a pause of the collector never falls into a cycle.
    """

    def __init__(self, cycle: Callable[[], None], period_ns: int, failed: Say, warn: Say,
                 realtime_priority: int = 0,
                 prepare: Callable[[int], None] = _nothing) -> None:
        """Take the cycle, its period, the listeners of a crash and of a warning, and a priority.

        With `realtime_priority` above 0 the thread requests SCHED_FIFO at that priority; a
        refusal by the system is a warning and not an end.
        """
        self._cycle, self._prepare = cycle, prepare
        self._period_ns = period_ns
        self._head_start_ns = min(_HEAD_START_NS, period_ns // 10)
        self._failed, self._warn = failed, warn
        self._priority = realtime_priority
        self._ending = False
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='control', daemon=True)
        self.wake_ups = Latencies()
        self.cycles = Latencies()
        self.misses = 0
        self._due_ns = 0
        self._cycled = threading.Event()
        # Deadline of the first cycle; all others are whole periods later.
        self.first_due_ns: int | None = None

    def start(self) -> None:
        """Begin, with the first cycle at once."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._thread.start()

    def call(self, do: Callable[[], Any], timeout_s: float = 1.0) -> Any:
        """Run `do` between two cycles and return its result; from any other thread.

        Raise `TimeoutError` if the thread has ended or hangs; then `do` is not run later either.
        """
        future = self.post(do)
        with contextlib.suppress(TimeoutError):
            return future.result(timeout_s)
        # After the timeout it is withdrawn, unless it runs at this moment.
        with contextlib.suppress(TimeoutError):
            if not future.cancel():
                return future.result(timeout_s)
        raise TimeoutError('the control thread does not answer; deactivate the node')

    def post(self, do: Callable[[], Any]) -> Future[Any]:
        """Have `do` run between two cycles, without waiting for it."""
        future: Future[Any] = Future()
        self._calls.put((future, do))
        return future

    def give_way(self) -> float:
        """Keep a busy thread from computing when a cycle is due; return its time (s) until then.

        Python computes in one thread at a time, so another thread that computes when a cycle is
        due delays the command. The thread that receives the messages calls this again and again:
        it pauses while a cycle is prepared and runs, and naps until shortly before the next one.
        Then it takes all messages at once, which costs less than one by one, and every command
        still knows the newest. A nap is short, and no pause is longer than a period.
        """
        if not self._thread.is_alive():
            return IDLE_S
        self._cycled.clear()
        if self._due_ns - self._head_start_ns <= time.monotonic_ns():
            self._cycled.wait(self._period_ns * 1e-9)
        open_ns = self._due_ns - _WINDOW * self._head_start_ns
        time.sleep(min(max(0, open_ns - time.monotonic_ns()), _NAP_NS) * 1e-9)
        # A minimum: cycles that fill their period must not shut the other thread out.
        left_ns = self._due_ns - self._head_start_ns - time.monotonic_ns()
        return max(left_ns, self._head_start_ns) * 1e-9

    def end(self, timeout_s: float) -> bool:
        """End after the present cycle; tell whether that happened within `timeout_s`."""
        self._ending = True
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        gc.enable()
        gc.unfreeze()
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._ask_for_priority()
            due_ns = self.first_due_ns = time.monotonic_ns()
            while not self._ending:
                self._due_ns = due_ns
                _sleep_until(due_ns - self._head_start_ns)
                while not self._calls.empty():
                    future, do = self._calls.get()
                    if future.set_running_or_notify_cancel():
                        future.set_result(do())
                self._prepare(due_ns)
                _sleep_until(due_ns)
                woken_ns = time.monotonic_ns()
                self.wake_ups.add(woken_ns - due_ns)
                self._cycle()
                now_ns = time.monotonic_ns()
                self.cycles.add(now_ns - woken_ns)
                due_ns += self._period_ns
                if now_ns > due_ns:
                    skipped = -(-(now_ns - due_ns) // self._period_ns)
                    due_ns += skipped * self._period_ns
                    self.misses += skipped
                self._due_ns = due_ns
                self._cycled.set()
        except Exception as err:  # noqa: BLE001 - a thread that dies unseen leaves the arm moving
            self._failed(f'the control thread ended: {type(err).__name__}: {err}')

    def _ask_for_priority(self) -> None:
        if not self._priority:
            return
        try:
            # On Linux, 0 is the calling thread.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
        except OSError as err:
            self._warn(f'real-time priority {self._priority} was refused ({err.strerror}); allow '
                       f'rtprio in /etc/security/limits.conf; going on without')


def _sleep_until(when_ns: int) -> None:
    left_ns = when_ns - time.monotonic_ns()
    if left_ns > 0:
        time.sleep(left_ns * 1e-9)
