# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joints that turn without end: their drivers report them within one turn, the policy sees none.

The arm of these tests follows its commands; its driver wraps joints 1 and 7 at pi, or counts.
"""

import collections
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import episodes
import foreign_bags
import loop_inputs
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from inputs import JOINT_CONTRACT
from loop_inputs import CONTRACT, pose

from uncloning_ros.contract import Contract, Teleoperation, contract_from_dict
from uncloning_ros.contract.kinds import TURN_RAD, Signal, nearest_turn, turns_counted
from uncloning_ros.conversions import Sample
from uncloning_ros.demos.bags.pieces import Piece
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.demos.dataset.alignment import align
from uncloning_ros.demos.episodes.cut_bag import cut_bag
from uncloning_ros.demos.episodes.reading import Cutting
from uncloning_ros.errors import ContractError, DatasetError
from uncloning_ros.geometry import Array
from uncloning_ros.policy_io import Observation, Plan, answer
from uncloning_ros.runtime.control_loop import ControlLoop, Decision, State
from uncloning_ros.runtime.limits import Limiter
from uncloning_ros.runtime.shadow import distances
from uncloning_ros.runtime.take_over import Person
from uncloning_ros.runtime.watchdog import leap
from uncloning_ros.schema import plain

NAMES = JOINT_CONTRACT.interface.observations[0].names
WRAPPED = ('panda_joint1', 'panda_joint7')
HOME = np.array([-3.0, -0.5, 0.0, -2.0, 0.0, 1.5, 3.0])
MS = episodes.MS


def contract_data(*continuous: str) -> dict[str, Any]:
    """Return the shipped contract in joints with wide limits and some continuous joints."""
    data: dict[str, Any] = plain(JOINT_CONTRACT)
    limits = data['deployment']['limits']['joint_limits_rad']
    limits |= {name: [-20.0, 20.0] for name in WRAPPED}
    if continuous:
        for part in ('observations', 'actions'):
            data['interface'][part][0]['continuous'] = list(continuous)
    return data


COUNTED, UNTOLD = contract_from_dict(contract_data(*WRAPPED)), contract_from_dict(contract_data())
JOINTS = COUNTED.interface.observations[0]


def wrapped(joints: Array) -> Array:
    """Return joint positions (..., 7) as a driver reports them that wraps two joints at pi."""
    reported = np.array(joints)
    reported[..., [0, 6]] = (reported[..., [0, 6]] + math.pi) % TURN_RAD - math.pi
    return reported


def sampled(joints: Array, now_ns: int) -> dict[str, Sample]:
    """Return a fresh sample of every observation."""
    still = 1e-4 * math.sin(now_ns * 1e-7)
    values = {'joint_positions': joints, 'tool_pose': pose(0.4), 'gripper_width': np.array([0.08]),
              'object_pose': pose(0.6, z=0.3 + still), 'hand_pose': pose(0.7, z=0.3 + still),
              'wrist_force': np.zeros(3)}
    return {key: Sample(value, now_ns, now_ns) for key, value in values.items()}


class Arm:
    """A loop, a policy that turns joints 1 and 7 slowly outwards, and an arm that follows.

    The state arrives 60 ms late, as over a network.
    """

    def __init__(self, contract: Contract, wraps: bool, home: Array = HOME) -> None:
        self.loop, self._wraps = ControlLoop(contract, 0), wraps
        self.contract, self.true, self.now_ns = contract, home.copy(), 10**9
        self.observed: list[Array] = []
        self._past = collections.deque([home] * 7, maxlen=7)
        self.loop.start()

    def policy(self, observation: Observation, noise: Array) -> Plan:
        ahead = np.arange(self.contract.policy.horizon)[:, None] * 0.02
        joints = observation.vector[-1, :7] + ahead * np.array([-1, 0, 0, 0, 0, 0, 1])
        return Plan(np.append(joints, np.full((len(ahead), 1), 0.08), axis=1).astype(np.float32))

    def step(self) -> Decision:
        joints = wrapped(self._past[0]) if self._wraps else self._past[0]
        decision = self.loop.step(self.now_ns, sampled(joints, self.now_ns))
        if decision.request is not None:
            self.observed.append(decision.request.observation.vector[-1])
            self.loop.deliver(answer(self.policy, decision.request), self.now_ns)
        if decision.command is not None:
            self.true = self.true + np.clip(decision.command[:7] - self.true, -0.02, 0.02)
        self._past.append(self.true)
        self.now_ns += self.contract.deployment.command_period_ns
        return decision

    def commands(self, count: int) -> Array:
        """Step `count` times and return the commands (N, 8)."""
        made = [self.step() for _ in range(count)]
        return np.array([one.command for one in made if one.command is not None])


def test_the_contract_names_continuous_joints_and_keeps_its_hash_without_them() -> None:
    assert JOINTS.continuous == WRAPPED
    assert contract_from_dict(plain(COUNTED)) == COUNTED
    assert 'continuous' not in str(plain(UNTOLD))
    assert contract_from_dict(plain(JOINT_CONTRACT)).sha256 == JOINT_CONTRACT.sha256
    assert UNTOLD.interface.sha256 == JOINT_CONTRACT.interface.sha256 != COUNTED.interface.sha256


@pytest.mark.parametrize(('place', 'value', 'said'), [
    (('observations', 0), ['panda_joint8'], ["got 'panda_joint8'", "did you mean 'panda_joint"]),
    (('observations', 0), [], ['continuous: expected a non-empty list']),
    (('observations', 1), ['panda_joint7'], ["unknown key 'continuous'", "'pose'"]),
    (('observations', 2), ['panda_finger_joint1'], ["unknown key 'continuous'", 'gripper_width']),
    (('observations', 0), ['panda_joint7'],
     ['target_joints', 'joint_positions', 'got panda_joint1, panda_joint7 and panda_joint7']),
    (('actions', 0), ['panda_joint1'], ['got panda_joint1 and panda_joint1, panda_joint7'])])
def test_continuous_joints_that_do_not_fit_are_refused(place: tuple[str, int], value: list[str],
                                                       said: list[str]) -> None:
    data = contract_data(*WRAPPED)
    data['interface'][place[0]][place[1]]['continuous'] = value
    with pytest.raises(ContractError) as err:
        contract_from_dict(data)
    assert all(one in str(err.value) for one in said), str(err.value)


def test_a_continuous_action_has_to_be_measured() -> None:
    data = contract_data(*WRAPPED)
    del data['interface']['observations'][0]
    del data['deployment']['observations']['joint_positions']
    with pytest.raises(ContractError, match="measures the action 'target_joints'"):
        contract_from_dict(data)


TWO = Signal('arm', 'joint_positions', 'rad', names=('a', 'b'), continuous=('b',))


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=30),
       st.floats(-3.1, 3.1))
def test_counted_turns_give_back_the_way_of_the_joint(steps: list[tuple[float, float]],
                                                      start: float) -> None:
    true = np.array([0.0, start]) + np.cumsum([(0.0, 0.0), *steps], axis=0)
    reported = np.array([true[:, 0], np.remainder(true[:, 1] + math.pi, TURN_RAD) - math.pi]).T
    counted = turns_counted(TWO, reported, np.zeros(2))
    np.testing.assert_allclose(counted, true, atol=1e-9)
    near = np.zeros(2)  # one by one, as the loop does
    for row, expected in zip(reported, counted, strict=True):
        near = nearest_turn(TWO, row, near)
        assert np.array_equal(near, expected)


def test_values_without_continuous_joints_are_untouched() -> None:
    rows = np.array([[3.1, 3.1], [-3.1, -3.1]])
    plain_signal = replace(TWO, continuous=())
    assert turns_counted(plain_signal, rows, np.zeros(2)) is rows
    assert nearest_turn(plain_signal, rows, np.zeros(2)) is rows


def test_the_arm_passes_the_seam_as_if_its_driver_counted() -> None:
    runs = []
    for wraps in (True, False):
        arm = Arm(COUNTED, wraps)
        runs.append(arm.commands(400))
        assert arm.true[6] > math.pi + 0.5 and arm.true[0] < -math.pi - 0.5
        assert np.abs(np.diff(runs[-1], axis=0)).max() <= 0.02 + 1e-9  # each plan begins late
        assert np.array(arm.observed)[:, 6].max() > math.pi + 0.4
        assert not any(arm.loop.counters[name] for name in ('holds', 'joint_jump', 'joint_limit'))
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-5)


def test_an_untold_seam_holds_the_arm_and_names_the_key_to_write() -> None:
    arm = Arm(UNTOLD, wraps=True)
    decisions = [arm.step() for _ in range(400)]
    held = [one for one in decisions if one.state is State.HOLD]
    assert decisions[-1].state is State.HOLD and decisions[-1].reason == 'leap'
    assert 'panda_joint1' in held[0].sentence and 'continuous: [panda_joint1]' in held[0].sentence
    assert all(np.array_equal(one.command, held[0].command) for one in held)  # for good
    commands = np.array([one.command for one in decisions if one.command is not None])
    assert np.abs(np.diff(commands, axis=0)).max() < 0.1
    arm.loop.reset(0)
    assert arm.loop.start() and arm.step().state is State.ACTIVE


def test_a_person_who_turns_a_joint_on_leaves_it_at_the_turn_where_it_is() -> None:
    manned = replace(COUNTED, deployment=replace(
        COUNTED.deployment, teleoperation=Teleoperation('pad', 'switch', 0.2)))
    arm = Arm(manned, wraps=True)
    arm.commands(60)
    for _ in range(100):  # by more than half a turn
        arm.true = arm.true + 0.05 * np.array([-1, 0, 0, 0, 0, 0, 1])
        taken = arm.loop.step(arm.now_ns, sampled(wrapped(arm.true), arm.now_ns),
                              person=Person(True, arm.now_ns))
        assert taken.state is State.TAKEN_OVER
        arm.now_ns += manned.deployment.command_period_ns
    held = arm.loop.step(arm.now_ns, sampled(wrapped(arm.true), arm.now_ns))
    assert held.reason == 'let_go' and held.command is not None
    np.testing.assert_allclose(held.command[:7], arm.true, atol=1e-9)


def test_a_hold_over_the_seam_keeps_and_resumes_on_the_same_turn() -> None:
    arm = Arm(COUNTED, wraps=True)
    before = arm.commands(60)[-1]
    held = arm.loop.step(arm.now_ns, {})
    assert held.state is State.HOLD and held.command is not None
    np.testing.assert_allclose(held.command, before, atol=0.1)
    arm.now_ns += 10**9
    arm._past.extend([arm.true + 0.4 * np.array([-1, 0, 0, 0, 0, 0, 1])] * 7)  # across, unseen
    commands = arm.commands(100)
    assert np.abs(np.diff(commands, axis=0)).max() < 0.05
    assert commands[-1, 6] > math.pi


def test_every_episode_begins_within_half_a_turn_of_zero() -> None:
    arm = Arm(COUNTED, wraps=False, home=HOME + 4 * TURN_RAD * np.array([1, 0, 0, 0, 0, 0, -1]))
    arm.commands(50)
    np.testing.assert_allclose(arm.observed[0][:7], HOME, atol=1e-5)
    arm = Arm(COUNTED, wraps=True)
    arm.commands(400)
    arm.loop.stop()
    assert arm.step().command is not None  # it holds on the old turn
    arm.loop.start()
    arm.commands(5)
    np.testing.assert_allclose(arm.observed[-1][:7], wrapped(arm._past[0]), atol=0.1)


def test_a_broken_measurement_moves_no_joint_to_another_turn() -> None:
    arm = Arm(COUNTED, wraps=True)
    arm.commands(30)
    for bad in (math.nan, 50.0, 0.0, -3.1, arm.true[6] + 3.1, arm.true[6] - 0.1):
        arm.loop.step(arm.now_ns, sampled(np.where(np.arange(7) == 6, bad, arm.true), arm.now_ns))
        arm.now_ns += MS
    commands = arm.commands(60)
    assert np.abs(commands[:, :7] - HOME).max() < 0.8


def test_turns_of_joints_that_nothing_commands_are_counted_too() -> None:
    data = plain(CONTRACT)
    data['interface']['observations'] += [contract_data(*WRAPPED)['interface']['observations'][0]]
    data['deployment']['observations']['joint_positions'] = (
        contract_data()['deployment']['observations']['joint_positions'])
    loop = ControlLoop(contract_from_dict(data), 0)
    loop.start()
    seen: list[float] = []
    for i in range(300):
        now_ns = 10**9 + i * loop_inputs.CYCLE_NS
        joints = HOME + 0.03 * i * np.array([-1, 0, 0, 0, 0, 0, 1])
        inputs = {} if i == 200 else sampled(wrapped(joints), now_ns)
        decision = loop.step(now_ns, inputs)
        assert (decision.state is State.HOLD) == (200 <= i < 200 + loop_inputs.RESUME_CYCLES + 1)
        if decision.request is not None:
            loop.deliver(answer(loop_inputs.constant_policy(loop_inputs.action(0.4)),
                                decision.request), now_ns)
            seen.append(float(decision.request.observation.vector[-1, -1]))
            assert seen[-1] == pytest.approx(joints[6], abs=1e-5)
    assert len(seen) > 5 and seen[-1] > 2.5 * math.pi


def test_the_seam_is_no_speed_of_a_continuous_joint() -> None:
    topic = replace(COUNTED.deployment.observations['joint_positions'], max_speed_rad_s=2.0)
    before, after = (Sample(np.full(7, value), at_ns, at_ns)
                     for value, at_ns in ((0.0, 0), (0.01, 10 * MS)))
    before.values[6], after.values[6] = 3.14, -3.14
    assert leap(JOINTS, topic, before, after, 1) is None
    after.values[6] = -3.1
    too_fast = leap(JOINTS, topic, before, after, 1)
    assert too_fast is not None and 'leapt by 0.0432 rad' in too_fast.sentence


def test_a_plan_on_another_turn_is_followed_the_short_way() -> None:
    arm = Arm(COUNTED, wraps=True)
    policy = arm.policy
    arm.policy = lambda observation, noise: Plan(  # type: ignore[method-assign]
        np.append(wrapped(policy(observation, noise).chunk[:, :7]),
                  np.full((COUNTED.policy.horizon, 1), 0.08), axis=1).astype(np.float32))
    commands = arm.commands(400)
    assert np.abs(np.diff(commands[:, 6])).max() < 0.02 and commands[-1, 6] > math.pi + 0.5


def test_the_limiter_counts_nothing_at_the_seam() -> None:
    """The limits see counted turns alone, so that they need not know of continuous joints."""
    arm = Arm(COUNTED, wraps=True)
    arm.commands(300)
    assert not any(arm.loop.counters[name] for name in Limiter(COUNTED).counts)


def test_a_demonstrator_at_the_other_side_of_the_seam_is_near() -> None:
    ours = np.append(HOME, 0.08)
    ours[6] = 3.2
    theirs = wrapped(ours[:7] + 0.01)
    assert distances(COUNTED.interface, ours, {'target_joints': theirs}) == {
        'target_joints_rad': pytest.approx(0.01)}


def recorded(wraps: bool, turn_rad: float = 1.0, still_s: float = 0.0,
             home: Array = HOME) -> dict[str, list[Sample]]:
    """Return 2 s of samples in which joints 1 and 7 turn outwards by `turn_rad`."""
    seen = wrapped if wraps else np.array
    made: dict[str, list[Sample]] = collections.defaultdict(list)
    outwards = np.array([-1, 0, 0, 0, 0, 0, 1])
    for i in range(0, round(2000 + 1000 * still_s), 10):
        now_ns = episodes.BEGIN_NS + i * MS
        joints = home + turn_rad * max(0.0, i / 1000 - still_s) * outwards / 2
        for key, sample in sampled(seen(joints), now_ns).items():
            made[key].append(sample)
        if i % 50 == 0:
            made['target_joints'].append(Sample(seen(joints + 0.05 * outwards), now_ns, now_ns))
            made['target_width'].append(Sample(np.array([0.08]), now_ns, now_ns))
    return dict(made)


def aligned(samples: Any, contract: Contract) -> tuple[Any, Any, Any]:
    return align(replace(episodes.episode(episodes.handover()), samples=samples), contract)[:3]


def test_a_dataset_is_the_same_whether_the_driver_wraps_or_counts() -> None:
    for ahead in (0.0, 0.12, 0.3):  # beyond the seam is at first no, the command alone, both
        home = HOME + ahead * np.array([0, 0, 0, 0, 0, 0, 1])
        observations, actions, _ = aligned(recorded(True, home=home), COUNTED)
        counted = aligned(recorded(False, home=home), COUNTED)
        np.testing.assert_allclose(observations, counted[0], atol=1e-6)
        np.testing.assert_allclose(actions, counted[1], atol=1e-6)
        assert np.abs(np.diff(observations[:, [0, 6]], axis=0)).max() < 0.05
        assert np.abs(actions[:, :7] - observations[:, :7]).max() < 0.1
        assert np.abs(observations[0, :7]).max() <= math.pi


def test_the_loop_is_given_the_observations_of_the_dataset_bit_for_bit() -> None:
    """Also if the driver crossed the seam before the first tick."""
    for delay_ms in (0, 600):
        samples = recorded(True)
        samples['target_joints'] = [s for s in samples['target_joints']
                                    if s.receive_ns >= episodes.BEGIN_NS + delay_ms * MS]
        observations, _, ticks = aligned(samples, COUNTED)
        loop = ControlLoop(COUNTED, 0)
        loop.start()
        seen = []
        for now_ns in range(int(ticks[0]), int(ticks[-1]) + 1, 10 * MS):
            newest = {key: next(s for s in reversed(samples[key]) if s.receive_ns <= now_ns)
                      for key in (s.key for s in COUNTED.interface.observations)}
            request = loop.step(now_ns, newest).request
            if request is not None:
                seen.append(((now_ns - ticks[0]) // COUNTED.policy.period_ns,
                             request.observation.vector[-1]))
                loop.deliver(answer(lambda observation, noise: Plan(np.tile(np.append(
                    observation.vector[-1, :7], np.float32(0.08)),
                    (COUNTED.policy.horizon, 1))), request), now_ns)
        assert len(seen) > 3
        for tick, vector in seen:
            assert np.array_equal(vector, observations[tick])


@pytest.mark.parametrize('key', ['joint_positions', 'target_joints'])
def test_an_untold_seam_leaves_the_episode_out_and_names_the_key_to_write(key: str) -> None:
    samples = recorded(False)
    samples[key] = recorded(True)[key]
    with pytest.raises(DatasetError) as err:
        aligned(samples, UNTOLD)
    assert all(one in str(err.value) for one in (
        key, 'panda_joint1 leapt from -3.1', 'to 3.1', 'continuous: [panda_joint1]',
        '--contract')), str(err.value)
    aligned(recorded(False), UNTOLD)


def written(path: Path, samples: Any, contract: Contract) -> Path:
    """Write a bag as ros2 bag does."""
    return foreign_bags.write(path, foreign_bags.messages_of(samples, contract))


def bag(path: Path, contract: Contract | None, **options: Any) -> Path:
    """Write a bag of a driver that wraps, with a contract of its own or as ros2 bag does."""
    samples = recorded(True, **options)
    if contract is None:
        return written(path, samples, UNTOLD)
    return episodes.write(path, samples, contract=contract)


def test_a_bag_is_read_with_a_contract_that_knows_better(tmp_path: Path) -> None:
    own = bag(tmp_path / 'own', UNTOLD)
    episode = read_episode(own, COUNTED)
    assert episode.contract.interface == COUNTED.interface
    observations, *_ = align(episode, episode.contract)
    assert observations[:, 6].max() > math.pi + 0.2
    with pytest.raises(ContractError, match='another interface'):
        read_episode(bag(tmp_path / 'counted', COUNTED), UNTOLD)


def test_a_piece_of_a_bag_is_counted_from_its_own_first_tick(tmp_path: Path) -> None:
    path = bag(tmp_path / 'foreign', None, turn_rad=2.0)
    for begin_ms in (0, 500, 1000):
        piece = Piece(1, episodes.BEGIN_NS + begin_ms * MS, episodes.BEGIN_NS + 2000 * MS)
        episode = read_episode(path, COUNTED, piece=piece)
        observations, actions, _, _ = align(episode, COUNTED)
        assert np.abs(observations[0, :7]).max() <= math.pi
        assert np.abs(np.diff(observations[:, [0, 6]], axis=0)).max() < 0.1
        assert np.abs(actions[:, :7] - observations[:, :7]).max() < 0.2


def test_a_joint_that_rests_on_the_seam_stands_still(tmp_path: Path) -> None:
    data = contract_data(*WRAPPED)
    for part in (data['interface']['observations'], data['deployment']['observations']):
        del part[1 if isinstance(part, list) else 'tool_pose']
    contract = contract_from_dict(data)
    seam = HOME.copy()
    seam[6] = math.pi
    rng = np.random.default_rng(0)
    samples = recorded(True, still_s=3.0, home=seam)
    samples['joint_positions'] = [
        replace(s, values=wrapped(s.values + rng.normal(0, 1e-4, 7)))
        for s in samples['joint_positions']]
    path = written(tmp_path / 'still', samples, contract)
    cut = cut_bag(path, contract, {}, Cutting('idle', idle_s=2.0))
    assert any('stood still' in rest.reason for rest in cut.remainders)


def test_the_shipped_files_have_no_continuous_joint() -> None:
    for file in (Path(__file__).parents[2] / 'config').glob('contract*.yaml'):
        assert 'continuous' not in str(yaml.safe_load(file.read_text(encoding='utf-8')))
