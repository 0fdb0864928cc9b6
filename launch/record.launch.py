# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record demonstrations, from a robot or (simulate:=true) from the scripted teacher.

Takes are made from another terminal, by keys (s start, e stop, d discard, u undo, digits label):

    ros2 run uncloning_ros keyboard --ros-args -p contract_path:=FILE

with the recorder's contract, or by services: /recorder/start_episode, the demonstration
(/demonstrator/start when simulated), /recorder/stop_episode or /recorder/discard_episode, then
/recorder/label_<mode>, or /recorder/undo_last to put the take aside; /recorder/plan_<mode> before
a take names the mode that is asked for. /simulator/reset sets up the next simulated person. Takes
that a crash left unfinished are finished by: uncloning recover FOLDER
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from uncloning_ros.nodes.launching import argument, node

RECORDER = ('out', 'session', 'operator', 'record_all', 'exclude', 'contract_path')


def generate_launch_description() -> LaunchDescription:
    """Start the recorder, and on request a simulator with a demonstrator."""
    simulate = IfCondition(LaunchConfiguration('simulate'))
    return LaunchDescription([
        *(argument('recorder', name) for name in RECORDER),
        argument('recorder', 'planned_mode', 'mode',
                 description="mode that is demonstrated; '' if none is asked for"),
        argument('recorder', 'use_sim_time',
                 description='take the time from /clock, which the simulator then publishes'),
        DeclareLaunchArgument('simulate', default_value='false',
                              description='start a simulator and a scripted demonstrator'),
        argument('simulator', 'scenario'),
        argument('simulator', 'seed', description='seed of the simulation'),
        node('recorder', *RECORDER, 'use_sim_time', renamed={'planned_mode': 'mode'},
             on_exit=Shutdown()),
        node('simulator', 'scenario', 'seed', 'contract_path',
             renamed={'publish_clock': 'use_sim_time'}, condition=simulate),
        node('demonstrator', 'scenario', 'seed', 'mode', 'contract_path', 'use_sim_time',
             fixed={'autostart': False}, condition=simulate),
    ])
