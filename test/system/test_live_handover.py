# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `make demo` ends with: the shipped policy hands over in a graph of separate processes."""

import dataclasses
from pathlib import Path

import checks
import pytest
from checks import CONTRACT, Observer
from policies import patient_contract, written
from processes import REPOSITORY, Processes, script

pytestmark = pytest.mark.slow

MODEL = REPOSITORY / 'models' / 'knife_uncloned.onnx'
# Simulated time slips on a busy machine, and a policy that sees the world late may miss: another
# person gets another chance, as in the demo. An unsafe handover gets none.
SEEDS = (200000, 200001, 200002)
PATIENCE_S = 150.0


def patient_robot(path: Path) -> Path:
    """Write the shipped contract with ages and an episode that suit a busy machine."""
    patient = patient_contract()
    deployment = patient.deployment
    end = dataclasses.replace(deployment.episode_end, max_episode_s=PATIENCE_S)
    return written(dataclasses.replace(
        patient, deployment=dataclasses.replace(deployment, episode_end=end)), path)


@pytest.mark.skipif(not MODEL.is_file(), reason=f'{MODEL.name} is not there; run: make models')
@pytest.mark.timeout(len(SEEDS) * (PATIENCE_S + 60))
@pytest.mark.parametrize('factor', [None, 0.5, 2.0],
                         ids=['wall clock', 'half as fast', 'twice as fast'])
def test_the_shipped_policy_hands_the_knife_over_handle_first_in_a_live_graph(
        processes: Processes, observer: Observer, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch, factor: float | None) -> None:
    monkeypatch.setattr(checks, 'PATIENCE_S', PATIENCE_S)
    contract_path, judged = patient_robot(tmp_path / 'contract.yaml'), []
    time = {} if factor is None else {'real_time_factor': factor, 'publish_clock': 'true'}
    for seed in SEEDS:
        observer.said.clear()
        started = [processes.start('simulator', seed=seed, **time),
                   processes.start('policy', model_path=MODEL, seed=seed,
                                   contract_path=contract_path, auto_activate='true',
                                   autostart='true',
                                   **({} if factor is None else {'use_sim_time': 'true'}))]
        # The simulated person ends the episode: with the tool in hand, or with empty hands.
        observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'over',
                       'the end of a handover')
        good, sentence = script('live_handover').verdict(observer.said['/simulator/outcome'],
                                                         CONTRACT.interface.desired_modes)
        assert [process.end() for process in started] == [0, 0]
        observer.drain()
        assert 'unsafe:' not in sentence
        assert 'blade_first' not in sentence
        if good:
            assert 'the person has the tool, handle_first' in sentence
            return
        judged.append(sentence)
    pytest.fail(f'nobody got the knife: {judged}')
