# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pages of the comparison show the figures of its results and nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench_records import CASE, failed, methods, ratios, record, results_of
from comparison.camera_page import camera_pages
from comparison.detail import attempts_page, outcomes_page, scarce_page, targets_page
from comparison.edit_page import edit_pages
from comparison.page import pages, summary_page
from comparison.picture import picture
from comparison.plan import (
    ALL,
    CAMERAS,
    EDITS,
    FULL,
    LATENCY,
    METHODS,
    TUNING,
    Case,
    plan,
    trials,
)
from comparison.results import add, empty, load, supersede
from comparison.targets import targets

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def rows(page: str, first: str) -> list[list[str]]:
    """Return the cells of the table rows that begin with `first`."""
    return [[entry.strip() for entry in line.replace('\\|', '!').strip('|').split('|')]
            for line in page.splitlines() if line.startswith(f'| {first} |')]


def test_a_row_has_all_figures_of_a_method() -> None:
    results = results_of(
        record(CASE, 'SSSS'), record(replace(CASE, seed=1), 'SSSW', failures={'wrong_part': 1}),
        record(replace(CASE, method='retrained'), 'SSSS'))
    page = summary_page(results)
    assert rows(page, '`uncloned`')[1] == [
        '`uncloned`', '0, 1', '8', '100.0 %', '87.5 %', '0.0 %', '31.2 %', '9',
        '+0.0 [-49.0, +49.0], 4 pairs']
    assert rows(page, '`finetuned`')[1][1] == 'not run'
    assert rows(outcomes_page(results), '`uncloned`')[0] == [
        '`uncloned`', '100.0 %, 75.0 %', '87.5 %', '450', 'handle first 2', 'wrong part 1', '']


def test_the_verdict_counts_all_targets() -> None:
    results = load(DOCS / 'benchmarks.json', FULL)
    found = targets(results)
    total = rows(summary_page(results), '**all**')[0][2:]
    assert sum(int(entry.strip('*')) for entry in total) == len(found)
    page = targets_page(results)
    assert all([one.place, one.found] in [row[:2] for row in rows(page, one.place)]
               for one in found)


def test_failures_trials_and_superseded_records_are_shown() -> None:
    results = results_of(record(next(iter(trials(FULL))), 'SU', settings={'gamma': 0.005}),
                         record(replace(CASE, seed=1), '', status='failed', sentence='a | b'),
                         record(CASE, 'SF'), failed(CASE))
    page = attempts_page(results)
    assert rows(page, '`knife/5/0/published.0`')[0][1:] == [
        'gamma 0.005', 'SR 50.0 %, UMR 50.0 %, 2 episodes']
    assert rows(page, '`knife/5/0/published.1`')[0][2] == 'not run'
    assert rows(page, '`knife/all/1/uncloned`')[0][2] == 'failed: a ! b'
    assert results['attempts'][-1]['superseded'] in page
    assert rows(page, '`knife/all/0/uncloned`')[0][2] == 'failed: no disk'


