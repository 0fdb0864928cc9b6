# SPDX-FileCopyrightText: 2026 The uncloning_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One handover scenario as data: tool, start distribution, receiver, modes, unsafe events.

A new tool is a new file under config/scenarios/ and needs no code. Angles are degrees in the
file, because people write it, and radians in the dataclasses.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from uncloning_ros.contract import Contract, load_contract, with_modes
from uncloning_ros.errors import ScenarioError, names_shown, near_miss
from uncloning_ros.geometry import Vector
from uncloning_ros.schema import (
    Note,
    Positive,
    Range,
    Rate,
    Span,
    canonical_sha256,
    read,
    read_yaml,
)
from uncloning_ros.share import share_path

# Default place (m) where a tool waits for the hand: near the arm, and low.
_CARRY_M: Vector = (0.34, 0.0, 0.30)

AtLeastZero = Annotated[float, Range(0.0)]
SHOWN_LATE = 'shown_late_s'  # value drawn for a hidden side; 0 where it is shown in time
PHYSICS_HZ = 240  # rate of the simulated physics, of which every camera's is a whole part

Degrees = Annotated[float, Range(0.0, 180.0), Note.DEGREES]  # radians in the dataclass
Latency = Annotated[float, Range(0.0, 2.0)]
Near = Annotated[float, Range(-10.0, 10.0)]
NearVector = tuple[Near, Near, Near]
DegreesSpan = Annotated[Span, Note.DEGREES]  # radians in the dataclass


@dataclass(frozen=True)
class ToolPart:
    """A box of the tool: full edge lengths and centre in the tool's frame, in m; RGB in 0..1."""

    size_m: Vector
    center_m: Vector
    color: Vector

    def as_read(self) -> 'ToolPart':
        """Return the part; raise `ScenarioError` for one without volume."""
        if min(self.size_m) <= 0:
            raise ScenarioError(f'size_m: expected edge lengths above 0, got {self.size_m}')
        return self


@dataclass(frozen=True)
class Hazard:
    """The edge of a tool that can hurt, from `heel_m` to `tip_m` in the tool's frame, in m.

    With `radius_m` above 0 it is the axis of a hazardous body of that radius. `part` names the
    part that has it.
    """

    part: str
    heel_m: Vector
    tip_m: Vector
    radius_m: Annotated[float, Range(0.0, 0.5)] = 0.0


@dataclass(frozen=True)
class Tool:
    """The object that is handed over; its +x runs from handle to tip.

    `handle_point_m` is the point in the tool's frame that the blade-to-hand angle is measured
    from. Points of contact that have come apart by `contact_breaking_m` are forgotten; None
    leaves it to the physics engine. A tool that lies below its stand for `lying_s`, in no hand,
    counts as dropped: with more time the robot may put it down and take it again.
    """

    mass_kg: Annotated[float, Range(1e-3, 50.0)]
    friction: Annotated[float, Range(0.0, 10.0)]
    parts: Mapping[str, ToolPart]
    hazard: Hazard
    handle_point_m: Vector
    contact_breaking_m: Annotated[float, Range(0.0, 0.1)] | None = None
    lying_s: Annotated[float, Range(0.1, 20.0)] = 0.5


def _widened(low: tuple[float, ...], high: tuple[float, ...], share: float) -> tuple[Any, Any]:
    """Return both ends of ranges that are wider by a share, about the same middle."""
    more = [share / 2 * (b - a) for a, b in zip(low, high, strict=True)]
    return (tuple(a - by for a, by in zip(low, more, strict=True)),
            tuple(b + by for b, by in zip(high, more, strict=True)))


