# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted teacher of the arm that receives, in the frame of that arm's own base.

Once the tool is lifted it holds its gripper out where the mode says, waits until the tool is held
still before it, slides over the offered end, closes, pulls until it feels a force, and carries the
tool away when the other gripper has opened.
"""

from collections.abc import Mapping
from enum import Enum

import numpy as np

from uncloning_ros.contract import OBJECT_KEY, TOOL_KEY, Contract, Interface
from uncloning_ros.errors import ScenarioError
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    position_of,
    rotation_about_z,
    rotation_of,
)
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation.capabilities import PARTNER_WIDTH_KEY
from uncloning_ros.simulation.demonstrator import (
    CLOSE_TICKS,
    CLOSED_M,
    DOWN,
    GRIPPED_M,
    OPEN_M,
    believed,
    steered,
    turned,
    wrapped,
    yaw_of,
)
from uncloning_ros.simulation.driver import Listener
from uncloning_ros.simulation.world import World

_WATCHED = (TOOL_KEY, OBJECT_KEY, 'gripper_width', 'wrist_force', PARTNER_WIDTH_KEY)
_SEEN, _SLOW = 0.4, 0.15  # share of a new sample in the quick and in the slow belief of the tool
_LIFTED_M = 0.07  # height (m) of the tool over its stand's top at which the arm begins to reach
_SHOWN_M, _SHOWN_Z_M = 0.13, 0.05  # distance (m) of an offered end that is held out, and in height
_STILL_M = 0.015  # distance (m) between the quick and the slow belief of a tool that is still
_BEFORE_M = 0.08  # distance (m) from the offered end at which the gripper is turned to the tool
_PULL_M, _PULL_M_S = 0.015, 0.015  # longest pull (m), and its speed
_LET_GO_M = 0.06  # width (m) of the other gripper that has let go
_AWAY_M = (-0.17, 0.0, 0.06)  # way (m) of the carried tool, in the gripper's frame
_AWAY_TICKS = 60  # longest way: the arm may not reach its end
_STREAM = 0xAE  # of the draws of a seed


class Step(Enum):
    """Step of a demonstration."""

    REST = 'rest'
    REACH = 'reach'
    WAIT = 'wait'
    ALIGN = 'align'
    ADVANCE = 'advance'
    CLOSE = 'close'
    PULL = 'pull'
    AWAY = 'away'
    DONE = 'done'


class ReceivingTeacher:
    """Act at the policy's rate from the newest values of every observation of the receiver."""

    def __init__(self, scenario: Scenario, interface: Interface, mode: str, seed: int) -> None:
        require_receivable(interface)
        assert scenario.receiver_arm is not None
        rng = np.random.default_rng(np.random.SeedSequence((seed, _STREAM)))
        rule, ranges, start = scenario.modes[mode], scenario.receiver, scenario.start
        place = scenario.receiver_arm
        turn = rotation_about_z(place.base_yaw_rad)
        meet_m = rng.uniform(start.hand_position_min_m, start.hand_position_max_m)
        if rule.meet_z_m is not None:
            meet_m[2] = rng.uniform(*rule.meet_z_m)
        self._meet_m: Array = turn.T @ (meet_m - np.array(place.base_m))
        self._meet_yaw = float(np.arctan2(self._meet_m[1], self._meet_m[0])
                               + rng.uniform(-1.0, 1.0) * start.hand_yaw_jitter_rad)
        self._interface = interface
        self._present_m = np.array([rule.present_x_m, 0.0, 0.0])
        # Direction of the tool's +x: away from the gripper that comes, or towards it.
        self._facing = 1.0 if rule.handle_first else -1.0
        self._lifted_m = start.stand_height_m + _LIFTED_M
        self._reaction_s, self._dwell_s = (rng.uniform(*ranges.reaction_s),
                                           rng.uniform(*ranges.grasp_dwell_s))
        self._pull_n = rng.uniform(*ranges.pull_n)
        self._speed_m_s, self._turn_rad_s = rng.uniform(0.3, 0.5), rng.uniform(1.6, 2.4)
        self.step = Step.REST
        self._ticks = 0
        self._since_s = 0.0
        self._width_m = OPEN_M
        self._velocity = np.zeros(3)
        self._last_s: float | None = None
        self._object: Array
        self._object_slowly: Array
        self._target: Array
        self._yaw: float

    @property
    def done(self) -> bool:
        """Tell whether the demonstration is over."""
        return self.step is Step.DONE

    def act(self, now_s: float, values: Mapping[str, Array]) -> Array:
        """Return the action (action_dim,) for the newest values (dim,) of each observation."""
        tool = values[TOOL_KEY]
        if self._last_s is None:
            self._last_s = now_s
            self._target, self._yaw = position_of(tool).copy(), yaw_of(tool)
            self._away_m = self._target
            self._object = self._object_slowly = values[OBJECT_KEY]
        self._object = believed(self._object, values[OBJECT_KEY], _SEEN)
        self._object_slowly = believed(self._object_slowly, values[OBJECT_KEY], _SLOW)
        dt_s, self._last_s = now_s - self._last_s, now_s
        goal, yaw = self._goal()
        speed = _PULL_M_S if self.step is Step.PULL else self._speed_m_s
        self._velocity = steered(self._velocity, goal - self._target, speed, dt_s)
        self._target = self._target + self._velocity * dt_s
        self._yaw = turned(self._yaw, yaw, self._turn_rad_s, dt_s)
        self._advance(dt_s, values, goal, yaw)
        opened = self.step in (Step.REST, Step.REACH, Step.WAIT, Step.ALIGN, Step.ADVANCE)
        pose = pose_from_parts(self._target, rotation_about_z(self._yaw) @ DOWN)
        return np.concatenate([pose if signal.kind == 'pose' else
                               np.array([OPEN_M if opened else CLOSED_M])
                               for signal in self._interface.actions])

    def _end(self) -> Array:
        """Return the place (3,) of the offered end, by the teacher's belief."""
        return position_of(self._object) + rotation_of(self._object) @ self._present_m

    def _goal(self) -> tuple[Array, float]:
        """Return the goal (3,) of the tool centre point, and the yaw of the gripper."""
        if self.step is Step.REACH:
            return self._meet_m, self._meet_yaw
        if self.step in (Step.ALIGN, Step.ADVANCE):
            axis = self._facing * rotation_of(self._object)[:, 0]
            before_m = _BEFORE_M if self.step is Step.ALIGN else 0.0
            return self._end() - before_m * axis, float(np.arctan2(axis[1], axis[0]))
        if self.step in (Step.PULL, Step.AWAY, Step.DONE):
            return self._away_m, self._yaw
        return self._target, self._yaw

    def _advance(self, dt_s: float, values: Mapping[str, Array], goal: Array, yaw: float) -> None:
        """Begin the next step when this one has reached its end."""
        self._ticks += 1
        tool = values[TOOL_KEY]
        off_m = float(np.linalg.norm(goal - position_of(tool)))
        off_rad = abs(wrapped(yaw - yaw_of(tool)))
        following = self.step
        if self.step is Step.REST and self._held(dt_s, self._object[2] > self._lifted_m,
                                                 self._reaction_s):
            following = Step.REACH
        elif self.step is Step.REACH and off_m < 0.02 and off_rad < 0.1:
            following = Step.WAIT
        elif self.step is Step.WAIT and self._held(dt_s, self._shown(tool), self._dwell_s):
            following = Step.ALIGN
        elif self.step is Step.ALIGN and off_m < 0.015 and off_rad < 0.1:
            following = Step.ADVANCE
        elif self.step is Step.ADVANCE and off_m < 0.012 and off_rad < 0.1:
            following = Step.CLOSE
        elif self.step is Step.CLOSE and self._ticks >= CLOSE_TICKS and (
                abs(values['gripper_width'][0] - self._width_m) < GRIPPED_M):
            following = Step.PULL
            self._away_m = self._target - _PULL_M * self._ahead(tool)
        elif self.step is Step.PULL:
            if float(np.hypot(*values['wrist_force'][:2])) > self._pull_n:
                self._away_m = self._target
            if self._held(dt_s, values[PARTNER_WIDTH_KEY][0] > _LET_GO_M, 0.15):
                following = Step.AWAY
                self._away_m = (self._target + _AWAY_M[0] * self._ahead(tool)
                                + np.array([0.0, 0.0, _AWAY_M[2]]))
        elif self.step is Step.AWAY and (off_m < 0.03 or self._ticks >= _AWAY_TICKS):
            following = Step.DONE
        self._width_m = float(values['gripper_width'][0])
        if following is not self.step:
            self.step, self._ticks, self._since_s = following, 0, 0.0

    def _held(self, dt_s: float, flag: bool, for_s: float) -> bool:
        """Tell whether a flag has held for so long."""
        self._since_s = self._since_s + dt_s if flag else 0.0
        return self._since_s > for_s

    def _shown(self, tool: Array) -> bool:
        """Tell whether the offered end is held out, still, before the gripper."""
        apart = self._end() - position_of(tool)
        still_m = float(np.linalg.norm(self._object[:3] - self._object_slowly[:3]))
        return bool(np.hypot(apart[0], apart[1]) < _SHOWN_M and abs(apart[2]) < _SHOWN_Z_M
                    and still_m < _STILL_M)

    @staticmethod
    def _ahead(tool: Array) -> Array:
        """Return the direction (3,) ahead of the gripper, level."""
        ahead = rotation_of(tool)[:, 0] * (1.0, 1.0, 0.0)
        return np.asarray(ahead / np.linalg.norm(ahead))


