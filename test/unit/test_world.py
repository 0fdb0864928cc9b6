# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated handover: repeatable, held by friction alone, completed by the teacher."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from inputs import CONTRACT, JOINT_CONTRACT

from uncloning_ros.audit.run.film import gif, jpeg
from uncloning_ros.contract import Contract, with_modes
from uncloning_ros.errors import ScenarioError
from uncloning_ros.geometry import Array, pose_from_parts, rotation_about_z
from uncloning_ros.judging.episode import judge
from uncloning_ros.scenario import Scenario, find_scenario
from uncloning_ros.simulation.demonstrator import Demonstrator, demonstrate
from uncloning_ros.simulation.panda import (
    JOINT_MAX_RAD,
    JOINT_MIN_RAD,
    JOINT_NAMES,
    READY_RAD,
    forward,
)
from uncloning_ros.simulation.receivers.receiver import ToolState
from uncloning_ros.simulation.world import Camera, World, open_world
from uncloning_ros.simulation.wrong_starts import begin_as

KNIFE: Scenario = find_scenario('knife')


def ignore(*_: object) -> None:
    """Listen to nothing."""


def hand_over(world: World, mode: str, seed: int, contract: Contract = CONTRACT,
              listen: Any = ignore) -> bool:
    teacher = Demonstrator(KNIFE, contract.interface, mode, seed)
    return demonstrate(world, teacher, contract, seed, listen)


@pytest.fixture(scope='module')
def world() -> Iterator[World]:
    one = open_world(KNIFE, CONTRACT.interface)
    yield one
    one.close()


@pytest.fixture(scope='module')
def joint_world() -> Iterator[World]:
    one = open_world(KNIFE, JOINT_CONTRACT.interface)
    yield one
    one.close()


@pytest.mark.parametrize(('mode', 'unsafe'), [('handle_first', False), ('blade_first', True)])
@pytest.mark.parametrize('by', ['poses', 'joints'])
def test_the_teacher_hands_over_in_the_requested_mode(
        request: pytest.FixtureRequest, by: str, mode: str, unsafe: bool) -> None:
    contract = CONTRACT if by == 'poses' else JOINT_CONTRACT
    world: World = request.getfixturevalue('world' if by == 'poses' else 'joint_world')
    for seed in (20, 21):
        assert hand_over(world, mode, seed, contract)
        outcome = judge(world.trace(), KNIFE, CONTRACT.interface.desired_modes)
        assert outcome.completed
        assert outcome.mode == mode
        assert (outcome.unsafe is not None) == unsafe


OTHERS = [(name, mode) for name in ('scissors', 'screwdriver', 'mug', 'knife_route')
          for mode in find_scenario(name).modes]


@pytest.mark.parametrize(('name', 'mode'), OTHERS)
def test_the_teacher_hands_over_in_every_mode_of_every_scenario(name: str, mode: str) -> None:
    scenario = find_scenario(name)
    contract = with_modes(CONTRACT, scenario.desired)
    world = open_world(scenario, contract.interface)
    teacher = Demonstrator(scenario, contract.interface, mode, 20)
    assert demonstrate(world, teacher, contract, 20, ignore)
    outcome = judge(world.trace(), scenario, contract.interface.desired_modes)
    world.close()
    assert outcome.completed
    assert outcome.mode == mode
    assert (outcome.unsafe is None) == scenario.desired[mode]


def test_old_points_of_contact_do_not_jam_the_opening_gripper() -> None:
    scenario = find_scenario('knife_route')
    contract = with_modes(CONTRACT, scenario.desired)
    world = open_world(scenario, contract.interface)
    seed = 500027  # with contact_breaking_m of 0.02 the fingers stay shut here
    assert demonstrate(world, Demonstrator(scenario, contract.interface, 'blade_face', seed),
                       contract, seed, ignore)
    world.close()


