# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand a tool over in simulation: the simulator and a policy, as on a robot's topics.

Faults of the sensors can be injected, as in faults:="['hand_pose:freeze@2.0']".
"""

from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable, Shutdown
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from uncloning_ros.nodes.launching import argument, node


def generate_launch_description() -> LaunchDescription:
    """Start simulator and policy; motion begins as soon as every input is fresh."""
    shipped = PathJoinSubstitution(
        [FindPackageShare('uncloning_ros'), 'models', 'knife_uncloned.onnx'])
    return LaunchDescription([
        argument('policy', 'model_path', default_value=shipped),
        argument('simulator', 'scenario'),
        argument('simulator', 'seed', description='seed of start, person and sensors'),
        argument('policy', 'seed', 'policy_seed'),
        argument('simulator', 'contract_path',
                 description="contract of both nodes; '' is the scenario's for the simulator, "
                             "the model's own for the policy"),
        argument('simulator', 'real_time_factor',
                 description='simulated seconds per second; other than 1 needs use_sim_time'),
        argument('policy', 'use_sim_time',
                 description='the simulator publishes /clock, the policy follows it'),
        argument('simulator', 'faults'),
        # A simulated handover stays out of the network.
        SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
        node('simulator', 'scenario', 'seed', 'contract_path', 'real_time_factor', 'faults',
             renamed={'publish_clock': 'use_sim_time'}, on_exit=Shutdown()),
        node('policy', 'model_path', 'contract_path', 'use_sim_time',
             renamed={'seed': 'policy_seed'}, fixed={'auto_activate': True, 'autostart': True},
             on_exit=Shutdown()),
    ])
