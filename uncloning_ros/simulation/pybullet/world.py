# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The world in PyBullet, at 240 Hz: finger friction alone holds the grasp."""

import math
from collections.abc import Callable, Mapping, Sequence

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
from uncloning_ros.judging.trace import NO_PART, Trace
from uncloning_ros.pictures import Pixels
from uncloning_ros.scenario import PHYSICS_HZ, Scenario, ToolPart
from uncloning_ros.simulation import panda
from uncloning_ros.simulation.capabilities import PARTNER_WIDTH_KEY
from uncloning_ros.simulation.pybullet.arm import BulletArm, BulletSide, pose_and_rotation
from uncloning_ros.simulation.pybullet.bodies import (
    FINGER_LINKS,
    GRAVITY_M_S2,
    HAND_LINK,
    build,
    forget_contacts,
)
from uncloning_ros.simulation.pybullet.cameras import Cameras
from uncloning_ros.simulation.pybullet.client import connect, pybullet
from uncloning_ros.simulation.pybullet.render import Filmer
from uncloning_ros.simulation.pybullet.stage import Moment
from uncloning_ros.simulation.receivers.arm import palm_of
from uncloning_ros.simulation.receivers.receiver import HandState, ToolState
from uncloning_ros.simulation.sensors import SENSOR_EVERY, TEACHER_SIGNALS, Sensors
from uncloning_ros.simulation.world import Camera, MakeReceiver

_CONTROL_HZ = 120
_CONTROL_EVERY = PHYSICS_HZ // _CONTROL_HZ
_TEACHER_STREAM = 0x7E  # of the draws of a seed: noise of the poses that only a teacher sees
_SECOND_STREAM = 0x2A  # of the draws of a seed: start and noise of the second arm
_LINK_OF_SECOND = 4  # place of the second body's link in a contact of PyBullet

_HOLD_RAD_S = 25.0  # rate of the receiver's hold: a critically damped spring for any tool
# The gripper as one sphere: height (m) of its centre above the tool centre point, radius (m).
_GRIPPER_CENTRE_M, _GRIPPER_RADIUS_M = 0.09, 0.05
_SETTLE_STEPS = 60  # steps before an episode: the tool and the force's filter come to rest