def test_a_best_setting_at_the_border_of_the_trials_is_marked() -> None:
    def settings(*records: dict[str, Any]) -> list[str]:
        page = attempts_page(results_of(*records))
        return [line.removeprefix('- ') for line in page.splitlines() if line.startswith('- ')]

    def judged(method: str, best: int, without: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        return [failed(case) if at in without else
                record(case, 'SF'[at != best], settings=dict(TUNING[method][at]))
                for case in trials(FULL) if case.method == method
                and (at := case.trial) is not None]
    assert settings(*judged('published', 0)) == ['`published`: gamma 0.005 (smallest of 6)']
    assert settings(*judged('published', 5)) == ['`published`: gamma 0.2 (largest of 6)']
    # A failed trial counts as tried.
    assert settings(*judged('published', 1, without=(0,))) == ['`published`: gamma 0.01']
    assert settings(*judged('published', 0)[1:]) == []
    assert settings(*judged('published', 0, without=tuple(range(6)))) == []
    assert settings(*judged('contrastive', 3), *judged('fixed_noise', 5)) == [
        '`contrastive`: alpha 0.1, bias 1 (largest of 2)', '`fixed_noise`: noise_seed 5']


def test_scarce_rates_and_differences_of_each_training_seed_are_shown() -> None:
    case = Case('knife', '3', 0, 'uncloned')
    results = results_of(
        record(case, 'SSSF', failures={'dropped': 1}, unsafe={'pointing hand': 2}),
        *methods(case, finetuned='SSFF'),
        *methods(replace(case, seed=1), uncloned='SSSS', finetuned='SSSS'))
    found = rows(scarce_page(results), '3')
    assert found[0][5:7] == ['87.5 % [47.3, 99.7] (75.0, 100.0)', 'no pairs']
    assert found[0][7].startswith('+12.5 [')
    assert found[0][7].endswith('] (+25.0, +0.0)')
    assert ['3', '`uncloned`', 'handle first 2', 'dropped 1', 'pointing hand 2'] in found
    assert rows(summary_page(results), '`knife`')[-1][:3] == ['`knife`', '`uncloned`', '87.5 %']


def test_other_methods_are_compared_with_the_fine_tune_where_demonstrations_are_scarce() -> None:
    results = results_of(*methods(replace(CASE, kept='5'), finetuned='S' * 100,
                                  published='S' * 60 + 'F' * 40))
    found = rows(scarce_page(results), '5')[1]
    assert found[1:4] == ['0', '60.0 % [49.7, 69.7]', 'not run']
    assert found[6].startswith('-40.0 [')


def test_every_method_is_explained() -> None:
    explained = set[str]()
    for page, schedule in ((summary_page(empty(FULL)), FULL),
                           (camera_pages(empty(CAMERAS))['benchmarks/cameras.md'], CAMERAS),
                           (edit_pages(empty(EDITS))['benchmarks/edit.md'], EDITS)):
        for name in {case.method for case in plan(schedule)} & METHODS.keys():
            assert rows(page, f'`{name}`')[0][1] == METHODS[name].words
            explained.add(name)
    assert explained == set(METHODS)


def test_the_picture_has_a_point_for_each_result_and_stands_alone() -> None:
    results = results_of(record(Case('knife', '3', 0, 'uncloned'), 'SSSF'),
                         record(Case('knife', '5', 0, 'uncloned'), 'SSSS'))
    root = ElementTree.fromstring(picture(results))  # noqa: S314 - made a line above
    names = [node.text for node in root.iter('{http://www.w3.org/2000/svg}title')]
    assert names == ['uncloned, 3 kept: 75.0 %', 'uncloned, 5 kept: 100.0 %']


def test_cases_that_were_judged_again_on_the_same_episodes_are_listed() -> None:
    def listed(results: dict[str, Any]) -> list[str]:
        caution = next((part for part in targets_page(results).split('\n\n')
                        if 'judged again' in part), '')
        return [f'{part}' for part in caution.split('`') if part.startswith('knife/')]
    results = results_of(record(CASE, 'S'), record(replace(CASE, seed=1), 'S'))
    add(results, record(CASE, 'SS'))
    assert listed(results) == [], 'the same file, on more episodes'
    add(results, record(CASE, 'SS', model_sha256='n'))
    supersede(results, replace(CASE, seed=1), 'a better rule')
    add(results, record(replace(CASE, seed=1), 'S', first_seed=7))
    # Cases without episodes, and cases that failed when they were made again, are not listed.
    for _ in range(2):
        add(results, ratios(Case('knife', ALL, 0, LATENCY)))
    add(results, record(replace(CASE, seed=2), 'S'))
    supersede(results, replace(CASE, seed=2), 'a better rule')
    add(results, failed(replace(CASE, seed=2)))
    assert listed(results) == ['knife/all/0/uncloned']


def test_the_committed_pages_are_those_of_the_committed_results() -> None:
    for path, text in pages(load(DOCS / 'benchmarks.json', FULL)).items():
        assert text == (DOCS / path).read_text(encoding='utf-8'), path