class TaughtSide:
    """The side of the receiving arm under its teacher; implements `Partner`.

    `listen` gets its samples and commands, as that of `demonstrate` gets those of the giver.
    """

    def __init__(self, world: World, teacher: ReceivingTeacher, contract: Contract,
                 listen: Listener) -> None:
        assert world.receiving is not None
        self._world, self._side, self._teacher = world, world.receiving, teacher
        self._contract, self._listen = contract, listen
        self._every = round(world.physics_hz / contract.policy.rate_hz)
        self._newest: dict[str, Array] = {}

    @property
    def done(self) -> bool:
        """Tell whether its part of the demonstration is over."""
        return self._teacher.done

    def tick(self, step: int) -> None:
        """Take the samples of a physics step, and command where a tick of its policy is due."""
        for key, sample in self._side.poll():
            self._newest[key] = sample.values
            self._listen(key, sample.values, sample.stamp_ns, sample.receive_ns)
        if step % self._every or not self._newest.keys() >= set(_WATCHED):
            return
        now_ns = self._world.time_ns
        action = self._teacher.act(now_ns * 1e-9, self._newest)
        self._side.command(action)
        for key, part in self._contract.interface.action_slices.items():
            self._listen(key, action[part], now_ns, now_ns)


def require_receivable(interface: Interface) -> None:
    """Raise `ScenarioError` naming what the teacher of the receiving arm lacks in a contract."""
    lacking = [key for key in _WATCHED if key not in interface.observation_slices]
    if lacking:
        raise ScenarioError(f'expected observations {", ".join(_WATCHED)} for the scripted '
                            f'teacher of the arm that receives, got no {" and no ".join(lacking)};'
                            f' add them to its contract')
    kinds = sorted(signal.kind for signal in interface.actions)
    if kinds != ['gripper_width', 'pose']:
        raise ScenarioError(f'expected a pose and a gripper_width as the actions of the scripted '
                            f'teacher of the arm that receives, got {", ".join(kinds)}; correct '
                            f'its contract')