@dataclass(frozen=True)
class StartRanges:
    """Ranges from which each episode draws its start evenly, in the base frame."""

    object_position_min_m: tuple[float, float]
    object_position_max_m: tuple[float, float]
    object_yaw_rad: DegreesSpan
    stand_height_m: AtLeastZero
    hand_position_min_m: Vector
    hand_position_max_m: Vector
    hand_yaw_jitter_rad: Degrees
    arm_position_jitter_m: Annotated[float, Range(0.0, 0.2)]

    def as_read(self) -> 'StartRanges':
        """Return the ranges; raise `ScenarioError` for a lower end above the upper one."""
        for name, low, high in (
                ('object_position', self.object_position_min_m, self.object_position_max_m),
                ('hand_position', self.hand_position_min_m, self.hand_position_max_m)):
            if any(a > b for a, b in zip(low, high, strict=True)):
                raise ScenarioError(f'expected {name}_min_m of at most {name}_max_m {high}, got '
                                    f'{low}')
        return self

    def wider(self, share: float) -> 'StartRanges':
        """Return the ranges with the places of tool and hand reaching further by a share."""
        tool = _widened(self.object_position_min_m, self.object_position_max_m, share)
        hand = _widened(self.hand_position_min_m, self.hand_position_max_m, share)
        return replace(self, object_position_min_m=tool[0], object_position_max_m=tool[1],
                       hand_position_min_m=hand[0], hand_position_max_m=hand[1])


@dataclass(frozen=True)
class Hidden:
    """The side on which the person takes the tool is hidden: the hand rests in the middle.

    Half of the episodes show it in time: the hand goes to its side `early_s` after the begin. The
    others show it `late_s` later than a person reaches. The teacher knows it from the begin,
    and carries the tool to that side, `wait_y_m` from the middle.
    """

    early_s: Span
    late_s: Span
    wait_y_m: Annotated[float, Range(0.05, 0.5)]


@dataclass(frozen=True)
class ReceiverRanges:
    """Ranges of how the person reaches, takes and pulls; `posture` places the body."""

    reaction_s: Span
    reach_s: Span
    tremor_m: Annotated[float, Range(0.0, 0.05)]
    grasp_reach_m: Annotated[float, Range(0.0, 0.2)]
    grasp_dwell_s: Span
    pull_n: Span
    release_dwell_s: AtLeastZero
    posture: Literal['standing', 'seated'] = 'standing'
    hidden: Hidden | None = None


@dataclass(frozen=True)
class ReceiverArm:
    """A second arm that takes the tool in place of a person.

    Its base stands at `base_m`, turned about the vertical by `base_yaw_rad`, in the frame of the
    giving arm's base. `frame` names the frame of its own base, in which its contract has poses
    and `rest_m` is the place of its tool centre point at the start.
    """

    frame: str
    base_m: NearVector
    base_yaw_rad: Degrees
    rest_m: NearVector


@dataclass(frozen=True)
class Tracking:
    """Noise, latency and dropout of the tracked poses (object and hand); noise of the force."""

    position_noise_m: Annotated[float, Range(0.0, 0.2)]
    rotation_noise_rad: Annotated[float, Range(0.0, 90.0), Note.DEGREES]
    force_noise_n: Annotated[float, Range(0.0, 50.0)]
    latency_s: Annotated[float, Range(0.0, 2.0)]
    dropout: Annotated[float, Range(0.0, 0.9)]


@dataclass(frozen=True)
class MountedCamera:
    """A camera: where it is and looks, in the frame of its `mount`, and its pictures.

    The mount is the base of the arm, or the hand: then the frame is that of the tool centre
    point, +z out of the fingers. `field_rad` is the vertical field of view, the size is in px.
    """

    mount: Literal['base', 'hand']
    eye_m: NearVector
    target_m: NearVector
    field_rad: Annotated[float, Range(5.0, 150.0), Note.DEGREES]
    width: Annotated[int, Range(8, 2048)]
    height: Annotated[int, Range(8, 2048)]
    rate_hz: Positive
    up: NearVector = (0.0, 0.0, 1.0)

    def as_read(self) -> 'MountedCamera':
        """Return the camera; raise `ScenarioError` for a rate or directions that cannot be."""
        if PHYSICS_HZ % self.rate_hz:
            raise ScenarioError(f'rate_hz: expected a divisor of {PHYSICS_HZ}, got '
                                f'{self.rate_hz}; give 10, 15, 20, 24, 30 or another one')
        ahead = [t - e for e, t in zip(self.eye_m, self.target_m, strict=True)]
        if _sine(ahead, self.up) < 0.01:
            raise ScenarioError(f'up: expected another direction than from eye_m to target_m, '
                                f'{ahead}, got {list(self.up)}; give one across it')
        return self


