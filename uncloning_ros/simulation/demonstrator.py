# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripted teacher: hands over in a requested mode, with the variation of a person.

It acts on the newest sample of every observation, as a policy does, without the simulator's
truth. Speed, path, hesitation and small corrections differ from seed to seed.
"""

import math
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Protocol

import numpy as np

from uncloning_ros.contract import HAND_KEY, OBJECT_KEY, TOOL_KEY, Contract, Interface, Signal
from uncloning_ros.conversions import Sample
from uncloning_ros.errors import ScenarioError, near_miss
from uncloning_ros.geometry import (
    Array,
    pose_from_parts,
    position_of,
    rotation_about_z,
    rotation_of,
)
from uncloning_ros.judging.commitment import GRASP_M
from uncloning_ros.scenario import Scenario
from uncloning_ros.simulation import panda
from uncloning_ros.simulation.capabilities import PARTNER_WIDTH_KEY
from uncloning_ros.simulation.driver import Listener
from uncloning_ros.simulation.misses import missed_grasp, missed_offers
from uncloning_ros.simulation.world import World

AFTERWARDS_S = 0.3  # time (s) recorded after the handover, so that a policy learns to rest

_WATCHED = (TOOL_KEY, OBJECT_KEY, HAND_KEY, 'gripper_width', 'wrist_force')
OPEN_M, CLOSED_M = 0.08, 0.0
_HOVER_M = 0.09  # height (m) over the grasp before the descent
_STANDOFF_M = 0.08  # distance (m) from the palm before the tool is brought in
# A hand nearer than this (m), above the table and still, is offered.
_HAND_OFFERED_X_M, _HAND_OFFERED_Z_M = 0.95, 0.05
_GRIPPER_OFFERED_X_M = 0.85  # the same of an arm's gripper
_GRIPS_M = 0.03  # width (m) of a receiving gripper that is closed around the tool
_STILL_M = 0.02  # distance (m) between the quick and the slow belief of a hand that is still
_SEEN, _SLOW = 0.4, 0.15  # share of a new sample in the quick and in the slow belief
CLOSE_TICKS = 4
GRIPPED_M = 0.0005  # motion (m) of the fingers in a tick, below which they hold something
_RELEASE_N = 3.5  # pull (N) against the fingers that asks for the tool
_PULL_NEAR_M = 0.09  # distance (m) from palm to offered end below which a pull is the person's
_RETREAT_M = 0.16
_RETREAT_TICKS = 40  # longest retreat: the arm may not reach its end
_ARRIVED_M = 0.02
# Pushes: their length (m) near the hand, and the share of it near the tool; duration (s) of each,
# and of the time between two.
_PUSH_M, _PUSH_NEAR_TOOL, _PUSH_S = (0.03, 0.10), 0.4, (0.4, 1.2)
_PUSH_PAST = 0.3  # share of those that go past the hand
_PUSH_RATE_1_S = 5.0  # at which they set in
_PUSH_STREAM = 0x9054
# A tool may be held by fingers closer together (m) than this, with its origin this near (m); if it
# is not, the teacher notices it after the lift.
_HOLDS_M, _IN_HAND_M = 0.06, 0.15
_LEFT_BEHIND_M = 0.08  # distance (m) from grasp to fingers at which the grasp is made again
# A tool that is held as another mode holds it is put down on the table, where no stand is and with
# its edge away from the person, and taken again: place (m) and yaw (rad) of the tool, height (m)
# over the table on the way there and of its fall, and way (m) up, which is shorter than a release.
_ASIDE_M, _ASIDE_YAW_RAD = (0.40, 0.34), math.radians(115.0)
_OVER_TABLE_M, _FALL_M, _UP_M = 0.16, 0.004, 0.05
_LOWERED_TICKS = 40  # longest way down: the table may be met before
_LOWEST_M = 0.02  # least height (m) of the fingers over the table
_ROOM_M = 0.025  # room (m) beside a finger; with less of it the aim is more careful
_GAIN_1_S = 4.0
_ACCELERATION_M_S2 = 2.0
_LONGEST_TICK_S = 0.1  # after a pause the motion goes on from its last place, without a leap
_TURN_GAIN_1_S = 4.0
_JOINT_STEP_S = 0.05  # longest step (s) of joints that follow the target pose: one Newton step
_JOINT_SPEED_SHARE = 0.75  # share of the joint speed limit that the teacher uses
DOWN = np.diag([1.0, -1.0, -1.0])  # the gripper points straight down


class Step(Enum):
    """Step of a demonstration."""

    ASIDE = 'aside'
    LOWER = 'lower'
    LET_GO = 'let_go'
    RISE = 'rise'
    APPROACH = 'approach'
    DESCEND = 'descend'
    CLOSE = 'close'
    LIFT = 'lift'
    WAIT = 'wait'
    BRING = 'bring'
    OFFER = 'offer'
    RELEASE = 'release'
    RETREAT = 'retreat'
    DONE = 'done'


_PUSHED_IN = (Step.APPROACH, Step.BRING, Step.OFFER)


class _Pushes:
    """Push the arm off its way to tool and hand, now and then; nothing if the scenario has none.

    The commands that are recorded stay the teacher's.
    """

    def __init__(self, scenario: Scenario, contract: Contract, seed: int) -> None:
        slices = contract.interface.action_slices
        # Joints are not pushed: a contract that commands them has no target pose.
        self._places = [slice(slices[signal.key].start, slices[signal.key].start + 3)
                        for signal in contract.interface.actions if signal.kind == 'pose']
        self._share = scenario.teacher.pushes
        self._rng = np.random.default_rng(np.random.SeedSequence((seed, _PUSH_STREAM)))
        self._offset_m, self._goal_m = np.zeros(3), np.zeros(3)
        self._until_s, self._last_s = 0.0, 0.0

    def pushed(self, now_s: float, action: Array, teacher: 'Demonstrator') -> Array:
        """Return the action (action_dim,) that the arm gets in place of the teacher's."""
        if self._share == 0.0:
            return action
        dt_s, self._last_s = now_s - self._last_s, now_s
        if now_s >= self._until_s:
            self._draw(now_s, teacher.step, rotation_of(teacher.hand))
        if teacher.step not in _PUSHED_IN or teacher.feels_a_pull:
            self._goal_m, self._until_s = np.zeros(3), now_s
        self._offset_m = self._offset_m + (1 - math.exp(-_PUSH_RATE_1_S * dt_s)) * (
            self._goal_m - self._offset_m)
        changed = action.copy()
        for place in self._places:
            changed[place] += self._offset_m
        return changed

    def _draw(self, now_s: float, step: 'Step', hand: Array) -> None:
        rng = self._rng
        pushed, side, up, out = rng.uniform() < self._share, *rng.normal(size=3)
        length_m, past = rng.uniform(*_PUSH_M), rng.uniform() < _PUSH_PAST
        self._until_s = now_s + rng.uniform(*_PUSH_S)
        self._goal_m = np.zeros(3)
        if not pushed:
            return
        if step is Step.APPROACH:
            direction = np.array([side, out, abs(up)])
            self._goal_m = _PUSH_NEAR_TOOL * length_m * direction / np.linalg.norm(direction)
            return
        # Past the hand only beside it, so that no edge is pushed into it.
        across = np.array([0.0, side, max(up, -0.5 * abs(side))]) / math.hypot(side, up)
        along = -rng.uniform(0.3, 1.0) if past else abs(out)
        direction = np.array([along, 0.0, 0.0]) + across * (1.0 if past or out < 0 else 0.4)
        self._goal_m = length_m * hand @ direction / np.linalg.norm(direction)


