# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of a moving arm's inputs, one after the other, and what the policy has to do on each."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from checks import Observer
from policies import patient_contract

from uncloning_ros.contract import Contract
from uncloning_ros.geometry import Array

# A fault is missed after so long. Above what a quiet machine's sensors take, so that there is
# motion; below `FOR_S`, so that it is missed while it lasts.
AGE_S = 0.4
# In simulated time: how long each fault lasts, and how long after the one before it begins.
FOR_S, EVERY_S = 1.0, 1.6
# So many equal commands in a row are no wandering.
LATCHED = 10
# A machine may stand still for as long as a fault lasts: then all of them come once more.
TAKES = 6


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault in the simulator's words, and what the policy has to say on it.

    `about` is how its sentence begins, and no other fault's: an input that falls silent is told as
    stale by its stamp first, for as long as its messages are under way. With `blind` it is the
    arm's own state that cannot be trusted, so the last command stays instead of what is measured.
    """

    text: str
    reason: str
    about: str
    blind: bool = False


POSE_FAULTS = (
    Fault('tool_pose:silence', 'stale_input', 'tool_pose arrived', blind=True),
    Fault('gripper_width:silence', 'stale_input', 'gripper_width arrived'),
    Fault('object_pose:silence', 'stale_input', 'object_pose arrived'),
    Fault('hand_pose:silence', 'stale_input', 'hand_pose arrived'),
    Fault('wrist_force:silence', 'stale_input', 'wrist_force arrived'),
    Fault('hand_pose:freeze', 'unchanged_input', 'hand_pose has repeated'),
    Fault('gripper_width:stale', 'stale_stamp', 'gripper_width was measured 0.8'),
    Fault('tool_pose:nan', 'refused_input', 'a message was refused: tool_pose', blind=True),
    Fault('object_pose:frame=camera', 'refused_input', 'a message was refused: object_pose'),
    Fault('wrist_force:inf=force.z', 'refused_input', 'a message was refused: wrist_force'),
    Fault('hand_pose:future=5', 'future_stamp', 'hand_pose is stamped'),
    Fault('wrist_force:past=5', 'stale_stamp', 'wrist_force was measured 5.'),
)
# For simulated time and an arm whose joints are commanded.
JOINT_FAULTS = (
    Fault('joint_positions:stale', 'stale_stamp', 'joint_positions was measured', blind=True),
    Fault('joint_positions:missing', 'refused_input', 'a message was refused: joint_positions',
          blind=True),
    # What was measured before the jump is stamped in the future now, the arm's own state as well.
    Fault('clock:back=2', 'clock_backwards', 'ROS time went back', blind=True),
    Fault('clock:pause', 'clock_stopped', 'ROS time has stood still'),
)
# For cameras. A picture that falls silent is stale by its stamp first.
PICTURE_FAULTS = (
    Fault('scene_camera:silence', 'stale_input', 'scene_camera arrived'),
    Fault('scene_camera:freeze', 'unchanged_input', 'scene_camera has repeated'),
    Fault('scene_camera:black', 'refused_input',
          'a message was refused: scene_camera: expected a picture, got one that is black'),
    Fault('scene_camera:truncated', 'refused_input',
          'a message was refused: scene_camera: expected a whole JPEG or PNG'),
    Fault('wrist_camera:stale', 'stale_stamp', 'wrist_camera was measured 0.8'),
    Fault('wrist_camera:saturated', 'refused_input',
          'a message was refused: wrist_camera: expected a picture, got one that is saturated'),
    Fault('wrist_camera:size', 'refused_input',
          'a message was refused: wrist_camera: expected pictures of 96 x 96 px, got 48 x 48'),
    Fault('wrist_camera:encoding', 'refused_input',
          'a message was refused: wrist_camera: expected pictures in rgb8'),
    Fault('wrist_camera:latency=3', 'stale_input', 'wrist_camera arrived'),
)
# Must have no effect at all, from the first command to the last.
HARMLESS = ('joint_positions:reorder', 'gripper_width:extra')


def watchful_contract(name: str = 'contract.yaml') -> Contract:
    """Return a shipped contract by which a fault is missed while it lasts, on any machine."""
    patient = patient_contract(name)
    observations = {key: dataclasses.replace(
        topic, max_age_s=AGE_S,
        max_unchanged_s=topic.max_unchanged_s and AGE_S)
        for key, topic in patient.deployment.observations.items()}
    end = dataclasses.replace(patient.deployment.episode_end, max_episode_s=600.0)
    return dataclasses.replace(patient, deployment=dataclasses.replace(
        patient.deployment, observations=observations, episode_end=end))


def schedule(faults: Sequence[Fault], always: Sequence[str] = ()) -> str:
    """Return the simulator's parameter: one fault after the other, and the last one for good."""
    texts = [f'{fault.text}@{EVERY_S * (number + 1):g}+{FOR_S:g}'
             for number, fault in enumerate(faults[:-1])]
    texts.append(f'{faults[-1].text}@{EVERY_S * len(faults):g}')
    return str([*always, *texts])


