# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arm's kinematics agree with the arm that the simulator loads, and respect its limits."""

import numpy as np
import pytest

from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.simulation.panda import (
    JOINT_MAX_RAD,
    JOINT_MIN_RAD,
    JOINT_NAMES,
    JOINT_SPEED_RAD_S,
    READY_RAD,
    CartesianController,
    JointController,
    forward,
    joint_order,
    solve,
)
from uncloning_ros.simulation.pybullet.client import DATA_PATH, connect

TCP_LINK = 11


def test_forward_kinematics_agree_with_the_loaded_arm() -> None:
    client = connect()
    arm = client.loadURDF(f'{DATA_PATH}/franka_panda/panda.urdf', useFixedBase=True)
    rng = np.random.default_rng(1)
    for _ in range(20):
        joints = rng.uniform(JOINT_MIN_RAD, JOINT_MAX_RAD)
        for i, q in enumerate(joints):
            client.resetJointState(arm, i, q)
        link = client.getLinkState(arm, TCP_LINK, computeForwardKinematics=True)
        position, rotation, _ = forward(joints)
        np.testing.assert_allclose(position, link[4], atol=1e-6)
        found = np.array(client.getMatrixFromQuaternion(link[5])).reshape(3, 3)
        np.testing.assert_allclose(rotation, found, atol=1e-6)
    client.disconnect()


def test_jacobian_is_the_derivative_of_the_position() -> None:
    joints = READY_RAD + 0.1
    _, _, jacobian = forward(joints)
    for i in range(7):
        ahead, behind = joints.copy(), joints.copy()
        ahead[i] += 1e-6
        behind[i] -= 1e-6
        slope = (forward(ahead)[0] - forward(behind)[0]) / 2e-6
        np.testing.assert_allclose(jacobian[:3, i], slope, atol=1e-6)


def test_solve_reaches_what_is_asked() -> None:
    down = np.diag([1.0, -1.0, -1.0])
    wanted = pose_from_parts((0.5, 0.2, 0.3), rotation_about_z(0.7) @ down)
    position, rotation, _ = forward(solve(wanted))
    np.testing.assert_allclose(pose_from_parts(position, rotation), wanted, atol=2e-3)


def test_solve_says_what_is_out_of_reach() -> None:
    with pytest.raises(ValueError, match=r'cannot reach \[2\.0, 0\.0, 0\.3\]'):
        solve(pose_from_parts((2.0, 0.0, 0.3), np.diag([1.0, -1.0, -1.0])))


FAR = pose_from_parts((-0.4, -0.9, 0.9), rotation_about_z(3.0))


def commanded(controller: CartesianController | JointController,
              target: np.ndarray) -> CartesianController | JointController:
    controller.command(target)
    return controller


@pytest.mark.parametrize(('controller', 'share'), [
    (commanded(CartesianController(READY_RAD), FAR), 1.0),
    (commanded(CartesianController(READY_RAD, speed_share=0.5), FAR), 0.5),
    (commanded(JointController(READY_RAD), np.full(7, 9.0)), 1.0),
    (commanded(JointController(READY_RAD), np.full(7, -9.0)), 1.0)])
def test_a_far_target_moves_no_joint_past_its_limit_or_speed(
        controller: CartesianController | JointController, share: float) -> None:
    before, dt_s, fastest = controller.joints, 0.01, 0.0
    for _ in range(500):
        after = controller.step(dt_s)
        speed = np.abs(after - before) / (dt_s * JOINT_SPEED_RAD_S)
        assert np.all(speed <= share + 1e-9)
        assert np.all((after > JOINT_MIN_RAD) & (after < JOINT_MAX_RAD))
        before, fastest = after, max(fastest, float(speed.max()))
    assert fastest == pytest.approx(share)


def test_commanded_joints_are_reached_and_held() -> None:
    wanted = READY_RAD + (0.3, -0.2, 0.1, 0.4, -0.3, 0.2, -0.5)
    controller = commanded(JointController(READY_RAD), wanted)
    for _ in range(240):
        controller.step(1 / 120)
    np.testing.assert_allclose(controller.joints, wanted, atol=1e-6)


def test_joints_are_ordered_by_name() -> None:
    names = list(reversed(JOINT_NAMES))
    joints = np.empty(7)
    joints[joint_order(names)] = np.arange(7)[::-1]
    assert joints.tolist() == list(range(7))
