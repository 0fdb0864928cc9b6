# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit by recordings of incidents alone: the policy's other plans, and what becomes of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import incidents
import numpy as np
import pytest
import torch
from learning_toys import FRAMES, shares, toy_contract, toy_dataset, train_toy

from uncloning_ros.audit.audited import identity_of
from uncloning_ros.cli.main import main
from uncloning_ros.cli.unclone import _lines
from uncloning_ros.contract import Contract
from uncloning_ros.demos.bags.labels import Label, add_label
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import (
    BagError,
    CheckpointError,
    ContractError,
    DatasetError,
    IncidentError,
)
from uncloning_ros.learning.checkpoint import Run, RunConfig, load_run
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.export import export
from uncloning_ros.learning.forks import ForkFinder
from uncloning_ros.learning.incidents import Shown, shown_by, unclone_incidents
from uncloning_ros.learning.options import FROM_INCIDENTS, TRAINING, NetworkOptions
from uncloning_ros.learning.policies import Policy, build_policy
from uncloning_ros.learning.recordings import Recording, recordings_in
from uncloning_ros.learning.windows import Windows, windows_of_frames
from uncloning_ros.runtime.incident import Event, write_incident
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario

OPTIONS = replace(FROM_INCIDENTS, remove=('right',), steps=300, batch_size=64, learning_rate=1e-3)
KNIFE = find_scenario('knife')


def quiet_toy(folder: Path, *modes: str) -> Dataset:
    """Return the toy dataset with ways apart along all axes, and no noise of the commands."""
    found = toy_dataset(folder, modes)
    ways = [0.1 if one.mode == 'left' else -0.1 for one in found.episodes for _ in range(FRAMES)]
    actions = found.actions.copy()
    actions[:, :3] = found.observations[:, :3] + np.array(ways)[:, None]
    return replace(found, actions=actions)


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return quiet_toy(tmp_path_factory.mktemp('quiet') / 'data', 'left', 'right')


@pytest.fixture(scope='module')
def mixed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp('quiet_run') / 'mixed'
    train_toy(dataset, folder, 1500)
    return load_run(folder)


def recorded(run: Run, dataset: Dataset, mode: str, count: int) -> list[Recording]:
    """Return the first episodes of a mode of the toy dataset as recordings."""
    found = [i for i, one in enumerate(dataset.episodes) if one.mode == mode][:count]
    return [Recording(dataset.episodes[i].name, windows_of_frames(
        run.policy.normaliser, dataset, np.arange(dataset.bounds[i], dataset.bounds[i + 1]), None),
        mode, dataset.episodes[i].digest, 100 + i) for i in found]


FOUR = {'left_up': True, 'left_down': False, 'right_up': False, 'right_down': False}


@pytest.fixture(scope='module')
def two_decisions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Dataset]:
    """Return a run of a task with two decisions, and its dataset.

    The tool goes left or right at first, and up or down after the sixth frame, when the object
    comes.
    """
    folder = tmp_path_factory.mktemp('four')
    contract = toy_contract(modes={mode: {'desired': desired} for mode, desired in FOUR.items()})
    found = toy_dataset(folder / 'data', tuple(FOUR), 80, contract)
    observations, actions = found.observations.copy(), found.actions.copy()
    for i, one in enumerate(found.episodes):
        assert one.mode is not None
        rows = slice(*found.bounds[i:i + 2])
        side = np.array([1, 1, 1]) * (1 if 'left' in one.mode else -1)
        height = np.array([1, -1, 1]) * (1 if 'up' in one.mode else -1)
        late = np.arange(FRAMES)[:, None] >= 6
        observations[rows, 9:10] += 0.3 * late
        observations[rows, :3] += 0.3 * side * (np.arange(FRAMES)[:, None] >= 2)
        observations[rows, :3] += 0.3 * height * (np.arange(FRAMES)[:, None] >= 8)
        actions[rows, :3] = observations[rows, :3] + 0.1 * np.where(late, height, side)
    found = replace(found, observations=observations, actions=actions)
    train_toy(found, folder / 'mixed', 1500)
    return load_run(folder / 'mixed'), found


