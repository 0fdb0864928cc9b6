# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of ways to be rid of a mode: its plan, its results, and the page they make."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from uncloning import wanted_cells
from uncloning_aims import MET, MISSED, NOT_ASKED, OPEN, Aim, aims
from uncloning_figures import against, distance_to_ideal, headline_methods, of_seeds, pooled
from uncloning_page import picture, text
from uncloning_plan import (
    ALL,
    DEMO_SEED,
    DESIRED_SEED,
    FULL,
    LATENCY,
    METHODS,
    PAIR,
    SHORT,
    TUNING,
    UNDESIRED_SEED,
    Cell,
    plan,
    seeds_of,
    tries,
    tuned_methods,
)
from uncloning_results import (
    add,
    best_setting,
    empty,
    find,
    has_old_setting,
    identity,
    is_done,
    judged,
    load,
    save,
    supersede,
    tuning_is_over,
)

from uncloning_ros.audit.unsafe import UnsafeEvent
from uncloning_ros.errors import UncloningError
from uncloning_ros.scenario import find_scenario

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def record(cell: Cell, outcomes: str, **more: Any) -> dict[str, Any]:
    return identity(cell) | {
        'status': 'done', 'settings': {}, 'scenario_sha256': 'a', 'code_sha256': 'c',
        'model_sha256': 'm', 'first_seed': 300_000, 'outcomes': outcomes,
        'modes': {'handle_first': 1},
        'failures': {}, 'unsafe': {}, 'committed': 10, 'bridges': 1, 'steps': 450,
        'learning': {'wall_s': 10.0, 'cpu_s': 9.0}, 'same_graph': True} | more


def failed(cell: Cell) -> dict[str, Any]:
    return identity(cell) | {'status': 'failed', 'settings': {}, 'sentence': 'no disk',
                             'scenario_sha256': 'a', 'code_sha256': 'c'}


def results_of(*records: dict[str, Any], schedule: Any = FULL) -> dict[str, Any]:
    results = empty(schedule)
    for one in records:
        add(results, one)
    return results


