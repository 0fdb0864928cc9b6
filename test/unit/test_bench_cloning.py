# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bench of the classes of policies: its cases, and the tables that it writes."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cloning import astray
from cloning.__main__ import is_done
from cloning.page import drawing, with_tables
from cloning.picture import PICTURE
from cloning.plan import (
    FULL,
    POINTS,
    SHORT,
    STARTS,
    USUAL,
    demonstrations_of,
    episodes_of,
    first_seed,
    is_edit,
    plan,
)
from cloning.starts import HELD_OUT, parted
from comparison.arguments import wanted_cases
from comparison.plan import ALL, DEVELOPMENT_SEED, ITSELF, LATENCY, Case
from comparison.results import add, empty, identity, load
from learning_toys import toy_dataset

from uncloning_ros.audit.run.rollout import run_rollouts
from uncloning_ros.contract import load_contract
from uncloning_ros.demos.dataset.store import Dataset
from uncloning_ros.errors import UncloningError
from uncloning_ros.learning.checkpoint import load_run
from uncloning_ros.learning.options import POLICY_KINDS
from uncloning_ros.scenario import find_scenario
from uncloning_ros.share import share_path

DOCS = Path(__file__).resolve().parents[2] / 'docs'
PAGE = 'Text.\n<!-- begin of the tables -->\nold\n<!-- end of the tables -->\nMore.\n'


def record(case: Case, tcr: float = 0.9, **more: Any) -> dict[str, Any]:
    """Return the record of a case that was made."""
    parted = {'within_floor': 8, 'bins': [{}] * 10, 'calibration': {'error': 0.05, 'floor': 0.08}}
    return identity(case) | {
        'status': 'done', 'scenario_sha256': find_scenario(case.scenario).sha256,
        'steps': FULL.steps, 'learning': {'wall_s': 200.0, 'cpu_s': 166.0}, 'bytes': 2**22,
        'plan_ms': 0.37,
        'audit': {'episodes': episodes_of(case, FULL), 'tcr': tcr, 'sr': 0.5, 'umr': 0.4,
                  'umr_upper95': 0.47, 'modes': {'handle_first': 80, 'blade_first': 55},
                  'failures': {'dropped': 15, 'timeout': 0}},
        'evaluation': {
            'error': {'plan': 0.0371, 'mean': 0.0242, 'nearest': 0.0053},
            'likelihood': {'of': None, 'exact': None, 'bound': -171.6, 'width': 0.06},
            'modes': {'accuracy': 0.987, 'distribution': parted}}} | more


def test_every_class_is_planned_on_every_scenario_and_along_the_curves() -> None:
    cases = plan(FULL)
    assert len(set(cases)) == len(cases)
    for kind in POLICY_KINDS:
        assert {case.scenario for case in cases if (case.method, case.kept) == (kind, ALL)} == {
            'knife', 'knife_route', 'mug'}
        assert any(case.method == kind + '_uncloned' for case in cases)
    assert {case.kept for case in cases} == set(POINTS)
    assert Case('knife', ALL, 0, LATENCY) in cases
    assert {(case.scenario, case.method) for case in cases if case.kept == STARTS} == {
        ('knife', 'flow'), ('knife', 'plan'), *(('knife_route', kind + edit) for kind in (
            'flow', 'plan') for edit in ('', '_uncloned'))}


def test_judged_seeds_are_neither_shown_nor_used_to_choose() -> None:
    for case in plan(FULL):
        judged = range(first_seed(case), first_seed(case) + episodes_of(case, FULL))
        assert demonstrations_of(case.kept, FULL) < judged[0]
        assert judged[-1] < DEVELOPMENT_SEED


def test_flow_and_plan_are_compared_by_as_many_episodes_as_a_point_of_tcr_needs() -> None:
    for scenario in FULL.scenarios:
        assert [episodes_of(Case(scenario, ALL, 0, kind), FULL)
                for kind in ('flow', 'plan', 'mixture', 'plan_uncloned')] == [1049, 1049, 300, 300]
    assert episodes_of(Case('knife', 'history_1', 0, 'flow'), FULL) == 300
    assert [demonstrations_of(point, FULL) for point in (ALL, STARTS, 'demonstrations_30')] == [
        400, 1200, 30]
    assert demonstrations_of(STARTS, SHORT) == SHORT.most_demonstrations


def test_several_values_of_a_field_choose_cases() -> None:
    cases = plan(FULL)
    short = wanted_cases(cases, ['method=plan,plan_uncloned,scenario=knife,kept=all'])
    assert {case.key for case in short} == {'knife/all/0/plan', 'knife/all/0/plan_uncloned'}
    assert short == wanted_cases(cases, [
        'method=plan,method=plan_uncloned,scenario=knife,kept=all'])
    for wrong in ('plan', 'method=', 'methd=plan'):
        with pytest.raises(UncloningError, match='expected FIELD=VALUE'):
            wanted_cases(cases, [wrong])


