# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bodies of a scenario in PyBullet: table, stand, tool, and an arm with gripping fingers."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from uncloning_ros.geometry import Array
from uncloning_ros.scenario import ReceiverArm, Scenario
from uncloning_ros.simulation.pybullet.client import DATA_PATH, BulletClient, pybullet

HAND_LINK, FINGER_LINKS, TCP_LINK = 8, (9, 10), 11
GRAVITY_M_S2 = 9.81

# Edge lengths and centre, in the finger's frame, of the tip in Franka's own description.
_FINGER_TIP_M, _FINGER_TIP_CENTRE_M = (0.0175, 0.0152, 0.0185), (0.0, 0.0076, 0.04525)
_FINGER_FRICTION = 1.0
_PAD_SPINNING_M = 0.005  # radius (m) of a soft finger pad: its torsional friction
STAND_SIZE_M = (0.10, 0.05)
_CONTACT_BREAKING_M = 0.02  # the engine's own


@dataclass(frozen=True)
class Bodies:
    """PyBullet's ids of a scenario's bodies, and the numbers that follow from their shapes."""

    arm: int
    stand: int
    tool: int
    tool_inertia: Array
    tool_half_height_m: float
    stand_half_m: float
    second_arm: int | None


def build(client: BulletClient, scenario: Scenario, physics_hz: int) -> Bodies:
    """Set up the physics of a client and build the bodies of a scenario in it."""
    tool, stand_half_m = scenario.tool, scenario.start.stand_height_m / 2
    client.setTimeStep(1 / physics_hz)
    client.setGravity(0, 0, -GRAVITY_M_S2)
    client.setPhysicsEngineParameter(numSolverIterations=60, deterministicOverlappingPairs=1)
    _build_box(client, (1.0, 1.0, 0.05), (0.6, 0, -0.051))
    arm = _build_arm(client)
    stand = _build_box(client, (STAND_SIZE_M[0] / 2, STAND_SIZE_M[1] / 2, stand_half_m),
                       (0.4, 0, stand_half_m))
    parts = list(tool.parts.values())
    halves = [[s / 2 for s in part.size_m] for part in parts]
    centres = [list(part.center_m) for part in parts]
    boxes = [pybullet.GEOM_BOX] * len(parts)
    shape = client.createCollisionShapeArray(
        shapeTypes=boxes, halfExtents=halves, collisionFramePositions=centres)
    body = client.createMultiBody(tool.mass_kg, shape, -1, (0.4, 0, 0.2))
    client.changeDynamics(body, -1, lateralFriction=tool.friction,
                          spinningFriction=_PAD_SPINNING_M, rollingFriction=0.0,
                          linearDamping=0.0, angularDamping=0.02)
    return Bodies(arm, stand, body, np.array(client.getDynamicsInfo(body, -1)[2]),
                  -min(part.center_m[2] - part.size_m[2] / 2 for part in parts), stand_half_m,
                  None if scenario.receiver_arm is None else _build_arm(
                      client, *base_of(scenario.receiver_arm)))


def forget_contacts(client: BulletClient, scenario: Scenario) -> None:
    """Say from which distance on points of contact are forgotten, before an episode.

    The engine has one such distance for all worlds of a process: the newest one to be set.
    """
    distance_m = scenario.tool.contact_breaking_m
    client.setPhysicsEngineParameter(
        contactBreakingThreshold=_CONTACT_BREAKING_M if distance_m is None else distance_m)


def base_of(place: ReceiverArm) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return position and quaternion of a second arm's base."""
    half = place.base_yaw_rad / 2
    return place.base_m, (0.0, 0.0, math.sin(half), math.cos(half))


def _build_box(client: BulletClient, half_m: tuple[float, float, float],
               centre_m: tuple[float, float, float]) -> int:
    """Build a box that does not move."""
    shape = client.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half_m)
    return int(client.createMultiBody(0, shape, -1, centre_m))


def _build_arm(client: BulletClient, *base: tuple[float, ...]) -> int:
    """Load an arm on its base, couple its fingers, and give them their friction."""
    arm = _load_panda(client, *base)
    client.enableJointForceTorqueSensor(arm, HAND_LINK, True)
    gear = client.createConstraint(arm, FINGER_LINKS[0], arm, FINGER_LINKS[1],
                                   pybullet.JOINT_GEAR, (1, 0, 0), (0, 0, 0), (0, 0, 0))
    client.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)
    for link in FINGER_LINKS:
        client.changeDynamics(arm, link, lateralFriction=_FINGER_FRICTION,
                              spinningFriction=_PAD_SPINNING_M, rollingFriction=0.0)
    return arm


def panda_urdf() -> ElementTree.Element:
    """Return the description of the arm that comes with PyBullet, with the paths of its meshes."""
    folder = Path(DATA_PATH) / 'franka_panda'
    root = ElementTree.parse(folder / 'panda.urdf').getroot()  # noqa: S314 (a shipped file)
    for mesh in root.iter('mesh'):
        mesh.set('filename', mesh.get('filename', '').replace('package:/', str(folder)))
    return root


def _load_panda(client: BulletClient, *base: tuple[float, ...]) -> int:
    """Load the arm that comes with PyBullet, with boxes for finger tips.

    The convex hulls of the finger meshes sometimes give contact normals that point through the
    finger, and the gripper jams; boxes do not.
    """
    root = panda_urdf()
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
        return int(client.loadURDF(str(path), *base, useFixedBase=True))