class TestPlan:
    """Which cells there are, in which order, judged on which episodes."""

    def test_every_cell_has_a_name_of_its_own(self) -> None:
        for schedule in (FULL, SHORT):
            names = [cell.key for cell in plan(schedule)]
            assert len(set(names)) == len(names)

    def test_what_the_aims_need_is_planned(self) -> None:
        planned = set(plan(FULL))
        for scenario in ('knife', 'knife_route'):
            for seed in (0, 1, 2):
                assert {Cell(scenario, desired, seed, method) for method in
                        ('retrained', 'finetuned', 'uncloned')
                        for desired in (ALL, '3', '5', '10', '25', '50')} <= planned
                assert Cell(scenario, ALL, seed, 'mixed') in planned
        for scenario in ('scissors', 'screwdriver', 'mug'):
            assert headline_methods(FULL, scenario) == [
                'mixed', 'retrained', 'finetuned', 'uncloned', 'published', 'contrastive']
        assert Cell('knife_route', ALL, 0, 'retrained_pair') in planned
        assert {cell.scenario for cell in planned if cell.method == 'fixed_noise'} == {
            'knife'}, 'where the noise was searched'
        assert {cell.desired for cell in planned if cell.method == 'retargeted'} == {
            '3', '5', '10'}, 'with more there is nothing that is retargeted'

    def test_a_tuned_method_comes_after_all_its_tries(self) -> None:
        for schedule in (FULL, SHORT):
            cells = plan(schedule)
            for i, cell in enumerate(cells):
                needed = {one for one in tries(schedule) if one.method in tuned_methods(cell)}
                assert needed <= set(cells[:i]), cell

    def test_every_rival_has_the_same_budget_of_tuning(self) -> None:
        assert {len(settings) for settings in TUNING.values()} == {FULL.tries}
        assert all(len({str(one) for one in settings}) == FULL.tries
                   for settings in TUNING.values())

    def test_what_changes_the_weights_is_tuned_where_demonstrations_are_scarce(self) -> None:
        assert {(cell.desired, cell.method) for cell in tries(FULL)} == {
            ('5', 'published'), ('5', 'contrastive'), (ALL, 'guidance'), (ALL, 'fixed_noise')}

    def test_no_episode_that_judges_was_seen_before(self) -> None:
        many = max(FULL.demonstrations.values())
        seen = {*range(DEMO_SEED, DEMO_SEED + many),
                *range(UNDESIRED_SEED, UNDESIRED_SEED + FULL.undesired),
                *range(DESIRED_SEED, DESIRED_SEED + max(FULL.counts))}
        for cell in plan(FULL):
            (seen.update if cell.attempt is not None else lambda _: None)(seeds_of(cell, FULL))
        for cell in plan(FULL):
            if cell.attempt is None:
                assert not seen & set(seeds_of(cell, FULL)), cell

    @pytest.mark.parametrize(('cell', 'episodes'), [
        (Cell('knife_route', ALL, 0, 'uncloned'), 1049), (Cell('mug', ALL, 0, 'mixed'), 300),
        (Cell('knife_route', ALL, 2, 'uncloned'), 1049), (Cell('knife', ALL, 2, 'mixed'), 300),
        (Cell('knife', '25', 0, 'retrained'), 200), (Cell('knife', ALL, 0, 'guidance', 3), 100),
        (Cell('knife_route', ALL, 0, 'uncloned_pair'), 300), (Cell('knife', ALL, 0, LATENCY), 0)])
    def test_episodes_of(self, cell: Cell, episodes: int) -> None:
        assert len(seeds_of(cell, FULL)) == episodes

    def test_each_training_seed_is_judged_on_other_episodes_and_the_methods_on_the_same(
            self) -> None:
        first, second, retrained = (seeds_of(cell, FULL) for cell in (
            Cell('knife', ALL, 0, 'uncloned'), Cell('knife', ALL, 1, 'uncloned'),
            Cell('knife', ALL, 1, 'retrained')))
        assert not set(first) & set(second)
        assert second == retrained

    def test_the_pairs_modes_are_of_their_scenario(self) -> None:
        for scenario, modes in PAIR.items():
            assert set(modes) < set(find_scenario(scenario).modes)

    def test_only_chooses_by_field_and_filters_add_up(self) -> None:
        cells = plan(FULL)
        found = wanted_cells(cells, ['scenario=knife,desired=3,desired=5,method=finetuned,seed=0',
                                     'method=latency'])
        assert [cell.key for cell in found] == [
            'knife/3/0/finetuned', 'knife/5/0/finetuned', 'knife/all/0/latency']
        assert wanted_cells(cells, []) == cells
        with pytest.raises(UncloningError, match="got 'metod=mixed' .did you mean 'method'"):
            wanted_cells(cells, ['metod=mixed'])
        with pytest.raises(UncloningError, match='leaves no cell'):
            wanted_cells(cells, ['desired=4'])


CELL = Cell('knife', ALL, 0, 'uncloned')


