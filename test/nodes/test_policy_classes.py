# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An exported policy of every class runs live: the node loads it, starts, and commands the arm."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_policy import CONTRACT, Live, deployed
from visualization_msgs.msg import Marker, MarkerArray

from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.learning import checkpoint, cloning
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.export import export
from uncloning_ros.learning.options import PLAN, POLICY_KINDS, TRAINING, NetworkOptions
from uncloning_ros.nodes import policy_services
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path


@pytest.fixture(scope='module')
def samples(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return the shipped samples as a dataset, with ages that a busy machine keeps to."""
    built = build_dataset([share_path('samples') / 'knife'],
                          tmp_path_factory.mktemp('samples') / 'data',
                          Recipe(find_scenario('knife')), Split(0.0)).dataset
    return dataclasses.replace(built, contract=deployed(
        built.contract, observations=CONTRACT.deployment.observations))


@pytest.mark.parametrize('kind', POLICY_KINDS)
def test_the_node_runs_a_policy_of_every_class(
        kind: str, samples: Dataset, graph: Any, robot: Any, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    config = cloning.new_config(samples, dataclasses.replace(TRAINING, steps=5, batch_size=16),
                                NetworkOptions(32, 1, kind))
    run, model = tmp_path / 'run', tmp_path / 'policy.onnx'
    run.mkdir()
    checkpoint.write_config(run, config)
    assert cloning.train(samples, run, config).ended
    export(load_run(run), model)

    # The graph is empty but for it.
    monkeypatch.setattr(policy_services, '_DISCOVERY_NS', 0)
    live = Live(graph, robot, tmp_path / 'incidents', model_path=str(model))
    said: list[str] = []  # the modes that the node shows
    robot.create_subscription(MarkerArray, '/policy/markers', lambda array: said.extend(
        marker.text.partition(',')[0] for marker in array.markers
        if marker.ns == 'intent/mode' and marker.action == Marker.ADD), 1)
    live.reach('waiting', 'not_started')
    assert not live.poses
    assert graph.call(robot, '/policy/start').success
    live.until(lambda: live.status['state'] == 'active' and live.status['counters']['chunks'] > 1
               and all(robot.commands.values()) and (kind != PLAN or said))
    for key, commands in robot.commands.items():
        assert np.isfinite([one.values for one in commands]).all(), key
    assert np.ptp(np.array(live.poses)[:, :3], axis=0).any(), 'the arm is moved'
    assert (set(said) <= set(samples.contract.interface.modes)) and bool(said) == (kind == PLAN)