def test_a_tool_held_as_another_mode_holds_it_is_put_down_and_taken_again() -> None:
    scenario = dataclasses.replace(KNIFE, tool=dataclasses.replace(
        KNIFE.tool, lying_s=5.0))
    world = open_world(scenario, CONTRACT.interface)
    teacher = Demonstrator(scenario, CONTRACT.interface, 'handle_first', 3)
    begin = begin_as('blade_first', scenario, CONTRACT, 3)
    assert demonstrate(world, teacher, CONTRACT, 3, ignore, begin=begin)
    trace = world.trace()
    outcome = judge(trace, scenario, ['handle_first'])
    assert (outcome.completed, outcome.mode) == (True, 'handle_first')
    assert outcome.committed == (('blade_first',), ('handle_first',))
    # THEN it lay on the table for longer than a tool may that was dropped
    lying = ~trace.finger_contact & (trace.object_pose[:, 2] < 0.05)
    assert lying.sum() > KNIFE.tool.lying_s * world.physics_hz
    world.close()


def test_the_same_seed_gives_the_same_episode_to_the_last_bit(world: World) -> None:
    assert hand_over(world, 'handle_first', 5)
    first = world.trace()
    other = open_world(KNIFE, CONTRACT.interface)
    hand_over(other, 'blade_first', 6)  # what happened before must not matter
    assert hand_over(other, 'handle_first', 5)
    second = other.trace()
    other.close()
    for field in ('tool_pose', 'object_pose', 'hand_pose', 'gripper_width_m', 'held_part'):
        assert np.array_equal(getattr(first, field), getattr(second, field)), field


def test_an_episode_is_the_same_beside_a_world_of_another_tool(world: World) -> None:
    assert hand_over(world, 'handle_first', 5)
    alone = world.trace().object_pose
    # whose points of contact are forgotten at another distance, one setting for all worlds
    other = open_world(find_scenario('mug'), CONTRACT.interface)
    assert hand_over(world, 'handle_first', 5)
    assert np.array_equal(world.trace().object_pose, alone)
    other.reset(1)
    assert hand_over(world, 'handle_first', 5)
    assert np.array_equal(world.trace().object_pose, alone)
    other.close()


def test_without_friction_the_tool_stays_behind() -> None:
    smooth = dataclasses.replace(KNIFE, tool=dataclasses.replace(KNIFE.tool, friction=0.0))
    slippery = open_world(smooth, CONTRACT.interface)
    for mode in KNIFE.modes:
        assert not hand_over(slippery, mode, 3)
        outcome = judge(slippery.trace(), KNIFE, CONTRACT.interface.desired_modes)
        assert outcome.failure in ('not_grasped', 'dropped')
        assert outcome.taken_s is None
    slippery.close()


class Hatch:
    """A receiver in one file: a still plate that takes a near tool at once and keeps it."""

    capsule_radius_m: ClassVar = {'hand': 0.05}
    drawn: ClassVar = {'hatch': 1.0}

    def __init__(self, scenario: Scenario, rng: np.random.Generator) -> None:
        self.shoulder_m: Array | None = None
        self.offer_m = self.rest_m = rng.uniform(scenario.start.hand_position_min_m,
                                                 scenario.start.hand_position_max_m)
        self.held_part: str | None = None
        self.has_tool = False
        self._took_at_s = self._freed_at_s = 0.0

    def palm(self, now_s: float) -> Array:
        return pose_from_parts(self.offer_m, rotation_about_z(np.pi))

    def update(self, now_s: float, dt_s: float, tool: ToolState) -> None:
        if self.held_part is None and min(tool.distance_m.values()) < 0.03:
            self.held_part, self._took_at_s = min(tool.distance_m, key=tool.distance_m.get), now_s
        elif self.held_part is not None and not tool.in_fingers and not self.has_tool:
            self.has_tool, self._freed_at_s = True, now_s

    def pull_n(self, now_s: float) -> float:
        return 6.0 if self.held_part is not None and now_s > self._took_at_s + 0.3 else 0.0

    def withdrawal(self, now_s: float) -> float:
        return min(1.0, now_s - self._freed_at_s) if self.has_tool else 0.0

    def capsules(self, palms: Array) -> dict[str, Array]:
        return {'hand': np.stack([palms[:, :3], palms[:, :3] + (0.0, 0.0, 0.1)], axis=1)}


