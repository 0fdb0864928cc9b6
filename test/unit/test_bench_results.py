# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records of the comparison, and the figures computed from them."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bench_records import CASE, failed, methods, record, results_of
from comparison.plan import ALL, FULL, SHORT, TUNING, Case, trials
from comparison.results import (
    add,
    best_setting,
    empty,
    find,
    has_old_setting,
    is_done,
    judged,
    load,
    save,
    supersede,
    tuning_is_over,
)
from comparison.statistics import against, distance_to_ideal, pooled, stratified

from uncloning_ros.audit.figures.statistics import paired_difference
from uncloning_ros.errors import UncloningError
from uncloning_ros.judging.said import Said
from uncloning_ros.judging.unsafe import UnsafeEvent


def test_an_episode_is_one_character() -> None:
    def episode(completed: bool, failure: str | None, clause: str | None,
                mode: str | None = None) -> Any:
        unsafe = None if clause is None else UnsafeEvent(clause, 'hand', 1.0, 0.0)
        return SimpleNamespace(seed=7, said=None, outcome=SimpleNamespace(
            completed=completed, failure=failure, unsafe=unsafe, success=failure is None,
            mode=mode, committed=(), taken_s=None))

    found = judged([
        episode(True, None, None, 'handle_first'),
        episode(True, 'wrong_part', None, 'blade_first'), episode(True, 'wrong_part', None),
        episode(True, 'unsafe', 'thrust', 'handle_first'), episode(False, 'dropped', None),
        episode(False, 'dropped', 'contact')], ['handle_first'])
    assert found == {
        'first_seed': 7, 'outcomes': 'SWWUFu', 'began': 'kr.k..',
        'modes': {'between_modes': 1, 'blade_first': 1, 'handle_first': 2},
        'failures': {'dropped': 2, 'unsafe': 1, 'wrong_part': 2},
        'unsafe': {'contact hand': 1, 'thrust hand': 1}, 'committed': 0, 'bridges': 0}


def test_what_a_policy_said_is_held_against_what_it_did() -> None:
    found = judged([SimpleNamespace(seed=7, said=Said('left', apart_m, read_s), outcome=(
        SimpleNamespace(completed=True, failure=None, unsafe=None, success=True, mode=mode,
                        committed=(), taken_s=None)))
        for apart_m, read_s, mode in ((0.01, 1.0, 'left'), (0.03, 2.5, 'left'),
                                      (0.02, None, 'right'))], ['left'])
    assert found['said'] == {'completed': 3, 'agreed': 2, 'unread': 1, 'least_read_s': 1.0,
                             'median_read_s': 2.5, 'median_apart_m': 0.02}


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / 'benchmarks.json'
    assert load(path, FULL) == empty(FULL)
    results = results_of(record(CASE, 'SS'), record(replace(CASE, trial=1), 'SF'))
    save(path, results)
    assert load(path, FULL) == results
    with pytest.raises(UncloningError, match=r"expected results of .*'short'.* got .*'full'"):
        load(path, SHORT)
    path.write_text('{')
    with pytest.raises(UncloningError, match='is not valid JSON'):
        load(path, FULL)


def test_a_record_that_is_replaced_stays_as_an_attempt() -> None:
    results = results_of(failed(CASE), record(CASE, 'SF'))
    assert [one['outcomes'] for one in results['cells']] == ['SF']
    assert [one['sentence'] for one in results['attempts']] == ['no disk']
    supersede(results, CASE, 'the edit became better')
    assert find(results, CASE) is None
    assert [one['superseded'] for one in results['attempts']] == [
        'a later record replaced it', 'the edit became better']


def test_a_case_is_done_with_all_its_episodes_of_this_scenario() -> None:
    assert not is_done(empty(FULL), CASE, FULL, 'a')
    assert is_done(results_of(record(CASE, 'S' * 1049)), CASE, FULL, 'a')
    assert not is_done(results_of(record(CASE, 'S' * 1048)), CASE, FULL, 'a')
    assert not is_done(results_of(record(CASE, 'S' * 1049)), CASE, FULL, 'b')
    assert is_done(results_of(record(CASE, '', status='failed')), CASE, FULL, 'a')
    elsewhere = results_of(record(CASE, 'S' * 1049, first_seed=310_000))
    assert not is_done(elsewhere, CASE, FULL, 'a')


def test_a_failure_takes_the_place_of_nothing_that_was_done() -> None:
    results = results_of(record(CASE, 'SF'))
    add(results, failed(CASE))
    assert [one['outcomes'] for one in results['cells']] == ['SF']
    assert not is_done(results, CASE, FULL, 'a')
    assert [one['superseded'] for one in results['attempts']] == ['the earlier record stands']


def test_a_case_with_a_setting_that_is_not_the_best_is_not_done() -> None:
    cases = [case for case in trials(FULL) if case.method == 'published']
    results = results_of(*(record(case, 'SF' if case.trial == 2 else 'FF',
                                  settings={'gamma': float(case.trial or 0)})
                           for case in cases))
    made = Case('mug', ALL, 0, 'published')
    add(results, record(made, 'S' * 300, settings={'gamma': 2.0}))
    assert is_done(results, made, FULL, 'a')
    add(results, record(cases[4], 'SS', settings={'gamma': 4.0}))
    assert has_old_setting(results, made, FULL)
    assert not is_done(results, made, FULL, 'a')


