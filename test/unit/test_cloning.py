# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cloning gives every mode of the demonstrations, repeats exactly, and goes on exactly."""

import csv
import dataclasses
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from learning_toys import partly_labelled, shares, toy_config, toy_dataset, train_toy
from safetensors.torch import load_file

from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError
from uncloning_ros.learning import checkpoint, cloning


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / 'weights.safetensors')


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_cloning_from_two_modes_gives_both_and_little_between(
        dataset: Dataset, mixed_dir: Path) -> None:
    found = shares(checkpoint.load_run(mixed_dir).policy, dataset)
    assert min(found['left'], found['right']) > 0.3, found
    assert found['between'] < 0.1, found


def test_only_modes_gives_that_mode_alone(dataset: Dataset, tmp_path: Path) -> None:
    train_toy(dataset, tmp_path / 'run', 200, only_modes=('left',))
    found = shares(checkpoint.load_run(tmp_path / 'run').policy, dataset)
    assert found['left'] > 0.98, found


def test_same_seed_gives_the_same_weights_and_another_seed_others(
        dataset: Dataset, tmp_path: Path) -> None:
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        train_toy(dataset, tmp_path / name, 20, seed=seed)
    assert _same(_weights(tmp_path / 'a'), _weights(tmp_path / 'b'))
    assert not _same(_weights(tmp_path / 'a'), _weights(tmp_path / 'c'))


@pytest.mark.parametrize('stop', [1, 10, 19])
def test_ctrl_c_and_resume_give_the_weights_of_a_straight_run(
        dataset: Dataset, tmp_path: Path, stop: int) -> None:
    config = train_toy(dataset, tmp_path / 'straight', 20)
    broken = tmp_path / 'broken'
    broken.mkdir()
    checkpoint.write_config(broken, config)

    result = cloning.train(dataset, broken, config,
                           on_step=lambda step: step == stop and signal.raise_signal(
                               signal.SIGINT))
    assert (result.steps, result.ended) == (stop, False)
    assert not checkpoint.has_ended(broken)
    # A run that an earlier version left unfinished goes on too.
    assert {name.partition('.')[0] for name in load_file(broken / 'resume.safetensors')} == {
        'generator', 'policy', 'average', 'optimizer'}

    result = cloning.train(dataset, broken, config)
    assert (result.steps, result.ended) == (20, True)
    assert _same(_weights(broken), _weights(tmp_path / 'straight'))
    assert not (broken / 'resume.safetensors').exists()


def test_a_run_that_was_killed_goes_on_from_its_last_save(
        dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, '_SAVE_EVERY', 8)
    monkeypatch.setattr(cloning, '_LOG_EVERY', 2)
    config = train_toy(dataset, tmp_path / 'straight', 20)
    broken = tmp_path / 'broken'
    broken.mkdir()
    checkpoint.write_config(broken, config)

    def kill(step: int) -> None:
        if step == 13:
            raise RuntimeError('killed')

    with pytest.raises(RuntimeError, match='killed'):
        cloning.train(dataset, broken, config, on_step=kill)
    cloning.train(dataset, broken, config)
    assert _same(_weights(broken), _weights(tmp_path / 'straight'))

    # Lines that the killed run had written beyond its last save are not there twice.
    def rows(folder: Path) -> list[tuple[str, str, str]]:
        with (folder / 'log.csv').open() as file:
            return [(row['step'], row['loss'], row['validation_loss'])
                    for row in csv.DictReader(file)]

    assert rows(broken) == rows(tmp_path / 'straight')
    assert [row[0] for row in rows(broken)] == [str(step) for step in range(2, 21, 2)]


