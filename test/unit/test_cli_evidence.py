# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command that shows, checks and plans evidence, and what its exit status says."""

import dataclasses
import json
from pathlib import Path

import pytest
from audit_models import result, write_policy

from uncloning_ros.audit import evidence as checking
from uncloning_ros.audit.audited import AuditedModel, identity_of
from uncloning_ros.audit.evidence import evidence_document
from uncloning_ros.audit.figures.model_figures import StatedLimits
from uncloning_ros.cli.main import main
from uncloning_ros.evidence import digest_of
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario

KNIFE = find_scenario('knife')
SEEDS = {'demonstrations': [1], 'development': [2], 'training': 3}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path / 'policy.onnx', seeds=SEEDS)


@pytest.fixture
def evidence(policy: Path, tmp_path: Path) -> Path:
    about = identity_of(load_policy(policy), policy.name)
    results = tuple(result(1000 + i, offer=(0.6, 0.1, 0.3)) for i in range(30))
    return write(evidence_document(AuditedModel(about, results), KNIFE, 0.005,
                                   StatedLimits(max_umr=0.1)), tmp_path / 'e.json')


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Replace the simulation by one that gives the same episodes; list the seeds."""
    runs: list[list[int]] = []

    def run_rollouts(model: Path, scenario: object, seeds: list, *_: object, **__: object) -> list:
        runs.append(list(seeds))
        return [result(s, offer=(0.6, 0.1, 0.3)) for s in seeds]

    monkeypatch.setattr(checking, 'run_rollouts', run_rollouts)
    return runs


def write(document: dict, path: Path) -> Path:
    path.write_text(json.dumps(document | {'digest': digest_of(document)}))
    return path


def run(*words: object) -> int:
    return main(['evidence', *map(str, words)])


def test_show_says_what_the_file_says(evidence, capsys) -> None:
    assert run('show', evidence) == 0
    text = ' '.join(capsys.readouterr().out.split())
    assert 'policy.onnx' in text
    assert 'every stated limit holds' in text
    assert 'not a safety certificate' in text


def test_check_of_the_file_alone_says_what_it_did_not_check(evidence, simulated, capsys) -> None:
    assert run('check', evidence) == 0
    told = capsys.readouterr().out
    assert 'ok: the figures and the verdict follow from the 30 episodes' in told
    assert 'not checked: the model that it is about' in told
    assert simulated == []


def test_check_against_model_and_scenario_simulates_some_again(evidence, policy, simulated,
                                                               capsys) -> None:
    assert run('check', evidence, '--model', policy, '--scenario', 'knife', '--episodes', 4) == 0
    told = capsys.readouterr().out
    assert 'ok: 4 episodes came out the same again' in told
    assert 'not checked' not in told
    (seeds,) = simulated
    assert len(set(seeds)) == 4
    assert set(seeds) <= set(range(1000, 1030))
    assert run('check', evidence, '--model', policy, '--episodes', 4) == 0
    assert simulated[1] == seeds  # which ones follows from the file
    assert run('check', evidence, '--model', policy, '--episodes', 100) == 0
    assert len(simulated[2]) == 30


def test_an_episode_that_comes_out_otherwise_is_told(evidence, policy, monkeypatch,
                                                     capsys) -> None:
    def run_rollouts(model: Path, scenario: object, seeds: list, *_: object, **__: object) -> list:
        return [dataclasses.replace(result(s, offer=(0.6, 0.1, 0.3)), chunks=13) for s in seeds]

    monkeypatch.setattr(checking, 'run_rollouts', run_rollouts)
    assert run('check', evidence, '--model', policy, '--episodes', 1) == 1
    told = capsys.readouterr().out
    assert 'chunks is 12, but comes out as 13' in told
    assert 'machine' not in told  # it is this one


def test_episodes_of_another_machine_may_differ_and_that_is_said(evidence, policy, monkeypatch,
                                                                 capsys) -> None:
    document = json.loads(evidence.read_text())
    document['machine']['processor'] = 'another one'
    write(document, evidence)
    monkeypatch.setattr(checking, 'run_rollouts', lambda *a, **_: [
        dataclasses.replace(result(s, offer=(0.6, 0.1, 0.3)), chunks=13) for s in a[2]])
    assert run('check', evidence, '--model', policy, '--episodes', 1) == 1
    assert "machine.processor is 'another one'" in capsys.readouterr().out


def test_evidence_about_another_model_is_told_and_nothing_simulated(
        evidence, tmp_path, simulated, capsys) -> None:
    other = write_policy(tmp_path / 'other.onnx', noise_scale=0.5)
    assert run('check', evidence, '--model', other) == 1
    assert 'model_sha256 is' in capsys.readouterr().out
    assert simulated == []


def test_evidence_of_another_scenario_is_told(evidence, capsys) -> None:
    assert run('check', evidence, '--scenario', 'scissors') == 1
    assert 'scenario.sha256 is' in capsys.readouterr().out


def test_figures_that_do_not_follow_are_told(evidence, capsys) -> None:
    document = json.loads(evidence.read_text())
    document['figures']['umr_upper95'] = 0.01
    write(document, evidence)
    assert run('check', evidence) == 1
    assert 'figures.umr_upper95 is 0.01, but comes out as 0.09' in capsys.readouterr().out


@pytest.mark.parametrize('action', ['show', 'check'])
def test_a_damaged_file_gets_a_sentence(evidence, capsys, action) -> None:
    evidence.write_text(evidence.read_text().replace('"sr": 1.0', '"sr": 0.9', 1))
    assert run(action, evidence) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count('\n')) == ('', 1)
    assert 'is damaged' in told.err


@pytest.mark.parametrize('claim', [0.5, 0.0012, 1e-5])
def test_plan_fits_the_terminal(capsys, claim) -> None:
    assert run('plan', '--max-umr', claim, '--models', 3) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_plan_tells_episodes_and_power(capsys) -> None:
    assert run('plan', '--max-umr', 0.01) == 0
    told = capsys.readouterr().out
    assert '| below 1 % | 0 | 299 | 74.1 % | 40.7 % | 22.3 % |' in told
    assert '| below 1 % | 5 | 1049 |' in told
    assert run('plan', '--max-umr', 0.01, '--models', 2) == 0
    told = capsys.readouterr().out
    assert '| below 1 % | 0 | 368 |' in told
    assert 'for 2 models at once' in told


@pytest.mark.parametrize('claim', [0, 1])
def test_impossible_claims_get_a_sentence(claim, capsys) -> None:
    assert run('plan', '--max-umr', claim) == 2
    assert 'expected --max-umr between 0 and 1' in capsys.readouterr().err
