# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks of others and routes: worlds, modes, files and rolls; the data here are made up."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from outside import push_t, push_wall, routes
from outside.demonstrations import make
from outside.push_t import PushT
from outside.push_wall import PushWall
from outside.rolling import Roll, roll, run
from outside.routes import FIELD, Points, Routes
from outside.task import Result
from outside.tasks import TASKS

from uncloning_ros.contract import load_contract
from uncloning_ros.demos.dataset.store import load_dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.files import read_json, write_json
from uncloning_ros.geometry import Array
from uncloning_ros.learning.checkpoint import dataset_record
from uncloning_ros.runtime.control_loop import ControlLoop
from uncloning_ros.schema import plain, read
from uncloning_ros.share import share_path

REPOSITORY = Path(__file__).resolve().parents[2]


def wall_file(folder: Path) -> Path:
    """Write one path round the wall on either side, in 1.5 s."""
    y = np.linspace(0.2, -0.2, 40)
    side = 0.2 * np.cos(np.pi * y / 0.4)
    path = folder / 'paths.json'
    path.write_text(json.dumps({
        mode: [np.stack([sign * side, y, 0 * y], axis=1).tolist()]
        for mode, sign in (('left', -1), ('right', 1))}), encoding='utf-8')
    return path


def circling(turn_deg: float, steps: int = 60) -> Array:
    """Return states of Push-T whose disc goes round a T that stands upright."""
    angle = np.radians(np.linspace(90.0, 90.0 + turn_deg, steps))
    disc = np.array([256.0, 256.0 + 45.0]) + 120.0 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([disc, np.tile([256.0, 256.0, 0.0], (steps, 1))], axis=1)


def t_file(folder: Path, **arrays: Any) -> Path:
    """Write a left, a right and an unclear demonstration of Push-T."""
    states = np.concatenate([circling(90.0), circling(-90.0), circling(10.0)])
    path = folder / 't.npz'
    np.savez(path, **({'s': states.astype(np.float32), 'a': states[:, :2].astype(np.float32),
                       'e': np.array([60, 120, 180])} | arrays))
    return path


class Scripted:
    """A policy that is asked as an exported one is."""

    def __init__(self, task: Any, plan: Any) -> None:
        self.contract, self.plan, self.calls = task.contract, plan, list[Any]()

    def batch(self, observations: Array, noises: Array) -> Array:
        self.calls.append((observations, noises))
        return self.plan(observations, noises)


@pytest.mark.parametrize('name', TASKS)
def test_a_contract_has_no_key_that_means_nothing_in_its_task(name: str) -> None:
    contract = TASKS[name].open(None).contract
    kinds = {one.kind for one in (*contract.interface.observations, *contract.interface.actions)}
    data = plain(contract)
    assert set(data['deployment']['episode_end']) == {'max_episode_s'}
    assert (kinds, 'base_frame' in data['interface']) in (({'vector'}, False), ({'pose'}, True))
    assert set(data['deployment']['limits']) == ({'vectors'} if kinds == {'vector'} else {
        'workspace_min_m', 'workspace_max_m', 'speed_m_s', 'rotation_speed_rad_s', 'jump_m',
        'jump_rad'})
    assert ControlLoop(contract, 0).state.value == 'waiting'


@pytest.mark.parametrize('name', TASKS)
def test_a_task_has_one_contract_with_all_its_modes(name: str) -> None:
    task = TASKS[name].open(None)
    assert (task.name, task.contract.interface.mode_names) == (name, task.modes)
    assert task.contract.policy.rate_hz == 10


def test_data_that_are_needed_are_asked_for_and_others_refused(tmp_path: Path) -> None:
    for task in (PushT(None), PushWall(None)):
        with pytest.raises(UncloningError, match=f'{task.name} needs the file'):
            next(task.demonstrations())
    with pytest.raises(UncloningError, match='routes makes its own'):
        Routes(tmp_path)


# Push-T

def test_the_mode_of_push_t_is_the_side_of_the_first_seconds() -> None:
    assert push_t.mode_of(circling(90.0)) == 'left'
    assert push_t.mode_of(circling(-90.0)) == 'right'
    assert push_t.mode_of(circling(20.0)) is None
    later = np.concatenate([circling(0.0, 50), circling(-90.0)])
    assert push_t.mode_of(later) is None, 'what comes later does not count'
    both = np.concatenate([circling(60.0, 25), circling(60.0, 13)[::-1], circling(-70.0, 12)])
    assert push_t.mode_of(both) is None, 'as far to either side'


