# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes in separate processes over DDS, on this machine alone."""

import dataclasses
import signal
from pathlib import Path

import checks
import pytest
from checks import Observer, observing
from policies import (
    deaf_contract,
    patient_contract,
    slow_contract,
    wandering_policy,
    written,
)
from processes import Process, Processes

import uncloning_ros
from uncloning_ros.contract.messages import JOINT_TRAJECTORY
from uncloning_ros.demos.bags.episode import EpisodeMetadata
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.bags.writer import EpisodeWriter
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.labelling.rule import rule_label
from uncloning_ros.errors import DatasetError
from uncloning_ros.scenario import find_scenario

pytestmark = pytest.mark.slow

PATIENT = patient_contract()
FLOATS = 'std_msgs/msg/Float64MultiArray'


def bring_up(processes: Processes, observer: Observer, model: Path) -> tuple[Process, Process]:
    """Start simulator and policy, and wait until the arm moves."""
    simulator = processes.start('simulator')
    policy = processes.start('policy', model_path=model, auto_activate='true', autostart='true')
    checks.policy_moves_the_simulated_arm(observer)
    return simulator, policy


def test_policy_moves_the_simulated_arm_stop_holds_it_and_so_does_deactivation(
        processes: Processes, observer: Observer, wandering: Path) -> None:
    simulator, policy = bring_up(processes, observer, wandering)
    checks.stop_holds_once(observer)
    checks.deactivation_holds_once(observer)
    assert policy.end() == 0
    assert simulator.end() == 0
    checks.last_command_is_the_only_hold(observer)


def test_motion_begins_with_one_step_at_most_however_far_the_policy_wants_to_go(
        processes: Processes, tmp_path: Path) -> None:
    contract = slow_contract()
    with observing(contract) as observer:
        processes.start('simulator')
        processes.start('policy', auto_activate='true', model_path=wandering_policy(
            tmp_path / 'wandering.onnx', contract, wander=0.1))
        checks.motion_begins_with_one_step_at_most(observer, contract)


def test_an_observation_that_never_arrives_is_waited_for_in_silence(
        processes: Processes, observer: Observer, tmp_path: Path) -> None:
    processes.start('simulator')
    processes.start('policy', auto_activate='true', model_path=wandering_policy(
        tmp_path / 'wandering.onnx', deaf_contract('hand_pose')))
    checks.what_never_arrives_is_waited_for_in_silence(observer, 'hand_pose')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_policy_with_exactly_one_hold_command(
        processes: Processes, observer: Observer, wandering: Path,
        number: signal.Signals) -> None:
    simulator, policy = bring_up(processes, observer, wandering)
    policy.send(number)
    observer.until(observer.holds, 'a hold command')
    assert policy.wait() == 0
    observer.let_poses_pass(20)
    checks.last_command_is_the_only_hold(observer)
    assert simulator.end(number) == 0


def test_the_arm_rests_when_the_policy_is_killed(
        processes: Processes, observer: Observer, wandering: Path) -> None:
    simulator, policy = bring_up(processes, observer, wandering)
    checks.sigkill_of_the_policy_leaves_an_arm_that_rests(observer, policy.kill)
    assert simulator.end() == 0


@pytest.mark.parametrize('kind', [FLOATS, JOINT_TRAJECTORY])
def test_an_arm_follows_commanded_joints(processes: Processes, tmp_path: Path, kind: str) -> None:
    contract = patient_contract('contract_joint.yaml')
    topic = dataclasses.replace(contract.deployment.actions['target_joints'], type=kind)
    contract = dataclasses.replace(contract, deployment=dataclasses.replace(
        contract.deployment, actions={**contract.deployment.actions, 'target_joints': topic}))
    path = written(contract, tmp_path / 'contract.yaml')
    with observing(contract) as observer:
        started = [processes.start('simulator', contract_path=path),
                   processes.start('policy', auto_activate='true', autostart='true',
                                   model_path=wandering_policy(tmp_path / 'wandering.onnx',
                                                               contract))]
        checks.policy_moves_the_simulated_arm(observer)
        checks.the_arm_follows_its_joints(observer)
        assert [process.end() for process in started] == [0, 0]