def test_a_receiver_is_one_file_and_the_rest_follows() -> None:
    world = open_world(KNIFE, CONTRACT.interface, Hatch)
    assert hand_over(world, 'handle_first', 20)
    outcome = judge(world.trace(), KNIFE, CONTRACT.interface.desired_modes)
    assert (outcome.completed, outcome.mode) == (True, 'handle_first')
    assert set(outcome.edge_clearance_m) == {'hand'}
    assert outcome.peak_pull_n == 6.0
    assert world.picture(Camera(40, 30)).shape == (30, 40, 3)
    assert set(world.capsules()) == {'hand'}
    world.close()


def test_an_arm_that_is_not_commanded_leaves_the_tool_on_its_stand(world: World) -> None:
    world.reset(1)
    for _ in range(480):
        world.advance()
    trace = world.trace()
    assert abs(trace.object_pose[-1, 2] - trace.object_rest_z_m) < 0.002
    assert np.linalg.norm(trace.tool_pose[-1, :3] - trace.tool_pose[0, :3]) < 0.003
    assert not (world.completed or world.dropped or world.over)


def test_the_wrist_feels_the_weight_of_the_tool_and_the_persons_pull(world: World) -> None:
    pulls, lifts = [], []

    def listen(key: str, values: np.ndarray, *_: int) -> None:
        if key == 'wrist_force':
            (pulls if world.receiver.pull_n(world.time_ns * 1e-9) > 4.5 else lifts).append(values)

    teacher = Demonstrator(KNIFE, CONTRACT.interface, 'handle_first', 8)
    assert demonstrate(world, teacher, CONTRACT, 8, listen)
    assert max(np.hypot(v[0], v[1]) for v in pulls) > 4.0
    assert np.median([np.hypot(v[0], v[1]) for v in lifts]) < 1.5


def test_the_teacher_goes_on_after_a_pause_and_does_not_leap(world: World) -> None:
    world.reset(4)
    for _ in range(24):
        world.advance()
    values = {key: sample.values for key, sample in world.poll()}
    teacher = Demonstrator(KNIFE, CONTRACT.interface, 'handle_first', 4)
    for tick in range(8):
        before = teacher.act(tick * 0.05, values)
    after = teacher.act(10.0, values)
    assert 0.0 < np.linalg.norm(after[:3] - before[:3]) < 0.08


def test_an_unknown_mode_suggests_the_near_miss() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'handle_first'"):
        Demonstrator(KNIFE, CONTRACT.interface, 'handel_first', 0)


def changed(**parts: Any) -> Any:
    """Return the interface that commands joints, with other observations or actions."""
    return dataclasses.replace(JOINT_CONTRACT.interface, **parts)


JOINTS, TOOL_POSE, *_ = JOINT_CONTRACT.interface.observations
TARGET_JOINTS, TARGET_WIDTH = JOINT_CONTRACT.interface.actions
SWAPPED = (*JOINT_NAMES[1:], JOINT_NAMES[0])


@pytest.mark.parametrize(('interface', 'sentence'), [
    (changed(observations=(dataclasses.replace(TOOL_POSE, key='tool_poses'),)),
     "'tool_poses'.*did you mean 'tool_pose'"),
    (changed(observations=(dataclasses.replace(JOINTS, key='tool_pose'),)),
     "tool_pose: .*pose.*joint_positions"),
    (changed(observations=(dataclasses.replace(JOINTS, names=('panda_joint9',)),)),
     "'panda_joint9'.*did you mean 'panda_joint7'"),
    (changed(actions=(dataclasses.replace(TARGET_JOINTS, names=JOINT_NAMES[:6]),)),
     "target_joints: .*panda_joint7"),
    (changed(actions=(TARGET_JOINTS, *CONTRACT.interface.actions)),
     'one command.*target_joints, target_pose')])