def test_the_side_is_decided_when_the_disc_has_gone_round_far_enough() -> None:
    for side in (90.0, -90.0):
        states = circling(side)
        moment = round(10 * push_t.decided_s(states))
        assert push_t.mode_of(states[:moment + 1]) == push_t.mode_of(states)
        assert push_t.mode_of(states[:moment]) is None
    assert push_t.decided_s(circling(20.0)) is None


def test_demonstrations_of_push_t_are_cut_at_their_ends(tmp_path: Path) -> None:
    found = list(PushT(t_file(tmp_path)).demonstrations())
    assert [(one.name, one.mode) for one in found] == [
        ('demo_000', 'left'), ('demo_001', 'right'), ('demo_002', None)]
    assert {key: values.shape for key, values in found[0].signals.items()} == {
        'tool_pose': (60, 9), 'object_pose': (60, 9), 'target_pose': (60, 9)}
    np.testing.assert_allclose(found[0].signals['object_pose'][0],
                               [0.5, 0.5, 0, 1, 0, 0, 0, 1, 0])


@pytest.mark.parametrize(('arrays', 'words'), [
    ({'s': np.zeros((180, 4))}, r'expected s as finite numbers .*\(180, 4\)'),
    ({'a': np.full((180, 2), np.nan)}, 'expected a as finite numbers'),
    ({'e': np.array([60, 50, 180])}, 'rising ends'),
    ({'e': np.array([60, 120])}, 'up to the 180 states'),
    ({'a': np.zeros((179, 2))}, '179 targets')])
def test_a_file_that_is_not_of_push_t_is_refused(arrays: dict[str, Array], words: str,
                                                 tmp_path: Path) -> None:
    with pytest.raises(UncloningError, match=words):
        push_t.load(t_file(tmp_path, **arrays))


def test_a_file_without_the_arrays_of_push_t_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'text').write_text('no numbers', encoding='utf-8')
    np.save(tmp_path / 'one.npy', np.zeros(3))
    np.savez(tmp_path / 'other.npz', s=np.zeros((3, 5)))
    for name, got in (('text', 'got none of them'), ('one.npy', 'got none of them'),
                      ('other.npz', 'got s;')):
        with pytest.raises(UncloningError, match=f'expected an .npz file with s, a, e, {got}'):
            push_t.load(tmp_path / name)
    with pytest.raises(UncloningError, match='cannot read'):
        push_t.load(tmp_path / 'none')


def test_starts_of_push_t_follow_from_their_own_seed() -> None:
    assert push_t.start(100_003) == push_t.start(100_003) != push_t.start(100_004)
    assert push_t.start(0)[:4] == (222.0, 97.0, 217.0, 292.0), 'as the published environment'
    with pytest.raises(UncloningError, match='expected seeds below'):
        PushT(None).world(2, 2**32 - 1, False, np.random.default_rng(0))


def test_push_t_moves_the_disc_to_its_target_and_covers_nothing_at_first() -> None:
    pytest.importorskip('pymunk')
    pytest.importorskip('shapely')
    task, rng = PushT(None), np.random.default_rng(0)
    world = task.world(2, 0, True, rng)
    before = world.look()
    assert before.shape == (2, 18)
    aside = Scripted(task, lambda seen, noise: np.tile(
        np.float32([0.9, 0.9, *[0] * 7]), (len(seen), 16, 1)))
    run(aside, world, 30, rng)
    np.testing.assert_allclose(world.look()[:, :2], 0.9, atol=0.01)
    assert [one.completed for one in world.results()] == [False, False]


# Push-Wall

def test_paths_of_push_wall_become_noisy_copies(tmp_path: Path) -> None:
    task = PushWall(wall_file(tmp_path))
    found, again = list(task.demonstrations()), list(task.demonstrations())
    assert Counter(one.mode for one in found) == {'left': 15, 'right': 15}
    assert found[3].name == 'left_003'
    for one, two in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.signals['cube_xy'], two.signals['cube_xy'])
    assert np.ptp([one.signals['cube_xy'][0, 0] for one in found[:15]]) > 0
    steps = np.linalg.norm(np.diff(found[0].signals['target_xy'], axis=0), axis=1)
    assert np.median(steps) == pytest.approx(0.009, abs=0.003)
    for one in found:
        assert push_wall.judge(one.signals['cube_xy']) == Result(one.mode, True, unsafe=False)


