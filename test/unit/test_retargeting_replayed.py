# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retargeted demonstrations hand over in the simulator when they are commanded at their places."""

from collections.abc import Iterator

import pytest
from blind_replay import demonstrated, replayed
from inputs import CONTRACT

from uncloning_ros.demos.dataset.retargeting import retarget_episode
from uncloning_ros.scenario import find_scenario
from uncloning_ros.simulation.world import World, open_world


@pytest.fixture(scope='module')
def world() -> Iterator[World]:
    world = open_world(find_scenario('knife'), CONTRACT.interface)
    yield world
    world.close()


@pytest.mark.parametrize(('seed', 'other'), [(5000, 5001), (5001, 5002), (5002, 5000)])
def test_a_retargeted_demonstration_hands_over_where_the_other_was(
        world: World, seed: int, other: int) -> None:
    here = demonstrated(world, CONTRACT, 'handle_first', seed)
    there = demonstrated(world, CONTRACT, 'handle_first', other)
    assert here.handover is not None and there.handover is not None
    _, moved = retarget_episode(CONTRACT.interface, here.observations, here.actions,
                                here.handover, there.handover)
    assert replayed(world, CONTRACT, other, here.actions, here.first_step) is None
    assert replayed(world, CONTRACT, other, moved, there.first_step) == 'handle_first'
