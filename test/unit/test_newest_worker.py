# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker takes the newest item of each key; handing one over never waits."""

import threading
from collections.abc import Iterator

import pytest

from uncloning_ros.runtime.newest_worker import NewestWorker

WAIT_S = 30.0  # before a wait is given up as vain


class Work:
    """Work that waits for leave, and keeps the items that it was given."""

    def __init__(self) -> None:
        self.leave, self.begun = threading.Semaphore(0), threading.Semaphore(0)
        self.done: list[tuple[str, int]] = []
        self.threads: set[int] = set()

    def __call__(self, key: str, item: int) -> None:
        self.begun.release()
        assert self.leave.acquire(timeout=WAIT_S)
        self.threads.add(threading.get_ident())
        self.done.append((key, item))

    def until_begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=WAIT_S)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def worker(work: Work) -> Iterator[NewestWorker[int]]:
    made = NewestWorker('test', work)
    yield made
    work.leave.release(100)
    made.end()
    assert made._thread is None or not made._thread.is_alive()


def test_an_older_item_that_waits_is_dropped_and_keys_take_turns(
        work: Work, worker: NewestWorker[int]) -> None:
    worker.hand_over('one', 1)
    work.until_begun()
    for number in range(2, 6):
        worker.hand_over('one', number)
        worker.hand_over('two', number)
    work.leave.release(3)
    work.until_begun(2)
    worker.hand_over('one', 6)
    work.leave.release()
    work.until_begun()
    while len(work.done) < 4:
        pass
    assert work.done == [('one', 1), ('one', 5), ('two', 5), ('one', 6)]
    assert threading.get_ident() not in work.threads


def test_no_thread_begins_without_an_item() -> None:
    threads = threading.active_count()
    worker = NewestWorker('test', Work())
    assert threading.active_count() == threads
    worker.end()


def test_the_end_waits_for_the_item_that_is_worked_on_and_forgets_the_others(
        work: Work, worker: NewestWorker[int]) -> None:
    worker.hand_over('one', 1)
    work.until_begun()
    worker.hand_over('one', 2)
    ending = threading.Thread(target=worker.end)
    ending.start()
    work.leave.release(2)
    ending.join(WAIT_S)
    assert not ending.is_alive()
    assert work.done == [('one', 1)]
