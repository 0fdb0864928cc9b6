# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attacks on an edit, each against toys whose answer is known, and the command as a whole."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from audit_models import identity, result
from learning_toys import FRAMES, classified, shares, toy_contract, toy_dataset, train_toy

from uncloning_ros.attack.attack import ATTACKS
from uncloning_ros.attack.fine_tuning import FineTuning, with_demonstrations
from uncloning_ros.attack.options import NAMES, AttackOptions
from uncloning_ros.attack.record import AttackRecord, trial
from uncloning_ros.attack.search import searched, worst_starts
from uncloning_ros.attack.target import Target
from uncloning_ros.audit.audited import AuditedModel
from uncloning_ros.audit.figures.statistics import upper_bound
from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.rollout import NoisyStart
from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import AuditError, UncloningError
from uncloning_ros.learning import mode_classifier
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.edit_record import removed_modes
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import (
    EDIT,
    FINE_TUNE,
    LOCK,
    SELF_DISTILLATION,
    EditOptions,
)
from uncloning_ros.learning.plan_search import PlanSearch
from uncloning_ros.learning.rounding import rounded, write_rounded
from uncloning_ros.learning.uncloning import edit, unclone
from uncloning_ros.policy_io import Observation, chunk_noise
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain, read

OPTIONS = EditOptions(('right',), SELF_DISTILLATION, gamma=0.5, tau=None, retarget=0.0, steps=300,
                      batch_size=64, learning_rate=1e-3, seed=0, threads=1)
FINE_TUNED = replace(OPTIONS, method=FINE_TUNE, gamma=0.0)
# The modes of the scenario `knife`, for the command.
KNIFE = {'handle_first': {'desired': True}, 'blade_first': {'desired': False}}


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


