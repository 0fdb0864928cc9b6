# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training, edits and export take every class of policy."""

import copy
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from camera_toys import camera_config, camera_dataset
from learning_toys import partly_labelled, shares, toy_config
from torch import Tensor

from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.anchor import Anchor
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.diff import compare
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.evaluation import evaluate
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import (
    EDIT,
    FINE_TUNE,
    NETWORK,
    POLICY_KINDS,
    REDIRECT,
    SELF_DISTILLATION,
    EditOptions,
    NetworkOptions,
)
from uncloning_ros.learning.policies import POLICIES, build_policy
from uncloning_ros.learning.uncloning import unclone
from uncloning_ros.learning.windows import Windows, dataset_windows, windows_outside_spans
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.inference import load_policy

OTHERS = ['regression', 'mixture', 'categorical']
CHOOSING = ['mixture', 'categorical']


@pytest.fixture(scope='module')
def runs(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Return a trained policy of every class but the default one."""
    return {kind: trained(dataset, kind, tmp_path_factory.mktemp('runs') / kind)
            for kind in OTHERS}


def trained(dataset: Dataset, kind: str, folder: Path) -> Run:
    config = replace(toy_config(dataset, 300), network=NetworkOptions(32, 2, kind))
    folder.mkdir()
    checkpoint.write_config(folder, config)
    assert cloning.train(dataset, folder, config).ended
    return load_run(folder)


OPTIONS = replace(EDIT, remove=('right',), method=SELF_DISTILLATION, gamma=0.5, retarget=0.0,
                  steps=200, batch_size=64, learning_rate=3e-3)


@pytest.mark.parametrize('kind', OTHERS)
def test_a_run_that_goes_on_after_a_stop_has_the_same_weights(
        runs: dict[str, Run], dataset: Dataset, tmp_path: Path, kind: str) -> None:
    config = runs[kind].config
    checkpoint.write_config(tmp_path, config)
    result = cloning.train(dataset, tmp_path, config, on_step=lambda step: (
        step == 100 and signal.raise_signal(signal.SIGINT)))
    assert (result.steps, result.ended) == (100, False)
    cloning.train(dataset, tmp_path, checkpoint.read_config(tmp_path))
    assert load_run(tmp_path).sha256 == runs[kind].sha256


@pytest.mark.parametrize(('kind', 'between'), [('regression', True), ('mixture', False),
                                               ('categorical', False)])
def test_regression_alone_goes_between_the_modes(runs: dict[str, Run], dataset: Dataset,
                                                 kind: str, between: bool) -> None:
    found = shares(runs[kind].policy, dataset)
    assert found['between'] > 0.9 if between else min(found['left'], found['right']) > 0.4


@pytest.mark.parametrize('kind', OTHERS)
@pytest.mark.parametrize('options', [
    replace(OPTIONS, method=FINE_TUNE, gamma=0.0), replace(OPTIONS, method=REDIRECT, tau=0.9)],
    ids=lambda options: options.method)
def test_an_edit_moves_it_to_the_kept_mode(runs: dict[str, Run], dataset: Dataset, tmp_path: Path,
                                           kind: str, options: EditOptions) -> None:
    unclone(runs[kind], dataset, tmp_path / 'edited', options)
    assert shares(load_run(tmp_path / 'edited').policy, dataset)['left'] > 0.95


@pytest.mark.parametrize('kind', CHOOSING)
def test_it_learns_its_own_chunks_of_the_kept_mode(runs: dict[str, Run], dataset: Dataset,
                                                   tmp_path: Path, kind: str) -> None:
    report = unclone(runs[kind], dataset, tmp_path / 'edited', OPTIONS)
    assert report['removal']['looks'][0]['torn'] > 100
    assert shares(load_run(tmp_path / 'edited').policy, dataset)['left'] > 0.95


def test_self_distillation_tells_that_regression_is_never_torn(
        runs: dict[str, Run], dataset: Dataset, tmp_path: Path) -> None:
    report = unclone(runs['regression'], dataset, tmp_path / 'edited', OPTIONS)
    assert report['removal']['looks'][-1]['torn'] == 0
    assert any('torn' in warning or 'kept mode' in warning for warning in warnings_of(report))


@pytest.mark.parametrize('kind', CHOOSING)
def test_the_anchor_holds_how_often_each_chunk_is_chosen(runs: dict[str, Run], dataset: Dataset,
                                                         kind: str) -> None:
    original = runs[kind].policy
    outside = windows_outside_spans(original.normaliser, partly_labelled(dataset), 'train')
    left = dataset_windows(original.normaliser, dataset, 'train', ['left'])
    policy = copy.deepcopy(original).requires_grad_(True)
    generator, anchor = torch.Generator().manual_seed(0), Anchor(original, outside, 256, 0)

    def take_steps(count: int, loss: Callable[[], Tensor]) -> float:
        optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
        for _ in range(count):
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()
        return shares(policy, dataset)['left']

    assert take_steps(60, lambda: policy.losses(
        left, torch.randint(len(left), (128,), generator=generator), generator).mean()) > 0.8
    assert take_steps(150, lambda: anchor.loss(policy)) == pytest.approx(
        shares(original, dataset)['left'], abs=0.1)


@pytest.mark.parametrize('kind', OTHERS)
def test_it_is_exported_with_the_noise_as_an_input(runs: dict[str, Run], dataset: Dataset,
                                                   tmp_path: Path, kind: str) -> None:
    run = runs[kind]
    export(run, tmp_path / 'mixed.onnx')
    policy = load_policy(tmp_path / 'mixed.onnx')
    assert policy.metadata['training']['network'] == {'width': 32, 'depth': 2, 'kind': kind}
    graph = onnx.load(tmp_path / 'mixed.onnx').graph
    assert sorted(one.name for one in graph.initializer) == sorted(run.policy.state_dict())
    observation = Observation(run.observations[0].numpy())
    noise = np.zeros(policy.chunk_shape, np.float32)
    plans = [policy(observation, noise + by).chunk for by in (0.0, -3.0, 3.0, 3.0)]
    np.testing.assert_array_equal(plans[2], plans[3])
    assert np.array_equal(plans[1], plans[2]) == (kind == 'regression')
    unclone(run, dataset, tmp_path / 'edited', replace(OPTIONS, method=FINE_TUNE, gamma=0.0,
                                                       steps=2))
    export(load_run(tmp_path / 'edited'), tmp_path / 'edited.onnx')
    found = compare(tmp_path / 'mixed.onnx', tmp_path / 'edited.onnx')
    assert found.difference is None
    assert [one.name for one in found.changes if not one.relative] == (
        ['vocabulary'] if kind == 'categorical' else [])


@pytest.mark.parametrize('kind', OTHERS)
def test_the_default_network_is_small(dataset: Dataset, kind: str) -> None:
    policy = build_policy(dataset.contract, replace(NETWORK, kind=kind))
    assert 4 * sum(one.numel() for one in policy.state_dict().values()) < 8 * 2**20


def test_the_default_kind_is_left_out_of_the_config(dataset: Dataset, tmp_path: Path) -> None:
    config = toy_config(dataset, 1)
    checkpoint.write_config(tmp_path, config)
    assert json.loads((tmp_path / 'config.json').read_text())['network'] == {
        'width': 48, 'depth': 2}
    assert checkpoint.read_config(tmp_path) == config


def test_an_unknown_kind_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    checkpoint.write_config(
        tmp_path, replace(toy_config(dataset, 1), network=NetworkOptions(8, 1, 'flwo')))
    with pytest.raises(CheckpointError, match=r"network\.kind: expected .* or plan, got 'flwo'"):
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


def test_a_mixture_sees_is_exported_and_evaluated_with_cameras(tmp_path: Path) -> None:
    seen = camera_dataset(tmp_path / 'data', episodes=10)
    config = replace(camera_config(seen, 3), network=NetworkOptions(16, 1, 'mixture'))
    (tmp_path / 'run').mkdir()
    checkpoint.write_config(tmp_path / 'run', config)
    cloning.train(seen, tmp_path / 'run', config)
    run = load_run(tmp_path / 'run')
    export(run, tmp_path / 'seen.onnx')
    assert load_policy(tmp_path / 'seen.onnx').picture_shapes
    assert evaluate(run, seen, 1)['likelihood']['exact'] is not None
