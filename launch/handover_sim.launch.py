# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand a tool over in simulation: the simulator and a policy, as on a robot's topics.

What a policy has to survive can be injected, as in faults:="['hand_pose:freeze@2.0']".
"""

from typing import List  # noqa: UP035 (launch knows no list[str])

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
    contract_path = ParameterValue(LaunchConfiguration('contract_path'), value_type=str)
    use_sim_time = ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
    return LaunchDescription([
        DeclareLaunchArgument('model_path', default_value=shipped,
                              description='the exported policy, a .onnx file'),
        DeclareLaunchArgument('scenario', default_value='knife',
                              description='name of a shipped scenario, or path of a .yaml file'),
        DeclareLaunchArgument('seed', default_value='0',
                              description='seed of start, person and sensors'),
        DeclareLaunchArgument('policy_seed', default_value='0',
                              description="seed of the policy's noise"),
        DeclareLaunchArgument('contract_path', default_value='',
                              description="contract of both nodes; '' is the shipped one for the "
                                          "simulator, the model's own for the policy"),
        DeclareLaunchArgument('real_time_factor', default_value='1.0',
                              description='simulated seconds per second; another one than 1 '
                                          'wants use_sim_time'),
        DeclareLaunchArgument('use_sim_time', default_value='false',
                              description='the simulator publishes /clock, the policy follows it'),
        DeclareLaunchArgument('faults', default_value="['']",
                              description='faults to inject, a list of '
                                          'key:kind[=value][@from_s[+for_s]]'),
        # A simulated hand-over concerns nobody else on the network.
        SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
        Node(
            package='uncloning_ros', executable='simulator', name='simulator', output='screen',
            parameters=[{
                'scenario': ParameterValue(LaunchConfiguration('scenario'), value_type=str),
                'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
                'contract_path': contract_path,
                'real_time_factor': ParameterValue(LaunchConfiguration('real_time_factor'),
                                                   value_type=float),
                'publish_clock': use_sim_time,
                'faults': ParameterValue(LaunchConfiguration('faults'),
                                         value_type=List[str]),  # noqa: UP006
            }],
            on_exit=Shutdown()),
        Node(
            package='uncloning_ros', executable='policy', name='policy', output='screen',
            parameters=[{
                'model_path': ParameterValue(LaunchConfiguration('model_path'), value_type=str),
                'contract_path': contract_path,
                'seed': ParameterValue(LaunchConfiguration('policy_seed'), value_type=int),
                'use_sim_time': use_sim_time,
                'auto_activate': True,
                'autostart': True,
            }],
            on_exit=Shutdown()),
    ])
