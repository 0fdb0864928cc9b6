# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sweep edits with several strengths, goes on where it stopped, and recommends one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uncloning_ros.audit.run.seeds import require_unseen
from uncloning_ros.cli.main import main
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import AuditError, UncloningError
from uncloning_ros.files import read_json
from uncloning_ros.learning import mode_classifier
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.choice import Left
from uncloning_ros.learning.options import EDIT
from uncloning_ros.learning.uncloning import Prepared, prepared
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import read
from uncloning_ros.sweep import sweep as sweeping
from uncloning_ros.sweep.page import page, text
from uncloning_ros.sweep.record import Episodes, Strength, Sweep
from uncloning_ros.sweep.sweep import next_step, recommended, sweep

OPTIONS = replace(EDIT, remove=('right',), steps=3, batch_size=16, trust_labels=True)
LEFT = Left(0.0, 0.0, 0.0)


def strength(gamma: float, success: int, removed: int = 0, left: float = 0.0,
             count: int = 100) -> Strength:
    def digits(ones: int) -> str:
        return '1' * ones + '0' * (count - ones)

    return Strength(gamma, 'redirect', Left(left, 0.0, 0.0), 1.0,
                    Episodes(5, digits(success), digits(0), digits(removed)))


@pytest.mark.parametrize(('found', 'place'), [
    ([(99, 0), (98, 0), (70, 0)], 0),          # the fine-tune is enough
    ([(60, 40), (97, 1), (98, 0), (50, 0)], 2),  # it is not, and too much costs the skill
    ([(96, 4), (98, 0), (98, 0)], 1),          # 4 of 100 are not shown to be more than none
    ([(98, 0, 0.2), (98, 0, 0.0008), (98, 0)], 1)])  # equal episodes: hardly a plan is enough
def test_of_unbeaten_strengths_the_one_that_leaves_least_is_recommended(
        found: list[tuple[int, ...]], place: int) -> None:
    best, reason = recommended([strength(i, *one) for i, one in enumerate(found)])
    assert best == place
    assert 'no other one is shown to beat it' in reason


def test_where_each_strength_is_beaten_the_most_successes_are_recommended() -> None:
    found = [strength(i, *one) for i, one in enumerate([(60, 30), (90, 30), (80, 0)])]
    assert recommended(found) == (
        1, 'each strength is beaten by another one; this one has the most successes')


@pytest.mark.parametrize(('left', 'losses', 'place'), [
    ((0.3, 0.0, 0.0), (1.0, 1.0, 1.0), 1), ((0.3, 0.2, 0.1), (1.0, 1.04, 1.06), 1),
    ((0.3, 0.0), (1.0, 1.06), 0), ((0.3, 0.2), (None, None), 1)])
def test_without_episodes_measures_recommend(left: tuple[float, ...],
                                             losses: tuple[float | None, ...],
                                             place: int) -> None:
    found = [Strength(i, 'redirect', Left(share, 0.0, 0.0), loss, None)
             for i, (share, loss) in enumerate(zip(left, losses, strict=True))]
    assert recommended(found)[0] == place


def test_a_sweep_goes_on_where_it_stopped(mixed_dir: Path, dataset: Dataset, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 20)
    edit, made = prepared(load_run(mixed_dir), dataset, OPTIONS), []
    whole = Prepared.edit

    def stopping(self: Prepared, folder: Path, options: object) -> object:
        made.append(folder.parent.name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return whole(self, folder, options)  # type: ignore[arg-type]

    monkeypatch.setattr(Prepared, 'edit', stopping)
    out = tmp_path / 'sweep'
    with pytest.raises(KeyboardInterrupt):
        sweep(edit, out, OPTIONS, None, None, 100, 1)
    found = sweep(edit, out, OPTIONS, None, None, 100, 1)
    assert made == [f'gamma_{one}' for one in ('0', '0.125', '0.5', '0.5', '2', '8')]
    assert [one.gamma for one in found.strengths] == [0.0, 0.125, 0.5, 2.0, 8.0]
    assert found.strengths[0].method == 'fine-tune'
    written = read_json(out / 'sweep.json', UncloningError)
    assert read(Sweep, written, 'it', UncloningError) == found
    assert (out / 'gamma_2' / 'model.onnx').exists()
    assert 'recommended: ' in text(found)
    assert text(found).count(' *') == 1
    with pytest.raises(UncloningError, match='has a sweep with another options'):
        sweep(edit, out, replace(OPTIONS, seed=1), None, None, 100, 1)
    other = replace(edit, dataset=replace(edit.dataset, sha256='f' * 64))
    with pytest.raises(UncloningError, match='has a sweep with another data'):
        sweep(other, out, OPTIONS, None, None, 100, 1)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'letter').touch()
    with pytest.raises(UncloningError, match='not of a sweep'):
        sweep(edit, tmp_path / 'other', OPTIONS, None, None, 100, 1)


