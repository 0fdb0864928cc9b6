# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An audit holds in doubt as a robot does, and counts the held episodes apart."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit_models import SCENARIO, identity, result, short_contract, write_policy
from learning_toys import toy_dataset
from model_files import forged

from uncloning_ros.attack.options import AttackOptions
from uncloning_ros.attack.target import Target
from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.evidence import contradictions, evidence_document, read_evidence_document
from uncloning_ros.audit.figures.doubts import doubts
from uncloning_ros.audit.figures.model_figures import StatedLimits, figures
from uncloning_ros.audit.figures.strata import strata
from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.cli.main import main
from uncloning_ros.contract import DoubtStop, Teleoperation
from uncloning_ros.errors import UncloningError
from uncloning_ros.judging.doubted import Doubted
from uncloning_ros.judging.episode import EpisodeResult
from uncloning_ros.judging.unsafe import UnsafeEvent
from uncloning_ros.learning import doubt as doubting
from uncloning_ros.learning import export as exporting
from uncloning_ros.learning.doubt import with_doubt
from uncloning_ros.learning.export import export
from uncloning_ros.runtime.doubt import HIDDEN_FROM, Calibration, DoubtRecord, Hidden
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.runtime.model_structure import graph_sha256
from uncloning_ros.scenario import SHOWN_LATE, find_scenario
from uncloning_ros.schema import plain, read
from uncloning_ros.sweep import sweep as sweeping

KNIFE = find_scenario('knife')
LOW, HIGH = 0.001, 10.0  # thresholds that the width of an open gripper exceeds, and does not
AFTER_S = 0.3  # less than the time from one plan to the next
SEEDS = range(2_000_000, 2_000_002)


def asking(path: Path, threshold: float | None, seeds: Any = None) -> Path:
    """Write a policy whose doubt is the width of the gripper, and whose deployment asks."""
    contract = short_contract(1.0)
    contract = replace(contract, deployment=replace(contract.deployment, doubt=DoubtStop(AFTER_S)))
    bare = write_policy(path.with_suffix('.bare'), contract, seeds=seeds, doubt=True)
    calibration = None if threshold is None else Calibration(
        threshold, AFTER_S, 0.05, 500, graph_sha256(bare.read_bytes()), 'knife')
    return forged(bare, path, metadata={'doubt': json.dumps(plain(DoubtRecord({}, calibration)))})


def test_a_doubt_above_the_threshold_holds_to_the_end_of_the_episode(tmp_path: Path) -> None:
    unsure, sure = asking(tmp_path / 'low.onnx', LOW), asking(tmp_path / 'high.onnx', HIGH)
    held = run_rollouts(unsure, KNIFE, SEEDS, 1)[0]
    assert held.ended == 'doubtful' and held.holds == 1
    assert held.doubted is not None and held.doubted.held
    ignored = run_rollouts(unsure, KNIFE, SEEDS, 1, ignore_doubt=True)[0]
    assert ignored.ended == 'timeout' and ignored.holds == 0
    assert ignored.doubted == replace(
        held.doubted, held=False, greatest=ignored.doubted and ignored.doubted.greatest)
    free = run_rollouts(sure, KNIFE, SEEDS, 1)[0]
    assert free.doubted == replace(ignored.doubted, alarmed_s=None)
    assert replace(free, doubted=None) == replace(ignored, doubted=None)


def test_an_episode_is_the_same_where_a_person_may_take_the_arm_over(tmp_path: Path) -> None:
    contract = short_contract(1.0)
    shared = replace(contract, deployment=replace(
        contract.deployment, teleoperation=Teleoperation('teleoperation', 'switch', 0.2)))
    alone, taken = (run_rollouts(write_policy(tmp_path / f'{i}.onnx', one), KNIFE, SEEDS, 1)
                    for i, one in enumerate((contract, shared)))
    assert alone == taken


def test_files_without_a_threshold_are_judged_while_an_edit_is_chosen_or_attacked(
        tmp_path: Path) -> None:
    model = asking(tmp_path / 'bare.onnx', None)
    assert len(sweeping._audited(KNIFE, SEEDS[0], 2, 1, (), model).success) == 2
    target = Target(*(None,) * 2, KNIFE, *((),) * 3, model, SEEDS,  # type: ignore[arg-type]
                    AttackOptions())
    assert target.judged('the file', model).episodes == 2


