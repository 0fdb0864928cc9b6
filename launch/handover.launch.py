# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a policy on a robot. Motion waits for `ros2 service call /policy/start` unless told else."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    """Start the policy node, configured and active; its topics come from the contract."""
    return LaunchDescription([
        DeclareLaunchArgument('model_path', description='the exported policy, a .onnx file'),
        DeclareLaunchArgument('expected_sha256',
                              description='sha256 of the model file that was audited; another '
                                          "file is refused, '' accepts any"),
        DeclareLaunchArgument('contract_path', default_value='',
                              description="contract with this robot's topics, ages and limits; "
                                          "'' is the model's own"),
        DeclareLaunchArgument('evidence_path', default_value='',
                              description='evidence file of the audit; a model that it does not '
                                          "vouch for is refused, '' requires none"),
        DeclareLaunchArgument('seed', default_value='0',
                              description="seed of the policy's noise"),
        DeclareLaunchArgument('autostart', default_value='false',
                              description='begin motion without /policy/start'),
        DeclareLaunchArgument('shadow', default_value='false',
                              description='command nothing; publish to /policy/shadow_command '
                                          'beside a demonstrator or a bag that plays'),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='follow /clock, as a bag publishes it'),
        DeclareLaunchArgument('realtime_priority', default_value='0',
                              description='SCHED_FIFO priority of the control thread, 1 to 99; 0 '
                                          'is none'),
        DeclareLaunchArgument('incident_dir', default_value='~/.ros/uncloning_incidents',
                              description='where incidents are written to'),
        Node(
            package='uncloning_ros', executable='policy', name='policy', output='screen',
            parameters=[{
                'model_path': ParameterValue(LaunchConfiguration('model_path'), value_type=str),
                'expected_sha256': ParameterValue(LaunchConfiguration('expected_sha256'),
                                                  value_type=str),
                'contract_path': ParameterValue(LaunchConfiguration('contract_path'),
                                                value_type=str),
                'evidence_path': ParameterValue(LaunchConfiguration('evidence_path'),
                                                value_type=str),
                'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
                'auto_activate': True,
                'autostart': ParameterValue(LaunchConfiguration('autostart'), value_type=bool),
                'shadow': ParameterValue(LaunchConfiguration('shadow'), value_type=bool),
                'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'),
                                               value_type=bool),
                'realtime_priority': ParameterValue(LaunchConfiguration('realtime_priority'),
                                                    value_type=int),
                'incident_dir': ParameterValue(LaunchConfiguration('incident_dir'),
                                               value_type=str),
            }],
            on_exit=Shutdown()),
    ])
