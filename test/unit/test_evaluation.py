# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation without a robot: errors, likelihoods and shares of modes of known policies."""

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_toys import toy_contract, toy_dataset
from torch import Tensor

from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError
from uncloning_ros.learning import evaluation, mode_distribution
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.evaluation import evaluate
from uncloning_ros.learning.evaluation_page import when
from uncloning_ros.learning.mode_distribution import calibration_error, compared, total_variation


@pytest.fixture
def run(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


def planning(run: Run, share_of_left: float, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Have the run's policy plan a demonstrated motion of each mode, left with a probability."""
    way = torch.zeros(4, 10)
    way[:, 1] = 1.0

    def plan(conditions: Tensor, noise: Tensor) -> Tensor:
        share = 0.5 + 0.5 * torch.erf(noise[:, -1:] / math.sqrt(2.0))
        return torch.where(share < share_of_left, 1.0, -1.0) * way.flatten()

    monkeypatch.setattr(run.policy, 'plan', plan)
    return run


def test_a_trained_policy_is_near_the_demonstrations_and_knows_both_modes(
        run: Run, dataset: Dataset) -> None:
    found = evaluate(run, dataset, 1)
    error = found['error']
    assert error['nearest'] < error['mean'] < error['plan']
    assert found['modes']['classifier_accuracy'] > 0.95
    assert found['modes']['accuracy'] == pytest.approx(0.5, abs=0.1)
    parted = found['modes']['distribution']
    assert (parted['tick'], parted['episodes'], len(parted['bins'])) == (0, 8, 1)
    assert parted['within_floor'] == 1
    assert json.loads(json.dumps(found, allow_nan=False)) == evaluate(run, dataset, 1)


def test_errors_are_told_by_step_and_by_phase(run: Run, dataset: Dataset) -> None:
    actions = dataset.actions.copy()
    for start in dataset.bounds[:-1]:
        actions[start:start + 12, 9] = [0.08] * 3 + [0.02] * 5 + [0.08] * 4
    found = evaluate(run, replace(dataset, actions=actions), 1)
    assert [part['windows'] for part in found['error_by_phase'].values()] == [24, 40, 32]
    assert list(found['error_by_phase']) == ['reach', 'carry', 'release']
    assert np.mean(found['error_by_step']['plan']) == pytest.approx(found['error']['plan'])
    assert list(evaluate(run, dataset, 1)['error_by_phase']) == ['other']


def test_shares_of_modes_are_those_of_episodes_that_the_run_was_not_trained_on(
        run: Run, dataset: Dataset) -> None:
    fresh = replace(dataset, episodes=tuple(
        replace(one, digest='f' + one.digest[1:]) for one in dataset.episodes))
    parted = evaluate(run, fresh, 1)['modes']['distribution']
    assert (parted['episodes'], len(parted['bins'])) == (40, 4)
    assert parted['within_floor'] >= 3


def test_a_policy_that_plans_a_mode_too_often_is_beyond_the_noise_floor(
        run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    even = evaluate(planning(run, 0.5, monkeypatch), dataset, 1)['modes']['distribution']
    assert even['within_floor'] == len(even['bins'])
    assert even['calibration']['error'] <= even['calibration']['floor']
    odd = evaluate(planning(run, 0.97, monkeypatch), dataset, 1)['modes']['distribution']
    assert odd['within_floor'] < len(odd['bins'])
    assert odd['calibration']['error'] > 0.4 > odd['calibration']['floor']


def test_the_bound_of_alike_plans_is_a_gaussian_of_the_residuals() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = 0.2 * torch.randn(4000, 40, generator=generator)
    losses = evaluation._blurred(torch.zeros(4000, 5, 40), clean)
    best = int(losses.argmin())
    assert float(evaluation._WIDTHS[best]) == pytest.approx(0.2, rel=0.05)
    assert float(losses[best]) == pytest.approx(
        40 * (0.5 + math.log(0.2 * math.sqrt(2 * math.pi))), abs=0.1)


def test_total_variation_and_calibration_of_worked_examples() -> None:
    planned, shown = np.array([[0.7, 0.3], [0.5, 0.5]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    assert total_variation(planned, shown) == pytest.approx(0.1)
    assert calibration_error(np.array([[0.75, 0.25]] * 4),
                             np.eye(2)[[0, 0, 0, 1]]) == pytest.approx(0.0)
    assert calibration_error(np.array([[0.9, 0.1]] * 4),
                             np.eye(2)[[0, 0, 1, 1]]) == pytest.approx(0.4)


@pytest.mark.parametrize('least', [0.5, 0.1])
def test_a_policy_without_fault_is_within_the_floor_in_nineteen_of_twenty_cases(
        least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_distribution, '_REPEATS', 200)
    rng = np.random.default_rng(1)
    near, calibrated = [], []
    for episodes in (40, 100, 200):
        for _ in range(40):
            share = rng.uniform(least, 1 - least, (episodes, 1))
            planned = rng.binomial(16, share) / 16
            labels = (rng.random(episodes) >= share[:, 0]).astype(int)
            found = compared(np.hstack([planned, 1 - planned]), labels,
                             np.arange(episodes) // 20, 16)
            near.append(found['within_floor'] / len(found['bins']))
            calibrated.append(found['calibration']['error'] <= found['calibration']['floor'])
    assert 0.9 < np.mean(near) < 1.0
    assert 0.9 < np.mean(calibrated) < 1.0


def test_modes_that_no_tick_tells_are_counted_at_the_last_one_and_the_report_says_so(
        run: Run, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    parted = evaluate(run, dataset, 1)['modes']['distribution']
    assert 'start (the classifier reads 100.0% of the demonstrated modes right)' in when(parted)
    monkeypatch.setattr(evaluation, '_READABLE', 1.01)
    parted = evaluate(run, dataset, 1)['modes']['distribution']
    assert parted['tick'] == min(one.frames for one in dataset.episodes) - 1
    assert 'at no tick, and this is the last one' in when(parted)


@pytest.mark.parametrize('cut', [lambda one: replace(one, split='train'),
                                 lambda one: replace(one, mode=None, label_source=None)])
def test_without_held_out_episodes_or_modes(run: Run, dataset: Dataset, cut) -> None:
    other = replace(dataset, episodes=tuple(cut(one) for one in dataset.episodes))
    if other.episodes[0].mode is None:
        assert evaluate(run, other, 1)['modes'] is None
        return
    with pytest.raises(DatasetError, match='no held-out episode'):
        evaluate(run, other, 1)


def edited(run: Run, *removed: str) -> Run:
    data = {'sha256': run.config.data.get('sha256', ''), 'seeds': []}
    return replace(run, config=replace(run.config, edit={'remove': list(removed), 'data': data}))


def test_an_edited_policy_is_compared_with_what_it_keeps(run: Run, dataset: Dataset) -> None:
    whole, found = evaluate(run, dataset, 1), evaluate(edited(run, 'right'), dataset, 1)
    assert (found['removed'], whole['removed']) == (['right'], [])
    assert found['episodes'] == whole['episodes'] / 2
    assert found['modes'] is None
    assert found['error'] != whole['error'] and found['likelihood'] != whole['likelihood']


def test_without_a_held_out_episode_of_a_kept_mode(run: Run, dataset: Dataset) -> None:
    other = replace(dataset, episodes=tuple(
        replace(one, split='train') if one.mode == 'left' else one for one in dataset.episodes))
    trained = replace(run, config=replace(run.config, data={}))
    with pytest.raises(DatasetError, match='of left, since an edit removed right'):
        evaluate(edited(trained, 'right'), other, 1)


def test_episodes_of_the_training_are_no_test(run: Run, dataset: Dataset) -> None:
    swapped = replace(dataset, episodes=tuple(
        replace(one, split='validation' if one.split == 'train' else 'train')
        for one in dataset.episodes))
    with pytest.raises(CheckpointError, match='on 32 of the 32 held-out .*episode_000000'):
        evaluate(run, swapped, 1)
    elsewhere = {'remove': [], 'data': {'sha256': 'f' * 64, 'seeds': [dataset.episodes[-1].seed]}}
    edited = replace(run, config=replace(run.config, edit=elsewhere))
    with pytest.raises(CheckpointError, match='edited, on 1 of the 8 held-out .*episode_000039'):
        evaluate(edited, dataset, 1)


def test_a_dataset_of_another_timing_is_refused(run: Run, tmp_path: Path) -> None:
    contract = toy_contract()
    other = toy_dataset(tmp_path / 'data', contract=replace(
        contract, policy=replace(contract.policy, rate_hz=5.0)))
    with pytest.raises(CheckpointError, match='build the dataset with the same contract'):
        evaluate(run, other, 1)


def test_the_command_writes_figures_and_a_page_of_its_own_and_nothing_twice(
        mixed_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_dataset(tmp_path / 'data')
    words = ['evaluate', str(mixed_dir), '--data', str(tmp_path / 'data'), '--json',
             str(tmp_path / 'mixed.json'), '--html', str(tmp_path / 'mixed.html'),
             '--threads', '1']
    assert main(words) == 0
    assert 'within the noise floor in' in capsys.readouterr().out
    found = json.loads((tmp_path / 'mixed.json').read_text())
    html = (tmp_path / 'mixed.html').read_text()
    assert f'{found["error"]["nearest"]:.4f}' in html
    assert html.count('<svg') == 3
    assert 'http' not in html
    HTMLParser().feed(html)
    assert main(words) == 2
    assert 'exists already' in capsys.readouterr().err


def test_one_file_for_both_outputs_is_refused_before_any_work(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / 'out')
    assert main(['evaluate', 'run', '--data', 'data', '--json', out, '--html', out]) == 2
    assert 'different names' in capsys.readouterr().err
