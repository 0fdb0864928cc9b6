# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of encoders trains for equal times and compares on the same episodes."""

import json
from pathlib import Path

import encoders
import pytest
import torch

from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.encoder import Encoder
from uncloning_ros.learning.policies import base


def row(name: str, successes: int, unsafe: int = 0) -> dict[str, object]:
    """Return a row of 100 episodes, all of them completed."""
    return {'name': name, 'outcomes': [
        {'completed': True, 'success': i < successes, 'unsafe': i >= 100 - unsafe,
         'desired': i < successes} for i in range(100)]}


@pytest.fixture
def bench(seen_dir: Path, tmp_path: Path) -> encoders.Bench:
    run = load_run(seen_dir)
    found = encoders.Bench.__new__(encoders.Bench)
    found.run, found.work, found.given = run, tmp_path, seen_dir
    (tmp_path / 'steps_s.json').write_text(json.dumps(
        {encoders.SCRATCH: 0.2, encoders.PLAIN: 0.2, encoders.PHOTOGRAPHS: 0.8}))
    return found


def test_trainings_take_the_same_time(bench: encoders.Bench) -> None:
    steps = bench.run.config.training.steps
    assert bench.steps(encoders.PLAIN) == steps
    assert bench.steps(encoders.PHOTOGRAPHS) == round(steps / 4)


def test_a_row_that_is_there_is_not_made_again(bench: encoders.Bench, tmp_path: Path) -> None:
    kept = row(encoders.PLAIN, 90)
    (tmp_path / f'{encoders.PLAIN}.json').write_text(json.dumps(kept))
    assert bench.row(encoders.PLAIN) == kept


def test_a_difference_is_on_the_same_episodes() -> None:
    usual, other = row(encoders.FROZEN, 97), row(encoders.THAWED, 95, unsafe=2)
    assert encoders.cells(usual, usual, 'success')[-1] == ''
    found = encoders.cells(other, usual, 'success')
    assert found[2:6] == ['100', '100.0 %', '95.0 %', '2.0 %']
    assert found[-1].startswith('-2.0 [')


def test_policies_have_the_usual_encoders_afterwards() -> None:
    def interrupted() -> None:
        with encoders.encoders_of(encoders.PHOTOGRAPHS):
            assert base.Encoder is encoders.PhotographEncoder
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert base.Encoder is Encoder


@pytest.mark.parametrize('moved', [True, False])
def test_a_thawed_edit_moves_the_encoders(moved: bool, seen_dir: Path, seen: object,
                                          tmp_path: Path, bench: encoders.Bench,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, 'EDIT', encoders.replace(encoders.EDIT, steps=3))
    bench.data, bench.kept, bench.remove = seen, ('left',), ('right',)  # type: ignore[assignment]
    folder = bench._made(encoders.THAWED if moved else encoders.FROZEN)
    before, after = (load_run(one).policy.state_dict() for one in (seen_dir, folder))
    names = [name for name in before if name.startswith('eyes.')]
    assert names
    assert any(not torch.equal(before[name], after[name]) for name in names) == moved