def decided(policy: Policy, dataset: Dataset) -> tuple[float, float]:
    """Return the share of plans that go right at the start, and that go down, later, on the left.
    """
    found = []
    lefts = [i for i, one in enumerate(dataset.episodes) if one.mode and 'left' in one.mode]
    for frame, axis in ((0, 0), (6, 2)):
        frames = dataset.bounds[lefts] + frame
        plans = policy.draw(windows_of_frames(policy.normaliser, dataset, frames).conditions, 16,
                            torch.Generator().manual_seed(1)).flatten(0, 1)
        observations = torch.as_tensor(dataset.gather(frames)[0]).repeat_interleave(16, 0)
        chunks = policy.normaliser.restore(observations, plans)
        found.append(float((chunks[:, 0, axis] < observations[:, -1, axis]).float().mean()))
    return found[0], found[1]


def test_another_unwanted_mode_gains_nothing_from_an_edit(
        two_decisions: tuple[Run, Dataset], tmp_path: Path) -> None:
    run, dataset = two_decisions
    downs = recorded(run, dataset, 'left_down', 5)
    # GIVEN a policy whose incidents and normal operation both go left at first, as half its plans
    found = shown_by(run, downs, recorded(run, dataset, 'left_up', 5), ())
    assert (found.remove, found.kept) == (('left_down',), ('left_up',))
    report = unclone_incidents(run, found, tmp_path / 'run', OPTIONS)
    (right, down), (right_after, down_after) = (
        decided(policy, dataset) for policy in (run.policy, load_run(tmp_path / 'run').policy))
    assert right > 0.3 and down > 0.3, (right, down)
    assert down_after < 0.03, down_after
    assert right_after < right + 0.05, right_after
    assert any('shows right_up, right_down still' in one for one in warnings_of(report))


def test_of_several_other_modes_normal_operation_has_to_show_the_wanted_one(
        two_decisions: tuple[Run, Dataset], tmp_path: Path) -> None:
    run, dataset = two_decisions
    downs = recorded(run, dataset, 'left_down', 3)
    for normal in ([], recorded(run, dataset, 'right_up', 3)):
        with pytest.raises(DatasetError, match='with --normal: recordings of left_up'):
            shown_by(run, downs, normal, ())
    # GIVEN normal operation that did as the incidents
    same = [replace(one, mode=None) for one in downs]
    with pytest.raises(CheckpointError, match='what normal operation shows; give more of that'):
        unclone_incidents(run, shown_by(run, downs, same, ()), tmp_path / 'run', OPTIONS)
    # GIVEN a run whose edits before have left two modes
    edit = {'remove': ['right_up', 'right_down']}
    later = replace(run, config=replace(run.config, edit=edit))
    assert shown_by(later, downs, [], ()).undesired == ()


def shown(run: Run, dataset: Dataset, count: int = 5, normal: int = 0) -> Shown:
    return shown_by(run, recorded(run, dataset, 'right', count),
                    recorded(run, dataset, 'left', normal), ('right',))


