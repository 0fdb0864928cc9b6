# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit without a named method uses the one that measures call for, and says why."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learning_toys import partly_labelled, shares, toy_dataset
from torch import Tensor

from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning import choice, mode_classifier
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.choice import Judge, Left
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.options import EDIT, FINE_TUNE, REDIRECT, SELF_DISTILLATION
from uncloning_ros.learning.uncloning import prepared
from uncloning_ros.learning.windows import windows_of_frames

OPTIONS = replace(EDIT, remove=('right',), steps=300, batch_size=64, learning_rate=3e-3,
                  trust_labels=True)
HARDLY = replace(OPTIONS, steps=2, learning_rate=1e-6)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the classifiers in fewer steps, and let the toy's small network leave a little."""
    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 100)
    monkeypatch.setattr(choice, 'ENOUGH', 0.01)


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


def tried(report: dict[str, Any]) -> list[str]:
    return [one['method'] for one in report['choice']['tried']]


def test_a_fine_tune_is_the_edit_where_it_is_enough(mixed: Run, dataset: Dataset,
                                                    tmp_path: Path) -> None:
    report = choice.unclone(prepared(mixed, dataset, OPTIONS), tmp_path / 'run', OPTIONS)
    before, after = report['choice']['before'], report['choice']['tried'][0]['left']
    assert tried(report) == [FINE_TUNE]
    assert before['starts'] > 0.3
    assert before['torn'] > 0.9
    assert max(after['starts'], after['way']) <= 0.01
    assert json.loads((tmp_path / 'run' / 'report.json').read_text()) == report
    assert not list((tmp_path / 'run').glob('fine-tune*'))
    edited = load_run(tmp_path / 'run')
    assert edited.config.edit == report['edit']
    assert shares(edited.policy, dataset)['right'] < 0.01
    # It is the fine-tune that the method of this name makes.
    prepared(mixed, dataset, OPTIONS).edit(tmp_path / 'named', OPTIONS)
    assert load_run(tmp_path / 'named').sha256 == edited.sha256