def test_an_episode_of_push_wall_is_judged_by_its_path() -> None:
    def judged(*points: tuple[float, float]) -> Result:
        way = [np.linspace(a, b, 20) for a, b in itertools.pairwise(np.array(points))]
        return push_wall.judge(np.concatenate(way))
    assert judged((0, 0.2), (-0.2, 0), (0, -0.2)) == Result('left', True, unsafe=False)
    assert judged((0, 0.2), (0.2, 0), (0, -0.2)) == Result('right', True, unsafe=False)
    assert judged((0, 0.2), (0.09, 0), (0, -0.2)) == Result('right', True, unsafe=True)
    assert judged((0, 0.2), (0, 0.03), (0, 0.2)) == Result(None, False, unsafe=False)
    assert judged((0, 0.2), (0, 0.01), (0, 0.2)) == Result(None, False, unsafe=True)
    back = judged((0, 0.2), (0.2, 0), (0, -0.2), (0, -0.01))
    assert back == Result('right', True, unsafe=False), 'after its end nothing counts'


@pytest.mark.parametrize('text', [
    '[]', '{"left": [[[0, 0], [1, 1]]]}', '{"left": [], "right": []}',
    '{"left": [[[0, 0]]], "right": [[[0, 0], [1, 1]]]}',
    '{"left": [[[0, true], [1, 1]]], "right": [[[0, 0], [1, 1]]]}'])
def test_a_file_that_is_not_of_push_wall_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / 'paths.json'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(UncloningError, match='expected paths of left and right'):
        push_wall.load(path)


# routes

def test_routes_has_a_mode_for_each_combination_of_gaps() -> None:
    assert len(set(Routes.modes)) == 24
    assert (Routes.modes[0], Routes.modes[-1]) == ('gaps_1_1_1', 'gaps_2_3_4')
    for wall, gaps in enumerate(FIELD.gaps):
        middles = FIELD.middle(wall, np.arange(gaps))
        assert FIELD.gap_at(wall, middles).tolist() == list(range(gaps))
        points = np.stack([np.full(gaps, FIELD.walls_x[wall]), middles], axis=1)
        assert not FIELD.touched(points).any()
        assert FIELD.touched(points + [0, FIELD.half_gap]).all()
        assert not FIELD.touched(points + [2 * FIELD.half_wall, FIELD.half_gap]).any()


def test_a_demonstration_of_routes_shows_its_mode_in_the_world(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, 'FIELD', replace(FIELD, demonstrations=2))
    found, again = (list(Routes(None).demonstrations()) for _ in range(2))
    assert Counter(one.mode for one in found) == dict.fromkeys(Routes.modes, 2)
    for one, two in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.signals['target_xy'], two.signals['target_xy'])
        places = one.signals['point_xy']
        assert not FIELD.touched(places).any()
        for wall, gap in enumerate(map(int, one.mode.split('_')[1:])):
            at = np.argmax(places[:, 0] >= FIELD.walls_x[wall])
            assert FIELD.gap_at(wall, places[at, 1]) == gap - 1
    assert np.ptp(found[0].signals['goal_xy'], axis=0).max() == 0
    assert len({one.signals['goal_xy'][0, 1] for one in found}) == len(found)


def test_a_point_of_routes_that_goes_straight_on_touches_a_wall_and_passes_it() -> None:
    world, rng = Points(np.zeros(2), np.array([0.0, 0.2])), np.random.default_rng(0)
    for _ in range(120):
        ahead = np.minimum(world.points[:, :1] + 0.2, FIELD.goal_x)
        world.step(np.concatenate([ahead, world.goals[:, 1:]], axis=1), rng)
    first, second = world.results()
    assert first.completed and first.unsafe
    assert second.completed and second.mode is not None
    rested = world.points.copy()
    world.step(np.zeros((2, 2)), rng)
    np.testing.assert_array_equal(world.points, rested), 'it rests at its goal'


def test_a_point_of_routes_that_stays_shows_no_mode() -> None:
    rng = np.random.default_rng(0)
    world = Routes(None).world(3, 0, False, rng)
    assert np.ptp(world.look()[:, 1]) > 0
    for _ in range(5):
        world.step(world.look()[:, :2], rng)
    assert world.results() == [Result(None, False, unsafe=False)] * 3


# rolls

