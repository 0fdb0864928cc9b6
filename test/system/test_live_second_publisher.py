# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Another process that begins to publish commands while the policy moves the arm."""

from pathlib import Path

import checks
import pytest
from checks import Observer
from processes import Processes

from uncloning_ros.nodes.topics import COMMAND_QOS, message_class

pytestmark = pytest.mark.slow


def test_a_second_publisher_that_appears_in_motion_is_a_fault_that_names_it(
        processes: Processes, observer: Observer, wandering: Path) -> None:
    simulator = processes.start('simulator')
    policy = processes.start('policy', model_path=wandering, auto_activate='true',
                             autostart='true')
    checks.policy_moves_the_simulated_arm(observer)
    topic = observer.topics.actions['target_pose']
    second = observer.node.create_publisher(message_class(topic.type), topic.topic, COMMAND_QOS)
    observer.until_policy('fault')
    assert observer.status['reason'] == 'second_publisher'
    assert (f'{observer.node.get_fully_qualified_name()} publishes on /{topic.topic} as well'
            in observer.status['sentence'])
    checks.last_command_is_the_only_hold(observer)
    refused = observer.call('/policy/start')
    assert not refused.success
    assert 'publishes on' in refused.message
    observer.node.destroy_publisher(second)
    assert [process.end() for process in (policy, simulator)] == [0, 0]