def test_a_torn_policy_is_tried_with_own_chunks_and_one_with_spans_with_the_redirect(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    for name, data, method in (('whole', dataset, SELF_DISTILLATION),
                               ('begin', partly_labelled(dataset), REDIRECT)):
        report = choice.unclone(prepared(mixed, data, HARDLY), tmp_path / name, HARDLY)
        assert tried(report)[:2] == [FINE_TUNE, method]
        assert set(tried(report)) == {FINE_TUNE, method}


def test_a_committed_policy_is_redirected(mixed: Run, dataset: Dataset, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, 'left', lambda self, policy: Left(0.4, 0.0, 0.1))
    report = choice.unclone(prepared(mixed, dataset, HARDLY), tmp_path / 'run', HARDLY)
    assert set(tried(report)) == {FINE_TUNE, REDIRECT}
    assert report['edit']['method'] == FINE_TUNE, 'as much is left'
    assert 'leaves more than half' in report['choice']['reason']
    assert any('40.0% of the plans' in warning for warning in warnings_of(report))


def one(method: str, gamma: float, left: float, retained: float) -> choice._Tried:
    """Return an edit that was tried."""
    return choice._Tried(Path(f'{method}_{gamma}'), {'edit': {'method': method, 'gamma': gamma}},
                         Left(left, 0.0, 0.0), retained)


# Of the fine-tune 0.4 is left and its loss is 1; the limit is 1.05.
@pytest.mark.parametrize(('given', 'tried', 'chosen', 'reason'), [
    ({1: (0.0, 1.0)}, [1], 1, 'at most half'),
    ({1: (0.3, 1.0), 4: (0.005, 1.04)}, [1, 4], 4, 'holds the skill'),
    ({1: (0.3, 1.0), 4: (0.1, 1.04), 16: (0.0, 1.06)}, [1, 4, 16], 4, 'holds the skill'),
    ({1: (0.3, 1.0), 4: (0.1, 1.06)}, [1, 4], None, 'leaves more than half'),
    ({1: (0.0, 1.3), 0.25: (0.1, 1.04)}, [1, 0.25], 0.25, 'holds the skill'),
    ({1: (0.0, 1.3), 0.25: (0.1, 1.2), 0.0625: (0.2, 1.1)}, [1, 0.25, 0.0625], None,
     'loses skill at each strength that was tried: its retained loss is at least 10% above'),
    ({1: (0.3, 1.3)}, [1], None, 'loses skill'),
    ({1: (0.39, 1.0), 4: (0.39, 1.0), 16: (0.39, 1.0)}, [1, 4, 16], None, 'more than half')])
def test_the_strength_of_a_removal_sets_itself(
        given: dict[float, tuple[float, float]], tried: list[float], chosen: float | None,
        reason: str) -> None:
    asked = []

    def at(strength: float) -> choice._Tried:
        asked.append(strength)
        return one(REDIRECT, strength, *given[strength])

    fine_tune = one(FINE_TUNE, 0.0, 0.4, 1.0)
    found, why = choice._chosen([fine_tune, *choice._removals(at, fine_tune)])
    assert asked == tried
    assert found.report['edit']['gamma'] == (chosen or 0.0)
    assert reason in why


def test_what_is_left_is_told_on_the_way_of_kept_demonstrations(mixed: Run,
                                                                dataset: Dataset) -> None:
    left = Judge(prepared(mixed, dataset, OPTIONS), OPTIONS).left(mixed.policy)
    assert left.way > 0.3, 'the toy has the choice everywhere'
    assert left.most == max(left.starts, left.way)


def test_a_start_is_where_the_span_of_a_label_begins(mixed: Run, dataset: Dataset,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    # The classifier sees no window from before: it cannot judge plans there.
    begin, asked = partly_labelled(dataset), []
    judge, draw = Judge(prepared(mixed, begin, OPTIONS), OPTIONS), mixed.policy.draw

    def seen(conditions: Tensor, *others: Any) -> Tensor:
        asked.append(conditions)
        return draw(conditions, *others)

    monkeypatch.setattr(mixed.policy, 'draw', seen)
    judge.left(mixed.policy)
    starts = [begin.bounds[i] + 2 for i, one in enumerate(begin.episodes)
              if one.split == 'train' and one.mode is not None]
    wanted = windows_of_frames(mixed.policy.normaliser, begin, np.array(starts)).conditions
    assert torch.equal(asked[0][:len(starts)], wanted)


def test_the_command_chooses_and_says_why(mixed_dir: Path, data_dir: Path, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    words = ['unclone', str(mixed_dir), '--data', str(data_dir), '--remove', 'right', '--threads',
             '1', '--steps', '300', '--batch-size', '64', '--lr', '3e-3', '--trust-labels']
    assert main([*words, '--out', 'run']) == 0
    out = capsys.readouterr().out
    assert 'chosen              fine-tune\n' in out
    assert 'the fine-tune leaves hardly any plan of a removed mode' in out
    assert max(map(len, out.splitlines())) <= 80, out
    assert main([*words, '--out', 'other', '--gamma', '0.5']) == 2
    assert '--gamma belongs to a method' in capsys.readouterr().err


def test_an_edit_that_forgets_is_warned_of(mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    report = prepared(mixed, dataset, HARDLY).edit(tmp_path / 'run', HARDLY)
    assert not any('forgets' in warning for warning in warnings_of(report))
    loss = report['retained_loss']
    report['retained_loss'] = loss | {'after': 1.33 * loss['before']}
    assert any('forgets: its loss on unseen windows that are retained is 33% above' in warning
               for warning in warnings_of(report))


def test_without_held_out_episodes_skill_is_the_loss_on_those_of_the_training(
        mixed: Run, tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / 'data', episodes=2)
    report = choice.unclone(prepared(mixed, data, HARDLY), tmp_path / 'run', HARDLY)
    assert report['retained_loss']['after'] is None
    assert all(one['retained_loss'] > 0 for one in report['choice']['tried'])
    assert not list((tmp_path / 'run').glob('*_*')), 'no edit that was tried is left'
