# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison with incidents, few and wrong labels, and after attacks."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench_records import failed, record, results_of
from comparison import own_episodes
from comparison.edit_page import edit_pages
from comparison.edit_rows import LABELS, Labels, Row
from comparison.edit_targets import REQUIREMENTS, TRIED, edit_targets
from comparison.plan import ALL, EDITS, FULL, SCHEDULES, Case, plan, seeds_of
from comparison.relabelled import few_labels, write_relabelled, wrong_labels
from comparison.results import load
from comparison.targets import MET, MISSED, NOT_ASKED, OPEN, Target
from comparison.workshop import Workshop

from uncloning_ros.demos.dataset.store import Dataset, load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.scenario import find_scenario

DOCS = Path(__file__).resolve().parents[2] / 'docs'
MODES = ('left', 'right')
CASE = Case('knife', ALL, 0, 'chosen')
# One training seed, and few enough episodes that tests can write them down.
ONCE = replace(EDITS, name='edit-once', headline=('knife', 'knife_route'), seeds=(0,),
               rows=tuple(replace(row, episodes=400 if row.scenario == 'knife' else 1200)
                          for row in EDITS.rows if row.scenario != 'scissors'))


def made(method: str, outcomes: str, began: str = '', **more: Any) -> dict[str, Any]:
    """Return a record; each episode begins in a kept mode unless `began` tells otherwise."""
    case = {key: more.pop(key) for key in ('scenario', 'kept') if key in more}
    return record(replace(CASE, method=method, **case), outcomes,
                  began=began or 'k' * len(outcomes), **more)


def target(requirement: str, place: str, *records: dict[str, Any]) -> Target:
    found = [one for one in edit_targets(results_of(*records, schedule=ONCE))
             if one.requirement == requirement and place in one.place]
    assert len(found) == 1
    return found[0]


def test_cases_have_seeds_of_their_own_that_no_other_comparison_judges() -> None:
    cases = plan(EDITS)
    assert len({case.key for case in cases}) == len(cases)
    used = {seed for case in plan(FULL) for seed in seeds_of(case, FULL)}
    for case in cases:
        seeds = seeds_of(case, EDITS)
        assert seeds.start == 360_000_000 + 10_000_000 * case.seed
        assert len(seeds) in (300, 1049)
        assert not used & set(seeds)


@pytest.mark.parametrize('case', [case for case in plan(EDITS) if case.seed == 0],
                         ids=lambda case: case.key)
def test_a_case_has_the_mixed_policy_of_right_labels(case: Case) -> None:
    assert Workshop._of(case, 'mixed') in plan(EDITS)


def test_a_retrain_from_few_labels_has_fewer_steps() -> None:
    few = [kept for kept in (ALL, *LABELS) if Workshop._few(replace(CASE, kept=kept))]
    assert few == ['few1', 'few3', 'few5', 'few10']


def test_few_labels_are_of_training_episodes_of_each_mode(dataset: Dataset) -> None:
    found = few_labels(dataset.episodes, MODES, 3, 0)
    assert Counter(found) == {'left': 3, 'right': 3, None: len(found) - 6}
    assert all(mode in (None, one.mode) for mode, one in zip(found, dataset.episodes, strict=True))
    assert {one.split for mode, one in zip(found, dataset.episodes, strict=True) if mode} == {
        'train'}
    assert found != few_labels(dataset.episodes, MODES, 3, 1)


def test_a_share_of_labels_is_wrong(dataset: Dataset) -> None:
    found = wrong_labels(dataset.episodes, MODES, 0.2, 0)
    wrong = sum(mode != one.mode for mode, one in zip(found, dataset.episodes, strict=True))
    assert wrong == round(0.2 * len(found))


@pytest.mark.parametrize(('labels', 'labelled'), [
    (Labels(3), 6), (Labels(3, given=True), 40), (Labels(wrong=0.2), 40)])
def test_another_dataset_has_the_same_frames_and_other_labels(
        labels: Labels, labelled: int, data_dir: Path, mixed_dir: Path, dataset: Dataset,
        tmp_path: Path) -> None:
    before = (data_dir / 'dataset.json').read_bytes()
    write_relabelled(data_dir, tmp_path / 'data', labels, mixed_dir, 0)
    found = load_dataset(tmp_path / 'data')
    assert sum(one.mode is not None for one in found.episodes) == labelled
    assert (found.observations == dataset.observations).all()
    assert found.sha256 != dataset.sha256
    assert (data_dir / 'dataset.json').read_bytes() == before


