# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work shared over processes: Ctrl-C and the loss of a process end it in good order."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from typing import Any, TypeVar

from uncloning_ros.errors import UncloningError

_In = TypeVar('_In')
_Out = TypeVar('_Out')
_Setting = TypeVar('_Setting')


def share(make: Callable[[_Setting], Callable[[_In], _Out]], setting: _Setting,
          items: Sequence[_In], workers: int, what: str, error: type[UncloningError],
          on_done: Callable[[_Out], object] = lambda _: None) -> list[_Out]:
    """Share items over processes and return their results in the order of the items.

    Each process makes its task once, by `make(setting)`: a module's function and plain data,
    since both travel there. `on_done` takes each result as it comes, in no certain order. Call
    it from the main thread, where Ctrl-C arrives. Raise the error of a task, and `error` if a
    process is lost; its sentence names `what`, the work of the processes.
    """
    if not items:
        return []
    with _workers(make, setting, items, workers, what, error) as futures:
        for future in as_completed(futures):
            on_done(future.result())
        return [future.result() for future in futures]


def in_order(task: Callable[[_In], _Out], items: Sequence[_In], workers: int, what: str,
             error: type[UncloningError]) -> Iterator[_Out]:
    """Yield a task's result for each item, in their order; `what` and `error` as in `share`.

    With one worker, or one item, the task runs in the calling process.
    """
    if workers <= 1 or len(items) <= 1:
        yield from map(task, items)
        return
    with _workers(partial, task, items, workers, what, error) as futures:
        for future in futures:
            yield future.result()


@contextlib.contextmanager
def _workers(make: Callable[[_Setting], Callable[[_In], _Out]], setting: _Setting,
             items: Sequence[_In], workers: int, what: str,
             error: type[UncloningError]) -> Iterator[list[Future[_Out]]]:
    """Give one future for each item; left early, it waits for the tasks under way alone."""
    pool = ProcessPoolExecutor(min(workers, len(items)), multiprocessing.get_context('spawn'),
                               _enter, (make, setting))
    try:
        with _ctrl_c_waits():
            futures = [pool.submit(_work, item) for item in items]
        yield futures
    except BrokenProcessPool as err:
        raise error(f'a process of {what} was ended from outside, possibly for lack of memory; '
                    f'run it again with fewer --workers') from err
    finally:
        pool.shutdown(cancel_futures=True)


# The task of this process, made at its first call.
_task: Callable[[], Callable[[Any], Any]]


def _enter(make: Callable[[Any], Callable[[Any], Any]], setting: Any) -> None:
    """Begin a process; the first call makes its task, as a call alone can report an error."""
    global _task
    _task = cache(partial(make, setting))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(item: Any) -> Any:
    return _task()(item)


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back while processes start, and let them start with it blocked.

    A process that Ctrl-C meets during its start ends with a traceback; later it ends when the
    parent ends it. Blocking alone would not do: another thread of the parent may take the signal.
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