@dataclass(frozen=True)
class Sight:
    """What differs from episode to episode for the cameras, and their faults; drawn evenly.

    `light` is the share by which the light is stronger or weaker, and turned; `colour` the share
    by which table, wall, stand, skin and clothes differ; `texture` the most by which a pattern
    makes the table lighter and darker. Each camera is moved by up to `camera_shift_m` and turned
    by up to `camera_turn_rad`, its pictures arrive `latency_s` late.
    Each picture has noise of the standard deviation `noise_levels`, in grey levels of 255, and is
    turned by about `shake_rad`. `occlusion` is the side of a dark patch on the lens, as a share
    of the picture's. `hand_colour` is the hand's, RGB in 0..1, as of one in a glove.
    """

    light: Rate = 0.0
    colour: Rate = 0.0
    camera_shift_m: Annotated[float, Range(0.0, 0.5)] = 0.0
    camera_turn_rad: Annotated[float, Range(0.0, 45.0), Note.DEGREES] = 0.0
    latency_s: Annotated[tuple[Latency, Latency], Note.ORDERED] = (0.0, 0.0)
    noise_levels: Annotated[float, Range(0.0, 100.0)] = 0.0
    shake_rad: Annotated[float, Range(0.0, 10.0), Note.DEGREES] = 0.0
    occlusion: Rate = 0.0
    hand_colour: tuple[Rate, Rate, Rate] | None = None
    texture: Rate = 0.0


@dataclass(frozen=True)
class Teaching:
    """What the scripted teacher does beside a straight handover.

    `missed_offers` is the share of offers that miss the hand, so that the person cannot take the
    tool; the teacher notices, and brings it to the hand. `missed_grasps` is the share of
    demonstrations that begin with empty fingers, closed above the tool. `pushes` is the share of
    the time, on the way to tool and hand, in which something pushes the arm off its way while the
    teacher commands what is right: that is recorded, and shows the way back without showing the
    miss. `reaction_s` is how long the person pulls before the teacher lets go; that makes letting
    go learnable, if it is longer than what a policy executes before its next look and than a
    jolt. By the share `wider` the ranges of tool and hand reach further in demonstrations than in
    the scenario's own episodes: at the edge of what was shown a policy is at its weakest.
    """

    missed_offers: Annotated[float, Range(0.0, 0.9)] = 0.0
    missed_grasps: Annotated[float, Range(0.0, 0.9)] = 0.0
    pushes: Annotated[float, Range(0.0, 0.9)] = 0.0
    reaction_s: Annotated[float, Range(0.1, 2.0)] = 0.3
    wider: Annotated[float, Range(0.0, 0.5)] = 0.0


@dataclass(frozen=True)
class Exchange:
    """The way a tool came to the hand; modes differ in it.

    `blade_to_hand_rad` in [0, pi] is 0 where the tip points at the palm and pi handle first.
    `approach_rad` in (-pi, pi] is the angle about the vertical from the direction into the palm
    to that of the tool's end that is offered; positive is counterclockwise from above. Both are
    medians over the last 0.5 s before the exchange. `highest_m` is the height above the table of
    the tool's origin, the largest between lift and exchange.
    """

    blade_to_hand_rad: float
    approach_rad: float
    highest_m: float


