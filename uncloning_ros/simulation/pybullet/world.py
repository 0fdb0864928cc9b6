# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arm, tool and person in PyBullet: 240 Hz, a grasp held by finger friction alone.

The world is deterministic: the same scenario, seed and commands give the same episode.
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from uncloning_ros.contract import Interface
from uncloning_ros.conversions import Sample
from uncloning_ros.geometry import (
    Array,
    cross,
    pose_from_parts,
    quaternion_from_rotation,
    rotation_about_z,
    segment_distance,
)
from uncloning_ros.judging.trace import NOBODY, Trace
from uncloning_ros.scenario import Scenario, ToolPart
from uncloning_ros.simulation.interface import require_simulable
from uncloning_ros.simulation.panda import (
    FINGER_TRAVEL_M,
    JOINT_NAMES,
    READY_RAD,
    CartesianController,
    JointController,
    forward,
    joint_order,
    solve,
)
from uncloning_ros.simulation.pybullet.client import DATA_PATH, BulletClient, connect, pybullet
from uncloning_ros.simulation.receivers.person import CAPSULE_RADIUS_M, Phase, Receiver, ToolState
from uncloning_ros.simulation.tracking import Sensors

PHYSICS_HZ = 240
SENSOR_EVERY = 6  # physics steps: 40 Hz
_CONTROL_EVERY = 2  # physics steps: the arm's controller runs at 120 Hz

_ARM_FORCE_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)
_HAND_LINK, _FINGER_LINKS, _TCP_LINK = 8, (9, 10), 11
# Edge lengths and centre, in the finger's frame, of the tip as Franka's own description has it.
_FINGER_TIP_M, _FINGER_TIP_CENTRE_M = (0.0175, 0.0152, 0.0185), (0.0, 0.0076, 0.04525)
_GRIP_FORCE_N = 20.0  # of each finger
_FINGER_SPEED_M_S = 0.2  # of the width
_FINGER_FRICTION = 1.0
# Torsional friction of a soft finger pad, as a radius in m.
_PAD_SPINNING_M = 0.005
_WRENCH_SMOOTHING = 0.15  # share of a new reading; about 25 ms
# The person's hold: a critically damped spring for each mass and inertia of the tool.
_HOLD_RAD_S = 25.0
# The gripper as a sphere, so far above the tool centre point.
_GRIPPER_CENTRE_M, _GRIPPER_RADIUS_M = 0.09, 0.05
_STAND_SIZE_M = (0.10, 0.05)
_SETTLE_STEPS = 60  # the tool comes to rest and the force sensor's filter settles
_TABLE_RGBA, _STAND_RGBA = (0.80, 0.76, 0.70, 1.0), (0.45, 0.48, 0.50, 1.0)
_LOST_S = 0.5  # a tool that lies on the table for so long is dropped
_GRAVITY_M_S2 = 9.81


@dataclass
class _Log:
    """Rows of the trace, one per physics step."""

    tool: list[Array]
    object: list[Array]
    hand: list[Array]
    width: list[float]
    fingers: list[bool]
    held: list[int]
    pull: list[float]


