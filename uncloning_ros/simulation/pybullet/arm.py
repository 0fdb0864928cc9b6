# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An arm in PyBullet: its motors and measurements; and the side of a second arm of a world."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from uncloning_ros.contract import OBJECT_KEY, TOOL_KEY, Interface, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    position_of,
    rotation_about_z,
    rotation_of,
)
from uncloning_ros.scenario import ReceiverArm, Tracking
from uncloning_ros.simulation import panda
from uncloning_ros.simulation.capabilities import PARTNER_WIDTH_KEY
from uncloning_ros.simulation.pybullet.bodies import FINGER_LINKS, HAND_LINK, TCP_LINK
from uncloning_ros.simulation.pybullet.client import BulletClient, pybullet
from uncloning_ros.simulation.sensors import SENSOR_EVERY, Sensors

_ARM_FORCE_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
_GRIP_FORCE_N = 20.0  # of each finger
_FINGER_SPEED_M_S = 0.2  # of the width
_WRENCH_SMOOTHING = 0.15  # share of a new reading in the filtered force: about 25 ms


class BulletArm:
    """One arm of a physics client, commanded by the actions of an interface.

    `read` fills the attributes: `tcp` (9,) and `wrench` (3,) in the world's frame, `width_m`, and
    whether both fingers `touch` the tool.
    """

    tcp: Array
    width_m: float
    touch: bool

    def __init__(self, client: BulletClient, body: int, tool: int, interface: Interface) -> None:
        self._client, self.body, self._tool, self._interface = client, body, tool, interface

    def reset(self, joints: Array) -> None:
        """Place the arm at joints (7,) with open fingers."""
        in_joints = any(s.kind == 'joint_positions' for s in self._interface.actions)
        self._controller: panda.CartesianController | panda.JointController = (
            panda.JointController(joints) if in_joints else panda.CartesianController(joints))
        for i, q in enumerate((*joints, 0.0, 0.0, panda.FINGER_TRAVEL_M, panda.FINGER_TRAVEL_M)):
            self._client.resetJointState(self.body, i, q)
        self.width_m = self._width_target_m = 2 * panda.FINGER_TRAVEL_M
        self.wrench = self._tare_n = np.zeros(3)

    def command(self, action: Array) -> None:
        """Take one flat action (action_dim,): target pose of the tool or joints, and width."""
        slices = self._interface.action_slices
        for signal in self._interface.actions:
            values = action[slices[signal.key]]
            if signal.kind == 'pose':
                self._controller.command(values)
            elif signal.kind == 'joint_positions':
                self._controller.command(panda.in_arm_order(signal.names, values))
            elif signal.kind == 'gripper_width':
                self._width_target_m = float(np.clip(values[0], 0.0, 2 * panda.FINGER_TRAVEL_M))

    def control(self, dt_s: float) -> None:
        """Advance the controller by `dt_s` and command the motors."""
        self._controller.step(dt_s)
        self.drive()

    def drive(self) -> None:
        """Command the motors as the controller stands."""
        self._client.setJointMotorControlArray(
            self.body, range(7), pybullet.POSITION_CONTROL,
            targetPositions=self._controller.joints.tolist(), forces=_ARM_FORCE_NM)
        for link in FINGER_LINKS:
            self._client.setJointMotorControl2(
                self.body, link, pybullet.POSITION_CONTROL, self._width_target_m / 2,
                force=_GRIP_FORCE_N, maxVelocity=_FINGER_SPEED_M_S / 2)

    def read(self) -> None:
        """Read the state after a physics step."""
        client = self._client
        link = client.getLinkState(self.body, TCP_LINK, computeForwardKinematics=True)
        self.tcp, tcp_rotation = pose_and_rotation(link[4], link[5])
        fingers = client.getJointStates(self.body, FINGER_LINKS)
        self.width_m = fingers[0][0] + fingers[1][0]
        self.touch = all(client.getContactPoints(self.body, self._tool, link)
                         for link in FINGER_LINKS)
        # The force that the flange carries; the hand's frame is turned as the tool centre point's.
        raw = tcp_rotation @ client.getJointState(self.body, HAND_LINK)[2][:3]
        self.wrench = self.wrench + _WRENCH_SMOOTHING * (raw - self.wrench)

    def zero(self) -> None:
        """Zero the force sensor with the empty hand, as on a robot."""
        self._tare_n = self.wrench

    @property
    def force_n(self) -> Array:
        """Return the force (3,) at the wrist since it was zeroed, in the world's frame."""
        return self.wrench - self._tare_n

    @property
    def joints(self) -> tuple[float, ...]:
        """Return the positions (9,) of the arm's joints and fingers."""
        return tuple(state[0] for state in self._client.getJointStates(
            self.body, (*range(7), *FINGER_LINKS)))

    def measured_joints(self, signals: Mapping[str, Signal]) -> dict[str, Array]:
        """Return the joints that are observed, by key, in the order of their signal's names."""
        signal = signals.get('joint_positions')
        if signal is None:
            return {}
        states = self._client.getJointStates(self.body, panda.joint_order(signal.names))
        return {signal.key: np.array([state[0] for state in states])}