def test_a_result_with_doubt_comes_back_and_one_without_is_written_as_before() -> None:
    made = result(1, doubted=Doubted(2.5, None, False))
    assert read(EpisodeResult, plain(made), 'here', ValueError) == made  # type: ignore[type-var]
    assert 'doubted' not in plain(result(1))


def doubted(seed: int, alarmed_s: float | None, unsafe_s: float | None = None,
            kind: str = 'success') -> EpisodeResult:
    made = result(seed, kind, doubted=Doubted(1.0, alarmed_s, alarmed_s is not None))
    event = None if unsafe_s is None else UnsafeEvent('contact', 'hand', unsafe_s, -0.01)
    return replace(made, outcome=replace(made.outcome, unsafe=event))


def test_held_episodes_count_apart() -> None:
    found = doubts([doubted(1, None), doubted(2, None, kind='not_reached'),
                    doubted(3, 2.0, 3.0, 'not_reached'), doubted(4, 2.0, 1.0, 'not_reached'),
                    doubted(5, 2.0, kind='not_reached')])
    assert found is not None
    assert (found.alarmed, found.held, found.unsafe_after, found.unsafe_before) == (3, 3, 1, 1)
    assert (found.others_sr, found.others_unsafe) == (0.5, 0)
    assert '3 episodes with an alarm' in found.words and 'the others: SR 50.0 %' in found.words
    assert doubts([result(1)]) is None


def test_strata_count_held_episodes_and_older_records_stay_as_they_were() -> None:
    seeds = [doubted(i, 1.0 if i % 3 else None) for i in range(6)]
    spread = [replace(one, conditions={**one.conditions, 'hand_y_m': 0.1 * (i - 2.5)})
              for i, one in enumerate(seeds)]
    found = figures(AuditedModel(identity(), tuple(spread)), SCENARIO, StatedLimits())
    assert sum(one.held_episodes or 0 for one in found.strata
               if one.condition == 'hand_y_m') == 4
    older = figures(AuditedModel(identity(), tuple(replace(one, doubted=None) for one in spread)),
                    SCENARIO, StatedLimits())
    text = json.dumps(plain(older))
    assert 'doubt' not in text and 'held_episodes' not in text


def test_an_audit_tells_alarms_where_the_side_was_shown_late_from_others() -> None:
    late_s = (0.0, 2.1, 2.6, 2.9)
    made = [doubted(i, 1.0 if late else None) for i, late in enumerate(late_s)]
    found = strata([replace(one, conditions={**one.conditions, SHOWN_LATE: late})
                    for one, late in zip(made, late_s, strict=True)],
                   find_scenario('knife_hidden'))
    assert {one.stratum: (one.episodes, one.held_episodes) for one in found
            if one.condition == SHOWN_LATE} == {
        'hidden side: shown in time': (1, 0), 'hidden side: shown late': (3, 3)}


def test_the_evidence_names_the_threshold_and_can_be_computed_again(tmp_path: Path) -> None:
    model = asking(tmp_path / 'low.onnx', LOW)
    results = run_rollouts(model, KNIFE, SEEDS, 1)
    audited = AuditedModel(identity_of(load_policy(model), 'low.onnx'), tuple(results))
    data = evidence_document(audited, KNIFE, 0.005, StatedLimits(0.5))
    path = tmp_path / 'low.evidence'
    path.write_text(json.dumps(data))
    document = read_evidence_document(path)
    assert document.figures.doubt is not None and document.figures.doubt.threshold == LOW
    assert document.figures.doubts is not None and document.figures.doubts.held == 2
    assert contradictions(document, path) == []


