# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the benchmark of a take-over is the one that the benchmark writes."""

import numpy as np
import silence as bench

MACHINE = {'processor': 'a processor', 'cores': 2, 'load_average': [0.5, 0.25, 0.1]}


def page(*after_ms: float) -> str:
    after_s = np.array(after_ms) / 1e3
    return bench.written(bench.Found(
        0.01, after_s, np.array([0, 1, 2, 3]), np.array([0.05, 0.0612]),
        np.array([0.001, 0.00234]), np.array([0.004])), MACHINE)


def test_the_rows_are_what_was_measured() -> None:
    found = page(0.0, 4.0, 6.0, 12.5)
    assert '| press to last command, ms | 4 | 5.00 | 12.30 | 12.50 |' in found
    assert '| press to last command, command periods | 4 | 0.50 | 1.23 | 1.25 |' in found
    assert '| none | 1 |\n| one | 1 |\n| more | 2 |' in found
    assert 'missed in the worst case, 75.0% of the presses are within it' in found
    assert '| key to hold, ms | 2 | 55.6 | 61.1 | 61.2 |' in found
    assert '| policy to person, mm | 2 | 1.67 | 2.33 | 2.34 |' in found
    assert 'a processor, 2 cores, load 0.5, 0.25, 0.1' in found
    assert 'met in the worst case, 100.0% of' in page(0.0, 4.0, 6.0, 10.0)


def test_the_page_is_the_one_that_the_bench_writes() -> None:
    measured = ('| press to', '| none', '| one', '| more', '| key to', '| policy to',
                '| person to', 'Target of', '- Times depend')
    text, stored = ([line for line in one.splitlines() if not line.startswith(measured)]
                    for one in (page(0.0, 1.0, 2.0, 3.0), bench.PAGE.read_text('utf-8')))
    assert text == stored
