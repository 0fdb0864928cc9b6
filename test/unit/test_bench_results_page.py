# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/results.md and the table of README.md follow from cards, evidence and comparison."""

import re
import shutil
from pathlib import Path

import pytest
from comparison.plan import FULL
from comparison.results import empty, load
from comparison.results_page import headline_table, read_all_shipped, results_page, with_results
from comparison.shipped import read_shipped

from uncloning_ros.errors import UncloningError

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = load(REPOSITORY / 'docs' / 'benchmarks.json', FULL)
SHIPPED = read_all_shipped(REPOSITORY, RESULTS)


def test_the_committed_page_and_the_table_of_the_readme_are_up_to_date() -> None:
    readme = (REPOSITORY / 'README.md').read_text(encoding='utf-8')
    assert headline_table(RESULTS, SHIPPED) in readme, 'write it with make results'
    assert with_results(readme, RESULTS, SHIPPED) == readme, 'write it with make results'
    page = (REPOSITORY / 'docs' / 'results.md').read_text(encoding='utf-8')
    assert page == results_page(RESULTS, SHIPPED), 'write it with make results'


def test_the_table_replaces_all_between_the_markers_and_nothing_else() -> None:
    readme = 'before\n<!-- results -->\nold\n<!-- /results -->\nafter\n'
    found = with_results(readme, RESULTS, SHIPPED)
    assert found == readme.replace('old', headline_table(RESULTS, SHIPPED))


def test_the_table_has_a_row_for_each_scenario_also_without_a_comparison() -> None:
    rows = headline_table(empty(FULL), SHIPPED).splitlines()[2:]
    assert [row.split('`')[1] for row in rows] == list(FULL.scenarios)
    assert all(row.count('not run') == 2 for row in rows)
    assert 'not run' in results_page(empty(FULL), SHIPPED)


def test_a_shipped_model_has_the_figures_of_its_card_and_evidence() -> None:
    knife = read_shipped(REPOSITORY / 'models', 'knife')
    assert list(knife.compared) == ['uncloned', 'mixed', 'finetuned', 'retrained']
    assert set(knife.seconds) == set(knife.compared)
    mixed = knife.compared['mixed']
    assert (mixed.episodes, mixed.unsafe, mixed.failures) == (300, 145, '145 wrong_part')
    assert mixed.umr == pytest.approx(145 / 300, abs=5e-4)
    assert (knife.figures['episodes'], knife.figures['unsafe_episodes']) == (1049, 0)


def test_a_card_of_another_model_is_refused(tmp_path: Path) -> None:
    for path in (REPOSITORY / 'models').glob('mug_uncloned.*'):
        shutil.copy(path, tmp_path)
    card = tmp_path / 'mug_uncloned.md'
    card.write_text(re.sub(r'(sha256 \| `)\w{4}', r'\1ffff', card.read_text()))
    with pytest.raises(UncloningError, match='ffff'):
        read_shipped(tmp_path, 'mug')
