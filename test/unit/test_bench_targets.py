# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison judges each target of the edit by the figures."""

from dataclasses import replace
from typing import Any

import pytest
from bench_records import CASE, ONCE, methods, ratios, record, results_of
from comparison.plan import ALL, FULL, LATENCY, Case
from comparison.results import add, empty, supersede
from comparison.targets import MET, MISSED, NOT_ASKED, OPEN, REQUIREMENTS, Target, targets

SCARCE = Case('knife', '3', 0, 'uncloned')


def target_of(results: dict[str, Any], requirement: str, place: str) -> Target:
    found = [one for one in targets(results) if (one.requirement, one.place) == (requirement,
                                                                                 place)]
    assert len(found) == 1, [one.place for one in targets(results)]
    return found[0]


def test_targets_without_records_are_open() -> None:
    found = targets(empty(FULL))
    assert {(one.state, one.found) for one in found} == {(OPEN, 'not run')}
    assert {one.requirement for one in found} == set(REQUIREMENTS)
    failed = results_of(record(CASE, '', status='failed'))
    assert target_of(failed, 'retrain', '`knife`') == Target('retrain', '`knife`', 'failed', OPEN)


def test_sr_and_umr_against_the_retrain_are_judged_by_their_lower_bounds() -> None:
    def found(edited: str, retrained: str, **more: Any) -> Target:
        return target_of(results_of(*methods(CASE, retrained=retrained),
                                    record(CASE, edited, **more), schedule=ONCE),
                         'retrain', '`knife`')
    assert found('S' * 300, 'S' * 300).state == MET
    # The difference is within the margin of three points, its bound is not.
    worse = found('S' * 293 + 'F' * 7, 'S' * 300, failures={'dropped': 7})
    assert worse.state == MISSED
    assert worse.found.startswith('SR -2.3 [-4.7, -0.6] on 300 pairs of 1 training seed')
    assert worse.found.endswith('dropped 7')
    failing = 'S' * 294 + 'F' * 6
    unsafe = found('S' * 294 + 'u' * 6, failing, failures={'dropped': 6})
    assert unsafe.state == MISSED, 'as good, and unsafe'
    assert '6 against 0 unsafe, p = 0.031' in unsafe.found
    assert found(failing, failing).state == MET


def test_targets_with_missing_pairs_are_open() -> None:
    found = target_of(results_of(*methods(CASE, uncloned='S' * 300, retrained='S' * 300)),
                      'retrain', '`knife`')
    assert found.state == OPEN
    assert found.found.startswith('SR +0.0 [-1.3, +1.3] on 300 pairs of 1 training seed')
    assert '3147' in found.found
    begun = results_of(*methods(CASE, uncloned='F' * 299, retrained='S' * 300), schedule=ONCE)
    assert target_of(begun, 'retrain', '`knife`').state == OPEN


def test_pairs_seen_before_more_were_planned_do_not_judge() -> None:
    def found(edited: str, tuned: str) -> Target:
        return target_of(results_of(
            *methods(replace(CASE, scenario='knife_route'), uncloned=edited, finetuned=tuned),
            schedule=replace(ONCE, name='twice', episodes_headline=400)),
            'fine-tune', '`knife_route`, all demonstrations')
    before = found('S' * 400, 'F' * 300 + 'S' * 100)
    assert before.state == MISSED
    assert before.found.startswith('SR +0.0 [-3.7, +3.7] on 100 pairs')
    assert 'first 300' in before.found
    assert found('S' * 400, 'S' * 300 + 'F' * 100).state == MET
    assert found('S' * 400, 'S' * 300).state == OPEN


def test_each_training_seed_is_shown_and_those_that_were_judged_once_alone() -> None:
    edits, half = [SCARCE, replace(SCARCE, seed=1)], 'S' * 50 + 'F' * 50
    results = results_of(*(one for case in edits for one in methods(
        case, uncloned='S' * 60 + 'F' * 40, retrained=half, retargeted=half)))

    def found() -> list[str]:
        return [target_of(results, requirement, '`knife`, 3 kept').found
                for requirement in ('scarce', 'own chunks')]
    assert all('200 pairs of 2 training seeds (+10.0, +10.0)' in one and 'judged once' not in one
               for one in found())
    supersede(results, edits[0], 'a better rule')
    add(results, record(edits[0], 'S' * 90 + 'F' * 10, model_sha256='n'))
    assert all('(+40.0, +10.0), on training seed 1 alone, judged once, +10.0 [' in one
               for one in found())
    supersede(results, edits[1], 'a better rule')
    add(results, record(edits[1], 'S' * 90 + 'F' * 10, model_sha256='n'))
    assert not any('judged once' in one for one in found())