class Watch:
    """Note which faults ended in a latched command, said with the right reason.

    What the policy published is looked at in the order in which it did.
    """

    def __init__(self, observer: Observer, faults: Sequence[Fault]) -> None:
        self._observer, self._faults = observer, faults
        self._waiting: list[tuple[int, Any]] = []
        self._named: set[Fault] = set()  # since the policy was last in motion
        self._run: list[Array] = []  # the newest commands, which are all equal
        self.held: set[Fault] = set()

    def look(self) -> None:
        """Take in what has arrived since the last call."""
        self._waiting += self._observer.history
        self._observer.history.clear()
        kinds = {kind: max((at_ns for at_ns, item in self._waiting if isinstance(item, kind)),
                           default=0) for kind in (dict, np.ndarray)}
        # Of what is newer than the newest of the other kind some may still be under way.
        complete_ns = min(kinds.values())
        ready = sorted((item for item in self._waiting if item[0] <= complete_ns),
                       key=lambda item: item[0])
        self._waiting = [item for item in self._waiting if item[0] > complete_ns]
        for _, item in ready:
            self._take(item)

    def _take(self, item: dict[str, Any] | Array) -> None:
        if isinstance(item, np.ndarray):
            equal = bool(self._run) and np.array_equal(self._run[0], item)
            self._run = [*self._run, item] if equal else [item]
        elif item['state'] == 'hold':
            self._named |= {fault for fault in self._faults
                            if item['reason'] == fault.reason
                            and item['sentence'].startswith(fault.about)}
        else:
            self._named.clear()
            self._run = []
        if len(self._run) >= LATCHED and self._named - self.held:
            measured = np.array(self._observer.poses)
            is_measured = np.min(np.max(np.abs(measured - self._run[0]), axis=1)) < 1e-6
            self.held |= {fault for fault in self._named if fault.blind or is_measured}


def every_fault_holds(observer: Observer, faults: Sequence[Fault]) -> None:
    """Each fault of the schedule latches the arm where it was measured, and names itself.

    A machine that stands still has holds of its own, and may miss a fault: then the schedule
    begins once more, with the first command after a reset of the simulator.
    """
    watch, last = Watch(observer, faults), faults[-1]
    for take in range(TAKES):
        if take:
            print(f'take {take}: missed {[f.text for f in faults if f not in watch.held]}')
            assert observer.call('/simulator/reset').success
            observer.until_policy('active')
        # The last fault lasts: once it is named the others are over.
        observer.until(lambda: ((observer.status['state'], observer.status['reason'])
                                == ('hold', last.reason)
                                and observer.status['sentence'].startswith(last.about)),
                       f'the end of the faults, {last.text}')
        observer.let_commands_pass(2 * LATCHED)
        watch.look()
        if len(watch.held) == len(faults):
            break
    else:
        pytest.fail(f'without a hold: {[f.text for f in faults if f not in watch.held]}')
    control = '/policy: control'
    observer.until(lambda: control in observer.diagnosed and observer.diagnosed[
        control].message.startswith(last.about), f'diagnostics that say {last.about}')
    values = {pair.key: pair.value for pair in observer.diagnosed[control].values}
    assert (values['state'], values['reason']) == ('hold', last.reason)