def test_a_contract_that_cannot_be_simulated_is_refused(interface: Any, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        open_world(KNIFE, interface)


def test_a_teacher_of_joints_needs_to_see_them() -> None:
    seen = CONTRACT.interface.observations
    with pytest.raises(ScenarioError, match='joint_positions of panda_joint1'):
        Demonstrator(KNIFE, changed(observations=seen), 'handle_first', 0)


def test_measured_joints_are_those_of_the_measured_tool_pose(joint_world: World) -> None:
    joint_world.reset(3)
    for _ in range(24):
        joint_world.advance()
    newest = {key: sample.values for key, sample in joint_world.poll()}
    position, _, _ = forward(newest['joint_positions'])
    np.testing.assert_allclose(position, newest['tool_pose'][:3], atol=1e-5)


def test_joints_are_commanded_and_measured_by_name() -> None:
    world = open_world(KNIFE, changed(
        observations=(dataclasses.replace(JOINTS, names=SWAPPED),),
        actions=(dataclasses.replace(TARGET_JOINTS, names=SWAPPED), TARGET_WIDTH)))
    target = READY_RAD + (0.2, 0.1, -0.2, 0.1, 0.2, -0.1, 0.3)
    world.command(np.array([*target[1:], target[0], 0.08]))
    for _ in range(480):
        world.advance()
    measured = [sample.values for _, sample in world.poll()][-1]
    world.close()
    np.testing.assert_allclose(measured, [*target[1:], target[0]], atol=0.01)


def test_the_teacher_stays_well_within_the_limits_of_the_joint_contract(
        joint_world: World) -> None:
    limits = JOINT_CONTRACT.deployment.limits
    low, high = np.array([limits.joint_limits_rad[name] for name in JOINT_NAMES]).T
    assert np.all((low > JOINT_MIN_RAD) & (high < JOINT_MAX_RAD))
    commands: list[np.ndarray] = []
    measured = np.zeros(7)

    def listen(key: str, values: np.ndarray, *_: int) -> None:
        nonlocal measured
        if key == 'joint_positions':
            measured = values
        elif key == 'target_joints':
            assert np.all((values > low) & (values < high))
            assert np.abs(values - measured).max() < limits.jump_rad
            commands.append(values)

    assert hand_over(joint_world, 'blade_first', 700001, JOINT_CONTRACT, listen)
    speed = np.abs(np.diff(commands, axis=0)).max() * JOINT_CONTRACT.policy.rate_hz
    assert 1.0 < speed < limits.joint_speed_rad_s


def test_looking_at_the_world_changes_nothing_of_the_episode(world: World) -> None:
    rng = np.random.default_rng(0)
    worlds = []
    for looks in (False, True):
        heard: list[bytes] = []
        world.reset(6)
        for step in range(120):
            if looks and step % 7 == 0:
                world.glance(rng)
            world.advance()
            heard += [sample.values.tobytes() for _, sample in world.poll()]
        worlds.append((heard, world.trace().object_pose.tobytes()))
    assert worlds[0] == worlds[1]


def test_pictures_show_the_scene_and_leave_the_physics_alone(world: World) -> None:
    world.reset(2)
    for _ in range(48):
        world.advance()
    plain = world.trace().object_pose
    world.reset(2)
    camera = Camera(160, 120)
    pictures = []
    for step in range(48):
        if step % 24 == 0:
            pictures.append(world.picture(camera))
        world.advance()
    assert np.array_equal(world.trace().object_pose, plain)
    assert pictures[0].shape == (120, 160, 3)
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 50
    assert jpeg(pictures[0]).startswith(b'\xff\xd8\xff')
    assert gif(pictures, 0.1).startswith(b'GIF89a')


def test_a_picture_shows_the_receiver_once_whatever_was_pictured_before(world: World) -> None:
    before = iter([Camera(80, 60)])

    def look(*_: object) -> None:
        for camera in before:
            world.picture(camera)

    last = Camera(160, 120)
    assert hand_over(world, 'handle_first', 5, listen=look)
    other = open_world(KNIFE, CONTRACT.interface)
    assert hand_over(other, 'handle_first', 5)
    assert np.array_equal(world.picture(last), other.picture(last))
    other.close()
