# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contracts of arms name topics, types and frames as the drivers do.

Each row cites the file of the driver, at a commit, that says so.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from uncloning_ros.contract import Contract, load_contract
from uncloning_ros.share import share_path

ARMS = share_path('config') / 'arms'
CRISP = 'utiasDSL/crisp_controllers@8093548'
CRISP_DEMOS = 'utiasDSL/crisp_controllers_demos@db5a36b crisp_controllers_robot_demos'
FZI = 'fzi-forschungszentrum-informatik/cartesian_controllers@f53f798'
FRANKA = 'frankarobotics/franka_ros2@29cb85a'
UR = 'UniversalRobots/Universal_Robots_ROS2_Driver@a16a268 ur_robot_driver'
ROS2 = 'ros-controls/ros2_controllers@94e74de'
POSE, JOINTS, WRENCH, TRAJECTORY = (
    'geometry_msgs/msg/PoseStamped', 'sensor_msgs/msg/JointState',
    'geometry_msgs/msg/WrenchStamped', 'trajectory_msgs/msg/JointTrajectory')
FR3 = tuple(f'fr3_joint{number}' for number in range(1, 8))
UR_JOINTS = ('shoulder_pan_joint', 'shoulder_lift_joint', 'elbow_joint', 'wrist_1_joint',
             'wrist_2_joint', 'wrist_3_joint')
HAND = 'franka_gripper/joint_states'
STATE = 'franka_robot_state_broadcaster'


class Row(NamedTuple):
    """One topic of a contract as its driver has it."""

    arm: str
    key: str
    topic: str
    type: str
    source: str


ROWS = [
    Row('crisp_fr3', 'tool_pose', 'current_pose', POSE, f'{CRISP} src/pose_broadcaster.cpp:156'),
    Row('crisp_fr3', 'target_pose', 'target_pose', POSE,
        f'{CRISP} src/cartesian_controller.cpp:372'),
    Row('crisp_fr3', 'gripper_width', HAND, JOINTS,
        f'{FRANKA} franka_gripper/src/gripper_action_server.cpp:127'),
    Row('fzi_ur5e', 'tool_pose', 'cartesian_compliance_controller/current_pose', POSE,
        f'{FZI} cartesian_controller_base/src/cartesian_controller_base.cpp:243'),
    Row('fzi_ur5e', 'target_pose', 'cartesian_compliance_controller/target_frame', POSE,
        f'{FZI} cartesian_motion_controller/src/cartesian_motion_controller.cpp:75'),
    Row('franka_ros2_fr3', 'joint_positions', f'{STATE}/measured_joint_states', JOINTS,
        f'{FRANKA} {STATE}/include/{STATE}/{STATE}.hpp:96'),
    Row('franka_ros2_fr3', 'tool_pose', f'{STATE}/current_pose', POSE,
        f'{FRANKA} {STATE}/include/{STATE}/{STATE}.hpp:93'),
    Row('franka_ros2_fr3', 'wrist_force', f'{STATE}/external_wrench_in_base_frame', WRENCH,
        f'{FRANKA} {STATE}/include/{STATE}/{STATE}.hpp:98'),
    Row('franka_ros2_fr3', 'gripper_width', HAND, JOINTS,
        f'{FRANKA} franka_gripper/src/gripper_action_server.cpp:127'),
    Row('franka_ros2_fr3', 'target_joints', 'fr3_arm_controller/joint_trajectory', TRAJECTORY,
        f'{FRANKA} franka_fr3_moveit_config/config/fr3_ros_controllers.yaml:10 and '
        f'{ROS2} joint_trajectory_controller/src/joint_trajectory_controller.cpp:1027'),
    Row('ur5e', 'tool_pose', 'tcp_pose_broadcaster/pose', POSE,
        f'{UR}/config/ur_controllers.yaml:42 and '
        f'{ROS2} pose_broadcaster/src/pose_broadcaster.cpp:84'),
    Row('ur5e', 'target_joints', 'scaled_joint_trajectory_controller/joint_trajectory',
        TRAJECTORY, f'{UR}/config/ur_controllers.yaml:18'),
]
# arm -> base frame of its measured poses, and who says so
FRAMES = {
    'crisp_fr3': ('base', f'{CRISP_DEMOS}/config/fr3/controllers.yaml:64'),
    'fzi_ur5e': ('base_link', f'{FZI} cartesian_controller_base/src/'
                              f'cartesian_controller_base.cpp:480, robot_base_link'),
    # The root of the arm's description: its first link is connected to it without an offset.
    'franka_ros2_fr3': ('base', f'{FRANKA} franka_semantic_components/src/franka_robot_state.cpp:'
                                f'164 and frankarobotics/franka_description@566ba44 '
                                f'robots/fr3/fr3.urdf.xacro:94'),
    # Turned by half a turn against base_link.
    'ur5e': ('base', f'{UR}/config/ur_controllers.yaml:206'),
}
# arms with the Franka Hand, and its fingers: franka_gripper/launch/gripper.launch.py:32
HANDED = ('crisp_fr3', 'franka_ros2_fr3')
FINGERS = ('fr3_finger_joint1', 'fr3_finger_joint2')


def contract(arm: str) -> Contract:
    return load_contract(ARMS / f'{arm}.yaml')


@pytest.mark.parametrize('row', ROWS, ids=lambda row: f'{row.arm}-{row.key}')
def test_a_topic_is_that_of_the_driver(row: Row) -> None:
    deployment = contract(row.arm).deployment
    topic = (dict(deployment.observations) | dict(deployment.actions))[row.key]
    assert (topic.topic, topic.type) == (row.topic, row.type), row.source


@pytest.mark.parametrize('arm', FRAMES)
def test_the_base_frame_is_that_of_the_measured_poses(arm: str) -> None:
    frame, source = FRAMES[arm]
    interface = contract(arm).interface
    assert interface.base_frame == frame, source
    assert {one.unit for one in interface.observations if one.kind == 'pose'} == {'m'}


@pytest.mark.parametrize(('arm', 'joints'), [('franka_ros2_fr3', FR3), ('ur5e', UR_JOINTS)])
def test_joints_have_the_names_of_the_driver_and_each_a_limit(
        arm: str, joints: tuple[str, ...]) -> None:
    found = contract(arm)
    signals = (*found.interface.observations, *found.interface.actions)
    assert {one.names for one in signals if one.kind == 'joint_positions'} == {joints}
    assert set(found.deployment.limits.joint_limits_rad) == set(joints)


@pytest.mark.parametrize('arm', HANDED)
def test_the_fingers_are_those_of_the_franka_hand_and_may_be_slow(arm: str) -> None:
    found = contract(arm)
    width = next(one for one in found.interface.observations if one.kind == 'gripper_width')
    assert width.names == FINGERS
    # Published 15 times a second: franka_gripper/config/franka_gripper_node.yaml
    assert found.deployment.observations['gripper_width'].max_age_s > 2 / 15


def test_every_contract_of_an_arm_is_checked_and_on_the_page() -> None:
    page = (Path(__file__).parents[2] / 'docs' / 'arms.md').read_text(encoding='utf-8')
    arms = {path.stem for path in ARMS.glob('*.yaml')}
    assert arms == {row.arm for row in ROWS} == set(FRAMES)
    assert all(f'`arms/{arm}.yaml`' in page for arm in arms)
