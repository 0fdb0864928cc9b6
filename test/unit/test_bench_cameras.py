# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of policies that see: its plan, its targets, its shifts and its page."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_records import record, results_of
from comparison.__main__ import Comparison
from comparison.camera_page import camera_pages
from comparison.camera_targets import REQUIREMENTS, TRIED, camera_targets, retrains
from comparison.plan import (
    ALL,
    CAMERAS,
    CAMERAS_SHORT,
    DEMO_SEED,
    DEVELOPMENT_SEED,
    FULL,
    MEASURED,
    METHODS,
    NODE,
    TIMES,
    Case,
    plan,
    seeds_of,
    tuned_methods,
)
from comparison.results import add, load
from comparison.shifts import SHIFTS, changes, shifted
from comparison.targets import MET, MISSED, OPEN, Target
from comparison.workshop import Workshop

from uncloning_ros.scenario import find_scenario, load_scenario

DOCS = Path(__file__).resolve().parents[2] / 'docs'
SCENARIO = 'knife_camera'
CASE = Case(SCENARIO, ALL, 0, 'uncloned')
# One training seed, and few enough episodes that tests can write them down.
ONCE = replace(CAMERAS, name='cameras-once', seeds=(0,), methods=dict.fromkeys(METHODS, 100))
MODES = {'handle_first': 60, 'blade_first': 40}


def seen(method: str, outcomes: str, began: str = '', **more: Any) -> dict[str, Any]:
    """Return a record; each episode begins in a kept mode unless `began` tells otherwise."""
    return record(replace(CASE, method=method), outcomes,
                  began=began or 'k' * len(outcomes), **more)


def target(requirement: str, *records: dict[str, Any]) -> Target:
    found = [one for one in camera_targets(results_of(*records, schedule=ONCE))
             if one.requirement == requirement]
    assert len(found) == 1
    return found[0]


def test_every_case_needs_nothing_but_its_mixed_policy() -> None:
    cases = plan(CAMERAS)
    assert len({case.key for case in cases}) == len(cases)
    assert not any(tuned_methods(case) for case in cases)
    for seed in CAMERAS.seeds:
        assert {Case(SCENARIO, ALL, seed, method) for method in
                ('mixed', 'retrained', 'retrained_short', 'uncloned', 'finetuned')} <= set(cases)
    assert {case.seed for case in cases if case.method in (*MEASURED, *SHIFTS)} == {0}


@pytest.mark.parametrize(('method', 'episodes'), [
    ('mixed', 300), ('uncloned', 1049), ('finetuned', 1049), ('retrained', 1049),
    ('retrained_short', 1049), ('uncloned_light', 200), (TIMES, 0), (NODE, 0)])
def test_episodes_of_a_method(method: str, episodes: int) -> None:
    assert len(seeds_of(replace(CASE, method=method), CAMERAS)) == episodes


def test_judged_episodes_are_fresh_and_the_same_for_all_methods() -> None:
    used = {*range(DEMO_SEED, DEMO_SEED + 400), *range(DEVELOPMENT_SEED, DEVELOPMENT_SEED + 100)}
    for case in plan(FULL):
        used.update(seeds_of(case, FULL))
    judged = [case for case in plan(CAMERAS) if case.method not in MEASURED]
    for case in judged:
        seeds = seeds_of(case, CAMERAS)
        assert not used & set(seeds)
        assert seeds.start == 320_000_000 + 10_000_000 * case.seed


