# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two arms in one world: one gives, the other receives; bags with both; what does not fit."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audit_models import write_policy
from inputs import CONTRACT
from two_armed import GIVER, RECEIVER, SCENARIO, hand_over, two_armed_world

from uncloning_ros.audit.run import rollout
from uncloning_ros.audit.run.rollout import Driver, run_episode, run_rollouts
from uncloning_ros.cli.main import main
from uncloning_ros.contract import Contract
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import ScenarioError
from uncloning_ros.geometry import position_of, rotation_about_z, x_axis_of
from uncloning_ros.judging.episode import Outcome, judge
from uncloning_ros.policy_io import Float32, Infer, Observation, Plan
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.runtime.inference import load_policy
from uncloning_ros.scenario import find_scenario, scenario_from_dict
from uncloning_ros.simulation.receivers.arm import palm_of
from uncloning_ros.simulation.receivers.teacher import require_receivable
from uncloning_ros.simulation.world import World, open_world


@pytest.fixture(scope='module')
def world() -> Iterator[World]:
    one = two_armed_world()
    yield one
    one.close()


def judged(world: World) -> Outcome:
    return judge(world.trace(), SCENARIO, GIVER.interface.desired_modes)


@pytest.mark.parametrize('mode', list(SCENARIO.modes))
def test_both_teachers_hand_over_in_every_mode(world: World, mode: str) -> None:
    assert hand_over(world, mode, 20)
    outcome = judged(world)
    assert (outcome.completed, outcome.mode) == (True, mode)
    assert world.over or world.receiver.withdrawal(world.time_ns * 1e-9) > 0.9
    # The receiving gripper holds the blade: contact with its edge, and nothing else is unsafe.
    if mode.startswith('blade'):
        assert outcome.unsafe is not None
        assert (outcome.unsafe.clause, outcome.unsafe.part) == ('contact', 'hand')
        assert world.receiver.held_part == 'blade'
    else:
        assert outcome.unsafe is None
        assert world.receiver.held_part == 'handle'
        assert outcome.edge_clearance_m['hand'] > 0.05


def test_the_same_seed_gives_the_same_episode_to_the_last_bit(world: World) -> None:
    heard: list[tuple[str, bytes, int]] = []
    other = two_armed_world()
    hand_over(other, 'blade_low', 7)
    for one in (world, other):
        assert hand_over(one, 'handle_high', 5, hear=lambda key, values, stamp, _: heard.append(
            (key, np.asarray(values).tobytes(), stamp)))
    first, second = world.trace(), other.trace()
    other.close()
    assert np.array_equal(first.object_pose, second.object_pose)
    half = len(heard) // 2
    assert heard[:half] == heard[half:]


def test_each_arm_measures_in_its_own_base_frame(world: World) -> None:
    world.reset(3)
    assert world.receiving is not None
    rng = np.random.default_rng(0)
    own = dict(world.receiving.glance(rng))
    seen = dict(world.glance(rng))
    place = SCENARIO.receiver_arm
    assert place is not None
    turn = rotation_about_z(place.base_yaw_rad)

    def in_world(sample: Sample) -> np.ndarray:
        return turn @ position_of(sample.values) + place.base_m

    assert np.allclose(in_world(own['object_pose']), position_of(seen['object_pose'].values),
                       atol=0.03)
    assert np.allclose(in_world(own['tool_pose']), position_of(seen['hand_pose'].values),
                       atol=0.03)
    assert np.allclose(own['tool_pose'].values[:3], place.rest_m, atol=0.025)
    # The palm looks at the giver.
    assert x_axis_of(seen['hand_pose'].values)[0] < -0.95
    assert x_axis_of(palm_of(own['tool_pose'].values))[0] > 0.95


def test_contact_of_the_arms_is_unsafe_to_the_end_of_the_episode(world: World) -> None:
    world.reset(1)
    assert world.receiving is not None
    # Each to where the other is.
    level = np.array([0.0, 0.0, 0.42, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.08])
    world.command(level + 0.68 * np.eye(10)[0])
    world.receiving.command(level + 0.60 * np.eye(10)[0])
    for _ in range(2 * world.physics_hz):
        world.advance()
    assert world.trace().arm_contact.any()
    outcome = judged(world)
    assert outcome.unsafe is not None
    assert (outcome.unsafe.clause, outcome.unsafe.part) == ('arms', 'arm')
    trace = world.trace()
    late = np.zeros(trace.steps, dtype=bool)
    late[-1] = True  # after a hand-off as well
    held = np.zeros(trace.steps, dtype=np.int8)
    off = np.zeros(trace.steps, dtype=bool)
    quiet = dataclasses.replace(trace, arm_contact=late, held_part=held, finger_contact=off)
    found = judge(quiet, SCENARIO, GIVER.interface.desired_modes)
    assert found.completed
    assert found.unsafe is not None
    assert found.unsafe.clause == 'arms'


