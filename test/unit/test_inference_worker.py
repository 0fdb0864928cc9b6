# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The inference worker answers elsewhere: nobody waits for it, nothing it meets ends it."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from loop_inputs import CONTRACT, action, constant_policy

from uncloning_ros.policy_io import Observation, Plan, PlanRequest, chunk_noise
from uncloning_ros.runtime.inference_worker import InferenceWorker, TimedAnswer

WAIT_S = 30.0  # before a wait is given up as vain
TIMING, INTERFACE = CONTRACT.policy, CONTRACT.interface


def request(index: int) -> PlanRequest:
    seen = np.full((TIMING.history, INTERFACE.observation_dim), index, np.float32)
    return PlanRequest(index, index, Observation(seen), chunk_noise(
        0, index, TIMING.horizon, INTERFACE.action_dim))


class Policy:
    """A policy that waits for leave, and keeps what it was asked."""

    def __init__(self) -> None:
        self.leave = threading.Semaphore(0)
        self.asked: list[int] = []
        self.busy = threading.Event()

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        self.asked.append(int(observation.vector[0, 0]))
        self.busy.set()
        assert self.leave.acquire(timeout=WAIT_S)
        if self.asked[-1] == 13:
            raise ZeroDivisionError('no such luck')
        return constant_policy(action(0.4))(observation, noise)


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
def worker(policy: Policy) -> Iterator[InferenceWorker]:
    made = InferenceWorker(policy)
    yield made
    made.end()
    policy.leave.release(100)
    made._thread.join(WAIT_S)
    assert not made._thread.is_alive()


def answers(worker: InferenceWorker, count: int) -> list[TimedAnswer]:
    """Wait for so many answers."""
    taken, end_s = [], time.monotonic() + WAIT_S
    while len(taken) < count:
        assert time.monotonic() < end_s, f'{len(taken)} of {count} answers'
        taken += worker.take()
    return taken


def test_an_answer_comes_with_its_request_and_times(
        worker: InferenceWorker, policy: Policy) -> None:
    asked = request(3)
    worker.submit(asked)
    policy.leave.release()
    [timed] = answers(worker, 1)
    assert timed.answer.request is asked
    assert timed.answer.plan is not None
    assert timed.answer.plan.chunk.shape == (TIMING.horizon, INTERFACE.action_dim)
    assert timed.submitted_ns <= timed.answered_ns
    assert worker.take() == []


def test_nobody_waits_for_a_policy_that_is_busy(worker: InferenceWorker, policy: Policy) -> None:
    worker.submit(request(0))
    assert policy.busy.wait(WAIT_S)
    worker.submit(request(1))  # these two would hang here if they waited
    assert worker.take() == []


def test_a_request_that_was_overtaken_is_skipped(worker: InferenceWorker, policy: Policy) -> None:
    worker.submit(request(0))
    assert policy.busy.wait(WAIT_S)
    for index in (1, 2, 3):
        worker.submit(request(index))
    policy.leave.release(2)
    assert [timed.answer.request.index for timed in answers(worker, 2)] == [0, 3]
    assert policy.asked == [0, 3]


def test_a_policy_that_raises_is_an_answer_with_a_sentence_and_the_next_is_answered(
        worker: InferenceWorker, policy: Policy) -> None:
    policy.leave.release(2)
    worker.submit(request(13))
    [timed] = answers(worker, 1)
    assert timed.answer.plan is None
    assert timed.answer.error == 'ZeroDivisionError: no such luck'
    worker.submit(request(14))
    [timed] = answers(worker, 1)
    assert timed.answer.plan is not None


def test_the_worker_ends_after_the_request_that_is_under_way(
        worker: InferenceWorker, policy: Policy) -> None:
    worker.submit(request(0))
    assert policy.busy.wait(WAIT_S)
    worker.submit(request(1))
    worker.end()
    policy.leave.release()
    worker._thread.join(WAIT_S)
    assert not worker._thread.is_alive()
    assert policy.asked == [0]