class BulletSide:
    """The second arm of a world as its policy has it: samples in its own base frame, commands.

    `moment` returns the time in ns, the tool's pose (9,) in the world's frame and the width of
    the other arm's gripper in m. Implements `Side`.
    """

    def __init__(self, arm: BulletArm, place: ReceiverArm, interface: Interface,
                 tracking: Tracking, moment: Callable[[], tuple[int, Array, float]]) -> None:
        self.arm, self._place, self._tracking, self._moment = arm, place, tracking, moment
        self._signals = {signal.key: signal for signal in interface.vectors}
        self._turn, self._base_m = rotation_about_z(place.base_yaw_rad), np.array(place.base_m)

    def begin(self, jitter_m: Array, rng: np.random.Generator) -> None:
        """Place the arm at its rest, off by `jitter_m` (3,); noise of the sensors is of `rng`."""
        _, rotation, _ = panda.forward(panda.READY_RAD)
        self.arm.reset(panda.solve(pose_from_parts(self._place.rest_m + jitter_m, rotation)))
        self._sensors = Sensors(self._tracking, self._signals, rng)

    def measure(self) -> None:
        """Take the measurements that are due."""
        self._sensors.measure(self._moment()[0], self._truth())

    def command(self, action: Array) -> None:
        """Take one flat action (action_dim,) of the arm's own interface."""
        self.arm.command(action)

    def poll(self) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) delivered since the last call, oldest first."""
        return self._sensors.poll(self._moment()[0])

    def glance(self, rng: np.random.Generator,
               due: Callable[[int], bool] = lambda every: True) -> list[tuple[str, Sample]]:
        """Return the samples of an arm at rest that are due, with noise of `rng`."""
        return (self._sensors.glance(self._moment()[0], self._truth(), rng)
                if due(SENSOR_EVERY) else [])

    def _truth(self) -> dict[str, Array]:
        _, tool, partner_width_m = self._moment()
        truth = {TOOL_KEY: self._own(self.arm.tcp), 'gripper_width': np.array([self.arm.width_m]),
                 OBJECT_KEY: self._own(tool), 'wrist_force': self._turn.T @ self.arm.force_n,
                 PARTNER_WIDTH_KEY: np.array([partner_width_m])}
        return truth | self.arm.measured_joints(self._signals)

    def _own(self, pose: Array) -> Array:
        """Return a pose (9,) of the world's frame in the arm's own base frame."""
        return pose_from_parts(self._turn.T @ (position_of(pose) - self._base_m),
                               self._turn.T @ rotation_of(pose))


def pose_and_rotation(position: Sequence[float],
                      quaternion: Sequence[float]) -> tuple[Array, Array]:
    """Return a pose (9,) and its rotation matrix (3, 3) of PyBullet's position and quaternion."""
    rows = pybullet.getMatrixFromQuaternion(quaternion)
    return np.array((*position, *rows[::3], *rows[1::3])), np.array(rows).reshape(3, 3)
