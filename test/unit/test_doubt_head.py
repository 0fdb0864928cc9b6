# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The head for doubt: high away from the demonstrations, in the file, bound to its weights."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_toys import toy_contract, toy_dataset
from model_files import forged

from uncloning_ros.audit.run.doubt_threshold import threshold_of
from uncloning_ros.cli.main import main
from uncloning_ros.contract import DoubtStop, load_contract
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, DatasetError, ModelError
from uncloning_ros.learning import checkpoint
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.doubt import fitted, recorded_scores, with_doubt
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import POLICY_KINDS, NetworkOptions
from uncloning_ros.learning.policies import build_policy
from uncloning_ros.policy_io import Observation
from uncloning_ros.runtime.doubt import Calibration, DoubtRecord
from uncloning_ros.runtime.inference import OnnxPolicy, load_policy
from uncloning_ros.runtime.model_structure import graph_sha256
from uncloning_ros.schema import plain

STOP = DoubtStop(0.2, 5.0)


@pytest.fixture(scope='module')
def doubting(mixed_dir: Path, dataset: Dataset) -> tuple[Run, DoubtRecord]:
    return with_doubt(load_run(mixed_dir), dataset, STOP)


@pytest.fixture(scope='module')
def doubting_onnx(doubting: tuple[Run, DoubtRecord], tmp_path_factory: pytest.TempPathFactory,
                  ) -> Path:
    run, record = doubting
    path = tmp_path_factory.mktemp('doubting') / 'policy.onnx'
    export(run, path, doubt=record)
    return path


def doubts(policy: OnnxPolicy, observations: np.ndarray) -> np.ndarray:
    noise = np.zeros((len(observations), *policy.chunk_shape), np.float32)
    return policy.doubts(observations.astype(np.float32), noise)


def seen(dataset: Dataset) -> np.ndarray:
    return dataset.gather(dataset.window_frames('validation'))[0]


def test_doubt_is_low_at_held_out_observations_and_high_at_strange_ones(
        doubting_onnx: Path, dataset: Dataset) -> None:
    policy, known = load_policy(doubting_onnx), seen(dataset)
    usual = np.quantile(doubts(policy, known), 0.95)
    for value, by in ((0, 0.2), (9, -0.2), (11, 0.15), (3, -1.0)):
        strange = known.copy()
        strange[:, :, value] += by
        assert doubts(policy, strange).min() > 2 * usual, value


def test_what_is_usual_in_each_signal_but_not_together_is_strange(tmp_path: Path,
                                                                  mixed_dir: Path) -> None:
    data = toy_dataset(tmp_path / 'data')
    observations = data.observations.copy()
    observations[:, 9:12] = observations[:, :3] + np.float32(0.1)  # the object follows the tool
    run, _ = with_doubt(load_run(mixed_dir), replace(data, observations=observations), STOP)
    head = run.policy.doubt
    assert head is not None
    together = torch.from_numpy(seen(replace(data, observations=observations)))
    apart = together.clone()
    apart[:, :, 9] = together[torch.arange(len(together)) - 7, :, 9]
    assert (head(run.policy.condition(apart, ())).median()
            > 5 * head(run.policy.condition(together, ())).median())


def test_one_value_beyond_its_range_is_strange_among_many_usual_ones() -> None:
    usual = torch.from_numpy(np.random.default_rng(0).uniform(-1.7, 1.7, (4000, 70))).float()
    head = fitted(usual, 60, 2)
    strange = usual[:50].clone()
    strange[:, 5] = 2.55  # half of the range's half beyond it; as a distance it hardly counts
    more = head(strange) - head(usual[:50])
    assert head(usual).quantile(0.99) < 2.0 and more.min() > 1.5
    strange[:, 5], strange[:, 65] = -1.6, 2.55  # the latter is a feature of pictures
    assert head(strange).max() < 2.5


def test_the_file_plans_as_the_one_without_doubt_and_tells_it(
        doubting_onnx: Path, mixed_onnx: Path, doubting: tuple[Run, DoubtRecord],
        dataset: Dataset) -> None:
    plain, policy = load_policy(mixed_onnx), load_policy(doubting_onnx)
    assert plain.doubt is None and policy.doubt is not None
    noise = np.random.default_rng(0).standard_normal(policy.chunk_shape).astype(np.float32)
    observation = Observation(seen(dataset)[3].astype(np.float32))
    one, two = plain(observation, noise), policy(observation, noise)
    np.testing.assert_array_equal(one.chunk, two.chunk)
    assert one.doubt is None and two.doubt is not None
    head = doubting[0].policy.doubt
    assert head is not None
    ours = head(doubting[0].policy.condition(torch.from_numpy(observation.vector[None]), ()))
    assert two.doubt == pytest.approx(float(ours), rel=1e-4)
    assert policy.contract.deployment.doubt == STOP


def test_the_run_itself_stays_as_it_was(doubting: tuple[Run, DoubtRecord],
                                        mixed_dir: Path, mixed_onnx: Path, tmp_path: Path,
                                        dataset: Dataset) -> None:
    run = load_run(mixed_dir)
    with_doubt(run, dataset, STOP)
    export(run, tmp_path / 'again.onnx', development_seeds=(7, 8))
    assert (tmp_path / 'again.onnx').read_bytes() == mixed_onnx.read_bytes()