class TestResults:
    """What is kept, and when a cell is done."""

    def test_an_episode_is_one_character(self) -> None:
        def episode(completed: bool, failure: str | None, clause: str | None,
                    mode: str | None = None) -> Any:
            unsafe = None if clause is None else UnsafeEvent(clause, 'hand', 1.0, 0.0)
            return SimpleNamespace(seed=7, outcome=SimpleNamespace(
                completed=completed, failure=failure, unsafe=unsafe, success=failure is None,
                mode=mode, committed=(), taken_s=None))

        found = judged([
            episode(True, None, None, 'handle_first'),
            episode(True, 'wrong_part', None, 'blade_first'), episode(True, 'wrong_part', None),
            episode(True, 'unsafe', 'thrust', 'handle_first'), episode(False, 'dropped', None),
            episode(False, 'dropped', 'contact')], ['handle_first'])
        assert found == {
            'first_seed': 7, 'outcomes': 'SWWUFu',
            'modes': {'between_modes': 1, 'blade_first': 1, 'handle_first': 2},
            'failures': {'dropped': 2, 'unsafe': 1, 'wrong_part': 2},
            'unsafe': {'contact hand': 1, 'thrust hand': 1}, 'committed': 0, 'bridges': 0}

    def test_results_come_back_from_their_file(self, tmp_path: Path) -> None:
        path = tmp_path / 'benchmarks.json'
        assert load(path, FULL) == empty(FULL)
        results = results_of(record(CELL, 'SS'), record(replace(CELL, attempt=1), 'SF'))
        save(path, results)
        assert load(path, FULL) == results
        with pytest.raises(UncloningError, match=r"expected results of .*'short'.* got .*'full'"):
            load(path, SHORT)
        path.write_text('{')
        with pytest.raises(UncloningError, match='is not valid JSON'):
            load(path, FULL)

    def test_what_is_made_anew_stays_as_an_attempt(self) -> None:
        failed = record(CELL, '') | {'status': 'failed', 'sentence': 'no disk'}
        results = results_of(failed, record(CELL, 'SF'))
        assert [one['outcomes'] for one in results['cells']] == ['SF']
        assert [one['sentence'] for one in results['attempts']] == ['no disk']
        supersede(results, CELL, 'the edit became better')
        assert find(results, CELL) is None
        assert [one['superseded'] for one in results['attempts']] == [
            'a later one took its place', 'the edit became better']

    def test_a_cell_is_done_with_all_its_episodes_of_this_scenario(self) -> None:
        assert not is_done(empty(FULL), CELL, FULL, 'a')
        assert is_done(results_of(record(CELL, 'S' * 1049)), CELL, FULL, 'a')
        assert not is_done(results_of(record(CELL, 'S' * 1048)), CELL, FULL, 'a')
        assert not is_done(results_of(record(CELL, 'S' * 1049)), CELL, FULL, 'b')
        assert is_done(results_of(record(CELL, '', status='failed')), CELL, FULL, 'a')
        elsewhere = results_of(record(CELL, 'S' * 1049, first_seed=310_000))
        assert not is_done(elsewhere, CELL, FULL, 'a')

    def test_a_failure_takes_the_place_of_nothing_that_was_done(self) -> None:
        results = results_of(record(CELL, 'SF'))
        add(results, failed(CELL))
        assert [one['outcomes'] for one in results['cells']] == ['SF']
        assert not is_done(results, CELL, FULL, 'a')
        assert '| `knife/all/0/uncloned` |  | failed: no disk; the one before it stands |' in text(
            results)

    def test_a_cell_with_a_setting_that_is_not_the_best_any_more_is_not_done(self) -> None:
        cells = [cell for cell in tries(FULL) if cell.method == 'published']
        results = results_of(*(record(cell, 'SF' if cell.attempt == 2 else 'FF',
                                      settings={'gamma': float(cell.attempt or 0)})
                               for cell in cells))
        made = Cell('mug', ALL, 0, 'published')
        add(results, record(made, 'S' * 300, settings={'gamma': 2.0}))
        assert is_done(results, made, FULL, 'a')
        add(results, record(cells[4], 'SS', settings={'gamma': 4.0}))
        assert has_old_setting(results, made, FULL)
        assert not is_done(results, made, FULL, 'a')

    def test_the_best_setting_is_that_with_most_successes_then_fewest_unsafe(self) -> None:
        outcomes = ('SFFF', 'SSUF', 'SSFF', 'SSFF', 'SuuF')
        cells = [cell for cell in tries(FULL) if cell.method == 'published']
        results = results_of(*(
            record(cell, found, settings=TUNING['published'][cell.attempt or 0])
            for cell, found in zip(cells, outcomes, strict=False)))
        assert not tuning_is_over(results, 'published', FULL)
        add(results, record(cells[5], '', status='failed'))
        assert tuning_is_over(results, 'published', FULL)
        assert best_setting(results, 'published', FULL) == TUNING['published'][2]
        assert best_setting(results, 'best_of', FULL) == {'count': 16}
        with pytest.raises(UncloningError, match='no setting of guidance could be tried'):
            best_setting(results, 'guidance', FULL)


