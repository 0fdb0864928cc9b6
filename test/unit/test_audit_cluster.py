# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An audit on a cluster is the audit of one process, also when workers are lost.

The workers here are this process; bytes and text are all that goes there and back. bench/scale.py
does the same on Ray.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from audit_models import write_policy

from uncloning_ros.audit.cluster import handing_out
from uncloning_ros.audit.cluster.handing_out import episodes_text, run_on
from uncloning_ros.audit.record.provenance import machine
from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.cli.main import main
from uncloning_ros.errors import AuditError
from uncloning_ros.scenario import find_scenario
from uncloning_ros.schema import plain
from uncloning_ros.simulation.driver import INFERENCE_LATENCY_S

KNIFE = find_scenario('knife')
SEEDS = range(1000, 1011)


@pytest.fixture(autouse=True)
def _no_world_is_left() -> Iterator[None]:
    yield
    handing_out._runner.cache_clear()


class Here:
    """A cluster in this process, which runs the newest call first; `lost` calls lose a worker."""

    def __init__(self, cores: int = 2, lost: Sequence[int] = ()) -> None:
        self.cores, self._lost = cores, lost
        self.calls: list[tuple[int, ...]] = []
        self.most_at_once = 0

    def give(self, data: bytes) -> bytes:
        assert type(data) is bytes
        return data

    def start(self, setting: str, model: Any, partner: Any, seeds: Sequence[int]) -> Any:
        assert type(setting) is str
        self.calls.append(tuple(seeds))
        return len(self.calls) - 1, setting, model, partner, tuple(seeds)

    def finished(self, started: Sequence[Any]) -> tuple[Any, str | None]:
        self.most_at_once = max(self.most_at_once, len(started))
        number, *words = handle = started[-1]
        return handle, None if number in self._lost else episodes_text(*words)


@pytest.fixture(scope='module')
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_policy(tmp_path_factory.mktemp('policy') / 'policy.onnx')


@pytest.fixture(scope='module')
def expected(policy: Path) -> list:
    return run_rollouts(policy, KNIFE, SEEDS, 1)


def run(cluster: Here, policy: Path, seeds: Sequence[int] = SEEDS) -> tuple[list, list[int]]:
    done: list[int] = []
    found = run_on(cluster, policy, KNIFE, seeds, INFERENCE_LATENCY_S,
                   lambda result: done.append(result.seed), None)
    return found, done


def test_episodes_of_a_cluster_are_those_of_one_process(policy, expected) -> None:
    found, done = run(cluster := Here(), policy)
    assert found == expected
    assert sorted(done) == list(SEEDS)
    assert len(cluster.calls) == 3
    assert sorted(seed for call in cluster.calls for seed in call) == list(SEEDS)


def test_a_lost_worker_loses_its_shard_alone_which_runs_again(policy, expected) -> None:
    found, done = run(cluster := Here(lost=[1, 3]), policy)
    assert found == expected
    assert sorted(done) == list(SEEDS)  # no episode counts twice
    assert len(cluster.calls) == 3 + 2


def test_a_shard_that_loses_every_worker_ends_the_audit(policy) -> None:
    with pytest.raises(AuditError, match='episodes 1000 to 1002 .* got 4 workers that were lost'):
        run(Here(lost=range(100)), policy, SEEDS[:3])


def test_only_some_shards_are_started_at_once(policy, monkeypatch) -> None:
    monkeypatch.setattr(handing_out, '_EPISODES', 1)
    run(cluster := Here(cores=1), policy, SEEDS[:5])
    assert cluster.most_at_once == 2


def test_a_worker_on_another_machine_is_refused(policy) -> None:
    class Elsewhere(Here):
        def finished(self, started: Sequence[Any]) -> tuple[Any, str]:
            answer = {'machine': plain(machine()) | {'processor': 'another'}, 'episodes': []}
            return started[0], json.dumps(answer)

    with pytest.raises(AuditError, match="machines like this one, got processor 'another'"):
        run(Elsewhere(), policy, SEEDS[:1])


def test_an_error_of_a_worker_is_that_of_the_audit(policy) -> None:
    class Broken(Here):
        def give(self, data: bytes) -> bytes:
            return data[:-1] + b'x'

    with pytest.raises(AuditError, match='sha256|digest'):
        run(Broken(), policy, SEEDS[:1])


def test_nothing_is_started_for_models_that_misfit(policy) -> None:
    with pytest.raises(AuditError, match='expected modes'):
        run_on(cluster := Here(), policy, find_scenario('mug'), SEEDS, 0.005, print, None)
    assert cluster.calls == []


@pytest.mark.parametrize('text', ['', 'slurm', 'ray:', 'rays', 'ray@host'])
def test_the_engine_is_ray(policy, capsys, text) -> None:
    with pytest.raises(SystemExit):
        main(['audit', str(policy), '--scenario', 'knife', '--on', text])
    assert 'expected ray or ray:ADDRESS' in capsys.readouterr().err


def test_without_ray_the_extra_is_named(policy, capsys, monkeypatch) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'ray', None)
    assert main(['audit', str(policy), '--scenario', 'knife', '--episodes', '1', '--seed', '1000',
                 '--on', 'ray']) == 2
    assert "audit needs ray, which is not installed; install it in the package's folder with: " \
        "pip install '.[ray]'" in capsys.readouterr().err