def test_log_has_falling_loss_and_tensorboard_has_events(
        dataset: Dataset, tmp_path: Path) -> None:
    train_toy(dataset, tmp_path / 'run', 300)
    with (tmp_path / 'run' / 'log.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['step'] for row in rows] == ['100', '200', '300']
    assert float(rows[-1]['loss']) < float(rows[0]['loss'])
    assert float(rows[-1]['validation_loss']) > 0
    assert list((tmp_path / 'run' / 'tensorboard').iterdir())


def test_a_training_warms_up(dataset: Dataset, tmp_path: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloning, '_LOG_EVERY', 1)
    train_toy(dataset, tmp_path / 'run', 40)
    with (tmp_path / 'run' / 'log.csv').open() as file:
        rates = [float(row['learning_rate']) for row in csv.DictReader(file)]
    assert rates[:2] == [1.5e-3, 3e-3]


def test_a_loss_that_is_not_finite_stops_with_a_sentence(
        dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'the loss is \S+ at step \d+.*lower --lr'):
        train_toy(dataset, tmp_path / 'run', 200, learning_rate=1e30)


def test_validation_episodes_are_not_trained_on(dataset: Dataset, tmp_path: Path) -> None:
    # GIVEN two datasets that differ in the actions of validation episodes alone
    changed = dataclasses.replace(dataset, actions=dataset.actions.copy())
    changed.actions[dataset.window_frames('validation')] += 1.0
    for name, data in (('a', dataset), ('b', changed)):
        train_toy(data, tmp_path / name, 5)
    assert _same(_weights(tmp_path / 'a'), _weights(tmp_path / 'b'))


def test_only_modes_trains_on_whole_episodes_whichever_span_their_labels_have(
        dataset: Dataset, tmp_path: Path) -> None:
    partly = partly_labelled(dataset)
    left = partly.frames_of_episodes('train', ['left'])
    # GIVEN datasets that differ in all other episodes, or in one of these outside of its span
    others = dataclasses.replace(partly, actions=partly.actions.copy())
    others.actions[np.setdiff1d(np.arange(len(partly.actions)), left)] += 1.0
    outside = dataclasses.replace(partly, actions=partly.actions.copy())
    outside.actions[np.setdiff1d(left, partly.window_frames('train', ['left']))] += 1.0
    for name, data in (('a', partly), ('b', others), ('c', outside)):
        train_toy(data, tmp_path / name, 5, only_modes=('left',))
    assert _same(_weights(tmp_path / 'a'), _weights(tmp_path / 'b'))
    assert not _same(_weights(tmp_path / 'a'), _weights(tmp_path / 'c'))
    # AND a training on all modes takes every window
    for name, data in (('all', partly), ('labelled', dataset)):
        train_toy(data, tmp_path / name, 5)
    assert _same(_weights(tmp_path / 'all'), _weights(tmp_path / 'labelled'))


class TestCommand:
    """uncloning train."""

    def test_trains_stops_and_resumes(self, data_dir: Path, tmp_path: Path,
                                      capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / 'runs' / 'mixed'
        words = ['train', str(data_dir), '--out', str(out), '--steps', '3', '--threads', '1']
        assert main(words) == 0
        assert '3 steps' in capsys.readouterr().out
        assert checkpoint.load_run(out).config.training.steps == 3

        assert main(words) == 2
        assert 'exists already' in capsys.readouterr().err
        assert main([*words, '--resume']) == 2
        assert 'has ended, at step 3' in capsys.readouterr().err

    def test_ctrl_c_tells_how_to_go_on(self, data_dir: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str],
                                       monkeypatch: pytest.MonkeyPatch) -> None:
        out = tmp_path / 'run'
        train = cloning.train
        monkeypatch.setattr(cloning, 'train', lambda *args: train(
            *args, on_step=lambda step: step == 2 and signal.raise_signal(signal.SIGINT)))
        words = ['train', str(data_dir), '--out', str(out), '--batch-size', '8']
        assert main([*words, '--steps', '4']) == 130
        assert f'uncloning train {data_dir} --out {out} --resume' in capsys.readouterr().out

        monkeypatch.undo()
        assert main([*words, '--resume', '--seed', '7']) == 2
        assert 'was begun with --seed 0, got 7' in capsys.readouterr().err
        assert main([*words, '--resume']) == 0
        assert checkpoint.load_run(out).config.training.steps == 4

    def test_ctrl_c_before_the_first_step_tells_how_to_go_on(
            self, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
            monkeypatch: pytest.MonkeyPatch) -> None:
        out = tmp_path / 'run'
        monkeypatch.setattr(cloning, 'train', lambda *_: signal.raise_signal(signal.SIGINT))
        words = ['train', str(data_dir), '--out', str(out)]
        assert main([*words, '--batch-size', '8', '--steps', '2']) == 130
        assert f'uncloning train {data_dir} --out {out} --resume' in capsys.readouterr().out
        monkeypatch.undo()
        assert main([*words, '--resume']) == 0

    def test_refuses_to_resume_on_other_data(self, dataset: Dataset, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / 'run'
        out.mkdir()
        checkpoint.write_config(out, toy_config(dataset, 10))
        toy_dataset(tmp_path / 'other', seed=9)
        assert main(['train', str(tmp_path / 'other'), '--out', str(out), '--resume']) == 2
        assert 'begun on the dataset with sha256' in capsys.readouterr().err

    @pytest.mark.parametrize(('words', 'sentence'), [
        (['--only-modes', 'lefft'], "unknown mode 'lefft' (did you mean 'left'?)"),
        (['--resume'], 'is not a training run'),
    ])
    def test_bad_input_gets_a_sentence_and_leaves_nothing(
            self, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
            words: list[str], sentence: str) -> None:
        out = tmp_path / 'run'
        assert main(['train', str(data_dir), '--out', str(out), *words]) == 2
        assert sentence in capsys.readouterr().err
        assert not out.exists()

    def test_modes_without_episodes_are_refused(self, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
        toy_dataset(tmp_path / 'data', modes=('left',), episodes=5)
        out = tmp_path / 'run'
        assert main(['train', str(tmp_path / 'data'), '--out', str(out),
                     '--only-modes', 'right']) == 2
        assert 'no training episode of mode right' in capsys.readouterr().err
        assert not out.exists()

    @pytest.mark.parametrize('steps', ['1', '50'])
    def test_a_loss_that_is_not_finite_leaves_nothing(
            self, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
            steps: str) -> None:
        assert main(['train', str(data_dir), '--out', str(tmp_path / 'runs' / 'run'), '--lr',
                     '1e30', '--steps', steps, '--batch-size', '8', '--threads', '1']) == 2
        assert 'a lower --lr than 1e+30' in capsys.readouterr().err
        assert not list((tmp_path / 'runs').iterdir())

    def test_missing_dataset_gets_a_sentence(self, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
        assert main(['train', str(tmp_path / 'no'), '--out', str(tmp_path / 'run')]) == 2
        assert 'make a dataset with uncloning dataset' in capsys.readouterr().err