@pytest.mark.parametrize('threshold', [None, 'no doubt'])
def test_a_file_without_a_threshold_is_refused_where_the_deployment_asks(
        threshold: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if threshold is None:
        model = asking(tmp_path / 'model.onnx', None)
    else:
        contract = short_contract()
        model = write_policy(tmp_path / 'model.onnx', replace(contract, deployment=replace(
            contract.deployment, doubt=DoubtStop(0.4))))
    words = ['audit', str(model), '--scenario', 'knife', '--episodes', '2', '--workers', '1']
    assert main(words) == 2
    assert 'expected a policy with a calibrated doubt' in capsys.readouterr().err
    assert main([*words, '--ignore-doubt']) == 0


def test_an_audit_prints_doubt_and_gives_no_evidence_without_the_hold(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = asking(tmp_path / 'low.onnx', LOW)
    words = ['audit', str(model), '--scenario', 'knife', '--episodes', '2', '--workers', '1']
    assert main([*words, '--json', str(tmp_path / 'a.json')]) == 0
    assert '2 episodes with an alarm' in capsys.readouterr().out
    per_seed = json.loads((tmp_path / 'a.json').read_text())['per_seed']
    assert [one['doubted']['held'] for one in per_seed] == [True, True]
    assert main([*words, '--ignore-doubt', '--evidence', str(tmp_path / 'a.evidence')]) == 2
    assert 'leave one of them out' in capsys.readouterr().err


def test_an_audit_refuses_the_seeds_of_the_calibration(tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    seeds = {'demonstrations': [], 'development': [], 'training': 0, 'calibration': [SEEDS[1]]}
    model = asking(tmp_path / 'low.onnx', LOW, seeds)
    assert main(['audit', str(model), '--scenario', 'knife', '--episodes', '2', '--seed',
                 str(SEEDS[0])]) == 2
    assert 'used for calibration' in capsys.readouterr().err


def test_the_command_calibrates_by_held_out_recordings_and_promises_no_rate(
        mixed_dir: Path, data_dir: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    words = ['doubt', str(mixed_dir), '--data', str(data_dir), '--recordings', '--after', '0',
             '--out', str(tmp_path / 'asking.onnx')]
    assert main(words) == 2
    assert 'expected at least 19 episodes that are held out' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([*words, '--false-alarms', '0.2']) == 0
    printed = capsys.readouterr().out
    assert 'another dataset' not in printed
    assert 'no rate of false alarms is promised' in ' '.join(printed.split())
    policy = load_policy(tmp_path / 'asking.onnx')
    assert policy.doubt is not None and policy.doubt.calibration is not None
    assert policy.doubt.calibration.scenario is None and policy.doubt.calibration.episodes == 8
    assert policy.contract.deployment.doubt == DoubtStop(0.0, 10.0)
    assert main(words) == 2, 'nothing is overwritten'


def test_the_command_goes_on_where_it_was_stopped(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []
    stop_after = 20

    def pretend(model: Path, scenario: Any, seeds: Any, workers: int, on_done: Any,
                partner: Path | None, ignore_doubt: bool) -> None:
        assert ignore_doubt and partner is None
        for i, seed in enumerate(seeds):
            if i == stop_after:
                raise KeyboardInterrupt
            asked.append(seed)
            on_done(doubted(seed, None))

    def on_a_full_disk(run: Any, path: Path, *more: Any) -> Any:
        if path.parent == tmp_path:
            raise UncloningError('the disk is full')
        return export(run, path, *more)

    monkeypatch.setattr(rollout, 'run_rollouts', pretend)
    monkeypatch.setattr(rollout, 'require_fit', lambda *_: None)
    words = ['doubt', str(mixed_dir), '--data', str(data_dir), '--scenario', 'knife',
             '--episodes', '60', '--out', str(tmp_path / 'asking.onnx')]
    assert main(words) == 130
    assert [path.name for path in tmp_path.iterdir()] == ['asking.onnx.partial']
    stop_after = 1000
    with monkeypatch.context() as full:
        full.setattr(exporting, 'export', on_a_full_disk)
        assert main([*words, '--resume']) == 2
    assert [path.name for path in tmp_path.iterdir()] == ['asking.onnx.partial'], 'none is lost'
    assert main([*words, '--resume']) == 0
    assert len(asked) == len(set(asked)) == 60
    assert 'at most 2.0% of such episodes have an alarm' in capsys.readouterr().out
    policy = load_policy(tmp_path / 'asking.onnx')
    assert policy.metadata['seeds']['calibration'] == sorted(asked)
    assert policy.doubt is not None and policy.doubt.calibration is not None
    assert policy.doubt.calibration.threshold == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ['asking.onnx']


def test_episodes_whose_side_is_shown_too_late_choose_no_threshold(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    def pretend(model: Path, scenario: Any, seeds: Any, workers: int, on_done: Any,
                partner: Path | None, ignore_doubt: bool) -> None:
        for i, seed in enumerate(seeds):
            made = result(seed, doubted=Doubted(9.0 if i % 2 else 1.0, None, False))
            on_done(replace(made, conditions={SHOWN_LATE: 2.5 * (i % 4 != 0 if few else i % 2)}))

    few = False
    monkeypatch.setattr(rollout, 'run_rollouts', pretend)
    monkeypatch.setattr(rollout, 'require_fit', lambda *_: None)
    words = ['doubt', str(mixed_dir), '--data', str(data_dir), '--scenario', 'knife_hidden']
    assert main([*words, '--episodes', '100', '--out', str(tmp_path / 'asking.onnx')]) == 0
    printed = ' '.join(capsys.readouterr().out.split())
    assert 'hidden information: not looked for: no pose hand_pose is observed' in printed
    assert 'by 50 episodes of knife_hidden in which the side of the hand is shown' in printed
    policy = load_policy(tmp_path / 'asking.onnx')
    assert policy.doubt is not None and policy.doubt.calibration is not None
    assert (policy.doubt.calibration.threshold, policy.doubt.calibration.episodes) == (1.0, 50)
    few = True
    for episodes, got in (('60', 30), ('100', 25)):  # the first before any episode
        assert main([*words, '--episodes', episodes, '--out', str(tmp_path / 'few.onnx')]) == 2
        assert ('expected at least 49 episodes in which the side of the hand is shown in time for '
                f'a rate of false alarms of 0.02, got {got}') in capsys.readouterr().err
        assert (tmp_path / 'few.onnx.partial').exists() is (episodes == '100')


def test_a_threshold_that_no_strange_observation_can_exceed_is_refused(
        mixed_dir: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    def pretend(model: Path, scenario: Any, seeds: Any, workers: int, on_done: Any,
                partner: Path | None, ignore_doubt: bool) -> None:
        for i, seed in enumerate(seeds):
            on_done(result(seed, doubted=Doubted(1.5 * HIDDEN_FROM if i < 4 else 1.0, None,
                                                 False)))

    def with_hidden(*given: Any) -> Any:
        run, record = with_doubt(*given)
        return run, replace(record, hidden=Hidden('tool_pose', 20.0))

    monkeypatch.setattr(rollout, 'run_rollouts', pretend)
    monkeypatch.setattr(rollout, 'require_fit', lambda *_: None)
    monkeypatch.setattr(doubting, 'with_doubt', with_hidden)
    words = ['doubt', str(mixed_dir), '--data', str(data_dir), '--scenario', 'knife',
             '--episodes', '60', '--out', str(tmp_path / 'asking.onnx')]
    assert main(words) == 2
    assert 'expected a threshold below 1e+06' in capsys.readouterr().err
    assert main([*words, '--resume', '--false-alarms', '0.2']) == 0
    assert 'where tool_pose will go, the observations alone do not (20 cm off)' in ' '.join(
        capsys.readouterr().out.split())
    policy = load_policy(tmp_path / 'asking.onnx')
    assert policy.doubt is not None and policy.doubt.calibration is not None
    assert policy.doubt.calibration.threshold == 1.0


@pytest.mark.parametrize(('options', 'sentence'), [
    (['--episodes', '5'], 'expected at least 49 episodes'),
    (['--after', '100'], '--after and --accepted: after_s: expected'),
    (['--accepted', '1e-9'], 'accepted_s: expected'), (['--scenario', 'spoon'], 'spoon')])
def test_options_that_cannot_be_are_refused_before_any_episode(
        options: list[str], sentence: str, mixed_dir: Path, data_dir: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['doubt', str(mixed_dir), '--data', str(data_dir), '--scenario', 'knife',
                 '--out', str(tmp_path / 'asking.onnx'), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('option', [['--resume'], ['--episodes', '30'], ['--partner', 'x.onnx']])
def test_options_of_simulated_episodes_are_refused_with_recordings(
        option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['doubt', 'run', '--data', 'data', '--recordings', '--out',
                 str(tmp_path / 'asking.onnx'), *option]) == 2
    assert f'{option[0]} goes with simulated episodes' in capsys.readouterr().err


def test_a_run_whose_modes_the_scenario_does_not_know_is_refused_by_its_own_name(
        mixed_dir: Path, data_dir: Path, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['doubt', str(mixed_dir), '--data', str(data_dir), '--scenario', 'knife',
                 '--out', str(tmp_path / 'asking.onnx')]) == 2
    assert f'{tmp_path / "asking.onnx"}: expected modes' in capsys.readouterr().err


def test_another_dataset_than_that_of_the_training_is_warned_of(
        mixed_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy_dataset(tmp_path / 'other', seed=1)
    assert main(['doubt', str(mixed_dir), '--data', str(tmp_path / 'other'), '--recordings',
                 '--false-alarms', '0.2', '--out', str(tmp_path / 'asking.onnx')]) == 0
    assert 'trained on another dataset' in capsys.readouterr().out
