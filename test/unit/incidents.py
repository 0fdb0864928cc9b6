# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Incidents of a loop that was driven by hand, of a policy that is a function."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import seeing
from loop_inputs import CONTRACT, Run, samples, without

from uncloning_ros.conversions import Sample
from uncloning_ros.policy_io import Observation, Plan, answer
from uncloning_ros.runtime.incident import FlightRecord, Incident, incident_of

TIMING, INTERFACE = CONTRACT.policy, CONTRACT.interface


class Function:
    """A policy without a file: the newest tool pose and a little noise; `bad` answers so."""

    sha256 = 'f' * 64
    observation_shape = (TIMING.history, INTERFACE.observation_dim)
    chunk_shape = (TIMING.horizon, INTERFACE.action_dim)
    picture_shapes: ClassVar[dict[str, tuple[int, ...]]] = {}

    def __init__(self, bad: object = None) -> None:
        self._bad = bad

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        still = np.append(observation.vector[-1][:9], np.float32(0.08))
        scale = np.float32([0.01] * 3 + [0.0] * 7)
        chunk = (still + scale * noise).astype(np.float32)
        for pixels in observation.pictures.values():
            chunk[:, 9] = np.float32(0.01) + np.float32(1e-6) * np.float32(pixels.sum())
        if self._bad == 'nan':
            chunk[3, 0] = np.nan
        return Plan(chunk[:5] if self._bad == 'short' else chunk)


class SeeingFunction(Function):
    """Such a policy whose width depends on every value of its pictures."""

    picture_shapes: ClassVar = {signal.key: signal.shape for signal in seeing.CAMERAS}


CONTRACT_SEEING = seeing.with_cameras(CONTRACT)


def inputs(now_ns: int) -> dict[str, Sample]:
    """Return one fresh sample of every observation, cameras included."""
    return samples(now_ns) | {
        signal.key: Sample(seeing.picture(signal, now_ns // 50_000_000), now_ns, now_ns)
        for signal in seeing.CAMERAS}


def flight(policy: Function, chunks: int = 5) -> FlightRecord:
    """Return the record of a loop that asked so often, and went to HOLD at last."""
    contract, given = (CONTRACT_SEEING, inputs) if policy.picture_shapes else (CONTRACT, samples)
    record, run = FlightRecord(), Run(policy, seed=3, contract=contract)
    while len(run.asked) < chunks:
        asked_before = len(run.asked)
        decision = run.step(given(run.now_ns))
        record.add_decision(decision, run.now_ns)
        for request in run.asked[asked_before:]:
            record.add_answer(answer(policy, request))
    for _ in range(20):
        decision = run.step(without(given(run.now_ns), 'hand_pose'))
        record.add_decision(decision, run.now_ns)
    return record


def incident(policy: Function | None = None, model_path: Path = Path('some.onnx'),
             chunks: int = 5) -> Incident:
    """Return the incident of such a loop."""
    policy = policy or Function()
    answers, events = flight(policy, chunks).snapshot()
    return incident_of(answers, events, model_path, policy, CONTRACT.sha256, 3)