def test_the_best_setting_is_that_with_most_successes_then_fewest_unsafe() -> None:
    outcomes = ('SFFF', 'SSUF', 'SSFF', 'SSFF', 'SuuF')
    cases = [case for case in trials(FULL) if case.method == 'published']
    results = results_of(*(
        record(case, found, settings=TUNING['published'][case.trial or 0])
        for case, found in zip(cases, outcomes, strict=False)))
    assert not tuning_is_over(results, 'published', FULL)
    add(results, record(cases[5], '', status='failed'))
    assert tuning_is_over(results, 'published', FULL)
    assert best_setting(results, 'published', FULL) == TUNING['published'][2]
    assert best_setting(results, 'best_of', FULL) == {'count': 16}
    with pytest.raises(UncloningError, match='guidance'):
        best_setting(results, 'guidance', FULL)


def test_pairs_are_of_the_same_training_seed_and_episodes_as_far_as_both_go() -> None:
    one, other = 'uncloned', 'retrained'
    results = results_of(
        *methods(CASE, uncloned='SSF', retrained='SFF'),
        *methods(replace(CASE, seed=1), uncloned='SSSU', retrained='FSS'),
        *methods(replace(CASE, seed=2), uncloned='SSS'),
        record(Case('knife', ALL, 2, other), 'FFF', first_seed=5))
    found = against(results, 'knife', ALL, one, other, 'sr')
    assert found is not None
    assert found.by_seed == {0: pytest.approx(1 / 3), 1: pytest.approx(1 / 3)}
    assert found.episodes == 6
    assert found.difference['only_first'] == 2
    assert found.difference['difference'] == pytest.approx(2 / 6)
    assert against(results, 'knife', '3', one, other, 'sr') is None


def pairs(both: int, only_first: int, only_second: int, neither: int) -> list[tuple[bool, bool]]:
    return ([(True, True)] * both + [(True, False)] * only_first
            + [(False, True)] * only_second + [(False, False)] * neither)


def test_training_seeds_that_differ_do_not_widen_the_interval() -> None:
    # GIVEN a method that is 0.1 ahead on one training seed, and 0.8 on the other
    results = results_of(
        *methods(CASE, uncloned='S' * 50 + 'F' * 50, retrained='S' * 40 + 'F' * 60),
        *methods(replace(CASE, seed=1), uncloned='S' * 90 + 'F' * 10,
                 retrained='S' * 10 + 'F' * 90))
    found = against(results, 'knife', ALL, 'uncloned', 'retrained', 'sr')
    assert found is not None
    # THEN it is combined from theirs, worked by hand
    one, two = (paired_difference(*zip(*part, strict=True))
                for part in (pairs(40, 10, 0, 50), pairs(10, 80, 0, 10)))
    assert found.difference['difference'] == pytest.approx(0.45)
    assert found.low == pytest.approx(
        0.45 - 0.5 * math.sqrt((0.1 - one.low) ** 2 + (0.8 - two.low) ** 2))
    assert found.high == pytest.approx(
        0.45 + 0.5 * math.sqrt((one.high - 0.1) ** 2 + (two.high - 0.8) ** 2))
    # AND it is narrower than if all were one
    whole = paired_difference(*zip(*pairs(50, 90, 0, 60), strict=True))
    assert found.high - found.low < 0.8 * (whole.high - whole.low)


def test_one_stratum_is_the_whole_and_a_longer_one_weighs_more() -> None:
    one, two = pairs(20, 12, 2, 16), pairs(180, 0, 20, 0)
    assert stratified([one]) == paired_difference(*zip(*one, strict=True))
    found = stratified([one, two])
    assert found.difference == pytest.approx((50 * 0.2 + 200 * -0.1) / 250)
    assert (found.only_first, found.only_second) == (12, 22)
    assert found == stratified([two, one])


def test_strata_that_never_differ_have_an_interval_round_zero() -> None:
    for part in (pairs(100, 0, 0, 0), pairs(80, 0, 0, 20)):
        found = stratified([part] * 3)
        assert -0.05 < found.low < 0.0 < found.high < 0.05
        assert found.p_value == 1.0


def test_the_interval_of_strata_covers_at_least_about_as_often_as_stated() -> None:
    rng, hits, strata = np.random.default_rng(0), 0, ((0.1, 0.4, 0.4, 0.1),
                                                     (0.6, 0.1, 0.1, 0.2), (0.98, 0.02, 0.0, 0.0))
    true = sum(first - second for _, first, second, _ in strata) / 3
    for _ in range(500):
        found = stratified([pairs(*rng.multinomial(100, part)) for part in strata])
        hits += found.low <= true <= found.high
    assert hits / 500 > 0.93


def test_rates_are_of_the_characters() -> None:
    found = pooled([record(CASE, 'SSWU'), record(CASE, 'Fu')])
    assert found.counts == {'tcr': 4, 'sr': 2, 'umr': 2}
    assert (found.episodes, found.purity) == (6, 0.5)
    assert pooled([record(CASE, 'F')]).purity is None


def test_the_ideal_is_the_mixed_policys_kept_modes() -> None:
    mixed = record(CASE, 'S', modes={'a': 30, 'b': 10, 'removed': 60})
    edited = record(CASE, 'S', modes={'a': 50, 'b': 50})
    found = distance_to_ideal(edited, mixed, ('a', 'b'))
    assert found is not None
    assert found.tv == pytest.approx(0.25)
    assert distance_to_ideal(edited, mixed, ('c',)) is None