def test_a_roll_plans_from_the_newest_observations_and_executes_first_actions() -> None:
    task, rng = Routes(None), np.random.default_rng(3)
    world = task.world(2, 0, True, rng)
    counting = Scripted(task, lambda seen, noise: np.tile(
        np.arange(16, dtype=np.float32)[None, :, None], (len(seen), 1, 2)))
    commanded, step = list[float](), world.step
    looked = [world.look()]

    def watched(actions: Array, rng: np.random.Generator) -> None:
        commanded.append(float(actions[0, 0]))
        step(actions, rng)
        looked.append(world.look())
    run(counting, SimpleNamespace(look=world.look, step=watched), 10, rng)
    assert commanded == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert [seen.shape for seen, _ in counting.calls] == [(2, 2, 4)] * 3
    np.testing.assert_array_equal(counting.calls[0][0][:, 0], counting.calls[0][0][:, 1])
    np.testing.assert_allclose(counting.calls[1][0], np.stack(looked[3:5], axis=1), rtol=1e-6)
    assert len({noise.tobytes() for _, noise in counting.calls}) == 3


def test_a_roll_in_a_file_comes_back(tmp_path: Path) -> None:
    made = Roll('push_wall', 'ab', 7, False, (Result('left', True, False),
                                             Result(None, False, True)))
    write_json(tmp_path / 'roll.json', plain(made))
    text = read_json(tmp_path / 'roll.json', UncloningError)
    assert text['schema'] == 'uncloning/outside_roll@1'
    assert text['episodes'][1] == {'mode': None, 'completed': False, 'unsafe': True}
    assert read(Roll, text, 'roll', UncloningError) == made


def test_a_policy_of_another_task_is_refused() -> None:
    model = share_path('models') / 'knife_uncloned.onnx'
    with pytest.raises(UncloningError, match=r'expected a policy of routes .* got tool_pose'):
        roll(Routes(None), model, 1, 0, False)


# bags, and the chain

def test_bags_of_a_task_become_a_data_set_of_its_modes(tmp_path: Path) -> None:
    task = PushT(t_file(tmp_path))
    counts = make(task, tmp_path / 'out', {'right': 1})
    assert counts == {'left': 1, 'right': 1, 'unclear': 1}
    assert load_contract(tmp_path / 'out' / 'contract.yaml') == task.contract
    dataset = load_dataset(tmp_path / 'out' / 'data')
    assert dataset.scenario is None and 'scenario' not in dataset_record(dataset)
    assert [(one.name, one.mode) for one in dataset.episodes] == [
        ('demo_000', 'left'), ('demo_001', 'right')]
    assert [one.name for one in dataset.left_out] == ['demo_002']
    first = next(task.demonstrations()).signals
    np.testing.assert_allclose(dataset.observations[:59, :9], first['tool_pose'][:59], atol=1e-6)
    np.testing.assert_allclose(dataset.actions[:59], first['target_pose'][:59], atol=1e-6)
    with pytest.raises(UncloningError, match='exists already'):
        make(task, tmp_path / 'out', {})
    with pytest.raises(UncloningError, match="push_t has no mode 'lift'"):
        make(task, tmp_path / 'other', {'lift': 1})


def test_of_a_mode_with_few_demonstrations_the_first_are_made(tmp_path: Path) -> None:
    counts = make(PushWall(wall_file(tmp_path)), tmp_path / 'out', {'left': 2})
    assert counts == {'left': 2, 'right': 15}
    assert {path.name for path in (tmp_path / 'out' / 'bags').iterdir()
            if path.name.startswith('left') and path.is_dir()} == {'left_000', 'left_001'}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_short_comparison_makes_a_case_once_and_a_roll_repeats_itself(tmp_path: Path) -> None:
    data, work = wall_file(tmp_path), tmp_path / 'work'

    def command(*words: str) -> str:
        done = subprocess.run([sys.executable, '-m', 'bench.outside', *words], text=True,
                              cwd=REPOSITORY, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout
    words = ('run', str(work), '--short', '--data', f'push_wall={data}',
             '--only', 'scenario=push_wall,kept=left_6,method=mixed')
    assert '1 case of 1 to make' in command(*words)
    assert '0 cases of 1 to make' in command(*words)
    record, = json.loads((work / 'benchmarks_outside.json').read_text())['cells']
    assert (record['status'], record['steps']) == ('done', 60)
    assert len(record['rolls']['random']['modes']) == 3
    assert '| `mixed` | 0 | 3 |' in (work / 'benchmarks' / 'outside.md').read_text()
    model, = work.glob('push_wall-*/left_6/s0/mixed/model.onnx')
    said = command('roll', 'push_wall', str(model), '--data', str(data), '--episodes', '5',
                   '--json', str(tmp_path / 'roll.json'))
    assert 'of 5' in said
    found = read(Roll, read_json(tmp_path / 'roll.json', UncloningError), '', UncloningError)
    assert found == roll(PushWall(data), model, 5, TASKS['push_wall'].seed, fixed=False)
