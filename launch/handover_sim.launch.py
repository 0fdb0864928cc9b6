# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand a tool over in simulation: the simulator and a policy, as on a robot's topics."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Start simulator and policy; motion begins as soon as every input is fresh."""
    shipped = PathJoinSubstitution(
        [FindPackageShare('uncloning_ros'), 'models', 'knife_uncloned.onnx'])
    return LaunchDescription([
        DeclareLaunchArgument('model_path', default_value=shipped,
                              description='the exported policy, a .onnx file'),
        DeclareLaunchArgument('scenario', default_value='knife',
                              description='name of a shipped scenario, or path of a .yaml file'),
        DeclareLaunchArgument('seed', default_value='0',
                              description='seed of start, person and sensors'),
        DeclareLaunchArgument('policy_seed', default_value='0',
                              description="seed of the policy's noise"),
        # A simulated hand-over concerns nobody else on the network.
        SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
        Node(
            package='uncloning_ros', executable='simulator', name='simulator', output='screen',
            parameters=[{
                'scenario': ParameterValue(LaunchConfiguration('scenario'), value_type=str),
                'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
            }],
            on_exit=Shutdown()),
        Node(
            package='uncloning_ros', executable='policy', name='policy', output='screen',
            parameters=[{
                'model_path': ParameterValue(LaunchConfiguration('model_path'), value_type=str),
                'seed': ParameterValue(LaunchConfiguration('policy_seed'), value_type=int),
                'auto_activate': True,
                'autostart': True,
            }],
            on_exit=Shutdown()),
    ])
