# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Incidents of a loop that was driven by hand, of a policy that is a function."""

from pathlib import Path

import numpy as np
from loop_inputs import CONTRACT, Run, samples, without

from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.control_loop import answer
from uncloning_ros.runtime.incident import FlightRecord, Incident, incident_of

TIMING, INTERFACE = CONTRACT.policy, CONTRACT.interface


class Function:
    """A policy without a file: the newest tool pose and a little noise; `bad` answers so."""

    sha256 = 'f' * 64
    observation_shape = (TIMING.history, INTERFACE.observation_dim)
    chunk_shape = (TIMING.horizon, INTERFACE.action_dim)

    def __init__(self, bad: object = None) -> None:
        self._bad = bad

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        still = np.append(observation.vector[-1][:9], np.float32(0.08))
        scale = np.float32([0.01] * 3 + [0.0] * 7)
        chunk = (still + scale * noise).astype(np.float32)
        if self._bad == 'nan':
            chunk[3, 0] = np.nan
        return Plan(chunk[:5] if self._bad == 'short' else chunk)


def flight(policy: Function, chunks: int = 5) -> FlightRecord:
    """Return the record of a loop that asked so often, and went to HOLD at last."""
    record, run = FlightRecord(), Run(policy, seed=3)
    while len(run.asked) < chunks:
        asked_before = len(run.asked)
        decision = run.step()
        record.add_decision(decision, run.now_ns)
        for request in run.asked[asked_before:]:
            record.add_answer(answer(policy, request))
    for _ in range(20):
        decision = run.step(without(samples(run.now_ns), 'hand_pose'))
        record.add_decision(decision, run.now_ns)
    return record


def incident(policy: Function | None = None, model_path: Path = Path('some.onnx'),
             chunks: int = 5) -> Incident:
    """Return the incident of such a loop."""
    policy = policy or Function()
    answers, events = flight(policy, chunks).snapshot()
    return incident_of(answers, events, model_path, policy, CONTRACT.sha256, 3)
