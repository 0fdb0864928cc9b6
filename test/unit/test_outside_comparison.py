# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The comparison on tasks of others: cases, records, targets, page, and going on after a stop."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from comparison.plan import ALL, METHODS, Case
from comparison.results import add, empty, find, identity
from comparison.targets import MET, MISSED, OPEN, Target
from outside.page import page
from outside.plan import COMPARED, FULL, PLACES, SCHEDULES, SHORT, first_seed, place_of, plan
from outside.records import at_place, is_done, rolled
from outside.rolling import Roll
from outside.running import Comparison
from outside.targets import REQUIREMENTS, targets
from outside.task import Result
from outside.tasks import TASKS

from uncloning_ros.errors import UncloningError

DOCS = Path(__file__).resolve().parents[2] / 'docs'
KEEP_LEFT = PLACES[0]


def record(case: Case, starts: Mapping[str, Sequence[tuple[str, str, str]]] | None = None,
           **more: Any) -> dict[str, Any]:
    """Return a record; `starts` are (modes, completed, unsafe), each repeated to all episodes."""
    rolls = {}
    for start, episodes in FULL.episodes[case.scenario].items():
        parts = (starts or {}).get(start, [('a', '1', '0')])
        modes, completed, unsafe = (''.join(part[i] for part in parts) for i in range(3))
        fill = episodes - len(modes)
        rolls[start] = {'first_seed': first_seed(case), 'modes': modes + 'a' * fill,
                        'completed': completed + '1' * fill, 'unsafe': unsafe + '0' * fill}
    return identity(case) | {
        'status': 'done', 'scenario_sha256': 'd', 'settings': {}, 'steps': 450,
        'learning': {'wall_s': 90.0, 'cpu_s': 80.0}, 'model_sha256': 'm', 'code_sha256': 'c',
        'rolls': rolls} | more


def results_of(*records: dict[str, Any]) -> dict[str, Any]:
    results = empty(FULL)
    for one in records:
        add(results, one)
    return results


def of_all_seeds(task: str, place: str, *methods: str, **more: Any) -> list[dict[str, Any]]:
    return [record(Case(task, ALL if method == 'mixed' else place, seed, method), **more)
            for seed in FULL.seeds for method in methods]


def found(results: dict[str, Any], requirement: str, place: str) -> list[Target]:
    return [one for one in targets(results)
            if one.requirement == requirement and one.place.startswith(place)]


def test_cases_have_names_of_their_own_and_known_methods() -> None:
    for schedule in SCHEDULES.values():
        cases = plan(schedule)
        assert len({case.key for case in cases}) == len(cases) == 26 * len(schedule.seeds)
        assert {case.method for case in cases} == {'mixed', *COMPARED} <= set(METHODS)
        assert {case.scenario for case in cases} == set(TASKS) == set(schedule.episodes)


def test_a_mixed_policy_is_made_once_for_its_demonstrations() -> None:
    mixed = [case.key for case in plan(SHORT) if case.method == 'mixed']
    assert mixed == ['push_t/all/0/mixed', 'push_wall/all/0/mixed', 'push_wall/left_6/0/mixed',
                     'routes/all/0/mixed']
    assert place_of(Case('push_wall', 'left_6', 0, 'mixed')).few == ('left', 6)
    assert place_of(Case('push_t', 'keep_right', 0, 'uncloned')).removed == ('left',)


def test_each_place_removes_some_modes_and_keeps_the_others() -> None:
    for place in PLACES:
        assert {*place.removed} | {*place.kept} == {*TASKS[place.task].modes}
        assert place.removed and place.kept
    assert [len(place.removed) for place in PLACES if place.task == 'routes'] == [1, 12]


