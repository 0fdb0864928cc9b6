# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Demonstrations for policies that see: the way back from a miss, without a tracker."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inputs import CONTRACT

from uncloning_ros.cli.main import main
from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.demos.bags.labels import read_labels
from uncloning_ros.demos.bags.layout import list_episodes
from uncloning_ros.demos.bags.reader import read_episode
from uncloning_ros.judging.episode import judge
from uncloning_ros.scenario import Scenario, Teaching, find_scenario
from uncloning_ros.share import share_path
from uncloning_ros.simulation import generate
from uncloning_ros.simulation.demonstrator import Demonstrator, Step, demonstrate
from uncloning_ros.simulation.generate import SimulatedSession
from uncloning_ros.simulation.sensors import TRACKED_KEYS
from uncloning_ros.simulation.world import World, open_world

SCENARIO = find_scenario('knife_camera')
CAMERA_FILE = share_path('config') / 'contract_camera.yaml'
SEEING: Contract = load_contract(CAMERA_FILE)
BLIND = replace(SEEING, interface=replace(SEEING.interface,
                                          observations=SEEING.interface.vectors))


def taught(**changed: float) -> Scenario:
    return replace(SCENARIO, teacher=Teaching(**changed))


def shown(scenario: Scenario, mode: str, seed: int) -> tuple[World, list[Step], np.ndarray]:
    """Return the world after a demonstration, the steps of the teacher and its targets."""
    world = open_world(scenario, BLIND.interface)
    teacher = Demonstrator(scenario, BLIND.interface, mode, seed, TRACKED_KEYS)
    steps: list[Step] = []
    targets: list[np.ndarray] = []

    def listen(key: str, values: Any, *_: int) -> None:
        assert key not in TRACKED_KEYS
        if key == 'target_pose':
            steps.append(teacher.step)
            targets.append(values)

    assert demonstrate(world, teacher, BLIND, seed, listen)
    return world, steps, np.array(targets)


@pytest.mark.parametrize(('mode', 'seed'), [('handle_first', 3), ('blade_first', 8)])
def test_an_offer_that_misses_is_noticed_and_made_again(mode: str, seed: int) -> None:
    """The person could not take the tool before the second offer, and takes it after that."""
    waits = {}
    for share in (0.0, 0.9):
        scenario = taught(missed_offers=share)
        world, steps, _ = shown(scenario, mode, seed)
        outcome = judge(world.trace(), scenario, BLIND.interface.desired_modes)
        world.close()
        assert (outcome.completed, outcome.mode) == (True, mode)
        waits[share] = outcome.taken_s
        assert (steps.count(Step.OFFER) + steps.count(Step.BRING) > 40) == (share > 0)
    assert waits[0.9] > waits[0.0] + 1.0


@pytest.mark.parametrize('seed', range(6))
def test_a_miss_is_beyond_the_reach_of_the_person(seed: int) -> None:
    scenario = taught(missed_offers=0.9)
    for mode, rule in scenario.modes.items():
        teacher = Demonstrator(scenario, BLIND.interface, mode, seed, TRACKED_KEYS)
        for miss in teacher._misses:
            # The palm, seen from the tool: +x of tool and palm are the same or opposite.
            sign = 1.0 if rule.handle_first else -1.0
            palm = np.array([rule.present_x_m, 0.0, 0.0]) - miss.offset_m * (sign, sign, 1.0)
            gaps = [np.linalg.norm(np.maximum(np.abs(palm - part.center_m)
                                              - np.array(part.size_m) / 2, 0.0))
                    for part in scenario.tool.parts.values()]
            assert min(gaps) > scenario.receiver.grasp_reach_m + 0.009


def test_a_push_moves_the_arm_and_not_the_command() -> None:
    world, _, targets = shown(taught(pushes=0.8), 'handle_first', 3)
    places = world.trace().tool_pose[::12, :3]
    world.close()
    calm_world, _, calm = shown(taught(), 'handle_first', 3)
    calm_places = calm_world.trace().tool_pose[::12, :3]
    calm_world.close()

    def apart(commands: np.ndarray, measured: np.ndarray) -> float:
        """Return the largest distance between command and arm, which follows within 0.2 s."""
        count = min(len(commands), len(measured)) - 4
        gaps = [np.linalg.norm(commands[:count, :3] - measured[late:count + late], axis=1)
                for late in range(5)]
        return float(np.max(np.min(gaps, axis=0)))

    assert apart(calm, calm_places) < 0.02
    assert 0.03 < apart(targets, places) < 0.12


