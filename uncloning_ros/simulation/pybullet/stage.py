# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scene as cameras see it, in a client of its own: the physics knows nothing of it.

A fine stage is for films: the arm's own meshes, shadows. A plain one is for the cameras of a
policy, which take thousands of pictures: its arm is made of boxes and cylinders, and the table
is painted into the picture.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from uncloning_ros.geometry import Array, Vector
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.pybullet.bodies import STAND_SIZE_M, base_of, panda_urdf
from uncloning_ros.simulation.pybullet.client import connect, pybullet
from uncloning_ros.simulation.pybullet.figure import Figure, figure
from uncloning_ros.simulation.pybullet.meshes import Mesh
from uncloning_ros.simulation.receivers.receiver import Receiver

Pose = tuple[tuple[float, ...], tuple[float, ...]]  # PyBullet's position and quaternion

TABLE_BACK_M, TABLE_HALF_WIDTH_M, TABLE_THICKNESS_M = -0.4, 0.8, 0.05
_LEGROOM_M = 0.13  # distance (m) from the table's edge to the axis of a person behind it
_EDGE_M = 1.2  # the table's edge (m) before a receiver without a trunk
_FINE_SIDES, _PLAIN_SIDES = 14, 6
_ARM_WHITE, _ARM_GREY, _ARM_DARK = (0.92, 0.92, 0.90), (0.62, 0.64, 0.66), (0.25, 0.26, 0.28)

# The arm of the plain stage by link: boxes (size, centre) and cylinders (radius, length, centre,
# axis) in the link's frame.
_ARM_BOXES: Mapping[str, tuple[tuple[Vector, Vector, Vector], ...]] = {
    'panda_link0': (((0.20, 0.17, 0.14), (-0.04, 0.0, 0.07), _ARM_WHITE),),
    'panda_link4': (((0.13, 0.11, 0.10), (-0.045, 0.03, 0.0), _ARM_WHITE),),
    'panda_link6': (((0.11, 0.09, 0.09), (0.055, 0.0, 0.0), _ARM_WHITE),),
    'panda_hand': (((0.045, 0.205, 0.065), (0.0, 0.0, 0.033), _ARM_WHITE),),
    'panda_leftfinger': (((0.020, 0.014, 0.054), (0.0, 0.008, 0.027), _ARM_DARK),),
    'panda_rightfinger': (((0.020, 0.014, 0.054), (0.0, -0.008, 0.027), _ARM_DARK),)}
_ARM_CYLINDERS: Mapping[str, tuple[tuple[float, float, Vector, str, Vector], ...]] = {
    'panda_link1': ((0.058, 0.26, (0.0, 0.0, -0.08), 'z', _ARM_WHITE),),
    'panda_link2': ((0.060, 0.16, (0.0, 0.0, 0.0), 'z', _ARM_GREY),
                    (0.055, 0.20, (0.0, -0.15, 0.0), 'y', _ARM_WHITE)),
    'panda_link3': ((0.055, 0.14, (0.0, 0.0, -0.06), 'z', _ARM_WHITE),),
    'panda_link4': ((0.055, 0.15, (0.0, 0.0, 0.0), 'z', _ARM_GREY),
                    (0.050, 0.14, (-0.0825, 0.13, 0.0), 'y', _ARM_WHITE)),
    'panda_link5': ((0.046, 0.24, (0.0, 0.0, -0.12), 'z', _ARM_WHITE),),
    'panda_link6': ((0.050, 0.13, (0.0, 0.0, 0.0), 'z', _ARM_GREY),),
    'panda_link7': ((0.044, 0.09, (0.0, 0.0, 0.06), 'z', _ARM_GREY),)}


@dataclass(frozen=True)
class Colours:
    """RGB, 0 to 1, of everything but tool and arm; without a colour the hand has the skin's."""

    table: Vector = (0.80, 0.76, 0.70)
    wall: Vector = (0.93, 0.94, 0.95)
    stand: Vector = (0.45, 0.48, 0.50)
    skin: Vector = (0.87, 0.68, 0.55)
    shirt: Vector = (0.25, 0.42, 0.62)
    trousers: Vector = (0.22, 0.24, 0.30)
    hair: Vector = (0.22, 0.15, 0.10)
    hand: Vector | None = None

    def named(self, name: str) -> Vector:
        """Return the colour of a part of the figure."""
        found = getattr(self, name)
        made: Vector = self.skin if found is None else found
        return made


@dataclass(frozen=True)
class Moment:
    """All that moves: joints of arm and fingers, tool centre point (9,), tool, stand, palm (9,).

    `held` tells whether the receiver has its hand around the tool; `second_joints` are those of
    an arm that receives.
    """

    joints: tuple[float, ...]
    tcp: Array
    tool: Pose
    stand: Pose
    palm: Array
    capsules: Mapping[str, Array]
    held: bool
    second_joints: tuple[float, ...] | None = None


