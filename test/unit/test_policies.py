# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training, edits and export take every class of policy."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_toys import shares, toy_config

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import (
    EDIT,
    FINE_TUNE,
    POLICY_KINDS,
    REDIRECT,
    EditOptions,
    NetworkOptions,
)
from uncloning_ros.learning.policies import POLICIES, build_policy
from uncloning_ros.learning.policies.regression import RegressionPolicy
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Windows
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.inference import load_policy


@pytest.fixture
def run(dataset: Dataset, tmp_path: Path) -> Run:
    """Return a trained regression policy."""
    config = replace(toy_config(dataset, 300), network=NetworkOptions(32, 2, 'regression'))
    (tmp_path / 'mixed').mkdir()
    checkpoint.write_config(tmp_path / 'mixed', config)
    assert cloning.train(dataset, tmp_path / 'mixed', config).ended
    return load_run(tmp_path / 'mixed')


OPTIONS = replace(EDIT, remove=('right',), retarget=0.0, steps=200, batch_size=64,
                  learning_rate=3e-3)


def test_a_second_policy_class_trains_and_goes_on_after_a_stop(run: Run, dataset: Dataset,
                                                               tmp_path: Path) -> None:
    assert isinstance(run.policy, RegressionPolicy)
    stopped = tmp_path / 'stopped'
    stopped.mkdir()
    checkpoint.write_config(stopped, run.config)
    result = cloning.train(dataset, stopped, run.config, on_step=lambda step: (
        step == 100 and signal.raise_signal(signal.SIGINT)))
    assert (result.steps, result.ended) == (100, False)
    cloning.train(dataset, stopped, checkpoint.read_config(stopped))
    assert load_run(stopped).sha256 == run.sha256


@pytest.mark.parametrize('options', [
    replace(OPTIONS, method=FINE_TUNE, gamma=0.0), replace(OPTIONS, method=REDIRECT, tau=0.9)],
    ids=lambda options: options.method)
def test_an_edit_moves_it_to_the_kept_mode(run: Run, dataset: Dataset, tmp_path: Path,
                                           options: EditOptions) -> None:
    unclone(run, dataset, tmp_path / 'edited', options)
    assert shares(load_run(tmp_path / 'edited').policy, dataset)['left'] > 0.95


def test_self_distillation_tells_that_it_is_never_torn(run: Run, dataset: Dataset,
                                                       tmp_path: Path) -> None:
    report = unclone(run, dataset, tmp_path / 'edited', OPTIONS)
    assert report['removal']['looks'][-1]['torn'] == 0
    assert any('torn' in warning or 'kept mode' in warning for warning in warnings_of(report))


def test_it_is_exported_with_the_noise_as_an_input(run: Run, dataset: Dataset,
                                                   tmp_path: Path) -> None:
    export(run, tmp_path / 'mixed.onnx')
    policy = load_policy(tmp_path / 'mixed.onnx')
    assert policy.metadata['training']['network'] == {'width': 32, 'depth': 2,
                                                      'kind': 'regression'}
    observation = Observation(run.observations[0].numpy())
    noise = np.zeros(policy.chunk_shape, np.float32)
    np.testing.assert_array_equal(policy(observation, noise).chunk,
                                  policy(observation, noise + 1).chunk)
    unclone(run, dataset, tmp_path / 'edited', replace(OPTIONS, method=FINE_TUNE, gamma=0.0))
    export(load_run(tmp_path / 'edited'), tmp_path / 'edited.onnx')
    assert compare(tmp_path / 'mixed.onnx', tmp_path / 'edited.onnx').difference is None


def test_the_default_kind_is_left_out_of_the_config(dataset: Dataset, tmp_path: Path) -> None:
    config = toy_config(dataset, 1)
    checkpoint.write_config(tmp_path, config)
    assert json.loads((tmp_path / 'config.json').read_text())['network'] == {
        'width': 48, 'depth': 2}
    assert checkpoint.read_config(tmp_path) == config


def test_an_unknown_kind_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint.write_config(
        tmp_path, replace(toy_config(dataset, 1), network=NetworkOptions(8, 1, 'flwo')))
    with pytest.raises(CheckpointError, match=r"network\.kind: expected flow .*, got 'flwo'"):
        checkpoint.read_config(tmp_path)


@pytest.mark.parametrize('kind', POLICY_KINDS)
def test_draws_repeat_and_belong_to_their_condition(dataset: Dataset, kind: str) -> None:
    policy = build_policy(dataset.contract, NetworkOptions(16, 1, kind))
    conditions = torch.randn(5, policy.normaliser.condition_dim)
    draws = [policy.draw(conditions, 3, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*draws)
    assert draws[0].shape == (5, 3, policy.chunk_dim)
    windows = Windows(conditions, torch.randn(5, policy.chunk_dim))
    losses = policy.losses(windows, torch.tensor([1, 1, 4]), torch.Generator().manual_seed(1))
    clean, level = policy.predicted(windows, torch.tensor([1, 4]), torch.Generator())
    assert (losses.shape, clean.shape, level.shape) == ((3,), (2, policy.chunk_dim), (2,))


def test_every_class_has_its_name_on_the_command_line() -> None:
    assert tuple(POLICIES) == POLICY_KINDS


def test_a_run_is_not_resumed_as_another_class(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint.write_config(tmp_path, toy_config(dataset, 1))
    with pytest.raises(CheckpointError, match='begun with --policy flow, got regression'):
        cloning.config_to_resume(tmp_path, dataset, {}, 'regression')
    assert cloning.config_to_resume(tmp_path, dataset, {}, 'flow').network.kind == 'flow'
