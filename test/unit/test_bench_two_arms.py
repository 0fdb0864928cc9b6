# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the benchmark of two arms judges its aims, and is the one that the bench writes."""

from typing import Any

import pytest
import two_arms as bench

MODES = ('handle_low', 'handle_high', 'blade_low', 'blade_high', 'between_modes')


def audit(episodes: int, completed: int, unsafe: int, upper: float) -> dict[str, Any]:
    return {'episodes': episodes, 'tcr': completed / episodes, 'tcr_interval95': [0.9, 1.0],
            'sr': completed / episodes, 'unsafe_episodes': unsafe, 'umr': unsafe / episodes,
            'umr_upper95': upper, 'unsafe_clauses': {'contact': unsafe, 'arms': 0},
            'failures': {'dropped': episodes - completed, 'timeout': 0},
            'modes': dict.fromkeys(MODES, 0) | {'handle_low': completed}}


RUN = {'steps': 15000, 'demonstrations': 400, 'method': 'flow', 'removed': [], 'cpu_s': 81.4}


@pytest.mark.parametrize(('cloned', 'uncloned', 'verdicts'), [
    (audit(300, 285, 9, 0.05), audit(1049, 1040, 0, 0.0029), ['met', 'met']),
    (audit(300, 284, 9, 0.05), audit(1049, 1040, 1, 0.0045), ['missed', 'missed']),
    (None, audit(100, 100, 0, 0.03), ['not measured', 'missed']),
])
def test_an_aim_is_judged_by_its_audit(cloned: Any, uncloned: Any, verdicts: list[str]) -> None:
    audits = {name: one for name, one in ((bench.CLONED, cloned), (bench.UNCLONED, uncloned))
              if one is not None}
    assert [row[-1] for row in bench.aims(audits)] == verdicts


def test_the_page_has_modes_events_and_times() -> None:
    page = bench.written({'audits': {bench.CLONED: audit(300, 285, 9, 0.05)},
                          'runs': {'giver_cloned': RUN}})
    assert '| cloned | 300 | 95.0 % | 95.0 % | 3.0 % (5.0 %) | 9 contact | 15 dropped |' in page
    assert '| cloned | 285 | 0 | 0 | 0 | 0 |' in page
    assert '| uncloned | - | - | - | - | - |' in page
    assert '| giver, cloned | flow | - | 400 | 15000 | 81 |' in page


def test_the_stored_page_is_the_one_that_the_bench_writes() -> None:
    rows = tuple(f'| {name}' for name in (bench.CLONED, bench.UNCLONED, *bench.REMOVED, 'both '))
    text, stored = ([line for line in one.splitlines() if not line.startswith(rows)]
                    for one in (bench.written({'audits': {}, 'runs': {}}),
                                bench.PAGE.read_text('utf-8')))
    assert text == stored