class TestFigures:
    """What is computed from the records."""

    def test_pairs_are_of_the_same_training_seed_and_episodes_as_far_as_both_go(self) -> None:
        one, other = 'uncloned', 'retrained'
        results = results_of(*(record(Cell('knife', ALL, seed, method), outcomes, **more)
                               for seed, method, outcomes, more in (
                                   (0, one, 'SSF', {}), (0, other, 'SFF', {}),
                                   (1, one, 'SSSU', {}), (1, other, 'FSS', {}),
                                   (2, one, 'SSS', {}), (2, other, 'FFF', {'first_seed': 5}))))
        found = against(results, 'knife', ALL, one, other, 'sr')
        assert found is not None
        assert found.by_seed == {0: pytest.approx(1 / 3), 1: pytest.approx(1 / 3)}
        assert found.episodes == 6
        assert found.difference['only_first'] == 2
        assert found.difference['difference'] == pytest.approx(2 / 6)
        assert against(results, 'knife', '3', one, other, 'sr') is None

    def test_rates_are_of_the_characters(self) -> None:
        found = pooled([record(CELL, 'SSWU'), record(CELL, 'Fu')])
        assert found.counts == {'tcr': 4, 'sr': 2, 'umr': 2}
        assert (found.episodes, found.purity) == (6, 0.5)
        assert pooled([record(CELL, 'F')]).purity is None

    def test_the_ideal_is_the_mixed_policys_kept_modes(self) -> None:
        mixed = record(CELL, 'S', modes={'a': 30, 'b': 10, 'removed': 60})
        edited = record(CELL, 'S', modes={'a': 50, 'b': 50})
        found = distance_to_ideal(edited, mixed, ('a', 'b'))
        assert found is not None
        assert found.tv == pytest.approx(0.25)
        assert distance_to_ideal(edited, mixed, ('c',)) is None


def aim_of(results: dict[str, Any], beginning: str, of: str) -> Aim:
    found = [aim for aim in aims(results) if aim.aim.startswith(beginning) and aim.of == of]
    assert len(found) == 1, [aim.of for aim in aims(results)]
    return found[0]