class World:
    """One scenario's arm, tool and person. Not thread safe; one physics client of its own.

    `finger_friction` replaces the fingers' friction coefficient (0 lets every tool fall).
    """

    def __init__(self, scenario: Scenario, interface: Interface,
                 finger_friction: float | None = None) -> None:
        self.scenario = scenario
        self.interface = interface
        self._signals = {signal.key: signal for signal in interface.observations}
        self._parts = tuple(scenario.tool.parts)
        require_simulable(interface)
        self._in_joints = any(s.kind == 'joint_positions' for s in interface.actions)
        self.client = connect()
        friction = _FINGER_FRICTION if finger_friction is None else finger_friction
        self._build(friction)
        self.reset(0)

    def close(self) -> None:
        """Free the physics client."""
        self.client.disconnect()

    def reset(self, seed: int) -> None:
        """Begin the episode of `seed`: draws start, person and sensor noise from it alone."""
        start_seed, person_seed, sensor_seed = np.random.SeedSequence(seed).spawn(3)
        rng = np.random.default_rng(start_seed)
        ranges = self.scenario.start
        xy = rng.uniform(ranges.object_position_min_m, ranges.object_position_max_m)
        yaw = rng.uniform(*ranges.object_yaw_rad)
        jitter = rng.uniform(-1.0, 1.0, size=3) * ranges.arm_position_jitter_m
        self.receiver = Receiver(self.scenario, np.random.default_rng(person_seed))
        self._sensors = Sensors(self.scenario.tracking, self._signals,
                                np.random.default_rng(sensor_seed))

        position, rotation, _ = forward(READY_RAD)
        joints = solve(pose_from_parts(position + jitter, rotation))
        self._controller: CartesianController | JointController = (
            JointController(joints) if self._in_joints else CartesianController(joints))
        for i, q in enumerate((*joints, 0.0, 0.0, FINGER_TRAVEL_M, FINGER_TRAVEL_M)):
            self.client.resetJointState(self._arm, i, q)
        self._width_m = self._width_target_m = 2 * FINGER_TRAVEL_M
        quaternion = quaternion_from_rotation(rotation_about_z(yaw))
        half = self._stand_half_m
        self.client.resetBasePositionAndOrientation(self._stand, (*xy, half), quaternion)
        self._rest_z_m = 2 * half + self._tool_half_height_m
        self.client.resetBasePositionAndOrientation(
            self._tool, (*xy, self._rest_z_m + 0.0005), quaternion)
        self.client.resetBaseVelocity(self._tool, (0, 0, 0), (0, 0, 0))
        self._step = 0
        self._wrench = np.zeros(3)
        self._lying_s = 0.0
        self._grip: tuple[Array, Array, Array] | None = None
        self._log = _Log([], [], [], [], [], [], [])
        self._command_motors()
        for _ in range(_SETTLE_STEPS):
            self.client.stepSimulation()
            self._read()
        # As on a robot, the sensor is zeroed with the empty hand.
        self._tare_n = self._wrench
        self._measure()

    @property
    def time_ns(self) -> int:
        """Return the simulated time since the reset."""
        return self._step * 10**9 // PHYSICS_HZ

    @property
    def completed(self) -> bool:
        """Tell whether the person has the tool and the robot let go of it."""
        return self.receiver.phase is Phase.WITHDRAWING

    @property
    def dropped(self) -> bool:
        """Tell whether the tool lies where nobody holds it."""
        return self._lying_s >= _LOST_S

    @property
    def over(self) -> bool:
        """Tell whether nothing more will happen: withdrawn with the tool, or dropped."""
        return self.dropped or self.receiver.withdrawal(self.time_ns * 1e-9) >= 1.0

    def command(self, action: Array) -> None:
        """Take one flat action (action_dim,): target pose of the tool or joints, and width."""
        slices = self.interface.action_slices
        for signal in self.interface.actions:
            values = action[slices[signal.key]]
            if signal.kind == 'pose':
                self._controller.command(values)
            elif signal.kind == 'joint_positions':
                joints = np.empty(len(JOINT_NAMES))
                joints[joint_order(signal.names)] = values
                self._controller.command(joints)
            elif signal.kind == 'gripper_width':
                self._width_target_m = float(np.clip(values[0], 0.0, 2 * FINGER_TRAVEL_M))

    def advance(self) -> None:
        """Advance by one physics step of 1 / PHYSICS_HZ s."""
        now_s = self.time_ns * 1e-9
        if self._step % _CONTROL_EVERY == 0:
            self._controller.step(_CONTROL_EVERY / PHYSICS_HZ)
            self._command_motors()
        self._pull(now_s)
        self.client.stepSimulation()
        self._step += 1
        self._read()
        self._record()
        now_s = self.time_ns * 1e-9
        self.receiver.update(now_s, 1 / PHYSICS_HZ, ToolState(
            self._part_distances(), math.hypot(*self._velocity),
            float(self._object[2]) - self._rest_z_m, self._in_fingers))
        if self.receiver.held_part is not None and self._grip is None:
            rotation = self._object_rotation
            held = rotation.T @ (self._palm[:3] - self._object[:3])
            self._grip = (held, rotation, self._palm.copy())
        resting = self._object[2] < self._rest_z_m - 0.5 * self._stand_half_m
        free = not self._in_fingers and self.receiver.held_part is None
        self._lying_s = self._lying_s + 1 / PHYSICS_HZ if resting and free else 0.0
        if self._step % SENSOR_EVERY == 0:
            self._measure()

    def poll(self) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) delivered since the last call, oldest first."""
        return self._sensors.poll(self.time_ns)

    def glance(self, rng: np.random.Generator) -> list[tuple[str, Sample]]:
        """Return what the sensors would deliver now if everything had been at rest for long.

        Noise is drawn from `rng` alone: looking changes nothing of the episode.
        """
        return self._sensors.glance(self.time_ns, self._truth(), rng)

    def capsules(self) -> dict[str, Array]:
        """Return the ends (2, 3) of each body part's capsule now."""
        return {part: ends[0] for part, ends in self.receiver.capsules(self._palm[None]).items()}

    def trace(self) -> Trace:
        """Return the truth of the episode so far."""
        log = self._log
        tool, hand = np.array(log.tool), np.array(log.hand)
        capsules = self.receiver.capsules(hand)
        return Trace(
            physics_hz=float(PHYSICS_HZ), part_names=self._parts, tool_pose=tool,
            object_pose=np.array(log.object), hand_pose=hand,
            gripper_width_m=np.array(log.width), finger_contact=np.array(log.fingers),
            arm_contact=_gripper_touches(tool, capsules),
            held_part=np.array(log.held, dtype=np.int8), pull_n=np.array(log.pull),
            capsule_ends=capsules, capsule_radius_m=dict(CAPSULE_RADIUS_M),
            object_rest_z_m=self._rest_z_m)

    def _build(self, finger_friction: float) -> None:
        client, tool = self.client, self.scenario.tool
        client.setTimeStep(1 / PHYSICS_HZ)
        client.setGravity(0, 0, -_GRAVITY_M_S2)
        client.setPhysicsEngineParameter(numSolverIterations=60, deterministicOverlappingPairs=1)
        if tool.contact_breaking_m is not None:
            client.setPhysicsEngineParameter(contactBreakingThreshold=tool.contact_breaking_m)
        table = client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=(1.0, 1.0, 0.05))
        self._table = client.createMultiBody(0, table, -1, (0.6, 0, -0.051))
        client.changeVisualShape(self._table, -1, rgbaColor=_TABLE_RGBA)
        self._arm = _load_panda(client)
        client.enableJointForceTorqueSensor(self._arm, _HAND_LINK, True)
        gear = client.createConstraint(self._arm, _FINGER_LINKS[0], self._arm, _FINGER_LINKS[1],
                                       pybullet.JOINT_GEAR, (1, 0, 0), (0, 0, 0), (0, 0, 0))
        client.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)
        spinning = _PAD_SPINNING_M if finger_friction > 0 else 0.0
        for link in _FINGER_LINKS:
            client.changeDynamics(self._arm, link, lateralFriction=finger_friction,
                                  spinningFriction=spinning, rollingFriction=0.0)
        self._stand_half_m = self.scenario.start.stand_height_m / 2
        stand = client.createCollisionShape(
            pybullet.GEOM_BOX,
            halfExtents=(_STAND_SIZE_M[0] / 2, _STAND_SIZE_M[1] / 2, self._stand_half_m))
        self._stand = client.createMultiBody(0, stand, -1, (0.4, 0, self._stand_half_m))
        client.changeVisualShape(self._stand, -1, rgbaColor=_STAND_RGBA)
        parts = list(tool.parts.values())
        halves = [[s / 2 for s in part.size_m] for part in parts]
        centres = [list(part.center_m) for part in parts]
        boxes = [pybullet.GEOM_BOX] * len(parts)
        shape = client.createCollisionShapeArray(
            shapeTypes=boxes, halfExtents=halves, collisionFramePositions=centres)
        look = client.createVisualShapeArray(
            shapeTypes=boxes, halfExtents=halves, visualFramePositions=centres,
            rgbaColors=[(*part.color, 1.0) for part in parts])
        self._tool = client.createMultiBody(tool.mass_kg, shape, look, (0.4, 0, 0.2))
        client.changeDynamics(self._tool, -1, lateralFriction=tool.friction,
                              spinningFriction=_PAD_SPINNING_M, rollingFriction=0.0,
                              linearDamping=0.0, angularDamping=0.02)
        self._inertia = np.array(client.getDynamicsInfo(self._tool, -1)[2])
        self._tool_half_height_m = -min(part.center_m[2] - part.size_m[2] / 2 for part in parts)

    def _command_motors(self) -> None:
        self.client.setJointMotorControlArray(
            self._arm, range(7), pybullet.POSITION_CONTROL,
            targetPositions=self._controller.joints.tolist(), forces=_ARM_FORCE_NM)
        for link in _FINGER_LINKS:
            self.client.setJointMotorControl2(
                self._arm, link, pybullet.POSITION_CONTROL, self._width_target_m / 2,
                force=_GRIP_FORCE_N, maxVelocity=_FINGER_SPEED_M_S / 2)

    def _pull(self, now_s: float) -> None:
        """Apply the person's force to the tool: a pull, then a hold that carries it away."""
        if self._grip is None:
            return
        held, rotation, palm = self._grip
        point = self._object[:3] + self._object_rotation @ held
        if self.receiver.phase is Phase.PULLING and self._in_fingers:
            force = -self.receiver.pull_n(now_s) * palm[3:6]
        else:
            goal = palm[:3] + self.receiver.withdrawal(now_s) * (
                self.receiver.rest_m - palm[:3])
            force = self.scenario.tool.mass_kg * (
                _HOLD_RAD_S ** 2 * (goal - point) - 2 * _HOLD_RAD_S * self._velocity
                + np.array([0.0, 0.0, _GRAVITY_M_S2]))
            turn = rotation @ self._object_rotation.T
            axis = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0],
                                   turn[1, 0] - turn[0, 1]])
            wanted = _HOLD_RAD_S ** 2 * axis - 2 * _HOLD_RAD_S * self._spin
            torque = self._object_rotation @ (
                self._inertia * (self._object_rotation.T @ wanted))
            self.client.applyExternalTorque(self._tool, -1, torque.tolist(),
                                            pybullet.WORLD_FRAME)
        self.client.applyExternalForce(self._tool, -1, force.tolist(), point.tolist(),
                                       pybullet.WORLD_FRAME)

    def _read(self) -> None:
        """Read the state after a physics step into plain arrays."""
        client = self.client
        link = client.getLinkState(self._arm, _TCP_LINK, computeForwardKinematics=True)
        self._tcp, self._tcp_rotation = _pose(link[4], link[5])
        self._object, self._object_rotation = _pose(
            *client.getBasePositionAndOrientation(self._tool))
        velocity, spin = client.getBaseVelocity(self._tool)
        self._velocity, self._spin = np.array(velocity), np.array(spin)
        fingers = client.getJointStates(self._arm, _FINGER_LINKS)
        self._width_m = fingers[0][0] + fingers[1][0]
        self._in_fingers = all(
            client.getContactPoints(self._arm, self._tool, link) for link in _FINGER_LINKS)
        if self._grip is None:
            self._palm = self.receiver.palm(self.time_ns * 1e-9)
        else:
            held, _, palm = self._grip
            point = self._object[:3] + self._object_rotation @ held
            self._palm = np.concatenate([point, palm[3:]])
        raw = self._raw_wrench()
        self._wrench = self._wrench + _WRENCH_SMOOTHING * (raw - self._wrench)

    def _raw_wrench(self) -> Array:
        """Return the force (3,) that the flange carries, in the base frame, in N."""
        reaction = self.client.getJointState(self._arm, _HAND_LINK)[2][:3]
        # The hand's frame is turned as the tool centre point's.
        return self._tcp_rotation @ reaction

    def _record(self) -> None:
        log, receiver = self._log, self.receiver
        log.tool.append(self._tcp)
        log.object.append(self._object)
        log.hand.append(self._palm)
        log.width.append(self._width_m)
        log.fingers.append(self._in_fingers)
        log.held.append(NOBODY if receiver.held_part is None
                        else self._parts.index(receiver.held_part))
        log.pull.append(receiver.pull_n(self.time_ns * 1e-9))

    def _part_distances(self) -> Mapping[str, float]:
        """Return the distances from the palm to the surfaces of the tool's parts, in m."""
        local = (self._object_rotation.T @ (self._palm[:3] - self._object[:3])).tolist()
        return {name: _box_distance(local, part)
                for name, part in self.scenario.tool.parts.items()}

    def _measure(self) -> None:
        self._sensors.measure(self.time_ns, self._truth())

    def _truth(self) -> dict[str, Array]:
        """Return what there is to measure now: flat values (dim,) by key."""
        truth = {
            'tool_pose': self._tcp,
            'gripper_width': np.array([self._width_m]),
            'object_pose': self._object,
            'hand_pose': self._palm,
            'wrist_force': self._wrench - self._tare_n,
        }
        joints = self._signals.get('joint_positions')
        if joints is not None:
            states = self.client.getJointStates(self._arm, joint_order(joints.names))
            truth[joints.key] = np.array([state[0] for state in states])
        return truth