def test_a_frozen_simulator_means_hold_and_motion_goes_on_when_it_is_back(
        processes: Processes, observer: Observer, wandering: Path) -> None:
    simulator, _ = bring_up(processes, observer, wandering)
    simulator.send(signal.SIGSTOP)
    observer.until_policy('hold')
    assert observer.of('/policy/status', 'reason') in ('stale_input', 'stale_stamp')
    simulator.send(signal.SIGCONT)
    observer.until_policy('active')
    assert observer.of('/policy/status', 'counters')['holds'] >= 1


def test_a_demonstration_recorded_live_is_a_bag_like_a_fast_one(
        processes: Processes, observer: Observer, tmp_path: Path) -> None:
    out = tmp_path / 'demos'
    contract = {'contract_path': written(PATIENT, tmp_path / 'contract.yaml')}
    started = [processes.start('recorder', out=out, planned_mode='handle_first', **contract),
               processes.start('simulator', seed=3, **contract),
               processes.start('demonstrator', mode='handle_first', seed=3, autostart='false',
                               **contract)]
    for _ in range(checks.TAKES):
        path = checks.record_one_demonstration(observer, 'handle_first', out)
        episode = read_episode(path, PATIENT)
        try:
            observations, actions, _, _ = align(episode, PATIENT)
            break
        except DatasetError as err:
            print(f'{path.name}: {err}')
            checks.next_person(observer)
    else:
        pytest.fail(f'none of {checks.TAKES} takes can be trained from')
    assert [process.end() for process in started] == [0, 0, 0]
    checks.same_form(path, fast_bag(tmp_path / 'fast'))
    label = rule_label(PATIENT, find_scenario('knife'), episode)
    assert label.mode == 'handle_first', label.reason
    assert len(observations) == len(actions)
    # A busy machine skips a tick of the teacher's here and there.
    assert len(actions) == pytest.approx(len(episode.samples['target_pose']), rel=0.2)


def fast_bag(final_dir: Path) -> Path:
    """Record a simulated demonstration the fast way; return its bag."""
    from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
    from uncloning_ros.simulation.world import open_world
    scenario = find_scenario('knife')
    world = open_world(scenario, PATIENT.interface)
    metadata = EpisodeMetadata('fast', 0, 'script', 'handle_first', uncloning_ros.__version__)
    begin_ns = 10**18  # a stamp of 0 means that there is none
    with EpisodeWriter(final_dir, PATIENT, metadata) as writer:
        writer.write_event({'event': 'start', 'episode': 0, 'mode': 'handle_first'}, begin_ns)
        demonstrate(world, Demonstrator(scenario, PATIENT.interface, 'handle_first', 3),
                    PATIENT, 3, lambda key, values, stamp_ns, receive_ns: writer.write_values(
                        key, values, begin_ns + stamp_ns, begin_ns + receive_ns))
        writer.write_event({'event': 'stop', 'episode': 0, 'mode': 'handle_first'},
                           begin_ns + world.time_ns)
        writer.commit()
    world.close()
    return final_dir


@pytest.mark.parametrize(('name', 'parameters', 'sentence'), [
    ('simulator', {'scenario': 'knive'}, "did you mean 'knife'"),
    ('demonstrator', {'mode': 'handel_first'}, "did you mean 'handle_first'"),
    ('recorder', {'planned_mode': 'blade_frist'}, "did you mean 'blade_first'"),
    ('policy', {'model_path': '/nowhere.onnx', 'auto_activate': 'true'}, '/nowhere.onnx'),
    ('policy', {'seed': 1.5}, 'seed: expected a whole number, got 1.5'),
    ('simulator', {'real_time_factor': 2}, 'expected a number, got 2; write 2.0'),
    ('simulator', {'seed': '010'}, 'seed: expected a decimal number, got 010'),
    ('recorder', {'operator': 7}, 'operator: expected a text, got 7; write the text in quotes'),
    ('demonstrator', {'mode': ''}, "Couldn't parse parameter override rule")])
def test_bad_input_ends_a_node_with_a_sentence_and_status_2(
        processes: Processes, name: str, parameters: dict[str, object], sentence: str) -> None:
    process = processes.start(name, **parameters)
    assert process.wait() == 2
    assert sentence in process.output
    assert 'Traceback' not in process.output
