# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand a tool from arm to arm in simulation: one simulator, two policies in two namespaces.

    ros2 launch uncloning_ros two_arms_sim.launch.py giver:=giver.onnx receiver:=receiver.onnx

The policies are the nodes /giver/policy and /receiver/policy.
"""

from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable, Shutdown

from uncloning_ros.nodes.launching import argument, node

ROLES = {'giver': 'contract_path', 'receiver': 'partner_contract_path'}


def generate_launch_description() -> LaunchDescription:
    """Start the simulator and both policies; motion begins as soon as every input is fresh."""
    return LaunchDescription([
        *(argument('policy', 'model_path', role, default_value=None,
                   description=f'exported policy of the {role}, a .onnx file') for role in ROLES),
        argument('simulator', 'scenario', default_value='knife_two_arms'),
        argument('simulator', 'seed', description='seed of start and sensors'),
        # Another seed for each, or their noise would be equal.
        *(argument('policy', 'seed', f'{role}_seed', default_value=str(number))
          for number, role in enumerate(ROLES)),
        *(argument('simulator', path, description=f"contract of the {role}; '' is the shipped one "
                   f"for the simulator, the model's own for the policy")
          for role, path in ROLES.items()),
        argument('simulator', 'real_time_factor',
                 description='simulated seconds per second; other than 1 needs use_sim_time'),
        argument('policy', 'use_sim_time',
                 description='the simulator publishes /clock, the policies follow it'),
        # A simulated handover stays out of the network.
        SetEnvironmentVariable('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST'),
        node('simulator', 'scenario', 'seed', *ROLES.values(), 'real_time_factor',
             renamed={'publish_clock': 'use_sim_time'}, on_exit=Shutdown()),
        *(node('policy', 'use_sim_time', namespace=role,
               renamed={'model_path': role, 'contract_path': path, 'seed': f'{role}_seed'},
               fixed={'auto_activate': True, 'autostart': True}, on_exit=Shutdown())
          for role, path in ROLES.items()),
    ])