class Demonstrator:
    """Act at the policy's rate from the newest values of every observation.

    `seen` are the observations that it has beside those of the interface. Raise `ScenarioError`
    for an unknown mode and if it lacks observations that it acts on.
    """

    def __init__(self, scenario: Scenario, interface: Interface, mode: str, seed: int,
                 seen: Collection[str] = ()) -> None:
        if mode not in scenario.modes:
            raise ScenarioError(f'unknown mode {mode!r} of scenario {scenario.name!r}'
                                f'{near_miss(mode, scenario.modes)}')
        require_teachable(interface, seen, scenario)
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0xD)))
        rule = scenario.modes[mode]
        room_m = (OPEN_M - scenario.tool.parts[rule.robot_grasps].size_m[1]) / 2
        care = min(1.0, room_m / _ROOM_M)
        self._held_x_m = rule.grasp_x_m
        self._half_height_m = -min(part.center_m[2] - part.size_m[2] / 2
                                   for part in scenario.tool.parts.values())
        self._put_down = False
        # Direction of the tool's +x: towards the hand, or away from it.
        self._facing = -1.0 if rule.handle_first else 1.0
        self._carry_m = np.array(rule.carry_m)
        self._hidden = scenario.receiver.hidden
        self._present_m = np.array([rule.present_x_m, 0.0, 0.0])
        self._interface = interface
        self._joints = _measured_joints(interface)
        self._arm: panda.CartesianController | None = None
        # The manner of one person's motion: drawn once for each demonstration.
        self._speed_m_s, self._turn_rad_s = rng.uniform(0.35, 0.6), rng.uniform(1.6, 2.4)
        # Sideways and up, as shares of the distance left.
        self._bow = rng.uniform((-0.25, 0.0), (0.25, 0.25))
        self._grasp_x_m = rng.uniform(*rule.grasp_x_m)
        # The error of the first aim, before the small correction.
        self._first_miss_m = care * rng.normal(0.0, 0.008, size=3) * (1, 1, 0.5)
        self._hesitates_in = (Step.APPROACH, Step.BRING, None, None)[rng.integers(4)]
        self._hesitation_s = rng.uniform(0.2, 0.5)
        # The angle by which the tool is offered from the side.
        self._offer_turn_rad = rng.uniform(*rule.turn_rad)
        self._misses = missed_offers(scenario, rule, self._offer_turn_rad, seed)
        self._empty = missed_grasp(scenario, seed)
        self._offered_s: float | None = None
        self.step = Step.APPROACH
        self._ticks = 0
        self._width_m = OPEN_M
        self._felt = 0
        self._reaction_s = scenario.teacher.reaction_s
        # An arm comes to the tool that is held out; a person waits for it.
        self._is_met = scenario.receiver_arm is not None
        self._above: Array  # end of the rise
        self._object: Array
        self._hand: Array
        self._hand_slowly: Array
        self._target: Array
        self._yaw: float
        self._velocity = np.zeros(3)
        self._grasp: Array | None = None
        self._last_s: float | None = None
        self._corrected = False

    @property
    def done(self) -> bool:
        """Tell whether the demonstration is over."""
        return self.step is Step.DONE

    @property
    def hand(self) -> Array:
        """Return the pose (9,) of the hand, by the teacher's belief."""
        return self._hand

    @property
    def shows(self) -> bool:
        """Tell whether what it does is to be imitated: a grasp that misses is not."""
        return self._empty is None or self.step is Step.LIFT

    def right(self, action: Array) -> Array:
        """Return the part of an action that is imitated (action_dim,): empty fingers open."""
        if self._empty is None:
            return action
        right = action.copy()
        for signal in self._interface.actions:
            if signal.kind == 'gripper_width':
                right[self._interface.action_slices[signal.key]] = OPEN_M
        return right

    @property
    def feels_a_pull(self) -> bool:
        """Tell whether the person seems to pull at the tool."""
        return self._felt > 0

    def know(self, drawn: Mapping[str, float]) -> None:
        """Know the side on which the hand will take the tool, where the scenario hides it."""
        if self._hidden is not None:
            self._carry_m[1] = math.copysign(self._hidden.wait_y_m, drawn['hand_y_m'])

    def take_over(self, values: Mapping[str, Array]) -> None:
        """Go on, before the first action, where another hand has brought arm and tool.

        A tool between closed fingers stays there, and the teacher goes on with the lift; one that
        is held where another mode holds it is put down, and taken again.
        """
        self._empty = None
        apart_m = position_of(values[TOOL_KEY]) - position_of(values[OBJECT_KEY])
        if values['gripper_width'][0] < _HOLDS_M and np.linalg.norm(apart_m) < _IN_HAND_M:
            along_m = float(rotation_of(values[OBJECT_KEY])[:, 0] @ apart_m)
            low_m, high_m = self._held_x_m
            self.step = (Step.LIFT if low_m - GRASP_M <= along_m <= high_m + GRASP_M
                         else Step.ASIDE)

    def act(self, now_s: float, values: Mapping[str, Array]) -> Array:
        """Return the action (action_dim,) for the newest values (dim,) of each observation."""
        tool, palm = values[TOOL_KEY], values[HAND_KEY]
        if self._last_s is None:
            self._last_s = now_s
            self._target, self._yaw = position_of(tool).copy(), yaw_of(tool)
            self._object, self._hand, self._hand_slowly = values[OBJECT_KEY], palm, palm
        else:
            self._object = believed(self._object, values[OBJECT_KEY], _SEEN)
            self._hand = believed(self._hand, palm, _SEEN)
            self._hand_slowly = believed(self._hand_slowly, palm, _SLOW)
        dt_s = min(max(now_s - self._last_s, 0.0), _LONGEST_TICK_S)
        self._last_s = now_s
        goal, yaw = self._goal(tool)
        self._move(dt_s, goal, yaw)
        self._advance(dt_s, tool, values, goal, yaw)
        return self._action(dt_s, values)

    def _goal(self, tool: Array) -> tuple[Array, float]:
        """Return the goal (3,) of the tool centre point, and the yaw of the gripper."""
        axis = self._facing * rotation_of(self._object)[:, 0]
        grasp_yaw = float(np.arctan2(axis[1], axis[0]))
        palm_x = rotation_of(self._hand)[:, 0]
        offer_yaw = float(np.arctan2(-palm_x[1], -palm_x[0])) + self._offer_turn_rad
        grasp = self._grasp_point()
        aim = grasp if self._corrected else grasp + self._first_miss_m
        if self.step in (Step.ASIDE, Step.LOWER):
            return self._aside(tool)
        if self.step is Step.RISE:
            return self._above, 0.0  # by way of it, since the wrist does not turn on and on
        if self.step is Step.APPROACH:
            return aim + (0, 0, _HOVER_M), grasp_yaw
        if self.step is Step.DESCEND:
            return aim, grasp_yaw
        if self.step in (Step.CLOSE, Step.RELEASE, Step.LET_GO) or (
                self.step is Step.OFFER and self._is_met):
            return self._target, self._yaw
        if self.step is Step.LIFT:
            if self._put_down and self._target[2] < _OVER_TABLE_M / 2:
                return self._target + (0, 0, _OVER_TABLE_M), self._yaw
            return self._carry_m, offer_yaw
        if self.step is Step.WAIT:
            return self._carry_m + (0, 0.3 * self._hand[1], 0), offer_yaw
        if self.step in (Step.BRING, Step.OFFER):
            return self._offer(palm_x), offer_yaw
        return self._retreat, self._yaw

    def _aside(self, tool: Array) -> tuple[Array, float]:
        """Return the tool centre point (3,) and yaw with the held tool over its place aside."""
        axis = rotation_of(self._object)[:, 0]
        yaw = yaw_of(tool) + wrapped(_ASIDE_YAW_RAD - float(np.arctan2(axis[1], axis[0])))
        held = rotation_of(tool).T @ (position_of(self._object) - position_of(tool))
        height_m = _OVER_TABLE_M if self.step is Step.ASIDE else _FALL_M
        place = np.array([*_ASIDE_M, self._half_height_m + height_m])
        point = place - rotation_about_z(yaw) @ DOWN @ held
        return np.array([*point[:2], max(point[2], _LOWEST_M)]), wrapped(yaw)

    def _grasp_point(self) -> Array:
        """Return the place (3,) of the grasp on the tool, by the teacher's belief."""
        miss_m = 0.0 if self._empty is None else self._empty.offset_m
        point = position_of(self._object) + rotation_of(self._object) @ (
            np.array([self._grasp_x_m, 0.0, 0.0]) + miss_m)
        if self._put_down:
            point[2] = max(point[2], _LOWEST_M)
        return np.asarray(point)

    def _offer(self, palm_x: Array) -> Array:
        """Return the tool centre point (3,) that brings the offered end to the palm."""
        assert self._grasp is not None
        # The held tool in the gripper's frame, then the offered end relative to the gripper.
        end = rotation_about_z(self._yaw) @ DOWN @ (
            self._grasp[:3] + rotation_of(self._grasp) @ self._present_m)
        standoff = _STANDOFF_M if self.step is Step.BRING else 0.0
        aside = rotation_of(self._hand) @ self._misses[0].offset_m if self._misses else 0.0
        return position_of(self._hand) + standoff * palm_x + aside - end

    def _move(self, dt_s: float, goal: Array, yaw: float) -> None:
        """Move the target towards the goal with this person's speed and path."""
        speed = self._speed_m_s
        if (self.step is self._hesitates_in
                and 0.3 < self._ticks * dt_s < 0.3 + self._hesitation_s):
            speed *= 0.15
        gap = goal - self._target
        far = float(np.linalg.norm(gap))
        if self.step in (Step.APPROACH, Step.BRING) and far > 1e-6:
            sideways = np.array([-gap[1], gap[0], 0.0])
            gap = gap + self._bow[0] * sideways + self._bow[1] * far * np.array([0, 0, 1.0])
        self._velocity = steered(self._velocity, gap, speed, dt_s)
        self._target = self._target + self._velocity * dt_s
        self._yaw = turned(self._yaw, yaw, self._turn_rad_s, dt_s)

    def _advance(self, dt_s: float, tool: Array, values: Mapping[str, Array], goal: Array,
                 yaw: float) -> None:
        """Begin the next step when this one has reached its end."""
        self._ticks += 1
        off_m = float(np.linalg.norm(goal - position_of(tool)))
        off_rad = abs(wrapped(yaw - yaw_of(tool)))
        following = self.step
        if self.step is Step.ASIDE and off_m < 0.03 and off_rad < 0.12:
            following = Step.LOWER
        elif self.step is Step.LOWER and (off_m < 0.008 or self._ticks >= _LOWERED_TICKS):
            following, self._put_down = Step.LET_GO, True
        elif self.step is Step.LET_GO and values['gripper_width'][0] > 0.065:
            following, self._above = Step.RISE, self._target + (0, 0, _UP_M)
        elif self.step is Step.RISE and off_m < 0.02 and off_rad < 0.6:
            following = Step.APPROACH
        elif self.step is Step.APPROACH and off_m < 0.03 and off_rad < 0.12:
            following = Step.DESCEND
        elif self.step is Step.DESCEND and off_m < 0.012:
            if not self._corrected:
                self._corrected = True
            elif off_m < 0.006 and off_rad < 0.06:
                following = Step.CLOSE
        elif self.step is Step.CLOSE and self._ticks >= CLOSE_TICKS and (
                abs(values['gripper_width'][0] - self._width_m) < GRIPPED_M):
            following = Step.LIFT
        elif self.step is Step.LIFT and self._empty is not None:
            if self._ticks * dt_s > self._empty.noticed_s:
                self._empty, following = None, Step.APPROACH
        elif self.step is Step.LIFT and off_m < 0.10 and off_rad < 0.6:
            following = Step.WAIT
        elif self.step is Step.WAIT and self._left_behind(tool):
            following = Step.APPROACH
        elif self.step is Step.WAIT and self._hand_offered() and off_rad < 0.3:
            following = Step.BRING
        elif self.step is Step.BRING and off_m < 0.03 and off_rad < 0.15:
            following = Step.OFFER
        elif self.step is Step.OFFER and self._misses and self._noticed(off_m):
            if self._misses.pop(0).from_afar:
                following = Step.BRING
            self._offered_s = None
        elif self.step is Step.RELEASE and values['gripper_width'][0] > 0.065:
            self._retreat = self._target + _RETREAT_M * rotation_of(self._hand)[:, 0] + (
                0, 0, 0.05)
            following = Step.RETREAT
        elif self.step is Step.RETREAT and (off_m < 0.03 or self._ticks >= _RETREAT_TICKS):
            following = Step.DONE
        self._width_m = float(values['gripper_width'][0])
        if self.step in (Step.LIFT, Step.WAIT, Step.BRING) and self._empty is None:
            held = rotation_of(tool).T @ (position_of(self._object) - position_of(tool))
            turned = rotation_of(tool).T @ rotation_of(self._object)
            grasp = pose_from_parts(held, turned)
            self._grasp = grasp if self._grasp is None else believed(self._grasp, grasp, 0.15)
        if self.step in (Step.WAIT, Step.BRING, Step.OFFER) and self._pulled(dt_s, values):
            following = Step.RELEASE
        if following is not self.step:
            self.step, self._ticks, self._offered_s = following, 0, None

    def _noticed(self, off_m: float) -> bool:
        """Tell whether the tool has been where it misses the hand for long enough."""
        assert self._last_s is not None
        if self._offered_s is None and off_m < _ARRIVED_M:
            self._offered_s = self._last_s
        return (self._offered_s is not None
                and self._last_s - self._offered_s >= self._misses[0].noticed_s)

    def _pulled(self, dt_s: float, values: Mapping[str, Array]) -> bool:
        """Tell whether the person has pulled for long enough: a force, the hand at the tool."""
        end = position_of(self._object) + rotation_of(self._object) @ self._present_m
        near = float(np.linalg.norm(end - position_of(self._hand))) < _PULL_NEAR_M
        if self._is_met:
            near = near and values[PARTNER_WIDTH_KEY][0] < _GRIPS_M
        pulled = float(np.hypot(*values['wrist_force'][:2])) > _RELEASE_N
        self._felt = self._felt + 1 if near and pulled else 0
        return (self._felt + 0.5) * dt_s > self._reaction_s  # rounded to ticks

    def _left_behind(self, tool: Array) -> bool:
        off_m = np.linalg.norm(self._grasp_point() - position_of(tool))
        return bool(off_m > _LEFT_BEHIND_M)

    def _hand_offered(self) -> bool:
        lag_m = float(np.linalg.norm(self._hand[:3] - self._hand_slowly[:3]))
        most_m = _GRIPPER_OFFERED_X_M if self._is_met else _HAND_OFFERED_X_M
        offered = self._hand[0] < most_m and self._hand[2] > _HAND_OFFERED_Z_M
        return bool(offered) and lag_m < _STILL_M

    def _action(self, dt_s: float, values: Mapping[str, Array]) -> Array:
        open_steps = (Step.LET_GO, Step.RISE, Step.APPROACH, Step.DESCEND, Step.RELEASE,
                      Step.RETREAT, Step.DONE)
        pose = pose_from_parts(self._target, rotation_about_z(self._yaw) @ DOWN)
        parts = []
        for signal in self._interface.actions:
            if signal.kind == 'pose':
                parts.append(pose)
            elif signal.kind == 'joint_positions':
                parts.append(self._follow(dt_s, pose, values)[panda.joint_order(signal.names)])
            else:
                parts.append(np.array([OPEN_M if self.step in open_steps else CLOSED_M]))
        return np.concatenate(parts)

    def _follow(self, dt_s: float, pose: Array, values: Mapping[str, Array]) -> Array:
        """Return the target joints (7,), in the arm's order, `dt_s` later on the way to `pose`."""
        if self._arm is None:
            assert self._joints is not None
            measured = panda.in_arm_order(self._joints.names, values[self._joints.key])
            self._arm = panda.CartesianController(measured, _JOINT_SPEED_SHARE)
        self._arm.command(pose)
        steps = math.ceil(dt_s / _JOINT_STEP_S)
        for _ in range(steps):
            self._arm.step(dt_s / steps)
        return self._arm.joints


