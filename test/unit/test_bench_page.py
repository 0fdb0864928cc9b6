# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of ways to be rid of a mode: the page and the picture of its results."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench_records import CELL, failed, record, results_of
from uncloning_figures import of_seeds, pooled
from uncloning_page import picture, text
from uncloning_plan import ALL, FULL, LATENCY, METHODS, TUNING, Cell, tries
from uncloning_results import add, empty, identity, load, supersede

DOCS = Path(__file__).resolve().parents[2] / 'docs'


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

    def test_a_setting_at_the_border_of_what_was_tried_is_told(self) -> None:
        def line(*records: dict[str, Any]) -> str:
            found = [line for line in text(results_of(*records)).splitlines()
                     if line.startswith('Best on development episodes, and in use: ')]
            return found[0].partition(': ')[2] if found else ''

        def judged(method: str, best: int, without: tuple[int, ...] = ()) -> list[dict[str, Any]]:
            return [failed(cell) if at in without else
                    record(cell, 'SF'[at != best], settings=dict(TUNING[method][at]))
                    for cell in tries(FULL) if cell.method == method
                    and (at := cell.attempt) is not None]
        assert line(*judged('published', 0)) == '`published` gamma 0.005 (the least of 6).'
        assert line(*judged('published', 5)) == '`published` gamma 0.2 (the largest of 6).'
        # What failed was tried as well.
        assert line(*judged('published', 1, without=(0,))) == '`published` gamma 0.01.'
        assert line(*judged('published', 0)[1:]) == ''
        assert line(*judged('published', 0, without=tuple(range(6)))) == ''
        assert line(*judged('contrastive', 3), *judged('fixed_noise', 5)) == (
            '`contrastive` alpha 0.1, bias 1 (the largest of 2); `fixed_noise` noise_seed 5.')

    def test_scarce_each_training_seed_and_what_happened_are_told(self) -> None:
        cell = Cell('knife', '3', 0, 'uncloned')
        results = results_of(
            record(cell, 'SSSF', failures={'dropped': 1}, unsafe={'pointing hand': 2}),
            record(replace(cell, method='finetuned'), 'SSFF'),
            record(replace(cell, seed=1), 'SSSS'),
            record(replace(cell, seed=1, method='finetuned'), 'SSSS'))
        page = text(results)
        assert '| 87.5 % [47.3, 99.7] (75.0, 100.0) | no pairs | +12.5 [' in page
        assert '] (+25.0, +0.0) |' in page
        assert '| 3 | `uncloned` | handle first 2 | dropped 1 | pointing hand 2 |' in page

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
        for title, scenario, method in (
                ('filtered retrain', 'knife', 'retrained'),
                ('filtered fine-tune of the mixed policy', 'knife', 'finetuned'),
                ('**uncloned**', 'knife', 'uncloned'),
                ('filtered retrain of it', 'knife_route', 'retrained'),
                ('filtered fine-tune of its mixed policy', 'knife_route', 'finetuned'),
                ('**uncloned of it**', 'knife_route', 'uncloned')):
            rates = [f'{100 * pooled(of_seeds(results, scenario, str(n), method)).rate("sr"):.1f}'
                     for n in FULL.counts]
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
