# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record demonstrations, from a robot or (simulate:=true) from the scripted teacher.

Takes are made from another terminal, by keys (s start, e stop, d discard, u undo, digits label):

    ros2 run uncloning_ros keyboard --ros-args -p contract_path:=FILE

with the recorder's contract, or by services: /recorder/start_episode, the demonstration
(/demonstrator/start when simulated), /recorder/stop_episode or /recorder/discard_episode, then
/recorder/label_<mode>, or /recorder/undo_last to put the take aside; /recorder/plan_<mode> before
a take tells what was asked for. /simulator/reset sets up the next simulated person. What a crash
left unfinished is finished by: uncloning recover FOLDER
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """Start the recorder, and on request a simulator with a demonstrator."""
    simulate = IfCondition(LaunchConfiguration('simulate'))
    scenario = ParameterValue(LaunchConfiguration('scenario'), value_type=str)
    seed = ParameterValue(LaunchConfiguration('seed'), value_type=int)
    contract_path = ParameterValue(LaunchConfiguration('contract_path'), value_type=str)
    use_sim_time = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    return LaunchDescription([
        DeclareLaunchArgument('out', default_value='demos', description='folder of the episodes'),
        DeclareLaunchArgument('session', default_value='',
                              description="name of this session; '' is the time it begins"),
        DeclareLaunchArgument('operator', default_value='unknown',
                              description='who demonstrates'),
        DeclareLaunchArgument('mode', default_value='',
                              description="mode that is demonstrated; '' if nobody asked for one"),
        DeclareLaunchArgument('record_all', default_value='false',
                              description='record every other topic of the graph as well'),
        DeclareLaunchArgument('exclude', default_value='',
                              description='topics that record_all leaves out: names with commas '
                                          'between, * stands for anything'),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='take the time from /clock, which the simulator '
                                          'then publishes'),
        DeclareLaunchArgument('contract_path', default_value='',
                              description="contract with this robot's topics; '' is the shipped "
                                          'one'),
        DeclareLaunchArgument('simulate', default_value='false',
                              description='start a simulator and a scripted demonstrator'),
        DeclareLaunchArgument('scenario', default_value='knife',
                              description='simulated scenario: a name, or path of a .yaml file'),
        DeclareLaunchArgument('seed', default_value='0', description='seed of the simulation'),
        Node(
            package='uncloning_ros', executable='recorder', name='recorder', output='screen',
            parameters=[{
                'out': ParameterValue(LaunchConfiguration('out'), value_type=str),
                'session': ParameterValue(LaunchConfiguration('session'), value_type=str),
                'operator': ParameterValue(LaunchConfiguration('operator'), value_type=str),
                'planned_mode': ParameterValue(LaunchConfiguration('mode'), value_type=str),
                'record_all': ParameterValue(LaunchConfiguration('record_all'), value_type=bool),
                'exclude': ParameterValue(LaunchConfiguration('exclude'), value_type=str),
                'contract_path': contract_path,
                'use_sim_time': use_sim_time,
            }],
            on_exit=Shutdown()),
        Node(
            package='uncloning_ros', executable='simulator', name='simulator', output='screen',
            parameters=[{'scenario': scenario, 'seed': seed, 'contract_path': contract_path,
                         'publish_clock': use_sim_time}],
            condition=simulate),
        Node(
            package='uncloning_ros', executable='demonstrator', name='demonstrator',
            output='screen',
            parameters=[{
                'scenario': scenario,
                'seed': seed,
                'mode': ParameterValue(LaunchConfiguration('mode'), value_type=str),
                'contract_path': contract_path,
                'autostart': False,
                'use_sim_time': use_sim_time,
            }],
            condition=simulate),
    ])