def test_interfaces_that_do_not_fit_one_world_are_refused() -> None:
    knife = find_scenario('knife')
    for scenario, giving, receiving, told in (
            (knife, CONTRACT, RECEIVER, 'receiver is a person'),
            (knife, GIVER, None, 'partner_width'),
            (SCENARIO, GIVER, None, 'receiver_link0'),
            (SCENARIO, RECEIVER, GIVER, 'receiver_link0 of the receiving arm'),
            (SCENARIO, RECEIVER, None, 'receiver_link0 of the receiving arm'),
            (SCENARIO, GIVER, GIVER, 'got one in the frame panda_link0'),
            (SCENARIO, GIVER, dataclasses.replace(RECEIVER, interface=dataclasses.replace(
                RECEIVER.interface, modes={'handle_low': True})), 'the same modes')):
        with pytest.raises(ScenarioError, match=told):
            open_world(scenario, giving.interface,
                       receiving=None if receiving is None else receiving.interface)
    with pytest.raises(ScenarioError, match='partner_width'):
        require_receivable(CONTRACT.interface)


def test_a_rule_about_two_arms_needs_a_second_arm() -> None:
    data = dict(find_scenario('knife').source)
    with pytest.raises(ScenarioError, match='arms_touch'):
        scenario_from_dict(data | {'unsafe': {**data['unsafe'], 'arms_touch': True}}, 'here')


@pytest.fixture(scope='module')
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp('two_arms') / 'demos'
    assert main(['demos', '--scenario', 'knife_two_arms', '--episodes', '2', '--seed', '30',
                 '--out', str(out), '--workers', '2']) == 0
    return out


def test_one_bag_holds_both_arms_and_each_contract_reads_its_own(demos: Path,
                                                                 tmp_path: Path) -> None:
    path = list_episodes(demos)[0]
    giver, receiver = read_episode(path), read_episode(path, RECEIVER)
    assert giver.contract.interface == GIVER.interface
    assert receiver.contract.interface == RECEIVER.interface
    # The width of each gripper is one message for both contracts.
    for one, key, other, theirs in ((giver, 'gripper_width', receiver, 'partner_width'),
                                    (giver, 'partner_width', receiver, 'gripper_width')):
        mine, same = one.samples[key], other.samples[theirs]
        assert [sample.stamp_ns for sample in mine] == [sample.stamp_ns for sample in same]
        assert len({sample.stamp_ns for sample in mine}) == len(mine)
    for role, contract in (('giver', GIVER), ('receiver', RECEIVER)):
        config = Path('config') / f'contract_{role}.yaml'
        out = tmp_path / role
        assert main(['dataset', str(demos), '--out', str(out), '--workers', '1', '--contract',
                     str(Path(__file__).parents[2] / config)]) == 0
        found = load_dataset(out)
        assert found.contract.interface == contract.interface
        assert len(found.episodes) == 2
        assert None not in [one.mode for one in found.episodes]


