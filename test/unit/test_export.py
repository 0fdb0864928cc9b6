# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The exported file is the policy: self-contained, small, and no other in its numbers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from uncloning_ros.cli.main import main
from uncloning_ros.errors import ModelError
from uncloning_ros.learning import export as export_module
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.export import export
from uncloning_ros.learning.policies.flow import SAMPLER_STEPS
from uncloning_ros.runtime.inference import load_policy


def test_torch_and_onnx_agree_on_recorded_and_random_inputs(mixed_dir: Path,
                                                            mixed_onnx: Path) -> None:
    run, policy = load_run(mixed_dir), load_policy(mixed_onnx)
    rng = np.random.default_rng(3)
    for observations in (run.observations.numpy(), rng.standard_normal((50, 2, 18), np.float32)):
        noise = rng.standard_normal((len(observations), 4, 10), np.float32)
        ours = run.policy(torch.from_numpy(observations), torch.from_numpy(noise)).numpy()
        np.testing.assert_allclose(policy.batch(observations, noise), ours, atol=1e-4, rtol=0)


def test_file_holds_the_whole_sampler_and_every_weight_once(mixed_onnx: Path,
                                                            mixed_dir: Path) -> None:
    graph = onnx.load(mixed_onnx).graph
    used = [name for node in graph.node for name in node.input]
    assert used.count('denoiser.to_chunk.weight') == SAMPLER_STEPS
    names = [tensor.name for tensor in graph.initializer]
    policy = load_run(mixed_dir).policy
    assert sorted(names) == sorted(policy.state_dict())


def test_same_run_gives_the_same_file(mixed_dir: Path, mixed_onnx: Path, tmp_path: Path) -> None:
    export(load_run(mixed_dir), tmp_path / 'again.onnx', development_seeds=(7, 8))
    assert (tmp_path / 'again.onnx').read_bytes() == mixed_onnx.read_bytes()


def test_file_tells_nothing_of_the_machine_it_was_made_on(mixed_onnx: Path) -> None:
    content = mixed_onnx.read_bytes()
    assert b'site-packages' not in content
    assert str(Path(__file__).resolve().parents[2]).encode() not in content


def test_default_network_is_below_eight_mebibytes(mixed_dir: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from uncloning_ros.learning.options import NETWORK
    from uncloning_ros.learning.policies import build_policy

    run = load_run(mixed_dir)
    config = replace(run.config, network=NETWORK)
    policy = build_policy(config.contract, NETWORK).requires_grad_(False)
    big = replace(run, config=config, policy=policy)
    assert export(big, tmp_path / 'big.onnx').bytes < 8 * 2 ** 20


def test_a_policy_on_which_the_two_disagree_is_not_written(
        mixed_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, 'PARITY_TOLERANCE', 1e-12)
    with pytest.raises(ModelError, match='torch and onnxruntime differ by .* on recorded'):
        export(load_run(mixed_dir), tmp_path / 'policy.onnx')
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_written(mixed_dir: Path, tmp_path: Path) -> None:
    run = load_run(mixed_dir)
    with torch.no_grad():
        run.policy.denoiser.to_chunk.bias[0] = float('nan')
    with pytest.raises(ModelError, match='differ by nan'):
        export(run, tmp_path / 'policy.onnx')
    assert not list(tmp_path.iterdir())


def test_command_writes_once_and_records_development_seeds(
        mixed_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'policy.onnx'
    words = ['export', str(mixed_dir), '--out', str(path), '--development-seeds', '500:503']
    assert main(words) == 0
    policy = load_policy(path)
    assert policy.sha256 in capsys.readouterr().out
    assert policy.metadata['seeds']['development'] == [500, 501, 502]

    before = path.read_bytes()
    assert main(words) == 2
    assert 'exists already' in capsys.readouterr().err
    assert path.read_bytes() == before


def test_command_refuses_what_is_no_run(tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['export', str(tmp_path), '--out', str(tmp_path / 'policy.onnx')]) == 2
    assert 'is not a training run' in capsys.readouterr().err
    assert not (tmp_path / 'policy.onnx').exists()
