# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From deployment to data: a teacher takes a moving arm over, and the bag holds the correction."""

import dataclasses
from pathlib import Path
from typing import Any

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


def manned_contract() -> Contract:
    """Return the patient contract with the teacher as teleoperation, and time for a person."""
    patient = patient_contract()
    end = dataclasses.replace(patient.deployment.episode_end, max_episode_s=300.0)
    return dataclasses.replace(patient, deployment=dataclasses.replace(
        patient.deployment, episode_end=end,
        teleoperation=Teleoperation('demonstrator', 'demonstrator/commands', MAX_AGE_S)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_teacher_takes_over_mid_motion_and_the_correction_becomes_data(
        processes: Processes, observer: Observer, wandering: Path, tmp_path: Path) -> None:
    contract = manned_contract()
    for take in range(checks.TAKES):
        out, seed = tmp_path / f'demos{take}', 3 + take
        given = {'contract_path': written(contract, tmp_path / 'contract.yaml')}
        for _ in range(5 * take):  # nothing of the take before is under way
            observer.drain()
        for seen in (observer.said, observer.commands, observer.poses, observer.history,
                     observer.statuses, observer.measured):
            seen.clear()
        started = [processes.start('simulator', seed=seed, **given),
                   processes.start('recorder', out=out, **given),
                   processes.start('demonstrator', mode='handle_first', seed=seed,
                                   autostart='false', **given),
                   processes.start('policy', model_path=wandering, auto_activate='true',
                                   autostart='true', **given)]
        try:
            bag = record_a_correction(observer, out)
            report = build_dataset([bag], tmp_path / f'data{take}',
                                   Recipe(find_scenario('knife'), Reading()), Split(0.0, 0), 1)
            break
        except DatasetError as err:  # of a machine that stood still
            print(f'take {take}: {err}')
        finally:
            assert [process.end() for process in reversed(started)] == [0] * 4
            observer.drain()
    else:
        pytest.fail(f'none of {checks.TAKES} corrections can be trained from')
    assert 'fault' not in {said['state'] for said in observer.statuses}
    episode = read_episode(bag, contract)
    assert [event['event'] for _, event in episode.events if event['event'] not in (
        'let_go', 'person')] == ['start', 'take_over', 'give_back', 'stop']
    [record] = report.dataset.episodes
    assert record.mode == 'handle_first' and record.correction_s is not None
    begin_s, end_s = record.correction_s
    # It begins with the policy's motion before, which is no part of the data.
    assert begin_s > 0.5
    assert 40 < record.frames <= (end_s - begin_s) * contract.policy.rate_hz + 1
    states = checks.no_leap_at_a_change(observer.history, observer.measured, contract)
    assert {'active', 'taken_over', 'hold'} <= set(states[states.index('taken_over') - 1:])


def record_a_correction(observer: Observer, out: Path) -> Path:
    """Take the moving arm over, finish the handover, give the arm back; return the bag.

    Raise `DatasetError` if the teacher fails.
    """
    observer.until_policy('active')
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') == 'running', 'motion')
    observer.let_commands_pass(100)
    assert observer.call('/demonstrator/start').success
    observer.until_policy('taken_over')
    observer.until(lambda: observer.of('/simulator/outcome', 'phase') in ('completed', 'over'),
                   'the outcome of the handover')
    if not observer.of('/simulator/outcome', 'completed'):
        raise DatasetError(f'the teacher failed: {observer.said}')
    observer.until(lambda: observer.of('/demonstrator/status', 'phase') == 'done',
                   'the end of the correction')
    observer.until(lambda: observer.status['reason'] == 'let_go', 'a switch that is let go')
    assert observer.call('/policy/give_back').success
    observer.until(lambda: out.is_dir() and list_episodes(out), 'a recorded correction')
    [bag] = list_episodes(out)
    return bag


@pytest.mark.parametrize(('leap_m', 'at'), [(0.0, 'person'), (0.1, 'person'), (0.1, 'policy')])
def test_a_leap_at_a_hand_over_is_noticed(leap_m: float, at: str) -> None:
    """The arm is commanded every 10 ms and follows, so it was where it leaps to only later."""
    history: list[tuple[int, Any]] = []
    measured, x = [], 0.4
    for i in range(900):
        state = 'active' if i < 300 or i >= 600 else 'taken_over'
        x += 0.001 + leap_m * (i == {'person': 299, 'policy': 600}[at])
        now_ns = i * 10**7
        history += [(now_ns, np.array([x, 0.0, 0.3])), (now_ns + 10**6, {'state': state})]
        measured.append((now_ns + 5 * 10**6, np.array([x, 0.0, 0.3])))
    if leap_m:
        with pytest.raises(AssertionError, match=r'0\.101 m at once'):
            checks.no_leap_at_a_change(history, measured, manned_contract())
    else:
        checks.no_leap_at_a_change(history, measured, manned_contract())