def test_a_second_contract_in_a_scenario_with_a_person_is_refused(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Path(__file__).parents[2] / 'config' / 'contract_receiver.yaml'
    assert main(['demos', '--scenario', 'knife', '--episodes', '1', '--partner-contract',
                 str(config), '--out', str(tmp_path / 'demos')]) == 2
    told = capsys.readouterr().err
    assert 'knife' in told and 'person' in told
    assert not (tmp_path / 'demos').exists()


def replaced(contract: Contract, **changes: Any) -> Contract:
    """Return a contract whose interface has other parts, and topics of these alone."""
    interface = dataclasses.replace(contract.interface, **changes)
    keys = {one.key for one in interface.observations}
    return dataclasses.replace(contract, interface=interface, deployment=dataclasses.replace(
        contract.deployment, observations={
            key: topic for key, topic in contract.deployment.observations.items()
            if key in keys}))


def short(contract: Contract) -> Contract:
    """Return a contract with short episodes."""
    end = dataclasses.replace(contract.deployment.episode_end, max_episode_s=0.5)
    return dataclasses.replace(contract, deployment=dataclasses.replace(
        contract.deployment, episode_end=end))


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('pair')
    return (write_policy(folder / 'giver.onnx', short(GIVER)),
            write_policy(folder / 'receiver.onnx', short(RECEIVER), noise_scale=0.03))


def audited(giver: Path, *more: object) -> int:
    """Audit a policy in the scenario with two arms; return the exit status."""
    return main(['audit', str(giver), '--scenario', 'knife_two_arms', '--episodes', '2',
                 '--seed', '900000', '--workers', '1', *map(str, more)])


def test_an_audit_runs_two_loops_in_one_world_and_names_both(
        pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    giver, receiver = pair
    evidence = tmp_path / 'pair.evidence'
    assert audited(giver, '--partner', receiver, '--evidence', evidence, '--json',
                   tmp_path / 'a.json') == 0
    figures = json.loads(evidence.read_text())['figures']
    assert figures['model_sha256'] == load_policy(giver).sha256
    assert figures['partner_sha256'] == load_policy(receiver).sha256
    check = ['evidence', 'check', str(evidence), '--model', str(giver), '--episodes', '1']
    capsys.readouterr()
    assert main([*check, '--partner', str(receiver)]) == 0
    assert main(check) == 1
    assert 'partner_sha256' in capsys.readouterr().out
    # The policy of the second arm moves it: another one gives another episode.
    other = write_policy(tmp_path / 'other.onnx', short(RECEIVER), noise_scale=0.0)
    found = [run_rollouts(giver, SCENARIO, [900000], 1, partner=partner)
             for partner in (receiver, receiver, other)]
    assert found[0] == found[1]
    assert found[0][0].outcome.edge_clearance_m != found[2][0].outcome.edge_clearance_m


def test_the_noise_of_the_two_policies_differs(pair: tuple[Path, Path]) -> None:
    heard: dict[str, list[np.ndarray]] = {'giver': [], 'receiver': []}
    world = two_armed_world()
    assert world.receiving is not None

    def still(name: str) -> Infer:
        policy = load_policy(pair[name == 'receiver'])

        def infer(observation: Observation, noise: Float32) -> Plan:
            heard[name].append(noise)
            return policy(observation, noise)
        return infer

    loops = [ControlLoop(short(contract), 0) for contract in (GIVER, RECEIVER)]
    partner = Driver(world.receiving, loops[1], short(RECEIVER), still('receiver'), 5_000_000)
    run_episode(world, loops[0], short(GIVER), still('giver'), 3, 0.005, partner=partner)
    world.close()
    assert heard['giver'] and heard['receiver']
    assert not np.array_equal(heard['giver'][0], heard['receiver'][0])


def test_pairs_that_do_not_fit_are_refused(pair: tuple[Path, Path], tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    giver, receiver = pair
    shared = write_policy(tmp_path / 'shared.onnx', dataclasses.replace(
        short(RECEIVER), deployment=dataclasses.replace(
            short(RECEIVER).deployment, actions=GIVER.deployment.actions)))
    for words, told in (((giver,), 'give the partner too'),
                        ((receiver, '--partner', giver), 'receiver_link0 of the receiving arm'),
                        ((giver, '--partner', giver), 'got one in the frame panda_link0'),
                        ((giver, '--partner', shared), '/giver/target_pose')):
        assert audited(*words) == 2
        assert told in capsys.readouterr().err
    person = write_policy(tmp_path / 'person.onnx')
    assert main(['audit', str(person), '--partner', str(receiver), '--scenario', 'knife',
                 '--episodes', '1']) == 2
    assert 'whose receiver is a person' in capsys.readouterr().err


def test_a_receiver_before_a_person_is_refused_before_any_process_starts(
        tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError('a process would start')

    monkeypatch.setattr(rollout, 'share', never)
    every = RECEIVER.interface.observations
    blind = tuple(one for one in every if one.key != 'partner_width')
    for name, observations, told in (
            ('receiver', every, 'partner_width'),
            ('blind', blind, 'in the frame receiver_link0 of a receiving arm')):
        model = write_policy(tmp_path / f'{name}.onnx', replaced(
            short(RECEIVER), observations=observations, modes=CONTRACT.interface.modes))
        assert main(['audit', str(model), '--scenario', 'knife', '--episodes', '1']) == 2
        assert told in capsys.readouterr().err
