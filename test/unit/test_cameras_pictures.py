# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of simulated cameras: where things are in them, and how they differ by episode."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from inputs import CONTRACT

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.errors import ScenarioError
from uncloning_ros.geometry import rotation_of
from uncloning_ros.pictures import Pixels
from uncloning_ros.scenario import MountedCamera, Scenario, Sight, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation.pybullet import cameras
from uncloning_ros.simulation.world import World, open_world

SCENARIO = find_scenario('knife_camera')
PLAIN = replace(SCENARIO, sight=Sight())
SEEING: Contract = load_contract(share_path('config') / 'contract_camera.yaml')
KEYS = ('scene_camera', 'wrist_camera')
SKIN = (0.87, 0.68, 0.55)


def observing(**changed: Any) -> Any:
    """Return the interface with another scene camera signal."""
    interface = SEEING.interface
    return replace(interface, observations=tuple(
        replace(signal, **changed) if signal.key == 'scene_camera' else signal
        for signal in interface.observations))


def pictures(scenario: Scenario, seed: int = 3, steps: int = 40,
             interface: Any = SEEING.interface, **options: Any) -> dict[str, list[Any]]:
    """Return the samples of each camera of an arm that rests."""
    world = open_world(scenario, interface, **options)
    try:
        world.reset(seed)
        for _ in range(steps):
            world.advance()
        found: dict[str, list[Any]] = {key: [] for key in KEYS}
        for key, sample in world.poll():
            if key in found:
                found[key].append(sample)
        return found
    finally:
        world.close()


def first(scenario: Scenario, key: str = 'scene_camera', **options: Any) -> Pixels:
    made: Pixels = pictures(scenario, **options)[key][0].values
    return made


@pytest.fixture(scope='module')
def plain() -> Iterator[World]:
    world = open_world(PLAIN, SEEING.interface)
    yield world
    world.close()


def test_a_seed_gives_the_same_pictures_in_another_process() -> None:
    program = ('import hashlib; from test_cameras_pictures import SCENARIO, pictures\n'
               'print(hashlib.sha256(b"".join(one.values.tobytes() for some in '
               'pictures(SCENARIO).values() for one in some)).hexdigest())')
    other = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                           check=True, env=os.environ | {'PYTHONPATH': os.pathsep.join(sys.path)})
    here = [one.values.tobytes() for some in pictures(SCENARIO).values() for one in some]
    assert other.stdout.strip() == hashlib.sha256(b''.join(here)).hexdigest()
    assert not np.array_equal(first(SCENARIO, seed=3), first(SCENARIO, seed=4))


def test_what_a_contract_observes_beside_a_camera_does_not_change_its_pictures() -> None:
    wrist_alone = replace(SEEING.interface, observations=tuple(
        signal for signal in SEEING.interface.observations if signal.key != 'scene_camera'))
    both = pictures(SCENARIO)['wrist_camera']
    alone = pictures(SCENARIO, interface=wrist_alone)['wrist_camera']
    assert [one.values.tobytes() for one in both] == [one.values.tobytes() for one in alone]


def test_cameras_change_nothing_of_the_episode() -> None:
    traces = []
    for interface in (SEEING.interface,
                      replace(SEEING.interface, observations=SEEING.interface.vectors)):
        world = open_world(SCENARIO, interface)
        world.reset(9)
        heard = []
        for step in range(60):
            world.advance()
            if step % 20 == 0:
                world.glance(np.random.default_rng(0))
            heard += [sample.values.tobytes() for key, sample in world.poll() if key not in KEYS]
        traces.append((heard, world.trace().object_pose.tobytes()))
        world.close()
    assert traces[0] == traces[1]


def pixel_of(camera: MountedCamera, tcp: np.ndarray, place: np.ndarray) -> tuple[int, int]:
    """Return row and column of a place (3,), by a pinhole camera of its own."""
    turn = np.eye(3) if camera.mount == 'base' else rotation_of(tcp)
    origin = np.zeros(3) if camera.mount == 'base' else tcp[:3]
    eye, target = (origin + turn @ np.array(p) for p in (camera.eye_m, camera.target_m))
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, turn @ np.array(camera.up))
    right /= np.linalg.norm(right)
    gap = place - eye
    scale = camera.height / 2 / np.tan(camera.field_rad / 2) / (gap @ ahead)
    return (int(camera.height / 2 - scale * (gap @ np.cross(right, ahead))),
            int(camera.width / 2 + scale * (gap @ right)))


