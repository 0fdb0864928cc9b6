# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of ways to be rid of a mode: which cells there are, and what makes one."""

import json
import sys
from pathlib import Path

import pytest
from uncloning import wanted_cells
from uncloning_figures import headline_methods
from uncloning_plan import (
    ALL,
    DEMO_SEED,
    DESIRED_SEED,
    FULL,
    LATENCY,
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

from uncloning_ros.errors import UncloningError
from uncloning_ros.scenario import find_scenario


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
            '3', '5', '10', '25'}, 'with more there is nothing that is retargeted'

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
        (Cell('knife_route', ALL, 1, 'finetuned'), 1049),
        (Cell('knife', ALL, 1, 'finetuned'), 300),
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
