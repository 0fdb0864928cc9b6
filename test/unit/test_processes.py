# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work shared over processes ends in good order, whatever happens to them."""

import os

import pytest

from uncloning_ros.errors import DatasetError
from uncloning_ros.processes import submit, worker_pool


def test_results_come_in_the_order_of_the_items() -> None:
    with worker_pool(2, 'the test', DatasetError) as pool:
        assert [future.result() for future in submit(pool, abs, range(-3, 3))] == [
            3, 2, 1, 0, 1, 2]


def test_a_process_that_is_lost_gets_a_sentence_and_no_endless_wait() -> None:
    def lose() -> None:
        with worker_pool(1, 'the test', DatasetError) as pool:
            for future in submit(pool, os._exit, [9, 9]):
                future.result()

    with pytest.raises(DatasetError, match='a process of the test was ended from outside'):
        lose()
