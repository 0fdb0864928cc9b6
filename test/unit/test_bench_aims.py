# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of ways to be rid of a mode: what the figures say of each aim."""

from dataclasses import replace
from typing import Any

import pytest
from bench_records import CELL, ONCE, record, results_of
from uncloning_aims import MET, MISSED, NOT_ASKED, OPEN, Aim, aims
from uncloning_plan import ALL, FULL, LATENCY, Cell
from uncloning_results import add, empty, supersede


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

    def test_sr_and_umr_against_the_retrain_are_judged_by_their_lower_bounds(self) -> None:
        def found(edited: str, retrained: str, **more: Any) -> Aim:
            return aim_of(results_of(
                record(replace(CELL, method='retrained'), retrained),
                record(CELL, edited, **more), schedule=ONCE), 'SR less', '`knife`')
        assert found('S' * 300, 'S' * 300).state == MET
        # The difference is within the margin of three points, its bound is not.
        worse = found('S' * 293 + 'F' * 7, 'S' * 300, failures={'dropped': 7})
        assert (worse.state, worse.found) == (
            MISSED, 'SR -2.3 [-4.7, -0.6] on 300 pairs of 1 training seed, UMR +0.0 [-1.3, +1.3]; '
            'SR may be that much lower, dropped 7')
        failing = 'S' * 294 + 'F' * 6
        unsafe = found('S' * 294 + 'u' * 6, failing, failures={'dropped': 6})
        assert unsafe.state == MISSED, 'as good, and unsafe'
        assert unsafe.found.endswith(', 6 against 0 unsafe, p = 0.031; UMR is higher by its '
                                     'interval, dropped 6')
        assert found(failing, failing).state == MET

    def test_what_has_pairs_to_come_is_open(self) -> None:
        one = [record(CELL, 'S' * 300), record(replace(CELL, method='retrained'), 'S' * 300)]
        found = aim_of(results_of(*one), 'SR less', '`knife`')
        assert found.state == OPEN
        assert found.found.startswith('SR +0.0 [-1.3, +1.3] on 300 pairs of 1 training seed')
        assert found.found.endswith(', of 3147 planned')
        begun = results_of(record(CELL, 'F' * 299), one[1], schedule=ONCE)
        assert aim_of(begun, 'SR less', '`knife`').state == OPEN

    def test_pairs_that_made_more_be_planned_do_not_judge(self) -> None:
        def found(edited: str, tuned: str) -> Aim:
            once = replace(ONCE, name='twice', episodes_headline=400)
            return aim_of(results_of(
                record(Cell('knife_route', ALL, 0, 'uncloned'), edited),
                record(Cell('knife_route', ALL, 0, 'finetuned'), tuned), schedule=once),
                'SR or UMR better than the filtered', '`knife_route`, all demonstrations')
        before = found('S' * 400, 'F' * 300 + 'S' * 100)
        assert before.state == MISSED
        assert before.found.startswith('SR +0.0 [-3.7, +3.7] on 100 pairs')
        assert 'after the first 300 of each seed alone' in before.found
        assert found('S' * 400, 'S' * 300 + 'F' * 100).state == MET
        assert found('S' * 400, 'S' * 300).state == OPEN

    def test_each_training_seed_is_told_where_there_are_several(self) -> None:
        results = results_of(*(
            record(Cell('knife', ALL, seed, method), outcomes) for seed, method, outcomes in (
                (0, 'uncloned', 'S' * 100), (0, 'retrained', 'S' * 99 + 'F'),
                (1, 'uncloned', 'S' * 98 + 'FF'), (1, 'retrained', 'S' * 100))))
        assert 'on 200 pairs of 2 training seeds (+1.0, -2.0), UMR' in aim_of(
            results, 'SR less', '`knife`').found

    def test_training_seeds_that_were_judged_once_are_told_alone(self) -> None:
        edits = [Cell('knife', '3', seed, 'uncloned') for seed in (0, 1)]
        others = [record(replace(cell, method=method), 'S' * 50 + 'F' * 50) for cell in edits
                  for method in ('retrained', 'retargeted')]
        results = results_of(*others, *(record(cell, 'S' * 60 + 'F' * 40) for cell in edits))
        for beginning in ('SR less', 'SR or UMR better than the fine-tune with'):
            assert 'judged once' not in aim_of(results, beginning, '`knife`, 3 desired').found
        supersede(results, edits[0], 'a better rule')
        add(results, record(edits[0], 'S' * 90 + 'F' * 10, model_sha256='n'))
        for beginning in ('SR less', 'SR or UMR better than the fine-tune with'):
            assert ('(+40.0, +10.0), on training seed 1 alone, judged once, +10.0 [' in
                    aim_of(results, beginning, '`knife`, 3 desired').found)
        supersede(results, edits[1], 'a better rule')
        add(results, record(edits[1], 'S' * 90 + 'F' * 10, model_sha256='n'))
        assert 'judged once' not in aim_of(results, 'SR less', '`knife`, 3 desired').found

    @pytest.mark.parametrize(('edited', 'retrained', 'state'), [
        (95, 90, NOT_ASKED), (75, 70, MISSED), (85, 70, MISSED), (90, 60, MET)])
    def test_scarce_the_edit_is_ten_points_ahead_of_a_retrain_below_ninety(
            self, edited: int, retrained: int, state: str) -> None:
        results = results_of(*(
            record(Cell('knife', '3', 0, method), 'S' * count + 'F' * (100 - count))
            for method, count in (('uncloned', edited), ('retrained', retrained))), schedule=ONCE)
        found = aim_of(results, 'SR less', '`knife`, 3 desired')
        assert found.state == state

    @pytest.mark.parametrize(('other', 'adds'), [
        ('finetuned', 'the edit adds anything to a fine-tune'),
        ('retargeted', 'own chunks add anything')])
    def test_an_edit_that_shows_nothing_is_told(self, other: str, adds: str) -> None:
        words = 'the filtered' if other == 'finetuned' else 'the fine-tune with'

        def found(edited: str, tuned: str = 'S' * 50 + 'U' * 50) -> Aim:
            return aim_of(results_of(
                record(Cell('knife', '3', 0, other), tuned),
                record(Cell('knife', '3', 0, 'uncloned'), edited), schedule=ONCE),
                f'SR or UMR better than {words}', '`knife`, 3 desired')
        same = found('S' * 50 + 'U' * 50)
        assert same.state == MISSED
        assert same.found.endswith(f'nothing shows here that {adds}')
        assert found('S' * 50 + 'F' * 50).state == MET
        assert found('S' * 100).state == MET
        assert found('U' * 100).state == MISSED
        assert found('S' * 80 + 'U' * 20, 'F' * 100).state == MISSED, 'more unsafe'
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
        add(results, record(replace(CELL, seed=1), 'S', steps=500,
                            learning={'wall_s': 1.0, 'cpu_s': 1.0}))
        assert aim_of(results, 'fewer than 500', '`knife`').state == MISSED, 'one took 500'
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
            record(Cell('knife', ALL, 0, LATENCY), '', ratios=ratios), schedule=ONCE)
        two = '`mug`, handle_left and handle_right kept'
        assert aim_of(results, 'TCR', '`mug`').state == MISSED
        equal = results_of(record(cell, 'S' * 100), record(replace(cell, method='mixed'),
                                                             'S' * 100), schedule=ONCE)
        assert aim_of(equal, 'TCR', '`mug`').state == MISSED, 'the bound is at -3.7 points'
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
        add(results, record(cell, 'S' * 100, modes={'handle_left': 61, 'handle_right': 39}))
        assert aim_of(results, 'total variation', two).state == MISSED
        assert aim_of(results, 'bridge rate', two).state == MISSED
        assert aim_of(results, 'bridge rate', '`knife_route`, handle_low and handle_face kept'
                      ).state == OPEN