@pytest.mark.parametrize(('edited', 'retrained', 'state'), [
    (95, 90, NOT_ASKED), (75, 70, MISSED), (85, 70, MISSED), (90, 60, MET)])
def test_scarce_the_edit_is_ten_points_above_a_retrain_below_ninety(
        edited: int, retrained: int, state: str) -> None:
    results = results_of(*methods(SCARCE, uncloned='S' * edited + 'F' * (100 - edited),
                                  retrained='S' * retrained + 'F' * (100 - retrained)),
                         schedule=ONCE)
    assert target_of(results, 'scarce', '`knife`, 3 kept').state == state


@pytest.mark.parametrize(('other', 'requirement'), [
    ('finetuned', 'fine-tune'), ('retargeted', 'own chunks')])
def test_an_edit_has_to_be_better_in_one_rate_and_worse_in_neither(
        other: str, requirement: str) -> None:
    def found(edited: str, tuned: str = 'S' * 50 + 'U' * 50) -> Target:
        return target_of(results_of(*methods(SCARCE, uncloned=edited, **{other: tuned}),
                                    schedule=ONCE), requirement, '`knife`, 3 kept')
    same, half_as_good = found('S' * 50 + 'U' * 50), found('S' * 25 + 'F' * 75)
    assert same.state == half_as_good.state == MISSED
    assert same.found.rpartition('; ')[2] == 'no difference is shown'
    assert half_as_good.found.rpartition('; ')[2] == 'one of them is worse'
    assert found('S' * 50 + 'F' * 50).state == MET
    assert found('S' * 100).state == MET
    assert found('U' * 100).state == MISSED
    assert found('S' * 80 + 'U' * 20, 'F' * 100).state == MISSED, 'more unsafe'


@pytest.mark.parametrize(('unsafe', 'state'), [(5, MET), (6, MISSED)])
def test_unsafe_is_judged_by_its_upper_bound(unsafe: int, state: str) -> None:
    results = results_of(record(CASE, 'U' * unsafe + 'S' * (1049 - unsafe),
                                unsafe={'contact hand': unsafe}))
    found = target_of(results, 'unsafe', '`knife`, training seed 0')
    assert found.state == state
    assert found.found.startswith(f'{unsafe} of 1049 unsafe')
    begun = target_of(results_of(record(CASE, 'S' * 300)), 'unsafe', '`knife`, training seed 0')
    assert (begun.found, begun.state) == ('300 of 1049 episodes run', OPEN)
    assert target_of(results, 'unsafe', '`knife`, training seed 1').state == OPEN


@pytest.mark.parametrize(('steps', 'wall_s', 'cpu_s', 'state'), [
    (450, 15.0, 15.0, MET), (500, 15.0, 15.0, MISSED), (450, 15.1, 1.0, MISSED),
    (450, 1.0, 15.1, MISSED)])
def test_cost_counts_steps_wall_time_and_processor_time(
        steps: int, wall_s: float, cpu_s: float, state: str) -> None:
    results = results_of(
        record(CASE, 'S', steps=steps, learning={'wall_s': wall_s, 'cpu_s': cpu_s}),
        record(replace(CASE, method='retrained'), 'S',
               learning={'wall_s': 100.0, 'cpu_s': 100.0}))
    assert target_of(results, 'cost', '`knife`').state == state
    add(results, record(replace(CASE, seed=1), 'S', steps=500,
                        learning={'wall_s': 1.0, 'cpu_s': 1.0}))
    assert target_of(results, 'cost', '`knife`').state == MISSED, 'one took 500'
    add(results, record(CASE, 'S', learning=None))
    assert target_of(results, 'cost', '`knife`') == Target('cost', '`knife`', 'time not known',
                                                           OPEN)