def test_a_shorter_retrain_has_fewer_steps(tmp_path: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr('comparison.workshop.run_command',
                        lambda made, words, resumable=False: ran.append(words))
    shop = Workshop(tmp_path, CAMERAS, find_scenario(SCENARIO), {})
    shop._train(replace(CASE, method='retrained_short'), tmp_path / 'run', tmp_path / 'data')
    shop._demos('all', 400, DEMO_SEED)
    train, demos = (dict(pairwise(words)) for words in ran)
    assert train['--steps'] == str(round(CAMERAS.steps_all * 2 / 3))
    assert train['--only-modes'] == 'handle_first'
    assert demos['--contract'].endswith('config/contract_camera.yaml')


@pytest.mark.parametrize('method', SHIFTS)
def test_a_shift_changes_what_it_names_alone(method: str, tmp_path: Path) -> None:
    scenario = find_scenario(SCENARIO)
    path = tmp_path / 'shifted.yaml'
    path.write_text(yaml.safe_dump(shifted(scenario, SHIFTS[method])), encoding='utf-8')
    found = load_scenario(path)
    assert found.sight != scenario.sight
    assert replace(found, source={}, sight=scenario.sight) == replace(scenario, source={})
    assert all(name in changes(scenario, SHIFTS[method]) for name in SHIFTS[method].sight)
    assert scenario.sha256 == find_scenario(SCENARIO).sha256


def test_targets_without_records_are_open() -> None:
    found = camera_targets(results_of(schedule=CAMERAS))
    assert {(one.state, one.found) for one in found} == {(OPEN, 'not run')}
    assert {one.requirement for one in found} == set(REQUIREMENTS)
    assert set(TRIED) <= set(REQUIREMENTS)


def test_the_mixed_policy_has_skill_and_both_modes() -> None:
    assert target('skill', seen('mixed', 'S' * 95 + 'F' * 5, modes=MODES)).state == MET
    assert target('skill', seen('mixed', 'S' * 94 + 'F' * 6, modes=MODES)).state == MISSED
    rare = target('skill', seen('mixed', 'S' * 100, modes={'handle_first': 76,
                                                           'blade_first': 24}))
    assert rare.state == MISSED
    assert 'blade first 24.0 %' in rare.found
    assert target('skill', seen('mixed', 'S' * 99, modes=MODES)).state == OPEN
    assert target('skill', seen('mixed', 'F' * 100, modes={})).state == MISSED


def test_removed_modes_and_other_unsafe_events_are_counted_apart() -> None:
    mixed = seen('mixed', 'S' * 48 + 'U' * 52, 'k' * 50 + 'r' * 50)
    edited = seen('uncloned', 'S' * 91 + 'u' * 9, 'k' * 94 + '.' + 'r' * 5)
    assert target('removed', edited, mixed).state == MET
    assert target('removed', seen('uncloned', 'S' * 100, 'r' * 6 + 'k' * 94)).state == MISSED
    # 4 of 95 against 2 of 50, then 3 of 95.
    worse = target('other unsafe events', edited, mixed)
    assert worse.state == MISSED
    assert worse.found.startswith('4 of 95, 4.2 %')
    assert 'the mixed policy 2 of 50, 4.0 %' in worse.found
    better = seen('uncloned', 'S' * 92 + 'u' * 8, 'k' * 95 + 'r' * 5)
    assert target('other unsafe events', better, mixed).state == MET
    assert target('other unsafe events', better).state == OPEN


def test_success_is_judged_by_its_value_and_tcr_by_the_difference() -> None:
    assert target('success', seen('uncloned', 'S' * 97 + 'F' * 3)).state == MET
    assert target('success', seen('uncloned', 'S' * 96 + 'W' * 4)).state == MISSED
    mixed = seen('mixed', 'U' * 100)
    assert target('completed', mixed, seen('uncloned', 'S' * 99 + 'F')).state == MET
    assert target('completed', mixed, seen('uncloned', 'S' * 98 + 'FF')).state == MISSED


def test_the_retrain_is_the_best_one_for_success_and_the_shortest_good_one_for_cost() -> None:
    def trained(long: int, short: int, edit_s: float = 4.9) -> list[dict[str, Any]]:
        return [seen('uncloned', 'S' * 100, learning={'wall_s': 1.0, 'cpu_s': edit_s}),
                seen('retrained', 'S' * long + 'F' * (100 - long),
                     learning={'wall_s': 1.0, 'cpu_s': 150.0}),
                seen('retrained_short', 'S' * short + 'F' * (100 - short),
                     learning={'wall_s': 1.0, 'cpu_s': 100.0})]

    chosen = retrains(results_of(*trained(80, 79), schedule=ONCE), SCENARIO)
    assert chosen is not None
    assert (chosen.best, chosen.shortest) == ('retrained', 'retrained_short')
    assert target('cost', *trained(80, 79)).found == (
        '4.9 % of the processor time of `retrained_short`')
    assert target('cost', *trained(80, 78)).found.endswith('of `retrained`')
    assert target('cost', *trained(80, 79, 5.1)).state == MISSED
    assert target('retrain', *trained(80, 79)).state == MET
    assert 'against `retrained_short`' in target('retrain', *trained(78, 99)).found
    assert target('retrain', *trained(78, 99)).state == MISSED
    assert target('cost', *trained(80, 79)[:2]).state == OPEN


def test_an_edit_that_is_not_better_says_that_a_fine_tune_is_enough() -> None:
    def page(edited: str, tuned: str) -> tuple[str, str]:
        results = results_of(seen('uncloned', edited), seen('finetuned', tuned), schedule=ONCE)
        state = next(one.state for one in camera_targets(results)
                     if one.requirement == 'fine-tune')
        return state, camera_pages(results)['benchmarks/cameras.md']

    same, better = page('S' * 100, 'S' * 100), page('S' * 100, 'S' * 80 + 'F' * 20)
    assert 'A fine-tune is enough here' in same[1]
    assert same[0] == MISSED, 'the bound of 100 pairs is below -1 point'
    assert better[0] == MET
    assert 'A fine-tune is enough here' not in better[1]
    assert 'A fine-tune is enough here' not in page('S' * 99, 'S' * 99)[1], 'not complete'


def test_times_and_shifts_are_shown() -> None:
    taken = {'p50_ms': 2.0, 'p99_ms': 25.1, 'worst_ms': 30.0, 'n': 400}
    times = seen(TIMES, '', plan_ms={'mixed': taken, 'uncloned': taken}, ratios=[], rendering=[
        {'name': 'episode', 'value': 2.5, 'low': 2.0, 'high': 3.5}])
    records = (times, seen('uncloned', 'S' * 100),
               seen('uncloned_glove', 'S' * 98 + 'uF', 'k' * 99 + 'r'))
    assert target('planning time', *records).state == MISSED
    assert target('rendering', *records) == Target(
        'rendering', f'`{SCENARIO}`', '2.50 times (2.00 to 3.50)', MET)
    page = camera_pages(results_of(*records, schedule=ONCE))['benchmarks/cameras.md']
    glove, = (line for line in page.splitlines() if line.startswith('| a hand in a blue glove'))
    cells = [cell.strip() for cell in glove.split('|')]
    assert cells[3] == '100'
    assert cells[5].startswith('98.0 % [')
    assert cells[6].startswith('1.00 % [')
    assert cells[8] == '1'
    assert cells[9].startswith('-2.0 [')
    other = {**records[2], 'model_sha256': 'n'}
    page = camera_pages(results_of(*records[:2], other, schedule=ONCE))['benchmarks/cameras.md']
    glove, = (line for line in page.splitlines() if line.startswith('| a hand in a blue glove'))
    assert 'of another file' in glove
    assert '-2.0 [' not in glove


@pytest.mark.parametrize(('chunk_ms', 'missed', 'state'), [
    (36.0, 0, MET), (38.5, 0, MISSED), (36.0, 1, MISSED)])
def test_a_command_follows_its_observation_soon(chunk_ms: float, missed: int, state: str) -> None:
    def spread(name: str, p99_ms: float) -> dict[str, Any]:
        return {'name': name, 'values': {'p50_ms': 1.0, 'p99_ms': p99_ms, 'worst_ms': 90.0}}

    record = seen(NODE, '', ratios=[], figures=[
        spread('newest observation to its chunk in use', chunk_ms), spread('inference', 4.0),
        *(spread(name, 1.0) for name in ('deadline to command received', 'cycle',
                                         'wake-up after the deadline')),
        {'name': 'deadlines', 'values': {'missed': missed, 'commands': 900}}])
    found = target('command', record)
    assert found.state == state
    assert found.found.startswith(f'{chunk_ms + 1:.1f} ms, at most 39.3 allowed; {missed} of 900 '
                                  f'deadlines missed')
    assert ('cycle 90.0 ms' in found.found) == (state == MISSED)
    page = camera_pages(results_of(record, schedule=ONCE))['benchmarks/cameras.md']
    assert '| inference | 1.00 | 4.00 | 90.00 |' in page
    assert f'| deadlines | missed {missed}, commands 900 |' in page


@pytest.mark.parametrize(('worse', 'state'), [(9, MET), (14, MISSED)])
def test_few_labels_are_compared_with_all_of_them(worse: int, state: str) -> None:
    many = replace(CAMERAS, name='cameras-few', seeds=(1,))
    records = [record(Case(SCENARIO, kept, 1, 'uncloned'), outcomes, began='k' * 1049)
               for kept, outcomes in ((ALL, 'S' * 1049),
                                      ('few10', 'F' * worse + 'S' * (1049 - worse)))]
    results = results_of(*records, schedule=many)
    found, = (one for one in camera_targets(results) if one.requirement == 'few labels')
    assert found.state == state
    assert '| `few10` | `uncloned` | 1 | 1049 |' in camera_pages(results)['benchmarks/cameras.md']


def test_a_missed_target_tells_its_cause_and_what_was_tried(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('comparison.camera_targets.TRIED', {'success': 'a second look'})
    missed = seen('uncloned', 'S' * 90 + 'F' * 10, failures={'dropped': 10})
    assert target('success', missed).found == 'SR 90.0 %; dropped 10; a second look'
    assert target('success', seen('uncloned', 'S' * 100)).found == 'SR 100.0 %'


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    for path, text in camera_pages(load(DOCS / CAMERAS.results, CAMERAS)).items():
        assert text == (DOCS / path).read_text(encoding='utf-8'), path


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_the_short_schedule_makes_every_case(tmp_path: Path) -> None:
    comparison = Comparison(tmp_path, tmp_path, CAMERAS_SHORT)
    assert comparison.make(comparison.missing(plan(CAMERAS_SHORT)), 2) == 0
    assert not comparison.missing(plan(CAMERAS_SHORT))
    again = Comparison(tmp_path, tmp_path, CAMERAS_SHORT)
    assert again.missing(plan(CAMERAS_SHORT)) == []
    results = comparison.results
    assert {one['status'] for one in results['cells']} == {'done'}
    assert all(set(one['began']) <= set('kr.') for one in results['cells'] if 'began' in one)
    add(results, {**results['cells'][0], 'status': 'failed', 'sentence': 'late'})
    text = (tmp_path / 'benchmarks' / 'cameras.md').read_text(encoding='utf-8')
    assert '| not run' not in text
    assert f'- 0 of {len(plan(CAMERAS_SHORT))} planned cases: not run' in text
