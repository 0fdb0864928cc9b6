# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the benchmark of corrections is the one that the benchmark writes."""

from argparse import Namespace
from types import SimpleNamespace
from typing import Any

import corrections as bench

REMOVED, DESIRED = 'blade_first', 'handle_first'


def judged(*outcomes: tuple[bool, str, bool, bool], distance: float = 0.0) -> dict[str, Any]:
    names = 'completed', 'mode', 'success', 'unsafe'
    return {'outcomes': [dict(zip(names, one, strict=True)) for one in outcomes],
            'distance': distance}


def test_the_page_is_the_one_that_the_bench_writes() -> None:
    good, bad = (True, DESIRED, True, False), (True, REMOVED, False, True)
    some: Any = SimpleNamespace(
        scenario=SimpleNamespace(name='knife'),
        args=Namespace(episodes=100, held=300, each=10, wrong=300, seed=560_000_000),
        run=SimpleNamespace(config=SimpleNamespace(contract=SimpleNamespace(
            interface=SimpleNamespace(desired_modes=(DESIRED,))))))
    row = {'way': bench.CORRECTIONS, 'given': 20, 'seconds': '47',
           'there': judged(good, good, good, bad, distance=3.456), 'before': judged(*4 * [good]),
           'wrong': judged(good, bad, bad, bad)}
    page = bench.written(some, [row], [row], REMOVED)
    assert '| corrections | 20 | 75.0 % | 3.46 | +0.0 [' in page
    assert '| corrections | 20 | 75.0 % | 25.0 % | 3 (at most ' in page
    rows = tuple(f'| {way} |' for way in ('-', bench.CORRECTIONS, bench.DEMONSTRATIONS,
                                          bench.TURNED))
    text, stored = ([line for line in one.splitlines() if not line.startswith(rows)]
                    for one in (page, bench.PAGE.read_text('utf-8')))
    assert text == stored