@pytest.mark.parametrize('kind', POLICY_KINDS)
def test_every_class_of_policy_takes_the_head(kind: str, mixed_dir: Path, dataset: Dataset,
                                              tmp_path: Path) -> None:
    run = load_run(mixed_dir)
    network = NetworkOptions(16, 1, kind)
    policy = build_policy(run.config.contract, network)
    policy.normaliser.load_state_dict(run.policy.normaliser.state_dict())
    policy.eval().requires_grad_(False)
    doubting, record = with_doubt(replace(run, policy=policy, config=replace(
        run.config, network=network)), dataset, STOP)
    export(doubting, tmp_path / 'policy.onnx', doubt=record)
    found = load_policy(tmp_path / 'policy.onnx')
    plan = found(Observation(seen(dataset)[0].astype(np.float32)),
                 np.zeros(found.chunk_shape, np.float32))
    assert plan.doubt is not None and (plan.intent is not None) is found.says_intent


def test_pictures_that_no_demonstration_shows_are_strange(seen_dir: Path, seen: Dataset,
                                                          tmp_path: Path) -> None:
    run, record = with_doubt(load_run(seen_dir), seen, STOP)
    export(run, tmp_path / 'policy.onnx', doubt=record)
    policy = load_policy(tmp_path / 'policy.onnx')
    frames = seen.window_frames('validation')[:20]
    observations = seen.gather(frames)[0].astype(np.float32)
    noise = np.zeros((len(frames), *policy.chunk_shape), np.float32)
    pictures = {key: np.asarray(pixels[frames]) for key, pixels in seen.pictures.items()}
    turned = {key: np.ascontiguousarray(255 - pixels) for key, pixels in pictures.items()}
    assert (np.median(policy.doubts(observations, noise, turned))
            > 3 * np.median(policy.doubts(observations, noise, pictures)))


def test_modes_that_an_edit_removed_are_strange_to_the_edited_policy(
        mixed_dir: Path, tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / 'data')
    observations = data.observations.copy()
    for i, episode in enumerate(data.episodes):
        if episode.mode == 'right':
            observations[data.bounds[i]:data.bounds[i + 1], 10] += 0.3
    data, run = replace(data, observations=observations), load_run(mixed_dir)
    edited = replace(run, config=replace(run.config, edit={'remove': ['right'],
                                                           'data': {'seeds': []}}))
    removed = torch.from_numpy(data.gather(data.window_frames('validation', ['right']))[0])
    found = []
    for one in (run, edited):
        policy = with_doubt(one, data, STOP)[0].policy
        assert policy.doubt is not None
        found.append(float(policy.doubt(policy.condition(removed, ())).median()))
    assert found[1] > 5 * found[0]


def test_a_threshold_for_other_weights_is_refused(doubting: tuple[Run, DoubtRecord],
                                                  doubting_onnx: Path, tmp_path: Path) -> None:
    run, record = doubting
    graph = graph_sha256(doubting_onnx.read_bytes())
    calibrated = replace(record, calibration=Calibration(2.0, 0.2, 0.05, 500, graph, 'toy'))
    export(run, tmp_path / 'policy.onnx', doubt=calibrated, calibration_seeds=(5, 6))
    policy = load_policy(tmp_path / 'policy.onnx')
    assert policy.doubt == calibrated and policy.metadata['seeds']['calibration'] == [5, 6]

    def other(model: object) -> None:
        weight = next(one for one in model.graph.initializer  # type: ignore[attr-defined]
                      if one.name == 'denoiser.to_chunk.bias')
        weight.raw_data = bytes(len(weight.raw_data))
    path = forged(tmp_path / 'policy.onnx', tmp_path / 'other.onnx', change=other)
    with pytest.raises(ModelError, match=f'expected the weights {graph}.*uncloning doubt'):
        load_policy(path)


@pytest.mark.parametrize(('record', 'sentence'), [
    (None, 'expected inputs and output'),
    ({'demonstrated': {'tool_pose': {'low': [0.0], 'high': []}}}, 'doubt.*high'),
    ({'threshold': 3}, 'demonstrated'), ([], 'expected a mapping')])
def test_a_broken_record_of_doubt_is_refused(record: object, sentence: str, doubting_onnx: Path,
                                             tmp_path: Path) -> None:
    text = None if record is None else json.dumps(record)
    with pytest.raises(ModelError, match=sentence):
        load_policy(forged(doubting_onnx, tmp_path / 'forged.onnx', metadata={'doubt': text}))


def test_a_record_of_doubt_without_its_output_is_refused(mixed_onnx: Path,
                                                         tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='expected inputs and output'):
        load_policy(forged(mixed_onnx, tmp_path / 'forged.onnx',
                           metadata={'doubt': json.dumps({'demonstrated': {}})}))


