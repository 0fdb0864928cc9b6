# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A policy in the shadow of the demonstrator who has the arm."""

from pathlib import Path

import pytest
from checks import Observer, in_the_shadow_the_demonstrator_has_the_arm
from processes import Processes

pytestmark = pytest.mark.slow


def test_a_policy_in_the_shadow_commands_nothing_and_tells_its_distance_to_the_demonstrator(
        processes: Processes, observer: Observer, wandering: Path) -> None:
    processes.start('simulator', seed=3)
    policy = processes.start('policy', model_path=wandering, auto_activate='true',
                             autostart='true', shadow='true')
    processes.start('demonstrator', mode='handle_first', seed=3)
    in_the_shadow_the_demonstrator_has_the_arm(observer)
    before = len(observer.commands)
    assert policy.end() == 0
    observer.let_commands_pass(5)  # the demonstrator goes on
    assert len(observer.commands) > before
