# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that works on the newest item of each key, so that slow work delays nothing else."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class NewestWorker(Generic[T]):
    """Call `work(key, item)` for each item, in a thread of its own that begins with the first.

    `hand_over` never waits. An item that waits is dropped when a newer one of its key comes; keys
    take turns.
    """

    def __init__(self, name: str, work: Callable[[str, T], None]) -> None:
        self._name, self._work = name, work
        self._waiting: dict[str, T] = {}
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None

    def hand_over(self, key: str, item: T) -> None:
        """Have an item worked on, instead of an older one of the same key that still waits."""
        with self._changed:
            self._waiting[key] = item
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def end(self) -> None:
        """End the thread after the item that it works on, and wait for it."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending)
                if self._ending:
                    return
                key = next(iter(self._waiting))
                item = self._waiting.pop(key)
            self._work(key, item)