def test_without_asking_nothing_is_missed_and_nothing_pushed() -> None:
    knife = find_scenario('knife')
    assert knife.teacher == Teaching()
    for seed in range(20):
        assert not Demonstrator(knife, CONTRACT.interface, 'handle_first', seed)._misses


def test_demonstrations_with_pictures_are_recorded_and_labelled_by_the_truth(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'demos'
    assert main(['demos', '--scenario', 'knife_camera', '--contract', str(CAMERA_FILE),
                 '--episodes', '1', '--seed', '5', '--out', str(out)]) == 0
    assert main(['label', str(out), '--rule', '--scenario', 'knife_camera']) == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert 'it needs the poses of tool and hand; label them by hand, with --episode' in said
    path, = list_episodes(out)
    episode = read_episode(path)
    label, = read_labels(path, SEEING.interface)
    assert (label.mode, label.source) == (episode.metadata.planned_mode, 'truth')
    assert not set(TRACKED_KEYS) & episode.samples.keys()
    for camera in SEEING.interface.cameras:
        samples = episode.samples[camera.key]
        assert {sample.values.shape for sample in samples} == {(96, 96, 3)}
        times = np.array([sample.stamp_ns for sample in samples])
        assert set(np.diff(times)) == {50_000_000}


def test_demonstrations_reach_beyond_the_places_that_are_judged() -> None:
    start = SCENARIO.start
    wider = start.wider(0.2)
    assert np.allclose(wider.hand_position_min_m, (0.49, -0.30, 0.18))
    assert np.allclose(wider.hand_position_max_m, (0.85, 0.30, 0.42))
    assert np.allclose(wider.object_position_min_m, (0.335, -0.12))
    assert np.allclose(wider.object_position_max_m, (0.515, 0.12))
    assert start.wider(0.0) == start


def test_the_teacher_is_shown_the_wider_places(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[Scenario] = []
    monkeypatch.setattr(generate, 'open_world',
                        lambda scenario, *_, **__: worlds.append(scenario))
    session = SimulatedSession(SCENARIO, SEEING, ('handle_first',), 0, Path('demos'))
    monkeypatch.setattr(generate, 'share', lambda make, setting, *_: make(setting))
    monkeypatch.setattr(generate, '_require_same_session', lambda _: None)
    generate.generate(session, [0], 1, lambda _: None)
    assert worlds[0].start == SCENARIO.start.wider(0.2)
    assert worlds[0].name == SCENARIO.name


def test_the_teacher_lets_go_after_its_reaction_time() -> None:
    first = {}
    for reaction_s in (0.3, 0.5):
        _, steps, _ = shown(taught(reaction_s=reaction_s), 'handle_first', 3)
        first[reaction_s] = steps.index(Step.RELEASE)
    assert first[0.5] - first[0.3] == 4


@pytest.mark.parametrize('mode', ['handle_first', 'blade_first'])
def test_a_demonstration_begins_after_a_grasp_that_missed(mode: str) -> None:
    """The fingers are closed and empty at first; they open, and the handover completes."""
    scenario = taught(missed_grasps=0.9)
    widths: list[float] = []
    wanted: list[float] = []
    world = open_world(scenario, BLIND.interface)
    teacher = Demonstrator(scenario, BLIND.interface, mode, 3, TRACKED_KEYS)

    def listen(key: str, values: Any, *_: int) -> None:
        if key == 'gripper_width':
            widths.append(float(values[0]))
        if key == 'target_width':
            wanted.append(float(values[0]))

    assert demonstrate(world, teacher, BLIND, 3, listen)
    outcome = judge(world.trace(), scenario, BLIND.interface.desired_modes)
    assert outcome.mode == mode
    # THEN nothing is recorded of the miss, and everything of the way back
    assert max(widths[:3]) < 0.004
    # AND what is to be imitated opens the fingers from the first command on
    assert set(wanted[:10]) == {0.08}
    held = next(i for i, width in enumerate(widths) if width > 0.075)
    assert 0.1 < 0.05 * held < 2.0, 'the fingers open within two seconds'
    assert min(widths[held:]) > 0.004, 'it holds the tool'