def test_the_page_draws_each_strength_with_its_intervals() -> None:
    found = Sweep('0' * 64, ('right',), ('left',), 'knife', 100, LEFT,
                  (strength(0.0, 60, 40), strength(0.02, 97), strength(0.08, 100)), 1, 'so')
    whole = page(found)
    assert whole.count('<circle') == 3
    assert whole.count('fill="#b3471d"') == 1, 'the recommended one stands out'
    assert 'strength 0.02: suppression 100' in whole
    assert '<svg' not in page(replace(found, scenario=None, episodes=None, strengths=tuple(
        replace(one, audit=None) for one in found.strengths)))


def test_the_recommended_file_names_the_episodes_that_chose_it(
        mixed_dir: Path, dataset: Dataset, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    def audited(*_: object) -> Episodes:
        return strength(0.0, 3, count=4).audit  # type: ignore[return-value]

    monkeypatch.setattr(mode_classifier, '_BALANCED_STEPS', 20)
    monkeypatch.setattr(sweeping, '_audited', audited)
    found = sweep(prepared(load_run(mixed_dir), dataset, OPTIONS), tmp_path / 'sweep', OPTIONS,
                  None, find_scenario('knife'), 4, 1)
    recommended = load_policy(tmp_path / 'sweep' / 'recommended.onnx')
    assert recommended.metadata['seeds']['development'] == [5, 6, 7, 8]
    assert recommended.metadata['edit']['gamma'] == found.strengths[found.recommended].gamma
    with pytest.raises(AuditError, match='used for development'):
        require_unseen(tmp_path, recommended, range(8, 20))


def test_a_policy_that_has_to_ask_is_given_to_doubt_with_the_episodes_that_chose_it() -> None:
    found = Sweep('0' * 64, ('right',), ('left',), 'knife', 100, LEFT,
                  (strength(0.0, 60, 40), strength(0.02, 97)), 1, 'so')
    assert next_step(found, Path('out'), False) == 'out/recommended.onnx is this edit: audit it'
    asked = next_step(found, Path('out'), True)
    assert 'give out/gamma_0.02/run to uncloning doubt with --development-seeds 5:105,' in asked


def test_two_arms_are_not_judged_by_episodes(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sweeping, 'sweep', lambda *asked: pytest.fail(f'{asked}'))
    assert main(['unclone', str(mixed_dir), '--data', str(data_dir), '--remove', 'right', '--out',
                 str(tmp_path / 'x'), '--sweep', '--scenario', 'knife_two_arms']) == 2
    assert 'knife_two_arms' in capsys.readouterr().err


def test_the_command_passes_on_what_was_asked(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def found(edit: Prepared, out: Path, *others: Any) -> Sweep:
        asked.extend(others)
        return Sweep('0' * 64, ('right',), ('left',), 'knife', 7, LEFT, (strength(0.0, 7),), 0, '')

    monkeypatch.setattr(sweeping, 'sweep', found)
    assert main(['unclone', str(mixed_dir), '--data', str(data_dir), '--remove', 'right', '--out',
                 str(tmp_path / 'x'), '--sweep', '--threads', '1', '--steps', '9', '--episodes',
                 '7', '--scenario', 'knife', '--method', 'redirect', '--trust-labels']) == 0
    options, method, scenario, episodes, workers = asked
    assert (options.threads, options.steps, options.trust_labels) == (1, 9, True)
    assert (method, scenario.name, episodes, workers) == ('redirect', 'knife', 7, 1)
    assert 'index.html has the page' in capsys.readouterr().out


@pytest.mark.parametrize(('source', 'more', 'told'), [
    ('--data', ['--sweep', '--gamma', '1'], 'leave out --gamma'),
    ('--data', ['--sweep', '--tau', '0.5'], 'leave out --tau'),
    ('--data', ['--sweep', '--corrections', 'c'], 'leave out --corrections'),
    ('--incidents', ['--sweep'], 'leave out --incidents'),
    ('--data', ['--sweep', '--method', 'lock'], 'got --method lock, which has none'),
    ('--data', ['--sweep', '--method', 'fine-tune'], 'got --method fine-tune, which has none'),
    ('--data', ['--episodes', '3'], '--episodes goes with --sweep')])
def test_options_that_do_not_go_with_a_sweep_are_named(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, source: str, more: list[str], told: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['unclone', str(mixed_dir), source, str(data_dir), '--remove', 'right', '--out',
                 str(tmp_path / 'x'), *more]) == 2
    assert told in ' '.join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
