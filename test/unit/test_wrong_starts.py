# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes that are begun in an undesired mode, and what is said of how they went on."""

import dataclasses
from pathlib import Path

import pytest
from audit_models import SCENARIO, result, write_policy

from uncloning_ros.audit.figures.statistics import interval
from uncloning_ros.audit.figures.wrong_starts import wrong_starts
from uncloning_ros.audit.run.rollout import run_wrong_starts
from uncloning_ros.simulation.wrong_starts import WrongStart

DESIRED = ('handle_first',)


def begun(*committed, kind='wrong_part'):
    made = result(1, kind)
    return dataclasses.replace(made, outcome=dataclasses.replace(
        made.outcome, committed=tuple((mode,) for mode in committed)))


def test_how_episodes_went_on_is_counted_with_intervals() -> None:
    found = wrong_starts([begun('blade_first'), begun('blade_first', kind='not_reached'),
                     begun('blade_first', 'handle_first', kind='success')], DESIRED)
    assert (found.episodes, found.begun) == (3, 3)
    assert (found.continued, found.mended, found.otherwise) == (2, 1, 0)
    assert found.continued_interval95 == interval(2, 3)
    assert (found.unsafe_episodes, found.unsafe_interval95) == (1, interval(1, 3))


def test_where_the_teacher_failed_nothing_is_counted() -> None:
    found = wrong_starts([begun(), begun('handle_first')], DESIRED)
    assert (found.episodes, found.begun, found.unsafe_episodes) == (2, 0, 0)
    assert (found.continued_interval95, found.unsafe_interval95) == (None, None)


@pytest.mark.parametrize('mode', ['blade_first', 'handle_first'])
def test_the_teacher_lifts_the_tool_as_the_mode_does_and_the_policy_takes_over(
        tmp_path: Path, mode: str) -> None:
    # A policy that stays where it is: what it was left with remains.
    still = write_policy(tmp_path / 'still.onnx', noise_scale=0.0)
    starts = [WrongStart(21, mode)]
    (made,) = run_wrong_starts(still, SCENARIO, starts, 1)
    outcome = made.outcome
    assert outcome.lifted_s is not None
    assert outcome.committed[0] == (mode,)
    assert (made.ended, made.chunks > 0) == ('timeout', True)
    # Its half second began when the teacher was done.
    assert outcome.total_s > outcome.lifted_s + 0.5
    assert run_wrong_starts(still, SCENARIO, starts, 1) == [made]