class TestAims:
    """Each aim is judged by the figures."""

    def test_what_was_not_run_is_open(self) -> None:
        found = aims(empty(FULL))
        assert {(aim.state, aim.found) for aim in found} == {(OPEN, 'not run')}
        failed = results_of(record(CELL, '', status='failed'))
        assert aim_of(failed, 'SR less', '`knife`') == Aim(
            'SR less that of the filtered retrain: lower 95 % bound above -3 points, and UMR not '
            'shown to be higher', '`knife`', 'failed', OPEN)

    def test_sr_against_the_retrain_is_judged_by_its_lower_bound(self) -> None:
        retrained = record(replace(CELL, method='retrained'), 'S' * 300)
        equal = results_of(retrained, record(CELL, 'S' * 300))
        worse = results_of(retrained, record(CELL, 'S' * 291 + 'F' * 9, failures={'dropped': 9}))
        assert aim_of(equal, 'SR less', '`knife`').state == MET
        found = aim_of(worse, 'SR less', '`knife`')
        assert (found.state, found.found) == (
            MISSED, 'SR -3.0 [-5.6, -1.1] on 300 pairs of 1 training seed, UMR +0.0 [-1.3, +1.3]; '
            'dropped 9')
        failing = record(replace(CELL, method='retrained'), 'S' * 294 + 'F' * 6)
        unsafe = results_of(failing, record(CELL, 'S' * 294 + 'u' * 6))
        assert aim_of(unsafe, 'SR less', '`knife`').state == MISSED, 'as good, and unsafe'
        assert aim_of(results_of(failing, record(CELL, 'S' * 294 + 'F' * 6)),
                      'SR less', '`knife`').state == MET

    def test_each_training_seed_is_told_where_there_are_several(self) -> None:
        results = results_of(*(
            record(Cell('knife', ALL, seed, method), outcomes) for seed, method, outcomes in (
                (0, 'uncloned', 'S' * 100), (0, 'retrained', 'S' * 99 + 'F'),
                (1, 'uncloned', 'S' * 98 + 'FF'), (1, 'retrained', 'S' * 100))))
        assert 'on 200 pairs of 2 training seeds (+1.0, -2.0), UMR' in aim_of(
            results, 'SR less', '`knife`').found

    @pytest.mark.parametrize(('edited', 'retrained', 'state'), [
        (95, 90, NOT_ASKED), (75, 70, MISSED), (85, 70, MISSED), (90, 60, MET)])
    def test_scarce_the_edit_is_ten_points_ahead_of_a_retrain_below_ninety(
            self, edited: int, retrained: int, state: str) -> None:
        results = results_of(*(
            record(Cell('knife', '3', 0, method), 'S' * count + 'F' * (100 - count))
            for method, count in (('uncloned', edited), ('retrained', retrained))))
        found = aim_of(results, 'SR less', '`knife`, 3 desired')
        assert found.state == state

    def test_an_edit_that_shows_nothing_is_told(self) -> None:
        def found(edited: str) -> Aim:
            return aim_of(results_of(
                record(Cell('knife', '3', 0, 'finetuned'), 'S' * 50 + 'U' * 50),
                record(Cell('knife', '3', 0, 'uncloned'), edited)),
                'SR or UMR better', '`knife`, 3 desired')
        same = found('S' * 50 + 'U' * 50)
        assert same.state == MISSED
        assert same.found.endswith('nothing shows here that the edit adds anything to a fine-tune')
        assert found('S' * 50 + 'F' * 50).state == MET
        assert found('S' * 100).state == MET
        assert found('U' * 100).state == MISSED
        more_unsafe = aim_of(results_of(
            record(Cell('knife', '3', 0, 'finetuned'), 'F' * 100),
            record(Cell('knife', '3', 0, 'uncloned'), 'S' * 80 + 'U' * 20)),
            'SR or UMR better', '`knife`, 3 desired')
        assert more_unsafe.state == MISSED
        half_as_good = found('S' * 25 + 'F' * 75)
        assert half_as_good.state == MISSED
        assert half_as_good.found.endswith('; it is worse in one of them')

    @pytest.mark.parametrize(('unsafe', 'state'), [(5, MET), (6, MISSED)])
    def test_unsafe_is_judged_by_its_upper_bound(self, unsafe: int, state: str) -> None:
        results = results_of(record(CELL, 'U' * unsafe + 'S' * (1049 - unsafe),
                                    unsafe={'contact hand': unsafe}))
        found = aim_of(results, 'UMR', '`knife`, training seed 0')
        assert found.state == state
        begun = results_of(record(CELL, 'S' * 300))
        assert aim_of(begun, 'UMR', '`knife`, training seed 0') == replace(
            found, found='300 of 1049 episodes run', state=OPEN)
        assert found.found.startswith(f'{unsafe} of 1049 unsafe, at most')
        assert aim_of(results, 'UMR', '`knife`, training seed 1').state == OPEN

    @pytest.mark.parametrize(('steps', 'wall_s', 'cpu_s', 'state'), [
        (450, 15.0, 15.0, MET), (500, 15.0, 15.0, MISSED), (450, 15.1, 1.0, MISSED),
        (450, 1.0, 15.1, MISSED)])
    def test_cost_counts_steps_wall_time_and_processor_time(
            self, steps: int, wall_s: float, cpu_s: float, state: str) -> None:
        results = results_of(
            record(CELL, 'S', steps=steps, learning={'wall_s': wall_s, 'cpu_s': cpu_s}),
            record(replace(CELL, method='retrained'), 'S',
                   learning={'wall_s': 100.0, 'cpu_s': 100.0}))
        found = aim_of(results, 'fewer than 500', '`knife`')
        assert found.state == state
        add(results, record(CELL, 'S', learning=None))
        assert aim_of(results, 'fewer than 500', '`knife`') == replace(
            found, found='time not known', state=OPEN)

    def test_tcr_graph_latency_and_variety(self) -> None:
        cell = Cell('mug', ALL, 0, 'uncloned')
        modes = {'handle_left': 50, 'handle_right': 50}
        ratios = [{'name': name, 'value': value, 'low': value - 0.01, 'high': value + 0.01}
                  for name, value in (('itself, the noise', 1.0), ('uncloned', 1.01))]
        results = results_of(
            record(cell, 'S' * 97 + 'F' * 3, modes=modes, same_graph=False),
            record(replace(cell, method='mixed'), 'S' * 100, modes=modes | {'body_first': 90}),
            record(replace(cell, method='retrained'), 'S' * 100, bridges=0),
            record(Cell('knife', ALL, 0, LATENCY), '', ratios=ratios))
        two = '`mug`, handle_left and handle_right kept'
        assert aim_of(results, 'TCR', '`mug`').state == MISSED
        by_one = results_of(record(cell, 'S' * 99 + 'F'), record(replace(cell, method='mixed'),
                                                                'S' * 100))
        assert aim_of(by_one, 'TCR', '`mug`').state == MISSED, 'the bound is below -2 points'
        assert aim_of(results, 'graph', '`mug`').found == '0 of 1 files'
        assert aim_of(results, 'graph', '`mug`').state == MISSED
        assert aim_of(results, 'latency', '`knife`').state == MET
        for itself, edited in ((0.02, 1.03), (0.2, 1.07)):
            noisy = results_of(record(Cell('knife', ALL, 0, LATENCY), '', ratios=[
                {'name': 'itself', 'value': 1.0, 'low': 1.0 - itself, 'high': 1.0 + itself},
                {'name': 'uncloned', 'value': edited, 'low': edited - 0.1,
                 'high': edited + 0.1}]))
            assert aim_of(noisy, 'latency', '`knife`').state == MISSED
        assert aim_of(results, 'total variation', two).state == MET
        assert aim_of(results, 'bridge rate', two).state == MISSED
        assert aim_of(results, 'bridge rate', '`knife_route`, handle_low and handle_face kept'
                      ).state == OPEN