class Partner(Protocol):
    """A teacher of the arm that receives, with its side of the world."""

    @property
    def done(self) -> bool:
        """Tell whether its part of the demonstration is over."""

    def tick(self, step: int) -> None:
        """Take the samples of a physics step, and command where a tick of its policy is due."""


def demonstrate(world: World, teacher: Demonstrator, contract: Contract, seed: int,
                listen: Listener, partner: Callable[[World], Partner] | None = None,
                begin: Callable[[World], Mapping[str, Sample]] | None = None) -> bool:
    """Reset `world` to `seed`, let `teacher` hand over, tell whether the handover completed.

    `listen` gets every delivered sample and every command in the order of their arrival, in
    simulated time, once the teacher shows what is to be imitated. Ends at the contract's
    `max_episode_s` at the latest. `partner` makes the teacher of an arm that receives. `begin` may
    drive the world before: then the teacher takes the arm over, with the newest samples.
    """
    world.reset(seed)
    teacher.know(world.drawn)
    newest: dict[str, Array] = {}
    if begin is not None:
        newest |= {key: sample.values for key, sample in begin(world).items()}
        teacher.take_over({**newest, **world.seen_by_teacher()})
    other = None if partner is None else partner(world)
    steps_per_tick = round(world.physics_hz / contract.policy.rate_hz)
    most_steps = round(contract.deployment.episode_end.max_episode_s * world.physics_hz)
    keys = {*_WATCHED, *(signal.key for signal in contract.interface.observations)}
    pushes = _Pushes(world.scenario, contract, seed)
    done_steps, shown = 0, False
    for step in range(most_steps):
        shown = shown or teacher.shows
        for key, sample in world.poll():
            newest[key] = sample.values
            if shown:
                listen(key, sample.values, sample.stamp_ns, sample.receive_ns)
        if step % steps_per_tick == 0 and keys <= newest.keys() | world.seen_by_teacher().keys():
            now_ns = world.time_ns
            action = teacher.act(now_ns * 1e-9, {**newest, **world.seen_by_teacher()})
            world.command(pushes.pushed(now_ns * 1e-9, action, teacher))
            for key, part in contract.interface.action_slices.items() if shown else ():
                listen(key, teacher.right(action)[part], now_ns, now_ns)
        if other is not None:
            other.tick(step)
        done_steps += teacher.done and (other is None or other.done)
        if done_steps > AFTERWARDS_S * world.physics_hz or world.dropped:
            break
        world.advance()
    return world.completed and teacher.done and (other is None or other.done)


