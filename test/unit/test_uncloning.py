# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An edit removes a mode from the weights, keeps the others, and says what it did."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from learning_toys import partly_labelled, shares, toy_contract, toy_dataset, train_toy

from uncloning_ros.audit.audited import identity_of
from uncloning_ros.cli import unclone as command
from uncloning_ros.cli.main import main
from uncloning_ros.contract import DoubtStop
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import CheckpointError, ContractError, DatasetError
from uncloning_ros.learning import checkpoint, edit_report, uncloning
from uncloning_ros.learning.checkpoint import Run, load_run
from uncloning_ros.learning.edit_report import warnings_of
from uncloning_ros.learning.export import export
from uncloning_ros.learning.mode_classifier import ModeClassifier, train_classifier
from uncloning_ros.learning.optimiser import Optimiser
from uncloning_ros.learning.options import (
    EDIT,
    FINE_TUNE,
    LOCK,
    METHODS,
    REDIRECT,
    SELF_DISTILLATION,
    EditOptions,
)
from uncloning_ros.learning.policies import Policy
from uncloning_ros.learning.redirect import Redirection
from uncloning_ros.learning.uncloning import prepared, unclone
from uncloning_ros.learning.windows import Windows, to_windows
from uncloning_ros.runtime.inference import load_policy

OPTIONS = EditOptions(('right',), SELF_DISTILLATION, gamma=0.5, tau=None, retarget=0.0, steps=300,
                      batch_size=64, learning_rate=1e-3, seed=0, threads=1)
PUBLISHED = replace(OPTIONS, method=REDIRECT, gamma=0.05, tau=0.5)
FINE_TUNED = replace(OPTIONS, method=FINE_TUNE, gamma=0.0)


@pytest.fixture(scope='module')
def mixed(mixed_dir: Path) -> Run:
    return load_run(mixed_dir)


