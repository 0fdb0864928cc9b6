# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Records and results of cases for tests of the comparison."""

from dataclasses import replace
from typing import Any

from comparison.plan import ALL, FULL, SCHEDULES, Case
from comparison.results import add, empty, identity

# One training seed, and few enough episodes that tests can write them down.
ONCE = replace(FULL, name='once', seeds=(0,), episodes_headline=300, episodes_others=100,
               episodes_scarce=100)
CASE = Case('knife', ALL, 0, 'uncloned')


def record(case: Case, outcomes: str, **more: Any) -> dict[str, Any]:
    return identity(case) | {
        'status': 'done', 'settings': {}, 'scenario_sha256': 'a', 'code_sha256': 'c',
        'model_sha256': 'm', 'first_seed': 300_000, 'outcomes': outcomes,
        'modes': {'handle_first': 1},
        'failures': {}, 'unsafe': {}, 'committed': 10, 'bridges': 1, 'steps': 450,
        'learning': {'wall_s': 10.0, 'cpu_s': 9.0}, 'same_graph': True} | more


def methods(case: Case, **outcomes: str) -> list[dict[str, Any]]:
    """Return records of several methods in place of the case's."""
    return [record(replace(case, method=method), found) for method, found in outcomes.items()]


def failed(case: Case) -> dict[str, Any]:
    return identity(case) | {'status': 'failed', 'settings': {}, 'sentence': 'no disk',
                             'scenario_sha256': 'a', 'code_sha256': 'c'}


def ratios(case: Case, spread: float = 0.0, edited: float = 1.0) -> dict[str, Any]:
    """Return a record of planning times."""
    return identity(case) | {
        'status': 'done', 'settings': {}, 'code_sha256': 'c', 'scenario_sha256': 'a',
        'ratios': [{'name': name, 'value': value, 'low': value - spread, 'high': value + spread}
                   for name, value in (('itself, the noise', 1.0), ('uncloned', edited))]}


def results_of(*records: dict[str, Any], schedule: Any = FULL) -> dict[str, Any]:
    SCHEDULES.setdefault(schedule.name, schedule)
    results = empty(schedule)
    for one in records:
        add(results, one)
    return results