def test_a_roll_is_kept_as_characters_and_judged_at_a_place() -> None:
    episodes = (Result('left', True, False), Result('right', True, False),
                Result('right', False, True), Result(None, True, False),
                Result('left', False, False), Result('left', True, True))
    part = rolled(Roll('push_t', 'm', 5, True, episodes))
    assert part == {'first_seed': 5, 'modes': 'abb.aa', 'completed': '110101', 'unsafe': '001001'}
    at = at_place({'rolls': {'fixed': part}}, KEEP_LEFT, 'fixed')
    assert (at['outcomes'], at['began'], at['first_seed']) == ('SWuWFU', 'krr.kk', 5)
    assert at_place({'rolls': {'fixed': part}}, PLACES[1], 'fixed')['began'] == 'rkk.rr'


def test_a_case_is_done_with_all_episodes_on_the_same_demonstrations() -> None:
    case = Case('push_t', 'keep_left', 0, 'uncloned')
    assert not is_done(empty(FULL), case, FULL, 'd')
    assert is_done(results_of(record(case)), case, FULL, 'd')
    assert not is_done(results_of(record(case)), case, FULL, 'other')
    short = record(case)
    short['rolls']['fixed']['modes'] = 'a'
    assert not is_done(results_of(short), case, FULL, 'd')
    assert is_done(results_of(identity(case) | {'status': 'failed', 'scenario_sha256': 'd'}),
                   case, FULL, 'd')


def test_targets_without_records_are_open() -> None:
    all_open = targets(empty(FULL))
    assert {(one.state, one.found) for one in all_open} == {(OPEN, 'not run')}
    assert {one.requirement for one in all_open} == set(REQUIREMENTS)


def test_an_edit_like_the_retrain_meets_the_targets_of_push_t() -> None:
    results = results_of(*of_all_seeds('push_t', 'keep_left', 'mixed', 'uncloned'),
                         *of_all_seeds('push_t', 'keep_left', 'retrained', steps=20_000))
    judged = [one for one in targets(results) if one.place.startswith('`push_t`, `keep_left`')]
    assert {one.state for one in judged} == {MET}
    assert {one.state for one in targets(results) if one not in judged} == {OPEN}
    assert [one.found for one in judged if one.requirement == 'steps'] == ['450 of 20000']


@pytest.mark.parametrize(('removed', 'state'), [(3, MET), (4, MISSED)])
def test_the_removed_mode_is_judged_at_each_training_seed(removed: int, state: str) -> None:
    case = Case('push_t', 'keep_left', 1, 'uncloned')
    results = results_of(record(case, {'fixed': [('b', '1', '0')] * removed}))
    assert [one.state for one in found(results, 'removed mode', KEEP_LEFT.words)] == [
        OPEN, state, OPEN]


def test_margins_are_judged_by_bounds_over_all_training_seeds() -> None:
    def state(requirement: str, start: str, lost: int, episode: tuple[str, str, str]) -> str:
        results = results_of(*of_all_seeds('push_t', 'keep_left', 'mixed', 'retrained'),
                             *of_all_seeds('push_t', 'keep_left', 'uncloned',
                                           starts={start: [episode] * lost}))
        return found(results, requirement, KEEP_LEFT.words)[0].state
    assert state('completed', 'random', 2, ('a', '0', '0')) == MET
    assert state('completed', 'random', 5, ('a', '0', '0')) == MISSED
    assert state('completed from the fixed start', 'fixed', 1, ('a', '0', '0')) == MET
    assert state('completed from the fixed start', 'fixed', 4, ('a', '0', '0')) == MISSED
    assert state('kept mode', 'random', 4, ('b', '1', '0')) == MET
    assert state('kept mode', 'random', 12, ('.', '1', '0')) == MISSED
    two = of_all_seeds('push_t', 'keep_left', 'uncloned', 'retrained')[:4]
    assert found(results_of(*two), 'kept mode', KEEP_LEFT.words)[0].state == OPEN


def test_an_edit_that_takes_long_misses_its_costs() -> None:
    slow = {'learning': {'wall_s': 100.0, 'cpu_s': 121.0}, 'steps': 7000}
    results = results_of(*of_all_seeds('push_t', 'keep_left', 'uncloned', **slow),
                         *of_all_seeds('push_t', 'keep_left', 'retrained', steps=20_000))
    for requirement in ('time', 'steps'):
        assert found(results, requirement, KEEP_LEFT.words)[0].state == MISSED