@pytest.mark.parametrize('key', KEYS)
def test_the_tool_is_where_a_pinhole_camera_sees_it(plain: World, key: str) -> None:
    plain.reset(11)
    plain.advance()
    trace = plain.trace()
    tool, camera = trace.object_pose[-1], PLAIN.cameras[key]
    part = PLAIN.tool.parts['handle']
    row, column = pixel_of(camera, trace.tool_pose[-1], tool[:3] + rotation_of(tool) @ np.array(
        part.center_m))
    found = dict(plain.glance(np.random.default_rng(0)))[key].values[row, column]
    brown = np.array(part.color) / np.linalg.norm(part.color)
    assert found / np.linalg.norm(found.astype(float)) @ brown > 0.99


def test_the_table_ends_where_a_pinhole_camera_sees_its_end(plain: World) -> None:
    plain.reset(5)
    found = dict(plain.glance(np.random.default_rng(0)))['scene_camera'].values
    camera = PLAIN.cameras['scene_camera']
    colours = [found[pixel_of(camera, np.zeros(9), np.array([0.62, y, 0.0]))].astype(int)
               for y in (0.7, 0.78, 0.82, 0.9)]  # the table is 1.6 m wide
    assert np.array_equal(colours[0], colours[1])
    assert np.array_equal(colours[2], colours[3])
    assert colours[0][0] > colours[0][2]
    assert colours[2][0] < colours[2][2]


def test_a_hand_is_skin_unless_it_has_a_colour_of_its_own() -> None:
    mounted = {'scene_camera': replace(SCENARIO.cameras['scene_camera'], eye_m=(0.9, 0.25, 0.6),
                                      target_m=(1.15, 0.25, 0.15)),
              'wrist_camera': SCENARIO.cameras['wrist_camera']}
    pink, blue = (first(replace(PLAIN, cameras=mounted, sight=Sight(hand_colour=colour)))
                  for colour in (None, (0.1, 0.1, 0.9)))
    changed = np.any(pink != blue, axis=2)
    assert np.count_nonzero(changed) > 100
    assert np.median(blue[changed][:, 2]) > 2 * np.median(blue[changed][:, 0])


@pytest.mark.parametrize('key', KEYS)
def test_a_texture_changes_the_table_alone_and_differs_by_episode(key: str) -> None:
    patterns = []
    for seed in range(4):
        bare, patterned = (first(replace(SCENARIO, sight=replace(
            SCENARIO.sight, noise_levels=0.0, texture=contrast)), key, seed=seed, steps=20)
            .astype(int) for contrast in (0.0, 0.9))
        changed = np.any(bare != patterned, axis=2)
        [table] = np.unique(bare[changed], axis=0)
        assert np.count_nonzero(changed) > 0.9 * np.count_nonzero(np.all(bare == table, axis=2))
        levels = patterned[changed].mean(axis=1)
        assert levels.min() < table.mean() < levels.max()
        assert table[0] == (255, 171, 255, 86)[seed]  # as it was before there were patterns
        patterns.append(len(np.unique(patterned[changed], axis=0)))
    assert len(set(patterns)) > 1  # two colours of stripes and checks, many of spots


def test_noise_has_the_deviation_asked_for_and_clips() -> None:
    clean, noisy = first(PLAIN), first(replace(PLAIN, sight=Sight(noise_levels=5.0)))
    middling = (clean > 30) & (clean < 225)
    gap = noisy.astype(float)[middling] - clean[middling]
    assert gap.std() == pytest.approx(5.0, rel=0.05)
    assert abs(gap.mean()) < 0.2


def test_each_episode_has_light_colours_and_place_of_its_own() -> None:
    usual = first(PLAIN, seed=7)
    assert np.array_equal(usual, first(replace(PLAIN, sight=Sight(latency_s=(0.01, 0.02))),
                                       seed=7))
    levels = [first(replace(PLAIN, sight=Sight(light=0.5)), seed=s).mean() for s in range(6)]
    assert max(levels) > 1.2 * min(levels)
    for sight in (Sight(colour=0.3), Sight(camera_shift_m=0.01), Sight(camera_turn_rad=0.03),
                  Sight(shake_rad=0.01)):
        assert not np.array_equal(usual, first(replace(PLAIN, sight=sight), seed=7))