def require_teachable(interface: Interface, seen: Collection[str] = (),
                      scenario: Scenario | None = None) -> None:
    """Raise `ScenarioError` naming the observations that the scripted teacher lacks.

    `seen` are those that it has beside those of the interface. With a second arm in the scenario
    it acts on the width of that arm's gripper too.
    """
    watched = _WATCHED if scenario is None or scenario.receiver_arm is None else (
        *_WATCHED, PARTNER_WIDTH_KEY)
    lacking = [key for key in watched
               if key not in interface.observation_slices and key not in seen]
    if lacking:
        raise ScenarioError(f'expected observations {", ".join(watched)} for the scripted '
                            f'teacher, got no {" and no ".join(lacking)}; add them to the '
                            f'contract')
    if (any(signal.kind == 'joint_positions' for signal in interface.actions)
            and _measured_joints(interface) is None):
        raise ScenarioError(f'expected an observation of the joint_positions of '
                            f'{panda.JOINT_NAMES[0]} to {panda.JOINT_NAMES[-1]} for a teacher '
                            f'that commands joints, got none; add it to the contract')


def _measured_joints(interface: Interface) -> Signal | None:
    """Return the observation of all of the arm's joints, None if there is none."""
    return next((signal for signal in interface.observations if signal.kind == 'joint_positions'
                 and set(signal.names) == set(panda.JOINT_NAMES)), None)