def _load_panda(client: BulletClient) -> int:
    """Load the arm that comes with PyBullet, with boxes for finger tips.

    The finger meshes' convex hulls give contact normals that point through the finger now and
    then, and the gripper jams; boxes do not.
    """
    folder = Path(DATA_PATH) / 'franka_panda'
    root = ElementTree.parse(folder / 'panda.urdf').getroot()  # noqa: S314 (a shipped file)
    for mesh in root.iter('mesh'):
        mesh.set('filename', mesh.get('filename', '').replace('package:/', str(folder)))
    for name, side in (('panda_leftfinger', 1.0), ('panda_rightfinger', -1.0)):
        collision = root.find(f"link[@name='{name}']/collision")
        assert collision is not None
        collision.clear()
        x, y, z = _FINGER_TIP_CENTRE_M
        ElementTree.SubElement(collision, 'origin', rpy='0 0 0', xyz=f'{x} {side * y} {z}')
        geometry = ElementTree.SubElement(collision, 'geometry')
        ElementTree.SubElement(geometry, 'box', size=' '.join(map(str, _FINGER_TIP_M)))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / 'panda.urdf'
        ElementTree.ElementTree(root).write(path)
        return int(client.loadURDF(str(path), useFixedBase=True))


def _pose(position: Sequence[float], quaternion: Sequence[float]) -> tuple[Array, Array]:
    """Return a pose (9,) and its rotation matrix (3, 3) of PyBullet's position and quaternion."""
    rows = pybullet.getMatrixFromQuaternion(quaternion)
    return np.array((*position, *rows[::3], *rows[1::3])), np.array(rows).reshape(3, 3)


def _box_distance(point: Sequence[float], part: ToolPart) -> float:
    outside = [max(abs(p - c) - s / 2, 0.0)
               for p, c, s in zip(point, part.center_m, part.size_m, strict=True)]
    return math.hypot(*outside)


def _gripper_touches(tool_poses: Array, capsules: Mapping[str, Array]) -> NDArray[np.bool_]:
    """Tell at which steps (T,) the gripper is inside a body part; the gripper as one sphere."""
    centre = tool_poses[:, :3] - _GRIPPER_CENTRE_M * cross(tool_poses[:, 3:6],
                                                           tool_poses[:, 6:9])
    gaps = [segment_distance(centre, centre, ends[:, 0], ends[:, 1]) - CAPSULE_RADIUS_M[part]
            for part, ends in capsules.items()]
    return np.min(gaps, axis=0) < _GRIPPER_RADIUS_M