def test_a_world_tells_what_was_drawn_for_its_cameras() -> None:
    world = open_world(SCENARIO, SEEING.interface)
    world.reset(2)
    drawn = world.drawn
    world.close()
    assert world.receiver.drawn.items() <= drawn.items()
    assert 0.5 <= drawn['light'] <= 1.5
    assert 0 < drawn['camera_moved_m'] <= 0.005
    assert 0 < drawn['camera_turned_rad'] <= np.radians(1.0)
    assert 0.03 <= drawn['camera_latency_s'] <= 0.08
    knife = open_world(find_scenario('knife'), CONTRACT.interface)
    assert knife.drawn == knife.receiver.drawn
    knife.close()


def test_a_patch_hides_a_share_of_the_picture() -> None:
    hidden = first(replace(PLAIN, sight=Sight(occlusion=0.25))) == 25
    rows, columns = np.nonzero(hidden.all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (24, 24)


def test_pictures_come_at_their_rate_and_late() -> None:
    found = pictures(SCENARIO, steps=240)
    least_s, most_s = SCENARIO.sight.latency_s
    for samples in found.values():
        assert 18 <= len(samples) <= 21
        assert {one.stamp_ns % 50_000_000 for one in samples} == {0}
        latency, = {one.receive_ns - one.stamp_ns for one in samples}
        assert least_s * 1e9 <= latency <= most_s * 1e9


def test_a_glance_at_a_world_at_rest_has_all_pictures_with_noise_of_its_own() -> None:
    world = open_world(SCENARIO, SEEING.interface)
    rng = np.random.default_rng(1)
    one, two = dict(world.glance(rng)), dict(world.glance(rng))
    world.close()
    for key in KEYS:
        assert one[key].values.shape == (96, 96, 3)
        assert 0 < np.abs(one[key].values.astype(int) - two[key].values).mean() < 12


def test_a_glance_has_each_picture_at_the_rate_of_its_camera() -> None:
    scenario = replace(SCENARIO, cameras=SCENARIO.cameras | {
        'wrist_camera': replace(SCENARIO.cameras['wrist_camera'], rate_hz=48)})
    world, rng = open_world(scenario, SEEING.interface), np.random.default_rng(1)
    arrived = Counter(key for step in range(0, 240, 2) for key, _ in
                      world.glance(rng, lambda every, step=step: step % every < 2))
    world.close()
    assert {key: arrived[key] for key in ('wrist_force', *KEYS)} == {
        'wrist_force': 40, 'scene_camera': 20, 'wrist_camera': 48}


def test_a_policy_sees_the_part_that_the_contract_asks_for_and_messages_have_all() -> None:
    part = observing(crop=(8, 4, 64, 64), width=64, height=64)
    whole = first(SCENARIO)
    assert np.array_equal(first(SCENARIO, interface=part), whole[4:68, 8:72])
    assert np.array_equal(first(SCENARIO, interface=part, whole_pictures=True), whole)
    grey = observing(encoding='mono8')
    assert first(SCENARIO, interface=grey).shape == (96, 96, 1)


def test_pictures_that_a_receiver_refuses_do_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    covered = replace(PLAIN, sight=Sight(occlusion=1.0))
    assert first(covered).max() == 25
    monkeypatch.setattr(cameras, '_PATCH_LEVEL', 0)
    assert pictures(covered) == {'scene_camera': [], 'wrist_camera': []}


@pytest.mark.parametrize(('scenario', 'interface', 'sentence'), [
    (find_scenario('knife'), SEEING.interface, "'knife' has no camera 'scene_camera'"),
    (SCENARIO, observing(key='scene_camara'), "did you mean 'scene_camera'"),
    (SCENARIO, observing(camera_size=(640, 480)), '96 x 96 px.*640 x 480')])
def test_a_contract_whose_pictures_no_camera_takes_is_refused(
        scenario: Scenario, interface: Any, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        open_world(scenario, interface)


def test_a_camera_has_a_rate_and_a_direction_that_can_be() -> None:
    camera = SCENARIO.cameras['scene_camera']
    with pytest.raises(ScenarioError, match='divisor of 240, got 25'):
        replace(camera, rate_hz=25).as_read()
    with pytest.raises(ScenarioError, match='another direction'):
        replace(camera, up=tuple(eye - target for eye, target in zip(
            camera.eye_m, camera.target_m, strict=True))).as_read()


def test_scenarios_without_cameras_say_nothing_of_them() -> None:
    knife = find_scenario('knife')
    assert (knife.cameras, knife.sight) == ({}, Sight())
    assert knife.sha256.startswith('781cf18de531')
    assert CONTRACT.interface.cameras == ()
