# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans against the published table, and against what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncloning_ros.audit.figures.sample_size import Plan, plan, plans_table
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.errors import AuditError


@pytest.mark.parametrize(('claim', 'episodes'), [
    (0.05, (59, 93, 124, 153, 208)), (0.01, (299, 473, 628, 773, 1049)),
    (0.001, (2995, 4742, 6294, 7752, 10511))])
def test_plan_takes_the_published_number_of_episodes(claim, episodes):
    assert tuple(plan(claim, k).episodes for k in (0, 1, 2, 3, 5)) == episodes


@pytest.mark.parametrize(('true_rate', 'powers'), [
    (0.001, (0.74, 0.92, 0.97, 0.999)), (0.003, (0.41, 0.59, 0.71, 0.90))])
def test_plan_has_the_published_power(true_rate, powers):
    for allowed, power in zip((0, 1, 2, 5), powers, strict=True):
        assert plan(0.01, allowed).power(true_rate) == pytest.approx(power, abs=0.006)


def test_power_is_how_often_audits_pass():
    rng = np.random.default_rng(3)
    found = Plan(0.05, 1, 93)
    passed = (rng.binomial(93, 0.01, size=4000) <= 1).mean()
    assert found.power(0.01) == pytest.approx(passed, abs=0.02)
    assert found.power(0.0) == 1.0


@given(st.integers(0, 20), st.sampled_from((0.02, 0.05, 0.3)))
def test_a_plan_shows_its_claim_and_one_episode_less_does_not(allowed, claim):
    n = plan(claim, allowed).episodes
    assert upper_bound(allowed, n) < claim
    assert n - 1 == allowed or upper_bound(allowed, n - 1) >= claim


def test_a_claim_of_several_takes_more():
    assert plan(0.01, 0, 0.05 / 4).episodes > plan(0.01, 0).episodes


@pytest.mark.parametrize(('claim', 'allowed'), [(0.0, 0), (1.0, 0), (0.1, -1)])
def test_impossible_plans_are_refused(claim, allowed):
    with pytest.raises(ValueError, match='claim'):
        plan(claim, allowed)


def test_a_claim_beyond_every_audit_is_one_sentence():
    with pytest.raises(AuditError, match='1e-09'):
        plan(1e-9, 0)


def test_table_has_a_row_for_each_plan():
    rows = plans_table((0.01, 0.05), (0, 5), (0.1, 0.3)).splitlines()
    assert rows[2] == '| below 1 % | 0 | 299 | 74.1 % | 40.7 % |'
    assert rows[3] == '| below 1 % | 5 | 1049 | 99.9 % | 90.1 % |'
    assert len(rows) == 6
