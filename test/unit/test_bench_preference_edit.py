# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of an edit by preferences counts and draws what its page says."""

import json
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import preference_edit as bench
import pytest
from preferences import SIGNS

from uncloning_ros.learning.options import SELF_DISTILLATION, EditOptions

# The first feature is the true reward, and the second one is that of the answers.
TRUE, LEARNED = np.eye(len(SIGNS))[:2]


def features(*values: float) -> dict[str, float]:
    return dict.fromkeys(SIGNS, 0.0) | dict(zip(SIGNS, values, strict=False))


class Untrained(bench.Bench):
    """A bench that makes no models, and keeps for which edits it was asked."""

    def edited(self, name: str, refused: Callable[[np.ndarray], np.ndarray],
               options: EditOptions) -> Path:
        self.args.edits[name] = refused(self.scaled).tolist(), options
        return Path(name)


@pytest.fixture
def made(tmp_path: Path) -> Untrained:
    """Return a bench on demonstrations with a mean of 3 and a spread of 2 of each feature."""
    belief = SimpleNamespace(weights=LEARNED, below=lambda values: (
        0.5 + 0.1 * np.sign(0.25 - values @ LEARNED)))
    rater: Any = SimpleNamespace(weights=TRUE, limit=0.25, belief=lambda: belief)
    known = {name: dict.fromkeys(SIGNS, value) for name, value in (('a', 1.0), ('b', 5.0))}
    args = Namespace(work=tmp_path, rater=100, episodes=100, seed=540_000_000, edits={},
                     raters=20, each=50)
    nothing: Any = None
    return Untrained(nothing, nothing, nothing, tuple(known), np.array([TRUE, LEARNED]), rater,
                     known, args)


def judge(made: Untrained, name: str, *found: dict[str, float] | None) -> None:
    """Write the record of episodes, of which the first one alone is a success."""
    (made.args.work / f'{name}.json').write_text(json.dumps({
        'features': found, 'success': [i == 0 for i in range(len(found))],
        'modes': [None] * len(found)}))


def test_rewards_are_of_exchanges_in_spreads_and_success_is_of_all_episodes(
        made: Untrained) -> None:
    judge(made, 'one', features(5, 1), features(3, 5), None, features(1, 1))
    assert made.row('one', Path('one.onnx'), 4) == {
        'name': 'one', 'exchanges': 3, 'success': 0.25,
        bench.TRUE: 0.0, 'true share': pytest.approx(2 / 3),  # rewards 1, 0, -1, limit 0.25
        bench.LEARNED: pytest.approx(-1 / 3), 'learned share': pytest.approx(2 / 3)}


def test_answers_choose_for_each_strength_and_the_truth_for_the_rival(made: Untrained) -> None:
    (made.args.work / 'unedited.onnx').touch()
    names = [bench.UNEDITED, *(f'strength {one}' for one in ('0', '0.25', '1', '4', '16')),
             bench.RIVAL]
    for name in names:
        judge(made, name, features(3))
    assert [row['name'] for row in bench.rows_of(made)] == names
    edits = made.args.edits
    assert list(edits) == names[1:]
    assert all(edits[name][0] == pytest.approx([0.6, 0.4]) for name in names[1:-1])
    assert edits[bench.RIVAL][0] == [0.0, 1.0]
    assert edits['strength 0'][1].gamma == 0.0
    assert {edits[name][1].method for name in names[2:]} == {SELF_DISTILLATION}
    gammas = [edits[name][1].gamma for name in names[2:]]
    assert [one / gammas[-1] for one in gammas] == [0.25, 1.0, 4.0, 16.0, 1.0]


def rows() -> list[dict[str, Any]]:
    return [{'name': name, 'exchanges': 99, bench.TRUE: reward, bench.LEARNED: reward / 2,
             'true share': 0.75, 'learned share': 0.5, bench.SUCCESS: 0.875} for name, reward in (
                 (bench.UNEDITED, 1.0), ('strength 4', 3.0), (bench.RIVAL, 9.0))]


def test_the_picture_shows_rewards_above_the_unedited_ones_and_accepted_shares() -> None:
    drawn = re.findall(r'<title>(.*?): (.*?)</title>', bench.drawn(rows()))
    assert drawn == [(bench.TRUE, '0'), (bench.TRUE, '2'), (bench.LEARNED, '0'),
                     (bench.LEARNED, '1'), *2 * [(bench.TRUE, '0.25')],
                     *2 * [(bench.LEARNED, '0.5')], *2 * [(bench.SUCCESS, '0.875')]]


def both(better: float) -> list[dict[str, Any]]:
    """Return the rows of a rater, for whom the edit by answers is better than that by truth."""
    return [{'name': name, bench.TRUE: reward, 'true share': 0.75, bench.SUCCESS: 0.875}
            for name, reward in ((bench.UNEDITED, 0.0), (f'rater 1, {bench.BY_ANSWERS}',
                                                         0.5 + better),
                                 (f'rater 1, {bench.BY_TRUTH}', 0.5))]


def test_every_rater_has_an_edit_by_answers_and_one_by_the_truth(
        made: Untrained, monkeypatch: pytest.MonkeyPatch) -> None:
    vars(made.args).update(raters=2, each=1)
    monkeypatch.setattr(bench, 'answered', lambda number, *_: made.rater)
    names = [f'rater {number}, {way}' for number in (100, 101)
             for way in (bench.BY_ANSWERS, bench.BY_TRUTH)]
    for name in (bench.UNEDITED, *names):
        judge(made, name, features(3), None)
    found = bench.raters_of(made)
    assert [row['name'] for rows in found for row in rows[1:]] == names
    assert {row['exchanges'] for rows in found for row in rows} == {1}
    assert [made.args.edits[name][0] for name in names] == 2 * [pytest.approx([0.6, 0.4]),
                                                                [0.0, 1.0]]
    assert all(options == bench.DEFAULT for _, options in made.args.edits.values())


def test_the_page_is_the_one_that_the_bench_writes(made: Untrained) -> None:
    page = bench.written(made, rows(), [both(0.1), both(0.3)])
    assert '| strength 4 | 99 | +3.00 | +1.50 | 75.0 % | 50.0 % | 87.5 % |' in page
    assert '| edited by the answers | +0.70 [+0.60, +0.80] | 75.0 % [75.0 %, 75.0 %] |' in page
    assert '(shares in points) | +0.20 [+0.10, +0.30] | +0.0 [+0.0, +0.0] | +0.0 [' in page
    text, stored = (re.sub(r'\n\| (unedited|strength|removes|edited|difference) .*', '', one)
                    for one in (page, bench.PAGE.read_text('utf-8')))
    assert text == stored
