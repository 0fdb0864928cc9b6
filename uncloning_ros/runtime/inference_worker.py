# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that asks the policy, so that a slow forward pass never delays a command."""

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass

from uncloning_ros.policy_io import Infer, PlanAnswer, PlanRequest, answer


@dataclass(frozen=True, eq=False)
class TimedAnswer:
    """An answer, with the times of submission and answer on the monotonic clock."""

    answer: PlanAnswer
    submitted_ns: int
    answered_ns: int


class InferenceWorker:
    """Answer requests one after the other, in a thread of its own.

    `submit` and `take` never wait. A request is skipped if a newer one comes before its turn:
    its plan was given up already.
    """

    def __init__(self, infer: Infer) -> None:
        self._infer = infer
        self._asked: queue.SimpleQueue[tuple[PlanRequest, int] | None] = queue.SimpleQueue()
        self._answered: deque[TimedAnswer] = deque()
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    def submit(self, request: PlanRequest) -> None:
        """Queue a request behind the one before it."""
        self._asked.put((request, time.monotonic_ns()))

    def take(self) -> list[TimedAnswer]:
        """Return the answers since the last call, oldest first."""
        answers = []
        while self._answered:
            answers.append(self._answered.popleft())
        return answers

    def end(self) -> None:
        """End the thread after the request that is under way; do not wait for it."""
        self._asked.put(None)

    def _run(self) -> None:
        while (item := self._newest()) is not None:
            request, submitted_ns = item
            answered = answer(self._infer, request)
            self._answered.append(TimedAnswer(answered, submitted_ns, time.monotonic_ns()))

    def _newest(self) -> tuple[PlanRequest, int] | None:
        item = self._asked.get()
        while item is not None and not self._asked.empty():
            item = self._asked.get()
        return item
