# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cases of the comparison, and the workshop that makes one."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from audit_models import result
from comparison.__main__ import _require_same_schedule
from comparison.arguments import wanted_cases
from comparison.plan import (
    ALL,
    DEMO_SEED,
    FULL,
    KEPT_SEED,
    LATENCY,
    PAIR,
    REMOVED_SEED,
    SCHEDULES,
    SHORT,
    TUNING,
    Case,
    plan,
    seeds_of,
    trials,
    tuned_methods,
)
from comparison.processes import run_process, total_times
from comparison.statistics import headline_methods
from comparison.workshop import Workshop, linked

from uncloning_ros.errors import UncloningError
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.scenario import Scenario, find_scenario


def test_every_case_has_a_name_of_its_own() -> None:
    for schedule in SCHEDULES.values():
        names = [case.key for case in plan(schedule)]
        assert len(set(names)) == len(names)


def test_all_cases_of_the_targets_are_planned() -> None:
    planned = set(plan(FULL))
    for scenario in ('knife', 'knife_route'):
        for seed in (0, 1, 2):
            assert {Case(scenario, kept, seed, method) for method in
                    ('retrained', 'finetuned', 'uncloned')
                    for kept in (ALL, '3', '5', '10', '25', '50')} <= planned
            assert Case(scenario, ALL, seed, 'mixed') in planned
    for scenario in ('scissors', 'screwdriver', 'mug'):
        assert headline_methods(FULL, scenario) == [
            'mixed', 'retrained', 'finetuned', 'uncloned', 'published', 'contrastive', 'npo',
            'kto'] + ['planning'] * (scenario == 'mug')
    for method in ('planning', 'conditional'):
        assert {(case.scenario, case.seed) for case in planned if case.method == method} >= {
            (scenario, seed) for scenario in ('knife', 'knife_route') for seed in (0, 1, 2)}
    assert Case('knife_route', ALL, 0, 'retrained_pair') in planned
    assert {case.scenario for case in planned if case.method == 'fixed_noise'} == {
        'knife'}, 'where the noise was searched'
    assert {case.kept for case in planned if case.method == 'retargeted'} == {
        '3', '5', '10', '25'}, 'with more there is nothing that is retargeted'


def test_a_tuned_method_comes_after_all_its_trials() -> None:
    for schedule in SCHEDULES.values():
        cases = plan(schedule)
        for i, case in enumerate(cases):
            needed = {one for one in trials(schedule) if one.method in tuned_methods(case)}
            assert needed <= set(cases[:i]), case


def test_every_tuned_method_has_the_same_budget_of_tuning() -> None:
    assert {len(settings) for settings in TUNING.values()} == {FULL.trials}
    assert all(len({str(one) for one in settings}) == FULL.trials
               for settings in TUNING.values())


def test_edits_are_tuned_where_demonstrations_are_scarce() -> None:
    assert {(case.kept, case.method) for case in trials(FULL)} == {
        ('5', 'published'), ('5', 'contrastive'), ('5', 'npo'), ('5', 'kto'),
        (ALL, 'guidance'), (ALL, 'fixed_noise')}


def test_no_episode_that_judges_was_seen_before() -> None:
    many = max(FULL.demonstrations.values())
    seen = {*range(DEMO_SEED, DEMO_SEED + many),
            *range(REMOVED_SEED, REMOVED_SEED + FULL.removed),
            *range(KEPT_SEED, KEPT_SEED + max(FULL.counts))}
    for case in plan(FULL):
        (seen.update if case.trial is not None else lambda _: None)(seeds_of(case, FULL))
    for case in plan(FULL):
        if case.trial is None:
            assert not seen & set(seeds_of(case, FULL)), case


@pytest.mark.parametrize(('case', 'episodes'), [
    (Case('knife_route', ALL, 0, 'uncloned'), 1049), (Case('mug', ALL, 0, 'mixed'), 300),
    (Case('knife_route', ALL, 2, 'uncloned'), 1049), (Case('knife', ALL, 2, 'mixed'), 300),
    (Case('knife_route', ALL, 1, 'finetuned'), 1049),
    (Case('knife', ALL, 1, 'finetuned'), 300),
    (Case('knife', '25', 0, 'retrained'), 200), (Case('knife', ALL, 0, 'guidance', 3), 100),
    (Case('knife_route', ALL, 0, 'uncloned_pair'), 300), (Case('knife', ALL, 0, LATENCY), 0)])
def test_episodes_of(case: Case, episodes: int) -> None:
    assert len(seeds_of(case, FULL)) == episodes


def test_each_training_seed_is_judged_on_other_episodes_and_the_methods_on_the_same() -> None:
    first, second, retrained = (seeds_of(case, FULL) for case in (
        Case('knife', ALL, 0, 'uncloned'), Case('knife', ALL, 1, 'uncloned'),
        Case('knife', ALL, 1, 'retrained')))
    assert not set(first) & set(second)
    assert second == retrained


