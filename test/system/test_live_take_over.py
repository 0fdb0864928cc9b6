# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From deployment to data: a teacher takes a moving arm over, and the bag holds the correction."""

import dataclasses
from pathlib import Path

import checks
import numpy as np
import pytest
from checks import Observer
from policies import MAX_AGE_S, patient_contract, written
from processes import Processes

from uncloning_ros.contract import Contract, Teleoperation
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.building import build_dataset
from uncloning_ros.demos.dataset.recipe import Recipe, Split
from uncloning_ros.demos.episodes.reading import Reading
from uncloning_ros.errors import DatasetError
from uncloning_ros.scenario import find_scenario

pytestmark = pytest.mark.slow

MOST_STEP_M = 0.06  # at 0.6 m/s in 0.1 s


def manned_contract() -> Contract:
    """Return the patient contract with the teacher as teleoperation, and time for a person."""
    patient = patient_contract()
    end = dataclasses.replace(patient.deployment.episode_end, max_episode_s=300.0)
    return dataclasses.replace(patient, deployment=dataclasses.replace(
        patient.deployment, episode_end=end,
        teleoperation=Teleoperation('demonstrator', 'demonstrator/commands', MAX_AGE_S)))


@pytest.mark.timeout(600)
def test_a_teacher_takes_over_mid_motion_and_the_correction_becomes_data(
        processes: Processes, observer: Observer, wandering: Path, tmp_path: Path) -> None:
    contract, out = manned_contract(), tmp_path / 'demos'
    path = written(contract, tmp_path / 'contract.yaml')
    started = [processes.start('simulator', seed=3, contract_path=path),
               processes.start('recorder', out=out, contract_path=path),
               processes.start('demonstrator', mode='handle_first', seed=3, autostart='false',
                               contract_path=path),
               processes.start('policy', model_path=wandering, contract_path=path,
                               auto_activate='true', autostart='true')]
    checks.policy_moves_the_simulated_arm(observer)
    for take in range(checks.TAKES):
        take_over_and_finish(observer)
        observer.until(lambda take=take: len(list_episodes(out)) > take, 'a recorded correction')
        bag = list_episodes(out)[take]
        episode = read_episode(bag, contract)
        assert [event['event'] for _, event in episode.events if event['event'] not in (
            'let_go', 'person')] == ['start', 'take_over', 'give_back', 'stop']
        try:
            if not observer.of('/simulator/outcome', 'completed'):
                raise DatasetError('the teacher dropped it')
            report = build_dataset([bag], tmp_path / f'data{take}',
                                   Recipe(find_scenario('knife'), Reading()), Split(0.0, 0), 1)
            break
        except DatasetError as err:  # a machine that stood still
            print(f'{bag.name}: {err}')
            checks.next_person(observer)
            assert observer.call('/policy/start').success
            observer.until_policy('active')
    else:
        pytest.fail(f'none of {checks.TAKES} corrections can be trained from')
    [record] = report.dataset.episodes
    assert record.mode == 'handle_first' and record.correction_s is not None
    begin_s, end_s = record.correction_s
    # It begins with the policy's motion before, which is no part of the data.
    assert begin_s > 1.0
    assert record.frames <= (end_s - begin_s) * contract.policy.rate_hz + 1
    assert record.frames > 40
    assert [process.end() for process in reversed(started)] == [0] * 4
    observer.drain()
    assert 'fault' not in {said['state'] for said in observer.statuses}
    no_leap(observer)


def take_over_and_finish(observer: Observer) -> None:
    """Take the moving arm over, finish the handover, give the arm back."""
    observer.said.pop('/demonstrator/status', None)
    assert observer.call('/demonstrator/start').success
    observer.until_policy('taken_over')
    observer.until(lambda: observer.of('/demonstrator/status', 'phase') == 'done'
                   or observer.of('/simulator/outcome', 'phase') == 'over',
                   'the end of the correction')
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') in ('completed', 'over'),
                   'the outcome of the handover')
    observer.until(lambda: observer.of('/demonstrator/status', 'phase') == 'done', 'the teacher')
    observer.until(lambda: observer.status['reason'] == 'let_go', 'a switch that is let go')
    assert observer.call('/policy/give_back').success
    observer.until(lambda: observer.status['reason'] not in ('let_go', 'recovering'),
                   'a policy that goes on')


def no_leap(observer: Observer) -> None:
    """Commands follow each other within a step of the teacher, who is quick and may skip a tick.

    Those of both are looked at, in the order in which they were published.
    """
    commands = np.array([item for _, item in sorted(observer.history, key=lambda one: one[0])
                         if isinstance(item, np.ndarray)])
    assert np.max(np.linalg.norm(np.diff(commands[:, :3], axis=0), axis=1)) <= MOST_STEP_M
