# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny hand-made traces whose angles, clearances and times can be told by looking at them."""

import dataclasses
from typing import Any

import numpy as np

from uncloning_ros.geometry import pose_from_parts, rotation_about_z
from uncloning_ros.judging.trace import NO_PART, Trace
from uncloning_ros.scenario import Scenario, UnsafeRule, find_scenario

HZ = 240.0
HAND_RADIUS_M = 0.05
REST_Z_M = 0.1
BODY_PARTS = ('hand', 'forearm', 'torso', 'neck', 'face')


def fixed_scenario() -> Scenario:
    """Return the knife with the numbers that the tests count on, whatever is tuned in its file.

    The tip is 0.145 m before, the heel 0.015 m behind the tool's origin; angles are measured
    from 0.08 m behind it.
    """
    knife = find_scenario('knife')
    ranges = {'handle_first': (135.0, 180.0), 'blade_first': (0.0, 45.0)}
    modes = {name: dataclasses.replace(knife.modes[name],
                                       blade_to_hand_rad=tuple(np.radians(ranges[name])))
             for name in ranges}
    return dataclasses.replace(
        knife, modes=modes,
        tool=dataclasses.replace(knife.tool, handle_point_m=(-0.08, 0.0, 0.0),
                                 hazard=dataclasses.replace(knife.tool.hazard,
                                                            heel_m=(-0.015, 0.0, 0.0),
                                                            tip_m=(0.145, 0.0, 0.0))),
        receiver=dataclasses.replace(knife.receiver, grasp_reach_m=0.035, release_dwell_s=0.15),
        unsafe=UnsafeRule(near_m=0.5, pointing_rad=np.radians(60.0), thrust_near_m=0.25,
                          hold_s=0.1, face_neck_clearance_m=0.2))


def make_trace(steps: int = 480, yaw_rad: float = np.pi, hand_x_m: float = 0.8,
               object_x_m: float = 0.4, **replaced: Any) -> Trace:
    """Return a still episode: the tool in the fingers at (x, 0, 0.3), the palm straight ahead.

    With yaw pi the tool's tip points away from the hand: handle first. All other body parts
    are far away. `replaced` overwrites fields of the trace.
    """
    rotation = rotation_about_z(np.full(steps, yaw_rad))
    tool = pose_from_parts(np.tile([object_x_m, 0.0, 0.3], (steps, 1)), rotation)
    hand_position = np.tile([hand_x_m, 0.0, 0.3], (steps, 1))
    hand = pose_from_parts(hand_position, rotation_about_z(np.full(steps, np.pi)))
    far = np.tile([9.0, 9.0, 9.0], (steps, 2, 1))
    ends = {part: far.copy() for part in BODY_PARTS}
    ends['hand'] = np.stack([hand_position, hand_position], axis=1)
    trace = Trace(
        physics_hz=HZ, part_names=('handle', 'blade'), tool_pose=tool, object_pose=tool.copy(),
        hand_pose=hand, gripper_width_m=np.full(steps, 0.02),
        finger_contact=np.ones(steps, dtype=bool), arm_contact=np.zeros(steps, dtype=bool),
        held_part=np.full(steps, NO_PART, dtype=np.int8), pull_n=np.zeros(steps),
        capsule_ends=ends, capsule_radius_m=dict.fromkeys(BODY_PARTS, HAND_RADIUS_M),
        object_rest_z_m=REST_Z_M)
    return dataclasses.replace(trace, **replaced)


def handed_over(taken: int = 240, released: int = 360, part: int = 0, **options: Any) -> Trace:
    """Return an episode in which the person takes the tool and the robot lets go later."""
    trace = make_trace(**options)
    held, contact = trace.held_part.copy(), trace.finger_contact.copy()
    held[taken:] = part
    contact[released:] = False
    pull = np.where(held >= 0, 7.0, 0.0)
    return dataclasses.replace(trace, held_part=held, finger_contact=contact, pull_n=pull)
