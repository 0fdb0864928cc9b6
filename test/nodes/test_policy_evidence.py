# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped models start with their own evidence required, and with no other's."""

from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import FAILURE, SUCCESS

from uncloning_ros.nodes.policy import PolicyNode
from uncloning_ros.share import share_path

EVIDENCE = sorted(share_path('models').glob('*.evidence'))


def test_every_uncloned_model_has_its_evidence() -> None:
    names = {path.stem for path in share_path('models').glob('*uncloned.onnx')}
    assert names == {path.stem for path in EVIDENCE} and len(names) == 5


@pytest.mark.parametrize('evidence', EVIDENCE, ids=lambda path: path.stem)
def test_a_model_starts_with_its_evidence_whose_limits_hold(
        graph: Any, robot: Any, evidence: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    robot.create_subscription(DiagnosticArray, '/diagnostics', lambda array: heard.extend(
        pair.value for status in array.status for pair in status.values
        if pair.key == 'evidence'), 10)
    node = graph.add(PolicyNode, model_path=str(evidence.with_suffix('.onnx')),
                     evidence_path=str(evidence), incident_dir=str(tmp_path))
    assert node.trigger_configure() is SUCCESS
    assert node.trigger_activate() is SUCCESS
    graph.until(lambda: heard, lambda: 'no diagnostics')
    assert heard[-1].endswith('; the stated limits hold')


@pytest.mark.parametrize('evidence', EVIDENCE, ids=lambda path: path.stem)
def test_a_model_does_not_start_with_the_evidence_of_another(
        graph: Any, evidence: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    other = EVIDENCE[EVIDENCE.index(evidence) - 1]
    node = graph.add(PolicyNode, model_path=str(evidence.with_suffix('.onnx')),
                     evidence_path=str(other), incident_dir=str(tmp_path))
    assert node.trigger_configure() is FAILURE
    assert 'expected evidence about the model' in capfd.readouterr().err
