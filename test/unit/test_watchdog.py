# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The watchdog names every input that cannot be used, and why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loop_inputs import CONTRACT, samples, without

from uncloning_ros.conversions import Sample
from uncloning_ros.runtime.watchdog import (
    FUTURE_STAMP,
    MISSING,
    NOT_FINITE,
    STALE,
    STALE_STAMP,
    judge_inputs,
)

NOW_NS = 10**12
KEYS = [signal.key for signal in CONTRACT.interface.observations]


def replaced(key: str, stamp_ns: int = NOW_NS, receive_ns: int = NOW_NS) -> dict[str, Sample]:
    """Return fresh inputs but for the times of one key."""
    inputs = samples(NOW_NS)
    return inputs | {key: Sample(inputs[key].values, stamp_ns, receive_ns)}


def test_fresh_inputs_give_no_complaint() -> None:
    assert judge_inputs(CONTRACT, samples(NOW_NS), NOW_NS, NOW_NS) == []


@pytest.mark.parametrize('key', KEYS)
def test_a_missing_input_is_named(key: str) -> None:
    [complaint] = judge_inputs(CONTRACT, without(samples(NOW_NS), key), NOW_NS, NOW_NS)
    assert (complaint.key, complaint.reason) == (key, MISSING)
    assert key in complaint.sentence


@pytest.mark.parametrize('key', KEYS)
@pytest.mark.parametrize(('late', 'reason'), [('receive_ns', STALE), ('stamp_ns', STALE_STAMP)])
def test_each_input_has_its_own_age_limit_for_arrival_and_for_measurement(
        key: str, late: str, reason: str) -> None:
    limit_ns = round((CONTRACT.deployment.observations[key].max_age_s or math.nan) * 1e9)
    at_limit = replaced(key, **{late: NOW_NS - limit_ns})
    assert judge_inputs(CONTRACT, at_limit, NOW_NS, NOW_NS) == []
    over = replaced(key, **{late: NOW_NS - limit_ns - 1000})
    [complaint] = judge_inputs(CONTRACT, over, NOW_NS, NOW_NS)
    assert (complaint.key, complaint.reason) == (key, reason)


@pytest.mark.parametrize('key', KEYS)
def test_a_stamp_may_lie_as_far_in_the_future_as_in_the_past(key: str) -> None:
    limit_ns = round((CONTRACT.deployment.observations[key].max_age_s or math.nan) * 1e9)
    at_limit = replaced(key, stamp_ns=NOW_NS + limit_ns)
    assert judge_inputs(CONTRACT, at_limit, NOW_NS, NOW_NS) == []
    over = replaced(key, stamp_ns=NOW_NS + limit_ns + 1000)
    [complaint] = judge_inputs(CONTRACT, over, NOW_NS, NOW_NS)
    assert (complaint.key, complaint.reason) == (key, FUTURE_STAMP)


def test_stamps_are_judged_on_their_own_clock() -> None:
    ros_now_ns = NOW_NS + 10**18
    complaints = judge_inputs(CONTRACT, samples(NOW_NS), NOW_NS, ros_now_ns)
    assert {complaint.reason for complaint in complaints} == {STALE_STAMP}


@given(key=st.sampled_from(KEYS), bad=st.sampled_from([math.nan, math.inf, -math.inf]),
       at=st.integers(0, 100))
def test_no_input_with_a_value_that_is_not_finite_passes(key: str, bad: float, at: int) -> None:
    inputs = samples(NOW_NS)
    values = inputs[key].values.copy()
    values[at % len(values)] = bad
    inputs[key] = Sample(values, NOW_NS, NOW_NS)
    [complaint] = judge_inputs(CONTRACT, inputs, NOW_NS, NOW_NS)
    assert (complaint.key, complaint.reason) == (key, NOT_FINITE)


@given(ages=st.lists(st.integers(0, 10**9), min_size=len(KEYS), max_size=len(KEYS)))
def test_exactly_the_inputs_beyond_their_limit_are_complained_of(ages: list[int]) -> None:
    inputs, expected = samples(NOW_NS), []
    for key, age_ns in zip(KEYS, ages, strict=True):
        inputs[key] = Sample(inputs[key].values, NOW_NS, NOW_NS - age_ns)
        if age_ns > round(1e9 * (CONTRACT.deployment.observations[key].max_age_s or math.nan)):
            expected.append(key)
    complaints = judge_inputs(CONTRACT, inputs, NOW_NS, NOW_NS)
    assert [complaint.key for complaint in complaints] == expected