def steered(velocity: Array, gap: Array, speed_m_s: float, dt_s: float) -> Array:
    """Return the velocity (3,) `dt_s` later of a target on its way over a gap (3,), at a speed."""
    wanted = _GAIN_1_S * gap
    wanted *= min(1.0, speed_m_s / max(float(np.linalg.norm(wanted)), 1e-9))
    change = wanted - velocity
    most = _ACCELERATION_M_S2 * dt_s
    return np.asarray(velocity + change * min(
        1.0, most / max(float(np.linalg.norm(change)), 1e-9)))


def turned(yaw: float, goal: float, turn_rad_s: float, dt_s: float) -> float:
    """Return the yaw in rad of a gripper `dt_s` later on its way to a goal, at a speed at most."""
    turn = np.clip(_TURN_GAIN_1_S * wrapped(goal - yaw), -turn_rad_s, turn_rad_s)
    return yaw + float(turn) * dt_s


def believed(before: Array, seen: Array, share: float) -> Array:
    """Return the running belief of a pose (9,), with `share` of the newest sample."""
    mixed = before + share * (seen - before)
    return pose_from_parts(mixed[:3], rotation_of(mixed))


def yaw_of(tool: Array) -> float:
    """Return the yaw in rad of a gripper that points down, of its pose (9,)."""
    x = rotation_of(tool)[:, 0]
    return float(np.arctan2(x[1], x[0]))


def wrapped(angle_rad: float) -> float:
    """Return an angle in [-pi, pi)."""
    return float((angle_rad + np.pi) % (2 * np.pi) - np.pi)