def test_tables_show_what_was_made_and_list_what_was_not() -> None:
    results = empty(FULL)
    for kind, tcr in (('regression', 0.713), ('flow', 0.987)):
        add(results, record(Case('knife', ALL, 0, kind), tcr))
    add(results, record(Case('knife', 'demonstrations_10', 0, 'flow'), 0.333))
    add(results, identity(Case('mug', ALL, 0, 'flow')) | {
        'status': 'failed', 'sentence': 'the disk is full'})
    page = with_tables(PAGE, results)
    assert page.startswith('Text.\n')
    assert page.endswith('More.\n')
    assert 'old' not in page
    for part in ('| `regression` | 300 | 71.3 % | 50.0 % | 40.0 % (47.0 %) | 80 handle_first, '
                 '55 blade_first | 15 dropped | 6000 | 166 | 0.4 | 4.0 |',
                 '| `flow` | 0.0371 | 0.0242 | 0.0053 |  | -172 | 98.7 % | 8 of 10 | '
                 '0.050 (0.080) |', '| 10 demonstrations |', '33.3 %', 'the disk is full',
                 f'Not run ({len(plan(FULL)) - 4} of {len(plan(FULL))} cases)',
                 '- `knife_route/all/0/mixture`'):
        assert part in page
    assert '- `knife/all/0/flow`' not in page
    assert with_tables(page, results) == page


def test_edits_stand_below_their_class_and_have_no_shares_of_one_mode() -> None:
    results = empty(FULL)
    add(results, record(Case('knife', ALL, 0, 'mixture')))
    edit = record(Case('knife', ALL, 0, 'flow_uncloned'), steps=450)
    edit['evaluation']['modes'] = None
    add(results, edit)
    add(results, record(Case('knife', ALL, 0, 'flow')))
    rows = [line.split(' | ')[0] for line in with_tables(PAGE, results).splitlines()
            if line.startswith('| `')]
    assert rows == 2 * ['| `mixture`', '| `flow`', '| `flow_uncloned`']
    assert is_edit(Case('knife', ALL, 0, 'flow_uncloned'))
    assert is_done(results, Case('knife', ALL, 0, 'flow_uncloned'), FULL)


def test_distances_by_time_and_shares_by_start_are_shown_and_drawn() -> None:
    results = empty(FULL)
    strayed = [{'second': second, 'episodes': 300 - 50 * second, 'distance': 0.1 + second / 20,
                'demonstrated': 0.08 + second / 100} for second in range(5)]
    add(results, record(Case('knife', ALL, 0, 'flow'), 0.97, astray=strayed))
    add(results, record(Case('knife', 'demonstrations_10', 0, 'flow'), 0.4, astray=strayed[:2]))
    shares = record(Case('knife', STARTS, 0, 'plan'))
    del shares['audit']
    shares['evaluation']['modes']['distribution']['bins'] = 10 * [
        {'total_variation': 0.11, 'floor': 0.16}]
    add(results, shares)
    good = record(Case('knife', STARTS, 0, 'flow'))
    good['evaluation']['modes']['distribution'] |= {
        'within_floor': 9, 'bins': shares['evaluation']['modes']['distribution']['bins']}
    add(results, good)
    assert is_done(results, Case('knife', STARTS, 0, 'plan'), FULL)
    page = with_tables(PAGE, results)
    for part in ('| class | point | 0 to 1 s | 1 to 2 s | 2 to 3 s | 3 to 4 s |',
                 '| `flow` | 400 demonstrations, the timing of the contract | 0.100 (0.080) | '
                 '0.150 (0.090) | 0.200 (0.100) | 0.250 (0.110) |',
                 '| `knife` | `plan` | 8 of 10 | 0.050 (0.080) | 0.11 (0.16), ', '| missed |',
                 '(0.16) | met |', PICTURE):
        assert part in page
    drawn = drawing(results)
    for part in ('flow: 97', 'flow: 40', 'flow: 0.3'):
        assert part in drawn
    assert re.findall('TCR [(]%[)] by ([a-z]+)', drawn) == ['demonstrations', *USUAL]


def test_the_usual_timing_is_that_of_the_contract() -> None:
    policy = load_contract(share_path('config') / 'contract.yaml').policy
    assert {key: getattr(policy, key) for key in USUAL} == USUAL
    assert not any(value == USUAL[key] for point in POINTS.values()
                   for key, value in point.timing.items())


def audited(kind: str, outcomes: str) -> dict[str, Any]:
    """Return the record of a case that was judged, each episode with its character."""
    made = record(Case('mug', ALL, 0, kind), outcomes.count('S') / len(outcomes), first_seed=7)
    made['audit'] |= {'outcomes': outcomes, 'said': {
        'completed': 1040, 'agreed': 1038, 'unread': 2, 'least_read_s': 0.5,
        'median_read_s': 1.25, 'median_apart_m': 0.021}}
    return made