@pytest.fixture(scope='module')
def edited(mixed: Run, dataset: Dataset,
           tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp('incident') / 'run'
    return folder, unclone_incidents(mixed, shown(mixed, dataset, normal=2), folder, OPTIONS)


def test_from_incidents_alone_the_mode_is_gone(mixed: Run, dataset: Dataset,
                                               tmp_path: Path) -> None:
    unclone_incidents(mixed, shown(mixed, dataset), tmp_path / 'run', OPTIONS)
    before, after = (shares(policy, dataset)
                     for policy in (mixed.policy, load_run(tmp_path / 'run').policy))
    assert before['right'] > 0.3, before
    assert after['right'] < 0.02, after
    assert after['left'] > 0.9, after


def test_report_says_what_was_seen_and_done(edited: tuple[Path, dict[str, Any]]) -> None:
    _, report = edited
    found = report['incidents']
    assert (found['recordings'], found['normal'], found['observations']) == (5, 2, 5 * 12)
    assert report['kept'] == ['left']
    assert found['removed_before'] > 0.3
    assert found['removed_after'] < 0.02
    assert found['without_choice'] == []
    assert warnings_of(report) == []


def test_figures_are_of_recordings_that_the_edit_did_not_learn_from(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    found = shown(mixed, dataset, normal=5)
    reports = []
    for i in range(3):
        # GIVEN the same recordings, but for one that is held out
        incident, normal = found.incidents[-1], found.normal[-1]
        moved = replace(normal.windows, conditions=normal.windows.conditions + 0.1 * (i == 1))
        other = incident.windows.conditions.clone()
        other[-3:] += 1.0 * (i == 2)
        reports.append(unclone_incidents(mixed, replace(
            found, normal=[*found.normal[:-1], replace(normal, windows=moved)],
            incidents=[*found.incidents[:-1], replace(incident, windows=replace(
                incident.windows, conditions=other))]), tmp_path / f'{i}', OPTIONS))
    runs = [load_run(tmp_path / f'{i}').sha256 for i in range(3)]
    assert runs == [runs[0]] * 3
    assert reports[1]['retained_loss'] != reports[0]['retained_loss']
    assert reports[2]['incidents'] != reports[0]['incidents']
    lines = '\n'.join(_lines(tmp_path, reports[0]))
    assert 'held-out choices' in lines and '5 recordings, 1 held out' in lines


def test_where_nothing_is_held_out_the_command_says_so(mixed: Run, dataset: Dataset,
                                                       tmp_path: Path) -> None:
    report = unclone_incidents(mixed, shown(mixed, dataset, 4, 4), tmp_path / 'run',
                               replace(OPTIONS, steps=2))
    lines = '\n'.join(_lines(tmp_path / 'run', report))
    assert 'choices it learned from' in lines and 'retained loss       not measured' in lines
    assert any('at these incidents' in one for one in warnings_of(report))


def test_record_travels_to_the_exported_file(edited: tuple[Path, dict[str, Any]],
                                             tmp_path: Path) -> None:
    folder, report = edited
    assert [one['name'] for one in report['edit']['data']['incidents']] == [
        f'episode_{i:06d}' for i in (1, 3, 5, 7, 9)]
    export(load_run(folder), tmp_path / 'some.onnx')
    policy = load_policy(tmp_path / 'some.onnx')
    assert {101, 103, 100, 102} <= set(policy.metadata['seeds']['demonstrations'])
    assert identity_of(policy, tmp_path / 'some.onnx').modes_removed == ('right',)


def test_recordings_of_one_name_are_both_on_record(mixed: Run, dataset: Dataset,
                                                   tmp_path: Path) -> None:
    found = shown(mixed, dataset, 2)
    alike = replace(found, incidents=[replace(one, name='same') for one in found.incidents])
    report = unclone_incidents(mixed, alike, tmp_path / 'run', replace(OPTIONS, steps=2))
    recorded_as = report['edit']['data']['incidents']
    assert [one['name'] for one in recorded_as] == ['same', 'same']
    assert len({one['sha256'] for one in recorded_as}) == 2


def test_the_same_recordings_give_the_same_weights(mixed: Run, dataset: Dataset,
                                                   tmp_path: Path) -> None:
    runs = []
    for name in ('one', 'two'):
        unclone_incidents(mixed, shown(mixed, dataset, 3), tmp_path / name,
                          replace(OPTIONS, steps=20))
        runs.append(load_run(tmp_path / name).sha256)
    assert runs[0] == runs[1] != mixed.sha256


def test_a_policy_without_a_choice_is_refused_and_nothing_is_written(
        tmp_path: Path) -> None:
    dataset = quiet_toy(tmp_path / 'data', 'right')
    train_toy(dataset, tmp_path / 'run', 800)
    run = load_run(tmp_path / 'run')
    with pytest.raises(CheckpointError, match='no choice: at none of 60 observations'):
        unclone_incidents(run, shown(run, dataset), tmp_path / 'out', OPTIONS)
    assert not list(tmp_path.glob('out*'))


def test_an_incident_without_a_choice_is_named(mixed: Run, dataset: Dataset,
                                               tmp_path: Path) -> None:
    found = shown(mixed, dataset, 3)
    # GIVEN a recording of a place that the policy does not know, where all of its plans are alike
    far = Windows(torch.full_like(found.incidents[0].windows.conditions, 5.0),
                  found.incidents[0].windows.clean)
    found = replace(found, incidents=[replace(found.incidents[0], name='far', windows=far),
                                      *found.incidents[1:]])
    report = unclone_incidents(mixed, found, tmp_path / 'run', replace(OPTIONS, steps=10))
    assert report['incidents']['without_choice'] == ['far']
    assert any('far' in warning for warning in warnings_of(report))


def test_what_is_left_of_the_mode_and_what_was_left_out_are_warnings(
        edited: tuple[Path, dict[str, Any]]) -> None:
    _, report = edited
    worse = report | {'incidents': report['incidents'] | {
        'removed_after': 0.2, 'left_out': [{'name': 'b', 'reason': 'it shows left'}]}}
    left, still = warnings_of(worse)
    assert 'b: it shows left' in left
    assert '20.0%' in still


# Which modes recordings show.

def of_modes(mixed: Run, dataset: Dataset, *modes: str | None) -> list[Recording]:
    one = recorded(mixed, dataset, 'right', 1)[0]
    return [replace(one, name=f'take_{i}', mode=mode) for i, mode in enumerate(modes)]


def test_undesired_modes_among_the_labels_go(mixed: Run, dataset: Dataset) -> None:
    for modes in ((None,), ('right',), (None, 'right')):  # no label means an incident
        found = shown_by(mixed, of_modes(mixed, dataset, *modes), [], ())
        assert (found.remove, found.kept, len(found.incidents)) == (('right',), ('left',),
                                                                    len(modes))


def test_incidents_of_a_kept_mode_are_left_out_and_alone_an_error(mixed: Run,
                                                                  dataset: Dataset) -> None:
    for other in ('right', None):
        found = shown_by(mixed, of_modes(mixed, dataset, 'left', other), [], ())
        assert found.remove == ('right',)
        assert [one.name for one in found.incidents] == ['take_1']
        assert [one.name for one in found.left_out] == ['take_0']
    for remove in ((), ('right',)):
        with pytest.raises(DatasetError, match='take_0 shows left, which is not removed'):
            shown_by(mixed, of_modes(mixed, dataset, 'left'), [], remove)


def test_normal_operation_in_a_removed_mode_is_left_out(mixed: Run, dataset: Dataset) -> None:
    incident = of_modes(mixed, dataset, 'right')
    found = shown_by(mixed, incident, of_modes(mixed, dataset, 'left', 'right', None), ())
    assert [one.mode for one in found.normal] == ['left', None]
    assert [one.name for one in found.left_out] == ['take_1']


def test_modes_that_cannot_be_removed_are_refused(mixed: Run, dataset: Dataset) -> None:
    one = of_modes(mixed, dataset, None)
    with pytest.raises(ContractError, match='sideways'):
        shown_by(mixed, one, [], ('sideways',))
    with pytest.raises(CheckpointError, match='no desired mode of the contract would be kept'):
        shown_by(mixed, one, [], ('left', 'right'))
    contract = toy_contract(modes={'left': {'desired': True}, 'right': {'desired': False},
                                   'up': {'desired': False}})
    other = replace(mixed, config=replace(mixed.config, contract=contract))
    with pytest.raises(DatasetError, match='contract has 2; name the mode'):
        shown_by(other, one, [], ())


# Forks.

class TwoWays(Policy):
    """A policy whose plans are `apart` in all values of the arm where a condition is above 0."""

    def __init__(self, contract: Contract, apart: float, width: float = 0.0) -> None:
        super().__init__(contract.interface, contract.policy)
        self._apart, self._width = apart, width

    def losses(self, windows: Windows, picks: torch.Tensor,
               generator: torch.Generator) -> torch.Tensor:
        raise NotImplementedError

    predicted = losses  # type: ignore[assignment]

    def plan(self, conditions: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        side = ((noise[:, :1] > 0) & (conditions[:, :1] > 0)).float()
        chunks = 0.1 * noise.view(len(noise), -1, 10)
        chunks = chunks + side[:, None] * torch.tensor([self._apart] * 9 + [self._width])
        return chunks.flatten(1)


def recordings_of(contract: Contract) -> list[Windows]:
    """Return three recordings of six windows; at the second and third the policy decides."""
    conditions = torch.full((6, 18 * 2 + 6), -1.0)
    conditions[1:3] = 1.0
    far = torch.linspace(0, 5, 6)[:, None] * torch.ones(40)
    return [Windows(conditions.clone(), torch.where(conditions[:, :1] > 0, 0.0, far))] * 3


def test_forks_are_where_the_plans_part_and_the_recorded_plan_is_known() -> None:
    contract = toy_contract()
    finder = ForkFinder(TwoWays(contract, 1.0), contract.interface, contract.policy,
                        torch.Generator().manual_seed(0))
    forks, parted = finder.forks(recordings_of(contract))
    assert forks.tick.tolist() == [1, 2] * 3
    assert forks.recording.tolist() == [0, 0, 1, 1, 2, 2]
    assert torch.equal(forks.other, forks.plans[:, :, 0] > 0.5)
    assert len(parted.plans) == 18
    assert forks.first_runs(3) == [[0, 1], [2, 3], [4, 5]]
    assert len(finder.blended(forks, forks.first_runs(3), 20, 1.0)) == 20
    assert len(finder.blended(forks, forks.first_runs(2), 20, 1.0)) == 0


def test_widths_do_not_part_plans() -> None:
    contract = toy_contract()
    finder = ForkFinder(TwoWays(contract, 0.0, width=9.0), contract.interface, contract.policy,
                        torch.Generator().manual_seed(0))
    assert not len(finder.forks(recordings_of(contract))[0].tick)


# Recordings.

@pytest.fixture(scope='module')
def knife() -> Run:
    """Return a run of the contract of made-up handovers, its weights random."""
    torch.manual_seed(0)
    network = NetworkOptions(8, 1)
    policy = build_policy(episodes.CONTRACT, network).eval()
    return Run(RunConfig('0', episodes.CONTRACT, network, TRAINING, {'scenario': 'knife'}), policy,
               torch.zeros(1, 2, 31), {}, '0' * 64)


def test_bags_are_read_with_their_label_or_by_the_rule(knife: Run, tmp_path: Path) -> None:
    for i, presented in enumerate((episodes.HANDLE_FIRST, episodes.BLADE_FIRST,
                                   episodes.BLADE_FIRST)):
        path = episodes.write(tmp_path / f'{i}', episodes.handover(presented))
        path.rename(tmp_path / f'take_{i}')
    add_label(tmp_path / 'take_2', Label('handle_first', 'operator', 1.0,
                                         '2026-01-01T00:00:00+00:00', 'Ada'),
              episodes.CONTRACT.interface)
    found, left_out = recordings_in(knife, [tmp_path], KNIFE)
    assert [(one.name, one.mode) for one in found] == [
        ('take_0', 'handle_first'), ('take_1', 'blade_first'), ('take_2', 'handle_first')]
    assert not left_out
    assert all(one.seed == 100 for one in found)


def test_a_bag_of_another_contract_is_named(mixed: Run, handover: Path) -> None:
    with pytest.raises(DatasetError, match=f'{handover.name}.*interface'):
        recordings_in(mixed, [handover], KNIFE)


@pytest.fixture(scope='module')
def node_run() -> Run:
    contract, network = incidents.CONTRACT, NetworkOptions(8, 1)
    return Run(RunConfig('0', contract, network, TRAINING, {'scenario': 'knife'}),
               build_policy(contract, network).eval(),
               torch.zeros(1, *incidents.Function.observation_shape), {}, '0' * 64)


def incident_file(run: Run, folder: Path, **changes: Any) -> Path:
    """Write an incident whose plans are those of a run."""
    some = incidents.incident()
    with torch.no_grad():
        chunks = run.policy(torch.from_numpy(some.observations), torch.from_numpy(some.noises))
    return write_incident(replace(some, **{'chunks': chunks.numpy()} | changes),
                          folder / 'some.npz')


def test_incident_files_are_read(node_run: Run, tmp_path: Path) -> None:
    path = incident_file(node_run, tmp_path, contract_sha256='0' * 64)  # another deployment part
    for source in (path, tmp_path):
        (found,), _ = recordings_in(node_run, [source], KNIFE)
        assert (found.name, found.mode, found.seed, len(found.windows)) == (
            'some.npz', None, None, 4)


def test_of_an_incident_file_only_the_newest_episode_counts(node_run: Run,
                                                            tmp_path: Path) -> None:
    ticks = incidents.incident().ticks_ns
    path = incident_file(node_run, tmp_path, events=(
        Event(int(ticks[0]), 'active', 'planning', 's'),
        Event(int(ticks[1]), 'done', 'released', 's'),
        Event(int(ticks[2]), 'active', 'planning', 's'),
        Event(int(ticks[3]), 'hold', 'stale', 's'),
        Event(int(ticks[4]), 'active', 'policy', 's')))
    (found,), _ = recordings_in(node_run, [path], KNIFE)
    assert len(found.windows) == 3


def test_incident_files_that_do_not_fit_are_refused(mixed: Run, node_run: Run,
                                                    tmp_path: Path) -> None:
    for folder in ('shape', 'policy', 'empty', 'damaged'):
        (tmp_path / folder).mkdir()
    path = incident_file(node_run, tmp_path / 'shape')
    with pytest.raises(IncidentError, match='as the contract of the run has them'):
        recordings_in(mixed, [path], KNIFE)
    path = write_incident(incidents.incident(), tmp_path / 'policy' / 'some.npz')
    with pytest.raises(IncidentError, match='some.onnx .sha256 ffff.*other plans than this run'):
        recordings_in(node_run, [path], KNIFE)
    path = incident_file(node_run, tmp_path / 'empty', answered=np.zeros(5, np.bool_))
    with pytest.raises(IncidentError, match='holds no plan of its newest episode'):
        recordings_in(node_run, [path], KNIFE)
    (tmp_path / 'damaged' / 'some.npz').write_bytes(b'PK\x03\x04')
    with pytest.raises(IncidentError, match='damaged'):
        recordings_in(node_run, [tmp_path / 'damaged'], KNIFE)


def test_places_without_recordings_are_refused(mixed: Run, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DatasetError, match='empty can be used: it holds no bag and no incident'):
        recordings_in(mixed, [tmp_path / 'empty'], KNIFE)
    with pytest.raises(BagError, match='does not exist'):
        recordings_in(mixed, [tmp_path / 'nowhere'], KNIFE)
    with pytest.raises(IncidentError, match='nowhere.npz'):
        recordings_in(mixed, [tmp_path / 'nowhere.npz'], KNIFE)


# The command.

@pytest.mark.parametrize(('given', 'named'), [
    (('--data', 'd'), '--remove'), (('--data', 'd', '--remove', 'right', '--normal', 'n'),
                                    '--normal'),
    (('--data', 'd', '--remove', 'right', '--scenario', 'knife'), '--scenario'),
    (('--incidents', 'i', '--method', 'redirect'),
     '--incidents has one method; leave out --method'),
    (('--incidents', 'i', '--tau', '0.5'), 'leave out --tau'),
    (('--incidents', 'i', '--retarget', '0'), 'leave out --retarget'),
    (('--incidents', 'i', '--trust-labels'), 'leave out --trust-labels'),
    (('--incidents', 'i', '--preferences', 'p'), 'leave out --preferences'),
    (('--data', 'd', '--preferences', 'p', '--sweep'), 'leave out --sweep'),
])
def test_options_that_do_not_go_together_are_named(given: tuple[str, ...], named: str,
                                                   tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['unclone', 'run', *given, '--out', str(tmp_path / 'out')]) == 2
    assert named in ' '.join(capsys.readouterr().err.split())


def test_incidents_and_data_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    words = ['unclone', 'run', '--remove', 'right', '--out', 'out']
    assert main(words) == 2
    texts = [capsys.readouterr().err]
    with pytest.raises(SystemExit, match='2'):
        main([*words, '--data', 'd', '--incidents', 'i'])
    texts.append(capsys.readouterr().err)
    assert all('--data' in text and '--incidents' in text for text in texts)
