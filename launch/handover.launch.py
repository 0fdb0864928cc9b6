# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a policy on a robot. Motion waits for `ros2 service call /policy/start` unless autostart."""

from launch import LaunchDescription
from launch.actions import Shutdown

from uncloning_ros.nodes.launching import argument, node

REQUIRED = ('model_path', 'expected_sha256')
OPTIONAL = ('contract_path', 'evidence_path', 'evidence_kind', 'seed', 'autostart', 'shadow',
            'use_sim_time', 'realtime_priority', 'incident_dir')


def generate_launch_description() -> LaunchDescription:
    """Start the policy node, configured and active; its topics come from the contract."""
    return LaunchDescription([
        *(argument('policy', name, default_value=None) for name in REQUIRED),
        *(argument('policy', name) for name in OPTIONAL),
        node('policy', *REQUIRED, *OPTIONAL, fixed={'auto_activate': True}, on_exit=Shutdown()),
    ])
