# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped models start with their own evidence required, and with no other's.

Observed evidence opens the gate only where its kind is stated.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import FAILURE, SUCCESS

from uncloning_ros.errors import EvidenceError
from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.nodes.policy_model import deployed_model
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.schema import plain
from uncloning_ros.share import share_path
from uncloning_ros.trials import plan as planning
from uncloning_ros.trials.evidence import observed_document
from uncloning_ros.trials.results import Observed

EVIDENCE = sorted(share_path('models').glob('*.evidence'))
# Models whose audit exceeded the limits that were stated before it.
REFUSED = ('knife_camera_uncloned',)
HOLDING = [path for path in EVIDENCE if path.stem not in REFUSED]


def test_every_uncloned_model_has_its_evidence() -> None:
    names = {path.stem for path in share_path('models').glob('*uncloned.onnx')}
    assert names == {path.stem for path in EVIDENCE} and len(names) == 6


def diagnosed(robot: Any) -> dict[str, str]:
    """Return the newest values of /diagnostics, which are filled in as they come."""
    heard: dict[str, str] = {}
    robot.create_subscription(DiagnosticArray, '/diagnostics', lambda array: heard.update(
        (pair.key, pair.value) for status in array.status for pair in status.values), 10)
    return heard


@pytest.fixture
def observed(tmp_path: Path) -> Path:
    """Return the path of observed evidence about the first model."""
    model = planning.planned_model(load_policy(HOLDING[0].with_suffix('.onnx')), 'model', None)
    plan = planning.sealed(planning.TrialPlan(
        digest='', task='', stopping='fixed', max_umr=0.3, min_sr=None,
        modes={'handle_first': True}, models=(model,), seed=1,
        trials=planning.trials_from([{}] * 12, 1, random.Random(1))))
    results = [Observed(i, True, False, 'handle_first') for i in range(1, 13)]
    path = tmp_path / 'observed.evidence'
    path.write_text(json.dumps(plain(observed_document(plan, results, model.model_sha256, None,
                                                       None))))
    return path


def test_observed_evidence_opens_the_gate_where_its_kind_is_stated(
        graph: Any, robot: Any, observed: Path, tmp_path: Path) -> None:
    heard = diagnosed(robot)
    node = graph.add(PolicyNode, model_path=str(HOLDING[0].with_suffix('.onnx')),
                     evidence_path=str(observed), evidence_kind='observed',
                     incident_dir=str(tmp_path))
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    graph.until(lambda: 'evidence' in heard, lambda: 'no diagnostics')
    assert heard['evidence_kind'] == 'observed'
    assert '0 of 12 trials on a robot, observed by people, were unsafe' in heard['evidence']


@pytest.mark.parametrize(('model', 'kind', 'said'), [
    (0, 'simulated', 'expected simulated evidence, got observed'),
    (1, 'observed', 'expected evidence about the model'),
    (0, 'watched', "evidence_kind: expected simulated or observed, got 'watched'")])
def test_observed_evidence_opens_no_other_gate(
        graph: Any, observed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
        model: int, kind: str, said: str) -> None:
    node = graph.add(PolicyNode, model_path=str(HOLDING[model].with_suffix('.onnx')),
                     evidence_path=str(observed), evidence_kind=kind, incident_dir=str(tmp_path))
    assert node.trigger_configure() is FAILURE
    assert said in capfd.readouterr().err


@pytest.mark.parametrize('evidence', HOLDING, ids=lambda path: path.stem)
def test_a_model_starts_with_its_evidence_whose_limits_hold(
        graph: Any, robot: Any, evidence: Path, tmp_path: Path) -> None:
    heard = diagnosed(robot)
    node = graph.add(PolicyNode, model_path=str(evidence.with_suffix('.onnx')),
                     evidence_path=str(evidence), incident_dir=str(tmp_path))
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    graph.until(lambda: 'evidence' in heard, lambda: 'no diagnostics')
    assert heard['evidence'].endswith('; the stated limits hold')
    assert heard['evidence_kind'] == 'simulated'


@pytest.mark.parametrize('name', REFUSED)
def test_a_model_does_not_start_with_its_evidence_whose_limit_is_exceeded(
        graph: Any, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = share_path('models') / f'{name}.onnx'
    node = graph.add(PolicyNode, model_path=str(model), incident_dir=str(tmp_path),
                     evidence_path=str(model.with_suffix('.evidence')))
    assert node.trigger_configure() is FAILURE
    assert 'unsafe rate may be as high as' in capfd.readouterr().err


@pytest.mark.parametrize('evidence', EVIDENCE, ids=lambda path: path.stem)
def test_a_model_does_not_start_with_the_evidence_of_another(
        graph: Any, evidence: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = EVIDENCE[EVIDENCE.index(evidence) - 1]
    node = graph.add(PolicyNode, model_path=str(evidence.with_suffix('.onnx')),
                     evidence_path=str(other), incident_dir=str(tmp_path))
    assert node.trigger_configure() is FAILURE
    assert 'expected evidence about the model' in capfd.readouterr().err


def test_shipped_evidence_counts_for_a_contract_that_names_a_person_and_for_no_other_limits(
        tmp_path: Path) -> None:
    shipped = (share_path('config') / 'contract.yaml').read_text('utf-8')
    mine = tmp_path / 'mine.yaml'
    mine.write_text(shipped + '  teleoperation: {node: steer, topic: switch, max_age_s: 0.2}\n')
    model = share_path('models') / 'knife_uncloned.onnx'
    values = {'model_path': str(model), 'expected_sha256': '', 'contract_path': str(mine),
              'evidence_path': str(model.with_suffix('.evidence')), 'evidence_kind': 'simulated'}
    found = deployed_model(values)
    assert found.contract.deployment.teleoperation is not None
    assert found.evidence.endswith('; the stated limits hold')
    mine.write_text(shipped.replace('speed_m_s: 2.0', 'speed_m_s: 3.0'))
    with pytest.raises(EvidenceError, match='uncloning export MODEL --contract FILE, then audit'):
        deployed_model(values)
