# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work shared over processes ends in good order, whatever happens to them."""

import operator
import os
import subprocess
import sys
from functools import partial

import pytest

from uncloning_ros.errors import DatasetError
from uncloning_ros.processes import in_order, share


def test_results_come_in_the_order_of_the_items_and_each_is_told_once() -> None:
    told: list[int] = []
    shared = share(partial(partial, operator.add), 10, range(-3, 3), 2, 'the test', DatasetError,
                   told.append)
    assert shared == [7, 8, 9, 10, 11, 12]
    assert sorted(told) == shared
    assert list(in_order(abs, range(-3, 3), 2, 'the test', DatasetError)) == [3, 2, 1, 0, 1, 2]
    assert share(partial, abs, [], 2, 'the test', DatasetError) == []


def test_a_process_makes_its_task_once() -> None:
    # Each process has an iterator of its own, and one process takes it through every item.
    assert share(_counting, None, range(4), 1, 'the test', DatasetError) == [0, 1, 2, 3]


def _counting(_: None) -> object:
    counts = iter(range(9))
    return lambda item: next(counts)


def test_an_error_in_the_making_of_a_task_is_raised() -> None:
    with pytest.raises(DatasetError, match='no world'):
        share(_fail, 'no world', [1, 2], 1, 'the test', DatasetError)


def _fail(sentence: str) -> object:
    raise DatasetError(sentence)


def test_a_process_that_is_lost_gets_a_sentence_and_no_endless_wait() -> None:
    with pytest.raises(DatasetError, match='process of the test'):
        share(partial, os._exit, [9, 9], 1, 'the test', DatasetError)


PARENT = """
from functools import partial
from uncloning_ros.errors import DatasetError
from uncloning_ros.processes import share
share(partial, exec, ["import signal; print('begun', flush=True); signal.pause()"], 1, 'the test',
      DatasetError)
"""


def test_a_parent_that_is_killed_leaves_no_process_behind() -> None:
    with subprocess.Popen([sys.executable, '-c', PARENT], stdout=subprocess.PIPE,
                          text=True) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == 'begun\n'
        parent.kill()
        # The pipe ends with the last process that holds it.
        assert parent.communicate(timeout=60) == ('', None)