@pytest.fixture(scope='module')
def edited(mixed: Run, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp('edit') / 'run'
    unclone(mixed, dataset, folder, OPTIONS)
    return load_run(folder)


# Rounding


def test_every_channel_has_the_values_of_int8_and_moves_by_half_a_step(mixed: Run) -> None:
    before = dict(mixed.policy.named_parameters())
    for name, after in rounded(mixed.policy).named_parameters():
        weight = before[name]
        if weight.ndim == 1:
            assert torch.equal(after, weight), name
            continue
        step = weight.abs().flatten(1).amax(1, keepdim=True) / 127
        levels = after.flatten(1) / step
        assert torch.allclose(levels, levels.round(), atol=1e-3), name
        assert float(levels.abs().max()) <= 127.001
        assert bool(((after - weight).flatten(1).abs() <= 0.5001 * step).all()), name
        assert not torch.equal(after, weight), name


def test_a_channel_of_zeros_stays_and_rounding_twice_is_rounding_once(mixed: Run) -> None:
    once = rounded(mixed.policy)
    next(weight for weight in once.parameters() if weight.ndim > 1).data[0] = 0.0
    for one, two in zip(once.parameters(), rounded(once).parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-6, atol=0.0)


def test_kernels_of_encoders_are_rounded_channel_by_channel(seen_dir: Path) -> None:
    policy = load_run(seen_dir).policy
    kernel = next(w for w in rounded(policy).eyes.parameters() if w.ndim == 4)
    step = kernel.flatten(1).abs().amax(1, keepdim=True) / 127
    levels = kernel.flatten(1) / step
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    assert len(step.unique()) > 1


def test_a_rounded_run_is_a_run_that_knows_its_edits(edited: Run, dataset: Dataset,
                                                     tmp_path: Path) -> None:
    write_rounded(edited, tmp_path / 'rounding')
    run = load_run(tmp_path / 'rounding')
    assert removed_modes(run.config.edit) == ('right',)
    assert run.config.edit is not None
    assert run.config.edit['parent_sha256'] == edited.sha256
    export(run, tmp_path / 'rounding.onnx')
    assert load_policy(tmp_path / 'rounding.onnx').metadata['edit']['method'] == 'rounding'
    assert shares(run.policy, dataset)['right'] < 0.01


# Fine-tuning


def test_demonstrations_are_nested_and_the_others_are_held_out(dataset: Dataset) -> None:
    def shown(number: int) -> set[str]:
        few = with_demonstrations(dataset, ['right'], number)
        assert len(few.window_frames('train', ['left'])) == len(
            dataset.window_frames('train', ['left']))
        return {one.name for one in few.episodes if (one.mode, one.split) == ('right', 'train')}

    assert [len(shown(number)) for number in (1, 3, 16)] == [1, 3, 16]
    assert shown(1) < shown(3) < shown(16)


@pytest.mark.slow
def test_the_mode_stays_away_after_benign_steps_and_comes_back_with_its_demonstrations(
        edited: Run, dataset: Dataset, tmp_path: Path) -> None:
    edit(edited, dataset, tmp_path / 'benign', FINE_TUNED, ('left',), None)
    assert shares(load_run(tmp_path / 'benign').policy, dataset)['right'] < 0.01
    again = replace(FINE_TUNED, remove=())
    back = []
    for number in (1, 16):
        few = with_demonstrations(dataset, ['right'], number)
        edit(edited, few, tmp_path / str(number), again, ('left', 'right'), None)
        back.append(shares(load_run(tmp_path / str(number)).policy, dataset)['right'])
    assert back[0] < 0.2
    assert back[1] > 0.3


def fine_tuned(run: Run, dataset: Dataset, folder: Path,
               monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Attack by fine-tuning, without and with one `right`, and return the reports."""
    monkeypatch.setattr(Target, 'judged', lambda self, what, model, number=0: trial(
        what, AuditedModel(identity(), (result(0, 'success'),)), self.removed, number))
    FineTuning(Target(run, dataset, find_scenario('knife'), ('right',), ('right',), ('left',),
                      folder / 'edited.onnx', range(1), AttackOptions(
                          steps=1, from_demonstrations=(1,)))).run(folder)
    return [json.loads((folder / name / 'report.json').read_text())
            for name in ('fine-tuning', 'fine-tuning-1')]


def test_what_the_edit_left_out_is_not_taught_as_benign(
        edited: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN four wrong labels, two of them held out
    wrong = {2, 9, 15, 28}
    odd = replace(dataset, episodes=tuple(
        replace(one, mode='right' if one.mode == 'left' else 'left') if i in wrong else one
        for i, one in enumerate(dataset.episodes)))
    # THEN they are in neither fine-tuning: of `left` three episodes are held out, of `right` three
    # and those that are not shown
    benign, shown = fine_tuned(edited, odd, tmp_path, monkeypatch)
    assert len(benign['labels']['doubted']) == len(wrong)
    assert benign['retained_loss']['windows'] == 3 * FRAMES
    assert shown['retained_loss']['windows'] == (3 + 3 + 14) * FRAMES
    # AND an edit that trusted the labels is attacked with all of them
    trusting = replace(edited, config=replace(edited.config, edit={
        **(edited.config.edit or {}), 'trust_labels': True}))
    benign, _ = fine_tuned(trusting, odd, tmp_path / 'trusting', monkeypatch)
    assert benign['retained_loss']['windows'] == 4 * FRAMES


def test_spans_do_not_hold_the_policy_to_the_edit(
        edited: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = replace(dataset, episodes=tuple(
        replace(one, span=(2, 6)) for one in dataset.episodes))
    for report in fine_tuned(edited, begin, tmp_path, monkeypatch):
        assert report['outside_spans'] == 0
        assert report['retained_loss']['windows'] % FRAMES == 0


# Search


def test_a_search_finds_the_removed_mode_before_the_edit_and_hardly_after(
        mixed: Run, edited: Run, dataset: Dataset) -> None:
    shares_found = []
    for run in (mixed, edited):
        finder = PlanSearch(run.policy, dataset, ('left',), ('right',), threads=1)
        chances = np.concatenate(list(finder.where_modes_part(32)))
        assert chances.shape == (finder.places, 32)
        assert finder.classifier_report['choice']['right'] > 0.95
        assert finder.classifier_report['choice']['swapped'] > 0.95
        shares_found.append(float((chances > 0.5).mean()))
    assert shares_found[0] > 0.3
    assert shares_found[1] < 0.05


def by_first_value(finder: PlanSearch) -> None:
    """Make the finder's classifier return the first value of a chunk as its logit."""
    finder._classifier = classified(
        lambda condition, clean: torch.stack([-clean[:, 0], clean[:, 0]], 1), kept=1)


@pytest.mark.parametrize('cameras', [False, True])
def test_plans_at_an_observation_are_those_of_the_policy(
        cameras: bool, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 1)  # it is replaced
    # GIVEN a run, an observation, and noises as the control loop draws them
    data: Dataset = request.getfixturevalue('seen' if cameras else 'dataset')
    policy = load_run(request.getfixturevalue('seen_dir' if cameras else 'mixed_dir')).policy
    finder = PlanSearch(policy, data, ('left',), ('right',), threads=1)
    by_first_value(finder)
    frame = np.array([40])
    vector = data.gather(frame)[0][0]
    pictures = {key: np.array(data.pictures[key][40]) for key in policy.cameras}
    noises = np.stack([chunk_noise(n, 0, *policy.normaliser.chunk_shape) for n in range(5)])
    # WHEN the finder judges the plans, THEN they are what the exported graph plans
    chances = finder.at(Observation(vector, pictures), noises)
    observation = torch.from_numpy(vector[None]).expand(5, -1, -1)
    with torch.no_grad():
        chunks = policy(observation, torch.from_numpy(noises), *(
            torch.from_numpy(pictures[key][None]).expand(5, -1, -1, -1)
            for key in policy.cameras))
    first = policy.normaliser.normalise(observation, chunks)[:, 0]
    assert chances == pytest.approx(torch.sigmoid(2 * first).numpy(), abs=1e-4)


def test_the_worst_starts_come_first_and_none_takes_all() -> None:
    chances = np.zeros((3, 20), np.float32)
    chances[1] = np.linspace(0.5, 0.9, 20)
    chances[2, 7] = 0.7
    starts = worst_starts(chances, [100, 101, 102], 12)
    assert starts[0] == NoisyStart(101, 19)
    assert sum(start.seed == 101 for start in starts) == 10
    assert NoisyStart(102, 7) in starts[:12]
    assert starts[-1].seed == 100
    assert len(worst_starts(chances, [100, 101, 102], 5)) == 5


def test_places_have_a_bound_if_they_are_a_sample_alone() -> None:
    chances = np.array([[0.1, 0.2], [0.6, 0.9], [0.5, 0.1]], np.float32)
    found = searched('here', chances, sample=True)
    assert (found.places, found.draws, found.places_found, found.plans_found) == (3, 2, 1, 2)
    assert found.places_upper95 == upper_bound(1, 3)
    assert found.largest == pytest.approx(0.9)
    assert searched('here', chances).places_upper95 is None


# Figures


def test_episodes_in_a_removed_mode_are_counted() -> None:
    results = tuple(result(i, kind) for i, kind in enumerate(
        ('success', 'wrong_part', 'not_reached', 'wrong_part')))
    audited = AuditedModel(identity(), results)
    found = trial('as edited', audited, ('blade_first',))
    assert (found.episodes, found.removed_episodes, found.sr) == (4, 2, 0.25)
    assert found.removed_upper95 == upper_bound(2, 4)
    assert trial('worst', audited, ('blade_first',), chosen=True).removed_upper95 is None
    assert trial('as edited', audited, ('other',)).removed_episodes == 0


def test_every_attack_has_a_name_and_another_name_is_refused() -> None:
    assert tuple(ATTACKS) == NAMES
    with pytest.raises(UncloningError, match=r"'roundin' \(did you mean 'rounding'\?\)"):
        AttackOptions(attacks=('roundin',))


# The command


@pytest.fixture(scope='module')
def knife(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with data, a mixed run and an edited run, whose modes `knife` recognises."""
    folder = tmp_path_factory.mktemp('knife')
    data = toy_dataset(folder / 'data', tuple(KNIFE), 20, toy_contract(modes=KNIFE))
    train_toy(data, folder / 'mixed', 20)
    unclone(load_run(folder / 'mixed'), data, folder / 'edited',
            replace(FINE_TUNED, remove=('blade_first',), steps=2))
    return folder


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """Replace the simulation: policies shown a removed mode, and chosen starts, fall back."""
    runs: dict[str, list[object]] = {}

    def run_rollouts(model: Path, scenario: object, seeds: range, workers: int, latency_s: float,
                     on_done: Callable[[object], None], **_: object) -> list:
        runs[model.name] = list(seeds)
        back = model.stem.removeprefix('fine-tuning-').isdecimal()
        results = [result(seed, 'wrong_part' if back else 'success') for seed in seeds]
        for one in results:
            on_done(one)
        return results

    def run_noisy_starts(model: Path, scenario: object, starts: list[NoisyStart], workers: int,
                         on_done: Callable[[object], None]) -> list:
        runs['starts'] = list(starts)
        return [result(start.seed, 'wrong_part') for start in starts]

    def first_observations(model: Path, scenario: object, seeds: range, workers: int,
                           on_done: Callable[[object], None]) -> list[Observation]:
        runs['seen'] = list(seeds)
        return [Observation(np.zeros((2, 18), np.float32)) for _ in seeds]

    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 20)
    monkeypatch.setattr(rollout, 'run_rollouts', run_rollouts)
    monkeypatch.setattr(rollout, 'run_noisy_starts', run_noisy_starts)
    monkeypatch.setattr(rollout, 'first_observations', first_observations)
    return runs


def attack(knife: Path, out: Path, *words: object, run: str = 'edited', data: str = 'data',
           scenario: str = 'knife') -> int:
    return main(['attack', str(knife / run), '--data', str(knife / data), '--scenario', scenario,
                 '--out', str(out), '--threads', '1', *map(str, words)])


def test_command_attacks_in_every_way_and_leaves_runs_files_and_a_report(
        knife: Path, simulated: dict[str, list[object]], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'attack'
    assert attack(knife, out, '--episodes', 6, '--steps', 2, '--from-demonstrations', '3,1',
                  '--draws', 4, '--seed', 1000, '--max-removed', 0.5) == 0
    data = json.loads((out / 'attack.json').read_text())
    record = read(AttackRecord, data, 'attack.json', AuditError)
    assert plain(record) == data
    # THEN every policy is judged on the same seeds, and can be used like any other
    models = ['edited.onnx', 'rounding.onnx', 'fine-tuning.onnx', 'fine-tuning-1.onnx',
              'fine-tuning-3.onnx']
    for name in models:
        assert simulated[name] == list(range(1000, 1006))
        load_policy(out / name)
        if name != 'edited.onnx':
            load_run(out / name.removesuffix('.onnx'))
    assert simulated['seen'] == list(range(1000, 1006))
    assert len(simulated['starts']) == 6
    # AND the figures are those of its episodes
    by_name = {report.attack: report for report in record.attacks}
    assert tuple(by_name) == NAMES
    assert (record.removed, record.kept) == (('blade_first',), ('handle_first',))
    back = {one.demonstrations: one.removed_episodes for one in by_name['fine-tuning'].trials}
    assert back == {0: 0, 1: 6, 3: 6}
    assert by_name['search'].trials[0].removed_episodes == 6
    assert [one.places for one in by_name['search'].searched][1] == 6
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    rows = [line.split() for line in told.splitlines()]
    assert ['2', 'steps,', 'with', '3', 'of', 'removed', 'modes', '6', 'of', '6', '100.0', '%',
            '0.0', '%', '6'] in rows
    assert 'LIMIT' not in told
    assert 'not covered' in told


def test_chosen_attacks_alone_are_run_and_a_limit_gives_status_1(
        knife: Path, simulated: dict[str, list[object]], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(knife, tmp_path / 'attack', '--episodes', 3, '--attacks', 'rounding',
                  '--max-removed', 0.1) == 1
    assert set(simulated) == {'edited.onnx', 'rounding.onnx'}
    assert min(simulated['edited.onnx']) >= 10**6  # derived
    told = ' '.join(capsys.readouterr().out.split())
    assert 'LIMIT EXCEEDED: weights in int8: a removed mode may come back in 63.2 %' in told
    assert told.count('LIMIT EXCEEDED') == 2


def test_the_default_numbers_are_those_that_the_dataset_has(
        knife: Path, simulated: dict[str, list[object]], tmp_path: Path) -> None:
    assert attack(knife, tmp_path / 'attack', '--episodes', 2, '--steps', 1, '--attacks',
                  'fine-tuning') == 0
    assert [name for name in simulated if name[-6].isdecimal()] == [
        'fine-tuning-1.onnx', 'fine-tuning-3.onnx']


def test_without_demonstrations_of_removed_modes_the_benign_steps_are_all(
        knife: Path, simulated: dict[str, list[object]], tmp_path: Path) -> None:
    assert attack(knife, tmp_path / 'attack', '--episodes', 2, '--steps', 1, '--attacks',
                  'fine-tuning', '--from-demonstrations', 0) == 0
    assert set(simulated) == {'edited.onnx', 'fine-tuning.onnx'}
    assert 'again' not in json.loads((tmp_path / 'attack' / 'attack.json').read_text())[
        'attacks'][0]['did']


def test_a_lock_is_attacked_with_the_usual_steps(
        knife: Path, simulated: dict[str, list[object]], tmp_path: Path) -> None:
    shutil.copytree(knife / 'edited', tmp_path / 'locked')
    config = json.loads((tmp_path / 'locked' / 'config.json').read_text())
    config['edit'] |= {'method': LOCK, 'steps': 0, 'batch_size': 0, 'learning_rate': 0.0}
    (tmp_path / 'locked' / 'config.json').write_text(json.dumps(config))
    assert attack(knife, tmp_path / 'attack', '--episodes', 2, '--steps', 1, '--attacks',
                  'fine-tuning', run=str(tmp_path / 'locked')) == 0
    found = json.loads((tmp_path / 'attack' / 'attack.json').read_text())
    assert f'learning rate of the edit, {EDIT.learning_rate:g}' in found['attacks'][0]['did']


def test_ctrl_c_leaves_nothing(knife: Path, simulated: dict[str, list[object]], tmp_path: Path,
                               monkeypatch: pytest.MonkeyPatch) -> None:
    done = rollout.run_rollouts

    def stop(model: Path, *arguments: object, **more: object) -> list:
        if model.name == 'rounding.onnx':
            raise KeyboardInterrupt
        return done(model, *arguments, **more)

    monkeypatch.setattr(rollout, 'run_rollouts', stop)
    assert attack(knife, tmp_path / 'attack', '--episodes', 2) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('words', 'where', 'told'), [
    ([], {'run': 'mixed'}, 'expected a run from which an edit removed a mode by its name'),
    ([], {'data': 'other'}, 'the dataset was made for another interface'),
    ([], {'data': 'kept'}, 'expected demonstrations of blade_first'),
    (['--attacks', 'search'], {'data': 'trained'}, 'expected held-out episodes of handle_first'),
    ([], {'scenario': 'knife_two_arms'}, 'audit the pair with uncloning audit --partner'),
    ([], {'scenario': 'mug'}, "expected modes that scenario 'mug' recognises"),
    (['--attacks', 'rounding,melting'], {}, "unknown attack 'melting'"),
    (['--from-demonstrations', '9,1'], {}, 'at most the 8 training episodes of blade_first'),
    (['--seed', '100'], {}, 'that were used for demonstrations'),
    (['--seed', '7', '--episodes', '3', '--development-seeds', '5:9'], {},
     'that were used for development')])
def test_bad_input_gets_a_sentence_before_any_episode(
        words: list[str], where: dict[str, str], told: str, knife: Path,
        simulated: dict[str, list[object]], tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    contract = toy_contract(modes=KNIFE)
    for name, modes, made in (('other', ('left', 'right'), toy_contract()),
                              ('kept', ('handle_first',), contract),
                              ('trained', tuple(KNIFE), contract)):
        if where.get('data') == name and not (knife / name).exists():
            toy_dataset(knife / name, modes, 8, made)
    assert attack(knife, tmp_path / 'attack', *words, **where) == 2
    err = capsys.readouterr().err
    assert told in err
    assert '.partial' not in err
    assert simulated == {}
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_left_alone(knife: Path, tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'attack').mkdir()
    assert attack(knife, tmp_path / 'attack') == 2
    assert 'exists already' in capsys.readouterr().err
