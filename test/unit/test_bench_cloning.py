# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bench of the classes of policies: its cases, and the tables that it writes."""

from pathlib import Path
from typing import Any

import pytest
from cloning.__main__ import is_done
from cloning.page import drawing, with_tables
from cloning.picture import PICTURE
from cloning.plan import ASTRAY_EPISODES, FULL, POINTS, STARTS, first_seed, is_edit, plan
from cloning.starts import parted
from comparison.plan import ALL, DEVELOPMENT_SEED, Case
from comparison.results import add, empty, identity, load
from learning_toys import toy_dataset

from uncloning_ros.learning.options import POLICY_KINDS
from uncloning_ros.scenario import find_scenario

DOCS = Path(__file__).resolve().parents[2] / 'docs'
PAGE = 'Text.\n<!-- begin of the tables -->\nold\n<!-- end of the tables -->\nMore.\n'


def record(case: Case, tcr: float = 0.9, **more: Any) -> dict[str, Any]:
    """Return the record of a case that was made."""
    parted = {'within_floor': 8, 'bins': [{}] * 10, 'calibration': {'error': 0.05, 'floor': 0.08}}
    return identity(case) | {
        'status': 'done', 'scenario_sha256': find_scenario(case.scenario).sha256,
        'steps': FULL.steps, 'learning': {'wall_s': 200.0, 'cpu_s': 166.0}, 'bytes': 2**22,
        'plan_ms': 0.37,
        'audit': {'episodes': FULL.episodes, 'tcr': tcr, 'sr': 0.5, 'umr': 0.4,
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
    assert {(case.scenario, case.method) for case in cases if case.kept == STARTS} == {
        ('knife', 'flow'), ('knife', 'plan'), *(('knife_route', kind + edit) for kind in (
            'flow', 'plan') for edit in ('', '_uncloned'))}


def test_judged_seeds_are_neither_shown_nor_used_to_choose() -> None:
    for case in plan(FULL):
        judged = range(first_seed(case), first_seed(case) + FULL.episodes)
        assert FULL.most_demonstrations < judged[0]
        assert judged[-1] < DEVELOPMENT_SEED


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
    strayed = [{'second': second, 'plans': 100, 'distance': 0.1 + second / 20,
                'demonstrated': 0.08} for second in range(5)]
    add(results, record(Case('knife', ALL, 0, 'flow'), 0.97, astray=strayed))
    add(results, record(Case('knife', 'demonstrations_10', 0, 'flow'), 0.4, astray=strayed[:2]))
    shares = record(Case('knife', STARTS, 0, 'plan'))
    del shares['audit']
    shares['evaluation']['modes']['distribution']['bins'] = 10 * [
        {'total_variation': 0.11, 'floor': 0.16}]
    add(results, shares)
    assert is_done(results, Case('knife', STARTS, 0, 'plan'), FULL)
    page = with_tables(PAGE, results)
    for part in ('| `flow` | 400 demonstrations, the timing of the contract | 0.080 | 0.100 | '
                 '0.200 | 0.300 |', f'Mean over {ASTRAY_EPISODES} ',
                 '| `knife` | `plan` | 8 of 10 | 0.050 (0.080) | 0.11 (0.16), ', PICTURE):
        assert part in page
    for part in ('flow: 97', 'flow: 40', 'flow: 0.3', 'by history'):
        assert part in drawing(results)


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