class Stage:
    """The scene of one episode at a time; `place` moves its bodies to a moment."""

    def __init__(self, scenario: Scenario, fine: bool) -> None:
        self._scenario, self._fine = scenario, fine
        self.client = connect()
        self._folder = tempfile.TemporaryDirectory()
        self._arm_file = Path(self._folder.name) / 'panda.urdf'
        ElementTree.ElementTree(panda_urdf() if fine else _plain_arm()).write(self._arm_file)

    def close(self) -> None:
        """Free the client."""
        self.client.disconnect()
        self._folder.cleanup()

    def begin(self, receiver: Receiver, palm: Array, colours: Colours) -> None:
        """Build the scene of an episode."""
        client, tool = self.client, self._scenario.tool
        client.resetSimulation()
        self._arm = int(client.loadURDF(str(self._arm_file), useFixedBase=True))
        place = self._scenario.receiver_arm
        self._second = None if place is None else int(client.loadURDF(
            str(self._arm_file), *base_of(place), useFixedBase=True))
        self._joints = [i for i in range(client.getNumJoints(self._arm))
                        if client.getJointInfo(self._arm, i)[2] != pybullet.JOINT_FIXED]
        self._placed: Moment | None = None
        capsules = {name: ends[0] for name, ends in receiver.capsules(palm[None]).items()}
        torso = capsules.get('torso')
        if torso is None:
            self.table_edge_m = _EDGE_M if place is None else place.base_m[0] - TABLE_BACK_M
        else:
            self.table_edge_m = float(torso[0, 0]) - _LEGROOM_M
        if self._fine:
            middle_m = (self.table_edge_m + TABLE_BACK_M) / 2
            self._box((self.table_edge_m - TABLE_BACK_M, 2 * TABLE_HALF_WIDTH_M,
                       TABLE_THICKNESS_M), (middle_m, 0.0, -TABLE_THICKNESS_M / 2), colours.table)
        self._stand = self._box((*STAND_SIZE_M, self._scenario.start.stand_height_m),
                                (0.0, 0.0, 0.0), colours.stand)
        parts = tool.parts.values()
        look = client.createVisualShapeArray(
            shapeTypes=[pybullet.GEOM_BOX] * len(parts),
            halfExtents=[[s / 2 for s in part.size_m] for part in parts],
            visualFramePositions=[list(part.center_m) for part in parts],
            rgbaColors=[(*part.color, 1.0) for part in parts])
        self._tool = int(client.createMultiBody(0, -1, look))
        self._figure: Figure | None = None
        if place is None:
            self._figure = figure(capsules, receiver.capsule_radius_m, receiver.shoulder_m,
                                  _FINE_SIDES if self._fine else _PLAIN_SIDES)
            self._bodies = {name: self._mesh(part.mesh, colours.named(part.colour))
                            for name, part in self._figure.parts.items()}

    def place(self, moment: Moment) -> None:
        """Move everything to where it is at a moment."""
        if moment is self._placed:
            return
        self._placed, client = moment, self.client
        for joint, position in zip(self._joints, moment.joints, strict=True):
            client.resetJointState(self._arm, joint, position)
        client.resetBasePositionAndOrientation(self._tool, *moment.tool)
        client.resetBasePositionAndOrientation(self._stand, *moment.stand)
        if self._second is not None and moment.second_joints is not None:
            for joint, position in zip(self._joints, moment.second_joints, strict=True):
                client.resetJointState(self._second, joint, position)
        if self._figure is None:
            return
        for name, place, turn in self._figure.places(moment.palm, moment.capsules, moment.held):
            client.resetBasePositionAndOrientation(self._bodies[name], place, turn)

    def _box(self, size_m: Vector, centre_m: Vector, colour: Vector) -> int:
        shape = self.client.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=[s / 2 for s in size_m], rgbaColor=(*colour, 1.0))
        return int(self.client.createMultiBody(0, -1, shape, centre_m))

    def _mesh(self, mesh: Mesh, colour: Vector) -> int:
        shape = self.client.createVisualShape(
            pybullet.GEOM_MESH, vertices=mesh.vertices.tolist(),
            indices=mesh.triangles.ravel().tolist(), normals=mesh.normals.tolist(),
            rgbaColor=(*colour, 1.0))
        return int(self.client.createMultiBody(0, -1, shape))


def _plain_arm() -> ElementTree.Element:
    """Return the arm's description with boxes and cylinders for its looks, and no collisions."""
    root = panda_urdf()
    for link in root.iter('link'):
        for old in [*link.findall('visual'), *link.findall('collision')]:
            link.remove(old)
        name = link.get('name', '')
        for size, centre, colour in _ARM_BOXES.get(name, ()):
            _add_look(link, colour, centre, (0.0, 0.0, 0.0), 'box',
                      size=' '.join(map(str, size)))
        for radius, length, centre, axis, colour in _ARM_CYLINDERS.get(name, ()):
            _add_look(link, colour, centre, (np.pi / 2 if axis == 'y' else 0.0, 0.0, 0.0),
                      'cylinder', radius=str(radius), length=str(length))
    return root


def _add_look(link: ElementTree.Element, colour: Vector, centre: Vector, turn: Vector, shape: str,
              **sizes: str) -> None:
    look = ElementTree.SubElement(link, 'visual')
    ElementTree.SubElement(look, 'origin', xyz=' '.join(map(str, centre)),
                           rpy=' '.join(map(str, turn)))
    ElementTree.SubElement(ElementTree.SubElement(look, 'geometry'), shape, sizes)
    material = ElementTree.SubElement(look, 'material', name=f'{colour}')
    ElementTree.SubElement(material, 'color', rgba=' '.join(map(str, (*colour, 1.0))))
