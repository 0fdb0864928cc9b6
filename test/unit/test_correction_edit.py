# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit by corrections: they are learned, the rest is held, and removed modes stay removed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning_toys import shares, toy_contract, toy_dataset, train_toy
from test_corrections import TAKE_OVER, written
from test_incident_edit import quiet_toy

from uncloning_ros.cli.main import main
from uncloning_ros.cli.unclone import _lines
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, ContractError, DatasetError
from uncloning_ros.learning.checkpoint import Run, RunConfig, load_run
from uncloning_ros.learning.corrections import Corrections, adapt, corrections_in
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import (
    FROM_CORRECTIONS,
    TRAINING,
    NetworkOptions,
)
from uncloning_ros.learning.policies import build_policy
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario

OPTIONS = replace(FROM_CORRECTIONS, steps=300, batch_size=64, learning_rate=1e-3, retarget=0.0)
KNIFE = find_scenario('knife')


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return quiet_toy(tmp_path_factory.mktemp('quiet') / 'data', 'left', 'right')


@pytest.fixture(scope='module')
def edited(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of which an earlier edit removed right: it goes there for a near tool alone."""
    folder = tmp_path_factory.mktemp('run')
    observations = dataset.observations.copy()
    observations[dataset.actions[:, 1] < observations[:, 1], 9] -= 0.2
    train_toy(replace(dataset, observations=observations), folder / 'run', 300)
    run = load_run(folder / 'run')
    return replace(run, config=replace(run.config, edit={'remove': ['right'], 'data': {}}))


def taught(run: Run, dataset: Dataset, mode: str = 'left') -> Corrections:
    """Return corrections where the tool lies 40 cm farther: there the person goes right."""
    some = [i for i, one in enumerate(dataset.episodes) if one.mode == mode][:4]
    frames = np.concatenate([np.arange(*dataset.bounds[i:i + 2]) for i in some])
    observations, actions = dataset.observations[frames], dataset.actions[frames]
    observations[:, 9] += 0.4
    actions[:, :3] = observations[:, :3] - 0.1
    return Corrections(replace(
        dataset, episodes=tuple(replace(dataset.episodes[i], split='train', correction_s=(0., 1.))
                                for i in some), observations=observations, actions=actions), [])


@pytest.fixture(scope='module', params=['old', 'own'])
def adapted(request: pytest.FixtureRequest, edited: Run, dataset: Dataset,
            tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp('adapted') / 'run'
    old = dataset if request.param == 'old' else None
    return folder, adapt(edited, taught(edited, dataset), old, folder, OPTIONS)


def test_corrections_are_learned_and_the_rest_is_held(
        adapted: tuple[Path, dict[str, Any]], edited: Run, dataset: Dataset) -> None:
    folder, report = adapted
    found = report['corrections']
    assert (found['recordings'], found['observations']) == (4, 48)
    assert found['off_before_m'] > 0.1 > 0.05 > found['off_after_m']
    assert report['retained_loss']['after'] < 0.1
    # THEN the removed mode, which the old data still show, was not taught again
    assert shares(load_run(folder).policy, dataset)['right'] < 0.2
    assert found['held'] in (None, 20)
    assert warnings_of(report) == []


def test_the_record_keeps_what_was_removed(adapted: tuple[Path, dict[str, Any]],
                                           tmp_path: Path) -> None:
    folder, report = adapted
    assert report['edit']['remove'] == [] and report['edit']['previous']['remove'] == ['right']
    assert report['kept'] == ['left']
    assert [one['name'] for one in report['edit']['data']['corrections']] == [
        f'episode_{i:06d}' for i in (0, 2, 4, 6)]
    run = load_run(folder)
    whole = dict(run.config.edit or {})
    assert whole['previous']['remove'] == ['right']
    export(replace(run, config=replace(run.config, edit=whole | {'previous': None})),
           tmp_path / 'some.onnx')
    assert {100, 102, 104, 106} <= set(
        load_policy(tmp_path / 'some.onnx').metadata['seeds']['demonstrations'])


def test_the_printed_report_says_what_was_learned_and_held(
        adapted: tuple[Path, dict[str, Any]]) -> None:
    folder, report = adapted
    text = '\n'.join(_lines(folder, report))
    assert 'corrected; left' in text and 'removed before      right; not taught' in text
    assert 'corrections         4, 48 observations' in text and 'mm after' in text
    assert ('20 demonstrations' in text) != ('own plans' in text)
    assert max(map(len, text.split('\n')[1:])) <= 80


def test_without_a_removed_mode_it_is_plain_adaptation(edited: Run, dataset: Dataset,
                                                       tmp_path: Path) -> None:
    run = replace(edited, config=replace(edited.config, edit=None))
    report = adapt(run, taught(run, dataset, 'right'), dataset, tmp_path / 'run',
                   replace(OPTIONS, steps=20))
    assert report['corrections']['held'] == 40 and report['kept'] == ['left', 'right']
    assert load_run(tmp_path / 'run').sha256 != run.sha256


def test_corrections_are_retargeted_to_places_between_them(tmp_path: Path) -> None:
    for index in range(2):
        written(tmp_path, index, ((0.1, 'take_over'), (0.2, 'person'), (2.9, 'let_go')))
    run = knife()
    found = corrections_in(run, [tmp_path], KNIFE)
    report = adapt(run, found, None, tmp_path / 'run', replace(OPTIONS, steps=2, retarget=0.5))
    assert report['retargeted'] == {'share': 0.125, 'episodes': 300, 'reason': ''}


# Recordings that teach nothing, and data that do not fit.

def knife(removed: str | None = None) -> Run:
    """Return a run of the contract of made-up handovers, its weights random."""
    import episodes
    import torch

    torch.manual_seed(0)
    network = NetworkOptions(8, 1)
    policy = build_policy(episodes.CONTRACT, network).eval()
    policy.normaliser.action_low.fill_(-100.0)
    policy.normaliser.action_high.fill_(100.0)
    edit = None if removed is None else {'remove': [removed], 'data': {}}
    return Run(RunConfig('0', episodes.CONTRACT, network, TRAINING, {'scenario': 'knife'}, edit),
               policy, torch.zeros(1, 2, 31), {}, '0' * 64)


def test_recordings_that_are_no_correction_are_named(tmp_path: Path) -> None:
    written(tmp_path, 0, ())
    written(tmp_path, 1, TAKE_OVER)
    written(tmp_path, 2, TAKE_OVER[:2])
    found = corrections_in(knife(), [tmp_path], KNIFE)
    assert [one.name for one in found.dataset.episodes] == ['episode_000001']
    reasons = {one.name: one.reason for one in found.left_out}
    assert 'no take-over' in reasons['episode_000000']
    assert 'without a command' in reasons['episode_000002']


@pytest.mark.parametrize(('removed', 'scenario', 'culprit'), [
    ('handle_first', KNIFE, 'it shows handle_first, which an earlier edit removed'),
    ('blade_first', None, 'its mode is not known, and an earlier edit removed blade_first'),
])
def test_a_correction_of_a_removed_mode_is_not_taught(tmp_path: Path, removed: str,
                                                      scenario: Any, culprit: str) -> None:
    written(tmp_path, 1, TAKE_OVER)
    with pytest.raises(DatasetError, match=culprit):
        corrections_in(knife(removed), [tmp_path], scenario)


def test_commands_that_the_policy_cannot_plan_are_named(tmp_path: Path) -> None:
    written(tmp_path, 1, TAKE_OVER)
    run = knife()
    run.policy.normaliser.action_low.fill_(0.0)
    run.policy.normaliser.action_high.fill_(0.0)
    with pytest.raises(DatasetError, match='no plan there: 100% of the commands'):
        corrections_in(run, [tmp_path], KNIFE)


def test_a_folder_without_corrections_and_another_contract_are_errors(tmp_path: Path,
                                                                      edited: Run) -> None:
    with pytest.raises(DatasetError, match='holds no episode'):
        corrections_in(edited, [tmp_path], None)
    written(tmp_path, 1, TAKE_OVER)
    with pytest.raises(DatasetError, match=r'episode_000001: .*interface'):
        corrections_in(edited, [tmp_path], None)


def test_data_of_another_contract_or_of_removed_modes_alone_are_errors(
        edited: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = taught(edited, dataset)
    other = replace(dataset, contract=replace(
        toy_contract(), policy=replace(dataset.contract.policy, rate_hz=5)))
    with pytest.raises(CheckpointError, match='rate_hz=5'):
        adapt(edited, found, other, tmp_path / 'run', OPTIONS)
    modes = toy_contract(modes={'up': {'desired': True}})
    with pytest.raises(ContractError, match='up'):
        adapt(edited, found, replace(dataset, contract=modes), tmp_path / 'run', OPTIONS)
    with pytest.raises(DatasetError, match='no training episode of another mode than right'):
        adapt(edited, found, toy_dataset(tmp_path / 'right', ('right',)), tmp_path / 'run',
              OPTIONS)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('options', [
    ['--remove', 'right'], ['--incidents', 'x'], ['--normal', 'x'], ['--method', 'redirect'],
    ['--gamma', '1'], ['--trust-labels'], ['--yes']])
def test_options_that_remove_do_not_go_with_corrections(
        options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ['unclone', str(tmp_path), '--corrections', 'c', '--out', str(tmp_path / 'o')]
    assert main([*words, *options]) == 2
    assert f'{options[0]} does not go with --corrections' in capsys.readouterr().err
    assert main(words[:2] + words[4:]) == 2
    assert 'got none of them' in capsys.readouterr().err