def test_held_out_recordings_have_a_score_each(doubting: tuple[Run, DoubtRecord],
                                               dataset: Dataset) -> None:
    scores = recorded_scores(doubting[0], dataset, STOP.after_s)
    assert len(scores) == sum(one.split == 'validation' for one in dataset.episodes)
    assert min(scores) > 0.0


def test_a_dataset_of_another_timing_or_without_kept_modes_is_refused(
        mixed_dir: Path, dataset: Dataset) -> None:
    run = load_run(mixed_dir)
    contract = toy_contract()
    other = replace(dataset, contract=replace(contract, policy=replace(contract.policy,
                                                                       history=3)))
    with pytest.raises(CheckpointError, match='build the dataset'):
        with_doubt(run, other, STOP)
    edited = replace(run, config=replace(run.config, edit={'remove': ['left', 'right'],
                                                           'data': {'seeds': []}}))
    with pytest.raises(DatasetError, match='no training episode of a mode that the policy keeps'):
        with_doubt(edited, dataset, STOP)


def test_the_threshold_is_the_rank_of_split_conformal_prediction() -> None:
    scores = [float(i) for i in range(1, 20)]
    assert threshold_of(scores[::-1], 0.05) == 19.0
    assert threshold_of([float(i) for i in range(1, 501)], 0.05) == 476.0
    with pytest.raises(ModelError, match='expected at least 19 episodes.*got 18'):
        threshold_of(scores[:18], 0.05)


def test_the_stated_rate_of_false_alarms_holds() -> None:
    rng = np.random.default_rng(0)
    rates = [float((rng.exponential(size=200) > threshold_of(rng.exponential(size=99), 0.1)
                    ).mean()) for _ in range(400)]
    assert 0.09 < np.mean(rates) <= 0.105


def test_the_export_of_a_run_that_should_ask_is_refused_and_says_what_to_do(
        doubting: tuple[Run, DoubtRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checkpoint, 'load_run', lambda _: doubting[0])
    path = tmp_path / 'policy.onnx'
    assert main(['export', 'run', '--out', str(path)]) == 2
    assert 'make it with uncloning doubt' in capsys.readouterr().err and not path.exists()


def test_a_file_gets_the_deployment_part_of_another_robot_and_stays_the_same_policy(
        doubting: tuple[Run, DoubtRecord], doubting_onnx: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    run, record = doubting
    graph = graph_sha256(doubting_onnx.read_bytes())
    model, robot, out = (tmp_path / name for name in ('asking.onnx', 'mine.yaml', 'mine.onnx'))
    export(run, model, (7,), replace(record, calibration=Calibration(
        2.0, 0.2, 0.05, 500, graph, 'toy')), (5, 6))
    words = ['export', str(model), '--contract', str(robot), '--out']

    def given(**changes: object) -> None:
        contract = run.config.contract
        robot.write_text(json.dumps({'schema': 'uncloning/contract@1', **plain(replace(
            contract, deployment=replace(contract.deployment, **changes)))}))

    given()
    assert main([*words, str(tmp_path / 'same.onnx')]) == 0
    assert (tmp_path / 'same.onnx').read_bytes() == model.read_bytes()
    given(command_rate_hz=200.0)
    assert main([*words, str(out), '--development-seeds', '8:10']) == 0
    found = load_policy(out)
    assert found.sha256 in capsys.readouterr().out
    assert found.contract.deployment == load_contract(robot).deployment
    assert found.doubt == load_policy(model).doubt
    assert found.metadata['seeds'] | {'development': [7]} == load_policy(model).metadata['seeds']
    assert found.metadata['seeds']['development'] == [7, 8, 9]
    assert graph_sha256(out.read_bytes()) == graph
    capsys.readouterr()
    given(doubt=None)
    assert main([*words, str(tmp_path / 'silent.onnx')]) == 0
    assert 'nothing stops for it' in ' '.join(capsys.readouterr().out.split())
    slower = replace(run.config.contract, policy=replace(run.config.contract.policy, rate_hz=31.0))
    robot.write_text(json.dumps({'schema': 'uncloning/contract@1', **plain(replace(
        slower, deployment=replace(slower.deployment, command_rate_hz=31.0)))}))
    assert main([*words, str(tmp_path / 'never.onnx')]) == 2
    assert f'{model} with the deployment part' in ' '.join(capsys.readouterr().err.split())
    given(doubt=DoubtStop(0.1))
    assert main([*words, str(tmp_path / 'hasty.onnx')]) == 2
    assert 'expected at least 0.2 s' in capsys.readouterr().err


def test_a_run_is_exported_for_another_robot(mixed_dir: Path, tmp_path: Path) -> None:
    contract = load_run(mixed_dir).config.contract
    robot = tmp_path / 'mine.yaml'
    robot.write_text(json.dumps({'schema': 'uncloning/contract@1', **plain(replace(
        contract, deployment=replace(contract.deployment, command_rate_hz=200.0)))}))
    assert main(['export', str(mixed_dir), '--contract', str(robot), '--out',
                 str(tmp_path / 'mine.onnx')]) == 0
    assert load_policy(tmp_path / 'mine.onnx').contract.deployment.command_rate_hz == 200.0