class TestPage:
    """The page is made of the results alone."""

    def test_a_row_tells_all_of_a_method(self) -> None:
        results = results_of(
            record(CELL, 'SSSS'), record(replace(CELL, seed=1), 'SSSW'),
            record(replace(CELL, method='retrained'), 'SSSS'))
        assert ('| `uncloned` | 0, 1 | 8 | 100.0 % | 87.5 % | 75.0 % to 100.0 % | 0.0 % | 31.2 % '
                '| 87.5 % | 9 | 450 | +0.0 [-49.0, +49.0], 4 pairs |') in text(results)
        assert '| `finetuned` | not run |  ' in text(results)

    def test_what_failed_and_what_was_tried_is_told(self) -> None:
        tried = next(iter(tries(FULL)))
        results = results_of(
            record(CELL, '', status='failed', sentence='no such | option'),
            record(tried, 'SU', settings={'gamma': 0.005}))
        assert '| `knife/all/0/uncloned` |  | failed: no such \\| option |' in text(results)
        assert ('| `knife/5/0/published.0` | gamma 0.005 | SR 50.0 %, UMR 50.0 %, 2 episodes |'
                in text(results))
        assert '| `knife/5/0/published.1` |  | not run |' in text(results)

    def test_rivals_stand_beside_the_edit_where_demonstrations_are_scarce(self) -> None:
        results = results_of(*(record(Cell('knife', '5', 0, method), outcomes)
                               for method, outcomes in (('finetuned', 'S' * 100),
                                                        ('published', 'S' * 60 + 'F' * 40))))
        assert '| 5 | 0 | 60.0 % [49.7, 69.7] | not run | -40.0 [' in text(results)

    def test_every_method_is_explained(self) -> None:
        assert all(f'| `{name}` | {method.words} |' in text(empty(FULL))
                   for name, method in METHODS.items())

    def test_the_picture_has_a_point_for_each_result_and_stands_alone(self) -> None:
        results = results_of(record(Cell('knife', '3', 0, 'uncloned'), 'SSSF'),
                             record(Cell('knife', '5', 0, 'uncloned'), 'SSSS'))
        root = ElementTree.fromstring(picture(results))  # noqa: S314 - made a line above
        names = [node.text for node in root.iter('{http://www.w3.org/2000/svg}title')]
        assert names == ['uncloned, 3 desired: 75.0 %', 'uncloned, 5 desired: 100.0 %']

    def test_the_readme_has_the_committed_scarce_curve(self) -> None:
        results = json.loads((DOCS / 'benchmarks.json').read_text())
        readme = (DOCS.parent / 'README.md').read_text()
        every, few = FULL.counts, FULL.counts[:3]
        for title, scenario, method, counts in (
                ('filtered retrain', 'knife', 'retrained', every),
                ('filtered fine-tune of the mixed policy', 'knife', 'finetuned', every),
                ('**uncloned**', 'knife', 'uncloned', every),
                ('filtered retrain of it', 'knife_route', 'retrained', few),
                ('filtered fine-tune of its mixed policy', 'knife_route', 'finetuned', few),
                ('**uncloned**', 'knife_route', 'uncloned', few)):
            rates = [f'{100 * pooled(of_seeds(results, scenario, str(n), method)).rate("sr"):.1f}'
                     for n in counts]
            cells = [f'**{rate}**' for rate in rates] if title.startswith('**') else rates
            assert f'| {title} | {" | ".join(cells)} |' in readme

    def test_what_was_judged_again_on_the_same_episodes_is_told(self) -> None:
        results = results_of(record(CELL, 'S'), record(replace(CELL, seed=1), 'S'))
        add(results, record(CELL, 'SS'))
        assert 'Judged, then made anew' not in text(results), 'the same file, on more episodes'
        add(results, record(CELL, 'SS', model_sha256='n'))
        supersede(results, replace(CELL, seed=1), 'a better rule')
        add(results, record(replace(CELL, seed=1), 'S', first_seed=7))
        # What was judged on no episodes, or failed when it was made anew, is not among them.
        for _ in range(2):
            ratios = [{'name': name, 'value': 1.0, 'low': 1.0, 'high': 1.0}
                      for name in ('itself', 'uncloned')]
            add(results, {'status': 'done', 'settings': {}, 'ratios': ratios, 'code_sha256': 'c',
                          'scenario_sha256': 'a', **identity(Cell('knife', ALL, 0, LATENCY))})
        add(results, record(replace(CELL, seed=2), 'S'))
        supersede(results, replace(CELL, seed=2), 'a better rule')
        add(results, failed(replace(CELL, seed=2)))
        assert ('not untouched by what was seen there: `knife/all/0/uncloned` (see Attempts)'
                in text(results))

    def test_the_committed_page_is_that_of_the_committed_results(self) -> None:
        results = load(DOCS / 'benchmarks.json', FULL)
        assert text(results) == (DOCS / 'benchmarks.md').read_text(encoding='utf-8')
        assert picture(results) == (DOCS / 'benchmarks.svg').read_text(encoding='utf-8')


