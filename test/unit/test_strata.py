# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Strata of hand-made episodes: where they are cut, which is the worst, what may be said."""

import numpy as np
import pytest
from audit_models import SCENARIO, conditions, result

from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.figures.strata import constant, strata, worst


def episodes(*sides, kind='success'):
    """Return one episode for each y of the offered hand."""
    return [result(i, kind, (0.6, y, 0.3)) for i, y in enumerate(sides)]


def test_side_is_cut_at_the_arms_plane_and_the_box_in_its_middle():
    low, high = SCENARIO.start.hand_position_min_m, SCENARIO.start.hand_position_max_m
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    results = [result(1, offer=(middle[0], 0.0, middle[2])),
               result(2, offer=(middle[0] - 1e-6, -1e-6, middle[2] - 1e-6))]
    found = {s.stratum: s for s in strata(results, SCENARIO)}
    assert list(found) == ['distance: near', 'distance: far', 'side: right', 'side: left',
                           'height: low', 'height: high']
    assert all(s.episodes == 1 for s in found.values())
    assert found['side: left'].cut == 0.0
    assert found['distance: near'].cut == middle[0]


def test_what_a_scenario_never_varies_makes_no_strata():
    results = [result(i, offer=(0.6, 0.1 * i, 0.3)) for i in range(4)]
    assert {s.condition for s in strata(results, SCENARIO)} == {'hand_y_m'}
    assert constant(results) == {'hand_x_m': 0.6, 'hand_z_m': 0.3, 'tracking_noise_m': 0.005,
                                 'tracking_latency_s': 0.05, 'tracking_dropout': 0.01}


def test_noise_and_latency_that_vary_are_cut_at_what_was_drawn():
    rng = np.random.default_rng(0)
    results = [result(i, conditions=conditions(tracking_noise_m=float(rng.uniform(0, 0.01)),
                                               tracking_latency_s=0.05 if i % 3 else 0.1))
               for i in range(30)]
    found = {s.stratum: s for s in strata(results, SCENARIO)}
    assert found['tracking noise: less'].episodes == 15
    assert found['tracking latency: short'].episodes == 20
    assert found['tracking latency: long'].cut == 0.1


def test_cuts_do_not_depend_on_how_the_episodes_went():
    good = strata(episodes(-0.2, -0.1, 0.1, 0.2), SCENARIO)
    bad = strata(episodes(-0.2, -0.1, 0.1, 0.2, kind='wrong_part'), SCENARIO)
    assert [(s.stratum, s.cut, s.episodes) for s in good] == [
        (s.stratum, s.cut, s.episodes) for s in bad]


def test_bound_for_whichever_is_picked_is_corrected_for_all_strata():
    found = strata([*episodes(*[-0.1] * 12), *episodes(*[0.1] * 8, kind='wrong_part')], SCENARIO)
    right, left = found
    assert (right.unsafe_episodes, left.unsafe_episodes) == (0, 8)
    assert right.umr_upper95 == upper_bound(0, 12, 0.05)
    assert right.umr_upper95_any == upper_bound(0, 12, 0.05 / 2)
    assert left.umr_upper95_any == 1.0


def test_worst_stratum_has_most_unsafe_then_least_success_then_fewest_episodes():
    found = strata([*episodes(-0.1, -0.1), *episodes(0.1, 0.1, kind='wrong_part')], SCENARIO)
    assert worst(found).stratum == 'side: left'
    found = strata([*episodes(-0.1, -0.1, kind='not_reached'), *episodes(0.1, 0.1)], SCENARIO)
    assert worst(found).stratum == 'side: right'
    assert worst(strata(episodes(-0.1, -0.1, 0.1), SCENARIO)).stratum == 'side: left'
    assert worst([]) is None


def test_picking_the_worst_of_many_strata_does_not_break_its_bound():
    # All strata have the same true rate; the worst looks worse, and its bound must still hold.
    rng, rate, n = np.random.default_rng(5), 0.1, 60
    any_holds = alone_holds = 0
    safe, unsafe = result(0), result(0, 'wrong_part')
    for _ in range(150):
        drawn = rng.uniform((0.52, -0.25, 0.2), (0.82, 0.25, 0.4), size=(n, 3))
        results = [result(i, offer=tuple(offer.tolist()), outcome=(
            unsafe if rng.uniform() < rate else safe).outcome) for i, offer in enumerate(drawn)]
        picked = worst(strata(results, SCENARIO))
        any_holds += picked.umr_upper95_any >= rate
        alone_holds += picked.umr_upper95 >= rate
    assert any_holds / 150 >= 0.95
    assert alone_holds <= any_holds


def stratum_of(n, unsafe, limit):
    left = [*episodes(*[0.1] * (n - unsafe)), *episodes(*[0.1] * unsafe, kind='wrong_part')]
    return strata([*episodes(-0.1), *left], SCENARIO, limit)[1]


@pytest.mark.parametrize(('n', 'unsafe', 'limit', 'said', 'unsaid'), [
    (20, 0, None, ('0 of 20 unsafe', 'looked at 2 strata', '16.8 %'), ('limit',)),
    (20, 0, 0.01, ('does not carry the limit', 'no such claim', '368 episodes'), ('carries',)),
    (400, 0, 0.01, ('It carries the limit of 1.00 % on its own',), ('not carry',)),
    (20, 5, 0.1, ('The rate itself is above the limit of 10.0 %',), ('carries',)),
    (20, 0, 0.0, ('0 of 20 unsafe',), ('limit',))])
def test_what_a_sample_carries_is_said_in_words(n, unsafe, limit, said, unsaid):
    sentence = stratum_of(n, unsafe, limit).claim
    assert all(part in sentence for part in said), sentence
    assert not any(part in sentence for part in unsaid), sentence


def test_nothing_is_claimed_where_nobody_was():
    results = [result(i, offer=(0.6, 0.1 * (i + 1), 0.3)) for i in range(4)]
    right, left = strata(results, SCENARIO, 0.01)
    assert (right.episodes, right.umr, right.sr) == (0, None, None)
    assert (right.umr_upper95, right.umr_upper95_any) == (1.0, 1.0)
    assert 'no episode was here, so nothing is said' in right.claim
    assert worst([right, left]) is left