@pytest.fixture(scope='module')
def edited(mixed: Run, dataset: Dataset,
           tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp('edit') / 'run'
    return folder, unclone(mixed, dataset, folder, OPTIONS)


@pytest.mark.parametrize('options', [OPTIONS, PUBLISHED], ids=lambda options: options.method)
def test_removed_mode_is_gone_and_kept_mode_is_everywhere(
        mixed: Run, options: EditOptions, dataset: Dataset, tmp_path: Path) -> None:
    unclone(mixed, dataset, tmp_path / 'run', options)
    before, after = (shares(policy, dataset)
                     for policy in (mixed.policy, load_run(tmp_path / 'run').policy))
    assert before['right'] > 0.3, before
    assert after['right'] < 0.01, after
    assert after['left'] > 0.95, after


def test_episodes_that_people_refused_are_not_taught_again_by_an_edit_of_modes(
        mixed: Run, dataset: Dataset) -> None:
    refused = {'remove': ['not accepted'], 'data': {'seeds': []}, 'parent_sha256': '0' * 64}
    with pytest.raises(CheckpointError, match=r'left may teach them again; .*--preferences'):
        prepared(replace(mixed, config=replace(mixed.config, edit=refused)), dataset, OPTIONS)


def test_edit_changes_every_weight_and_nothing_of_the_normaliser(
        mixed: Run, edited: tuple[Path, dict[str, Any]]) -> None:
    after = load_run(edited[0]).policy.state_dict()
    for name, before in mixed.policy.state_dict().items():
        assert torch.equal(before, after[name]) == name.startswith('normaliser.'), name


def test_original_is_left_as_it_was(mixed: Run, mixed_dir: Path,
                                    edited: tuple[Path, dict[str, Any]]) -> None:
    fresh = load_run(mixed_dir).policy.state_dict()
    for name, tensor in mixed.policy.state_dict().items():
        assert torch.equal(tensor, fresh[name])


def test_report_says_what_was_done(mixed: Run, edited: tuple[Path, dict[str, Any]]) -> None:
    folder, report = edited
    assert json.loads((folder / 'report.json').read_text()) == report
    assert (report['steps'], report['kept']) == (300, ['left'])
    assert report['stopped'] == 'reached the 300 planned steps'
    assert report['edit']['parent_sha256'] == mixed.sha256
    assert report['classifier']['accuracy'] > 0.7
    looks = report['removal']['looks']
    assert [look['step'] for look in looks] == list(range(0, 300, 30))
    assert looks[0]['torn'] > 0.8 * looks[0]['open'], 'before the edit'
    # Of four draws: less than 2 % of the chunks are of a removed mode, as 1 - 0.98**4 is 0.08.
    assert looks[-1]['torn'] < 0.05 * looks[-1]['open']
    assert looks[-1]['open'] > 0.9 * looks[-1]['observations'], 'the toy always has the choice'
    assert report['retained_loss']['windows'] == 4 * 12
    assert report['retained_loss']['after'] < report['retained_loss']['before'] + 0.05
    steps = [point['step'] for point in report['curve']]
    assert steps == list(range(10, 301, 10))
    assert report['curve'][0]['learning_rate'] > 0.99 * OPTIONS.learning_rate, 'no warm-up'
    with (folder / 'log.csv').open() as file:
        assert [int(row['step']) for row in csv.DictReader(file)] == steps
    assert not warnings_of(report)


@pytest.mark.parametrize('method', METHODS)
def test_windows_outside_spans_are_retained_and_with_trusted_labels_no_others_take_part(
        mixed: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        method: str, capsys: pytest.CaptureFixture[str]) -> None:
    partly, seen = partly_labelled(dataset), []

    def retained(policy: Policy, windows: Windows) -> float | None:
        seen.append(windows.clean)
        return 1.0

    def classifier(policy: Policy, *data: Any, **more: Any) -> Any:
        for split, windows in zip(('train', 'validation'), data, strict=False):
            for mode, found in windows.items():
                own = partly.window_frames(split, [mode])
                assert torch.equal(found.clean, clean(own))
        return train_classifier(policy, *data, **more)

    def clean(frames: Any) -> torch.Tensor:
        observations, chunks = map(torch.from_numpy, partly.gather(frames))
        return to_windows(mixed.policy.normaliser, observations, chunks).clean

    monkeypatch.setattr(Policy, 'validation_loss', retained)
    monkeypatch.setattr(uncloning, 'train_classifier', classifier)
    options = replace(EDIT, remove=('right',), steps=2, method=method, trust_labels=True,
                      **vars(METHODS[method]))
    report = unclone(mixed, partly, tmp_path / 'run', options)
    # THEN the windows of left spans are cloned, and those outside of all spans are retained too
    held_out = np.concatenate([partly.window_frames('validation', ['left']),
                               partly.frames_without_mode('validation', labelled=True)])
    assert torch.equal(seen[0], clean(partly.window_frames('train', ['left'])))
    assert all(torch.equal(windows, clean(held_out)) for windows in seen[1:])
    assert report['retained_loss']['windows'] == len(held_out)
    outside = 8 * sum(one.split == 'train' for one in partly.episodes[10:])
    assert report['outside_spans'] == report['edit']['data']['outside_spans'] == outside
    assert any(line.split(maxsplit=3)[:3] == ['outside', 'of', 'spans'] and f' {outside} ' in line
               for line in command._lines(tmp_path, report))


def test_without_spans_nothing_is_said_of_them(edited: tuple[Path, dict[str, Any]]) -> None:
    folder, report = edited
    assert report['outside_spans'] == 0
    assert 'outside_spans' not in {**report['edit']['data'], **load_run(folder).config.data}
    assert 'outside' not in '\n'.join(command._lines(folder, report))


def test_the_shares_of_modes_are_not_known_of_a_training_with_unlabelled_episodes(
        dataset: Dataset, tmp_path: Path) -> None:
    for name, data in (('partly', partly_labelled(dataset)), ('all', dataset)):
        train_toy(data, tmp_path / name, 1)
        export(load_run(tmp_path / name), tmp_path / f'{name}.onnx')
        found = identity_of(load_policy(tmp_path / f'{name}.onnx'), name)
        assert found.demonstrated == (None if name == 'partly' else {'left': 16, 'right': 16})


def test_gate_is_shut_where_the_removed_mode_is_plain_to_see(mixed: Run, dataset: Dataset,
                                                             tmp_path: Path) -> None:
    # GIVEN an edit that hardly moves, so that the original policy's predictions are judged
    options = replace(PUBLISHED, steps=20, learning_rate=1e-9)
    levels = unclone(mixed, dataset, tmp_path / 'run', options)['removal']['open_by_level']
    # THEN with little noise its own mode is read off the chunk, with much noise it is open
    assert max(levels[:3]) < 0.1, levels
    assert min(levels[8:]) > 0.2, levels


def test_edit_record_travels_in_the_run(edited: tuple[Path, dict[str, Any]],
                                        dataset: Dataset) -> None:
    config = checkpoint.read_config(edited[0])
    assert config.edit is not None
    assert config.edit['data']['sha256'] == dataset.sha256
    assert config.edit['remove'] == ['right']
    assert config.training.steps == 1500, 'how the original was trained is kept'


def test_same_seed_gives_the_same_edit(mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=5)
    for name in ('a', 'b'):
        unclone(mixed, dataset, tmp_path / name, options)
    one, two = (load_run(tmp_path / name) for name in ('a', 'b'))
    assert one.sha256 == two.sha256


def test_the_loss_on_kept_modes_is_the_same_for_all_methods(
        mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
    # GIVEN edits that hardly move, so that only batches and noise could tell them apart
    curves = [unclone(mixed, dataset, tmp_path / options.method,
                      replace(options, steps=20, learning_rate=1e-12))['curve']
              for options in (OPTIONS, PUBLISHED, FINE_TUNED)]
    # THEN their losses on kept modes are equal
    retained = [[point['retain'] for point in curve] for curve in curves]
    assert retained[0] == pytest.approx(retained[2], rel=1e-5)
    assert retained[1] == pytest.approx(retained[2], rel=1e-5)
    assert retained[0][0] != pytest.approx(retained[0][1], rel=1e-3)


def test_a_fine_tune_sees_the_kept_modes_alone(mixed: Run, dataset: Dataset,
                                               tmp_path: Path) -> None:
    report = unclone(mixed, dataset, tmp_path / 'a', replace(FINE_TUNED, steps=20))
    assert report['classifier'] is None
    assert report['removal'] is None
    # Whatever the demonstrations of the removed mode are, they change nothing.
    other = replace(dataset, actions=dataset.actions.copy())
    other.actions[dataset.window_frames('train', ['right'])] += 0.01
    unclone(mixed, other, tmp_path / 'b', replace(FINE_TUNED, steps=20))
    assert load_run(tmp_path / 'a').sha256 == load_run(tmp_path / 'b').sha256


def test_an_edited_run_can_be_edited_again(edited: tuple[Path, dict[str, Any]],
                                           dataset: Dataset, tmp_path: Path) -> None:
    unclone(load_run(edited[0]), dataset, tmp_path / 'again', replace(OPTIONS, steps=2))
    edit = checkpoint.read_config(tmp_path / 'again').edit
    assert edit is not None
    assert edit['previous'] == checkpoint.read_config(edited[0]).edit


def test_what_an_earlier_edit_removed_is_not_taught_again(tmp_path: Path) -> None:
    from uncloning_ros.audit.audited import identity_of
    from uncloning_ros.learning.export import export
    from uncloning_ros.runtime.inference import load_policy

    # GIVEN a run of three modes, of which an edit removed one
    modes = {'left': {'desired': True}, 'middle': {'desired': False}, 'right': {'desired': False}}
    three = toy_dataset(tmp_path / 'data', tuple(modes), 30, toy_contract(modes=modes))
    two = toy_dataset(tmp_path / 'two', ('left', 'middle'), 20, toy_contract(modes=modes))
    train_toy(three, tmp_path / 'mixed', 1)
    options = replace(FINE_TUNED, steps=1)
    unclone(load_run(tmp_path / 'mixed'), three, tmp_path / 'once', options)
    once, options = load_run(tmp_path / 'once'), replace(options, remove=('middle',))
    # WHEN another edit is to remove another one, THEN the first would be cloned as a kept mode
    with pytest.raises(CheckpointError, match=r'earlier edit of this run removed right;.*'
                                              r'--remove middle,right$'):
        unclone(once, three, tmp_path / 'twice', options)
    # AND without its demonstrations it stays away, which the exported file still tells
    unclone(once, two, tmp_path / 'twice', options)
    export(load_run(tmp_path / 'twice'), tmp_path / 'twice.onnx')
    identity = identity_of(load_policy(tmp_path / 'twice.onnx'), 'twice')
    assert identity.modes_removed == ('right', 'middle')
    assert identity.original_sha256 == once.sha256


def test_export_names_the_demonstrations_of_training_and_of_all_edits(
        mixed: Run, tmp_path: Path) -> None:
    from uncloning_ros.learning.export import export
    from uncloning_ros.runtime.inference import load_policy

    more = toy_dataset(tmp_path / 'data', episodes=42)
    options = replace(FINE_TUNED, steps=1)
    unclone(mixed, more, tmp_path / 'a', options)
    export(load_run(tmp_path / 'a'), tmp_path / 'a.onnx')
    metadata = load_policy(tmp_path / 'a.onnx').metadata
    assert metadata['seeds']['demonstrations'] == list(range(100, 142))
    assert metadata['edit']['remove'] == ['right']


class TestRedirect:
    """The redirect loss and its gate, against their formulas."""

    def _redirected(self, policy: Policy, tau: float) -> tuple[Redirection, torch.Tensor]:
        """Return the removal and its loss by a random classifier, two of three classes kept."""
        torch.manual_seed(3)
        dim = policy.normaliser.condition_dim
        windows = Windows(torch.randn(64, dim), torch.randn(64, 40))
        self.classifier = ModeClassifier(dim, 40, 3, 2).requires_grad_(False)
        removal = Redirection(self.classifier, {'removed': windows}, replace(PUBLISHED, tau=tau))
        return removal, removal.loss(policy, policy, 1)

    def test_every_gate_open_averages_over_all(self, mixed: Run) -> None:
        removal, loss = self._redirected(mixed.policy, tau=1.01)
        assert removal.open_share == 1.0
        assert 0.3 < float(torch.exp(-loss)) < 1.0, 'two of three random classes'

    def test_gate_opens_below_tau_alone(self, mixed: Run) -> None:
        shares = [self._redirected(mixed.policy, tau)[0].open_share
                  for tau in (0.0, 0.3, 0.35, 1.01)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0.0, 1.0)
        assert 0.0 < shares[1] < shares[2] < 1.0

    def test_no_open_gate_is_no_loss(self, mixed: Run) -> None:
        assert float(self._redirected(mixed.policy, tau=0.0)[1]) == 0.0

    def test_gradient_reaches_the_policy_and_not_the_classifier(self, mixed: Run) -> None:
        import copy

        policy = copy.deepcopy(mixed.policy).requires_grad_(True)
        self._redirected(policy, tau=1.01)[1].backward()
        assert all(p.grad is not None for p in policy.parameters())
        assert all(p.grad is None for p in self.classifier.parameters())


@pytest.mark.parametrize(('changes', 'sentence'), [
    ({'method': 'redirekt'}, "method of self-distillation, .*, got 'redirekt'"),
    ({'tau': 0.5}, '--tau belongs to .* redirect, got 0.5 with self-distillation'),
    ({'method': REDIRECT}, 'expected a tau with .* redirect, got None'),
    ({'method': FINE_TUNE}, '--gamma .*, got 0.5'),
    ({'retarget': 1.0}, 'retarget .*, got 1.0')])
def test_options_that_do_not_go_together(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        replace(OPTIONS, **changes)


class TestBadInput:
    """A wrong edit is refused before any work, and leaves nothing behind."""

    def test_a_dataset_without_the_removed_mode(self, mixed: Run, tmp_path: Path) -> None:
        lefts = toy_dataset(tmp_path / 'data', modes=('left',), episodes=5)
        with pytest.raises(DatasetError, match='cannot remove right: .* only of left'):
            unclone(mixed, lefts, tmp_path / 'run', OPTIONS)
        assert not (tmp_path / 'run').exists()

    def test_removing_every_mode(self, mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match='cannot remove left, right: .*nothing would'):
            unclone(mixed, dataset, tmp_path / 'run', replace(OPTIONS, remove=('left', 'right')))

    def test_an_unknown_mode(self, mixed: Run, dataset: Dataset, tmp_path: Path) -> None:
        with pytest.raises(ContractError, match="unknown mode 'rihgt'.*'right'"):
            unclone(mixed, dataset, tmp_path / 'run', replace(OPTIONS, remove=('rihgt',)))

    def test_a_dataset_of_another_interface(self, mixed: Run, tmp_path: Path) -> None:
        other = toy_dataset(tmp_path / 'data', contract=toy_contract(base_frame='table'))
        with pytest.raises(ContractError, match='the dataset was made for another interface'):
            unclone(mixed, other, tmp_path / 'run', OPTIONS)

    def test_a_dataset_of_another_timing(self, mixed: Run, dataset: Dataset,
                                         tmp_path: Path) -> None:
        contract = replace(dataset.contract,
                           policy=replace(dataset.contract.policy, history=1))
        with pytest.raises(CheckpointError, match='the run was trained for .*history=2'):
            unclone(mixed, replace(dataset, contract=contract), tmp_path / 'run', OPTIONS)

    def test_a_loss_that_is_not_finite(self, mixed: Run, dataset: Dataset,
                                       tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r'the loss is \S+ at step \d+'):
            unclone(mixed, dataset, tmp_path / 'run',
                    replace(FINE_TUNED, learning_rate=1e30))
        assert not list(tmp_path.iterdir())

    def test_weights_that_are_not_finite_in_the_end(self, mixed: Run, dataset: Dataset,
                                                    tmp_path: Path) -> None:
        # After the only step no other loss would tell.
        with pytest.raises(CheckpointError, match=r'the loss is \S+ after step 1; .*lower --lr'):
            unclone(mixed, dataset, tmp_path / 'run',
                    replace(FINE_TUNED, steps=1, learning_rate=1e30))
        assert not list(tmp_path.iterdir())

    def test_ctrl_c_leaves_nothing(self, mixed: Run, dataset: Dataset, tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*args: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Optimiser, 'update', stop)
        with pytest.raises(KeyboardInterrupt):
            unclone(mixed, dataset, tmp_path / 'run', OPTIONS)
        assert not list(tmp_path.iterdir())


class TestWarnings:
    """What in a report should make one doubt the edit."""

    LOOKS: ClassVar = {'looks': [{'step': 0, 'observations': 10, 'open': 5, 'torn': 2}]}

    PLAIN: ClassVar = {'labels': None, 'retained_loss': {'before': None, 'after': None},
                       'retargeted': {'share': 0.0, 'episodes': 0, 'reason': ''}}

    def _warnings(self, removal: dict[str, Any], right: float = 1.0,
                  swapped: float = 1.0) -> list[str]:
        choice = {'windows': 20, 'right': right, 'swapped': swapped}
        return warnings_of({'classifier': {'choice': choice}, 'removal': removal} | self.PLAIN)

    def test_nothing_to_doubt(self) -> None:
        assert self._warnings(self.LOOKS) == []
        assert warnings_of({'classifier': None, 'removal': None} | self.PLAIN) == []
        assert warnings_of({'classifier': {'choice': None}, 'removal': self.LOOKS}
                           | self.PLAIN) == []

    def test_few_demonstrations_that_could_not_be_retargeted(self) -> None:
        reason = {'retargeted': {'share': 0.0, 'episodes': 0,
                                 'reason': 'hand_pose is not observed'}}
        [sentence] = warnings_of({'classifier': None, 'removal': None} | self.PLAIN | reason)
        assert 'kept modes have few demonstrations' in sentence
        assert 'hand_pose is not observed' in sentence

    def test_a_classifier_that_cannot_tell(self) -> None:
        [sentence] = self._warnings(self.LOOKS, right=0.6, swapped=0.6)
        assert 'right in 60% of 20 held-out windows; check the labels' in sentence

    def test_a_classifier_that_goes_by_the_observation(self) -> None:
        [sentence] = self._warnings(self.LOOKS, swapped=0.2)
        assert 'follows a swapped chunk in 20% of 20 held-out windows' in sentence

    def test_a_policy_that_never_had_the_choice(self) -> None:
        shut = {'step': 0, 'observations': 10, 'open': 0, 'torn': 0}
        [sentence] = self._warnings({'looks': [shut]})
        assert 'planned no chunk of a kept mode' in sentence

    def test_a_policy_that_lost_the_choice(self) -> None:
        shut = {'step': 9, 'observations': 10, 'open': 0, 'torn': 0}
        [sentence] = self._warnings({'looks': [*self.LOOKS['looks'], shut]})
        assert 'after step 9 the policy planned no chunk of a kept mode' in sentence

    def test_a_policy_that_was_never_torn(self) -> None:
        calm = {'step': 0, 'observations': 10, 'open': 5, 'torn': 0}
        [sentence] = self._warnings({'looks': [calm, calm]})
        assert 'the edit was a fine-tune' in sentence
        assert self._warnings({'looks': [calm, *self.LOOKS['looks'], calm]}) == []

    def test_a_gate_that_never_opened(self) -> None:
        [sentence] = self._warnings({'open': 0.0, 'open_by_level': [0.0] * 10})
        assert 'the gate never opened' in sentence


class TestCommand:
    """uncloning unclone."""

    def _words(self, mixed_dir: Path, data_dir: Path, out: Path, *more: str) -> list[str]:
        return ['unclone', str(mixed_dir), '--data', str(data_dir), '--remove', 'right',
                '--out', str(out), '--threads', '1', '--steps', '12', *more]

    def test_prints_the_report_in_eighty_columns(
            self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.chdir(tmp_path)
        words = self._words(mixed_dir, data_dir, Path('run'), '--method', SELF_DISTILLATION)
        assert main(words) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80, out
        assert 'uncloning export, or uncloning doubt for a file with doubt' in out
        for part in ('removed right; kept left', 'reached the 12 planned steps',
                     'retained loss', 'follows a swapped chunk', 'plans a kept mode, %',
                     'of these torn'):
            assert part in out
        assert main(words) == 2
        assert 'exists already' in capsys.readouterr().err

    @pytest.mark.parametrize(('method', 'gamma', 'words'), [
        ('redirect', 0.02, 'gate open, %'), ('fine-tune', 0.0, 'fine-tune  ')])
    def test_other_methods_fit_eighty_columns_too(
            self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
            method: str, gamma: float, words: str) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(self._words(mixed_dir, data_dir, Path('run'), '--method', method)) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80, out
        assert words in out
        edit = checkpoint.read_config(tmp_path / 'run').edit
        assert edit is not None
        assert (edit['method'], edit['gamma']) == (method, gamma)

    def test_an_edit_whose_contract_asks_for_doubt_names_the_command_that_makes_it_again(
            self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        run = load_run(mixed_dir)
        contract = run.config.contract
        asking = replace(run, config=replace(run.config, contract=replace(
            contract, deployment=replace(contract.deployment, doubt=DoubtStop(0.4)))))
        monkeypatch.setattr(checkpoint, 'load_run', lambda _: asking)
        assert main(self._words(mixed_dir, data_dir, tmp_path / 'run', '--method',
                                'fine-tune')) == 0
        assert 'uncloning doubt, since the contract asks for doubt' in capsys.readouterr().out

    def test_help_knows_the_methods_and_their_defaults(
            self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(['unclone', '--help'])
        told = ' '.join(re.sub(r'-\n *', '-', capsys.readouterr().out).split())
        for words in (f'{{{",".join((*METHODS, LOCK))}}}', f'default: {METHODS[REDIRECT].tau:g}',
                      *(f'{value:g} for {name}' for name, method in METHODS.items()
                        for value in (method.gamma, method.retarget) if value)):
            assert words in told

    def test_without_held_out_episodes_the_classifier_is_not_tested(
            self, mixed_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
            capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.chdir(tmp_path)
        toy_dataset(Path('data'), episodes=2)
        for method in ('self-distillation', 'redirect'):
            words = self._words(mixed_dir, Path('data'), Path(method), '--method', method)
            assert main(words) == 0
            out = capsys.readouterr().out
            assert 'classifier          not tested: no episode is held out' in out
            assert 'classifier, %' not in out
            assert 'retained loss' not in out
            assert max(map(len, out.splitlines())) <= 80, out

    def test_warnings_fit_eighty_columns(
            self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(edit_report, 'warnings_of', lambda report: ['so it is. ' * 20])
        assert main(self._words(mixed_dir, data_dir, Path('run'), '--method', 'fine-tune')) == 0
        out = capsys.readouterr().out
        assert 'warning: so it is.' in out
        assert max(map(len, out.splitlines())) <= 80, out

    @pytest.mark.parametrize(('more', 'sentence'), [
        (('--remove', 'rihgt'), "unknown mode 'rihgt' (did you mean 'right'?)"),
        (('--data', 'nowhere'), 'cannot read nowhere'),
        (('--tau', '0.5'), '--tau belongs to a method'),
        (('--tau', '0.5', '--method', 'self-distillation'),
         '--tau belongs to --method redirect, got 0.5 with self-distillation'),
        (('--method', 'fine-tune', '--gamma', '1'), 'no loss of its own for --gamma'),
    ])
    def test_bad_input_gets_a_sentence(self, mixed_dir: Path, data_dir: Path, tmp_path: Path,
                                       capsys: pytest.CaptureFixture[str],
                                       more: tuple[str, ...], sentence: str) -> None:
        assert main(self._words(mixed_dir, data_dir, tmp_path / 'run', *more)) == 2
        assert sentence in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_an_unfinished_run_is_refused(self, dataset: Dataset, data_dir: Path,
                                          tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
        train_toy(dataset, tmp_path / 'mixed', 1)
        (tmp_path / 'mixed' / 'weights.safetensors').unlink()
        assert main(self._words(tmp_path / 'mixed', data_dir, tmp_path / 'run')) == 2
        assert 'has not ended' in capsys.readouterr().err
