# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of doubt counts what it says, and runs no episode twice."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import doubt as bench
import numpy as np
import pytest
from inputs import CONTRACT

from uncloning_ros.scenario import find_scenario
from uncloning_ros.simulation.world import open_world


def episode(seed: int, failed_s: float | None = None, alarmed_s: float | None = None,
            **more: Any) -> dict[str, Any]:
    return {'condition': 'tool', 'alarm': 'free', 'seed': seed, 'success': failed_s is None,
            'failure': None if failed_s is None else 'dropped', 'unsafe_s': failed_s,
            'failed_s': failed_s, 'alarmed_s': alarmed_s, 'held': False, 'total_s': 8.0} | more


FREE = [episode(1, 5.0, 3.0), episode(2, 5.0, 4.5), episode(3, 5.0), episode(4, None, 2.0),
        episode(5), episode(6, success=False, failure='timeout')]
HELD = [episode(1, None, 3.0, held=True, success=False), *FREE[1:]]


def test_an_alarm_counts_if_it_is_early_enough_and_timeouts_stand_apart() -> None:
    row = bench.shift_row('tool', FREE, HELD, 3.5)
    assert row[:3] == ['tool', '6', '1 of 3 (33%, 1 to 91 %)']
    assert row[3] == '3 of 3 (100%, 29 to 100 %)'  # by the clock alone, at 3.5 s
    assert row[4] == '1.2 s'
    assert row[5].startswith('0 of 1') and row[6].startswith('1 of 2')
    assert row[7] == '3 / 2' and row[8].startswith('1 of 6') and row[9].startswith('2 of 5')


def test_finished_episodes_are_not_run_again_and_only_alarms_are_repeated(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, int]] = []

    def pretend(make: Any, setting: Any, seeds: Any, workers: int, what: str, error: Any,
                on_done: Any) -> None:
        for seed in seeds:
            ran.append((setting.alarm, seed))
            on_done(episode(seed, alarmed_s=1.0 if seed % 2 else None, alarm=setting.alarm))

    monkeypatch.setattr(bench, 'share', pretend)
    path = tmp_path / 'episodes.jsonl'
    for _ in range(2):
        free, holding = bench.Records(path, Path('m.onnx'), 1).judged('tool', 4)
        assert [one['alarm'] for one in free] == ['free'] * 4
        assert [one['alarm'] == 'held' for one in holding] == [bool(one['seed'] % 2)
                                                               for one in free]
    assert len(ran) == len(set(ran)) == 6
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 6


def test_a_person_accepts_each_doubt_some_time_after_it_is_asked() -> None:
    accepted: list[float] = []
    loop: Any = SimpleNamespace(question=None)
    loop.accept_doubt = lambda: accepted.append(now_s) or setattr(loop, 'question', None)
    step = bench.accepting(loop)
    for now_s in range(30):
        if now_s in (3, 20):
            loop.question = 'strange?'
        step(SimpleNamespace(time_ns=now_s * 10**9))  # type: ignore[arg-type]
    assert accepted == [3 + bench.ANSWERED_AFTER_S, 20 + bench.ANSWERED_AFTER_S]


def test_the_tracker_is_off_by_the_stated_distance_the_same_in_an_episode() -> None:
    world = open_world(find_scenario('knife'), CONTRACT.interface)
    polled: list[dict[str, list[Any]]] = []
    for off in (False, True):
        if off:
            world.poll = bench.with_error(world, 7)  # type: ignore[method-assign]
        world.reset(3)
        found: dict[str, list[Any]] = {}
        for _ in range(world.physics_hz // 4):
            for key, sample in world.poll():
                found.setdefault(key, []).append(sample.values)
            world.advance()
        polled.append(found)
    true, wrong = polled
    away = np.array(wrong['object_pose']) - true['object_pose']
    assert len(away) > 2 and not np.ptp(away, axis=0).round(9).any() and not away[:, 3:].any()
    assert np.linalg.norm(away[0]) == pytest.approx(bench.TRACKER_OFF_M)
    np.testing.assert_array_equal(wrong['hand_pose'], true['hand_pose'])


@pytest.mark.parametrize('condition', [bench.USUAL, *bench.SHIFTS])
def test_every_condition_is_a_scenario_and_only_the_usual_one_is_unchanged(
        condition: str) -> None:
    usual, found = bench.scenario_of(bench.USUAL), bench.scenario_of(condition)
    assert (found == usual) is (condition in (bench.USUAL, 'tracker'))


def test_the_weights_of_a_file_are_told_from_those_that_were_made_again() -> None:
    shipped, other = (bench.share_path('models') / f'knife_{name}.onnx'
                      for name in ('uncloned', 'mixed'))
    assert bench.weights_of('knife_uncloned', shipped) == 'as shipped'
    assert bench.weights_of('knife_uncloned', other).startswith('made again')
    assert bench.weights_of('mine', other) == 'of its own'


def test_a_file_adds_its_figures_and_the_page_shows_those_of_all(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(model: Path, plain: Path | None, args: Any) -> None:
        one = {'model': 'abc', 'scenario': model.stem, 'threshold': 1.5, 'after_s': 0.4,
               'calibrated_by': 500, 'rate': 0.03, 'undisturbed': [['episodes', model.stem]],
               'clock_s': 8.0, 'weights': 'as shipped', 'shifts': {}}
        if plain:
            one['shifts'] = {'tool': [f'shift of {model.stem}', *'123456789']}
        bench.write_json(bench.FIGURES, bench.recorded() | {model.stem: one})

    monkeypatch.setattr(bench, 'add_figures', pretend)
    monkeypatch.setattr(bench, 'FIGURES', tmp_path / 'figures.json')
    page = tmp_path / 'page.md'
    for words in (['knife.onnx', '--plain', 'plain.onnx'], ['mug.onnx', 'scissors.onnx'], []):
        monkeypatch.setattr('sys.argv', ['doubt.py', *words, '--out', str(tmp_path / 'out'),
                                         '--page', str(page)])
        assert bench.main() == 0
    text = page.read_text()
    for name in ('knife', 'mug', 'scissors'):
        assert (f'| `{name}` | abc | as shipped | 1.5 for 0.4 s, by 500 episodes, for a rate of '
                f'3% | {name} |' in text)
    assert text.count('shift of') == 1
