# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each other method does what its source says, on the toy task with two modes."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from comparison.methods import contrastive, unpaired
from comparison.methods.best_of import BestOf, noises
from comparison.methods.fixed_noise import FixedNoise
from comparison.methods.guidance import Guidance, slope
from comparison.methods.verifier import load_judges, train_verifier
from learning_toys import shares

from uncloning_ros.audit.run.rollout import Steering
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, OutputExistsError
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.windows import dataset_windows
from uncloning_ros.policy_io import Infer, Observation
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy

CONTRAST = contrastive.Options(alpha=0.1, bias=0.5, bc=1.0, steps=200, batch_size=64,
                               learning_rate=1e-3, seed=0, threads=1)
DRAWS = 60


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


@pytest.fixture(scope='module')
def exported(mixed_onnx: Path) -> OnnxPolicy:
    return load_policy(mixed_onnx)


@pytest.fixture(scope='module')
def verifier(mixed: Run, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('methods') / 'verifier.safetensors'
    assert train_verifier(mixed, dataset, ('right',), path, seed=0)['accuracy'] > 0.7
    return path


@dataclass
class Steered:
    """What `shares` asks of a policy, answered one by one as the control loop is."""

    infer: Infer
    normaliser: object

    def __call__(self, observations: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.stack([
            self.infer(Observation(vector), drawn).chunk
            for vector, drawn in zip(observations.numpy(), noise.numpy(), strict=True)]))


def steered_shares(infer: Infer, mixed: Run, dataset: Dataset) -> dict[str, float]:
    return shares(Steered(infer, mixed.policy.normaliser), dataset, DRAWS)


def inputs(mixed: Run, seed: int = 0) -> tuple[Observation, np.ndarray]:
    shape = mixed.policy.normaliser.chunk_shape
    return (Observation(mixed.observations[0].numpy()),
            np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


@pytest.mark.slow
class TestContrastive:
    """Contrastive preference learning."""

    def test_loss_is_that_of_the_paper(self) -> None:
        better, worse = torch.tensor([-1.0, -3.0, 0.5]), torch.tensor([-2.0, -0.5, 0.5])
        for bias in (1.0, 0.5):
            ours = contrastive.contrast(better, worse, bias)
            theirs = -torch.log(better.exp() / (better.exp() + (bias * worse).exp())).mean()
            torch.testing.assert_close(ours, theirs)

    def test_the_nearest_condition_is_the_partner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contrastive, '_ROWS', 2)
        among = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
        conditions = torch.tensor([[4.0, 1.0], [1.0, 4.0], [1.0, 0.0], [9.0, 9.1], [6.0, 0.0]])
        assert contrastive.nearest(conditions, among).tolist() == [1, 2, 0, 2, 1]

    def test_the_undesired_mode_goes_and_the_other_stays(self, mixed: Run,
                                                         dataset: Dataset) -> None:
        before = shares(mixed.policy, dataset)
        after = shares(contrastive.edit(mixed, dataset, ('right',), CONTRAST), dataset)
        assert before['right'] > 0.3, before
        assert after['right'] < 0.02, after
        assert after['left'] > 0.9, after

    def test_contrast_makes_undesired_chunks_less_likely_than_cloning_alone(
            self, mixed: Run, dataset: Dataset) -> None:
        rights = dataset_windows(mixed.policy.normaliser, dataset, 'validation', ['right'])
        picks = torch.arange(len(rights))

        def unlikely(policy: Policy) -> float:
            return float(policy.losses(rights, picks, torch.Generator().manual_seed(1)).mean())

        few = replace(CONTRAST, steps=60)
        contrasted = contrastive.edit(mixed, dataset, ('right',), few)
        cloned = contrastive.edit(mixed, dataset, ('right',), replace(few, alpha=0.0))
        assert unlikely(contrasted) > 1.2 * unlikely(cloned)


@pytest.mark.slow
class TestUnpaired:
    """Losses from labels alone."""

    def test_losses_are_those_of_the_papers(self) -> None:
        kept, removed = torch.tensor([1.0, -0.5]), torch.tensor([0.2, -2.0, 3.0])
        for beta in (0.1, 1.0):
            ratio = removed.exp() ** beta
            torch.testing.assert_close(unpaired.npo(removed, beta),
                                       2 / beta * torch.log(1 + ratio).mean())
        same = torch.zeros(4)
        torch.testing.assert_close(unpaired.kto(same, same, 0.3), torch.tensor(1.0))
        assert unpaired.kto(kept + 5, removed - 5, 1.0) < unpaired.kto(kept, removed, 1.0)
        assert unpaired.kto(kept - 5, removed + 5, 1.0) > unpaired.kto(kept, removed, 1.0)

    @pytest.mark.parametrize('loss', ['npo', 'kto'])
    def test_removed_chunks_become_less_likely_than_by_cloning_alone(
            self, mixed: Run, dataset: Dataset, loss: Literal['npo', 'kto']) -> None:
        rights = dataset_windows(mixed.policy.normaliser, dataset, 'validation', ['right'])

        def unlikely(weight: float) -> float:
            policy = unpaired.edit(mixed, dataset, ('right',), unpaired.Options(
                loss, 0.1, weight, steps=60, batch_size=64, learning_rate=1e-3, seed=0, threads=1))
            return float(policy.losses(rights, torch.arange(len(rights)),
                                       torch.Generator().manual_seed(1)).mean())

        assert unlikely(1.0) > 1.1 * unlikely(0.0)


@pytest.mark.slow
class TestGuidance:
    """Classifier guidance of the sampler."""

    def test_scale_zero_is_the_plain_policy(self, mixed_dir: Path, verifier: Path, mixed: Run,
                                            exported: OnnxPolicy) -> None:
        infer = Guidance(mixed_dir, verifier, scale=0.0, inner_steps=1).steer(exported)
        np.testing.assert_allclose(infer(*inputs(mixed)).chunk,
                                   exported(*inputs(mixed)).chunk, atol=1e-4)

    @pytest.mark.parametrize('inner_steps', [1, 3])
    def test_guidance_leads_to_the_kept_mode(self, inner_steps: int, mixed_dir: Path,
                                             verifier: Path, mixed: Run, dataset: Dataset,
                                             exported: OnnxPolicy) -> None:
        plain = steered_shares(exported, mixed, dataset)
        infer = Guidance(mixed_dir, verifier, 3.0, inner_steps).steer(exported)
        found = steered_shares(infer, mixed, dataset)
        assert plain['right'] > 0.3, plain
        assert found['left'] > 0.9, found

    def test_inner_steps_without_a_scale_keep_the_modes_in_balance(
            self, mixed_dir: Path, verifier: Path, mixed: Run, dataset: Dataset,
            exported: OnnxPolicy) -> None:
        infer = Guidance(mixed_dir, verifier, 0.0, 3).steer(exported)
        found = steered_shares(infer, mixed, dataset)
        assert 0.25 < found['left'] < 0.75, found
        assert found['between'] < 0.15, found
        np.testing.assert_array_equal(infer(*inputs(mixed)).chunk, infer(*inputs(mixed)).chunk)

    def test_slope_is_the_derivative_of_the_kept_modes_log_probability(
            self, mixed_dir: Path, verifier: Path, exported: OnnxPolicy) -> None:
        policy, judge = load_judges(mixed_dir, verifier, exported)
        generator = torch.Generator().manual_seed(0)
        condition = torch.randn(1, policy.normaliser.condition_dim, generator=generator)
        clean, way = torch.randn(2, 1, policy.normaliser.action_low.numel(), generator=generator)
        ahead, behind = (judge.log_kept(condition, clean + sign * 0.01 * way) for sign in (1, -1))
        found = (slope(judge, condition, clean) * way).sum()
        assert float(found) == pytest.approx(float((ahead - behind) / 0.02), rel=0.05, abs=1e-3)


class TestBestOf:
    """The best of several chunks by the verifier."""

    def test_best_of_sixteen_goes_the_kept_way(self, mixed_dir: Path, verifier: Path, mixed: Run,
                                               dataset: Dataset, exported: OnnxPolicy) -> None:
        found = steered_shares(BestOf(mixed_dir, verifier).steer(exported), mixed, dataset)
        assert found['left'] > 0.95, found

    def test_best_of_one_is_the_plain_policy(self, mixed_dir: Path, verifier: Path, mixed: Run,
                                             exported: OnnxPolicy) -> None:
        infer = BestOf(mixed_dir, verifier, 1).steer(exported)
        np.testing.assert_array_equal(infer(*inputs(mixed)).chunk, exported(*inputs(mixed)).chunk)

    def test_other_noises_follow_from_the_first(self, mixed: Run) -> None:
        _, first = inputs(mixed)
        drawn = noises(first, 16)
        assert drawn.shape == (16, *first.shape)
        np.testing.assert_array_equal(drawn[0], first)
        np.testing.assert_array_equal(drawn, noises(first.copy(), 16))
        assert len(np.unique(drawn[:, 0, 0])) == 16
        assert not np.any(drawn[1:] == noises(inputs(mixed, seed=1)[1], 16)[1:])


class TestVerifier:
    """The file of the verifier."""

    def test_a_verifier_of_other_weights_is_refused(
            self, mixed: Run, mixed_dir: Path, dataset: Dataset, exported: OnnxPolicy,
            tmp_path: Path, verifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / 'verifier.safetensors'
        monkeypatch.setattr('uncloning_ros.learning.mode_classifier._EPOCHS', 1)
        train_verifier(replace(mixed, sha256='f' * 64), dataset, ('right',), path, seed=0)
        with pytest.raises(CheckpointError, match='ffff'):
            load_judges(mixed_dir, path, exported)
        with pytest.raises(OutputExistsError):
            train_verifier(mixed, dataset, ('right',), verifier, seed=0)


class TestFixedNoise:
    """One noise for all chunks."""

    def test_the_loops_noise_changes_nothing(self, mixed: Run, exported: OnnxPolicy) -> None:
        infer = FixedNoise(3).steer(exported)
        observation, noise = inputs(mixed)
        chunk = infer(observation, noise).chunk
        np.testing.assert_array_equal(chunk, infer(observation, -noise).chunk)
        np.testing.assert_array_equal(
            chunk, exported(observation, FixedNoise(3).noise(exported.chunk_shape)).chunk)


@pytest.mark.parametrize('steering', [
    Guidance(Path('run'), Path('file'), 1.5, 4), BestOf(Path('run'), Path('file')),
    FixedNoise(3)], ids=lambda steering: type(steering).__name__)
def test_a_steering_travels_to_other_processes(steering: Steering) -> None:
    assert ForkingPickler.loads(ForkingPickler.dumps(steering)) == steering


def test_latency_of_each_method_is_relative_to_the_plain_policy(mixed_onnx: Path) -> None:
    # A process of its own: timing limits the threads before numpy is there.
    code = ('import sys; from pathlib import Path; from comparison.latency import latency_ratios; '
            'from comparison.methods.fixed_noise import FixedNoise; '
            'found = latency_ratios(Path(sys.argv[1]), {"fixed": FixedNoise(0)}, 2, 3); '
            'assert all(0 < r.low <= r.high for r in found); print(*(r.name for r in found))')
    bench = Path(__file__).resolve().parents[2] / 'bench'
    told = subprocess.run([sys.executable, '-c', code, str(mixed_onnx)], text=True, check=True,
                          capture_output=True, env=os.environ | {'PYTHONPATH': str(bench)})
    assert told.stdout.split('\n')[0] == 'itself, the noise fixed'
