# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The measurement of labels counts modes on the wrong side, and wrong labels that are found."""

from pathlib import Path

import labels
import pytest

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.opinions import Doubt, Opinions

NAMES = ('left', 'right')


@pytest.fixture
def task(mixed_dir: Path, dataset: Dataset) -> labels.Task:
    return labels.Task('toy', load_run(mixed_dir), dataset, None, NAMES, 1)


def opinion(given: dict[int, str], doubted: dict[int, Doubt]) -> Opinions:
    return Opinions(given, doubted, 0, 40, 30, 0.875, '', 1.0, {})


def test_given_modes_are_right_or_on_the_wrong_side(
        task: labels.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def judged(_: labels.Task, names: list[str | None]) -> Opinions:
        asked.append(names)
        return opinion({0: 'left', 1: 'left', 3: 'right'}, {})

    monkeypatch.setattr(labels.Task, 'judged', judged)
    assert labels.few(task, 3, 0)[1] == (3, 2, 1)
    assert sorted(filter(None, asked[0])) == ['left'] * 3 + ['right'] * 3


def test_wrong_labels_are_found_or_left(task: labels.Task,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(_: labels.Task, names: list[str]) -> Opinions:
        bad = [i for i, one in enumerate(task.dataset.episodes) if one.mode != names[i]]
        right = next(i for i in range(40) if i not in bad)
        return opinion({}, {i: Doubt('', '', '', 1.0) for i in (*bad[:5], right)})

    monkeypatch.setattr(labels.Task, 'judged', judged)
    assert labels.wrong(task, 0.2, 0)[1] == (8, 5, 1, 3)
    row = labels.rows([task], [0.2], 'wrong')[0]
    assert row == ['`toy`', '20%', '30, 30, 30', '88%, 88%, 88%', '8, 8, 8', '5, 5, 5', '1, 1, 1',
                   '3, 3, 3']


def test_the_edit_judges_the_labels_that_are_left(task: labels.Task) -> None:
    found, (given, right, wrong_side) = labels.few(task, 3, 0)
    assert found.labelled == 6
    assert given == right > 25
    assert not wrong_side