@pytest.mark.parametrize(('lost', 'state'), [(0, 'met'), (20, 'missed')])
def test_aims_are_judged_in_the_page(lost: int, state: str) -> None:
    results = empty(FULL)
    add(results, audited('flow', 'S' * 1049))
    add(results, audited('plan', 'F' * lost + 'S' * (1049 - lost)))
    slow = record(Case('knife', ALL, 0, 'mixture'), learning={'wall_s': 1.0, 'cpu_s': 960.0})
    add(results, slow)
    add(results, identity(Case('knife', ALL, 0, LATENCY)) | {
        'status': 'done', 'scenario_sha256': find_scenario('knife').sha256, 'ratios': [
            {'name': name, 'value': value, 'low': value - 0.02, 'high': value + 0.02}
            for name, value in ((ITSELF, 1.0), ('mixture', 0.9), ('categorical', 1.1),
                                ('plan', 1.14))]})
    assert is_done(results, Case('knife', ALL, 0, LATENCY), FULL)
    page = with_tables(PAGE, results)
    [row] = [line for line in page.splitlines() if 'point less than' in line]
    assert row.endswith(f'1049 pairs | {state} |')
    for part in ('`knife` | 16.0 (`mixture`), of `mixture` | missed |',
                 '`mug` | 2.8 (`flow`), of `flow`, `plan` | met |',
                 '`mixture` plans in at most 1.00 of the time of `flow` | `knife` | 0.90 (0.88 to '
                 '0.92); `flow` against itself 0.98 to 1.02',
                 '| `plan` | 1038 of 1040 | 1.25 (least 0.50) | 2 | 2.1 |'):
        assert part in page
    states = {kind: line.split(' | ')[-1] for line in page.splitlines()
              for kind in POLICY_KINDS if line.startswith(f'| `{kind}` plans in')}
    assert states == {'mixture': 'met |', 'categorical': 'missed |', 'plan': 'met |'}


def test_played_episodes_are_those_of_an_audit() -> None:
    model, scenario = share_path('models') / 'knife_uncloned.onnx', find_scenario('knife')
    results, [seen] = astray.played(model, scenario, [600_000])
    assert results == run_rollouts(model, scenario, [600_000], workers=1)
    times = [at_s for at_s, _ in seen]
    assert times == sorted(set(times))
    assert 0 <= times[0] < 1 < times[-1] <= results[0].outcome.total_s


def test_distances_are_those_of_the_same_second(mixed_dir: Path, dataset: Dataset) -> None:
    normaliser, timing = load_run(mixed_dir).policy.normaliser, dataset.contract.policy
    slow = replace(dataset, contract=replace(dataset.contract, policy=replace(
        timing, rate_hz=5.0)))
    first = dataset.observations[dataset.window_frames('train')[:1]].repeat(timing.history, 0)
    far = first + 9.0
    found = astray.astray([[(0.2, first), (0.9, first), (1.1, far)], [(0.1, first)]],
                          normaliser, slow)
    assert [(one['second'], one['episodes']) for one in found] == [(0, 2), (1, 1)]
    assert found[0]['distance'] == pytest.approx(0.0, abs=1e-3)
    assert found[1]['distance'] > 1.0
    assert found[0]['demonstrated'] != found[1]['demonstrated']
    assert None not in (found[0]['demonstrated'], found[1]['demonstrated'])
    assert astray.astray([[(9.0, first)]], normaliser, slow)[0]['demonstrated'] is None


def test_shares_of_two_modes_follow_the_start(tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / 'data', episodes=1000)
    y = data.contract.interface.observation_slices['object_pose'].start + 1
    names = set(parted(data, ('left', 'right')))
    starts = {one.name: (float(start), one.mode) for start, one in zip(
        data.observations[data.bounds[:-1], y], data.episodes, strict=True) if one.name in names}
    picked = sorted(starts.values())
    assert 400 < len(picked) < 750
    for part, share in ((picked[:50], 0.9), (picked[-50:], 0.1)):
        assert sum(mode == 'left' for _, mode in part) / 50 == pytest.approx(share, abs=0.12)


def test_ten_bins_of_unseen_starts_are_filled_where_two_modes_of_four_are_kept() -> None:
    rng = np.random.default_rng(0)
    names = ('a', 'b', 'c', 'd')
    modes = rng.permutation(np.resize(names, POINTS[STARTS].demonstrations))
    episodes = [SimpleNamespace(name=str(i), mode=mode) for i, mode in enumerate(modes)]
    data = SimpleNamespace(
        contract=SimpleNamespace(interface=SimpleNamespace(
            observation_slices={'object_pose': slice(0, 2)})),
        observations=rng.random((len(modes), 2)), bounds=np.arange(len(modes) + 1),
        episodes=episodes)
    kept = [modes[int(name)] for name in parted(data, names[:2])]
    assert sum(mode in names[:2] for mode in kept) * HELD_OUT > 140


@pytest.mark.parametrize(('more', 'done'), [
    ({}, True), ({'steps': 60}, False), ({'scenario_sha256': '0' * 64}, False)])
def test_a_record_of_other_conditions_is_made_again(more: dict[str, Any], done: bool) -> None:
    case, results = Case('knife', ALL, 0, 'flow'), empty(FULL)
    assert not is_done(results, case, FULL)
    add(results, record(case, **more))
    assert is_done(results, case, FULL) == done


def test_the_page_has_the_tables_of_the_results() -> None:
    page = (DOCS / 'cloning.md').read_text(encoding='utf-8')
    assert with_tables(page, load(DOCS / FULL.results, FULL)) == page
