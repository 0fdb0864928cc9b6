# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The statistics of observed trials keep what they claim, in series of simulated clipboards."""

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from trials import series
from trials.__main__ import picture, written

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'benchmarks'
SERIES = 2000


@pytest.mark.proof
def test_equal_models_are_found_different_in_fewer_series_than_alpha() -> None:
    rows = series.equal_models(SERIES, 1)
    assert all(row.bet <= 0.05 for row in rows)
    # The same series catch a test that may not be looked at so often.
    assert max(row.peeked for row in rows) > 0.1


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_stopping_early_saves_trials_at_the_same_power() -> None:
    for row in series.savings(SERIES, 1):
        assert row.found >= row.power
        points = row.rates[1] - row.rates[0]
        least = 0.15 if points > 0.15 else -0.02
        assert 1 - row.mean / row.fixed > least
        # A plan for a small difference that meets a large one ends long before its end.
        if points > 0.3:
            assert row.for_ten <= 1.1 * row.fixed


@pytest.mark.proof
def test_intervals_hold_the_truth_at_every_look() -> None:
    rows = series.sequences(SERIES, 1)
    assert all(row.sequence >= 0.95 for row in rows)
    assert min(row.peeked for row in rows if not math.isnan(row.peeked)) < 0.9


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_the_combined_interval_covers_as_stated_and_is_shorter_where_the_two_agree() -> None:
    rows = series.simulators(SERIES, 1)
    assert all(row.covered >= 0.95 for row in rows)
    assert all(row.shorter > 0.16 for row in rows if row.pairs >= 40 and row.words == 'agrees')
    assert all(row.shorter > 0.25 for row in rows
               if row.pairs >= 40 and row.words in ('agrees well', 'is always wrong'))
    assert all(row.shorter > -0.05 for row in rows)


@pytest.mark.proof
def test_starts_chosen_because_they_are_easy_break_the_combined_interval() -> None:
    at_random, *chosen = series.convenient(SERIES, 1)
    assert at_random.covered >= 0.95
    covered = [row.covered for row in chosen]
    assert covered == sorted(covered, reverse=True)
    assert covered[-1] < 0.5


@pytest.mark.proof
def test_the_interval_covers_a_reality_that_is_another_physics() -> None:
    at_random, chosen = series.stand_in(SERIES, 1, series.STAND_IN)
    assert at_random.covered >= 0.95
    assert chosen.covered < at_random.covered


def test_a_stand_in_that_always_agrees_shortens_the_interval(tmp_path: Path) -> None:
    path = tmp_path / 'runs.json'
    path.write_text(json.dumps([{'tool_yaw_rad': i / 10, 'simulated': i % 3 > 0,
                                 'real': i % 3 > 0} for i in range(30)]))
    at_random, _chosen = series.stand_in(20, 1, path)
    assert at_random.correlation == pytest.approx(1.0)
    assert at_random.shorter > 0.3
    assert at_random.simulator_off == 0.0


@pytest.mark.slow
def test_the_page_is_the_one_that_the_script_writes() -> None:
    def shape(text: str) -> list[str]:
        return re.sub(r'[-+]?\d+(\.\d+)?|\|(?= *\|)', '0', text).splitlines()
    saved = [series.Saving((low, high), power, 30, 25.0, 40, 20.0, power, 22.0)
             for power in (0.8, 0.9) for low, high in (
                 (0.45, 0.55), (0.4, 0.6), (0.3, 0.7), (0.8, 0.9), (0.7, 0.9), (0.5, 0.9))]
    assert shape(written(2, saved)) == shape((DOCS / 'trials.md').read_text(encoding='utf-8'))
    drawn = picture(saved)
    ElementTree.fromstring(drawn)  # noqa: S314 - own file
    assert '67 %' in drawn.replace('66.7', '67')
    assert len((DOCS / 'trials.svg').read_text(encoding='utf-8')) > 1000