class BulletWorld:
    """One scenario's world with a physics client of its own; implements `World`."""

    physics_hz = PHYSICS_HZ

    def __init__(self, scenario: Scenario, interface: Interface,
                 make_receiver: MakeReceiver, whole_pictures: bool,
                 receiving: Interface | None) -> None:
        self.scenario = scenario
        self._interface = interface
        self._make_receiver = make_receiver
        self._signals = {signal.key: signal for signal in interface.vectors}
        self._unobserved = {signal.key: signal for signal in TEACHER_SIGNALS
                            if signal.key not in self._signals}
        self._parts = tuple(scenario.tool.parts)
        self._client = connect()
        self._bodies = bodies = build(self._client, scenario, PHYSICS_HZ)
        self._arm = BulletArm(self._client, bodies.arm, bodies.tool, interface)
        self._arms = [self._arm]
        self._second: BulletSide | None = None
        if scenario.receiver_arm is not None and bodies.second_arm is not None:
            assert receiving is not None
            second = BulletArm(self._client, bodies.second_arm, bodies.tool, receiving)
            self._arms.append(second)
            self._second = BulletSide(second, scenario.receiver_arm, receiving, scenario.tracking,
                                      lambda: (self.time_ns, self._object, self._arm.width_m))
        self._cameras = Cameras(scenario, interface.cameras, whole_pictures)
        self._filmer: Filmer | None = None
        self.reset(0)

    def close(self) -> None:
        """Free the physics client, and those of the pictures."""
        self._client.disconnect()
        self._cameras.close()
        if self._filmer is not None:
            self._filmer.close()

    def reset(self, seed: int) -> None:
        """Begin the episode of `seed`: start, receiver and sensor noise follow from it alone."""
        client, bodies, ranges = self._client, self._bodies, self.scenario.start
        forget_contacts(client, self.scenario)
        start_rng, receiver_rng, sensor_rng = map(
            np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
        xy = start_rng.uniform(ranges.object_position_min_m, ranges.object_position_max_m)
        yaw = start_rng.uniform(*ranges.object_yaw_rad)
        jitter = start_rng.uniform(-1.0, 1.0, size=3) * ranges.arm_position_jitter_m
        self.receiver = self._make_receiver(self.scenario, receiver_rng)
        self._sensors = Sensors(self.scenario.tracking, self._signals, sensor_rng)
        self._teacher_sensors = Sensors(
            self.scenario.tracking, self._unobserved,
            np.random.default_rng(np.random.SeedSequence((seed, _TEACHER_STREAM))))
        self._seen: dict[str, Array] = {}

        position, rotation, _ = panda.forward(panda.READY_RAD)
        self._arm.reset(panda.solve(pose_from_parts(position + jitter, rotation)))
        if self._second is not None:
            jitter_rng, noise_rng = map(
                np.random.default_rng, np.random.SeedSequence((seed, _SECOND_STREAM)).spawn(2))
            self._second.begin(jitter_rng.uniform(-1.0, 1.0, size=3)
                               * ranges.arm_position_jitter_m, noise_rng)
        quaternion = quaternion_from_rotation(rotation_about_z(yaw))
        client.resetBasePositionAndOrientation(bodies.stand, (*xy, bodies.stand_half_m),
                                               quaternion)
        self._rest_z_m = 2 * bodies.stand_half_m + bodies.tool_half_height_m
        client.resetBasePositionAndOrientation(bodies.tool, (*xy, self._rest_z_m + 0.0005),
                                               quaternion)
        client.resetBaseVelocity(bodies.tool, (0, 0, 0), (0, 0, 0))
        self._step = 0
        self._lying_s = 0.0
        self._grip: tuple[Array, Array, Array] | None = None
        # One row for each physics step: tool centre point, tool, palm, width, contact of the
        # fingers, held part, pull.
        self._rows: list[tuple[Array, Array, Array, float, bool, int, float]] = []
        self._arms_touch: list[bool] = []
        for arm in self._arms:
            arm.drive()
        for _ in range(_SETTLE_STEPS):
            client.stepSimulation()
            self._read()
        for arm in self._arms:
            arm.zero()
        self._cameras.begin(seed, self.receiver, self._palm)
        if self._filmer is not None:
            self._filmer.begin(self.receiver, self._palm)
        self._measure()

    @property
    def receiving(self) -> BulletSide | None:
        """Return the side of the arm that receives, None for a person."""
        return self._second

    @property
    def time_ns(self) -> int:
        """Return the simulated time since the reset."""
        return self._step * 10**9 // PHYSICS_HZ

    @property
    def drawn(self) -> Mapping[str, float]:
        """Return the values drawn for the episode, by name with their unit."""
        return {**self.receiver.drawn, **self._cameras.drawn}

    @property
    def completed(self) -> bool:
        """Tell whether the receiver has the tool and the robot let go of it."""
        return self.receiver.has_tool

    @property
    def dropped(self) -> bool:
        """Tell whether the tool lies below its stand, held by neither robot nor receiver."""
        return self._lying_s >= self.scenario.tool.lying_s

    @property
    def over(self) -> bool:
        """Tell whether the episode has ended: tool and receiver withdrawn, or tool dropped."""
        return self.dropped or self.receiver.withdrawal(self.time_ns * 1e-9) >= 1.0

    def command(self, action: Array) -> None:
        """Take one flat action (action_dim,): target pose of the tool or joints, and width."""
        self._arm.command(action)

    def advance(self) -> None:
        """Advance by one physics step."""
        if self._step % _CONTROL_EVERY == 0:
            for arm in self._arms:
                arm.control(1 / _CONTROL_HZ)
        if self._grip is not None:
            self._apply_receiver(*self._grip)
        self._client.stepSimulation()
        self._step += 1
        self._read()
        receiver, now_s = self.receiver, self.time_ns * 1e-9
        held = (NO_PART if receiver.held_part is None else self._parts.index(receiver.held_part))
        self._rows.append((self._arm.tcp, self._object, self._palm, self._arm.width_m,
                           self._arm.touch, held, receiver.pull_n(now_s)))
        self._arms_touch.append(self._in_contact())
        receiver.update(now_s, 1 / PHYSICS_HZ, ToolState(
            self._part_distances(), math.hypot(*self._velocity),
            float(self._object[2]) - self._rest_z_m, self._arm.touch, self._hand()))
        if receiver.held_part is not None and self._grip is None and self._second is None:
            rotation = self._object_rotation
            point = rotation.T @ (self._palm[:3] - self._object[:3])
            self._grip = (point, rotation, self._palm.copy())
        lying = self._object[2] < self._rest_z_m - 0.5 * self._bodies.stand_half_m
        free = not self._arm.touch and receiver.held_part is None
        self._lying_s = self._lying_s + 1 / PHYSICS_HZ if lying and free else 0.0
        self._measure()

    def _measure(self) -> None:
        """Take the measurements that are due at this step."""
        now_ns = self.time_ns
        if self._step % SENSOR_EVERY == 0:
            truth = self._truth()
            self._sensors.measure(now_ns, truth)
            self._teacher_sensors.measure(now_ns, truth)
            if self._second is not None:
                self._second.measure()
        self._sensors.deliver(self._cameras.measure(self._step, now_ns, self._moment))

    def poll(self) -> list[tuple[str, Sample]]:
        """Return the samples (key, sample) delivered since the last call, oldest first."""
        return self._sensors.poll(self.time_ns)

    def glance(self, rng: np.random.Generator,
               due: Callable[[int], bool] = lambda every: True) -> list[tuple[str, Sample]]:
        """Return the samples of a world at rest that are due; the episode is unchanged."""
        now_ns = self.time_ns
        return [*(self._sensors.glance(now_ns, self._truth(), rng) if due(SENSOR_EVERY) else ()),
                *self._cameras.glance(now_ns, self._moment, rng, due)]

    def seen_by_teacher(self) -> Mapping[str, Array]:
        """Return the newest values (dim,) of what a teacher sees and the contract does not."""
        self._seen.update((key, sample.values) for key, sample
                          in self._teacher_sensors.poll(self.time_ns))
        return self._seen

    def capsules(self) -> dict[str, Array]:
        """Return the ends (2, 3) of the capsule of each of the receiver's body parts now."""
        return {part: ends[0] for part, ends in self.receiver.capsules(self._palm[None]).items()}

    def trace(self) -> Trace:
        """Return the truth of the episode so far, of at least one physics step."""
        columns = map(np.array, zip(*self._rows, strict=True))
        tool, tool_object, hand, width, fingers, held, pull = columns
        capsules, radius_m = self.receiver.capsules(hand), self.receiver.capsule_radius_m
        return Trace(
            physics_hz=float(PHYSICS_HZ), part_names=self._parts, tool_pose=tool,
            object_pose=tool_object, hand_pose=hand, gripper_width_m=width,
            finger_contact=fingers,
            arm_contact=(_gripper_touches(tool, capsules, radius_m) if self._second is None
                         else np.array(self._arms_touch)),
            held_part=held.astype(np.int8), pull_n=pull, capsule_ends=capsules,
            capsule_radius_m=dict(radius_m), object_rest_z_m=self._rest_z_m)

    def picture(self, camera: Camera) -> Pixels:
        """Return the camera's picture of this moment; the episode is unchanged."""
        if self._filmer is None:
            self._filmer = Filmer(self.scenario)
            self._filmer.begin(self.receiver, self._palm)
        return self._filmer.picture(camera, self._moment())

    def _moment(self) -> Moment:
        """Return all that a picture of this moment shows."""
        client, bodies = self._client, self._bodies
        return Moment(self._arm.joints, self._arm.tcp,
                      client.getBasePositionAndOrientation(bodies.tool),
                      client.getBasePositionAndOrientation(bodies.stand), self._palm,
                      self.capsules(), self.receiver.held_part is not None,
                      None if self._second is None else self._second.arm.joints)

    def _apply_receiver(self, held: Array, rotation: Array, palm: Array) -> None:
        """Apply the receiver's force to the tool: a pull, then a hold that carries it away.

        `held` (3,) is the grasped point in the tool's frame, `rotation` (3, 3) that of the tool
        and `palm` (9,) the hand's pose at the grasp.
        """
        tool, now_s = self._bodies.tool, self.time_ns * 1e-9
        point = self._object[:3] + self._object_rotation @ held
        if self._arm.touch and not self.receiver.has_tool:
            force = -self.receiver.pull_n(now_s) * palm[3:6]
        else:
            goal = palm[:3] + self.receiver.withdrawal(now_s) * (
                self.receiver.rest_m - palm[:3])
            force = self.scenario.tool.mass_kg * (
                _HOLD_RAD_S ** 2 * (goal - point) - 2 * _HOLD_RAD_S * self._velocity
                + np.array([0.0, 0.0, GRAVITY_M_S2]))
            turn = rotation @ self._object_rotation.T
            axis = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0],
                                   turn[1, 0] - turn[0, 1]])
            wanted = _HOLD_RAD_S ** 2 * axis - 2 * _HOLD_RAD_S * self._spin
            torque = self._object_rotation @ (
                self._bodies.tool_inertia * (self._object_rotation.T @ wanted))
            self._client.applyExternalTorque(tool, -1, torque.tolist(), pybullet.WORLD_FRAME)
        self._client.applyExternalForce(tool, -1, force.tolist(), point.tolist(),
                                        pybullet.WORLD_FRAME)

    def _read(self) -> None:
        """Read the state after a physics step into plain arrays."""
        for arm in self._arms:
            arm.read()
        client, tool = self._client, self._bodies.tool
        self._object, self._object_rotation = pose_and_rotation(
            *client.getBasePositionAndOrientation(tool))
        self._velocity, self._spin = map(np.array, client.getBaseVelocity(tool))
        if self._second is not None:
            self._palm = palm_of(self._second.arm.tcp)
        elif self._grip is None:
            self._palm = self.receiver.palm(self.time_ns * 1e-9)
        else:
            held, _, palm = self._grip
            point = self._object[:3] + self._object_rotation @ held
            self._palm = np.concatenate([point, palm[3:]])

    def _part_distances(self) -> Mapping[str, float]:
        """Return the distances from the palm to the surfaces of the tool's parts, in m."""
        local = (self._object_rotation.T @ (self._palm[:3] - self._object[:3])).tolist()
        return {name: _box_distance(local, part)
                for name, part in self.scenario.tool.parts.items()}

    def _truth(self) -> dict[str, Array]:
        """Return the true values (dim,) of everything that can be measured, by key."""
        truth = {
            'tool_pose': self._arm.tcp,
            'gripper_width': np.array([self._arm.width_m]),
            'object_pose': self._object,
            'hand_pose': self._palm,
            'wrist_force': self._arm.force_n,
        }
        if self._second is not None:
            truth[PARTNER_WIDTH_KEY] = np.array([self._second.arm.width_m])
        return truth | self._arm.measured_joints(self._signals)

    def _hand(self) -> HandState | None:
        """Return the gripper of the second arm, None without one."""
        if self._second is None:
            return None
        arm = self._second.arm
        return HandState(self._palm, arm.touch, math.hypot(*arm.force_n[:2].tolist()))

    def _in_contact(self) -> bool:
        """Tell whether the arms touch, or the tool an arm that receives beside its hand."""
        client, bodies = self._client, self._bodies
        if bodies.second_arm is None:
            return False
        return bool(client.getContactPoints(bodies.arm, bodies.second_arm)) or any(
            point[_LINK_OF_SECOND] not in (HAND_LINK, *FINGER_LINKS)
            for point in client.getContactPoints(bodies.tool, bodies.second_arm))


def _box_distance(point: Sequence[float], part: ToolPart) -> float:
    outside = [max(abs(p - c) - s / 2, 0.0)
               for p, c, s in zip(point, part.center_m, part.size_m, strict=True)]
    return math.hypot(*outside)


def _gripper_touches(tool_poses: Array, capsules: Mapping[str, Array],
                     radius_m: Mapping[str, float]) -> NDArray[np.bool_]:
    """Tell at which steps (T,) the gripper is inside a body part; the gripper as one sphere."""
    centre = tool_poses[:, :3] - _GRIPPER_CENTRE_M * cross(tool_poses[:, 3:6],
                                                           tool_poses[:, 6:9])
    gaps = [segment_distance(centre, centre, ends[:, 0], ends[:, 1]) - radius_m[part]
            for part, ends in capsules.items()]
    return np.min(gaps, axis=0) < _GRIPPER_RADIUS_M