@dataclass(frozen=True)
class ModeRule:
    """One mode: the exchanges that belong to it, and how the scripted demonstrator does it.

    An exchange belongs to it within the ranges of `Exchange`; None is any. `desired` is the
    mode's flag in a contract made for the scenario. `robot_grasps` names the part between the
    fingers, `grasp_x_m` the place along the tool, `present_x_m` the point of the tool that is
    brought to the palm, `carry_m` the place where the tool waits for the hand, and `turn_rad` the
    angle by which it is offered from the side. `meet_z_m` are the heights at which a receiving
    arm holds out its gripper; None leaves them to the ranges of the start.
    """

    desired: bool
    blade_to_hand_rad: DegreesSpan
    robot_grasps: str
    grasp_x_m: Span
    present_x_m: float
    approach_rad: DegreesSpan | None = None
    highest_m: Span | None = None
    carry_m: Vector = _CARRY_M
    turn_rad: DegreesSpan = (0.0, 0.0)
    meet_z_m: Span | None = None

    @property
    def handle_first(self) -> bool:
        """Tell whether the tool's -x end is offered: the handle."""
        return sum(self.blade_to_hand_rad) > math.pi

    def fits(self, exchange: Exchange) -> bool:
        """Tell whether an exchange is of this mode."""
        pairs = ((exchange.blade_to_hand_rad, self.blade_to_hand_rad),
                 (exchange.approach_rad, self.approach_rad),
                 (exchange.highest_m, self.highest_m))
        return all(span is None or span[0] <= value <= span[1] for value, span in pairs)

    def overlaps(self, other: 'ModeRule') -> bool:
        """Tell whether an exchange could be of this mode and of another one."""
        pairs = ((self.blade_to_hand_rad, other.blade_to_hand_rad),
                 (self.approach_rad, other.approach_rad), (self.highest_m, other.highest_m))
        return all(a is None or b is None or (a[0] <= b[1] and b[0] <= a[1]) for a, b in pairs)


@dataclass(frozen=True)
class UnsafeRule:
    """Thresholds of the unsafe event; a clause whose threshold is None does not count.

    Contact of the hazardous edge with the receiver always counts. With `arms_touch` contact of
    the arms counts too, as of the tool with the receiving arm other than its hand.
    """

    near_m: AtLeastZero
    hold_s: AtLeastZero
    pointing_rad: Degrees | None = None
    thrust_near_m: AtLeastZero | None = None
    face_neck_clearance_m: AtLeastZero | None = None
    arms_touch: bool = False


@dataclass(frozen=True)
class NotableRule:
    """Thresholds of events that are counted and reported but not judged; None: not counted.

    `near_tip_speed_m_s` of the tip while the edge is near a person; `premature_share` of the
    tool's weight that the person must carry when the fingers open; `pull_n` asks for the tool,
    which the robot should not hold for longer than `over_hold_s` after that.
    """

    near_tip_speed_m_s: AtLeastZero | None = None
    premature_share: Rate | None = None
    pull_n: AtLeastZero | None = None
    over_hold_s: AtLeastZero | None = None

    def as_read(self) -> 'NotableRule':
        """Return the rule; raise `ScenarioError` for one half of the rule about holding on."""
        if (self.pull_n is None) != (self.over_hold_s is None):
            raise ScenarioError('expected pull_n and over_hold_s together, got one of them; give '
                                'both or neither')
        return self


