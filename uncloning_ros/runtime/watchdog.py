# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Judge the inputs of one tick: each must be there, finite and young enough."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from uncloning_ros.contract import Contract, Signal
from uncloning_ros.conversions import Sample

MISSING = 'missing_input'
NOT_FINITE = 'not_finite_input'
STALE = 'stale_input'
STALE_STAMP = 'stale_stamp'
FUTURE_STAMP = 'future_stamp'


@dataclass(frozen=True)
class Complaint:
    """Why an input cannot be used: its key, a reason code, and a sentence with both values."""

    key: str
    reason: str
    sentence: str


def judge_inputs(contract: Contract, samples: Mapping[str, Sample], now_ns: int,
                 ros_now_ns: int) -> list[Complaint]:
    """Return one complaint for every input that cannot be used, in the contract's order.

    `now_ns` is on the clock of the samples' `receive_ns`, `ros_now_ns` on that of their stamps.
    Both ages count: the first sees a publisher that fell silent, the second one that repeats
    old measurements. A stamp may lie as far in the future as in the past, for clocks differ.
    """
    complaints = []
    for signal in contract.interface.observations:
        max_age_s = contract.deployment.observations[signal.key].max_age_s
        if max_age_s is None:
            raise ValueError(f'{signal.key}: an observation needs max_age_s')
        complaint = _judge(signal, samples.get(signal.key), now_ns, ros_now_ns, max_age_s)
        if complaint is not None:
            complaints.append(complaint)
    return complaints


def _judge(signal: Signal, sample: Sample | None, now_ns: int, ros_now_ns: int,
           max_age_s: float) -> Complaint | None:
    key = signal.key
    if sample is None:
        return Complaint(key, MISSING, f'{key} has not arrived; check its publisher and topic')
    if not np.all(np.isfinite(sample.values)):
        return Complaint(key, NOT_FINITE, f'{key} has values that are not finite; check its '
                                          f'publisher')
    # Whole nanoseconds, so that an age of exactly the limit is allowed on every machine.
    limit_ns = round(max_age_s * 1e9)
    age_ns, stamp_age_ns = now_ns - sample.receive_ns, ros_now_ns - sample.stamp_ns
    if age_ns > limit_ns:
        return Complaint(key, STALE, f'{key} arrived {age_ns * 1e-9:.3f} s ago, allowed '
                                     f'{max_age_s:g} s; check its publisher')
    if stamp_age_ns > limit_ns:
        return Complaint(key, STALE_STAMP, f'{key} was measured {stamp_age_ns * 1e-9:.3f} s ago, '
                                           f'allowed {max_age_s:g} s; check latency and clocks')
    if stamp_age_ns < -limit_ns:
        return Complaint(key, FUTURE_STAMP, f'{key} is stamped {-stamp_age_ns * 1e-9:.3f} s in '
                                            f'the future, allowed {max_age_s:g} s; check the '
                                            f'clocks')
    return None