def test_recorded_episodes_are_of_the_mode_that_was_asked_for(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[int] = []
    interface = SimpleNamespace(desired_modes=('handle_first',))
    policy = SimpleNamespace(contract=SimpleNamespace(interface=interface))
    outcome = {True: SimpleNamespace(mode='blade_first', failure='wrong part'),
               False: SimpleNamespace(mode='handle_first', failure=None)}
    for name, what in {
            'load_policy': lambda path: policy, 'ControlLoop': lambda *_: None,
            'open_world': lambda *_: SimpleNamespace(close=lambda: None),
            'run_episode': lambda world, loop, contract, policy, seed, late: seed,
            'result_of': lambda seed, *_: SimpleNamespace(outcome=outcome[seed % 3 == 0]),
            'write_bag': lambda path, contract, world, metadata, i: written.append(metadata.seed),
    }.items():
        monkeypatch.setattr(own_episodes, name, what)
    knife = find_scenario('knife')
    own_episodes.record(tmp_path, knife, 'blade_first', 3, 0, tmp_path)
    own_episodes.record(tmp_path, knife, None, 3, 0, tmp_path)
    assert written == [0, 3, 6, 1, 2, 4]
    with pytest.raises(UncloningError, match='expected 2 episodes of edge_first, got 0 of 40'):
        own_episodes.record(tmp_path, knife, 'edge_first', 2, 0, tmp_path)


@pytest.mark.parametrize(('method', 'name'), [
    ('rounded', 'rounding'), ('tuned_on', 'fine-tuning')])
def test_an_attack_that_was_killed_is_made_again(method: str, name: str, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    def attack(made: Path, words: list[str]) -> None:
        out = Path(words[words.index('--out') + 1])
        assert words[words.index('--attacks') + 1] == name
        assert words[:2] == ['attack', str(tmp_path / 'edited')]
        out.with_name(f'{out.name}.partial').mkdir()  # as the command does, which refuses one
        (out / name).mkdir(parents=True)

    monkeypatch.setattr('comparison.workshop.run_command', attack)
    (tmp_path / 'attack.partial').mkdir()
    (tmp_path / 'attack').mkdir()
    shop = Workshop(tmp_path, EDITS, find_scenario('knife'), {})
    shop._attack(replace(CASE, method=method), tmp_path / 'run', tmp_path / 'data',
                 tmp_path / 'edited')
    assert (tmp_path / 'run').is_dir()


def test_a_missed_target_tells_why_the_edit_was_chosen() -> None:
    missed = made('chosen', 'S' * 390 + 'F' * 10, kept='few5', failures={'dropped': 10},
                  reason='the fine-tune leaves nothing')
    assert target('few labels', '`knife`', missed).found.endswith(
        'dropped 10; the fine-tune leaves nothing')


def test_targets_without_records_are_open() -> None:
    found = edit_targets(results_of(schedule=EDITS))
    assert {(one.state, one.found) for one in found} == {(OPEN, 'not run')}
    assert {one.requirement for one in found} == set(REQUIREMENTS)
    assert set(TRIED) <= set(REQUIREMENTS)


@pytest.mark.parametrize(('method', 'kept', 'requirement', 'outcomes', 'state'), [
    ('incidents', ALL, 'incidents', 'S' * 390 + 'F' * 10, MET),
    ('incidents', ALL, 'incidents', 'S' * 380 + 'F' * 20, MISSED),
    ('incidents', ALL, 'incidents', 'S' * 398 + 'U' * 2, MISSED),
    ('incidents', ALL, 'incidents', 'S' * 300, OPEN),
    ('chosen', 'few5', 'few labels', 'S' * 396 + 'F' * 4, MET),
    ('chosen', 'few5', 'few labels', 'S' * 395 + 'F' * 5, MISSED)])
def test_rates_of_one_policy(method: str, kept: str, requirement: str, outcomes: str,
                             state: str) -> None:
    assert target(requirement, '`knife`', made(method, outcomes, kept=kept)).state == state


@pytest.mark.parametrize(('worse', 'state'), [(0, MET), (3, MISSED)])
def test_wrong_labels_are_compared_with_right_ones(worse: int, state: str) -> None:
    found = target('wrong labels', '`knife`', made('chosen', 'S' * 400),
                   made('chosen', 'S' * (400 - worse) + 'F' * worse, kept='wrong20'))
    assert found.state == state


@pytest.mark.parametrize(('worse', 'unsafe', 'state'), [
    (0, 0, MET), (3, 0, MISSED), (0, 8, MISSED)])
def test_the_edit_is_compared_with_the_retrain(worse: int, unsafe: int, state: str) -> None:
    retrained = 'S' * (1200 - unsafe) + 'F' * unsafe
    chosen = 'F' * worse + 'S' * (1200 - worse - unsafe) + 'u' * unsafe
    found = target('retrain', '`knife_route`', *(
        made(method, outcomes, scenario='knife_route')
        for method, outcomes in (('retrained', retrained), ('chosen', chosen))))
    assert found.state == state


@pytest.mark.parametrize(('bridges', 'before', 'episodes', 'state'), [
    (5, 10, 1200, MET), (6, 10, 1200, MISSED), (5, 10, 1199, OPEN), (0, 0, 1200, NOT_ASKED)])
def test_bridges_are_halved(bridges: int, before: int, episodes: int, state: str) -> None:
    found = target('bridges', '`knife_route`', *(
        made(method, 'S' * episodes, scenario='knife_route', bridges=number, committed=1000)
        for method, number in (('uncloned_pair', before), ('chosen_pair', bridges))))
    assert found.state == state


@pytest.mark.parametrize(('began', 'ended', 'state'), [
    (2, 2, MET), (3, 0, MISSED), (0, 3, MISSED)])
def test_an_attacked_edit_hardly_returns_to_a_removed_mode(began: int, ended: int,
                                                           state: str) -> None:
    found = target('attack', '`rounded`', made(
        'rounded', 'S' * 400, 'r' * began + 'k' * (400 - began),
        modes={'handle_first': 400 - ended, 'blade_first': ended}))
    assert found.state == state


def test_an_edit_that_failed_has_missed_its_target() -> None:
    refused = failed(replace(CASE, method='incidents'))
    found = target('incidents', '`knife`', refused)
    assert (found.state, found.found) == (MISSED, 'failed: no disk')
    many = results_of(refused, schedule=EDITS)
    states = [one.state for one in edit_targets(many)
              if one.requirement == 'incidents' and '`knife`' in one.place]
    assert states == [MISSED, OPEN, OPEN]


def test_the_page_tells_what_was_found_and_what_lacks() -> None:
    text, = edit_pages(results_of(*(
        made(method, outcomes, first_seed=ONCE.first_judged, options={'method': 'fine-tune'},
             modes={'handle_first': 399}, labels={'given': {'handle_first': 380}, 'doubted': 2})
        for method, outcomes in (('chosen', 'S' * 399 + 'F'), ('mixed', 'S' * 200 + 'U' * 200))),
        schedule=ONCE)).values()
    assert '| `all` | `chosen` | 0 | 400 | 99.8 % | 99.8 % | 0.0 % |' in text
    assert '+49.8' in text
    assert '| `few5` | `chosen` | not run |' in text
    assert '| `all` | `chosen` | 99.8 % | fine-tune | 380, 2 | handle first 399 |' in text
    assert '| `chosen_pair` | not run |' in text
    assert '| `all` | `chosen_pair` |' not in text
    assert f'{len(plan(ONCE)) - 2} of {len(plan(ONCE))} planned cases' in text


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    for path, text in edit_pages(load(DOCS / EDITS.results, EDITS)).items():
        assert text == (DOCS / path).read_text(encoding='utf-8'), path


def test_a_short_page_warns() -> None:
    text, = edit_pages(results_of(schedule=SCHEDULES['edit-short'])).values()
    assert 'Its figures mean nothing' in text


def test_a_row_runs_its_training_seeds() -> None:
    rows = (Row('knife', ALL, 'mixed', 3), Row('knife', 'few5', 'chosen', 3, seeds=(0,)))
    assert [case.seed for case in plan(replace(EDITS, rows=rows))] == [0, 1, 2, 0]
