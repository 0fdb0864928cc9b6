# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work shared over processes: Ctrl-C and the loss of a process end it in good order."""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from uncloning_ros.errors import UncloningError

_In = TypeVar('_In')
_Out = TypeVar('_Out')


@contextlib.contextmanager
def worker_pool(workers: int, what: str, error: type[UncloningError],
                enter: Callable[..., None] | None = None, *setting: Any) -> Iterator[Executor]:
    """Give a pool of processes; left early, it ends once the tasks under way are over.

    Each process begins with `enter(*setting)`, which must not fail: a task can report what went
    wrong, a beginning cannot. Raise `error`, which names `what` they work for, if one is lost.
    """
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), enter, setting)
    try:
        yield pool
    except BrokenProcessPool as err:
        raise error(f'a process of {what} was ended from outside, perhaps for want of memory; '
                    f'run it again with fewer --workers') from err
    finally:
        pool.shutdown(cancel_futures=True)


def submit(pool: Executor, task: Callable[[_In], _Out],
           items: Sequence[_In]) -> list[Future[_Out]]:
    """Hand out one task for each item; call it from the main thread, where Ctrl-C arrives."""
    with _ctrl_c_waits():
        return [pool.submit(task, item) for item in items]


def in_order(task: Callable[[_In], _Out], items: Sequence[_In], workers: int, what: str,
             error: type[UncloningError]) -> Iterator[_Out]:
    """Yield what a task makes of each item, in their order; `what` and `error` as for a pool."""
    if workers <= 1 or len(items) <= 1:
        yield from map(task, items)
        return
    with worker_pool(min(workers, len(items)), what, error) as pool:
        for future in submit(pool, task, items):
            yield future.result()


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back while processes are born, and let them be born with it blocked.

    Half born, a process ends with a traceback; born, it ends when the parent ends it. Blocking
    alone would not do: another thread of the parent may take the signal.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)