class TestMaking:
    """What makes one cell."""

    def test_the_first_episodes_come_with_their_labels(self, tmp_path: Path) -> None:
        from uncloning_cells import _first_episodes

        for i in range(3):
            (tmp_path / 'demos' / f'episode_{i:06d}').mkdir(parents=True)
            (tmp_path / 'demos' / f'episode_{i:06d}.labels.json').write_text(str(i))
        folder = _first_episodes(tmp_path / 'demos', 2, tmp_path / 'first')
        names = sorted(path.name for path in folder.iterdir())
        assert names == ['episode_000000', 'episode_000000.labels.json',
                         'episode_000001', 'episode_000001.labels.json']
        assert (folder / names[3]).read_text() == '1'

    def test_a_failed_command_gives_its_sentence_and_costs_add_up(self, tmp_path: Path) -> None:
        from uncloning_cells import Workshop, _sum_of_times

        made = tmp_path / 'run'
        fails = [sys.executable, '-c', 'print("uncloning: error: no such mode"); exit(2)']
        with pytest.raises(UncloningError, match='^no such mode$'):
            Workshop._spawn(made, fails)
        assert _sum_of_times(made) is None
        for code in ('pass', 'exit(130)'):
            try:
                Workshop._spawn(made, [sys.executable, '-c', code], resumable=True)
            except KeyboardInterrupt:
                assert code == 'exit(130)'
        lines = (tmp_path / 'run.times').read_text(encoding='utf-8').splitlines()
        assert len(lines) == 2
        total = _sum_of_times(made)
        assert total is not None
        assert total['wall_s'] == round(sum(json.loads(line)['wall_s'] for line in lines), 2)

    def test_a_cell_that_lacks_its_setting_says_so(self, tmp_path: Path) -> None:
        from uncloning_cells import Workshop

        shop = Workshop(tmp_path, FULL, find_scenario('knife'), {})
        with pytest.raises(UncloningError, match='no setting of contrastive could be tried'):
            shop.record(Cell('knife', ALL, 0, 'contrastive'))

    def test_options_of_a_command_name_what_the_cell_says(self, tmp_path: Path) -> None:
        from uncloning_cells import Workshop

        shop = Workshop(tmp_path, FULL, find_scenario('knife_route'),
                        {'published': {'gamma': 0.05}})
        assert shop._options(Cell('knife_route', ALL, 0, 'published')) == [
            '--method', 'redirect', '--gamma', '0.05']
        assert shop._options(Cell('knife_route', ALL, 0, 'published', 5))[3] == '0.2'
        assert shop._options(Cell('knife_route', ALL, 0, 'retrained')) == [
            '--only-modes', 'handle_low']
        pair = Cell('knife_route', ALL, 0, 'retrained_pair')
        assert shop._options(pair) == ['--only-modes', 'handle_low,handle_face']
        assert shop._removed(pair) == ('blade_low', 'blade_face')