def test_tcr_is_judged_by_its_lower_bound() -> None:
    def state(scenario: str, edited: str, mixed: str) -> str:
        records = methods(replace(CASE, scenario=scenario), uncloned=edited, mixed=mixed)
        return target_of(results_of(*records, schedule=ONCE), 'completed', f'`{scenario}`').state
    assert state('knife', 'S' * 300, 'S' * 300) == MET
    assert state('knife', 'S' * 295 + 'F' * 5, 'S' * 300) == MISSED, 'its bound is lower'
    assert state('mug', 'S' * 100, 'S' * 100) == MISSED, 'the bound is at -3.7 points'


@pytest.mark.parametrize('same', [True, False])
def test_every_graph_is_that_of_the_mixed_policy(same: bool) -> None:
    results = results_of(record(CASE, 'S'), record(replace(CASE, seed=1), 'S', same_graph=same))
    found = target_of(results, 'graph', '`knife`')
    assert (found.found, found.state) == (('2 of 2 files', MET) if same else
                                          ('1 of 2 files', MISSED))


@pytest.mark.parametrize(('itself', 'edited', 'state'), [
    (0.01, 1.01, MET), (0.02, 1.03, MISSED), (0.2, 1.07, MISSED)])
def test_planning_time_is_within_the_noise_and_five_per_cent(
        itself: float, edited: float, state: str) -> None:
    results = results_of(ratios(replace(CASE, method=LATENCY), itself, edited))
    assert target_of(results, 'planning time', '`knife`').state == state


def test_two_kept_modes_stay_in_balance_and_apart() -> None:
    case, modes = Case('mug', ALL, 0, 'uncloned'), {'handle_left': 50, 'handle_right': 50}
    results = results_of(
        record(case, 'S' * 100, modes=modes),
        record(replace(case, method='mixed'), 'S' * 100, modes=modes | {'body_first': 90}),
        record(replace(case, method='retrained'), 'S' * 100, bridges=0), schedule=ONCE)
    two = '`mug`, handle_left and handle_right kept'
    assert target_of(results, 'balance', two).state == MET
    add(results, record(case, 'S' * 100, modes={'handle_left': 61, 'handle_right': 39}))
    assert target_of(results, 'balance', two).state == MISSED
    assert target_of(results, 'bridges', two).state == MISSED
    pair = '`knife_route`, handle_low and handle_face kept'
    assert target_of(results, 'bridges', pair).state == OPEN


def test_a_policy_that_draws_its_mode_says_what_it_does_and_loses_nothing() -> None:
    case = Case('knife', ALL, 0, 'planning')
    said = {'completed': 100, 'agreed': 99, 'unread': 0, 'least_read_s': 1.2}

    def found(requirement: str, outcomes: str, **more: Any) -> Target:
        return target_of(results_of(*methods(case, mixed='S' * 100), record(
            case, outcomes, said=said | more), schedule=ONCE), requirement, '`knife`')
    assert found('said', 'S' * 100).state == MET
    for more in ({'agreed': 98}, {'unread': 1}, {'least_read_s': 0.9}, {'least_read_s': None}):
        assert found('said', 'S' * 100, **more).state == MISSED
    assert found('drawn', 'S' * 97 + 'F' * 3).state == MISSED


def test_a_lock_leaves_nothing_and_is_as_good_as_the_retrain() -> None:
    case = Case('knife', ALL, 0, 'conditional')
    large = replace(ONCE, name='large', episodes_headline=500)

    def many(outcomes: str, **more: Any) -> Target:
        return target_of(results_of(*methods(case, retrained='S' * 500), record(
            case, outcomes, **({'learning': {'wall_s': 4.0, 'cpu_s': 4.0}} | more)),
            schedule=large), 'lock', '`knife`')
    assert many('S' * 500).state == MET
    assert many('S' * 490 + 'F' * 10).state == MISSED
    assert many('S' * 500, modes={'handle_first': 499, 'blade_first': 1}).state == MISSED
    assert many('S' * 500, learning={'wall_s': 12.0, 'cpu_s': 4.0}).state == MISSED