def test_the_pairs_modes_are_of_their_scenario() -> None:
    for scenario, modes in PAIR.items():
        assert set(modes) < set(find_scenario(scenario).modes)


def test_only_chooses_by_field_and_filters_add_up() -> None:
    cases = plan(FULL)
    found = wanted_cases(cases, ['scenario=knife,kept=3,kept=5,method=finetuned,seed=0',
                                 'method=latency'])
    assert [case.key for case in found] == [
        'knife/3/0/finetuned', 'knife/5/0/finetuned', 'knife/all/0/latency']
    assert wanted_cases(cases, []) == cases
    with pytest.raises(UncloningError, match="'metod=mixed'.*'method'"):
        wanted_cases(cases, ['metod=mixed'])
    with pytest.raises(UncloningError, match='kept=4'):
        wanted_cases(cases, ['kept=4'])


def test_a_comparison_that_was_begun_goes_on_by_the_same_schedule_alone(tmp_path: Path) -> None:
    path = tmp_path / 'schedule.json'
    path.write_text(json.dumps({
        'undesired': 200, 'desired': 50, 'demonstrations': dict(FULL.demonstrations),
        'steps_all': 15_000, 'steps_scarce': 8_000}))
    _require_same_schedule(path, FULL)
    with pytest.raises(UncloningError, match='undesired 12, got 200'):
        _require_same_schedule(path, SHORT)


def test_linked_episodes_come_with_their_labels(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / 'demos' / f'episode_{i:06d}').mkdir(parents=True)
        (tmp_path / 'demos' / f'episode_{i:06d}.labels.json').write_text(str(i))
    folder = linked((tmp_path / 'demos' / f'episode_{i:06d}' for i in range(2)),
                    tmp_path / 'first')
    names = sorted(path.name for path in folder.iterdir())
    assert names == ['episode_000000', 'episode_000000.labels.json',
                     'episode_000001', 'episode_000001.labels.json']
    assert (folder / names[3]).read_text() == '1'


def test_a_failed_command_gives_its_sentence_and_costs_add_up(tmp_path: Path) -> None:
    made = tmp_path / 'run'
    fails = [sys.executable, '-c', 'print("uncloning: error: no such mode"); exit(2)']
    with pytest.raises(UncloningError, match='^no such mode$'):
        run_process(made, fails)
    assert total_times(made) is None
    for code in ('pass', 'exit(130)'):
        try:
            run_process(made, [sys.executable, '-c', code], resumable=True)
        except KeyboardInterrupt:
            assert code == 'exit(130)'
    lines = (tmp_path / 'run.times').read_text(encoding='utf-8').splitlines()
    assert len(lines) == 2
    total = total_times(made)
    assert total is not None
    assert total['wall_s'] == round(sum(json.loads(line)['wall_s'] for line in lines), 2)


def test_a_case_without_a_setting_names_its_method(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, FULL, find_scenario('knife'), {})
    with pytest.raises(UncloningError, match='contrastive'):
        shop.record(Case('knife', ALL, 0, 'contrastive'))


def test_judging_begins_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case, asked = Case('knife', ALL, 0, 'mixed'), list[int]()

    def rollouts(model: Path, scenario: Scenario, seeds: list[int], workers: int,
                 steering: None, on_done: Callable[[EpisodeResult], object]) -> None:
        for seed in seeds:
            on_done(result(seed))
            asked.append(seed)
            if len(asked) == 2:
                raise KeyboardInterrupt

    policy = SimpleNamespace(sha256='a' * 64, metadata={'seeds': {}}, contract=SimpleNamespace(
        interface=SimpleNamespace(desired_modes=('handle_first',))))
    monkeypatch.setattr('comparison.workshop.load_policy', lambda model: policy)
    monkeypatch.setattr('comparison.workshop.run_rollouts', rollouts)
    shop = Workshop(tmp_path, SHORT, find_scenario('knife'), {})
    with pytest.raises(KeyboardInterrupt):
        shop._judge(case, tmp_path / 'model.onnx')
    found = shop._judge(case, tmp_path / 'model.onnx')
    assert asked == list(seeds_of(case, SHORT)), 'each once'
    assert len(found['outcomes']) == len(found['began']) == 3


def test_options_of_a_command_are_filled_in_from_the_case(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, FULL, find_scenario('knife_route'),
                    {'published': {'gamma': 0.05}})
    assert shop._options(Case('knife_route', ALL, 0, 'published')) == [
        '--method', 'redirect', '--gamma', '0.05']
    assert shop._options(Case('knife_route', ALL, 0, 'published', 5))[3] == '0.2'
    assert shop._options(Case('knife_route', ALL, 0, 'retrained')) == [
        '--only-modes', 'handle_low']
    pair = Case('knife_route', ALL, 0, 'retrained_pair')
    assert shop._options(pair) == ['--only-modes', 'handle_low,handle_face']
    assert shop._removed(pair) == ('blade_low', 'blade_face')
