# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy in doubt holds in the graph, asks on a latched topic, and takes an answer."""

import json
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from live_policy import CONTRACT, FAILURE, FakePolicy, Live, deployed
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.contract import Contract, DoubtStop
from uncloning_ros.nodes import policy as policy_module
from uncloning_ros.nodes.topics import LATCHED_QOS
from uncloning_ros.policy_io import Observation, Plan
from uncloning_ros.runtime.doubt import Box, Calibration, DoubtRecord

ASKING = deployed(CONTRACT, doubt=DoubtStop(0.4, 600.0))
FAR = 10.0  # m, of a box that no object is in
RECORD = DoubtRecord({'object_pose': Box((FAR,) * 9, (FAR + 1.0,) * 9)},
                     Calibration(3.0, 0.4, 0.05, 500, 'a' * 64, 'knife'))


class Doubting(FakePolicy):
    """A policy whose doubt is a number that a test sets."""

    def __init__(self, contract: Contract = ASKING, record: DoubtRecord | None = RECORD) -> None:
        super().__init__(contract)
        self.doubt = record  # type: ignore[assignment]
        self.says = 1.0

    def __call__(self, observation: Observation, noise: np.ndarray) -> Plan:
        return Plan(super().__call__(observation, noise).chunk, doubt=self.says)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have diagnostics more often, so that no test waits for them."""
    monkeypatch.setattr(policy_module, '_DIAGNOSTICS_S', 0.1)


def questions(live: Live) -> list[dict[str, Any]]:
    """Return the list of questions that a late subscriber hears from now on."""
    heard: list[dict[str, Any]] = []
    live.robot.create_subscription(String, '/policy/question',
                                   lambda message: heard.append(json.loads(message.data)),
                                   LATCHED_QOS)
    return heard


def test_doubt_holds_and_asks_and_start_accepts_it(load: Any, activate: Any) -> None:
    policy = Doubting()
    load(policy)
    live = activate()
    shown: list[MarkerArray] = []
    health: list[dict[str, str]] = []
    live.robot.create_subscription(MarkerArray, '/policy/markers', shown.append, 1)
    live.robot.create_subscription(
        DiagnosticArray, '/diagnostics', lambda message: health.append(
            {pair.key: pair.value for pair in message.status[0].values}), 1)
    live.moving()
    assert live.status['doubt'] == 1.0
    policy.says = 9.0
    live.reach('hold', 'doubtful')
    assert 'object_pose lies' in live.status['sentence']

    heard = questions(live)
    live.until(lambda: heard)
    assert heard[-1]['observation'] == 'object_pose' and heard[-1]['doubt'] == 9.0
    assert heard[-1]['question'] in live.status['sentence'] and heard[-1]['threshold'] == 3.0
    live.until(lambda: health and health[-1]['reason'] == 'doubtful')
    assert (health[-1]['doubt_newest'], health[-1]['doubt_threshold']) == ('9.0', '3.0')
    live.until(lambda: any(one.ns == 'doubt/question' and one.action == Marker.ADD
                           and one.text == heard[-1]['question']
                           for array in shown[-1:] for one in array.markers))

    answer = live.call('start')
    assert answer.success and 'accepted for 600 s; motion goes on unless' in answer.message
    live.reach('active', 'policy')
    live.until(lambda: heard[-1]['question'] == '')
    live.let_rounds_pass(100)
    assert live.status['state'] == 'active', 'the doubt is accepted for longer than this test'


def test_a_policy_without_doubt_is_asked_nothing(load: Any, activate: Any) -> None:
    load(FakePolicy())
    live = activate()
    heard = questions(live)
    live.until(lambda: heard)
    assert heard == [{'question': '', 'observation': '', 'doubt': None, 'threshold': None}]
    live.moving()
    assert live.status['doubt'] is None


@pytest.mark.parametrize('record', [None, DoubtRecord(RECORD.demonstrated)])
def test_a_deployment_that_asks_for_a_doubt_which_the_file_lacks_is_refused(
        load: Any, graph: Any, record: DoubtRecord | None, tmp_path: Any,
        capfd: pytest.CaptureFixture[str]) -> None:
    load(Doubting(record=record))
    node = graph.add(policy_module.PolicyNode, model_path='some.onnx', incident_dir=str(tmp_path))
    assert node.trigger_configure() is FAILURE
    assert 'expected a policy with a calibrated doubt' in capfd.readouterr().err


def test_a_deployment_that_stops_for_no_doubt_of_the_file_is_told(
        load: Any, activate: Any, capfd: pytest.CaptureFixture[str]) -> None:
    load(Doubting(CONTRACT))
    activate()
    assert 'nothing stops for it' in capfd.readouterr().err