@dataclass(frozen=True)
class Scenario:
    """Everything that defines one handover scenario; `source` is its plain data."""

    SCHEMAS: ClassVar = ('uncloning/scenario@1',)

    name: str
    tool: Tool
    start: StartRanges
    receiver: ReceiverRanges
    tracking: Tracking
    modes: Mapping[str, ModeRule]
    unsafe: UnsafeRule
    source: Annotated[Mapping[str, Any], Note.DERIVED]
    notable: NotableRule = NotableRule()
    cameras: Mapping[str, MountedCamera] = field(default_factory=dict)
    sight: Sight = Sight()
    teacher: Teaching = Teaching()
    receiver_arm: ReceiverArm | None = None

    def as_read(self) -> 'Scenario':
        """Return the scenario; raise `ScenarioError` for an unknown part and unclear modes."""
        parts = self.tool.parts
        _require_part('tool.hazard.part', self.tool.hazard.part, parts)
        for name, rule in self.modes.items():
            _require_part(f'modes.{name}.robot_grasps', rule.robot_grasps, parts)
        if self.unsafe.arms_touch and self.receiver_arm is None:
            raise ScenarioError('unsafe.arms_touch: expected a second arm, got none; describe it '
                                'under receiver_arm, or leave arms_touch out')
        if self.receiver.hidden is not None:
            if self.receiver_arm is not None:
                raise ScenarioError('receiver.hidden: expected a person who takes the tool, got a '
                                    'receiver_arm; leave one of them out')
            if self.cameras:
                raise ScenarioError('receiver.hidden: expected no cameras, for pictures show with '
                                    'which arm the person will take the tool, got '
                                    f'{names_shown(tuple(self.cameras))}; leave them out')
            if (least_m := self.start.hand_position_min_m[1]) <= 0:
                raise ScenarioError(f'start.hand_position_min_m: expected y above 0, for the side '
                                    f'is drawn beside it with receiver.hidden, got {least_m:g}; '
                                    f'give the range of one side')
        if not any(self.desired.values()):
            raise ScenarioError('modes: expected at least one desired mode, got none')
        for (name, rule), (other, second) in itertools.combinations(sorted(self.modes.items()), 2):
            if rule.overlaps(second):
                raise ScenarioError(f'modes: expected ranges apart, got {name} and {other} that '
                                    f'overlap; an exchange could be of both')
        return self

    @cached_property
    def sha256(self) -> str:
        """Return the hash of the scenario's data."""
        return canonical_sha256(self.source)

    @property
    def desired(self) -> Mapping[str, bool]:
        """Return by name of the mode whether it is desired, as a contract has it."""
        return {name: rule.desired for name, rule in self.modes.items()}

    def mode_of(self, exchange: Exchange) -> str | None:
        """Return the mode that an exchange is of, None if it is of none."""
        return next((name for name, rule in self.modes.items() if rule.fits(exchange)), None)


def find_scenario(name_or_path: str) -> Scenario:
    """Return a shipped scenario by name, or the one in a YAML file given by path.

    Raise `ScenarioError` for an unknown name, suggesting the near miss.
    """
    if name_or_path.endswith(('.yaml', '.yml')):
        return load_scenario(Path(name_or_path))
    folder = share_path('config') / 'scenarios'
    known = sorted(path.stem for path in folder.glob('*.yaml'))
    if name_or_path not in known:
        raise ScenarioError(f'unknown scenario {name_or_path!r}{near_miss(name_or_path, known)}; '
                            f'give a name or the path of a .yaml file')
    return load_scenario(folder / f'{name_or_path}.yaml')


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; raise `ScenarioError` naming the place, the value and the remedy."""
    return scenario_from_dict(read_yaml(path, ScenarioError), str(path))


def scenario_from_dict(data: object, where: str) -> Scenario:
    """Return the scenario in plain data, as `Scenario.source` holds it; raise `ScenarioError`."""
    return read(Scenario, data, where, ScenarioError, source=data)


def contract_of(path: Path | None, scenario: Scenario) -> Contract:
    """Return the contract of a file, or the shipped one with the modes of the scenario."""
    if path is not None:
        return load_contract(path)
    name = ('contract_giver.yaml' if scenario.receiver_arm is not None else
            'contract_camera.yaml' if scenario.cameras else 'contract.yaml')
    return with_modes(load_contract(share_path('config') / name), scenario.desired)


def partner_of(path: Path | None, scenario: Scenario) -> Contract | None:
    """Return the contract of the second arm: of a file, or the shipped one if there are two."""
    if path is not None:
        return load_contract(path)
    if scenario.receiver_arm is None:
        return None
    return with_modes(load_contract(share_path('config') / 'contract_receiver.yaml'),
                      scenario.desired)


def _require_part(where: str, name: str, parts: Mapping[str, ToolPart]) -> None:
    if name not in parts:
        raise ScenarioError(f'{where}: unknown part {name!r}{near_miss(name, parts)}')


def _sine(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the sine of the angle between two directions (3,), 0 if one of them is none."""
    (a, b, c), (x, y, z) = one, two
    across = math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
    return across / max(math.hypot(a, b, c) * math.hypot(x, y, z), 1e-12)