def test_on_push_wall_the_edit_is_not_worse_than_the_fine_tune() -> None:
    def states(episode: tuple[str, str, str], lost: int) -> list[str]:
        results = results_of(
            *of_all_seeds('push_wall', 'left_6', 'finetuned'),
            *of_all_seeds('push_wall', 'left_6', 'uncloned',
                          starts={'random': [episode] * lost}))
        return [found(results, requirement, '`push_wall`, `left_6`')[0].state
                for requirement in ('fine-tune', 'nothing removed left')]
    assert states(('a', '1', '0'), 1) == [MET, MET]
    assert states(('a', '1', '1'), 17) == [MISSED, MET], 'into the wall'
    assert states(('.', '0', '0'), 3) == [MISSED, MET], 'few, but shown to be worse'
    assert states(('.', '0', '0'), 1) == [MET, MET]
    assert states(('b', '1', '0'), 1) == [MET, MISSED]


def test_the_page_shows_rates_failures_and_superseded_records() -> None:
    case = Case('push_t', 'keep_left', 0, 'uncloned')
    results = results_of(
        record(case), *of_all_seeds('push_t', 'keep_left', 'mixed', 'retrained'),
        identity(Case('routes', 'without_one', 0, 'finetuned')) | {
            'status': 'failed', 'sentence': 'no disk', 'scenario_sha256': 'd'})
    add(results, record(case, {'fixed': [('b', '1', '0')] * 50}))
    text = page(results)
    assert ('| `uncloned` | 0 | 200 | 100.0 % | 75.0 % | 25.0 % | 75.0 % | 0.0 % | 450 | 80 |'
            in text)
    assert '| `routes/without_one/0/finetuned` | no disk |' in text
    assert '| `push_t/keep_left/0/uncloned` | a later record replaced it |' in text
    assert '71 of 78 planned cases' in text
    assert 'A short run' in page(empty(SHORT))


def test_the_committed_page_is_that_of_the_committed_results() -> None:
    results = json.loads((DOCS / FULL.results).read_text(encoding='utf-8'))
    assert (DOCS / 'benchmarks' / 'outside.md').read_text(encoding='utf-8') == page(results)


def test_a_stopped_comparison_goes_on_with_the_cases_that_it_lacks(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = Comparison(tmp_path, SHORT, {})
    cases = comparison.missing(plan(SHORT))
    assert {case.scenario for case in cases} == {'routes'}, 'the others need data'
    digest = TASKS['routes'].open(None).digest

    def command(_: Comparison, case: Case) -> list[str]:
        made = identity(case) | {
            'status': 'done', 'scenario_sha256': digest, 'steps': 1, 'settings': {},
            'learning': {'wall_s': 1.0, 'cpu_s': 1.0},
            'rolls': {'random': {'first_seed': 1, 'modes': 'abc', 'completed': '111',
                                 'unsafe': '000'}}}
        if case.method == 'redirected':
            made = identity(case) | {'status': 'failed', 'sentence': 'no disk',
                                     'scenario_sha256': digest}
        words = ('import sys; open(sys.argv[-1], "w").write(sys.argv[1])' if
                 case.method != 'finetuned' else 'raise SystemExit(3)')
        return [sys.executable, '-c', words, json.dumps(made)]
    monkeypatch.setattr(Comparison, '_command', command)
    assert comparison.make(cases, 2) == 1, 'a failed and a lost one'
    again = Comparison(tmp_path, SHORT, {})
    assert [case.method for case in again.missing(plan(SHORT))] == ['finetuned', 'finetuned']
    assert (tmp_path / 'benchmarks' / 'outside.md').is_file()
    folder = again._shops['routes'].folder(cases[0])
    folder.mkdir(parents=True)
    again.start_again([cases[0]], 'the policy changed')
    assert find(again.results, cases[0]) is None and not folder.exists()
    with pytest.raises(UncloningError, match='add --data push_t=FILE'):
        again.start_again([Case('push_t', ALL, 0, 'mixed')], 'why')
